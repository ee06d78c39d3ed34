# SPDX-License-Identifier: MIT
"""The daemon as an operator meets it: background, signals, log, accounts."""

import array
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from client import event
from cluster import BUILD, clean_environment, wait_until
from daemon import processes_of_session

PIDFD_GETFD = 438

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give a child another account")


def run(daemon, *args, **options):
    """Runs productgraphd with the daemon's configuration."""
    return subprocess.run(
        [BUILD + "/productgraphd", "-c", daemon.conf, *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/",
        env=clean_environment(), check=False, timeout=60, **options)


def steal_socket(pid, which):
    """A copy of a child's socket to the master: "control" or "log".

    Whoever took a child over, or a process that it left behind, has it.
    """
    numbers = sorted(int(n) for n in os.listdir("/proc/%d/fd" % pid))
    libc = ctypes.CDLL(None, use_errno=True)
    found = []
    pidfd = os.pidfd_open(pid)
    for number in numbers:
        if not os.readlink("/proc/%d/fd/%d" % (pid, number)).startswith(
                "socket:"):
            continue
        fd = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
        if fd == -1:
            pytest.skip("may not reach into another process: %s"
                        % os.strerror(ctypes.get_errno()))
        sock = socket.socket(fileno=fd)
        if sock.family == socket.AF_UNIX and \
                sock.type == socket.SOCK_SEQPACKET:
            found.append(sock)
        else:
            sock.close()
    os.close(pidfd)
    # In the order in which the master makes the two.
    control, log = found
    keep, drop = (control, log) if which == "control" else (log, control)
    drop.close()
    return keep


def wait_other_worker(daemon, gone, seconds=10):
    """Waits for a worker 0 that is not the one that is gone."""
    wait_until(lambda: daemon.workers().get(0, gone) != gone, seconds,
               "another worker 0")


def processor_seconds(pid):
    """What a process has used of the processor so far."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- -s ----

@pytest.mark.parametrize("word", ["stop", "quit"])
def test_s_ends_the_daemon(daemon, word):
    assert run(daemon, "-s", word).returncode == 0
    assert daemon.wait() == 0
    daemon.assert_nothing_left()

    again = run(daemon, "-s", word)
    assert again.returncode == 71
    assert "not running" in again.stderr


def test_s_reload_reloads(daemon):
    start = len(daemon.log())
    daemon.configure(http={"max_events": 2})
    assert run(daemon, "-s", "reload").returncode == 0
    daemon.wait_log("reload done", 20, start)
    assert daemon.post([event()] * 3).status == 400


def test_s_reload_refuses_a_file_that_is_not_in_order(daemon):
    start = len(daemon.log())
    daemon.configure(http={"tls_certificate_key": "/nonexistent"})
    done = run(daemon, "-s", "reload")
    assert done.returncode == 78
    assert "/nonexistent" in done.stderr
    assert run(daemon, "-s", "nonsense").returncode == 64
    assert "signal" not in daemon.log()[start:]


@pytest.mark.parametrize("word", ["stop", "quit"])
def test_a_broken_file_keeps_nobody_from_ending_the_daemon(daemon, word):
    daemon.write_conf("no such thing\n")
    done = run(daemon, "-s", word)
    assert done.returncode == 78
    assert "-p file" in done.stderr
    assert daemon.process.poll() is None

    assert run(daemon, "-p", daemon.dir + "/pid", "-s",
               word).returncode == 0
    assert daemon.wait() == 0


def test_p_is_for_s_alone(make_daemon):
    daemon = make_daemon()
    for option in ("-t", "-f"):
        assert run(daemon, "-p", "/x", option).returncode == 64


# ---- the background ----

class Background:
    """The daemon of a configuration, in a session that it made itself."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.pid = 0

    def __enter__(self):
        done = run(self.daemon)
        assert done.returncode == 0, done
        assert done.stderr == ""
        with open(self.daemon.dir + "/pid", encoding="ascii") as f:
            self.pid = int(f.read())
        return self

    def __exit__(self, *exception):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes(), 5, "its end")

    def processes(self):
        """{pid: title}."""
        return processes_of_session(self.pid)


def test_the_command_returns_when_the_daemon_serves(make_daemon):
    daemon = make_daemon()
    daemon.configure(log_file=daemon.dir + "/own.log")
    with Background(daemon) as background:
        # Up is up: nothing is waited for.
        assert daemon.get("/health").status == 200
        titles = sorted(background.processes().values())
        assert len(titles) == 4
        assert "master" in titles[1]
        for pid in background.processes():
            assert os.readlink("/proc/%d/cwd" % pid) == "/"
            for number in range(3):
                assert os.readlink("/proc/%d/fd/%d" % (
                    pid, number)) == "/dev/null"
        with open(daemon.dir + "/own.log", encoding="utf-8") as f:
            text = f.read()
        assert "ready workers=2" in text

        assert run(daemon, "-s", "quit").returncode == 0
        wait_until(lambda: not background.processes(), 10, "its end")
    assert not os.path.exists(daemon.dir + "/pid")


def test_the_command_says_why_the_daemon_did_not_get_up(make_daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        daemon = make_daemon(http={"listen_plain": [address]})
        daemon.configure(log_file=daemon.dir + "/own.log")
        done = run(daemon)
    assert done.returncode == 71
    assert address in done.stderr
    assert not os.path.exists(daemon.dir + "/pid")


def test_an_ignored_sigchld_does_not_blind_the_master(make_daemon):
    daemon = make_daemon()
    daemon.configure(log_file=daemon.dir + "/own.log")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        daemon.spawn()
    finally:
        signal.signal(signal.SIGCHLD, before)
    daemon.wait_ready()
    gone = daemon.kill_worker(0)
    wait_other_worker(daemon, gone)

    # Nor its check of the configuration.
    daemon.configure(http={"tls_certificate": "/nonexistent"})
    done = subprocess.run(
        ["/bin/sh", "-c", "trap '' CHLD; exec \"$@\"", "sh",
         BUILD + "/productgraphd", "-c", daemon.conf, "-t"],
        capture_output=True, text=True, env=clean_environment(),
        check=False, timeout=60)
    assert done.returncode == 78, done
    assert "/nonexistent" in done.stderr


# ---- the log ----

def test_the_log_file_is_opened_anew(make_daemon):
    daemon = make_daemon()
    path = daemon.dir + "/own.log"
    daemon.configure(log_file=path)
    daemon.start()
    os.rename(path, path + ".1")
    daemon.reload()
    wait_until(lambda: os.path.exists(path), 10, "a new log file")
    daemon.kill_worker(0)
    wait_until(lambda: "was killed by signal 9" in read(path), 10,
               "a line in the new file")
    assert "was killed by signal 9" not in read(path + ".1")


def read(path):
    """All of a text file."""
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_the_log_is_opened_anew_while_a_reload_waits(make_daemon):
    daemon = make_daemon(stop_timeout="30s")
    path = daemon.dir + "/own.log"
    daemon.configure(log_file=path)
    daemon.start()
    with daemon.connect() as slow:
        # It holds a worker of the old generation, and so a third one back.
        slow.send("POST /v1/events HTTP/1.1\r\nHost: a\r\n"
                  "Content-Length: 9\r\n\r\n{")
        assert daemon.get("/health").status == 200
        daemon.reload()
        wait_until(lambda: "reload done" in read(path), 20, "the reload")
        daemon.reload()
        wait_until(lambda: "reload waits" in read(path), 10, "the next")
        os.rename(path, path + ".1")
        daemon.reload()
        wait_until(lambda: os.path.exists(path), 5, "a new log file")
        assert read(path + ".1").count("reload done") == 1


# ---- a child that cannot be started ----

def test_a_worker_without_a_key_waits_for_the_next_reload(make_daemon):
    daemon = make_daemon(workers=1).start()
    key = daemon.directives["http"]["tls_certificate_key"]
    start = len(daemon.log())
    os.rename(key, key + ".away")
    gone = daemon.kill_worker(0)
    daemon.wait_log(r"exited with code 78", 10, start)
    daemon.wait_log("is not started again before the next reload", 10, start)
    daemon.wait_log("no worker is left", 10, start)
    assert daemon.workers() == {}
    assert daemon.process.poll() is None

    os.rename(key + ".away", key)
    daemon.reload()
    wait_other_worker(daemon, gone)
    daemon.wait_ready()
    assert daemon.post([event()]).status == 202


def own_password(daemon):
    """Gives the daemon a password file of its own; returns its path."""
    path = daemon.dir + "/password"
    shutil.copy(daemon.database.cluster.password_file, path)
    os.chmod(path, 0o600)
    text = daemon.render().replace(
        daemon.database.cluster.password_file, path, 1)
    assert path in text.partition("ctl {")[0]
    daemon.write_conf(text)
    return path


def test_an_aggregator_without_a_password_waits_for_the_next_reload(
        make_daemon):
    daemon = make_daemon()
    path = own_password(daemon)
    daemon.start()
    start = len(daemon.log())
    os.rename(path, path + ".away")
    daemon.kill_aggregator()
    daemon.wait_log(r"aggregator\[\d+\] is not started again", 10, start)
    assert daemon.aggregator() is None
    assert daemon.get("/health").status == 200

    os.rename(path + ".away", path)
    daemon.reload()
    daemon.wait_ready()
    assert daemon.post([event()]).status == 202


def test_a_rotated_password_is_read_at_the_next_reload(make_daemon):
    daemon = make_daemon()
    path = own_password(daemon)
    with open(path, encoding="ascii") as f:
        password = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write("not the password\n")
    daemon.spawn()
    daemon.wait_log("password authentication failed", 20)
    before = daemon.aggregator()
    with open(path, "w", encoding="ascii") as f:
        f.write(password)
    daemon.reload()
    daemon.wait_ready()
    assert daemon.aggregator() != before
    assert daemon.post([event()]).status == 202

    # Nothing has changed since, so this one stays.
    before = daemon.aggregator()
    start = len(daemon.log())
    daemon.reload()
    daemon.wait_log("reload done", 20, start)
    assert daemon.post([event()]).status == 202
    assert daemon.aggregator() == before


# ---- accounts ----

ACCOUNTS_WRONG = [
    ("worker unknown", {"worker_user": "no-such-account"},
     '"worker_user": user "no-such-account": no such account'),
    ("aggregator unknown", {"aggregator_user": "no-such-account"},
     '"aggregator_user": user "no-such-account": no such account'),
    ("worker root", {"worker_user": "root"}, "is root"),
    ("aggregator root", {"aggregator_user": "root"}, "is root"),
]


@as_root
@pytest.mark.parametrize("directives,word",
                         [row[1:] for row in ACCOUNTS_WRONG],
                         ids=[row[0] for row in ACCOUNTS_WRONG])
def test_a_wrong_account_is_refused_before_anything_is_done(
        daemon, directives, word):
    processes = daemon.processes()
    start = len(daemon.log())
    daemon.configure(**directives)
    for args in (["-t"], ["-s", "reload"]):
        done = run(daemon, *args)
        assert done.returncode == 78
        assert word in done.stderr
    daemon.reload()
    daemon.wait_log("nothing has changed", 10, start)
    assert word in daemon.log()[start:]
    assert daemon.processes() == processes
    assert daemon.post([event()]).status == 202

    daemon.stop()
    done = run(daemon, "-f")
    assert done.returncode == 78
    assert word in done.stderr


def test_a_certificate_that_nobody_uses_need_not_be_there(make_daemon):
    daemon = make_daemon(http={"listen": [],
                               "tls_certificate": "/nonexistent"})
    assert run(daemon, "-t").returncode == 0
    daemon.start()
    assert daemon.post([event()]).status == 202


# ---- a child that was taken over ----

HOSTILE = [
    ("short", b"\1"),
    ("long", b"\1\0\0\0\1\0\0\0" * 2),
    ("version", array.array("I", [99, 1]).tobytes()),
    ("kind", array.array("I", [1, 99]).tobytes()),
    ("a master's word", array.array("I", [1, 3]).tobytes()),
    ("started again", array.array("I", [1, 1]).tobytes()),
]


@pytest.mark.parametrize("message", [row[1] for row in HOSTILE],
                         ids=[row[0] for row in HOSTILE])
def test_a_child_that_talks_nonsense_is_replaced(make_daemon, message):
    daemon = make_daemon(workers=1).start()
    gone = daemon.workers()[0]
    with steal_socket(gone, "control") as control:
        control.send(message)
        daemon.wait_log(r"worker 0\[%d\] sent what is no message of ours"
                        % gone)
        wait_other_worker(daemon, gone)
    daemon.wait_ready()
    assert daemon.post([event()]).status == 202


def test_a_log_that_somebody_keeps_open_does_not_hold_the_master(
        make_daemon):
    daemon = make_daemon(workers=1).start()
    with steal_socket(daemon.workers()[0], "log") as log:
        log.send(b"\2from beyond")
        gone = daemon.kill_worker(0)
        wait_other_worker(daemon, gone)
        daemon.wait_log(r"worker 0\[%d\]: from beyond" % gone)
        before = processor_seconds(daemon.master)
        began = time.monotonic()
        for _ in range(20):
            assert daemon.get("/health").status == 200
        assert daemon.post([event()]).status == 202
        assert processor_seconds(daemon.master) - before < \
            0.5 + (time.monotonic() - began) / 2
        # Nobody listens there any longer.
        with pytest.raises(BrokenPipeError):
            log.send(b"\2again")


# ---- the end ----

def test_quit_takes_its_deadline_once(make_daemon):
    daemon = make_daemon(stop_timeout="4s").start()
    aggregator = daemon.aggregator()
    with daemon.connect() as slow:
        # Neither a worker nor, behind it, the aggregator gets done.
        slow.send("POST /v1/events HTTP/1.1\r\nHost: a\r\n"
                  "Content-Length: 9\r\n\r\n{")
        assert daemon.get("/health").status == 200
        os.kill(aggregator, signal.SIGSTOP)
        began = time.monotonic()
        assert daemon.stop(signal.SIGQUIT) == 0
        # Each on its own would make 4 + 4; 2 are the aggregator's grace.
        assert 4 + 2 - 1 < time.monotonic() - began < 4 + 2 + 1.5
    daemon.assert_nothing_left()


def test_quit_during_the_start_is_no_failed_start(make_daemon):
    daemon = make_daemon()
    daemon.spawn()
    daemon.wait_log("starting workers")
    daemon.send(signal.SIGQUIT)
    assert daemon.wait() == 0
    assert "not up after" not in daemon.log()
