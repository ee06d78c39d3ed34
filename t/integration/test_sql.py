# SPDX-License-Identifier: MIT
"""The schema alone: the months, and what a tenant's rows must be."""

import subprocess

import pytest

from client import unique

DENIED = "permission denied"


def leaves(database):
    """The partitions there are."""
    return [row["name"] for row in database.query(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'events'::regclass")]


# ---- months ----

def create_month(database, day, user="productgraph_writer"):
    """Calls create_month(); day is an SQL expression."""
    return database.execute("SELECT create_month((%s)::date)" % day,
                            user=user).strip()


def test_month_is_made_once_and_takes_its_rows(database):
    assert create_month(database, "'2022-02-28'") == "events_y2022m02"
    assert create_month(database, "'2022-02-01'") == "events_y2022m02"
    assert leaves(database).count("partitions.events_y2022m02") == 1
    assert database.value("""
        SELECT pg_get_expr(relpartbound, oid) FROM pg_class
        WHERE relname = 'events_y2022m02'
        """) == ("FOR VALUES FROM ('2022-02-01 00:00:00+00')"
                 " TO ('2022-03-01 00:00:00+00')")
    # The index of the parent is there, attached and not made twice.
    assert database.value("""
        SELECT count(*) FROM pg_index i
        JOIN pg_inherits h ON h.inhrelid = i.indexrelid
        WHERE i.indrelid = 'partitions.events_y2022m02'::regclass
            AND i.indisvalid AND h.inhparent = 'events_tenant_time'::regclass
        """) == 1


def test_month_does_not_depend_on_the_time_zone(database):
    database.execute("SET timezone = 'Pacific/Kiritimati';"
                     "SELECT create_month('2021-05-01')",
                     user="productgraph_writer")
    assert database.value("""
        SELECT pg_get_expr(relpartbound, oid) FROM pg_class
        WHERE relname = 'events_y2021m05'
        """) == ("FOR VALUES FROM ('2021-05-01 00:00:00+00')"
                 " TO ('2021-06-01 00:00:00+00')")


@pytest.mark.parametrize("day", [
    "now()", "now() + interval '31 days'", "now() - interval '10 years'"])
def test_month_within_bounds(database, day):
    assert create_month(database, day).startswith("events_y")


@pytest.mark.parametrize("day", [
    "now() + interval '64 days'", "now() - interval '10 years 3 months'",
    "'infinity'", "'-infinity'", "'0001-01-01 BC'", "'294276-01-01'"])
def test_month_out_of_bounds(database, day):
    with pytest.raises(RuntimeError, match="out of bounds"):
        create_month(database, day)


@pytest.mark.parametrize("user", ["reader", "admin"])
def test_month_is_made_by_the_writer_alone(database, user):
    with pytest.raises(RuntimeError, match=DENIED):
        create_month(database, "now()", "productgraph_" + user)


def test_month_is_not_fooled_by_what_the_caller_puts_in_the_way(database):
    database.execute("""
        CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO productgraph_writer;
        CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql
            AS $$ SELECT '1990-01-01'::timestamptz $$;
        """)
    with pytest.raises(RuntimeError, match="out of bounds"):
        database.execute("SET search_path = trap, pg_catalog, public;"
                         "SELECT create_month('1990-01-01')",
                         user="productgraph_writer")


def spawn_psql(database, sql, user):
    """psql in the background; communicate() ends it."""
    cluster = database.cluster
    return subprocess.Popen(
        [*cluster.psql_command(database.name, user), "-c", sql],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        env={"PGPASSWORD": "not-secret", "PATH": "/usr/bin:/bin"})


def test_two_make_the_same_month_at_once(database):
    callers = [spawn_psql(database, "SELECT create_month('2020-03-03')",
                          "productgraph_writer") for _ in range(6)]
    for caller in callers:
        out, err = caller.communicate(timeout=30)
        assert (out.strip(), err) == ("events_y2020m03", "")


def test_new_month_waits_for_no_reader(database):
    database.execute("SELECT create_month('2024-01-01')",
                     user="productgraph_writer")
    name = unique("holder")
    holder = spawn_psql(
        database, "SET application_name = '%s'; BEGIN;"
        " SELECT count(*) FROM events; SELECT pg_sleep(60)" % name,
        "postgres")
    try:
        database.execute("""
            DO $$ BEGIN
                WHILE NOT EXISTS (SELECT FROM pg_stat_activity
                    WHERE application_name = '%s' AND query LIKE '%%sleep%%'
                    AND wait_event = 'PgSleep') LOOP
                    PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
                END LOOP; END $$""" % name)
        database.execute("SET lock_timeout = '2s';"
                         "SELECT create_month('2020-07-07')",
                         user="productgraph_writer")
    finally:
        holder.kill()
        holder.communicate()


# ---- tenants ----

def insert_project(database, org, slug, require_key=True):
    """Inserts a project as the administrator."""
    database.execute(
        "INSERT INTO projects (org_id, name, slug, require_api_key)"
        " SELECT id, 'p', '%s', %s FROM organizations WHERE slug = '%s'"
        % (slug, require_key, org), user="productgraph_admin")


def test_slugs_are_unique_where_they_must_be(database):
    insert_project(database, "demo", "same")
    insert_project(database, "other", "same")
    with pytest.raises(RuntimeError, match="duplicate key"):
        insert_project(database, "demo", "same")
    insert_project(database, "demo", "open", require_key=False)
    # Needs a key, so it is found by the key and not by its slug.
    insert_project(database, "other", "open")
    with pytest.raises(RuntimeError, match="projects_keyless_slug"):
        database.execute("UPDATE projects SET require_api_key = false"
                         " WHERE slug = 'open'", user="productgraph_admin")


@pytest.mark.parametrize("slug", [
    "", "a b", "-a", "ä", "a/b", "x" * 256,
    "0190D0D0-0000-7000-8000-0000000000d0"])
def test_what_is_no_slug(database, slug):
    with pytest.raises(RuntimeError, match="slug_check"):
        insert_project(database, "demo", slug)


def test_a_key_is_of_its_projects_organisation(database):
    with pytest.raises(RuntimeError, match="foreign key"):
        database.execute("""
            INSERT INTO api_keys (org_id, project_id, name, prefix, key_sha256)
            SELECT o.id, p.id, 'k', 'p', sha256('x')
            FROM organizations o, projects p
            WHERE o.slug = 'other' AND p.slug = 'shop'
            """, user="productgraph_admin")


def test_every_database_hashes_ids_in_its_own_way(database, postgres):
    other = postgres.create_database()
    try:
        other.migrate()
        hashes = [d.value("SELECT event_hash('evt_001')")
                  for d in (database, other)]
        assert hashes[0] != hashes[1]
        # All of the seed counts: it is not the public one, nor half of it.
        assert hashes[0] != database.value(
            "SELECT hashtextextended('evt_001', 0)")
    finally:
        other.drop()


# ---- sessions ----

def test_no_index_is_on_what_a_batch_changes_of_a_session(database):
    """All updates stay on their page (HOT)."""
    changing = [row["name"] for row in database.query("""
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = 'session_state'::regclass AND attnum > 0
            AND attname NOT IN ('session_key', 'org_id', 'project_id',
                'session_id', 'created_at')""")]
    assert len(changing) >= 6 + 2 * 7
    # In the order of receipt, as they come, and each to another value.
    counts = database.execute("""
        INSERT INTO session_state (session_key, org_id, project_id, session_id,
            started_at, ended_at, event_count, page_count, error_count)
        SELECT nextval('session_keys'), org_id, id, n, now(), now(), 1, 0, 0
        FROM projects, generate_series(1, 1000) AS n WHERE slug = 'shop';
        BEGIN;
        UPDATE session_state SET %s;
        SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables
        WHERE relname = 'session_state'""" % ", ".join(
            name + " = " + (
                "'\\x01'" if name.endswith("_order")
                else name + " + 1" if name.endswith("_count")
                else name + " + interval '1 s'" if name.endswith("_at")
                else "'a'") for name in changing))
    assert counts == "1000|1000\n"
