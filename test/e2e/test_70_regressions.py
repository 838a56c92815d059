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
"""Past defects of event MPMs, each by its number in the list of classes.

Where a test elsewhere covers a class, COVERED names it; WHY_NOT says why a
class cannot be tested from outside, or not here.
"""

import ast
import os
import re
import resource
import shutil
import signal
import time

import procs
import wire
from basics import HERE
from client import Load, together
from common import md5, pattern, serve
from h2 import Session
from harness import test, wait_until

COVERED = {
    1: "32_trust.scribbled_cells 32_trust.scribbled_pids",
    2: "10_start.module_file_swapped_by_restart "
       "70_regressions.r02_other_module_file_under_load",
    3: "70_regressions.r03_reloads_leave_nothing_behind "
       "23_restart.many_restarts_under_load",
    4: "30_limits.lingering_connections_do_not_count "
       "43_lingering.not_counted_against_new_connections",
    5: "22_children.sick_later_on "
       "70_regressions.r05_no_more_threads_for_the_user "
       "70_regressions.r05_r40_no_more_descriptors",
    6: "22_children.sick_later_on "
       "70_regressions.r05_no_more_threads_for_the_user",
    7: "43_lingering.closing_blocks_nobody",
    8: "22_children.max_connections_per_child",
    9: "11_directives.factors_refused",
    10: "63_runtime.thread_stack_size 63_runtime.unusable_thread_stack_size",
    13: "53_timers.in_order_of_their_time "
        "53_timers.equal_times_all_fire_in_order_of_registration",
    15: "50_waitio.hooks_see_what_they_may_use 31_status.status_under_load",
    16: "50_waitio.senses_are_obeyed",
    17: "31_status.status_under_load 62_modules.status_page_under_load",
    18: "31_status.status_under_load 62_modules.status_page_under_load",
    19: "54_tls.close_notify_whenever_the_server_closes "
        "54_tls.close_notify_is_on_the_wire",
    20: "62_modules.reqtimeout_leaves_kept_alive_alone",
    21: "41_pipelining.pair_is_answered_without_a_hop "
        "42_write_completion.hops_are_balanced "
        "43_lingering.hops_are_balanced 50_waitio.many_at_once",
    22: "50_waitio.connection_ids_are_unique "
        "61_cgi.every_script_answers_its_own_client",
    23: "70_regressions.r23_stop_with_connections_in_every_state "
        "44_odd_clients.answer_to_a_client_that_vanishes_in_between",
    24: "70_regressions.r24_reload_deadlock "
        "23_restart.many_restarts_under_load",
    25: "53_timers.equal_times_all_fire_in_order_of_registration",
    26: "31_status.every_thread_has_its_cell 31_status.status_under_load",
    27: "23_restart.modules_and_optional_functions_after_reloads",
    28: "40_keepalive.timeout_is_the_virtual_hosts",
    29: "12_listen.listener_buckets 63_runtime.listener_buckets_serve",
    30: "51_http2.idle_after_a_request_has_keepalive_timeout "
        "51_http2.blocked_by_flow_control_has_timeout",
    31: "51_http2.many_streams_at_once 22_children.fatal_child_at_start",
    32: "12_listen.buckets_over_restarts 63_runtime.listener_buckets_serve",
    33: "23_restart.long_requests_do_not_block_the_next_generation "
        "23_restart.every_slot_taken_by_finishing_children",
    34: "23_restart.long_requests_do_not_block_the_next_generation",
    35: "70_regressions.r35_pid_file_names_this_very_process",
    36: "12_listen.descriptors_stay_the_same_over_reloads "
        "63_runtime.listener_buckets_leak_no_descriptors",
    37: "23_restart.signals_while_the_module_is_reloaded",
    38: "43_lingering.closing_blocks_nobody",
    39: "24_spawn.idle_child_sleeps "
        "70_regressions.r39_idle_server_sleeps",
    40: "70_regressions.r05_r40_no_more_descriptors",
    41: "30_limits.all_threads_busy 30_limits.not_accepting_and_recovery",
    42: "22_children.threads_do_not_take_signals "
        "70_regressions.r42_threads_of_modules_take_no_signals",
    43: "70_regressions.r43_long_lived_connection_costs_nothing "
        "31_status.accesses_are_counted",
    44: "50_waitio.states_that_end_a_connection "
        "62_modules.legacy_protocol_module",
    45: "32_trust.scribbled_pids",
    46: "43_lingering.many_closings_starve_no_request",
    48: "31_status.keys_of_the_machine_readable_page",
    49: "24_spawn.max_request_workers_reached "
        "24_spawn.max_request_workers_near "
        "24_spawn.not_reached_by_idle_connections",
    50: "70_regressions.r50_reload_with_connections_in_every_state",
    51: "51_http2.blocked_by_flow_control_has_timeout",
    52: "31_status.accesses_are_counted "
        "62_modules.status_page_shows_requests_of_a_connection",
    53: "40_keepalive.timeout_is_the_virtual_hosts",
    54: "43_lingering.early_answer_reaches_a_busy_sender "
        "43_lingering.no_reset_while_the_client_still_sends",
    55: "30_limits.idle_connections_stay_while_threads_are_idle",
    56: "23_restart.storm_of_signals_at_start "
        "22_children.term_to_a_child_that_starts",
    57: "20_generations.no_child_survives_many_restarts",
    58: "43_lingering.short_while_the_process_stops "
        "21_stop.graceful_stop_when_idle",
    59: "13_query.hooks_of_a_child_in_order",
    60: "22_children.max_connections_per_child_under_load "
        "24_spawn.counts_stay_right",
    61: "24_spawn.shrinks_after_a_peak "
        "44_odd_clients.connection_that_is_refused_or_not_created",
    62: "22_children.max_connections_per_child_under_load "
        "70_regressions.r24_reload_deadlock",
    63: "22_children.all_children_killed",
    64: "20_generations.generation_ends_when_its_last_child_does "
        "24_spawn.counts_stay_right",
    65: "31_status.keys_of_the_machine_readable_page "
        "23_restart.old_generation_on_the_status_page "
        "51_http2.requests_are_counted_once",
    66: "51_http2.idle_without_a_request_has_timeout "
        "51_http2.graceful_restart_ends_idle_sessions",
    68: "51_http2.client_that_says_goaway_gets_its_answer",
    69: "31_status.keepalive_counted_soon 23_restart.two_reloads_at_once",
    70: "70_regressions.r70_child_born_just_before_a_graceful_restart "
        "44_odd_clients.connection_that_is_refused_or_not_created "
        "63_runtime.memory_is_given_back_under_max_mem_free "
        "23_restart.graceful_finishes_what_runs",
}

WHY_NOT = {
    11: "an APR that is too old does not get past configure",
    12: "atomics are the compiler's; there is nothing to test at start",
    14: "how the parent speaks to its children is not visible outside; "
        "what it says is, in 20_generations, 21_stop and 23_restart",
    47: "two threads using one pool is a race without an outside symptom; "
        "the stress tests run under ThreadSanitizer",
    67: "mod_http2 asks for a number of trunk's before it records durations, "
        "so in 2.4 there are none to see",
}


def names_of_tests():
    """Every test of this directory as file.function."""
    found = set()
    for name in os.listdir(HERE):
        match = re.match(r"test_(\d+_\w+)\.py$", name)
        if match:
            with open(os.path.join(HERE, name), encoding="utf-8") as file:
                tree = ast.parse(file.read())
            found |= {"%s.%s" % (match[1], node.name) for node in tree.body
                      if isinstance(node, ast.FunctionDef)
                      and node.decorator_list}
    return found


@test(stock="pass")
def table_is_true(t):
    t.equal(sorted({*COVERED, *WHY_NOT}), list(range(1, 71)), "classes")
    tests = names_of_tests()
    missing = {name for names in COVERED.values() for name in names.split()
               if name not in tests}
    t.equal(missing, set(), "tests that are not there")


@test(stock="pass", item="#2 #27", timeout=60)
def r02_other_module_file_under_load(t):
    if not t.env.mpm:
        t.skip("the MPM is built in")
    s = serve(t, threads=8, processes=2, keepalive_timeout=5)
    copies = []
    for number in range(2):
        copies.append(os.path.join(s.root, "mpm%d.so" % number))
        shutil.copy(t.env.mpm, copies[-1])
    with open(s.config_file, encoding="utf-8") as file:
        text = file.read()
    load = Load(s.port, clients=3, pause=0.005)
    for number in range(6):
        with open(s.config_file, "w", encoding="utf-8") as file:
            file.write(text.replace(t.env.mpm, copies[number % 2]))
        s.graceful()
        before = load.answered
        wait_until(lambda b=before: load.answered > b + 20, 15)
    t.check(any(copies[1] in s.read("/proc/%d/maps" % child)
                for child in s.children()), "the other file is in use")
    counts = load.stop()
    t.equal((counts["refused"], counts["wrong"]), (0, 0),
            "clients: %s" % load.notes)


@test(stock="pass", item="#3", core=True, timeout=120)
def r03_reloads_leave_nothing_behind(t):
    s = serve(t, threads=2, processes=2, loglevel="notice", modules="env "
              "alias headers", conf='Alias /x "{root}"\nSetEnv a b')
    sizes = []
    for count in range(1, 301 if t.long else 51):
        (s.graceful if count % 5 else s.restart)()
        if count % 10 == 0:
            sizes.append((procs.rss_kb(s.pid), len(procs.fds(s.pid))))
    t.equal(s.get("/").status, 200, "afterwards")
    wait_until(lambda: len(procs.fds(s.pid)) <= sizes[0][1], 10,
               lambda: "descriptors: %s" % sizes)
    # A sanitizer remembers every library that was ever unloaded.
    t.check(t.env.sanitizer or sizes[-1][0] < sizes[0][0] + 1500,
            "KiB: %s" % sizes)
    t.equal(s.status()["ParentServerMPMGeneration"], len(sizes) * 10,
            "generation")


@test(stock="pass", item="#5 #6", timeout=60)
def r05_no_more_threads_for_the_user(t):
    # Root is exempt, so the children run as a user nobody else has.
    if os.geteuid() != 0 or t.env.sanitizer:
        t.skip("needs root and no sanitizer")
    s = serve(t, threads=6, processes=2, max_processes=2,
              mpm={"MinSpareThreads": 12}, conf="User games\nGroup games")
    s.expect("AH03104:", "AH00480:", "AH00474:", "AH00052:.*Abort")
    s.wait_children(2)
    wait_until(lambda: s.status()["IdleWorkers"] >= 10, 10)
    old = resource.prlimit(s.pid, resource.RLIMIT_NPROC)
    resource.prlimit(s.pid, resource.RLIMIT_NPROC, (10, old[1]))
    victim, other = s.children()
    mark = s.mark()
    s.signal("KILL", victim)
    s.wait_log("AH03104:|AH00480:|AH00474:", count=2, timeout=20, since=mark)
    for _ in range(10):
        t.equal(s.get("/").status, 200, "the other child serves")
    time.sleep(2)
    t.check(procs.alive(other), "the other child lives")
    t.check(s.count_log("AH03104:|AH00480:|AH00474:", mark) < 15,
            "tries in two seconds and a bit")
    resource.prlimit(s.pid, resource.RLIMIT_NPROC, old)
    wait_until(lambda: s.status()["IdleWorkers"] >= 10, 20, "whole again")
    t.equal(len(s.children()), 2, "children")


@test(stock="pass", item="#5 #40 14.10", core=True, timeout=60)
def r05_r40_no_more_descriptors(t):
    # Idle connections use up all descriptors; they must time out even so,
    # and new clients be served then.
    s = serve(t, threads=4, keepalive_timeout=2, timeout=10,
              mpm={"AsyncRequestWorkerFactor": 100},
              rlimits={"NOFILE": 60})
    parent = s.pid
    conns = []
    for _ in range(150):
        conn = s.conn(timeout=20)
        conn.request("/")
        conns.append(conn)
    cpu = [procs.stat(pid) for pid in s.children()]
    time.sleep(1)
    later = [procs.stat(one.pid) for one in cpu]
    spent = sum(two.utime + two.stime - one.utime - one.stime
                for one, two in zip(cpu, later) if two)
    t.check(spent < 70, "ticks of CPU time in a second: %d" % spent)
    for conn in conns:
        conn.close()

    def serves():
        try:
            return s.get("/", timeout=5).status == 200
        except OSError:
            return False
        except Exception:  # closed for want of descriptors
            return False
    wait_until(lambda: all(serves() for _ in range(10)), 30, "serves again")
    t.equal((s.pid, s.gone()), (parent, False), "parent")


def in_every_state(s):
    """{name: connection}, one in each state a connection can wait in."""
    conns = {name: s.conn(timeout=20, rcvbuf=16384) for name in (
        "silent", "half", "kept", "writing", "streaming", "lingering",
        "suspended", "h2 idle", "h2 used", "h2 blocked", "sleeping")}
    conns["half"].send("GET / HTT")
    conns["kept"].get("/")
    conns["writing"].request("/big")
    conns["writing"].read_head()
    conns["streaming"].request("/probe/stream?kb=3000")
    conns["streaming"].read_head()
    conns["lingering"].get("/", headers={"Connection": "close"})
    conns["suspended"].request("/probe/suspend?ms=1200")
    conns["sleeping"].request("/probe/sleep?ms=1200")
    sessions = {}
    for name in conns:
        if name.startswith("h2"):
            sessions[name] = Session(conns[name], window=10000, grant=False)
            sessions[name].ping()
    sessions["h2 used"].get("/")
    blocked = sessions["h2 blocked"]
    stream = blocked.streams[blocked.request("/big")]
    blocked.read_until(lambda: len(stream.body) >= 10000)
    return conns, sessions


def zoo(t, **settings):
    """A server with what in_every_state asks for."""
    return serve(t, threads=12, timeout=25, keepalive_timeout=3, probe=True,
                 modules="http2", docs={"big": pattern(3 << 20)},
                 mpm={"AsyncRequestWorkerFactor": 20, "ThreadLimit": 16},
                 conf="Protocols h2c http/1.1\nEnableSendfile On\n",
                 **settings)


@test(stock="fails: a child now and then crashes, or has to be killed",
      item="#23 4.3", needs="probe http2", core=True, timeout=90)
def r23_stop_with_connections_in_every_state(t):
    s = zoo(t)
    for turn in range(3):
        conns, _ = in_every_state(s)
        started = time.monotonic()
        s.stop()
        t.check(time.monotonic() - started < 7, "a child had to be killed")
        t.equal(s.log_lines("AH0005[0-2]:"), [], "crashes in turn %d" % turn)
        for conn in conns.values():
            conn.close()
        s.start()
    t.equal(s.get("/").status, 200, "afterwards")


@test(stock="fails: forgets suspended connections and idle HTTP/2",
      item="#50 5.3", needs="probe http2", core=True, timeout=90)
def r50_reload_with_connections_in_every_state(t):
    s = zoo(t)
    for turn in range(3):
        old = s.children()
        conns, sessions = in_every_state(s)
        s.graceful()
        t.equal(s.get("/").status, 200, "new generation")
        big = pattern(3 << 20)
        t.equal(md5(conns["writing"].read_exactly(len(big))), md5(big),
                "writing")
        t.equal(len(conns["streaming"].read_exactly(3000 * 1024)),
                3000 * 1024, "streaming")
        t.equal(conns["suspended"].read_response().text, "suspended\n",
                "suspended")
        t.equal(conns["sleeping"].read_response().text, "slept\n",
                "sleeping")
        conns["half"].send("P/1.1\r\nHost: x\r\n\r\n")
        t.equal(conns["half"].read_response().status, 200, "half a head")
        h2 = sessions["h2 blocked"]
        h2.grant = True
        h2.window_update(0, 1 << 24)
        h2.window_update(1, 1 << 24)
        t.check(h2.finish(1), "blocked stream: %s" % h2.streams)
        t.equal(md5(h2.streams[1].body), md5(big), "blocked stream")
        t.equal(conns["kept"].wait_closed(20), "eof", "kept")
        for conn in conns.values():
            conn.close()
        for pid in old:
            s.wait_child_gone(pid, 15)
        t.equal(s.get("/").status, 200, "after turn %d" % turn)


@test(stock="pass", item="#24 #62 #57", core=True, timeout=90)
def r24_reload_deadlock(t):
    # Every thread has work while it is told to go.
    s = serve(t, threads=2, processes=2, max_processes=4, timeout=10,
              mpm={"ServerLimit": 12})
    load = Load(s.port, clients=8, keepalive=False)
    seen = set()
    for _ in range(12):
        seen |= set(s.children())
        s.graceful()
        before = load.answered
        wait_until(lambda b=before: load.answered > b + 10, 20)
    counts = load.stop()
    # Stock now and then resets a new connection.
    t.check(counts["lost"] <= (5 if t.env.stock else 0),
            "clients: %s" % load.notes)
    t.equal((counts["refused"], counts["wrong"]), (0, 0),
            "clients: %s" % load.notes)
    for pid in seen - set(s.children()):
        s.wait_child_gone(pid, 15)


@test(stock="pass", item="#35 1.5")
def r35_pid_file_names_this_very_process(t):
    # As in a container, where the first process always has the same pid.
    s = serve(t, threads=2, start=False)
    plain = s.command
    s.command = lambda *args: ["/bin/sh", "-c", 'echo $$ >"$0"; exec "$@"',
                               s.pid_file, *plain(*args)]
    s.launch()
    wait_until(lambda: s.gone() or s.count_log("AH00489:"), 15, "started")
    t.check(not s.gone(), "ended: %s" % s.console())
    t.equal(s.read_pid(), s.pid, "pid file")
    t.equal(s.get("/").status, 200, "request")
    s.graceful()
    t.equal(s.read_pid(), s.pid, "pid file after a restart")


@test(stock="pass", item="#39", core=True)
def r39_idle_server_sleeps(t):
    s = serve(t, threads=5, processes=3, keepalive_timeout=60)
    idle = [s.conn() for _ in range(4)]
    for conn in idle:
        t.equal(conn.get("/").status, 200, "request")

    def switches(pids):
        return sum(procs.switches(pid, tid) for pid in pids
                   for tid in procs.tasks(pid))

    def asleep():
        children = s.children()
        before = switches(children), switches([s.pid])
        time.sleep(3)
        woken = (switches(children) - before[0],
                 switches([s.pid]) - before[1])
        # The parent may look around once a second, and wait for it twice.
        return woken[0] <= 6 and woken[1] <= 12
    wait_until(asleep, 20, "hardly any wake-up")


@test(stock="pass", item="#42", needs="http2 watchdog heartbeat", core=True)
def r42_threads_of_modules_take_no_signals(t):
    s = serve(t, threads=3, modules="http2 watchdog heartbeat",
              conf="Protocols h2c http/1.1\n"
                   "HeartbeatAddress 127.0.0.1:{port2}")
    child = s.wait_children(1)[0]
    t.equal(Session(s.conn()).get("/").status, 200, "HTTP/2")
    t.check(len(procs.tasks(child)) > 5, "threads of modules")
    for tid in procs.tasks(child):
        text = s.read("/proc/%d/task/%d/status" % (child, tid))
        blocked = int(re.search(r"SigBlk:\s*(\w+)", text)[1], 16)
        # One of stock's own threads takes HUP.
        for name in ("TERM", "USR1", "WINCH", "INT",
                     "QUIT" if t.env.stock else "HUP"):
            bit = 1 << (getattr(signal, "SIG" + name) - 1)
            t.check(blocked & bit or tid == child,
                    "SIG%s in thread %d: %x" % (name, tid, blocked))


@test(stock="pass", item="#43", core=True, timeout=90)
def r43_long_lived_connection_costs_nothing(t):
    # All answers are equally long: an ETag is not while the file is young.
    s = serve(t, threads=3, keepalive_timeout=20, loglevel="warn",
              conf="FileETag None")
    child = s.children()[0]
    conn = s.conn(timeout=20)
    request = conn.format("/")
    conn.send(request)
    length = len(conn.read_until(b"It serves.\n"))
    sizes = []
    for turn in range(10):
        for _ in range(1200):
            conn.send(request)
            conn.read_exactly(length)
        for _ in range(8):
            conn.send(request * 100)
            conn.read_exactly(length * 100)
        sizes.append(procs.rss_kb(child))
    # 20,000 requests; a leak of 100 bytes each would be 1.4 MB since the
    # third measure.
    t.check(sizes[-1] <= sizes[2] + 600, "KiB: %s" % sizes)


def kill(pid):
    """True unless it has just ended, as children that drain do."""
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


@test(stock="pass", item="#70 4.5", core=True, timeout=60)
def r70_child_born_just_before_a_graceful_restart(t):
    s = serve(t, threads=3, processes=2)
    for turn in range(6):
        killed = [pid for pid in s.children() if kill(pid)]
        t.check(killed, "turn %d: somebody was killed" % turn)
        # Some of the new ones are only being born now.
        time.sleep(0.02 * turn)
        s.graceful()
        t.equal(s.get("/").status, 200, "turn %d" % turn)
    wait_until(lambda: len(s.children()) == 2, 15,
               lambda: "two children, %s" % s.children())
    t.equal(s.status()["ParentServerMPMGeneration"], 6, "generation")
    conn = s.conn()
    conn.get("/")
    conn.close()
    wait_until(lambda: not wire.held(s.port), 10, "connections over")
    t.equal(together(4, lambda number: s.get("/").status), [200] * 4,
            "requests")
