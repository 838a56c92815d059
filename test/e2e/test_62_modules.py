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
"""basics: what every file of this directory needs."""
"""Other modules, each doing once what it leans on the MPM for."""

import gzip
import os
import re
import signal
import socket
import threading
import time

import procs
import wire
from client import Closed, Load, Task, together
from common import md5, pattern, serve
from harness import test, wait_until


def statuses(conn):
    """The statuses of the answers until the server closes."""
    found = []
    try:
        while True:
            found.append(conn.read_response().status)
    except Closed as closed:
        return found, closed.how


@test(stock="pass", item="10", needs="reqtimeout", core=True)
def reqtimeout_answers_408(t):
    """What has reached a worker is under mod_reqtimeout's times."""
    s = serve(t, threads=4, modules="reqtimeout", timeout=30,
              conf="RequestReadTimeout header=1 body=1\n"
                   "<IfDirective EventHeadTimeout>\n"
                   "EventHeadTimeout 0\n</IfDirective>")
    silent, head, body = s.conn(), s.conn(), s.conn()
    started = time.monotonic()
    head.send("GET / HTTP/1.1\r\nHost: ")
    body.request("/", method="POST", headers={"Content-Length": "10"})
    body.send("123")
    t.equal(statuses(head), ([408], "eof"), "half a head")
    found, how = statuses(body)
    t.equal((found[-1:], how), ([408], "eof"), "half a body")
    t.check(silent.wait_closed(10) == "eof", "silence")
    t.check(time.monotonic() - started >= 0.9, "not before its time")
    # It asks for a short linger: the server lets go of clients that stay.
    wait_until(lambda: not wire.held(s.port), 12, "all let go")


@test(stock="pass", item="10 #20", needs="reqtimeout", core=True)
def reqtimeout_leaves_kept_alive_alone(t):
    s = serve(t, threads=4, modules="reqtimeout", timeout=30,
              keepalive_timeout=20,
              conf="RequestReadTimeout header=1 body=1")
    conn = s.conn()
    for turn in range(2):
        t.equal(conn.get("/").status, 200, "request %d" % turn)
        t.check(conn.quiet(1.6), "left alone while idle")
    t.equal(conn.get("/").status, 200, "last request")
    slow = s.conn()
    t.equal(slow.get("/").status, 200, "request")
    slow.send("GET /")
    # Core says nothing to a client whose later request never came whole.
    # Trunk's does.
    said = [408] if t.env.trunk() else []
    t.equal(statuses(slow), (said, "eof"), "half a second head")


@test(stock="pass", item="10", needs="reqtimeout")
def reqtimeout_grants_who_makes_progress(t):
    s = serve(t, threads=4, modules="reqtimeout", timeout=30,
              conf="RequestReadTimeout header=1-10,MinRate=20")
    conn = s.conn()
    request = conn.format("/", headers={"X-Long": "y" * 30})
    for start in range(0, len(request), 10):
        conn.send(request[start:start + 10])
        time.sleep(0.2)
    t.equal(conn.read_response().status, 200, "slow but steady")


KEYS = """Total Accesses|Total kBytes|Total Duration|Uptime|BusyWorkers
IdleWorkers|GracefulWorkers|Processes|Stopping|ConnsTotal|ConnsAsyncWaitIO
ConnsAsyncWriting|ConnsAsyncKeepAlive|ConnsAsyncClosing|Scoreboard
ServerMPM|ParentServerMPMGeneration""".replace("\n", "|").split("|")


@test(stock="pass", item="9.3 #17 #18 #48", core=True)
def status_page_under_load(t):
    s = serve(t, threads=8, processes=2, keepalive_timeout=5)
    load = Load(s.port, clients=3, pause=0.002)
    for turn in range(60):
        text = s.get("/server-status?auto").text
        for key in KEYS:
            t.check("\n" + key + ":" in "\n" + text, "key %s" % key)
        found = dict(re.findall(r"^([A-Za-z ]+): (\d+)$", text, re.M))
        # Old and new children accept side by side for a while: mod_status
        # counts the busy workers of all, and the idle ones of the new.
        t.check(int(found["IdleWorkers"]) <= 16 and int(found["BusyWorkers"])
                + int(found["GracefulWorkers"]) <= 16, "workers: %s" % found)
        if turn % 20 == 10:
            s.graceful()
    board = re.search(r"^Scoreboard: (.*)$", text, re.M)[1]
    t.equal(set(board) - set("_SRWKDCLGI."), set(), "letters")
    page = s.get("/server-status").text
    t.check("Async connections" in page and "</html>" in page, "HTML page")
    counts = load.stop()
    t.equal((counts["lost"], counts["wrong"], counts["refused"]), (0, 0, 0),
            "clients: %s" % load.notes)
    wait_until(lambda: workers(s) == (2, 16), 15,
               lambda: "processes and workers: %s, %s" % workers(s))


def workers(s):
    """(processes, workers busy or idle) in the status."""
    found = s.status()
    return found["Processes"], found["BusyWorkers"] + found["IdleWorkers"]


@test(stock="pass", item="9.1 #52", needs="probe")
def status_page_shows_requests_of_a_connection(t):
    s = serve(t, threads=4, keepalive_timeout=20, probe=True)
    busy = s.conn()
    for _ in range(3):
        busy.get("/probe/where")
    busy.request("/probe/sleep?ms=1500")
    wait_until(lambda: "/probe/sleep" in s.get("/server-status").text, 10)
    row = re.search(r"<tr><td>.*?/probe/sleep.*?</tr>",
                    s.get("/server-status").text.replace("\n", " "))[0]
    row = row[row.rindex("<tr>"):]
    t.check(re.search(r"<td>[34]/\d+/\d+</td>", row), "accesses in %s" % row)
    t.equal(busy.read_response().status, 200, "busy one")


@test(stock="pass", item="10", needs="dav dav_fs alias")
def dav(t):
    s = serve(t, threads=4, modules="dav dav_fs alias", conf="""
DavLockDB "{root}/scratch/locks"
Alias /up "{root}/scratch"
<Directory "{root}/scratch">
    Dav On
    Require all granted
</Directory>
""")

    def client(number):
        conn = s.conn(timeout=20)
        base = "/up/d%d" % number
        body = pattern(100000, number)
        found = [conn.get(base, method="MKCOL").status]
        found.append(conn.get(base + "/f", method="PUT", body=body).status)
        found.append(md5(conn.get(base + "/f").body) == md5(body))
        found.append(conn.get(base + "/", method="PROPFIND",
                              headers={"Depth": "1"}).status)
        found.append(conn.get(base + "/", method="DELETE").status)
        return found
    t.equal(together(4, client), [[201, 201, True, 207, 204]] * 4, "answers")


@test(stock="pass", item="10", needs="deflate filter")
def deflate(t):
    body = pattern(1 << 20)
    s = serve(t, threads=4, modules="deflate filter", timeout=20,
              docs={"a.html": body, "small.html": b"small\n"},
              conf="SetOutputFilter DEFLATE")

    def client(number):
        conn = s.conn(timeout=20, rcvbuf=8192)
        for _ in range(3):
            conn.request("/a.html", headers={"Accept-Encoding": "gzip"})
            conn.request("/small.html")
            answer = conn.read_response()
            t.equal(answer.headers["content-encoding"], "gzip", "coding")
            t.equal(md5(gzip.decompress(answer.body)), md5(body), "body")
            t.equal(conn.read_response().body, b"small\n", "plain one")
    together(3, client)


@test(stock="pass", item="10", needs="ratelimit")
def ratelimit(t):
    body = pattern(60000)
    s = serve(t, threads=4, modules="ratelimit env", docs={"a": body},
              conf='<Location "/a">\nSetOutputFilter RATE_LIMIT\n'
                   'SetEnv rate-limit 100\n</Location>')
    conn = s.conn(timeout=20)
    for _ in range(2):
        t.equal(md5(conn.get("/a").body), md5(body), "body")
    t.equal(conn.get("/").status, 200, "next request")


@test(stock="pass", item="10", needs="dumpio remoteip log_forensic logio")
def onlookers(t):
    s = serve(t, threads=4, modules="dumpio remoteip log_forensic logio",
              loglevel="info mpm_event:debug dumpio:trace7",
              docs={"a": pattern(5000)}, conf="""
DumpIOInput On
DumpIOOutput On
RemoteIPHeader X-Client
RemoteIPInternalProxy 127.0.0.1
ForensicLog "{root}/forensic.log"
LogFormat "%a %I %O %{c}a" seen
CustomLog "{root}/access.log" seen
""")
    conn = s.conn()
    request = conn.format("/a", headers={"X-Client": "192.0.2.7"})
    sizes = []
    for _ in range(3):
        conn.send(request)
        answer = conn.read_response()
        sizes.append(len(answer.head) + 4 + len(answer.body))
        t.equal(answer.body, pattern(5000), "body")
    wait_until(lambda: len(s.read(s.root + "/access.log").splitlines()) == 3)
    for line, size in zip(s.read(s.root + "/access.log").splitlines(),
                          sizes):
        fields = line.split()
        t.equal((fields[0], fields[2], fields[3]),
                ("192.0.2.7", str(size), "127.0.0.1"), "log")
        # A byte of the next request, if it is there, is counted twice.
        t.check(0 <= int(fields[1]) - len(request) <= 1, "in: %s" % fields)
    forensic = s.read(s.root + "/forensic.log").splitlines()
    t.equal(sum(line[0] == "+" for line in forensic),
            sum(line[0] == "-" for line in forensic), "forensic pairs")
    t.check(s.count_log("dumpio_in") and s.count_log("dumpio_out"), "dumpio")


@test(stock="pass", item="10", needs="unique_id headers", core=True)
def unique_ids_are_unique(t):
    s = serve(t, threads=10, processes=3, modules="unique_id headers",
              conf='Header set X-Id "%{UNIQUE_ID}e"')

    def client(number):
        with s.conn(timeout=20) as conn:
            return [conn.get("/").headers["x-id"] for _ in range(100)]
    found = [one for ids in together(8, client) for one in ids]
    t.equal(len(set(found)), 800, "different ids of 800")


@test(stock="pass", item="4.7 10", core=True)
def piped_logs(t):
    s = serve(t, threads=4, conf="""
LogFormat "%U" path
CustomLog "|$exec /bin/cat >> {root}/scratch/piped.log" path
""")
    path = os.path.join(s.root, "scratch", "piped.log")

    def loggers():
        return [pid for pid in procs.children(s.pid)
                if procs.exe(pid) != procs.exe(s.pid)]

    def logged(name):
        # The logger of a generation that ends is stopped by core before its
        # last requests are logged, so ask until one is the new one's.
        def asked():
            s.get(name)
            return name in s.read(path)
        wait_until(asked, 10, name + " logged")
    logged("/one")
    # That of the first pass over the configuration may just be ending.
    wait_until(lambda: len(loggers()) == 1, 15, "one logger")
    first = loggers()
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: loggers() and loggers() != first, 15, "another one")
    logged("/two")
    s.graceful()
    logged("/three")
    wait_until(lambda: len(loggers()) == 1, 15, "one of the new generation")
    s.restart()
    logged("/four")
    wait_until(lambda: len(loggers()) == 1, 15, "one logger")
    before = loggers()
    s.stop()
    wait_until(lambda: not any(procs.alive(pid) for pid in before), 10,
               "logger gone with the server")


@test(stock="pass", item="10", needs="rewrite auth_basic authn_core "
      "authn_file authz_user headers setenvif")
def rewrite_auth_and_headers(t):
    s = serve(t, threads=8, modules="rewrite auth_basic authn_core "
              "authn_file authz_user headers setenvif", conf="""
RewriteEngine On
RewriteMap up "prg:{root}/map"
RewriteRule "^/up/(.*)$" "/${up:$1}" [PT]
Header always set X-Seen "%D"
<Location "/closed">
    AuthType Basic
    AuthName "x"
    AuthUserFile "{root}/users"
    Require valid-user
</Location>
""", docs={"A": b"big a\n", "closed/b": b"b\n"}, start=False)
    with open(s.root + "/map", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nwhile read -r key; do\n"
                   "echo \"$key\" | tr a-z A-Z\ndone\n")
    os.chmod(s.root + "/map", 0o755)
    with open(s.root + "/users", "w", encoding="ascii") as file:
        file.write("me:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")  # "password"
    s.start()

    def client(number):
        with s.conn(timeout=20) as conn:
            for _ in range(20):
                answer = conn.get("/up/a")
                t.equal(answer.body, b"big a\n", "through the map")
                t.check("x-seen" in answer.headers, "header")
    together(4, client)
    t.equal(s.get("/closed/b").status, 401, "without a password")
    t.equal(s.get("/closed/b", headers={
        "Authorization": "Basic bWU6cGFzc3dvcmQ="}).body, b"b\n", "with")


LUA = """
local n = 0
function handle(r)
    n = n + 1
    r.content_type = "text/plain"
    r:puts(r.args or "none")
    return apache2.OK
end
"""


@test(stock="pass", item="5.2 10", needs="lua", core=True)
def lua_uses_the_threads_pool(t):
    for scope in ("thread 1 4", "once", "conn", "server 2 8"):
        s = serve(t, threads=8, modules="lua", conf="""
LuaScope %s
LuaMapHandler "^/lua$" "{root}/x.lua" handle
""" % scope, start=False)
        with open(s.root + "/x.lua", "w", encoding="ascii") as file:
            file.write(LUA)
        s.start()

        def client(number):
            with s.conn(timeout=20) as conn:
                for turn in range(20):
                    token = "n%d.%d" % (number, turn)
                    t.equal(conn.get("/lua?" + token).text, token, scope)
        together(4, client)
        s.graceful()
        t.equal(s.get("/lua?again").text, "again", "after a restart")


@test(stock="pass", item="6.3", needs="echo", core=True)
def legacy_protocol_module(t):
    # mod_echo blocks in its loop and leaves the state alone.
    s = serve(t, threads=4, modules="echo", timeout=2,
              listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}",
              conf="<VirtualHost *:{port2}>\nProtocolEcho On\n"
                   "</VirtualHost>")
    conns = [s.conn(port=s.port2) for _ in range(2)]
    for turn in range(3):
        for conn in conns:
            conn.send("line %d\n" % turn)
            t.equal(conn.read_line(), "line %d" % turn, "echo")
    conns[0].close()
    wait_until(lambda: not wire.held(s.port2, [conns[0].local_port]), 10,
               "closed one over")
    t.equal(conns[1].wait_closed(15), "eof", "silent one, at Timeout")
    t.equal(s.get("/").status, 200, "HTTP beside it")


@test(stock="pass", item="10", needs="ext_filter")
def ext_filter_forks_from_threads(t):
    body = pattern(50000)
    s = serve(t, threads=4, modules="ext_filter", docs={"f/a": body},
              conf='ExtFilterDefine same mode=output cmd="/bin/cat"\n'
                   '<Location "/f">\nSetOutputFilter same\n</Location>')

    def client(number):
        with s.conn(timeout=20) as conn:
            return [md5(conn.get("/f/a").body) for _ in range(5)]
    t.equal(together(3, client), [[md5(body)] * 5] * 3, "bodies")


@test(stock="pass", item="3 10", needs="watchdog heartbeat")
def watchdog_threads(t):
    # One child at a time, of the newest generation, sends heartbeats.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(20)
        s = serve(t, threads=4, processes=2, modules="watchdog heartbeat",
                  conf="HeartbeatAddress 127.0.0.1:%d"
                  % ear.getsockname()[1])
        for signal_name in ("USR1", "HUP", None):
            for _ in range(2):
                beat = ear.recv(2000)
                t.check(b"ready=" in beat, "heartbeat %r" % beat)
            t.equal(s.get("/").status, 200, "request")
            if signal_name:
                s.reload(signal_name, 20)
        started = time.monotonic()
        s.stop()
        t.check(time.monotonic() - started < 8, "a child had to be killed")


@test(stock="pass", item="9.3", needs="info")
def mod_info_names_our_hooks(t):
    s = serve(t, threads=4, modules="info",
              conf='<Location "/info">\nSetHandler server-info\n</Location>')
    page = s.get("/info").text
    t.check("event.c" in page, "the MPM's file name")
    for name in ("ThreadsPerChild", "StartServers", "ServerLimit"):
        t.check(name in page, name)


@test(stock="pass", item="10", needs="buffer request", core=True)
def slow_posts_of_many_clients(t):
    s = serve(t, threads=8, modules="buffer request", timeout=20)
    stop = threading.Event()

    def post(number):
        conn = s.conn(timeout=20)
        conn.request("/", method="POST", headers={"Content-Length": "50"})
        for _ in range(50):
            conn.send("p")
            time.sleep(0.01)
        return conn.read_response().status

    def others():
        count = 0
        while not stop.is_set():
            t.equal(s.get("/").status, 200, "beside them")
            count += 1
        return count
    beside = Task(others)
    t.equal(together(5, post), [200] * 5, "posts")
    stop.set()
    t.check(beside.join() > 0, "others were served")
