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
 * turn: a connection's turn on a worker: with all hooks, as far as it goes
 * without waiting.
 *
 * Threads: [worker], which owns the connection meanwhile. It owns nothing.
 */

#ifndef EVENT_TURN_H
#define EVENT_TURN_H

#include "conn.h"

/*
 * Run a connection as far as it goes on this worker, and say what is to be
 * done with it. [worker]
 */
conn_verdict_e turn_run(conn_t *conn, int worker, apr_thread_t *thread);

#endif /* EVENT_TURN_H */
