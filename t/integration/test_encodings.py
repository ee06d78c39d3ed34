# SPDX-License-Identifier: MIT
"""Compressed bodies: stored, refused, far too long, and dear to inflate."""

import contextlib
import functools
import gzip
import json
import random
import select
import struct
import subprocess
import zlib

import pytest

from client import event, request, unique
from cluster import wait_until

MAX_BODY = 10 * 1024 * 1024
TAKEN = "gzip, deflate, zstd"
ORIGIN = "https://shop.example"


# ---- making bodies ----------------------------------------------------------


def zstd(data, *options):
    """By the program, from a pipe: the length is not known at the start."""
    return subprocess.run(["zstd", "-q", "-c", *options], input=data,
                          stdout=subprocess.PIPE, check=True).stdout


def zstd_announced(data):
    """With its length in the frame's header."""
    return zstd(data, "--stream-size=%d" % len(data))


def raw_deflate(data, level=9):
    """Without the header of zlib's format."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def members(data):
    """As gzip's members, one of them empty."""
    half = len(data) // 2
    return (gzip.compress(data[:half]) + gzip.compress(b"") +
            gzip.compress(data[half:]))


def frames(data):
    """As zstd's frames, one to be skipped."""
    half = len(data) // 2
    return (zstd(data[:half]) + b"\x50\x2a\x4d\x18\3\0\0\0abc" +
            zstd_announced(data[half:]))


CODINGS = [
    ("gzip", gzip.compress),
    ("GZip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("gzip", members),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstd),
    ("zstd", zstd_announced),
    ("zstd", frames),
    ("identity", bytes),
    ("", bytes),
    ("", gzip.compress),
    (None, gzip.compress),
]


def name_of(value):
    """For pytest: what a case is called."""
    return getattr(value, "__name__", None)


def batch(*events):
    """A body, not compressed."""
    return json.dumps({"events": events}).encode()


def coded(coding, **headers):
    """Headers of a request with that coding."""
    made = {} if coding is None else {"Content-Encoding": coding}
    made.update({k.replace("_", "-"): v for k, v in headers.items()})
    return made


def in_chunks(body):
    """Chunked framing, in several chunks."""
    size = len(body) // 3 + 1
    parts = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + (
        b"0\r\n\r\n")


def check_problem(answer, status, detail):
    """An error whose reason has these words."""
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/problem+json"
    assert detail in answer.json["detail"], answer
    assert answer.json["error"] == answer.json["detail"]


def stored(daemon):
    """The event_id of every event in the database."""
    return {e["event_id"] for e in daemon.database.events()}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def wire(request, shared_daemon):
    """A connection to the shared daemon, plain or TLS."""
    with shared_daemon.connect(tls=request.param, timeout=20) as connection:
        yield connection


@pytest.fixture
def key(shared_daemon):
    """The demo project's."""
    return shared_daemon.database.keys["proj_demo"]


# ---- stored -----------------------------------------------------------------


@pytest.mark.parametrize("coding, pack", CODINGS, ids=name_of)
def test_every_coding_is_stored(wire, shared_daemon, key, coding, pack):
    """With a key and without, in both framings, on one connection."""
    sent = set()
    for shown in (key, None):
        for framing in ("length", "chunked"):
            sent.add(unique())
            events = [event(event_id=list(sent - stored(shared_daemon))[0])]
            body = pack(batch(*events))
            headers = coded(coding)
            if framing == "chunked":
                headers["Transfer-Encoding"] = "chunked"
                body = in_chunks(body)
            answer = wire.post(body, shown, headers)
            assert answer.status == 202, answer
            assert answer.json["accepted"] == 1
            assert request(wire, "GET", "/health").status == 200
    assert sent <= stored(shared_daemon)


def test_a_beacon_cannot_set_the_header(wire, shared_daemon, key):
    sent = unique()
    answer = request(
        wire, "POST", "/v1/events?api_key=" + key,
        {"Content-Type": "text/plain", "Origin": ORIGIN},
        gzip.compress(batch(event(event_id=sent))))

    assert answer.status == 202, answer
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert sent in stored(shared_daemon)


def test_many_on_one_connection_in_order(wire):
    """Each account is of its own batch, whatever its coding."""
    for i, (coding, pack) in enumerate(CODINGS):
        body = pack(batch(*[event()] * i, *[{}] * (i % 3)))
        head = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
        if coding is not None:
            head += "Content-Encoding: %s\r\n" % coding
        wire.send((head % len(body)).encode() + b"\r\n" + body)
    for i in range(len(CODINGS)):
        answer = wire.response()
        if answer.status == 202:
            assert answer.json["accepted"] == i
            assert answer.json["rejected"] == i % 3
        else:
            assert (answer.status, i) == (401, 0)


@pytest.mark.parametrize("coding, pack", [
    ("gzip", members), ("zstd", frames)], ids=name_of)
def test_byte_by_byte(wire, key, coding, pack):
    body = pack(batch(event()))
    whole = ("POST /v1/events HTTP/1.1\r\nHost: a\r\nX-PG-API-Key: %s\r\n"
             "Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
             % (key, coding, len(body))).encode() + body
    for at in range(len(whole)):
        wire.send(whole[at:at + 1])
    assert wire.response().status == 202


def test_expect_continue(wire, key):
    body = gzip.compress(batch(event()))
    wire.send("POST /v1/events HTTP/1.1\r\nHost: a\r\nX-PG-API-Key: %s\r\n"
              "Content-Encoding: gzip\r\nExpect: 100-continue\r\n"
              "Content-Length: %d\r\n\r\n" % (key, len(body)))
    assert wire.response(interim=True).status == 100
    wire.send(body)
    assert wire.response().status == 202


# ---- refused ----------------------------------------------------------------


@pytest.mark.parametrize("coding", [
    "br", "compress", "gzip, gzip", "gzip,identity", "gzip;q=1", "*",
    "aws-chunked"])
def test_other_codings_are_415_and_told_which_are_taken(wire, key, coding):
    answer = wire.post(b"x" * 100, key, coded(coding, Origin=ORIGIN))

    check_problem(answer, 415, TAKEN)
    assert answer.header("accept-encoding") == TAKEN
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert answer.header("access-control-allow-credentials") == "true"
    assert wire.end() == "eof"


def test_a_media_type_that_is_not_taken_says_nothing_of_codings(wire, key):
    answer = wire.post(gzip.compress(batch(event())), key,
                       coded("gzip", Content_Type="text/html"))
    check_problem(answer, 415, "application/json")
    assert answer.header("accept-encoding") is None


def test_a_preflight_grants_the_header(wire, key):
    answer = request(wire, "OPTIONS", "/v1/events", {
        "Origin": ORIGIN, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-encoding,x-pg-api-key"})
    assert answer.status == 204
    assert "content-encoding" in answer.header("access-control-allow-headers")
    answer = wire.post(b"x", key, coded("br", Origin=ORIGIN))
    assert answer.status == 415
    assert answer.header("access-control-allow-origin") == ORIGIN


TEXT = batch({"event_id": "spoiled"})


@pytest.mark.parametrize("coding, body, detail", [
    ("gzip", b"", "the gzip body ends too early"),
    ("gzip", gzip.compress(TEXT)[:-1], "the gzip body ends too early"),
    ("gzip", gzip.compress(TEXT)[:20], "the gzip body ends too early"),
    ("gzip", gzip.compress(TEXT) + b"{}", "the gzip body has bytes behind"),
    ("gzip", gzip.compress(TEXT)[:-8] + bytes(8), "the gzip body is damaged"),
    ("gzip", TEXT, "the body is not gzip"),
    (None, gzip.compress(TEXT)[:-1], "the gzip body ends too early"),
    ("deflate", b"", "the deflate body ends too early"),
    ("deflate", zlib.compress(TEXT)[:-1], "the deflate body ends too early"),
    ("deflate", zlib.compress(TEXT) + b"x", "the deflate body has bytes"),
    ("deflate", zlib.compress(TEXT)[:-4] + bytes(4), "is damaged"),
    ("zstd", b"", "the zstd body ends too early"),
    ("zstd", zstd(TEXT)[:-1], "the zstd body ends too early"),
    ("zstd", zstd(TEXT) + b"garbage", "the zstd body has bytes behind"),
    ("zstd", zstd(TEXT)[:-4] + bytes(4), "the zstd body is damaged"),
    ("zstd", TEXT, "the body is not zstd"),
    ("zstd", zstd(bytes(9 << 20), "--ultra", "-22", "--long=24"),
     "a window larger than 8 MB"),
    ("identity", gzip.compress(TEXT), "JSON"),
], ids=lambda value: "" if isinstance(value, bytes) else None)
def test_what_is_not_sound_is_400(wire, key, coding, body, detail):
    answer = wire.post(body, key, coded(coding, Origin=ORIGIN))

    check_problem(answer, 400, detail)
    assert answer.header("access-control-allow-origin") == ORIGIN
    # The framing was sound: the connection lives.
    assert wire.post(gzip.compress(batch(event())), key).status == 202


@pytest.mark.parametrize("coding, pack", CODINGS, ids=name_of)
def test_offsets_are_those_of_the_inflated_text(wire, key, coding, pack):
    text = b'{"events": [{"a": 1}' + b" " * 1000 + b"}"
    plain = wire.post(text, key)
    check_problem(plain, 400, "1020")
    assert wire.post(pack(text), key, coded(coding)).body == plain.body


# ---- limits -----------------------------------------------------------------


@pytest.mark.parametrize("coding, pack", CODINGS[:-4], ids=name_of)
def test_the_longest_text_and_one_byte_more(wire, key, coding, pack):
    text = batch(event())
    text = text[:-1] + b" " * (MAX_BODY - len(text)) + b"}"
    assert wire.post(pack(text), key, coded(coding)).status == 202
    answer = wire.post(pack(text + b" "), key, coded(coding, Origin=ORIGIN))
    check_problem(answer, 413, "the inflated body is longer than 10485760")
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert request(wire, "GET", "/health").status == 200


def test_what_is_received_has_the_limit_too(wire, key):
    wire.send("POST /v1/events HTTP/1.1\r\nHost: a\r\nX-PG-API-Key: %s\r\n"
              "Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
              % (key, MAX_BODY + 1))
    check_problem(wire.response(), 413, "the body is longer than")


# ---- bombs ------------------------------------------------------------------

GIGA = 1 << 30
BEFORE = b'{"events":[{"event_id":"'
BEHIND = b'"}]}'


@functools.lru_cache(maxsize=None)
def filler(byte):
    """A mebibyte of it, and the same as raw deflate to be repeated."""
    data = byte * (1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(data)
    packer.flush(zlib.Z_FULL_FLUSH)
    return data, packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def deflate_bomb(byte, before, behind, check, start):
    """A raw stream of a gibibyte, and a checksum of its text."""
    data, piece = filler(byte)
    start = check(before, start)
    for _ in range(GIGA >> 20):
        start = check(data, start)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    return (head + piece * (GIGA >> 20) + raw_deflate(behind),
            check(behind, start))


@functools.lru_cache(maxsize=None)
def bomb(kind, byte, before, behind):
    """A gibibyte of that byte between these, as small as may be."""
    size = len(before) + GIGA + len(behind)
    if kind.startswith("gzip"):
        raw, crc = deflate_bomb(byte, before, behind, zlib.crc32, 0)
        whole = (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + raw +
                 struct.pack("<II", crc, size))
        # Behind an empty member its length is not at the end.
        return whole + gzip.compress(b"") if kind == "gzip hidden" else whole
    if kind == "deflate":
        raw, adler = deflate_bomb(byte, before, behind, zlib.adler32, 1)
        return b"\x78\x9c" + raw + struct.pack(">I", adler)
    options = ["--stream-size=%d" % size] if kind == "zstd" else []
    with subprocess.Popen(["zstd", "-q", "-c", "-3", *options],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdin.write(before)
        for _ in range(GIGA >> 20):
            p.stdin.write(filler(byte)[0])
        p.stdin.write(behind)
        return p.communicate()[0]


def peak(pid):
    """The most memory the process ever had in use."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields["VmHWM"].split()[0]) * 1024


def is_sanitized(pid):
    """Whether it keeps what it frees, on purpose."""
    with open("/proc/%d/maps" % pid, encoding="ascii") as f:
        return "asan" in f.read()


@contextlib.contextmanager
def peak_within(daemon, size):
    """Its one worker never has more than size beyond what it has now."""
    pid = daemon.workers()[0]
    before = peak(pid)
    yield
    assert daemon.workers()[0] == pid
    assert peak(pid) - before < size or is_sanitized(pid)


@pytest.fixture
def single(make_daemon):
    """A daemon with one worker, which was not asked for anything yet.

    However slow the machine, nothing here is to be too late.
    """
    return make_daemon(workers=1, http={"ack_timeout": "60s"}).start()


@pytest.mark.parametrize("kind, size", [
    # What is received, and nothing else.
    ("gzip", 3 << 20), ("zstd", 1 << 20),
    # A longest body's text, and zstd's window.
    ("gzip hidden", 13 << 20), ("deflate", 13 << 20),
    ("zstd silent", 21 << 20)])
@pytest.mark.parametrize("byte, before, behind", [
    (b"\0", b"", b""), (b" ", BEFORE, BEHIND)], ids=["zeros", "blanks"])
def test_a_bomb_is_413_and_costs_no_memory(
        single, kind, size, byte, before, behind):
    body = bomb(kind, byte, before, behind)
    assert len(body) < 1200000
    coding = kind.split(" ", maxsplit=1)[0]
    key = single.database.keys["proj_demo"]
    with peak_within(single, size):
        for shown, tls in ((key, False), (None, True), (key, True)):
            with single.connect(tls, timeout=20) as wire:
                for _ in range(3):
                    answer = wire.post(body, shown, coded(coding))
                    check_problem(answer, 413, "the inflated body is longer")
                assert wire.post([event()], key).status == 202


def test_a_kilobyte_that_becomes_a_megabyte_is_just_a_body(single):
    """No more can be had of a kilobyte of gzip."""
    body = gzip.compress(bytes(1 << 20))
    assert len(body) < 1100
    with peak_within(single, 4 << 20):
        for _ in range(20):
            check_problem(single.post(body, headers=coded("gzip")), 400,
                          "JSON")


def test_memory_stays_flat_over_many_bodies(single):
    """What the first round takes suffices for all."""
    key = single.database.keys["proj_demo"]
    text = batch(event())
    text = text[:-1] + b" " * (MAX_BODY - len(text)) + b"}"
    bodies = [(coding, pack(text)) for coding, pack in CODINGS[3:9]]

    def round_of_them():
        for coding, body in bodies:
            assert single.post(body, key, headers=coded(
                coding)).status == 202
            assert single.post(body[:-1], key, headers=coded(
                coding)).status == 400

    round_of_them()
    with peak_within(single, 1 << 20):
        for _ in range(5):
            round_of_them()


def small_batch(size):
    """A body whose one event is of about that size."""
    return batch(event(metadata={"text": "x" * size}))


def test_without_memory_it_is_503_and_small_bodies_pass(make_daemon):
    daemon = make_daemon(workers=1, http={
        "max_body": "400k", "max_event": "400k", "body_memory": "1m",
        "retry_after": "7s"}).start()
    key = daemon.database.keys["proj_demo"]
    large = gzip.compress(small_batch(300000))
    assert len(large) < 2000
    assert daemon.post(large, key).status == 202
    greedy = []
    try:
        # Four of 262,144 bytes are the megabyte less 16k each.
        for _ in range(4):
            greedy.append(daemon.connect())
            greedy[-1].send("POST /v1/events HTTP/1.1\r\nHost: a\r\n"
                            "X-PG-API-Key: %s\r\nContent-Length: 262000\r\n"
                            "\r\n" % key)
            greedy[-1].send(b" " * 200000)

        def is_refused():
            return daemon.post(large, key).status == 503

        wait_until(is_refused, 10, "the memory to be used up")
        for coding, pack in CODINGS[:9]:
            answer = daemon.post(pack(small_batch(300000)), key,
                                 headers=coded(coding))
            check_problem(answer, 503, "too many requests")
            assert answer.header("retry-after") == "7"
            assert daemon.post(pack(batch(event())), key,
                               headers=coded(coding)).status == 202
    finally:
        for connection in greedy:
            connection.close()
    wait_until(lambda: daemon.post(large, key).status == 202, 10,
               "the memory to come back")


# ---- what is dear to inflate keeps nobody waiting ---------------------------


def bits(*fields):
    """Fields of (value, width), least significant bit first, as bits."""
    return [value >> i & 1 for value, width in fields for i in range(width)]


@functools.lru_cache(maxsize=None)
def dear(size=MAX_BODY - 4096):
    """Raw deflate that takes seconds: blocks of tables without any text.

    Each has a code of one symbol, the block's end, in 257 lengths: 138 and
    118 zeros (symbol 18), a one, and one distance.
    """
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]
    block = bits((0, 1), (2, 2), (0, 5), (0, 5), (14, 4),
                 *[(1 if s in (18, 1) else 0, 3) for s in order],
                 (1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 1), (0, 1),
                 (0, 1)) * 8
    packed = bytes(sum(bit << i for i, bit in enumerate(block[at:at + 8]))
                   for at in range(0, len(block), 8))
    return packed * (size // len(packed)) + raw_deflate(batch(event()))


def send_dear(connection, key=None):
    """Sends it, whole."""
    shown = "X-PG-API-Key: %s\r\n" % key if key else ""
    connection.send(("POST /v1/events HTTP/1.1\r\nHost: a\r\n%s"
                     "Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n"
                     % (shown, len(dear()))).encode() + dear())


def is_readable(connection):
    """Whether there is an answer."""
    return bool(select.select([connection.socket], [], [], 0)[0])


@pytest.mark.parametrize("tls", [False, True])
def test_others_are_served_meanwhile(single, tls):
    with single.connect(tls, timeout=60) as slow, single.connect() as other:
        send_dear(slow)
        served = 0
        while not is_readable(slow):
            assert request(other, "GET", "/health").status == 200
            assert other.post([event()]).status == 202
            served += 1
        assert slow.response().status == 202
    # In one piece it would have been one, or two.
    assert served >= 10


def test_a_key_goes_before_none(single):
    key = single.database.keys["proj_demo"]
    with (single.connect(timeout=60) as first, single.connect(
            timeout=60) as second, single.connect(timeout=60) as keyed):
        send_dear(first)
        send_dear(second)
        # Both have been read when this is answered.
        assert single.get("/health").status == 200
        assert keyed.post(gzip.compress(batch(event())), key).status == 202
        assert not is_readable(second)
        assert first.response().status == 202
        assert second.response().status == 202


@pytest.mark.parametrize("shown", [True, False], ids=["key", "none"])
def test_a_short_one_goes_before_long_ones(single, shown):
    key = single.database.keys["proj_demo"] if shown else None
    with contextlib.ExitStack() as stack:
        long = [stack.enter_context(single.connect(timeout=60))
                for _ in range(3)]
        for connection in long:
            send_dear(connection, key)
        # All have been read when this is answered.
        assert single.get("/health").status == 200
        assert single.post(gzip.compress(batch(event())), key).status == 202
        assert not is_readable(long[-1])
        for connection in long:
            assert connection.response().status == 202


def test_whoever_waits_too_long_gets_503(make_daemon):
    daemon = make_daemon(workers=1, http={"ack_timeout": "100ms"}).start()
    with daemon.connect(timeout=60) as first, daemon.connect() as second:
        send_dear(first)
        assert daemon.get("/health").status == 200
        answer = second.post(gzip.compress(batch({})))
        check_problem(first.response(), 503, "too many requests")
        # It had its turn when the first had to give up, or not any more.
        assert answer.status in (401, 503)
    # What they had is given back.
    wait_until(lambda: daemon.post(
        gzip.compress(b'{"events":[]}'),
        daemon.database.keys["proj_demo"]).status == 202, 10, "its turn")


def test_a_client_that_leaves_is_nobodys_loss(single):
    with single.connect(timeout=60) as patient:
        with single.connect() as gone:
            send_dear(gone)
        assert patient.post(
            gzip.compress(batch(event())),
            single.database.keys["proj_demo"]).status == 202


def test_a_reload_finishes_what_is_being_inflated(single):
    with single.connect(timeout=60) as wire:
        send_dear(wire)
        assert single.get("/health").status == 200
        single.reload()
        answer = wire.response()
        assert answer.status == 202
        single.wait_log("reload")
    single.wait_ready()


# ---- any bytes --------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_any_bytes_are_answered(wire, key, seed):
    """Spoiled anywhere, a body is answered, and the connection lives."""
    dice = random.Random(seed)
    for coding, pack in CODINGS[:-1]:
        for _ in range(20):
            body = bytearray(pack(batch(event(), event())))
            for _ in range(dice.randint(1, 4)):
                body[dice.randrange(len(body))] = dice.randrange(256)
            status = wire.post(bytes(body), key, coded(coding)).status
            assert status in (202, 400, 413), (coding, bytes(body))
    assert wire.post([event()], key).status == 202
