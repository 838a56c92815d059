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
"""lost: what is lost, and how long clients wait, while servers are reloaded,
crash, recycle or run short: ours and httpd's own event MPM, in turn.

  bench/lost.py [--module SO] [--quick] [--rounds N] [--only REGEX]

The situations are those of test/e2e/lost_rows.py.  Times mean little unless
the machine is otherwise quiet; counts and the ratio of ours to stock do.
"""

import argparse
import os
import pickle
import re
import shutil
import statistics
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(CHECKOUT, "test", "e2e"))
sys.dont_write_bytecode = True

import harness                   # noqa: E402
import lost_rows as rows         # noqa: E402
import probe                     # noqa: E402
import procs                     # noqa: E402

POST = bytes(4096)

# (name, function, its full size, what --quick changes)
TABLE = [
    ("reloads, plain", rows.reloads, {}, dict(restarts=4, calm=1.0)),
    ("reloads, TLS", rows.reloads, dict(tls=True, think=0.2),
     dict(restarts=4, calm=1.0)),
    ("reloads, POST", rows.reloads, dict(body=POST),
     dict(restarts=4, calm=1.0)),
    ("reloads, 5 s configuration", rows.reloads, dict(sleep=5000),
     dict(restarts=2, calm=1.0, sleep=1000)),
    ("reloads, buckets", rows.reloads, dict(buckets=True),
     dict(restarts=4, calm=1.0)),
    ("HTTP/2, reloads", rows.http2, {}, dict(restarts=4)),
    ("60 downloads, reloads", rows.downloads, {},
     dict(count=20, size=2 << 20, restarts=4)),
    ("spare threads come and go", rows.come_and_go, {}, dict(cycles=2)),
    ("MaxConnectionsPerChild 100", rows.recycled, {}, dict(seconds=3.0)),
    ("64 busy on 4 threads", rows.busy, {}, dict(seconds=4.0)),
    ("100 on 50 slow workers", rows.slow_backend, {}, dict(seconds=4.0)),
    ("400 on 50 slow workers", rows.slow_backend, dict(clients=400),
     dict(seconds=4.0)),
    ("10,000 woken at once", rows.woken, {}, dict(count=1000)),
    ("slow downloads, 20 generations", rows.slow_generations, {},
     dict(generations=6, size=256 << 10)),
    ("one USR1, connection each 10 ms", rows.one_restart, {},
     dict(rounds=2)),
    ("SIGKILL, 1 child", rows.killed, dict(processes=1), dict(kills=4)),
    ("SIGKILL, 2 children", rows.killed, dict(processes=2), dict(kills=4)),
    ("SIGKILL, 4 children", rows.killed, dict(processes=4), dict(kills=4)),
    ("1000 at 200 descriptors", rows.few_descriptors, {},
     dict(seconds=3.0)),
    ("10,000 idle dropped", rows.dropped, {}, dict(count=1000)),
    ("10,000 idle expire", rows.dropped, dict(expire=8),
     dict(count=1000, expire=3)),
]


def arguments():
    parser = argparse.ArgumentParser(description="Count what is lost.")
    environ = os.environ.get
    parser.add_argument("--module", default=os.path.join(
        CHECKOUT, ".libs", "mod_mpm_event.so"), help="ours")
    parser.add_argument("--httpd", default=environ("HTTPD", "apache2"))
    parser.add_argument("--apxs", default=environ("APXS", "apxs"))
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds for each situation")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", metavar="REGEX", default="")
    return parser.parse_args()


def environments(args):
    """{"ours": Env, "stock": Env}."""
    httpd = shutil.which(args.httpd, path=os.environ["PATH"] + ":/usr/sbin")
    modules = os.popen(args.apxs + " -q LIBEXECDIR").read().strip()
    stock = os.path.join(modules, "mod_mpm_event.so")
    found = {}
    for name, module in (("ours", os.path.abspath(args.module)),
                         ("stock", stock)):
        env = harness.Env(httpd, modules, module, args.apxs,
                          stock=name == "stock")
        env.probe = probe.build(env)
        found[name] = env
    return found


def measure(env, function, size):
    """The Row of one situation, made in a process of its own, or the text
    of what went wrong."""
    directory = tempfile.mkdtemp(prefix="mpm-bench-")
    os.chmod(directory, 0o755)
    below, above = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            procs.become_subreaper()
            t = harness.Test(env, "bench", dict(needs=[]), directory)
            try:
                result = function(t, **size)
                t.finish(judge=False)
            except BaseException:
                result = traceback.format_exc()
            with os.fdopen(above, "wb") as file:
                pickle.dump(result, file)
        finally:
            procs.kill_descendants(os.getpid())
            os._exit(0)
    os.close(above)
    with os.fdopen(below, "rb") as file:
        try:
            result = pickle.load(file)
        except EOFError:
            result = "it ended without a result"
    os.waitpid(pid, 0)
    shutil.rmtree(directory, ignore_errors=True)
    return result


def total(results, what):
    return "/".join(str(what(row)) for row in results)


def middle(results, what):
    value = statistics.median(what(row) for row in results)
    return "%.0f" % value if value >= 100 else "%.1f" % value


def line(name, who, results):
    """One line of the table, for all rounds of one server: counts of each
    round, medians of times."""
    good = [row for row in results if not isinstance(row, str)]
    if not good:
        return "| %s | %s | failed: %s |" % (
            name, who, results[0].strip().splitlines()[-1][:150])
    counts = [total(good, lambda row, f=field: getattr(row.after, f))
              for field in ("answered", "lost", "idle_closes", "refused",
                            "wrong")]
    times = [middle(good, lambda row, p=part: row.after.quantile(p))
             for part in (0.5, 0.99, 1)]
    times.append(middle(good, lambda row: 1e3 * row.after.gap))
    before = "-"
    if good[0].before:
        before = middle(good, lambda row: row.before.quantile(0.99))
    more = dict(good[-1].more)
    for field in ("safe", "whole", "cut", "first_lost"):
        if getattr(good[-1].after, field):
            more[field] = getattr(good[-1].after, field)
    if good[0].before and good[0].before.lost:
        more["lost_before"] = good[0].before.lost
    return "| %s | %s | %s | %s | %s | %s |" % (
        name, who, " | ".join(counts), " | ".join(times), before,
        ", ".join("%s %s" % item for item in more.items()))


def machine():
    with open("/proc/loadavg", encoding="ascii") as file:
        return "%s, %d processors, load %s" % (
            os.uname().release, os.cpu_count(), file.read().split()[0])


def main():
    args = arguments()
    envs = environments(args)
    print("%s; %s" % (machine(), envs["ours"].ask("-v").splitlines()[0]))
    print("\nTimes in ms; p99 before: without the trouble.\n")
    titles = ["situation", "MPM", "answered", "lost", "idle closes",
              "connect failures", "wrong", "p50", "p99", "max",
              "longest gap", "p99 before", "more"]
    print("| %s |\n|%s" % (" | ".join(titles), "---|" * len(titles)))
    bad = 0
    began = time.monotonic()
    for name, function, size, quick in TABLE:
        if not re.search(args.only, name):
            continue
        size = dict(size, **quick) if args.quick else size
        results = {"ours": [], "stock": []}
        for _ in range(args.rounds):
            for who, env in envs.items():
                results[who].append(measure(env, function, size))
        for who, found in results.items():
            print(line(name, who, found), flush=True)
            for row in found:
                if isinstance(row, str):
                    print(row, file=sys.stderr)
                elif who == "ours" and row.after.notes:
                    print(name, row.after.notes[:8], file=sys.stderr)
        bad += any(isinstance(row, str) or row.after.lost
                   for row in results["ours"])
    print("\n%s; %.0f s; situations in which ours loses or fails: %d" % (
        machine(), time.monotonic() - began, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
