# SPDX-License-Identifier: MIT
"""productgraphctl: dead letters, their payloads made here or by a daemon."""

import json
import re
import struct
import uuid

import pytest

from client import event
from cluster import TOP
from ctl import REFUSED, USAGE, rows_of

NONE = "12345678-1234-1234-1234-123456789012"
ORG, PROJECT = bytes(range(16)), bytes(range(16, 32))


def fields():
    """The columns of a row, in order, each with its kind and need."""
    with open(TOP + "/common/event_fields.def", encoding="utf-8") as f:
        return re.findall(
            r'^FIELD\(\w+, "[^"]*", "[^"]*", "(\w+)", (\w+), (\w+)',
            f.read(), re.M)


def payload(**values):
    """A binary COPY tuple with these values, as bytes, and the required."""
    values = {
        "org_id": ORG, "project_id": PROJECT,
        "received_at": struct.pack(">q", 0),
        "timestamp": struct.pack(">q", 1500000),
        "event_id": b"evt_1", "session_id": b"sess_1",
        "event_type": b"page.view", **values}
    made = struct.pack(">h", len(fields()))
    for column, kind, need in fields():
        value = values.get(column)
        # A number that the server sets, if there is such a field.
        if value is None and need == "SERVER" and kind == "INT8":
            value = struct.pack(">q", 0)
        made += (struct.pack(">i", -1) if value is None
                 else struct.pack(">i", len(value)) + value)
    return made


def insert(ctl, letter, data, project="shop", at="2024-01-15 10:00Z",
           message="invalid byte sequence"):
    """One dead letter."""
    ctl.database.execute(
        "INSERT INTO dead_letters (id, org_id, project_id, received_at, "
        "sqlstate, message, event_id, payload) "
        f"SELECT '{letter}', org_id, id, '{at}', '22021', '{message}', "
        f"'evt_1', '\\x{data.hex()}' FROM projects WHERE slug = '{project}'")


@pytest.fixture(name="letters")
def fixture_letters(tenant):
    """Three in two projects of two organisations; the ids, newest first."""
    tenant.ok("org", "create", "Other")
    tenant.ok("project", "create", "--org", "other", "Theirs")
    ids = [str(uuid.UUID(int=n)) for n in (3, 2, 1)]
    insert(tenant, ids[2], payload())
    insert(tenant, ids[1], b"rubbish", at="2024-01-15 10:00:01Z")
    insert(tenant, ids[0], payload(), "theirs", at="2024-01-15 10:00:02Z",
           message="first\x1b[2Jline")
    return tenant, ids


def test_dead_letters_list(letters):
    ctl, ids = letters
    found = ctl.json("dead-letters", "list")
    assert [letter["id"] for letter in found] == ids
    assert found[2] == {
        "id": ids[2], "received_at": "2024-01-15T10:00:00.000000Z",
        "org": "acme-inc", "project": "shop", "event_id": "evt_1",
        "sqlstate": "22021", "message": "invalid byte sequence"}
    assert rows_of(ctl.ok("dead-letters", "list"))[:2] == [
        ["id", "received", "org", "project", "event id", "sqlstate",
         "message"],
        [ids[0], "2024-01-15 10:00:02Z", "other", "theirs", "evt_1", "22021",
         "first\\x1b[2Jline"]]

    def those(*args):
        return [x["id"] for x in ctl.json("dead-letters", "list", *args)]

    assert those("--limit", "2") == ids[:2]
    assert those("--org", "acme-inc") == ids[1:]
    assert those("--org", "other", "--project", "theirs") == ids[:1]
    for args in ("--org", "nix"), ("--org", "other", "--project", "shop"):
        assert "no " in ctl.fails(REFUSED, "dead-letters", "list", *args)


def test_dead_letters_empty(tenant):
    assert tenant.json("dead-letters", "list") == []
    assert rows_of(tenant.ok("dead-letters", "list"))[1:] == []


def test_dead_letter_of_a_project_that_is_gone(tenant):
    tenant.database.execute(
        "INSERT INTO dead_letters (org_id, project_id, received_at, sqlstate, "
        f"message, payload) VALUES ('{NONE}', '{NONE}', now(), 'x', 'y', '')")
    (letter,) = tenant.json("dead-letters", "list")
    assert (letter["org"], letter["project"]) == (NONE, NONE)
    assert letter["event_id"] is None


def test_dead_letter_show(tenant):
    data = payload(
        page_title=b"caf\xe9 \x1b[2J\nx", sequence=struct.pack(">q", -7),
        api_status_code=struct.pack(">i", 404),
        api_duration_ms=struct.pack(">d", 0.1), metadata=b'\1{"a":}')
    insert(tenant, NONE, data)
    text = tenant.ok("dead-letters", "show", NONE.upper())
    head, _, body = text.partition("\n\n")
    assert "sqlstate  22021" in head and f"id        {NONE}" in head
    assert dict(line.split(None, 1) for line in body.splitlines()
                if not line.startswith("session_key")) == {
        "org_id": str(uuid.UUID(bytes=ORG)),
        "project_id": str(uuid.UUID(bytes=PROJECT)),
        "received_at": "2000-01-01T00:00:00.000000Z",
        "timestamp": "2000-01-01T00:00:01.500000Z",
        "event_id": "evt_1", "session_id": "sess_1",
        "event_type": "page.view", "sequence": "-7",
        "page_title": "caf\\xe9 \\x1b[2J\\nx", "api_status_code": "404",
        "api_duration_ms": "0.1", "metadata": '{"a":}'}

    shown = tenant.json("dead-letters", "show", NONE)
    parts = shown.pop("payload")
    assert shown.pop("payload_hex") == data.hex()
    assert [shown] == tenant.json("dead-letters", "list")
    assert list(parts) == [column for column, _, _ in fields()]
    assert (parts["sequence"], parts["api_status_code"],
            parts["api_duration_ms"]) == (-7, 404, 0.1)
    assert parts["page_title"] == "caf\\xe9 \x1b[2J\nx"
    assert parts["metadata"] == '{"a":}'
    assert parts["page_url"] is None


@pytest.mark.parametrize("data", [b"", b"rubbish", payload()[:-1]],
                         ids=["empty", "rubbish", "short"])
def test_dead_letter_that_is_no_event(tenant, data):
    insert(tenant, NONE, data)
    text = tenant.ok("dead-letters", "show", NONE)
    assert text.endswith(
        f"The payload ({len(data)} bytes) is not an event as this release "
        f"writes one:\n{data.hex()}\n")
    shown = tenant.json("dead-letters", "show", NONE)
    assert (shown["payload"], shown["payload_hex"]) == (None, data.hex())


def test_dead_letter_of_a_daemon(daemon, database):
    """What an aggregator writes is what is taken apart."""
    database.execute("ALTER TABLE events ADD CONSTRAINT no_poison"
                     " CHECK (event_id <> 'poison')")
    sent = event(event_id="poison", page__path="/p\u00fc",
                 event__sequence=12, metadata={"a": [1.50]}, plan="pro")
    assert daemon.post([sent]).status == 202
    (letter,) = json.loads(database.ctl("dead-letters", "list", "--json"))
    assert (letter["org"], letter["project"]) == ("demo", "proj_demo")
    assert (letter["sqlstate"], letter["event_id"]) == ("23514", "poison")
    parts = json.loads(database.ctl("dead-letters", "show", letter["id"],
                                    "--json"))["payload"]
    assert parts["org_id"] == database.value(
        "SELECT id FROM organizations WHERE slug = 'demo'")
    assert parts["timestamp"] == "2024-01-15T10:30:00.000000Z"
    assert (parts["event_id"], parts["event_type"], parts["page_path"],
            parts["sequence"]) == ("poison", "page.view", "/p\u00fc", 12)
    assert json.loads(parts["metadata"]) == {"a": [1.5]}
    assert json.loads(parts["attributes"]) == {"plan": "pro"}


@pytest.mark.parametrize("called", ["x", "", NONE[:-1], NONE + "0"])
def test_dead_letter_id(ctl, called):
    assert "is not the id of a dead letter, a UUID" in ctl.fails(
        USAGE, "dead-letters", "show", called)


def test_dead_letter_none(tenant):
    assert f"no dead letter {NONE}" in tenant.fails(
        REFUSED, "dead-letters", "show", NONE)
