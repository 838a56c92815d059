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
"""The gate: a worker is for what has arrived, and who is slow costs none."""

import re
import time

import client
import wire
from common import pattern, serve
from harness import test, wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
HELLO = b"\x16\x03\x01\x02\x00" + b"\x01\x00\x01\xfc\x03\x03"
LATE = "of a request in"
WAITS = "fails: a worker waits for it"


def slow(s, count, data=b""):
    """So many connections that have sent this, and that the server has."""
    before = wire.held(s.port)
    conns = [s.conn() for _ in range(count)]
    for conn in conns:
        if data:
            conn.send(data)
    wait_until(lambda: wire.held(s.port) >= before + count, 10,
               "all accepted")
    return conns


def served(t, s, what, count=5, **kwargs):
    """Another client is answered, at once or nearly so."""
    for _ in range(count):
        t.equal(s.get("/", timeout=5, **kwargs).status, 200, what)


@test(stock=WAITS, item="issue 4.1", core=True)
def partial_heads(t):
    s = serve(t, threads=4, timeout=30)
    conns = slow(s, 300, GET)
    for _ in range(3):
        served(t, s, "beside 300 partial heads")
        for conn in conns:
            conn.send(b"X: y\r\n")
    for conn in conns:
        conn.send(b"\r\n")
    for conn in conns:
        t.equal(conn.read_response().status, 200, "when it is whole")
        t.equal(conn.get("/").status, 200, "the next one")
        conn.close()


@test(stock=WAITS, item="issue 4.3", core=True)
def silent_connections(t):
    s = serve(t, threads=4, timeout=3)
    children = s.children()
    conns = slow(s, 300)
    served(t, s, "beside 300 silent ones")
    t.equal(conns[7].get("/").status, 200, "one that asks after all")
    conns.pop(7).close()
    for conn in conns:
        t.equal(conn.wait_closed(15), "eof", "after Timeout")
    t.equal(s.count_log(LATE), 0, "without a word")
    t.equal(s.children(), children, "children")


@test(stock=WAITS, item="issue 4.6", needs="ssl")
def partial_hellos(t):
    certificate, key = t.cert()
    s = serve(t, threads=4, modules="ssl", timeout=30, mpm={
        "EventHeadTimeout": 8}, listen="Listen 127.0.0.1:{port}\n"
        "Listen 127.0.0.1:{port2} https", conf="""
<VirtualHost *:{port2}>
SSLEngine on
SSLCertificateFile "%s"
SSLCertificateKeyFile "%s"
</VirtualHost>
""" % (certificate, key))
    conns = [s.conn(port=s.port2) for _ in range(100)]
    for byte in HELLO:
        for conn in conns:
            conn.send(bytes([byte]))
        served(t, s, "clear", 1)
    served(t, s, "TLS", port=s.port2, tls=True)
    for conn in conns:
        t.check(conn.wait_closed(30) in ("eof", "reset"), "in the end")
    t.equal(s.count_log(LATE), 100, "said")


@test(stock=WAITS, item="issue 4.1", core=True)
def small_bodies(t):
    s = serve(t, threads=4, timeout=30)
    conns = slow(s, 100, b"POST / HTTP/1.1\r\nHost: a\r\n"
                 b"Content-Length: 9000\r\n\r\n" + bytes(4000))
    served(t, s, "beside 100 bodies")
    for conn in conns:
        conn.send(bytes(5000))
    for conn in conns:
        t.equal(conn.read_response().status, 200, "when it is whole")
        t.equal(conn.get("/").status, 200, "the next one")


@test(stock="fails: has no EventBodyWait", item="issue 4.1")
def bodies_too_long_to_wait_for(t):
    """A worker has them: their handlers answer before they are whole."""
    s = serve(t, threads=4, mpm={"EventBodyWait": 100}, conf="""
<Location "/no">
Require all denied
</Location>
""")
    for length, waits in ((100, True), (101, False)):
        conn = s.conn()
        conn.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
                  "\r\n" % length)
        if waits:
            t.check(conn.quiet(0.5), "waits for %d bytes" % length)
        conn.send(bytes(length))
        t.equal(conn.read_response().status, 403, "%d bytes" % length)
    s.configure(mpm={"EventBodyWait": 0})
    s.restart()
    conn = s.conn()
    conn.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
              "Expect: 100-continue\r\n\r\n")
    t.equal(conn.read_response().status, 403, "heads only")


@test(stock="fails: has no EventHeadTimeout", item="issue 4.3", core=True)
def heads_that_never_end(t):
    """408 where core says that, a plain end elsewhere."""
    s = serve(t, threads=3, timeout=30, mpm={"EventHeadTimeout": 2},
              conf='CustomLog "{root}/access" "%>s %r"\n'
              'ErrorDocument 408 "Too slow."\n')
    line, fields, body, blank = [slow(s, 1, data)[0] for data in (
        b"GET / HTT", GET + b"X: y\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 9\r\n\r\nabc", b"\r\n")]
    again = s.conn()
    t.equal(again.get("/").status, 200, "first")
    again.send(GET)
    answer = fields.read_response()
    t.equal((answer.status, answer.body, answer.keepalive),
            (408, b"Too slow.", False), "half a head")
    t.equal(fields.wait_closed(15), "eof", "then")
    t.equal(body.read_response().status, 408, "half a body")
    t.equal(body.wait_closed(15), "eof", "then")
    t.equal(line.wait_closed(15), "eof", "half a line")
    t.equal(blank.wait_closed(15), "eof", "a blank line")
    wait_until(lambda: s.status()["MpmHeadsLate"] == 4, 10, "counted: late")
    wait_until(lambda: s.status()["MpmHeadsWaiting"] == 0, 10, "none waits")
    t.equal(s.count_log("127.0.0.1:\\d+ has sent \\d+ bytes " + LATE), 4,
            "said")
    wait_until(lambda: s.read(s.root + "/access").count("408") >= 3, 10,
               "logged")
    again.close()


@test(stock="fails: has no EventHeadTimeout", item="issue 4.3")
def bytes_buy_time(t):
    """A second for 500 bytes, up to twice the time."""
    s = serve(t, threads=3, timeout=60, mpm={"EventHeadTimeout": 3})
    conn, other = s.conn(), s.conn()
    started = time.monotonic()
    conn.send(GET + b"X: " + b"y" * 1500 + b"\r\n")
    other.send(GET)
    t.equal(other.read_response().status, 408, "that has sent little")
    t.check(conn.quiet(0.5), "the other one waits")
    t.equal(conn.read_response().status, 408, "in the end")
    t.check(time.monotonic() - started >= 5.9, "after three seconds more")


@test(stock="fails: has no EventHeadTimeout", item="issue 4.3", needs="probe")
def without_the_gate(t):
    """EventHeadTimeout 0: a worker waits, as ever."""
    s = serve(t, threads=2, mpm={"EventHeadTimeout": 0}, timeout=60,
              probe="ProbeTrace on")
    slow(s, 1, b"")
    slow(s, 1, GET)
    s.wait_event("pre_connection", 2)
    conn = s.conn()
    conn.request("/")
    t.check(conn.quiet(1.0), "both workers wait")


@test(stock="fails: has no EventHeadTimeout", item="issue 4.1", needs="probe")
def protocols_whose_server_speaks_first(t):
    s = serve(t, threads=2, probe="ProbeTrace on",
              listen="Listen 127.0.0.1:{port}\n"
              "Listen 127.0.0.1:{port2} smtp")
    conns = [s.conn(), s.conn(port=s.port2)]
    s.wait_event("pre_connection", 1)
    t.equal(conns[1].get("/").status, 200, "which may be HTTP after all")
    t.equal(len(s.probe_events("pre_connection")), 1, "of the other one")


@test(stock="fails: has no EventHeadLimit", item="issue 4.4")
def limit_of_those_that_wait(t):
    """The longest waiting goes first."""
    s = serve(t, threads=3, timeout=60, mpm={"EventHeadLimit": 10})
    old = slow(s, 5, GET)
    others = slow(s, 5, GET)
    new = [s.conn() for _ in range(5)]
    for conn in old:
        t.check(conn.wait_closed(15) in ("eof", "reset"), "the oldest")
    for conn in others:
        conn.send(b"\r\n")
        t.equal(conn.read_response().status, 200, "the others")
    for conn in new:
        t.equal(conn.get("/").status, 200, "new ones")


@test(stock=WAITS, item="issue 4.4")
def they_are_not_counted_against_the_factor(t):
    s = serve(t, threads=2, timeout=60)
    conns = slow(s, 100, GET)
    served(t, s, "beside them")
    wait_until(lambda: s.status()["MpmHeadsWaiting"] == 100, 10, "waiting")
    status = s.status()
    t.check(status["ConnsTotal"] >= 100, "but as connections")
    t.equal([status["ConnsAsync" + name] for name in
             ("Writing", "KeepAlive")], [0, 0], "in no state")
    for conn in conns:
        conn.close()
    wait_until(lambda: s.status()["ConnsTotal"] <= 1, 10, "gone")


@test(stock=WAITS, item="issue 4.1", core=True)
def kept_alive_ones(t):
    """Of threads that wait for the rest of a head only half are workers."""
    s = serve(t, threads=8, timeout=30, keepalive_timeout=30)
    conns = [s.conn() for _ in range(20)]
    for conn in conns:
        t.equal(conn.get("/").status, 200, "first")
    for conn in conns:
        conn.send(GET)
        time.sleep(0.01)
    served(t, s, "beside them")
    for conn in conns:
        conn.send(b"\r\n")
        t.equal(conn.read_response().status, 200, "when it is whole")
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 20, 10,
               "all kept alive again")
    for conn in conns:
        conn.close()
    wait_until(lambda: not wire.held(s.port), 15, "all gone")


@test(stock="fails: closes idle ones at once", item="issue 4.1 2.2")
def reload_while_they_wait(t):
    """What has begun is awaited; who is silent is let go soon."""
    s = serve(t, threads=3, timeout=60)
    begun, silent = slow(s, 20, GET), slow(s, 3)
    kept = s.conn()
    t.equal(kept.get("/").status, 200, "kept")
    children = s.children()
    s.graceful()
    s.wait_log("draining:")
    served(t, s, "by the next generation")
    for conn in begun:
        conn.send(b"\r\n")
        answer = conn.read_response()
        t.equal((answer.status, answer.keepalive), (200, False), "answered")
    asks = silent.pop()
    t.equal(asks.get("/").status, 200, "a silent one that asks in time")
    for conn in silent:
        t.equal(conn.wait_closed(30), "eof", "a silent one")
    kept.close()
    for pid in children:
        s.wait_child_gone(pid, 30)


ODD = {
    "HTTP/0.9": [b"GET /a\r\n"],
    "bare LF": [b"GET /a HTTP/1.0\n", b"Host: a\n\n"],
    "blank lines": [b"\r\n", b"\r\n" + GET, b"Connection: close\r\n\r\n"],
    "PROXY": [b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", GET + b"\r\n"],
    "PROXY 2": [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", bytes(12)],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"],
    "pipelined": [GET + b"\r\n" + GET, b"Connection: close\r\n\r\n"],
    "chunked": [b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n3\r\n",
                b"abc\r\n0\r\n\r\n"],
    "body": [b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
             b"Content-Length: 6\r\n\r\nabc", b"def"],
    "body, short": [b"POST /a HTTP/1.1\r\nHost: a\r\n"
                    b"Content-Length: 6\r\n\r\nabc"],
    "half a head": [GET + b"X: y\r\n"],
    "half a line": [b"GET / HT"],
    "nonsense": [b"\x16\x03\x01\n", b"\r\n"],
    "NUL": [b"GET /\0 HTTP/1.1\r\n", b"\r\n"],
    "long": [GET + b"X: " + b"y" * 9000, b"\r\n\r\n"],
}


@test(stock="fails: has no EventHeadTimeout", item="issue 4.1", core=True)
def odd_requests(t):
    """What a client sees is the same with and without the gate."""
    s = serve(t, threads=8, docs={"a": b"first\n"}, mpm={
        "EventHeadTimeout": 0}, timeout=5,
        conf="FileETag None\n")

    def ask(pieces):
        conn = s.conn()
        for piece in pieces:
            conn.send(piece)
            time.sleep(0.05)
        conn.shutdown_write()
        try:
            return re.sub(rb"\r\nDate: [^\r]*", b"", conn.read_to_eof())
        except client.Closed as closed:
            return closed.how
    without = {what: ask(ODD[what]) for what in ODD}
    # Trunk refuses HTTP/0.9.
    t.check(without["HTTP/0.9"] == b"first\n" or t.env.trunk(), "HTTP/0.9")
    t.check(without["blank lines"].endswith(b"It serves.\n"), "blank lines")
    s.configure(mpm={"EventHeadTimeout": 20})
    s.restart()
    for what, pieces in ODD.items():
        t.equal(ask(pieces), without[what], what)
        t.equal(ask([b"".join(pieces)]), without[what], what + ", whole")
        if sum(map(len, pieces)) < 100:
            t.equal(ask([bytes([byte]) for byte in b"".join(pieces)]),
                    without[what], what + ", byte by byte")


@test(stock="pass", item="issue 4.1")
def long_bodies_and_heads(t):
    s = serve(t, threads=3, docs={"a": pattern(1000)})
    for size in (16000, 17000, 100000):
        conn = s.conn()
        request = conn.format("/a", method="POST", body=bytes(size))
        for start in range(0, len(request), 5000):
            conn.send(request[start:start + 5000])
            time.sleep(0.01)
        t.equal(conn.read_response().status, 200, "%d bytes" % size)
    conn = s.conn()
    for part in (GET, b"X: " + b"y" * 8000 + b"\r\n",
                 b"Y: " + b"z" * 8000 + b"\r\n", b"\r\n"):
        conn.send(part)
        time.sleep(0.05)
    t.equal(conn.read_response().status, 200, "a head of 16 KB")
