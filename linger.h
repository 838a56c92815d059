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
 * linger: closing a connection so that the client gets all that was sent.
 *
 * Closing with unread input makes the kernel reset the connection, and the
 * client lose the end of the answer.  So: say goodbye, flush, shut down the
 * sending side, and read and forget until the client closes too.
 *
 * Threads: [worker] starts it, for modules' hooks and TLS may block; the
 * listener drains, or a worker between two entries, which never blocks and
 * runs no module's code.
 */

#ifndef EVENT_LINGER_H
#define EVENT_LINGER_H

#include "conn.h"

/*
 * Start closing: CONN_PARK while the client may still send, CONN_CLOSE when
 * it does not. [worker]
 */
conn_verdict_e linger_start(conn_t *conn);

/*
 * Read and forget what there is, a bounded amount: CONN_CLOSE when the
 * client has closed or failed, else CONN_PARK. [worker] [listener]
 */
conn_verdict_e linger_drain(conn_t *conn);

#endif /* EVENT_LINGER_H */
