# SPDX-License-Identifier: MIT
"""productgraphctl: sessions, from rows that the tests put there."""

import re
import subprocess

import pytest

from cluster import clean_environment, wait_until
from ctl import REFUSED, USAGE, rows_of

SCOPE = ("--org", "acme-inc", "--project", "shop")
LIST = ("session", "list", *SCOPE)
SHOW = ("session", "show", *SCOPE)

SESSIONS = """
SELECT create_month('2024-01-01');
INSERT INTO session_state (session_key, org_id, project_id, session_id,
    started_at, ended_at, event_count, page_count, error_count, user_id,
    anonymous_id, entry_page, exit_page, last_journey_step_id,
    conversion_status, user_agent)
SELECT key, org_id, id, session, s, e, events, pages, errors, u, a, entry,
    exit, step, status, agent
FROM projects, (VALUES
    (7, 'older', '2024-01-15 10:00:00Z'::timestamptz,
     '2024-01-15 11:01:01.5Z'::timestamptz, 6, 2, 1, 'ada', 'anon-1', '/',
     '/checkout', 'pay', 'completed', 'curl/8'),
    (9, 'newer', '2024-01-14 10:00:00Z', now(), 1, 0, 0, NULL, 'anon-2',
     NULL, NULL, NULL, NULL, NULL)) AS t (key, session, s, e, events,
    pages, errors, u, a, entry, exit, step, status, agent);
"""

# In an order that is not theirs; two in the same microsecond.
EVENTS = """
INSERT INTO events (org_id, project_id, received_at, timestamp, event_id,
    session_id, session_key, event_type, sequence, page_path, page_title,
    ui_element, error_type, error_message, journey_id, journey_step_name,
    conversion_status, api_duration_ms, metadata)
SELECT org_id, id, '2024-01-15 12:00Z', t, event, 'older', 7, type, n, path,
    title, element, error, message, journey, step, status, took, meta::jsonb
FROM projects, (VALUES
    ('2024-01-15 11:01:01.5Z'::timestamptz, 'e6', 'journey.conversion', 6,
     '/checkout', NULL, NULL, NULL, NULL, 'buy', 'Paid', 'completed', 1.5,
     '{"n": 1.10, "big": 123456789012345678901234567890}'),
    ('2024-01-15 10:00:00Z', 'e1', 'page.view', 1, '/', E'Ho\\x1bme', NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('2024-01-15 10:00:00Z', 'e2', 'ui.click', 2, '/', NULL, 'a.buy', NULL,
     NULL, NULL, NULL, NULL, NULL, NULL),
    ('2024-01-15 10:00:02.25Z', 'e3', 'page.view', 3, '/checkout',
     'Checkout', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('2024-01-15 10:01:00Z', 'e4', 'error', 4, '/checkout', NULL, NULL,
     'TypeError', 'x is null', NULL, NULL, NULL, NULL, NULL),
    ('2024-01-15 10:02:00Z', 'e5', 'custom', NULL, '/checkout', NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL))
    AS v (t, event, type, n, path, title, element, error, message, journey,
          step, status, took, meta);
"""


@pytest.fixture(name="shop")
def fixture_shop(tenant):
    """A project with two sessions, one of them with events."""
    tenant.database.execute(SESSIONS + EVENTS)
    return tenant


def test_session_list(shop):
    assert rows_of(shop.ok(*LIST)) == [
        ["session", "user", "started", "duration", "pages", "events",
         "errors", "entry", "exit", "status"],
        ["newer", "anon-2", "2024-01-14 10:00:00Z", rows_of(
            shop.ok(*LIST))[1][3], "0", "1", "0", "", "", "open"],
        ["older", "ada", "2024-01-15 10:00:00Z", "1h1m1.500s", "2", "6", "1", "/",
         "/checkout", "closed"]]
    newer, older = shop.json(*LIST)
    assert newer["status"] == "open" and newer["user_id"] is None
    assert older.pop("created_at") and older.pop("updated_at")
    assert older == {
        "session_id": "older", "user_id": "ada", "anonymous_id": "anon-1",
        "started_at": "2024-01-15T10:00:00.000000Z",
        "ended_at": "2024-01-15T11:01:01.500000Z", "duration_ms": 3661500,
        "page_count": 2, "event_count": 6, "error_count": 1,
        "entry_page": "/", "exit_page": "/checkout",
        "last_journey_step_id": "pay", "conversion_status": "completed",
        "user_agent": "curl/8", "status": "closed", "session_key": 7}


def test_session_list_limit(shop):
    assert [s["session_id"] for s in shop.json(*LIST, "--limit", "1")] == [
        "newer"]
    shop.database.execute(
        "INSERT INTO session_state (session_key, org_id, project_id, "
        "session_id, started_at, ended_at, event_count, page_count, "
        "error_count) SELECT 100 + n, org_id, id, n, now(), now(), 1, 0, 0 "
        "FROM projects, generate_series(1, 30) AS n")
    assert [s["session_id"] for s in shop.json(*LIST)] == [
        str(n) for n in range(30, 10, -1)]
    assert len(shop.json(*LIST, "--limit", "1000")) == 32


def rows_read(database):
    """Of session_state, by each way there is to read it."""
    return {row["way"]: row["read"] for row in database.query(
        "SELECT indexrelname AS way, idx_tup_read AS read"
        " FROM pg_stat_user_indexes WHERE relname = 'session_state'"
        " UNION ALL SELECT 'the table', seq_tup_read"
        " FROM pg_stat_user_tables WHERE relname = 'session_state'")}


def test_session_list_reads_what_it_prints(shop):
    """Whatever the project has, and others have that is younger."""
    shop.ok("project", "create", "--org", "acme-inc", "Blog")
    shop.database.execute(
        "INSERT INTO session_state (session_key, org_id, project_id, "
        "session_id, started_at, ended_at, event_count, page_count, "
        "error_count) SELECT 100 + n + CASE slug WHEN 'shop' THEN 0 "
        "ELSE 5000 END, org_id, id, n, now(), now(), 1, 0, 0 "
        "FROM projects, generate_series(1, 20000) AS n "
        "WHERE slug = 'blog' OR n <= 5000; ANALYZE")
    before = rows_read(shop.database)
    assert [s["session_id"] for s in shop.json(*LIST)] == [
        str(n) for n in range(5000, 4980, -1)]
    # Counted when the backend ends, which is after its client did.
    wait_until(lambda: rows_read(shop.database) != before, what="the count")
    assert rows_read(shop.database) == {
        **before, "session_state_project": before["session_state_project"] + 20}


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1000001",
                                   "99999999999999999999"])
def test_limit_refused(ctl, limit):
    for words in LIST, (*SHOW, "s"), ("dead-letters", "list"):
        assert "is not a whole number from 1 to 1000000" in ctl.fails(
            USAGE, *words, "--limit=" + limit)


def test_session_of_another_project(shop):
    shop.ok("project", "create", "--org", "acme-inc", "Blog")
    blog = ("--org", "acme-inc", "--project", "blog")
    assert shop.ok("session", "list", *blog).endswith("(0 rows)\n")
    assert shop.json("session", "list", *blog) == []
    assert 'no session "older" in project "blog"' in shop.fails(
        REFUSED, "session", "show", *blog, "older")
    for words in (("session", "list"), ("session", "show", "older")):
        assert 'no project "nix"' in shop.fails(
            REFUSED, *words, "--org", "acme-inc", "--project", "nix")


def test_session_show(shop):
    head, _, timeline = shop.ok(*SHOW, "older").partition("\n\n")
    assert [re.split("  +", line) for line in head.splitlines()] == [
        ["session", "older"], ["user", "ada"], ["anonymous", "anon-1"],
        ["started", "2024-01-15 10:00:00Z"],
        ["ended", "2024-01-15 11:01:01Z"], ["duration", "1h1m1.500s"],
        ["pages", "2"], ["events", "6"], ["errors", "1"],
        ["entry page", "/"], ["exit page", "/checkout"],
        ["last journey step", "pay"], ["conversion", "completed"],
        ["user agent", "curl/8"], ["status", "closed"], ["session key", "7"]]
    assert timeline.splitlines() == [
        "time (UTC)                     offset  type                what",
        "2024-01-15 10:00:00.000            0s  page.view           "
        "/  Ho\\x1bme",
        "2024-01-15 10:00:00.000            0s  ui.click            a.buy  /",
        "2024-01-15 10:00:02.250        2.250s  page.view           "
        "/checkout  Checkout",
        "2024-01-15 10:01:00.000            1m  error               "
        "TypeError: x is null",
        "2024-01-15 10:02:00.000            2m  custom              "
        "/checkout",
        "2024-01-15 11:01:01.500    1h1m1.500s  journey.conversion  "
        "buy  Paid  completed",
        "(6 events)"]


def test_session_show_json(shop):
    shown = shop.json(*SHOW, "older")
    assert set(shown) == {"session", "events"}
    assert shown["session"] == shop.json(*LIST)[1]
    assert [e["event_id"] for e in shown["events"]] == [
        "e1", "e2", "e3", "e4", "e5", "e6"]
    (columns,) = zip(*shop.sql(
        "SELECT attname FROM pg_attribute WHERE attnum > 0 "
        "AND attrelid = 'events'::regclass ORDER BY attnum"))
    last = shown["events"][-1]
    assert list(last) == list(columns)
    assert last["timestamp"] == "2024-01-15T11:01:01.500000Z"
    assert (last["sequence"], last["api_duration_ms"]) == (6, 1.5)
    assert last["page_title"] is None
    assert shown["events"][0]["page_title"] == "Ho\x1bme"
    # Every digit of what was sent.
    text = shop.ok(*SHOW, "older", "--json")
    assert '{"n": 1.10, "big": 123456789012345678901234567890}' in text


def test_session_show_limit(shop):
    text = shop.ok(*SHOW, "older", "--limit", "2")
    assert text.endswith("a.buy  /\n(the first 2 of 6 events)\n")
    assert shop.ok(*SHOW, "older", "--limit", "6").endswith("(6 events)\n")
    assert len(shop.json(*SHOW, "older", "--limit", "2")["events"]) == 2


def test_session_without_events(shop):
    """Its months may have been dropped."""
    assert shop.ok(*SHOW, "newer").endswith("  what\n(0 events)\n")
    assert shop.json(*SHOW, "newer")["events"] == []


def test_session_id_like_an_option(shop):
    shop.database.execute(
        "UPDATE session_state SET session_id = '--json' WHERE session_key = 9")
    assert shop.ok(*SHOW, "--", "--json").startswith("session ")


WHAT = [
    ("page.leave", {"page_path": "/a", "page_title": "A"}, "/a  A"),
    ("ui.input", {"ui_component_name": "Field", "ui_action": "type",
                  "page_path": "/a"}, "Field  type  /a"),
    ("ui.click", {"ui_element": "b", "ui_element_text": "Buy"}, "b  Buy"),
    ("ui.scroll", {}, ""),
    ("state.change", {"ui_state_key": "cart", "ui_state_before": "[]",
                      "ui_state_after": "[1]"}, "cart: [] -> [1]"),
    ("api.response", {"api_method": "GET", "api_path": "/x",
                      "api_status_code": 500, "api_duration_ms": 12.5},
     "GET /x 500 12.5 ms"),
    ("journey.step", {"journey_id": "buy", "journey_step_id": "s2"},
     "buy  s2"),
    ("snapshot.captured", {"snapshot_url": "s3://x"}, "s3://x"),
    ("error", {"error_message": "bad", "error_component": "Cart"},
     "bad  Cart"),
    ("performance", {"performance_lcp_ms": 900, "performance_cls": 0.1},
     "lcp 900  cls 0.1"),
    ("custom", {"event_name": "made up", "page_path": "/a"}, "made up  /a"),
    ("unheard.of", {"page_path": "/a"}, "/a"),
    ("page.view", {"page_title": "t" * 300}, "t" * 255),
]


@pytest.mark.parametrize("kind, fields, says", WHAT)
def test_what_an_event_is_about(shop, kind, fields, says):
    columns = "".join(", " + name for name in fields)
    values = "".join(
        ", " + (str(v) if not isinstance(v, str) else "'%s'" % v)
        for v in fields.values())
    shop.database.execute(
        "DELETE FROM events; INSERT INTO events (org_id, project_id, "
        "received_at, timestamp, event_id, session_id, session_key, "
        f"event_type{columns}) SELECT org_id, id, now(), "
        f"'2024-01-15 10:00Z', 'e', 'older', 7, '{kind}'{values} "
        "FROM projects")
    line = shop.ok(*SHOW, "older").splitlines()[-2]
    assert line == (f"2024-01-15 10:00:00.000            0s  {kind:18}  "
                    + says).rstrip()


def peak_of(command):
    """Runs it; its output's length, and the most memory it had, in bytes.

    Not by ru_maxrss, in which this process has a part: it was forked from it.
    """
    # A sanitizer would keep what was freed.
    env = clean_environment(ASAN_OPTIONS="quarantine_size_mb=1")
    with subprocess.Popen(command, stdout=subprocess.PIPE,
                          env=env) as process:
        length = peak = 0
        while chunk := process.stdout.read(1 << 20):
            length += len(chunk)
            with open("/proc/%d/status" % process.pid,
                      encoding="ascii") as f:
                peak = next((int(line.split()[1]) * 1024 for line in f
                             if line.startswith("VmHWM")), peak)
        assert process.wait() == 0
    return length, peak


def test_large_session_takes_no_more_memory(shop):
    """A hundred thousand events, 50 MB of JSON and more."""
    shop.database.execute(
        "INSERT INTO events (org_id, project_id, received_at, timestamp, "
        "event_id, session_id, session_key, event_type, page_title) "
        "SELECT org_id, id, now(), "
        "'2024-01-15 10:00Z'::timestamptz + n * interval '10 ms', n, 'older',"
        " 7, 'page.view', repeat('x', 200) "
        "FROM projects, generate_series(1, 100000) AS n")
    for json_too, least in ((), 20 << 20), (("--json",), 100 << 20):
        length, peak = peak_of(shop.command(*SHOW, "older", *json_too))
        assert length > least
        assert 0 < peak < 64 << 20
