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
"""Restarts: gentle, hard, many, and with another configuration."""

import os
import re
import time

from harness import client, procs, test, wait_until

START = ["AH00489", "AH00490", "AH00094"]


def running(s):
    """Threads at work, in the whole server."""
    return sum(thread["status"] > 2 for process in s.board()["processes"]
               for thread in process["threads"])


def generations(s):
    return sorted({p["generation"] for p in s.board()["processes"]})


@test(stock="pass", item="4.1 4.5 13", core=True)
def messages(t):
    s = t.server(threads=2)
    t.equal(s.log_ids("AH00[04]\\d\\d")[:3], START, "at start")
    for name, ids, words in (
            ("USR1", ["AH00493"] + START, "SIGUSR1 received.  Doing graceful"
             " restart"),
            ("HUP", ["AH00494"] + START, "SIGHUP received.  Attempting to"
             " restart")):
        mark = s.mark()
        s.reload(name, 20)
        wait_until(lambda m=mark: "AH00094" in s.log_since(m))
        t.equal(s.log_ids("AH00(?:094|4[89]\\d)", mark), ids, name)
        t.check(words in s.log_since(mark), words)
    for line in s.log_lines("AH00489:|AH00493:|AH00494:"):
        t.check("[mpm_event:notice]" in line, line)
    for line in s.log_lines("AH00490:"):
        t.check("[mpm_event:info]" in line, line)
    t.check("configured -- resuming normal operations" in s.log(), "words")


@test(stock="pass", item="4.5 5.3", needs="probe headers", core=True)
def graceful_finishes_what_runs(t):
    """Requests of the old generation are finished by the old configuration,
    new ones served by the new."""
    s = t.server(threads=4, processes=1, max_processes=3, probe=True,
                 modules="headers", conf="Header set X-Config old")
    pid, old = s.pid, s.wait_children(1)[0]
    slow, partial = s.conn(), s.conn()
    slow.request("/probe/where?ms=2000")
    partial.send("GET / HTTP/1.1\r\nHost: loc")
    wait_until(lambda: running(s) >= 1)
    wait_until(lambda: running(s) >= 2
               or s.status().get("MpmHeadsWaiting", 0) >= 1)
    s.configure(conf="Header set X-Config new")
    s.graceful()
    wait_until(lambda: s.get("/").headers["x-config"] == "new")
    partial.send("alhost\r\n\r\n")
    response = partial.read_response()
    t.equal((response.status, response.headers["x-config"],
             response.keepalive), (200, "old", False), "half-sent request")
    response = slow.read_response()
    t.equal((response.status, response.headers["x-config"],
             response.keepalive), (200, "old", False), "running request")
    t.check("pid=%d " % old in response.text, "the old child answers")
    for conn in (slow, partial):
        t.equal(conn.wait_closed(), "eof", "its connection")
    s.wait_child_gone(old)
    t.equal(s.pid, pid, "the parent")
    t.equal(s.read_pid(), pid, "pid file")
    wait_until(lambda: generations(s) == [1])


@test(stock="pass", item="4.5 9.3 #65", needs="probe")
def old_generation_on_the_status_page(t):
    s = t.server(threads=2, processes=1, max_processes=3, probe=True)
    slow = s.conn()
    slow.request("/probe/sleep?ms=5000")
    wait_until(lambda: running(s) >= 1)
    s.graceful()
    wait_until(lambda: s.status()["Stopping"] == 1)

    def numbers():
        status = s.status()
        return (status["Processes"], status["BusyWorkers"],
                status["IdleWorkers"], "G" in status["Scoreboard"])

    wait_until(lambda: numbers() == (2, 1, 1, True), 2,
               lambda: "two processes, this request, the other thread: %s"
               % (numbers(),))
    text = s.get("/server-status").text
    t.check("yes (old gen)" in text, "old generation on the page")
    t.equal(slow.read_response().status, 200, "its request")
    wait_until(lambda: s.status()["Stopping"] == 0)
    t.equal(s.status()["Processes"], 1, "processes at last")


@test(stock="pass", item="4.5 4.3")
def hup_ends_the_old_generation(t):
    """None of its children is left when the new one starts."""
    s = t.server(threads=2, processes=2)
    old = s.wait_children(2)
    idle = s.conn()
    idle.get("/")
    s.restart()
    for pid in old:
        t.check(not procs.alive(pid), "child %d" % pid)
    t.check(idle.wait_closed(), "idle connection")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="4.5 5.3")
def idle_connections_at_a_graceful_restart(t):
    s = t.server(threads=2, processes=1, max_processes=2)
    conns = [s.conn() for _ in range(5)]
    for conn in conns:
        conn.get("/")
    old = s.wait_children(1)[0]
    s.graceful()
    for conn in conns:
        t.equal(conn.wait_closed(), "eof", "idle connection")
    s.wait_child_gone(old)


@test(stock="pass", item="4.5", needs="probe")
def two_reloads_at_once(t):
    s = t.server(threads=2, processes=2, probe=True)
    for _ in range(5):
        s.signal("USR1")
    wait_until(lambda: s.count_log("AH00489:") >= 2)
    for _ in range(3):
        s.signal("USR1")
        s.signal("HUP")
    time.sleep(0.5)
    s.graceful()
    t.equal(s.get("/").status, 200, "served")
    wait_until(lambda: len(generations(s)) == 1, 15)
    t.equal(generations(s), [s.status()["ParentServerMPMGeneration"]],
            "generation")
    t.equal(s.stop(), 0, "exit code")


@test(stock="pass", item="#56 4.2", needs="probe", core=True)
def storm_of_signals_at_start(t):
    """Signals that arrive while children are starting."""
    s = t.server(threads=4, processes=3, probe="ProbeChildSleep 100")
    for number in range(12):
        s.signal(("USR1", "HUP")[number % 3 == 2])
        time.sleep(0.03)
    time.sleep(0.2)
    s.graceful()
    t.equal(s.get("/").status, 200, "served")
    wait_until(lambda: len(generations(s)) == 1, 15, "one generation")
    t.equal(s.stop(), 0, "exit code")
    t.equal(s.log_lines("AH0004[5-7]:"), [], "stuck children")


@test(stock="pass", item="#37 4.2")
def signals_while_the_module_is_reloaded(t):
    """A signal between unloading and loading of modules hurts nobody."""
    s = t.server(threads=1)
    for round_ in range(20):
        s.signal("USR1")
        for _ in range(5):
            time.sleep(0.0005)
            s.signal(("USR1", "HUP")[round_ % 2])
    time.sleep(0.3)
    s.graceful()
    t.equal(s.get("/").status, 200, "served")
    t.equal(s.stop(), 0, "exit code")


def rss(s):
    return procs.rss_kb(s.pid)


@test(stock="pass", item="4.5 #3 #24 #33 #50 #62", needs="probe",
      timeout=300, core=True)
def many_restarts_under_load(t):
    """No connection is refused, no request on a new one lost; every
    generation ends; the parent does not grow."""
    gentle, hard = (100, 20) if t.long else (12, 3)
    s = t.server(threads=8, processes=2, max_processes=4, probe=True,
                 loglevel="info")
    load = client.Load(s.port, clients=6)
    for _ in range(3):
        s.graceful()
    before = rss(s)
    for _ in range(gentle):
        answered = load.answered
        s.graceful()
        wait_until(lambda a=answered: load.answered > a + 20, 15)
    counts = load.stop()
    for what in ("refused", "lost", "wrong"):
        t.equal(counts[what], 0, "%s: %s" % (what, load.notes))
    load = client.Load(s.port, clients=6)
    for _ in range(hard):
        answered = load.answered
        s.restart()
        wait_until(lambda a=answered: load.answered > a + 20, 15)
    counts = load.stop()
    t.equal(counts["refused"], 0, "refused: %s" % load.notes)
    number = 3 + gentle + hard
    wait_until(lambda: generations(s) == [number], 15, "one generation")
    t.equal(s.status()["ParentServerMPMGeneration"], number, "generation")
    room = 8000 if t.env.sanitizer else 1500  # freed memory is kept apart
    t.check(rss(s) - before < room, "parent grew from %d to %d KiB"
            % (before, rss(s)))
    t.equal(s.log_lines("AH0004[5-7]:|AH10392:|AH03490:"), [], "trouble")
    t.equal(s.stop(), 0, "exit code")


@test(stock="pass", item="4.5 #27", needs="probe")
def thread_counts_changed_by_reloads(t):
    s = t.server(threads=4, processes=1, max_processes=2, probe=True,
                 mpm=dict(ThreadLimit=8))
    for number, threads in enumerate((8, 2, 6, 1), 1):
        s.configure(threads=threads)
        s.reload(("USR1", "HUP")[number % 2], 20)
        wait_until(lambda n=number: generations(s) == [n], 15)
        wait_until(lambda n=threads: [
            sum(thread["status"] == 2 for thread in process["threads"])
            for process in s.board()["processes"]][0] == n,
            what="%d ready threads" % threads)
        dead = [thread["status"] for process in s.board()["processes"]
                for thread in process["threads"][threads:]]
        t.equal(set(dead) - {0}, set(), "states of threads that are no more")
        t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="2.3 4.5")
def limits_raised_by_reload_are_refused(t):
    s = t.server(threads=2, processes=2, mpm=dict(ServerLimit=2))
    s.configure(threads=5, mpm=dict(ServerLimit=9, ThreadLimit=9))
    mark = s.mark()
    s.graceful()
    t.equal(s.log_ids("AH0050\\d", mark), ["AH00501", "AH00506", "AH00508"],
            "messages")
    for _ in range(3):
        t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="1.3 4.5")
def wrong_configuration_at_a_restart(t):
    """The parent ends with code 1, and no child stays behind."""
    for name in ("USR1", "HUP"):
        s = t.server(threads=2, processes=2)
        pids = s.wait_children(2)
        s.configure(conf="ThereIsNoSuchDirective")
        s.signal(name)
        t.equal(s.wait_gone(), 1, "exit code after SIG" + name)
        for pid in pids:
            s.wait_child_gone(pid)


@test(stock="pass", item="#33 #34 4.8", needs="probe")
def long_requests_do_not_block_the_next_generation(t):
    """Children that finish keep their slots; ServerLimit has others."""
    s = t.server(threads=1, processes=2, max_processes=2, probe=True,
                 mpm=dict(ServerLimit=4))
    conns = [s.conn() for _ in range(2)]
    for conn in conns:
        conn.request("/probe/where?ms=4000")
    wait_until(lambda: running(s) == 2)
    old = {p["slot"]: p["pid"] for p in s.board()["processes"]}
    s.graceful()
    t.equal(s.get("/").status, 200, "served by the next generation")
    board = {p["slot"]: p["pid"] for p in s.board()["processes"]}
    t.check(old.items() <= board.items(), "slots %s, then %s" % (old, board))
    t.equal(generations(s), [0, 1], "generations")
    for conn in conns:
        t.equal(conn.read_response().status, 200, "long request")
    wait_until(lambda: generations(s) == [1])


@test(stock="pass", item="#33 4.8 13", needs="probe")
def every_slot_taken_by_finishing_children(t):
    """Either there is room for the next generation nevertheless, or AH03490
    asks for it, and the next generation starts when the first slot is
    free."""
    s = t.server(threads=1, processes=2, max_processes=2, probe=True,
                 mpm=dict(ServerLimit=2))
    conns = [s.conn() for _ in range(2)]
    for conn in conns:
        conn.request("/probe/sleep?ms=4000")
    wait_until(lambda: running(s) == 2)
    s.graceful()
    wait_until(lambda: 1 in generations(s) or s.log_lines("AH03490:"), 3.5)
    t.equal(s.get("/").status, 200, "served by the next")
    for conn in conns:
        t.equal(conn.read_response().status, 200, "long request")
    wait_until(lambda: generations(s) == [1])


@test(stock="pass", item="4.5 1.5")
def pid_file_over_restarts(t):
    s = t.server(threads=1)
    os.unlink(s.pid_file)
    s.graceful()
    t.equal(s.read_pid(), s.pid, "written again")
    s.configure(conf='PidFile "{root}/other.pid"')
    s.restart()
    with open(os.path.join(s.root, "other.pid"), encoding="ascii") as file:
        t.equal(int(file.read()), s.pid, "the other pid file")
    t.equal(s.stop(), 0, "exit code")
    t.check(not os.path.exists(os.path.join(s.root, "other.pid")), "removed")


@test(stock="pass", item="4.5 12.21", needs="probe")
def load_while_buckets_restart(t):
    """With listener buckets a reload may reset connections (that is core's
    doing), but never stops service."""
    s = t.server(threads=4, processes=2, max_processes=6, probe=True,
                 mpm=dict(ServerLimit=16),
                 conf="ListenCoresBucketsRatio 1")
    load = client.Load(s.port, clients=4)
    for _ in range(5):
        answered = load.answered
        s.graceful()
        wait_until(lambda a=answered: load.answered > a + 20, 15)
    counts = load.stop()
    t.equal(counts["wrong"], 0, "wrong: %s" % load.notes)
    wait_until(lambda: s.status()["ParentServerMPMGeneration"] == 5, 15,
               "generation 5")


@test(stock="pass", item="1.4 #27", needs="probe")
def modules_and_optional_functions_after_reloads(t):
    """mod_status and its hooks work in every generation."""
    s = t.server(threads=2, probe=True)
    for number in range(1, 4):
        s.graceful()
        wait_until(lambda n=number: s.status()["ParentServerMPMGeneration"]
                   == n, what="generation %d" % number)
        text = s.status()["Scoreboard"]
        t.check(re.match(r"^[_SRWKDCLGI.]+$", text), text)
