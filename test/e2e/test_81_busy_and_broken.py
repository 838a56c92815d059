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
"""Nothing that was asked for is lost: when all threads are busy, children
crash, descriptors run short, or thousands of connections stir at once.

The short forms are much smaller than what --long does.
"""

import resource

import lost_rows as rows
from harness import test
from test_80_nothing_lost import nothing_lost, size


def many(t):
    """As many connections as --long wants and the limit allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500
    return min(10000 if t.long else 1500, most)


@test(stock="fails: closes connections whose requests find no idle thread",
      item="7 12.6", needs="probe", timeout=120)
def more_requests_than_threads(t):
    """64 clients that always have a request on its way, 4 threads."""
    row = rows.busy(t, **size(t, seconds=3.0))
    nothing_lost(t, row)
    t.equal(row.after.idle_closes, 0, "connections closed")


@test(stock="fails: closes connections whose requests find no idle thread",
      item="7 12.6", needs="probe", timeout=120)
def more_clients_than_threads(t):
    """50 threads, each taken for 50 ms by a request."""
    for clients in (100, 400):
        row = rows.slow_backend(t, clients=clients, **size(t, seconds=2.5))
        nothing_lost(t, row)
        t.equal(row.after.idle_closes, 0, "connections closed")


@test(stock="fails: closes most of them", item="7 12.6", needs="probe",
      timeout=180)
def thousands_ask_at_once(t):
    count = many(t)
    row = rows.woken(t, count=count, path="/probe/sleep?ms=20")
    nothing_lost(t, row)
    more = row.more
    t.equal((more["herd_answered"], more["herd_lost"], more["herd_closed"]),
            (count, 0, 0), "answered, lost, closed")


@test(stock="fails: closes connections that are in use", item="7 12.6",
      needs="probe", timeout=180)
def thousands_leave_at_once(t):
    row = rows.dropped(t, count=many(t), clients=40, threads=8,
                       path="/probe/sleep?ms=20")
    nothing_lost(t, row)
    t.equal(row.after.idle_closes, 0, "connections of others closed")


@test(stock="pass", item="5.2", needs="probe", timeout=180)
def thousands_expire_at_once(t):
    row = rows.dropped(t, count=many(t), expire=8 if t.long else 3)
    nothing_lost(t, row)


def killed(t, processes):
    """Only requests inside the child that is killed may fail: those that
    its threads have taken."""
    row = rows.killed(t, processes=processes, **size(t, kills=4,
                                                     clients=40))
    for what in ("late", "refused", "wrong"):
        t.equal(getattr(row.after, what), 0, "%s: %s" % (what, row.after))
    t.equal(row.more["elsewhere"], 0, "lost by children that live")
    t.check(row.after.lost <= 25 * row.more["kills"],
            "lost: %s" % row.after)


@test(stock="pass", item="4.7", needs="probe", timeout=120)
def the_only_child_is_killed(t):
    killed(t, 1)


@test(stock="pass", item="4.7", needs="probe", timeout=120)
def one_of_four_children_is_killed(t):
    killed(t, 4)


@test(stock="fails: gives up the child, and the server if it was the only",
      item="12.3", timeout=120)
def descriptors_run_out(t):
    row = rows.few_descriptors(t, **size(t, clients=500, seconds=3.0))
    nothing_lost(t, rows.Row(row.after))
    t.equal((row.more["exited"], row.more["replaced"]), (0, 0),
            "server exited, child replaced")
    t.equal(row.before.lost, 0, "lost meanwhile: %s" % row.before)
    t.check(row.more["mpm_lines"] < 10, "log lines: %s" % row.more)
