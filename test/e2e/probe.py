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
"""probe: builds the test-only module test/modules/mod_mpm_probe.

The result stays below test/tmp until a source or the httpd changes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

from basics import CHECKOUT

SOURCES = os.path.join(CHECKOUT, "test", "modules")
FILES = ("mod_mpm_probe.c", "probe_handlers.c", "probe_lines.c",
         "probe_board.c", "mpm_probe.h")


def build(env):
    """The path of the module, built for env's httpd."""
    digest = hashlib.sha256((env.apxs + env.ask("-v")).encode())
    for name in FILES:
        with open(os.path.join(SOURCES, name), "rb") as file:
            digest.update(file.read())
    top = os.path.join(CHECKOUT, "test", "tmp", "probe")
    os.makedirs(top, exist_ok=True)
    directory = os.path.join(top, digest.hexdigest()[:16])
    result = os.path.join(directory, ".libs", "mod_mpm_probe.so")
    with open(os.path.join(top, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(result):
            compile_into(env, directory)
    return result


def compile_into(env, directory):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for name in FILES:
        shutil.copy(os.path.join(SOURCES, name), directory)
    done = subprocess.run(
        [env.apxs, "-c", "-Wc,-Wall -Wextra -Wno-unused-parameter",
         "-n", "mpm_probe", "-o", "mod_mpm_probe.la",
         *(name for name in FILES if name.endswith(".c"))],
        cwd=directory, check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 or "warning:" in done.stdout:
        print(done.stdout)
    if done.returncode != 0:
        shutil.rmtree(directory)
        sys.exit("run: cannot build the probe module")
