# SPDX-License-Identifier: MIT
"""The wall between tenants: who sees what, and who may do what.

Whether a table is behind the wall is asked of the catalogue, so that one that
is added and forgotten fails here.
"""

import json
import re

import pytest

from sessions_model import instant

ROLES = ("reader", "writer", "admin")
# What the reader may read, and where a row's organisation stands.
TENANT_RELATIONS = {
    "organizations": "id", "projects": "org_id", "api_keys": "org_id",
    "events": "org_id", "session_state": "org_id", "sessions": "org_id",
    "dead_letters": "org_id"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"
DENIED = "permission denied"

FILL = """
    SELECT create_month('2024-01-01'), create_month('2024-02-01') \\g /dev/null
    INSERT INTO session_state (session_key, org_id, project_id, session_id,
                               started_at, ended_at, event_count, page_count,
                               error_count)
    SELECT nextval('session_keys'), org_id, id, 's', '2024-01-31 23:00Z',
        '2024-02-01 01:00Z', 2, 0, 0 FROM projects;
    INSERT INTO events (org_id, project_id, received_at, timestamp, event_id,
                        session_id, event_type, session_key)
    SELECT p.org_id, p.id, now(), t, 'of ' || p.slug, 's', 'custom',
        s.session_key
    FROM projects p JOIN session_state s ON s.project_id = p.id,
        unnest(ARRAY[s.started_at, s.ended_at]) AS t;
    INSERT INTO dead_letters (org_id, project_id, received_at, sqlstate,
                              message, payload)
    SELECT org_id, id, now(), '22021', 'bad', '' FROM projects;
    """


class Tenants:
    """A database where demo and other have rows in every relation."""

    def __init__(self, database):
        self.database = database
        database.execute(FILL)
        self.orgs = {row["slug"]: row["id"] for row in database.query(
            "SELECT slug, id FROM organizations")}
        projects = database.query("SELECT id FROM projects")
        reads = {name: "SELECT %s AS org FROM %s" % (column, name)
                 for name, column in TENANT_RELATIONS.items()}
        reads["session_events()"] = (
            "SELECT e.org_id FROM (VALUES %s) AS p (id),"
            " session_events(p.id, 's') AS e" % ", ".join(
                "('%s'::uuid)" % row["id"] for row in projects))
        self.relations = set(reads)
        # Everything of everybody, as far as it is seen.
        self.everything = " UNION ALL ".join(
            "SELECT DISTINCT '%s', org::text FROM (%s) AS q (org)" % read
            for read in reads.items())

    def script(self, text):
        """SQL with names for organisations, and without answers of its own."""
        text = text.format(unknown=UNKNOWN, **self.orgs)
        return re.sub(r"(SELECT set_current_org\(.*?\));",
                      r"\1 \\g /dev/null" "\n", text)

    def run(self, text, user="productgraph_reader"):
        """Runs a script; what it prints."""
        return self.database.execute(self.script(text), user=user)

    def seen(self, before, user="productgraph_reader"):
        """{relation: organisations seen in it}, by name, after a script."""
        names = {org: name for name, org in self.orgs.items()}
        found = {relation: set() for relation in self.relations}
        for line in self.run(before + "\n" + self.everything + ";\n",
                             user).splitlines():
            relation, org = line.split("|")
            found[relation].add(names[org])
        return found

    def all_see(self, *names):
        """What seen() gives when every relation shows these."""
        return {relation: set(names) for relation in self.relations}


@pytest.fixture(name="tenants", scope="module")
def fixture_tenants(module_database):
    return Tenants(module_database)


@pytest.fixture(name="own_tenants")
def fixture_own_tenants(database):
    """The same, for a test that changes the schema."""
    return Tenants(database)


# ---- what the reader sees ----

@pytest.mark.parametrize("before", [
    "",
    "SET app.current_org_id = '';",
    "SET app.current_org_id = '{unknown}';",
    "SELECT set_current_org(NULL);",
    "SELECT set_current_org('{demo}'); SELECT set_current_org(NULL);",
    "SELECT set_current_org('{demo}'); RESET app.current_org_id;",
    "SELECT set_current_org('{demo}'); DISCARD ALL;",
    "BEGIN;",
    # What a SET LOCAL leaves behind is '', not null.
    "BEGIN; SET LOCAL app.current_org_id = '{demo}'; COMMIT;",
    "BEGIN; SET LOCAL app.current_org_id = '{demo}'; ROLLBACK;",
    "BEGIN; SELECT set_current_org('{demo}', true); COMMIT;",
    "BEGIN; SELECT set_current_org('{demo}', true); COMMIT; BEGIN;",
    "BEGIN; SELECT set_current_org('{demo}', true); ROLLBACK;",
    # Outside a transaction, a statement is one.
    "SELECT set_current_org('{demo}', true);",
    "BEGIN; SELECT set_current_org('{demo}'); ROLLBACK;",
    "BEGIN; SELECT set_current_org('{demo}', true);"
    " \\set ON_ERROR_STOP off\n SELECT 1/0; ROLLBACK;",
    "BEGIN; SAVEPOINT s; SELECT set_current_org('{demo}', true);"
    " ROLLBACK TO s;",
], ids=[
    "unset", "empty", "unknown", "null", "taken-back", "reset", "discarded",
    "in-transaction", "set-local-over", "set-local-rolled-back", "local-over",
    "next-transaction", "local-rolled-back", "local-outside", "rolled-back",
    "error", "savepoint"])
def test_no_organisation_means_no_rows(tenants, before):
    assert tenants.seen(before) == tenants.all_see()


@pytest.mark.parametrize("before, name", [
    ("SELECT set_current_org('{demo}');", "demo"),
    ("SELECT set_current_org('{other}');", "other"),
    ("SELECT set_current_org('{demo}'); BEGIN;", "demo"),
    ("SELECT set_current_org('{demo}'); SELECT set_current_org('{other}');",
     "other"),
    ("BEGIN; SET LOCAL app.current_org_id = '{demo}';", "demo"),
    ("BEGIN; SELECT set_current_org('{demo}', true);", "demo"),
    ("BEGIN; SELECT set_current_org('{demo}'); COMMIT;", "demo"),
    ("SELECT set_current_org('{other}');"
     " BEGIN; SELECT set_current_org('{demo}', true);", "demo"),
    ("SELECT set_current_org('{other}');"
     " BEGIN; SELECT set_current_org('{demo}', true); COMMIT;", "other"),
    ("SELECT set_current_org('{other}');"
     " BEGIN; SELECT set_current_org('{demo}'); ROLLBACK;", "other"),
    ("BEGIN; SELECT set_current_org('{demo}', true); SAVEPOINT s;"
     " SELECT set_current_org('{other}', true); ROLLBACK TO s;", "demo"),
], ids=["demo", "other", "in-transaction", "changed", "set-local", "local",
        "committed", "local-over-lasting", "local-ended", "rolled-back",
        "savepoint"])
def test_reader_sees_its_organisation_alone(tenants, before, name):
    assert tenants.seen(before) == tenants.all_see(name)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_a_prepared_statement_is_of_no_organisation(tenants, mode):
    text = tenants.run(
        "SET plan_cache_mode = " + mode + ";"
        " SELECT set_current_org('{demo}');"
        " PREPARE q AS SELECT DISTINCT event_id FROM events ORDER BY 1;"
        " EXECUTE q; SELECT set_current_org('{other}'); EXECUTE q;"
        " SELECT set_current_org(NULL); EXECUTE q;")
    assert text.splitlines() == ["of proj_demo", "of shop", "of rival"]


def test_what_is_no_organisation_is_an_error(tenants):
    with pytest.raises(RuntimeError, match="invalid input syntax"):
        tenants.seen("SET app.current_org_id = 'demo';")


def test_row_security_cannot_be_switched_off(tenants):
    with pytest.raises(RuntimeError, match="affected by row-level security"):
        tenants.seen("SET row_security = off;"
                     "SELECT set_current_org('{demo}');")


def test_a_condition_is_not_shown_other_tenants_rows(tenants):
    """Not even one that costs nothing and would rather be asked first."""
    text = tenants.run("""
        CREATE TEMP TABLE shown (what text);
        CREATE FUNCTION pg_temp.show(what text) RETURNS boolean
        LANGUAGE plpgsql COST 0.0000001 AS $$
        BEGIN
            INSERT INTO shown VALUES (what);
            RETURN true;
        END $$;
        SELECT set_current_org('{demo}');
        SELECT FROM events WHERE pg_temp.show(event_id);
        SELECT FROM sessions WHERE pg_temp.show(org_id::text);
        SELECT DISTINCT what FROM shown ORDER BY 1;
        """)
    assert set(text.split("\n")) - {""} == {
        "of proj_demo", "of shop", tenants.orgs["demo"]}


def test_admin_sees_every_organisation(tenants):
    assert tenants.seen("", "productgraph_admin") == tenants.all_see(
        "demo", "other")


# ---- what nobody may ----

@pytest.mark.parametrize("sql", [
    *(sql.format(name, column) for name, column in TENANT_RELATIONS.items()
      for sql in ("INSERT INTO {0} DEFAULT VALUES", "DELETE FROM {0}",
                  "UPDATE {0} SET {1} = {1}", "TRUNCATE {0}")),
    "COPY events FROM stdin;\n\\.\n",
    "LOCK TABLE events",
    "SELECT key_sha256 FROM api_keys",
    "TABLE api_keys",
    "TABLE progress",
    "TABLE schema_migrations",
    "SELECT create_month('2024-01-01')",
    "SELECT nextval('session_keys')",
    "SELECT last_value FROM session_keys",
    "CREATE TABLE mine ()",
    "CREATE TABLE partitions.mine ()",
    "CREATE SCHEMA mine",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own_organization ON events",
    "SET ROLE productgraph_owner",
    "SET ROLE productgraph_admin",
    "SET SESSION AUTHORIZATION productgraph_admin",
])
def test_reader_may_only_read(tenants, sql):
    with pytest.raises(RuntimeError, match=DENIED + "|must be owner|"
                       "cannot (insert into|delete from|update) view|"
                       "\"sessions\" is not a table"):
        tenants.run("BEGIN; SELECT set_current_org('{demo}');" + sql + ";")


def test_writer_reads_no_event(tenants):
    for sql in ("TABLE events", "SELECT org_id FROM events",
                "SELECT attributes FROM events", "DELETE FROM events",
                "TABLE sessions",
                "DELETE FROM partitions.events_y2024m01",
                "DROP TABLE partitions.events_y2024m01",
                "TABLE dead_letters", "DELETE FROM api_keys",
                "UPDATE api_keys SET revoked_at = NULL",
                "DELETE FROM session_state",
                "SELECT FROM session_events('%s', 's')" % UNKNOWN):
        with pytest.raises(RuntimeError, match=DENIED + "|must be owner"):
            tenants.run("BEGIN;" + sql, "productgraph_writer")


LEAVES = """
    SELECT c.oid::regclass::text AS name FROM pg_class c
    WHERE c.relnamespace = 'partitions'::regnamespace
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""


def leaves(database):
    """What lies in the schema of partitions."""
    return {row["name"] for row in database.query(LEAVES)}


def test_nobody_reads_a_leaf(tenants):
    database = tenants.database
    names = leaves(database)
    assert names == {row["name"] for row in database.query(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'events'::regclass")}
    assert names >= {"partitions.events_y2024m01",
                     "partitions.events_y2024m02"}
    for name in names:
        for role in ROLES:
            for sql in ("TABLE %s", "SELECT FROM %s", "COPY %s TO stdout",
                        "DELETE FROM %s", "UPDATE %s SET event_id = 'x'"):
                with pytest.raises(RuntimeError, match=DENIED):
                    tenants.run("BEGIN; " + sql % name + ";",
                                "productgraph_" + role)


def test_well_meant_grants_open_no_leaf(own_tenants):
    """Default privileges that a database administrator may have set."""
    database = own_tenants.database
    database.execute("""
        ALTER DEFAULT PRIVILEGES FOR ROLE productgraph_owner
            GRANT ALL ON TABLES TO productgraph_reader, productgraph_admin,
            PUBLIC;
        GRANT USAGE ON SCHEMA partitions
            TO productgraph_reader, productgraph_admin;
        SELECT create_month('2023-06-30');
        """)
    assert "partitions.events_y2023m06" in leaves(database)
    for name in leaves(database):
        for role in ("reader", "admin"):
            with pytest.raises(RuntimeError, match=DENIED + " for table"):
                database.execute("TABLE %s" % name,
                                 user="productgraph_" + role)
        assert database.query("""
            SELECT grantee::regrole, privilege_type
            FROM pg_class, aclexplode(relacl)
            WHERE oid = '%s'::regclass AND grantee <> relowner
            """ % name) == [{"grantee": "productgraph_writer",
                             "privilege_type": "INSERT"}]


def test_reader_cannot_enter_the_schema_of_leaves(tenants):
    with pytest.raises(RuntimeError, match=DENIED + " for schema"):
        tenants.run("TABLE partitions.events_y2024m01")


# ---- what the catalogue says ----

# Relations with tenants' rows that are not behind the wall.
UNPROTECTED = """
    WITH relation AS (
        SELECT c.*, format('%s.%s', relnamespace::regnamespace, relname)
            AS name
        FROM pg_class c
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
            AND relnamespace NOT IN ('pg_catalog'::regnamespace,
                'information_schema'::regnamespace)
            AND NOT starts_with(relnamespace::regnamespace::text, 'pg_')
    ), tenant AS (
        -- By its columns, or because readers may read of it.
        SELECT r.* FROM relation r
        WHERE relname = 'organizations'
            OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid
                AND a.attname = 'org_id' AND NOT a.attisdropped)
            OR has_any_column_privilege('productgraph_reader', r.oid, 'SELECT')
    )
    SELECT name FROM tenant t
    WHERE CASE
        WHEN relnamespace = 'partitions'::regnamespace THEN
            relkind <> 'r' OR EXISTS (
                SELECT FROM unnest(ARRAY['reader', 'writer', 'admin']) AS role
                WHERE has_any_column_privilege('productgraph_' || role, t.oid,
                    'SELECT'))
        WHEN relkind IN ('r', 'p') THEN
            NOT relrowsecurity
            -- One policy for the reader, which is this one.
            OR (SELECT array_agg(polname::text ORDER BY polname)
                FROM pg_policy WHERE polrelid = t.oid
                    AND polroles &&
                        ARRAY[0, 'productgraph_reader'::regrole::oid])
                IS DISTINCT FROM '{own_organization}'
            OR (SELECT pg_get_expr(polqual, polrelid)
                FROM pg_policy WHERE polrelid = t.oid
                    AND polname = 'own_organization')
                !~ '^\\((org_)?id = '
                    '\\( SELECT .*''app.current_org_id''.*\\)\\)$'
        WHEN relkind = 'v' THEN
            NOT coalesce(reloptions, '{}') && '{security_invoker=true,
                security_invoker=on,security_invoker=1}'::text[]
        ELSE true
        END
    """


def unprotected(database):
    """The names of UNPROTECTED."""
    return {row["name"] for row in database.query(UNPROTECTED)}


def test_every_relation_with_org_id_is_behind_the_wall(own_tenants):
    database = own_tenants.database
    assert unprotected(database) == set()
    # The query knows what it looks for.
    database.execute("""
        CREATE TABLE a (org_id uuid);
        CREATE TABLE b (org_id uuid) PARTITION BY LIST (org_id);
        ALTER TABLE b ENABLE ROW LEVEL SECURITY;
        CREATE TABLE c (org_id uuid);
        ALTER TABLE c ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own_organization ON c TO productgraph_reader
            USING (org_id IS NOT NULL);
        CREATE VIEW d AS SELECT org_id FROM events;
        CREATE VIEW e WITH (security_invoker = false) AS TABLE organizations;
        GRANT SELECT ON e TO productgraph_reader;
        CREATE MATERIALIZED VIEW f AS SELECT org_id FROM events;
        CREATE TABLE g (slug text); GRANT SELECT (slug) ON g TO PUBLIC;
        CREATE TABLE partitions.h (org_id uuid);
        GRANT SELECT (org_id) ON partitions.h TO productgraph_admin;
        CREATE SCHEMA s; CREATE TABLE s.i (org_id uuid);
        CREATE POLICY open ON events FOR SELECT USING (true);

        CREATE TABLE good (org_id uuid);
        ALTER TABLE good ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own_organization ON good
            FOR SELECT TO productgraph_reader
            USING (org_id = (SELECT nullif(current_setting(
                'app.current_org_id', true), '')::uuid));
        CREATE VIEW good_view WITH (security_invoker) AS TABLE good;
        CREATE TABLE good_settings (name text);
        """)
    assert unprotected(database) == {
        *("public." + name for name in "abcdefg"), "partitions.h", "s.i",
        "public.events"}


def test_what_the_reader_reads_is_tested_here(tenants):
    assert {row["name"] for row in tenants.database.query("""
        SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'f')
            AND has_any_column_privilege('productgraph_reader', oid, 'SELECT')
        """)} == set(TENANT_RELATIONS)


def test_functions_with_their_owners_rights_have_a_search_path(tenants):
    functions = tenants.database.query("""
        SELECT proname, proconfig FROM pg_proc
        WHERE prosecdef AND pronamespace IN
            ('public'::regnamespace, 'partitions'::regnamespace)
        """)
    assert "create_month" in {f["proname"] for f in functions}
    for function in functions:
        assert "search_path=pg_catalog, pg_temp" in (
            function["proconfig"] or ()), function["proname"]


def test_public_may_call_nothing_and_use_no_sequence(tenants):
    """Beside what comes with PostgreSQL."""
    database = tenants.database
    assert database.query("""
        SELECT p.oid::regprocedure::text FROM pg_proc p,
            aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
        WHERE pronamespace IN
            ('public'::regnamespace, 'partitions'::regnamespace)
            AND acl.grantee = 0
        """) == []
    assert database.query("""
        SELECT c.oid::regclass::text, acl.grantee::regrole
        FROM pg_class c,
            aclexplode(coalesce(relacl, acldefault('s', relowner))) AS acl
        WHERE relkind = 'S' AND acl.grantee NOT IN
            (relowner, 'productgraph_writer'::regrole)
        """) == []


def test_roles_are_bound_by_policies(tenants):
    roles = {row["rolname"]: row for row in tenants.database.query(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,"
        " rolreplication, rolcanlogin"
        " FROM pg_roles WHERE rolname LIKE 'productgraph%'")}
    assert set(roles) == {"productgraph_" + name for name in (
        "owner", *ROLES)}
    for name, role in roles.items():
        assert role.pop("rolname") == name
        assert role.pop("rolcanlogin") == (name != "productgraph_owner")
        assert not any(role.values()), (name, role)
    # No policy applies to a table's owner, and nobody is in its role.
    assert tenants.database.query("""
        SELECT relname, relowner::regrole FROM pg_class
        WHERE relowner <> 'productgraph_owner'::regrole AND relname IN ('%s')
        """ % "','".join(TENANT_RELATIONS)) == []
    assert tenants.database.query("""
        SELECT member::regrole FROM pg_auth_members
        WHERE roleid = 'productgraph_owner'::regrole
            AND starts_with(member::regrole::text, 'productgraph_')
        """) == []


# ---- the wall costs no index ----

MANY = """
    SELECT create_month(d::date) FROM generate_series(
        '2024-01-01'::timestamptz, '2024-03-01', '1 month') AS d
        \\g /dev/null
    INSERT INTO session_state (session_key, org_id, project_id, session_id,
                               started_at, ended_at, event_count, page_count,
                               error_count)
    SELECT nextval('session_keys'), org_id, id, 's' || n, t,
        t + interval '1 hour', 20, 0, 0
    FROM projects, generate_series(1, 1000) AS n,
        LATERAL (SELECT '2024-01-01Z'::timestamptz
            + n * interval '2 hours' AS t) AS start;
    INSERT INTO events (org_id, project_id, received_at, timestamp, event_id,
                        session_id, event_type, session_key, sequence)
    SELECT org_id, project_id, now(), started_at + n / 4 * interval '1 minute',
        'e' || n, session_id, 'custom', session_key, nullif(n % 4, 0)
    FROM session_state, generate_series(1, 20) AS n
    -- As they would come.
    ORDER BY started_at, n;
    ANALYZE;
    """


def nodes(plan):
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_session_events_uses_indexes_under_row_security(database):
    database.execute(MANY)
    (project,) = database.query(
        "SELECT id, org_id FROM projects WHERE slug = 'shop'")
    set_org = ("SELECT set_current_org('%s') \\g /dev/null\n"
               % project["org_id"])
    call = "session_events('%s', 's700')" % project["id"]

    # As it is planned: the function's own text, with its arguments.
    body = database.value("SELECT prosrc FROM pg_proc"
                          " WHERE proname = 'session_events'")
    body = re.sub(r"\bproject\b", "'%s'::uuid" % project["id"], body)
    body = re.sub(r"\bsession\b", "'s700'::text", body)
    (plan,) = json.loads(database.execute(
        set_org + "EXPLAIN (FORMAT JSON)" + body,
        user="productgraph_reader"))
    scans = [node for node in nodes(plan["Plan"])
             if node["Node Type"].endswith("Scan")]
    assert not [n for n in scans if n["Node Type"] == "Seq Scan"], scans
    used = {n["Index Name"] for n in scans if "Index Name" in n}
    session_indexes = {row["name"] for row in database.query(
        "SELECT relname AS name FROM pg_inherits"
        " JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'events_session'::regclass")}
    assert len(session_indexes) >= 3 and session_indexes <= used
    assert "session_state_project_id_session_id_key" in used

    # As it is executed: one leaf, by its index, as many rows as are answered.
    text = database.execute(
        "BEGIN; " + set_org +
        "SELECT timestamp AT TIME ZONE 'UTC' || 'Z', coalesce(sequence, 0)"
        " FROM %s;" % call +
        "SELECT count(*), sum(seq_scan), sum(idx_tup_fetch)"
        " FROM pg_stat_xact_all_tables"
        " WHERE schemaname = 'partitions' AND seq_scan + idx_scan > 0;",
        user="productgraph_reader").splitlines()
    *rows, scans = [line.split("|") for line in text]
    assert len(rows) == 20
    rows = [(instant(time), int(sequence)) for time, sequence in rows]
    assert rows == sorted(rows)
    assert scans == ["1", "0", "20"]
