# SPDX-License-Identifier: MIT
"""What sessions must come out of events, computed the plain way.

The model is told what the server accepted, in the order in which it was
received, by wire names and with values as clients send them:

    model = Sessions()
    model.receive([event(...), event(...)], user_agent="curl/8")
    assert stored_sessions(database) == model.rows()

    assert stored_sessions(database) == sessions([event(...), ...])

It knows nothing of what the server may refuse or put in a value's place: of
rejected events, of clocks ahead, of time.
"""

import json
import re
import struct
from datetime import datetime, timedelta, timezone

PG_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):?(\d\d)?)")

# By PostgreSQL, in a text.
NOT_STORABLE = re.compile("[\0\ud800-\udfff]")

# Column of a session: the field it is taken from, and whether of the first or
# of the last event that has one.
FIRST, LAST = "first", "last"
VALUES = {
    "user_id": ("user.id", FIRST),
    "anonymous_id": ("user.anonymous_id", FIRST),
    "entry_page": ("page.path", FIRST),
    "exit_page": ("page.path", LAST),
    "last_journey_step_id": ("gen_ai.journey.step.id", LAST),
    "conversion_status": ("gen_ai.journey.conversion.status", LAST),
}
# This one comes with the request.
USER_AGENT = "user_agent"
COUNTED = {"page.view": "page_count", "error": "error_count"}
COLUMNS = ("started_at", "ended_at", "duration_ms", "event_count",
           "page_count", "error_count", *VALUES, USER_AGENT)


def instant(text):
    """An RFC 3339 timestamp as the server understands it, in UTC."""
    match = RFC3339.fullmatch(text)
    assert match, "no timestamp: %r" % text
    date, clock, seconds, fraction, sign, hours, minutes = match.groups()
    # Second 60 of a leap second is the next minute's first.
    time = datetime.fromisoformat("%s %s:00+00:00" % (date, clock))
    time += timedelta(
        seconds=int(seconds),
        microseconds=int((fraction or "").ljust(6, "0")[:6]))
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return time + offset if sign == "-" else time - offset


def text_of(value):
    """A text as it is stored, None for none and for an empty one."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return NOT_STORABLE.sub("\ufffd", value)


def project_of(event):
    """The project as the event names it."""
    name = event.get("project_id")
    return event.get("product_id") if name is None else name


def identity(event):
    """Two events with the same identity are one event, sent twice."""
    return (project_of(event), text_of(event["session.id"]),
            text_of(event["event_id"]))


def order_key(event):
    """Compares as the events of a session do; as session_state has it."""
    micros = (instant(event["event.timestamp"]) - PG_EPOCH) // MICROSECOND
    sequence = event.get("event.sequence")
    # Adding 2^63 turns the order of signed numbers into that of bytes.
    if sequence is None:
        place = bytes(9)
    else:
        place = b"\1" + struct.pack(">Q", int(sequence) + 2**63)
    return (struct.pack(">Q", micros + 2**63) + place
            + text_of(event["event_id"]).encode("utf-8"))


class Session:
    """One session, from its events in any order."""

    def __init__(self):
        self.events = {}  # by order key, which no two have in common
        self.ordered = None

    def add(self, event, user_agent):
        """One more event that is not a repeat."""
        self.events[order_key(event)] = (event, user_agent)
        self.ordered = None

    def in_order(self):
        """[(order key, event, user agent)], from first to last."""
        if self.ordered is None:
            self.ordered = [
                (key, *self.events[key]) for key in sorted(self.events)]
        return self.ordered

    def found(self, column):
        """(value, order key) of a merged column; (None, None) without one."""
        events = self.in_order()
        if column == USER_AGENT:
            values = [(text_of(agent), key) for key, _, agent in events]
            which = FIRST
        else:
            field, which = VALUES[column]
            values = [(text_of(event.get(field)), key)
                      for key, event, _ in events]
        known = [pair for pair in values if pair[0] is not None]
        if not known:
            return None, None
        return known[0] if which == FIRST else known[-1]

    def row(self):
        """The session's row, by COLUMNS."""
        times = [instant(event["event.timestamp"])
                 for event, _ in self.events.values()]
        row = {
            "started_at": min(times),
            "ended_at": max(times),
            # To the nearest millisecond.
            "duration_ms": ((max(times) - min(times)) // MICROSECOND
                            + 500) // 1000,
            "event_count": len(times),
        }
        for kind, column in COUNTED.items():
            row[column] = sum(
                event["event.type"].replace("_", ".") == kind
                for event, _ in self.events.values())
        for column in (*VALUES, USER_AGENT):
            row[column] = self.found(column)[0]
        return row

    def orders(self):
        """The order key kept with each merged column, by its name."""
        return {column + "_order": self.found(column)[1]
                for column in (*VALUES, USER_AGENT)}


class Sessions:
    """All sessions, by (project as named, session.id)."""

    def __init__(self):
        self.seen = set()
        self.sessions = {}

    def receive(self, events, user_agent=None):
        """Takes events; the first with an identity counts."""
        for event in events:
            known = identity(event)
            if known not in self.seen:
                self.seen.add(known)
                self.sessions.setdefault(
                    known[:2], Session()).add(event, user_agent)

    def rows(self):
        """What stored_sessions() must give."""
        return {key: session.row() for key, session in self.sessions.items()}

    def orders(self):
        """What stored_orders() must give."""
        return {key: session.orders()
                for key, session in self.sessions.items()}


def sessions(events, user_agent=None):
    """The rows that come out of these events alone."""
    model = Sessions()
    model.receive(events, user_agent)
    return model.rows()


def stored_sessions(database, where="true"):
    """The rows of the view "sessions", by (project's slug, session_id).

    where is a condition on s, the sessions, and p, the projects.
    """
    rows = database.query(
        "SELECT p.slug AS project, s.* FROM sessions s"
        " JOIN projects p ON p.id = s.project_id WHERE %s" % where)
    for row in rows:
        for column in ("started_at", "ended_at"):
            row[column] = instant(row[column])
    return {(row["project"], row["session_id"]):
            {column: row[column] for column in COLUMNS} for row in rows}


def stored_orders(database, where="true"):
    """The order keys of session_state, by (project's slug, session_id)."""
    rows = database.query(
        "SELECT p.slug AS project, s.* FROM session_state s"
        " JOIN projects p ON p.id = s.project_id WHERE %s" % where)
    found = {}
    for row in rows:
        found[row["project"], row["session_id"]] = {
            # As bytea is written: \x and hexadecimal digits.
            name: value and bytes.fromhex(value[2:])
            for name, value in row.items() if name.endswith("_order")}
    return found
