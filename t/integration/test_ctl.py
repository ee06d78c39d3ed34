# SPDX-License-Identifier: MIT
"""productgraphctl: what its manual promises, against a real PostgreSQL.

Every test has a database of its own.  Roles belong to the whole cluster, so
they may be there already; that is part of what migrate has to live with.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import threading

import pytest

from cluster import BUILD, PASSWORD, TOP, clean_environment, wait_until

USAGE, DATABASE, OS, CONFIG = 64, 69, 71, 78
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")
KEY = re.compile(r"pgk_[A-Za-z0-9_-]{43}\n")
SQL_DIR = pathlib.Path(TOP) / "sql"


class Ctl:
    """productgraphctl with a configuration and a database of its own."""

    def __init__(self, database, directory):
        self.database = database
        self.directory = directory
        self.conf = directory / "ctl.conf"
        self.configure()

    def conninfo(self, user):
        """How that user connects."""
        cluster = self.database.cluster
        return (f"host={cluster.socket_dir} port={cluster.port} "
                f"dbname={self.database.name} user={user}")

    def configure(self, **directives):
        """Writes the configuration, with these instead of the usual."""
        values = {
            "conninfo": self.conninfo("productgraph_admin"),
            "password_file": self.database.cluster.password_file,
            "migrate_conninfo": self.conninfo("postgres"),
            **directives,
        }
        lines = "".join(f'\t{k} = "{v}"\n' for k, v in values.items())
        self.conf.write_text(
            'http {\n\tlisten = {}\n\tlisten_plain = {"127.0.0.1:8080"}\n}\n'
            f"ctl {{\n{lines}}}\n")

    def command(self, *args):
        """The command line."""
        return [BUILD + "/productgraphctl", "-c", str(self.conf),
                *map(str, args)]

    def __call__(self, *args):
        return run(self.command(*args), text=True)

    def ok(self, *args):
        """Runs a command that must succeed; its standard output."""
        done = self(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, code, *args):
        """Runs a command that must fail so; its one message."""
        done = self(*args)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert done.stderr.startswith("productgraphctl: ")
        return done.stderr

    def migrate(self, directory=SQL_DIR):
        """Must succeed; the roles it makes have no password yet."""
        return self.ok("migrate", "--sql-dir", directory)

    def sql(self, statement):
        """The rows of a SELECT, each a list."""
        return [list(row.values()) for row in self.database.query(statement)]


def run(command, **more):
    """Runs it to its end, without a terminal and without PG* settings."""
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60,
                          stderr=subprocess.PIPE, check=False,
                          env=clean_environment(), **more)


@pytest.fixture
def ctl(postgres, tmp_path):
    """With an empty database."""
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
def files(tmp_path):
    """A copy of the SQL files, to be spoilt."""
    directory = tmp_path / "sql"
    directory.mkdir()
    for path in SQL_DIR.glob("*.sql"):
        shutil.copyfile(path, directory / path.name)
    return directory


@pytest.fixture
def tenant(ready):
    """The same, with an organisation and a project."""
    ready.ok("org", "create", "Acme Inc.")
    ready.ok("project", "create", "--org", "acme-inc", "Shop")
    return ready


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
    (lambda d: max(d.glob("*.sql")).unlink(), "newer than the files"),
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
    if files.exists() and says not in ("newer than the files",
                                       "no SQL files"):
        new.write_text("CREATE TABLE new_table (i int);\n")
    assert says in ctl.fails(CONFIG, "migrate", "--sql-dir", files)
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


# ---- organisations, projects -------------------------------------------------


def test_org_create(ready):
    out = ready.ok("org", "create", "Acme Inc.")
    assert UUID.fullmatch(out)
    assert ready.sql("SELECT id, name, slug FROM organizations") == [
        [out.strip(), "Acme Inc.", "acme-inc"]]
    assert 'slug "acme-inc" is taken' in ready.fails(
        DATABASE, "org", "create", "ACME, inc")
    assert ready.sql("SELECT count(*) FROM organizations") == [[1]]


@pytest.mark.parametrize("name, slug", [
    ("Demo", "demo"),
    ("proj_demo", "proj_demo"),
    ("  The Big / Firm!  ", "the-big-firm"),
    ("__x__", "x__"),
    ("a" * 255, "a" * 255),
    ("ab " * 85, "ab-" * 84 + "ab"),
    ("it's \"quoted\"; DROP TABLE organizations; --",
     "it-s-quoted-drop-table-organizations"),
], ids=["lower", "kept", "trimmed", "first", "longest", "words",
        "quotes"])
def test_slug_from_name(ready, name, slug):
    ready.ok("org", "create", name)
    assert ready.sql("SELECT slug FROM organizations") == [[slug]]


@pytest.mark.parametrize("args, says", [
    ((), "needs a NAME"),
    (("",), "1 to 255 bytes"),
    (("x" * 256,), "1 to 255 bytes"),
    (("a", "b"), '"b" is one argument too many'),
    (("\u00c4\u00d6",), "give one with --slug"),
    (("Caf\u00e9 24",), "give one with --slug"),
    (("!",), "give one with --slug"),
    (("x", "--slug", "Upper"), "is not a slug"),
    (("x", "--slug", ""), "is not a slug"),
    (("x", "--slug", "-x"), "is not a slug"),
    (("x", "--slug", "a" * 256), "is not a slug"),
    (("x", "--slug", "0" * 8 + "-0000-0000-0000-" + "0" * 12), "is a UUID"),
    (("x", "--slug"), "needs a value"),
    (("x", "--keyless"), 'does not take "--keyless"'),
    (("x", "--nonsense"), 'no such option "--nonsense"'),
], ids=str.split("""none empty long two foreign partly-foreign no-slug
                    upper no-letters dash long-slug
                    uuid no-value not-its-option no-option"""))
def test_org_create_usage(ctl, args, says):
    assert says in ctl.fails(USAGE, "org", "create", *args)


def test_name_must_be_utf8(ready):
    done = run([*map(os.fsencode, ready.command("org", "create")),
                b"caf\xe9", b"--slug", b"cafe"])
    assert done.returncode == DATABASE
    assert b"invalid byte sequence" in done.stderr


def test_project_create(ready):
    ready.ok("org", "create", "One")
    ready.ok("org", "create", "Two")
    out = ready.ok("project", "create", "--org", "one", "Web Shop")
    assert UUID.fullmatch(out)
    # The same slug in another organisation is another project.
    ready.ok("project", "create", "--org", "two", "Other", "--slug", "web-shop")
    assert ready.sql(
        "SELECT o.slug AS org, p.name, p.slug, require_api_key FROM projects p "
        "JOIN organizations o ON o.id = p.org_id ORDER BY o.slug") == [
            ["one", "Web Shop", "web-shop", True],
            ["two", "Other", "web-shop", True]]
    assert "is taken" in ready.fails(
        DATABASE, "project", "create", "--org", "one", "Web Shop")
    assert 'no organisation "three"' in ready.fails(
        DATABASE, "project", "create", "--org", "three", "X")
    assert "needs --org" in ready.fails(USAGE, "project", "create", "X")


def test_keyless_slug_is_unique_in_the_installation(ready):
    ready.ok("org", "create", "One")
    ready.ok("org", "create", "Two")
    ready.ok("project", "create", "--org", "one", "Demo", "--keyless")
    assert "is taken" in ready.fails(
        DATABASE, "project", "create", "--org", "two", "Demo", "--keyless")
    ready.ok("project", "create", "--org", "two", "Demo")


# ---- keys --------------------------------------------------------------------


def test_key_create(tenant):
    args = ("key", "create", "--org", "acme-inc", "--project", "shop")
    done = tenant(*args, "website")
    assert done.returncode == 0, done.stderr
    assert KEY.fullmatch(done.stdout)
    key = done.stdout.strip()
    assert key not in done.stderr and key[:12] in done.stderr
    assert tenant.sql(
        "SELECT k.name, prefix, encode(key_sha256, 'hex'), p.slug, "
        "k.org_id = p.org_id AS same, revoked_at IS NULL AS valid "
        "FROM api_keys k JOIN projects p ON p.id = project_id") == [
            ["website", key[:12], hashlib.sha256(key.encode()).hexdigest(),
             "shop", True, True]]
    assert tenant.ok(*args, "website") != done.stdout


def test_key_create_errors(tenant):
    key = ("key", "create", "--org", "acme-inc", "--project")
    assert 'no project "nix" in organisation "acme-inc"' in tenant.fails(
        DATABASE, *key, "nix", "k")
    assert 'no organisation "nix"' in tenant.fails(
        DATABASE, "key", "create", "--org", "nix", "--project", "shop", "k")
    assert "needs a NAME" in tenant.fails(USAGE, *key, "shop")
    assert "needs --project" in tenant.fails(
        USAGE, "key", "create", "--org", "acme-inc", "k")
    assert tenant.sql("SELECT count(*) FROM api_keys") == [[0]]


def test_key_that_cannot_be_shown_is_not_made(tenant):
    with open("/dev/full", "w") as full:
        done = run(tenant.command("key", "create", "--org", "acme-inc",
                                  "--project", "shop", "k"), stdout=full)
    assert done.returncode == OS
    assert b"none was made" in done.stderr
    assert tenant.sql("SELECT count(*) FROM api_keys") == [[0]]


# ---- the command line, the configuration, the database away ------------------


@pytest.mark.parametrize("args, says", [
    ((), "no command given"),
    (("org",), "org: what? create\n"),
    (("orgs",), 'unknown command "orgs"'),
    (("org", "destroy", "x"), 'unknown command "org destroy"'),
    (("migrate", "now"), '"now" is one argument too many'),
], ids=["none", "one-word", "no-word", "unknown", "operand"])
def test_usage(ctl, args, says):
    assert says in ctl.fails(USAGE, *args)


def test_help_names_every_command():
    done = run([BUILD + "/productgraphctl", "-h"], text=True)
    assert done.returncode == 0
    for words in ("migrate", "org create", "project create", "key create"):
        assert f"  {words} " in done.stdout
    assert "-h, --help" in done.stdout and "-V, --version" in done.stdout


@pytest.mark.parametrize("short, long", [("-h", "--help"),
                                         ("-V", "--version")])
def test_long_options(short, long):
    one, two = (run([BUILD + "/productgraphctl", option], text=True)
                for option in (short, long))
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout != ""


def test_database_away(ctl):
    away = f"host='{ctl.directory}' port=1 dbname=x user=x"
    ctl.configure(conninfo=away, migrate_conninfo=away)
    for args in (("org", "create", "X"),
                 ("migrate", "--sql-dir", SQL_DIR)):
        assert "connection to server" in ctl.fails(DATABASE, *args)


def test_database_not_migrated(ready, postgres):
    database = postgres.create_database()
    ctl = Ctl(database, ready.directory)
    assert 'has "productgraphctl migrate" been run?' in ctl.fails(
        DATABASE, "org", "create", "X")
    database.drop()


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
    assert "password authentication failed" in message
