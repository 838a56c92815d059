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

/* request: see request.h */

#include "httpd.h"
#include "http_config.h"

#include "conn.h"
#include "request.h"

/* With pipelining the next one may have begun before this one is logged. */
static apr_status_t forget(void *data)
{
    request_rec *r = data;
    conn_t *conn = conn_of(r->connection);

    if (conn != NULL && conn->r == r) {
        conn->r = NULL;
    }
    return APR_SUCCESS;
}

void request_begins(request_rec *r)
{
    conn_t *conn = conn_of(r->connection);

    if (conn != NULL) {
        conn->r = r;
        apr_pool_cleanup_register(r->pool, r, forget, apr_pool_cleanup_null);
    }
}

void request_known(request_rec *r)
{
    conn_t *conn = conn_of(r->connection);

    if (conn != NULL) {
        conn->server = r->server;
        if (conn->last
            || (conn->runtime != NULL
                && (atomic_load(&conn->runtime->resting)
                    || runtime_parts(conn->runtime)))) {
            r->connection->keepalive = AP_CONN_CLOSE;
        }
    }
}

void request_server_known(conn_rec *c, server_rec *s)
{
    conn_t *conn = conn_of(c);

    if (conn != NULL) {
        conn->server = s;
    }
}

void request_stream_begins(conn_rec *c)
{
    conn_t *primary = conn_of(c->master);
    conn_t *conn = apr_pcalloc(c->pool, sizeof(*conn));

    conn->pool = c->pool;
    conn->c = c;
    conn->server = c->base_server;
    if (primary != NULL) {
        conn->server = primary->server;
        atomic_fetch_add(&primary->streams, 1);
    }
    conn->cs.state = CONN_STATE_PROCESSING;
    conn->cs.sense = CONN_SENSE_DEFAULT;
    conn_attach(c, conn);
}
