# SPDX-License-Identifier: MIT
"""A private PostgreSQL cluster, its databases, and questions to them.

The cluster runs as the account "postgres" when the tests run as root, which
PostgreSQL refuses.  Administrators come in by the account of the operating
system, all others by password, as in an installation.
"""

import getpass
import glob
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.realpath(os.environ.get("PGD_BUILD", TOP + "/build"))
PASSWORD = "not-secret"

PG_HBA = """\
local all postgres peer map=test
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""

POSTGRESQL_CONF = """\
port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{socket_dir}'
# No machine loses power in these tests; killed processes need no fsync.
fsync = off
max_connections = 50
"""

DATABASE_CONF = """\
postgres {{
	conninfo = "{conninfo} user=productgraph_writer"
	password_file = "{password_file}"
}}
ctl {{
	conninfo = "{conninfo} user=productgraph_admin"
	password_file = "{password_file}"
	migrate_conninfo = "{conninfo} user=postgres"
}}
"""


def free_port():
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clean_environment(**more):
    """Our environment without what libpq would take from it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    env.update(more)
    return env


def wait_until(condition, seconds=10, what="condition"):
    """The first true value of condition(), asked until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s: not within %g s" % (what, seconds))
        time.sleep(0.02)


def newest_bindir():
    """The programs of the newest PostgreSQL installed."""
    if "PG_BINDIR" in os.environ:
        return os.environ["PG_BINDIR"]
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if not found:
        raise RuntimeError("no PostgreSQL below /usr/lib/postgresql")
    return os.path.dirname(
        max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p)]))


class Cluster:
    """One cluster in a directory of its own; start, stop, kill at will."""

    def __init__(self):
        # Below /tmp and open, so that every account involved reaches it.
        self.dir = tempfile.mkdtemp(prefix="pgd-test-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.data = self.dir + "/pgdata"
        self.socket_dir = self.dir + "/socket"
        self.bindir = newest_bindir()
        self.port = free_port()
        self.password_file = self.dir + "/password"
        self.databases = 0
        for path, mode in ((self.data, 0o700), (self.socket_dir, 0o755)):
            os.mkdir(path)
            os.chmod(path, mode)
            if os.geteuid() == 0:
                postgres = pwd.getpwnam("postgres")
                os.chown(path, postgres.pw_uid, postgres.pw_gid)
        with open(self.password_file, "w", encoding="ascii") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(PASSWORD + "\n")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8",
                  "--locale", "C.UTF-8", "--auth", "reject", "--no-sync")
        self._write("pg_hba.conf", PG_HBA)
        self._write("pg_ident.conf", "".join(
            "test %s postgres\n" % user
            for user in sorted({"root", "postgres", getpass.getuser()})))
        self.listen_at(self.port)

    def listen_at(self, port):
        """At its next start it is reached by this port."""
        self.port = port
        self._write("postgresql.auto.conf", POSTGRESQL_CONF.format(
            port=port, socket_dir=self.socket_dir))

    def _write(self, name, text):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def _run(self, program, *args):
        command = [os.path.join(self.bindir, program), *args]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean_environment(), check=False)
        if done.returncode != 0:
            raise RuntimeError("%s:\n%s" % (" ".join(command), done.stdout))

    def start(self):
        """Returns when connections are accepted."""
        self._run("pg_ctl", "start", "-s", "-w", "-D", self.data,
                  "-l", self.data + "/log")

    def stop(self, mode="fast"):
        """mode as of pg_ctl: smart, fast or immediate."""
        self._run("pg_ctl", "stop", "-s", "-w", "-m", mode, "-D", self.data)

    def running(self):
        """Whether the postmaster lives."""
        try:
            with open(self.data + "/postmaster.pid", encoding="ascii") as f:
                os.kill(int(f.readline()), 0)
            return True
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False

    def kill(self):
        """kill -9 of the postmaster; its children follow by themselves."""
        with open(self.data + "/postmaster.pid", encoding="ascii") as f:
            pid = int(f.readline())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not os.path.exists("/proc/%d" % pid),
                   what="end of the postmaster")

    def destroy(self):
        """Stops what runs and removes the directory."""
        if self.running():
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def psql_command(self, database, user="postgres"):
        """The command line of a psql."""
        return [self.bindir + "/psql", "-XqAt", "-v", "ON_ERROR_STOP=1",
                "-h", self.socket_dir, "-p", str(self.port), "-U", user,
                "-d", database]

    def psql(self, database, sql, *args, user="postgres"):
        """Runs SQL and returns what psql prints; raises on any error."""
        done = subprocess.run(
            [*self.psql_command(database, user), *args],
            input=sql, text=True, capture_output=True, check=False,
            env=clean_environment(PGPASSWORD=PASSWORD))
        if done.returncode != 0:
            raise RuntimeError("%s\n%s" % (sql, done.stderr))
        return done.stdout

    def create_database(self, template="template0"):
        """A new Database, empty or a copy of another."""
        self.databases += 1
        name = "pgd_%d" % self.databases
        self.psql("postgres", "CREATE DATABASE %s TEMPLATE %s"
                  " ENCODING 'UTF8' LOCALE 'C.UTF-8'" % (name, template))
        return Database(self, name)


class Database:
    """A database, and a configuration by which productgraphctl reaches it."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.conf = "%s/%s.conf" % (cluster.dir, name)
        self.keys = {}
        with open(self.conf, "w", encoding="utf-8") as f:
            # A daemon needs a listener, and this file is read by the same
            # rules, though none is started with it.
            f.write("http {\n\tlisten = {}\n"
                    "\tlisten_plain = { \"127.0.0.1:1\" }\n}\n"
                    + self.conf_sections())

    def conf_sections(self):
        """The sections of productgraph.conf that name this database."""
        return DATABASE_CONF.format(
            conninfo="host=%s port=%d dbname=%s" % (
                self.cluster.socket_dir, self.cluster.port, self.name),
            password_file=self.cluster.password_file)

    def execute(self, sql, user="postgres"):
        """Runs SQL; the result is what psql prints, unaligned."""
        return self.cluster.psql(self.name, sql, user=user)

    def query(self, sql, user="postgres"):
        """Runs one SELECT; the rows as dictionaries, values as in JSON."""
        text = self.execute(
            "SELECT coalesce(json_agg(q), '[]') FROM (%s) AS q" % sql, user)
        return json.loads(text)

    def value(self, sql, user="postgres"):
        """The only column of the only row of one SELECT."""
        (row,) = self.query(sql, user)
        (value,) = row.values()
        return value

    def ctl(self, *args):
        """Runs productgraphctl; returns its standard output."""
        done = subprocess.run(
            [BUILD + "/productgraphctl", "-c", self.conf, *args],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=clean_environment(), check=False)
        if done.returncode != 0:
            raise RuntimeError("productgraphctl %s: status %d\n%s" % (
                " ".join(args), done.returncode, done.stderr))
        return done.stdout

    def migrate(self):
        """Brings the schema up to date and lets the roles in."""
        self.ctl("migrate", "--sql-dir", TOP + "/sql")
        for role in ("writer", "reader", "admin"):
            self.execute("ALTER ROLE productgraph_%s PASSWORD '%s'" % (
                role, PASSWORD))

    def populate(self):
        """The organisations, projects and keys that tests rely on.

        proj_demo of demo takes keyless events, shop of demo does not, and
        rival of other is a stranger's.  keys has a key for each, by slug.
        """
        self.ctl("org", "create", "Demo", "--slug", "demo")
        self.ctl("org", "create", "Other", "--slug", "other")
        self.ctl("project", "create", "Demo", "--org", "demo",
                 "--slug", "proj_demo", "--keyless")
        self.ctl("project", "create", "Shop", "--org", "demo",
                 "--slug", "shop")
        self.ctl("project", "create", "Rival", "--org", "other",
                 "--slug", "rival")
        for org, project in (("demo", "proj_demo"), ("demo", "shop"),
                             ("other", "rival")):
            self.keys[project] = self.create_key(org, project)

    def create_key(self, org, project):
        """A new API key."""
        return self.ctl("key", "create", "test", "--org", org,
                        "--project", project).strip()

    def events(self, where="true"):
        """The stored events that match, in the order of their ids."""
        return self.query("SELECT * FROM events WHERE %s ORDER BY event_id"
                          % where)

    def drop(self):
        """Drops it, whoever is connected."""
        if self.cluster.running():
            self.cluster.psql("postgres", "DROP DATABASE %s WITH (FORCE)"
                              % self.name)


class Held:
    """Somebody whose transaction holds a lock while the block runs."""

    def __init__(self, database, statement, user="postgres"):
        self.database = database
        self.statement = statement
        cluster = database.cluster
        # pylint: disable=consider-using-with
        self.psql = subprocess.Popen(
            cluster.psql_command(database.name, user),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=clean_environment(PGPASSWORD=PASSWORD))

    def __enter__(self):
        self.psql.stdin.write(
            "BEGIN; %s; SELECT 'held';\n" % self.statement)
        self.psql.stdin.flush()
        assert self.psql.stdout.readline() == "held\n"
        return self

    def __exit__(self, *_):
        self.psql.communicate("ROLLBACK;\n")


class HeldRows(Held):
    """Nobody can change a row of the table."""

    def __init__(self, database, table):
        super().__init__(
            database, "SELECT FROM %s FOR UPDATE \\g /dev/null\n" % table)


class HeldCommits(Held):
    """Batches wait for the lock on their progress, and with them answers."""

    WAITING = ("SELECT count(*) FROM pg_stat_activity"
               " WHERE wait_event_type = 'Lock'"
               " AND usename = 'productgraph_writer'"
               " AND datname = current_database()")

    def __init__(self, database):
        super().__init__(database, "LOCK TABLE progress IN EXCLUSIVE MODE")

    def wait(self):
        """Returns when a batch hangs."""
        wait_until(lambda: self.database.value(self.WAITING) >= 1, 10,
                   "a batch at the lock")
