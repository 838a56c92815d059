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
"""ap_mpm_query and the order of hooks, as a module sees them."""

from harness import test, wait_until

NOT_THERE = {"16": "ENOTIMPL", "17": "ENOTIMPL", "18": "ENOTIMPL",
             "999": "ENOTIMPL"}
# What never depends on the configuration.
FIXED = {"2": 1, "3": 2, "7": 0, "9": 0, "14": 1, "19": 1}

MPM = dict(ServerLimit=7, ThreadLimit=9, ThreadsPerChild=3, StartServers=2,
           MaxRequestWorkers=12, MinSpareThreads=2, MaxSpareThreads=8)
CONFIGURED = {"4": 7, "5": 9, "6": 3, "8": 2, "10": 8, "12": 4,
              "11": 77}

STARTING, RUNNING, STOPPING = 0, 1, 2


def same(t, found, wanted, where):
    for code, value in wanted.items():
        if code == "4":
            value = t.env.slots(value)
        t.equal(found.get(code), value, "%s: query %s" % (where, code))


def fixed(t):
    if t.env.trunk() and t.env.stock:
        return dict(FIXED, **{"16": 1, "17": 1, "18": 1, "999": "ENOTIMPL"})
    # Ours has none of trunk's poll callbacks and says so.
    return dict(FIXED, **NOT_THERE)


def stages(s, *names):
    return [event for event in s.probe_events("query")
            if event["stage"] in names]


@test(stock="pass", item="14.3 3 1.3", needs="probe", core=True)
def all_codes_in_all_stages(t):
    s = t.server(mpm=MPM, probe=True, conf="MaxConnectionsPerChild 77")
    s.wait_event("query", 2, stage="child_init")
    s.stop()
    for event in s.probe_events("query"):
        same(t, event, fixed(t), event["stage"])
        if event["stage"] != "pre_config":
            same(t, event, CONFIGURED, event["stage"])

    start = stages(s, "pre_config", "check_config", "post_config")
    t.equal([(e["stage"], e["main_state"], e["config_gen"]) for e in start],
            [("pre_config", 2, 0), ("check_config", 2, 0),
             ("post_config", 2, 0), ("pre_config", 4, 1),
             ("check_config", 4, 1), ("post_config", 4, 1)], "passes")
    for event in start:
        same(t, event, {"1": 0, "13": STARTING, "15": 0}, event["stage"])
    for event in stages(s, "pre_mpm"):
        same(t, event, {"1": 0, "13": STARTING, "15": 0, "main_state": 5},
             "pre_mpm")
    t.equal([e["1"] for e in stages(s, "child_status")][:2], [1, 2],
            "MAX_DAEMON_USED when the first children were started")
    for event in stages(s, "child_init"):
        same(t, event, {"13": STARTING, "15": 0}, "child_init")
    for event in stages(s, "child_stopping"):
        same(t, event, {"13": STOPPING, "15": 0}, "child_stopping")
    t.equal(len(stages(s, "child_stopping")), 2, "children that stopped")


@test(stock="pass", item="14.3 3", needs="probe")
def state_over_a_life(t):
    """STARTING for the first children, RUNNING, STOPPING, STARTING again."""
    s = t.server(mpm=MPM, probe=True)
    t.equal([e["mpm_state"] for e in s.wait_event("child_status", 2)],
            [STARTING, STARTING], "first children")
    mark = s.probe_mark()
    s.signal("KILL", s.wait_children(2)[0])
    s.wait_event("child_status", 2, since=mark)
    t.equal({e["mpm_state"] for e in s.probe_events("child_status", mark)},
            {RUNNING}, "a child that died and its heir")
    mark = s.probe_mark()
    s.restart()
    s.wait_event("child_status", 4, since=mark)
    t.equal({e["mpm_state"] for e in s.probe_events(
        "child_status", mark, state="EXITED")}, {STOPPING}, "at a restart")
    t.equal({e["mpm_state"] for e in s.probe_events(
        "child_status", mark, state="STARTED")}, {STARTING},
        "children of the restart")
    for event in s.probe_events("query", mark, stage="pre_config"):
        same(t, event, {"13": STARTING, "15": 1}, "pre_config of a restart")
    mark = s.probe_mark()
    s.stop()
    t.equal({e["mpm_state"] for e in s.probe_events(
        "child_status", mark, state="EXITED")}, {STOPPING}, "at the stop")


@test(stock="pass", item="14.3 14.4 3 4.5", needs="probe", core=True)
def generation_is_new_when_the_configuration_is_read(t):
    s = t.server(mpm=MPM, probe=True)
    for number, name in enumerate(("graceful", "restart", "graceful"), 1):
        mark = s.probe_mark()
        getattr(s, name)()
        for stage in ("pre_config", "check_config", "post_config"):
            found = s.wait_event("query", since=mark, stage=stage)
            t.equal([(e["15"], e["config_gen"]) for e in found],
                    [(number, number + 1)], "%s at a %s" % (stage, name))
        s.wait_event("query", since=mark, stage="child_init",
                     **{"15": number})
        # The generation before may serve until the new one can.
        wait_until(lambda n=number: s.status()["ParentServerMPMGeneration"]
                   == n, what="generation %d on the page" % number)
        wait_until(lambda n=number: s.status()["ParentServerConfigGeneration"]
                   == n + 1, what="its configuration")
    t.equal(len(s.probe_events("query", stage="pre_mpm")), 2,
            "pre_mpm runs at the start and after HUP, not after USR1")


@test(stock="pass", item="3", needs="probe")
def most_slots_used_is_never_forgotten(t):
    s = t.server(threads=1, processes=3, max_processes=3, probe=True)
    s.wait_children(3)
    s.configure(processes=1)
    mark = s.probe_mark()
    s.restart()
    found = s.wait_event("query", since=mark, stage="child_init")
    t.check(found[0]["1"] >= 3, "MAX_DAEMON_USED after a restart")


@test(stock="pass", item="4.7 #12", needs="probe", timeout=90)
def monitor_runs(t):
    """About every tenth turn of the parent, with the truth to be asked."""
    s = t.server(mpm=MPM, probe=True)
    for event in s.wait_event("query", timeout=60, stage="monitor"):
        same(t, event, fixed(t), "monitor")
        same(t, event, {"13": RUNNING, "15": 0, "4": 7, "6": 3}, "monitor")
        t.equal(event["pid"], s.pid, "in the parent")


@test(stock="pass", item="5.1 5.3 14.3", needs="probe")
def hooks_of_a_child_in_order(t):
    s = t.server(mpm=MPM, probe=True)
    first, second = s.wait_children(2)
    s.wait_event("child_init", 2)
    s.stop()
    for pid in (first, second):
        found = [e for e in s.probe_events() if e.get("pid") == pid
                 and e["event"] != "query"]
        t.equal([e["event"] for e in found if e["event"] != "child_status"],
                ["child_init", "child_stopping", "pchild_end"],
                "hooks of a child")
        t.equal([e["state"] for e in found if e["event"] == "child_status"],
                ["STARTED", "EXITED"], "what the parent said")
        t.equal([e["graceful"] for e in found
                 if e["event"] == "child_stopping"], [0], "graceful flag")


@test(stock="pass", item="14.3 1.5", needs="probe")
def queries_in_debug_mode(t):
    s = t.server(mpm=MPM, mode="debug", probe=True)
    t.equal(s.get("/").status, 200, "served")
    wait_until(lambda: stages(s, "child_init"))
    for event in s.probe_events("query"):
        same(t, event, fixed(t), event["stage"])
    same(t, stages(s, "child_init")[0], {"1": 1, "13": STARTING, "4": 7,
                                         "6": 3}, "child_init")
    s.stop()
