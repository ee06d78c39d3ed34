# SPDX-License-Identifier: MIT
"""What each process can reach: accounts, descriptors, memory, environment."""

import os
import re
import subprocess

import pytest

from client import event, unique
from cluster import BUILD

SECRET = "not-for-workers-%s" % unique()

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give a child another account")


def sanitized():
    """Whether the program under test was built with --enable-asan."""
    version = subprocess.run([BUILD + "/productgraphd", "-V"], check=True,
                             capture_output=True, text=True).stdout
    return "sanitizers address" in version


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1)
                    for line in f if ":\t" in line)


def targets(pid):
    """What the descriptors of a process lead to: {number: (target, mode)}."""
    found = {}
    for number in os.listdir("/proc/%d/fd" % pid):
        path = "/proc/%d/fd/%s" % (pid, number)
        with open("/proc/%d/fdinfo/%s" % (pid, number),
                  encoding="utf-8") as f:
            flags = int(re.search(r"flags:\s+(\d+)", f.read()).group(1), 8)
        found[int(number)] = (os.readlink(path), flags & 3)
    return found


def memory_of(pid):
    """Every byte a process can read that is its own or shared."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "[vvar" in line \
                    or "[vsyscall" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            # What a sanitizer reserves for its shadow is not memory.
            if end - start > 1 << 31:
                continue
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue


@as_root
def test_children_run_under_accounts_of_their_own(shared_daemon):
    worker = status_of(shared_daemon.workers()[0])
    aggregator = status_of(shared_daemon.aggregator())

    uids = [set(s["Uid"].split()) for s in (worker, aggregator)]
    assert all(len(uid) == 1 for uid in uids)
    assert {"0"} not in uids
    assert uids[0] != uids[1]
    for status in (worker, aggregator):
        assert "0" not in status["Groups"].split()
        assert status["Gid"].split()[0] != "0"
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"


@as_root
def test_a_worker_holds_no_database_credential(database, make_daemon):
    daemon = make_daemon()
    with open(database.cluster.password_file, encoding="utf-8") as f:
        password = f.readline().strip().encode()
    assert len(password) >= 8
    inherited = daemon.environment()
    daemon.environment = lambda: {
        **inherited, "PGPASSWORD": SECRET, "PGUSER": "nobody"}
    daemon.start()
    assert daemon.post([event()]).status == 202
    worker = daemon.workers()[0]

    # The aggregator does hold it, so the search can find it.
    assert any(password in m for m in memory_of(daemon.aggregator()))
    for memory in memory_of(worker):
        assert password not in memory
        # The sanitizers' runtime keeps a copy of the environment it found.
        assert sanitized() or SECRET.encode() not in memory
    for pid in (worker, daemon.aggregator()):
        with open("/proc/%d/environ" % pid, "rb") as f:
            environment = f.read()
        assert b"PGPASSWORD" not in environment
        assert SECRET.encode() not in environment


def test_a_worker_holds_only_its_own_descriptors(shared_daemon):
    found = targets(shared_daemon.workers()[0])
    sockets = [n for n, (t, _) in found.items() if t.startswith("socket:")]

    # Control, log, and the two listening sockets.
    assert len(sockets) == 4, found
    for number, (target, mode) in found.items():
        # But for standard error, inherited in the foreground, no file can
        # be written.
        assert number <= 2 or mode == os.O_RDONLY or \
            target.startswith(("socket:", "anon_inode:", "pipe:")), \
            (target, mode)
    # No ring, no key table is left to map anew.
    assert not [t for t, _ in found.values() if "memfd" in t]


def test_a_worker_maps_one_ring_and_reads_the_key_table(shared_daemon):
    with open("/proc/%d/maps" % shared_daemon.workers()[0],
              encoding="utf-8") as f:
        maps = [line.split() for line in f if "/memfd:productgraph" in line]

    assert len({m[4] for m in maps if "ring" in m[5]}) == 1
    assert {m[1] for m in maps if "keys" in m[5]} == {"r--s"}


def test_children_have_no_directory_of_their_own(shared_daemon):
    for pid in (shared_daemon.workers()[0], shared_daemon.aggregator()):
        assert os.readlink("/proc/%d/cwd" % pid) == "/"
