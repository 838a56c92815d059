/* Licensed to the Apache Software Foundation (ASF) under one or more
 * contributor license agreements.  See the NOTICE file distributed with
 * this work for additional information regarding copyright ownership.
 * The ASF licenses this file to You under the Apache License, Version 2.0
 * (the "License"); you may not use this file except in compliance with
 * the License.  You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */


/*
 * check_signals_portable: the tests of check_signals.c, on the room as it is
 * compiled where there is no ppoll(2).
 */

#ifndef EVENT_PORTABLE_ONLY
#define EVENT_PORTABLE_ONLY 1
#endif

#include "signals.c"

#define SUITE_NAME "signals, portable"
#include "check_signals.c"
