# SPDX-License-Identifier: MIT
"""The real productgraphd, started in the foreground on ports of its own."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile

from client import Connection, request
from cluster import BUILD, clean_environment, free_port, wait_until

ACCOUNTS = ("productgraph-worker", "productgraph-aggregator")


def make_certificate(directory):
    """A certificate for localhost; returns the paths of it and its key."""
    cert, key = directory + "/tls.crt", directory + "/tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-noenc", "-days", "2",
         "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1",
         "-keyout", key, "-out", cert],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return cert, key


def setting(value):
    """A value as productgraph.conf writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "{ %s }" % ", ".join(setting(v) for v in value)
    return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"')


def processes_of_session(session):
    """The processes, zombies apart, of a session: {pid: title}."""
    found = {}
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/stat", encoding="utf-8",
                      errors="replace") as f:
                # After the name, which may hold anything, the third field.
                fields = f.read().rpartition(")")[2].split()
            with open(path + "/cmdline", encoding="utf-8",
                      errors="replace") as f:
                title = f.read().rstrip("\0").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(path[6:])] = title
    return found


class Daemon:
    """A daemon with a configuration of its own.

    Directives are keyword arguments: those of the top level by their names,
    those of a section as http={"max_body": "1m"}.
    """

    def __init__(self, database, **directives):
        self.database = database
        self.dir = tempfile.mkdtemp(prefix="pgd-daemon-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.conf = self.dir + "/productgraph.conf"
        self.log_path = self.dir + "/log"
        self.sanitizer_dir = self.dir + "/sanitizer"
        self.sanitizer_options = ""
        self.port = free_port()
        self.tls_port = free_port()
        self.cert, key = make_certificate(self.dir)
        self.process = None
        # The children write here under accounts of their own.
        os.mkdir(self.sanitizer_dir)
        os.chmod(self.sanitizer_dir, 0o777)
        self.directives = {
            "pid_file": self.dir + "/pid",
            "workers": 2,
            "log_level": "debug",
            "http": {
                "listen": ["127.0.0.1:%d" % self.tls_port],
                "listen_plain": ["127.0.0.1:%d" % self.port],
                "tls_certificate": self.cert,
                "tls_certificate_key": key,
            },
            "postgres": {},
        }
        self.configure(**directives)

    # ---- configuration ----

    def configure(self, **directives):
        """Changes directives and writes the file; reload() applies it."""
        for name, value in directives.items():
            if isinstance(value, dict):
                self.directives.setdefault(name, {}).update(value)
            else:
                self.directives[name] = value
        self.write_conf(self.render())

    def render(self):
        """The text of the configuration."""
        lines = []
        for name, value in self.directives.items():
            if isinstance(value, dict):
                lines.append("%s {" % name)
                lines += ["\t%s = %s" % (k, setting(v))
                          for k, v in value.items()]
                lines.append("}")
            else:
                lines.append("%s = %s" % (name, setting(value)))
        text = "\n".join(lines) + "\n"
        # The database brings sections of its own; ours may add to them.
        sections = self.database.conf_sections()
        own = "".join("\t%s = %s\n" % (k, setting(v))
                      for k, v in self.directives["postgres"].items())
        text = re.sub(r"^postgres \{\n(.*\n)*?\}\n", "", text, flags=re.M)
        return text + sections.replace("postgres {\n", "postgres {\n" + own, 1)

    def write_conf(self, text):
        """Replaces the file, sound or not."""
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)

    # ---- life ----

    def spawn(self):
        """Starts it and waits for nothing."""
        # pylint: disable=consider-using-with
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD + "/productgraphd", "-f", "-c", self.conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, env=self.environment())

    def environment(self):
        """The sanitizers report into files, so that none gets lost.

        A process that gave up root cannot be traced, not even by itself,
        which the search for leaks would need.
        """
        leaks = 0 if os.geteuid() == 0 else 1
        options = "log_path=%s/report:detect_leaks=%d%s" % (
            self.sanitizer_dir, leaks, self.sanitizer_options)
        return clean_environment(
            ASAN_OPTIONS=options,
            UBSAN_OPTIONS="print_stacktrace=1:log_path=%s/report"
            % self.sanitizer_dir)

    def start(self):
        """Starts it and waits until it would accept events."""
        self.spawn()
        self.wait_ready()
        return self

    def is_ready(self):
        """Whether GET /ready is answered with 200."""
        if self.process.poll() is not None:
            raise AssertionError("productgraphd ended with status %d\n%s" % (
                self.process.returncode, self.log()))
        try:
            return self.get("/ready").status == 200
        except OSError:
            return False

    def wait_ready(self, seconds=20):
        """Returns once ready."""
        wait_until(self.is_ready, seconds, "readiness")

    def send(self, number):
        """Sends the master a signal, by number."""
        os.kill(self.process.pid, number)

    def reload(self):
        """Sends HUP; what came of it is in the log."""
        self.send(signal.SIGHUP)

    def wait(self, seconds=30):
        """Waits for the master's end; returns its exit status."""
        return self.process.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Ends it, and returns the master's exit status."""
        if self.process.poll() is None:
            self.send(number)
        return self.wait(seconds)

    def destroy(self):
        """Ends it, proves that nothing stayed behind, and cleans up."""
        try:
            if self.process is not None:
                self.stop()
                self.assert_nothing_left()
            self.assert_no_report()
        finally:
            if self.process is not None:
                for pid in self.processes():
                    os.kill(pid, signal.SIGKILL)
                self.process.wait(10)
            shutil.rmtree(self.dir, ignore_errors=True)

    def assert_nothing_left(self):
        """Children follow their master at once."""
        wait_until(lambda: not self.processes(), 5,
                   "end of %s" % self.processes())

    def assert_no_report(self):
        """No sanitizer has found anything."""
        for path in glob.glob(self.sanitizer_dir + "/*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f.read())

    # ---- its processes ----

    @property
    def master(self):
        """The master's process id."""
        return self.process.pid

    def processes(self):
        """All of its living processes: {pid: title}."""
        return processes_of_session(self.process.pid)

    def workers(self):
        """{number: pid}, by title; the youngest where two have a number."""
        found = {}
        for pid, title in sorted(self.processes().items()):
            match = re.search(r"productgraphd: worker (\d+)", title)
            if match:
                found[int(match.group(1))] = pid
        return found

    def aggregator(self):
        """The aggregator's process id, None while there is none."""
        for pid, title in self.processes().items():
            if "productgraphd: aggregator" in title:
                return pid
        return None

    def kill_worker(self, number=0):
        """kill -9; returns the process id that is no more."""
        pid = self.workers()[number]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_aggregator(self):
        """kill -9; returns the process id that is no more."""
        pid = self.aggregator()
        os.kill(pid, signal.SIGKILL)
        return pid

    def replace_aggregator(self):
        """kill -9; returns when there is another."""
        old = self.kill_aggregator()
        wait_until(lambda: self.aggregator() not in (None, old), 10,
                   "another aggregator")

    # ---- its log ----

    def log(self):
        """Everything logged so far."""
        try:
            with open(self.log_path, encoding="utf-8",
                      errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, seconds=10, start=0):
        """Waits for a line that matches, from an offset into log() on."""
        return wait_until(
            lambda: re.search(pattern, self.log()[start:], re.M), seconds,
            "log line %r" % pattern)

    # ---- requests ----

    def connect(self, tls=False, timeout=10, **options):
        """A raw Connection to it."""
        return Connection(self.tls_port if tls else self.port,
                          cafile=self.cert if tls else None,
                          timeout=timeout, **options)

    def request(self, method, path, headers=None, body=None, tls=False):
        """One request on a connection of its own; the Response."""
        with self.connect(tls) as connection:
            return request(connection, method, path, headers, body)

    def get(self, path, headers=None, tls=False):
        """GET."""
        return self.request("GET", path, headers, tls=tls)

    def post(self, events, key=None, tls=False, headers=None):
        """Posts a list of events, or a body as bytes or text."""
        with self.connect(tls) as connection:
            return connection.post(events, key, headers)
