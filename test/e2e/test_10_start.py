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
"""Starting and stopping in every mode: process tree, files, exit codes."""

import os
import re
import shutil
import stat

from harness import procs, test, wait_until


@test(stock="pass", item="4.1", core=True)
def serves_reloads_and_stops(t):
    s = t.server(threads=2, processes=2)
    t.equal(s.get("/").body, b"It serves.\n", "body")
    conn = s.conn()
    for _ in range(3):
        t.equal(conn.get("/").status, 200, "kept-alive request")
    t.equal(s.status()["ServerMPM"], "event", "name of the MPM")
    s.graceful()
    t.equal(s.get("/").status, 200, "after a graceful restart")
    wait_until(lambda: s.status()["ParentServerMPMGeneration"] == 1,
               what="generation 1")
    t.equal(s.stop(), 0, "exit code")


@test(stock="pass", item="14.1")
def syntax_check(t):
    s = t.server(start=False)
    t.equal(s.run("-t"), (0, "Syntax OK\n"), "-t")
    t.check(not os.path.exists(s.pid_file), "-t leaves no pid file")
    s.configure(mpm={"ThreadsPerChilds": 3})
    code, text = s.run("-t")
    t.equal(code, 1, "exit code of -t with an unknown directive")
    t.check("Invalid command 'ThreadsPerChilds'" in text, text)


@test(stock="pass", item="14.1 1.2", core=True)
def version_names_the_mpm(t):
    s = t.server(start=False)
    code, text = s.run("-V")
    t.equal(code, 0, "exit code of -V")
    t.equal(re.findall(r"^Server MPM: +(.*)$", text, re.M), ["event"], "MPM")
    t.check(re.search(r"threaded: +yes \(fixed thread count\)", text), text)
    t.check(re.search(r"forked: +yes \(variable process count\)", text),
            text)


@test(stock="pass", item="14.1")
def module_list_and_vhosts(t):
    s = t.server(start=False)
    code, text = s.run("-M")
    t.equal(code, 0, "exit code of -M")
    t.check(re.search(r"^ mpm_event_module \((shared|static)\)$", text,
                      re.M), text)
    code, text = s.run("-S")
    t.equal(code, 0, "exit code of -S")
    t.check("VirtualHost configuration:" in text, text)


@test(stock="pass", item="2.1")
def directive_list(t):
    """Every directive is there, and belongs to event.c."""
    text = t.server(start=False).run("-L")[1]
    for name in ("StartServers", "ServerLimit", "ThreadLimit",
                 "ThreadsPerChild", "MaxRequestWorkers", "MaxClients",
                 "MinSpareThreads", "MaxSpareThreads",
                 "AsyncRequestWorkerFactor", "GracefulShutdownTimeout",
                 "Listen", "ListenBacklog", "ListenCoresBucketsRatio",
                 "SendBufferSize", "ReceiveBufferSize"):
        t.equal(len(re.findall(r"^%s \(event\.c\)$" % name, text, re.M)), 1,
                name + " in -L")
    for name in ("PidFile", "MaxConnectionsPerChild", "ThreadStackSize",
                 "MaxMemFree", "CoreDumpDirectory", "Timeout"):
        t.check(re.search(r"^%s \(core\.c\)$" % name, text, re.M),
                name + " is core's")


@test(stock="pass", item="1.1")
def if_blocks_know_the_module(t):
    names = ["mpm_event_module", "event.c"]
    s = t.server(docs={name + ".txt": b"" for name in names}, conf="".join(
        "<IfModule !%s>\nThereIsNo %s\n</IfModule>\n" % (name, name)
        for name in names))
    t.equal(s.get("/").status, 200, "served")


def fds_of(s):
    return [procs.fds(s.pid).get(fd) for fd in (0, 1, 2)]


@test(stock="pass", item="14.1 1.5")
def detached(t):
    s = t.server(mode="detach", start=False)
    s.start(session=False)
    info = procs.stat(s.pid)
    t.equal((info.session, info.pgrp), (s.pid, s.pid), "session and group")
    t.equal(info.ppid, os.getpid(), "adopted")
    t.equal(os.readlink("/proc/%d/cwd" % s.pid), "/", "working directory")
    t.equal(fds_of(s), ["/dev/null", "/dev/null", s.error_log], "fds 0 to 2")
    t.equal(s.read_pid(), s.pid, "pid file")
    for pid in s.wait_children(1):
        t.equal(procs.stat(pid).pgrp, s.pid, "group of a child")
    t.equal(s.get("/").status, 200, "served")
    t.equal(s.stop(), 0, "exit code")
    t.check(not os.path.exists(s.pid_file), "pid file is gone")


@test(stock="pass", item="14.1 1.5")
def not_detached(t):
    s = t.server(mode="no_detach", start=False)
    s.start(session=False)
    info = procs.stat(s.pid)
    t.equal(s.pid, s.process.pid, "no fork")
    t.equal((info.session, info.pgrp), (s.pid, s.pid), "session and group")
    t.equal(s.get("/").status, 200, "served")
    t.equal(s.stop(), 0, "exit code")


@test(stock="pass", item="14.1 1.5", core=True)
def in_foreground(t):
    s = t.server(mode="foreground", start=False)
    s.start(session=False)
    info = procs.stat(s.pid)
    t.equal((info.session, info.pgrp), (os.getsid(0), os.getpgid(0)),
            "session and group are the caller's")
    t.equal(s.read_pid(), s.pid, "pid file")
    t.equal(stat.S_IMODE(os.stat(s.pid_file).st_mode), 0o644, "mode")
    for pid in s.wait_children(1):
        t.equal(procs.stat(pid).pgrp, os.getpgid(0), "group of a child")
    t.equal(s.stop(), 0, "exit code")
    t.check(not os.path.exists(s.pid_file), "pid file is gone")
    t.equal(s.console(), "", "console")


def one_process(t, mode):
    s = t.server(mode=mode, threads=3, processes=2, probe=True)
    t.equal(s.children(), [], "children")
    t.equal(s.get("/").status, 200, "served")
    if os.geteuid() == 0:
        uids = set(procs.status_field(s.pid, "Uid").split())
        t.check("0" not in uids, "still root: %s" % uids)
    t.equal(s.read_pid(), s.pid, "pid file")
    for name in ("HUP", "USR1", "WINCH", "QUIT"):
        s.signal(name)
    conn = s.conn()
    for _ in range(5):
        t.equal(conn.get("/").status, 200, "served after signals")
    t.equal(conn.get("/probe/where").text.split()[0], "pid=%d" % s.pid,
            "the process that serves")
    return s


def ended_alone(t, s, name):
    s.signal(name)
    t.equal(s.wait_gone(), 0, "exit code after SIG" + name)
    t.equal(s.read_pid(), s.pid, "the pid file stays")
    t.equal(s.log_lines("AH00489:|AH00490:|AH00491:"), [], "start and stop")
    t.equal([(e["pid"], e["gen"], e["slot"], e["state"])
             for e in s.probe_events("child_status")],
            [(s.pid, 0, 0, "STARTED"), (s.pid, 0, 0, "EXITED")],
            "child_status")


@test(stock="pass", item="14.1 1.5", needs="probe", core=True)
def debug_mode_ended_by_term(t):
    s = one_process(t, "debug")
    t.equal(procs.stat(s.pid).session, s.pid, "keeps the caller's session")
    ended_alone(t, s, "TERM")


@test(stock="pass", item="14.1 1.5", needs="probe")
def one_process_ended_by_int(t):
    ended_alone(t, one_process(t, "one_process"), "INT")


@test(stock="pass", item="14.1 4.9", needs="probe")
def one_process_has_one_bucket(t):
    s = t.server(mode="debug", threads=2, probe=True,
                 conf="ListenCoresBucketsRatio 1")
    t.equal(s.get("/").status, 200, "served")
    t.equal(s.wait_event("query", stage="child_init")[0]["1"], 1,
            "MAX_DAEMON_USED")
    s.stop()


@test(stock="pass", item="1.5 4.1")
def pid_file_of_the_dead(t):
    """A stale pid file is overwritten, with AH00098 if it is another's."""
    s = t.server(start=False)
    with open(s.pid_file, "w", encoding="ascii") as file:
        file.write("%d\n" % 0x3ffffff)
    s.start()
    t.equal(s.read_pid(), s.pid, "pid file")
    t.check("AH00098:" in s.log() + s.console(), "AH00098 is logged")


@test(stock="pass", item="4.2")
def control_commands(t):
    """apachectl's words reach a running server; start says it runs."""
    s = t.server(threads=2)
    code, text = s.run("-k", "start")
    t.equal(code, 0, "exit code of a second start")
    t.check("(pid %d) already running" % s.pid in text, text)
    for number, word in enumerate(("graceful", "restart"), 2):
        t.equal(s.run("-k", word)[0], 0, "exit code of " + word)
        s.wait_log("AH00489:", number)
        t.equal(s.get("/").status, 200, "served after " + word)
    t.check(s.log_lines("AH00493:") and s.log_lines("AH00494:"),
            "both restarts announced")
    t.equal(s.run("-k", "graceful-stop")[0], 0, "exit code of graceful-stop")
    t.equal(s.wait_gone(), 0, "exit code of the server")
    t.check(s.log_lines("AH00492:"), "graceful stop announced")
    code, text = s.run("-k", "stop")
    t.equal(code, 0, "exit code of stop without a server")
    t.check("not running" in text, text)


@test(stock="pass", item="4.2")
def stop_command(t):
    s = t.server(mode="detach")
    t.equal(s.run("-k", "stop")[0], 0, "exit code of stop")
    t.equal(s.wait_gone(), 0, "exit code of the server")
    t.check(s.log_lines("AH00491:"), "stop announced")


@test(stock="pass", item="1.2 13")
def nothing_to_listen_on(t):
    s = t.server(start=False, listen="")
    code, text = s.run("-D", "FOREGROUND")
    t.equal(code, 1, "exit code")
    t.check("no listening sockets available" in text, text)
    t.check("AH00015:" in text, text)
    t.check(not os.path.exists(s.pid_file), "no pid file")


@test(stock="pass", item="1.2")
def port_in_use(t):
    first = t.server()
    s = t.server(start=False, listen="Listen 127.0.0.1:%d" % first.port)
    code, text = s.run("-D", "FOREGROUND")
    t.equal(code, 1, "exit code")
    t.check("AH00072:" in text, text)
    t.equal(first.get("/").status, 200, "the first still serves")


@test(stock="pass", item="1.1")
def two_mpms(t):
    if not t.env.mpm or not t.env.has("mpm_worker"):
        t.skip("the MPM is built in")
    s = t.server(start=False, modules="mpm_worker")
    code, text = s.run("-t")
    t.equal(code, 1, "exit code")
    t.check("AH00534:" in text and "More than one MPM" in text, text)


@test(stock="pass", item="1.4 #2")
def module_file_swapped_by_restart(t):
    """httpd's own MPM is replaced, and comes back, by restarts alone."""
    own = os.path.join(t.env.modules_dir, "mod_mpm_event.so")
    if not t.env.mpm or not os.path.exists(own):
        t.skip("the MPM is built in")
    copy = os.path.join(t.dir, "mod_mpm_event.so")
    shutil.copy(own, copy)
    s = t.server(threads=2, mpm_module=copy)
    for number, (module, name) in enumerate(
            [(None, "USR1"), (copy, "USR1"), (None, "HUP"), (copy, "HUP"),
             (None, "USR1"), (None, "USR1")], 1):
        s.configure(mpm_module=module)
        s.reload(name, 20)
        t.equal(s.get("/").status, 200, "served")
        wait_until(lambda n=number: s.status()["ParentServerMPMGeneration"]
                   == n, what="generation %d" % number)
    s.wait_children(1)
    mapped = open("/proc/%d/maps" % s.pid, encoding="latin-1").read()
    t.check(t.env.mpm in mapped, "the module tested is loaded")
    t.equal(s.stop(), 0, "exit code")
