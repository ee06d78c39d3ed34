# SPDX-License-Identifier: MIT
"""What the users of a product do, as their clients send it, and what it must
become in the database."""

import random
import threading
import time
from datetime import datetime, timedelta, timezone

from sessions_model import Sessions, stored_orders, stored_sessions

BROWSERS = ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone)",
            "curl/8", None)
PAGES = ("/", "/pricing", "/docs", "/docs/api", "/cart", "/checkout", "")
KINDS = ("page.view", "page.view", "page_view", "page.leave", "ui.click",
         "ui.click", "ui.scroll", "api.request", "error", "journey.step",
         "journey.conversion", "custom")
BEGIN = datetime(2022, 11, 1, tzinfo=timezone.utc)
MONTHS = timedelta(days=150)


def stamp(when, chance):
    """A timestamp as one client or another writes it."""
    if chance.random() < 0.8:
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")
    there = when.astimezone(timezone(timedelta(hours=chance.choice((-8, 2)))))
    return there.isoformat(timespec="milliseconds")


class Traffic:
    """The events of some users' sessions, and the bodies that bring them.

    All of it follows from the seed.  Sessions lie in several months, some
    across the end of one, and some are long.  Clients stamp whole seconds,
    several events in each; some number their events, some all with the same
    number.  Some count their sessions and events, so that others give the same
    ids.
    """

    def __init__(self, seed, keys, users=60, sessions=3, events=24):
        print("seed %d" % seed)  # shown when a test fails
        self.chance = random.Random(seed)
        self.users = users
        self.sessions = sessions
        self.events = events
        self.groups = {}  # what one request may hold: (project, agent)
        self.keys = keys
        for user in range(users):
            self._add_user(user)

    def _add_user(self, user):
        chance = self.chance
        project = chance.choice(("shop", "proj_demo", "rival"))
        agent = chance.choice(BROWSERS)
        group = self.groups.setdefault((project, agent), [])
        for number in range(chance.randint(1, self.sessions)):
            # The same in several projects, but one user's in each.
            session = "sess_%d_%d" % (user, number)
            when = BEGIN + chance.random() * MONTHS
            group += self._session(project, session, user, when)
            if chance.random() < 0.2:
                other = "shop" if project == "rival" else "rival"
                self.groups.setdefault((other, agent), []).extend(
                    self._session(other, session, user, when))

    def _session(self, project, session, user, when):
        """The events of a session, in the order in which they happen."""
        chance = self.chance
        counted = chance.random() < 0.5
        numbering = chance.choice(("none", "some", "all", "same"))
        returns = chance.random() < 0.1  # after weeks
        page = chance.choice(PAGES)
        made = []
        # Not both, which would lead into the future.
        many = 5 if not returns and chance.random() < 0.04 else 1
        for i in range(chance.randint(1, self.events) * many):
            when += timedelta(
                seconds=chance.choice((0, 0, 0, 1, 2, 40)),
                days=chance.choice((0, 20)) if returns else 0)
            if chance.random() < 0.3:
                page = chance.choice(PAGES)
            fields = {
                "event_id": "evt_%d" % i if counted
                            else "%032x" % chance.getrandbits(128),
                "project_id": project,
                "session.id": session,
                "event.type": chance.choice(KINDS),
                "event.timestamp": stamp(when, chance),
                "page.path": page,
                "user.anonymous_id": "anon_%d" % user,
            }
            if numbering == "same":
                fields["event.sequence"] = 7
            elif numbering == "all" or (
                    numbering == "some" and chance.random() < 0.5):
                fields["event.sequence"] = i - 3
            self._spice(fields, user, i)
            made.append(fields)
        return made

    def _spice(self, fields, user, number):
        """What is in some events only."""
        chance = self.chance
        if number > 2:
            fields["user.id"] = "user_%d" % user  # who has logged in
        if fields["event.type"].startswith("journey"):
            fields["gen_ai.journey.step.id"] = chance.choice(
                ("cart", "pay", "done"))
            fields["gen_ai.journey.conversion.status"] = chance.choice(
                ("open", "won", "", None))
        for name in ("page.path", "user.id", "user.anonymous_id"):
            if chance.random() < 0.1:
                fields[name] = chance.choice((None, "", "other"))
        if chance.random() < 0.1:
            fields["metadata"] = {"text": "x" * chance.randint(1, 2000)}

    def model(self):
        """What must come of it."""
        model = Sessions()
        for (_, agent), events in self.groups.items():
            model.receive(events, agent)
        return model

    def bodies(self, most, repeated=0.2):
        """All events in bodies of at most so many, in no order.

        That share of the bodies, and of the events, is there twice.
        """
        made = []
        for (project, agent), events in sorted(
                self.groups.items(), key=repr):
            shuffled = events + [e for e in events
                                 if self.chance.random() < repeated]
            self.chance.shuffle(shuffled)
            headers = {} if agent is None else {"User-Agent": agent}
            while shuffled:
                size = self.chance.randint(1, most)
                made.append((shuffled[:size], self.keys[project], headers))
                del shuffled[:size]
        made += [body for body in made if self.chance.random() < repeated]
        self.chance.shuffle(made)
        return made


class Kills(threading.Thread):
    """kill -9 of the aggregator, again and again.

    seconds gives the pause before the next.
    """

    def __init__(self, daemon, seconds):
        super().__init__(daemon=True)
        self.daemon_under_test = daemon
        self.seconds = seconds
        self.count = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.seconds()):
            # It may be dead still.
            if self.daemon_under_test.aggregator() is not None:
                try:
                    self.daemon_under_test.kill_aggregator()
                    self.count += 1
                except (ProcessLookupError, TypeError):
                    pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join(10)


def like(prefix):
    """The condition on s of stored_sessions() for ids that begin so."""
    return "s.session_id LIKE '%s%%'" % prefix.replace("_", "\\_")


def check_events(database, count=None):
    """So many events are stored, each once and in the right session."""
    (found,) = database.query("""
        SELECT count(*) AS events,
            count(DISTINCT (e.project_id, e.session_id, e.event_id)) AS once,
            count(*) FILTER (WHERE s.project_id = e.project_id
                AND s.org_id = e.org_id
                AND s.session_id = e.session_id) AS joined
        FROM events e LEFT JOIN session_state s USING (session_key)
        """)
    count = found["events"] if count is None else count
    assert found == {"events": count, "once": count, "joined": count}
    assert database.query("SELECT d.* FROM dead_letters d") == []


def differences(stored, expected):
    """What is not as it must be, in words that fit a screen."""
    found = ["%s of %s: %r, not %r" % (
        column, key, stored[key][column], row[column])
             for key, row in expected.items() if key in stored
             for column in row if stored[key][column] != row[column]]
    found += ["%s is missing" % (key,) for key in expected.keys() - stored]
    found += ["%s should not be" % (key,) for key in stored.keys() - expected]
    return found[:10]


def check_sessions(database, model, where="true"):
    """Every session is what the model says, and none is too many."""
    found = differences(stored_sessions(database, where), model.rows())
    found += differences(stored_orders(database, where), model.orders())
    assert not found, "\n".join(found)


def timed(what, act, *args):
    """Calls act and prints how long it took; returns what it did."""
    began = time.monotonic()
    result = act(*args)
    print("%s: %.2f s" % (what, time.monotonic() - began))
    return result
