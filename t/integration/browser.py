# SPDX-License-Identifier: MIT
"""Headless Chromium through its WebDriver, and a page of another origin."""

import http.server
import json
import os
import subprocess
import threading
import urllib.request

from cluster import free_port, wait_until


class PageServer:
    """Serves one empty page, so that scripts run on an origin of their own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """Every path is the page."""

        def do_GET(self):  # pylint: disable=invalid-name
            """Answers with the page."""
            body = b"<!doctype html><title>page</title>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):  # pylint: disable=arguments-differ
            """Keeps quiet."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), self.Handler)
        self.origin = "http://localhost:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def close(self):
        """Stops serving."""
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """One browser window."""

    def __init__(self):
        port = free_port()
        self.base = "http://127.0.0.1:%d" % port
        # No proxy between us and our own machine.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}))
        # pylint: disable=consider-using-with
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=%d" % port], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        try:
            wait_until(self._is_up, 30, "chromedriver")
            self.session = self._start()
        except BaseException:
            self.close()
            raise

    def _is_up(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _start(self):
        arguments = ["--headless=new", "--disable-gpu", "--no-first-run",
                     "--disable-dev-shm-usage", "--no-proxy-server"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        value = self._call("POST", "/session", {"capabilities": {
            "alwaysMatch": {
                "acceptInsecureCerts": True,
                "goog:chromeOptions": {"args": arguments},
                "timeouts": {"script": 20000},
            }}})
        return "/session/" + value["sessionId"]

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"},
            method=method)
        with self.opener.open(asked, timeout=60) as answer:
            return json.load(answer)["value"]

    def go(self, url):
        """Opens a page."""
        self._call("POST", self.session + "/url", {"url": url})

    def run(self, script, *args):
        """Runs the body of an async function; returns what it returns.

        An exception comes back as {"exception": text}.
        """
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            "const args = [...arguments].slice(0, -1);"
            "(async (...args) => { %s })(...args).then(done,"
            " e => done({exception: String(e)}));" % script)
        return self._call("POST", self.session + "/execute/async",
                          {"script": wrapped, "args": list(args)})

    def close(self):
        """Ends browser and driver."""
        try:
            if self.session:
                self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(10)
