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

#include "apr_buckets.h"
#include "apr_portable.h"

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "http_vhost.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_filter.h"

#include "clock.h"
#include "conn.h"
#include "quota.h"

extern module AP_MODULE_DECLARE_DATA mpm_event_module;

APLOG_USE_MODULE(mpm_event);

/* Trunk's hooks for what 2.4 keeps in two fields of conn_rec. */
#define CONN_HAS_PENDING_HOOKS (MODULE_MAGIC_NUMBER_MAJOR >= 20200702)

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

/* Modules that were told of a suspension are told of its end, whatever way
 * the connection goes. */
static apr_status_t balance(void *data)
{
    conn_t *conn = data;

    if (conn->suspended) {
        conn->suspended = 0;
        conn->c->sbh = NULL;
        ap_run_resume_connection(conn->c, conn->r);
    }
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

static long conn_id(const runtime_t *runtime, int worker)
{
    return (long)runtime->slot * runtime->settings->thread_limit + worker;
}

/* First time on a worker: 0 if there is nothing to go on with. */
static int open_conn(conn_t *conn, int worker, apr_thread_t *thread)
{
    runtime_t *runtime = conn->runtime;
    apr_bucket_alloc_t *buckets = apr_bucket_alloc_create(conn->pool);
    conn_rec *c;
    int rc;

    ap_create_sb_handle(&conn->sbh, conn->pool, runtime->slot, worker);
    c = ap_run_create_connection(conn->pool, runtime->server, conn->csd,
                                 conn_id(runtime, worker), conn->sbh, buckets);
    if (c == NULL) {
        conn->csd = NULL; /* closed by who refused it */
        conn->fd = -1;
        return 0;
    }
    conn->c = c;
    conn->server = c->base_server;
    c->current_thread = thread;
    conn_attach(c, conn);
    apr_pool_pre_cleanup_register(conn->pool, conn, balance);
    ap_update_vhost_given_ip(c);
    conn->server = c->base_server;
    rc = ap_pre_connection(c, conn->csd);
    if (rc != OK && rc != DONE) {
        ap_log_cerror(APLOG_MARK, APLOG_DEBUG, 0, c,
                      APLOGNO(00469) "connection refused by a module before "
                                     "processing");
        return 0;
    }
    conn->cs.sense = CONN_SENSE_DEFAULT;
    conn_set_state(conn, CONN_STATE_PROCESSING, 0);
    return 1;
}

static void resume(conn_t *conn, int worker, apr_thread_t *thread)
{
    conn_rec *c = conn->c;

    c->current_thread = thread;
    c->id = conn_id(conn->runtime, worker);
    c->sbh = conn->sbh;
    ap_update_sb_handle(conn->sbh, conn->runtime->slot, worker);
    if (conn->suspended) {
        conn->suspended = 0;
        ap_run_resume_connection(c, conn->r);
    }
    if (c->clogging_input_filters && conn->cs.state != CONN_STATE_LINGER) {
        conn_set_state(conn, CONN_STATE_PROCESSING, 0);
    }
}

static void suspend(conn_t *conn)
{
    conn->suspended = 1;
    ap_run_suspend_connection(conn->c, conn->r);
    conn->c->sbh = NULL;
}

/* Let the modules work: the state they leave it in, a valid one. */
static conn_state_e process(conn_t *conn)
{
    conn_rec *c = conn->c;
    int rc;

    conn->saw_stop = runtime_stop_mode(conn->runtime) != RUNTIME_RUN;
    session_enter(conn->runtime, &conn->session, c);
    rc = ap_run_process_connection(c);
    session_leave(conn->runtime);
    if (rc == OK || rc == DONE) {
        switch (conn->cs.state) {
        case CONN_STATE_PROCESSING: /* written for MPMs that do not wait */
        case CONN_STATE_LINGER:
            return CONN_STATE_LINGER;
        case CONN_STATE_KEEPALIVE:
        case CONN_STATE_WRITE_COMPLETION:
            return c->aborted ? CONN_STATE_LINGER
                              : CONN_STATE_WRITE_COMPLETION;
        case CONN_STATE_SUSPENDED:
        case CONN_STATE_ASYNC_WAITIO:
            return c->aborted ? CONN_STATE_LINGER : conn->cs.state;
        default:
            break;
        }
    }
    ap_log_cerror(APLOG_MARK, APLOG_DEBUG, 0, c,
                  APLOGNO(10111) "processing returned %d in state %d: closing",
                  rc, (int)conn->cs.state);
    return CONN_STATE_LINGER;
}

/* Send what can be sent without blocking: 0 if the connection is broken. */
static int flush(conn_t *conn)
{
    conn_rec *c = conn->c;
    apr_status_t rv;

    ap_update_child_status(conn->sbh, SERVER_BUSY_WRITE, NULL);
#if CONN_HAS_PENDING_HOOKS
    rv = ap_run_output_pending(c);
    if (rv != OK && rv != DECLINED) {
        rv = APR_EGENERAL;
    }
    else {
        return 1;
    }
#else
    {
        ap_filter_t *last = c->output_filters;

        while (last->next != NULL) {
            last = last->next;
        }
        rv = last->frec->filter_func.out_func(last, NULL);
        if (rv == APR_SUCCESS) {
            return 1;
        }
    }
#endif
    ap_log_cerror(APLOG_MARK, APLOG_DEBUG, rv, c,
                  APLOGNO(00470) "write failure in \"%s\"",
                  rows[CONN_STATE_WRITE_COMPLETION].name);
    return 0;
}

#if CONN_HAS_PENDING_HOOKS
#define OUTPUT_PENDING(c) (ap_filter_should_yield((c)->output_filters))
#define INPUT_PENDING(c) (ap_run_input_pending(c) == OK)
#else
#define OUTPUT_PENDING(c) ((c)->data_in_output_filters)
#define INPUT_PENDING(c) ((c)->data_in_input_filters)
#endif

/* After a response: the state to go on in; *park if it is to wait in it. */
static conn_state_e complete_write(conn_t *conn, int *park)
{
    conn_rec *c = conn->c;

    if (OUTPUT_PENDING(c) && !flush(conn)) {
        return CONN_STATE_LINGER;
    }
    *park = 1;
    if (OUTPUT_PENDING(c) || conn->cs.sense == CONN_SENSE_WANT_READ) {
        return CONN_STATE_WRITE_COMPLETION;
    }
    if (c->keepalive != AP_CONN_KEEPALIVE || c->aborted) {
        *park = 0;
        return CONN_STATE_LINGER;
    }
    if (INPUT_PENDING(c)) {
        *park = 0;
        return CONN_STATE_PROCESSING;
    }
    if (runtime_stop_mode(conn->runtime) != RUNTIME_RUN && session_is(c)) {
        *park = 0;
        return CONN_STATE_LINGER;
    }
    /* Even when we drain: this client has not been told to expect an end. */
    return CONN_STATE_KEEPALIVE;
}

conn_verdict_e conn_run(conn_t *conn, int worker, apr_thread_t *thread)
{
    if (conn->c == NULL) {
        if (!open_conn(conn, worker, thread)) {
            return CONN_CLOSE;
        }
    }
    else if (conn->counted == STATUS_CLOSING) {
        return CONN_CLOSE; /* the client is through, or its time is over */
    }
    else {
        resume(conn, worker, thread);
    }
    for (;;) {
        conn_state_e next;
        int park = 0;

        switch (conn->cs.state) {
        case CONN_STATE_PROCESSING:
            next = process(conn);
            if (next == CONN_STATE_SUSPENDED) {
                /* The module's by now, the state too: it may move on
                 * before we are out of here. */
                return CONN_HOLD;
            }
            conn_set_state(conn, next, 0);
            break;
        case CONN_STATE_KEEPALIVE: /* so a module has left it */
        case CONN_STATE_WRITE_COMPLETION:
            next = complete_write(conn, &park);
            conn_set_state(conn, next, park);
            if (park) {
                return CONN_PARK;
            }
            if (next == CONN_STATE_PROCESSING
                && fdqueue_waiting(conn->runtime->queue) > 0) {
                return CONN_AGAIN; /* pipelined, but it is others' turn */
            }
            break;
        case CONN_STATE_ASYNC_WAITIO:
            conn_set_state(conn, CONN_STATE_ASYNC_WAITIO, 1);
            return CONN_PARK;
        default:
            return CONN_LINGER;
        }
    }
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

int conn_park(conn_t **pconn)
{
    conn_t *conn = *pconn;
    runtime_t *runtime = conn->runtime;
    conn_sense_e sense = conn->cs.sense;
    parked_t *parked = &conn->parked;
    int unaware = !conn->saw_stop;

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
    *pconn = NULL;
    CONN_GIVE(conn, CONN_OWNER_WORKER, CONN_OWNER_PARKING);
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
    CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_WORKER);
    *pconn = conn;
    return 0;
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

void conn_report(const conn_t *conn, apr_time_t now)
{
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, conn->runtime->server,
                 "ending a connection of %s after %d s in state \"%s\"",
                 conn->c != NULL ? conn->c->client_ip : "an unknown client",
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
    ptrans_put(runtime->ptrans, &pool);
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
