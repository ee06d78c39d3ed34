# SPDX-License-Identifier: MIT
"""The HTTP layer against the real daemon, plain and TLS.

Tables of cases: what is sent, byte by byte as it stands, and what must come
back.  The numbers are those of the table of bad input.
"""

import contextlib
import json
import os
import random
import select
import socket
import ssl
import time

import pytest

from client import Connection, event
from daemon import Daemon

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
POST = b"POST /v1/events HTTP/1.1\r\n" + HOST
NEXT = GET + b"\r\n"
MAX_BODY = 10 * 1024 * 1024
MAX_HEADERS = 32 * 1024
MAX_TARGET = 8 * 1024


def batch(*events):
    """A body of these events."""
    return json.dumps({"events": events}).encode()


def post(body, headers=b"", target=b"/v1/events"):
    """A whole POST."""
    return (b"POST %s HTTP/1.1\r\n" % target + HOST + headers +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def chunked(body, trailers=b""):
    """A body in chunked framing, in two chunks."""
    half = len(body) // 2
    parts = [body[:half], body[half:]]
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(p), p) for p in parts if p) + (
        b"0\r\n" + trailers + b"\r\n")


def check_problem(answer, statuses):
    """An error as events.md has it."""
    assert answer.status in statuses, answer
    assert answer.header("content-type") == "application/problem+json"
    problem = answer.json
    assert problem["status"] == answer.status
    for member in ("type", "title", "detail", "error"):
        assert isinstance(problem[member], str) and problem[member], problem
    assert problem["error"] == problem["detail"]


def check_refused(wire, statuses):
    """One error answer, and then the end, without a reset."""
    answer = answer_of(wire)
    check_problem(answer, statuses)
    assert "close" in words(answer, "connection"), answer
    assert wire.end() == "eof"
    return answer


# ---- the daemon -------------------------------------------------------------


@pytest.fixture(params=["plain", "tls"])
def connect(request, shared_daemon):
    """Opens connections to the shared daemon, plain or TLS."""
    return connector(shared_daemon, request.param)


def connector(daemon, kind):
    """A function that opens one connection of that kind."""
    return lambda: daemon.connect(tls=kind == "tls", timeout=20)


@pytest.fixture
def key(shared_daemon):
    """The header with the demo project's key."""
    demo = shared_daemon.database.keys["proj_demo"]
    return b"X-PG-API-Key: %s\r\n" % demo.encode()


def answer_of(wire, head_only=False):
    """The next answer, be it 100 Continue."""
    return wire.response(head_only, interim=True)


def ask(wire, data, head_only=False):
    """Sends a request and reads the answer."""
    wire.send(data)
    return answer_of(wire, head_only)


def words(answer, name):
    """The elements of a header that is a list, in lower case."""
    values = [v for n, v in answer.headers if n.lower() == name]
    return {w.strip().lower() for w in ",".join(values).split(",")} - {""}


def resident(pid):
    """Bytes of memory a process has in use."""
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def is_sanitized(pid):
    """Whether it keeps what it frees, on purpose."""
    with open("/proc/%d/maps" % pid, encoding="ascii") as f:
        return "asan" in f.read()


@contextlib.contextmanager
def bounded_memory(daemon, size=16 << 20):
    """No worker grows by more than size meanwhile."""
    before = {pid: resident(pid) for pid in daemon.workers().values()}
    assert before
    yield
    for pid, had in before.items():
        assert resident(pid) - had < size or is_sanitized(pid)


# ---- endpoints and answers --------------------------------------------------


def test_health_and_ready(connect):
    with connect() as wire:
        answer = ask(wire, GET + b"\r\n")
        assert (answer.status, answer.json) == (200, {"status": "ok"})
        assert answer.header("content-type") == "application/json"
        answer = ask(wire, b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (answer.status, answer.json) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", [b"/health", b"/ready"])
def test_head_is_get_without_body(connect, path):
    with connect() as wire:
        got = ask(wire, b"GET %s HTTP/1.1\r\n" % path + HOST + b"\r\n")
        head = ask(wire, b"HEAD %s HTTP/1.1\r\n" % path + HOST + b"\r\n", True)
        assert (head.status, head.body) == (200, b"")
        assert head.header("content-length") == str(len(got.body))
        assert ask(wire, NEXT).status == 200


@pytest.mark.parametrize("path", [
    b"/", b"/v1", b"/v1/events/", b"/v1/event", b"/V1/events", b"/healthy",
    b"//health", b"/v1/%65vents", b"/v1/%2e%2e/health", b"/../health",
    b"/x" * 2000])
def test_unknown_path(connect, path):
    with connect() as wire:
        check_problem(
            ask(wire, b"GET %s HTTP/1.1\r\n" % path + HOST + b"\r\n"), {404})
        assert ask(wire, NEXT).status == 200


@pytest.mark.parametrize("method, path, allow", [
    (b"GET", b"/v1/events", {"post", "options"}),
    (b"HEAD", b"/v1/events", {"post", "options"}),
    (b"PUT", b"/v1/events", {"post", "options"}),
    (b"DELETE", b"/v1/events", {"post", "options"}),
    (b"PATCH", b"/v1/events", {"post", "options"}),
    (b"TRACE", b"/v1/events", {"post", "options"}),
    (b"POST", b"/health", {"get", "head", "options"}),
    (b"DELETE", b"/ready", {"get", "head", "options"}),
])
def test_method_not_taken(connect, method, path, allow):
    head = method == b"HEAD"
    with connect() as wire:
        answer = ask(wire,
            b"%s %s HTTP/1.1\r\n" % (method, path) + HOST + b"\r\n", head)
        assert answer.status == 405
        assert words(answer, "allow") == allow
        if not head:
            check_problem(answer, {405})
        assert ask(wire, NEXT).status == 200


def test_accepted(connect):
    with connect() as wire:
        answer = ask(wire, post(batch(event()), JSON))
        assert answer.status == 202
        assert answer.json == {"accepted": 1, "rejected": 0, "errors": []}
        assert answer.header("content-type") == "application/json"


def test_one_bad_event_costs_nothing_else(connect):
    bad = event(event_id="http_bad")
    del bad["session.id"]
    with connect() as wire:
        answer = ask(wire, post(batch(event(), bad), JSON))
        assert answer.status == 202
        assert answer.json == {
            "accepted": 1, "rejected": 1, "errors": [{
                "index": 1, "event_id": "http_bad", "field": "session.id",
                "error": "session.id: required"}]}


def test_empty_batch(connect, key):
    with connect() as wire:
        answer = ask(wire, post(b'{"events": []}', key + JSON))
        assert answer.status == 202
        assert answer.json == {"accepted": 0, "rejected": 0, "errors": []}


@pytest.mark.parametrize("body", [
    b"", b" \r\n", b"{", b'{"events": [', b"[]", b"1", b"null", b'"events"',
    b"{}", b'{"events": {}}', b'{"events": null}', b'{"events": []} x',
    batch(*[event(event_id="http_many")] * 1001)],
    ids=lambda body: repr(body[:20]))
def test_body_that_is_no_batch(connect, key, body):
    with connect() as wire:
        check_problem(ask(wire, post(body, key + JSON)), {400})
        # The framing was sound: the connection lives.
        assert ask(wire, NEXT).status == 200


# ---- keys -------------------------------------------------------------------


def test_key_in_each_place(connect, shared_daemon):
    shop = shared_daemon.database.keys["shop"].encode()
    body = batch(event(project_id="shop"))
    with connect() as wire:
        for headers, target in (
                (b"X-PG-API-Key: %s\r\n" % shop, b"/v1/events"),
                (b"Authorization: Bearer %s\r\n" % shop,
                 b"/v1/events"),
                (b"authorization: bearer %s\r\n" % shop,
                 b"/v1/events"),
                (b"", b"/v1/events?api_key=" + shop),
                (b"", b"/v1/events?a=b&api_key=" + shop),
                (b"X-PG-API-Key: %s\r\nAuthorization: Bearer wrong\r\n"
                 % shop, b"/v1/events?api_key=wrong")):
            answer = ask(wire, post(body, headers + JSON, target))
            assert answer.status == 202, (headers, target, answer)
            assert answer.json["accepted"] == 1, answer


@pytest.mark.parametrize("headers, target", [
    (b"", b"/v1/events"),
    (b"X-PG-API-Key: wrong\r\n", b"/v1/events"),
    (b"X-PG-API-Key:\r\n", b"/v1/events"),
    (b"X-PG-API-Key: pgk_%s\r\n" % (b"x" * 43), b"/v1/events"),
    (b"X-PG-API-Key: %s\r\n" % (b"x" * 8192), b"/v1/events"),
    (b"Authorization: Bearer wrong\r\n", b"/v1/events"),
    (b"Authorization: Bearer\r\n", b"/v1/events"),
    (b"Authorization: Basic d3Jvbmc6d3Jvbmc=\r\n", b"/v1/events"),
    (b"", b"/v1/events?api_key=wrong"),
])
def test_key_missing_or_wrong(connect, headers, target):
    body = batch(event(project_id="shop"))
    with connect() as wire:
        answer = ask(wire, post(body, headers + JSON, target))
        check_problem(answer, {401})
        assert "bearer" in answer.header("www-authenticate").lower()


# ---- CORS -------------------------------------------------------------------


def check_cors(answer, origin):
    assert answer.header("access-control-allow-origin") == origin
    assert answer.header("access-control-allow-credentials") == "true"
    assert "origin" in words(answer, "vary")
    assert words(answer, "access-control-expose-headers") == {"retry-after"}


@pytest.mark.parametrize("origin", ["https://shop.example", "null"])
@pytest.mark.parametrize("path", [b"/v1/events", b"/health", b"/ready"])
def test_preflight(connect, origin, path):
    with connect() as wire:
        answer = ask(wire,
            b"OPTIONS %s HTTP/1.1\r\n" % path + HOST +
            b"Origin: %s\r\n" % origin.encode() +
            b"Access-Control-Request-Method: POST\r\n"
            b"Access-Control-Request-Headers: content-type,traceparent\r\n"
            b"\r\n")
        assert (answer.status, answer.body) == (204, b"")
        check_cors(answer, origin)
        assert words(answer, "access-control-allow-methods") == {
            "post", "get", "options"}
        assert words(answer, "access-control-allow-headers") == {
            "content-type", "traceparent"}
        assert answer.header("access-control-max-age") == "86400"
        assert ask(wire, NEXT).status == 200


@pytest.mark.parametrize("request_bytes, status", [
    (post(batch(event()), JSON), 202),
    (post(b"{", JSON), 401),
    (post(batch(event()), b"X-PG-API-Key: wrong\r\n"), 401),
    (post(b"a=b", b"Content-Type: text/html\r\n"), 415),
    (GET + b"\r\n", 200),
    (b"GET /no HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"GET /v1/events HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    (POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
    (POST + b"Expect: tea\r\n\r\n", 417),
    (POST + b"Content-Length: x\r\n\r\n", 400),
])
def test_every_answer_names_the_origin(connect, request_bytes, status):
    origin = b"Origin: https://shop.example\r\n"
    with connect() as wire:
        answer = ask(wire, request_bytes.replace(HOST, HOST + origin, 1))
        # Without a key a body that is no batch may be a 400 as well.
        assert answer.status in ({status, 400} if status == 401 else {status})
        check_cors(answer, "https://shop.example")


def test_no_origin_no_cors(connect):
    with connect() as wire:
        answer = ask(wire, GET + b"\r\n")
        assert answer.header("access-control-allow-origin") is None


# ---- connections ------------------------------------------------------------


def test_keep_alive(connect):
    with connect() as wire:
        for i in range(50):
            body = batch(event())
            assert ask(wire, post(body, JSON)).status == 202


@pytest.mark.parametrize("head, closes", [
    (b"GET /health HTTP/1.1\r\nConnection: close\r\n", True),
    (b"GET /health HTTP/1.1\r\nConnection: close, te\r\n", True),
    (b"GET /health HTTP/1.1\r\nConnection: te\r\nConnection: CLOSE\r\n", True),
    (b"GET /health HTTP/1.1\r\nConnection: te\r\n", False),
    (b"GET /health HTTP/1.0\r\n", True),
    (b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n", False),
])
def test_connection_header(connect, head, closes):
    with connect() as wire:
        answer = ask(wire, head + HOST + b"\r\n")
        assert answer.status == 200
        assert ("close" in words(answer, "connection")) == closes
        if closes:
            assert wire.end() == "eof"
        else:
            assert ask(wire, NEXT).status == 200


def test_byte_by_byte(connect):
    body = batch(event())
    whole = post(body, JSON) + POST + JSON + (
        b"Transfer-Encoding: chunked\r\n\r\n") + chunked(body)
    with connect() as wire:
        for i in range(len(whole)):
            wire.send(whole[i:i + 1])
        assert answer_of(wire).status == 202
        assert answer_of(wire).status == 202


def test_empty_line_before_a_request(connect):
    with connect() as wire:
        wire.send(GET + b"\r\n" + b"\r\n" + NEXT)
        assert answer_of(wire).status == 200
        assert answer_of(wire).status == 200


def test_half_close_still_gets_the_answer(shared_daemon):
    with shared_daemon.connect() as wire:
        wire.send(post(batch(event()), JSON))
        wire.socket.shutdown(socket.SHUT_WR)
        assert answer_of(wire).status == 202
        assert wire.end() == "eof"


def test_15_ten_thousand_in_order(connect, shared_daemon):
    """Which answer belongs to which request shows in its status."""
    kinds = [(GET, 200), (b"GET /no HTTP/1.1\r\n" + HOST, 404),
             (b"GET /v1/events HTTP/1.1\r\n" + HOST, 405)]
    order = random.Random(1).choices(kinds, k=10000)
    with bounded_memory(shared_daemon), connect() as wire:
        # In pieces that fit into the sockets' buffers: Python's TLS cannot
        # send in one thread while another reads.
        for at in range(0, len(order), 200):
            piece = order[at:at + 200]
            wire.send(b"".join(head + b"\r\n" for head, _ in piece))
            for _, status in piece:
                assert answer_of(wire).status == status


def test_15_batches_in_order(connect):
    """Each answer accounts for its own batch: i events, i % 7 of them bad."""
    with connect() as wire:
        for i in range(100):
            events = [event() for n in range(i % 11)]
            events += [{"event_id": "x", "project_id": "proj_demo"}] * (i % 7)
            wire.send(post(batch(event(), *events), JSON))
        for i in range(100):
            account = answer_of(wire).json
            assert account["accepted"] == 1 + i % 11
            assert account["rejected"] == i % 7


def flood(wire, data, seconds):
    """Sends data again and again and reads nothing; returns how much went."""
    wire.socket.setblocking(False)
    sent = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            sent += wire.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            select.select([], [wire.socket], [], 0.1)
        except (ConnectionError, ssl.SSLError):
            break
    return sent


def test_15_flood_without_reading_is_bounded(connect, shared_daemon):
    with connect() as wire:
        with bounded_memory(shared_daemon):
            assert flood(wire, NEXT * 1000, 2) > 0
        with connect() as other:
            assert ask(other, NEXT).status == 200


# ---- bad input: framing -----------------------------------------------------

FIVE = b"\r\n\r\nhello"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"

BAD_FRAMING = [
    # 1: both framings
    ("1 CL+TE", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked"
     b"\r\n\r\n0\r\n\r\n", {400}),
    ("1 TE+CL", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5"
     b"\r\n\r\n0\r\n\r\n", {400}),
    # 2: two lengths
    ("2 same", POST + b"Content-Length: 5\r\nContent-Length: 5" + FIVE, {400}),
    ("2 other", POST + b"Content-Length: 5\r\nContent-Length: 6" + FIVE,
     {400}),
    # 3: no length
    *[("3 %r" % value, POST + b"Content-Length: " + value + FIVE, {400})
      for value in (b"+5", b"-5", b"5,5", b"5, 5", b"0x5", b"\x0b5", b"5 5",
                    b"5.", b"99999999999999999999", b"", b"5\0", b"5\0 6",
                    b"five", b"5;a=b")],
    # 5: header lines
    *[("5 %r" % line, POST + line + FIVE, {400})
      for line in (b"Content-Length : 5", b"Content-Length\t: 5",
                   b"Transfer-Encoding : chunked", b"\0Content-Length: 5",
                   b" Content-Length: 5", b"Content Length: 5",
                   b"Content-\x01Length: 5", b"Content-Length\0: 5",
                   b"A\x7f: b", b"A\xe9: b", b": 5", b":", b"Content-Length",
                   b"A: b\0c", b"A: b\x01", b"A: b\rc", b"A: b\nB: c")],
    # 6: transfer codings
    *[("6 %r" % value, POST + b"Transfer-Encoding: " + value +
       b"\r\n\r\n0\r\n\r\n", statuses)
      for value, statuses in (
          (b"gzip", {501}), (b"identity", {501}), (b"xchunked", {501}),
          (b'"chunked"', {400}), (b"chunked, identity", {501, 400}),
          (b"gzip, chunked", {501}), (b"chunked, chunked", {501, 400}),
          (b"\x0bchunked", {400}), (b"", {400}), (b"chunked;a=b", {400}))],
    ("6 twice", POST + b"Transfer-Encoding: chunked\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("6 twice, other", POST + b"Transfer-Encoding: chunked\r\n"
     b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", {400, 501}),
    # 7
    ("7 HTTP/1.0", b"POST /v1/events HTTP/1.0\r\n" + HOST +
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    # 8: obs-fold
    ("8 space", GET + b"A: b\r\n c\r\n\r\n", {400}),
    ("8 tab", GET + b"A: b\r\n\tc\r\n\r\n", {400}),
    ("8 TE", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", {400}),
    # 9: chunk sizes
    *[("9 %r" % size, CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n", {400})
      for size in (b"0x5", b"+5", b" 5", b"5 ", b"5 x", b"-0", b"-5", b"",
                   b"g", b"5\0", b"5\0zz", b"00000000000000005",
                   b"fffffffffffffffff", b"10000000000000005")],
    # 10: line ends of chunks
    ("10 no CRLF", CHUNKED + b"5\r\nhello0\r\n\r\n", {400}),
    ("10 LF after data", CHUNKED + b"5\r\nhello\n0\r\n\r\n", {400}),
    ("10 LF after size", CHUNKED + b"5\nhello\r\n0\r\n\r\n", {400}),
    ("10 LF at the end", CHUNKED + HELLO + b"0\n\n", {400}),
    ("10 blank line", CHUNKED + HELLO + b"\r\n0\r\n\r\n", {400}),
    ("10 CR alone", CHUNKED + b"5\rhello\r\n0\r\n\r\n", {400}),
    # 11: without end
    ("11 extension", CHUNKED + b"5;" + b"x" * 2000, {400}),
    ("11 size", CHUNKED + b"0" * 2000, {400}),
    ("11 trailer", CHUNKED + HELLO + b"0\r\nA: " + b"x" * 9000, {400}),
    ("11 trailers", CHUNKED + HELLO + b"0\r\n" + b"A: b\r\n" * 9000, {400}),
    ("12 no trailer", CHUNKED + HELLO + b"0\r\nno colon\r\n\r\n", {400}),
    # 13: the sum of the chunks
    ("13 one", CHUNKED + b"%x\r\n" % (MAX_BODY + 1), {413}),
    ("13 sum", CHUNKED + HELLO + b"%x\r\n" % (MAX_BODY - 4), {413}),
    ("13 huge", CHUNKED + HELLO + b"ffffffffffffffff\r\n", {413}),
    # 16: Host
    ("16 none", b"GET /health HTTP/1.1\r\n\r\n", {400}),
    ("16 two", GET + HOST + b"\r\n", {400}),
    *[("16 %r" % host, b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
       {400})
      for host in (b"", b"localhost/", b"localhost/path", b"user@localhost",
                   b"local host", b"localhost:x", b"localhost:99999", b"[::1",
                   b"a, b", b"http://localhost")],
    # 17: targets
    ("17 foreign", b"GET http://evil.example/health HTTP/1.1\r\n" + HOST +
     b"\r\n", {421, 400}),
    ("17 ftp", b"GET ftp://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n",
     {421, 400}),
    ("17 asterisk", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    # 18: versions
    *[("18 %r" % version, b"GET /health " + version + b"\r\n" + HOST + b"\r\n",
       statuses)
      for version, statuses in (
          (b"HTTP/0.9", {505, 400}), (b"HTTP/1.9", {505}),
          (b"HTTP/1.2", {505}), (b"HTTP/2.0", {505}), (b"HTTP/+1.1", {400}),
          (b"HTTP/-1.1", {400}), (b"HTTP/1.1 ", {400}), (b"http/1.1", {400}),
          (b"HTTP/1,1", {400}), (b"HTTP/1", {400}), (b"HTTPS/1.1", {400}))],
    ("18 h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505}),
    ("18 no version", b"GET /health\r\n", {400}),
    # 19: methods
    ("19 lower case", b"get /health HTTP/1.1\r\n" + HOST + b"\r\n", {501}),
    ("19 unknown", b"BREW /health HTTP/1.1\r\n" + HOST + b"\r\n", {501}),
    ("19 long", b"A" * 100 + b" / HTTP/1.1\r\n", {501}),
    ("19 no token", b"G{T / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    # 20: targets
    ("20 space", b"GET /a b c HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 control", b"GET /a\x01 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 tab", b"GET /a\t HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 high", b"GET /\xc3\xbc HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 %00", b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 %00 in query", b"GET /health?%00 HTTP/1.1\r\n" + HOST + b"\r\n",
     {400}),
    ("20 %zz", b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 fragment", b"GET /health#a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("20 long", b"GET /" + b"x" * MAX_TARGET + b" HTTP/1.1\r\n" + HOST +
     b"\r\n", {414}),
    ("20 endless", b"GET /" + b"x" * MAX_TARGET * 2, {414}),
    # 21: too much
    ("21 bytes", GET + b"A: " + b"x" * MAX_HEADERS + b"\r\n\r\n", {431}),
    ("21 lines", GET + b"A: b\r\n" * 100 + b"\r\n", {431}),
    # 23
    ("23 other", POST + b"Expect: tea\r\nContent-Length: 5" + FIVE, {417}),
    # 42
    ("42 two keys", POST + b"X-PG-API-Key: a\r\nX-PG-API-Key: a\r\n\r\n",
     {400}),
    ("42 two", POST + b"Authorization: a\r\nAuthorization: a\r\n\r\n", {400}),
    # what begins no request
    ("lf", b"GET /health HTTP/1.1\nHost: localhost\n\n", {400}),
    ("two empty lines", b"\r\n\r\n" + NEXT, {400}),
    ("blank first", b" " + NEXT, {400}),
    ("nul", b"\0" * 100, {400}),
    ("json", b'{"events": []}', {400}),
]


@pytest.mark.parametrize(
    "request_bytes, statuses", [case[1:] for case in BAD_FRAMING],
    ids=[case[0] for case in BAD_FRAMING])
def test_bad_framing(connect, request_bytes, statuses):
    """One answer, the end, and what followed is not taken for a request."""
    with connect() as wire:
        wire.send(request_bytes + NEXT * 3)
        check_refused(wire, statuses)


def test_4_too_long_is_said_before_the_body(connect):
    with connect() as wire:
        wire.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                  % (MAX_BODY + 1))
        check_refused(wire, {413})


def endless(wire, data):
    """Sends until an answer comes or the other side has gone."""
    for _ in range(5000):
        try:
            wire.send(data)
        except (ConnectionError, ssl.SSLError):
            return
        if select.select([wire.socket], [], [], 0)[0]:
            return
    pytest.fail("it is taken without end")


@pytest.mark.parametrize("start, data", [
    (CHUNKED, b"0" * 4096),
    (CHUNKED + b"5;", b"x" * 4096),
    (CHUNKED + b"0\r\n", b"A: b\r\n" * 500),
    (CHUNKED + b"0\r\nA: ", b"x" * 4096),
    (b"GET /", b"x" * 4096),
    (GET, b"A: b\r\n" * 500),
    (b"", b"A" * 4096),
], ids=["size", "extension", "trailers", "trailer", "target", "headers",
        "method"])
def test_11_endless(connect, shared_daemon, start, data):
    with bounded_memory(shared_daemon), connect() as wire:
        wire.send(start)
        endless(wire, data)
        check_problem(answer_of(wire), {400, 414, 431, 501})


def test_12_trailers_are_dropped(connect):
    trailers = (b"X-PG-API-Key: wrong\r\nContent-Type: text/html\r\n"
                b"Content-Length: 3\r\nConnection: close\r\n")
    with connect() as wire:
        wire.send(POST + JSON + b"Transfer-Encoding: chunked\r\n\r\n" +
                  chunked(batch(event()), trailers) + NEXT)
        assert answer_of(wire).status == 202
        assert answer_of(wire).status == 200


@pytest.mark.parametrize("method, path", [
    (b"GET", b"/health"), (b"HEAD", b"/health"), (b"OPTIONS", b"/health"),
    (b"DELETE", b"/v1/events"), (b"TRACE", b"/health"), (b"GET", b"/no"),
    (b"GET", b"/v1/events"), (b"PUT", b"/health"), (b"CONNECT", b"a:80")])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_14_body_is_never_the_next_request(connect, method, path, framing):
    hidden = b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"%s %s HTTP/1.1\r\n" % (method, path) + HOST
    if framing == "length":
        head += b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    else:
        head += b"Transfer-Encoding: chunked\r\n\r\n" + chunked(hidden)
    with connect() as wire:
        wire.send(head + NEXT)
        first = answer_of(wire, method == b"HEAD")
        if "close" not in words(first, "connection"):
            assert answer_of(wire).json == {"status": "ok"}
            wire.send(b"GET /health HTTP/1.0\r\n\r\n")
            assert answer_of(wire).json == {"status": "ok"}
        assert wire.end() == "eof"


def test_17_own_authority(connect):
    with connect() as wire:
        answer = ask(wire,
            b"GET http://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answer.json == {"status": "ok"}


@pytest.mark.parametrize("line", [
    b"CONNECT localhost:443 HTTP/1.1\r\n", b"TRACE /health HTTP/1.1\r\n"])
def test_17_methods_of_proxies(connect, line):
    with connect() as wire:
        check_problem(ask(wire, line + HOST + b"\r\n"), {405})


def test_20_longest_target(connect):
    with connect() as wire:
        target = b"/health?" + b"x" * (MAX_TARGET - 8)
        answer = ask(wire, b"GET %s HTTP/1.1\r\n" % target + HOST + b"\r\n")
        assert answer.status == 200


def test_21_most_headers(connect):
    with connect() as wire:
        assert ask(wire, GET + b"A: b\r\n" * 99 + b"\r\n").status == 200
        fill = MAX_HEADERS - len(GET) - len(b"Cookie: \r\n\r\n")
        answer = ask(wire, GET + b"Cookie: " + b"x" * fill + b"\r\n\r\n")
        assert answer.status == 200


# ---- 18: the wrong language -------------------------------------------------


def reply_to(wire, data):
    """Sends data; returns all that comes until the end, reset or not."""
    with wire:
        try:
            wire.send(data)
            left = wire.end()
        except ConnectionError:
            return b""
        return b"" if isinstance(left, str) else left


def test_18_tls_on_the_plain_port(shared_daemon):
    hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160)
    got = reply_to(shared_daemon.connect(), hello)
    assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Connection(shared_daemon.port, shared_daemon.cert)


def test_18_plain_on_the_tls_port(shared_daemon):
    got = reply_to(Connection(shared_daemon.tls_port), NEXT)
    # An alert at most; nothing that could be taken for an answer.
    assert b"HTTP/" not in got


@pytest.mark.parametrize("seed", range(20))
def test_garbage_on_both_ports(shared_daemon, seed):
    data = random.Random(seed).randbytes(5000)
    for wire in (shared_daemon.connect(), shared_daemon.connect(tls=True),
                 Connection(shared_daemon.tls_port)):
        assert reply_to(wire, data).count(b"HTTP/1.1 ") <= 1
    assert shared_daemon.get("/health").status == 200


def test_tls_is_1_3_only(shared_daemon):
    with shared_daemon.connect(tls=True) as wire:
        assert wire.socket.version() == "TLSv1.3"
        assert wire.socket.selected_alpn_protocol() == "http/1.1"
    old = ssl.create_default_context(cafile=shared_daemon.cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shared_daemon.connect(tls=True, context=old)


# ---- 22: deadlines ----------------------------------------------------------


@pytest.fixture(scope="module")
def hasty_daemon(shared_daemon):
    """A daemon beside the shared one whose deadlines are a second."""
    made = Daemon(shared_daemon.database, node="hasty", http={
        **{name + "_timeout": "1s" for name in (
            "handshake", "header", "body", "write", "keepalive")},
        "drain_timeout": "3s"})
    try:
        yield made.start()
    finally:
        made.destroy()


@pytest.fixture(params=["plain", "tls"])
def hasty(request, hasty_daemon):
    """Opens connections to the hasty daemon, plain or TLS."""
    return connector(hasty_daemon, request.param)


def dribble(wire, start, byte):
    """Sends start, then a byte at a time until an answer or the end comes."""
    began = time.monotonic()
    wire.send(start)
    while not select.select([wire.socket], [], [], 0.1)[0]:
        assert time.monotonic() - began < 5, "no deadline"
        wire.send(byte)
    return time.monotonic() - began


@pytest.mark.parametrize("start", [
    b"G", GET, GET + b"A: ", POST + b"Content-Length: 1000\r\n\r\n{",
    CHUNKED + b"ff\r\n", CHUNKED + b"5;"],
    ids=["method", "header", "value", "body", "chunk", "extension"])
def test_22_dribble(hasty, start):
    byte = b"x" if not start.endswith(b"G") else b"E"
    with hasty() as wire:
        assert dribble(wire, start, byte) > 0.5
        check_refused(wire, {408})


def test_22_silence_after_a_part(hasty):
    for start in (GET, POST + b"Content-Length: 5\r\n\r\nhel"):
        with hasty() as wire:
            wire.send(start)
            check_refused(wire, {408})


def test_22_sending_for_ever_after_the_answer(hasty):
    """The drain ends too, however much there is still to send."""
    with hasty() as wire:
        began = time.monotonic()
        wire.send(b"POST /v1/events HTTP/1.1\r\nHost: a\r\n"
                  b"X-PG-API-Key: wrong\r\nContent-Length: 9000000\r\n\r\n")
        with pytest.raises(OSError):
            while time.monotonic() - began < 20:
                wire.send(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began > 2


def test_22_no_request(hasty):
    with hasty() as wire:
        began = time.monotonic()
        assert wire.end() == "eof"
        assert 0.5 < time.monotonic() - began < 5


def test_22_idle_keep_alive(hasty):
    with hasty() as wire:
        assert ask(wire, NEXT).status == 200
        began = time.monotonic()
        assert wire.end() == "eof"
        assert 0.5 < time.monotonic() - began < 5


@pytest.mark.parametrize("hello", [
    b"", b"\x16", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"])
def test_22_no_handshake(hasty_daemon, hello):
    with Connection(hasty_daemon.tls_port) as wire:
        began = time.monotonic()
        wire.send(hello)
        assert wire.end() in ("eof", "reset")
        assert 0.5 < time.monotonic() - began < 5


def test_22_handshake_dribble(hasty_daemon):
    with Connection(hasty_daemon.tls_port) as wire:
        began = time.monotonic()
        wire.send(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03")
        try:
            while not select.select([wire.socket], [], [], 0.1)[0]:
                assert time.monotonic() - began < 5, "no deadline"
                wire.send(b"\0")
        except ConnectionError:
            pass


def descriptors(pids):
    """How many descriptors these processes hold."""
    return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in pids)


def test_22_slow_reader(hasty, hasty_daemon):
    """Who reads no answers is let go, and its descriptor with it."""
    pids = hasty_daemon.workers().values()
    before = descriptors(pids)
    with hasty() as wire:
        flood(wire, NEXT * 1000, 0.5)
        until = time.monotonic() + 8
        while descriptors(pids) > before:
            assert time.monotonic() < until, "no deadline"
            time.sleep(0.1)


# ---- 23: Expect -------------------------------------------------------------


def expecting(headers, size):
    return POST + JSON + headers + (
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size)


def test_23_continue(connect, key):
    body = batch(event())
    with connect() as wire:
        answer = ask(wire, expecting(key, len(body)))
        assert answer.status == 100
        assert ask(wire, body).status == 202
        # Who does not wait may be told or not.
        wire.send(expecting(key, len(body)) + body)
        answer = answer_of(wire)
        if answer.status == 100:
            answer = answer_of(wire)
        assert answer.status == 202
        assert ask(wire, NEXT).status == 200


@pytest.mark.parametrize("headers, size, status", [
    (b"X-PG-API-Key: wrong\r\n", 100, 401),
    (b"Authorization: Bearer wrong\r\n", 100, 401),
    (b"", MAX_BODY + 1, 413),
    (b"Content-Encoding: br\r\n", 100, 415)])
def test_23_refused_without_continue(connect, headers, size, status):
    with connect() as wire:
        wire.send(expecting(headers, size))
        check_refused(wire, {status})


# ---- 24: media types --------------------------------------------------------


@pytest.mark.parametrize("media, status", [
    (b"application/json", 202),
    (b"APPLICATION/JSON", 202),
    (b"application/json; charset=utf-8", 202),
    (b"application/json;charset=\"UTF-8\"", 202),
    (b"application/vnd.example+json", 202),
    (b"text/plain", 202),
    (b"text/plain;charset=UTF-8", 202),
    (None, 202),
    (b"application/x-www-form-urlencoded", 415),
    (b"multipart/form-data; boundary=x", 415),
    (b"text/html", 415),
    (b"application/jsonx", 415),
    (b"application/json; charset=utf-16", 415),
    (b"application/octet-stream", 415)])
def test_24_content_type(connect, media, status):
    header = b"" if media is None else b"Content-Type: %s\r\n" % media
    with connect() as wire:
        answer = ask(wire, post(batch(event()), header))
        assert answer.status == status, answer
        if status == 415:
            check_problem(answer, {415})
            assert "application/json" in answer.json["detail"]


# ---- an answer before the body ----------------------------------------------


@pytest.mark.parametrize("headers, size, status", [
    (b"X-PG-API-Key: wrong\r\n", 1 << 20, 401),
    (b"X-PG-API-Key: wrong\r\n", 8 << 20, 401),
    (b"", MAX_BODY + (1 << 20), 413),
    (b"Content-Type: text/html\r\n", 8 << 20, 415)])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_early_answer_is_read(connect, headers, size, status, framing):
    """By a client that sends its whole body first, without a reset."""
    body = b"x" * size
    if framing == "length":
        whole = post(body, headers)
    else:
        whole = (POST + headers + b"Transfer-Encoding: chunked\r\n\r\n" +
                 chunked(body))
    with connect() as wire:
        wire.send(whole)
        check_refused(wire, {status})


def test_early_answers_leave_nothing_behind(connect, shared_daemon):
    pids = shared_daemon.workers().values()
    before = descriptors(pids)
    for _ in range(20):
        with connect() as wire:
            wire.send(post(b"x" * 100000, b"X-PG-API-Key: wrong\r\n"))
            check_refused(wire, {401})
    until = time.monotonic() + 5
    while descriptors(pids) > before:
        assert time.monotonic() < until, "descriptors are kept"
        time.sleep(0.05)
