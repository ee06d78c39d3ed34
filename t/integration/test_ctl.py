# SPDX-License-Identifier: MIT
"""productgraphctl: what its manual promises, against a real PostgreSQL.

Every test has a database of its own.  Roles belong to the whole cluster, so
they may be there already; that is part of what migrate has to live with.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading

import pytest

from cluster import BUILD, PASSWORD, TOP, clean_environment, wait_until
from ctl import (CONFIG, DATABASE, PENDING, SQL_DIR, USAGE, VERSION, Ctl,
                 rows_of, run)


@pytest.fixture
def files(tmp_path):
    """A copy of the SQL files, to be spoilt."""
    directory = tmp_path / "sql"
    directory.mkdir()
    for path in SQL_DIR.glob("*.sql"):
        shutil.copyfile(path, directory / path.name)
    return directory


def names(directory):
    return sorted(p.name for p in directory.glob("*.sql"))


def recorded(ctl):
    return ctl.sql("SELECT version, name, checksum FROM schema_migrations "
                   "ORDER BY version")


@contextlib.contextmanager
def locked(database, table):
    """Somebody holds the table."""
    cluster = database.cluster
    with subprocess.Popen(
            [cluster.bindir + "/psql", "-Xq", "-h", cluster.socket_dir,
             "-p", str(cluster.port), "-U", "postgres", "-d", database.name],
            stdin=subprocess.PIPE, text=True,
            env=clean_environment()) as psql:
        psql.stdin.write(f"BEGIN; LOCK TABLE {table};\n")
        psql.stdin.flush()
        wait_until(lambda: database.query(
            "SELECT 1 FROM pg_locks WHERE granted "
            "AND mode = 'AccessExclusiveLock' "
            f"AND relation = '{table}'::regclass"), what="the lock")
        yield
        # Closing its input ends psql, and with it the transaction.


# ---- migrate -----------------------------------------------------------------


def test_migrate_from_empty_then_again(ctl):
    first = ctl.migrate()
    expected = names(SQL_DIR)
    assert first == "".join(f"applied {name}\n" for name in expected)
    assert recorded(ctl) == [
        [i + 1, name,
         hashlib.sha256((SQL_DIR / name).read_bytes()).hexdigest()]
        for i, name in enumerate(expected)
    ]
    before = recorded(ctl)
    assert ctl.migrate() == f"up to date at version {len(expected)}\n"
    assert recorded(ctl) == before


def test_migrate_two_at_once(ctl):
    results = []

    def run():
        results.append(ctl("migrate", "--sql-dir", SQL_DIR))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.returncode for r in results] == [0] * 4, results
    applied = [line for r in results for line in r.stdout.splitlines()
               if line.startswith("applied ")]
    assert applied == [f"applied {name}" for name in names(SQL_DIR)]
    assert len(recorded(ctl)) == len(applied)


def test_migrate_goes_on_where_it_stopped(ctl, files, tmp_path):
    later = sorted(files.glob("*.sql"))[3:]
    for path in later:
        path.rename(tmp_path / path.name)
    ctl.migrate(files)
    assert len(recorded(ctl)) == 3
    assert ctl.migrate() == "".join(f"applied {p.name}\n" for p in later)


@pytest.mark.parametrize("spoil, says", [
    (lambda d: (d / "0002_tenants.sql").open("a").write("\n"),
     '"0002_tenants.sql" has changed'),
    (lambda d: (d / "0003_events.sql").unlink(), "version 3 is missing"),
    (lambda d: (d / "0003_events.sql").rename(d / "0003_other.sql"),
     '"0003_other.sql" was applied under the name "0003_events.sql"'),
    (lambda d: (d / "0003_twice.sql").write_text(""), "the same number"),
    (lambda d: (d / "tenants.sql").write_text(""), "not named NNNN_name.sql"),
    (lambda d: (d / "0000_before.sql").write_text(""),
     "not named NNNN_name.sql"),
    (lambda d: max(d.glob("*.sql")).unlink(), "newer than this program"),
    (lambda d: (d / "0001_roles.sql").write_text("SELECT 1\0;"), "NUL byte"),
    (lambda d: shutil.rmtree(d), "could not read directory"),
    (lambda d: [p.unlink() for p in d.glob("*.sql")], "no SQL files"),
], ids=["changed", "gap", "renamed", "same-number", "no-number", "zero",
        "newer", "nul", "no-directory", "no-files"])
def test_migrate_refuses(ctl, files, spoil, says):
    ctl.migrate(files)
    before = recorded(ctl)
    # One to apply, so that a refusal is seen to come before it.
    version = len(before) + 1
    new = files / f"{version:04}_new.sql"
    spoil(files)
    if files.exists() and says not in ("newer than this program",
                                       "no SQL files"):
        new.write_text("CREATE TABLE new_table (i int);\n")
    for check in ((), ("--check",)):
        assert says in ctl.fails(CONFIG, "migrate", "--sql-dir", files,
                                 *check)
    assert recorded(ctl) == before
    assert ctl.sql("SELECT to_regclass('new_table')") == [[None]]


def test_migrate_refuses_a_hole_in_the_record(ctl):
    ctl.migrate()
    ctl.database.execute("DELETE FROM schema_migrations WHERE version = 2")
    assert "not version 2" in ctl.fails(CONFIG, "migrate", "--sql-dir",
                                        SQL_DIR)


def test_migrate_keeps_whole_versions_only(ctl, files):
    version = len(names(files)) + 1
    good = files / f"{version:04}_good.sql"
    bad = files / f"{version + 1:04}_bad.sql"
    good.write_text("CREATE TABLE good (i int);\n")
    # PostgreSQL tells where in characters, not in bytes.
    bad.write_text("-- " + 40 * "\u00e4" + "\n"
                   "CREATE TABLE half (i int);\nSELECT 1; SELEC 2;\n")
    done = ctl("migrate", "--sql-dir", files)
    assert done.returncode == DATABASE
    assert f"{bad.name}:3: syntax error" in done.stderr
    assert done.stdout.endswith(f"applied {good.name}\n")
    assert len(recorded(ctl)) == version
    assert ctl.sql("SELECT relname FROM pg_class WHERE relname IN "
                   "('good', 'half')") == [["good"]]

    bad.write_text("CREATE TABLE whole (i int);\n")
    assert ctl.migrate(files) == f"applied {bad.name}\n"


def test_migrate_file_and_record_are_one(ctl, files):
    """Where the record cannot be written, the file was not applied."""
    version = len(names(files)) + 1
    path = files / f"{version:04}_alone.sql"
    path.write_text("CREATE TABLE alone (i int);\n"
                    "ALTER TABLE schema_migrations "
                    f"ADD CHECK (version < {version});\n")
    done = ctl("migrate", "--sql-dir", files)
    assert done.returncode == DATABASE
    assert "violates check constraint" in done.stderr
    assert ctl.sql("SELECT to_regclass('alone')") == [[None]]
    assert len(recorded(ctl)) == version - 1


def test_migrate_killed_in_the_middle(ctl, files):
    ctl.migrate()
    version = len(names(files)) + 1
    slow = files / f"{version:04}_slow.sql"
    slow.write_text("CREATE TABLE slow (i int);\n"
                    "LOCK TABLE organizations;\n")
    with locked(ctl.database, "organizations"):
        with subprocess.Popen(ctl.command("migrate", "--sql-dir", files),
                              env=clean_environment()) as process:
            wait_until(lambda: ctl.sql(
                "SELECT 1 FROM pg_locks WHERE NOT granted "
                "AND relation = 'organizations'::regclass"),
                       what="migrate in the middle of a file")
            process.kill()
    # The lock is the dead one's until its backend has noticed: this waits.
    assert ctl.migrate(files) == f"applied {slow.name}\n"
    assert len(recorded(ctl)) == version


def test_migrate_refuses_a_file_that_commits(ctl, files):
    version = len(names(files)) + 1
    path = files / f"{version:04}_commit.sql"
    path.write_text("CREATE TABLE t (i int); COMMIT;\n")
    done = ctl("migrate", "--sql-dir", files)
    assert done.returncode == DATABASE
    assert "ends the transaction" in done.stderr
    assert len(recorded(ctl)) == version - 1


def test_migrate_check_changes_nothing(ctl, files):
    """From an empty database to one that is ahead."""
    check = ("migrate", "--check", "--sql-dir", files)
    last = max(files.glob("*.sql"))
    done = ctl(*check)
    assert done.returncode == PENDING
    assert done.stdout == "".join(f"pending {n}\n" for n in names(files))
    assert "is at version 0, the files end with %d" % VERSION in done.stderr
    assert ctl.sql("SELECT to_regclass('schema_migrations')") == [[None]]

    text = last.read_text()
    last.unlink()
    ctl.migrate(files)
    assert ctl(*check).returncode == 0
    last.write_text(text)
    done = ctl(*check)
    assert (done.returncode, done.stdout) == (PENDING,
                                              f"pending {last.name}\n")
    done = ctl(*check, "--json")
    assert done.returncode == PENDING
    assert json.loads(done.stdout) == {
        "pending": [last.name], "version": VERSION - 1, "newest": VERSION}
    assert len(recorded(ctl)) == VERSION - 1

    assert ctl.json("migrate", "--sql-dir", files) == {
        "applied": [last.name], "version": VERSION, "newest": VERSION}
    assert ctl.ok(*check) == f"up to date at version {VERSION}\n"
    assert ctl.json(*check) == {
        "pending": [], "version": VERSION, "newest": VERSION}
    assert ctl.json("migrate", "--sql-dir", files)["applied"] == []


def test_migrate_check_waits_for_no_migration(ready):
    """It takes no lock: it may run while another migrates."""
    cluster = ready.database.cluster
    with subprocess.Popen(
            [cluster.bindir + "/psql", "-XqAt", "-h", cluster.socket_dir,
             "-p", str(cluster.port), "-U", "postgres",
             "-d", ready.database.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=clean_environment()) as psql:
        psql.stdin.write("SELECT pg_advisory_lock(22596356816848722)"
                         ", 'held';\n")
        psql.stdin.flush()
        assert "held" in psql.stdout.readline()
        assert ready("migrate", "--check", "--sql-dir",
                     SQL_DIR).returncode == 0


def test_migrate_json_tells_what_was_applied_before_a_failure(ctl, files):
    (files / f"{VERSION + 1:04}_bad.sql").write_text("SELEC 1;\n")
    done = ctl("migrate", "--sql-dir", files, "--json")
    assert done.returncode == DATABASE
    assert json.loads(done.stdout) == {
        "applied": names(SQL_DIR), "version": VERSION, "newest": VERSION + 1}


def test_role_that_bypasses_row_security_is_refused(ready, postgres):
    """Roles outlive databases: what another left behind is not trusted."""
    database = postgres.create_database()
    ready.database.execute("ALTER ROLE productgraph_reader BYPASSRLS")
    try:
        other = Ctl(database, ready.directory)
        message = other.fails(DATABASE, "migrate", "--sql-dir", SQL_DIR)
    finally:
        ready.database.execute("ALTER ROLE productgraph_reader NOBYPASSRLS")
        database.drop()
    assert 'role "productgraph_reader" bypasses row security' in message


# ---- the command line, the configuration, the database away ------------------


COMMANDS = {
    "migrate": ("--check", "--sql-dir"),
    "org create": ("NAME", "--slug"),
    "org list": (),
    "project create": ("--org", "NAME", "--slug", "--keyless"),
    "project list": ("--org",),
    "project set": ("--org", "--project", "--name", "--require-key",
                    "--origin", "--any-origin", "--session-timeout"),
    "key create": ("--org", "--project", "NAME", "--expires"),
    "key list": ("--org", "--project"),
    "key rotate": ("--org", "--project", "KEY", "--grace", "--expires"),
    "key revoke": ("--org", "--project", "KEY"),
    "session list": ("--org", "--project", "--limit"),
    "session show": ("--org", "--project", "SESSION", "--limit"),
    "dead-letters list": ("--org", "--project", "--limit"),
    "dead-letters show": ("ID",),
}


@pytest.mark.parametrize("args, says", [
    ((), "no command given"),
    (("org",), "org: what? create, list\n"),
    (("project",), "project: what? create, list, set\n"),
    (("key",), "key: what? create, list, rotate, revoke\n"),
    (("dead-letters",), "dead-letters: what? list, show\n"),
    (("orgs",), 'unknown command "orgs"'),
    (("org", "destroy", "x"), 'unknown command "org destroy"'),
    (("migrate", "now"), '"now" is one argument too many'),
    (("org", "list", "--json", "--json"), '"--json" is given twice'),
    (("org", "list", "--limit", "1"), 'does not take "--limit"'),
    (("key", "list", "--project", "x"), "--project needs --org"),
    (("key", "rotate", "--org", "o", "--project", "p"), "needs a KEY"),
    (("session", "show", "--org", "o", "--project", "p"),
     "needs a SESSION"),
    (("session", "list", "--org", "o"), "needs --project"),
    (("dead-letters", "show"), "needs an ID"),
    (("session", "show", "--org", "o", "--project", "p", "-weird"),
     'no such option "-w" (an operand that begins with "-" goes behind'),
    (("org", "list", "--weird", "x"), 'no such option "--weird" (an'),
], ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_usage(ctl, args, says):
    assert says in ctl.fails(USAGE, *args)


def test_help_names_every_command():
    done = run([BUILD + "/productgraphctl", "-h"], text=True)
    assert done.returncode == 0
    for words, operands in COMMANDS.items():
        assert f"\n  {words}" in done.stdout
        for operand in operands:
            assert operand in done.stdout
    assert "-h, --help" in done.stdout and "-V, --version" in done.stdout
    assert all(len(line) < 80 and line == line.rstrip()
               for line in done.stdout.splitlines())


@pytest.mark.parametrize("words", COMMANDS)
def test_help_of_a_command(words):
    """Whatever else is on the line; no configuration is read."""
    one, two = (run([BUILD + "/productgraphctl", "-c", "/nonexistent",
                     *words.split(), option], text=True)
                for option in ("-h", "--help"))
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout
    assert one.stdout.startswith(f"usage: productgraphctl [-c FILE] {words} ")
    for operand in (*COMMANDS[words], "--json"):
        assert operand in one.stdout


def test_manual_has_every_command_and_option():
    with open(TOP + "/doc/productgraphctl.8", encoding="utf-8") as f:
        manual = f.read()
    for words, operands in COMMANDS.items():
        assert f"Cm {words}" in manual
        for operand in operands:
            if operand.startswith("--"):
                assert f"Fl -{operand[2:]}" in manual, operand


@pytest.mark.parametrize("short, long", [("-h", "--help"),
                                         ("-V", "--version")])
def test_long_options(short, long):
    one, two = (run([BUILD + "/productgraphctl", option], text=True)
                for option in (short, long))
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout != ""


# Each with what it needs to get as far as the database.
ASKING = {
    "org create": ("X",),
    "org list": (),
    "project create": ("--org", "o", "X"),
    "project list": (),
    "project set": ("--org", "o", "--project", "p", "--name", "x"),
    "key create": ("--org", "o", "--project", "p", "x"),
    "key list": (),
    "key rotate": ("--org", "o", "--project", "p", "x"),
    "key revoke": ("x",),
    "session list": ("--org", "o", "--project", "p"),
    "session show": ("--org", "o", "--project", "p", "s"),
    "dead-letters list": (),
    "dead-letters show": ("12345678-1234-1234-1234-123456789012",),
}


def test_every_command_is_asked():
    assert {"migrate", *ASKING} == set(COMMANDS)


def test_database_away(ctl):
    away = f"host='{ctl.directory}' port=1 dbname=x user=x"
    ctl.configure(conninfo=away, migrate_conninfo=away)
    for args in [("migrate", "--sql-dir", SQL_DIR),
                 ("migrate", "--check", "--sql-dir", SQL_DIR),
                 *((*words.split(), *rest) for words, rest in ASKING.items())]:
        message = ctl.fails(DATABASE, *args)
        assert message.startswith("productgraphctl: PostgreSQL is away: ")
        assert "connection to server" in message
        assert message.count("\n") == 1


def test_database_of_another_version(ready):
    """Every command compares versions before it does anything."""
    def each(code, says):
        for words, rest in ASKING.items():
            for json_too in ((), ("--json",)):
                assert says in ready.fails(code, *words.split(), *rest,
                                           *json_too), words

    database = ready.database
    database.execute("INSERT INTO schema_migrations (version, name, checksum)"
                     f" VALUES ({VERSION + 2}, 'x', 'y')")
    each(CONFIG, f"the database is at version {VERSION + 2}, newer than this "
         f"program ({VERSION}); use the productgraphctl of that release")
    database.execute("DELETE FROM schema_migrations "
                     f"WHERE version >= {VERSION}")
    each(PENDING, f"the database is at version {VERSION - 1}, this program "
         f'needs {VERSION}; run "productgraphctl migrate"')
    database.execute("DELETE FROM schema_migrations")
    each(PENDING, "the database has not been migrated; run "
         '"productgraphctl migrate"')
    database.execute("DROP TABLE schema_migrations")
    each(PENDING, "the database has not been migrated")


def test_database_from_before_versions_could_be_read(ready, files):
    """An earlier release let the administrator not see the record."""
    for path in sorted(files.glob("*.sql"))[6:]:
        path.unlink()
    database = ready.database.cluster.create_database()
    ctl = Ctl(database, ready.directory)
    ctl.migrate(files)
    message = ctl.fails(PENDING, "org", "list")
    assert f"older than this program, which needs version {VERSION}" in message
    assert 'run "productgraphctl migrate"' in message
    ctl.migrate()
    assert rows_of(ctl.ok("org", "list")) == [
        ["slug", "name", "id", "created", "projects"]]
    database.drop()


def test_database_not_migrated(ready, postgres):
    database = postgres.create_database()
    ctl = Ctl(database, ready.directory)
    assert "the database has not been migrated" in ctl.fails(
        PENDING, "org", "create", "X")
    database.drop()


def test_only_the_own_section_is_needed(ready):
    """What the daemon needs is the daemon's to ask for."""
    ready.configure()
    whole = ready.conf.read_text()
    ready.conf.write_text(whole[whole.index("ctl {"):])
    assert ready.json("org", "list") == []


def test_default_files_missing(ctl):
    """Before "make install" there is neither: the message tells a way."""
    program = BUILD + "/productgraphctl"
    help_text = run([program, "-h"], text=True).stdout
    default = re.search(r"\(default: (.+)\)", help_text)[1]
    if os.path.exists(default):
        pytest.skip("installed")
    done = run([program, "org", "list"], text=True)
    assert (done.returncode, done.stderr) == (
        CONFIG, f"productgraphctl: {default}: could not open it: No such file "
        "or directory; -c FILE names another\n")
    ctl.configure()
    done = run(ctl.command("migrate", "--check"), text=True)
    assert (done.returncode, done.stdout) == (CONFIG, "")
    assert done.stderr.endswith(
        "No such file or directory; --sql-dir DIR names another\n")


def test_configuration_missing(ctl):
    ctl.conf.unlink()
    assert str(ctl.conf) in ctl.fails(CONFIG, "org", "create", "X")


@pytest.mark.parametrize("conninfo, says", [
    ("hst=x", 'invalid connection option'),
    ("user=x password=secret", "holds a password"),
    ("postgresql://x:secret@localhost/db", "holds a password"),
], ids=["option", "password", "uri"])
def test_conninfo_refused(ctl, conninfo, says):
    ctl.configure(conninfo=conninfo)
    message = ctl.fails(CONFIG, "org", "create", "X")
    assert says in message
    assert "secret" not in message


@pytest.mark.parametrize("mode, content, says", [
    (0o640, "secret\n", "is open to group or others"),
    (0o604, "secret\n", "is open to group or others"),
    (0o600, "\n", "is empty"),
    (0o600, "x" * 5000, "too long"),
    (None, None, "No such file"),
], ids=["group", "others", "empty", "long", "missing"])
def test_password_file_refused(ctl, mode, content, says):
    path = ctl.directory / "password"
    if mode is not None:
        path.write_text(content)
        path.chmod(mode)
    ctl.configure(password_file=path)
    message = ctl.fails(CONFIG, "org", "create", "X")
    assert says in message and str(path) in message
    assert "secret" not in message


def test_password_file_used(ready):
    """The cluster asks for a password: it is the file's first line."""
    path = ready.directory / "password"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\nnot this line\n")
    ready.configure(password_file=path)
    ready.ok("org", "create", "X")
    path.write_text("another\n")
    message = ready.fails(DATABASE, "org", "create", "Y")
    assert message.startswith(
        "productgraphctl: PostgreSQL does not let us in: ")
    assert "password authentication failed" in message
