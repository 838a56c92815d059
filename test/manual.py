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
"""manual: what the manual, the page for operators and the pictures say is so.

The checks are run by test/docs. Each yields what is wrong, or raises Skip if
it needs a program that is not there.
"""

import hashlib
import math
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
XML = "docs/manual/mod/event.xml"
HTML = "docs/manual/mod/event.html"
STYLE = "docs/manual/style/manual.xsl"
PAGE = "docs/mpm_event.8"
DIAGRAMS = "docs/diagrams"
SPEAKS_OF_MESSAGES = (XML, PAGE, "docs/tuning.md", "docs/migrating.md")

# What may stand in what; "?" once at most, "*" any number of times, and in
# this order. Text is allowed where there is no order.
INLINE = "a code directive em module strong var"
BLOCKS = "p ul ol table example"
ORDER = {
    "modulesynopsis": "name description status sourcefile identifier "
                      "compatibility? summary seealso* section* "
                      "directivesynopsis*",
    "directivesynopsis": "name description syntax default? contextlist "
                         "compatibility? usage seealso*",
    "contextlist": "context*",
    "example": "title? highlight? pre?",
    "ul": "li*", "ol": "li*", "table": "tr*",
}
ANY = {
    "summary": BLOCKS, "usage": BLOCKS, "section": "title section " + BLOCKS,
    "tr": "th td", "p": INLINE + " img", "li": INLINE, "td": INLINE,
    "th": INLINE, "seealso": "a directive", "description": INLINE,
    "compatibility": INLINE, "syntax": "var", "a": "code", "default": "",
    "title": "", "em": "", "strong": "code", "code": "var",
}
ATTRIBUTES = {"section": {"id"}, "a": {"href"}, "img": {"src", "alt"},
              "directive": {"module"}, "highlight": {"language"},
              "modulesynopsis": {"metafile"}}

# Directives of LISTEN_COMMANDS that only some versions of httpd have.
ONLY_SOME = {"ListenTCPDeferAccept", "AcceptErrorsNonFatal"}
# Defaults that stand in no header.
DEFAULTS = {"SendBufferSize": 0, "ReceiveBufferSize": 0,
            "ListenCoresBucketsRatio": 0, "GracefulShutdownTimeout": 0}
# Messages of httpd's core that an operator sees because of an MPM.
CORES_IDS = {"AH00051", "AH00052"}


class Skip(Exception):
    """A check that cannot be made here."""


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8",
              errors="replace") as file:
        return file.read()


def root():
    return ElementTree.fromstring(read(XML))


def sections():
    """{name of a directive: its element}"""
    return {element.findtext("name"): element
            for element in root().findall("directivesynopsis")}


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def needs(program):
    if shutil.which(program) is None:
        raise Skip("no %s here" % program)


def form():
    """The manual has the form of a modulesynopsis."""
    for element in root().iter():
        names = [child.tag for child in element]
        extra = set(element.keys()) - ATTRIBUTES.get(element.tag, set())
        if extra:
            yield "<%s> with %s" % (element.tag, sorted(extra))
        if element.tag in ORDER:
            pattern = "".join(
                "(?:%s )%s" % (name.rstrip("?*"), name[-1]
                               if name[-1] in "?*" else "")
                for name in ORDER[element.tag].split())
            if not re.fullmatch(pattern,
                                "".join(name + " " for name in names)):
                yield "<%s> of %s" % (element.tag, names)
        else:
            wrong = set(names) - set(ANY.get(element.tag, "").split())
            if wrong:
                yield "%s in <%s>" % (sorted(wrong), element.tag)
    for example in root().iter("highlight"):
        if example.get("language") != "config":
            yield "<highlight> in %s: nobody would run it" % \
                example.get("language")
    for section in root().iter("section"):
        if not section.get("id") or section[0].tag != "title":
            yield "a section without an id or a title"


def references():
    """Directives that the manual names are there, and no id is twice."""
    names = sections()
    for element in root().iter("directive"):
        if not element.get("module") and element.text not in names:
            yield "directive %s" % element.text
    ids = re.findall(r'\bid="([^"]+)"', read(HTML))
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        yield "twice: id %s" % twice


def header(name):
    """The text of one of httpd's headers."""
    apxs = os.environ.get("APXS") or shutil.which("apxs") or \
        shutil.which("apxs2")
    if not apxs:
        raise Skip("no apxs here")
    where = subprocess.run([apxs, "-q", "INCLUDEDIR"], text=True, check=True,
                           stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL).stdout.strip()
    with open(os.path.join(where, name), encoding="utf-8") as file:
        return file.read()


def own_directives():
    """What stock does not have is named in the README and the manual."""
    differences = root().find("section[@id='differences']")
    told = {element.text for element in differences.iter("directive")}
    readme = read("README.md")
    for name, element in sections().items():
        if text_of(element).count("Stock does not have it"):
            if name not in told:
                yield "%s: not among the differences in %s" % (name, XML)
            if "`%s`" % name not in readme:
                yield "%s: not in README.md" % name


def commands(text):
    return re.findall(r'AP_INIT_\w+\("(\w+)"', text)


def directives():
    """The manual has the directives that event.c has, in order."""
    table = re.search(r"event_directives\[\] = \{(.*?)\{0\}\}",
                      read("event.c"), re.S)[1]
    wanted = set(commands(table))
    if "AP_GRACEFUL_SHUTDOWN_TIMEOUT_COMMAND" in table:
        wanted.add("GracefulShutdownTimeout")
    if "LISTEN_COMMANDS" in table:
        macro = re.search(r"#define LISTEN_COMMANDS\b(?:.*\\\n)*.*",
                          header("ap_listen.h"))[0]
        wanted |= set(commands(macro))
    found = [element.findtext("name")
             for element in root().findall("directivesynopsis")]
    for name in sorted((wanted ^ set(found)) - ONLY_SOME):
        yield "%s: not in %s" % (name, XML if name in wanted else "event.c")
    if found != sorted(set(found)):
        yield "not in the order of the alphabet: %s" % found
    for name, element in sections().items():
        if element.find("usage//highlight") is None:
            yield "%s: no example" % name
        if not element.findtext("usage//highlight").count(name):
            yield "%s: not in its example" % name


def macros(text):
    """{name: value} of the macros in text whose values are numbers."""
    found = {}
    for name, value in re.findall(r"#define (\w+)[ \\\n]+(.+)",
                                  text.replace("\\\n", "")):
        try:
            found[name] = eval(value, {"__builtins__": {}}, found)
        except (NameError, SyntaxError, TypeError):
            pass
    return found


def rows():
    """(name, text) of the rows of directives in settings.c."""
    return re.findall(r'\.name = "(\w+)",(.*?)\n    \},\n',
                      read("settings.c"), re.S)


def defaults():
    """Defaults and limits in the manual are those of the sources."""
    numbers = macros(read("mpm_default.h"))
    wanted = dict(DEFAULTS, AsyncRequestWorkerFactor=numbers[
        "DEFAULT_ASYNC_FACTOR"])
    for name, preset in re.findall(
            r'\{"(Event\w+)", offsetof\(settings_t, \w+\), (\d+),',
            read("settings.c")):
        wanted[name] = int(preset)
    for name, row in rows():
        preset = re.search(r"\.preset = (.*),", row)[1]
        wanted[name] = eval(preset, {"__builtins__": {}}, numbers)
        usage = text_of(sections()[name].find("usage"))
        for limit in re.findall(r"\.number = (MAX_\w+)", row):
            if not re.search(r"\b%d\b" % numbers[limit], usage):
                yield "%s: %s is %d" % (name, limit, numbers[limit])
        for number in re.findall(
                r"(?:startup|frozen)_id = APLOGNO\((\d+)\)", row):
            if "AH" + number not in usage:
                yield "%s: AH%s" % (name, number)
    wanted["MaxClients"] = wanted["MaxRequestWorkers"]
    common = macros(header("mpm_common.h"))
    wanted["ListenBacklog"] = common["DEFAULT_LISTENBACKLOG"]
    if "DEFAULT_TCP_DEFER_ACCEPT" in common:
        wanted["ListenTCPDeferAccept"] = common["DEFAULT_TCP_DEFER_ACCEPT"]
    for name, element in sections().items():
        default = element.findtext("default")
        if name not in wanted:
            if default is not None and name not in ONLY_SOME:
                yield "%s: nothing to compare its default with" % name
            continue
        said = re.match(r"(\w+) ([\d.]+)( \(.*\))?$", default or "")
        if not said or said[1] != name or float(said[2]) != wanted[name]:
            yield "%s: %s, not %s" % (name, default, wanted[name])


def limits():
    """The worked examples of the limit of connections are right."""
    table = root().find("section[@id='limits']/table")
    lines = [[cell.text for cell in row] for row in table][1:]
    for line in lines:
        children, threads, factor, busy, said = (float(x) for x in line)
        each = threads + factor * (threads - busy)
        if children * math.ceil(each) != said:
            yield "%s: %d" % (line, children * math.ceil(each))
    for known in ("72", "120"):
        if known not in [line[-1] for line in lines]:
            yield "no %s" % known


def rendered():
    """event.html is what "make manual" makes of event.xml."""
    needs("xsltproc")
    made = subprocess.run(["xsltproc", "--nonet", STYLE, XML], cwd=TOP,
                          stdout=subprocess.PIPE, check=True).stdout
    if made.decode("utf-8") != read(HTML):
        yield HTML


def diagrams():
    """Each SVG is what "make diagrams" has made of its source."""
    names = sorted(os.listdir(os.path.join(TOP, DIAGRAMS)))
    bases = {os.path.splitext(name)[0] for name in names}
    for base in sorted(bases):
        path = "%s/%s." % (DIAGRAMS, base)
        if {base + ".dot", base + ".svg"} - set(names):
            yield path + "dot or svg is missing"
            continue
        mark = hashlib.sha256(read(path + "dot").encode("utf-8")).hexdigest()
        if not read(path + "svg").endswith("<!-- made of %s -->\n" % mark):
            yield path + "svg"


def pictures():
    """The pictures show all rooms, and all states of a connection."""
    drawn = set(re.findall(r"\w+", read(DIAGRAMS + "/rooms.dot")))
    for name in sorted(os.listdir(TOP)):
        room = name[:-2]
        if name.endswith((".c", ".h")) and room not in drawn:
            yield "rooms.dot: %s" % room
    states = set(re.findall(r"^    \[CONN_STATE_(\w+)\] = \{", read("conn.c"),
                            re.M))
    words = set(re.findall(r"\b[A-Z]{2}[A-Z_]+\b",
                           read(DIAGRAMS + "/connection.dot")
                           .partition("digraph")[2]))
    for state in sorted((states - {"HANDLER"}) ^ words):
        yield "connection.dot: %s" % state


def messages():
    """Messages that are named occur in the sources."""
    sources = "".join(read(name) for name in sorted(os.listdir(TOP))
                      if name.endswith(".c"))
    ids = {"AH" + number for number in
           re.findall(r"APLOGNO\((\d+)\)", sources)} | CORES_IDS
    for path in SPEAKS_OF_MESSAGES:
        for named in sorted(set(re.findall(r"\bAH\d{5}\b", read(path)))):
            if named not in ids:
                yield "%s: %s" % (path, named)
    said = re.sub(r'"\s*"', "", sources)
    page = read(PAGE).partition(".Sh DIAGNOSTICS")[2]
    for words in re.findall(r"^\.(?:It )?Dq (.*)$", page, re.M):
        if words not in said:
            yield '%s: "%s"' % (PAGE, words)


def page():
    """The page for operators is good mdoc."""
    needs("mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGE],
                          cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    yield from done.stdout.splitlines()


CHECKS = (form, references, own_directives, directives, defaults, limits,
          rendered, diagrams, pictures, messages, page)
