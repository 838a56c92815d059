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
"""child_status and end_generation over every kind of restart and stop."""

import re

from harness import test, wait_until


# core tells at this level when it ends a generation; a module hears of it
# only if that happens after the configuration has been read again.
LEVEL = "info mpm_event:debug core:trace4"

EVENT = re.compile(r"mpm child (\d+) \(gen (-?\d+)/slot (-?\d+)\) (\w+)"
                   r"|end of generation (-?\d+)")


def history(t, s):
    """Check each generation's book-keeping: {generation: {child: slot}}."""
    events = EVENT.findall(s.log())
    children = {}
    for pid, generation, slot, what, _ in events:
        if pid:
            pids = children.setdefault(int(generation), {})
            pids.setdefault(int(pid), []).append((int(slot), what))
    for generation, pids in children.items():
        for pid, found in pids.items():
            t.equal([what for _, what in found], ["started", "exited"],
                    "child %d of generation %d" % (pid, generation))
            t.check(found[0][0] == found[1][0] >= 0, "its slots: %s" % found)
        check_end(t, events, generation)
    t.equal(sorted(children), list(range(len(children))), "generations")
    t.equal(s.log_lines("AH00546:"), [], "unknown generations")
    t.check(len(s.probe_events("end_generation")) <= len(children), "ends")
    return children


def check_end(t, events, generation):
    """It ends once, and after its last child."""
    text = str(generation)
    ends = [i for i, event in enumerate(events) if event[4] == text]
    t.equal(len(ends), 1, "ends of generation " + text)
    late = [event for event in events[ends[0] + 1:] if event[1] == text]
    # core's own line about the last child comes after its end.
    t.check(len(late) <= 1 and all(event[3] == "exited" for event in late),
            "after the end of generation %s: %s" % (text, late))


@test(stock="pass", item="14.4 4.6 4.5", needs="probe", core=True)
def one_start_one_exit_one_end(t):
    s = t.server(threads=2, processes=3, probe=True, loglevel=LEVEL)
    for name, generation in (("graceful", 1), ("restart", 2),
                             ("graceful", 3)):
        old = set(wait_until(s.children))
        getattr(s, name)()
        wait_until(lambda: s.children() and not old & set(s.children()), 15,
                   "only new children after " + name)
        s.wait_log("end of generation %d" % (generation - 1))
    t.equal(s.stop(), 0, "exit code")
    found = history(t, s)
    t.equal(sorted(found), [0, 1, 2, 3], "generations")
    t.equal(len(found[0]), 3, "children of the first start")


@test(stock="pass", item="14.4 4.4", needs="probe")
def graceful_stop_ends_the_generation(t):
    s = t.server(threads=2, processes=2, probe=True, loglevel=LEVEL)
    s.wait_children(2)
    t.equal(s.graceful_stop(), 0, "exit code")
    t.equal(sorted(history(t, s)), [0], "generations")


@test(stock="pass", item="14.4 4.6", needs="probe")
def killed_children_are_accounted_for(t):
    s = t.server(threads=2, processes=2, probe=True, loglevel=LEVEL)
    for _ in range(2):
        victim = s.wait_children(2)[0]
        s.signal("KILL", victim)
        s.wait_event("child_status", pid=victim, state="EXITED")
        s.wait_children(2)
    s.graceful()
    t.equal(s.stop(), 0, "exit code")
    found = history(t, s)
    t.equal(len(found[0]), 4, "children of the first generation")


@test(stock="pass", item="14.4 4.5 #64", needs="probe")
def generation_ends_when_its_last_child_does(t):
    """A child with a long request keeps its generation alive over two more
    restarts, and no longer."""
    s = t.server(threads=2, processes=1, max_processes=4, probe=True,
                 loglevel=LEVEL)
    conn = s.conn()
    conn.request("/probe/where?ms=4000")
    wait_until(lambda: s.board()["processes"][0]["connections"] >= 1
               or busy_threads(s) >= 1, what="the request is running")
    s.graceful()
    s.wait_event("child_status", gen=1, state="STARTED")
    s.graceful()
    s.wait_log("end of generation 1", timeout=15)
    t.equal(s.log_lines("end of generation 0"), [], "end of the first")
    response = conn.read_response()
    t.equal(response.status, 200, "the long request")
    s.wait_event("end_generation", gen=0)
    t.equal(len(s.probe_events("end_generation", gen=0)), 1,
            "what modules are told")
    t.equal(s.stop(), 0, "exit code")
    history(t, s)


def busy_threads(s):
    return sum(thread["status"] > 2 for process in s.board()["processes"]
               for thread in process["threads"])


@test(stock="pass", item="#57 #64", needs="probe")
def no_child_survives_many_restarts(t):
    s = t.server(threads=2, processes=2, probe=True, loglevel=LEVEL)
    for number in range(8):
        s.reload("USR1" if number % 2 else "HUP", 20)
    wait_until(lambda: len(s.children()) == 2
               and {p["generation"] for p in s.board()["processes"]} == {8},
               15, "two children of generation 8 and no others")
    t.equal(s.stop(), 0, "exit code")
    t.equal(sorted(history(t, s)), list(range(9)), "generations")
