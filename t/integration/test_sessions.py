# SPDX-License-Identifier: MIT
"""Sessions come out of events as sessions_model.py says, in whatever order and
batches these arrive, whatever dies meanwhile."""

import functools
import os
import random
import re
from datetime import datetime, timedelta, timezone

import pytest

from client import event, unique
from ledger import Delivery
from sessions_model import Sessions, stored_sessions
from traffic import (Kills, Traffic, check_events, check_sessions, like,
                     timed)

# Other seeds than the one that is always tried: PGD_SEED=1,2,3.
SEEDS = [int(seed) for seed in os.environ.get("PGD_SEED", "1").split(",")]


@pytest.fixture(name="database_of_all", scope="module")
def fixture_database_of_all(shared_daemon):
    """The shared daemon's; every test has session ids of its own there."""
    return shared_daemon.database


def post(daemon, model, events, agent=None, key=None):
    """Posts events that are all sound, and tells the model."""
    headers = {} if agent is None else {"User-Agent": agent}
    answer = daemon.post(events, key, headers=headers)
    assert answer.status == 202, answer
    assert answer.json == {
        "accepted": len(events), "rejected": 0, "errors": []}
    model.receive(events, agent)


def ago(**time):
    """An RFC 3339 timestamp of that long ago."""
    return (datetime.now(timezone.utc) - timedelta(**time)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


# ---- one session ----

def test_the_first_event_sent_twice_is_one_session(daemon, database):
    body = ('{"events":[{"event_id":"evt_001","project_id":"proj_demo",'
            '"session.id":"sess_001","event.type":"page.view",'
            '"event.timestamp":"2024-01-15T10:30:00Z",'
            '"page.path":"/checkout","page.title":"Checkout"}]}')
    for _ in range(2):
        answer = daemon.post(body, headers={"User-Agent": "curl/8.0"})
        assert answer.status == 202
        assert answer.json == {"accepted": 1, "rejected": 0, "errors": []}
    (stored,) = database.events()
    (session,) = database.query("SELECT * FROM sessions")
    (project,) = database.query(
        "SELECT * FROM projects WHERE slug = 'proj_demo'")
    for column in ("created_at", "updated_at"):
        assert session.pop(column) >= stored["received_at"]
    assert session == {
        "session_key": stored["session_key"],
        "org_id": project["org_id"],
        "project_id": project["id"],
        "session_id": "sess_001",
        "user_id": None,
        "anonymous_id": None,
        "started_at": "2024-01-15T10:30:00+00:00",
        "ended_at": "2024-01-15T10:30:00+00:00",
        "duration_ms": 0,
        "entry_page": "/checkout",
        "exit_page": "/checkout",
        "page_count": 1,
        "event_count": 1,
        "error_count": 0,
        "last_journey_step_id": None,
        "conversion_status": None,
        "user_agent": "curl/8.0",
        "status": "closed",
    }


def test_open_or_closed_follows_from_the_clock(daemon, database):
    def status(project):
        return database.value(
            "SELECT s.status FROM sessions s JOIN projects p"
            " ON p.id = s.project_id WHERE p.slug = '%s'" % project)

    for project in ("shop", "rival"):
        assert daemon.post(
            [event(project_id=project, event__timestamp=ago(minutes=40)),
             event(project_id=project, event__timestamp=ago(minutes=20))],
            database.keys[project]).status == 202
    assert status("shop") == status("rival") == "open"
    database.execute("UPDATE projects SET session_timeout = '10 minutes'"
                     " WHERE slug = 'shop'")
    assert status("shop") == "closed"
    assert status("rival") == "open"
    # A late event does not open it, a new one does.
    assert daemon.post(
        [event(project_id="shop", event__timestamp=ago(minutes=15))],
        database.keys["shop"]).status == 202
    assert status("shop") == "closed"
    assert daemon.post(
        [event(project_id="shop", event__timestamp=ago(minutes=1))],
        database.keys["shop"]).status == 202
    assert status("shop") == "open"


def test_a_late_event_is_merged(shared_daemon, database_of_all):
    model = Sessions()
    changes = [
        (dict(event__timestamp="2024-01-15T10:30:00Z", page__path="/b",
              user__id="b"), "agent b"),
        # Earlier: another beginning.
        (dict(event__timestamp="2024-01-15T10:00:00Z", page__path="/a",
              user__id="a", event__type="error"), "agent a"),
        # Later, in another month: another end.
        (dict(event__timestamp="2024-02-15T11:00:00.5Z", page__path="/c",
              user__id="c", gen_ai__journey__step__id="pay"), "agent c"),
        # Between: one more.
        (dict(event__timestamp="2024-01-15T10:45:00Z", page__path="/d",
              user__id="d", user__anonymous_id="d",
              gen_ai__journey__step__id="cart",
              gen_ai__journey__conversion__status="open"), "agent d"),
    ]
    for fields, agent in changes:
        # dict() makes one underscore of a name of ours.
        fields = {name.replace("gen_ai__", "gen_ai."): value
                  for name, value in fields.items()}
        post(shared_daemon, model,
             [event(session__id="late", **fields)], agent)
        check_sessions(database_of_all, model, like("late"))
    row = stored_sessions(database_of_all, like("late"))["proj_demo", "late"]
    assert [row[column] for column in (
        "entry_page", "exit_page", "user_id", "anonymous_id", "user_agent",
        "last_journey_step_id", "conversion_status", "event_count",
        "page_count", "error_count")] == [
            "/a", "/c", "a", "d", "agent a", "pay", "open", 4, 3, 1]
    assert str(row["started_at"]) == "2024-01-15 10:00:00+00:00"
    assert str(row["ended_at"]) == "2024-02-15 11:00:00.500000+00:00"
    assert row["duration_ms"] == (31 * 24 + 1) * 3600 * 1000 + 500


STEP = "gen_ai.journey.step.id"
STATUS = "gen_ai.journey.conversion.status"
# Of one session, by its parts: (fields, User-Agent).
TIED = [
    # Nothing but what must be there, first of its second, without a number.
    ({"event_id": "b"}, None),
    # Before all others by its time; empty is as good as absent.
    ({"event_id": "z", "event.timestamp": "2024-01-15T11:29:59+01:00",
      "user.id": "", "page.path": None, "event.type": "page_view"}, ""),
    # The order of ids is that of their bytes: capitals first.
    ({"event_id": "a", "user.id": "ua", "page.path": "/a"}, "agent a"),
    ({"event_id": "B", "user.id": "uB", "page.path": "/B"}, "agent B"),
    ({"event_id": "é", "user.id": "ue", "page.path": "/e", STEP: "e"},
     "agent e"),
    # Any number comes after none, and a smaller one first.
    ({"event_id": "0", "event.sequence": 0, "user.anonymous_id": 17,
      "page.path": "/0", STATUS: "zero"}, "agent 0"),
    ({"event_id": "1", "event.sequence": -9223372036854775808,
      "user.anonymous_id": 18, "event.type": "error",
      "page.path": "/least", STATUS: "least"}, "agent 1"),
    ({"event_id": "c", "event.sequence": 9223372036854775807,
      "page.path": True, STEP: ""}, "agent c"),
    ({"event_id": "C", "event.sequence": 9223372036854775807,
      "page.path": "/C", STEP: "C", "event.type": "error"}, "agent C"),
    # After all of them, with nothing to say.
    ({"event_id": "A", "event.timestamp": "2024-01-15 10:30:00.000001Z",
      "page.path": "", STATUS: None, "event.sequence": -1}, "agent A"),
]


def tied(session):
    """[(event, agent)], in their order within the session."""
    return [(dict(event(session__id=session, event__type="ui.click"),
                  **fields), agent) for fields, agent in TIED]


@pytest.mark.parametrize("way", ["one by one", "in one batch"])
def test_events_of_one_second_in_any_order(
        shared_daemon, database_of_all, way):
    chance = random.Random(7)
    prefix = unique("tied")
    model = Sessions()
    for number in range(20):
        events = tied("%s_%d" % (prefix, number))
        chance.shuffle(events)
        if way == "one by one":
            for each, agent in events:
                post(shared_daemon, model, [each], agent)
        else:
            post(shared_daemon, model, [each for each, _ in events], "one")
    check_sessions(database_of_all, model, like(prefix))
    rows = list(stored_sessions(database_of_all, like(prefix)).values())
    assert rows == rows[:1] * 20
    expected = {"entry_page": "/B", "exit_page": "true", "user_id": "uB",
                "anonymous_id": "18", "last_journey_step_id": "C",
                "conversion_status": "zero", "error_count": 2,
                "page_count": 1, "event_count": 10,
                "user_agent": "agent B" if way == "one by one" else "one"}
    assert {name: rows[0][name] for name in expected} == expected


def test_session_events_are_in_order(shared_daemon, database_of_all):
    database = database_of_all
    events = [each for each, _ in tied("in order")]
    for each in events:
        each["project_id"] = "shop"
    random.Random(1).shuffle(events)
    assert shared_daemon.post(
        events, database.keys["shop"]).json["accepted"] == len(events)
    asked = """
        SELECT set_current_org((SELECT id FROM organizations
            WHERE slug = '%s')) \\g /dev/null
        SELECT event_id FROM session_events('%s', 'in order');
        """
    project = database.value("SELECT id FROM projects WHERE slug = 'shop'")
    assert database.execute(asked % ("demo", project)).split() == [
        "z", "B", "a", "b", "é", "1", "0", "C", "c", "A"]
    # Whoever may not see the session's rows sees nothing here either.
    rival = database.value(
        "SELECT id FROM organizations WHERE slug = 'other'")
    assert database.execute("""
        SELECT set_current_org('%s') \\g /dev/null
        SELECT event_id FROM session_events('%s', 'in order');
        """ % (rival, project), user="productgraph_reader") == ""


# Whole, cut where it stops being text, cut at the longest kept.
@pytest.mark.parametrize("sent, kept", [
    ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("caf\u00c3\u00a9", "caf\u00e9"),
    ("cut \u00ff here", "cut "),
    ("\u00ff", None),
    ("x" * 511 + "\u00c3\u00a9", "x" * 511),
    ("x" * 600, "x" * 512),
], ids=["text", "utf8", "cut", "none", "character", "long"])
def test_user_agent_is_text(shared_daemon, database_of_all, sent, kept):
    session = unique("agent")
    for _ in range(2):  # into a new session, and into a known one
        assert shared_daemon.post(
            [event(session__id=session)],
            headers={"User-Agent": sent}).status == 202
    (row,) = stored_sessions(database_of_all, like(session)).values()
    assert row["user_agent"] == kept
    assert row["event_count"] == 2


# ---- whose session it is ----

def test_one_name_in_several_projects_is_several_sessions(
        shared_daemon, database_of_all):
    model = Sessions()
    keys = database_of_all.keys
    for number in range(2):
        for project in ("proj_demo", "shop", "rival"):
            # Nor do their events' ids get in each other's way.
            post(shared_daemon, model, [event(
                event_id="evt_%d" % number, session__id="apart",
                project_id=project, user__id=project)],
                 agent=project, key=keys[project])
    assert len(model.rows()) == 3
    check_sessions(database_of_all, model, like("apart"))
    assert database_of_all.value(
        "SELECT count(*) FROM sessions s JOIN projects p"
        " ON (p.id, p.org_id) = (s.project_id, s.org_id)"
        " WHERE s.session_id = 'apart'") == 3


def test_rejected_events_touch_no_session(shared_daemon, database_of_all):
    model = Sessions()
    good = [event(session__id="reject_1") for _ in range(2)]
    bad = [
        event(session__id="reject_1", event__type="no.such"),
        event(session__id="reject_1", event__timestamp="yesterday",
              page__path="/bad"),
        event(session__id="reject_2", event_id=None),
        event(session__id="reject_2", project_id="rival"),
    ]
    answer = shared_daemon.post(good[:1] + bad + good[1:])
    assert answer.status == 202
    assert answer.json["accepted"] == 2 and answer.json["rejected"] == 4
    model.receive(good)
    check_sessions(database_of_all, model, like("reject"))


def test_dead_letters_touch_no_session(daemon, database):
    database.execute("ALTER TABLE events ADD CONSTRAINT no_poison"
                     " CHECK (event_id NOT LIKE 'poison%')")
    model = Sessions()

    def poison(session):
        return event(
            event_id=unique("poison"), session__id=session, page__path="/no",
            event__timestamp="2024-01-15T09:00:00Z", user__id="nobody")

    def good(session):
        return event(session__id=session, page__path="/yes", user__id="me")

    post(daemon, model, [good("known")])
    first = [good("mixed"), good("mixed"), good("known")]
    bad = [poison(s) for s in ("mixed", "known", "only", "only", "mixed")]
    sent = first[:1] + bad[:3] + first[1:] + bad[3:]
    for again in range(2):
        assert daemon.post(sent).json["accepted"] == len(sent)
        model.receive(first)
        check_sessions(database, model)
        assert database.value("SELECT count(DISTINCT event_id)"
                              " FROM dead_letters") == len(bad), again
    assert {session for _, session in model.rows()} == {"mixed", "known"}
    # What is known afterwards is right.
    post(daemon, model, [good("mixed"), good("known"), good("only")])
    check_sessions(database, model)
    # Dead is not stored: once there is no fault any more, an event that is
    # sent again is one, whoever remembers its session.
    database.execute("ALTER TABLE events DROP CONSTRAINT no_poison")
    post(daemon, model, bad)
    check_sessions(database, model)
    assert len(database.events()) == len(model.seen)


# ---- whatever happens ----

def deliver_under_kills(daemon, bodies, kills, seconds):
    """Delivers over four connections, while the aggregator is killed.

    Where that is done before so many kills, all is delivered once more.
    """
    with Kills(daemon, seconds) as killer:
        while True:
            with Delivery(daemon, bodies, 4) as delivery:
                delivery.wait()
            if killer.count >= kills:
                break
    print("%d kills" % killer.count)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cache", ["0", "64k", "64m"])
@pytest.mark.parametrize("rows", [20, 10000])
def test_sessions_equal_the_model(make_daemon, database, cache, rows, seed):
    seed = 100 * seed + rows + len(cache)
    daemon = make_daemon(workers=2, postgres={
        "session_cache": cache, "batch_rows": rows,
        "batch_delay": "15ms"}).start()
    traffic = Traffic(seed, database.keys)
    model = traffic.model()
    chance = random.Random(seed)
    deliver_under_kills(daemon, traffic.bodies(20), 2,
                        lambda: chance.uniform(0.1, 0.8))
    check_events(database, len(model.seen))
    check_sessions(database, model)


def test_200_users_shuffled_over_4_connections_with_retries_and_kills(
        make_daemon, database):
    """200 users' sessions of realistic events, shuffled over 4 connections
    with 20 % retries and a kill -9 of the aggregator every second: sessions
    equal those computed by a plain script from the same events."""
    daemon = make_daemon(workers=2, postgres={"batch_delay": "10ms"}).start()
    traffic = Traffic(200, database.keys, users=200)
    model = traffic.model()
    deliver_under_kills(daemon, traffic.bodies(20, repeated=0.2), 3,
                        lambda: 1)
    check_events(database, len(model.seen))
    check_sessions(database, model)


# ---- long ones, large ones, many ----

@pytest.mark.parametrize("loss", ["nothing", "kill", "restart"])
def test_a_session_of_many_months(daemon, database, loss):
    model = Sessions()
    events = [event(event__timestamp="20%02d-%02d-15T12:00:00Z" % (
        year, month), page__path="/%d" % month)
              for year in (22, 23) for month in range(1, 13)]
    random.Random(3).shuffle(events)
    for first in range(0, 24, 8):
        post(daemon, model, events[first:first + 8])
    assert database.value(
        "SELECT count(DISTINCT tableoid) FROM events") == 24
    lose(daemon, loss)
    # Those of the outermost months among them, and one that is new.
    events[5:5] = [event(event__timestamp="2021-12-31T23:59:59Z")]
    post(daemon, model, events)
    check_sessions(database, model)
    check_events(database, 25)


def lose(daemon, what):
    """Makes the aggregator forget what it knows."""
    if what == "kill":
        daemon.replace_aggregator()
    elif what == "restart":
        assert daemon.stop() == 0
        daemon.start()


def in_bodies(events, size=1000):
    """Bodies of a Delivery, without key."""
    return [(events[i:i + size], None, None)
            for i in range(0, len(events), size)]


def deliver(daemon, bodies, threads):
    """Returns when all have had their 202."""
    with Delivery(daemon, bodies, threads) as delivery:
        delivery.wait()
    assert not delivery.failures, delivery.failures


@functools.cache
def large_session():
    """100,000 events of one session, and the model that has them."""
    events = [event(
        event_id="evt_%d" % i, page__path="/%d" % i,
        event__timestamp="2024-01-%02dT10:%02d:00Z" % (
            1 + i // 5000, i // 100 % 60)) for i in range(100000)]
    model = Sessions()
    model.receive(events)
    return events, model


# The ids of all fit into the cache, and of the first half only: then the
# database is asked for each event.
@pytest.mark.parametrize("cache", ["256m", "64m"])
def test_a_session_of_100000_events(make_daemon, database, cache):
    daemon = make_daemon(workers=2, postgres={"session_cache": cache}).start()
    events, model = large_session()
    timed("sent, cache %s" % cache, deliver, daemon, in_bodies(events), 4)
    for loss in ("nothing", "kill"):
        lose(daemon, loss)
        more = event(event_id=loss, event__timestamp="2024-02-01T00:00:00Z")
        again = events[::100] + [more]
        random.Random(1).shuffle(again)
        timed("500 repeats after %s" % loss, post, daemon, model, again[:500])
        timed("and others", post, daemon, model, again[500:])
    check_events(database, 100002)
    check_sessions(database, model)


def test_100000_sessions_in_one_batch(make_daemon, database):
    daemon = make_daemon(
        workers=2, ring_size="128m", http={"ack_timeout": "60s"},
        postgres={"batch_rows": 100000, "batch_bytes": "128m",
                  "batch_delay": "60s"}).start()
    bodies = in_bodies([event(
        event_id="evt", session__id="sess_%d" % i, page__path="/%d" % i)
                        for i in range(100000)])
    timed("100000 new", deliver, daemon, bodies, 100)
    assert database.query("""
        SELECT count(*), count(DISTINCT session_id) AS sessions,
            count(DISTINCT xmin::text) AS batches,
            count(*) FILTER (WHERE event_count = 1 AND page_count = 1
                AND entry_page = '/' || split_part(session_id, '_', 2)
                AND exit_page = entry_page) AS right
        FROM session_state
        """) == [{"count": 100000, "sessions": 100000, "batches": 1,
                  "right": 100000}]
    check_events(database, 100000)
    # As many known ones, which nobody remembers.
    lose(daemon, "kill")
    for events, _, _ in bodies:
        for each in events:
            each["event_id"] = "later"
    timed("100000 known", deliver, daemon, bodies, 100)
    assert database.query("""
        SELECT count(*), count(DISTINCT xmin::text) AS batches,
            count(*) FILTER (WHERE event_count = 2) AS right
        FROM session_state
        """) == [{"count": 100000, "batches": 1, "right": 100000}]
    check_events(database, 200000)


def private_memory(pid):
    """What a process has of its own, in bytes."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", f.read())[1])


def test_memory_does_not_grow_with_sessions(make_daemon):
    daemon = make_daemon(postgres={
        "session_cache": "4m", "batch_rows": 2000})
    # What is freed is free.
    daemon.sanitizer_options = (":quarantine_size_mb=0"
                                ":thread_local_quarantine_size_kb=0")
    daemon.start()
    pid = daemon.aggregator()
    bodies = in_bodies([event(event_id="evt", session__id="sess_%d" % i)
                        for i in range(80000)])
    deliver(daemon, bodies[:20], 4)
    before = private_memory(pid)
    deliver(daemon, bodies[20:], 4)
    grown = private_memory(pid) - before
    print("%d bytes, then %d more" % (before, grown))
    # 60,000 more sessions would take three times as much.
    assert grown < 6000000
    assert before < 64000000
    assert daemon.aggregator() == pid
