# SPDX-License-Identifier: MIT
"""Between the rings and PostgreSQL: nothing lost, nothing twice, whatever
dies; and what changes in the database reaches the workers."""

import datetime
import glob
import os
import struct
import statistics
import subprocess
import threading
import time

import pytest

from client import event, unique
from cluster import HeldCommits, clean_environment, wait_until
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


def test_no_acknowledgement_in_time_is_503(make_daemon, database):
    daemon = make_daemon(http={"ack_timeout": "500ms"}).start()
    late = event()
    with daemon.connect() as connection:
        with HeldCommits(database):
            answer = connection.post([late])
            assert answer.status == 503
            assert int(answer.header("Retry-After")) >= 1
            assert answer.json["error"] == answer.json["detail"]
        # The connection lives on, and the event is stored all the same: a 503
        # promises neither.
        assert connection.post([event()]).status == 202
    assert database.events("event_id = '%s'" % late["event_id"])


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
        # The server takes the setting up in its own time.
        wait_until(self.hangs, 10, "a setting in force")
        return self

    def hangs(self):
        """Whether a COMMIT of our own hangs; it is ended then."""
        command = self.database.cluster.psql_command(self.database.name)
        with subprocess.Popen(
                command + ["-c", "SELECT pg_logical_emit_message(true, '', '')"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=clean_environment()) as probe:
            try:
                probe.wait(0.5)
                return False
            except subprocess.TimeoutExpired:
                ended = self.database.value(
                    "SELECT count(pg_terminate_backend(pid))"
                    " FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        wait_until(lambda: self.database.value(self.WAITING) == 0)
        return ended == 1

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


@pytest.mark.parametrize("who", ["worker", "aggregator"])
def test_service_is_back_within_a_second_of_a_kill(make_daemon, database, who):
    # One worker: another would go on serving and hide the gap.
    daemon = make_daemon(workers=1).start()
    gaps = []
    with Ledger(daemon) as ledger:
        for _ in range(5):
            ledger.wait_acked(20)
            if who == "worker":
                daemon.kill_worker()
            else:
                daemon.kill_aggregator()
            killed = time.monotonic()
            ledger.wait_acked(20)
            gaps.append(ledger.longest_gap(killed))
    # The median: this machine has other things to do as well.
    assert statistics.median(gaps) < 1, gaps
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


class HeldEvents(threading.Thread):
    """A session with the lock that ANALYZE and others take on events."""

    HOLDERS = ("SELECT count(%s) FROM pg_locks WHERE granted AND pid IN"
               " (SELECT pid FROM pg_stat_activity"
               " WHERE wait_event = 'PgSleep')"
               " AND mode = 'ShareUpdateExclusiveLock'"
               " AND relation = 'events'::regclass")

    def __init__(self, database):
        super().__init__()
        self.database = database

    def run(self):
        try:
            self.database.execute(
                "BEGIN; LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE;"
                " SELECT pg_sleep(120)")
        except RuntimeError:
            pass

    def __enter__(self):
        self.start()
        wait_until(lambda: self.database.value(self.HOLDERS % "*") == 1, 10,
                   "the lock")
        return self

    def __exit__(self, *_):
        self.database.value(self.HOLDERS % "pg_terminate_backend(pid)")
        self.join(10)


def has_month(database, name):
    """Whether there is such a partition."""
    return database.value(
        "SELECT to_regclass('partitions.%s') IS NOT NULL" % name)


def test_a_month_that_cannot_be_made_costs_no_other(daemon, database):
    assert daemon.post([event()]).status == 202
    first, second, third = event(), event(), event()
    late = [event(event__timestamp="2019-03-04T05:06:07Z") for _ in range(3)]
    with HeldEvents(database):
        # The first waits, as long as clients do; the others do not.
        assert daemon.post([late[0], first]).status == 202
        began = time.monotonic()
        assert daemon.post([late[1], second]).status == 202
        assert daemon.post([third]).status == 202
        assert time.monotonic() - began < 3
        assert daemon.get("/ready").status == 200
        # Nor do keys: the connection that makes months brings them.
        key = database.create_key("demo", "shop")
        wait_until(lambda: daemon.post(
            [event(project_id="shop")], key).status == 202, 3, "the new key")
    assert {row["event_id"] for row in database.events()} >= {
        sent["event_id"] for sent in (first, second, third)}
    letters = database.query("SELECT event_id, sqlstate, message"
                             " FROM dead_letters")
    assert {row["event_id"] for row in letters} == {
        sent["event_id"] for sent in late[:2]}
    for letter in letters:
        assert letter["sqlstate"] == "55P03"
        assert "partition" in letter["message"]
    assert "control connection to PostgreSQL:" not in daemon.log()
    # And it is made when it can be, whether anybody asks or not.
    wait_until(lambda: has_month(database, "events_y2019m03"), 20, "the month")
    daemon.wait_log('"events_y2019m03" is there')
    assert daemon.post(late[2:]).status == 202
    assert [row["event_id"] for row in database.events(
        "timestamp < '2020-01-01'")] == [late[2]["event_id"]]


def test_the_present_month_is_waited_for(make_daemon, database):
    """All would become dead letters; a client can send again."""
    daemon = make_daemon(http={"ack_timeout": "7s"}).start()
    now = datetime.datetime.now(datetime.timezone.utc)
    name = "events_y%04dm%02d" % (now.year, now.month)
    sent = [event(event__timestamp=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
            for _ in range(2)]
    assert daemon.post([event()]).status == 202
    database.execute("DROP TABLE partitions." + name)
    with HeldEvents(database):
        assert daemon.post(sent[:1]).status == 503
        assert daemon.get("/ready").status == 503
        assert daemon.post(sent[1:]).status == 503
    daemon.wait_ready(20)
    assert has_month(database, name)
    assert database.value("SELECT count(*) FROM dead_letters") == 0
    # What was in the ring is stored once.
    assert [row["event_id"] for row in database.events(
        "event_id = '%s'" % sent[0]["event_id"])] == [sent[0]["event_id"]]


# ---- a worker that writes nonsense ----

def rings_mapped(pid):
    """The inodes of the rings that a process has mapped."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as f:
        return {int(line.split()[4]) for line in f
                if "memfd:productgraph-ring" in line}


def rings_open(pid):
    """{inode: path} of the rings that a process has open."""
    found = {}
    for path in glob.glob("/proc/%d/fd/*" % pid):
        try:
            if "memfd:productgraph-ring" in os.readlink(path):
                found[os.stat(path).st_ino] = path
        except FileNotFoundError:
            pass
    return found


HEAD = 64  # of struct ring_header


def write_head(path, head):
    """What a worker can do to its ring."""
    with open(path, "r+b", buffering=0) as ring:
        ring.seek(HEAD)
        ring.write(struct.pack("=Q", head))


@pytest.mark.parametrize("head", [0xfffffffffffffff8, 1 << 62, 12345])
def test_a_broken_ring_costs_no_other(daemon, database, head):
    sent = [event() for _ in range(3)]
    used = set()
    for pid in daemon.workers().values():
        used |= rings_mapped(pid)
    rings = rings_open(daemon.master)
    assert len(used) == 2 and len(rings) == 4
    # Those of the workers before a reload, or after it.
    for inode in set(rings) - used:
        write_head(rings[inode], head)
    assert daemon.post(sent[:1]).status == 202
    daemon.wait_log("ring of a worker is broken")
    # Nor does it come back with the next aggregator.
    old = daemon.kill_aggregator()
    wait_until(lambda: daemon.aggregator() not in (None, old), 10, "another")
    post_until_accepted(daemon, sent[1:2])
    assert "progress" not in daemon.log()
    # It ends with the worker.
    workers = set(daemon.workers().values())
    daemon.reload()
    wait_until(lambda: len(daemon.workers()) == 2 and
               not workers & set(daemon.processes()), 20, "other workers")
    for _ in range(10):
        post_until_accepted(daemon, [event()])
    post_until_accepted(daemon, sent[2:])
    assert {row["event_id"] for row in database.events()} >= {
        each["event_id"] for each in sent}


# ---- a drain ----

def test_a_drain_under_load_takes_no_longer_than_what_was_there(
        make_daemon, database):
    daemon = make_daemon(stop_timeout="15s", postgres={"batch_rows": 20})
    daemon.start()
    with Ledger(daemon, threads=8) as ledger:
        ledger.wait_acked(20)
        old = daemon.aggregator()
        daemon.configure(postgres={"batch_rows": 40})
        daemon.reload()
        wait_until(lambda: old not in daemon.processes(), 10, "its end")
        ledger.wait_acked(20)
    ledger.check(database)
    assert "stop_timeout has passed" not in daemon.log()


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


def test_what_is_not_published_is_named_with_the_reason(
        make_daemon, database):
    database.execute(
        "UPDATE projects SET allowed_origins = array[repeat('x', 70000)]"
        " WHERE slug = 'shop'")
    daemon = make_daemon(key_table_size=1048576).start()
    daemon.wait_log('1 projects or keys .*too long; first="shop"')
    daemon.wait_log('project that is left out itself; first="shop"')
    assert daemon.post([event()]).status == 202
    assert "key_table_size" not in daemon.log()
    # Far more than fit.
    database.execute(
        "UPDATE projects SET allowed_origins = '{}' WHERE slug = 'shop';"
        "INSERT INTO projects (org_id, name, slug)"
        " SELECT org_id, 'x', 'p' || n"
        " FROM projects, generate_series(1, 20000) n WHERE slug = 'shop'")
    daemon.wait_log(
        'projects or keys .*key_table_size is too small; first="p')


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
