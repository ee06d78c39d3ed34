# SPDX-License-Identifier: MIT
"""Load with a ledger: what was sent, what was acknowledged, what is stored.

An acknowledged event must be stored exactly once, and any other once or not at
all: when no event is sent twice, and as well when each is sent until it is
acknowledged.

What a client may see when a server ends gracefully is part of the account.  A
connection that had been quiet may be closed under it, as HTTP says; a request
that was sent must be answered.
"""

import collections
import itertools
import select
import ssl
import threading
import time

from client import event, unique


def ended(connection):
    """Whether the server has closed a connection on which nothing is due.

    Whoever reuses a connection looks first.  Between this look and the request
    a server may still close it: that is a request cut off, and is counted.
    """
    if not select.select([connection.socket], [], [], 0)[0]:
        return False
    timeout = connection.socket.gettimeout()
    connection.socket.setblocking(False)
    try:
        data = connection.socket.recv(1)
        assert not data, "an answer to no request"
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        # TLS has words of its own, which are nobody's data.
        return False
    except (ConnectionError, ssl.SSLEOFError):
        # Its worker was killed: no goodbye.
        return True
    finally:
        connection.socket.settimeout(timeout)


class Ledger:
    """Threads that post batches until told to stop.

    With retry set, what was not answered with 202 is sent again, with the same
    ids, before anything else.
    """

    def __init__(self, daemon, threads=4, batch=20, tls=False, key=None,
                 retry=False):
        self.daemon = daemon
        self.batch = batch
        self.tls = tls
        self.key = key
        self.retry = retry
        self.prefix = unique("ledger")
        self.lock = threading.Lock()
        self.sent = set()
        self.acked = set()
        self.acked_at = []  # time.monotonic() of each answer of 202
        self.failures = collections.Counter()
        self.refused = 0  # connections that nobody took
        self.cut = []  # requests that were sent and got no answer
        self.untaken = []  # the same, the first of their connections
        self.errors = []  # what went wrong in a thread of ours
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the load; each thread finishes its request.

        A fault that a thread found is raised here.
        """
        self.stopping.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(60)
                assert not thread.is_alive(), "a client hangs"
        self._raise()

    def _raise(self):
        if self.errors:
            raise self.errors[0]

    def _run(self, number):
        try:
            self._post(number)
        # What escaped would end the thread and be seen by nobody.
        # pylint: disable=broad-exception-caught
        except BaseException as error:
            self.errors.append(error)

    def _connect(self):
        try:
            return self.daemon.connect(self.tls, timeout=30)
        except ConnectionError:
            with self.lock:
                self.refused += 1
                self.failures["refused"] += 1
            # Not for luck: a refused connection must not spin.
            time.sleep(0.01)
            return None

    def _bodies(self, number):
        """What a thread posts: (events, key, headers), one after another."""
        for serial in itertools.count(0, self.batch):
            yield ([event(event_id="%s_%d_%d" % (self.prefix, number, i),
                          session__id="sess_%d" % number)
                    for i in range(serial, serial + self.batch)],
                   self.key, None)

    def _post(self, number):
        connection = None
        served = False  # any request of this connection
        bodies = self._bodies(number)
        body = None  # what is to be sent
        while not self.stopping.is_set():
            if connection is not None and ended(connection):
                connection.close()
                connection = None
            if connection is None:
                connection = self._connect()
                served = False
                if connection is None:
                    continue
            if body is None or not self.retry:
                body = next(bodies, None)
                if body is None:
                    break
            ids = [sent["event_id"] for sent in body[0]]
            with self.lock:
                self.sent.update(ids)
            try:
                answer = connection.post(*body)
            except (OSError, EOFError) as error:
                with self.lock:
                    (self.cut if served else self.untaken).append(
                        "%s: %s" % (type(error).__name__, error))
                    self.failures[type(error).__name__] += 1
                connection.close()
                connection = None
                continue
            if self._account(ids, answer):
                body = None
            elif self.retry:
                # What a client does that is told to come again, in short.
                self.stopping.wait(0.05)
            served = True
            if answer.header("Connection") == "close":
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _account(self, ids, answer):
        """Whether the events were acknowledged."""
        with self.lock:
            if answer.status == 202:
                assert answer.json["accepted"] == len(ids), answer
                self.acked.update(ids)
                self.acked_at.append(time.monotonic())
            else:
                self.failures[answer.status] += 1
            return answer.status == 202

    def check_served(self, untaken=False):
        """Every request that was sent got its 202.

        With untaken set, the first of a connection may have been lost with
        the queue of a listener that closed.
        """
        self._raise()
        cut = self.cut + ([] if untaken else self.untaken)
        assert not cut, "%d cut off: %s" % (len(cut), cut[:5])
        others = {what: n for what, n in self.failures.items()
                  if isinstance(what, int)}
        assert not others, others

    def wait_acked(self, count, seconds=30):
        """Waits for so many further answers of 202."""
        target = len(self.acked_at) + count
        deadline = time.monotonic() + seconds
        while len(self.acked_at) < target:
            self._raise()
            assert time.monotonic() < deadline, \
                "%d of %d batches acknowledged; failures %s" % (
                    len(self.acked_at), target, dict(self.failures))
            time.sleep(0.01)

    def longest_gap(self, since):
        """The longest time in seconds without an answer of 202 since then."""
        times = [since] + [t for t in self.acked_at if t > since]
        return max((b - a for a, b in zip(times, times[1:])), default=0)

    def check(self, database):
        """Compares the ledger with what PostgreSQL holds."""
        self._raise()
        rows = database.query(
            "SELECT event_id AS id, count(*) AS n FROM events"
            " WHERE event_id LIKE '%s%%' GROUP BY 1" % self.prefix)
        stored = {row["id"]: row["n"] for row in rows}
        twice = {i: n for i, n in stored.items() if n != 1}
        lost = self.acked - stored.keys()
        unknown = stored.keys() - self.sent
        assert not lost, "%d acknowledged but not stored: %s" % (
            len(lost), sorted(lost)[:5])
        assert not twice, "stored more than once: %s" % list(
            twice.items())[:5]
        assert not unknown, "stored but never sent: %s" % sorted(unknown)[:5]
        assert self.acked, "nothing was acknowledged: %s" % self.failures


class Delivery(Ledger):
    """Threads that post given bodies until each has had its 202.

    A body is (events, key, headers).
    """

    def __init__(self, daemon, bodies, threads=4):
        super().__init__(daemon, threads=threads, retry=True)
        self.waiting = collections.deque(bodies)

    def _bodies(self, _):
        while True:
            try:
                yield self.waiting.popleft()
            except IndexError:
                return

    def wait(self, seconds=60):
        """Returns when all were answered with 202."""
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(deadline - time.monotonic(), 0))
            assert not thread.is_alive(), \
                "%d bodies left; failures %s" % (
                    len(self.waiting), dict(self.failures))
        self._raise()
