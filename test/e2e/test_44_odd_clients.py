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
"""Clients that say little, nonsense, nothing, or go."""

import random
import time

import wire
from client import Closed, together
from common import pattern, serve
from harness import test, wait_until


def all_over(s):
    wait_until(lambda: not wire.held(s.port), 15, "all connections over")


@test(stock="pass", item="6.6", core=True)
def connect_and_go(t):
    s = serve(t, threads=4)
    children = s.children()
    for leave in ("close", "reset", "shutdown_write"):
        conns = [s.conn() for _ in range(60)]
        for conn in conns:
            getattr(conn, leave)()
        all_over(s)
        t.equal(s.get("/").status, 200, "after " + leave)
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.6", core=True)
def half_closed_client_gets_its_answer(t):
    body = pattern(300000)
    s = serve(t, threads=3, docs={"a": body})
    for _ in range(20):
        conn = s.conn()
        conn.request("/a")
        conn.shutdown_write()
        t.check(conn.read_response().body == body, "answer")
        t.equal(conn.read_to_eof(), b"", "then")
    all_over(s)


@test(stock="pass", item="6.3")
def http_09_and_10(t):
    s = serve(t, threads=3, docs={"a": b"first\n"})
    conn = s.conn()
    conn.send("GET /a\r\n")
    t.equal(conn.read_to_eof(), b"first\n", "HTTP/0.9")
    conn = s.conn()
    response = conn.get("/a", version="HTTP/1.0")
    t.equal((response.body, response.keepalive), (b"first\n", False), "1.0")
    t.equal(conn.wait_closed(), "eof", "then")
    conn = s.conn()
    for _ in range(3):
        response = conn.get("/a", version="HTTP/1.0",
                            headers={"Connection": "keep-alive"})
        t.equal((response.body, response.keepalive), (b"first\n", True),
                "1.0 kept alive")


BAD = {
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                  + b"a" * 40 + b"\n",
    "no version": b"GET / HTTQ/1.1\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "NUL": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "long line": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long field": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20000
                  + b"\r\n\r\n",
    "many fields": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500
                   + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                   b"Content-Length: 4\r\n\r\nabcd",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: x\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "bad coding": b"POST / HTTP/1.1\r\nHost: x\r\n"
                  b"Transfer-Encoding: frob\r\n\r\n",
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@test(stock="pass", item="6.3", core=True)
def bad_requests_are_answered_and_closed(t):
    s = serve(t, threads=3)
    for what, request in BAD.items():
        conn = s.conn()
        conn.send(request)
        answer = conn.read_response()
        t.check(400 <= answer.status <= 599, "%s: %r" % (what, answer))
        if answer.keepalive and not t.env.trunk():
            t.equal(conn.get("/").status, 200, what + ", next")
        elif not answer.keepalive:
            t.equal(conn.wait_closed(), "eof", what + ", then")
        conn.close()
    all_over(s)


@test(stock="pass", item="6.3")
def random_bytes(t):
    s = serve(t, threads=6, timeout=3)
    children = s.children()
    dice = random.Random(20120211)

    def payload():
        kind = dice.randrange(4)
        if kind == 0:
            return dice.randbytes(dice.randrange(1, 3000))
        data = bytearray(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data[:dice.randrange(1, len(data))] if kind == 1
                     else data)
    payloads = [payload() for _ in range(240)]

    def talk(number):
        for data in payloads[number::6]:
            conn = s.conn(timeout=10)
            try:
                conn.send(data)
                conn.shutdown_write()
                conn.wait_closed()
            except OSError:
                pass
            conn.close()
    together(6, talk)
    all_over(s)
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.3")
def slow_heads_are_answered(t):
    s = serve(t, threads=6, docs={"a": b"first\n"})

    def dribble(number):
        conn = s.conn()
        for byte in conn.format("/a"):
            conn.send(bytes([byte]))
            time.sleep(0.01)
        return conn.read_response().body
    t.equal(together(5, dribble), [b"first\n"] * 5, "answers")


@test(stock="pass", item="6.3")
def silent_client_is_timed_out(t):
    s = serve(t, threads=3, timeout=1)
    silent, begun = s.conn(), s.conn()
    begun.send("GET / HT")
    started = time.monotonic()
    t.equal(silent.wait_closed(), "eof", "silent one")
    t.check(time.monotonic() - started >= 0.9, "closed before its time")
    t.equal(begun.wait_closed(), "eof", "half a head")
    t.equal(s.get("/").status, 200, "afterwards")


@test(stock="pass", item="6.6")
def uploads_that_break_off(t):
    s = serve(t, threads=4, timeout=20)
    children = s.children()
    for leave in ("close", "reset", "shutdown_write"):
        for _ in range(10):
            conn = s.conn()
            conn.request("/", method="POST",
                         headers={"Content-Length": "1000000"})
            conn.send(bytes(50000))
            getattr(conn, leave)()
            if leave == "shutdown_write":
                conn.wait_closed()
                conn.close()
        all_over(s)
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.3")
def request_and_gone(t):
    s = serve(t, threads=4, docs={"a": pattern(200000)})
    children = s.children()
    for number in range(100):
        conn = s.conn()
        conn.request("/a")
        conn.reset() if number % 2 else conn.close()
    all_over(s)
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.3")
def continue_is_asked_for(t):
    s = serve(t, threads=2)
    conn = s.conn()
    conn.request("/", method="POST", headers={
        "Expect": "100-continue", "Content-Length": "5"})
    t.check(conn.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 "),
            "100 Continue")
    conn.send("12345")
    t.equal(conn.read_response().status, 200, "answer")
    t.equal(conn.get("/").status, 200, "next")


@test(stock="pass", item="6.2", needs="probe")
def connection_that_is_refused_or_not_created(t):
    s = serve(t, threads=2, listen="Listen 127.0.0.1:{port}\n"
              "Listen 127.0.0.1:{port2}",
              probe="ProbeRefuse {port2} 500\nProbeTrace on")
    for _ in range(10):
        with s.conn(port=s.port2) as conn:
            conn.send("GET / HTTP/1.0\r\n\r\n")
            t.check(conn.wait_closed() in ("eof", "reset"), "refused")
    t.equal(s.probe_events("suspend"), [], "no linger for the refused")
    s.wait_log("AH00469", count=10)
    wait_until(lambda: not wire.held(s.port2), 10, "refused ones over")
    s.configure(probe="ProbeNull {port2}")
    s.restart()
    for _ in range(10):
        with s.conn(port=s.port2) as conn:
            conn.send("GET / HTTP/1.0\r\n\r\n")
            t.check(conn.wait_closed() in ("eof", "reset"), "not created")
    t.equal(s.get("/").status, 200, "others")
    wait_until(lambda: not wire.held(s.port2), 10, "none left")


@test(stock="pass", item="6.3")
def answer_to_a_client_that_vanishes_in_between(t):
    s = serve(t, threads=3, timeout=5, modules="env")
    for _ in range(30):
        conn = s.conn()
        conn.send(conn.format("/") * 20)
        conn.read_head()
        conn.reset()
    all_over(s)
    try:
        t.equal(s.get("/").status, 200, "afterwards")
    except Closed as closed:
        t.fail("new client: %s" % closed)
