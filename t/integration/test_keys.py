# SPDX-License-Identifier: MIT
"""What changes of keys and projects takes effect in all workers within a
second, on connections that are kept open, and whatever became of the
connection that would have brought the news."""

import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest

from client import event, unique
from cluster import clean_environment, free_port, wait_until

AWAY = "the database is away"
# Seconds until keys in doubt are taken no more: 0.9, and a loaded machine's.
DOUBT = 1.5
BACKEND = ("SELECT pid FROM pg_stat_activity"
           " WHERE application_name = 'productgraphd %s'"
           " AND datname = current_database()")


class Everywhere:
    """A connection to each worker of a daemon, kept open.

    A request that is refused is not read to its end, so its answer closes; then
    the next is sent on a new connection to the same worker.
    """

    def __init__(self, daemon):
        self.daemon = daemon
        self.pids = list(daemon.workers().values())
        assert len(self.pids) == 2
        self.connections = [self.open(pid) for pid in self.pids]

    def open(self, pid):
        """A connection that this worker has taken: the others cannot."""
        others = [other for other in self.pids if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            connection = self.daemon.connect()
            connection.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.response().status == 200
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        return connection

    def post(self, key=None, project="shop", headers=None):
        """What each worker answers to an event."""
        answers = []
        for i, pid in enumerate(self.pids):
            answer = self.connections[i].post(
                [event(project_id=project)], key, headers)
            answers.append(answer)
            if answer.header("Connection") == "close":
                self.connections[i].close()
                self.connections[i] = self.open(pid)
        return answers

    def statuses(self, *args, **options):
        """The set of statuses."""
        return {answer.status for answer in self.post(*args, **options)}

    def wait(self, status, seconds, *args, **options):
        """Until each answers with this status."""
        wait_until(lambda: self.statuses(*args, **options) == {status},
                   seconds, "%d from each worker" % status)

    def close(self):
        """Closes them."""
        for connection in self.connections:
            connection.close()


@pytest.fixture
def everywhere(daemon):
    """A connection to each worker of the test's daemon."""
    connections = Everywhere(daemon)
    yield connections
    connections.close()


def backend(database, use):
    """The process id behind the data or control connection, None without."""
    rows = database.query(BACKEND % use)
    assert len(rows) <= 1, rows
    return rows[0]["pid"] if rows else None


def terminate(database, use):
    """SQL that ends the data or control connection."""
    return ("SELECT pg_terminate_backend(pid) FROM (%s) AS q"
            % (BACKEND % use))


def revoke(key):
    """SQL that revokes a key."""
    return ("UPDATE api_keys SET revoked_at = now()"
            " WHERE key_sha256 = sha256('%s')" % key)


@contextlib.contextmanager
def keys_unreadable(database):
    """Whoever connects meanwhile cannot read API keys."""
    database.execute("REVOKE SELECT ON api_keys FROM productgraph_writer")
    yield
    database.execute("GRANT SELECT ON api_keys TO productgraph_writer")


@contextlib.contextmanager
def held(database, sql):
    """A transaction that has done this and stays open."""
    cluster = database.cluster
    # pylint: disable=consider-using-with
    psql = subprocess.Popen(
        [cluster.bindir + "/psql", "-XqAt", "-h", cluster.socket_dir,
         "-p", str(cluster.port), "-U", "postgres", "-d", database.name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=clean_environment())
    psql.stdin.write("BEGIN; %s; SELECT 'held';\n" % sql)
    psql.stdin.flush()
    assert "held\n" in iter(psql.stdout.readline, "")
    try:
        yield
    finally:
        psql.communicate("ROLLBACK;\n")


class Knocking:
    """Posts with one key, again and again, each time on a new connection."""

    def __init__(self, daemon, key):
        self.daemon = daemon
        self.key = key
        self.statuses = set()
        self.stopping = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        """The thread."""
        while not self.stopping:
            answer = self.daemon.post([event(project_id="shop")], self.key)
            self.statuses.add(answer.status)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


# ---- keys ----

def test_a_revoked_key_ends_in_all_workers(database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    database.execute(revoke(key))
    everywhere.wait(401, 1, key)
    assert everywhere.statuses(database.keys["shop"]) == {202}


def test_a_deleted_key_ends_in_all_workers(database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    database.execute("DELETE FROM api_keys WHERE key_sha256 = sha256('%s')"
                     % key)
    everywhere.wait(401, 1, key)


def test_a_key_expires_in_all_workers(database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    database.execute("UPDATE api_keys SET expires_at = now() + interval '2 s'"
                     " WHERE key_sha256 = sha256('%s')" % key)
    expires = time.monotonic() + 2
    while 202 in everywhere.statuses(key):
        assert time.monotonic() < expires + 0.5
    # The database was asked before it was said to have begun.
    assert time.monotonic() > expires - 1
    assert {answer.json["detail"] for answer in everywhere.post(key)} == {
        "expired API key"}


def test_news_that_the_lost_connection_would_have_brought(
        database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    data = backend(database, "data")
    database.execute("BEGIN; %s; %s; COMMIT" % (
        terminate(database, "control"), revoke(key)))
    everywhere.wait(401, 1, key)
    assert everywhere.statuses(database.keys["shop"]) == {202}
    assert backend(database, "data") == data


def test_no_key_is_taken_while_keys_cannot_be_read(
        daemon, database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    data = backend(database, "data")
    with keys_unreadable(database):
        database.execute(terminate(database, "control"))
        everywhere.wait(503, DOUBT, key)
        # The data connection alone does not change that.
        assert backend(database, "data") == data
        answer = daemon.get("/ready")
        assert (answer.status, answer.json["reason"]) == (503, AWAY)
        (answer, _) = everywhere.post(key)
        assert int(answer.header("Retry-After")) >= 1
        database.execute(revoke(key))
        with Knocking(daemon, key) as knocking:
            database.execute(
                "GRANT SELECT ON api_keys TO productgraph_writer")
            daemon.wait_ready()
        assert knocking.statuses <= {401, 503}
    assert everywhere.statuses(key) == {401}
    assert everywhere.statuses(database.keys["shop"]) == {202}


def test_keys_that_cannot_be_read_after_a_change(daemon, database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    # The control connection stays; what it asks waits for the lock.
    with held(database, "LOCK TABLE projects"):
        database.execute(revoke(key))
        wait_until(lambda: 202 not in everywhere.statuses(key), DOUBT,
                   "the end")
        wait_until(lambda: not daemon.is_ready(), 1, "/ready")
    daemon.wait_ready(1)
    assert everywhere.statuses(key) == {401}


@pytest.mark.parametrize("end", ["fast", "immediate"])
def test_a_key_revoked_while_the_database_was_away(
        daemon, database, postgres, everywhere, end):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    postgres.stop(end)
    start = len(daemon.log())
    with Knocking(daemon, key) as knocking:
        wait_until(lambda: 503 in knocking.statuses, 5, "503")
        knocking.statuses.clear()
        # Where the daemon does not look.
        port = postgres.port
        postgres.listen_at(free_port())
        postgres.start()
        database.execute(revoke(key))
        database.execute("REVOKE SELECT ON api_keys FROM productgraph_writer")
        postgres.stop()
        postgres.listen_at(port)
        postgres.start()
        daemon.wait_log("^.*data connection to PostgreSQL is up", 10, start)
        daemon.wait_log("^.*could not read API keys", 10, start)
        assert daemon.get("/ready").json["reason"] == AWAY
        database.execute("GRANT SELECT ON api_keys TO productgraph_writer")
        daemon.wait_ready()
    assert knocking.statuses <= {401, 503}
    assert everywhere.statuses(key) == {401}
    assert everywhere.statuses(database.keys["shop"]) == {202}


def test_keys_are_read_again_once_the_data_connection_is_back(
        daemon, database):
    data, control = backend(database, "data"), backend(database, "control")
    read = daemon.log().count("published ")
    database.execute(terminate(database, "data"))
    wait_until(lambda: backend(database, "data") not in (None, data), 5,
               "the next connection")
    daemon.wait_ready()
    # The log takes its time.
    wait_until(lambda: daemon.log().count("published ") > read, 1, "keys")
    assert backend(database, "control") == control


def test_one_connection_brings_the_other_back(make_daemon, database, postgres):
    daemon = make_daemon(postgres={"retry_max": "10m"}).start()
    start = len(daemon.log())
    attempt = "control connection: PG_OFF to PG_CONNECTING"
    with keys_unreadable(database):
        database.execute(terminate(database, "control"))
        # The next pause is one of four seconds at the least.
        wait_until(lambda: daemon.log()[start:].count(attempt) >= 8, 30,
                   "eight attempts")
    postgres.stop()
    postgres.start()
    daemon.wait_ready(3)


def test_a_flood_of_changes_is_read_at_a_pace(daemon, database, everywhere):
    key = database.create_key("demo", "shop")
    everywhere.wait(202, 1, key)
    before = daemon.log().count("published ")
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        # pylint: disable=consider-using-with
        flood = subprocess.Popen(
            [database.cluster.bindir + "/psql", "-Xq", "-h",
             database.cluster.socket_dir, "-p", str(database.cluster.port),
             "-U", "postgres", "-d", database.name],
            stdin=subprocess.PIPE, text=True, env=clean_environment())
        stack.callback(flood.wait)
        stack.callback(flood.kill)
        flood.stdin.write("SELECT 1 FROM pg_sleep(0.1);\n"
                          "UPDATE organizations SET name = name;\n" * 3
                          + "UPDATE organizations SET name = name;\n" * 1500)
        flood.stdin.close()
        wait_until(lambda: daemon.log().count("published ") > before + 4, 10,
                   "the flood")
        database.execute(revoke(key))
        everywhere.wait(401, 1, key)
        assert everywhere.statuses(database.keys["shop"]) == {202}
        flood.wait(60)
    took = time.monotonic() - begun
    assert daemon.log().count("published ") - before <= took / 0.1 + 2


# ---- projects ----

def test_allowed_origins_change_in_all_workers(database, everywhere):
    key = database.keys["shop"]
    mine = {"Origin": "https://mine.example"}
    change = "UPDATE projects SET allowed_origins = '%s' WHERE slug = 'shop'"
    assert everywhere.statuses(key, headers=mine) == {202}
    database.execute(change % "{https://a.example}")
    everywhere.wait(403, 1, key, headers=mine)
    database.execute(change % "{https://a.example,https://mine.example}")
    everywhere.wait(202, 1, key, headers=mine)


def test_a_project_made_keyless_and_keyed(database, everywhere):
    change = "UPDATE projects SET require_api_key = %s WHERE slug = 'shop'"
    assert everywhere.statuses() == {401}
    database.execute(change % "false")
    everywhere.wait(202, 1)
    database.execute(change % "true")
    everywhere.wait(401, 1)


# ---- the time of the last use ----

def last_used(database, key):
    """api_keys.last_used_at as seconds, None when it is null."""
    return database.value(
        "SELECT extract(epoch FROM last_used_at)::float8 FROM api_keys"
        " WHERE key_sha256 = sha256('%s')" % key)


def test_last_use_is_written_now_and_then(make_daemon, database):
    used, other = database.create_key("demo", "shop"), database.keys["shop"]
    daemon = make_daemon(postgres={"key_use_interval": "100ms"}).start()
    before = time.time()
    assert daemon.post([event(project_id="shop")], used).status == 202
    first = wait_until(lambda: last_used(database, used), 5, "last_used_at")
    assert before - 1 < first < time.time() + 1
    read = daemon.log().count("published ")
    assert daemon.post([event(project_id="shop")], used).status == 202
    wait_until(lambda: last_used(database, used) > first, 5, "the next use")
    # An event that is rejected is no use, nor is a key that is refused.
    assert daemon.post([{}], other).status == 202
    assert daemon.post([event(project_id="shop")],
                       "pg_" + unique()).status == 401
    daemon.stop(signal.SIGQUIT)
    assert last_used(database, other) is None
    # It is no change that workers need to know of.
    assert daemon.log().count("published ") == read


def test_last_use_is_written_at_the_end(daemon, database):
    key, other = database.keys["shop"], database.keys["rival"]
    assert daemon.post([event(project_id="shop")], key).status == 202
    assert last_used(database, key) is None
    assert daemon.stop(signal.SIGQUIT) == 0
    assert abs(last_used(database, key) - time.time()) < 30
    assert last_used(database, other) is None


def test_a_locked_key_holds_up_no_change(make_daemon, database):
    used = database.create_key("demo", "shop")
    daemon = make_daemon(postgres={"key_use_interval": "100ms"}).start()
    with held(database, "SELECT FROM api_keys FOR UPDATE"):
        assert daemon.post([event(project_id="shop")], used).status == 202
        daemon.wait_log("could not write when API keys were used")
        key = database.create_key("demo", "shop")
        wait_until(lambda: daemon.post(
            [event(project_id="shop")], key).status == 202, 1, "the new key")
    wait_until(lambda: last_used(database, used), 5, "last_used_at")
