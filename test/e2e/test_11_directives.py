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
"""Directives: what is corrected, with which words, and what is refused."""

import re

import limits
from harness import test

FIX_IDS = r"AH00(?:49[7-9]|50\d|51\d|520)"

# The message ids at start, at a restart, and what ap_mpm_query says then.
# At the restart the first start had ServerLimit 5 and ThreadLimit 8.
FIX_UPS = {
    "server_limit_high": (
        dict(ServerLimit=20001), ["AH00497"], ["AH00498", "AH00501"],
        {"4": 5}),
    "server_limit_low": (
        dict(ServerLimit=0, MaxRequestWorkers=4), ["AH00499"],
        ["AH00500", "AH00501"], {"4": 5}),
    "server_limit_other": (
        dict(ServerLimit=6), [], ["AH00501"], {"4": 5}),
    "thread_limit_high": (
        dict(ThreadLimit=100001), ["AH00502"], ["AH00503", "AH00506"],
        {"5": 8}),
    "thread_limit_low": (
        dict(ThreadLimit=0, ThreadsPerChild=1, MaxRequestWorkers=4),
        ["AH00504"],
        ["AH00505", "AH00506"], {"5": 8}),
    "thread_limit_other": (
        dict(ThreadLimit=9), [], ["AH00506"], {"5": 8}),
    "threads_per_child_high": (
        dict(ThreadsPerChild=9, MaxRequestWorkers=16), ["AH00507"],
        ["AH00508"], {"6": 8, "12": 2}),
    "threads_per_child_low": (
        dict(ThreadsPerChild=0, MaxRequestWorkers=2), ["AH00509"],
        ["AH00510"], {"6": 1, "12": 2}),
    "max_request_workers_low": (
        dict(MaxRequestWorkers=3), ["AH00511"], ["AH00512"], {"12": 1}),
    "max_request_workers_rounded": (
        dict(MaxRequestWorkers=11), ["AH00513"], ["AH00514"], {"12": 2}),
    "max_request_workers_high": (
        dict(MaxRequestWorkers=24), ["AH00515"], ["AH00516"], {"12": 5}),
    "max_request_workers_odd_and_high": (
        dict(MaxRequestWorkers=45), ["AH00513", "AH00515"],
        ["AH00514", "AH00516"], {"12": 5}),
    "start_servers_low": (
        dict(StartServers=0), ["AH00517"], ["AH00518"], {}),
    "min_spare_threads_low": (
        dict(MinSpareThreads=0), ["AH00519"], ["AH00520"], {"8": 1}),
    "everything": (
        dict(ServerLimit=-1, ThreadLimit=-1, ThreadsPerChild=-1,
             MaxRequestWorkers=-1, StartServers=-1, MinSpareThreads=-1),
        ["AH00499", "AH00504", "AH00509", "AH00511", "AH00517", "AH00519"],
        ["AH00500", "AH00501", "AH00505", "AH00506", "AH00510", "AH00512",
         "AH00518", "AH00520"],
        {"4": 5, "5": 8, "6": 1, "8": 1, "12": 1}),
}

GOOD = dict(ServerLimit=5, ThreadLimit=8, ThreadsPerChild=4,
            MaxRequestWorkers=8, StartServers=1, MinSpareThreads=1,
            MaxSpareThreads=8)


@test(stock="pass", item="14.2 2.3", core=True)
def fix_ups_on_the_console(t):
    s = t.server(start=False)
    for name, (changes, ids, _, _) in FIX_UPS.items():
        s.configure(mpm=dict(GOOD, **changes))
        code, text = s.run("-t")
        t.equal(code, 0, name + ": exit code of -t")
        t.equal(re.findall("(%s): " % FIX_IDS, text), ids, name)
        t.equal(text.count("AH00"), len(ids), name + ": nothing else")


@test(stock="pass", item="14.2 2.3", needs="probe")
def fix_ups_in_the_log_after_reload(t):
    s = t.server(mpm=GOOD, probe=True)
    t.equal(s.log_ids(FIX_IDS), [], "nothing to correct at start")
    for name, (changes, _, ids, queries) in FIX_UPS.items():
        s.configure(mpm=dict(GOOD, **changes))
        mark, events = s.mark(), s.probe_mark()
        s.restart()
        t.equal(s.log_ids(FIX_IDS, mark), ids, name)
        found = s.wait_event("query", since=events, stage="check_config")[0]
        for code, value in queries.items():
            if code == "4":
                value = t.env.slots(value)
            t.equal(found[code], value, "%s: query %s" % (name, code))
    t.equal(s.get("/").status, 200, "serves after all of that")


@test(stock="pass", item="14.2 2.3")
def fix_ups_said_once(t):
    """A start says it on the console, once, and not in the log."""
    s = t.server(mpm=dict(GOOD, MaxRequestWorkers=11), mode="detach")
    t.equal(s.console().count("AH00513"), 1, "on the console")
    t.equal(s.log_ids(FIX_IDS), [], "in the log")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="2.3", needs="probe")
def limits_stay_those_of_the_first_start(t):
    """Corrected values of the first start are the ones kept."""
    s = t.server(mpm=dict(GOOD, ServerLimit=0, ThreadLimit=0,
                          MaxRequestWorkers=1), probe=True)
    for name in ("graceful", "restart"):
        s.configure(mpm=dict(GOOD, ServerLimit=9, ThreadLimit=9))
        mark, events = s.mark(), s.probe_mark()
        getattr(s, name)()
        t.equal(s.log_ids("AH0050[16]", mark), ["AH00501", "AH00506"], name)
        found = s.wait_event("query", since=events, stage="child_init")[0]
        t.equal((found["4"], found["5"]), (t.env.slots(1), 1),
                "limits after " + name)
    t.equal(s.get("/").status, 200, "served")


NUMBERS = ("StartServers", "ServerLimit", "ThreadLimit", "ThreadsPerChild",
           "MaxRequestWorkers", "MaxClients", "MinSpareThreads",
           "MaxSpareThreads")


@test(stock="fails: reads garbage as 0 and corrects that", item="2.1")
def numbers_that_are_none(t):
    """The error names the directive and the value."""
    s = t.server(start=False, threads=1)
    for name in NUMBERS + ("AsyncRequestWorkerFactor",):
        for value in ("abc", "12abc", "1,5", '""', "-", "12 3"):
            s.configure(mpm={}, conf="%s %s\n" % (name, value))
            code, text = s.run("-t")
            where = "%s %s: %s" % (name, value, text)
            t.equal(code, 1, where)
            t.check(name in text, where)
            if value[0] not in '"' and " " not in value:
                t.check(value in text, where)


@test(stock="pass", item="2.1")
def numbers_that_are_fine(t):
    s = t.server(start=False)
    for name in NUMBERS:
        s.configure(mpm={}, conf="%s 4\n" % name)
        t.equal(s.run("-t")[0], 0, name)


@test(stock="pass", item="2.5 #9")
def factors_refused(t):
    s = t.server(start=False)
    for value in ("0", "0.0", "-1", "-0.5", "abc", "2x", '""'):
        s.configure(mpm={"AsyncRequestWorkerFactor": value})
        code, text = s.run("-t")
        where = "factor %s: %s" % (value, text)
        t.equal(code, 1, where)
        t.check("AH00526:" in text, where)
    for value in ("2", "1.5", "0.01", "3.0", "10"):
        s.configure(mpm={"AsyncRequestWorkerFactor": value})
        t.equal(s.run("-t"), (0, "Syntax OK\n"), "factor " + value)


@test(stock="fails: takes inf and nan for numbers", item="2.5")
def factors_that_are_no_numbers(t):
    s = t.server(start=False)
    for value in ("inf", "-inf", "nan", "infinity", "1e999"):
        s.configure(mpm={"AsyncRequestWorkerFactor": value})
        code, text = s.run("-t")
        t.equal(code, 1, "factor %s: %s" % (value, text))


@test(stock="pass", item="2.1")
def only_for_the_whole_server(t):
    s = t.server(start=False)
    for name in NUMBERS + ("AsyncRequestWorkerFactor",
                           "GracefulShutdownTimeout", "ListenBacklog",
                           "ListenCoresBucketsRatio", "SendBufferSize",
                           "ReceiveBufferSize"):
        s.configure(conf="<VirtualHost *:{port}>\n%s 1024\n</VirtualHost>\n"
                    % name)
        code, text = s.run("-t")
        t.equal(code, 1, name)
        t.check("%s cannot occur within <VirtualHost> section" % name
                in text, text)


@test(stock="pass", item="2.1 13", needs="probe")
def max_clients_is_deprecated(t):
    conf = dict(GOOD, MaxRequestWorkers=None)
    s = t.server(mpm=conf, conf="MaxClients 12", probe=True)
    t.equal(s.wait_event("query", stage="child_init")[0]["12"], 3,
            "MaxClients 12, 4 threads each: processes")
    for level, count in (("info", 1), ("notice", 0)):
        code, text = s.run("-t", "-e", level)
        t.equal(code, 0, "exit code of -t")
        t.equal(text.count("AH00521:"), count, "AH00521 at level " + level)


@test(stock="pass", item="2.2", needs="probe")
def cores_directives_arrive(t):
    """MaxConnectionsPerChild, MaxMemFree, ThreadStackSize, CoreDumpDirectory
    and ScoreBoardFile are accepted and acted upon."""
    s = t.server(threads=2, probe=True, conf="""
MaxConnectionsPerChild 17
MaxMemFree 64
ThreadStackSize 524288
CoreDumpDirectory "{root}/scratch"
ScoreBoardFile "{root}/scoreboard"
""")
    t.equal(s.wait_event("query", stage="child_init")[0]["11"], 17,
            "MaxConnectionsPerChild in the query")
    with open("/proc/%d/maps" % s.wait_children(1)[0],
              encoding="latin-1") as file:
        maps = [line.split()[0].split("-") for line in file]
    sizes = [int(end, 16) - int(start, 16) for start, end in maps]
    t.check(sizes.count(524288) + sizes.count(524288 - 4096) >= 2,
            "stacks of the size asked for")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="2.4", needs="probe")
def silent_adjustments(t):
    s = t.server(probe=True, mpm=dict(GOOD, ThreadsPerChild=4,
                                      MinSpareThreads=6, MaxSpareThreads=1,
                                      StartServers=9))
    found = s.wait_event("query", count=2, stage="child_init")[0]
    t.equal((found["8"], found["10"], found["12"]), (6, 11, 2),
            "MinSpareThreads, MaxSpareThreads, processes")
    t.equal(len(s.wait_children(2)), 2, "StartServers is bounded")
    t.equal(s.log_ids(FIX_IDS), [], "silently")


@test(stock="pass", item="14.14 1.4", needs="probe", core=True)
def removed_directives_are_forgotten(t):
    s = t.server(probe=True, threads=1, mpm=dict(
        ServerLimit=16, ThreadLimit=64, ThreadsPerChild=3, StartServers=2,
        MaxRequestWorkers=6, MinSpareThreads=2, MaxSpareThreads=9,
        AsyncRequestWorkerFactor=7), conf="""
MaxConnectionsPerChild 1000
GracefulShutdownTimeout 5
ListenBacklog 17
SendBufferSize 4096
ReceiveBufferSize 4096
""")
    found = s.wait_event("query", stage="child_init")[0]
    t.equal([found[code] for code in ("4", "5", "6", "8", "10", "11", "12")],
            [t.env.slots(16), 64, 3, 2, 9, 1000, 2], "as configured")
    s.configure(mpm=dict.fromkeys(
        ("ServerLimit", "ThreadLimit", "ThreadsPerChild", "StartServers",
         "MaxRequestWorkers", "MinSpareThreads", "MaxSpareThreads")),
        conf="")
    for number in (1, 2, 3):
        mark = s.mark()
        s.graceful()
        t.equal(s.log_ids(FIX_IDS, mark), [], "nothing to correct")
        found = s.wait_event("query", stage="child_init",
                             **{"15": number})[0]
        t.equal([found[code] for code in ("4", "5", "6", "8", "10", "11",
                                          "12", "15")],
                [t.env.slots(16), 64, 25, 75, 250, 0, 16, number],
                "defaults")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="14.14 2.5")
def removed_factor_is_forgotten(t):
    """Without AsyncRequestWorkerFactor it is 2 again, not what it was."""
    s = t.server(threads=2, mpm={"AsyncRequestWorkerFactor": 4})
    limits.check_held(t, s, 10, "2 + 4 x 2 connections")
    s.configure(mpm={})
    s.restart()
    limits.check_held(t, s, 6, "2 + 2 x 2 connections")


@test(stock="fails: has no such directive", item="issue 4.5")
def client_limits_that_are_wrong(t):
    """The error names the directive and what is wrong."""
    s = t.server(start=False)
    for name, values in (
            ("EventClientLimit", ("-1", "some", "1.5", "99999999999")),
            ("EventClientLimitExempt",
             ("localhost", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/",
              "192.0.2.300", "/8", "none/8", "192.0.2.1 all"))):
        for value in values:
            s.configure(conf="%s %s\n" % (name, value))
            code, text = s.run("-t")
            where = "%s %s: %s" % (name, value, text)
            t.equal(code, 1, where)
            t.check(name in text and value.split()[-1] in text, where)
        s.configure(conf="<VirtualHost *:{port}>\n%s 1\n</VirtualHost>\n"
                    % name)
        code, text = s.run("-t")
        t.check(code == 1 and "cannot occur within <VirtualHost>" in text,
                text)


@test(stock="fails: has no such directive", item="issue 4.5")
def client_limits_that_are_fine(t):
    s = t.server(start=False)
    for lines in ("EventClientLimit 0", "EventClientLimit 50",
                  "EventClientLimitExempt none",
                  "EventClientLimitExempt 192.0.2.1 2001:db8::/32 10.0.0.0/8 "
                  "192.0.2.0/255.255.255.0\nEventClientLimitExempt ::1"):
        s.configure(conf=lines + "\n")
        t.equal(s.run("-t"), (0, "Syntax OK\n"), lines)


@test(stock="fails: has no EventHeadTimeout", item="issue 4.3 4.4")
def numbers_of_the_gate(t):
    s = t.server(start=False)
    for name, good, bad in (
            ("EventHeadTimeout", ("0", "20", "86400"), ("-1", "86401")),
            ("EventBodyWait", ("0", "16384", "1048576"), ("-1", "1048577")),
            ("EventHeadLimit", ("0", "1", "2147483647"), ("-1",))):
        for value in good:
            s.configure(mpm={name: value})
            t.equal(s.run("-t"), (0, "Syntax OK\n"), name + " " + value)
        for value in bad + ("abc", "1.5", "99999999999"):
            s.configure(mpm={name: value})
            code, text = s.run("-t")
            t.equal(code, 1, name + " " + value)
            t.check(name in text and value in text, text)
        s.configure(mpm={}, conf="<VirtualHost *:{port}>\n%s 1\n"
                    "</VirtualHost>\n" % name)
        code, text = s.run("-t")
        t.equal(code, 1, name)
        t.check("%s cannot occur within <VirtualHost> section" % name
                in text, text)
        s.configure(conf="")
