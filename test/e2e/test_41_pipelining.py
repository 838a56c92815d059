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
"""Pipelining: requests that are there before the last one is answered."""

import os
import threading
import time

import wire
from client import Conn
from common import md5, pattern, serve
from harness import test, wait_until


def answers(t, conn, bodies, what):
    """Read one response for each of these bodies, in order."""
    for number, body in enumerate(bodies):
        response = conn.read_response()
        t.equal(response.status, 200, "%s, answer %d" % (what, number))
        t.check(response.body == body, "%s, body of answer %d: %r"
                % (what, number, response.body[:60]))


def hops(s, conn):
    """How often this connection was suspended and resumed so far."""
    return tuple(len(s.probe_events(event, peer=conn.local_port))
                 for event in ("suspend", "resume"))


@test(stock="pass", item="14.8 6.5", needs="probe", core=True)
def pair_is_answered_without_a_hop(t):
    s = serve(t, threads=2, keepalive_timeout=30, probe="ProbeTrace on",
              docs={"a": b"first\n", "b": b"second\n"})
    conn = s.conn()
    conn.send(conn.format("/a") + conn.format("/b"))
    answers(t, conn, [b"first\n", b"second\n"], "pair")
    wait_until(lambda: hops(s, conn)[0] == 1, 10,
               lambda: "one suspend after the pair, %s" % (hops(s, conn),))
    conn.send(conn.format("/b"))
    answers(t, conn, [b"second\n"], "third")
    wait_until(lambda: hops(s, conn) == (2, 1), 10,
               lambda: "one hop more, %s" % (hops(s, conn),))


@test(stock="pass", item="6.5", core=True)
def hundred_deep(t):
    docs = {"f%d" % number: b"%d\n" % number * (number + 1)
            for number in range(100)}
    s = serve(t, threads=2, docs=docs)
    conn = s.conn()
    for what in ("first", "second"):
        conn.send(b"".join(conn.format("/" + name) for name in docs))
        answers(t, conn, docs.values(), what + " hundred")
    t.equal(conn.get("/").status, 200, "afterwards")


@test(stock="pass", item="6.5")
def many_clients_twenty_deep(t):
    s = serve(t, threads=16, docs={"x": pattern(5000)})
    body = pattern(5000)
    conns = [s.conn() for _ in range(12)]
    for _ in range(10):
        for conn in conns:
            conn.send(conn.format("/x") * 20)
        for conn in conns:
            answers(t, conn, [body] * 20, "a client of twelve")


@test(stock="pass", item="6.5")
def methods_and_bodies_mixed(t):
    s = serve(t, threads=2, docs={"a": b"first\n", "b": b"second\n"},
              modules="alias", conf='Redirect "/gone" "/a"')
    conn = s.conn()
    conn.send(conn.format("/a", method="HEAD")
              + conn.format("/a", method="POST", body=b"x" * 3000)
              + b"\r\n\r\n"
              + b"POST /b HTTP/1.1\r\nHost: localhost\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n5;ext=1\r\ndefgh\r\n0\r\nTrailer: x\r\n\r\n"
              + conn.format("/gone")
              + conn.format("/none")
              + conn.format("/b"))
    t.equal(conn.read_response("HEAD").headers["content-length"], "6",
            "HEAD")
    answers(t, conn, [b"first\n", b"second\n"], "POST")
    t.equal(conn.read_response().status, 302, "redirect")
    t.equal(conn.read_response().status, 404, "missing")
    answers(t, conn, [b"second\n"], "last")


@test(stock="pass", item="6.5")
def request_cut_anywhere(t):
    s = serve(t, threads=2, docs={"a": b"first\n"})
    request = Conn.format(s.conn(), "/a")
    conn = s.conn()
    for cut in range(1, len(request)):
        conn.send(request + request[:cut])
        answers(t, conn, [b"first\n"], "whole, cut at %d" % cut)
        conn.send(request[cut:] + request)
        answers(t, conn, [b"first\n"] * 2, "rest, cut at %d" % cut)


@test(stock="pass", item="6.5")
def nothing_after_close(t):
    s = serve(t, threads=2, docs={"a": b"first\n"})
    conn = s.conn()
    conn.send(conn.format("/a")
              + conn.format("/a", headers={"Connection": "close"})
              + conn.format("/a") * 50)
    answers(t, conn, [b"first\n"] * 2, "up to the close")
    t.equal(conn.read_to_eof(), b"", "after the close")
    conn.close()
    wait_until(lambda: not wire.held(s.port), 10, "connection over")


@test(stock="pass", item="6.5")
def large_answers_in_between(t):
    big = {"one": pattern(3 << 20, 1), "two": pattern(2 << 20, 2)}
    for sendfile in ("On", "Off"):
        s = serve(t, threads=2, docs=dict(big, a=b"first\n"),
                  conf="EnableSendfile " + sendfile)
        conn = s.conn(rcvbuf=16384)
        conn.send(b"".join(conn.format(path) for path in
                           ("/a", "/one", "/a", "/two", "/a")))
        time.sleep(0.3)
        answers(t, conn, [b"first\n", big["one"], b"first\n", big["two"],
                          b"first\n"], "sendfile " + sendfile)
        t.equal(md5(conn.get("/one").body), md5(big["one"]), "afterwards")


@test(stock="pass", item="6.5", needs="ssl", core=True)
def inside_one_tls_record(t):
    cert, key = t.cert()
    s = serve(t, threads=2, modules="ssl", keepalive_timeout=30,
              docs={"a": b"first\n", "b": b"second\n"},
              conf="SSLEngine on\nSSLCertificateFile %s\n"
                   "SSLCertificateKeyFile %s" % (cert, key))
    conn = s.conn(tls=True)
    conn.send(conn.format("/a") + conn.format("/b"))
    answers(t, conn, [b"first\n", b"second\n"], "pair in one record")
    conn.send(conn.format("/a") * 100)
    answers(t, conn, [b"first\n"] * 100, "hundred in one record")
    request = conn.format("/b")
    conn.send(request + request[:9])
    answers(t, conn, [b"second\n"], "one and a bit")
    conn.send(request[9:])
    answers(t, conn, [b"second\n"], "the rest")


@test(stock="pass", item="6.5")
def half_closed_after_the_last(t):
    s = serve(t, threads=2, docs={"a": pattern(100000)})
    conn = s.conn()
    conn.send(conn.format("/a") * 10)
    conn.shutdown_write()
    answers(t, conn, [pattern(100000)] * 10, "ten")
    t.equal(conn.read_to_eof(), b"", "then")


@test(stock="fails: a worker stays with its connection", item="6.5")
def others_get_their_turn(t):
    """One worker, and a client with thousands of requests on their way: who
    comes meanwhile is answered amid them, which the log's order shows."""
    s = serve(t, threads=1, docs={"a": b"first\n", "b": b"second\n"},
              conf='LogFormat "%U" path\nCustomLog "turns.log" path')
    count = 4000
    greedy = s.conn()
    greedy.get("/a")  # one that has sent nothing has the only worker
    other = s.conn()
    sender = threading.Thread(
        target=lambda: greedy.send(greedy.format("/a") * count))
    other.get("/b")
    sender.start()
    answers(t, greedy, [b"first\n"], "greedy")
    other.send(other.format("/b"))
    answers(t, greedy, [b"first\n"] * (count - 1), "greedy")
    answers(t, other, [b"second\n"], "other")
    sender.join()
    with open(os.path.join(s.root, "turns.log"), encoding="ascii") as log:
        turns = log.read().split()
    t.equal(turns.count("/b"), 2, "the other's lines")
    t.check(turns[2:].index("/b") < count,
            "its turn came after %d of %d" % (turns[2:].index("/b"), count))
