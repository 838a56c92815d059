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
"""Children that go away: what becomes of the connections they have."""

import os
import signal
import subprocess
import time

from harness import client, procs, test, wait_until


def ended(conn):
    """The server has closed, or reset, this connection."""
    return conn.wait_closed(15) in ("eof", "reset")


def is_served(s):
    """A hard restart that comes late ends a request."""
    try:
        return s.get("/").status == 200
    except (OSError, EOFError, client.Closed):
        return False


@test(stock="fails: closes idle connections at once", item="issue 2.2")
def idle_connection_is_answered_while_draining(t):
    """A request on an idle connection of an old child gets its answer, with
    "Connection: close"."""
    s = t.server(threads=2, processes=1, keepalive_timeout=20)
    old = s.children()
    conn = s.conn()
    t.check(conn.get("/").keepalive, "kept alive")
    s.graceful()
    wait_until(lambda: set(s.children()) - set(old), what="new child")
    wait_until(lambda: s.status()["Stopping"] == 1, what="old child stopping")
    response = conn.get("/")
    t.equal(response.status, 200, "answer")
    t.check(not response.keepalive, "says close")
    t.check(ended(conn), "closed")
    for pid in old:
        s.wait_child_gone(pid, 10)


@test(stock="fails: has no such directive", item="issue 2.3", needs="probe")
def drain_timeout_ends_what_goes_on(t):
    """EventDrainTimeout: a running request, a slow reader and an idle
    connection are named in the log and ended."""
    s = t.server(threads=4, processes=1, probe=True, keepalive_timeout=60,
                 timeout=60, conf="EventDrainTimeout 1")
    old = s.children()[0]
    busy, idle, slow = s.conn(), s.conn(), s.conn(rcvbuf=4096)
    t.check(idle.get("/").keepalive, "kept alive")
    busy.request("/probe/sleep?ms=900000")
    slow.request("/probe/stream?kb=20000")
    half = s.conn()
    half.send("GET / HTTP/1.1\r\n")
    wait_until(lambda: s.status()["BusyWorkers"] >= 2, what="busy")
    wait_until(lambda: s.status()["MpmHeadsWaiting"] == 1, what="half")
    s.graceful()
    s.wait_child_gone(old, 15)
    t.equal(len(s.log_lines("EventDrainTimeout is over with 4")), 1, "said")
    t.equal(len(s.log_lines("ending a connection of 127.0.0.1 after")), 4,
            "each is named")
    t.check(s.log_lines('in state "waiting for a request"'), "not yet begun")
    t.check(s.log_lines('in state "keep-alive"'), "the idle one's state")
    t.equal(s.get("/").status, 200, "served on")


@test(stock="fails: has no such directive", item="issue 2.3")
def drain_timeout_wrong_values(t):
    for value in ("-1", "soon", "1.5", "99999999999"):
        s = t.server(start=False, conf="EventDrainTimeout " + value)
        rc, text = s.run("-t")
        t.check(rc != 0 and "EventDrainTimeout" in text, text)


@test(stock="fails: children go on without a parent", item="issue 2.1 12.26")
def orphans_drain(t):
    """When the parent is killed its children finish and leave."""
    s = t.server(threads=2, processes=2, keepalive_timeout=1)
    children = s.children()
    conn = s.conn()
    t.check(conn.get("/").keepalive, "kept alive")
    os.kill(s.pid, signal.SIGKILL)
    for pid in children:
        s.wait_child_gone(pid, 15)
    t.check(ended(conn), "closed")
    s.wait_gone()


@test(stock="fails: ignores it", item="5.3 12.11")
def term_to_a_child_is_obeyed(t):
    s = t.server(threads=2, processes=1)
    child = s.children()[0]
    os.kill(child, signal.SIGTERM)
    s.wait_child_gone(child, 10)
    wait_until(lambda: len(s.children()) == 1, 10, "replaced")
    t.equal(s.get("/").status, 200, "served")


@test(stock="fails: starts the next child only when one has gone",
      item="issue 2.1 12.3", needs="probe")
def somebody_accepts_at_every_moment(t):
    """New connections while each old child is held by a request."""
    s = t.server(threads=2, processes=2, max_processes=2, probe=True)
    held = [s.conn(timeout=60) for _ in range(2)]
    for conn in held:
        conn.request("/probe/sleep?ms=4000")
    wait_until(lambda: s.status()["BusyWorkers"] >= 2, what="busy")
    s.graceful()
    answered = 0
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        t.equal(s.get("/").status, 200, "a new connection")
        answered += 1
    t.check(answered > 10, "%d answers in 1.5 s" % answered)
    for conn in held:
        t.equal(conn.read_response().status, 200, "the held request")


@test(stock="pass", item="4.2 4.4 4.5")
def signals_on_each_others_heels(t):
    """A restart, or a stop, that comes while another restart returns."""
    for second in ("HUP", "USR1"):
        for _ in range(4):
            s = t.server(threads=2, processes=2)
            mark = s.mark()
            s.signal("USR1")
            wait_until(lambda: s.log_lines("AH00493:", mark), 10)
            s.signal(second)
            wait_until(lambda: s.log_lines("AH00489:", mark), 20)
            wait_until(lambda: is_served(s), 10, "served")
            t.equal(s.graceful_stop(20), 0, "exit code")
    for name in ("TERM", "WINCH"):
        for _ in range(4):
            s = t.server(threads=2, processes=2)
            mark = s.mark()
            s.signal("USR1")
            wait_until(lambda: s.log_lines("AH00493:", mark), 10)
            s.signal(name)
            t.equal(s.wait_gone(20), 0, "exit code after " + name)


@test(stock="fails: ends, as nobody of the new generation could start",
      item="issue 2.8", needs="probe")
def new_generation_that_cannot_start(t):
    """The old one goes on, and the next reload that can start takes over."""
    s = t.server(threads=2, processes=2, probe=True)
    old = set(s.children())
    s.configure(probe="ProbeChildExit 7")
    s.expect("going on", "the old generation goes on serving")
    s.graceful()
    wait_until(lambda: s.log_lines("the old generation goes on serving"), 15)
    t.check(old <= set(s.children()), "the old children live")
    for _ in range(10):
        t.equal(s.get("/").status, 200, "served")
    s.configure(probe="")
    s.graceful()
    wait_until(lambda: not old & set(s.children()), 15, "taken over")
    t.equal(s.get("/").status, 200, "served")


@test(stock="fails: the child ends", item="issue 2.8")
def shortage_ends_though_nobody_comes(t):
    """One child is out of descriptors, its sibling takes what comes, though
    the first one is told of it: when nobody comes any more the first one's
    shortage is over, and said to be."""
    s = t.server(threads=4, processes=2)
    short = s.children()[0]
    # Only the user the child runs as may do this everywhere.
    subprocess.run(["prlimit", "--pid", str(short), "--nofile=3:"],
                   check=True, extra_groups=[] if os.geteuid() == 0 else None,
                   **{name: int(procs.status_field(short, field).split()[0])
                      for name, field in (("group", "Gid"), ("user", "Uid"))
                      if os.geteuid() == 0})

    conns = []

    def said():
        if len(conns) < 8:  # with which the sibling is clearly ahead
            conns.append(s.conn(timeout=5))
            t.equal(conns[-1].get("/").status, 200, "served by the sibling")
        return s.log_lines("AH02179:")

    wait_until(said, 10, "the shortage")
    wait_until(lambda: s.log_lines("accepting connections again"), 15,
               "its end")
    t.check(short in s.children(), "the child lives")
