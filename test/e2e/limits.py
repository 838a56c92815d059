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
"""limits: how many connections a server takes at a time.
"""

import socket
import time


def answers(conn, seconds):
    """True if the response to a request sent comes within seconds."""
    conn.settimeout(seconds)
    try:
        conn.read_response()
        return True
    except socket.timeout:
        return False
    finally:
        conn.settimeout(10)


def fill(s, most, path="/", patience=1.0, port=None):
    """Open kept-alive connections one after the other, each after the answer
    to the one before, until one gets no answer or there are most of them:
    (those answered, the one that waits or None).

    The pause lets the worker that answered become idle again; a server that
    looks for room in between may see one worker less, and then waits for
    more room than it stopped for.
    """
    conns = []
    while len(conns) < most:
        time.sleep(0.03)
        conn = s.conn(port)
        conn.request(path)
        if not answers(conn, patience):
            return conns, conn
        conns.append(conn)
    return conns, None


def check_count(t, s, found, wanted, what):
    """found is wanted.  Of httpd's own module several processes may each
    stop a little early, and then stay so: they look while a worker that has
    just answered is not idle yet."""
    count = s.settings["max_processes"] or s.settings["processes"]
    if t.env.stock and count > 1 and wanted - 2 * count <= found:
        t.check(found <= wanted, "%s: %d" % (what, found))
    else:
        t.equal(found, wanted, what)


def check_held(t, s, wanted, what):
    """The server holds exactly wanted kept-alive connections."""
    most = 0
    for _ in range(3):
        conns, waiting = fill(s, wanted + 3)
        for conn in conns + [waiting] if waiting else conns:
            conn.close()
        most = max(most, len(conns))
        if most >= wanted:
            break
    check_count(t, s, most, wanted, what)
