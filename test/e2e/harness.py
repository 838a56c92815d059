# Licensed to the Apache Software Foundation (ASF) under one or more
# contributor license agreements.  See the NOTICE file distributed with
# this work for additional information regarding copyright ownership.
# The ASF licenses this file to You under the Apache License, Version 2.0
# (the "License"); you may not use this file except in compliance with
# the License.  You may obtain a copy of the License at
#
# http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""harness: end-to-end tests of the MPM in a real httpd.

How to write a test
-------------------
Put functions into test_NN_topic.py; the runner finds those with @test:

    from harness import test, wait_until

    @test(stock="pass", item="14.6")
    def keepalive_holds_no_thread(t):
        s = t.server(threads=2, conf="KeepAliveTimeout 20")
        conns = [s.conn() for _ in range(2)]
        for conn in conns:
            t.equal(conn.get("/").status, 200, "first request")
        t.equal(s.get("/").status, 200, "a third client")
        wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 2)

@test(stock, item, needs, core, timeout)
  stock    "pass", or "fails: why" if httpd's own event MPM fails it; with
           --stock such a test is skipped (with --stock-fails it is run and
           has to fail).
  item     what it covers: "14.6" or "6.3" of the behaviour list, "#41" of
           the past regressions, several with blanks between.
  needs    names of httpd modules ("ssl http2"), or "probe"; skipped if one
           is not installed.  They are loaded by t.server(modules=...).
  core     True: belongs to the quick subset of --core.
  timeout  seconds after which the runner ends it (60).

t (Test)
  t.server(...)            a started Server, see its constructor
  t.equal(a, b, what)  t.check(condition, what)  t.fail(what)  t.skip(why)
  t.long                   True if the long form was asked for (--long)
  t.dir                    a directory of the test's own, gone afterwards
  t.cert()                 (certificate file, key file) for localhost
  t.at_end(function)       called when the test is over

s (Server)
  s.port  s.pid  s.root  s.url(path)
  s.conn()  s.get(path)    see client.Conn and client.get; tls=True for TLS
  s.stop()  s.graceful()  s.restart()  s.graceful_stop()  s.signal("USR1")
  s.configure(threads=8)   rewrites the configuration, for a later restart
  s.log()  s.wait_log(regex, count=1)  s.mark()  s.log_since(mark)
  s.children()             pids of its children  s.wait_children(2)
  s.status()               mod_status' ?auto as a dict, numbers as numbers
  s.probe_events(name)  s.wait_event(name, pid=17)   what the probe logged
  s.board()                the scoreboard, asked without using a thread of
                           the server (needs the probe; see ProbeBoard)
  s.expect(regex)          error-log lines that are no failure of this test

After every test each server must stop on SIGTERM, and no error log may show
a crash, an alert or a child that had to be killed, unless expected.

Rules: poll with wait_until, never sleep for a result; assert counts and
states, not timings (time-outs are generous upper bounds); all temporary
files below t.dir or s.root; loopback only.
"""

import os
import re
import subprocess

import client
import procs
from basics import CHECKOUT, Failure, Skip, wait_until
from server import Server, free_port


def test(stock, item="", needs="", core=False, timeout=60.0):
    """Say that a function is a test; see the top of this file."""
    if stock != "pass" and not re.match(r"fails: \S", stock):
        raise ValueError("stock is 'pass' or 'fails: why', not %r" % stock)

    def mark(function):
        function.e2e = dict(stock=stock, item=item, needs=needs.split(),
                            core=core, timeout=timeout)
        return function
    return mark


class Env:
    """What is tested and with what; made once by the runner."""

    def __init__(self, httpd, modules_dir, mpm, apxs, stock=False,
                 long=False, sanitizer=None, tmp="/tmp"):
        self.httpd, self.modules_dir, self.apxs = httpd, modules_dir, apxs
        self.stock, self.long, self.sanitizer = stock, long, sanitizer
        self.tmp = tmp
        self.static = set(re.findall(r"^\s+(\S+)\.c$", self.ask("-l"), re.M))
        self.mpm = None if "event" in self.static else mpm
        self.probe = None

    def ask(self, *args):
        """What httpd prints for arguments that need no configuration."""
        return subprocess.run([self.httpd, *args], text=True, check=False,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout

    def has(self, name):
        """True if a module, named without mod_, can be used."""
        if name == "probe":
            return self.probe is not None
        return "mod_" + name in self.static or os.path.exists(self.path(name))

    def trunk(self):
        """True on an httpd with the major number of trunk."""
        return "20120211" not in self.ask("-V")

    def slots(self, limit, threads=64):
        """What AP_MPMQ_HARD_LIMIT_DAEMONS says for a ServerLimit and a
        ThreadLimit: ours has a reserve for children that are finishing."""
        reserve = min(128, max(16, 16384 // threads))
        return limit if self.stock else limit + reserve

    def path(self, name):
        if name == "probe":
            return self.probe
        return os.path.join(self.modules_dir, "mod_%s.so" % name)

    def load_module(self, name):
        """The LoadModule line for a module, "" if it is built in."""
        if "mod_" + name in self.static:
            return ""
        symbol = "mpm_probe" if name == "probe" else name
        return "LoadModule %s_module %s\n" % (symbol, self.path(name))

    def environ(self, log_dir):
        """The environment to start httpd in."""
        env = dict(os.environ)
        if not self.sanitizer:
            return env
        libs = {"asan": ("libasan.so", "libubsan.so"),
                "tsan": ("libtsan.so",)}[self.sanitizer]
        env["LD_PRELOAD"] = ":".join(
            subprocess.check_output(["gcc", "-print-file-name=" + lib],
                                    text=True).strip() for lib in libs)
        log = "log_path=%s/sanitizer" % log_dir
        env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=0:" + log
        env["UBSAN_OPTIONS"] = "print_stacktrace=1:" + log
        env["TSAN_OPTIONS"] = "report_signal_unsafe=0:" + log
        return env


class Test:
    """One running test; the runner hands it to the test's function."""

    def __init__(self, env, name, info, directory):
        self.env, self.name, self.dir = env, name, directory
        self.info = info
        self.long = env.long
        self.servers = []
        self.endings = []
        self.clients = []

    def server(self, *args, **kwargs):
        """A Server, started unless start=False."""
        start = kwargs.pop("start", True)
        made = Server(self, *args, **kwargs)
        self.servers.append(made)
        if start:
            made.start()
        return made

    def equal(self, got, wanted, what=""):
        if got != wanted:
            raise Failure("%s: %r, not %r" % (what or "value", got, wanted))

    def check(self, condition, what=""):
        if not condition:
            raise Failure(what or "condition does not hold")

    def fail(self, what):
        raise Failure(what)

    def skip(self, why):
        raise Skip(why)

    def at_end(self, function):
        self.endings.append(function)

    def cert(self, name="localhost"):
        """(certificate, key) file names, self-signed."""
        cert = os.path.join(self.dir, name + ".crt")
        key = os.path.join(self.dir, name + ".key")
        if not os.path.exists(cert):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=" + name, "-keyout", key, "-out", cert],
                check=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return cert, key

    def run(self, function):
        """Run the test and then end and judge its servers."""
        try:
            for name in self.info["needs"]:
                if not self.env.has(name):
                    raise Skip("no module " + name)
            function(self)
            self.finish(judge=True)
        except BaseException:
            self.finish(judge=False)
            raise

    def finish(self, judge):
        for conn in self.clients:
            conn.close()
        for ending in reversed(self.endings):
            ending()
        troubles = []
        for server in self.servers:
            troubles += server.finish()
        if judge and troubles:
            raise Failure("\n".join(troubles))


__all__ = ["test", "wait_until", "Failure", "Skip", "Env", "Test", "Server",
           "client", "procs", "free_port", "CHECKOUT"]
