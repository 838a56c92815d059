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
"""runs: a measurement in a process of its own, for bench/run and attacks.py.
"""

import os
import pickle
import shutil
import signal
import sys
import tempfile
import traceback

import contestants
import harness
import probe
import procs

# Seconds after which one run is given up.
LIMIT = 150
# What ends a run before its time.
ENDINGS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)


def environments(args, servers, with_probe):
    """{name: Env} of those that are httpd."""
    httpd = shutil.which(args.httpd, path=os.environ["PATH"] + ":/usr/sbin")
    if not httpd:
        sys.exit("bench: no httpd called %s" % args.httpd)
    modules = os.popen(args.apxs + " -q LIBEXECDIR").read().strip()
    paths = {"ours": args.module, "vs": getattr(args, "vs", None)}
    for name in ("stock", "worker", "prefork"):
        paths[name] = os.path.join(modules, "mod_mpm_%s.so" % (
            "event" if name == "stock" else name))
    found = {}
    for name in contestants.HTTPD:
        if name not in servers and name != "stock":
            continue
        path = os.path.abspath(paths[name])
        if not os.path.exists(path):
            sys.exit("bench: there is no %s" % path)
        found[name] = harness.Env(httpd, modules, path, args.apxs,
                                  stock=name not in ("ours", "vs"))
        if with_probe:
            found[name].probe = probe.build(found[name])
    return found


def end_early(*_):
    raise TimeoutError("ended early")


def work(env, name, function, size, directory):
    """What the process of one run does: its figures, or what went wrong."""
    t = harness.Test(env, "bench", dict(needs=[]), directory)
    try:
        try:
            return function(t, name, **size)
        except BaseException:
            logs = "".join(one.log()[-1500:] for one in t.servers)
            return traceback.format_exc() + logs
        finally:
            t.finish(judge=False)
    except BaseException:
        return traceback.format_exc()


def measure(env, name, function, size):
    """The figures of one run, made in a process of its own that takes all
    it has started with it, or the text of what went wrong."""
    directory = tempfile.mkdtemp(prefix="mpm-bench-")
    os.chmod(directory, 0o755)
    below, above = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.close(below)
            procs.become_subreaper()
            for number in ENDINGS:
                signal.signal(number, end_early)
            procs.end_with_parent()
            signal.alarm(LIMIT)
            result = work(env, name, function, size, directory)
            signal.alarm(0)
            with os.fdopen(above, "wb") as file:
                pickle.dump(result, file)
        finally:
            for number in ENDINGS:
                signal.signal(number, signal.SIG_IGN)
            procs.kill_descendants(os.getpid())
            os._exit(0)
    os.close(above)
    try:
        with os.fdopen(below, "rb") as file:
            return pickle.load(file)
    except EOFError:
        return "it ended without a result"
    finally:
        end(pid)
        shutil.rmtree(directory, ignore_errors=True)


def end(pid):
    """Wait for the process of a run; an interrupted one is told to end."""
    if sys.exc_info()[0]:
        os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
