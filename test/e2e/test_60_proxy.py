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
"""The proxy: outgoing connections, tunnels, and the same MPM on both ends."""

import threading
import time

import backend
import wire
from client import Task, together
from common import md5, pattern, serve
from h2 import Session
from harness import test, wait_until

PROXY = "proxy proxy_http"
BOTH = "Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}"


def itself(t, conf="", **settings):
    """A server whose first port is a proxy for its second."""
    settings["modules"] = PROXY + " " + settings.get("modules", "")
    settings.setdefault("threads", 16)
    return serve(t, listen=BOTH, conf="""
<VirtualHost *:{port}>
    ProxyPass "/b/" "http://127.0.0.1:{port2}/" keepalive=On
    %s
</VirtualHost>
<VirtualHost *:{port2}>
    MaxKeepAliveRequests 0
</VirtualHost>
""" % conf, **settings)


def tunnel(s, path="/ws", **kwargs):
    """A connection that has been switched to another protocol."""
    conn = s.conn(timeout=20, **kwargs)
    conn.request(path, headers={"Connection": "Upgrade",
                                "Upgrade": "websocket"})
    head = conn.read_head()
    if head.status != 101:
        raise AssertionError("no tunnel: %r" % head)
    if conn.read_exactly(5) != b"hello":
        raise AssertionError("no greeting")
    return conn


def echo(conn, data):
    """Send data through a tunnel while reading what comes back."""
    sending = Task(conn.send, data)
    back = conn.read_exactly(len(data))
    sending.join()
    return back


TUNNELS = (
    ("proxy_wstunnel", 'ProxyPass "/ws" "ws://127.0.0.1:%d/"'),
    ("", 'ProxyPass "/ws" "http://127.0.0.1:%d/" upgrade=websocket'),
)


@test(stock="pass", item="10 6.2", needs=PROXY, core=True)
def keepalive_on_both_sides(t):
    docs = {"f%d" % n: pattern(n * 3000, n) for n in range(1, 20)}
    s = itself(t, docs=docs, keepalive_timeout=10)

    def client(number):
        with s.conn(timeout=20) as conn:
            for name, body in docs.items():
                response = conn.get("/b/" + name)
                t.check(response.status == 200 and response.body == body,
                        "%s: %r" % (name, response))
    for _ in range(3):
        together(4, client)
    t.check(wire.held(s.port2) <= 8, "connections to the backend: %d"
            % wire.held(s.port2))


@test(stock="pass", item="10", needs=PROXY)
def bodies_both_ways(t):
    s = itself(t, conf='ProxyPass "/once/" "http://127.0.0.1:{port2}/" '
               'disablereuse=On', modules="dav dav_fs alias",
               docs={"big": pattern(3 << 20)})
    s.stop()
    s.configure(conf=s.settings["conf"] + """
DavLockDB "{root}/scratch/locks"
Alias /up "{root}/scratch"
<Directory "{root}/scratch">
    Dav On
    Require all granted
</Directory>
""")
    s.start()
    body = pattern(1 << 20, 9)
    conn = s.conn(timeout=20)
    for number in range(3):
        put = conn.get("/b/up/f%d" % number, method="PUT", body=body)
        t.equal(put.status, 201, "PUT")
        t.equal(md5(conn.get("/b/up/f%d" % number).body), md5(body), "GET")
    slow = s.conn(rcvbuf=16384, timeout=20)
    slow.request("/once/big")
    t.equal(s.get("/b/").status, 200, "beside a slow reader")
    t.equal(md5(slow.read_response().body), md5(pattern(3 << 20)), "big")


@test(stock="pass", item="10", needs=PROXY)
def backend_that_closes_its_kept_alive(t):
    s = itself(t, keepalive_timeout=10)
    s.configure(conf=s.settings["conf"].replace(
        "<VirtualHost *:{port2}>",
        "<VirtualHost *:{port2}>\n    KeepAliveTimeout 100ms"))
    s.restart()
    conn = s.conn()
    for _ in range(6):
        t.equal(conn.get("/b/").status, 200, "through the proxy")
        time.sleep(0.2)


@test(stock="pass", item="6.2 10", needs=PROXY)
def outgoing_connections_are_not_counted(t):
    gate = threading.Event()
    behind = backend.Slow(t, lambda: gate.wait(20))
    s = serve(t, threads=6, modules=PROXY, keepalive_timeout=1,
              conf='ProxyPass "/b/" "http://127.0.0.1:%d/"' % behind.port)
    conns = [s.conn() for _ in range(3)]
    for conn in conns:
        conn.request("/b/x")
    wait_until(lambda: behind.accepted == 3, 10, "requests at the backend")
    wait_until(lambda: s.status()["BusyWorkers"] == 4, 10, "3 proxying")
    t.check(s.status()["ConnsTotal"] <= 5, "connections: %s" % s.status())
    gate.set()
    for conn in conns:
        t.equal(conn.read_response().body, b"/x", "answer")
        conn.close()
    wait_until(lambda: not wire.held(s.port), 10, "connections over")
    wait_until(lambda: s.status()["ConnsTotal"] <= 1, 10, "nothing left")


@test(stock="pass", item="10", needs=PROXY)
def backends_that_fail(t):
    gate = threading.Event()
    behind = backend.Slow(t, lambda: gate.wait(20))
    s = serve(t, threads=6, modules=PROXY, conf="""
ProxyPass "/none/" "http://127.0.0.1:{port2}/" retry=0
ProxyPass "/slow/" "http://127.0.0.1:%d/" timeout=1
""" % behind.port)
    t.equal(s.get("/none/").status, 503, "nobody listens")
    t.equal(s.get("/slow/").status, 502, "does not answer in time")
    children = s.children()
    for leave in ("close", "reset"):
        conns = [s.conn() for _ in range(3)]
        for conn in conns:
            conn.request("/slow/")
        for conn in conns:
            getattr(conn, leave)()
        wait_until(lambda: not wire.held(s.port), 15, "over after " + leave)
    gate.set()
    t.equal(s.get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.9 10", needs=PROXY + " http2")
def from_http2_streams(t):
    docs = {"f%d" % n: pattern(n * 2000, n) for n in range(1, 20)}
    s = itself(t, docs=docs, modules="http2", conf="Protocols h2c http/1.1")
    h2 = Session(s.conn(timeout=20))
    for _ in range(3):
        numbers = {name: h2.request("/b/" + name) for name in docs}
        t.check(h2.finish(), "finished: %s" % h2.streams)
        for name, number in numbers.items():
            t.equal(md5(h2.streams[number].body), md5(docs[name]), name)


@test(stock="pass", item="6.10 10", needs=PROXY + " proxy_wstunnel",
      core=True)
def tunnels_carry_bytes(t):
    for module, conf in TUNNELS:
        behind = backend.Upgrading(t)
        s = serve(t, threads=6, modules=PROXY + " " + module,
                  conf=conf % behind.port)

        def client(number):
            conn = tunnel(s)
            data = pattern(300000, number)
            for part in (b"x", b"yz" * 1000, data):
                t.equal(md5(echo(conn, part)), md5(part), "echo")
            return conn
        for conn in together(4, client):
            t.equal(s.get("/").status, 200, "beside them")
            conn.shutdown_write()
            t.equal(conn.wait_closed(15), "eof", "end of a tunnel")
            conn.close()
        wait_until(lambda: not wire.held(s.port), 15, "tunnels over")
        t.equal(s.get("/").status, 200, "afterwards")


@test(stock="pass", item="5.3 6.10", needs=PROXY + " proxy_wstunnel",
      core=True)
def tunnels_outlive_a_graceful_restart(t):
    for module, conf in TUNNELS:
        behind = backend.Upgrading(t)
        s = serve(t, threads=4, modules=PROXY + " " + module,
                  conf=conf % behind.port)
        old = s.children()
        conns = [tunnel(s) for _ in range(2)]
        for _ in range(2):
            s.graceful()
            t.equal(s.get("/").status, 200, "new generation")
            for number, conn in enumerate(conns):
                data = pattern(50000, number)
                t.equal(md5(echo(conn, data)), md5(data), "old tunnel")
        fresh = tunnel(s)
        t.equal(echo(fresh, b"new"), b"new", "new tunnel")
        for conn in conns:
            conn.close()
        for pid in old:
            s.wait_child_gone(pid, 15)
        t.equal(echo(fresh, b"still"), b"still", "new tunnel, still")


@test(stock="fails: a thread that waits in poll() is not woken", item="4.3",
      needs=PROXY + " proxy_wstunnel")
def stop_ends_tunnels(t):
    behind = backend.Upgrading(t)
    s = serve(t, threads=4, modules=PROXY + " proxy_wstunnel",
              conf=TUNNELS[0][1] % behind.port)
    conns = [tunnel(s) for _ in range(2)]
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 7, "a child had to be killed")
    for conn in conns:
        t.check(conn.wait_closed(5) is not None, "tunnel over")


@test(stock="pass", item="6.10", needs="proxy proxy_connect")
def connect_method(t):
    behind = backend.Upgrading(t)
    s = serve(t, threads=4, modules="proxy proxy_connect",
              conf="ProxyRequests On\nAllowCONNECT %d" % behind.port)
    conn = s.conn(timeout=20)
    conn.send("CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n"
              % behind.port)
    conn.read_until(b"\r\n\r\n")
    conn.request("/", headers={"Upgrade": "any", "Connection": "Upgrade"})
    t.equal(conn.read_head().status, 101, "through the tunnel")
    t.equal(conn.read_exactly(5), b"hello", "greeting")
    data = pattern(200000)
    t.equal(md5(echo(conn, data)), md5(data), "echo")
    conn.close()
    wait_until(lambda: not wire.held(s.port), 15, "tunnel over")


@test(stock="pass", item="10", needs=PROXY + " proxy_hcheck watchdog "
      "proxy_balancer lbmethod_byrequests slotmem_shm", timeout=60)
def health_checks_run_and_survive_restarts(t):
    seen = []
    lock = threading.Lock()

    def hold():
        with lock:
            seen.append(time.monotonic())
    behind = backend.Slow(t, hold)
    s = serve(t, threads=4, processes=2, modules=PROXY + " watchdog "
              "proxy_hcheck proxy_balancer lbmethod_byrequests slotmem_shm",
              conf="""
<Proxy "balancer://some">
    BalancerMember "http://127.0.0.1:%d" hcmethod=GET hcinterval=1 hcuri=/hc
</Proxy>
ProxyPass "/b/" "balancer://some/"
""" % behind.port)
    wait_until(lambda: len(seen) >= 2, 15, "two checks")
    t.equal(s.get("/b/x").body, b"/x", "through the balancer")
    s.graceful()
    count = len(seen)
    wait_until(lambda: len(seen) >= count + 3, 20, "checks afterwards")
    t.equal(s.get("/b/y").body, b"/y", "through the balancer")
    started = time.monotonic()
    s.stop()
    t.check(time.monotonic() - started < 8, "a child had to be killed")
