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
"""HTTP/2: sessions that wait in the MPM and streams that run beside it."""

import random
import re
import subprocess
import time

import wire
from client import Task, together
from common import md5, pattern, serve
from h2 import GOAWAY, SETTINGS, Session, Stream
from harness import test, wait_until


def plain(t, **settings):
    """A server that speaks HTTP/2 in clear."""
    settings["modules"] = "http2 " + settings.get("modules", "")
    # With hardly more threads of its own than there are sessions mod_http2
    # can forget a stream under load, with any MPM.
    settings["conf"] = ("Protocols h2c http/1.1\nH2MinWorkers 25\n"
                        + settings.get("conf", ""))
    return serve(t, **settings)


def secure(t, **settings):
    """A server that speaks HTTP/2 over TLS."""
    settings["modules"] = "http2 ssl " + settings.get("modules", "")
    settings["conf"] = (
        "Protocols h2 http/1.1\nSSLEngine on\nSSLCertificateFile %s\n"
        "SSLCertificateKeyFile %s\n" % t.cert() + settings.get("conf", ""))
    return serve(t, **settings)


def session(s, **kwargs):
    return Session(s.conn(timeout=20), **kwargs)


def h2load(t, s, *args, scheme="http"):
    """Run h2load; its counts of requests."""
    done = subprocess.run(
        ["h2load", *args, "%s://127.0.0.1:%d/" % (scheme, s.port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.STDOUT, timeout=50, check=False)
    found = re.search(r"^requests: (.*)$", done.stdout, re.M)
    t.check(found, done.stdout)
    return {name: int(number) for number, name in
            re.findall(r"(\d+) (\w+)", found[1])}


def check_load(t, counts, wanted):
    t.equal((counts["started"], counts["succeeded"]), (wanted, wanted),
            "started and succeeded: %s" % counts)
    t.equal((counts["failed"], counts["errored"], counts["timeout"]),
            (0, 0, 0), "lost: %s" % counts)


def quiet_log(t, s):
    """Nothing above notice in the error log, but that all are busy, and what
    mod_ssl says of the certificate and of an OpenSSL older than its own."""
    loud = s.log_lines(r":(warn|error|crit|alert|emerg)\]")
    known = re.compile("AH01906|AH01909|AH01873|AH01882|AH00484|AH10159")
    loud = [line for line in loud if not known.search(line)]
    t.equal(loud, [], "log")


@test(stock="fails: closes sessions that wait when its threads are busy",
      item="6.4 #24", needs="http2", core=True)
def load_in_clear_loses_nothing(t):
    # With few workers of its own, mod_http2 may forget to wake one for a
    # session; with any MPM that session then waits for another's request.
    s = plain(t, threads=4, processes=2, loglevel="info",
              mpm={"AsyncRequestWorkerFactor": 20},
              conf="H2MinWorkers 16\nH2MaxWorkers 32")
    requests, clients = (30000, 50) if t.long else (3000, 20)
    check_load(t, h2load(t, s, "-n", str(requests), "-c", str(clients),
                         "-m", "1"), requests)
    quiet_log(t, s)


@test(stock="pass", item="6.4", needs="http2 ssl", core=True)
def load_over_tls_loses_nothing(t):
    s = secure(t, threads=16, loglevel="info")
    check_load(t, h2load(t, s, "-n", "1000", "-c", "10", "-m", "1",
                         scheme="https"), 1000)
    check_load(t, h2load(t, s, "-n", "1000", "-c", "10", "-m", "20",
                         scheme="https"), 1000)
    quiet_log(t, s)


@test(stock="pass", item="6.9 #31", needs="http2", core=True)
def many_streams_at_once(t):
    docs = {"f%d" % n: pattern(1000 * n, n) for n in range(60)}
    s = plain(t, threads=4, docs=docs)
    h2 = session(s)
    for _ in range(3):
        numbers = {name: h2.request("/" + name) for name in docs}
        t.check(h2.finish(), "finished: %s" % h2.streams)
        for name, number in numbers.items():
            stream = h2.streams[number]
            t.equal((stream.status, md5(stream.body)), (200, md5(docs[name])),
                    name)


@test(stock="pass", item="6.9", needs="http2 dav dav_fs alias")
def uploads(t):
    s = plain(t, threads=4, modules="dav dav_fs alias",
              conf='DavLockDB "{root}/scratch/locks"\n'
                   'Alias /up "{root}/scratch"\n'
                   '<Directory "{root}/scratch">\nDav On\n'
                   'Require all granted\n</Directory>')
    h2 = session(s)
    bodies = [pattern(n * 6000, n) for n in range(1, 10)]
    puts = [h2.request("/up/f%d" % n, method="PUT", body=body)
            for n, body in enumerate(bodies)]
    t.check(h2.finish(*puts), "finished: %s" % h2.streams)
    for number, body in enumerate(bodies):
        t.equal(md5(h2.get("/up/f%d" % number).body), md5(body), "stored")


@test(stock="pass", item="14.7 6.4 #66", needs="http2", core=True)
def idle_without_a_request_has_timeout(t):
    s = plain(t, threads=3, timeout=2, keepalive_timeout=30)
    h2 = session(s)
    started = time.monotonic()
    t.check(h2.read_until(lambda: h2.goaway), "GOAWAY")
    t.check(time.monotonic() - started >= 1.9, "not before its time")
    t.equal(h2.conn.wait_closed(), "eof", "then")


@test(stock="pass", item="6.4 #30", needs="http2", core=True)
def idle_after_a_request_has_keepalive_timeout(t):
    s = plain(t, threads=3, timeout=40, keepalive_timeout=1)
    h2 = session(s)
    started = time.monotonic()
    t.equal(h2.get("/").status, 200, "request")
    t.check(h2.read_until(lambda: h2.goaway), "GOAWAY")
    t.check(time.monotonic() - started >= 1, "not before its time")
    t.equal(h2.conn.wait_closed(), "eof", "then")


@test(stock="pass", item="6.4 #51", needs="http2")
def blocked_by_flow_control_has_timeout(t):
    body = pattern(200000)
    s = plain(t, threads=3, timeout=20, keepalive_timeout=1,
              docs={"big": body})
    h2 = session(s, window=10000, grant=False)
    number = h2.request("/big")
    stream = h2.streams[number]
    t.check(h2.read_until(lambda: len(stream.body) == 10000), "first window")
    t.check(not h2.read_until(lambda: h2.goaway or h2.closed, 2.5),
            "left alone past the KeepAliveTimeout")
    h2.grant = True
    h2.window_update(0, 1 << 20)
    h2.window_update(number, 1 << 20)
    t.check(h2.finish(number), "finished: %s" % stream)
    t.equal(md5(stream.body), md5(body), "body")


@test(stock="pass", item="6.4", needs="http2")
def blocked_for_too_long_is_closed(t):
    s = plain(t, threads=3, timeout=1, keepalive_timeout=30,
              docs={"big": pattern(200000)})
    h2 = session(s, window=10000, grant=False)
    stream = h2.streams[h2.request("/big")]
    t.check(h2.read_until(lambda: len(stream.body) == 10000), "first window")
    h2.read_until(lambda: False, 15)
    t.check(h2.closed, "still open after %s" % stream)
    h2.conn.close()
    wait_until(lambda: not wire.held(s.port), 15, "connection over")


@test(stock="pass", item="6.4 7", needs="http2", core=True)
def waiting_sessions_hold_no_thread(t):
    s = plain(t, threads=4, timeout=40, keepalive_timeout=40,
              mpm={"AsyncRequestWorkerFactor": 10},
              docs={"big": pattern(200000)})
    fresh, used, blocked = [], [], []
    for _ in range(5):
        fresh.append(session(s))
        fresh[-1].read_frame()
        used.append(session(s))
        t.equal(used[-1].get("/").status, 200, "request")
        blocked.append(session(s, window=10000, grant=False))
        stream = blocked[-1].streams[blocked[-1].request("/big")]
        blocked[-1].read_until(lambda st=stream: len(st.body) == 10000)
        t.equal(len(stream.body), 10000, "first window")
    for _ in range(5):
        t.equal(s.get("/").status, 200, "a client beside them")
    for h2 in fresh + used + blocked:
        t.check(h2.ping(), "answers a PING")
        t.equal(h2.get("/").status, 200, "and a request")


@test(stock="fails: its counters stand still while nothing expires",
      item="9.1 14.12", needs="http2")
def counted_while_they_wait(t):
    s = plain(t, threads=4, timeout=60, keepalive_timeout=60)
    fresh = [session(s) for _ in range(3)]
    used = [session(s) for _ in range(2)]
    for h2 in used:
        t.equal(h2.get("/").status, 200, "request")
    wait_until(lambda: (s.status()["ConnsAsyncWaitIO"],
                        s.status()["ConnsAsyncKeepAlive"]) == (3, 2),
               10, lambda: "counted: %s" % s.status())
    for h2 in fresh + used:
        h2.conn.close()
    wait_until(lambda: s.status()["ConnsAsyncWaitIO"] == 0, 10, "gone")


@test(stock="pass", item="6.7", needs="http2 ssl")
def timeout_is_the_sni_hosts(t):
    s = secure(t, threads=4, timeout=40, keepalive_timeout=30, conf="""
<VirtualHost *:{port}>
    ServerName localhost
</VirtualHost>
<VirtualHost *:{port}>
    ServerName brief
    KeepAliveTimeout 1
    SSLEngine on
    SSLCertificateFile %s
    SSLCertificateKeyFile %s
</VirtualHost>
""" % t.cert())
    s.stop()
    s.configure(conf=s.settings["conf"].replace(
        "ServerName localhost\n", "ServerName localhost\nSSLEngine on\n"))
    s.start()
    sessions = {}
    for name in ("localhost", "brief"):
        conn = s.conn(tls=True, server_name=name, alpn=["h2"], timeout=20)
        t.equal(conn.sock.selected_alpn_protocol(), "h2", "ALPN")
        conn.host = name
        sessions[name] = Session(conn, scheme="https")
        t.equal(sessions[name].get("/").status, 200, name)
    brief = sessions["brief"]
    t.check(brief.read_until(lambda: brief.goaway, 15), "brief: GOAWAY")
    t.check(sessions["localhost"].ping(), "localhost goes on")


@test(stock="pass", item="6.10", needs="http2")
def upgrade_from_http_1(t):
    s = plain(t, threads=3, conf="H2Upgrade on", keepalive_timeout=20,
              docs={"a": b"first\n"})
    conn = s.conn()
    t.equal(conn.get("/").status, 200, "HTTP/1.1 before")
    conn.request("/a", headers={"Connection": "Upgrade, HTTP2-Settings",
                                "Upgrade": "h2c", "HTTP2-Settings": ""})
    t.equal(conn.read_head().status, 101, "switched")
    h2 = Session(conn)
    # Core means this connection to close after the one request, and so it
    # does when the client sends something more.
    stream = h2.streams[1] = Stream()
    t.check(h2.finish(1), "stream 1")
    t.equal((stream.status, stream.body), (200, b"first\n"), "its answer")
    t.equal(s.get("/").status, 200, "others")


@test(stock="pass", item="5.3", needs="http2 probe", core=True)
def graceful_restart_finishes_streams(t):
    s = plain(t, threads=4, timeout=20, probe=True)
    old = s.children()
    sessions = [session(s) for _ in range(3)]
    numbers = []
    for h2 in sessions:
        t.equal(h2.get("/").status, 200, "before")
        numbers.append(h2.request("/probe/sleep?ms=800"))
        t.check(h2.ping(), "the request has been taken")
    s.graceful()
    for h2, number in zip(sessions, numbers):
        t.check(h2.finish(number), "finished: %s" % h2.streams)
        t.equal(h2.streams[number].body, b"slept\n", "answer")
        t.check(h2.read_until(lambda: h2.goaway), "GOAWAY")
    for pid in old:
        s.wait_child_gone(pid, 20)
    t.equal(session(s).get("/").status, 200, "new generation")


def told_to_drain(t, s, old):
    """The server restarts gently; its old children have been told."""
    s.graceful()
    wait_until(lambda: set(s.children()) - set(old), what="new child")
    wait_until(lambda: s.status()["Stopping"] == len(old), what="told")


@test(stock="fails: ends the session and both streams", item="issue 2.2",
      needs="http2 probe", core=True)
def request_that_crosses_a_restart(t):
    """A client that does not know yet asks for more while an answer is on
    its way: it gets both, and then the GOAWAY."""
    s = plain(t, threads=4, timeout=20, probe=True)
    old = s.children()
    h2 = session(s)
    t.equal(h2.get("/").status, 200, "before")
    slow = h2.request("/probe/sleep?ms=3000")
    t.check(h2.ping(), "the request has been taken")
    told_to_drain(t, s, old)
    for _ in range(3):
        t.check(h2.streams[slow].status is None, "the first one still runs")
        h2.request("/")
        t.check(h2.ping(), "taken too")
    t.check(h2.finish(), "finished: %s" % h2.streams)
    t.equal([stream.status for stream in h2.streams.values()], [200] * 5,
            "answers")
    t.check(h2.read_until(lambda: h2.goaway), "GOAWAY")
    t.equal(h2.goaway, (h2.next_stream - 2, 0), "last id and no error")
    t.equal(h2.conn.wait_closed(), "eof", "then")
    h2.conn.close()
    for pid in old:
        s.wait_child_gone(pid, 20)


@test(stock="fails: tells it at once", item="issue 2.2",
      needs="http2 probe")
def session_that_is_never_idle_is_told(t):
    """There is always a stream open: GOAWAY comes nevertheless, before the
    time of the child is over."""
    s = plain(t, threads=4, timeout=20, probe=True,
              conf="EventDrainTimeout 6" if not t.env.stock else "")
    old = s.children()
    h2 = session(s)
    t.equal(h2.get("/").status, 200, "before")
    h2.request("/probe/sleep?ms=4500")
    t.check(h2.ping(), "the request has been taken")
    told_to_drain(t, s, old)
    asked = 0
    while not h2.goaway and asked < 14:
        asked += 1
        h2.finish(h2.request("/probe/sleep?ms=300"))
    t.check(asked > 2, "streams before it was told: %d" % asked)
    t.check(h2.goaway, "told")
    t.check(h2.finish(), "finished: %s" % h2.streams)
    t.equal({stream.status for stream in h2.streams.values()}, {200},
            "answers")
    t.equal(h2.conn.wait_closed(), "eof", "then")
    h2.conn.close()
    for pid in old:
        s.wait_child_gone(pid, 20)
    t.equal(len(s.log_lines("EventDrainTimeout is over")), 0, "in time")


@test(stock="fails: leaves it open until its Timeout", item="5.3 #66",
      needs="http2")
def graceful_restart_ends_idle_sessions(t):
    s = plain(t, threads=4, timeout=25, keepalive_timeout=25)
    old = s.children()
    fresh, used = session(s), session(s)
    t.check(fresh.ping(), "fresh")
    t.equal(used.get("/").status, 200, "used")
    s.graceful()
    for h2 in (fresh, used):
        t.check(h2.read_until(lambda: h2.goaway or h2.closed, 12), "ended")
    for pid in old:
        s.wait_child_gone(pid, 12)


@test(stock="pass", item="#68", needs="http2 probe")
def client_that_says_goaway_gets_its_answer(t):
    s = plain(t, threads=3, probe=True)
    h2 = session(s)
    number = h2.request("/probe/sleep?ms=500")
    t.check(h2.ping(), "the request has been taken")
    h2.send_frame(GOAWAY, 0, 0, bytes(8))
    t.check(h2.finish(number), "finished: %s" % h2.streams)
    t.equal(h2.streams[number].body, b"slept\n", "answer")


@test(stock="pass", item="#65", needs="http2")
def requests_are_counted_once(t):
    s = plain(t, threads=4)
    before = s.status()["Total Accesses"]
    h2 = session(s)
    for _ in range(20):
        t.equal(h2.get("/").status, 200, "request")
    # The question before is one, and one with the preface may be another.
    wait_until(lambda: s.status()["Total Accesses"] >= before + 20, 10)
    after = s.status()["Total Accesses"]
    t.check(after - before <= 20 + 8, "counted %d" % (after - before))


@test(stock="pass", item="6.2 6.9", needs="http2 ssl", core=True)
def chosen_by_alpn(t):
    body = pattern(500000)
    s = secure(t, threads=4, docs={"a": body})

    def fetch(number):
        if number % 2:
            conn = s.conn(tls=True, alpn=["http/1.1"], timeout=20)
            return md5(conn.get("/a").body)
        conn = s.conn(tls=True, alpn=["h2"], timeout=20)
        return md5(Session(conn, scheme="https").get("/a").body)
    t.equal(together(8, fetch), [md5(body)] * 8, "bodies")


@test(stock="pass", item="6.3", needs="http2")
def odd_frames_hurt_nobody(t):
    s = plain(t, threads=6, timeout=3)
    children = s.children()
    dice = random.Random(20120211)

    def talk(seed):
        local = random.Random(seed)
        conn = s.conn(timeout=10)
        h2 = Session(conn)
        try:
            h2.request("/")
            for _ in range(local.randrange(1, 8)):
                h2.send_frame(local.randrange(12), local.randrange(256),
                              local.choice((0, 1, 2, 3, 0x7fffffff)),
                              local.randbytes(local.randrange(0, 40)))
            if local.randrange(2):
                h2.read_until(lambda: h2.goaway or h2.closed, 0.2)
        except OSError:
            pass
        conn.reset() if local.randrange(2) else conn.close()
    for _ in range(15):
        seeds = [dice.random() for _ in range(6)]
        together(6, lambda number, given=seeds: talk(given[number]))
    wait_until(lambda: not wire.held(s.port), 20, "connections over")
    t.equal(session(s).get("/").status, 200, "afterwards")
    t.equal(s.children(), children, "children")


@test(stock="pass", item="6.5 6.9", needs="http2")
def slow_readers_beside_quick_ones(t):
    body = pattern(1 << 20)
    s = plain(t, threads=4, timeout=30, docs={"big": body})
    slow = []
    for _ in range(3):
        h2 = Session(s.conn(rcvbuf=8192, timeout=20), window=1 << 20)
        h2.window_update(0, 1 << 24)
        h2.request("/big")
        slow.append(h2)

    def quick():
        h2 = session(s)
        return [h2.get("/").status for _ in range(50)]
    t.equal(Task(quick).join(), [200] * 50, "quick one")
    for h2 in slow:
        t.check(h2.finish(), "finished: %s" % h2.streams)
        t.equal(md5(h2.streams[1].body), md5(body), "big body")


@test(stock="pass", item="6.3", needs="http2")
def session_of_nothing_but_settings(t):
    s = plain(t, threads=3, timeout=10)
    for _ in range(20):
        h2 = session(s)
        h2.send_frame(SETTINGS, 0, 0)
        h2.conn.shutdown_write()
        t.check(h2.conn.wait_closed() in ("eof", "reset"), "ended")
        h2.conn.close()
    wait_until(lambda: not wire.held(s.port), 10, "connections over")
