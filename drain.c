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

/* drain: see drain.h */

#include "httpd.h"
#include "http_log.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "drain.h"
#include "heads.h"
#include "worker.h"

APLOG_USE_MODULE(mpm_event);

static int is_unaware(const parked_t *parked)
{
    return !CONN_OF_PARKED(parked)->saw_stop;
}

/* A session of HTTP/2, which alone has streams. */
static int is_unaware_session(const parked_t *parked)
{
    return is_unaware(parked)
           && atomic_load(&CONN_OF_PARKED(parked)->streams) > 0;
}

/*
 * Idle sessions are ended: what their clients are just asking for is above
 * the last id of the goodbye.  Once is enough: a worker that parks one later
 * has seen the stop, or else it waits for its KeepAliveTimeout.
 */
static void end_sessions(const drain_t *drain, apr_time_t now)
{
    parking_t *parking = drain->runtime->parking;
    parked_t *parked;

    while ((parked = parking_find(parking, CONN_STATE_KEEPALIVE,
                                  is_unaware_session, now))
           != NULL) {
        conn_t *conn = CONN_OF_PARKED(parked);

        parking_take(parking, parked, PARKING_EVICTED);
        conn_hand_over(&conn,
                       conn_has_input(conn) ? PARKING_READY : PARKING_EVICTED);
    }
}

/*
 * A multiplexing protocol says goodbye to its client when it next runs and
 * finds that we stop: those that wait for the client get that turn now. One
 * that has never had a request would wait for it: that is ended, with the
 * protocol's goodbye as any end of waiting.
 */
static void tell_waiting(const drain_t *drain, apr_time_t now)
{
    parking_t *parking = drain->runtime->parking;
    parked_t *parked;

    while ((parked = parking_find(parking, CONN_STATE_ASYNC_WAITIO,
                                  is_unaware, now))
           != NULL) {
        conn_t *conn = CONN_OF_PARKED(parked);

        parking_take(parking, parked, PARKING_EVICTED);
        conn_hand_over(&conn,
                       atomic_load(&conn->streams) > 0 || conn_has_input(conn)
                           ? PARKING_READY
                           : PARKING_EVICTED);
    }
}

static void report_parked(const parked_t *parked, void *baton)
{
    conn_report(CONN_OF_PARKED(parked), *(const apr_time_t *)baton);
}

static void report_held(const held_entry_t *entry, void *baton)
{
    conn_report(CONN_OF_HELD(entry), *(const apr_time_t *)baton);
}

/* What keeps this child from being over. */
static void report_left(const drain_t *drain, apr_time_t now)
{
    runtime_t *rt = drain->runtime;
    int i;

    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, rt->server,
                 "EventDrainTimeout is over with %d connections left",
                 status_conns(&rt->status));
    parking_visit(rt->parking, report_parked, &now);
    held_visit(rt->held, report_held, &now);
    for (i = 0; i < rt->settings->threads_per_child; i++) {
        worker_report(&rt->workers[i], now);
    }
}

/* Once, when the wish to stop is seen. */
static void begin(drain_t *drain, apr_time_t now)
{
    runtime_t *rt = drain->runtime;

    drain->begun = 1;
    if (rt->settings->drain_timeout > 0) {
        drain->until = now + apr_time_from_sec(rt->settings->drain_timeout);
    }
    /* One that leaves at once would only reset what it takes. */
    if (runtime_stop_mode(rt) == RUNTIME_DRAIN) {
        acceptor_empty(rt->acceptor, atomic_load(&rt->last));
    }
    acceptor_close(rt->acceptor);
    ptrans_stop_keeping(rt->ptrans);
    end_sessions(drain, now);
    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                 "draining: %d connections left", status_conns(&rt->status));
}

void drain_init(drain_t *drain, runtime_t *runtime)
{
    drain->runtime = runtime;
    drain->begun = 0;
    drain->until = CLOCK_NEVER;
}

void drain_turn(drain_t *drain, apr_time_t now)
{
    runtime_t *rt = drain->runtime;

    if (!drain->begun) {
        begin(drain, now);
    }
    /* A worker may have parked one without knowing, so each turn again. */
    tell_waiting(drain, now);
    if (atomic_load(&rt->hurry)) {
        parking_shorten(rt->parking, CONN_STATE_KEEPALIVE, 0, now);
    }
    if (now >= drain->until) {
        report_left(drain, now);
        drain->until = CLOCK_NEVER;
        runtime_request_stop(rt, RUNTIME_EXIT, 0);
        return;
    }
    heads_drain(rt->heads, now);
    parking_shorten(rt->parking, CONN_STATE_LINGER_NORMAL,
                    CONN_LINGER_TIME_SHORT, now);
}
