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
"""A child that writes nonsense over the scoreboard hurts nobody else."""

from harness import client, procs, test, wait_until


def scribble(t, s, query):
    with s.conn() as conn:
        conn.request("/probe/scribble?" + query)
        conn.wait_closed(1)


def serves(s):
    try:
        return s.get("/", timeout=20).status == 200
    except (client.Closed, OSError):
        return False


def survives(t, s, steps=("KILL", "USR1", "HUP")):
    """The parent goes on, restarts, replaces children and stops."""
    for step in steps:
        if step == "KILL":
            for pid in s.children()[:1]:
                s.signal("KILL", pid)
        else:
            s.reload(step, 30)
        wait_until(lambda: s.gone() or serves(s), 20,
                   "served after " + step)
        t.check(not s.gone(), "the parent is gone after " + step)


@test(stock="pass", item="4.6 #1 #45", needs="probe", timeout=120)
def scribbled_cells(t):
    """All but pids and generations: counters, flags, states, the bucket.
    A parent that lost count of its children may have to kill them."""
    for fill in (255, 127, 1):
        s = t.server(threads=2, processes=2, max_processes=3, probe=True)
        s.expect("AH0004[5-7]:")
        s.wait_children(2)
        scribble(t, s, "fill=%d" % fill)
        t.check(not s.gone(), "the parent lives")
        wait_until(lambda: s.conn().quiet(1.2) or True)
        t.check(not s.gone(), "the parent lives on")
        survives(t, s)
        t.equal(s.stop(30), 0, "exit code")


@test(stock="pass", item="4.6 #1 #45", needs="probe", timeout=120)
def scribbled_pids(t):
    """Pids and generations, too: nobody else is signalled, the parent does
    not crash, and TERM ends it."""
    for fill in (255, 127, 1):
        s = t.server(threads=2, processes=2, max_processes=3, probe=True)
        s.expect("AH0004[5-7]:", "AH00049:", "AH00546:", "AH00050:")
        s.wait_children(2)
        scribble(t, s, "fill=%d&pids=1" % fill)
        wait_until(lambda: s.conn().quiet(1.2) or True)
        t.check(not s.gone(), "the parent lives")
        s.signal("USR1")
        wait_until(lambda: s.conn().quiet(1.2) or True)
        t.check(not s.gone(), "the parent lives after USR1")
        s.signal("TERM")
        s.wait_gone(25)
        t.check(s.exit_code is not None and s.exit_code >= 0,
                "exit code %s" % s.exit_code)


@test(stock="pass", item="4.6 #1", needs="probe")
def scribbled_while_stopping(t):
    """At the moment of a graceful stop."""
    s = t.server(threads=2, processes=2, probe=True)
    s.expect("AH0004[5-7]:", "AH00049:", "AH00546:")
    s.wait_children(2)
    conn = s.conn()
    conn.request("/probe/scribble?fill=255")
    s.signal("WINCH")
    conn.wait_closed(5)
    wait_until(lambda: s.gone() or procs.alive(s.pid))
    s.wait_gone(20)
    t.equal(s.exit_code, 0, "exit code")
