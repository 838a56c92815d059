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
"""Keep-alive: which timeout applies, and what a waiting connection costs."""

import time

import wire
from client import Closed, Load
from common import serve
from harness import test, wait_until

VHOSTS = """
<VirtualHost *:{port}>
    ServerName base
</VirtualHost>
<VirtualHost *:{port}>
    ServerName slow
    KeepAliveTimeout 3
</VirtualHost>
<VirtualHost *:{port}>
    ServerName quick
    KeepAliveTimeout 250ms
</VirtualHost>
<VirtualHost *:{port}>
    ServerName plain
</VirtualHost>
"""


def visit(s, hosts):
    """(connection, time before the last request) after one request to each
    of these virtual hosts."""
    conn = s.conn()
    for host in hosts.split():
        started = time.monotonic()
        response = conn.get("/", headers={"Host": host})
        if response.status != 200:
            raise AssertionError("%s: %r" % (host, response))
    return conn, started


def visitors(t, s, count):
    """So many connections that have had one request each and wait."""
    conns = []
    for _ in range(count):
        conns.append(s.conn())
        t.equal(conns[-1].get("/").status, 200, "first request")
    return conns


def closing_times(t, visits, timeout=20):
    """{name: seconds from its last request until the server closed}."""
    found = {}

    def look():
        for name, (conn, started) in visits.items():
            if name in found:
                continue
            conn.settimeout(0.01)
            try:
                conn.fill()
                t.fail("%s: unasked data" % name)
            except Closed as closed:
                t.equal(closed.how, "eof", name)
                found[name] = time.monotonic() - started
            except TimeoutError:
                pass
        return len(found) == len(visits)
    wait_until(look, timeout, lambda: "closed all of %s, but %s"
               % (sorted(visits), sorted(found)))
    return found


@test(stock="pass", item="6.7 14.7 #28 #53", core=True)
def timeout_is_the_virtual_hosts(t):
    s = serve(t, threads=4, keepalive_timeout=1, conf=VHOSTS)
    took = closing_times(t, {host: visit(s, host) for host in
                             ("base", "slow", "quick", "plain")})
    wanted = dict(base=1.0, slow=3.0, quick=0.25, plain=1.0)
    for host, least in wanted.items():
        t.check(took[host] >= least,
                "%s closed after %.3f s" % (host, took[host]))
    t.check(took["quick"] < took["base"] < took["slow"], "order: %s" % took)
    t.check(took["plain"] < took["slow"], "order: %s" % took)


@test(stock="pass", item="6.7")
def timeout_follows_the_last_request(t):
    s = serve(t, threads=4, keepalive_timeout=1, conf=VHOSTS)
    took = closing_times(t, {hosts: visit(s, hosts) for hosts in
                             ("slow quick", "quick slow", "slow plain")})
    t.check(took["quick slow"] >= 3, "slow's after quick: %s" % took)
    t.check(took["slow quick"] < took["slow plain"] < took["quick slow"],
            "order: %s" % took)


@test(stock="pass", item="6.7")
def timeout_by_address(t):
    s = serve(t, threads=4, keepalive_timeout=4, conf="""
<VirtualHost 127.0.0.1:{port2}>
    KeepAliveTimeout 1
</VirtualHost>
""", listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}")
    visits = {}
    for name, port in (("main", s.port), ("other", s.port2)):
        conn = s.conn(port=port)
        visits[name] = (conn, time.monotonic())
        t.equal(conn.get("/").status, 200, name)
    took = closing_times(t, visits)
    t.check(took["other"] >= 1 and took["main"] >= 4, "early: %s" % took)
    t.check(took["other"] < took["main"], "order: %s" % took)


@test(stock="fails: uses the Timeout of the vhost the keep-alive rule picks",
      item="6.7")
def write_timeout_is_the_requests_virtual_hosts(t):
    s = serve(t, threads=4, timeout=30, keepalive_timeout=30, conf="""
EnableSendfile On
<VirtualHost *:{port}>
    ServerName base
</VirtualHost>
<VirtualHost *:{port}>
    ServerName brief
    Timeout 1
</VirtualHost>
""", docs={"big": bytes(16 << 20)})
    conns = {}
    for host in ("base", "brief"):
        conns[host] = s.conn(rcvbuf=16384)
        conns[host].request("/big", headers={"Host": host})
    states = {}

    def brief_is_over():
        for host, conn in conns.items():
            states[host] = wire.state(s.port, conn.local_port)
        return states["brief"] not in ("ESTABLISHED", "SYN_RECV")
    wait_until(brief_is_over, 15, lambda: "brief timed out: %s" % states)
    t.equal(states["base"], "ESTABLISHED", "base, which has 30 s")


@test(stock="pass", item="6.7")
def each_request_starts_the_timeout_anew(t):
    s = serve(t, threads=2, keepalive_timeout=2)
    conn = s.conn()
    started = time.monotonic()
    while time.monotonic() - started < 3:
        t.equal(conn.get("/").status, 200, "request")
        time.sleep(0.5)
    t.equal(conn.get("/").status, 200, "after more than one timeout")


@test(stock="pass", item="6.7")
def begun_request_has_the_long_timeout(t):
    s = serve(t, threads=2, keepalive_timeout="500ms", timeout=20)
    conn = s.conn()
    t.equal(conn.get("/").status, 200, "first")
    request = conn.format("/")
    conn.send(request[:1])
    t.check(conn.quiet(1.5), "left alone past the KeepAliveTimeout")
    conn.send(request[1:])
    t.equal(conn.read_response().status, 200, "the slow one")


@test(stock="pass", item="7", core=True)
def waiting_holds_no_thread(t):
    # More threads than clients at a time: nobody is evicted for want of one.
    s = serve(t, threads=8, keepalive_timeout=60,
              mpm={"AsyncRequestWorkerFactor": 20})
    conns = visitors(t, s, 50)
    for _ in range(5):
        t.equal(s.get("/").status, 200, "new client")
    for conn in reversed(conns):
        t.equal(conn.get("/").status, 200, "second")
    t.equal(wire.held(s.port, [conn.local_port for conn in conns]), 50,
            "connections that wait")


@test(stock="fails: its counters stand still while nothing expires",
      item="9.1 14.12")
def counted_while_it_waits(t):
    s = serve(t, threads=4, keepalive_timeout=60)
    conns = visitors(t, s, 5)
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 5, 10, "counted")
    for conn in conns:
        conn.close()
    wait_until(lambda: s.status()["ConnsAsyncKeepAlive"] == 0, 10, "gone")


@test(stock="pass", item="6.4", core=True)
def all_expire_at_once(t):
    s = serve(t, threads=4, keepalive_timeout=1,
              mpm={"AsyncRequestWorkerFactor": 200})
    conns = visitors(t, s, 300)
    load = Load(s.port, clients=2, pause=0.01)
    for conn in conns:
        t.equal(conn.wait_closed(20), "eof", "end of a waiting connection")
    counts = load.stop()
    t.equal((counts["lost"], counts["refused"], counts["wrong"]), (0, 0, 0),
            "active clients: %s" % load.notes)
    for conn in conns:
        conn.close()
    wait_until(lambda: wire.held(s.port) == 0, 10, "all connections over")


@test(stock="pass", item="6.7")
def timeout_of_a_millisecond(t):
    s = serve(t, threads=4, keepalive_timeout="1ms")
    load = Load(s.port, clients=6, pause=0.001)
    wait_until(lambda: load.answered + load.raced > 1500, 20)
    counts = load.stop()
    t.equal((counts["lost"], counts["refused"], counts["wrong"]), (0, 0, 0),
            "clients: %s" % load.notes)
    wait_until(lambda: wire.held(s.port) == 0, 10, "all connections over")


@test(stock="pass", item="6.6")
def client_that_leaves_is_let_go(t):
    s = serve(t, threads=2, keepalive_timeout=60)
    for leave in ("close", "reset", "shutdown_write"):
        conn = s.conn()
        t.equal(conn.get("/").status, 200, "first")
        getattr(conn, leave)()
        wait_until(lambda c=conn: not wire.held(s.port, [c.local_port]), 10,
                   "connection over after " + leave)


@test(stock="pass", item="6.4")
def second_request_may_dribble_in(t):
    s = serve(t, threads=2, keepalive_timeout=10)
    conn = s.conn()
    t.equal(conn.get("/").status, 200, "first")
    conn.send("\r\n")
    for byte in conn.format("/"):
        conn.send(bytes([byte]))
        time.sleep(0.002)
    t.equal(conn.read_response().status, 200, "second")
    t.equal(conn.get("/").status, 200, "third")


@test(stock="pass", item="6.5")
def last_of_max_keepalive_requests_closes(t):
    s = serve(t, threads=2, conf="MaxKeepAliveRequests 3")
    conn = s.conn()
    t.equal([conn.get("/").keepalive for _ in range(4)],
            [True, True, True, False], "kept open")
    t.equal(conn.wait_closed(), "eof", "then")
    off = serve(t, threads=2, conf="KeepAlive Off").conn()
    t.equal(off.get("/").keepalive, False, "KeepAlive Off")
    t.equal(off.wait_closed(), "eof", "then")
