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
"""Nothing that was asked for is lost: over reloads, and while children come
and go.  Here is what is counted; bench/lost.py measures how long it takes.

The short forms are much smaller than what --long does.
"""

import lost_rows as rows
from harness import test

POST = bytes(4096)


def nothing_lost(t, row):
    """Every request sent was answered, every connection was made."""
    for figures in filter(None, (row.before, row.after)):
        t.check(figures.answered, "nothing was answered: %s" % figures)
        for what in ("lost", "late", "refused", "wrong", "cut"):
            t.equal(getattr(figures, what), 0, "%s: %s" % (what, figures))


def size(t, **short):
    """The short form, or the full one."""
    return {} if t.long else short


SHORT = dict(clients=60, restarts=5, interval=0.4, warm=1.0, calm=0.5)


@test(stock="fails: loses kept-alive requests at every reload",
      item="4.5 5.3", timeout=180)
def reloads(t):
    row = rows.reloads(t, **size(t, **SHORT))
    nothing_lost(t, row)
    t.equal(row.after.idle_closes, 0, "idle connections closed")


@test(stock="fails: loses kept-alive requests at every reload",
      item="4.5 5.3", needs="ssl", timeout=180)
def reloads_with_tls(t):
    nothing_lost(t, rows.reloads(t, tls=True, **size(
        t, **dict(SHORT, clients=30))))


@test(stock="fails: loses kept-alive requests at every reload",
      item="4.5 5.3", timeout=180)
def reloads_with_bodies(t):
    nothing_lost(t, rows.reloads(t, body=POST, **size(t, **SHORT)))


@test(stock="fails: serves nobody meanwhile, and loses requests",
      item="4.5 5.3", needs="probe", timeout=240)
def reloads_of_a_slow_configuration(t):
    restarts = 20 if t.long else 3
    row = rows.reloads(t, sleep=5000 if t.long else 800, **size(
        t, **dict(SHORT, restarts=restarts)))
    nothing_lost(t, row)
    t.equal(row.more["served"], restarts, "served after each signal")
    t.check(row.more["generations"] >= 2, "generations: %s" % row.more)


@test(stock="fails: resets what its sockets have queued", item="4.5 12.21",
      timeout=180)
def reloads_with_buckets(t):
    nothing_lost(t, rows.reloads(t, buckets=True, **size(t, **SHORT)))


@test(stock="fails: ends sessions whose streams it has promised to serve",
      item="4.5 12.14", needs="http2", timeout=180)
def reloads_with_http2(t):
    """Streams above the last id of a GOAWAY are asked for again; that
    counts as lost if it fails.  They come one by one, and in bursts."""
    tls = t.env.has("ssl")
    short = size(t, restarts=5, interval=0.4)
    nothing_lost(t, rows.http2(t, tls=tls, **short))
    nothing_lost(t, rows.http2(t, tls=tls, burst=True, **short))


@test(stock="pass", item="4.5 6.2", timeout=180)
def downloads_over_reloads(t):
    count = 60 if t.long else 20
    row = rows.downloads(t, **size(t, count=count, size=3 << 20, restarts=6))
    nothing_lost(t, row)
    t.equal(row.after.whole, count, "whole downloads: %s" % row.after)


@test(stock="fails: closes connections whose requests find no idle thread",
      item="4.8 12.6", needs="probe", timeout=180)
def children_come_and_go(t):
    row = rows.come_and_go(t, **size(t, clients=100, pulse=(1.5, 1.5),
                                     cycles=2))
    nothing_lost(t, row)
    t.check(row.more["started"] > 4, "children started: %s" % row.more)


@test(stock="pass", item="4.8 2.6", timeout=180)
def children_are_recycled(t):
    """With MaxConnectionsPerChild 100."""
    nothing_lost(t, rows.recycled(t, **size(t, seconds=2.5)))


@test(stock="fails: is out of service until the downloads end", item="4.8",
      timeout=240)
def slow_downloads_in_each_generation(t):
    generations = 20 if t.long else 9
    row = rows.slow_generations(t, **size(
        t, clients=40, generations=generations, interval=0.4,
        size=400 << 10))
    nothing_lost(t, row)
    t.equal(row.more["served"], generations, "served in each")
    t.equal((row.more["whole"], row.more["cut"]), (4 * generations, 0),
            "downloads")
    t.equal(row.more["full"], 0, "no slot was free")


@test(stock="fails: a second without anybody who accepts", item="4.5",
      timeout=180)
def one_reload_with_open_downloads(t):
    """A new connection every 10 ms, and never many of them unanswered."""
    row = rows.one_restart(t, **size(t, rounds=2))
    nothing_lost(t, row)
    t.check(row.after.outstanding < 60, "unanswered at a time: %d"
            % row.after.outstanding)
