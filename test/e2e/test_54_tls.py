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
"""TLS: records, alerts and handshakes underneath the same connections."""

import ssl
import time

import wire
from client import Closed, Load, together
from common import md5, pattern, serve
from harness import test, wait_until

ALERT = 21


def secure(t, **settings):
    settings["modules"] = "ssl " + settings.get("modules", "")
    settings["conf"] = (
        "SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s\n"
        % t.cert() + settings.get("conf", ""))
    return serve(t, **settings)


def context(version=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class ByHand:
    """TLS over a plain client.Conn, its bytes in the test's hands."""

    def __init__(self, conn, version=None):
        self.conn = conn
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(version).wrap_bio(self.incoming, self.outgoing)

    def hello(self):
        """The bytes of the ClientHello."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def receive(self):
        data = self.conn.sock.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        return data

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.conn.send(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.conn.send(self.outgoing.read())
                self.receive()

    def sealed(self, data):
        """The records data becomes."""
        self.tls.write(data)
        return self.outgoing.read()

    def answer(self):
        """A response with a Content-Length, whole."""
        data = b""
        while True:
            try:
                data += self.tls.read(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:") and \
                            len(body) >= int(line.split(b":")[1]):
                        return body
            except ssl.SSLWantReadError:
                if not self.receive():
                    raise Closed("eof", data) from None


def end_of(conn, timeout=15):
    """How a TLS connection ends: "close_notify", "eof" without one, or
    "reset"."""
    conn.settimeout(timeout)
    try:
        while conn.sock.recv(65536):
            pass
        return "close_notify"
    except ssl.SSLEOFError:
        return "eof"
    except ConnectionResetError:
        return "reset"


@test(stock="pass", item="10", needs="ssl", core=True)
def kept_alive(t):
    s = secure(t, threads=8, keepalive_timeout=20,
               mpm={"AsyncRequestWorkerFactor": 10})
    conns = []
    for _ in range(12):
        conns.append(s.conn(tls=True))
        t.equal(conns[-1].get("/").status, 200, "first request")
    for turn in range(5):
        for conn in conns:
            t.equal(conn.get("/").status, 200, "request in turn %d" % turn)


@test(stock="pass", item="6.6 #19", needs="ssl", core=True)
def close_notify_whenever_the_server_closes(t):
    s = secure(t, threads=4, keepalive_timeout=1)
    conn = s.conn(tls=True)
    t.equal(conn.get("/").status, 200, "request")
    t.equal(end_of(conn), "close_notify", "at the keep-alive timeout")
    conn = s.conn(tls=True)
    t.equal(conn.get("/", headers={"Connection": "close"}).status, 200)
    t.equal(end_of(conn), "close_notify", "after Connection: close")
    conn = s.conn(tls=True)
    conn.request("/", method="POST", headers={"Transfer-Encoding": "odd"})
    t.check(conn.read_head().status >= 400, "bad request")
    conn.buffer = b""
    t.equal(end_of(conn), "close_notify", "after a bad request")


@test(stock="pass", item="6.6 #19", needs="ssl")
def close_notify_is_on_the_wire(t):
    s = secure(t, threads=4, keepalive_timeout=1)
    by_hand = ByHand(s.conn(timeout=15), ssl.TLSVersion.TLSv1_2)
    by_hand.handshake()
    by_hand.conn.send(by_hand.sealed(by_hand.conn.format("/")))
    t.equal(by_hand.answer(), b"It serves.\n", "answer")
    last = by_hand.conn.read_to_eof()
    t.equal(last[0], ALERT, "type of the last record")
    t.equal(len(last), 5 + int.from_bytes(last[3:5], "big"), "only record")


@test(stock="pass", item="5.3 #19", needs="ssl")
def close_notify_at_a_graceful_restart(t):
    # At once, or when the client's time is up: a goodbye it is either way.
    s = secure(t, threads=4, keepalive_timeout=2)
    conns = [s.conn(tls=True) for _ in range(3)]
    for conn in conns:
        t.equal(conn.get("/").status, 200, "request")
    s.graceful()
    for conn in conns:
        t.equal(end_of(conn, 25), "close_notify", "idle connection")


@test(stock="pass", item="6.4 6.5", needs="ssl dav dav_fs alias", core=True)
def big_upload_and_download(t):
    s = secure(t, threads=12, modules="dav dav_fs alias", timeout=20,
               conf='DavLockDB "{root}/scratch/locks"\n'
                    'Alias /up "{root}/scratch"\n'
                    '<Directory "{root}/scratch">\nDav On\n'
                    'Require all granted\n</Directory>')
    body = pattern(4 << 20)

    def move(number):
        version = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)[number % 2]
        conn = s.conn(tls=context(version), timeout=30)
        path = "/up/f%d" % number
        put = conn.get(path, method="PUT", body=body).status
        return put, md5(conn.get(path).body), conn.get("/").status
    for number, got in enumerate(together(4, move, timeout=50)):
        t.equal(got, (201, md5(body), 200), "client %d" % number)


@test(stock="pass", item="6.5", needs="ssl", core=True)
def slow_reader(t):
    body = pattern(3 << 20)
    s = secure(t, threads=5, timeout=30, docs={"big": body})
    conns = []
    for _ in range(3):
        conns.append(s.conn(tls=True, rcvbuf=16384, timeout=20))
        conns[-1].request("/big")
    heads = [conn.read_head() for conn in conns]
    for _ in range(5):
        t.equal(s.get("/", tls=True).status, 200, "beside them")
    for conn, head in zip(conns, heads):
        length = int(head.headers["content-length"])
        t.equal(md5(conn.read_exactly(length)), md5(body), "body")
        t.equal(conn.get("/").status, 200, "next request")


@test(stock="pass", item="6.5", needs="ssl")
def small_answers_to_slow_readers(t):
    # What fits the filters' memory is written without a thread's waiting.
    body = pattern(60000)
    s = secure(t, threads=4, timeout=30, docs={"a": body},
               conf="SendBufferSize 8192\nFlushMaxThreshold 1000000",
               mpm={"AsyncRequestWorkerFactor": 10})
    conns = []
    for _ in range(6):
        conns.append(s.conn(tls=True, rcvbuf=4096, timeout=20))
        conns[-1].request("/a")
    for _ in range(5):
        t.equal(s.get("/", tls=True).status, 200, "beside them")
    for conn in conns:
        t.equal(md5(conn.read_response().body), md5(body), "body")
        t.equal(md5(conn.get("/a").body), md5(body), "next body")


@test(stock="pass", item="6.6", needs="ssl", core=True)
def handshakes_that_break_off(t):
    s = secure(t, threads=4, timeout=20)
    children = s.children()
    hello = ByHand(s.conn()).hello()
    for part in (1, 5, 40, len(hello) - 1, len(hello)):
        for leave in ("close", "reset", "shutdown_write"):
            for _ in range(3):
                conn = s.conn()
                conn.send(hello[:part])
                getattr(conn, leave)()
                if leave == "shutdown_write":
                    conn.wait_closed(8)
                    conn.close()
    t.clients[0].close()
    wait_until(lambda: not wire.held(s.port), 15, "connections over")
    t.equal(s.get("/", tls=True).status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.4", needs="ssl")
def handshakes_that_stop_are_timed_out(t):
    s = secure(t, threads=6, timeout=2)
    hello = ByHand(s.conn()).hello()
    conns = [s.conn() for _ in range(3)]
    started = time.monotonic()
    for number, conn in enumerate(conns):
        conn.send(hello[:(3, 100, len(hello))[number]])
    for _ in range(5):
        t.equal(s.get("/", tls=True).status, 200, "beside them")
    for conn in conns:
        t.check(conn.wait_closed(15) in ("eof", "reset"), "closed")
    t.check(time.monotonic() - started >= 1.9, "not before their time")


@test(stock="pass", item="6.4", needs="ssl")
def handshake_and_request_byte_by_byte(t):
    s = secure(t, threads=4, timeout=20)
    by_hand = ByHand(s.conn(timeout=15))
    for byte in by_hand.hello():
        by_hand.conn.send(bytes([byte]))
    by_hand.receive()
    by_hand.handshake()
    for _ in range(2):
        for byte in by_hand.sealed(by_hand.conn.format("/")):
            by_hand.conn.send(bytes([byte]))
            time.sleep(0.001)
        t.equal(by_hand.answer(), b"It serves.\n", "answer")


@test(stock="pass", item="6.4", needs="ssl", core=True)
def half_a_record_wakes_a_waiting_connection(t):
    s = secure(t, threads=4, timeout=20, keepalive_timeout=1)
    by_hand = ByHand(s.conn(timeout=15))
    by_hand.handshake()
    by_hand.conn.send(by_hand.sealed(by_hand.conn.format("/")))
    t.equal(by_hand.answer(), b"It serves.\n", "first answer")
    record = by_hand.sealed(by_hand.conn.format("/"))
    by_hand.conn.send(record[:len(record) // 2])
    t.check(by_hand.conn.quiet(1.6), "left alone past KeepAliveTimeout")
    by_hand.conn.send(record[len(record) // 2:])
    t.equal(by_hand.answer(), b"It serves.\n", "second answer")


@test(stock="pass", item="6.3", needs="ssl")
def no_tls_at_all(t):
    s = secure(t, threads=4, timeout=5)
    t.equal(s.get("/").status, 400, "plain HTTP")
    for data in (b"\0" * 300, b"\x16\x03\x01\xff\xff" + b"z" * 200,
                 b"\x80\x2e\x01\x03\x01" + b"y" * 50):
        conn = s.conn()
        conn.send(data)
        conn.shutdown_write()
        t.check(conn.wait_closed(8) is not None, "closed")
    t.equal(s.get("/", tls=True).status, 200, "afterwards")


@test(stock="pass", item="6.6", needs="ssl")
def clients_that_leave_in_the_middle(t):
    s = secure(t, threads=4, timeout=20, docs={"big": bytes(2 << 20)})
    children = s.children()
    for leave in ("close", "reset"):
        for _ in range(10):
            conn = s.conn(tls=True, rcvbuf=16384)
            conn.request("/big")
            conn.read_exactly(20000)
            getattr(conn, leave)()
    wait_until(lambda: not wire.held(s.port), 20, "connections over")
    conn = s.conn(tls=True)
    conn.request("/")
    t.equal(conn.read_response().status, 200, "answer")
    conn.sock.unwrap().close()
    wait_until(lambda: not wire.held(s.port), 10, "after a close_notify")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="4.5", needs="ssl")
def load_over_restarts(t):
    s = secure(t, threads=6, processes=2, keepalive_timeout=20)
    load = Load(s.port, clients=4, tls=True, pause=0.01)
    for _ in range(3):
        s.graceful()
        wait_until(lambda c=load.answered: load.answered > c + 20, 15)
    counts = load.stop()
    t.equal((counts["refused"], counts["lost"], counts["wrong"]), (0, 0, 0),
            "clients: %s" % load.notes)
