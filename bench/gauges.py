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
"""gauges: what a server, all its processes together, has used.

Processor time counts children that have ended as well, through what their
parent has collected of them.  Context switches are those of the threads
that live at the end: what ended in between is not seen.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

import procs
from basics import wait_until

CPUCLOCK_SCHED = 2      # of the kernel: a process' clock, in ns
TICKS = os.sysconf("SC_CLK_TCK")
SWITCHES = re.compile(r"ctxt_switches:\s+(\d+)")


def family(parent):
    """Stat of a process and its children, with those that have ended and
    that nobody has collected."""
    found = []
    for pid in procs.all_pids():
        try:
            info = procs.Stat(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if pid == parent or info.ppid == parent:
            found.append(info)
    return found


def pids(parent):
    return [info.pid for info in family(parent) if info.state != "Z"]


def thread_switches(numbers):
    """{(pid, tid): switches so far, voluntary or not}."""
    found = {}
    for pid in numbers:
        for tid in procs.tasks(pid):
            try:
                with open("/proc/%d/task/%d/status" % (pid, tid),
                          encoding="latin-1") as file:
                    found[pid, tid] = sum(
                        int(count) for count in SWITCHES.findall(file.read()))
            except OSError:
                pass
    return found


def switches_since(before, now):
    return sum(count - before.get(key, 0) for key, count in now.items())


def pss_kb(parent):
    """Proportional set size of all processes of a server in KiB, without
    that of mapped files: how much of a library counts depends on who else
    on the machine has mapped it."""
    total = 0
    for pid in pids(parent):
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
            sizes = dict(re.findall(r"^(Pss\w*):\s+(\d+) kB", file.read(),
                                    re.M))
        total += int(sizes["Pss"]) - int(sizes.get("Pss_File", 0))
    return total


def cpu_seconds(info):
    """Processor time of a process, its ended threads included.  Its clock is
    finer than the ticks of /proc/PID/stat, which are too coarse for many
    processes that do little each."""
    try:
        return time.clock_gettime(~info.pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        return (info.utime + info.stime) / TICKS


def machine_seconds():
    """Processor time the whole machine has used, idle time left out."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


class Gauge:
    """What a server uses between two moments."""

    def __init__(self, parent):
        self.parent = parent
        self.switches = thread_switches(pids(parent))
        self.machine, self.clients = machine_seconds(), os.times()
        self.began = time.monotonic()
        self.cpu = self.cpu_now()

    def cpu_now(self):
        return sum(cpu_seconds(info) + info.reaped / TICKS
                   for info in family(self.parent))

    def read(self):
        """(processor seconds, context switches, part of the machine that
        others than this server and its clients took) since it was made."""
        cpu = self.cpu_now() - self.cpu
        machine = machine_seconds() - self.machine
        now, then = os.times(), self.clients
        clients = sum(now[:4]) - sum(then[:4])
        seconds = (time.monotonic() - self.began) * os.cpu_count()
        others = max(0.0, machine - cpu - clients) / max(seconds, 1e-3)
        switches = switches_since(self.switches,
                                  thread_switches(pids(self.parent)))
        return cpu, switches, others


# --- System calls -----------------------------------------------------------

def perf_works():
    """True if perf can count system calls here."""
    if not shutil.which("perf"):
        return False
    done = subprocess.run(
        ["perf", "stat", "-e", "syscalls:sys_enter_futex", "--", "true"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def count_calls(parent, names, command):
    """({event: count in the server, None: not counted}, the output of
    command) while command runs.  names are tracepoints of the group
    syscalls, each perhaps with a filter after a blank."""
    arguments = []
    for name in names:
        event, _, condition = name.partition(" ")
        arguments += ["-e", "syscalls:" + event]
        if condition:
            arguments += ["--filter", condition]
    with tempfile.NamedTemporaryFile("r", prefix="mpm-perf-") as result:
        done = subprocess.run(
            ["perf", "stat", "-x", ";", "-o", result.name, *arguments,
             "-p", ",".join(map(str, pids(parent))), "--", *command],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, check=False)
        lines = result.read().splitlines()
    if done.returncode != 0:
        raise RuntimeError("perf: %s" % done.stderr.strip()[-300:])
    found = []
    for line in lines:
        fields = line.split(";")
        if len(fields) > 2 and fields[2].startswith("syscalls:"):
            found.append(int(fields[0]) if fields[0].isdigit() else None)
    return dict(zip(names, found)), done.stdout


def strace_works():
    """True if strace can look at processes here."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(
        ["strace", "-qq", "-e", "trace=none", "true"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False).returncode == 0


def traced_accepts(parent, command):
    """(calls of accept, how many of them failed) in a server that strace
    slows down, so that its processes meet more often, while command runs."""
    with tempfile.NamedTemporaryFile("r", prefix="mpm-strace-") as result:
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-U", "name,calls,errors", "-e",
             "trace=accept,accept4", "-o", result.name, "-p",
             ",".join(map(str, pids(parent)))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: all_traced(parent, tracer), 20, "strace")
            subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        finally:
            tracer.terminate()
            tracer.communicate()
        lines = re.findall(r"^\s*accept4?\s+(\d+)\s+(\d*)\s*$",
                           result.read(), re.M)
    return (sum(int(calls) for calls, _ in lines),
            sum(int(errors or 0) for _, errors in lines))


def all_traced(parent, tracer):
    """True once strace is attached to every thread of a server."""
    if tracer.poll() is not None:
        raise RuntimeError("strace: " + tracer.stderr.read()[-300:])
    wanted = "TracerPid:\t%d\n" % tracer.pid
    for pid in pids(parent):
        for tid in procs.tasks(pid):
            with open("/proc/%d/task/%d/status" % (pid, tid),
                      encoding="latin-1") as file:
                if wanted not in file.read():
                    return False
    return True
