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

/* conn: see conn.h */

#include <sys/socket.h>

#include "apr_portable.h"

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "mpm_common.h"
#include "scoreboard.h"

#include "clock.h"
#include "conn.h"
#include "quota.h"

extern module AP_MODULE_DECLARE_DATA mpm_event_module;

APLOG_USE_MODULE(mpm_event);

#define PROC CONN_STATE_PROCESSING
#define BYE CONN_STATE_LINGER

/* clang-format off */
static const conn_row_t rows[CONN_STATE_NUM] = {
    /* what it waits for, how long, counted as; then ready, expired, short? */
    [CONN_STATE_KEEPALIVE] = {"keep-alive", CONN_SENSE_WANT_READ,
        CONN_TIME_KEEPALIVE, STATUS_KEEPALIVE, PROC, BYE, 1},
    [CONN_STATE_PROCESSING] = {"processing", CONN_SENSE_DEFAULT,
        CONN_TIME_NONE, STATUS_NONE, PROC, BYE, 0},
    [CONN_STATE_HANDLER] = {"handler", CONN_SENSE_DEFAULT,
        CONN_TIME_NONE, STATUS_NONE, PROC, BYE, 0},
    [CONN_STATE_WRITE_COMPLETION] = {"write completion",
        CONN_SENSE_WANT_WRITE, CONN_TIME_IO, STATUS_WRITE,
        CONN_STATE_WRITE_COMPLETION, BYE, 0},
    [CONN_STATE_SUSPENDED] = {"suspended", CONN_SENSE_DEFAULT,
        CONN_TIME_NONE, STATUS_SUSPENDED, CONN_STATE_SUSPENDED, BYE, 0},
    [CONN_STATE_LINGER] = {"closing", CONN_SENSE_DEFAULT,
        CONN_TIME_NONE, STATUS_NONE, BYE, BYE, 0},
    [CONN_STATE_LINGER_NORMAL] = {"lingering", CONN_SENSE_WANT_READ,
        CONN_TIME_LINGER, STATUS_CLOSING,
        CONN_STATE_LINGER_NORMAL, CONN_STATE_LINGER_NORMAL, 0},
    [CONN_STATE_LINGER_SHORT] = {"lingering briefly", CONN_SENSE_WANT_READ,
        CONN_TIME_LINGER_SHORT, STATUS_CLOSING,
        CONN_STATE_LINGER_SHORT, CONN_STATE_LINGER_SHORT, 0},
    [CONN_STATE_ASYNC_WAITIO] = {"waiting for I/O", CONN_SENSE_WANT_READ,
        CONN_TIME_IO, STATUS_WAIT_IO, PROC, BYE, 0},
};
/* clang-format on */

const conn_row_t *conn_row(conn_state_e state)
{
    return &rows[state];
}

#ifdef EVENT_DEBUG
void conn_give(conn_t *conn, conn_owner_e from, conn_owner_e to)
{
    ap_assert(conn->owner == from);
    conn->owner = to;
}
#endif

int conn_has_input(const conn_t *conn)
{
    char c;

    return recv(conn->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The last thing to happen to a connection's memory. */
static apr_status_t forget(void *data)
{
    conn_t *conn = data;
    runtime_t *runtime = conn->runtime;

    status_move(&runtime->status, conn->counted, STATUS_NONE);
    quota_leave(runtime, conn->client);
    status_closed(&runtime->status);
    return APR_SUCCESS;
}

conn_t *conn_make(runtime_t *runtime, apr_pool_t *pool, apr_socket_t *csd)
{
    conn_t *conn = apr_pcalloc(pool, sizeof(*conn));

    conn->entry.kind = RUNTIME_CONN;
    conn->runtime = runtime;
    conn->pool = pool;
    conn->csd = csd;
    if (apr_os_sock_get(&conn->fd, csd) != APR_SUCCESS) {
        conn->fd = -1;
    }
    conn->counted = STATUS_NONE;
    conn->client = CLIENTS_UNCOUNTED;
    conn->cs.state = CONN_STATE_PROCESSING;
    conn->head.mark = 1;
    conn->since = clock_now();
    parking_init(&conn->parked, csd, pool);
    status_opened(&runtime->status);
    apr_pool_cleanup_register(pool, conn, forget, apr_pool_cleanup_null);
    return conn;
}

void conn_count(conn_t *conn, status_count_e count)
{
    status_move(&conn->runtime->status, conn->counted, count);
    conn->counted = count;
}

void conn_set_state(conn_t *conn, conn_state_e state, int parked)
{
    status_count_e count = rows[state].count;

    /* A lingering connection is one until it is closed; any other condition
     * is one of waiting. */
    if (!parked && count != STATUS_CLOSING) {
        count = STATUS_NONE;
    }
    conn->cs.state = state;
    conn_count(conn, count);
}

int conn_is_brief(const conn_t *conn)
{
    return apr_table_get(conn->c->notes, "short-lingering-close") != NULL;
}

void conn_make_brief(conn_t *conn)
{
    apr_table_setn(conn->c->notes, "short-lingering-close", "1");
}

void conn_unpark(conn_t *conn, parking_verdict_e verdict)
{
    const conn_row_t *row = &rows[conn->cs.state];

    if (verdict == PARKING_READY || conn->c == NULL) {
        conn_set_state(conn, row->ready, 0);
        return;
    }
    conn->stalled = conn->cs.state == CONN_STATE_WRITE_COMPLETION;
    if (row->polite || verdict != PARKING_EXPIRED) {
        conn_make_brief(conn);
    }
    conn_set_state(conn, row->expired, 0);
}

void conn_hand_over(conn_t **pconn, parking_verdict_e verdict)
{
    conn_t *conn = *pconn;
    fdqueue_entry_t *entry = &conn->entry;
    fdqueue_line_e line;

    *pconn = NULL;
    CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_QUEUE);
    conn_unpark(conn, verdict);
    line = (conn->cs.state == CONN_STATE_PROCESSING
            || conn->cs.state == CONN_STATE_WRITE_COMPLETION)
                   && !conn->head.later
               ? FDQUEUE_NOW
               : FDQUEUE_LATER;
    conn->head.later = 0;
    fdqueue_push(conn->runtime->queue, &entry, line);
}

static void suspend(conn_t *conn)
{
    conn->suspended = 1;
    ap_run_suspend_connection(conn->c, conn->r);
    conn->c->sbh = NULL;
}

static apr_interval_time_t time_to_wait(const conn_t *conn)
{
    const server_rec *s = conn->server;

    switch (rows[conn->cs.state].time) {
    case CONN_TIME_KEEPALIVE:
        if (!s->keep_alive_timeout_set) {
            s = conn->c->base_server;
        }
        return s->keep_alive_timeout;
    case CONN_TIME_LINGER:
        return CONN_LINGER_TIME;
    case CONN_TIME_LINGER_SHORT:
        return CONN_LINGER_TIME_SHORT;
    default:
        return s->timeout;
    }
}

/* What the listener may look at while this is kept alive. HTTP/2 in clear
 * may yet begin on a connection of HTTP/1: that has streams. */
static conn_head_e head_to_come(conn_rec *c)
{
    if (c->clogging_input_filters) {
        return CONN_HEAD_OTHER;
    }
    if (ap_ssl_conn_is_ssl(c)) {
        return CONN_HEAD_TLS;
    }
    return strcmp(ap_get_protocol(c), AP_PROTOCOL_HTTP1) == 0
               ? CONN_HEAD_CLEAR
               : CONN_HEAD_OTHER;
}

/* Park one that modules have been told about: as conn_park. */
static int park(conn_t **pconn, conn_sense_e sense, conn_owner_e owner)
{
    conn_t *conn = *pconn;
    runtime_t *runtime = conn->runtime;
    parked_t *parked = &conn->parked;
    int unaware = !conn->saw_stop;

    (void)owner;
    *pconn = NULL;
    CONN_GIVE(conn, owner, CONN_OWNER_PARKING);
    if (parking_put(runtime->parking, &parked, (int)conn->cs.state,
                    sense == CONN_SENSE_WANT_WRITE ? APR_POLLOUT
                                                   : APR_POLLIN | APR_POLLHUP,
                    time_to_wait(conn), clock_now())) {
        /* It may have to be told at once that we have begun to stop. */
        if (unaware && runtime_stop_mode(runtime) != RUNTIME_RUN) {
            parking_wake(runtime->parking);
        }
        return 1;
    }
    CONN_GIVE(conn, CONN_OWNER_PARKING, owner);
    *pconn = conn;
    return 0;
}

int conn_park(conn_t **pconn)
{
    conn_t *conn = *pconn;
    conn_sense_e sense = conn->cs.sense;

    if (sense == CONN_SENSE_DEFAULT) {
        sense = rows[conn->cs.state].sense;
    }
    conn->cs.sense = CONN_SENSE_DEFAULT;
    if (conn->cs.state == CONN_STATE_KEEPALIVE) {
        ap_update_child_status(conn->sbh, SERVER_BUSY_KEEPALIVE, NULL);
        if (conn->head.kind == CONN_HEAD_UNKNOWN) {
            conn->head.kind = head_to_come(conn->c);
        }
    }
    else if (conn->cs.state == CONN_STATE_ASYNC_WAITIO) {
        ap_update_child_status(conn->sbh, SERVER_BUSY_READ, NULL);
    }
    conn_set_state(conn, conn->cs.state, 1);
    suspend(conn);
    return park(pconn, sense, CONN_OWNER_WORKER);
}

void conn_leave(conn_t **pconn)
{
    conn_t *conn = *pconn;
    runtime_t *runtime = conn->runtime;
    leaving_entry_t *entry = &conn->leaving;

    *pconn = NULL;
    conn->cs.sense = CONN_SENSE_DEFAULT;
    conn_set_state(conn, conn->cs.state, 1);
    suspend(conn);
    CONN_GIVE(conn, CONN_OWNER_WORKER, CONN_OWNER_LEAVING);
    if (leaving_put(runtime->leaving, &entry, clock_now())) {
        parking_wake(runtime->parking);
    }
}

int conn_stay(conn_t **pconn)
{
    return park(pconn, CONN_SENSE_WANT_READ, CONN_OWNER_LEAVING);
}

void conn_requeue(conn_t **pconn)
{
    conn_t *conn = *pconn;
    fdqueue_entry_t *entry = &conn->entry;

    *pconn = NULL;
    CONN_GIVE(conn, CONN_OWNER_WORKER, CONN_OWNER_QUEUE);
    fdqueue_push(conn->runtime->queue, &entry, FDQUEUE_NOW);
}

void conn_hold(conn_t **pconn)
{
    conn_t *conn = *pconn;

    *pconn = NULL;
    conn_count(conn, STATUS_SUSPENDED);
    suspend(conn);
    CONN_GIVE(conn, CONN_OWNER_WORKER, CONN_OWNER_MODULE);
    held_put(conn->runtime->held, &conn->held);
}

int conn_moved_on(held_entry_t *entry)
{
    const conn_t *conn = CONN_OF_HELD(entry);

    /* A module's callback may be writing it just now: read it once. */
    return *(volatile const conn_state_e *)&conn->cs.state
           != CONN_STATE_SUSPENDED;
}

/* Before a worker has had it, it is parked, and the listener's to ask. */
static const char *client_of(const conn_t *conn)
{
    apr_sockaddr_t *address;
    char *ip;

    if (conn->c != NULL) {
        return conn->c->client_ip;
    }
    if (conn->counted == STATUS_HEAD
        && apr_socket_addr_get(&address, APR_REMOTE, conn->csd) == APR_SUCCESS
        && apr_sockaddr_ip_get(&ip, address) == APR_SUCCESS) {
        return ip;
    }
    return "an unknown client";
}

void conn_report(const conn_t *conn, apr_time_t now)
{
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, conn->runtime->server,
                 "ending a connection of %s after %d s in state \"%s\"",
                 client_of(conn),
                 (int)apr_time_sec(now - conn->since),
                 conn->counted == STATUS_HEAD ? "waiting for a request"
                                              : rows[conn->cs.state].name);
}

void conn_close(conn_t **pconn)
{
    conn_t *conn = *pconn;
    runtime_t *runtime = conn->runtime;
    apr_pool_t *pool = conn->pool;
    apr_status_t rv;

    *pconn = NULL;
    if (conn->csd != NULL) {
        rv = apr_socket_close(conn->csd);
        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_ERR, rv, runtime->server,
                         APLOGNO(00468) "error closing socket");
        }
    }
    if (ptrans_put(runtime->ptrans, &pool)) {
        parking_wake(runtime->parking);
    }
    runtime_conn_gone(runtime);
}

void conn_attach(conn_rec *c, conn_t *conn)
{
    c->cs = &conn->cs;
    ap_set_module_config(c->conn_config, &mpm_event_module, conn);
}

conn_t *conn_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &mpm_event_module);
}
