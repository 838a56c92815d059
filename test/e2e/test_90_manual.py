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
"""The manual's examples work, and what it names is there.

An example is run as it stands, but for its ports and addresses: those of
Listen become free ones of loopback. The module itself is loaded by the
harness.
"""

import os
import re
import xml.etree.ElementTree as ElementTree

import limits
from harness import CHECKOUT, free_port, test

DOCS = os.path.join(CHECKOUT, "docs")

# What the harness sets unless it is told not to: examples stand on defaults.
NOTHING_SET = dict.fromkeys(
    ("ServerLimit", "ThreadLimit", "ThreadsPerChild", "StartServers",
     "MaxRequestWorkers", "MinSpareThreads", "MaxSpareThreads"))

# Directives whose value ap_mpm_query tells as it stands: its code.
CODES = {"ThreadLimit": "5", "ThreadsPerChild": "6", "MinSpareThreads": "8",
         "MaxSpareThreads": "10", "MaxConnectionsPerChild": "11"}

# Corrections, and syntax.
COMPLAINTS = r"AH00(?:49[7-9]|50\d|51\d|520|526)"


def read(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def manual():
    return ElementTree.parse(os.path.join(DOCS, "manual/mod/event.xml"))


def examples_of_the_manual():
    """[(the heading before it, text)]; test/docs sees to it that all are
    configuration."""
    found = []
    heading = None
    for element in manual().getroot().iter():
        if element.tag in ("name", "title"):
            heading = element.text
        elif element.tag == "highlight":
            found.append((heading, element.text))
    return found


def examples_of(name):
    """Those of another document: its blocks marked "apache"."""
    return [("%s, %d" % (name, number), text) for number, text in
            enumerate(re.findall(r"^```apache\n(.*?)^```$", read(name),
                                 re.M | re.S), 1)]


def on_loopback(text):
    """The example with free ports of loopback: (text, ports)."""
    ports = []

    def replace(match):
        ports.append(free_port())
        return "%s127.0.0.1:%d" % (match[1], ports[-1])

    text = re.sub(r"^(Listen\s+)(?:[\d.]+:|\[\S+\]:)?\d+\b", replace, text,
                  flags=re.M)
    text = re.sub(r"^LoadModule mpm_event_module .*$", "", text, flags=re.M)
    return text, ports


def values_of(text):
    return dict(re.findall(r"^\s*([A-Z]\w+)\s+(\d+)$", text, re.M))


def check_values(t, s, where, values):
    """What the example says has arrived."""
    query = s.wait_event("query", stage="child_init")[0]
    threads = int(query["6"])
    for name, code in CODES.items():
        if name in values:
            t.equal(int(query[code]), int(values[name]),
                    "%s: %s" % (where, name))
    most = values.get("MaxRequestWorkers", values.get("MaxClients"))
    if most:
        t.equal(int(query["12"]) * threads, int(most),
                "%s: MaxRequestWorkers" % where)
    if "ServerLimit" in values:
        t.equal(int(query["4"]),
                t.env.slots(int(values["ServerLimit"]), int(query["5"])),
                "%s: ServerLimit" % where)
    children = int(values.get("StartServers", 3))
    s.wait_children(min(children, int(query["12"])))


def run_example(t, where, text):
    text, ports = on_loopback(text)
    s = t.server(mpm=NOTHING_SET, probe=True, conf=text, start=False,
                 listen="\n".join("# the example's" for _ in ports) or None)
    code, said = s.run("-t")
    t.equal((code, said), (0, "Syntax OK\n"), "%s: -t" % where)
    s.start()
    t.equal(s.log_ids(COMPLAINTS), [], "%s: corrections" % where)
    check_values(t, s, where, values_of(text))
    ports = ports or [s.port]
    for port in ports:
        t.equal(s.get("/", port=port).status, 200, "%s: served" % where)
    s.graceful()
    t.equal(s.log_ids(COMPLAINTS), [], "%s: after a reload" % where)
    for port in ports:
        t.equal(s.get("/", port=port).status, 200, "%s: again" % where)
    t.equal(s.stop(), 0, "%s: exit code" % where)


@test(stock="pass", needs="probe", timeout=120)
def examples(t):
    found = examples_of_the_manual()
    t.check(len(found) >= 10, "only %d examples found" % len(found))
    for where, text in found:
        run_example(t, where, text)


@test(stock="fails: has no EventDrainTimeout", needs="probe", timeout=120)
def examples_of_other_documents(t):
    for name in sorted(os.listdir(DOCS)):
        found = examples_of(name) if name.endswith(".md") else []
        t.check(found or name not in ("tuning.md", "migrating.md"),
                "no examples in " + name)
        for where, text in found:
            run_example(t, where, text)


@test(stock="fails: drops the fractions", item="7 2.5", timeout=120)
def worked_examples(t):
    """The lines of the manual's table of limits that are of one idle child
    hold as many connections as they say; 30_limits has those of several."""
    table = manual().getroot().find("section[@id='limits']/table")
    lines = [[cell.text for cell in row] for row in table]
    tried = 0
    for children, threads, factor, busy, wanted in lines[1:]:
        if (children, busy) == ("1", "0"):
            s = t.server(threads=int(threads), keepalive_timeout=60,
                         mpm={"AsyncRequestWorkerFactor": factor})
            limits.check_held(t, s, int(wanted), "%s threads, factor %s"
                              % (threads, factor))
            tried += 1
    t.check(tried >= 3, "only %d lines tried" % tried)


@test(stock="fails: has no EventDrainTimeout")
def directives(t):
    """What httpd says it has of this module is what the manual has."""
    said = t.server(start=False).run("-L")[1]
    here = set(re.findall(r"^(\w+) \(event\.c\)$", said, re.M))
    told = {element.findtext("name") for element in
            manual().getroot().findall("directivesynopsis")}
    t.equal(sorted((here ^ told) - {"ListenTCPDeferAccept",
                                    "AcceptErrorsNonFatal"}), [],
            "directives")


@test(stock="pass")
def status_keys(t):
    """The keys that the page for operators and docs/tuning.md speak of."""
    s = t.server()
    status = s.status()
    page = re.search(r"^\.Sh STATUS$(.*?)^\.Sh ", read("mpm_event.8"),
                     re.M | re.S)[1]
    keys = re.findall(r"^\.It (\w+)$", page, re.M)
    t.check(len(keys) > 5, "keys on the page: %s" % keys)
    keys += re.findall(r"\b(?:Conns|Busy|Idle)[A-Z]\w+", read("tuning.md"))
    keys += re.findall(r"\b(?:Conns|Busy|Idle)[A-Z]\w+",
                       " ".join(manual().getroot().itertext()))
    t.equal(sorted({key for key in keys if key not in status}), [],
            "keys that mod_status has not")
