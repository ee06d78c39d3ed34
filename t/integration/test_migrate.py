# SPDX-License-Identifier: MIT
"""Migrations: interrupted, at once, without a superuser, and over old data.

What productgraphctl migrate says and refuses is in test_ctl.py.
"""

import itertools
import json
import pathlib
import random
import re
import shutil
import subprocess

import pytest

from cluster import (BUILD, PASSWORD, TOP, Cluster, Held, HeldRows,
                     clean_environment, wait_until)
from sessions_model import Sessions, stored_orders, stored_sessions

SQL_DIR = pathlib.Path(TOP) / "sql"
FILES = sorted(path.name for path in SQL_DIR.glob("*.sql"))
BEFORE_SESSIONS, SESSIONS = 6, 7


def copy_files(directory, versions):
    """A directory with the files of the versions 1 to n."""
    directory.mkdir()
    for name in FILES[:versions]:
        shutil.copyfile(SQL_DIR / name, directory / name)
    return directory


@pytest.fixture(name="before", scope="module")
def fixture_before(tmp_path_factory):
    """The files of the release before sessions."""
    return copy_files(tmp_path_factory.mktemp("sql") / "before",
                      BEFORE_SESSIONS)


@pytest.fixture(name="after", scope="module")
def fixture_after(tmp_path_factory):
    """The files up to sessions."""
    return copy_files(tmp_path_factory.mktemp("sql") / "after", SESSIONS)


@pytest.fixture(name="empty")
def fixture_empty(postgres):
    """A database without a schema."""
    database = postgres.create_database()
    yield database
    database.drop()


def migrate(database, files=SQL_DIR):
    """Must succeed; the names of the files applied."""
    return re.findall(r"^applied (.*)$",
                      database.ctl("migrate", "--sql-dir", str(files)), re.M)


def spawn_migrate(database, files):
    """productgraphctl migrate in the background."""
    return subprocess.Popen(
        [BUILD + "/productgraphctl", "-c", database.conf, "migrate",
         "--sql-dir", str(files)], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=clean_environment())


def refusal(database, files):
    """The message of a migrate that must fail."""
    with spawn_migrate(database, files) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode != 0, out) == (True, ""), err
    return err


def schema(database):
    """Everything that migrations make, as far as the catalogue tells."""
    return database.query("""
        SELECT 'relation' AS kind, c.oid::regclass::text AS name,
            concat(relkind, relowner, relacl, reloptions, relrowsecurity,
                (SELECT jsonb_agg(concat(attname, atttypid, attacl)
                    ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = c.oid AND attnum > 0)) AS what
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('public', 'partitions')
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, concat(proacl, prosrc)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname IN ('public', 'partitions')
        UNION ALL
        SELECT 'policy', concat(polrelid::regclass, '.', polname), ''
        FROM pg_policy
        UNION ALL
        SELECT 'constraint', concat(conrelid::regclass, '.', conname), ''
        FROM pg_constraint
        UNION ALL
        SELECT 'migration', version::text, checksum FROM schema_migrations
        ORDER BY kind, name""")


# ---- what the release before sessions left -----------------------------------

PROJECTS = {"shop": "one", "blog": "one", "rival": "two"}
# Bytes do not compare as a dictionary would have it.
IDS = ("", "a", "A", "b", "Z", "-", "10", "9", "\u00e4", "z\U0001f600", "a b")
WORDS = ("", None, None, "x", "y", "/a", "/B?c=\u00fc", "z'\\")
SEQUENCES = (None, None, 0, 1, 1, 2, 10, -1, -10, 2**63 - 1, -2**63)
# Many events at the same time, several months, either side of their bounds.
TIMES = ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z",
         "2024-01-15T10:30:00.000001Z", "2024-01-15T10:30:01Z",
         "2024-01-31T23:59:59.999999Z", "2024-02-01T00:00:00Z",
         "2024-02-29T12:00:00.5Z", "2024-05-01T00:00:00+02:00")
TYPES = ("page.view", "page.view", "error", "ui.click", "custom")


def columns_by_wire():
    """{a field's name on the wire: its column}, as the server has it."""
    text = (pathlib.Path(TOP) / "common/event_fields.def").read_text("utf-8")
    return {wire: column for wire, column in re.findall(
        r'^FIELD\(\w+, "([^"]+)", "[^"]*", "([^"]+)"', text, re.M)}


def old_events(seed=7):
    """Events as clients sent them, in the order of receipt."""
    chance = random.Random(seed)
    made = []
    for project, session in itertools.product(
            PROJECTS, ("s", "S", "s 1", "\u00e4", "lone")):
        for i in range(1 if session == "lone" else 40):
            made.append({
                "project_id": project,
                "session.id": session,
                # Some of them a second time, with other contents.
                "event_id": chance.choice(IDS) + str(chance.randrange(4)),
                "event.type": chance.choice(TYPES),
                "event.timestamp": chance.choice(TIMES),
                "event.sequence": chance.choice(SEQUENCES),
                "event.name": "n%d" % i,
                **{field: chance.choice(WORDS) for field in (
                    "user.id", "user.anonymous_id", "page.path",
                    "gen_ai.journey.step.id",
                    "gen_ai.journey.conversion.status")}})
    # Those of one session neither together nor in order.
    chance.shuffle(made)
    return made


def store_as_before(database, events):
    """Makes organisations, projects and events, as version 6 has them."""
    for slug in sorted(set(PROJECTS.values())):
        database.execute("INSERT INTO organizations (name, slug)"
                         " VALUES ('%s', '%s')" % (slug, slug))
    for slug, org in PROJECTS.items():
        database.execute(
            "INSERT INTO projects (org_id, name, slug) SELECT id, '%s', '%s'"
            " FROM organizations WHERE slug = '%s'" % (slug, slug, org))
    column = columns_by_wire()
    # Batches of seven: events of the same receipt.
    rows = [{**{column[wire]: value for wire, value in event.items()},
             "batch": i // 7} for i, event in enumerate(events)]
    names = sorted({column[wire] for wire in events[0]} - {"project_id"})
    document = json.dumps(rows)
    assert "$rows$" not in document
    database.execute("""
        SET timezone = 'UTC';
        SELECT create_month((r->>'timestamp')::timestamptz::date)
        FROM json_array_elements($rows$%s$rows$) AS r \\g /dev/null
        INSERT INTO events (org_id, project_id, received_at, %s)
        SELECT p.org_id, p.id,
            now() - interval '1 day' + (r->>'batch')::int * interval '1 s', %s
        FROM json_array_elements($rows$%s$rows$) WITH ORDINALITY AS d (r, i),
            json_populate_record(NULL::events,
                (r::jsonb - 'project_id')::json) AS e,
            projects p
        WHERE p.slug = r->>'project_id'
        ORDER BY i
        """ % (document, ", ".join(names),
               ", ".join("e." + name for name in names), document))


@pytest.fixture(name="old")
def fixture_old(empty, before):
    """A database of the release before sessions, with events."""
    migrate(empty, before)
    store_as_before(empty, old_events())
    return empty


def identities():
    """What makes an event of old_events() the same as another."""
    return {(e["project_id"], e["session.id"], e["event_id"])
            for e in old_events()}


def check_sessions(database):
    """Sessions and keys are what old_events() must become."""
    model = Sessions()
    model.receive(old_events())
    assert stored_sessions(database) == model.rows()
    assert stored_orders(database) == model.orders()
    # Of each identity one event has the key of its session, the others 0.
    assert database.query("""
        SELECT p.slug, session_id, event_id FROM events e
        JOIN projects p ON p.id = e.project_id
        GROUP BY p.slug, session_id, event_id
        HAVING count(*) FILTER (WHERE session_key <> 0) <> 1""") == []
    assert database.value("SELECT count(*) FROM events WHERE session_key = 0"
                          ) == len(old_events()) - len(identities())
    assert database.query(
        "SELECT session_key FROM session_state WHERE session_key <= 0") == []
    assert database.query("""
        SELECT e.event_id FROM events e
        LEFT JOIN session_state s USING (session_key)
        WHERE session_key <> 0 AND (s.org_id, s.project_id,
            s.session_id) IS DISTINCT FROM
            (e.org_id, e.project_id, e.session_id)""") == []
    # And it is the first that was received.
    firsts = {}
    for event in old_events():
        firsts.setdefault((event["project_id"], event["session.id"],
                           event["event_id"]), event["event.name"])
    assert {(row["slug"], row["session_id"], row["event_id"]):
            row["event_name"] for row in database.query(
                "SELECT p.slug, session_id, event_id, event_name"
                " FROM events e JOIN projects p ON p.id = e.project_id"
                " WHERE session_key <> 0")} == firsts
    # The next session gets a key that is free.
    assert database.value("SELECT nextval('session_keys')"
                          " > max(session_key) AS free FROM session_state")


def test_events_of_the_release_before_get_their_sessions(old, after):
    events = len(old_events())
    # The data has what it is about.
    assert events > len(identities())
    assert old.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND"
                     " relnamespace = 'partitions'::regnamespace") >= 3
    assert migrate(old, after) == [FILES[SESSIONS - 1]]
    assert old.value("SELECT count(*) FROM events") == events
    check_sessions(old)


def test_session_events_are_in_the_models_order(old, after):
    migrate(old, after)
    model = Sessions()
    model.receive(old_events())
    for (project, name), session in model.sessions.items():
        assert [row["event_name"] for row in old.query(
            "SELECT event_name FROM session_events((SELECT id FROM projects"
            " WHERE slug = '%s'), '%s')" % (project, name))] == [
                event["event.name"] for _, event, _ in session.in_order()]


def test_without_events_there_are_no_sessions(empty, before, after):
    migrate(empty, before)
    migrate(empty, after)
    assert empty.value("SELECT count(*) FROM session_state") == 0


def tables_that_let_an_event_be_without_a_session(database):
    """A release that sends no session_key must find that it does not fit."""
    return database.query(
        "SELECT attrelid::regclass AS name FROM pg_attribute"
        " WHERE attname = 'session_key' AND NOT (attnotnull AND NOT atthasdef)"
        " AND attrelid IN (SELECT relid FROM pg_partition_tree('events'))")


def test_no_event_is_without_a_session(old, after):
    assert len(tables_that_let_an_event_be_without_a_session(old)) >= 4
    migrate(old, after)
    assert tables_that_let_an_event_be_without_a_session(old) == []
    # In months made later neither.
    made = old.execute("SELECT create_month('2024-11-01')").strip()
    assert "partitions." + made in {row["name"] for row in old.query(
        "SELECT relid::regclass AS name FROM pg_partition_tree('events')")}
    assert tables_that_let_an_event_be_without_a_session(old) == []


# ---- a daemon that still writes ----------------------------------------------

CONNECTED = "productgraph_writer is connected to this database"
ADVICE = "; stop every productgraphd of this database first"


class Writer(Held):
    """A daemon's session, which has found the tables fit."""

    def __init__(self, database, admin="postgres"):
        database.execute("ALTER ROLE productgraph_writer PASSWORD '%s'"
                         % PASSWORD, user=admin)
        super().__init__(database, """
            INSERT INTO progress VALUES ('here', gen_random_uuid(), '{}')
            ON CONFLICT DO NOTHING; COMMIT""", user="productgraph_writer")

    def __exit__(self, *exception):
        super().__exit__(*exception)
        # The backend goes after its client.
        wait_until(lambda: not self.database.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = 'productgraph_writer'"), what="end of the writer")


def test_a_daemon_that_still_writes_blocks_it(old, after):
    was = schema(old)
    with Writer(old):
        err = refusal(old, after)
        assert FILES[SESSIONS - 1] + ": " + CONNECTED in err
        assert err.endswith(ADVICE + "\n")
        assert schema(old) == was
        assert old.value("SELECT count(session_key) FROM events") == 0
    assert migrate(old, after) == [FILES[SESSIONS - 1]]
    check_sessions(old)


def test_a_daemon_of_another_database_does_not(old, before, after, postgres):
    other = postgres.create_database()
    try:
        migrate(other, before)
        # It was here, too, but is gone.
        with Writer(old):
            pass
        with Writer(other):
            assert migrate(old, after) == [FILES[SESSIONS - 1]]
    finally:
        other.drop()


# ---- interrupted, and at once ------------------------------------------------


def held_in_the_middle(database):
    """The file of sessions comes to its first UPDATE of events, and waits."""
    return HeldRows(database, "events")


def waiting(database):
    """The migration's backend, once it waits for the row that is held."""
    return wait_until(lambda: database.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"),
                      what="the middle of the migration")[0]["pid"]


@pytest.mark.parametrize("how", ["client", "backend"])
def test_interrupted_nothing_is_half_applied(old, after, how):
    was = schema(old)
    with held_in_the_middle(old):
        process = spawn_migrate(old, after)
        backend = waiting(old)
        if how == "client":
            process.kill()
            process.communicate(timeout=30)
            # Not before it is unblocked does it see that nobody is there.
        else:
            old.execute("SELECT pg_terminate_backend(%d)" % backend)
            _, err = process.communicate(timeout=30)
            assert process.returncode == 69
            assert FILES[SESSIONS - 1] in err
    wait_until(lambda: not old.query(
        "SELECT FROM pg_stat_activity WHERE pid = %d" % backend),
               what="end of the backend")
    assert schema(old) == was
    assert old.value("SELECT count(session_key) FROM events") == 0
    assert migrate(old, after) == [FILES[SESSIONS - 1]]
    check_sessions(old)


def test_server_killed_in_the_middle(before, after):
    cluster = Cluster()
    try:
        cluster.start()
        database = cluster.create_database()
        migrate(database, before)
        store_as_before(database, old_events())
        was = schema(database)
        with held_in_the_middle(database):
            process = spawn_migrate(database, after)
            waiting(database)
            cluster.stop("immediate")
            _, err = process.communicate(timeout=30)
            assert process.returncode == 69, err
        cluster.start()
        assert schema(database) == was
        assert migrate(database, after) == [FILES[SESSIONS - 1]]
        check_sessions(database)
    finally:
        cluster.destroy()


def test_two_at_once_apply_once(old, after):
    with held_in_the_middle(old):
        first = spawn_migrate(old, after)
        waiting(old)
        second = spawn_migrate(old, after)
        wait_until(lambda: old.query(
            "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'"
            " AND datname = current_database()"), what="the second to wait")
    done = [(*process.communicate(timeout=30), process.returncode)
            for process in (first, second)]
    assert done == [
        ("applied %s\n" % FILES[SESSIONS - 1], "", 0),
        ("up to date at version %d\n" % SESSIONS,
         "waiting for another migration to end\n", 0)]
    check_sessions(old)


def test_two_at_once_from_empty(empty):
    done = [(*process.communicate(timeout=60), process.returncode)
            for process in [spawn_migrate(empty, SQL_DIR) for _ in range(2)]]
    assert [status for _, _, status in done] == [0, 0], done
    assert re.findall(r"applied (.*)\n", done[0][0] + done[1][0]) == FILES


# ---- files -------------------------------------------------------------------


def test_changed_file_is_refused_by_name(empty, tmp_path):
    files = copy_files(tmp_path / "sql", len(FILES))
    # The last is new: a refusal comes before anything is applied.
    last = (files / FILES[-1]).read_text("utf-8")
    (files / FILES[-1]).unlink()
    migrate(empty, files)
    was = schema(empty)
    (files / FILES[-1]).write_text(last, "utf-8")
    for name in FILES[:-1]:
        text = (files / name).read_text("utf-8")
        (files / name).write_text(text + "-- changed\n", "utf-8")
        assert '"%s" has changed' % name in refusal(empty, files)
        assert schema(empty) == was
        (files / name).write_text(text, "utf-8")
    assert migrate(empty, files) == FILES[-1:]


def test_gap_is_refused_before_anything_is_applied(empty, tmp_path):
    files = copy_files(tmp_path / "sql", len(FILES))
    (files / FILES[2]).unlink()
    assert "version 3 is missing" in refusal(empty, files)
    assert empty.query("SELECT FROM pg_class"
                       " WHERE relnamespace = 'public'::regnamespace") == []


def test_again_changes_nothing(empty):
    assert migrate(empty) == FILES
    was = schema(empty)
    assert migrate(empty) == []
    assert schema(empty) == was


# ---- without a superuser -----------------------------------------------------


@pytest.fixture(name="hosted", scope="module")
def fixture_hosted():
    """A cluster without our roles, where we are not its administrator."""
    cluster = Cluster()
    cluster.start()
    for role in ("first_migrator", "second_migrator"):
        cluster.psql("postgres", "CREATE ROLE %s LOGIN CREATEROLE"
                     " PASSWORD '%s'" % (role, PASSWORD))
    yield cluster
    cluster.destroy()


def database_of(cluster, role):
    """An empty database that the role owns, and migrates."""
    database = cluster.create_database()
    cluster.psql("postgres", "ALTER DATABASE %s OWNER TO %s" % (
        database.name, role))
    with open(database.conf, encoding="utf-8") as f:
        text = f.read()
    assert "user=postgres\"" in text
    with open(database.conf, "w", encoding="utf-8") as f:
        f.write(text.replace(
            "user=postgres\"", "user=%s\"\n\tmigrate_password_file = \"%s\""
            % (role, cluster.password_file)))
    return database


def check_hosted(database, role):
    """It is complete, the owner's, and of use."""
    assert database.value(
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S')"
        " AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'schema_migrations'"
        " AND relowner <> 'productgraph_owner'::regrole") == 0
    for name in ("writer", "reader", "admin"):
        database.execute("ALTER ROLE productgraph_%s PASSWORD '%s'" % (
            name, PASSWORD), user=role)
    database.populate()
    database.execute("SELECT create_month('2024-01-01')",
                     user="productgraph_writer")
    org = database.value("SELECT id FROM organizations WHERE slug = 'demo'")
    text = database.execute(
        "SELECT set_current_org('%s') \\g /dev/null\n"
        "SELECT slug FROM projects ORDER BY slug" % org,
        user="productgraph_reader")
    assert text.split() == ["proj_demo", "shop"]


def test_migrator_that_is_no_superuser(hosted, before):
    database = database_of(hosted, "first_migrator")
    assert migrate(database, before) == FILES[:BEFORE_SESSIONS]
    with Writer(database, "first_migrator"):
        assert CONNECTED in refusal(database, SQL_DIR)
    assert migrate(database) == FILES[BEFORE_SESSIONS:]
    check_hosted(database, "first_migrator")
    # Another database of the same: the roles are there.
    database = database_of(hosted, "first_migrator")
    assert migrate(database) == FILES
    check_hosted(database, "first_migrator")


def test_another_migrator_of_the_same_cluster(hosted):
    """From 16 on, CREATEROLE does not reach roles that others made."""
    migrate(database_of(hosted, "first_migrator"))
    database = database_of(hosted, "second_migrator")
    if int(database.execute("SHOW server_version_num")) >= 160000:
        assert 'permission denied to grant role "productgraph_owner"' in (
            refusal(database, SQL_DIR))
        database.execute("GRANT productgraph_owner, productgraph_writer,"
                         " productgraph_reader, productgraph_admin"
                         " TO second_migrator WITH ADMIN OPTION")
    assert migrate(database) == FILES
    check_hosted(database, "second_migrator")
