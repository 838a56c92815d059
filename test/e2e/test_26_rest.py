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
"""Children that rest: MaxSpareThreads lets them go in two steps, and takes
them back when load returns in between."""

import re

from harness import test, wait_until


def where(response):
    """The process that has answered this."""
    return int(re.search(r"pid=(\d+)", response.text).group(1))


def ask(s, count, ms):
    """Connections whose requests each take ms milliseconds."""
    conns = [s.conn(timeout=30) for _ in range(count)]
    for conn in conns:
        conn.request("/probe/where?ms=%d" % ms)
    return conns


def started(s):
    return len(s.probe_events("child_status", state="started"))


def accepting(s, pid):
    return [not p["not_accepting"] and not p["quiescing"]
            for p in s.board()["processes"] if p["pid"] == pid] == [True]


def wait_rest(s, count=1):
    """Wait until a child rests for the count-th time: its pid."""
    log = s.wait_log("\\): resting: ", count)
    pid = int(re.findall(r"pid (\d+):.*\): resting: ", log)[count - 1])
    wait_until(lambda: not accepting(s, pid), 5, "is seen not to accept")
    return pid


class Rest:
    """Four children of two threads of which one rests, by its pid; one has
    one kept-alive connection, the others two."""

    def __init__(self, t, **settings):
        self.s = s = t.server(
            threads=2, processes=4, probe=True, keepalive_timeout=60,
            mpm=dict(MinSpareThreads=3, MaxSpareThreads=6), **settings)
        self.conns = {}
        # While these take their time no thread is one too many.
        for conn in ask(s, 7, 1500):
            response = conn.read_response()
            self.conns.setdefault(where(response), []).append(conn)
        self.least = [pid for pid, conns in self.conns.items()
                      if len(conns) == 1]
        self.children = set(self.conns)
        self.starts = started(s)
        self.pid = wait_rest(s)
        t.equal(set(s.children()), self.children, "children")
        t.equal(s.probe_events("child_stopping", pid=self.pid), [],
                "modules are told nothing")
        self.held = self.conns[self.pid]

    def is_taken_back(self, t):
        """Within the time it may rest, and nobody is started instead."""
        wait_until(lambda: accepting(self.s, self.pid), 8, "accepts again")
        t.equal(started(self.s), self.starts, "children started")
        t.equal(self.s.probe_events("child_stopping", pid=self.pid), [],
                "modules are told nothing")


@test(stock="fails: starts another child", item="issue 2.4", needs="probe",
      core=True)
def taken_back_when_load_returns(t):
    """The same process goes on, and its idle connection with it."""
    rest = Rest(t)
    s = rest.s
    busy = ask(s, 6, 4000)
    rest.is_taken_back(t)
    t.equal(set(s.children()), rest.children, "children")
    last = s.conn()
    t.equal(where(last.get("/probe/where")), rest.pid, "who has a thread")
    response = rest.held[0].get("/probe/where")
    t.equal(where(response), rest.pid, "the idle connection's")
    t.check(response.keepalive, "kept alive")
    for conn in busy:
        response = conn.read_response()
        t.equal(response.status, 200, "load")
        t.check(where(response) != rest.pid, "taken while it rested")
    for conn in (conn for conns in rest.conns.values() for conn in conns):
        t.equal(conn.get("/").status, 200, "idle connection")


@test(stock="fails: starts another child", item="issue 2.4", needs="probe")
def taken_back_again_and_again(t):
    """Load that comes and goes is served by the same processes."""
    rest = Rest(t)
    s = rest.s
    for count in range(2, 5):
        busy = ask(s, 7, 2500)
        rest.is_taken_back(t)
        for conn in busy:
            t.equal(conn.read_response().status, 200, "load")
            conn.close()
        rest.pid = wait_rest(s, count)
    t.equal(set(s.children()), rest.children, "children")
    t.equal(started(s), rest.starts, "children started")


@test(stock="fails: whoever reads the pod first goes", item="issue 2.4",
      needs="probe")
def least_work_rests(t):
    """The child with the fewest connections."""
    rest = Rest(t)
    t.equal([rest.pid], rest.least, "who rests")


@test(stock="fails: closes idle connections at once", item="issue 2.4",
      needs="probe")
def ends_with_its_last_connection(t):
    """Its answers say "close"; then it drains and leaves."""
    rest = Rest(t)
    s = rest.s
    for conn in rest.held:
        response = conn.get("/probe/where")
        t.equal(where(response), rest.pid, "answered by")
        t.check(not response.keepalive, "says close")
        t.equal(conn.wait_closed(), "eof", "closed")
        conn.close()
    s.wait_child_gone(rest.pid, 10)
    stopped = s.wait_event("child_stopping", pid=rest.pid)
    t.equal([e["graceful"] for e in stopped], [1], "graceful")
    t.equal(set(s.children()), rest.children - {rest.pid}, "the others stay")
    t.equal(started(s), rest.starts, "children started")
    for pid in rest.children - {rest.pid}:
        for conn in rest.conns[pid]:
            t.check(conn.get("/").keepalive, "the others' are kept alive")


@test(stock="fails: closes idle connections at once", item="issue 2.4",
      needs="probe")
def drains_when_it_has_rested_for_long(t):
    """A connection that stays does not keep it for ever from draining."""
    rest = Rest(t)
    s = rest.s
    s.wait_event("child_stopping", timeout=20, pid=rest.pid, graceful=1)
    response = rest.held[0].get("/probe/where")
    t.equal(where(response), rest.pid, "answered by")
    t.check(not response.keepalive, "says close")
    for conn in rest.held[1:]:
        conn.close()
    s.wait_child_gone(rest.pid, 10)
    t.equal(started(s), rest.starts, "children started")


@test(stock="fails: starts another child", item="issue 2.4 2.6",
      needs="probe")
def taken_back_for_one_that_is_killed(t):
    rest = Rest(t)
    s = rest.s
    s.expect("exit signal Killed", "the test kills one")
    s.signal("KILL", min(rest.children - {rest.pid}))
    rest.is_taken_back(t)
    t.equal(len(s.children()), 3, "children")


@test(stock="fails: nobody rests", item="issue 2.4 2.1", needs="probe")
def reload_while_one_rests(t):
    rest = Rest(t)
    s = rest.s
    s.graceful()
    wait_until(lambda: len(set(s.children()) - rest.children) == 3, 10,
               "as many new ones as served")
    s.wait_event("child_stopping", 4, graceful=1)
    for pid, conns in rest.conns.items():
        for conn in conns:
            response = conn.get("/probe/where")
            t.equal(where(response), pid, "answered by")
            t.check(not response.keepalive, "says close")
    for pid in rest.children:
        s.wait_child_gone(pid, 10)
    t.equal(s.get("/").status, 200, "served")


@test(stock="fails: nobody rests", item="issue 2.4 2.7", needs="probe")
def stops_while_one_rests(t):
    for how in ("restart", "stop", "graceful_stop"):
        rest = Rest(t)
        if how == "graceful_stop":
            for conns in rest.conns.values():
                for conn in conns:
                    conn.close()
        if how == "restart":
            rest.s.restart()
            for pid in rest.children:
                rest.s.wait_child_gone(pid, 10)
            t.equal(rest.s.get("/").status, 200, "served")
        else:
            t.equal(getattr(rest.s, how)(), 0, "exit code of " + how)
