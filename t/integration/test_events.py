# SPDX-License-Identifier: MIT
"""Bodies and events: what is stored of them, and what is said of the rest.

The numbers in the names are rows of the table of bad input; the fields are the
contract's.  Everything goes through the real daemon into PostgreSQL.
"""

import json
import random

import pytest

from client import event, unique
from cluster import wait_until

FFFD = "\ufffd"


class Sender:
    """Posts to the daemon, plain or over TLS, and looks up what is stored."""

    def __init__(self, daemon, tls):
        self.daemon = daemon
        self.database = daemon.database
        self.key = daemon.database.keys["proj_demo"]
        self.tls = tls

    def post(self, body, key=None):
        """Posts a list of events or a body."""
        return self.daemon.post(body, key=key or self.key, tls=self.tls)

    def accepted(self, body, n=1):
        """Posts what must be accepted whole."""
        answer = self.post(body)
        assert answer.status == 202, answer
        assert answer.json == {"accepted": n, "rejected": 0, "errors": []}

    def refused(self, body):
        """Posts what must be a 400, beside an event that is in order."""
        answer = self.post(body)
        assert answer.status == 400, answer
        assert answer.header("Content-Type") == "application/problem+json"
        assert answer.json["error"] == answer.json["detail"]
        return answer.json["detail"]

    def rejected(self, raw, field, message):
        """Posts an event of raw JSON text between two that are in order."""
        before, after = event(), event()
        body = b'{"events":[%s,%s,%s]}' % (
            json.dumps(before).encode(), raw, json.dumps(after).encode())
        answer = self.post(body)
        assert answer.status == 202, answer
        assert answer.json["accepted"] == 2, answer.json
        assert answer.json["rejected"] == 1
        (error,) = answer.json["errors"]
        assert error["index"] == 1
        assert error["field"] == field
        assert error["error"] == "%s: %s" % (field, message)
        assert self.row(before) and self.row(after)
        return error

    def row(self, sent, columns="*"):
        """The only row of an event, by its id."""
        rows = self.database.query(
            "SELECT %s FROM events WHERE event_id = '%s'" % (
                columns, sent["event_id"]))
        assert len(rows) == 1, rows
        return rows[0]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def sender(request, shared_daemon):
    """A Sender on either kind of port."""
    return Sender(shared_daemon, request.param)


def raw(sent=None, *members):
    """An event as JSON text, with members of raw text behind its own."""
    parts = [json.dumps(sent or event())[1:-1].encode()]
    parts += [m if isinstance(m, bytes) else m.encode() for m in members]
    return b"{" + b",".join(parts) + b"}"


def batch(*events):
    """A body around events of raw text."""
    return b'{"events":[' + b",".join(events) + b"]}"


# ---- the body ----

@pytest.mark.parametrize("body, offset", [
    (b"", 0),
    (b" \r\n\t", 4),
    (b'{"events":', 10),
    (b'{"events":[{"event_id":"x', 25),
    (b'{"events":[]', 12),
])
def test_26_no_document(sender, body, offset):
    assert sender.refused(body).startswith(
        "invalid JSON at byte %d: " % offset)


FORBIDDEN = [
    b"NaN", b"Infinity", b"-Infinity", b"'a'", b"\"a\tb\"", b"\"a\nb\"",
    b"\"\x00\"", b"\"\x1f\"", b"-01", b"01", b"2.", b".5", b"-.5", b"0.e1",
    b"+1", b"0x1", b"1e", b"[1,]", b"[,1]", b"[1 2]", b"{\"a\":1,}",
    b"{,}", b"{a:1}", b"{\"a\"}", b"{\"a\":}", b"{\"a\":1}}", b"[1}",
    b"TRUE", b"nul", b"undefined", b"\"\\x41\"", b"\"\\u12\"", b"\"\\'\"",
    b"// c\n1", b"/* c */ 1", b"\xc2\xa01", b"\x0b1", b"",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_27_what_rfc_8259_forbids(sender, text):
    sent = event()

    detail = sender.refused(
        batch(raw(sent, b'"metadata":{"v":' + text + b"}")))

    assert detail.startswith("invalid JSON at byte ")
    assert sender.database.events(
        "event_id = '%s'" % sent["event_id"]) == []


ALLOWED = [
    "0", "-0", "-0.0e-0", "1.5", "1E5", "1e+5", "12345678901234567890123",
    '""', '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00aF"', '"\x7f"', '"\\ud83d\\ude00"',
    '"\u00e4\u20ac\U0001f600\U0010ffff\ud7ff\ue000\uffff"', "[]", "[ ]",
    "{}", '{"":{}}', "true", "false", "null", '[1,[2,[3,{"a":[null]}]]]',
    '"\\\\u0000"', '"\\ufffe"', " [ 1 ,\t2\r,\n3 ] ",
]


def test_28_what_rfc_8259_allows(sender):
    sent = [event() for _ in ALLOWED]

    sender.accepted(
        batch(*(raw(e, '"metadata":{"v":%s}' % text, '"w":%s' % text)
                for e, text in zip(sent, ALLOWED))), len(sent))

    for e, text in zip(sent, ALLOWED):
        row = sender.row(
            e, "metadata = $j${\"v\":%s}$j$::jsonb AS metadata,"
            " coalesce(attributes, '{\"w\":null}') ="
            " $j${\"w\":%s}$j$::jsonb AS others" % (text, text))
        assert row == {"metadata": True, "others": True}, text


@pytest.mark.parametrize("field", ["metadata", "page.title", "x"])
@pytest.mark.parametrize("depth", [33, 20000])
def test_29_depth(sender, field, depth):
    pairs = depth // 2
    text = ('{"a":[' * pairs + "{" * (depth % 2) + "}" * (depth % 2)
            + "]}" * pairs)
    sender.rejected(raw(None, '"%s":%s' % (field, text)), field,
                    "nested deeper than 32")


def test_29_depth_that_breaks_a_parser(sender):
    text = "[" * 100000 + "]" * 100000
    sender.rejected(raw(None, '"x":' + text), "event",
                    "longer than 102400 bytes")


def test_29_greatest_depth(sender):
    sent = event()
    text = '{"a":' + "[" * 31 + "]" * 31 + "}"

    sender.accepted(batch(raw(sent, '"metadata":' + text)))

    assert json.dumps(sender.row(sent)["metadata"]).count("[") == 31


def test_29_members(sender):
    many = ",".join('"m%d":%d' % (i, i) for i in range(1001))
    most = event(metadata={"m%d" % i: i for i in range(1000)})

    sender.rejected(raw(None, many), "event", "more than 1000 members")
    sender.rejected(raw(None, '"metadata":{%s}' % many), "metadata",
                    "more than 1000 members")
    sender.accepted([most])
    assert sender.row(most)["metadata"] == most["metadata"]


@pytest.mark.parametrize("value", ["1" * 1000000, '"%s"' % ("a" * 1000000)])
def test_29_a_megabyte(sender, value):
    sender.rejected(raw(None, '"metadata":{"v":%s}' % value), "event",
                    "longer than 102400 bytes")


def test_29_longest_event(sender):
    sent = event(page__title="")
    sent["page.title"] = "x" * (102400 - len(raw(sent)))

    sender.accepted(batch(raw(sent)))
    assert sender.row(sent)["page_title"] == sent["page.title"]
    sender.rejected(raw(sent, '"x":1'), "event", "longer than 102400 bytes")


@pytest.mark.parametrize("body, detail", [
    (b"1", "the body is not an object"),
    (b"null", "the body is not an object"),
    (b'"events"', "the body is not an object"),
    (b"[]", "the body is not an object"),
    (b"{}", '"events" is missing'),
    (b'{"event":[]}', '"events" is missing'),
    (b'{"events":{}}', '"events" is not an array'),
    (b'{"events":null}', '"events" is not an array'),
])
def test_30_not_a_batch(sender, body, detail):
    assert sender.refused(body) == detail


@pytest.mark.parametrize("text", ["1", "null", '"a"', "[]", "[{}]", "true"])
def test_30_not_an_event(sender, text):
    error = sender.rejected(text.encode(), "event", "not an object")
    assert error["event_id"] is None


def test_31_last_of_duplicates_wins(sender):
    sent = event()

    sender.accepted(batch(raw(
        sent, '"page.title":1', '"page.title":"last"', '"x":1', '"x":2',
        '"metadata":{"a":1}', '"metadata":{"b":1,"b":2}', '"y":1', '"y":null',
        '"page.path":"/"', '"page.path":null')))

    row = sender.row(sent)
    assert row["page_title"] == "last"
    assert row["metadata"] == {"b": 2}
    assert row["attributes"] == {"x": 2}
    assert row["page_path"] is None


def test_31_last_events_win(sender):
    first, last = event(), event()

    sender.accepted(b'{"events":[%s],"events":[%s]}' % (raw(first), raw(last)))

    assert sender.row(last)
    assert sender.database.events(
        "event_id = '%s'" % first["event_id"]) == []


def test_32_no_name_is_cut_short(sender):
    sent = event()

    sender.accepted(batch(raw(
        sent, '"org_id\\u0000x":"evil"', '"event_id\\u0000":"evil"',
        '"session.id\\u0000":"evil"')))

    row = sender.row(sent)
    assert row["session_id"] == sent["session.id"]
    assert row["attributes"] == {
        "org_id%sx" % FFFD: "evil", "event_id" + FFFD: "evil",
        "session.id" + FFFD: "evil"}


@pytest.mark.parametrize("text, stored", [
    (r"a\u0000b", "a%sb" % FFFD),
    (r"\u0000", FFFD),
    (r"\\u0000", r"\u0000"),
    (r"\\\u0000", "\\" + FFFD),
    (r"\ud800", FFFD),
    (r"\udc00x", FFFD + "x"),
    (r"\ude00\ud83d", FFFD + FFFD),
    (r"\ud83d\ud83d\ude00", FFFD + "\U0001f600"),
    (r"\ud83d\u0041", FFFD + "A"),
    (r"\ud83d\n", FFFD + "\n"),
])
def test_33_34_what_cannot_be_stored_is_replaced(sender, text, stored):
    sent = event()

    sender.accepted(batch(raw(
        sent, '"page.title":"%s"' % text, '"x":["%s"]' % text,
        '"metadata":{"v":{"%s":"%s"}}' % (text, text))))

    row = sender.row(sent)
    assert row["page_title"] == stored
    assert row["metadata"] == {"v": {stored: stored}}
    assert row["attributes"] == {"x": [stored]}


NOT_UTF8 = [b"\xff", b"\x80", b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf",
            b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"]


@pytest.mark.parametrize("text", NOT_UTF8)
def test_35_not_utf8(sender, text):
    for field, value in (("page.title", b'"a%sb"'), ("event_id", b'"%s"'),
                         ("metadata", b'{"a":["%s"]}'),
                         ("metadata", b'{"%s":1}'), ("x", b'"%s"')):
        sender.rejected(
            raw(None, b'"%s":%s' % (field.encode(), value % text)), field,
            "not valid UTF-8")
    sender.rejected(raw(None, b'"a%s":1' % text), "event", "not valid UTF-8")


def test_35_byte_order_mark(sender):
    assert sender.refused(b"\xef\xbb\xbf" + batch(raw())) == \
        "invalid JSON at byte 0: a byte order mark"


@pytest.mark.parametrize("text", [
    "1e309", "-1e309", "1.8e308", "1e131071", "1e131072", "1e-325",
    "1e-20000", "1e999999999", "0e999999999", "1e99999999999999999999",
    "9" * 310, "0." + "1" * 16384,
])
def test_36_far_numbers(sender, text):
    for field, value in (("metadata", '{"a":%s}'), ("page.title", "%s"),
                         ("x", "[%s]")):
        sender.rejected(raw(None, '"%s":%s' % (field, value % text)), field,
                        "number out of range")
    if not text.startswith("0."):
        sender.rejected(raw(None, '"event.sequence":' + text),
                        "event.sequence", "out of range")
        sender.rejected(raw(None, '"duration_ms":' + text), "duration_ms",
                        "out of range")


@pytest.mark.parametrize("text", [
    "18446744073709551616", "-9223372036854775809",
    "0.1234567890123456789012345678901234567890", "1.50",
    "100000000000000000000.10",
    "0." + "1" * 16383, "9" * 308,
])
def test_36_digits_are_kept(sender, text):
    sent = event()

    sender.accepted(batch(raw(
        sent, '"metadata":{"v":%s}' % text, '"x":%s' % text)))

    row = sender.row(
        sent, "metadata ->> 'v' AS metadata, attributes ->> 'x' AS others")
    assert row == {"metadata": text, "others": text}


@pytest.mark.parametrize("text", ["1e308", "1e-324", "-1.7e308", "0e-300"])
def test_36_greatest_exponents(sender, text):
    sent = event()
    sender.accepted(batch(raw(sent, '"metadata":{"v":%s}' % text)))
    assert sender.row(
        sent, "(metadata -> 'v')::numeric = '%s' AS same" % text)["same"]


@pytest.mark.parametrize("behind", [b"x", b"{}", b"\x00", b" \x00junk", b"]",
                                    b'{"events":[]}'])
def test_37_behind_the_end(sender, behind):
    body = batch(raw())
    detail = sender.refused(body + behind)
    assert detail.startswith("invalid JSON at byte ")


# ---- required fields ----

@pytest.mark.parametrize("field", ["event_id", "project_id", "session.id",
                                   "event.type", "event.timestamp"])
def test_38_required(sender, field):
    sent = event()
    without = {k: v for k, v in sent.items() if k != field}
    null = dict(sent, **{field: None})

    for e in (without, null):
        error = sender.rejected(raw(e), field, "required")
        assert error["event_id"] == (
            None if field == "event_id" else sent["event_id"])


@pytest.mark.parametrize("field", ["event_id", "session.id", "project_id"])
def test_38_identifiers(sender, field):
    sender.rejected(raw(None, '"%s":""' % field), field, "must not be empty")
    sender.rejected(raw(None, '"%s":"%s"' % (field, "x" * 256)), field,
                    "longer than 255 characters")
    sender.rejected(raw(None, '"%s":"%s"' % (field, "\u20ac" * 256)), field,
                    "longer than 255 characters")
    for value in ("1.5", "true", "{}", "[]"):
        sender.rejected(raw(None, '"%s":%s' % (field, value)), field,
                        "not a string or an integer")


def test_38_longest_identifiers(sender):
    for character in ("x", "\u20ac", "\U0001f600"):
        start = unique()
        sent = event(event_id=start + character * (255 - len(start)),
                     session__id=character * 255, user__id=character * 255)
        sender.accepted([sent])
        row = sender.row(sent)
        assert row["session_id"] == row["user_id"] == character * 255


def test_38_an_integer_is_an_identifier(sender):
    number = random.getrandbits(62)
    sent = event(event_id=number, session__id=-7, user__id=10 ** 30)

    sender.accepted([sent])

    row = sender.row(sent)
    assert row["session_id"] == "-7"
    assert row["user_id"] == str(10 ** 30)


@pytest.mark.parametrize("value, message", [
    ('"infinity"', "no date as yyyy-mm-dd"),
    ('"300000-01-01T00:00:00Z"', "no date as yyyy-mm-dd"),
    ('"0000-01-01T00:00:00Z"', "year out of range"),
    ('"2023-02-29T00:00:00Z"', "day out of range"),
    ('"2024-01-15T10:30:00"', "no time zone"),
    ('"2024-01-15T10:30:61Z"', "second out of range"),
    ('"2024-01-15"', "no time behind the date"),
    ('""', "no date as yyyy-mm-dd"),
    ("1705314600", "not a string"),
    ("null", "required"),
])
def test_39_no_timestamp(sender, value, message):
    sender.rejected(raw(None, '"event.timestamp":' + value),
                    "event.timestamp", message)


@pytest.mark.parametrize("value, stored", [
    ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15t10:30:00z", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15 10:30:00Z", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15T12:00:00+01:30", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15T12:00:00+0130", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15T09:30:00-01", "2024-01-15T10:30:00+00:00"),
    ("2024-01-15T10:30:00.1Z", "2024-01-15T10:30:00.1+00:00"),
    ("2024-01-15T10:30:00.123456789Z", "2024-01-15T10:30:00.123456+00:00"),
    ("2016-12-31T23:59:60Z", None),
    ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
])
def test_39_timestamps(sender, value, stored):
    sent = event(event__timestamp=value)

    sender.accepted([sent])

    row = sender.row(sent)
    if stored is None:
        # The next second; near or far, it is stored as one or the other.
        stored = "2017-01-01T00:00:00+00:00"
        assert stored in (row["timestamp"], row["client_timestamp"])
    else:
        assert row["timestamp"] == stored
        assert row["client_timestamp"] is None


@pytest.mark.parametrize("value, stored", [
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ("2999-01-01T00:00:00.5Z", "2999-01-01T00:00:00.5+00:00"),
    ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
])
def test_39_far_timestamps(sender, value, stored):
    sent = event(event__timestamp=value)

    sender.accepted([sent])

    row = sender.row(sent)
    assert row["client_timestamp"] == stored
    assert row["timestamp"] == row["received_at"]


@pytest.mark.parametrize("offset, near", [
    ("59 minutes", True), ("61 minutes", False), ("10 years", False),
    ("-3649 days", True), ("-3651 days", False),
])
def test_39_how_far(sender, offset, near):
    value = sender.database.value(
        "SELECT to_char((now() + '%s') AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS t" % offset)
    sent = event(event__timestamp=value)

    sender.accepted([sent])

    row = sender.row(sent)
    assert (row["client_timestamp"] is None) == near
    assert (row["timestamp"] == row["received_at"]) == (not near)


# ---- batches ----

def test_40_none(sender):
    sender.accepted([], 0)


def test_40_most_and_more(sender):
    session = unique("sess")
    sent = [event(session__id=session) for _ in range(1000)]

    sender.accepted(sent, 1000)
    assert sender.database.value(
        "SELECT count(*) FROM events WHERE session_id = '%s'"
        % session) == 1000
    assert sender.refused(json.dumps({"events": sent + [event()]})) == \
        "more than 1000 events"


def test_40_one_bad_of_a_thousand(sender):
    session = unique("sess")
    sent = [event(session__id=session) for _ in range(1000)]
    sent[500]["event.type"] = "no.such"

    answer = sender.post(sent)

    assert answer.status == 202
    assert answer.json == {"accepted": 999, "rejected": 1, "errors": [{
        "index": 500, "event_id": sent[500]["event_id"],
        "field": "event.type",
        "error": 'event.type: unknown type "no.such"; '
                 'use "custom" with event.name'}]}
    assert {row["event_id"] for row in sender.database.events(
        "session_id = '%s'" % session)} == {
            e["event_id"] for e in sent if e is not sent[500]}


def test_40_every_fault_has_its_own_line(sender):
    answer = sender.post(b'{"events":[1,{},{"event_id":"a\\"b\\u0001"}]}')

    assert answer.status == 202
    assert answer.json == {"accepted": 0, "rejected": 3, "errors": [
        {"index": 0, "event_id": None, "field": "event",
         "error": "event: not an object"},
        {"index": 1, "event_id": None, "field": "project_id",
         "error": "project_id: required"},
        {"index": 2, "event_id": 'a"b\x01', "field": "project_id",
         "error": "project_id: required"}]}


STRINGS = [
    "undefined", "NULL", "null", "\\N", "\\.", "\\", "\\\\N", "\t", "\n",
    "\r\n", " ", "  leading and trailing  ", "a,b;c\td", '"quoted"', "'",
    "''", "'; DROP TABLE events; --", "1; SELECT pg_sleep(1)", "$$", "%s%n%x",
    "<script>alert(1)</script>", "&lt;&amp;", "${jndi:ldap://x}", "../../etc",
    "=1+1", "@SUM(1)", "{}", "[]", "0", "-1", "1e309", "NaN", "true", "\x01",
    "\x08\x0c", "\x1f\x7f", "\x80\x9f", "\xa0", "\xad", "\u200b\u200e\u202e",
    "\ufeffmark", "\u2028\u2029", "\ufffd\ufffe\uffff", "\u2400\u2401",
    "\u00e4\u0061\u0308", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u05d0\u05d1\u05d2 abc \u202eabc", "\u7530\u4e2d\u3055\u3093",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    # (psql, which reads them back, leaves U+10FFFF out)
    "\U0001f1e9\U0001f1ea", "\U00020000\U0002fa1d",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033da\u034f", "x" * 15000,
    "\U0001f600" * 1000, "\\\"" * 1000, "\x01" * 1000,
]


def test_41_strings(sender):
    sent = [event(page__title=s, ui__state__before=s, metadata={s: s}, x=s)
            for s in STRINGS]

    for escaped in (False, True):
        for e in sent:
            e["event_id"] = unique()
        for first in range(0, len(sent), 20):
            part = sent[first:first + 20]
            sender.accepted(json.dumps(
                {"events": part}, ensure_ascii=escaped).encode(), len(part))
        for e, text in zip(sent, STRINGS):
            row = sender.row(e)
            assert row["page_title"] == text
            assert row["ui_state_before"] == text
            assert row["metadata"] == {text: text}
            assert row["attributes"] == {"x": text}


def test_41_long_names(sender):
    sent = event(**{"n" * 90000: 1})
    sender.accepted([sent])
    assert sender.row(sent)["attributes"] == {"n" * 90000: 1}


# ---- whose event it is ----

def test_42_keys(sender):
    database = sender.database
    revoked = database.create_key("demo", "proj_demo")

    for key in ("x", "pgk_", "pgk_" + "A" * 43, "A" * 8192,
                sender.key[:-1], sender.key + "A"):
        answer = sender.post([event()], key=key)
        assert answer.status == 401, key
        assert answer.header("WWW-Authenticate")
    wait_until(lambda: sender.post([event()], key=revoked).status == 202,
               what="the new key")
    database.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE id ="
        " (SELECT id FROM api_keys ORDER BY created_at DESC LIMIT 1)")
    wait_until(lambda: sender.post([event()], key=revoked).status == 401, 2,
               "the end of the revoked key")


def test_42_without_a_key(sender):
    sent = event()
    post = sender.daemon.post

    answer = post([sent], tls=sender.tls)
    assert answer.status == 202
    assert answer.json["accepted"] == 1
    assert sender.row(sent)
    for project in ("shop", "rival", "nobody", "", None, 5):
        answer = post([event(project_id=project)], tls=sender.tls)
        assert answer.status == 401, project
    assert post([], tls=sender.tls).status == 202


def test_42_without_a_key_the_first_project_decides(sender):
    nameless, good = event(project_id=None), event()
    others = event(project_id="shop")

    answer = sender.daemon.post([nameless, good, others], tls=sender.tls)

    assert answer.status == 202
    assert answer.json["accepted"] == 1
    assert [e["error"] for e in answer.json["errors"]] == [
        "project_id: required",
        "project_id: not the project of this batch"]
    assert sender.daemon.post(
        [others, good], tls=sender.tls).status == 401


def test_43_another_project(sender):
    database = sender.database
    ids = {row["slug"]: row["id"] for row in database.query(
        "SELECT slug, id FROM projects")}

    for project in ("shop", "rival", "nobody", ids["shop"], ids["rival"],
                    "PROJ_DEMO", "proj_demo ", "00000000-0000-0000-0000-"
                    "000000000000"):
        sender.rejected(raw(event(project_id=project)), "project_id",
                        "not the project of this API key")
    for project in (ids["proj_demo"], ids["proj_demo"].upper()):
        sent = event(project_id=project)
        sender.accepted([sent])
        assert sender.row(sent)["project_id"] == ids["proj_demo"]


def test_43_the_newer_name(sender):
    sent = event(project_id=None, product_id="proj_demo")
    both = event(product_id="proj_demo")

    sender.accepted([sent, both], 2)
    assert sender.row(sent)["attributes"] is None
    sender.rejected(raw(event(product_id="shop")), "product_id",
                    "differs from project_id")
    sender.rejected(raw(event(project_id=None, product_id="shop")),
                    "product_id", "not the project of this API key")


def test_43_the_tenant_is_the_keys(sender):
    sent = event(org__id="other", org__name="Other", org_id="x",
                 received_at="2020-01-01T00:00:00Z", session_key=5)

    sender.accepted([sent])

    row = sender.row(sent)
    assert row["org_id"] == sender.database.value(
        "SELECT id FROM organizations WHERE slug = 'demo'")
    assert row["user_org_id"] == "other"
    assert row["user_org_name"] == "Other"
    assert row["attributes"] == {
        "org_id": "x", "received_at": "2020-01-01T00:00:00Z",
        "session_key": 5}
    assert not row["received_at"].startswith("2020")


# ---- the fields ----

IDENTIFIERS = {
    "user.id": "user_id", "user.anonymous_id": "anonymous_id",
    "org.id": "user_org_id", "gen_ai.journey.id": "journey_id",
    "gen_ai.journey.step.id": "journey_step_id",
}
SHORT = {
    "org.name": "user_org_name", "event.name": "event_name",
    "gen_ai.journey.step.name": "journey_step_name",
    "gen_ai.journey.conversion.status": "conversion_status",
}
TEXTS = {name: name.replace(".", "_") for name in (
    "page.path", "page.title", "page.url", "page.referrer",
    "ui.component.name", "ui.component.path", "ui.component.type",
    "ui.action", "ui.element", "ui.element.text", "ui.viewport",
    "ui.state.key", "ui.state.before", "ui.state.after",
    "ui.state.change_type", "api.method", "api.path", "error.type",
    "error.message", "error.stack", "error.component", "snapshot.url",
    "snapshot.viewport", "device.viewport")}
REALS = {name: name.replace(".", "_") for name in (
    "ui.scroll.position", "api.duration_ms", "duration_ms",
    "performance.lcp_ms", "performance.fid_ms", "performance.inp_ms",
    "performance.cls", "performance.ttfb_ms")}


def test_every_field(sender):
    sent = event(event__sequence=7, api__status_code=200,
                 metadata={"a": [1]}, other={"b": None})
    names = {**IDENTIFIERS, **SHORT, **TEXTS}
    sent.update({name: "value of " + name for name in names})
    sent.update({name: i + 0.25 for i, name in enumerate(REALS)})

    sender.accepted([sent])

    row = sender.row(sent)
    for name, column in names.items():
        assert row[column] == "value of " + name
    for i, column in enumerate(REALS.values()):
        assert row[column] == i + 0.25
    assert row["sequence"] == 7
    assert row["api_status_code"] == 200
    assert row["metadata"] == {"a": [1]}
    assert row["attributes"] == {"other": {"b": None}}


def test_absent_and_null_are_the_same(sender):
    bare = event()
    null = event()
    names = [*IDENTIFIERS, *SHORT, *TEXTS, *REALS, "event.sequence",
             "api.status_code", "metadata", "x"]

    sender.accepted(batch(
        raw(bare), raw(null, *('"%s":null' % name for name in names))), 2)

    rows = [sender.row(bare), sender.row(null)]
    for row in rows:
        del row["event_id"]
        del row["received_at"]
    assert rows[0] == rows[1]
    assert rows[0]["attributes"] is None


def test_text_takes_anything(sender):
    cases = {'"text"': "text", '""': "", "1.50": "1.50", "1e5": "1e5",
             "true": "true", "false": "false", '[1, "a"]': '[1, "a"]',
             '{"a" : {}}': '{"a" : {}}', '"\\n"': "\n"}
    for text, stored in cases.items():
        sent = event()
        sender.accepted(batch(raw(
            sent, *('"%s":%s' % (name, text) for name in TEXTS))))
        row = sender.row(sent)
        assert {row[column] for column in TEXTS.values()} == {stored}


def test_limits_of_text(sender):
    for name in {**IDENTIFIERS, **SHORT}:
        sender.rejected(raw(None, '"%s":"%s"' % (name, "x" * 256)), name,
                        "longer than 255 characters")
    for name in IDENTIFIERS:
        sender.rejected(raw(None, '"%s":1.5' % name), name,
                        "not a string or an integer")


@pytest.mark.parametrize("text, stored", [
    ("0", 0), ("12.5", 12.5), ("1e3", 1000), ('"12.5"', 12.5), ('"1e3"', 1000),
    ("-0.125", -0.125), ("1.7976931348623157e308", 1.7976931348623157e308),
    ("5e-324", 5e-324), ("0.1", 0.1),
    ("123456789.123456789", 123456789.12345679),
])
def test_numbers(sender, text, stored):
    sent = event()
    sender.accepted(batch(raw(
        sent, *('"%s":%s' % (name, text) for name in REALS))))
    row = sender.row(sent)
    assert {row[column] for column in REALS.values()} == {stored}


@pytest.mark.parametrize("text", ['""', '"x"', '"12ms"', '"NaN"', '" 1"',
                                  "true", "{}", "[1]", '"0x1"'])
def test_no_numbers(sender, text):
    sender.rejected(raw(None, '"duration_ms":' + text), "duration_ms",
                    "not a number")
    sender.rejected(raw(None, '"event.sequence":' + text), "event.sequence",
                    "not an integer")


@pytest.mark.parametrize("text, stored", [
    ("200", 200), ("200.0", 200), ("2e2", 200), ("20000e-2", 200),
    ('"200"', 200), ('"2e2"', 200), ("-0", 0), ("-2147483648", -2 ** 31),
    ("2147483647", 2 ** 31 - 1),
])
def test_integers(sender, text, stored):
    sent = event()
    sender.accepted(batch(raw(
        sent, '"event.sequence":' + text, '"api.status_code":' + text)))
    row = sender.row(sent)
    assert row["sequence"] == row["api_status_code"] == stored


@pytest.mark.parametrize("field, text, message", [
    ("event.sequence", "9223372036854775808", "out of range"),
    ("event.sequence", "-9223372036854775809", "out of range"),
    ("event.sequence", "18446744073709551617", "out of range"),
    ("event.sequence", '"1e19"', "out of range"),
    ("event.sequence", "1.5", "not an integer"),
    ("api.status_code", "2147483648", "out of range"),
    ("api.status_code", "4294967496", "out of range"),
    ("api.status_code", "200.5", "not an integer"),
])
def test_integers_out_of_range(sender, field, text, message):
    sender.rejected(raw(None, '"%s":%s' % (field, text)), field, message)


def test_greatest_sequence(sender):
    for number in (2 ** 63 - 1, -2 ** 63):
        sent = event(event__sequence=number)
        sender.accepted([sent])
        assert sender.row(sent)["sequence"] == number


TYPES = ["page.view", "page.leave", "ui.click", "ui.input", "ui.scroll",
         "ui.focus", "ui.blur", "ui.submit", "state.change", "api.request",
         "api.response", "journey.step", "journey.conversion",
         "snapshot.captured", "error", "performance", "custom"]


def test_types_in_both_spellings(sender):
    for spelt in (TYPES, [t.replace(".", "_") for t in TYPES]):
        sent = [event(event__type=t) for t in spelt]
        sender.accepted(sent, len(sent))
        assert [sender.row(e)["event_type"] for e in sent] == TYPES


@pytest.mark.parametrize("value, message", [
    ('"page.views"', 'unknown type "page.views"; '
                     'use "custom" with event.name'),
    ('"Page.View"', 'unknown type "Page.View"; use "custom" with event.name'),
    ('"%s"' % ("x" * 65), "longer than 64 characters"),
    ('""', "must not be empty"),
    ("5", "not a string"),
])
def test_other_types(sender, value, message):
    sender.rejected(raw(None, '"event.type":' + value), "event.type", message)


@pytest.mark.parametrize("value", ["[]", '"{}"', "1", "true"])
def test_metadata_is_an_object(sender, value):
    sender.rejected(raw(None, '"metadata":' + value), "metadata",
                    "not an object")


def test_unknown_types_can_be_stored(make_daemon):
    daemon = make_daemon(http={"unknown_event_types": "store"}).start()
    sent = [event(event__type=t) for t in ("my_type", "x" * 64, "ui_click")]

    answer = daemon.post(sent + [event(event__type="x" * 65)])

    assert answer.json["accepted"] == 3
    stored = {row["event_id"]: row["event_type"]
              for row in daemon.database.events()}
    assert [stored[e["event_id"]] for e in sent] == [
        "my_type", "x" * 64, "ui.click"]


def test_limits_of_the_configuration(make_daemon):
    daemon = make_daemon(http={
        "max_events": 2, "max_event": 256, "max_clock_ahead": "1s",
        "max_event_age": "1d"}).start()
    old = event()

    assert daemon.post([event()] * 3).json["detail"] == "more than 2 events"
    answer = daemon.post([old, event(page__title="x" * 200)])
    assert [e["error"] for e in answer.json["errors"]] == [
        "event: longer than 256 bytes"]
    (row,) = daemon.database.events()
    assert row["event_id"] == old["event_id"]
    assert row["client_timestamp"] == "2024-01-15T10:30:00+00:00"
