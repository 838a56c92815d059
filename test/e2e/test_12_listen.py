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
"""Listen and its relatives, and listener buckets."""

import os
import re
import socket
import time

from harness import client, procs, test, wait_until

TCP_DEFER_ACCEPT = 9


def listening_sockets(t, pid, port):
    """Borrowed socket objects of a process that listen on port."""
    try:
        socks = [procs.borrow_socket(pid, fd)
                 for fd, found in procs.listeners(pid).items()
                 if found[1] == port]
    except OSError as error:
        t.skip("cannot look into another process: %s" % error)
    for sock in socks:
        t.at_end(sock.close)
    return socks


def backlog(sock):
    """The backlog that the kernel keeps for a listening socket."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    # tcpi_sacked: 24 bytes and a few words into struct tcp_info
    return int.from_bytes(info[28:32], "little")


def only_listener(t, s):
    socks = listening_sockets(t, s.pid, s.port)
    t.equal(len(socks), 1, "listening sockets")
    return socks[0]


@test(stock="pass", item="2.1 6.1")
def defaults(t):
    s = t.server(defer_accept=True)
    sock = only_listener(t, s)
    option = sock.getsockopt
    t.equal(backlog(sock), min(511, somaxconn()), "ListenBacklog")
    t.equal(option(socket.SOL_SOCKET, socket.SO_REUSEADDR), 1, "REUSEADDR")
    t.equal(option(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1, "KEEPALIVE")
    t.equal(option(socket.SOL_SOCKET, socket.SO_REUSEPORT), 0, "REUSEPORT")
    t.equal(option(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1, "NODELAY")
    t.check(option(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT) >= 1,
            "deferred accept")


def somaxconn():
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        return int(file.read())


@test(stock="pass", item="2.1")
def listen_backlog(t):
    s = t.server(conf="ListenBacklog 17")
    t.equal(backlog(only_listener(t, s)), 17, "ListenBacklog")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="2.1")
def buffer_sizes(t):
    s = t.server(conf="SendBufferSize 8192\nReceiveBufferSize 4096")
    sock = only_listener(t, s)
    # The kernel doubles what it is told.
    t.equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 16384,
            "SendBufferSize")
    t.equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), 8192,
            "ReceiveBufferSize")
    t.equal(s.get("/").status, 200, "served")


@test(stock="pass", item="2.1 6.1")
def deferred_accept(t):
    s = t.server(defer_accept=True, start=False)
    if "ListenTCPDeferAccept (event.c)" not in s.run("-L")[1]:
        t.skip("this httpd has no ListenTCPDeferAccept")
    found = []
    for seconds in (1, 60):
        s.configure(conf="ListenTCPDeferAccept %d" % seconds)
        s.start()
        with only_listener(t, s) as sock:
            found.append(sock.getsockopt(socket.IPPROTO_TCP,
                                         TCP_DEFER_ACCEPT))
        t.equal(s.get("/").status, 200, "served")
        s.stop()
    t.check(0 < found[0] < found[1], "deferred for %s s" % found)


@test(stock="pass", item="2.1")
def wrong_values(t):
    s = t.server(start=False)
    cases = ["ListenBacklog 0", "ListenBacklog -1",
             "ListenCoresBucketsRatio 0", "ListenCoresBucketsRatio -2",
             "SendBufferSize 511", "SendBufferSize -1",
             "ReceiveBufferSize 511", "Listen", "Listen 99999",
             "Listen 127.0.0.1:{port}", "Listen localhost:abc"]
    if "ListenTCPDeferAccept" in s.run("-L")[1]:
        cases.append("ListenTCPDeferAccept 0")
    for case in cases:
        s.configure(conf=case)
        t.equal(s.run("-t")[0], 1, "exit code of -t with " + case)
    for case in ("SendBufferSize 0", "SendBufferSize 512",
                 "ReceiveBufferSize 0", "ReceiveBufferSize 512",
                 "Listen 127.0.0.1:{port2} https"):
        s.configure(conf=case)
        t.equal(s.run("-t"), (0, "Syntax OK\n"), "-t with " + case)


@test(stock="pass", item="4.5")
def several_ports(t):
    s = t.server(listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}",
                 threads=2)
    for port in (s.port, s.port2) * 3:
        t.equal(s.get("/", port=port).status, 200, "served")


def storm(t, s, ports, count):
    """So many clients at each port at once: each is answered."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    conns = [s.conn(port=port) for _ in range(count) for port in ports]
    for conn in conns:
        conn.send(request)

    def answers(number):
        for conn in conns[number::len(ports)]:
            t.equal(conn.read_response().status, 200, "one of many")
            conn.close()

    client.together(len(ports), answers)


def storms(t, threads, processes):
    """Nobody is lost in one, nor when another generation comes meanwhile."""
    s = t.server(listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}",
                 threads=threads, processes=processes,
                 max_processes=processes)
    ports = (s.port, s.port2)
    loads = [client.Load(port, clients=4, keepalive=False) for port in ports]
    for _ in range(5):
        storm(t, s, ports, 30)
        time.sleep(0.02)
    s.graceful()
    storm(t, s, ports, 30)
    for load in loads:
        counts = load.stop()
        t.check(counts["answered"] > 0, "answered")
        for what in ("refused", "lost", "wrong"):
            t.equal(counts[what], 0, "%s: %s" % (what, load.notes))
    time.sleep(0.1)
    for port in ports * 2:
        t.equal(s.get("/", port=port).status, 200, "afterwards")
    s.stop()


@test(stock="pass", item="4.5 8.6", core=True)
def storm_at_several_sockets(t):
    storms(t, threads=16, processes=2)


@test(stock="fails: clients that have not closed yet keep others out",
      item="4.5 8.6", core=True)
def storm_with_few_workers(t):
    storms(t, threads=1, processes=1)
    storms(t, threads=2, processes=2)


@test(stock="pass", item="6.1")
def ipv6(t):
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        t.skip("no IPv6 here")
    s = t.server(listen="Listen 127.0.0.1:{port}\nListen [::1]:{port2}")
    with socket.create_connection(("::1", s.port2), 10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        t.check(sock.recv(4096).startswith(b"HTTP/1.1 200"), "over IPv6")
    t.equal(s.get("/").status, 200, "over IPv4")


def refused(port):
    try:
        client.Conn(port).close()
        return False
    except ConnectionRefusedError:
        return True


@test(stock="pass", item="4.5 1.3", core=True)
def listen_added_and_removed_by_restarts(t):
    one, two = "Listen 127.0.0.1:{port}", "Listen 127.0.0.1:{port2}"
    s = t.server(listen=one, threads=2)
    before = procs.listeners(s.pid).values()
    for name in ("graceful", "restart"):
        s.configure(listen=one + "\n" + two)
        getattr(s, name)()
        wait_until(lambda: s.get("/", port=s.port2).status == 200)
        t.equal(s.get("/").status, 200, "served on the old port")
        t.check(set(before) <= set(procs.listeners(s.pid).values()),
                "the old socket is kept")
        s.configure(listen=one)
        getattr(s, name)()
        wait_until(lambda: refused(s.port2), what="port closed by " + name)
        t.equal(s.get("/").status, 200, "still served on the old port")
    t.equal(set(procs.listeners(s.pid).values()), set(before), "sockets")


@test(stock="pass", item="#36", needs="probe")
def descriptors_stay_the_same_over_reloads(t):
    s = t.server(listen="Listen 127.0.0.1:{port}\nListen 127.0.0.1:{port2}",
                 threads=2, probe=True)

    def descriptors():
        return sorted(re.sub(r"\d+\]", "]", what)
                      for what in procs.fds(s.pid).values())

    def settled(generation):
        return {found for _, found in slots(s)} == {generation}

    s.graceful()
    wait_until(lambda: settled(1))
    time.sleep(0.2)  # the probe closes what we asked it through
    before = descriptors()
    for _ in range(10):
        s.graceful()
    wait_until(lambda: settled(11))
    wait_until(lambda: descriptors() == before, 5,
               lambda: "%s, but %s" % (before, descriptors()))


def slots(s):
    """(slot, generation) of each child."""
    return [(p["slot"], p["generation"]) for p in s.board()["processes"]]


def cores():
    return os.sysconf("SC_NPROCESSORS_ONLN")


def buckets_of(s):
    """{child: inodes of the sockets it listens on}."""
    return {pid: {inode for inode, port in procs.listeners(pid).values()
                  if port == s.port}
            for pid in s.children()}


def covered(s):
    """True if each child listens on one socket and each socket that the
    parent has is some child's."""
    wanted = {inode for inode, port in procs.listeners(s.pid).values()
              if port == s.port}
    found = list(buckets_of(s).values())
    return all(len(inodes) == 1 for inodes in found) \
        and wanted <= set().union(*found)


@test(stock="pass", item="4.9 2.4", needs="probe")
def listener_buckets(t):
    if cores() < 2:
        t.skip("one processor, one bucket")
    count = cores()
    s = t.server(threads=2, processes=1, max_processes=1, probe=True,
                 conf="ListenCoresBucketsRatio 1")
    s.wait_children(count)
    wait_until(lambda: all(len(found) == 1 for found
                           in buckets_of(s).values()),
               what="each child listens on one socket")
    inodes = set().union(*buckets_of(s).values())
    t.equal(len(inodes), count, "sockets of their own")
    for sock in listening_sockets(t, s.pid, s.port):
        t.equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT), 1,
                "SO_REUSEPORT")
    t.equal(s.wait_event("query", stage="child_init")[0]["12"], count,
            "at least a process per bucket")
    t.check(covered(s), "every socket has a child")
    pids = {int(s.get("/probe/where").text.split()[0][4:])
            for _ in range(20 * count)}
    t.equal(pids, set(s.children()), "connections reach every bucket")


@test(stock="pass", item="4.9 4.5 #32")
def buckets_over_restarts(t):
    if cores() < 2:
        t.skip("one processor, one bucket")
    s = t.server(threads=2, processes=cores(),
                 conf="ListenCoresBucketsRatio 1")
    for name in ("graceful", "restart", "graceful"):
        old = set(s.children())
        getattr(s, name)()
        wait_until(lambda: len(s.children()) == cores()
                   and not old & set(s.children()), 15,
                   "new children after " + name)
        for _ in range(10):
            t.equal(s.get("/").status, 200, "served after " + name)
    t.equal(s.stop(), 0, "exit code")


def occupy(t, s, slot, ms):
    """A connection whose request keeps the child in a slot for ms; a bucket
    that is being closed may reset connections."""
    for _ in range(200):
        conn = s.conn(timeout=2)
        try:
            text = conn.get("/probe/where").text
        except (client.Closed, OSError):
            continue
        if int(re.search(r"slot=(\d+)", text)[1]) == slot:
            conn.settimeout(30)
            conn.request("/probe/sleep?ms=%d" % ms)
            return conn
        conn.close()
    t.fail("no connection reaches slot %d" % slot)


@test(stock="fails: children of the other bucket take its share for good",
      item="4.9 4.6 #33", needs="probe")
def bucket_whose_slots_are_taken(t):
    """While finishing children hold all the slots of a bucket it cannot get
    a new child; when they are gone it must, whatever the others have."""
    if cores() != 2:
        t.skip("written for two buckets")
    s = t.server(threads=2, processes=2, max_processes=2, probe=True,
                 mpm=dict(ServerLimit=4), timeout=30,
                 conf="ListenCoresBucketsRatio 1")
    s.wait_children(2)
    held = [occupy(t, s, 0, 5000)]
    s.graceful()
    wait_until(lambda: slots(s) == [(0, 0), (2, 1), (3, 1)]
               or slots(s) == [(0, 0), (1, 1), (2, 1)],
               what="slot 0 finishing, a child for each bucket")
    held.append(occupy(t, s, 2, 4000))
    s.graceful()
    for conn in held:
        t.equal(conn.read_response().status, 200, "long request")
    wait_until(lambda: len([p for p in s.board()["processes"]
                            if p["generation"] == 2]) == 2, 15,
               lambda: "two children: %s" % slots(s))
    # The kernel spreads connections over both buckets.
    for _ in range(40):
        t.equal(s.get("/").status, 200, "served")
