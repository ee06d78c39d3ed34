# SPDX-License-Identifier: MIT
"""Between the rings and PostgreSQL: nothing lost, nothing twice, whatever
dies; and what changes in the database reaches the workers."""

import datetime
import threading
import time

import pytest

from client import event, unique
from cluster import wait_until
from daemon import Daemon
from ledger import Ledger

TERMINATE = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
             " WHERE usename = 'productgraph_writer'"
             " AND datname = current_database()")


def post_until_accepted(daemon, events, key=None, seconds=20):
    """Posts until the answer is 202: the events are the test's own."""
    return wait_until(
        lambda: daemon.post(events, key).status == 202, seconds, "a 202")


# ---- the database goes and comes ----

def test_database_down_is_503_and_back_is_202(daemon, database, postgres):
    one, two = event(), event()
    assert daemon.post([one]).status == 202
    postgres.stop()
    try:
        wait_until(lambda: daemon.get("/ready").status == 503, 5, "503")
        assert "reason" in daemon.get("/ready").json
        answer = daemon.post([two])
        assert answer.status == 503
        assert int(answer.header("Retry-After")) >= 1
    finally:
        postgres.start()
    daemon.wait_ready()
    post_until_accepted(daemon, [two])
    assert len(database.events("event_id IN ('%s', '%s')" % (
        one["event_id"], two["event_id"]))) == 2


@pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
def test_database_restart_under_load(daemon, database, postgres, end):
    with Ledger(daemon) as ledger:
        ledger.wait_acked(20)
        if end == "kill":
            postgres.kill()
            # The others of the cluster must let go of its memory.
            wait_until(lambda: not start_fails(postgres), 20, "a start")
        else:
            postgres.stop(end)
            postgres.start()
        ledger.wait_acked(20)
    ledger.check(database)


def start_fails(postgres):
    """Whether pg_ctl could not start the cluster."""
    try:
        postgres.start()
        return False
    except RuntimeError:
        return True


def test_backends_terminated_under_load(daemon, database):
    with Ledger(daemon) as ledger:
        for _ in range(10):
            ledger.wait_acked(5)
            assert database.value(TERMINATE) >= 1
        ledger.wait_acked(20)
    ledger.check(database)


class HungCommit:
    """COMMITs happen, and wait for the answer of a stand-by that is none."""

    WAITING = ("SELECT count(*) FROM pg_stat_activity"
               " WHERE wait_event = 'SyncRep'")

    def __init__(self, database):
        self.database = database

    def set_standby(self, name):
        """Who must confirm a COMMIT."""
        self.database.execute(
            "ALTER SYSTEM SET synchronous_standby_names = '%s'" % name)
        self.database.execute("SELECT pg_reload_conf()")

    def __enter__(self):
        self.set_standby("nobody")
        return self

    def __exit__(self, *_):
        self.set_standby("")

    def wait(self):
        """Returns when a COMMIT hangs."""
        wait_until(lambda: self.database.value(self.WAITING) == 1, 10,
                   "a COMMIT that hangs")


class Post(threading.Thread):
    """A request in the background; start() it, status() ends it."""

    def __init__(self, daemon, events):
        super().__init__()
        self.daemon_under_test = daemon
        self.events = events
        self.answer = None

    def run(self):
        self.answer = self.daemon_under_test.post(self.events)

    def status(self):
        """The status of the answer."""
        self.join(30)
        return self.answer.status


def test_commit_that_got_no_answer(daemon, database):
    """The backend has committed when it is cut off."""
    sent = event()
    post = Post(daemon, [sent])
    assert daemon.post([event()]).status == 202
    with HungCommit(database) as hung:
        post.start()
        hung.wait()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'SyncRep'")
    assert post.status() == 202
    assert len(database.events("event_id = '%s'" % sent["event_id"])) == 1


def test_commit_of_an_aggregator_that_is_gone(daemon, database):
    """Its successor must not read progress while the backend still commits."""
    sent = event()
    post = Post(daemon, [sent])
    assert daemon.post([event()]).status == 202
    with HungCommit(database) as hung:
        post.start()
        hung.wait()
        daemon.kill_aggregator()
        wait_until(lambda: database.value(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock'") == 1, 10,
                   "the successor at the lock")
    assert post.status() == 202
    assert len(database.events("event_id = '%s'" % sent["event_id"])) == 1


# ---- processes are killed ----

def test_aggregator_killed_under_load(daemon, database):
    with Ledger(daemon) as ledger:
        for _ in range(5):
            ledger.wait_acked(10)
            daemon.kill_aggregator()
        ledger.wait_acked(20)
    ledger.check(database)
    assert not ledger.failures, ledger.failures


def test_worker_killed_under_load(daemon, database):
    with Ledger(daemon) as ledger:
        for number in (0, 1, 0, 1):
            ledger.wait_acked(10)
            wait_until(lambda n=number: n in daemon.workers(), 10, "worker")
            daemon.kill_worker(number)
        ledger.wait_acked(20)
    ledger.check(database)


def test_service_is_back_soon_after_a_kill(daemon, database):
    with Ledger(daemon) as ledger:
        ledger.wait_acked(20)
        daemon.kill_aggregator()
        killed = time.monotonic()
        ledger.wait_acked(1)
        # A second is promised; this machine has other things to do as well.
        assert time.monotonic() - killed < 3
    ledger.check(database)


# ---- one bad row ----

def test_refused_rows_become_dead_letters(daemon, database):
    database.execute("ALTER TABLE events ADD CONSTRAINT no_poison"
                     " CHECK (event_id NOT LIKE 'poison%')")
    good = [event() for _ in range(98)]
    bad = [event(event_id=unique("poison")) for _ in range(2)]
    answer = daemon.post(good[:30] + bad[:1] + good[30:] + bad[1:])
    assert answer.status == 202
    assert answer.json["accepted"] == 100
    assert {row["event_id"] for row in database.events()} == {
        sent["event_id"] for sent in good}
    letters = database.query(
        "SELECT d.*, p.slug FROM dead_letters d JOIN projects p"
        " ON (p.org_id, p.id) = (d.org_id, d.project_id)"
        " ORDER BY d.event_id")
    assert [letter["event_id"] for letter in letters] == sorted(
        sent["event_id"] for sent in bad)
    for letter in letters:
        assert letter["sqlstate"] == "23514"
        assert "no_poison" in letter["message"]
        assert letter["slug"] == "proj_demo"
        assert letter["event_id"].encode().hex() in letter["payload"]
        assert letter["received_at"]
    # And the queue goes on.
    assert daemon.post([event()]).status == 202


# ---- months ----

def test_months_are_made_ahead_and_on_demand(daemon, database):
    now = datetime.datetime.now(datetime.timezone.utc)
    following = now.replace(day=1) + datetime.timedelta(days=32)
    old = [event(event__timestamp="%d-02-03T04:05:06Z" % (now.year - n))
           for n in (1, 5, 9)]
    assert daemon.post(old).status == 202
    months = {row["name"] for row in database.query(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'events'::regclass")}
    assert months == {"partitions.events_y%04dm%02d" % month for month in (
        (now.year, now.month), (following.year, following.month),
        (now.year - 1, 2), (now.year - 5, 2), (now.year - 9, 2))}
    assert len(database.events()) == 3


def test_a_month_that_was_dropped_is_made_again(daemon, database):
    sent = event()
    assert daemon.post([event()]).status == 202
    database.execute("DROP TABLE partitions.events_y2024m01")
    assert daemon.post([sent]).status == 202
    assert [row["event_id"] for row in database.events()] == [
        sent["event_id"]]


# ---- keys and settings ----

def test_a_revoked_key_stops_working_within_a_second(daemon, database):
    key = database.create_key("demo", "shop")
    sent = [event(project_id="shop")]
    wait_until(lambda: daemon.post(sent, key).status == 202, 1, "the new key")
    database.execute("UPDATE api_keys SET revoked_at = now()"
                     " WHERE key_sha256 = sha256('%s')" % key)
    wait_until(lambda: daemon.post(sent, key).status == 401, 1, "the end")


def test_keys_are_read_again_after_the_connection_was_lost(daemon, database):
    key = database.keys["shop"]
    sent = [event(project_id="shop")]
    assert daemon.post(sent, key).status == 202
    # In one transaction with the end of who would have been notified.
    database.execute("BEGIN; UPDATE api_keys SET revoked_at = now()"
                     " WHERE key_sha256 = sha256('%s'); %s; COMMIT"
                     % (key, TERMINATE))
    wait_until(lambda: daemon.post(sent, key).status == 401, 5, "the end")


def test_project_settings_reach_the_workers(daemon, database):
    mine = {"Origin": "https://mine.example"}
    key = database.keys["shop"]

    def status():
        return daemon.post([event(project_id="shop")], key,
                           headers=mine).status

    assert status() == 202
    database.execute(
        "UPDATE projects SET allowed_origins = '{https://a.example}'"
        " WHERE slug = 'shop'", user="productgraph_admin")
    wait_until(lambda: status() == 403, 1, "the list of origins")
    database.execute(
        "UPDATE projects SET allowed_origins ="
        " array['https://a.example', 'https://mine.example']"
        " WHERE slug = 'shop'", user="productgraph_admin")
    wait_until(lambda: status() == 202, 1, "the longer list")


# ---- a schema that does not fit ----

def test_unmigrated_database_heals_by_itself(postgres, template):
    assert template
    database = postgres.create_database()
    daemon = Daemon(database)
    try:
        daemon.spawn()
        daemon.wait_log("productgraphctl migrate")
        wait_until(lambda: "database" in reason(daemon), 10, "the reason")
        assert daemon.post([event()]).status == 503
        database.migrate()
        database.populate()
        daemon.wait_ready(10)
        post_until_accepted(daemon, [event()])
        # The advice was given once, not with every attempt.
        assert daemon.log().count("has no table \"events\"") == 1
    finally:
        daemon.destroy()
        database.drop()


def reason(daemon):
    """What /ready says is missing; "" when nothing answers yet."""
    try:
        answer = daemon.get("/ready")
    except OSError:
        return ""
    return answer.json.get("reason", "") if answer.status == 503 else ""


def test_a_column_of_another_type_is_named(daemon, database):
    assert daemon.post([event()]).status == 202
    database.execute("ALTER TABLE events RENAME page_url TO page_uri")
    database.value(TERMINATE)
    daemon.wait_log('no column "page_url"')
    wait_until(lambda: daemon.get("/ready").status == 503, 10, "503")
    database.execute("ALTER TABLE events RENAME page_uri TO page_url")
    daemon.wait_ready(10)
    post_until_accepted(daemon, [event()])


# ---- what stays behind ----

def test_progress_of_earlier_lives_is_removed(make_daemon, database):
    database.execute("""
        INSERT INTO progress (node, ring_set, positions, updated_at) VALUES
            ('here', gen_random_uuid(), '{1}', now() - interval '2 days'),
            ('here', gen_random_uuid(), '{2}', now()),
            ('there', gen_random_uuid(), '{3}', now() - interval '2 days')
        """)
    daemon = make_daemon(node="here").start()
    assert daemon.post([event()]).status == 202
    rows = database.query("SELECT node, positions FROM progress")
    assert {"node": "here", "positions": [1]} not in rows
    assert {"node": "here", "positions": [2]} in rows
    assert {"node": "there", "positions": [3]} in rows
    assert len(rows) == 3
