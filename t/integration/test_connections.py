# SPDX-License-Identifier: MIT
"""What many, idle, greedy or talkative clients cost the others: nothing."""

import json
import os
import time

import pytest

from client import Connection, event, request
from cluster import wait_until

HEAD = ("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
        "%s\r\n")


def cpu_seconds(pid):
    """Processor time a process has used."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def small(make_daemon):
    """One worker with little of everything."""
    return make_daemon(workers=1, http={
        "worker_connections": 16, "max_body": "400k", "max_event": "400k",
        "body_memory": "1m"}).start()


@pytest.mark.parametrize("tls", [False, True])
def test_idle_connections_give_way_to_new_ones(small, tls):
    idle = []
    try:
        for _ in range(60):
            idle.append(small.connect(tls))
            assert request(idle[-1], "GET", "/health").status == 200
        # The oldest were closed, in good order; the youngest still serve.
        assert idle[0].end() == "eof"
        assert request(idle[-1], "GET", "/health").status == 200
    finally:
        for connection in idle:
            connection.close()


def test_mute_handshakes_give_way_to_new_connections(small):
    mute = []
    try:
        for _ in range(60):
            mute.append(Connection(small.tls_port))
        assert small.get("/health", tls=True).status == 200
        assert mute[0].end() in ("eof", "reset")
    finally:
        for connection in mute:
            connection.close()


def test_bodies_without_a_key_leave_room_for_those_with_one(small):
    key = small.database.keys["proj_demo"]
    greedy = []
    try:
        for _ in range(8):
            greedy.append(small.connect())
            greedy[-1].send(HEAD % (390000, ""))
            greedy[-1].send(b" " * 280000)
        refused = [c for c in greedy[1:] if c.response().status == 503]
        assert len(refused) == 7
        # Heads and small requests do not depend on that memory at all.
        assert small.get("/health").status == 200
        assert small.post([event()]).status == 202
        large = event(metadata={"text": "x" * 300000})
        assert small.post([large]).status == 503
        assert small.post([large], key=key).status == 202
    finally:
        for connection in greedy:
            connection.close()
    # What was given back can be used again.
    wait_until(lambda: small.post([large]).status == 202, 10,
               "the memory to come back")


@pytest.mark.parametrize("tls", [False, True])
def test_half_a_request_costs_no_processor(make_daemon, tls):
    daemon = make_daemon(workers=1, http={"header_timeout": "2s"}).start()
    worker = daemon.workers()[0]
    with daemon.connect(tls) as half:
        half.send("GET /health HTT")
        before = cpu_seconds(worker)
        assert half.response().status == 408
    assert cpu_seconds(worker) - before < 0.5


def test_answers_nobody_reads_do_not_hold_up_the_others(make_daemon):
    daemon = make_daemon(workers=1, http={"write_timeout": "1s"}).start()
    body = json.dumps({"events": [{"project_id": "proj_demo"}]
                       + [{}] * 999})
    one = HEAD % (len(body), "") + body
    with daemon.connect() as deaf:
        deaf.socket.setblocking(False)
        sent, data = 0, (one * 100).encode()
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() - began < 20:
                try:
                    sent += deaf.socket.send(data[sent % len(data):])
                except BlockingIOError:
                    time.sleep(0.05)
                    assert daemon.get("/health").status == 200
        # It was cut off, after a second of not reading.
        assert time.monotonic() - began < 15
