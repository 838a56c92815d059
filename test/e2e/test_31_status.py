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
"""mod_status and the scoreboard: all there, fresh, and true."""

import re

from harness import client, test, wait_until

KEYS = ["ServerVersion", "ServerMPM", "Server Built", "CurrentTime",
        "RestartTime", "ParentServerConfigGeneration",
        "ParentServerMPMGeneration", "ServerUptimeSeconds", "ServerUptime",
        "Load1", "Load5", "Load15", "Total Accesses", "Total kBytes",
        "Total Duration", "CPUUser", "CPUSystem", "CPUChildrenUser",
        "CPUChildrenSystem", "Uptime", "ReqPerSec", "BytesPerSec",
        "BytesPerReq", "DurationPerReq", "BusyWorkers", "GracefulWorkers",
        "IdleWorkers", "Processes", "Stopping", "ConnsTotal",
        "ConnsAsyncWaitIO", "ConnsAsyncWriting", "ConnsAsyncKeepAlive",
        "ConnsAsyncClosing", "Scoreboard"]

# Longer than the second in which counters have to be fresh.
SOON = 4

STATES = ("wait_io", "write_completion", "keep_alive", "lingering_close",
          "suspended")


def sums(s):
    """The counters of the scoreboard over all processes."""
    board = s.board()["processes"]
    return {name: sum(process[name] for process in board)
            for name in STATES + ("connections",)}


def expect(s, **wanted):
    """Wait until the counters are as wanted, and consistent."""
    def there():
        found = sums(s)
        return all(found[name] == value for name, value in wanted.items())
    wait_until(there, SOON, lambda: "%s, but %s" % (wanted, sums(s)))


def running(s):
    return sum(thread["status"] > 2 for process in s.board()["processes"]
               for thread in process["threads"])


@test(stock="pass", item="14.12 9.3 #48 #65", core=True)
def keys_of_the_machine_readable_page(t):
    s = t.server(threads=2, processes=2)
    wait_until(lambda: s.status()["ServerUptimeSeconds"] >= 1)
    text = s.get("/server-status?auto").text
    found = [line.partition(":")[0] for line in text.splitlines()
             if ": " in line]
    missing = [key for key in KEYS if key not in found]
    t.equal(missing, [], "missing keys")
    in_order = [key for key in found if key in KEYS]
    in_order = list(dict.fromkeys(in_order))
    asynchronous = KEYS[KEYS.index("Processes"):]
    t.equal([key for key in in_order if key in asynchronous], asynchronous,
            "order of the asynchronous part")
    for key in asynchronous:
        t.equal(found.count(key), 1, key)


@test(stock="pass", item="9.3 14.12")
def page_for_people(t):
    s = t.server(threads=2, processes=2)
    s.wait_children(2)
    text = s.get("/server-status").text
    for words in ("Server MPM: event", "Stopping", "accepting",
                  "Async connections", "keep-alive", "closing"):
        t.check(words in text, words)
    rows = re.findall(r"<tr><td>(\d+)</td><td>(\d+)</td><td>(\w+)", text)
    t.equal([(int(slot), stopping) for slot, _, stopping in rows],
            [(0, "no"), (1, "no")], "rows")
    t.equal({int(pid) for _, pid, _ in rows}, set(s.children()), "pids")


@test(stock="pass", item="9.3", needs="probe", core=True)
def busy_and_idle_workers(t):
    s = t.server(threads=4, processes=2, probe=True)
    s.wait_children(2)
    wait_until(lambda: s.status()["IdleWorkers"] == 7)
    slow = [s.conn() for _ in range(3)]
    for conn in slow:
        conn.request("/probe/sleep?ms=2500")
    wait_until(lambda: running(s) >= 3)

    def numbers():
        status = s.status()
        return (status["BusyWorkers"], status["IdleWorkers"],
                status["GracefulWorkers"])

    wait_until(lambda: numbers() == (4, 4, 0), 2, lambda: str(numbers()))
    text = s.status()["Scoreboard"]
    t.check(text.count("W") >= 4, text)
    for conn in slow:
        t.equal(conn.read_response().status, 200, "slow request")
    wait_until(lambda: numbers()[:2] == (1, 7))


@test(stock="fails: counters are refreshed when a timeout is due",
      item="14.12 9.1 12.9 #69", core=True)
def keepalive_counted_soon(t):
    s = t.server(threads=4, processes=1, keepalive_timeout=60)
    conns = [s.conn() for _ in range(7)]
    for conn in conns:
        conn.get("/")
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 7, SOON,
               lambda: "7 kept-alive connections: %s" % s.status())

    def open_now():
        status = s.status()
        return status["ConnsTotal"] - status["ConnsAsyncClosing"]

    wait_until(lambda: open_now() == 8, SOON, "with the one that asks")
    for conn in conns[:5]:
        conn.close()
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 2, SOON,
               lambda: "2 kept-alive connections: %s" % s.status())


@test(stock="fails: counters are refreshed when a timeout is due",
      item="14.12 9.1 12.9", needs="probe")
def every_state_counted_soon(t):
    s = t.server(threads=4, processes=1, keepalive_timeout=60, timeout=60,
                 probe="ProbeLines {port2}", modules="headers",
                 listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}",
                 conf="EnableSendfile On",
                 docs={"big": b"x" * 8000000})
    keepalive = [s.conn() for _ in range(3)]
    for conn in keepalive:
        conn.get("/")
    expect(s, keep_alive=3, connections=3)
    waiting = [s.conn(port=s.port2) for _ in range(2)]
    for conn in waiting:
        conn.send("ECHO here\n")
        t.equal(conn.read_line(), "here", "line")
    expect(s, wait_io=2, keep_alive=3, connections=5)
    writing = s.conn(rcvbuf=4096)
    writing.request("/big")
    writing.read_head()
    expect(s, write_completion=1, wait_io=2, keep_alive=3, connections=6)
    closing = s.conn()
    closing.get("/", headers={"Connection": "close"})
    expect(s, lingering_close=1, write_completion=1, wait_io=2, keep_alive=3,
           connections=7)
    suspended = s.conn()
    suspended.request("/probe/suspend?ms=4000")
    expect(s, suspended=1, connections=8)
    found = sums(s)
    t.check(sum(found[name] for name in STATES) <= found["connections"],
            "sum of the states: %s" % found)
    suspended.read_response()
    for conn in keepalive + waiting + [writing, closing, suspended]:
        conn.close()
    expect(s, connections=0, keep_alive=0, wait_io=0, write_completion=0,
           lingering_close=0, suspended=0)


@test(stock="pass", item="14.12 9.1", needs="probe")
def counters_return_to_zero(t):
    """After a crowd of every kind, clients that vanish included."""
    s = t.server(threads=4, processes=2, probe=True)
    for number in range(40):
        conn = s.conn()
        if number % 4 == 0:
            conn.get("/")
        elif number % 4 == 1:
            conn.get("/", headers={"Connection": "close"})
        elif number % 4 == 2:
            conn.request("/probe/stream?kb=100")
            conn.read_head()
        else:
            conn.send("GET / HT")
        if number % 3 == 0:
            conn.reset()
        else:
            conn.close()
    expect(s, connections=0, keep_alive=0, wait_io=0, write_completion=0,
           lingering_close=0, suspended=0)
    wait_until(lambda: running(s) == 0)


@test(stock="fails: counters are refreshed when a timeout is due",
      item="14.12 9.1", needs="probe")
def connections_of_a_busy_thread(t):
    """Counted while it works, and then no longer."""
    s = t.server(threads=4, processes=1, probe=True)
    conns = [s.conn() for _ in range(3)]
    for conn in conns:
        conn.request("/probe/sleep?ms=2500")
    wait_until(lambda: running(s) == 3)
    wait_until(lambda: s.status()["ConnsTotal"] >= 3, SOON)
    for conn in conns:
        t.equal(conn.read_response().status, 200, "response")
        conn.close()
    wait_until(lambda: s.status()["ConnsTotal"] <= 2, 10)


@test(stock="pass", item="9.2 #52 #43", needs="probe")
def accesses_are_counted(t):
    s = t.server(threads=3, processes=1, probe=True)

    def total():
        return sum(thread["access_count"] for process in
                   s.board()["processes"] for thread in process["threads"])

    before = total()
    with s.conn() as conn:
        for _ in range(10):
            conn.get("/")
    s.get("/")
    wait_until(lambda: total() == before + 11, SOON,
               lambda: "11 more accesses: %d" % (total() - before))
    text = s.get("/server-status").text
    t.check(re.search(r"\d+/\d*[1-9]\d*/\d*[1-9]\d*", text),
            "ACC column of somebody is not zero")


@test(stock="pass", item="9.2 5.2", needs="probe", core=True)
def every_thread_has_its_cell(t):
    s = t.server(threads=5, processes=2, probe=True,
                 mpm=dict(ThreadLimit=8))
    s.wait_children(2)

    def cells():
        return [(process, thread) for process in s.board()["processes"]
                for thread in process["threads"][:5]]

    wait_until(lambda: [thread["status"] for _, thread in cells()]
               == [2] * 10, what="ten ready threads")
    for process, thread in cells():
        t.equal(thread["pid"], process["pid"], "pid of a thread")
        t.equal(thread["tid"], 1, "thread handle is there")
        t.equal(thread["generation"], 0, "generation")
    t.equal(sorted(thread["thread_num"] for _, thread in cells()),
            sorted({thread["thread_num"] for _, thread in cells()}),
            "thread numbers differ")
    rest = [thread["status"] for process in s.board()["processes"]
            for thread in process["threads"][5:]]
    t.equal(set(rest), {0}, "cells beyond ThreadsPerChild")
    t.equal({process["bucket"] for process in s.board()["processes"]}, {0},
            "bucket is never used")
    for _ in range(20):
        s.get("/")
    wait_until(lambda: [thread["status"] for _, thread in cells()]
               == [2] * 10, what="ready again")


@test(stock="pass", item="9.1 5.3 9.3", needs="probe")
def quiescing_is_shown(t):
    s = t.server(threads=2, processes=1, max_processes=2, probe=True)
    conn = s.conn()
    conn.request("/probe/sleep?ms=2500")
    wait_until(lambda: running(s) == 1)
    old = s.children()[0]
    s.graceful()
    found = wait_until(lambda: [p for p in s.board()["processes"]
                                if p["pid"] == old])[0]
    wait_until(lambda: [p["quiescing"] for p in s.board()["processes"]
                        if p["pid"] == old] != [0])
    t.equal(found["generation"], 0, "its generation")
    wait_until(lambda: any(thread["status"] in (0, 9) for p in
                           s.board()["processes"] if p["pid"] == old
                           for thread in p["threads"]),
               what="its idle thread is graceful or gone")
    t.equal(conn.read_response().status, 200, "its request")
    s.wait_child_gone(old)
    wait_until(lambda: [p["quiescing"] for p in s.board()["processes"]]
               == [0])


@test(stock="pass", item="9.2 4.6 #27", needs="probe")
def cells_of_the_dead_are_cleared(t):
    s = t.server(threads=3, processes=2, probe=True)
    victim = s.wait_children(2)[0]
    s.signal("KILL", victim)
    wait_until(lambda: all(
        thread["pid"] != victim or thread["status"] == 0
        for process in s.board()["processes"]
        for thread in process["threads"])
        and victim not in [p["pid"] for p in s.board()["processes"]])
    s.wait_children(2)
    wait_until(lambda: sum(thread["status"] == 2 for process in
                           s.board()["processes"]
                           for thread in process["threads"]) == 6)


@test(stock="pass", item="9.2 #17 #26 #15", needs="probe")
def status_under_load(t):
    """Asked all the time, while connections park, move on and end."""
    s = t.server(threads=6, processes=2, probe=True, keepalive_timeout=1)
    load = client.Load(s.port, clients=3)
    short = client.Load(s.port, clients=2, keepalive=False)
    letters = set()
    for _ in range(60):
        status = s.status()
        letters |= set(status["Scoreboard"])
        t.check(status["BusyWorkers"] + status["IdleWorkers"] <= 12,
                "workers: %s" % status)
    counts = load.stop()
    t.equal((counts["lost"], counts["wrong"], counts["refused"]), (0, 0, 0),
            "load: %s" % load.notes)
    counts = short.stop()
    t.equal((counts["lost"], counts["wrong"], counts["refused"]), (0, 0, 0),
            "load: %s" % short.notes)
    t.check(letters <= set("_SRWKDCLGI."), "letters: %s" % letters)
