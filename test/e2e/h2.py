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
"""h2: a small HTTP/2 client, for tests that need to see the frames.

Of the server's header blocks only :status is understood, and only where it
is one of the static table's; 0 stands for any other.
"""

import struct
import time

from client import Closed

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIO = 0x1, 0x1, 0x4, 0x8, 0x20

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUS = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404,
          0x8e: 500}


def text(data):
    """A string of HPACK, not Huffman-coded, shorter than 127 bytes."""
    data = data.encode("latin-1")
    assert len(data) < 127
    return bytes([len(data)]) + data


class Stream:
    """What came for one request."""

    def __init__(self):
        self.status = None
        self.body = b""
        self.ended = False
        self.reset = None

    def __repr__(self):
        return "<Stream %s, %d bytes, %s, reset %s>" % (
            self.status, len(self.body),
            "ended" if self.ended else "open", self.reset)


class Session:
    """HTTP/2 over a client.Conn.

    window is what the server may send per stream before it is told more;
    with grant True (the default) more is granted as data comes in.
    """

    def __init__(self, conn, scheme="http", window=None, grant=True,
                 preface=True):
        self.conn, self.scheme, self.grant = conn, scheme, grant
        self.streams = {}
        self.next_stream = 1
        self.goaway = None
        self.pings = []
        self.closed = None
        if preface:
            settings = b""
            if window is not None:
                settings = struct.pack(">HI", 4, window)
            conn.send(PREFACE + self.frame(SETTINGS, 0, 0, settings))

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + struct.pack(
            ">BBI", kind, flags, stream) + payload

    def send_frame(self, *args):
        self.conn.send(self.frame(*args))

    def request(self, path="/", body=None, headers=(), authority=None,
                method=None):
        """Send a request: the number of its stream."""
        stream = self.next_stream
        self.next_stream += 2
        self.streams[stream] = Stream()
        block = b"\x83" if body is not None else b"\x82"
        if method:
            block = b"\x02" + text(method)
        block += b"\x87" if self.scheme == "https" else b"\x86"
        block += b"\x04" + text(path)
        block += b"\x01" + text(authority or self.conn.host)
        for name, value in headers:
            block += b"\x00" + text(name) + text(value)
        flags = END_HEADERS | (END_STREAM if body is None else 0)
        self.send_frame(HEADERS, flags, stream, block)
        if body is not None:
            for start in range(0, len(body), 16384):
                self.send_frame(DATA, 0, stream, body[start:start + 16384])
            self.send_frame(DATA, END_STREAM, stream)
        return stream

    def window_update(self, stream, size):
        self.send_frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def read_frame(self):
        """One frame: (kind, flags, stream, payload); it is dealt with."""
        head = self.conn.read_exactly(9)
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = self.conn.read_exactly(length)
        self.handle(kind, flags, stream & 0x7fffffff, payload)
        return kind, flags, stream, payload

    def handle(self, kind, flags, number, payload):
        stream = self.streams.get(number)
        if kind == SETTINGS and not flags & ACK:
            self.send_frame(SETTINGS, ACK, 0)
        elif kind == PING:
            if flags & ACK:
                self.pings.append(payload)
            else:
                self.send_frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])
        elif kind == RST_STREAM and stream:
            stream.reset = struct.unpack(">I", payload)[0]
        elif kind == HEADERS and stream:
            if stream.status is None:
                start = (1 if flags & PADDED else 0) + (
                    5 if flags & PRIO else 0)
                stream.status = STATUS.get(payload[start], 0)
            stream.ended = stream.ended or bool(flags & END_STREAM)
        elif kind == DATA and stream:
            self.take_data(stream, number, flags, payload)

    def take_data(self, stream, number, flags, payload):
        length = len(payload)
        if flags & PADDED:
            payload = payload[1:length - payload[0]]
        stream.body += payload
        stream.ended = stream.ended or bool(flags & END_STREAM)
        if self.grant and length:
            self.window_update(0, length)
            if not stream.ended:
                self.window_update(number, length)

    def read_until(self, condition, timeout=15.0):
        """Read frames until condition(); False if the connection ended (see
        closed) or nothing more came for so long."""
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.conn.settimeout(left)
            try:
                self.read_frame()
            except Closed as closed:
                self.closed = closed.how
                return bool(condition())
            except TimeoutError:
                return bool(condition())
        return True

    def finish(self, *numbers, timeout=15.0):
        """Read until these streams (all, if none) are over; True if so."""
        streams = [self.streams[n] for n in numbers or self.streams]
        return self.read_until(
            lambda: all(s.ended or s.reset is not None for s in streams),
            timeout)

    def get(self, path="/", **kwargs):
        """One request and its Stream."""
        number = self.request(path, **kwargs)
        self.finish(number)
        return self.streams[number]

    def ping(self, data=b"12345678", timeout=15.0):
        """True if a PING is answered."""
        count = len(self.pings)
        self.send_frame(PING, 0, 0, data)
        return self.read_until(lambda: len(self.pings) > count, timeout)
