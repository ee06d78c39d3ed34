# SPDX-License-Identifier: MIT
"""Load with a ledger: what was sent, what was acknowledged, what is stored.

No event is sent twice, so an acknowledged one must be stored exactly once, and
any other once or not at all.
"""

import collections
import threading
import time

from client import event, unique


class Ledger:
    """Threads that post batches until told to stop."""

    def __init__(self, daemon, threads=4, batch=20, tls=False, key=None):
        self.daemon = daemon
        self.batch = batch
        self.tls = tls
        self.key = key
        self.prefix = unique("ledger")
        self.lock = threading.Lock()
        self.sent = set()
        self.acked = set()
        self.acked_at = []  # time.monotonic() of each answer of 202
        self.failures = collections.Counter()
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
        """Ends the load; each thread finishes its request."""
        self.stopping.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(60)
                assert not thread.is_alive(), "a client hangs"

    def _run(self, number):
        connection = None
        serial = 0
        while not self.stopping.is_set():
            ids = ["%s_%d_%d" % (self.prefix, number, serial + i)
                   for i in range(self.batch)]
            serial += self.batch
            try:
                if connection is None:
                    connection = self.daemon.connect(self.tls, timeout=30)
                with self.lock:
                    self.sent.update(ids)
                answer = connection.post(
                    [event(event_id=i, session__id="sess_%d" % number)
                     for i in ids], self.key)
                self._account(ids, answer)
                if answer.header("Connection") == "close":
                    connection.close()
                    connection = None
            except (OSError, EOFError) as error:
                with self.lock:
                    self.failures[type(error).__name__] += 1
                if connection is not None:
                    connection.close()
                    connection = None
                # Not for luck: a refused connection must not spin.
                time.sleep(0.01)

    def _account(self, ids, answer):
        with self.lock:
            if answer.status == 202:
                assert answer.json["accepted"] == len(ids), answer
                self.acked.update(ids)
                self.acked_at.append(time.monotonic())
            else:
                self.failures[answer.status] += 1

    def wait_acked(self, count, seconds=30):
        """Waits for so many further answers of 202."""
        target = len(self.acked_at) + count
        deadline = time.monotonic() + seconds
        while len(self.acked_at) < target:
            assert time.monotonic() < deadline, \
                "%d of %d batches acknowledged; failures %s" % (
                    len(self.acked_at), target, dict(self.failures))
            time.sleep(0.01)

    def longest_gap(self):
        """The longest time in seconds between two answers of 202."""
        times = self.acked_at
        return max((b - a for a, b in zip(times, times[1:])), default=0)

    def check(self, database):
        """Compares the ledger with what PostgreSQL holds."""
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
