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
"""How many connections a process takes, and what happens at the limit."""

import re
import time

import limits
from harness import client, test, wait_until


def processes(s):
    return s.board()["processes"]


def running(s):
    return sum(thread["status"] > 2 for process in processes(s)
               for thread in process["threads"])


def sleepers(s, count, ms):
    """Connections whose requests keep a thread busy each for ms."""
    conns = [s.conn(timeout=60) for _ in range(count)]
    for conn in conns:
        conn.request("/probe/sleep?ms=%d" % ms)
    wait_until(lambda: running(s) >= count, what="%d busy threads" % count)
    return conns


@test(stock="pass", item="14.6 7 2.5", core=True)
def thirty_when_all_are_idle(t):
    """10 threads, factor 2: 10 + 2 x 10."""
    s = t.server(threads=10, processes=1, keepalive_timeout=60)
    limits.check_held(t, s, 30, "connections")


@test(stock="pass", item="14.6 7 2.5", needs="probe", core=True)
def eighteen_with_six_busy(t):
    """10 threads, 4 of them idle: 10 + 2 x 4."""
    s = t.server(threads=10, processes=1, keepalive_timeout=60, probe=True)
    most = 0
    for _ in range(2):
        busy = sleepers(s, 6, 6000)
        conns, waiting = limits.fill(s, 15)
        most = max(most, 6 + len(conns))
        for conn in busy:
            t.equal(conn.read_response().status, 200, "slow request")
        for conn in conns + busy + [waiting] if waiting else conns + busy:
            conn.close()
        if most >= 18:
            break
        wait_until(lambda: running(s) == 0)
    t.equal(most, 18, "connections")


@test(stock="fails: ignores the fraction, takes 20", item="14.6 2.5")
def factor_one_and_a_half(t):
    s = t.server(threads=10, processes=1, keepalive_timeout=60,
                 mpm=dict(AsyncRequestWorkerFactor="1.5"))
    limits.check_held(t, s, 25, "10 + 1.5 x 10 connections")


@test(stock="pass", item="2.5")
def whole_factors(t):
    for factor, count in ((1, 6), (3, 12)):
        s = t.server(threads=3, processes=1, keepalive_timeout=60,
                     mpm=dict(AsyncRequestWorkerFactor=factor))
        limits.check_held(t, s, count, "3 + %d x 3 connections" % factor)


@test(stock="fails: raises it to 1", item="2.5")
def factor_below_one(t):
    s = t.server(threads=10, processes=1, keepalive_timeout=60,
                 mpm=dict(AsyncRequestWorkerFactor="0.5"))
    limits.check_held(t, s, 15, "10 + 0.5 x 10 connections")


MANUAL = dict(threads=10, processes=4, max_processes=4,
              keepalive_timeout=60, probe=True)


@test(stock="pass", item="14.6 7", needs="probe", timeout=120)
def manuals_example_all_idle(t):
    """4 processes of 10 threads, factor 2: (2 + 1) x 40."""
    s = t.server(mpm=dict(ServerLimit=4, MaxRequestWorkers=40,
                          AsyncRequestWorkerFactor=2), **MANUAL)
    s.wait_children(4)
    limits.check_held(t, s, 120, "connections")


@test(stock="pass", item="14.6 7", needs="probe", timeout=120)
def manuals_example_four_idle_each(t):
    """6 of 10 threads busy in each of 4 processes: 4 x (10 + 2 x 4)."""
    s = t.server(mpm=dict(ServerLimit=4, MaxRequestWorkers=40,
                          AsyncRequestWorkerFactor=2), **MANUAL)
    s.wait_children(4)
    chosen = {pid: [] for pid in s.children()}
    spare = []
    while min(len(conns) for conns in chosen.values()) < 6:
        conn = s.conn(timeout=60)
        pid = int(re.search(r"pid=(\d+)", conn.get("/probe/where").text)[1])
        (chosen[pid] if len(chosen[pid]) < 6 else spare).append(conn)
        t.check(len(spare) < 90, "connections do not spread")
    for conn in spare:
        time.sleep(0.01)
        conn.close()
    busy = sum(chosen.values(), [])
    for conn in busy:
        time.sleep(0.01)
        conn.request("/probe/sleep?ms=9000")
    wait_until(lambda: running(s) >= 24)
    conns, waiting = limits.fill(s, 51)
    limits.check_count(t, s, 24 + len(conns), 72, "connections")
    t.check(waiting, "the next one waits")
    for conn in busy:
        t.equal(conn.read_response().status, 200, "slow request")


@test(stock="pass", item="7 9.1 13", needs="probe", core=True)
def not_accepting_and_recovery(t):
    s = t.server(threads=2, processes=1, keepalive_timeout=60, probe=True)
    for round_ in range(3):
        mark = s.mark()
        conns, waiting = limits.fill(s, 8)
        t.check(waiting and len(conns) <= 6, "connections: %d" % len(conns))
        wait_until(lambda: processes(s)[0]["not_accepting"] == 1)
        s.wait_log("not accepting new conns", since=mark)
        for conn in conns[:3]:
            conn.close()
        t.check(limits.answers(waiting, 5), "the one that waited is served")
        wait_until(lambda: processes(s)[0]["not_accepting"] == 0)
        s.wait_log("AH00457:", since=mark)
        for conn in conns[3:] + [waiting]:
            conn.close()


@test(stock="pass", item="7 13 #41", needs="probe", core=True)
def all_threads_busy(t):
    """New connections wait, and are taken when a thread is free."""
    s = t.server(threads=2, processes=1, probe=True)
    busy = sleepers(s, 2, 1500)
    waiting = [s.conn() for _ in range(3)]
    for conn in waiting:
        conn.request("/")
    wait_until(lambda: processes(s)[0]["not_accepting"] == 1)
    t.check(all(conn.quiet(0.1) for conn in waiting), "nobody is served")
    for conn in busy + waiting:
        t.equal(conn.read_response().status, 200, "response")
    wait_until(lambda: processes(s)[0]["not_accepting"] == 0)


@test(stock="fails: closes it instead", item="7 12.6", needs="probe")
def request_on_an_idle_connection_while_all_are_busy(t):
    """It waits for a thread and is answered."""
    s = t.server(threads=2, processes=1, keepalive_timeout=60, probe=True,
                 mpm=dict(AsyncRequestWorkerFactor=5))
    idle = [s.conn() for _ in range(3)]
    for conn in idle:
        t.equal(conn.get("/").status, 200, "first request")
    busy = sleepers(s, 2, 1500)
    for conn in idle:
        conn.request("/")
    for conn in busy + idle:
        t.equal(conn.read_response().status, 200, "response")


@test(stock="pass", item="7 #55")
def idle_connections_stay_while_threads_are_idle(t):
    """At the limit of connections none is closed to make room."""
    s = t.server(threads=2, processes=1, keepalive_timeout=60)
    conns, waiting = limits.fill(s, 8)
    t.check(waiting, "the next one waits")
    for conn in conns:
        t.check(conn.quiet(0.05), "an idle connection was closed")
        t.equal(conn.get("/").status, 200, "a second request")


@test(stock="pass", item="7 6.6 #4", needs="probe", core=True)
def lingering_connections_do_not_count(t):
    s = t.server(threads=2, processes=1, keepalive_timeout=60, probe=True)
    conns = [s.conn() for _ in range(20)]
    for conn in conns:
        response = conn.get("/", headers={"Connection": "close"})
        t.equal(response.status, 200, "response")
    # It is not for a moment while the last one is dealt with.
    wait_until(lambda: processes(s)[0]["not_accepting"] == 0, 10, "accepting")
    limits.check_held(t, s, 6, "connections besides lingering ones")
    t.check(all(conn.wait_closed() == "eof" for conn in conns), "FIN seen")


@test(stock="pass", item="7", needs="probe")
def full_process_leaves_clients_to_another(t):
    s = t.server(threads=2, processes=2, keepalive_timeout=60, probe=True,
                 mpm=dict(AsyncRequestWorkerFactor=1))
    s.wait_children(2)
    conns, waiting = limits.fill(s, 9, path="/probe/where")
    t.check(waiting, "the ninth waits")
    limits.check_count(t, s, len(conns), 8, "2 x (2 + 1 x 2) connections")
    t.equal([p["not_accepting"] for p in processes(s)], [1, 1], "both full")


@test(stock="pass", item="7", needs="probe")
def burst_beyond_all_limits(t):
    """Many more clients than there is room for are all served in the end."""
    s = t.server(threads=3, processes=2, probe=True)

    def one(number):
        time.sleep(number % 7 * 0.01)
        return s.get("/probe/sleep?ms=20", timeout=30).status

    statuses = client.together(80, one, timeout=60)
    t.equal(set(statuses), {200}, "statuses")
    wait_until(lambda: not any(p["not_accepting"] for p in processes(s)))


@test(stock="pass", item="7", needs="probe")
def nobody_waits_beside_an_idle_thread(t):
    """All threads end at once what has blocked them, and two begin something
    that takes long: the other two do what is left, though no client sends
    anything meanwhile."""
    s = t.server(threads=4, probe=True, keepalive_timeout=60,
                 mpm=dict(AsyncRequestWorkerFactor=20))
    conns = [s.conn(timeout=30) for _ in range(14)]
    for conn in conns:
        conn.get("/")
    for conn in conns[:4]:
        conn.request("/probe/where?ms=600")
    wait_until(lambda: running(s) >= 4, what="all are busy")
    for conn in conns[4:6]:
        conn.request("/probe/where?ms=5000")
        time.sleep(0.004)
    for conn in conns[6:]:
        conn.request("/probe/where")
        time.sleep(0.004)  # each is an event of its own
    for conn in conns[:4] + conns[6:]:
        t.equal(conn.read_response().status, 200, "a short one")
    for conn in conns[4:6]:
        t.check(conn.quiet(0.05), "a long one is not done yet")
    for conn in conns[4:6]:
        t.equal(conn.read_response().status, 200, "a long one")


@test(stock="pass", item="14.14 2.5")
def factor_changed_by_restart(t):
    s = t.server(threads=4, processes=1, keepalive_timeout=60,
                 mpm=dict(AsyncRequestWorkerFactor=1))
    limits.check_held(t, s, 8, "4 + 1 x 4 connections")
    s.configure(mpm=dict(AsyncRequestWorkerFactor=2))
    s.restart()
    limits.check_held(t, s, 12, "4 + 2 x 4 connections")
