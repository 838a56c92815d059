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
"""procs: what /proc and the kernel say about processes.

Nothing here is specific to httpd.  Processes that a test starts, and all
that those start, stay its descendants (see become_subreaper), so they can
be found, and ended, without ever touching anybody else's.
"""

import ctypes
import os
import signal
import socket
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SYS_PIDFD_GETFD = 438


def become_subreaper():
    """Make orphans among my descendants my children, not init's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_with_parent():
    """Get a SIGTERM when the process that has forked me ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Stat:
    """The fields of /proc/PID/stat that tests ask for."""

    def __init__(self, pid):
        with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
            text = file.read()
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        self.pid = pid
        self.comm = head.partition("(")[2]
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.pgrp = int(fields[2])
        self.session = int(fields[3])
        self.utime = int(fields[11])
        self.stime = int(fields[12])
        self.reaped = int(fields[13]) + int(fields[14])  # ended children's
        self.num_threads = int(fields[17])


def stat(pid):
    """Stat of a process, or None if there is none (or only a zombie)."""
    try:
        found = Stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if found.state == "Z" else found


def alive(pid):
    """True while the process runs; a zombie does not."""
    return stat(pid) is not None


def exe(pid):
    """The path of the program a process runs, or None."""
    try:
        return os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return None


def cmdline(pid):
    """The arguments of a process, or []."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().decode("latin-1").split("\0")[:-1]
    except OSError:
        return []


def status_field(pid, name):
    """One line of /proc/PID/status by its name, or None."""
    try:
        with open("/proc/%d/status" % pid, encoding="latin-1") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return None


def tasks(pid):
    """The kernel's numbers of the threads of a process."""
    try:
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []


def switches(pid, tid):
    """How often a thread has gone to sleep of its own accord."""
    try:
        with open("/proc/%d/task/%d/status" % (pid, tid),
                  encoding="latin-1") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def rss_kb(pid):
    """Resident memory in KiB, 0 if the process is gone."""
    text = status_field(pid, "VmRSS")
    return int(text.split()[0]) if text else 0


def fds(pid):
    """{descriptor: what it points at} of a process, {} if it is gone."""
    found = {}
    try:
        for name in os.listdir("/proc/%d/fd" % pid):
            try:
                found[int(name)] = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                pass
    except OSError:
        pass
    return found


def sockets(pid):
    """{descriptor: inode} of the sockets of a process."""
    return {fd: int(what[8:-1]) for fd, what in fds(pid).items()
            if what.startswith("socket:[")}


def borrow_socket(pid, fd):
    """A socket object for a descriptor of another process, to ask it for its
    options; OSError if the system does not let us."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        own = libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if own < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=own)


def listeners(pid):
    """{descriptor: (inode, port)} of the listening TCP sockets."""
    ports = {}
    for name in ("tcp", "tcp6"):
        with open("/proc/net/" + name, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    ports[int(fields[9])] = int(fields[1].split(":")[1], 16)
    return {fd: (inode, ports[inode]) for fd, inode in sockets(pid).items()
            if inode in ports}


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Pids of the living children of a process, lowest first."""
    found = []
    for other in all_pids():
        info = stat(other)
        if info and info.ppid == pid:
            found.append(other)
    return sorted(found)


def descendants(pid):
    """Pids of all that a process started and what they started."""
    parents = {}
    for other in all_pids():
        info = stat(other)
        if info:
            parents.setdefault(info.ppid, []).append(other)
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def kill_descendants(pid, patience=5.0):
    """Kill whatever a process has started; returns the pids."""
    killed = set()
    end = time.monotonic() + patience
    while time.monotonic() < end:
        left = descendants(pid)
        if not left:
            break
        for other in left:
            try:
                os.kill(other, signal.SIGKILL)
                killed.add(other)
            except ProcessLookupError:
                pass
        reap_all()
        time.sleep(0.02)
    return sorted(killed)


def reap_all():
    """Collect every child that has ended and nobody waits for."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return
