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

/* linger: see linger.h */

#include "httpd.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"

#include "linger.h"

APLOG_USE_MODULE(mpm_event);

/* How long the goodbye may block a worker. */
#define GOODBYE_TIME apr_time_from_sec(2)

/* Reads per call, so that one fast sender does not keep the listener. */
#define MAX_READS 16

conn_verdict_e linger_start(conn_t *conn)
{
    conn_rec *c = conn->c;
    int brief;

    /* A module may have taken the socket away from core. */
    if (ap_get_conn_socket(c) == NULL) {
        c->aborted = 1;
        return CONN_CLOSE;
    }
    /* A client that has just let its time to read pass gets no more. */
    apr_socket_timeout_set(conn->csd, conn->stalled ? 0 : GOODBYE_TIME);
    if (ap_start_lingering_close(c)) {
        return CONN_CLOSE;
    }
    brief = conn_is_brief(conn)
            || runtime_stop_mode(conn->runtime) != RUNTIME_RUN;
    apr_socket_timeout_set(conn->csd, 0);
    conn_set_state(conn,
                   brief ? CONN_STATE_LINGER_SHORT : CONN_STATE_LINGER_NORMAL,
                   0);
    return linger_drain(conn);
}

conn_verdict_e linger_drain(conn_t *conn)
{
    char buf[16384];
    apr_status_t rv = APR_SUCCESS;
    int reads;

    for (reads = 0; reads < MAX_READS && rv == APR_SUCCESS; reads++) {
        apr_size_t len = sizeof(buf);

        rv = apr_socket_recv(conn->csd, buf, &len);
        if (rv == APR_SUCCESS && len < sizeof(buf)) {
            break; /* all there was: the poll set tells of more */
        }
    }
    return rv == APR_SUCCESS || APR_STATUS_IS_EAGAIN(rv)
                   || APR_STATUS_IS_EINTR(rv)
               ? CONN_PARK
               : CONN_CLOSE;
}
