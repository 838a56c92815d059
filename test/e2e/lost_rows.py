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
"""lost_rows: the situations in which a server may lose what was asked.

Each function makes one with servers of the test t and returns a Row: what
was counted, and measured, while it lasted.  The tests assert the counts;
bench/lost.py prints the rest.  The defaults are the full size.
"""

import os
import time

import procs
from basics import wait_until
from common import pattern, serve
from load import Keeper, Ticker
from load_more import Download, Herd, Session

# What Debian configures.
DEBIAN = dict(threads=25, processes=2, max_processes=6, keepalive_timeout=5,
              loglevel="info")
DEBIAN_MPM = dict(ServerLimit=16, ThreadLimit=64, MinSpareThreads=25,
                  MaxSpareThreads=75)
# Children that neither come nor go of themselves.
WIDE = dict(keepalive_timeout=5, loglevel="info")


class Row:
    """after: the Figures of the situation; before: without it, or None;
    more: {what: other counts and times}."""

    def __init__(self, after, before=None, **more):
        self.after, self.before, self.more = after, before, more


def wide(threads=64, processes=2, **settings):
    """A server whose children are all started, and stay, and that takes
    all the connections of a test."""
    mpm = dict(ServerLimit=16, MinSpareThreads=1,
               MaxSpareThreads=threads * processes,
               AsyncRequestWorkerFactor=20)
    mpm.update(settings.pop("mpm", {}))
    return dict(WIDE, threads=threads, processes=processes, mpm=mpm,
                **settings)


def debian(**settings):
    mpm = dict(DEBIAN_MPM, **settings.pop("mpm", {}))
    return dict(DEBIAN, mpm=mpm, **settings)


def answering(load, count=1, timeout=20):
    """Wait until so many more requests are answered."""
    end = load.answered + count
    wait_until(lambda: load.answered >= end, timeout,
               "%d more answers" % count)


def reloads(t, clients=200, restarts=20, interval=0.5, warm=3.0, calm=3.0,
            tls=False, body=None, think=0.05, sleep=0, buckets=False):
    """Kept-alive clients while the server is told to restart gently; the
    configuration takes sleep ms to load.  served: the signals that were
    followed by answers."""
    conf, modules = "", ""
    if buckets:
        conf += "ListenCoresBucketsRatio 1\n"
    if tls:
        modules = "ssl"
        conf += ("SSLEngine on\nSSLCertificateFile %s\n"
                 "SSLCertificateKeyFile %s\n" % t.cert())
    s = serve(t, conf=conf, modules=modules,
              probe="ProbeConfigSleep %d" % sleep if sleep else False,
              **debian())
    load = Keeper.start(s.port, clients=clients, think=think, tls=tls,
                        body=body)
    answering(load, clients)
    time.sleep(warm)
    load.phase()
    time.sleep(calm)
    load.phase()
    runs = s.count_log("AH00489:")
    served = 0
    for _ in range(restarts):
        s.signal("USR1")
        time.sleep(interval / 2)
        answered = load.answered
        time.sleep(interval / 2)
        served += load.answered > answered
    time.sleep(2.2 * sleep / 1000 + 0.5)
    answering(load)
    _, before, after = load.stop()
    return Row(after, before, served=served,
               generations=s.count_log("AH00489:") - runs)


def http2(t, sessions=40, streams=4, restarts=20, interval=0.5, tls=True,
          burst=False):
    conf = "Protocols h2 http/1.1\nH2MaxSessionStreams 100\n"
    modules = "http2"
    if tls:
        modules += " ssl"
        conf += ("SSLEngine on\nSSLCertificateFile %s\n"
                 "SSLCertificateKeyFile %s\n" % t.cert())
    else:
        conf = conf.replace("h2 ", "h2c ")
    s = serve(t, conf=conf, modules=modules, **debian())
    load = Session.start(s.port, sessions, streams, tls=tls, burst=burst)
    answering(load, sessions * streams)
    time.sleep(0.5)
    load.phase()
    for _ in range(restarts):
        s.signal("USR1")
        time.sleep(interval)
    answering(load, sessions)
    return Row(load.stop()[1])


def downloads(t, count=60, size=10 << 20, rate=1 << 20, restarts=20,
              interval=0.5):
    body = pattern(size)
    s = serve(t, docs={"big": body}, conf="SendBufferSize 131072\n"
              "EnableSendfile off",
              **wide(threads=32, processes=2, max_processes=4))
    load = Download.start(s.port, count, "/big", body, rate)
    time.sleep(0.01 * count + 0.2)
    for _ in range(restarts):
        s.signal("USR1")
        time.sleep(interval)
    wait_until(lambda: Download.over(load) >= count, 60, "downloads are over")
    return Row(load.stop()[0])


def come_and_go(t, clients=200, pulse=(3.0, 3.0), cycles=10):
    """Load that makes children come and go: Min- and MaxSpareThreads are
    close together."""
    s = serve(t, probe=True, keepalive_timeout=5, loglevel="info",
              threads=10, processes=2, max_processes=15,
              mpm=dict(ServerLimit=30, MinSpareThreads=25,
                       MaxSpareThreads=50))
    load = Keeper.start(s.port, clients=clients, path="/probe/sleep?ms=50",
                        pulse=pulse)
    time.sleep(cycles * sum(pulse))
    figures = load.stop()[0]
    return Row(figures, started=len(s.probe_events("child_init")))


def recycled(t, clients=50, seconds=8.0, most=100):
    """MaxConnectionsPerChild, and clients that close each time; before is
    without the limit."""
    found = []
    for limit in (0, most):
        s = serve(t, conf="MaxConnectionsPerChild %d" % limit, **debian())
        load = Keeper.start(s.port, clients=clients, think=0.0,
                            keepalive=False)
        time.sleep(seconds)
        found.append(load.stop()[0])
        s.stop()
    return Row(found[1], found[0])


def busy(t, clients=64, threads=4, seconds=30.0, path="/", think=0.0):
    """More clients than threads, each with a request on its way."""
    s = serve(t, probe=True, **wide(threads=threads, processes=1))
    load = Keeper.start(s.port, clients=clients, think=think, path=path)
    time.sleep(seconds)
    return Row(load.stop()[0])


def slow_backend(t, clients=100, seconds=10.0):
    """50 workers, each request of which takes 50 ms."""
    s = serve(t, probe=True, **wide(threads=25, processes=2))
    load = Keeper.start(s.port, clients=clients, path="/probe/sleep?ms=50")
    time.sleep(seconds)
    return Row(load.stop()[0])


def herd_server(t, keepalive_timeout=300, threads=64):
    settings = wide(threads=threads, processes=2, probe=True,
                    mpm=dict(AsyncRequestWorkerFactor=800))
    settings["keepalive_timeout"] = keepalive_timeout
    return serve(t, **settings)


def woken(t, count=10000, clients=10, path="/"):
    """One request on each of many idle connections at once."""
    s = herd_server(t)
    load = Keeper.start(s.port, clients=clients)
    answering(load, clients)
    herd = Herd(t, s.port, count)
    load.phase()
    time.sleep(1)
    load.phase()
    answered, lost, closed = herd.ask_all(path)
    time.sleep(0.5)
    _, before, after = load.stop()
    return Row(after, before, herd_answered=answered, herd_lost=lost,
               herd_closed=closed)


def dropped(t, count=10000, clients=10, expire=0, threads=64, path="/"):
    """Many idle connections end at once under load: the clients close them,
    or (expire) they are idle for longer than KeepAliveTimeout."""
    s = herd_server(t, expire or 300, threads)
    load = Keeper.start(s.port, clients=clients, path=path)
    answering(load, clients)
    herd = Herd(t, s.port, count)
    load.phase()
    time.sleep(1)
    load.phase()
    if expire:
        wait_until(lambda: herd.open() == 0, expire + 15, "all expired")
    else:
        herd.close()
    time.sleep(1)
    _, before, after = load.stop()
    return Row(after, before)


def slow_generations(t, clients=100, generations=20, downloads_each=4,
                     interval=0.5, size=1 << 20, rate=100 << 10):
    """Slow downloads begun in each generation, beside other clients.
    served: the intervals between two restarts in which somebody was
    answered by the server."""
    body = pattern(size)
    s = serve(t, docs={"big": body}, conf="SendBufferSize 65536\n"
              "EnableSendfile off", **debian())
    load = Keeper.start(s.port, clients=clients)
    answering(load, clients)
    load.phase()
    taken, served = [], 0
    for _ in range(generations):
        taken.append(Download.start(s.port, downloads_each, "/big", body,
                                    rate))
        time.sleep(interval / 2)
        answered = load.answered
        s.signal("USR1")
        time.sleep(interval / 2)
        served += load.answered > answered
    for one in taken:
        wait_until(lambda d=one: Download.over(d) >= downloads_each, 60,
                   "downloads are over")
    after = load.stop()[1]
    parts = [one.stop()[0] for one in taken]
    return Row(after, served=served, whole=sum(p.whole for p in parts),
               cut=sum(p.cut + p.refused for p in parts),
               full=s.count_log("AH03490:|AH00485:"))


def one_restart(t, rounds=6, every=0.01):
    """One gentle restart, a new connection every so many seconds, and a
    download open in each child."""
    body = pattern(4 << 20)
    s = serve(t, docs={"big": body}, conf="SendBufferSize 65536\n"
              "EnableSendfile off", **debian())
    load = Ticker.start(s.port, every)
    for _ in range(rounds):
        # More than children, so that each has one.
        taken = Download.start(s.port, 12, "/big", body, 2 << 20)
        time.sleep(0.5)
        load.phase()
        s.signal("USR1")
        wait_until(lambda d=taken: Download.over(d) >= 12, 60, "downloads")
        taken.stop()
    phases = load.stop()
    after = phases[1]
    for other in phases[2:]:
        after.times.extend(other.times)
        for name in ("answered", "lost", "refused", "wrong", "connects"):
            setattr(after, name, getattr(after, name) + getattr(other, name))
        after.gap = max(after.gap, other.gap)
        after.outstanding = max(after.outstanding, other.outstanding)
    worst = [round(phase.quantile(1), 1) for phase in phases[1:]]
    return Row(after, phases[0], worst=worst)


def ready_children(s):
    """Pids of children that have a thread that is ready."""
    return {process["pid"] for process in s.board()["processes"]
            if any(thread["status"] == 2 for thread in process["threads"])}


def killed(t, processes=4, clients=100, kills=18, interval=1.0, sig="KILL"):
    """A child is killed each second.  elsewhere: requests lost on
    connections that had been served by a child that was not killed."""
    s = serve(t, probe=True, **wide(threads=25, processes=processes))
    s.expect("AH0005[0-2]:", "exit signal")
    load = Keeper.start(s.port, clients=clients, path="/probe/where")
    answering(load, clients)
    load.phase()
    victims, back = set(), []
    for number in range(kills):
        before = ready_children(s)
        began = time.monotonic()
        victim = sorted(before)[number % len(before)]
        victims.add(victim)
        s.signal(sig, victim)
        wait_until(lambda b=before: ready_children(s) - b, 15,
                   "a child in its place", 0.002)
        back.append(1e3 * (time.monotonic() - began))
        time.sleep(max(0.0, began + interval - time.monotonic()))
    answering(load, clients)
    after = load.stop()[1]
    elsewhere = [pid for pid in after.lost_at if pid and pid not in victims]
    return Row(after, elsewhere=len(elsewhere), kills=kills,
               back=[round(ms) for ms in back])


def cpu(pids):
    """Seconds of processor time that processes have taken."""
    ticks = 0
    for pid in pids:
        stat = procs.stat(pid)
        if stat:
            ticks += stat.utime + stat.stime
    return ticks / os.sysconf("SC_CLK_TCK")


def few_descriptors(t, descriptors=200, clients=1000, seconds=10.0):
    """More kept-alive clients than descriptors; then they go.  before: the
    clients meanwhile; after: a normal client when they are gone."""
    s = serve(t, rlimits=dict(NOFILE=descriptors), timeout=60,
              **wide(threads=64, processes=1,
                     mpm=dict(AsyncRequestWorkerFactor=20)))
    s.expect("AH0033[0-9]", "Too many open files", "os 24")
    child = s.wait_children(1)[0]
    mark = s.mark()
    load = Keeper.start(s.port, clients=clients, think=2.0,
                        timeout=seconds)
    began = cpu([child]), time.monotonic()
    time.sleep(seconds)
    share = (cpu([child]) - began[0]) / (time.monotonic() - began[1])
    meanwhile = load.stop()[0]
    freed = time.monotonic()
    after = Ticker.start(s.port, 0.05)
    wait_until(lambda: after.answered or s.gone(), 30, "served again")
    recovery = time.monotonic() - freed
    if not s.gone():
        answering(after, 19)
    lines = s.log_since(mark).splitlines()
    ours = sum("[mpm_event:" in line for line in lines)
    return Row(after.stop()[0], meanwhile, exited=int(s.gone()),
               replaced=int(s.children() != [child]), mpm_lines=ours,
               other_lines=len(lines) - ours, cpu=round(100 * share, 1),
               recovery=round(1e3 * recovery))
