#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a session costs: processor time per event of the aggregator and of its
PostgreSQL backend, by events per session and batch, beside a plain binary COPY
of the same rows into the same table with the same indexes.

    PGD_BUILD=build t/bench/sessions.py [--rounds N] [--batches N]

Processor time, not time on the clock: the load that the events take to make
and to accept is the same for all and is not what is asked.  The rounds are
interleaved; medians are printed, with the least and the greatest.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..",
                                "integration"))

# pylint: disable=wrong-import-position
from cluster import Cluster, clean_environment
from daemon import Daemon

BODY = 1000  # events of a request
BODIES = 10  # requests of a batch, each over a connection of its own
PER_SESSION = (1, 5, 40)


def cpu_seconds(pid):
    """Processor time that a process has had."""
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def make_event(rng, session, serial):
    """An event as a browser's SDK sends them: about 550 bytes."""
    page = rng.choice(("/", "/pricing", "/docs/start", "/checkout", "/cart"))
    return {
        "event_id": "%08x-%04x-4%03x-8%03x-%012x" % (
            rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(12),
            rng.getrandbits(12), serial),
        "project_id": "proj_demo", "session.id": session,
        "event.type": rng.choice(("page.view", "ui.click", "ui.scroll",
                                  "performance", "error")),
        "event.timestamp": "2024-01-15T%02d:%02d:%02d.%03dZ" % (
            serial // 3600000 % 24, serial // 60000 % 60,
            serial // 1000 % 60, serial % 1000),
        "event.sequence": serial,
        "user.anonymous_id": "anon-" + session,
        "page.path": page, "page.title": "Page " + page,
        "page.url": "https://shop.example.org" + page,
        "page.referrer": "https://search.example.com/",
        "ui.component.name": "BuyButton", "ui.element": "button#buy",
        "ui.viewport": "1280x720", "device.viewport": "1920x1080",
        "duration_ms": rng.random() * 1000,
        "metadata": {"plan": "pro", "ab": rng.randrange(4)},
    }


def batches(per_session, count, known, tag):
    """Batches of BODIES requests of BODY events, so many of each session.

    Known sessions are those of the batch before, new ones have never been.
    """
    rng = random.Random(per_session)
    sessions = BODY // per_session
    for batch in range(count):
        group = 0 if known else batch
        made = []
        for body in range(BODIES):
            serial = (batch * BODIES + body) * BODY
            made.append(json.dumps({"events": [
                make_event(rng, "%s-%d-%d-%d" % (
                    tag, group, body, i % sessions), serial + i)
                for i in range(sessions * per_session)]}).encode())
        yield made


class Plain:
    """A psql that copies the rows of a session prefix into a like table."""

    def __init__(self, database):
        self.database = database
        cluster = database.cluster
        self.path = cluster.dir + "/rows.copy"
        # pylint: disable=consider-using-with
        self.psql = subprocess.Popen(
            cluster.psql_command(database.name),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=clean_environment())
        self.pid = int(self.ask("SELECT pg_backend_pid();"))

    def ask(self, sql):
        """The line that a command prints."""
        self.psql.stdin.write(sql + "\n")
        self.psql.stdin.flush()
        return self.psql.stdout.readline()

    def cost(self, tag):
        """Processor time per row of the COPY, in seconds."""
        self.ask("DROP TABLE IF EXISTS plain; CREATE TABLE plain"
                 " (LIKE partitions.events_y2024m01 INCLUDING ALL);"
                 " \\echo made")
        self.ask("\\copy (SELECT * FROM partitions.events_y2024m01 WHERE"
                 " session_id LIKE '%s-%%') TO '%s' (FORMAT binary)\n"
                 "\\echo out" % (tag, self.path))
        before = cpu_seconds(self.pid)
        self.ask("\\copy plain FROM '%s' (FORMAT binary)\n\\echo in"
                 % self.path)
        used = cpu_seconds(self.pid) - before
        return used / int(self.ask("SELECT count(*) FROM plain;"))

    def close(self):
        """Ends psql."""
        self.psql.communicate()


class Bench:
    """A daemon and what is measured of it."""

    def __init__(self, daemon, database, count):
        self.daemon = daemon
        self.database = database
        self.count = count
        self.connections = [daemon.connect(timeout=60)
                            for _ in range(BODIES)]
        self.plain = Plain(database)

    def backend(self):
        """The backend of the data connection: the busiest of the writer's."""
        pids = [row["pid"] for row in self.database.query(
            "SELECT pid FROM pg_stat_activity"
            " WHERE usename = 'productgraph_writer'")]
        return max(pids, key=cpu_seconds)

    def post(self, made):
        """Posts a batch."""
        for connection, body in zip(self.connections, made):
            connection.send(
                b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body)
        for connection in self.connections:
            answer = connection.response()
            assert answer.status == 202 and answer.json["rejected"] == 0, \
                answer

    def run(self, per_session, known, tag):
        """Seconds per event: of the aggregator, of PostgreSQL, of COPY."""
        made = list(batches(per_session, self.count + 1, known, tag))
        self.post(made[0])
        pids = (self.daemon.aggregator(), self.backend())
        before = [cpu_seconds(pid) for pid in pids]
        for batch in made[1:]:
            self.post(batch)
        events = self.count * BODIES * (BODY // per_session * per_session)
        used = [(cpu_seconds(pid) - was) / events
                for pid, was in zip(pids, before)]
        return (*used, self.plain.cost(tag))


def main():
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4)
    options = parser.parse_args()
    cluster = Cluster()
    cluster.start()
    database = cluster.create_database()
    database.migrate()
    database.populate()
    daemon = Daemon(database, workers=1, log_level="info", postgres={
        "batch_rows": BODIES * BODY, "batch_bytes": "64m",
        "batch_delay": "1s"}, ring_size="64m")
    results = {}
    try:
        daemon.start()
        bench = Bench(daemon, database, options.batches)
        for number in range(options.rounds):
            for known in (False, True):
                for per_session in PER_SESSION:
                    tag = "r%d%s%d" % (number, "nk"[known], per_session)
                    results.setdefault((known, per_session), []).append(
                        bench.run(per_session, known, tag))
        bench.plain.close()
    finally:
        daemon.destroy()
        cluster.destroy()
    report(results)


def report(results):
    """Prints medians, and the least and greatest beside them."""
    print("microseconds of processor per event: median (least to greatest)\n"
          "%-9s %7s  %-22s %-22s %-22s %s" % (
              "sessions", "events", "aggregator", "PostgreSQL", "plain COPY",
              "PostgreSQL / COPY"))
    for (known, per_session), rounds in results.items():
        columns = ["%.2f (%.2f to %.2f)" % (
            statistics.median(c), min(c), max(c))
            for c in ([1e6 * v for v in column] for column in zip(*rounds))]
        ratios = [r[1] / r[2] for r in rounds]
        print("%-9s %7d  %-22s %-22s %-22s %.2f (%.2f to %.2f)" % (
            "known" if known else "new", per_session, *columns,
            statistics.median(ratios), min(ratios), max(ratios)))


if __name__ == "__main__":
    main()
