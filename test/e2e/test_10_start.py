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
"""The harness itself: a server starts, serves, reloads and stops."""

from harness import test


@test(stock="pass", item="4.1", core=True)
def serves_reloads_and_stops(t):
    s = t.server(threads=2, processes=2)
    t.equal(s.get("/").body, b"It serves.\n", "body")
    conn = s.conn()
    for _ in range(3):
        t.equal(conn.get("/").status, 200, "kept-alive request")
    t.equal(s.status()["ServerMPM"], "event", "name of the MPM")
    s.graceful()
    t.equal(s.get("/").status, 200, "after a graceful restart")
    t.equal(s.status()["ParentServerMPMGeneration"], 1, "generation")
    t.equal(s.stop(), 0, "exit code")
