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
"""How many children there are: growth, shrinking, limits and messages."""

import time

import limits
from harness import procs, test, wait_until


def sleepers(s, count, ms):
    """Connections whose requests each take ms milliseconds."""
    conns = [s.conn() for _ in range(count)]
    for conn in conns:
        conn.settimeout(30)
        conn.request("/probe/sleep?ms=%d" % ms)
    return conns


def finish(t, conns):
    for conn in conns:
        t.equal(conn.read_response().status, 200, "slow request")


def ready(s):
    return sum(thread["status"] == 2 for process in s.board()["processes"]
               for thread in process["threads"])


@test(stock="pass", item="4.8", needs="probe", core=True)
def grows_to_min_spare_threads(t):
    """From one child to what MinSpareThreads needs, faster every time."""
    s = t.server(threads=2, processes=1, max_processes=20, probe=True,
                 mpm=dict(MinSpareThreads=36, MaxSpareThreads=40))
    wait_until(lambda: ready(s) >= 36, 20, lambda: "%d threads" % ready(s))
    count = len(s.children())
    t.check(18 <= count <= 20, "children: %d" % count)
    t.check(s.log_lines("AH00486:"), "AH00486 when eight are started at once")
    t.check("mpm_event:info" in s.log_lines("AH00486:")[0], "its level")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="4.8", needs="probe")
def grows_with_the_load(t):
    s = t.server(threads=2, processes=1, max_processes=4, probe=True,
                 mpm=dict(MinSpareThreads=2, MaxSpareThreads=4))
    conns = sleepers(s, 6, 5000)
    s.wait_children(4)
    t.equal(s.get("/").status, 200, "served meanwhile")
    finish(t, conns)
    wait_until(lambda: len(s.children()) == 2, 20,
               lambda: "two children with four idle threads: %s"
               % s.children())


@test(stock="pass", item="4.8 #61", needs="probe", core=True)
def shrinks_to_max_spare_threads(t):
    """One child after the other goes, gracefully."""
    s = t.server(threads=2, processes=5, probe=True,
                 mpm=dict(MinSpareThreads=1, MaxSpareThreads=4))
    s.wait_children(5)
    wait_until(lambda: len(s.children()) == 2, 25,
               lambda: "two children: %s" % s.children())
    stopped = s.wait_event("child_stopping", 3)
    t.equal([e["graceful"] for e in stopped], [1, 1, 1], "graceful")
    t.equal(s.log_lines("AH0005\\d:|AH0004[5-7]:"), [], "their ends")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="4.8 #61", needs="probe")
def shrinks_after_a_peak(t):
    s = t.server(threads=1, processes=1, max_processes=5, probe=True,
                 mpm=dict(MinSpareThreads=1, MaxSpareThreads=2))
    conns = sleepers(s, 4, 6000)
    s.wait_children(5)
    finish(t, conns)
    # MaxSpareThreads is at least MinSpareThreads + ThreadsPerChild + 1.
    wait_until(lambda: len(s.children()) == 3, 20,
               lambda: "three children: %s" % s.children())


@test(stock="pass", item="4.8 7", needs="probe")
def never_more_than_max_request_workers(t):
    s = t.server(threads=2, processes=1, max_processes=3, probe=True,
                 mpm=dict(MinSpareThreads=6, ServerLimit=8))
    conns = sleepers(s, 6, 3000)
    most = 0
    waiting = s.conn()
    waiting.request("/")
    while conns[0].quiet(0.05):
        most = max(most, len(s.children()))
    t.equal(most, 3, "children at most")
    finish(t, conns)
    t.equal(waiting.read_response().status, 200, "the one that waited")


@test(stock="pass", item="4.8 13 #49", needs="probe", core=True)
def max_request_workers_reached(t):
    """AH00484 once, while every thread is busy."""
    s = t.server(threads=2, processes=1, probe=True)
    conns = sleepers(s, 2, 4500)
    s.wait_log("AH00484:")
    finish(t, conns)
    t.equal(len(s.log_lines("AH00484:")), 1, "AH00484")
    t.check("mpm_event:error" in s.log_lines("AH00484:")[0], "its level")
    t.equal(s.log_lines("AH10159:|AH03490:"), [], "others")


@test(stock="pass", item="4.8 13 #49", needs="probe")
def max_request_workers_near(t):
    """AH10159 once, while threads are idle but fewer than wanted."""
    s = t.server(threads=4, processes=1, probe=True,
                 mpm=dict(MinSpareThreads=3))
    conns = sleepers(s, 2, 4500)
    s.wait_log("AH10159:")
    finish(t, conns)
    t.equal(len(s.log_lines("AH10159:")), 1, "AH10159")
    t.check("mpm_event:error" in s.log_lines("AH10159:")[0], "its level")
    t.equal(s.log_lines("AH00484:|AH03490:"), [], "others")


@test(stock="fails: says AH00484 although every thread is idle",
      item="4.8 12.23 #49")
def not_reached_by_idle_connections(t):
    """Kept-alive connections up to the limit keep no thread busy."""
    s = t.server(threads=2, processes=1, keepalive_timeout=20)
    conns, waiting = limits.fill(s, 7)
    t.equal(len(conns), 6, "connections taken")
    t.check(waiting.quiet(3.5), "the seventh waits")
    t.equal(s.log_lines("AH00484:"), [], "AH00484")


@test(stock="fails: says AH03490, and that every second", needs="probe",
      item="2.3 4.8 12.23")
def corrected_limit_is_the_limit(t):
    """MaxRequestWorkers beyond ServerLimit counts as corrected: AH00484."""
    s = t.server(threads=2, processes=1, probe=True,
                 mpm=dict(ServerLimit=1, MaxRequestWorkers=8))
    conns = sleepers(s, 2, 4000)
    s.wait_log("AH00484:")
    finish(t, conns)
    t.equal(len(s.log_lines("AH00484:")), 1, "AH00484")
    t.equal(s.log_lines("AH03490:"), [], "AH03490")


@test(stock="pass", item="4.6 #60 #64", needs="probe")
def counts_stay_right(t):
    """After HUPs, kills and retirements as many children start as ever."""
    s = t.server(threads=1, processes=1, max_processes=4, probe=True,
                 mpm=dict(MinSpareThreads=4, MaxSpareThreads=6))
    for round_ in range(3):
        s.wait_children(4)
        s.signal("KILL", s.children()[0])
        if round_ % 2:
            s.restart()
        else:
            s.graceful()
        wait_until(lambda n=round_ + 1: {p["generation"] for p in
                                         s.board()["processes"]} == {n}, 15)
    s.wait_children(4, 15)
    conns = sleepers(s, 3, 2000)
    t.equal(s.get("/").status, 200, "served by the fourth")
    finish(t, conns)
    t.equal(s.log_lines("AH03455:|AH03490:"), [], "slots")


@test(stock="pass", item="4.1 2.4")
def start_servers_after_a_graceful_restart(t):
    """As many children come back as had been started."""
    s = t.server(threads=1, processes=4, mpm=dict(MinSpareThreads=4))
    for name in ("graceful", "restart"):
        old = set(s.wait_children(4))
        getattr(s, name)()
        wait_until(lambda o=old: len(s.children()) == 4
                   and not o & set(s.children()), 20, name)


@test(stock="pass", item="#39")
def idle_child_sleeps(t):
    """Nothing wakes its threads while there is nothing to do."""
    s = t.server(threads=4, processes=1)
    child = s.wait_children(1)[0]
    t.equal(s.get("/").status, 200, "served")

    def wakeups():
        return sum(procs.switches(child, tid) for tid in procs.tasks(child))

    def asleep():
        before = wakeups()
        time.sleep(2)
        return wakeups() - before <= 4

    wait_until(asleep, 20, "at most two wake-ups a second")
