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
"""Suspended requests: held by a module, finished by a timed callback."""

import time

import wire
from common import md5, pattern, serve
from harness import test, wait_until

# Stock leaves alone for ever what was suspended once.
STUCK = "fails: never looks again at a connection that was suspended"


def suspend(ms, flush=1):
    return "/probe/suspend?ms=%d&flush=%d" % (ms, flush)


@test(stock="fails: never looks again at a suspended connection, and looks "
      "at its timers late", item="6.8 14.13", needs="dialup", core=True)
def dialup_answers_the_second_request(t):
    body = pattern(15000)
    s = serve(t, threads=3, modules="dialup", timeout=20,
              docs={"slow/a": body},
              conf='<Location "/slow">\nModemStandard "V.92"\n</Location>')
    conn = s.conn(timeout=20)
    t.equal(md5(conn.get("/slow/a").body), md5(body), "slow answer")
    t.equal(conn.get("/").body, b"It serves.\n", "second request")
    t.equal(md5(conn.get("/slow/a").body), md5(body), "slow answer again")
    t.equal(s.get("/").status, 200, "others")


@test(stock=STUCK, item="6.8 14.13", needs="probe", core=True)
def next_request_is_answered(t):
    s = serve(t, threads=3, probe="ProbeTrace on", keepalive_timeout=20)
    for flush in (1, 0):
        conn = s.conn()
        for _ in range(3):
            t.equal(conn.get(suspend(50, flush)).text, "suspended\n",
                    "answer, flush %d" % flush)
            t.equal(conn.get("/").status, 200, "next request")
        conn.close()
        end = s.wait_event("conn_end", peer=conn.local_port)[0]
        t.equal(end["suspends"], end["resumes"], "hops")


@test(stock=STUCK, item="6.8", needs="probe", core=True)
def suspended_requests_hold_no_thread(t):
    s = serve(t, threads=3, probe=True, keepalive_timeout=20,
              mpm={"AsyncRequestWorkerFactor": 20})
    conns = [s.conn() for _ in range(20)]
    for conn in conns:
        conn.request(suspend(1500))
    for _ in range(5):
        t.equal(s.get("/").status, 200, "a client beside them")
    for conn in conns:
        t.equal(conn.read_response().text, "suspended\n", "answer")
        t.equal(conn.get("/").status, 200, "next request")


@test(stock=STUCK, item="6.8", needs="probe")
def is_over_when_it_shall_be(t):
    s = serve(t, threads=3, probe="ProbeTrace on", timeout=20,
              keepalive_timeout=1)
    conns = {}
    for what, kwargs in (("close", {"headers": {"Connection": "close"}}),
                         ("keep-alive timeout", {}),
                         ("HTTP/1.0", {"version": "HTTP/1.0"})):
        conns[what] = s.conn()
        conns[what].request(suspend(50), **kwargs)
    for what, conn in conns.items():
        t.equal(conn.read_response().text, "suspended\n", what)
        t.equal(conn.wait_closed(10), "eof", what)
        conn.close()
        end = s.wait_event("conn_end", peer=conn.local_port)[0]
        t.equal(end["suspends"], end["resumes"], "hops, " + what)
    wait_until(lambda: not wire.held(s.port), 10, "connections over")


@test(stock=STUCK, item="6.8 6.5", needs="probe")
def pipelined_behind_it(t):
    s = serve(t, threads=3, probe=True, keepalive_timeout=20,
              docs={"a": b"first\n"})
    conn = s.conn()
    conn.send(b"".join(conn.format(path) for path in
                       ("/a", suspend(100), "/a", suspend(0), "/a")))
    bodies = [conn.read_response().body for _ in range(5)]
    t.equal(bodies, [b"first\n", b"suspended\n"] * 2 + [b"first\n"],
            "answers in order")


@test(stock=STUCK, item="6.8", needs="probe")
def client_that_leaves_meanwhile(t):
    s = serve(t, threads=3, probe=True)
    children = s.children()
    for leave in ("close", "reset", "shutdown_write"):
        conns = [s.conn() for _ in range(5)]
        for conn in conns:
            conn.request(suspend(300))
        time.sleep(0.1)
        for conn in conns:
            getattr(conn, leave)()
        if leave == "shutdown_write":
            for conn in conns:
                t.equal(conn.read_response().text, "suspended\n", leave)
                conn.close()
        wait_until(lambda: not wire.held(s.port), 10, "over after " + leave)
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="fails: its counters stand still while nothing expires",
      item="9.1", needs="probe")
def counted_while_suspended(t):
    s = serve(t, threads=3, probe=True, mpm={"AsyncRequestWorkerFactor": 9})
    conns = [s.conn() for _ in range(6)]
    for conn in conns:
        conn.request(suspend(3000))
    wait_until(lambda: s.board_sum("suspended") == 6, 10, "counted")
    t.check(s.board_sum("connections") >= 6, "and as connections")
    wait_until(lambda: s.board_sum("suspended") == 0, 10, "finished")


@test(stock=STUCK, item="6.8 5.3", needs="probe", core=True)
def graceful_restart_lets_it_finish(t):
    s = serve(t, threads=3, probe=True, keepalive_timeout=20)
    old = s.children()
    conns = [s.conn() for _ in range(3)]
    for conn in conns:
        conn.request(suspend(1200))
    time.sleep(0.1)
    s.graceful()
    for conn in conns:
        t.equal(conn.read_response().text, "suspended\n", "answer")
        t.equal(conn.wait_closed(10), "eof", "then")
        conn.close()
    for pid in old:
        s.wait_child_gone(pid, 10)


@test(stock="pass", item="4.3 6.8", needs="probe", core=True)
def stop_does_not_wait_for_it(t):
    s = serve(t, threads=3, probe=True)
    for _ in range(3):
        s.conn().request(suspend(30000))
    time.sleep(0.2)
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 8, "a child had to be killed")


@test(stock=STUCK, item="6.8", needs="probe ssl")
def suspended_inside_tls(t):
    s = serve(t, threads=3, probe=True, modules="ssl", keepalive_timeout=20,
              conf="SSLEngine on\nSSLCertificateFile %s\n"
                   "SSLCertificateKeyFile %s" % t.cert())
    conn = s.conn(tls=True)
    for _ in range(3):
        t.equal(conn.get(suspend(50)).text, "suspended\n", "answer")
        t.equal(conn.get("/").status, 200, "next request")
    conn.send(conn.format(suspend(20)) + conn.format("/"))
    t.equal(conn.read_response().text, "suspended\n", "pipelined")
    t.equal(conn.read_response().status, 200, "and the next")
