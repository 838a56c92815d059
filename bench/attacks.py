#!/usr/bin/python3
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
"""attacks: how a normal client fares beside slow and silent ones.

  bench/attacks.py [--quick] [--only REGEX] [--servers LIST] [--markdown]

A server of one child with 64 threads.  A normal client makes a connection
for each of its 10 requests a second and gives each 5 s: first alone, then
beside the attack.  See README.md beside this file.
"""

import argparse
import os
import re
import select
import signal
import socket
import ssl
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(CHECKOUT, "test", "e2e")]
sys.dont_write_bytecode = True

import contestants               # noqa: E402
import drivers                   # noqa: E402
import gauges                    # noqa: E402
import load                      # noqa: E402
import procs                     # noqa: E402
import report                    # noqa: E402
import runs                      # noqa: E402
import wire                      # noqa: E402

RATE = 10                 # requests a second of the normal client
PATIENCE = 5.0            # seconds it waits for each
EVERY = 5.0               # seconds between two bytes of an attacker
AGAIN = 2.0               # seconds after which one that was closed is back
ATTACKER = "127.0.0.2"    # the normal client is 127.0.0.1

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
READ = b"GET /10m.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(length):
    return POST + b"Content-Length: %d\r\n\r\na" % length


def half_hello():
    """The first half of a true ClientHello."""
    out = ssl.MemoryBIO()
    tls = load.any_server().wrap_bio(ssl.MemoryBIO(), out)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = out.read()
    return hello[:len(hello) // 2]


# --- Clients ----------------------------------------------------------------

class Attacker(load.Client):
    """A connection that sends first, and then drip every EVERY seconds; it
    comes again when it was closed.  reads: how much it takes a second; None:
    whatever there is."""

    def open(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self.want["reads"]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((ATTACKER, 0))
        sock.connect_ex(("127.0.0.1", self.want["port"]))
        self.sock, self.step = sock, self.connected
        self.loop.by_fd[sock.fileno()] = self
        self.loop.poll.register(sock.fileno(), select.EPOLLOUT)

    def refuse(self, why):
        self.over()

    def begin(self):
        self.step = self.read
        if self.want["reads"]:
            self.watch(0)
        self.send(self.want["first"])
        if self.sock:
            self.after(EVERY if self.want["drip"] else None, self.trickle)
            self.after(1.0 if self.want["reads"] else None, self.take)

    def after(self, delay, function):
        """Later, if it is the same connection then."""
        sock = self.sock
        if delay:
            self.loop.after(delay, lambda: self.sock is sock and function())

    def send(self, data):
        try:
            self.sock.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.over()

    def trickle(self):
        self.send(self.want["drip"])
        if self.sock:
            self.after(EVERY, self.trickle)

    def take(self):
        try:
            if not self.sock.recv(self.want["reads"]):
                return self.over()
        except BlockingIOError:
            pass
        except OSError:
            return self.over()
        self.after(1.0, self.take)

    def read(self):
        got = self.receive()
        if got is not None and not (got and isinstance(got, bytes)):
            self.over()

    def over(self):
        self.drop()
        self.loop.after(AGAIN, self.open)


def attackers(port, count, first, drip, reads, ramp):
    """The process that attacks."""
    want = dict(port=port, first=first, drip=drip, reads=reads)

    def make(loop):
        for number in range(count):
            loop.after(ramp * number / count, Attacker(loop, want).open)
    return load.Load(make)


def normal(port, tls, seconds):
    """The Figures of the normal client after so many seconds."""
    want = dict(port=port, path="/", think=0, body=None, pulse=None,
                keepalive=False, tls=tls and load.any_server())
    asked = round(seconds * RATE)

    def make(loop):
        for number in range(asked):
            loop.after(number / RATE, load.Ticker(loop, want).open)
    client = load.Load(make, PATIENCE)
    time.sleep(asked / RATE)
    figures = client.stop()[0]
    if figures.connects != asked:
        raise RuntimeError("the client asked %d times, not %d"
                           % (figures.connects, asked))
    return figures


# --- One run ----------------------------------------------------------------

def settings(who, made, reqtimeout, accept_none, limits, conf):
    """What a row changes in the configuration of a contestant."""
    limits = dict(made.settings["mpm"], AsyncRequestWorkerFactor=2,
                  **(limits if who == "ours" else {}))
    modules = made.settings["modules"]
    return dict(mpm=limits, conf=made.settings["conf"] + conf,
                modules=modules + (" reqtimeout" if reqtimeout else ""),
                defer_accept=not accept_none)


def used_by(pid):
    return gauges.cpu_seconds(procs.stat(pid))


def attack(t, who, count, seconds, first=b"", drip=b"", reads=None,
           attacks_tls=False, tls=False, reqtimeout=False,
           accept_none=False, limits=None, conf=""):
    """The figures of one server under one attack."""
    setup = contestants.Setup(processes=1, single=True,
                              tls=tls or attacks_tls)
    s = contestants.Httpd(t, who, setup)
    s.configure(**settings(who, s, reqtimeout, accept_none, limits or {},
                           conf))
    t.servers.append(s)
    s.start()
    port = s.tls_port if tls else s.port
    before = normal(port, tls, max(3.0, seconds / 4))
    target = s.tls_port if attacks_tls else s.port
    ramp = 1.0 if count < 1000 else 3.0
    process = attackers(target, count, first, drip, reads, ramp)
    time.sleep(ramp + 1.0)
    gauge = gauges.Gauge(s.pid)
    began, spent = time.monotonic(), used_by(process.pid)
    figures = normal(port, tls, seconds)
    took, spent = time.monotonic() - began, used_by(process.pid) - spent
    cpu, _, others = gauge.read()
    others -= spent / (took * os.cpu_count())
    held = wire.held(target)
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    return dict(asked=figures.connects, answered=figures.answered,
                p50=figures.quantile(0.5), p99=figures.quantile(0.99),
                max=figures.quantile(1), cpu=100 * cpu / took,
                before=before.quantile(0.99), held=held,
                others=100 * max(0.0, others),
                notes=figures.notes[:3])


# --- The table --------------------------------------------------------------

def rows():
    """[(name, what attack() is given)]."""
    hello = half_hello()
    found = []
    for name, more in (("", {}), (", reqtimeout", {"reqtimeout": True})):
        for count in (500, 5000):
            found.append(("%d partial heads%s" % (count, name), dict(
                more, count=count, first=HEAD, drip=b"b")))
        for count in (500, 5000):
            for filt, accept_none in (("", False),
                                      (", AcceptFilter none", True)):
                found.append(("%d silent%s%s" % (count, filt, name), dict(
                    more, count=count, accept_none=accept_none)))
        for client, tls in (("plain", False), ("TLS", True)):
            found.append(("500 partial ClientHellos, %s client%s" % (
                client, name), dict(more, count=500, first=hello,
                                    drip=b"b", attacks_tls=True, tls=tls)))
        found.append(("100 slow readers of 10 MB%s" % name, dict(
            more, count=100, first=READ, reads=2048,
            conf="EnableSendfile On\n")))
    bodies = dict(count=500, drip=b"b", reqtimeout=True)
    found += [
        ("500 slow bodies of 10 KB, reqtimeout",
         dict(bodies, first=post(10000))),
        ("500 slow bodies of 1 MB, reqtimeout",
         dict(bodies, first=post(1 << 20))),
        ("500 slow chunked bodies, EventClientLimit 50, reqtimeout",
         dict(bodies, drip=b"1\r\nb\r\n", first=POST
              + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
              limits={"EventClientLimit": 50,
                      "EventClientLimitExempt": "none"})),
    ]
    return found


TITLES = ["attack", "MPM", "answered", "p50", "p99", "max", "CPU %",
          "p99 alone", "held", "others %"]


def cells(name, who, result):
    """The line of one run."""
    if isinstance(result, str):
        return [name, who, "failed", *["-"] * (len(TITLES) - 3)]
    times = [report.value(result[key]) if result["answered"] else "-"
             for key in ("p50", "p99", "max")]
    return [name, who, "%d of %d" % (result["answered"], result["asked"]),
            *times, "%.1f" % result["cpu"], report.value(result["before"]),
            str(result["held"]), "%.0f" % result["others"]]


def line(found, markdown):
    if markdown:
        return "| %s |" % " | ".join(found)
    return (found[0].ljust(58) + found[1].ljust(8) + found[2].rjust(12)
            + "".join(one.rjust(10) for one in found[3:]))


def arguments():
    parser = argparse.ArgumentParser(
        description="Measure a normal client beside slow ones.")
    environ = os.environ.get
    parser.add_argument("--module", default=os.path.join(
        CHECKOUT, ".libs", "mod_mpm_event.so"), help="ours")
    parser.add_argument("--servers", metavar="LIST", default="ours,stock")
    parser.add_argument("--only", metavar="REGEX", default="")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--quick", action="store_true",
                        help="8 s for each attack instead of 20")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--list", action="store_true",
                        help="the names of the attacks")
    parser.add_argument("--httpd", default=environ("HTTPD", "apache2"))
    parser.add_argument("--apxs", default=environ("APXS", "apxs"))
    args = parser.parse_args()
    args.seconds = args.seconds or (8 if args.quick else 20)
    args.servers = args.servers.split(",")
    if not 1 <= args.seconds <= 60:
        sys.exit("attacks: --seconds is 1 to 60")
    if set(args.servers) - {"ours", "stock"}:
        sys.exit("attacks: the servers are ours and stock")
    return args


def main():
    args = arguments()
    chosen = [row for row in rows() if re.search(args.only, row[0])]
    if not chosen:
        sys.exit("attacks: none is like %r; see --list" % args.only)
    if args.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if drivers.raise_descriptors() < 12000:
        print("attacks: 5000 connections need about 12000 descriptors",
              file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    envs = runs.environments(args, args.servers, False)
    print("%s\n%s, load %s; times in ms; each attack %g s.\n" % (
        report.machine(), time.strftime("%Y-%m-%d"), report.load(),
        args.seconds))
    print(line(TITLES, args.markdown))
    if args.markdown:
        print("|---|---|%s" % ("---:|" * (len(TITLES) - 2)))
    failed = 0
    for name, size in chosen:
        for who in args.servers:
            result = runs.measure(envs[who], who, attack, dict(
                size, seconds=args.seconds))
            print(line(cells(name, who, result), args.markdown), flush=True)
            if isinstance(result, str):
                failed = 1
                print(result, file=sys.stderr)
            elif result["notes"]:
                print("%s, %s: %s" % (name, who, result["notes"]),
                      file=sys.stderr)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
