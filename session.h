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
 * session: when an HTTP/2 session is told that its child drains.
 *
 * Once mod_http2 has seen a stop it says so to the client, and takes the
 * next request, which the client may have sent before it knew, for an error
 * that ends all streams of the session.  So the stop is hidden from it while
 * it has streams open: it is ended when it has none, and what the client has
 * sent by then is above the last id of its GOAWAY and asked for again.  Only
 * a session that is never without a stream is told, after a while.
 *
 * Threads: what runs on a worker marks its thread; [any] may ask.
 */

#ifndef EVENT_SESSION_H
#define EVENT_SESSION_H

#include "httpd.h"

#include "runtime.h"

/* For so long a session may go on with always a stream open, untold. */
#define SESSION_UNTOLD apr_time_from_sec(10)

/* What a connection has for this room. */
typedef struct session_t {
    const conn_rec *c;  /* owner */
    apr_time_t told_at; /* owner; it sees the stop from then on; 0: it has
                         * not asked since the child drains */
} session_t;

/* This worker begins to run, and no longer runs, the modules of c. [worker] */
void session_enter(const runtime_t *runtime, session_t *session,
                   const conn_rec *c);
void session_leave(const runtime_t *runtime);

/*
 * Can the client of c tell which of its requests were lost when it ends, so
 * that it may ask again for them? [owner]
 */
int session_is(const conn_rec *c);

/* Are modules on this thread to see that this child stops? [any] */
int session_sees_stop(const runtime_t *runtime, apr_time_t now);

#endif /* EVENT_SESSION_H */
