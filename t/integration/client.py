# SPDX-License-Identifier: MIT
"""A client that sends exactly the bytes it is told to, plain or over TLS."""

import itertools
import json
import os
import socket
import ssl
import time

_serial = itertools.count(1)


def unique(prefix="evt"):
    """A name that no other call in no other process gives."""
    return "%s_%d_%d_%d" % (prefix, os.getpid(), time.time_ns(),
                            next(_serial))


def event(**fields):
    """A valid event; double underscores in names stand for dots.

    A field given as None is left out.
    """
    made = {
        "event_id": unique(),
        "project_id": "proj_demo",
        "session.id": "sess_test",
        "event.type": "page.view",
        "event.timestamp": "2024-01-15T10:30:00Z",
    }
    made.update({name.replace("__", "."): value
                 for name, value in fields.items()})
    return {name: value for name, value in made.items() if value is not None}


class Response:
    """An answer as it came."""

    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers  # [(name, value)], in order
        self.body = body

    def header(self, name):
        """The value of a header, None without it; twice is an error."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, "%s: %r" % (name, values)
        return values[0] if values else None

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)

    def __repr__(self):
        return "Response(%d, %r)" % (self.status, self.body[:200])


class Connection:
    """One connection.  Nothing is sent or read but by the caller's word."""

    def __init__(self, port, cafile=None, timeout=10, host="127.0.0.1",
                 context=None):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if cafile or context:
            if context is None:
                context = ssl.create_default_context(cafile=cafile)
                context.set_alpn_protocols(["http/1.1"])
            self.socket = context.wrap_socket(
                self.socket, server_hostname="localhost",
                suppress_ragged_eofs=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes without ceremony."""
        self.socket.close()

    def send(self, data):
        """Sends all of it; str goes as Latin-1."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.socket.sendall(data)

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("closed after %r" % self.buffer[:200])
        self.buffer += data

    def _take(self, size):
        while len(self.buffer) < size:
            self._fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _take_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1").split("\r\n")

    def response(self, head_only=False, interim=False):
        """Reads one answer.  100 is passed over unless interim is set."""
        line, *lines = self._take_head()
        version, status, reason = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        headers = [tuple(part.strip() for part in text.split(":", 1))
                   for text in lines]
        answer = Response(int(status), reason, headers, b"")
        if answer.status < 200:
            return answer if interim else self.response(head_only)
        if not head_only and answer.status not in (204, 304):
            answer.body = self._take(int(answer.header("Content-Length")))
        return answer

    def end(self):
        """Reads until the peer ends: "eof", "reset", or the bytes left."""
        try:
            while True:
                self._fill()
        except EOFError:
            return self.buffer or "eof"
        except ConnectionResetError:
            return "reset"
        except ssl.SSLEOFError:
            # TLS ended without close_notify.
            return "reset"

    def post(self, events, key=None, headers=None):
        """Posts events, or a ready body, and reads the answer."""
        if isinstance(events, (list, tuple)):
            body = json.dumps({"events": list(events)})
        else:
            body = events
        sent = {"Content-Type": "application/json"}
        if key:
            sent["X-PG-API-Key"] = key
        sent.update(headers or {})
        return request(self, "POST", "/v1/events", sent, body)


def request(connection, method, path, headers=None, body=None):
    """Sends a well-formed request and reads the answer."""
    if isinstance(body, str):
        body = body.encode("utf-8")
    sent = {"Host": "localhost"}
    sent.update(headers or {})
    if body is not None and "Transfer-Encoding" not in sent:
        sent.setdefault("Content-Length", str(len(body)))
    head = "%s %s HTTP/1.1\r\n" % (method, path)
    head += "".join("%s: %s\r\n" % pair for pair in sent.items()) + "\r\n"
    connection.send(head.encode("latin-1") + (body or b""))
    return connection.response(head_only=method == "HEAD")
