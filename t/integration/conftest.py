# SPDX-License-Identifier: MIT
"""Fixtures: a PostgreSQL for the session, databases and daemons from it.

The programs are taken from PGD_BUILD (default: build/ of the checkout), those
of PostgreSQL from PG_BINDIR (default: the newest that Debian installed);
./dev test integration builds the former and runs this.
"""

import fnmatch
import os
import pwd

import pytest

from browser import Browser, PageServer
from cluster import BUILD, PASSWORD, Cluster
from ctl import Ctl
from daemon import ACCOUNTS, Daemon

# What the database does decides: against every PostgreSQL supported (-m
# postgresql), and against Debian's.
EVERY_POSTGRESQL = (
    "test_aggregator", "test_ctl*", "test_first_contact", "test_isolation",
    "test_keys*", "test_migrate", "test_repeats*", "test_sessions*",
    "test_sql")
# The database is only where events end up: against Debian's.
ONE_POSTGRESQL = (
    "test_browser", "test_connections", "test_daemon", "test_encodings",
    "test_events", "test_http", "test_master", "test_separation")


def pytest_configure(config):
    """Makes the marker known; the lists above say who has it."""
    config.addinivalue_line(
        "markers", "postgresql: is run against every PostgreSQL supported")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks tests by their files, before -m chooses among them."""
    unlisted = set()
    for item in items:
        name = item.module.__name__
        every, one = (
            any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
            for patterns in (EVERY_POSTGRESQL, ONE_POSTGRESQL))
        if every:
            item.add_marker(pytest.mark.postgresql)
        if every == one and "postgres" in item.fixturenames:
            unlisted.add(name)
    if unlisted:
        raise pytest.UsageError(
            "to be in one of two lists of conftest.py, EVERY_POSTGRESQL or "
            "ONE_POSTGRESQL: " + ", ".join(sorted(unlisted)))


def pytest_sessionstart():
    """Says what is missing before anything fails for it."""
    for program in ("productgraphd", "productgraphctl"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            pytest.exit("%s/%s is not built: ./dev test integration builds it"
                        % (BUILD, program), 2)
    if os.geteuid() == 0:
        for account in ACCOUNTS:
            try:
                pwd.getpwnam(account)
            except KeyError:
                pytest.exit("no account %s: ./dev test integration makes it"
                            % account, 2)


def pytest_make_parametrize_id(val):
    """Names a case after a long value by its beginning and its length."""
    if isinstance(val, str) and len(val) > 60:
        return "%s...%d" % (val[:20], len(val))
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Shows the daemons' logs beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Daemon):
                report.sections.append(
                    ("log of %s" % name, value.log()[-4000:]))


@pytest.fixture(scope="session")
def postgres():
    """A running Cluster; a test that stops it starts it again."""
    cluster = Cluster()
    cluster.start()
    yield cluster
    cluster.destroy()


@pytest.fixture(scope="session")
def template(postgres):
    """A migrated database with organisations, projects and keys."""
    database = postgres.create_database()
    database.migrate()
    database.populate()
    return database


def copy_of(template):
    """A fresh Database; the template's keys are valid in it."""
    copy = template.cluster.create_database(template.name)
    copy.keys = dict(template.keys)
    return copy


@pytest.fixture
def database(template):
    """A database of the test's own."""
    copy = copy_of(template)
    yield copy
    copy.drop()


@pytest.fixture(scope="module")
def module_database(template):
    """A database that the tests of a file share; read, do not write."""
    copy = copy_of(template)
    yield copy
    copy.drop()


@pytest.fixture
def make_daemon(database):
    """Makes daemons over the test's database: make_daemon(workers=1).

    They are not started; call start().
    """
    made = []

    def make(**directives):
        made.append(Daemon(database, **directives))
        return made[-1]

    yield make
    for daemon in made:
        daemon.destroy()


@pytest.fixture
def daemon(make_daemon):
    """A running daemon of the test's own, with two workers."""
    return make_daemon().start()


@pytest.fixture(scope="module")
def shared_daemon(template):
    """A running daemon that the tests of a file share; send, do not harm."""
    copy = copy_of(template)
    shared = Daemon(copy)
    try:
        yield shared.start()
    finally:
        shared.destroy()
        copy.drop()


@pytest.fixture
def ctl(postgres, tmp_path):
    """A Ctl with an empty database."""
    database = postgres.create_database()
    yield Ctl(database, tmp_path)
    database.drop()


@pytest.fixture
def ready(ctl):
    """With a database that has been migrated, and an admin who may log in."""
    ctl.migrate()
    ctl.database.execute(
        f"ALTER ROLE productgraph_admin PASSWORD '{PASSWORD}'")
    return ctl


@pytest.fixture
def tenant(ready):
    """The same, with an organisation and a project."""
    ready.ok("org", "create", "Acme Inc.")
    ready.ok("project", "create", "--org", "acme-inc", "Shop")
    return ready


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    window = Browser()
    yield window
    window.close()


@pytest.fixture(scope="session")
def page():
    """A PageServer: an origin that is not the daemon's."""
    server = PageServer()
    yield server
    server.close()
