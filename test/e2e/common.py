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
"""common: what the tests of several files need."""

import hashlib

# Stock's children now and then crash while they stop with connections open.
STOCK_CRASH = r"AH00052: child pid \d+ exit signal Segmentation fault"


def serve(t, **settings):
    """t.server(...) without a limit to the requests of a connection, that
    forgives stock the crash it has when it stops."""
    settings["conf"] = "MaxKeepAliveRequests 0\n" + settings.get("conf", "")
    s = t.server(**settings)
    if t.env.stock:
        s.expect(STOCK_CRASH)
    return s


def md5(data):
    return hashlib.md5(data).hexdigest()


def pattern(length, seed=1):
    """Bytes in which every block is another, so that a block lost, doubled
    or out of place shows."""
    blocks = []
    for number in range(0, length, 16):
        blocks.append(b"%07d.%07d\n" % (seed % 10000000, number // 16))
    return b"".join(blocks)[:length]
