# SPDX-License-Identifier: MIT
"""Pages of another origin, in a real browser: fetch, beacon, early answers."""

import json

import pytest

from client import event, unique
from cluster import wait_until

FETCH = """
const [url, body, headers] = args;
const answer = await fetch(url, {
    method: "POST", credentials: "include", headers: headers, body: body});
return {status: answer.status, text: await answer.text(),
        retry: answer.headers.get("Retry-After")};
"""

BEACON = """
const [url, body] = args;
return {queued: navigator.sendBeacon(
    url, new Blob([body], {type: "text/plain"}))};
"""


# What an SDK does that compresses: with the header, or without in a beacon.
GZIP = """
const packed = await new Response(new Blob([args[1]]).stream().pipeThrough(
    new CompressionStream("gzip"))).blob();
"""

GZIP_FETCH = GZIP + FETCH.replace("body: body", "body: packed")

GZIP_BEACON = GZIP + BEACON.replace("[body]", "[packed]")


def body_of(*events):
    """The body of a batch."""
    return json.dumps({"events": list(events)})


def url_of(daemon, tls, path="/v1/events"):
    """Where the daemon listens, as a page names it."""
    if tls:
        return "https://localhost:%d%s" % (daemon.tls_port, path)
    return "http://localhost:%d%s" % (daemon.port, path)


@pytest.fixture
def window(browser, page):
    """A page whose origin is not the daemon's."""
    browser.go(page.origin)
    return browser


@pytest.mark.parametrize("tls", [False, True])
def test_fetch_with_credentials_reads_the_answer(
        window, shared_daemon, tls):
    key = shared_daemon.database.keys["proj_demo"]
    sent = unique()
    # Neither header may be sent across origins without a preflight.
    got = window.run(FETCH, url_of(shared_daemon, tls),
                     body_of(event(event_id=sent)),
                     {"Content-Type": "application/json",
                      "X-PG-API-Key": key, "traceparent": "00-1-2-03"})

    assert got == {"status": 202, "retry": None,
                   "text": '{"accepted":1,"rejected":0,"errors":[]}'}
    assert sent in [e["event_id"] for e in shared_daemon.database.events()]


@pytest.mark.parametrize("tls", [False, True])
def test_beacon_with_the_key_in_the_query(window, shared_daemon, tls):
    key = shared_daemon.database.keys["proj_demo"]
    sent = unique()
    got = window.run(
        BEACON, url_of(shared_daemon, tls, "/v1/events?api_key=" + key),
        body_of(event(event_id=sent)))

    assert got == {"queued": True}
    wait_until(
        lambda: sent in [e["event_id"]
                         for e in shared_daemon.database.events()],
        10, "the beacon's event")


@pytest.mark.parametrize("tls", [False, True])
def test_a_compressed_fetch(window, shared_daemon, tls):
    sent = unique()
    got = window.run(GZIP_FETCH, url_of(shared_daemon, tls),
                     body_of(event(event_id=sent)),
                     {"Content-Type": "application/json",
                      "Content-Encoding": "gzip", "X-PG-API-Key":
                      shared_daemon.database.keys["proj_demo"]})

    assert got.get("status") == 202, got
    assert sent in [e["event_id"] for e in shared_daemon.database.events()]


def test_a_page_reads_which_codings_are_taken(window, shared_daemon):
    got = window.run(FETCH, url_of(shared_daemon, True), "x" * 100000,
                     {"Content-Encoding": "br"})

    assert got.get("status") == 415, got
    assert "gzip, deflate, zstd" in got["text"]


@pytest.mark.parametrize("tls", [False, True])
def test_a_compressed_beacon(window, shared_daemon, tls):
    sent = unique()
    got = window.run(GZIP_BEACON, url_of(shared_daemon, tls),
                     body_of(event(event_id=sent)))

    assert got == {"queued": True}
    wait_until(
        lambda: sent in [e["event_id"]
                         for e in shared_daemon.database.events()],
        10, "the beacon's event")


@pytest.mark.parametrize("tls", [False, True])
def test_an_early_401_is_read_after_a_large_body(window, shared_daemon, tls):
    got = window.run(FETCH, url_of(shared_daemon, tls), "x" * 8_000_000,
                     {"Content-Type": "application/json",
                      "X-PG-API-Key": "pgk_wrong"})

    assert got.get("status") == 401, got
    assert "unknown API key" in got["text"]


@pytest.mark.parametrize("tls", [False, True])
def test_an_early_413_is_read_after_a_larger_body(window, shared_daemon, tls):
    got = window.run(FETCH, url_of(shared_daemon, tls), "x" * 12_000_000,
                     {"Content-Type": "application/json",
                      "X-PG-API-Key":
                      shared_daemon.database.keys["proj_demo"]})

    assert got.get("status") == 413, got


def test_an_early_503_is_read_and_its_retry_after(
        window, make_daemon, database):
    daemon = make_daemon(http={"retry_after": "7s"}).start()
    database.execute("ALTER ROLE productgraph_writer CONNECTION LIMIT 0")
    try:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'productgraph_writer'"
            " AND datname = current_database()")
        wait_until(lambda: daemon.get("/ready").status == 503, 10,
                   "the daemon to notice")
        got = window.run(FETCH, url_of(daemon, True), "x" * 8_000_000,
                         {"Content-Type": "application/json",
                          "X-PG-API-Key": database.keys["proj_demo"]})
    finally:
        database.execute("ALTER ROLE productgraph_writer CONNECTION LIMIT -1")

    assert got.get("status") == 503, got
    assert got["retry"] == "7"
    daemon.wait_ready()


def test_a_page_reads_why_an_event_was_rejected(window, shared_daemon):
    got = window.run(FETCH, url_of(shared_daemon, False),
                     body_of(event(session__id=None)),
                     {"Content-Type": "text/plain"})

    assert got["status"] == 202
    assert '"error":"session.id: required"' in got["text"]
