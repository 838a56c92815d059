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
"""CGI: the shared daemon of mod_cgid, and forks of threads of mod_cgi."""

import os
import signal
import time

import procs
import wire
from client import Load, together
from common import md5, pattern, serve
from h2 import Session
from harness import test, wait_until

SCRIPTS = {
    "token": 'echo "Content-Type: text/plain"\necho\necho "$QUERY_STRING"\n',
    "doze": 'sleep 0.05\necho "Content-Type: text/plain"\necho\n'
            'echo "$QUERY_STRING"\n',
    "cat": 'echo "Content-Type: application/octet-stream"\necho\ncat\n',
    "forever": 'echo "Content-Type: text/plain"\necho\n'
               'echo $$\nexec sleep 60\n',
}


def cgi(t, module="cgid", **settings):
    settings["modules"] = module + " alias " + settings.get("modules", "")
    conf = """
ScriptAlias "/cgi/" "{root}/cgi/"
<Directory "{root}/cgi">
    Require all granted
</Directory>
""" + ("ScriptSock {root}/scratch/cgid.sock\n" if module == "cgid" else "")
    settings["conf"] = conf + settings.get("conf", "")
    s = serve(t, **settings, start=False)
    directory = os.path.join(s.root, "cgi")
    os.mkdir(directory)
    os.chmod(directory, 0o755)
    for name, body in SCRIPTS.items():
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + body)
        os.chmod(path, 0o755)
    return s.start()


def daemon(s):
    """The pid of cgid's daemon, told by the socket it listens on."""
    for pid in procs.children(s.pid):
        if any("cgid" in path for path in unix_sockets(pid)):
            return pid
    return None


def unix_sockets(pid):
    """Paths of the sockets a process listens on."""
    inodes = {target[8:-1] for target in procs.fds(pid).values()
              if target.startswith("socket:[")}
    found = []
    with open("/proc/net/unix", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[6] in inodes and \
                    fields[3] == "00010000":
                found.append(fields[7])
    return found


@test(stock="pass", item="6.2 10 #22", needs="cgid", core=True)
def every_script_answers_its_own_client(t):
    s = cgi(t, threads=10, processes=3)

    def client(number):
        with s.conn(timeout=20) as conn:
            for turn in range(12):
                token = "c%dt%d" % (number, turn)
                script = ("token", "doze")[(number + turn) % 2]
                t.equal(conn.get("/cgi/%s?%s" % (script, token)).text,
                        token + "\n", script)
    together(8, client, timeout=40)


@test(stock="pass", item="6.9 10 #22", needs="cgid http2")
def every_stream_gets_its_own_answer(t):
    s = cgi(t, threads=4, modules="http2", conf="Protocols h2c http/1.1")
    sessions = [Session(s.conn(timeout=20)) for _ in range(3)]
    for turn in range(3):
        asked = {}
        for who, h2 in enumerate(sessions):
            for number in range(8):
                token = "%d.%d.%d" % (who, turn, number)
                asked[h2, h2.request("/cgi/doze?" + token)] = token
        for h2 in sessions:
            t.check(h2.finish(timeout=20), "finished: %s" % h2.streams)
        for (h2, number), token in asked.items():
            t.equal(h2.streams[number].body, token.encode() + b"\n", "token")


@test(stock="pass", item="10", needs="cgid")
def bodies_both_ways(t):
    s = cgi(t, threads=4)
    body = pattern(300000)
    conn = s.conn(timeout=20)
    for _ in range(3):
        answer = conn.get("/cgi/cat", method="POST", body=body)
        t.equal(md5(answer.body), md5(body), "echo")
    slow = s.conn(timeout=20, rcvbuf=8192)
    slow.request("/cgi/cat", method="POST", body=body)
    t.equal(s.get("/cgi/token?x").text, "x\n", "beside a slow reader")
    t.equal(md5(slow.read_response().body), md5(body), "slow reader")


@test(stock="pass", item="10 #22", needs="cgid")
def script_of_a_client_that_left_is_ended(t):
    s = cgi(t, threads=4, timeout=3)
    conns = [s.conn(timeout=20) for _ in range(3)]
    pids = []
    for conn in conns:
        conn.request("/cgi/forever")
        conn.read_head()
        conn.read_line()
        pids.append(int(conn.read_line()))
    mine = set(procs.descendants(s.pid))
    t.check(set(pids) <= mine, "scripts %s among %s" % (pids, mine))
    for conn in conns[:2]:
        conn.reset()
    for pid in pids:
        wait_until(lambda p=pid: not procs.alive(p), 20, "script ended")
    t.equal(s.get("/cgi/token?x").text, "x\n", "next script")


@test(stock="pass", item="4.7 10", needs="cgid")
def dead_daemon_is_replaced(t):
    s = cgi(t, threads=4)
    t.equal(s.get("/cgi/token?a").text, "a\n", "before")
    children = s.children()
    first = wait_until(lambda: daemon(s), 10, "the daemon")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: daemon(s) not in (None, first), 15, "another daemon")
    wait_until(lambda: s.get("/cgi/token?b").text == "b\n", 15)
    serving = [pid for pid in children if pid != first]
    t.check(set(serving) <= set(procs.children(s.pid)), "children that serve")


@test(stock="pass", item="4.5 10", needs="cgid", core=True)
def scripts_across_restarts(t):
    s = cgi(t, threads=4)
    load = Load(s.port, clients=3, path="/cgi/token?z", keepalive=False,
                pause=0.01)
    for signal_name in ("USR1", "HUP", "USR1"):
        before = s.count_log("AH00489:")
        s.signal(signal_name)
        wait_until(lambda b=before: s.count_log("AH00489:") > b, 20)
        wait_until(lambda: s.get("/cgi/token?q").text == "q\n", 15,
                   "scripts after SIG" + signal_name)
        answered = load.answered
        wait_until(lambda a=answered: load.answered > a + 10, 15)
    if t.env.stock:
        s.expect("AH00046:")  # its threads wait for a daemon that is gone
    # What a hard restart, or the daemon's end, cuts off is not counted.
    load.stop()
    wait_until(lambda: not wire.held(s.port), 20, "connections over")


@test(stock="pass", item="10", needs="cgi")
def mod_cgi_forks_from_threads(t):
    s = cgi(t, module="cgi", threads=6)

    def client(number):
        with s.conn(timeout=20) as conn:
            for turn in range(10):
                token = "c%dt%d" % (number, turn)
                t.equal(conn.get("/cgi/token?" + token).text, token + "\n",
                        "token")
    together(4, client, timeout=40)
    t.equal(s.get("/").status, 200, "afterwards")


@test(stock="fails: a thread that waits in poll() is not woken",
      item="4.3 10", needs="cgid")
def stop_while_scripts_run(t):
    s = cgi(t, threads=4)
    conns = [s.conn(timeout=20) for _ in range(2)]
    for conn in conns:
        conn.request("/cgi/forever")
        conn.read_head()
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 8, "a child had to be killed")
