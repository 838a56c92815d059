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
"""client: HTTP from the socket up, so that tests decide about every byte.

Conn is one connection: send() puts raw bytes on it, request() a request,
read_response() takes exactly one response off it (what follows stays for the
next call).  TLS, if wanted, is underneath all of that.
"""

import socket
import ssl
import struct
import threading
import time


class Closed(Exception):
    """The server closed or reset the connection instead of answering."""

    def __init__(self, how, got=b""):
        super().__init__("%s after %d bytes" % (how, len(got)))
        self.how = how
        self.got = got


class Response:
    """One response: status, headers (lower-case names), body, raw head."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        self.version = version
        self.status = int(rest[:3])
        self.reason = rest[4:]
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name in self.headers:
                value = self.headers[name] + ", " + value
            self.headers[name] = value
        self.head = head
        self.body = b""

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def keepalive(self):
        """True if the server says that the connection stays open."""
        tokens = self.headers.get("connection", "").lower()
        if self.version == "HTTP/1.0":
            return "keep-alive" in tokens
        return "close" not in tokens

    def __repr__(self):
        return "<Response %d, %d bytes>" % (self.status, len(self.body))


class Conn:
    """A connection to 127.0.0.1:port; a context manager.

    tls: None, True (no verification) or an ssl.SSLContext; server_name goes
    into SNI.  rcvbuf makes the receive buffer small, for slow readers.
    source is the address to come from: any of 127.0.0.0/8.
    """

    def __init__(self, port, tls=None, server_name=None, timeout=10.0,
                 rcvbuf=None, alpn=None, host="127.0.0.1", source=None):
        self.host = "localhost"
        self.buffer = b""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        try:
            if source:
                self.sock.bind((source, 0))
            self.sock.connect((host, port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self.start_tls(tls, server_name, alpn)
        except BaseException:
            self.sock.close()
            raise
        self.local_port = self.sock.getsockname()[1]

    def start_tls(self, tls=True, server_name=None, alpn=None):
        if tls is True:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        if alpn:
            tls.set_alpn_protocols(alpn)
        self.sock = tls.wrap_socket(self.sock, server_hostname=server_name,
                                    suppress_ragged_eofs=False)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def settimeout(self, timeout):
        self.sock.settimeout(timeout)

    def send(self, data):
        """Send bytes (or str) as they are."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.sock.sendall(data)

    def format(self, path, method="GET", headers=None, body=None,
               version="HTTP/1.1"):
        """The bytes of a request."""
        fields = {"Host": self.host}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        fields.update(headers or {})
        lines = ["%s %s %s" % (method, path, version)]
        lines += ["%s: %s" % item for item in fields.items()
                  if item[1] is not None]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + (body or b"")

    def request(self, path, **kwargs):
        """Send one request and do not wait for its response."""
        self.send(self.format(path, **kwargs))

    def get(self, path="/", **kwargs):
        """Send one request and read its response."""
        self.request(path, **kwargs)
        return self.read_response(kwargs.get("method", "GET"))

    def fill(self):
        """Receive once; Closed if the server is gone."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            raise Closed("reset", self.buffer) from None
        except ssl.SSLEOFError:
            raise Closed("eof", self.buffer) from None
        if not data:
            raise Closed("eof", self.buffer)
        self.buffer += data

    def read_until(self, mark):
        """Bytes up to and including mark."""
        while mark not in self.buffer:
            self.fill()
        data, _, self.buffer = self.buffer.partition(mark)
        return data + mark

    def read_exactly(self, length):
        while len(self.buffer) < length:
            self.fill()
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def read_line(self):
        """One line without its end, as str."""
        return self.read_until(b"\n").decode("latin-1").rstrip("\r\n")

    def read_to_eof(self):
        """Everything until the server closes; Closed if by a reset."""
        while True:
            try:
                self.fill()
            except Closed as closed:
                if closed.how != "eof":
                    raise
                data, self.buffer = self.buffer, b""
                return data

    def read_chunked(self):
        body = b""
        while True:
            size = int(self.read_line().partition(";")[0], 16)
            if size == 0:
                while self.read_line():
                    pass
                return body
            body += self.read_exactly(size)
            self.read_exactly(2)

    def read_head(self):
        """A response's head (1xx skipped); the body is left to read."""
        while True:
            response = Response(self.read_until(b"\r\n\r\n")[:-4])
            if response.status >= 200 or response.status == 101:
                return response

    def read_response(self, method="GET"):
        """Exactly one response with its body."""
        response = self.read_head()
        headers = response.headers
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if "chunked" in headers.get("transfer-encoding", "").lower():
            response.body = self.read_chunked()
        elif "content-length" in headers:
            response.body = self.read_exactly(int(headers["content-length"]))
        else:
            response.body = self.read_to_eof()
        return response

    def quiet(self, seconds=0.3):
        """True if for this long nothing comes and nobody closes."""
        if self.buffer:
            return False
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.fill()
            return False
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        except Closed:
            return False
        finally:
            self.sock.settimeout(old)

    def wait_closed(self, timeout=10.0):
        """"eof" or "reset", whichever ends the connection, or None if it is
        still open after timeout; what comes before is thrown away."""
        old = self.sock.gettimeout()
        end = time.monotonic() + timeout
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.sock.settimeout(left)
                self.buffer = b""
                self.fill()
        except Closed as closed:
            return closed.how
        except (socket.timeout, ssl.SSLWantReadError):
            return None
        finally:
            self.sock.settimeout(old)

    def shutdown_write(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Close with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def get(port, path="/", tls=None, server_name=None, timeout=10.0, **kwargs):
    """One request on a connection of its own; its Response."""
    kwargs.setdefault("headers", {})
    kwargs["headers"].setdefault("Connection", "close")
    with Conn(port, tls=tls, server_name=server_name,
              timeout=timeout) as conn:
        return conn.get(path, **kwargs)


class Task(threading.Thread):
    """A function in a thread whose result, or exception, join() gives."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self.call = (function, args, kwargs)
        self.result = None
        self.error = None
        self.start()

    def run(self):
        function, args, kwargs = self.call
        try:
            self.result = function(*args, **kwargs)
        except BaseException as error:  # handed to the thread that joins
            self.error = error

    def join(self, timeout=30.0):
        super().join(timeout)
        if self.is_alive():
            raise TimeoutError("still running: %r" % (self.call[0],))
        if self.error:
            raise self.error
        return self.result


def together(count, function, timeout=30.0):
    """[function(0), ..., function(count - 1)], all at the same time."""
    tasks = [Task(function, number) for number in range(count)]
    return [task.join(timeout) for task in tasks]


class Load:
    """Clients that ask for path over and over on kept-alive connections.

    Between start (the constructor) and stop(), counts: answered; refused
    (connect failed); lost (a request on a new connection got no response);
    raced (the same on a connection used before, which a server may close at
    that very moment); wrong (another status, or a cut body).
    """

    def __init__(self, port, clients=8, path="/", pause=0.0, tls=None,
                 keepalive=True, timeout=10.0):
        self.port, self.path, self.pause = port, path, pause
        self.tls, self.keepalive, self.timeout = tls, keepalive, timeout
        self.lock = threading.Lock()
        self.counts = dict(answered=0, refused=0, lost=0, raced=0, wrong=0)
        self.notes = []
        self.over = threading.Event()
        self.tasks = [Task(self.client) for _ in range(clients)]

    def count(self, what, note=None):
        with self.lock:
            self.counts[what] += 1
            if note and len(self.notes) < 20:
                self.notes.append("%s: %s" % (what, note))

    def __getattr__(self, name):
        counts = self.__dict__.get("counts", {})
        if name in counts:
            return counts[name]
        raise AttributeError(name)

    def client(self):
        while not self.over.is_set():
            try:
                conn = Conn(self.port, tls=self.tls, timeout=self.timeout)
            except OSError as error:
                self.count("refused", error)
                self.over.wait(0.02)
                continue
            with conn:
                self.talk(conn)

    def talk(self, conn):
        used = 0
        while not self.over.is_set():
            try:
                response = conn.get(self.path)
            except (Closed, OSError) as error:
                self.count("raced" if used and not conn.buffer else "lost",
                           error)
                return
            if response.status != 200:
                self.count("wrong", response)
            else:
                self.count("answered")
            used += 1
            if not response.keepalive or not self.keepalive:
                return
            if self.pause:
                self.over.wait(self.pause)

    def stop(self):
        """End the clients; the counts."""
        self.over.set()
        for task in self.tasks:
            task.join(self.timeout + 5)
        return self.counts
