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
"""scenarios: what is measured.

Each function is called in a process of its own with t (see harness.py of
the end-to-end tests), the name of the server and the size of the run; it
returns {figure: value}, None for what cannot be measured here.
"""

import os
import statistics
import subprocess
import sys
import time

import contestants
import drivers
import gauges
from contestants import Setup

CALLS = {
    "futex calls/request": ["sys_enter_futex"],
    "epoll_ctl calls/request": ["sys_enter_epoll_ctl"],
    "epoll_wait calls/request": ["sys_enter_epoll_wait",
                                 "sys_enter_epoll_pwait"],
    "read calls/request": ["sys_enter_read"],
}
FAILED_ACCEPT = "sys_exit_accept4 ret == -11"
FAILED = "failed accepts/conn."
ANY_ACCEPT = "sys_exit_accept4 ret >= 0"


def url(s, path, tls=False):
    return "%s://127.0.0.1:%d/%s" % ("https" if tls else "http",
                                     s.tls_port if tls else s.port, path)


def under_load(s, load):
    """The figures of a server while load() makes requests."""
    gauge = gauges.Gauge(s.pid)
    found = load()
    cpu, switches, others = gauge.read()
    count = found.pop("requests")
    found["CPU us/request"] = 1e6 * cpu / count
    found["switches/request"] = switches / count
    found["others"] = others
    return found


def keepalive(t, name, connections, seconds=3, path="1k.html", tls=False,
              close=False, calls=False):
    s = contestants.start(t, name, Setup(tls=tls))
    headers = ["Connection: close"] if close else []
    target = url(s, path, tls)
    found = under_load(s, lambda: drivers.wrk(target, connections, seconds,
                                              headers))
    if calls:
        found.update(system_calls(s, drivers.wrk_command(
            target, connections, 1)))
    return found


def system_calls(s, command):
    """Selected system calls per request, in a run of its own."""
    if not gauges.perf_works():
        return dict.fromkeys(CALLS)
    names = [name for group in CALLS.values() for name in group]
    counts, output = gauges.count_calls(s.pid, names, command)
    requests = drivers.parse_wrk(output)["requests"]
    return {figure: sum(counts[name] or 0 for name in group) / requests
            for figure, group in CALLS.items()}


def http2(t, name, connections, streams, seconds=3):
    s = contestants.start(t, name, Setup(http2=True))
    return under_load(s, lambda: drivers.h2load(
        url(s, "1k.html"), connections, streams, seconds))


ONE = dict(processes=1, single=True, keepalive=300)


def mixed(t, name, idle, connections, seconds=3):
    """Few active connections beside many idle ones."""
    s = contestants.start(t, name, Setup(**ONE))
    kept = drivers.idle_clients(s.port, idle, "/1k.html")
    time.sleep(1)
    found = under_load(s, lambda: drivers.wrk(
        url(s, "1k.html"), connections, seconds))
    found["idle ones closed"] = closed_count(kept)
    return found


def closed_count(clients):
    """How many connections the server has ended."""
    count = 0
    for one in clients:
        one.sock.setblocking(False)
        try:
            count += one.sock.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def memory(t, name, connections, tls=False, wait=5):
    """Memory per idle connection."""
    s = contestants.start(t, name, Setup(tls=tls, **ONE))
    port = s.tls_port if tls else s.port
    drivers.idle_clients(port, 1, "/1k.html", tls)[0].close()
    time.sleep(1)
    before = gauges.pss_kb(s.pid)
    kept = drivers.idle_clients(port, connections, "/1k.html", tls)
    time.sleep(wait)
    return {"KB/connection": (gauges.pss_kb(s.pid) - before) / len(kept)}


def memory_kept(t, name, connections, wait=10):
    """Memory not given back when connections have been closed."""
    s = contestants.start(t, name, Setup(**ONE))
    drivers.idle_clients(s.port, 1, "/1k.html")[0].close()
    time.sleep(1)
    before = gauges.pss_kb(s.pid)
    for one in drivers.idle_clients(s.port, connections, "/1k.html"):
        one.close()
    time.sleep(wait)
    return {"MB kept": (gauges.pss_kb(s.pid) - before) / 1024}


def backend(t, name, connections, microseconds, seconds=3):
    """Requests that each wait for a backend for a moment."""
    s = contestants.start(t, name, Setup(probe=True))
    return under_load(s, lambda: drivers.wrk(
        url(s, "probe/sleep?us=%d" % microseconds), connections, seconds))


def some_backend(t, name, every, connections, microseconds, seconds=3):
    """Small files, but one request in so many waits for a backend."""
    s = contestants.start(t, name, Setup(probe=True))
    return under_load(s, lambda: drivers.wrk_one_in(
        url(s, "1k.html"), every, "/probe/sleep?us=%d" % microseconds,
        connections, seconds))


def slow_beside_fast(t, name, slow, connections, seconds=3):
    """Requests that sleep for a second beside fast ones."""
    s = contestants.start(t, name, Setup(processes=4, probe=True))
    sleepers = subprocess.Popen(
        drivers.wrk_command(url(s, "probe/sleep?ms=1000"), slow,
                            seconds + 2),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    found = under_load(s, lambda: drivers.wrk(
        url(s, "1k.html"), connections, seconds))
    sleepers.wait(30)
    return found


def burst(t, name, requests, fresh, times=10):
    """Requests for a handler of 100 ms that all come at once."""
    s = contestants.start(t, name, Setup(probe=True))
    waits, ends = drivers.burst(s.port, requests, "/probe/sleep?ms=100",
                                times, fresh)
    return {"last to begin waits, ms": statistics.median(waits),
            "in the worst burst, ms": max(waits),
            "all answered, ms": statistics.median(ends)}


def failed_accepts(t, name, children, connections=100):
    """accept(2) that finds nothing, with idle children and single clients
    that come slowly."""
    s = contestants.start(t, name, Setup(processes=children,
                                         prefork=children))
    time.sleep(1)
    clients = [sys.executable, os.path.abspath(drivers.__file__),
               str(s.port), str(connections)]
    found = {FAILED: None, FAILED + ", strace": None}
    if gauges.perf_works():
        counts, _ = gauges.count_calls(s.pid, [FAILED_ACCEPT, ANY_ACCEPT],
                                       clients)
        found[FAILED] = counts[FAILED_ACCEPT] / counts[ANY_ACCEPT]
    if gauges.strace_works():
        calls, errors = gauges.traced_accepts(s.pid, clients)
        found[FAILED + ", strace"] = errors / (calls - errors)
    return found


def idle(t, name, seconds=5):
    """What a server does that has nothing to do."""
    s = contestants.start(t, name, Setup())
    drivers.idle_clients(s.port, 1, "/1k.html")[0].close()
    time.sleep(3)
    pids = gauges.pids(s.pid)
    before = gauges.thread_switches(pids)
    began = time.monotonic()
    time.sleep(seconds)
    now = gauges.thread_switches(pids)
    seconds = time.monotonic() - began
    parent = sum(count - before.get(key, 0) for key, count in now.items()
                 if key[0] == s.pid)
    rest = gauges.switches_since(before, now) - parent
    return {"wake-ups/s/child": rest / seconds / max(len(pids) - 1, 1),
            "wake-ups/s of the parent": parent / seconds}


SHORT = dict(seconds=1)
HTTPD = contestants.HTTPD
EVENT = ("ours", "vs", "stock")
PARKING = EVENT + ("nginx",)

# (name, function, full size, what --quick changes, servers it is for)
TABLE = [
    ("keep-alive 1", keepalive, dict(connections=1), SHORT, None),
    ("keep-alive 8", keepalive, dict(connections=8), SHORT, None),
    ("keep-alive 64", keepalive, dict(connections=64, calls=True), SHORT,
     None),
    ("keep-alive 256", keepalive, dict(connections=256), SHORT, None),
    ("keep-alive 500", keepalive, dict(connections=500), SHORT, None),
    ("new connections 64", keepalive, dict(connections=64, close=True),
     SHORT, None),
    ("TLS keep-alive 64", keepalive, dict(connections=64, tls=True), SHORT,
     None),
    ("HTTP/2 32 x 16", http2, dict(connections=32, streams=16), SHORT,
     ("ours", "vs", "stock", "worker", "nginx")),
    ("100 KB file 64", keepalive, dict(connections=64, path="100k.bin"),
     SHORT, None),
    ("10 MB file 16", keepalive, dict(connections=16, path="10m.bin"), SHORT,
     None),
    ("mixed: 16 beside idle ones", mixed, dict(idle=10000, connections=16),
     dict(idle=2000, seconds=1), PARKING),
    ("memory, idle", memory, dict(connections=5000),
     dict(connections=1000, wait=2), PARKING),
    ("memory, idle TLS", memory, dict(connections=1000, tls=True),
     dict(connections=300, wait=2), PARKING),
    ("memory, closed again", memory_kept, dict(connections=10000),
     dict(connections=2000, wait=3), PARKING),
    ("backend of 300 us, 16", backend,
     dict(connections=16, microseconds=300), SHORT, HTTPD),
    ("backend of 300 us, 64", backend,
     dict(connections=64, microseconds=300), SHORT, HTTPD),
    ("backend of 5 ms, 64", backend,
     dict(connections=64, microseconds=5000), SHORT, HTTPD),
    ("backend of 5 ms for one in ten, 16", some_backend,
     dict(every=10, connections=16, microseconds=5000), SHORT, HTTPD),
    ("backend of 5 ms for one in ten, 64", some_backend,
     dict(every=10, connections=64, microseconds=5000), SHORT, HTTPD),
    ("16 beside 100 that sleep", slow_beside_fast,
     dict(slow=100, connections=16), SHORT, HTTPD),
    ("burst of 64, kept alive", burst,
     dict(requests=64, fresh=False), dict(times=4), HTTPD),
    ("burst of 64, new", burst, dict(requests=64, fresh=True),
     dict(times=4), HTTPD),
    ("accept, 1 child", failed_accepts, dict(children=1),
     dict(connections=30), None),
    ("accept, 4 children", failed_accepts, dict(children=4),
     dict(connections=30), None),
    ("accept, 16 children", failed_accepts, dict(children=16),
     dict(connections=30), None),
    ("idle server", idle, {}, dict(seconds=2), None),
]

# The programs each function needs.
TOOLS = {keepalive: ["wrk"], mixed: ["wrk"], slow_beside_fast: ["wrk"],
         backend: ["wrk"], some_backend: ["wrk"],
         http2: ["h2load"]}
# Those that need the probe module.
WITH_PROBE = (backend, some_backend, slow_beside_fast, burst)
