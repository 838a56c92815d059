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
"""backend: small servers behind the proxy, in threads of the test."""

import socket
import threading


class Backend:
    """A server on a port of loopback; each connection is served by serve(),
    which subclasses write, in a thread of its own."""

    def __init__(self, t):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.open = set()
        self.lock = threading.Lock()
        t.at_end(self.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self.open.add(sock)
            threading.Thread(target=self.attend, args=(sock,),
                             daemon=True).start()

    def attend(self, sock):
        try:
            with sock, sock.makefile("rb") as file:
                self.serve(sock, file)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(sock)

    def serve(self, sock, file):
        raise NotImplementedError

    def close(self):
        self.listener.close()
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def read_head(file):
    """The request line and {field: value} of one request, or None."""
    line = file.readline().decode("latin-1").strip()
    if not line:
        return None
    fields = {}
    while True:
        field = file.readline().decode("latin-1").strip()
        if not field:
            return line, fields
        name, _, value = field.partition(":")
        fields[name.lower()] = value.strip()


class Upgrading(Backend):
    """Agrees to every Upgrade, says hello and then echoes bytes."""

    def serve(self, sock, file):
        request = read_head(file)
        if request is None:
            return
        protocol = request[1].get("upgrade")
        if not protocol:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
                         b"plain\n")
            return
        sock.sendall(("HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: %s\r\nConnection: Upgrade\r\n\r\nhello"
                      % protocol).encode())
        while True:
            data = file.read1(65536)
            if not data:
                return
            sock.sendall(data)


class Slow(Backend):
    """Answers each request with its path, after hold() returned."""

    def __init__(self, t, hold):
        self.hold = hold
        super().__init__(t)

    def serve(self, sock, file):
        while True:
            request = read_head(file)
            if request is None:
                return
            self.hold()
            body = request[0].split()[1].encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(body), body))
