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
"""Children that listen on the same sockets: who takes the next connection."""

import re

from harness import test, wait_until


def connections(s):
    return sorted(p["connections"] for p in s.board()["processes"]
                  if p["pid"])


def all_accept(s, count):
    wait_until(lambda: [p["not_accepting"] for p in s.board()["processes"]
                        if p["pid"]] == [0] * count
               and s.status()["IdleWorkers"] >= s.settings["threads"] * count
               - 1, 10, "%d children accept" % count)


def in_the_end(t, spread):
    """True once in three times, as a child that gets no processor for a while
    takes nothing meanwhile."""
    found = []
    for _ in range(3):
        enough, per_child = spread(t)
        if enough:
            return
        found.append(per_child)
    t.check(False, "connections of each child: %s" % found)


@test(stock="fails: whoever is quickest takes it", needs="probe")
def connections_are_spread(t):
    """Forty idle connections, opened one after the other, are ten for each
    of four children, give or take what is not worth a thought."""
    in_the_end(t, one_by_one)


def one_by_one(t):
    s = t.server(threads=10, processes=4, probe=True, keepalive_timeout=60)
    all_accept(s, 4)
    conns = [s.conn(timeout=30) for _ in range(40)]
    for conn in conns:
        t.equal(conn.get("/").status, 200, "status")
    wait_until(lambda: sum(connections(s)) >= 40, 5, "all are counted")
    per_child = connections(s)
    s.stop()
    return per_child[-1] - per_child[0] <= 5, per_child


@test(stock="fails: whoever is quickest takes it", needs="probe")
def burst_is_spread(t):
    """The same when they come all at once."""
    in_the_end(t, all_at_once)


def all_at_once(t):
    s = t.server(threads=20, processes=4, probe=True, keepalive_timeout=60)
    all_accept(s, 4)
    conns = [s.conn(timeout=30) for _ in range(60)]
    for conn in conns:
        conn.request("/")
    for conn in conns:
        t.equal(conn.read_response().status, 200, "status")
    wait_until(lambda: sum(connections(s)) >= 60, 5, "all are counted")
    per_child = connections(s)
    s.stop()
    return per_child[0] >= 5, per_child


@test(stock="pass", needs="probe")
def full_child_passes_it_on(t):
    """Three children of one thread each, two of which are busy: whoever
    comes is served by the third at once, every time."""
    s = t.server(threads=1, processes=3, probe=True, conf="KeepAlive Off\n",
                 mpm=dict(AsyncRequestWorkerFactor=1))
    busy = [s.conn(timeout=30) for _ in range(2)]
    for conn in busy:
        conn.request("/probe/where?ms=4000")
    for _ in range(50):
        t.equal(s.conn(timeout=3).get("/").status, 200, "status")
    for conn in busy:
        t.equal(conn.read_response().status, 200, "status of the slow ones")


@test(stock="fails: it looks once a second", needs="probe")
def children_come_when_they_are_needed(t):
    """One child of two threads is busy, and seven more clients come: the
    children for them are there before the parent's turn of each second has
    come three times."""
    s = t.server(threads=2, processes=1, max_processes=5, probe=True,
                 mpm=dict(MinSpareThreads=1, MaxSpareThreads=20))
    conns = [s.conn(timeout=30) for _ in range(9)]
    for conn in conns:
        conn.request("/probe/where?ms=2500")
    for conn in conns:
        t.equal(conn.read_response().status, 200, "status")
    t.equal(s.count_log("All workers are busy") > 0, True, "it was full")
    slots = {int(re.search(r"pid=(\d+)", r.text).group(1)) for r in
             [c.get("/probe/where?ms=0") for c in conns]}
    t.check(len(slots) >= 4, "children that serve: %s" % slots)
