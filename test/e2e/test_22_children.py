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
"""Children that die, are sick, cannot start, or have served their time."""

import os
import re
import signal

from harness import client, procs, test, wait_until


def served_by(s):
    """The pid of the child that answers a request."""
    return int(re.search(r"pid=(\d+)", s.get("/probe/where").text)[1])


@test(stock="pass", item="14.9 4.7", core=True)
def killed_child_is_replaced(t):
    s = t.server(threads=2, processes=2)
    victim, other = s.wait_children(2)
    mark = s.mark()
    s.signal("KILL", victim)
    s.wait_child_gone(victim)
    t.equal(s.get("/").status, 200, "the other serves")
    found = s.wait_children(2)
    t.check(other in found and victim not in found, "children: %s" % found)
    t.equal(s.log_ids("AH(?:10392|0005\\d)", mark), [], "nothing special")


@test(stock="pass", item="14.9 4.7 #63")
def all_children_killed(t):
    s = t.server(threads=2, processes=2, mpm=dict(MinSpareThreads=4))
    for _ in range(3):
        victims = s.wait_children(2)
        for pid in victims:
            s.signal("KILL", pid)
        for pid in victims:
            s.wait_child_gone(pid)
        t.equal(s.get("/").status, 200, "served by their heirs")
        wait_until(lambda: len(s.children()) == 2
                   and not set(s.children()) & set(victims))


@test(stock="pass", item="14.9 4.7 13")
def three_killed_in_a_row(t):
    """The third waits for a tick, and AH10392 says so."""
    s = t.server(threads=2, processes=4, mpm=dict(MinSpareThreads=8))
    for pid in s.wait_children(4):
        s.signal("KILL", pid)
    s.wait_log("AH10392:")
    t.check("mpm_event:warn" in s.log_lines("AH10392:")[0], "its level")
    s.wait_children(4)
    t.equal(len(s.log_lines("AH10392:")), 1, "AH10392 for four in a row")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="4.7", needs="probe")
def crash_is_logged_and_mended(t):
    s = t.server(threads=2, processes=1, probe=True)
    s.expect("AH0005[12]: child pid")
    victim = s.wait_children(1)[0]
    conn = s.conn()
    conn.request("/probe/crash?how=segv")
    t.check(conn.wait_closed(), "its connection ends")
    s.wait_log(r"AH0005[12]: child pid %d exit signal Segm" % victim)
    t.equal(s.get("/").status, 200, "served by the heir")
    s.wait_event("child_status", pid=victim, state="EXITED")
    slots = {p["slot"] for p in s.board()["processes"]}
    t.equal(slots, {0}, "the slot is used again")


@test(stock="pass", item="4.7 5.3", needs="probe")
def sick_child_is_forgotten(t):
    """A child that exits with 7 is replaced, and the server goes on."""
    s = t.server(threads=2, processes=2, probe=True)
    s.wait_children(2)
    s.wait_event("child_init", 2)
    wait_until(lambda: s.status()["IdleWorkers"] >= 3)
    for _ in range(2):
        conn = s.conn()
        conn.request("/probe/crash?how=exit&code=7")
        t.check(conn.wait_closed(), "its connection ends")
    t.equal(s.get("/").status, 200, "served")
    t.check(not s.gone(), "the parent lives")


@test(stock="fails: exits with 0", item="4.7 14.9", needs="probe", core=True)
def fatal_child_at_start(t):
    s = t.server(threads=2, processes=2, start=False,
                 probe="ProbeChildExit 15")
    s.expect("AH00050:", "AH02818:")
    s.launch()
    t.check(s.wait_gone() not in (0, None), "exit code: %s" % s.exit_code)
    t.check(s.log_lines("AH00050:"), "AH00050")
    t.equal(s.log_lines("AH00491:"), [], "no shutting-down message")
    t.equal(s.read_pid(), s.pid, "the pid file is kept")


@test(stock="pass", item="4.7", needs="probe")
def fatal_child_stops_the_server(t):
    s = t.server(threads=2, processes=2, probe=True)
    s.expect("AH00050:", "AH02818:")
    conn = s.conn()
    conn.request("/probe/crash?how=exit&code=15")
    s.wait_gone()
    t.check(s.log_lines("AH00050:"), "AH00050")
    t.equal(s.log_lines("AH00491:"), [], "no shutting-down message")
    t.equal(s.read_pid(), s.pid, "the pid file is kept")


@test(stock="pass", item="4.7 13", needs="probe")
def fatal_child_of_an_old_generation(t):
    s = t.server(threads=2, max_processes=2, probe=True)
    s.expect("AH00050:")
    conn = s.conn()
    conn.request("/probe/crash?how=exit&code=15&ms=1500")
    old = s.wait_children(1)[0]
    wait_until(lambda: any(thread["status"] > 2 for process in
                           s.board()["processes"]
                           for thread in process["threads"]))
    s.graceful()
    s.wait_child_gone(old)
    s.wait_log("AH00487:")
    t.check("mpm_event:warn" in s.log_lines("AH00487:")[0], "its level")
    t.equal(s.get("/").status, 200, "served")
    t.check(not s.gone(), "the parent lives")


@test(stock="fails: exits with 0", item="4.7 13", needs="probe")
def all_sick_at_start(t):
    s = t.server(threads=2, processes=2, start=False,
                 probe="ProbeChildExit 7")
    s.expect("AH02324:", "AH02818:")
    s.launch()
    t.check(s.wait_gone() not in (0, None), "exit code: %s" % s.exit_code)
    t.equal(len(s.log_lines("AH02324:")), 1, "AH02324")
    t.equal(s.log_lines("AH00491:"), [], "no shutting-down message")


@test(stock="pass", item="4.7 #5 #6", needs="probe")
def sick_later_on(t):
    """Once a child was healthy, sick ones are no reason to give up, nor to
    fork without end."""
    s = t.server(threads=2, processes=3, max_processes=3, mpm=dict(
        MinSpareThreads=6), probe='ProbeChildExit 7 "{root}/scratch/sick"')
    s.wait_children(3)
    wait_until(lambda: s.status()["IdleWorkers"] >= 5)
    sick = os.path.join(s.root, "scratch", "sick")
    open(sick, "w").close()
    mark = s.probe_mark()
    victim, _, last = s.children()
    s.signal("KILL", victim)
    s.wait_event("child_status", 5, since=mark, state="EXITED", timeout=20)
    t.check(len(s.probe_events("child_status", mark, state="STARTED")) < 15,
            "children started meanwhile")
    t.equal(s.get("/").status, 200, "the others serve")
    t.check(procs.alive(last), "the others live")
    os.unlink(sick)
    wait_until(lambda: len(s.children()) == 3
               and s.status()["IdleWorkers"] >= 5, 20, "three again")
    t.check(not s.log_lines("AH02324:"), "AH02324")


@test(stock="fails: exits with 0", item="14.9 4.7 5.2")
def no_threads_to_start_with(t):
    if t.env.sanitizer:
        t.skip("address space is limited")
    s = t.server(threads=64, start=False, conf="ThreadStackSize 100000000",
                 rlimits={"AS": 3 << 30})
    s.expect("AH03104:", "AH00480:", "AH00474:", "AH02324:",
             "AH02818:")
    s.launch()
    t.check(s.wait_gone() not in (0, None), "exit code: %s" % s.exit_code)
    t.check(s.log_lines("AH03104:|AH00480:|AH00474:"), "which thread failed")
    t.equal(len(s.log_lines("AH02324:")), 1, "AH02324")


@test(stock="pass", item="5.4 14.4 #8", needs="probe", core=True)
def max_connections_per_child(t):
    """The nth connection is the last, and says so; then another serves."""
    s = t.server(threads=2, probe=True, conf="MaxConnectionsPerChild 5")
    first = s.wait_children(1)[0]
    for number in range(1, 6):
        with s.conn() as conn:
            response = conn.get("/probe/where")
            t.equal(int(re.search(r"pid=(\d+)", response.text)[1]), first,
                    "the child that serves connection %d" % number)
            t.equal(response.keepalive, number < 5,
                    "keep-alive of connection %d" % number)
            if number < 5:
                t.equal(conn.get("/").status, 200, "a second request")
    # Ours serves on until the other child can.
    wait_until(lambda: served_by(s) != first, 10, "another child serves")
    s.wait_child_gone(first)
    t.equal([e["graceful"] for e in
             s.wait_event("child_stopping", pid=first)], [1],
            "child_stopping once, gracefully")
    t.equal(s.log_lines("AH0005\\d:"), [], "exit code of the child")
    t.equal(served_by(s), s.wait_children(1)[0], "served on")


@test(stock="pass", item="5.4 #60 #62")
def max_connections_per_child_under_load(t):
    """Children come and go, and no request is lost."""
    s = t.server(threads=4, processes=2, max_processes=4,
                 conf="MaxConnectionsPerChild 20")
    seen = set(s.wait_children(2))
    load = client.Load(s.port, clients=4, keepalive=False)

    def enough():
        seen.update(s.children())
        return load.answered > 200 and len(seen) > 6

    wait_until(enough, 40, lambda: "200 requests, children %s: %s"
               % (seen, load.counts))
    counts = load.stop()
    # httpd's own module resets a connection now and then.
    for what in ("refused", "wrong") + (() if t.env.stock else ("lost",)):
        t.equal(counts[what], 0, "%s %s" % (what, load.notes))
    wait_until(lambda: 1 <= len(s.children()) <= 4, 10, "children")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="5.4", needs="probe")
def keepalive_does_not_count(t):
    """It counts connections, not requests."""
    s = t.server(threads=2, probe=True, conf="MaxConnectionsPerChild 3")
    first = s.wait_children(1)[0]
    with s.conn() as conn:
        for _ in range(10):
            t.equal(conn.get("/").status, 200, "request")
    t.equal(s.children(), [first], "children")


@test(stock="fails: blocks SIGTERM while modules start", item="5.1 5.3 #56",
      needs="probe")
def term_to_a_child_that_starts(t):
    """While it starts a child ends cleanly on SIGTERM."""
    s = t.server(threads=2, processes=1, probe="ProbeChildSleep 1500")
    mark = s.probe_mark()
    child = s.wait_children(1)[0]
    s.wait_event("child_init", pid=child)
    s.signal("TERM", child)
    s.wait_child_gone(child)
    s.wait_event("child_status", since=mark, pid=child, state="EXITED")
    t.equal(s.log_lines("AH0005\\d:"), [], "its exit")
    t.equal(s.get("/", timeout=20).status, 200, "served by the heir")


@test(stock="pass", item="5.2 6.2 #42", needs="probe")
def threads_do_not_take_signals(t):
    """Requests' threads have every signal blocked, but those that a fault
    of their own raises."""
    s = t.server(threads=3, probe=True)
    child = s.wait_children(1)[0]
    tid = int(re.search(r"tid=(\d+)", s.get("/probe/where").text)[1])
    path = "/proc/%d/task/%d/status" % (child, tid)
    with open(path, encoding="ascii") as file:
        blocked = int(re.search(r"SigBlk:\s*(\w+)", file.read())[1], 16)
    for name in ("TERM", "HUP", "USR1", "WINCH", "INT", "CHLD", "ALRM",
                 "USR2"):
        number = getattr(signal, "SIG" + name)
        t.check(blocked >> (number - 1) & 1, "SIG%s is not blocked" % name)
    ignored = procs.status_field(child, "SigIgn")
    t.check(int(ignored, 16) >> (signal.SIGPIPE - 1) & 1, "SIGPIPE ignored")


@test(stock="pass", item="4.7")
def piped_logger_is_restarted(t):
    s = t.server(threads=2, processes=2, conf="""
LogFormat "%U" short
CustomLog "|$exec cat >>'{root}/piped'" short
""")
    path = os.path.join(s.root, "piped")

    def loggers():
        return [pid for pid in procs.children(s.pid)
                if procs.stat(pid).comm == "cat"]

    s.get("/first")
    wait_until(lambda: "/first" in s.read(path))
    first = wait_until(loggers)
    children = s.wait_children(2)
    s.signal("KILL", first[0])
    wait_until(lambda: loggers() and loggers() != first,
               what="another logger")
    t.equal(s.children(), children, "children stay")
    s.get("/second")
    wait_until(lambda: "/second" in s.read(path))
    t.equal(s.log_lines("AH00488:"), [], "unknown children")
    s.stop()
    t.check(not loggers(), "the logger ends with the server")


@test(stock="pass", item="5.1 5.3")
def child_has_no_business_with_signals_of_the_parent(t):
    """HUP, USR1 and WINCH sent to a running child by mistake do no harm."""
    s = t.server(threads=2)
    child = s.wait_children(1)[0]
    t.equal(s.get("/").status, 200, "served")
    for name in ("HUP", "USR1", "WINCH"):
        s.signal(name, child)
    for _ in range(5):
        t.equal(s.get("/").status, 200, "served after the signals")
    t.equal(s.log_lines("AH0005\\d:"), [], "crashes")
