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
"""wire: what the kernel knows about connections of loopback.

A test sees here whether the server still holds a connection, without asking
the server.
"""

STATES = {"01": "ESTABLISHED", "02": "SYN_SENT", "03": "SYN_RECV",
          "04": "FIN_WAIT1", "05": "FIN_WAIT2", "06": "TIME_WAIT",
          "07": "CLOSE", "08": "CLOSE_WAIT", "09": "LAST_ACK",
          "0A": "LISTEN", "0B": "CLOSING"}


def table():
    """[(local port, remote port, state, inode)] of all IPv4 sockets; the
    inode is 0 once no process has the socket open."""
    rows = []
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            rows.append((int(fields[1].partition(":")[2], 16),
                         int(fields[2].partition(":")[2], 16),
                         STATES.get(fields[3], fields[3]), int(fields[9])))
    return rows


def held(port, peers=None):
    """How many connections accepted on port some process has open; with
    peers, only those from these ports of clients."""
    # The kernel shows a socket twice if others come or go meanwhile.
    return len({inode for local, remote, state, inode in table()
                if local == port and state != "LISTEN" and inode
                and (peers is None or remote in peers)})


def state(port, peer):
    """The state of the server's end of the connection from port peer, "" if
    the kernel has forgotten it."""
    for local, remote, name, _ in table():
        if local == port and remote == peer and name != "LISTEN":
            return name
    return ""
