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

/* peek: see peek.h */

#include <errno.h>
#include <sys/socket.h>

#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_ssl.h"

#include "peek.h"

/* What is seen of a request, beyond its body: most heads. */
#define HEAD_SEEN 8192

struct peek_t {
    gate_limits_t limits; /* const */
    gate_kind_e kind;     /* const; of new connections */
    char *bytes;          /* listener: what was looked at last */
};

/* The strictest of all servers', as it is not known yet which one a
 * connection is for: what is handed over early is as without a gate. */
static void take_limits(gate_limits_t *l, const settings_t *settings,
                        const server_rec *s)
{
    l->body = (apr_uint32_t)settings->body_wait;
    l->size = l->body + HEAD_SEEN;
    l->line = s->limit_req_line;
    l->field_size = s->limit_req_fieldsize;
    l->fields = s->limit_req_fields;
    for (; s != NULL; s = s->next) {
        const core_server_config *core
            = ap_get_core_module_config(s->module_config);

        if (s->limit_req_line < l->line) {
            l->line = s->limit_req_line;
        }
        if (s->limit_req_fieldsize < l->field_size) {
            l->field_size = s->limit_req_fieldsize;
        }
        if (s->limit_req_fields > 0
            && (l->fields == 0 || s->limit_req_fields < l->fields)) {
            l->fields = s->limit_req_fields;
        }
        if (core->http_conformance != AP_HTTP_CONFORMANCE_UNSAFE) {
            l->strict = 1;
        }
    }
}

/* Nothing but plain HTTP, unless a module has TLS. */
static gate_kind_e kind_of_new(void)
{
    static const char *const modules[]
        = {"mod_ssl.c", "mod_gnutls.c", "mod_nss.c", "mod_tls.c", NULL};
    const apr_array_header_t *hooks = ap_hook_get_ssl_conn_is_ssl();
    int i;

    for (i = 0; modules[i] != NULL; i++) {
        if (ap_find_linked_module(modules[i]) != NULL) {
            return GATE_EITHER;
        }
    }
    return hooks != NULL && hooks->nelts > 0 ? GATE_EITHER : GATE_CLEAR;
}

peek_t *peek_create(const settings_t *settings, const server_rec *server,
                    apr_pool_t *pool)
{
    peek_t *peek = apr_pcalloc(pool, sizeof(*peek));

    take_limits(&peek->limits, settings, server);
    peek->kind = kind_of_new();
    peek->bytes = apr_palloc(pool, peek->limits.size);
    return peek;
}

void peek_begin(const peek_t *peek, conn_t *conn)
{
    gate_init(&conn->head.gate, conn->c == NULL ? peek->kind
                                : conn->head.kind == CONN_HEAD_TLS
                                    ? GATE_TLS
                                    : GATE_CLEAR);
}

static gate_answer_t look(const peek_t *peek, conn_t *conn, char *bytes,
                          apr_size_t size, int woken)
{
    conn_head_t *head = &conn->head;
    ssize_t n = recv(conn->fd, bytes, size, MSG_PEEK | MSG_DONTWAIT);

    head->left = n == 0
                 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK
                     && errno != EINTR);
    head->len = n > 0 ? (apr_uint32_t)n : 0;
    return gate_look(&head->gate, &peek->limits, bytes, head->len,
                     head->left || (woken && head->len < head->mark));
}

gate_answer_t peek_first(const peek_t *peek, conn_t *conn)
{
    char bytes[HEAD_SEEN]; /* of which few are touched as a rule */

    peek_begin(peek, conn);
    return look(peek, conn, bytes, sizeof(bytes), 0);
}

gate_answer_t peek_look(peek_t *peek, conn_t *conn, int woken)
{
    return look(peek, conn, peek->bytes, peek->limits.size, woken);
}

int peek_mark(conn_t *conn, apr_size_t mark)
{
    int value = (int)mark;

    if (conn->head.mark == mark) {
        return 1;
    }
    if (setsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value))
        < 0) {
        return 0;
    }
    conn->head.mark = (apr_uint32_t)mark;
    return 1;
}
