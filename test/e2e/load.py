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
"""load: clients of one server in a process of their own, counted with care.

A loop over one poll set serves all of them, so that a few hundred cost
little of the processors that the server needs too.  What is told apart:

  answered     requests with a whole answer of status 200
  lost         requests of which something was sent and that got neither a
               whole answer nor a refusal; first_lost of them were the first
               of their connection
  idle_closes  ends of kept-alive connections before anything of the next
               request was sent; that is no loss
  refused      connections that could not be made (TLS handshake included)
  late         requests without an answer for so long (timeout) that the
               client gave up, on connections that the server did not end
  wrong        answers with another status, among them 503
  safe         HTTP/2 streams above the last id of a GOAWAY: they are asked
               for again, and count as lost if that fails
  whole, cut   downloads

    load = load.Keeper.start(s.port, clients=200, think=0.05)
    time.sleep(3)
    load.phase()             what follows is counted apart
    s.graceful()
    before, after = load.stop()
"""

import array
import gc
import heapq
import mmap
import os
import pickle
import select
import socket
import ssl
import struct
import time

LIVE = ("answered", "lost", "refused", "wrong", "whole", "cut")
COUNTS = LIVE + ("late", "first_lost", "idle_closes", "connects", "safe",
                 "outstanding")


class Figures:
    """What was counted and measured in one phase."""

    def __init__(self):
        for name in COUNTS:
            setattr(self, name, 0)
        self.times = array.array("d")
        self.gap = 0.0
        self.notes = []
        self.lost_at = []
        self.began = time.monotonic()
        self.seconds = 0.0

    def note(self, text):
        if len(self.notes) < 20:
            self.notes.append(text)

    def quantile(self, part):
        """The time, in ms, below which this part of all answers came."""
        times = sorted(self.times)
        if not times:
            return 0.0
        return 1e3 * times[min(int(part * len(times)), len(times) - 1)]

    def __repr__(self):
        counts = ", ".join("%s %d" % (name, getattr(self, name))
                           for name in COUNTS if getattr(self, name))
        return "%s; p50 %.1f p99 %.1f max %.1f gap %.0f ms %s" % (
            counts, self.quantile(0.5), self.quantile(0.99),
            self.quantile(1), 1e3 * self.gap, self.notes[:5])


class Loop:
    """One poll set, timers, and the figures of the phase that runs."""

    def __init__(self, control, live, timeout):
        self.control, self.live, self.timeout = control, live, timeout
        self.poll = select.epoll()
        self.poll.register(control, select.EPOLLIN)
        self.by_fd = {}
        self.timers = []
        self.sequence = 0
        self.phases = [Figures()]
        self.began = self.last_answer = time.monotonic()
        self.stopping = False
        self.flying = set()

    @property
    def now(self):
        return self.phases[-1]

    def at(self, when, function):
        self.sequence += 1
        heapq.heappush(self.timers, (when, self.sequence, function))

    def after(self, delay, function):
        self.at(time.monotonic() + delay, function)

    def count(self, name, note=None):
        figures = self.now
        setattr(figures, name, getattr(figures, name) + 1)
        if name in LIVE:
            place = 8 * LIVE.index(name)
            old, = struct.unpack_from("q", self.live, place)
            struct.pack_into("q", self.live, place, old + 1)
        if note:
            figures.note("%s: %s" % (name, note))

    def answer(self, began):
        now = time.monotonic()
        self.now.times.append(now - began)
        self.now.gap = max(self.now.gap, now - self.last_answer)
        self.last_answer = now
        self.count("answered")

    def fly(self, one):
        """One more request is on its way."""
        self.flying.add(one)
        self.now.outstanding = max(self.now.outstanding, len(self.flying))

    def land(self, one):
        self.flying.discard(one)

    def run(self):
        deadline = None
        self.after(0.25, self.look_for_late)
        while not self.stopping or (
                self.flying and time.monotonic() < deadline):
            wait = 0.25
            if self.timers:
                wait = min(wait, max(
                    0.0, self.timers[0][0] - time.monotonic()))
            for fd, events in self.poll.poll(wait):
                if fd == self.control:
                    deadline = self.obey()
                elif fd in self.by_fd:
                    self.by_fd[fd].ready(events)
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
        for one in list(self.flying):
            one.late()
        return self.phases

    def obey(self):
        order = os.read(self.control, 1)
        now = time.monotonic()
        self.now.gap = max(self.now.gap, now - self.last_answer)
        self.now.seconds = now - self.now.began
        if order == b"p":
            self.phases.append(Figures())
        else:
            self.stopping = True
            self.poll.unregister(self.control)
        return now + self.timeout + 1

    def look_for_late(self):
        limit = time.monotonic() - self.timeout
        for one in list(self.flying):
            if one.began < limit:
                one.late()
        self.after(0.25, self.look_for_late)


class Client:
    """A connection to the server, and what is done when it has ended.

    began is the time of the request on its way, or of the connect that is
    made for it.
    """

    def __init__(self, loop, want):
        self.loop, self.want = loop, want
        self.sock = None
        self.out = b""
        self.began = 0.0

    def open(self):
        """Begin to connect."""
        if self.loop.stopping:
            return
        self.began = time.monotonic()
        self.loop.fly(self)
        self.loop.count("connects")
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.want.get("rcvbuf"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                            self.want["rcvbuf"])
        sock.connect_ex(("127.0.0.1", self.want["port"]))
        self.sock, self.step = sock, self.connected
        self.loop.by_fd[sock.fileno()] = self
        self.loop.poll.register(sock.fileno(), select.EPOLLOUT)

    def watch(self, events):
        self.loop.poll.modify(self.sock.fileno(), events)

    def ready(self, events):
        self.step()

    def connected(self):
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.refuse(os.strerror(error))
        elif self.want.get("tls"):
            self.sock = self.want["tls"].wrap_socket(
                self.sock, do_handshake_on_connect=False,
                suppress_ragged_eofs=True)
            self.step = self.shake
            self.shake()
        else:
            self.watch(select.EPOLLIN)
            self.begin()

    def shake(self):
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return self.watch(select.EPOLLIN)
        except ssl.SSLWantWriteError:
            return self.watch(select.EPOLLOUT)
        except OSError as error:
            return self.refuse("handshake: %s" % error)
        self.watch(select.EPOLLIN)
        self.begin()

    def begin(self):
        """The connection can be used."""
        raise NotImplementedError

    def refuse(self, why):
        self.drop()
        self.loop.count("refused", why)
        self.loop.after(0.02, self.open)

    def drop(self):
        """Close the connection; nothing of it counts any more."""
        self.loop.land(self)
        if self.sock:
            self.loop.by_fd.pop(self.sock.fileno(), None)
            self.sock.close()
            self.sock = None

    def receive(self):
        """Bytes, b"" at the end, None if there is nothing yet, or the error
        that ended the connection."""
        try:
            return self.sock.recv(262144)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            return error

    def flush(self):
        """Send what is to be sent: the error, if that fails."""
        try:
            while self.out:
                self.out = self.out[self.sock.send(self.out):]
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.watch(select.EPOLLIN | select.EPOLLOUT)
            return None
        except OSError as error:
            return error
        return None


class Keeper(Client):
    """Asks for a path again and again, with a pause (think) in between, on
    a connection that it keeps (keepalive) or on new ones.

    body: what to POST; its second half is sent a little later.  pulse (on,
    off): requests begin in the on seconds only.  If answers name the child
    that served ("pid=17 ") lost_at tells who had the connections of lost
    requests.
    """

    def __init__(self, loop, want):
        super().__init__(loop, want)
        self.used = 0
        self.server = None
        head = "%s %s HTTP/1.1\r\nHost: localhost\r\n" % (
            "POST" if want["body"] else "GET", want["path"])
        if want["body"]:
            head += "Content-Length: %d\r\n" % len(want["body"])
        if not want["keepalive"]:
            head += "Connection: close\r\n"
        self.head = (head + "\r\n").encode()

    @classmethod
    def start(cls, port, clients=8, path="/", think=0.05, tls=False,
              body=None, keepalive=True, pulse=None, timeout=15.0):
        if tls:
            tls = any_server()
        want = dict(port=port, path=path, think=think, tls=tls, body=body,
                    keepalive=keepalive, pulse=pulse)

        def make(loop):
            for number in range(clients):
                loop.after(number * max(think, 0.05) / clients,
                           cls(loop, want).open)
        return Load(make, timeout)

    def begin(self):
        self.used, self.server = 0, None
        self.ask()

    def think(self):
        """The next request, when it is time for it."""
        when = time.monotonic() + self.want["think"]
        if self.want["pulse"]:
            on, off = self.want["pulse"]
            phase = (when - self.loop.began) % (on + off)
            if phase > on:
                when += on + off - phase
        self.step = self.idle
        self.loop.at(when, self.again)

    def again(self):
        if self.sock:
            self.idle()
        if not self.sock:
            self.open()
        elif self.loop.stopping:
            self.drop()
        else:
            self.began = time.monotonic()
            self.loop.fly(self)
            self.ask()

    def idle(self):
        """Something happened before the next request was begun."""
        got = self.receive()
        if got is None:
            return
        if got and isinstance(got, bytes):
            self.loop.count("wrong", "unasked %r" % got[:40])
        else:
            self.loop.count("idle_closes")
        self.drop()

    def ask(self):
        body = self.want["body"] or b""
        half = len(body) // 2
        self.out = self.head + body[:half]
        self.got, self.length, self.close = b"", None, False
        self.step = self.answer
        self.send()
        if half and self.sock:
            sock = self.sock
            self.loop.after(0.005, lambda: self.finish_body(sock, half))

    def finish_body(self, sock, half):
        if self.sock is sock:
            self.out += self.want["body"][half:]
            self.send()

    def send(self):
        error = self.flush()
        if error and self.used and self.out.startswith(self.head):
            self.loop.count("idle_closes")
            self.drop()
            self.think()
        elif error:
            self.lose(error)

    def answer(self):
        if self.out:
            self.send()
            if not self.sock:
                return
            if not self.out:
                self.watch(select.EPOLLIN)
        got = self.receive()
        while got and isinstance(got, bytes):
            self.got += got
            if self.whole():
                self.done()
                return
            got = self.receive()
        if got is not None:
            self.lose(got or "end of file")

    def whole(self):
        if self.length is None:
            head, mark, _ = self.got.partition(b"\r\n\r\n")
            if not mark:
                return False
            lower = head.lower() + b"\r\n"
            self.close = b"\r\nconnection: close\r\n" in lower
            at = lower.find(b"\r\ncontent-length:")
            if at < 0:
                self.length = -1
            else:
                self.length = len(head) + 4 + int(
                    lower[at + 17:lower.index(b"\r\n", at + 2)])
        if self.length < 0:
            return self.got.endswith(b"\r\n0\r\n\r\n")
        return len(self.got) >= self.length

    def done(self):
        self.loop.land(self)
        if b" 200 " not in self.got[:16]:
            self.loop.count("wrong", self.got[:40])
        else:
            self.loop.answer(self.began)
        at = self.got.find(b"pid=")
        if at > 0:
            self.server = int(self.got[at + 4:].split()[0])
        self.used += 1
        if self.close or not self.want["keepalive"]:
            self.drop()
        self.think()

    def lose(self, why):
        self.loop.count("lost", "%s after %d answers, %d bytes" % (
            why, self.used, len(self.got)))
        if not self.used:
            self.loop.count("first_lost")
        self.loop.now.lost_at.append(self.server)
        self.drop()
        self.think()

    def late(self):
        if self.step == self.connected or self.step == self.shake:
            self.refuse("timed out")
        else:
            self.loop.count("late", "after %d answers" % self.used)
            self.drop()
            self.think()


class Ticker(Keeper):
    """One request on a connection of its own every so many seconds, whether
    the last was answered or not."""

    @classmethod
    def start(cls, port, every=0.01, path="/", timeout=15.0):
        want = dict(port=port, path=path, think=0, body=None, pulse=None,
                    keepalive=False)

        def make(loop):
            begin = time.monotonic()

            def tick(number):
                if not loop.stopping:
                    cls(loop, want).open()
                    loop.at(begin + every * (number + 1),
                            lambda: tick(number + 1))
            tick(0)
        return Load(make, timeout)

    def think(self):
        pass

    def refuse(self, why):
        self.drop()
        self.loop.count("refused", why)


def any_server(*alpn):
    """A context that believes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Load:
    """A process that runs make(loop)'s clients until stop()."""

    def __init__(self, make, timeout=15.0):
        self.live = mmap.mmap(-1, 8 * len(LIVE))
        self.timeout = timeout
        below, self.control = os.pipe()
        self.result, above = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self.control)
                os.close(self.result)
                gc.disable()
                loop = Loop(below, self.live, timeout)
                make(loop)
                with os.fdopen(above, "wb") as file:
                    pickle.dump(loop.run(), file)
                code = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(below)
        os.close(above)

    def __getattr__(self, name):
        if name in LIVE:
            return struct.unpack_from("q", self.live, 8 * LIVE.index(name))[0]
        raise AttributeError(name)

    def phase(self):
        os.write(self.control, b"p")

    def stop(self):
        """End the clients, each after its answer: the Figures of phases."""
        os.write(self.control, b"q")
        os.close(self.control)
        with os.fdopen(self.result, "rb") as file:
            phases = pickle.load(file)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        return phases
