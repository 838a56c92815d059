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

import os
import re
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))

# Lines that fail a test unless it expects them.
TROUBLE = re.compile(
    r"exit signal|AH0005[0-2]:|AH0004[67]:|AH00060:|Segmentation"
    r"|Assertion|assertion \"|AddressSanitizer|ThreadSanitizer"
    r"|LeakSanitizer|runtime error:|stack smashing|double free"
    r"|free\(\): invalid|corrupted"
    r"|\[[a-z_0-9]*:(alert|emerg)\]|\[mpm_event:crit\]")


class Failure(AssertionError):
    """The server did not do what it should."""


class Skip(Exception):
    """This test cannot run here."""


def wait_until(condition, timeout=10.0, what=None, interval=0.02):
    """Poll until condition() is true and return its value; what (text, or a
    function that makes it) says in a failure what was waited for."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure("after %g s still not: %s"
                          % (timeout, what() if callable(what)
                             else what or describe(condition)))
        time.sleep(interval)


def describe(function):
    code = function.__code__
    return "%s:%d" % (os.path.basename(code.co_filename),
                      code.co_firstlineno)
