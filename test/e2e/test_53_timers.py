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
"""Timed callbacks: in order, never early, from anywhere."""

import time

from client import together
from common import serve
from harness import test, wait_until

MS = 1000


def register(t, s, delays, batch="request", again=0):
    """Register timers of these milliseconds in the child that answers."""
    answer = s.get("/probe/timers?t=%s&batch=%s&again=%d" % (
        ",".join(str(delay) for delay in delays), batch, again))
    t.equal(answer.text, "added %d\n" % len(delays), "registered")


def fired(s, count, timeout=15, batch="request"):
    """Wait for so many callbacks: their events, in the order they ran."""
    return s.wait_event("timer", count, timeout, batch=batch)


def never_early(t, events):
    for event in events:
        t.check(event["late"] >= -MS, "early: %s" % event)


@test(stock="pass", item="8 #13", needs="probe", core=True)
def in_order_of_their_time(t):
    # One thread, so that the order they run in is the order in the log.
    s = serve(t, threads=1, probe=True)
    delays = [600, 100, 400, 0, 200, 500, 300, 50]
    register(t, s, delays)
    while len(s.probe_events("timer")) < len(delays):
        s.get("/")  # Stock only looks at the time when something happens.
        time.sleep(0.01)
    events = fired(s, len(delays))
    t.equal([event["ms"] for event in events], sorted(delays), "order")
    never_early(t, events)


@test(stock="fails: sleeps past the first of them if nothing else happens",
      item="8 #13", needs="probe", core=True)
def on_an_idle_server(t):
    s = serve(t, threads=2, probe=True)
    for delays in ([300], [100, 700], [0], [400, 200]):
        mark = s.probe_mark()
        register(t, s, delays)
        events = s.wait_event("timer", len(delays), 4, since=mark)
        never_early(t, events)
        t.check(max(event["late"] for event in events) < 2000 * MS,
                "late: %s" % events)


@test(stock="pass", item="8 #25", needs="probe", core=True)
def equal_times_all_fire_in_order_of_registration(t):
    s = serve(t, threads=1, probe=True)
    register(t, s, [200] * 30)
    register(t, s, [0] * 30, "now")
    while len(s.probe_events("timer")) < 60:
        s.get("/")
        time.sleep(0.01)
    for batch in ("request", "now"):
        events = s.probe_events("timer", batch=batch)
        t.equal([event["n"] for event in events], list(range(30)), batch)
        never_early(t, events)


@test(stock="pass", item="8", needs="probe")
def due_at_once(t):
    s = serve(t, threads=2, probe=True)
    register(t, s, [0, -1, -5000, 0])
    never_early(t, fired(s, 4))


@test(stock="fails: its children crash when asked so early", item="8",
      needs="probe", core=True)
def from_child_init(t):
    s = serve(t, threads=2, processes=2,
              probe="ProbeChildTimers 0 -5 100 100 300")
    added = s.wait_event("timer_added", 10)
    t.equal({event["rv"] for event in added}, {0}, "registered")
    events = fired(s, 10, batch="init")
    never_early(t, events)
    t.equal(len({event["pid"] for event in events}), 2, "in each child")
    for child in s.children():
        mine = [event["ms"] for event in events if event["pid"] == child]
        t.equal(sorted(mine), [-5, 0, 100, 100, 300], "child %d" % child)


@test(stock="fails: sleeps past the first of them if nothing else happens",
      item="8", needs="probe", core=True)
def from_callbacks(t):
    s = serve(t, threads=2, probe=True)
    register(t, s, [0, 10, 30], again=20)
    events = fired(s, 63)
    never_early(t, events)
    for number in range(3):
        t.equal(sum(event["n"] == number for event in events), 21, "times")


@test(stock="pass", item="8", needs="probe")
def thousands_at_once(t):
    s = serve(t, threads=8, probe=True)
    delays = [(number * 7919) % 400 for number in range(300)]

    def client(number):
        register(t, s, delays, "b%d" % number)
    together(10, client)
    while len(s.probe_events("timer")) < 3000:
        s.get("/")  # for stock, see above
        time.sleep(0.02)
    for number in range(10):
        events = fired(s, 300, batch="b%d" % number)
        never_early(t, events)
        t.equal(sorted(event["n"] for event in events), list(range(300)),
                "each once")
    t.equal(s.get("/").status, 200, "afterwards")


@test(stock="fails: sleeps past the first of them if nothing else happens",
      item="8", needs="probe", core=True)
def on_request_threads(t):
    # Never on the thread that polls: a callback may block.
    s = serve(t, threads=3, probe=True)
    tids = {word for _ in range(30)
            for word in s.get("/probe/where").text.split()
            if word.startswith("tid=")}
    register(t, s, [10 * number for number in range(20)])
    ran = {"tid=%d" % event["tid"] for event in fired(s, 20)}
    # Every thread that ran one is one that answers requests, or may.
    together(3, lambda number: tids.update(
        s.get("/probe/where?ms=300").text.split()))
    t.check(ran <= tids, "on %s, requests on %s" % (ran, tids))
    t.equal({event["thread"] for event in fired(s, 20)}, {"other"}, "thread")


@test(stock="pass", item="8 4.3", needs="probe", core=True)
def pending_at_a_stop(t):
    s = serve(t, threads=2, probe=True)
    register(t, s, [60000] * 20 + [100])
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 8, "a child had to be killed")


@test(stock="pass", item="8 5.3", needs="probe")
def pending_at_a_graceful_restart(t):
    s = serve(t, threads=2, probe=True)
    old = s.children()
    register(t, s, [60000] * 20)
    s.graceful()
    for pid in old:
        s.wait_child_gone(pid, 10)
    t.equal(s.get("/").status, 200, "new generation")


@test(stock="pass", item="8 5.3", needs="probe")
def go_on_while_a_connection_holds_the_child(t):
    s = serve(t, threads=2, probe=True)
    pid = s.children()[0]
    conn = s.conn()
    conn.request("/probe/stream?kb=64&ms=150")
    conn.read_head()
    register(t, s, [400], again=1)
    s.graceful()
    wait_until(lambda: s.get("/").status == 200)
    events = fired(s, 1)
    t.equal(events[0]["pid"], pid, "child")
    t.equal(len(conn.read_exactly(65536)), 65536, "rest of the answer")


@test(stock="fails: sleeps past the first of them if nothing else happens",
      item="8", needs="probe")
def beside_load(t):
    s = serve(t, threads=4, probe=True)
    register(t, s, [5] * 5, again=100)

    def client(number):
        with s.conn() as conn:
            return [conn.get("/").status for _ in range(200)]
    t.equal(together(3, client), [[200] * 200] * 3, "requests")
    never_early(t, fired(s, 505))
