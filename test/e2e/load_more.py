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
"""load_more: downloads, HTTP/2 sessions and herds; see load."""

import hashlib
import select
import socket
import time

import h2
from load import Client, Load, any_server


class Download(Client):
    """Takes one file, no faster than rate bytes a second, and compares."""

    def __init__(self, loop, want):
        super().__init__(loop, want)
        self.got, self.body, self.digest = b"", None, hashlib.md5()

    @classmethod
    def start(cls, port, count, path, body, rate, timeout=120.0):
        """The body is what has to come."""
        want = dict(port=port, path=path, rate=rate, rcvbuf=65536,
                    length=len(body), digest=hashlib.md5(body).digest())

        def make(loop):
            for number in range(count):
                loop.after(0.01 * number, cls(loop, want).open)
        return Load(make, timeout)

    @staticmethod
    def over(load):
        """How many downloads of a Load have ended, well or not."""
        return load.whole + load.cut + load.refused

    def begin(self):
        self.sock.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n"
                       b"Connection: close\r\n\r\n"
                       % self.want["path"].encode())
        self.loop.by_fd.pop(self.sock.fileno())
        self.loop.poll.unregister(self.sock.fileno())
        self.length = 0
        self.since = time.monotonic()
        self.take()

    def take(self):
        """As many bytes as are due by now."""
        due = int((time.monotonic() - self.since) * self.want["rate"])
        while self.length < due:
            try:
                got = self.sock.recv(min(due - self.length, 262144))
            except BlockingIOError:
                break
            except OSError as error:
                self.end(error)
                return
            if not got:
                self.end("end of file")
                return
            self.feed(got)
            if self.length == self.want["length"]:
                self.end(None)
                return
        self.loop.after(0.02, self.take)

    def feed(self, got):
        if self.body is None:
            self.got += got
            head, mark, got = self.got.partition(b"\r\n\r\n")
            if not mark:
                return
            self.body = head
        self.digest.update(got)
        self.length += len(got)

    def end(self, error):
        if self.length == self.want["length"] and \
                self.digest.digest() == self.want["digest"]:
            self.loop.count("whole")
            self.loop.answer(self.began)
        else:
            self.loop.count("cut", "%s after %d bytes" % (error,
                                                          self.length))
        self.loop.land(self)
        self.sock.close()
        self.sock = None

    def refuse(self, why):
        self.drop()
        self.loop.count("refused", why)

    def late(self):
        if self.sock:
            self.end("timed out")


class Stream:
    """One request of a Session, on its way."""

    def __init__(self, session):
        self.session = session
        self.began = time.monotonic()

    def late(self):
        self.session.give_up(self)


class Session(Client):
    """An HTTP/2 session that keeps some streams busy and obeys GOAWAY: it
    begins no more of them, waits for those that the server will answer, and
    another session asks for those that it will not."""

    host = "localhost"

    @classmethod
    def start(cls, port, sessions, streams=4, path="/", think=0.05,
              tls=False, burst=False, timeout=15.0):
        """burst: all streams of a session are asked for in one write, when
        all of the last burst are over."""
        want = dict(port=port, streams=streams, path=path, think=think,
                    burst=streams if burst else 1,
                    tls=any_server("h2") if tls else None,
                    scheme="https" if tls else "http")

        def make(loop):
            for number in range(sessions):
                loop.after(0.01 * number, cls(loop, want).open)
        return Load(make, timeout)

    def begin(self):
        self.loop.land(self)
        self.buffer, self.numbers, self.successor = b"", {}, False
        self.session = h2.Session(self, self.want["scheme"])
        self.step = self.readable
        for _ in range(self.want["streams"] // self.want["burst"]):
            self.ask()

    def send(self, data):
        """For h2.Session."""
        self.out += data

    def ask(self):
        if self.sock:
            self.readable()
        if self.loop.stopping or self.successor or not self.sock:
            return
        asked = []
        for _ in range(self.want["burst"]):
            asked.append(self.session.request(self.want["path"]))
            self.numbers[asked[-1]] = Stream(self)
            self.loop.fly(self.numbers[asked[-1]])
        error = self.flush()
        if error:
            for number in asked:
                self.loop.count("safe", error)
                self.land(number)
            self.ended(error)

    def next(self):
        """A stream is over."""
        if self.want["burst"] == 1 or not self.numbers:
            self.loop.after(self.want["think"], self.ask)

    def push(self):
        error = self.flush()
        if error:
            self.ended(error)

    def readable(self):
        if self.out:
            self.push()
            if self.sock and not self.out:
                self.watch(select.EPOLLIN)
        while self.sock:
            got = self.receive()
            if got is None:
                break
            if not got or not isinstance(got, bytes):
                self.ended(got or "end of file")
                return
            self.buffer += got
            self.frames()
            self.judge()
            if self.sock:
                self.push()

    def frames(self):
        while len(self.buffer) >= 9:
            end = 9 + int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < end:
                break
            stream = int.from_bytes(self.buffer[5:9], "big") & 0x7fffffff
            self.session.handle(self.buffer[3], self.buffer[4], stream,
                                self.buffer[9:end])
            self.buffer = self.buffer[end:]

    def judge(self):
        """What has become of the streams."""
        goaway = self.session.goaway
        for number, stream in list(self.numbers.items()):
            state = self.session.streams[number]
            if state.ended and state.status == 200:
                self.land(number)
                self.loop.answer(stream.began)
                self.next()
            elif state.ended:
                self.land(number)
                self.loop.count("wrong", state)
                self.next()
            elif state.reset == 7 or (goaway and number > goaway[0]):
                self.land(number)
                self.loop.count("safe")
                self.move_on()
            elif state.reset is not None:
                self.lose(stream, "reset %d" % state.reset)
        if goaway:
            self.move_on()
            if not self.numbers:
                self.drop()

    def land(self, number):
        self.loop.land(self.numbers.pop(number))
        del self.session.streams[number]

    def move_on(self):
        """Another session goes on in place of this one."""
        if not self.successor:
            self.successor = True
            self.loop.after(0, Session(self.loop, self.want).open)

    def lose(self, stream, why):
        for number, other in list(self.numbers.items()):
            if other is stream:
                self.loop.count("lost", "stream %d, %s, goaway %s" % (
                    number, why, self.session.goaway))
                self.land(number)
                self.next()

    def give_up(self, stream):
        for number, other in list(self.numbers.items()):
            if other is stream:
                self.loop.count("late", "stream %d" % number)
                self.land(number)
                self.next()

    def ended(self, why):
        if not self.numbers:
            self.loop.count("idle_closes")
        for stream in list(self.numbers.values()):
            self.lose(stream, why)
        self.drop()
        self.move_on()

    def drop(self):
        if self.sock:
            self.loop.by_fd.pop(self.sock.fileno(), None)
            self.sock.close()
            self.sock = None
        self.loop.land(self)

    def late(self):
        self.refuse("timed out")


class Herd:
    """Many connections that are idle most of the time, in this process.

    Each has had one request answered when the constructor returns.
    """

    @staticmethod
    def request(path="/"):
        return b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()

    def __init__(self, t, port, count):
        self.socks = []
        t.at_end(self.close)
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), 15)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socks.append(sock)
            sock.send(self.request())
            if b" 200 " not in sock.recv(4096)[:16]:
                raise RuntimeError("no answer to the first request")

    def ask_all(self, path="/", timeout=20.0):
        """One request on each at once: (answered, lost, closed before it
        was sent)."""
        poll, waiting, closed = select.epoll(), {}, 0
        request = self.request(path)
        for sock in self.socks:
            sock.setblocking(False)
            try:
                sock.recv(1)
                closed += 1
            except BlockingIOError:
                sock.send(request)
                waiting[sock.fileno()] = sock
            except OSError:
                closed += 1
        for fd in waiting:
            poll.register(fd, select.EPOLLIN)
        answered = lost = 0
        end = time.monotonic() + timeout
        while waiting and time.monotonic() < end:
            for fd, _ in poll.poll(0.5, 1000):
                try:
                    good = b" 200 " in waiting[fd].recv(4096)[:16]
                except OSError:
                    good = False
                answered, lost = answered + good, lost + (not good)
                poll.unregister(fd)
                del waiting[fd]
        return answered, lost + len(waiting), closed

    def open(self):
        """How many the server has not closed."""
        poll = select.epoll()
        for sock in self.socks:
            poll.register(sock.fileno(), select.EPOLLRDHUP)
        ended = len(poll.poll(0, len(self.socks) or 1))
        poll.close()
        return len(self.socks) - ended

    def close(self):
        for sock in self.socks:
            sock.close()
        self.socks = []
