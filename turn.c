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

/* turn: see turn.h */

#include "apr_buckets.h"

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_vhost.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_filter.h"

#include "session.h"
#include "turn.h"

APLOG_USE_MODULE(mpm_event);

/* Trunk's hooks for what 2.4 keeps in two fields of conn_rec. */
#define HAS_PENDING_HOOKS (MODULE_MAGIC_NUMBER_MAJOR >= 20200702)

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
#if HAS_PENDING_HOOKS
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
                  conn_row(CONN_STATE_WRITE_COMPLETION)->name);
    return 0;
}

#if HAS_PENDING_HOOKS
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

conn_verdict_e turn_run(conn_t *conn, int worker, apr_thread_t *thread)
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
