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

/* session: see session.h */

#include <string.h>

#include "apr_thread_proc.h"

#include "httpd.h"
#include "http_protocol.h"
#include "mpm_common.h"

#include "session.h"

void session_enter(const runtime_t *runtime, session_t *session,
                   const conn_rec *c)
{
    session->c = c;
    apr_threadkey_private_set(session, runtime->running);
}

void session_leave(const runtime_t *runtime)
{
    apr_threadkey_private_set(NULL, runtime->running);
}

int session_is(const conn_rec *c)
{
    return strncmp(ap_get_protocol((conn_rec *)c), "h2", 2) == 0;
}

/* It is told in good time before those limits by which it is cut off. */
static apr_interval_time_t untold(const runtime_t *runtime)
{
    apr_interval_time_t time = SESSION_UNTOLD;
    apr_interval_time_t drain
        = apr_time_from_sec(runtime->settings->drain_timeout) / 2;
    apr_interval_time_t stop
        = apr_time_from_sec(ap_graceful_shutdown_timeout) / 2;

    if (drain > 0 && drain < time) {
        time = drain;
    }
    return stop > 0 && stop < time ? stop : time;
}

int session_sees_stop(const runtime_t *runtime, apr_time_t now)
{
    session_t *session;
    void *data = NULL;

    if (runtime_stop_mode(runtime) != RUNTIME_DRAIN) {
        return runtime_stop_mode(runtime) != RUNTIME_RUN;
    }
    apr_threadkey_private_get(&data, runtime->running);
    session = data;
    if (session == NULL || !session_is(session->c)) {
        return 1;
    }
    if (session->told_at == 0) {
        session->told_at = now + untold(runtime);
    }
    return now >= session->told_at;
}
