# SPDX-License-Identifier: MIT
"""The master: start, reload, stop, and the death of anybody."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from client import event, request
from cluster import (BUILD, HeldCommits, clean_environment, free_port,
                     wait_until)
from ledger import Ledger


def run(daemon, *args):
    """Runs productgraphd with the daemon's configuration."""
    return subprocess.run(
        [BUILD + "/productgraphd", "-c", daemon.conf, *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/",
        env=clean_environment(), check=False, timeout=60)


def wait_reload(daemon, what, start):
    """Waits for what became of a reload."""
    return daemon.wait_log(what, 20, start)


# ---- configuration ----

BROKEN = [
    ("unknown", "no_such = 1\n", "no_such"),
    ("misspelt", "worker = 2\n", "workers"),
    ("misplaced", "max_body = 1m\n", "http"),
    ("unit", "http {\n\tbody_timeout = 5x\n}\n", "body_timeout"),
    ("bounds", "http {\n\tmax_events = 0\n}\n", "100000"),
    ("syntax", "http {\n", ""),
]


@pytest.mark.parametrize("name,text,word", BROKEN,
                         ids=[row[0] for row in BROKEN])
def test_a_broken_file_starts_nothing(make_daemon, name, text, word):
    daemon = make_daemon()
    daemon.write_conf(daemon.render() + text)

    for option in ("-t", "-f"):
        done = run(daemon, option)
        assert done.returncode == 78, done
        assert daemon.conf + ":" in done.stderr
        assert word in done.stderr
    assert not os.path.exists(daemon.dir + "/pid")


def test_a_missing_file_or_key_starts_nothing(make_daemon):
    daemon = make_daemon(http={"tls_certificate_key": "/nonexistent"})
    done = run(daemon, "-t")
    assert done.returncode == 78
    assert "/nonexistent" in done.stderr

    os.unlink(daemon.conf)
    done = run(daemon, "-f")
    assert done.returncode == 78
    assert daemon.conf in done.stderr


def test_a_sound_file_is_said_to_be_sound_and_dumped(make_daemon):
    daemon = make_daemon()
    assert run(daemon, "-t").returncode == 0
    dumped = run(daemon, "-T")
    assert dumped.returncode == 0
    assert "max_body" in dumped.stdout

    # The dump is a configuration, and the same one.
    daemon.write_conf(dumped.stdout)
    again = run(daemon, "-T")
    assert again.stdout == dumped.stdout


def test_a_port_in_use_is_named(make_daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        daemon = make_daemon(http={"listen_plain": [address]})
        done = run(daemon, "-f")
    assert done.returncode == 71
    assert address in done.stderr


def test_a_second_daemon_is_refused(daemon):
    daemon.configure(http={"listen": ["127.0.0.1:%d" % free_port()],
                           "listen_plain": []})
    done = run(daemon, "-f")
    assert done.returncode != 0
    assert "already running" in done.stderr
    assert str(daemon.master) in done.stderr


# ---- reload ----

def test_reload_changes_what_is_served(daemon):
    before = daemon.workers()
    start = len(daemon.log())
    daemon.configure(http={"max_events": 2})
    daemon.reload()
    wait_reload(daemon, "reload done", start)

    answer = daemon.post([event(), event(), event()])
    assert answer.status == 400
    assert "2 events" in answer.json["detail"]
    wait_until(lambda: not set(before.values()) & set(daemon.processes()),
               10, "end of the old workers")
    assert sorted(daemon.workers()) == [0, 1]


@pytest.mark.parametrize("name,text,word", BROKEN,
                         ids=[row[0] for row in BROKEN])
def test_reload_with_a_broken_file_changes_nothing(
        make_daemon, name, text, word):
    daemon = make_daemon(http={"max_events": 3}).start()
    processes = daemon.processes()
    daemon.configure(http={"max_events": 2})
    daemon.write_conf(daemon.render() + text)
    start = len(daemon.log())

    daemon.reload()
    wait_reload(daemon, "nothing has changed", start)

    assert daemon.conf + ":" in daemon.log()[start:]
    assert daemon.processes() == processes
    assert daemon.post([event()] * 3).status == 202
    assert daemon.post([event()] * 4).status == 400


def test_reload_with_a_broken_certificate_changes_nothing(daemon):
    processes = daemon.processes()
    with open(daemon.cert, "w", encoding="ascii") as f:
        f.write("not a certificate\n")
    start = len(daemon.log())
    daemon.reload()
    wait_reload(daemon, "nothing has changed", start)

    assert daemon.processes() == processes
    # Its own copy of the certificate is what the client would check.
    with socket.create_connection(("127.0.0.1", daemon.tls_port)):
        pass
    assert daemon.post([event()]).status == 202


def test_reload_names_what_needs_a_restart(daemon):
    daemon.configure(workers=1, http={"max_events": 2})
    start = len(daemon.log())
    daemon.reload()
    wait_reload(daemon, "needs a restart.*workers", start)
    wait_reload(daemon, "reload done", start)
    assert sorted(daemon.workers()) == [0, 1]
    assert daemon.post([event()] * 3).status == 400


def test_reloads_under_load_lose_and_double_nothing(daemon, database):
    with Ledger(daemon, threads=4, batch=5) as ledger:
        for turn in range(10):
            ledger.wait_acked(5)
            # Every third one replaces the aggregator too.
            daemon.configure(http={"max_events": 1000 - turn},
                             postgres={"batch_rows": 5000 + turn // 3})
            start = len(daemon.log())
            daemon.reload()
            wait_reload(daemon, "reload done", start)
        ledger.wait_acked(20)
    ledger.check(database)
    # No client has noticed anything: neither a refusal, nor an end amid a
    # request, nor any answer but a 202.
    ledger.check_served()
    assert not ledger.refused


def test_many_reloads_at_once_become_few(daemon):
    start = len(daemon.log())
    for _ in range(20):
        daemon.reload()
    wait_reload(daemon, "reload done", start)
    wait_until(lambda: len(daemon.processes()) == 4, 20,
               "the old generations to end: %s" % daemon.processes())
    assert daemon.post([event()]).status == 202


# ---- stop ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_stop_fast(daemon, number):
    with daemon.connect() as idle:
        idle.send("POST /v1/events HTTP/1.1\r\n")
        began = time.monotonic()
        assert daemon.stop(number) == 0
        assert time.monotonic() - began < 5
    daemon.assert_nothing_left()
    assert not os.path.exists(daemon.dir + "/pid")


def test_quit_finishes_what_is_in_flight(daemon, database):
    body = b'{"events":[]}'
    head = (b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))
    with daemon.connect() as slow, daemon.connect(tls=True) as idle:
        assert request(idle, "GET", "/health").status == 200
        slow.send(head + body[:5])
        # Until the head has been read there is nothing in flight.
        assert request(idle, "GET", "/health").status == 200
        daemon.send(signal.SIGQUIT)
        assert idle.end() == "eof"
        slow.send(body[5:])
        answer = slow.response()
        assert answer.status == 202
        assert answer.header("Connection") == "close"
        assert slow.end() == "eof"
    assert daemon.wait() == 0
    daemon.assert_nothing_left()


def post_bytes(*events):
    """A POST of these events as it goes over the wire."""
    body = json.dumps({"events": events}).encode()
    return (b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def answers_until_the_end(connection):
    """How many answers, each a 202, come until one says that it is the last.

    Of what was sent behind that one the client knows that nobody read it.
    """
    count = 0
    while True:
        answer = connection.response()
        assert answer.status == 202, answer
        count += 1
        if answer.header("Connection") == "close":
            assert connection.end() == "eof"
            return count


def test_quit_waits_for_what_is_not_yet_stored(make_daemon, database):
    daemon = make_daemon(workers=1).start()
    with daemon.connect() as one, daemon.connect() as pair, \
            daemon.connect() as idle:
        with HeldCommits(database) as held:
            one.send(post_bytes(event()))
            pair.send(post_bytes(event()) + post_bytes(event()))
            assert request(idle, "GET", "/health").status == 200
            held.wait()
            daemon.send(signal.SIGQUIT)
            # Which shows that the worker has heard of it.
            assert idle.end() == "eof"
            assert daemon.process.poll() is None
        answered = answers_until_the_end(one)
        assert answered == 1
        answered += answers_until_the_end(pair)
    assert daemon.wait() == 0
    assert len(database.events()) == answered


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_quit_serves_who_was_let_in(daemon, database, tls):
    """A client that has connected, and sends when it hears of nothing."""
    with daemon.connect(tls) as fresh:
        daemon.send(signal.SIGQUIT)
        fresh.send(post_bytes(event()))
        answer = fresh.response()
        assert answer.status == 202
        assert answer.header("Connection") == "close"
        assert fresh.end() == "eof"
    assert daemon.wait() == 0
    assert len(database.events()) == 1


def test_quit_waits_no_longer_than_its_deadline(make_daemon):
    daemon = make_daemon(stop_timeout="1s").start()
    with daemon.connect() as slow:
        slow.send("POST /v1/events HTTP/1.1\r\nHost: a\r\n"
                  "Content-Length: 9\r\n\r\n{")
        began = time.monotonic()
        assert daemon.stop(signal.SIGQUIT) == 0
        assert time.monotonic() - began < 10
    daemon.assert_nothing_left()


def test_quit_under_load_loses_nothing(daemon, database):
    with Ledger(daemon, threads=4) as ledger:
        ledger.wait_acked(50)
        assert daemon.stop(signal.SIGQUIT) == 0
    ledger.check(database)
    # Who is in gets an answer.  Who connects while the listeners close may be
    # refused, or be taken by the kernel and by nobody else.
    ledger.check_served(untaken=True)


# ---- death ----

def test_no_orphan_survives_the_master(daemon):
    os.kill(daemon.master, signal.SIGKILL)
    daemon.wait()
    daemon.assert_nothing_left()
    # And its ports are free at once.
    daemon.start()
    assert daemon.post([event()]).status == 202


def test_a_worker_is_replaced(daemon):
    gone = daemon.kill_worker(0)
    wait_until(lambda: daemon.workers().get(0, gone) != gone, 5,
               "another worker 0")
    assert daemon.post([event()]).status == 202


def test_a_terminal_s_interrupt_is_the_master_s_to_handle(daemon):
    workers = daemon.workers()
    for pid in [*workers.values(), daemon.aggregator()]:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT,
                       signal.SIGHUP):
            os.kill(pid, number)
    for _ in range(20):
        assert daemon.post([event()]).status == 202
    assert daemon.workers() == workers
