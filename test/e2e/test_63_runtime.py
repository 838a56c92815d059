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
"""Memory, stacks and listener buckets of the running server."""

import os
import re
import signal

import procs
import wire
from client import Closed, Load, together
from common import md5, pattern, serve
from harness import test, wait_until


def stacks(pid, size):
    """How many writable mappings of exactly this size a process has."""
    count = 0
    with open("/proc/%d/maps" % pid, encoding="ascii") as file:
        for line in file:
            start, end = (int(part, 16) for part in
                          line.split()[0].split("-"))
            if end - start == size and line.split()[1].startswith("rw"):
                count += 1
    return count


def burst(t, s, clients=8, turns=40):
    body = pattern(30000)

    def client(number):
        for _ in range(turns // 10):
            with s.conn(timeout=20) as conn:
                for _ in range(10):
                    t.equal(md5(conn.get("/a").body), md5(body), "body")
    together(clients, client)


@test(stock="pass", item="5.5", core=True)
def max_mem_free(t):
    for value in (None, 0, 1, 64, 100000):
        conf = "" if value is None else "MaxMemFree %d\n" % value
        s = serve(t, threads=20, conf=conf, docs={"a": pattern(30000)})
        burst(t, s)
        t.equal(s.get("/").status, 200, "with " + conf)


@test(stock="pass", item="5.5 #70")
def memory_is_given_back_under_max_mem_free(t):
    # Many connections at a time, then none: a limit of 1 KB per pool leaves
    # little behind; the second wave must not cost what the first did.
    s = serve(t, threads=8, conf="MaxMemFree 1", keepalive_timeout=30,
              mpm={"AsyncRequestWorkerFactor": 200})
    pid = s.children()[0]
    sizes = []
    for _ in range(4):
        conns = []
        for _ in range(300):
            conns.append(s.conn())
            t.equal(conns[-1].get("/").status, 200, "request")
        for conn in conns:
            conn.close()
        wait_until(lambda: not wire.held(s.port), 15, "connections over")
        sizes.append(procs.rss_kb(pid))
    t.check(sizes[-1] < sizes[0] + 6000, "KiB after each wave: %s" % sizes)


@test(stock="pass", item="2.2 5.1 #10", core=True)
def thread_stack_size(t):
    s = serve(t, threads=6, conf="ThreadStackSize 409600")
    for child in s.children():
        wait_until(lambda c=child: stacks(c, 409600) >= 6, 10,
                   "six stacks of that size")
    t.equal(s.get("/").status, 200, "request")
    s.configure(conf="")
    s.restart()
    t.equal(s.get("/").status, 200, "request")
    t.equal(stacks(s.wait_children(1)[0], 409600), 0, "after a restart")


@test(stock="pass", item="5.1 #10", core=True)
def unusable_thread_stack_size(t):
    s = serve(t, threads=3, conf="ThreadStackSize 1")
    s.wait_log("AH02436")
    t.equal(s.get("/").status, 200, "request, with the default")


def listeners(s):
    """How many sockets listen on the server's port."""
    return sum(local == s.port and state == "LISTEN"
               for local, _, state, _ in wire.table())


def is_served(s):
    """True if a request is answered; one that waited in the socket of a
    bucket that went with its generation is not."""
    try:
        return s.get("/", timeout=3).status == 200
    except (OSError, Closed):
        return False


def both(t, s):
    """Clients on many ports, so that the kernel uses each of them."""
    wait_until(lambda: is_served(s), 10)
    for _ in range(60):
        t.equal(s.get("/").status, 200, "request")


@test(stock="pass", item="4.9 #29 #32", core=True)
def listener_buckets_serve(t):
    s = serve(t, threads=4, processes=2, max_processes=4,
              mpm={"ListenCoresBucketsRatio": 1, "StartServers": 1},
              keepalive_timeout=1)
    if os.sysconf("SC_NPROCESSORS_ONLN") < 2:
        t.skip("one processor")
    t.equal(listeners(s), 2, "listening sockets")
    wait_until(lambda: len(s.children()) >= 2, 10, "a child for each bucket")
    both(t, s)
    for reload in (s.graceful, s.restart, s.graceful):
        reload()
        wait_until(lambda: len(s.children()) >= 2, 10, "children again")
        wait_until(lambda: listeners(s) == 2, 10, "listening sockets")
        both(t, s)


@test(stock="pass", item="4.9 #36")
def listener_buckets_leak_no_descriptors(t):
    for ratio in (0, 1):
        listen = "Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}"
        s = serve(t, threads=3, processes=2, listen=listen,
                  mpm={"ListenCoresBucketsRatio": ratio or None})
        first = 0
        for turn in range(8):
            if turn < 2:
                first = max(first, len(procs.fds(s.pid)))
            s.graceful()
            wait_until(lambda: is_served(s), 15, "a request")
        # What a generation still holds while it ends is not counted.
        wait_until(lambda: len(procs.fds(s.pid)) <= first, 10,
                   lambda: "descriptors: %d, of %d at first"
                   % (len(procs.fds(s.pid)), first))


@test(stock="pass", item="4.7", core=True)
def child_of_a_bucket_is_replaced(t):
    s = serve(t, threads=4, processes=2, max_processes=2, timeout=20,
              mpm={"ListenCoresBucketsRatio": 1})
    for _ in range(3):
        victim = s.children()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda v=victim: v not in s.children()
                   and len(s.children()) == 2, 10, "replaced")
    wait_until(lambda: all(is_served(s) for _ in range(20)), 15)


@test(stock="pass", item="2.1")
def listen_backlog_and_buffers(t):
    s = serve(t, threads=4, docs={"a": pattern(300000)},
              conf="ListenBacklog 10\nSendBufferSize 20000\n"
                   "ReceiveBufferSize 20000")
    together(8, lambda number: t.equal(
        md5(s.get("/a").body), md5(pattern(300000)), "body"))


@test(stock="pass", item="1.5 4.1")
def starts_in_a_bare_environment(t):
    # No systemd, no locale, no PATH: only what the configuration says.
    keep = {name: "" for name in os.environ
            if not name.startswith(("ASAN", "UBSAN", "TSAN", "LD_"))}
    s = serve(t, threads=3, env=dict(keep, NOTIFY_SOCKET="/nonexistent",
                                     LISTEN_FDS="0"), start=False)
    s.start(mode="detach")
    t.equal(s.get("/").status, 200, "request")
    s.graceful()
    t.equal(s.get("/").status, 200, "after a restart")
    t.equal(s.read_pid(), s.pid, "pid file")


@test(stock="pass", item="2.5 7", core=True)
def all_defaults(t):
    # Nothing said about processes and threads at all.
    s = serve(t, mpm={name: None for name in (
        "ServerLimit", "ThreadLimit", "ThreadsPerChild", "StartServers",
        "MaxRequestWorkers", "MinSpareThreads", "MaxSpareThreads")})
    t.equal(len(s.wait_children(3)), 3, "StartServers")
    for child in s.children():
        wait_until(lambda c=child: procs.stat(c).num_threads >= 26, 10,
                   "25 request threads")
    load = Load(s.port, clients=6)
    wait_until(lambda: load.answered > 500, 20)
    counts = load.stop()
    t.equal((counts["lost"], counts["wrong"], counts["refused"]), (0, 0, 0),
            "clients: %s" % load.notes)
    board = re.search("Scoreboard: (.*)",
                      s.get("/server-status?auto").text)[1]
    t.equal(len(board), 16 * 25, "cells of the scoreboard")
