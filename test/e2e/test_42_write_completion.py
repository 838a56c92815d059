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
"""Write completion: responses whose reader is slower than the server."""

import time

import wire
from client import Closed
from common import md5, pattern, serve
from harness import test, wait_until

BIG = 6 << 20


def slow_reader(s, path, **kwargs):
    """A connection that has asked for path and read only the head."""
    conn = s.conn(rcvbuf=16384, timeout=20)
    conn.request(path, **kwargs)
    return conn, conn.read_head()


def body_of(conn, head):
    return conn.read_exactly(int(head.headers["content-length"]))


@test(stock="pass", item="6.5", core=True)
def slow_readers_hold_no_thread(t):
    body = pattern(BIG)
    s = serve(t, threads=2, keepalive_timeout=30, timeout=30,
              mpm={"AsyncRequestWorkerFactor": 10},
              conf="EnableSendfile On", docs={"big": body})
    readers = [slow_reader(s, "/big") for _ in range(6)]
    for _ in range(10):
        t.equal(s.get("/").status, 200, "a client beside them")
    for conn, head in reversed(readers):
        t.equal(md5(body_of(conn, head)), md5(body), "big body")
        t.equal(conn.get("/").status, 200, "next request")


@test(stock="fails: its counters stand still while nothing expires",
      item="9.1 14.12")
def counted_while_they_write(t):
    s = serve(t, threads=4, timeout=60, keepalive_timeout=60,
              conf="EnableSendfile On", docs={"big": bytes(BIG)})
    readers = [slow_reader(s, "/big") for _ in range(3)]
    wait_until(lambda: s.status()["ConnsAsyncWriting"] == 3, 10, "counted")
    for conn, head in readers:
        body_of(conn, head)
    wait_until(lambda: s.status()["ConnsAsyncWriting"] == 0, 10, "written")
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 3, 10, "waiting")


@test(stock="pass", item="6.5", core=True)
def every_way_of_writing_is_exact(t):
    body = pattern(2 << 20, 7)
    for conf in ("EnableSendfile On", "EnableSendfile Off",
                 "EnableMMAP Off", "EnableSendfile On\nEnableMMAP Off"):
        s = serve(t, threads=6, conf=conf, docs={"big": body, "a": b"a\n"})
        conns = [slow_reader(s, "/big") for _ in range(4)]
        for conn, head in conns:
            t.equal(md5(body_of(conn, head)), md5(body), conf)
            t.equal(conn.get("/a").body, b"a\n", conf + ", next")


@test(stock="pass", item="6.5")
def trickling_reader_gets_every_byte(t):
    body = pattern(3 << 20, 3)
    s = serve(t, threads=2, conf="EnableSendfile On", docs={"big": body})
    conn, head = slow_reader(s, "/big")
    got = b""
    while len(got) < len(body):
        got += conn.read_exactly(min(100000, len(body) - len(got)))
        time.sleep(0.01)
    t.equal(md5(got), md5(body), "body")
    t.equal(conn.get("/").status, 200, "next request")


@test(stock="pass", item="6.5")
def parts_and_ends(t):
    body = pattern(3 << 20, 5)
    s = serve(t, threads=2, conf="EnableSendfile On", docs={"big": body})
    conn, head = slow_reader(s, "/big",
                             headers={"Range": "bytes=1000-2500000"})
    t.equal(head.status, 206, "range")
    t.equal(md5(body_of(conn, head)), md5(body[1000:2500001]), "part")
    conn, head = slow_reader(s, "/big", headers={"Connection": "close"})
    t.equal(md5(conn.read_to_eof()), md5(body), "to the close")
    conn, head = slow_reader(s, "/big", version="HTTP/1.0")
    t.equal(md5(conn.read_to_eof()), md5(body), "HTTP/1.0")
    conn, head = slow_reader(s, "/big")
    conn.shutdown_write()
    t.equal(md5(conn.read_to_eof()), md5(body), "half-closed client")


@test(stock="pass", item="6.5", core=True)
def client_gone_in_the_middle(t):
    s = serve(t, threads=3, timeout=60, docs={"big": bytes(BIG)},
              conf="EnableSendfile On")
    children = s.children()
    for leave in ("reset", "close"):
        for _ in range(10):
            conn, _ = slow_reader(s, "/big")
            conn.read_exactly(50000)
            getattr(conn, leave)()
        wait_until(lambda: not wire.held(s.port), 10,
                   "connections over after " + leave)
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.5 6.4")
def reader_that_stops_is_timed_out(t):
    s = serve(t, threads=2, timeout=1, docs={"big": bytes(BIG)},
              conf="EnableSendfile On")
    conns = [slow_reader(s, "/big")[0] for _ in range(3)]
    started = time.monotonic()
    for conn in conns:
        wait_until(lambda c=conn: wire.state(s.port, c.local_port)
                   != "ESTABLISHED", 20, "timed out")
    t.check(time.monotonic() - started >= 0.9, "not before its time")
    t.equal(s.get("/").status, 200, "others")
    for conn in conns:
        try:
            t.check(len(conn.read_to_eof()) < BIG, "cut short")
        except Closed:
            pass
    wait_until(lambda: not wire.held(s.port), 20, "connections over")


@test(stock="pass", item="6.5")
def reader_that_never_quite_stops_is_not(t):
    s = serve(t, threads=2, timeout=2, docs={"big": bytes(1 << 20)},
              conf="EnableSendfile On\nSendBufferSize 16384")
    conn, head = slow_reader(s, "/big")
    left = int(head.headers["content-length"])
    for _ in range(10):
        left -= len(conn.read_exactly(60000))
        time.sleep(0.3)
    conn.read_exactly(left)
    t.equal(conn.get("/").status, 200, "next request")


@test(stock="pass", item="6.5")
def logged_when_written(t):
    s = serve(t, threads=2, timeout=30, docs={"big": bytes(BIG)},
              modules="logio", conf='EnableSendfile On\n'
              'CustomLog "{root}/access.log" "%U %X %>s %O"')

    def lines():
        return [line.split() for line in
                s.read(s.root + "/access.log").splitlines()]
    conn, head = slow_reader(s, "/big")
    gone, _ = slow_reader(s, "/big")
    t.equal(s.get("/").status, 200, "beside it")
    wait_until(lambda: len(lines()) >= 1, 10, "the small one logged")
    t.equal([line[0] for line in lines()], ["/index.html"], "logged so far")
    gone.reset()
    wait_until(lambda: len(lines()) == 2, 10, "the aborted one logged")
    t.equal(lines()[1][:3], ["/big", "X", "200"], "aborted")
    body_of(conn, head)
    wait_until(lambda: len(lines()) == 3, 10, "the whole one logged")
    t.equal(lines()[2][:3], ["/big", "+", "200"], "whole")
    t.equal(int(lines()[2][3]), BIG + len(head.head) + 4, "bytes sent")


@test(stock="pass", item="14.8 6.8", needs="probe")
def hops_are_balanced(t):
    body = pattern(2 << 20)
    s = serve(t, threads=3, timeout=30, keepalive_timeout=1,
              probe="ProbeTrace on", conf="EnableSendfile On",
              docs={"big": body})
    conns = [slow_reader(s, "/big") for _ in range(5)]
    for number, (conn, head) in enumerate(conns):
        if number % 2:
            conn.reset()
        else:
            t.equal(md5(body_of(conn, head)), md5(body), "body")
    ends = s.wait_event("conn_end", count=5, timeout=30)
    for end in ends:
        t.equal(end["suspends"], end["resumes"], "hops of %s" % end)
        t.check(end["suspends"] > 0, "no hop at all: %s" % end)


@test(stock="pass", item="6.5")
def survives_a_graceful_restart(t):
    body = pattern(3 << 20)
    s = serve(t, threads=3, timeout=30, conf="EnableSendfile On",
              docs={"big": body})
    conns = [slow_reader(s, "/big") for _ in range(4)]
    s.graceful()
    t.equal(s.get("/").status, 200, "new generation")
    for conn, head in conns:
        t.equal(md5(body_of(conn, head)), md5(body), "body")
        t.equal(conn.wait_closed(), "eof", "and then")
