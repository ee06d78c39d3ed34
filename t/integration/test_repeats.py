# SPDX-License-Identifier: MIT
"""An event that is sent again is stored once, as first received, whatever
happened between; so a client may send until it is acknowledged."""

import contextlib
import json
import random
import struct
from datetime import datetime, timedelta, timezone

import pytest

from client import event
from cluster import Held, HeldCommits, wait_until
from ledger import Delivery, Ledger
from test_aggregator import (HEAD, TERMINATE, post_until_accepted,
                             rings_open)
from traffic import Traffic, check_events, check_sessions


def accepted(daemon, events, key=None):
    """Posts events, all of which must be accepted."""
    answer = daemon.post(events, key)
    assert answer.status == 202, answer
    assert answer.json["accepted"] == len(events)
    assert answer.json["rejected"] == 0


def one(number=0, **fields):
    """An event of a session of that number, in one of several versions."""
    made = {"event_id": "evt_1", "session__id": "sess_%d" % number,
            "page__path": "/first"}
    made.update(fields)
    return event(**made)


def check_first(database, sessions):
    """Of each session one event is stored, as first received."""
    rows = database.query(
        "SELECT e.session_id AS session, e.event_id AS id,"
        " e.page_path AS page, s.entry_page AS entry, s.event_count AS n"
        " FROM events e JOIN session_state s USING (session_key)"
        " ORDER BY substr(e.session_id, 6)::int")
    assert rows == [
        {"session": "sess_%d" % number, "id": "evt_1", "page": "/first",
         "entry": "/first", "n": 1} for number in range(sessions)]


# ---- where the repeat is ----

def test_in_the_same_body(daemon, database):
    accepted(daemon, [one(), one(page__path="/second"), one()])
    check_first(database, 1)
    accepted(daemon, [one(1)] * 999 + [one()])
    check_first(database, 2)


def test_in_the_same_batch(make_daemon, database):
    # One worker, one ring: what is sent first is first.
    daemon = make_daemon(workers=1).start()
    bodies = ([one(0)], [one(1), one(2)],
              [one(page__path="/second", number=n) for n in (0, 1, 2)]
              + [one(3)])
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(daemon.connect())
                       for _ in bodies]
        # The first batch waits, and the others gather into the next.
        with HeldCommits(database) as held:
            for connection, events in zip(connections, bodies):
                before = heads(daemon)
                connection.send(request_of(events))
                wait_until(lambda old=before: heads(daemon) > old, 10,
                           "a record in the ring")
                held.wait()
        for connection in connections:
            assert connection.response().json["rejected"] == 0
    check_first(database, 4)
    transactions = [row["xmin"] for row in database.query(
        "SELECT xmin::text FROM events ORDER BY session_id")]
    assert transactions[0] != transactions[1]
    assert transactions[1] == transactions[2] == transactions[3]


def heads(daemon):
    """How far all rings of a daemon have been written, in bytes."""
    found = 0
    for path in rings_open(daemon.master).values():
        with open(path, "rb") as ring:
            ring.seek(HEAD)
            found += struct.unpack("=Q", ring.read(8))[0]
    return found


def request_of(events):
    """An ingest request."""
    body = json.dumps({"events": events})
    return ("POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.mark.parametrize("cache", ["0", "64m"])
@pytest.mark.parametrize("between", [
    "nothing", "aggregator", "worker", "daemon", "database", "backends"])
def test_in_a_later_batch(make_daemon, database, postgres, cache, between):
    daemon = make_daemon(postgres={"session_cache": cache}).start()
    accepted(daemon, [one(number) for number in range(20)])
    if between == "aggregator":
        daemon.replace_aggregator()
    elif between == "worker":
        daemon.kill_worker()
    elif between == "daemon":
        assert daemon.stop() == 0
        daemon.start()
    elif between == "database":
        postgres.stop("immediate")
        postgres.start()
    elif between == "backends":
        assert database.value(TERMINATE) >= 1
    again = [one(number, page__path="/second") for number in range(20)]
    for part in (again[:10], again[5:]):
        # It may be noticed at any moment that the connection is gone.
        post_until_accepted(daemon, part)
    check_first(database, 20)


def test_when_its_session_was_being_read(daemon, database):
    """What was learnt of a session before the connection broke is too little:
    it is there, but as yet without its events."""
    accepted(daemon, [one()])
    daemon.replace_aggregator()
    # One more, so that the connection is known to be up again.
    accepted(daemon, [one(1)])
    with daemon.connect(timeout=20) as connection:
        with Held(database, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"):
            connection.send(request_of([one(page__path="/second")]))
            wait_until(lambda: database.value(HeldCommits.WAITING) >= 1, 10,
                       "a batch at the lock")
            assert database.value(TERMINATE) >= 1
        assert connection.response().status == 202
    check_first(database, 2)


# ---- what is a repeat ----

def test_of_another_session_or_project_is_none(daemon, database):
    keys = database.keys
    for _ in range(2):
        accepted(daemon, [one(0), one(1)])
        accepted(daemon, [one(0, project_id="shop")], keys["shop"])
        accepted(daemon, [one(0, project_id="rival")], keys["rival"])
        # Where one ends and the other begins matters.
        accepted(daemon, [
            event(event_id="1", session__id="a1"),
            event(event_id="11", session__id="a")])
    check_events(database, 6)


@pytest.mark.parametrize("first, then", [
    ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.000001Z"),
    ("2024-01-15T10:30:00Z", "2022-06-01T00:00:00Z"),
    ("2022-06-01T00:00:00Z", "2024-01-15T10:30:00Z"),
], ids=["near", "earlier month", "later month"])
@pytest.mark.parametrize("cache", ["0", "64m"])
def test_with_another_timestamp(make_daemon, database, first, then, cache):
    daemon = make_daemon(postgres={"session_cache": cache}).start()
    accepted(daemon, [one(event__timestamp=first)])
    for kill in (False, True):
        if kill:
            daemon.replace_aggregator()
        accepted(daemon, [one(event__timestamp=then, page__path="/second")])
        check_first(database, 1)


def test_from_the_future(daemon, database):
    """Stored as of its receipt, which is another time each time."""
    ahead = (datetime.now(timezone.utc) + timedelta(days=400)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")
    for kill in (False, False, True):
        if kill:
            daemon.replace_aggregator()
        accepted(daemon, [one(event__timestamp=ahead)])
        check_first(database, 1)
    (stored,) = database.events()
    assert stored["timestamp"] == stored["received_at"]
    assert stored["client_timestamp"].startswith(ahead[:19])


# ---- until it is acknowledged ----

def check_ledger(ledger, database):
    """What was sent until it was acknowledged is stored exactly once."""
    ledger.check(database)
    check_events(database)
    assert database.query(
        "SELECT s.session_id FROM session_state s"
        " WHERE event_count <> (SELECT count(*) FROM events e"
        " WHERE e.session_key = s.session_key)") == []


def kill_both(daemon, _, __):
    """A worker and the aggregator."""
    daemon.kill_worker(random.randrange(2))
    daemon.kill_aggregator()


def terminate(_, database, __):
    """The backends of the aggregator."""
    database.value(TERMINATE)


def restart(_, __, postgres):
    """PostgreSQL, as after a crash."""
    postgres.stop("immediate")
    postgres.start()


@pytest.mark.parametrize("harm, times", [
    (kill_both, 4), (terminate, 10), (restart, 3)])
def test_retried_until_acknowledged(daemon, database, postgres, harm, times):
    with Ledger(daemon, retry=True) as ledger:
        for _ in range(times):
            ledger.wait_acked(10)
            wait_until(lambda: len(daemon.workers()) == 2
                       and daemon.aggregator(), 10, "all processes")
            harm(daemon, database, postgres)
        ledger.wait_acked(20)
    check_ledger(ledger, database)


# ---- two nodes ----

def test_two_nodes_share_sessions(make_daemon, database):
    """Each brings half of the events of the same sessions."""
    nodes = [make_daemon(node=name, workers=1).start() for name in "ab"]
    traffic = Traffic(2, database.keys, users=40)
    model = traffic.model()
    bodies = traffic.bodies(20)
    with Delivery(nodes[0], bodies[::2], 2) as one_half, \
            Delivery(nodes[1], bodies[1::2], 2) as other_half:
        one_half.wait()
        other_half.wait()
    check_events(database, len(model.seen))
    check_sessions(database, model)


def test_two_nodes_get_the_same_events(make_daemon, database):
    """All of them at about the same moment."""
    nodes = [make_daemon(node=name, workers=1).start() for name in "ab"]
    traffic = Traffic(3, database.keys, users=40)
    model = traffic.model()
    bodies = traffic.bodies(20)
    with Delivery(nodes[0], bodies, 2) as here, \
            Delivery(nodes[1], bodies, 2) as there:
        here.wait()
        there.wait()
    assert not here.failures and not there.failures
    check_events(database, len(model.seen))
    check_sessions(database, model)


def test_two_nodes_get_their_turns(make_daemon, database):
    """Every batch of one changes the sessions of every batch of the other."""
    nodes = [make_daemon(node=name, workers=1).start() for name in "ab"]
    with Ledger(nodes[0], retry=True) as here, \
            Ledger(nodes[1], retry=True) as there:
        for ledger in (here, there, here, there):
            ledger.wait_acked(40)
    for ledger, node in ((here, nodes[0]), (there, nodes[1])):
        check_ledger(ledger, database)
        assert not ledger.failures, ledger.failures
        assert "data connection to PostgreSQL:" not in node.log()
