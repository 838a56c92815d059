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
"""server: one httpd with a ServerRoot of its own (see harness for its use).
"""

import json
import os
import pwd
import random
import re
import resource
import signal
import socket
import subprocess

import client
import procs
from basics import Failure, TROUBLE, wait_until

# Below the range the kernel takes ports for outgoing connections from.
PORTS = range(12000, 30000)

MODES = {
    "foreground": ["-D", "FOREGROUND"],
    "no_detach": ["-D", "NO_DETACH"],
    "one_process": ["-D", "ONE_PROCESS"],
    "debug": ["-X"],
    "detach": [],
}

CONFIG = """\
{loads}
ServerRoot "{root}"
DefaultRuntimeDir "{root}"
ServerName localhost
PidFile "{root}/httpd.pid"
{listen}
{user}
ErrorLog "{root}/error.log"
LogLevel {loglevel}
{directives}
AcceptFilter http {accept_filter}
AcceptFilter https {accept_filter}
Timeout {timeout}
KeepAliveTimeout {keepalive_timeout}
ExtendedStatus On
DocumentRoot "{root}/htdocs"
<Directory "{root}/htdocs">
    Require all granted
</Directory>
<Location "/server-status">
    SetHandler server-status
</Location>
{probe}
{conf}
"""


def free_port():
    """A port of loopback that nobody listens on."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Server:
    """An httpd.

    threads, processes  ThreadsPerChild; StartServers, which is also the
                        limit of processes unless max_processes says more
    mpm                 {directive: value} over the defaults; None: leave out
    conf                lines to add at the end, with {port}, {port2}, {root}
    modules             names without mod_, "ssl http2"; what conf needs
    probe               True: load the probe module; or its directives
    docs                {path below htdocs: bytes}, besides index.html
    mpm_module          another mod_mpm_event.so than the one to test
    listen              lines instead of "Listen 127.0.0.1:PORT"
    loglevel            of the error log
    defer_accept        True: leave Linux' deferred accept on
    mode                how to start: a key of MODES; defines: more -D names
    rlimits             {"NOFILE": 64}: resource limits to start with
    """

    # What the log says when a generation runs.
    RUNNING = "AH00489:"

    def __init__(self, t, threads=4, processes=1, max_processes=None,
                 mpm=None, conf="", modules="", probe=False, docs=None,
                 listen=None, loglevel="info mpm_event:debug", timeout=10,
                 keepalive_timeout=5, defer_accept=False,
                 mode="foreground", defines=(), env=None,
                 rlimits=None, mpm_module=None):
        self.t, self.mode, self.defines = t, mode, list(defines)
        self.extra_env, self.rlimits = env or {}, rlimits or {}
        self.root = os.path.join(t.dir, "s%d" % len(t.servers))
        self.port, self.port2 = free_port(), free_port()
        self.settings = dict(
            threads=threads, processes=processes,
            max_processes=max_processes, mpm=mpm or {}, conf=conf,
            modules=modules, probe=probe, listen=listen, loglevel=loglevel,
            timeout=timeout, keepalive_timeout=keepalive_timeout,
            defer_accept=defer_accept, mpm_module=mpm_module)
        self.process = None
        self.pid = None
        self.exit_code = None
        self.expected = []
        self.error_log = os.path.join(self.root, "error.log")
        self.pid_file = os.path.join(self.root, "httpd.pid")
        self.config_file = os.path.join(self.root, "httpd.conf")
        self.console_file = os.path.join(self.root, "console")
        self.make_root(docs or {})
        self.configure()

    # -- configuration -----------------------------------------------------

    def make_root(self, docs):
        os.mkdir(self.root)
        os.chmod(self.root, 0o755)
        os.mkdir(os.path.join(self.root, "htdocs"))
        scratch = os.path.join(self.root, "scratch")
        os.mkdir(scratch)
        os.chmod(scratch, 0o777)
        self.doc("index.html", b"It serves.\n")
        for path, body in docs.items():
            self.doc(path, body)

    def doc(self, path, body):
        """Put a file into the DocumentRoot."""
        path = os.path.join(self.root, "htdocs", path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)

    def configure(self, **changes):
        """Change what the constructor said and write the configuration."""
        unknown = set(changes) - set(self.settings)
        if unknown:
            raise TypeError("no such setting: %s" % sorted(unknown))
        self.settings.update(changes)
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(self.config_text())

    def config_text(self):
        want, env = self.settings, self.t.env
        modules = ["unixd", "log_config", "authz_core", "authz_host",
                   "status", "dir"] + want["modules"].split()
        if want["probe"]:
            modules.append("probe")
        loads = "".join(env.load_module(name) for name in
                        dict.fromkeys(modules) if env.has(name)
                        or name in want["modules"].split() + ["probe"])
        if env.mpm:
            loads = "LoadModule mpm_event_module %s\n%s" % (
                want["mpm_module"] or env.mpm, loads)
        values = dict(want, root=self.root, loads=loads, user="",
                      directives=self.directives(), probe=self.probe_lines(),
                      accept_filter="data" if want["defer_accept"]
                      else "none")
        if os.geteuid() == 0:
            values["user"] = "User %s\nGroup %s" % system_account()
        values["listen"] = want["listen"]
        if want["listen"] is None:
            values["listen"] = "Listen 127.0.0.1:%d" % self.port
        else:
            values["listen"] = self.fill_in(want["listen"])
        values["conf"] = self.fill_in(want["conf"])
        return CONFIG.format_map(values)

    def fill_in(self, text):
        return (text.replace("{port}", str(self.port))
                .replace("{port2}", str(self.port2))
                .replace("{root}", self.root))

    def directives(self):
        """The MPM's directives, one a line."""
        want = self.settings
        most = want["max_processes"] or want["processes"]
        values = {
            "ServerLimit": max(most, 1) + 2,
            "ThreadLimit": max(want["threads"], 1),
            "ThreadsPerChild": want["threads"],
            "StartServers": want["processes"],
            "MaxRequestWorkers": most * want["threads"],
            "MinSpareThreads": 1,
            "MaxSpareThreads": most * want["threads"],
        }
        values.update(want["mpm"])
        return "\n".join("%s %s" % item for item in values.items()
                         if item[1] is not None)

    def probe_lines(self):
        probe = self.settings["probe"]
        if not probe:
            return ""
        lines = ('ProbeFile "{root}/scratch/probe"\n'
                 'ProbeBoard "{root}/scratch/board"\n'
                 '<Location "/probe">\nSetHandler mpm-probe\n</Location>\n')
        return self.fill_in(lines + (probe if probe is not True else ""))

    # -- starting ----------------------------------------------------------

    def command(self, *args):
        """httpd's command line for this server."""
        return [self.t.env.httpd, "-f", self.config_file, *args]

    def environ(self):
        return dict(self.t.env.environ(self.root), **self.extra_env)

    def run(self, *args, timeout=30):
        """Run httpd with arguments to its end: (exit code, output)."""
        done = subprocess.run(self.command(*args), env=self.environ(),
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout,
                              check=False)
        return done.returncode, done.stdout

    def launch(self, mode=None, session=True):
        """Start the process and do not wait until it serves; session=False:
        in the session and process group of the test."""
        args = MODES[mode or self.mode]
        for name in self.defines:
            args = args + ["-D", name]
        with open(self.console_file, "ab") as console:
            self.process = subprocess.Popen(
                self.command(*args, "-k", "start"), env=self.environ(),
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=session, cwd=self.root,
                preexec_fn=self.limit if self.rlimits else None)
        self.pid = self.process.pid
        self.exit_code = None

    def limit(self):
        for name, value in self.rlimits.items():
            resource.setrlimit(getattr(resource, "RLIMIT_" + name),
                               (value, value))

    def start(self, mode=None, timeout=20, session=True):
        """Start and wait until the server says that it is ready."""
        mode = mode or self.mode
        runs = self.count_log(self.RUNNING)
        self.launch(mode, session)
        if mode == "detach":
            code = self.process.wait(timeout)
            if code != 0:
                raise Failure("exit code %d at start\n%s"
                              % (code, self.console()))
            self.process = None
            self.pid = wait_until(self.read_pid, timeout, "a pid file")
        if mode in ("one_process", "debug"):
            def up():
                return self.gone() or self.listening()
        else:
            def up():
                return self.gone() or self.count_log(self.RUNNING) > runs
        wait_until(up, timeout, "server up")
        if self.gone():
            raise Failure("ended at start with exit code %s\n%s"
                          % (self.exit_code, self.console()))
        return self

    def listening(self, port=None):
        """True if a socket of loopback or of any address listens on port."""
        suffix = ":%04X" % (port or self.port)
        for name in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(name, encoding="ascii") as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    if fields[1].endswith(suffix) and fields[3] == "0A":
                        return True
        return False

    def read_pid(self):
        """The number in the pid file, or None."""
        try:
            with open(self.pid_file, encoding="ascii") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    # -- signals and the end -----------------------------------------------

    def signal(self, name, pid=None):
        """Send a signal ("USR1") to the parent, or to another of ours."""
        os.kill(pid or self.pid, getattr(signal, "SIG" + name))

    def gone(self):
        """True once the parent has ended; its exit_code is then known."""
        if self.exit_code is not None or self.pid is None:
            return True
        if self.process:
            self.exit_code = self.process.poll()
            return self.exit_code is not None
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            if not procs.alive(self.pid):
                self.exit_code = -1
        return self.exit_code is not None

    def wait_gone(self, timeout=15):
        """Wait for the end of the parent: its exit code."""
        wait_until(self.gone, timeout, "parent %s ended" % self.pid)
        return self.exit_code

    def stop(self, timeout=15):
        """SIGTERM, and wait for the end: the exit code."""
        self.signal("TERM")
        return self.wait_gone(timeout)

    def graceful_stop(self, timeout=15):
        """SIGWINCH, and wait for the end: the exit code."""
        self.signal("WINCH")
        return self.wait_gone(timeout)

    def graceful(self, timeout=20):
        """SIGUSR1, and wait until the next generation is announced."""
        self.reload("USR1", timeout)

    def restart(self, timeout=20):
        """SIGHUP, and wait until the next generation is announced."""
        self.reload("HUP", timeout)

    def reload(self, name, timeout):
        runs = self.count_log(self.RUNNING)
        self.signal(name)
        wait_until(lambda: self.count_log(self.RUNNING) > runs or self.gone(),
                   timeout, "running again after SIG" + name)
        if self.gone():
            raise Failure("ended instead of restarting, exit code %s"
                          % self.exit_code)

    def finish(self):
        """End the server whatever happened; what was wrong, as a list."""
        troubles = []
        if self.pid and not self.gone():
            try:
                self.stop()
            except Failure:
                troubles.append("no end after SIGTERM")
        if self.t.env.stock:
            # It may crash when it is stopped, or restarted by HUP, while a
            # connection is being closed; compare it nevertheless.
            self.expect("AH00052: .* Segmentation fault")
        log = self.log() + self.console() + self.sanitizer_reports()
        for line in log.splitlines():
            if TROUBLE.search(line) and not any(
                    re.search(known, line) for known in self.expected):
                troubles.append("in the log: " + line)
        return troubles[:10]

    def expect(self, *patterns):
        """Log lines that match are no failure of this test."""
        self.expected += patterns

    # -- logs --------------------------------------------------------------

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def console(self):
        """What the server wrote to standard output and error."""
        return self.read(self.console_file)

    def log(self):
        """The whole error log."""
        return self.read(self.error_log)

    def sanitizer_reports(self):
        return "".join(self.read(os.path.join(self.root, name))
                       for name in sorted(os.listdir(self.root))
                       if name.startswith("sanitizer"))

    def mark(self):
        """A place in the log, for log_since and wait_log."""
        return len(self.log())

    def log_since(self, mark):
        return self.log()[mark:]

    def count_log(self, regex, since=0):
        return len(re.findall(regex, self.log_since(since)))

    def wait_log(self, regex, count=1, timeout=10, since=0):
        """Wait until regex is in the log (count times): the log then."""
        wait_until(lambda: self.count_log(regex, since) >= count, timeout,
                   lambda: "%r %d times in the error log (%d found)"
                   % (regex, count, self.count_log(regex, since)))
        return self.log_since(since)

    def log_ids(self, regex=r"AH\d{5}", since=0):
        """Message ids in the order in which they were logged."""
        return re.findall("(%s): " % regex, self.log_since(since))

    def log_lines(self, regex, since=0):
        return [line for line in self.log_since(since).splitlines()
                if re.search(regex, line)]

    # -- processes ---------------------------------------------------------

    def children(self):
        """Pids of the children that run httpd (no piped loggers)."""
        program = procs.exe(self.pid)
        return [pid for pid in procs.children(self.pid)
                if procs.exe(pid) == program]

    def wait_children(self, count, timeout=10):
        """Wait until there are count children: their pids."""
        wait_until(lambda: len(self.children()) == count, timeout,
                   lambda: "%d children (there are %s)"
                   % (count, self.children()))
        return self.children()

    def wait_child_gone(self, pid, timeout=10):
        wait_until(lambda: not procs.alive(pid), timeout,
                   "child %d gone" % pid)

    # -- clients -----------------------------------------------------------

    def conn(self, port=None, **kwargs):
        """A client.Conn, closed after the test at the latest."""
        conn = client.Conn(port or self.port, **kwargs)
        self.t.clients.append(conn)
        return conn

    def get(self, path="/", port=None, **kwargs):
        """One request on a connection of its own."""
        return client.get(port or self.port, path, **kwargs)

    def url(self, path="/"):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def status(self, conn=None):
        """mod_status' ?auto as a dict; numbers as int or float."""
        path = "/server-status?auto"
        response = conn.get(path) if conn else self.get(path)
        if response.status != 200:
            raise Failure("server-status: %r" % response)
        found = {}
        for line in response.text.splitlines():
            key, colon, value = line.partition(": ")
            if colon and key not in found:
                found[key] = number(value)
        return found

    def board(self):
        """The scoreboard as the probe's thread in the parent sees it:
        {"processes": [{slot, pid, generation, quiescing, not_accepting,
        connections, write_completion, lingering_close, keep_alive,
        suspended, wait_io, bucket, threads: [{status, pid}]}],
        "generation": running generation}; only slots with a pid."""
        text = wait_until(self.ask_board, 10, "the probe's board answers")
        return json.loads(text)

    def ask_board(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            try:
                sock.connect(os.path.join(self.root, "scratch", "board"))
                data = b""
                while True:
                    part = sock.recv(65536)
                    if not part:
                        return data.decode("ascii")
                    data += part
            except (FileNotFoundError, ConnectionError):
                return None

    def board_sum(self, field):
        """A counter summed over all processes."""
        return sum(process[field] for process in self.board()["processes"])

    def probe_events(self, event=None, since=0, **match):
        """What the probe logged, as dicts: {"event": "child_status",
        "pid": 17, ...}; only those of this name and with these values."""
        path = os.path.join(self.root, "scratch", "probe")
        found = []
        for line in self.read(path).splitlines()[since:]:
            name, _, rest = line.partition(" ")
            fields = {"event": name}
            for field in rest.split():
                key, _, value = field.partition("=")
                fields[key] = number(value)
            if event in (None, name) and all(
                    fields.get(key) == value
                    for key, value in match.items()):
                found.append(fields)
        return found

    def probe_mark(self):
        """A place in the probe's log, for probe_events(since=...)."""
        path = os.path.join(self.root, "scratch", "probe")
        return len(self.read(path).splitlines())

    def wait_event(self, event, count=1, timeout=10, since=0, **match):
        """Wait until the probe logged this (count times): the events."""
        wait_until(lambda: len(self.probe_events(event, since, **match))
                   >= count, timeout, "%d times %s %s" % (count, event,
                                                          match))
        return self.probe_events(event, since, **match)


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def system_account():
    """(user, group) for the children of a server started by root."""
    for user, group in (("www-data", "www-data"), ("nobody", "nogroup"),
                        ("daemon", "daemon")):
        try:
            pwd.getpwnam(user)
            return user, group
        except KeyError:
            pass
    raise Failure("no account for httpd's children")
