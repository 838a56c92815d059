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
"""drivers: the clients.  wrk and h2load make the load; connections that do
little are made here.
"""

import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time

HOST = "127.0.0.1"
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


def wrk_command(url, connections, seconds, headers=()):
    command = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds,
               "--latency", "--timeout", "10s"]
    for header in headers:
        command += ["-H", header]
    return command + [url]


def parse_wrk(text):
    """wrk's report as a dict; times in ms."""
    count = re.search(r"(\d+) requests in", text)
    if not count or not int(count[1]):
        raise RuntimeError("wrk: no requests; " + text.strip()[-300:])
    found = {"requests": int(count[1]), "read errors": 0, "other errors": 0}
    found["requests/s"] = float(re.search(r"Requests/sec:\s+(\S+)", text)[1])
    for percent, value, unit in re.findall(
            r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", text, re.M):
        found["p" + percent] = float(value) * UNITS[unit]
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), "
                       r"write (\d+), timeout (\d+)", text)
    if errors:
        connect, read, write, late = map(int, errors.groups())
        found["read errors"] = read
        found["other errors"] = connect + write + late
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found["other errors"] += int(wrong[1]) if wrong else 0
    return found


def run(command, limit):
    """What a program prints; an error if it does not end well in time."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=limit, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (command[0],
                                       done.stdout.strip()[-300:]))
    return done.stdout


def wrk(url, connections, seconds, headers=()):
    return parse_wrk(run(wrk_command(url, connections, seconds, headers),
                         seconds + 30))


def wrk_one_in(url, every, other, connections, seconds):
    """As wrk, but one request in every is for the other path."""
    script = os.path.join(os.path.dirname(__file__), "one_in.lua")
    command = wrk_command(url, connections, seconds)
    return parse_wrk(run(command[:1] + ["-s", script] + command[1:]
                         + ["--", str(every), other], seconds + 30))


def h2load(url, connections, streams, seconds):
    """h2load's report as a dict; times in ms."""
    with tempfile.NamedTemporaryFile("r", prefix="mpm-h2load-") as log:
        text = run(["h2load", "-t1", "-c%d" % connections, "-m%d" % streams,
                    "-D%d" % seconds, "--log-file=" + log.name, url],
                   seconds + 30)
        times = [int(line.split()[2]) / 1e3 for line in log
                 if line.count("\t") >= 2]
    total = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, "
                      r"(\d+) timeout", text)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", text)
    if not total or not int(total[1]):
        raise RuntimeError("h2load: no requests; " + text.strip()[-300:])
    times.sort()
    return {"requests": int(total[1]), "requests/s": float(rate[1]),
            "p50": times[len(times) // 2] if times else None,
            "p99": times[len(times) * 99 // 100] if times else None,
            "read errors": 0, "other errors": int(total[2]) + int(total[4])}


# --- Connections made here --------------------------------------------------

def raise_descriptors():
    """Take as many descriptors as the system allows; how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def request(path, close=False):
    return ("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (
        path, "Connection: close\r\n" if close else "")).encode("ascii")


class Client:
    """One connection."""

    def __init__(self, port, context=None):
        self.sock = socket.create_connection((HOST, port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.sock = context.wrap_socket(self.sock)

    def send(self, path, close=False):
        self.sock.sendall(request(path, close))

    def receive(self):
        """The head of a whole response of status 200."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("answered %r" % head[:60])
        left = int(re.search(rb"Content-Length: (\d+)", head, re.I)[1])
        left -= len(body)
        while left > 0:
            left -= len(self.more())
        return head

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise RuntimeError("closed without a whole answer")
        return data

    def close(self):
        self.sock.close()


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def idle_clients(port, count, path, tls=False, together=16):
    """That many connections with one answered request each."""
    context = tls_context() if tls else None
    found = []
    while len(found) < count:
        some = [Client(port, context)
                for _ in range(min(together, count - len(found)))]
        for one in some:
            one.send(path)
        for one in some:
            one.receive()
        found += some
    return found


def burst(port, count, path, times, fresh):
    """Ask count times at once, that often: for each time, in ms, the longest
    that a request waited until the server began with it, and the time until
    all were answered."""
    waits, ends = [], []
    kept = None if fresh else idle_clients(port, count, "/1k.html")
    for _ in range(times):
        some = kept or [Client(port) for _ in range(count)]
        time.sleep(0.1)
        sent = []
        for one in some:
            sent.append(time.time())
            one.send(path)
        heads = [one.receive() for one in some]
        ends.append(1e3 * (time.time() - sent[0]))
        waits.append(max(began_at(head) - when
                         for head, when in zip(heads, sent)) * 1e3)
        if fresh:
            for one in some:
                one.close()
    return waits, ends


def began_at(head):
    """When httpd began with a request, from the header Began."""
    return int(re.search(rb"^Began: t=(\d+)", head, re.M)[1]) / 1e6


def slow_singles(port, connections):
    """One connection after the other with one request, 20 ms apart."""
    for _ in range(connections):
        one = Client(port)
        one.send("/1k.html", close=True)
        one.receive()
        one.close()
        time.sleep(0.02)


if __name__ == "__main__":
    slow_singles(int(sys.argv[1]), int(sys.argv[2]))
