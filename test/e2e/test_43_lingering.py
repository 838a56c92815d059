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
"""Lingering close: the client gets the whole answer, and not for ever."""

import threading
import time

import wire
from client import Task, together
from common import md5, pattern, serve
from harness import test, wait_until


def close_request(s, path="/"):
    """A connection whose only response, read, said Connection: close."""
    conn = s.conn(timeout=20)
    response = conn.get(path, headers={"Connection": "close"})
    if response.status != 200 or response.keepalive:
        raise AssertionError(response)
    return conn


def let_go(s, *conns, timeout=10, what="the server lets go"):
    """Wait until the server has closed its end of these connections."""
    peers = [conn.local_port for conn in conns]
    wait_until(lambda: not wire.held(s.port, peers), timeout, what)


@test(stock="pass", item="6.6 #54", core=True)
def early_answer_reaches_a_busy_sender(t):
    s = serve(t, threads=3, timeout=20, conf="LimitRequestBody 1000")
    for _ in range(5):
        conn = s.conn(timeout=20)
        conn.request("/", method="POST", headers={
            "Content-Length": str(4 << 20)})
        for _ in range(64):
            conn.send(bytes(65536))
        response = conn.read_response()
        t.equal(response.status, 413, "answer")
        t.equal(conn.wait_closed(), "eof", "then")


@test(stock="pass", item="6.6 #54")
def no_reset_while_the_client_still_sends(t):
    s = serve(t, threads=3, timeout=20)
    conn = close_request(s)
    t.equal(conn.wait_closed(), "eof", "the server's FIN")
    for _ in range(10):
        conn.send(bytes(8192))
        time.sleep(0.05)
    t.check(wire.state(s.port, conn.local_port) == "FIN_WAIT2",
            "still listening to the client")
    conn.close()
    let_go(s, conn)


@test(stock="pass", item="6.6", core=True)
def client_that_closes_ends_it(t):
    s = serve(t, threads=3, timeout=60)
    for leave in ("close", "reset"):
        conns = [close_request(s) for _ in range(20)]
        for conn in conns:
            getattr(conn, leave)()
        let_go(s, *conns, what="over at once after " + leave)
    half = close_request(s)
    half.shutdown_write()
    let_go(s, half, what="over at once after a FIN")


@test(stock="pass", item="6.6")
def whole_answer_before_the_close(t):
    body = pattern(5 << 20)
    for sendfile in ("On", "Off"):
        s = serve(t, threads=4, timeout=20, docs={"big": body},
                  conf="EnableSendfile " + sendfile)

        def fetch(number):
            conn = s.conn(rcvbuf=32768, timeout=20)
            conn.request("/big", headers={"Connection": "close"})
            conn.send(b"noise after the request" * 100)
            data = conn.read_response().body
            return md5(data), conn.wait_closed()
        for got, end in together(4, fetch):
            t.equal(got, md5(body), "body, sendfile " + sendfile)
            t.equal(end, "eof", "end")


@test(stock="pass", item="7 #4", core=True)
def not_counted_against_new_connections(t):
    s = serve(t, threads=2, timeout=20, mpm={"AsyncRequestWorkerFactor": 1})
    lingering = [close_request(s) for _ in range(20)]
    for _ in range(5):
        t.equal(s.get("/").status, 200, "new client")
    peers = [conn.local_port for conn in lingering]
    t.equal(wire.held(s.port, peers), 20, "lingering meanwhile")


@test(stock="fails: its counters stand still while nothing expires",
      item="9.1 14.12")
def counted_while_they_linger(t):
    s = serve(t, threads=4, timeout=20)
    conns = [close_request(s) for _ in range(3)]
    wait_until(lambda: s.status()["ConnsAsyncClosing"] >= 3, 10, "counted")
    for conn in conns:
        conn.close()
    # What is left is the connection that asks.
    wait_until(lambda: s.status()["ConnsTotal"] <= 2, 10, "gone")


@test(stock="pass", item="6.6")
def short_after_the_keepalive_timeout(t):
    s = serve(t, threads=3, timeout=60, keepalive_timeout=1)
    conns = []
    for _ in range(5):
        conns.append(s.conn())
        t.equal(conns[-1].get("/").status, 200, "request")
    for conn in conns:
        t.equal(conn.wait_closed(), "eof", "at the timeout")
    # The client neither sends nor closes; an unshortened linger is 30 s.
    let_go(s, *conns, timeout=12)


@test(stock="pass", item="6.6", needs="probe")
def short_when_a_module_asks(t):
    s = serve(t, threads=3, timeout=60, probe=True)
    conn = s.conn()
    t.equal(conn.get("/probe/short").status, 200, "request")
    t.equal(conn.wait_closed(), "eof", "FIN")
    let_go(s, conn, timeout=12)


@test(stock="pass", item="6.6", timeout=90)
def silent_client_is_left_in_the_end(t):
    if not t.long:
        t.skip("takes 30 s: --long")
    s = serve(t, threads=3, timeout=60)
    silent, trickling = close_request(s), close_request(s)
    started = time.monotonic()

    def over():
        try:
            trickling.send(b"x")
        except OSError:
            pass
        return not wire.held(s.port)
    wait_until(over, 60, "both left", interval=0.5)
    t.check(time.monotonic() - started >= 2, "given time to close")
    silent.close()


@test(stock="pass", item="6.6 5.3 #58")
def short_while_the_process_stops(t):
    s = serve(t, threads=3, timeout=60)
    conns = [close_request(s) for _ in range(3)]
    old = s.children()
    s.graceful()
    for pid in old:
        s.wait_child_gone(pid, 15)
    t.equal(conns[0].wait_closed(), "eof", "first connection")


@test(stock="pass", item="6.6 5.3")
def stop_does_not_wait_for_it(t):
    s = serve(t, threads=3, timeout=60)
    conns = [close_request(s) for _ in range(3)]
    children = s.children()
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 8, "a child had to be asked again")
    for pid in children:
        s.wait_child_gone(pid, 5)
    t.equal(len(conns), 3)


@test(stock="fails: resumes twice, or resets, a client that goes on sending",
      item="14.8 6.8 6.6", needs="probe")
def hops_are_balanced(t):
    s = serve(t, threads=3, timeout=20, keepalive_timeout=1,
              probe="ProbeTrace on")
    conns = [close_request(s) for _ in range(6)]
    kept = s.conn()
    kept.get("/")
    for conn in conns[:2]:
        conn.close()
    for conn in conns[2:4]:
        conn.reset()
    for _ in range(4):
        for conn in conns[4:]:
            conn.send(b"more")
        time.sleep(0.05)
    for conn in conns[4:]:
        conn.shutdown_write()
    t.equal(kept.wait_closed(), "eof", "kept-alive one timed out")
    kept.close()
    ends = s.wait_event("conn_end", count=7, timeout=20)
    for end in ends:
        t.equal(end["suspends"], end["resumes"], "hops of %s, %s"
                % (end, s.probe_events(peer=end["peer"])))
    closes = [event["peer"] for event in s.probe_events("pre_close")]
    t.equal(len(closes), len(set(closes)), "pre_close_connection runs: %s"
            % closes)
    t.equal(set(closes), {event["peer"] for event in ends}, "closed")


@test(stock="fails: resumes twice, or resets, a client that goes on sending",
      item="14.8 6.8 6.6", needs="probe")
def many_at_a_time_that_leave_or_stay(t):
    s = serve(t, threads=4, timeout=20, probe="ProbeTrace on")
    many = 60
    conns = [s.conn(timeout=20) for _ in range(many)]

    def ask(number):
        conn = conns[number]
        response = conn.get("/", headers={"Connection": "close"})
        if number % 3 == 0:
            conn.close()
        return response.status
    t.equal(together(many, ask), [200] * many, "answers")
    stay = [conn for number, conn in enumerate(conns) if number % 3 == 1]
    half = [conn for number, conn in enumerate(conns) if number % 3 == 2]
    for conn in stay + half:
        t.equal(conn.wait_closed(), "eof", "the server's FIN")
    for conn in half:
        conn.shutdown_write()
    let_go(s, *half, what="who has closed is let go")
    # Read and forgotten, as for any that lingers, and more than fits into
    # buffers: no reset, and no end of reading.
    for conn in stay[:3]:
        conn.send(bytes(16 << 20))
    for conn in stay:
        conn.send(b"more")
    peers = [conn.local_port for conn in stay]
    t.equal(wire.held(s.port, peers), len(stay), "lingering")
    for conn in stay:
        conn.close()
    let_go(s, *stay)
    ends = s.wait_event("conn_end", count=many, timeout=20)
    for end in ends:
        t.equal(end["suspends"], end["resumes"], "hops of %s" % end)


@test(stock="pass", item="6.6 #7 #38", needs="probe", core=True)
def closing_blocks_nobody(t):
    # Clients that read nothing while the server wants to flush and close:
    # that may hold threads, but never him who accepts.
    s = serve(t, threads=4, timeout=20, probe=True)
    stuck = []
    for _ in range(2):
        stuck.append(s.conn(rcvbuf=4096))
        stuck[-1].request("/probe/stream?kb=20000",
                          headers={"Connection": "close"})
    for _ in range(20):
        t.equal(s.get("/").status, 200, "beside them")
    for conn in stuck:
        conn.reset()
    wait_until(lambda: not wire.held(s.port), 20, "connections over")


@test(stock="pass", item="6.6 #46")
def many_closings_starve_no_request(t):
    s = serve(t, threads=3, timeout=20, keepalive_timeout=1,
              mpm={"AsyncRequestWorkerFactor": 200})
    conns = []
    for _ in range(300):
        conns.append(s.conn(timeout=20))
        t.equal(conns[-1].get("/").status, 200, "request")

    for conn in conns:
        t.equal(conn.wait_closed(20), "eof", "at the timeout")
    # Every byte of a client that lingers makes work, but no urgent work.
    over = threading.Event()

    def flood():
        while not over.is_set():
            for conn in conns:
                try:
                    conn.send(b"x")
                except OSError:
                    pass
    flooding = Task(flood)
    for _ in range(100):
        t.equal(s.get("/").status, 200, "beside them")
    over.set()
    flooding.join(60)
    let_go(s, *conns, timeout=20)
