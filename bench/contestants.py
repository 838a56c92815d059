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
"""contestants: the servers that are compared, with the same configuration.

  ours, vs            the module built here; another build of it
  stock               httpd's own event MPM
  worker, prefork     httpd's other two
  nginx               what a server can cost, outside httpd

Each is started on a free port of loopback with a root of its own, as the
end-to-end tests start theirs (test/e2e/server.py).
"""

import dataclasses
import os
import shutil
import socket
import subprocess
import time

import procs
import server
from basics import Failure, wait_until

HTTPD = ("ours", "vs", "stock", "worker", "prefork")
ALL = HTTPD + ("nginx",)

# Bytes that do not compress and are no work to make.
FILES = {"1k.html": 1 << 10, "100k.bin": 100 << 10, "10m.bin": 10 << 20}


@dataclasses.dataclass
class Setup:
    """What a scenario wants of its server."""
    processes: int = 2            # children at the start
    most: int = 16                # children at most
    threads: int = 64             # of each
    single: bool = False          # one child for everything, and its
                                  # connections may be many
    keepalive: int = 5            # KeepAliveTimeout
    tls: bool = False             # on the port tls_port
    http2: bool = False           # in clear text on the port
    probe: bool = False           # the handlers below /probe
    prefork: int = 0              # processes of prefork, if not as many as
                                  # the others have threads


CONF = """\
MaxKeepAliveRequests 0
EnableSendfile Off
EnableMMAP On
<Directory "/">
    AllowOverride None
</Directory>
"""

TLS = """\
Listen 127.0.0.1:{port2}
<VirtualHost 127.0.0.1:{port2}>
    SSLEngine On
    SSLCertificateFile %s
    SSLCertificateKeyFile %s
</VirtualHost>
"""


class Httpd(server.Server):
    """httpd with one of its MPMs."""

    RUNNING = "resuming normal operations"

    def __init__(self, t, name, setup):
        self.mpm_name = name if name in ("worker", "prefork") else "event"
        conf, modules = CONF, ""
        if setup.tls:
            modules += " ssl"
            conf += TLS % t.cert()
        if setup.http2:
            modules += " http2"
            conf += "Protocols h2c http/1.1\n"
        if setup.probe:
            modules += " headers"
            conf += 'Header set Began "%t"\n'
        super().__init__(
            t, threads=setup.threads, processes=setup.processes,
            mpm=self.limits(setup), conf=conf, modules=modules,
            probe=setup.probe, loglevel="warn", timeout=60,
            keepalive_timeout=setup.keepalive, defer_accept=True)
        self.setup, self.tls_port = setup, self.port2
        for path, size in FILES.items():
            self.doc(path, b"x" * size)

    def limits(self, setup):
        """The MPM's directives."""
        if self.mpm_name == "prefork":
            start = setup.prefork or setup.processes * setup.threads
            most = max(1024, start)
            return {"StartServers": start, "MinSpareServers": min(64, start),
                    "MaxSpareServers": most, "ServerLimit": most,
                    "MaxRequestWorkers": most, "ThreadLimit": None,
                    "ThreadsPerChild": None, "MinSpareThreads": None,
                    "MaxSpareThreads": None}
        most = 1 if setup.single else setup.most
        limits = {"StartServers": setup.processes, "ServerLimit": most,
                  "MaxRequestWorkers": most * setup.threads,
                  "MinSpareThreads": 1 if setup.single else 64,
                  "MaxSpareThreads": most * setup.threads}
        if setup.single:
            limits["AsyncRequestWorkerFactor"] = 200
        return limits

    def config_text(self):
        return super().config_text().replace(
            "LoadModule mpm_event_module",
            "LoadModule mpm_%s_module" % self.mpm_name, 1)

    def start(self, *args, **kwargs):
        super().start(*args, **kwargs)
        wait_until(self.complete, 20, "all its threads")
        return self

    def complete(self):
        """True once all children it starts with have all their threads."""
        if self.mpm_name == "prefork":
            wanted = self.settings["mpm"]["StartServers"]
            return len(self.children()) >= wanted
        found = [procs.stat(pid) for pid in self.children()]
        return len(found) >= self.setup.processes and all(
            one and one.num_threads > self.setup.threads for one in found)


NGINX = """\
{user}
worker_processes {workers};
worker_rlimit_nofile {files};
pid {root}/nginx.pid;
error_log {root}/error.log warn;
daemon off;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile off;
    keepalive_timeout {keepalive};
    keepalive_requests 1000000000;
    client_body_temp_path {root}/t1;
    proxy_temp_path {root}/t2;
    fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4;
    scgi_temp_path {root}/t5;
    server {{
        listen 127.0.0.1:{port} backlog=511{http2};
        {tls}
        root {root}/htdocs;
    }}
}}
"""


class Nginx:
    """nginx, with as much of server.Server as the scenarios use."""

    def __init__(self, t, setup):
        self.t, self.setup = t, setup
        self.root = os.path.join(t.dir, "nginx")
        self.port, self.tls_port = server.free_port(), server.free_port()
        self.process = self.pid = None
        os.makedirs(os.path.join(self.root, "htdocs"))
        for path, size in FILES.items():
            with open(os.path.join(self.root, "htdocs", path), "wb") as file:
                file.write(b"x" * size)
        tls = ""
        if setup.tls:
            tls = ("listen 127.0.0.1:%d ssl backlog=511;\n"
                   "        ssl_certificate %s;\n"
                   "        ssl_certificate_key %s;"
                   % (self.tls_port, *t.cert()))
        values = dict(
            root=self.root, port=self.port, tls=tls, user="",
            workers=1 if setup.single else setup.processes, files=16384,
            connections=16000, keepalive=setup.keepalive,
            http2=" http2" if setup.http2 else "")
        if os.geteuid() == 0:
            values["user"] = "user %s %s;" % server.system_account()
        self.config_file = os.path.join(self.root, "nginx.conf")
        with open(self.config_file, "w", encoding="ascii") as file:
            file.write(NGINX.format_map(values))

    def start(self):
        with open(os.path.join(self.root, "console"), "ab") as console:
            self.process = subprocess.Popen(
                [nginx_program(), "-e", os.path.join(self.root, "error.log"),
                 "-p", self.root, "-c", self.config_file],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True)
        self.pid = self.process.pid
        wait_until(self.complete, 10, "nginx serves")
        return self

    def complete(self):
        if self.process.poll() is not None:
            raise Failure("nginx ended at start; " + self.log())
        wanted = 1 if self.setup.single else self.setup.processes
        if len(procs.children(self.pid)) < wanted:
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        found = ""
        for name in ("console", "error.log"):
            found += server.Server.read(os.path.join(self.root, name))
        return found

    def finish(self):
        """End it; nothing to judge."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return []


def nginx_program():
    """The path of nginx, or None."""
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def start(t, name, setup):
    """One contestant, started."""
    made = Nginx(t, setup) if name == "nginx" else Httpd(t, name, setup)
    t.servers.append(made)
    made.start()
    time.sleep(0.2)            # what it does last at the start is no load
    return made
