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
"""EventClientLimit: how many connections one client address may have.

All clients here come from addresses of loopback, so the limit is made to
count these, but for the test that shows that it usually does not.
"""

import os
import signal

from harness import client, test, wait_until

STOCK = "fails: has no such directive"
ITEM = "issue 4.5"
SAID = "connections that EventClientLimit allows"


def limit(number, exempt=""):
    return "EventClientLimit %d\nEventClientLimitExempt none %s\n" % (
        number, exempt)


def server(t, number, exempt="", **kwargs):
    kwargs.setdefault("threads", 8)
    return t.server(keepalive_timeout=60, timeout=60,
                    conf=limit(number, exempt), **kwargs)


def come(s, source, **kwargs):
    """A connection that has had an answer, or None if it was closed."""
    conn = s.conn(source=source, **kwargs)
    try:
        return conn if conn.get("/").status == 200 else None
    except (client.Closed, ConnectionError):
        return None


def fill(s, source, most=20):
    """Open connections until one is refused: those that were not."""
    held = []
    while len(held) < most:
        conn = come(s, source)
        if conn is None:
            break
        held.append(conn)
    return held


def refused(s):
    return s.status()["MpmClientsRefused"]


@test(stock=STOCK, item=ITEM)
def over_the_limit_is_closed(t):
    """Others are served, and what is closed makes room again."""
    s = server(t, 3)
    held = fill(s, "127.0.0.2")
    t.equal(len(held), 3, "served")
    for _ in range(4):
        t.equal(come(s, "127.0.0.2"), None, "one more")
    t.equal(len(fill(s, "127.0.0.3")), 3, "another client")
    t.equal(refused(s), 6, "counted")
    t.check("because of EventClientLimit: 6<" in s.get("/server-status").text,
            "shown to people")
    for conn in held:
        t.equal(conn.get("/").status, 200, "those before are served on")
    held.pop().close()
    wait_until(lambda: come(s, "127.0.0.2"), 10, "room again")
    t.equal(come(s, "127.0.0.2"), None, "but for one only")


@test(stock=STOCK, item=ITEM)
def said_once_for_each_address(t):
    s = server(t, 1, processes=2)
    for source in ("127.0.0.2", "127.0.0.3"):
        held = fill(s, source)
        for _ in range(20):
            t.equal(come(s, source), None, "refused")
        lines = s.log_lines("client %s has the 1 %s" % (source, SAID))
        t.equal(len(lines), 1, "%s, who holds %d" % (source, len(held)))
        t.check("[mpm_event:warn]" in lines[0], lines[0])


@test(stock=STOCK, item=ITEM)
def loopback_is_exempt(t):
    s = t.server(threads=8, conf="EventClientLimit 1")
    for source in ("127.0.0.1", "127.0.0.2"):
        t.equal(len(fill(s, source, 5)), 5, source)
    t.equal(refused(s), 0, "refused")


@test(stock=STOCK, item=ITEM)
def exempt_networks(t):
    s = server(t, 1, "127.0.0.4/31 127.0.0.9\n"
               "EventClientLimitExempt 127.1.0.0/255.255.0.0")
    for source in ("127.0.0.4", "127.0.0.5", "127.0.0.9", "127.1.2.3"):
        t.equal(len(fill(s, source, 3)), 3, source)
    for source in ("127.0.0.6", "127.0.0.8", "127.2.0.1"):
        t.equal(len(fill(s, source, 3)), 1, source)
    s.configure(conf="EventClientLimitExempt 127.0.0.9\n" + limit(1))
    s.restart()
    t.equal(len(fill(s, "127.0.0.9", 3)), 1, "what was said before none")


def spread(t, number=9):
    """(server, connections): as many as may be, in several children."""
    s = server(t, number, threads=2, processes=3, probe=True)
    held = fill(s, "127.0.0.2")
    t.equal(len(held), number, "served")
    found = {process["pid"]: process["connections"]
             for process in s.board()["processes"] if process["connections"]}
    t.check(len(found) > 1, "held by several children: %s" % found)
    return s, held, found


@test(stock=STOCK, item=ITEM, needs="probe")
def over_all_children(t):
    s, held, _ = spread(t)
    for _ in range(6):
        t.equal(come(s, "127.0.0.2"), None, "refused by whichever child")
    for conn in held:
        conn.close()
    wait_until(lambda: s.board_sum("connections") == 0, 10, "all gone")
    t.equal(len(fill(s, "127.0.0.2")), 9, "all given back")


@test(stock=STOCK, item=ITEM, needs="probe")
def killed_child_gives_back(t):
    """What a child had that was killed, and no more than that."""
    s, _, found = spread(t)
    pid, lost = max(found.items(), key=lambda item: item[1])
    s.expect("AH00051:|AH00052:")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in [process["pid"] for process in
                                   s.board()["processes"]], 10, "reaped")
    t.equal(len(fill(s, "127.0.0.2")), lost, "room for as many")


def reload(s, number):
    """Another limit, and the old child accepts no more."""
    s.configure(conf=limit(number))
    mark = s.mark()
    s.graceful()
    wait_until(lambda: s.log_lines("draining: ", mark), 10, "the old drains")


@test(stock=STOCK, item=ITEM)
def reload_goes_on_counting(t):
    """Connections of old children count, against the new limit."""
    s = server(t, 3)
    held = fill(s, "127.0.0.2")
    t.equal(len(held), 3, "limit 3")
    reload(s, 5)
    held += fill(s, "127.0.0.2")
    t.equal(len(held), 5, "limit 5")
    reload(s, 0)
    t.check("MpmClientsRefused" not in s.status(), "nothing shown without")
    free = fill(s, "127.0.0.2", 7)
    t.equal(len(free), 7, "limit 0")
    reload(s, 2)
    t.equal(come(s, "127.0.0.2"), None, "5 of 2")
    for conn in held:
        conn.close()
    wait_until(lambda: len(s.children()) == 2, 10, "their children ended")
    t.equal(len(fill(s, "127.0.0.2")), 2, "limit 2, and those are not counted "
            "that came without limit")
    t.equal([conn.get("/").status for conn in free], [200] * 7, "all served")


@test(stock=STOCK, item=ITEM)
def first_limit_comes_with_a_reload(t):
    s = t.server(threads=8, keepalive_timeout=60)
    t.check("MpmClientsRefused" not in s.status(), "nothing shown without")
    old = fill(s, "127.0.0.2", 4)
    reload(s, 2)
    t.equal(len(fill(s, "127.0.0.2")), 2, "limit 2")
    t.equal([conn.get("/").status for conn in old], [200] * 4, "old ones")
    s.restart()
    t.equal(len(fill(s, "127.0.0.2")), 2, "after a hard restart")


@test(stock=STOCK, item=ITEM)
def mapped_addresses_are_ipv4(t):
    if "IPv4-mapped addresses enabled" not in t.env.ask("-V") \
            or not os.path.exists("/proc/net/if_inet6"):
        t.skip("no socket for both IPv4 and IPv6")
    s = server(t, 2, "127.0.0.4", listen="Listen [::]:{port}")
    t.equal(len(fill(s, "127.0.0.2")), 2, "limited")
    t.equal(len(fill(s, "127.0.0.3")), 2, "another client")
    t.equal(len(fill(s, "127.0.0.4", 5)), 5, "exempt")
    t.equal(len(s.log_lines("client 127.0.0.2 has the 2 " + SAID)), 1,
            "named as IPv4")


@test(stock=STOCK, item=ITEM)
def one_process(t):
    s = server(t, 2, mode="one_process")
    t.equal(len(fill(s, "127.0.0.2")), 2, "limited")
    t.equal(len(fill(s, "127.0.0.3")), 2, "another client")
