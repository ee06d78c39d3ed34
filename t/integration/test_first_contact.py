# SPDX-License-Identifier: MIT
"""What a newcomer does first: the curl of the wire contract, then TLS."""

import subprocess

import pytest

from client import event

BODY = """{"events":[{"event_id":"evt_001","project_id":"proj_demo","session.id":"sess_001",
       "event.type":"page.view","event.timestamp":"2024-01-15T10:30:00Z",
       "page.path":"/checkout","page.title":"Checkout"}]}"""


def curl(*args):
    """Runs curl without a proxy; returns its status and output."""
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def post(url, *args):
    """Posts the contract's body; returns HTTP status and answer."""
    status, output = curl(
        "-X", "POST", url + "/v1/events", "-H",
        "Content-Type: application/json", "-d", BODY,
        "-w", "\n%{http_code}", *args)
    assert status == 0, output
    answer, _, code = output.rpartition("\n")
    return int(code), answer


def test_curl_of_the_contract(daemon, database):
    code, answer = post("http://localhost:%d" % daemon.port)

    assert code == 202
    assert answer == '{"accepted":1,"rejected":0,"errors":[]}'
    (row,) = database.events()
    assert row["event_id"] == "evt_001"
    assert row["session_id"] == "sess_001"
    assert row["event_type"] == "page.view"
    assert row["timestamp"] == "2024-01-15T10:30:00+00:00"
    assert row["page_path"] == "/checkout"
    assert row["page_title"] == "Checkout"
    assert row["project_id"] == database.value(
        "SELECT id FROM projects WHERE slug = 'proj_demo'")
    assert row["org_id"] == database.value(
        "SELECT id FROM organizations WHERE slug = 'demo'")


def test_curl_over_tls_with_key(daemon, database):
    url = "https://localhost:%d" % daemon.tls_port
    key = "X-PG-API-Key: %s" % database.keys["proj_demo"]

    code, answer = post(url, "--cacert", daemon.cert, "-H", key)

    assert code == 202
    assert answer == '{"accepted":1,"rejected":0,"errors":[]}'
    assert [row["event_id"] for row in database.events()] == ["evt_001"]


def test_tls_1_2_is_refused(daemon):
    status, _ = curl("--tls-max", "1.2", "--cacert", daemon.cert,
                     "https://localhost:%d/health" % daemon.tls_port)
    assert status == 35  # curl: SSL connect error


@pytest.mark.parametrize("tls", [False, True])
def test_wrong_key_is_401(shared_daemon, tls):
    answer = shared_daemon.post([event()], key="pgk_wrong", tls=tls)

    assert answer.status == 401
    assert answer.header("WWW-Authenticate")
    assert answer.header("Content-Type").startswith(
        "application/problem+json")
    assert answer.json["error"] == answer.json["detail"]
    assert shared_daemon.database.events() == []


def test_health_and_readiness(shared_daemon):
    assert shared_daemon.get("/health").json == {"status": "ok"}
    assert shared_daemon.get("/ready").json == {"status": "ready"}


def test_processes_have_titles_and_accounts(shared_daemon):
    titles = shared_daemon.processes()

    assert "productgraphd: master" in titles[shared_daemon.master]
    assert sorted(shared_daemon.workers()) == [0, 1]
    assert shared_daemon.aggregator() is not None
    assert len(titles) == 4


def test_no_events_is_accepted(shared_daemon):
    answer = shared_daemon.post([])

    assert answer.status == 202
    assert answer.json == {
        "accepted": 0, "rejected": 0, "errors": []}
