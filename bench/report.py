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
"""report: the table, and what it was measured on."""

import os
import re
import statistics
import subprocess
import time

NOTHING = "-"
MISSING = "not available"
HIDDEN = {"others"}          # told at the end, not in the table
ONLY_IF = {"other errors", "idle ones closed"}   # rows without news
FIRST = ["requests/s", "CPU us/request", "switches/request", "p50", "p99",
         "read errors"]


def machine():
    """Processor and kernel."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        found = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.M)
    if found:
        model = found[1].strip()
    return "%s, %d processors, Linux %s" % (model, os.cpu_count(),
                                            os.uname().release)


def version(command, pattern):
    """What a program says of its version, or None."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT)
    except OSError:
        return None
    found = re.search(pattern, done.stdout)
    return found[0].strip() if found else None


def load():
    with open("/proc/loadavg", encoding="ascii") as file:
        return file.read().split()[0]


def value(number):
    """A figure with three or so digits that say something."""
    if number is None:
        return MISSING
    size = abs(number)
    if size >= 100:
        return "%d" % round(number)
    return "%.1f" % number if size >= 10 else "%.2f" % number


def ratio(above, below):
    if above is None or not below:
        return NOTHING
    return "%.2f" % (above / below)


def medians(results):
    """{figure: median} of the rounds that worked, or None."""
    good = [one for one in results if isinstance(one, dict)]
    if not good:
        return None
    found = {}
    for figure in dict.fromkeys(key for one in good for key in one):
        numbers = [one[figure] for one in good
                   if one.get(figure) is not None]
        found[figure] = statistics.median(numbers) if numbers else None
    return found


def rows(name, results, servers):
    """The lines of one scenario: [name, figure, a value for each server,
    the ratios]."""
    middle = {who: medians(results[who]) if who in results else {}
              for who in servers}
    figures = []
    for found in middle.values():
        figures += [one for one in found or {} if one not in figures]
    figures.sort(key=lambda one: FIRST.index(one) if one in FIRST
                 else len(FIRST))
    if not figures:
        figures = ["failed"]
    lines = []
    for figure in figures:
        numbers = [(middle[who] or {}).get(figure) for who in servers]
        if figure in HIDDEN or figure in ONLY_IF and not any(numbers):
            continue
        cells = []
        for who in servers:
            if middle[who] is None:
                cells.append("failed")
            elif figure in middle[who]:
                cells.append(value(middle[who][figure]))
            else:
                cells.append(NOTHING)
        for other in ratios(servers):
            cells.append(ratio((middle["ours"] or {}).get(figure),
                               (middle[other] or {}).get(figure)))
        lines.append([name, with_unit(figure), *cells])
        name = ""
    return lines


def with_unit(figure):
    return figure + ", ms" if figure in ("p50", "p99") else figure


def ratios(servers):
    """With which servers ours is compared in a column of its own."""
    if "ours" not in servers:
        return []
    return [who for who in ("stock", "vs") if who in servers]


def titles(servers):
    return ["scenario", "figure", *servers,
            *("ours/" + who for who in ratios(servers))]


class Plain:
    """Columns, line by line."""

    WIDE = (27, 28)

    def __init__(self, servers):
        self.head = titles(servers)

    def line(self, cells):
        text = "".join(cell.ljust(width)
                       for cell, width in zip(cells, self.WIDE))
        return text + "".join(cell.rjust(14 if cell == MISSING else 11)
                              for cell in cells[2:])

    def begin(self):
        return self.line(self.head)

    def block(self, lines):
        return "\n" + "\n".join(self.line(cells) for cells in lines)


class Markdown(Plain):
    """A table for a document."""

    def line(self, cells):
        return "| %s |" % " | ".join(cells)

    def begin(self):
        return "%s\n|---|---|%s" % (self.line(self.head),
                                    "---:|" * (len(self.head) - 2))

    def block(self, lines):
        return "\n".join(self.line(cells) for cells in lines)


def describe(env, args, servers):
    """The lines above the table."""
    versions = [
        version([env.httpd, "-v"], r"Apache/\S+"),
        version(["nginx", "-v"], r"nginx/\S+") if "nginx" in servers
        else None,
        version(["wrk", "-v"], r"wrk \S+"),
        version(["h2load", "--version"], r"nghttp2/\S+"),
    ]
    return [
        machine() + ".",
        ", ".join(one for one in versions if one) + "; client and servers "
        "on the same processors, loopback.",
        "%s, load %s at the beginning. Medians of %d alternating round%s%s."
        % (time.strftime("%Y-%m-%d"), load(), args.rounds,
           "" if args.rounds == 1 else "s",
           ", each short (--quick)" if args.quick else ""),
    ]
