# SPDX-License-Identifier: MIT
"""productgraphctl with a configuration and a database of its own."""

import json
import pathlib
import re
import subprocess

from cluster import BUILD, TOP, clean_environment

USAGE, REFUSED, DATABASE, OS, PENDING, CONFIG = 64, 65, 69, 71, 75, 78
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")
KEY = re.compile(r"pgk_[A-Za-z0-9_-]{43}\n")
SQL_DIR = pathlib.Path(TOP) / "sql"
VERSION = len(list(SQL_DIR.glob("*.sql")))


def run(command, **more):
    """Runs it to its end, without a terminal and without PG* settings."""
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60,
                          stderr=subprocess.PIPE, check=False,
                          env=clean_environment(), **more)


class Ctl:
    """Calls the program: ctl("org", "list")."""

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

    def says(self, *args):
        """Runs one that must succeed with words alone; its standard error."""
        done = self(*args)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    def json(self, *args):
        """Runs one that must succeed, with --json; what it printed."""
        done = self(*args, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

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


def rows_of(text):
    """The cells of a table as printed, its heads first; checks its foot."""
    lines = text.splitlines()
    rows = [[cell.strip() for cell in line.split("|")]
            for line in lines[:1] + lines[2:-1]]
    count = len(rows) - 1
    assert set(lines[1]) <= set("-+")
    assert lines[-1] == "(%d row%s)" % (count, "" if count == 1 else "s")
    return rows
