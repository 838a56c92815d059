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
"""What process_connection may return, told line by line to the probe."""

import time

import wire
from client import together
from common import serve
from harness import test, wait_until


def lines_server(t, **settings):
    settings.setdefault("threads", 3)
    return serve(t, listen="Listen 127.0.0.1:{port}\n"
                 "Listen 127.0.0.1:{port2}",
                 probe="ProbeTrace on\nProbeLines {port2}", **settings)


def talk(s, *lines):
    """A connection that has sent these lines, in one piece."""
    conn = s.conn(port=s.port2)
    if lines:
        conn.send("".join(line + "\n" for line in lines))
    return conn


def ask(conn, line):
    conn.send(line + "\n")
    return conn.read_line()


def entered(conn):
    """How often process_connection has been entered for it."""
    return int(ask(conn, "COUNT"))


def over(s, conn):
    """The probe's account of a connection that is over."""
    return s.wait_event("conn_end", peer=conn.local_port, timeout=15)[0]


def ended(t, s, conn, what):
    """The server closes, properly, and lets go once the client has, too."""
    t.equal(conn.wait_closed(8), "eof", what)
    conn.close()
    end = over(s, conn)
    t.equal(len(s.probe_events("pre_close", peer=conn.local_port)), 1,
            "pre_close hooks, " + what)
    return end


@test(stock="pass", item="6.4", needs="probe", core=True)
def waits_for_input(t):
    s = lines_server(t, threads=2, timeout=20,
                     mpm={"AsyncRequestWorkerFactor": 10})
    conns = [talk(s) for _ in range(8)]
    for turn in range(4):
        for number, conn in enumerate(conns):
            text = "%d.%d" % (turn, number)
            t.equal(ask(conn, "ECHO " + text), text, "echo")
        t.equal(s.get("/").status, 200, "a client beside them")
    for conn in conns:
        t.check(entered(conn) >= 5, "entered for every piece of input")


@test(stock="pass", item="6.4", needs="probe", core=True)
def senses_are_obeyed(t):
    s = lines_server(t, timeout=20)
    for sense in ("READ", "DEFAULT"):
        conn = talk(s, "NEXT again", "SENSE " + sense, "RET 0 ASYNC_WAITIO")
        t.check(conn.quiet(0.5), sense + ": nothing without input")
        t.equal(ask(conn, "ECHO x"), "again", sense + ": entered by input")
        t.equal(conn.read_line(), "x", sense + ": input kept")
    conn = talk(s, "NEXT again", "SENSE WRITE", "RET 0 ASYNC_WAITIO")
    t.equal(conn.read_line(), "again", "WRITE: entered without input")
    t.check(conn.quiet(0.5), "once only, then the default again")
    t.equal(ask(conn, "ECHO x"), "x", "which is READ")


@test(stock="pass", item="6.4", needs="probe", core=True)
def waiting_ends_at_timeout(t):
    # Not at KeepAliveTimeout; with a normal close on a request thread.
    s = lines_server(t, timeout=2, keepalive_timeout=1, conf="""
<IfDirective EventHeadTimeout>
EventHeadTimeout 0
</IfDirective>
""")
    started = time.monotonic()
    conns = [talk(s, *lines) for lines in (
        (), ("RET 0 ASYNC_WAITIO",),
        ("SENSE READ", "RET 0 ASYNC_WAITIO"),
        ("SENSE READ", "RET 0 WRITE_COMPLETION"),
        ("KEEP 1", "SENSE READ", "RET 0 WRITE_COMPLETION"))]
    for conn in conns:
        t.equal(conn.wait_closed(15), "eof", "end")
        t.check(time.monotonic() - started >= 1.9, "not before its time")
    for conn in conns:
        conn.close()
        end = over(s, conn)
        t.equal(end["suspends"], end["resumes"], "hops")
        closes = s.probe_events("pre_close", peer=conn.local_port)
        t.equal([(c["sbh"], c["current"]) for c in closes], [(1, 1)],
                "pre_close hooks with a thread and its cell")


@test(stock="pass", item="6.4 6.5", needs="probe")
def keepalive_ends_at_keepalive_timeout(t):
    s = lines_server(t, timeout=20, keepalive_timeout=1)
    started = time.monotonic()
    conns = [talk(s, "KEEP 1", "RET 0 " + state)
             for state in ("WRITE_COMPLETION", "KEEPALIVE")]
    for conn in conns:
        t.equal(conn.wait_closed(10), "eof", "end")
        t.check(time.monotonic() - started >= 1, "not before its time")


@test(stock="pass", item="6.3 6.5", needs="probe", core=True)
def keepalive_is_entered_again(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    for state in ("WRITE_COMPLETION", "KEEPALIVE"):
        for rc in ("0", "-2"):
            conn = talk(s, "KEEP 1", "RET %s %s" % (rc, state))
            t.check(conn.quiet(0.2), "waits: " + state)
            for _ in range(3):
                t.equal(ask(conn, "ECHO x"), "x", "entered again: " + state)


@test(stock="pass", item="6.3", needs="probe", core=True)
def states_that_end_a_connection(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    for lines in (("RET 0 LINGER",), ("RET -2 LINGER",),
                  ("RET 0 PROCESSING",), ("RET -2 PROCESSING",),
                  ("RET 0 WRITE_COMPLETION",),
                  ("KEEP 0", "RET 0 WRITE_COMPLETION"),
                  ("KEEP 0", "RET 0 KEEPALIVE")):
        ended(t, s, talk(s, *lines), " ".join(lines))
    t.equal(s.count_log("AH10111"), 0, "complaints about a result")


@test(stock="pass", item="6.3 13", needs="probe", core=True)
def results_that_make_no_sense(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    cases = ("RET 0 HANDLER", "RET 0 LINGER_NORMAL", "RET 0 LINGER_SHORT",
             "RET 500 WRITE_COMPLETION", "RET 500 KEEPALIVE",
             "RET -3 ASYNC_WAITIO", "RET 400 PROCESSING")
    for number, line in enumerate(cases):
        ended(t, s, talk(s, "KEEP 1", line), line)
        s.wait_log("AH10111", count=number + 1)


@test(stock="pass", item="6.3", needs="probe")
def aborted_ends_it_whatever_the_state(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    for state in ("WRITE_COMPLETION", "KEEPALIVE", "ASYNC_WAITIO"):
        conn = talk(s, "KEEP 1", "ABORTED", "RET 0 " + state)
        t.check(conn.wait_closed(8) is not None, state)
        conn.close()
        over(s, conn)


@test(stock="pass", item="6.4", needs="probe")
def clogging_input_is_entered_again(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    conn = talk(s, "CLOG 1", "NEXT again", "SENSE READ",
                "RET 0 WRITE_COMPLETION")
    t.check(conn.quiet(0.3), "waits for input")
    t.equal(ask(conn, "ECHO x"), "again", "entered, whatever keepalive says")
    t.equal(conn.read_line(), "x", "input kept")


@test(stock="pass", item="6.5", needs="probe")
def write_completion_that_wants_to_read(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    conn = talk(s, "KEEP 1", "NEXT again", "SENSE READ",
                "RET 0 WRITE_COMPLETION")
    t.check(conn.quiet(0.3), "waits for input")
    t.equal(ask(conn, "ECHO x"), "again", "entered after it")
    conn = talk(s, "KEEP 0", "SENSE READ", "RET 0 WRITE_COMPLETION")
    t.check(conn.quiet(0.3), "waits for input")
    conn.send("ECHO x\n")
    t.equal(conn.wait_closed(8), "eof", "closed after it")


@test(stock="pass", item="6.5", needs="probe")
def unflushed_output_is_written(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    for state in ("WRITE_COMPLETION", "KEEPALIVE", "LINGER"):
        conn = talk(s, "KEEP 1", "BIG 40", "RET 0 " + state)
        t.equal(len(conn.read_exactly(40 * 1024)), 40 * 1024, state)
        if state == "LINGER":
            t.equal(conn.wait_closed(8), "eof", "then")
        else:
            t.equal(ask(conn, "ECHO x"), "x", "then")


@test(stock="pass", item="6.3", needs="probe")
def suspended_is_left_alone(t):
    s = lines_server(t, timeout=1, keepalive_timeout=1)
    conn = talk(s, "RET 0 SUSPENDED")
    conn.send("ECHO x\n")
    t.check(conn.quiet(2.5), "neither polled nor timed")
    events = [event["event"] for event in
              s.probe_events(peer=conn.local_port)]
    t.equal(events[-2:], ["lines_leave", "suspend"], "what happened last")
    t.equal(s.get("/").status, 200, "others")


@test(stock="pass", item="6.8 #15", needs="probe", core=True)
def hooks_see_what_they_may_use(t):
    s = lines_server(t, timeout=20, keepalive_timeout=20)
    conn = talk(s)
    for turn in range(5):
        t.equal(ask(conn, "ECHO %d" % turn), str(turn), "echo")
    conn.send("RET 0 LINGER\n")
    ended(t, s, conn, "end")
    peer = conn.local_port
    hops = [event for event in s.probe_events(peer=peer)
            if event["event"] in ("suspend", "resume")]
    t.equal([hop["event"] for hop in hops],
            (["suspend", "resume"] * len(hops))[:len(hops)], "they alternate")
    for event in s.probe_events(peer=peer):
        if event["event"] in ("suspend", "lines_enter", "pre_close"):
            t.equal(event["sbh"], 1, "c->sbh in %s" % event)
    for enter in s.probe_events("lines_enter", peer=peer):
        t.equal(enter["state"], "PROCESSING", "state when entered")


@test(stock="pass", item="6.2 6.3 #22", needs="probe", core=True)
def connection_ids_are_unique(t):
    s = serve(t, threads=4, processes=3, probe=True)

    def where(number):
        return s.get("/probe/where?ms=600").text.split()
    found = [dict(word.split("=") for word in words)
             for words in together(12, where)]
    ids = [one["id"] for one in found]
    t.equal(len(set(ids)), 12, "ids of 12 requests at a time: %s" % ids)
    t.equal({one["current"] for one in found}, {"1"}, "c->current_thread")
    cells = {(one["slot"], one["thread"]) for one in found}
    t.equal(len(cells), 12, "scoreboard cells of 12 requests at a time")


@test(stock="pass", item="6.3", needs="probe")
def many_at_once(t):
    s = lines_server(t, threads=16, timeout=20, keepalive_timeout=20)

    def client(number):
        for _ in range(10):
            conn = talk(s)
            t.equal(ask(conn, "ECHO a"), "a", "echo")
            conn.send("NEXT n\nSENSE WRITE\nRET 0 ASYNC_WAITIO\n")
            t.equal(conn.read_line(), "n", "entered again")
            conn.send("KEEP 1\nRET 0 KEEPALIVE\n")
            # The probe would read on if there were more.
            t.check(conn.quiet(0.05), "nothing unasked")
            t.equal(ask(conn, "ECHO b"), "b", "echo")
            if number % 2:
                conn.send("RET 0 LINGER\n")
                t.equal(conn.wait_closed(), "eof", "end")
            conn.close()
    together(12, client, timeout=40)
    wait_until(lambda: not wire.held(s.port2), 10, "connections over")
    ends = s.wait_event("conn_end", count=120)
    t.equal([end for end in ends if end["suspends"] != end["resumes"]], [],
            "unbalanced")
