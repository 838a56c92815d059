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
"""Stopping: at once, gracefully, and the one after the other."""

import os
import time

from harness import client, procs, test, wait_until

STUCK = "AH0004[567]:"


def blocked_download(s, kb=20000):
    """A client that reads the head of a big response and nothing else."""
    conn = s.conn(rcvbuf=4096)
    conn.request("/probe/stream?kb=%d" % kb)
    t_head = conn.read_head()
    assert t_head.status == 200
    return conn


def stopped_cleanly(t, s, code):
    t.equal(code, 0, "exit code")
    t.check(not os.path.exists(s.pid_file), "the pid file is gone")
    t.equal(s.log_lines(STUCK), [], "children that did not end by themselves")


@test(stock="pass", item="14.5 4.3 13", core=True)
def term_when_idle(t):
    s = t.server(threads=3, processes=3)
    s.wait_children(3)
    conns = [s.conn() for _ in range(5)]
    for conn in conns:
        conn.get("/")
    mark = s.mark()
    stopped_cleanly(t, s, s.stop())
    t.equal(s.log_ids(since=mark)[-2:], ["AH00096", "AH00491"], "messages")
    t.check("AH00491: caught SIGTERM, shutting down" in s.log(), "words")
    for conn in conns:
        t.check(conn.wait_closed(), "kept-alive connection closed")


@test(stock="pass", item="4.2")
def int_is_like_term(t):
    s = t.server(threads=2)
    s.signal("INT")
    stopped_cleanly(t, s, s.wait_gone())
    t.equal(len(s.log_lines("AH00491:")), 1, "AH00491")


@test(stock="fails: a thread blocked in a write is killed after 9 s",
      item="14.5 12.12", needs="probe", core=True)
def term_with_a_blocked_download(t):
    s = t.server(threads=2, probe=True)
    conn = blocked_download(s)
    stopped_cleanly(t, s, s.stop())
    t.check(conn.wait_closed(), "download cut")


@test(stock="fails: a thread blocked in a read is killed after 9 s",
      item="14.5 12.12")
def term_with_a_half_sent_request(t):
    s = t.server(threads=3)
    conns = [s.conn() for _ in range(2)]
    for conn in conns:
        conn.send("GET / HTTP/1.1\r\nHost: a")
    time.sleep(0.2)
    stopped_cleanly(t, s, s.stop())
    for conn in conns:
        t.check(conn.wait_closed(), "connection closed")


@test(stock="fails: the second signal is not heard", item="14.5 12.11",
      needs="probe")
def term_after_winch(t):
    s = t.server(threads=2, probe=True)
    conn = blocked_download(s)
    s.signal("WINCH")
    s.wait_log("AH00492:")
    t.check(not s.gone(), "waits for the download")
    stopped_cleanly(t, s, s.stop())
    t.check(conn.wait_closed(), "download cut")


@test(stock="fails: the second signal is not heard", item="14.5 12.11",
      needs="probe")
def term_after_usr1(t):
    """A child of the generation before does not hold up the stop."""
    s = t.server(threads=2, max_processes=2, probe=True)
    conn = blocked_download(s)
    s.graceful()
    t.equal(s.get("/").status, 200, "the next generation serves")
    stopped_cleanly(t, s, s.stop())
    t.check(conn.wait_closed(), "download cut")


@test(stock="fails: the second signal is not heard", item="12.11 4.5",
      needs="probe")
def hup_after_usr1(t):
    """HUP ends the generation that was allowed to finish."""
    s = t.server(threads=2, max_processes=2, probe=True)
    conn = blocked_download(s)
    old = s.children()[0]
    s.graceful()
    t.check(procs.alive(old), "the old child waits for the download")
    s.restart()
    t.check(not procs.alive(old), "the old child is gone")
    t.check(conn.wait_closed(), "download cut")
    t.equal(s.get("/").status, 200, "served")
    stopped_cleanly(t, s, s.stop())


@test(stock="pass", item="4.4 5.3 13", needs="probe", core=True)
def graceful_stop_finishes_what_runs(t):
    s = t.server(threads=4, processes=2, probe=True)
    slow = s.conn()
    slow.request("/probe/sleep?ms=1500")
    idle = s.conn()
    idle.get("/")
    busy(s, 1)
    s.signal("WINCH")
    s.wait_log("AH00492:")
    t.check(not os.path.exists(s.pid_file), "the pid file is gone at once")
    t.check(not s.gone(), "the parent waits")
    wait_until(lambda: refused(s.port), what="nobody listens")
    response = slow.read_response()
    t.equal((response.status, response.keepalive), (200, False), "response")
    t.equal(slow.wait_closed(), "eof", "end of its connection")
    t.equal(idle.wait_closed(), "eof", "end of the idle connection")
    stopped_cleanly(t, s, s.wait_gone())
    t.check("AH00492: caught SIGWINCH, shutting down gracefully" in s.log(),
            "words")


def busy(s, count):
    """Wait until count threads are at work."""
    wait_until(lambda: sum(thread["status"] > 2
                           for process in s.board()["processes"]
                           for thread in process["threads"]) >= count,
               what="%d busy threads" % count)


def refused(port):
    try:
        client.Conn(port).close()
        return False
    except ConnectionRefusedError:
        return True


@test(stock="pass", item="4.4 #43", needs="probe")
def graceful_stop_finishes_a_download(t):
    s = t.server(threads=2, probe=True)
    conn = blocked_download(s, kb=4000)
    s.signal("WINCH")
    s.wait_log("AH00492:")
    t.equal(len(conn.read_exactly(4000 * 1024)), 4000 * 1024, "the rest")
    conn.close()
    stopped_cleanly(t, s, s.wait_gone())


@test(stock="pass", item="5.3")
def graceful_stop_serves_a_half_sent_request(t):
    s = t.server(threads=2)
    conn = s.conn()
    conn.send("GET / HTTP/1.1\r\nHost: loc")

    def is_waited_for():
        """By a worker, beside the one that answers this, or without one."""
        status = s.status()
        return (status["BusyWorkers"] >= 2
                or status.get("MpmHeadsWaiting", 0) >= 1)

    wait_until(is_waited_for)
    s.signal("WINCH")
    s.wait_log("AH00492:")
    wait_until(lambda: refused(s.port), what="nobody listens")
    conn.send("alhost\r\n\r\n")
    response = conn.read_response()
    t.equal((response.status, response.keepalive), (200, False), "response")
    stopped_cleanly(t, s, s.wait_gone())


@test(stock="pass", item="4.4 #58", core=True)
def graceful_stop_when_idle(t):
    """Idle connections hold it up for what is left of KeepAliveTimeout at
    most (with stock: not at all)."""
    s = t.server(threads=3, processes=2, keepalive_timeout=2)
    conns = [s.conn() for _ in range(4)]
    for conn in conns:
        conn.get("/")
    lingering = s.conn()
    lingering.get("/", headers={"Connection": "close"})
    stopped_cleanly(t, s, s.graceful_stop())
    for conn in conns:
        t.equal(conn.wait_closed(), "eof", "kept-alive connection")


@test(stock="fails: children that did not finish in time are killed",
      item="14.5 4.4", needs="probe")
def graceful_shutdown_timeout(t):
    s = t.server(threads=2, probe=True, conf="GracefulShutdownTimeout 2")
    conn = blocked_download(s)
    start = time.monotonic()
    code = s.graceful_stop(8)
    t.check(time.monotonic() - start > 1, "waited for the download")
    stopped_cleanly(t, s, code)
    t.check(conn.wait_closed(), "download cut")


@test(stock="pass", item="14.5 4.4", needs="probe")
def graceful_shutdown_timeout_ends_at_last(t):
    """The same, and however the children have to be ended."""
    s = t.server(threads=2, probe=True, conf="GracefulShutdownTimeout 2")
    s.expect("AH00046:")
    blocked_download(s)
    t.equal(s.graceful_stop(20), 0, "exit code")


@test(stock="pass", item="4.2")
def stop_wins_over_restart(t):
    s = t.server(threads=2, processes=2)
    for name in ("USR1", "HUP", "TERM", "USR1", "HUP"):
        try:
            s.signal(name)
        except ProcessLookupError:
            break
    stopped_cleanly(t, s, s.wait_gone())
    t.equal(len(s.log_lines("AH00491:")), 1, "AH00491")


@test(stock="pass", item="12.22", needs="probe")
def term_while_the_configuration_is_read(t):
    s = t.server(threads=2, probe="ProbeConfigSleep 1500")
    mark = s.mark()
    s.signal("HUP")
    s.wait_log("AH00494:", since=mark)
    s.wait_event("query", 3, stage="post_config")
    s.signal("TERM")
    t.equal(s.wait_gone(), 0, "exit code")


@test(stock="fails: the TERM is forgotten when the configuration is read",
      item="12.22", needs="probe")
def term_while_hup_ends_children(t):
    s = t.server(threads=2, probe=True)
    conn = s.conn()
    conn.request("/probe/sleep?ms=2500")
    busy(s, 1)
    s.signal("HUP")
    s.wait_event("child_stopping")
    s.signal("TERM")
    t.equal(s.wait_gone(), 0, "exit code")


@test(stock="fails: children serve on when their parent is dead",
      item="12.26 4.10", needs="probe")
def children_end_with_their_parent(t):
    s = t.server(threads=2, processes=2, probe=True)
    pids = s.wait_children(2)
    conn = s.conn()
    conn.request("/probe/sleep?ms=1000")
    busy(s, 1)
    s.signal("KILL")
    s.wait_gone()
    t.equal(conn.read_response().status, 200, "the running request")
    for pid in pids:
        s.wait_child_gone(pid, 15)
