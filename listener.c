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

/* listener: see listener.h */

#include "httpd.h"
#include "http_log.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "drain.h"
#include "heads.h"
#include "linger.h"
#include "listener.h"
#include "worker.h"

APLOG_USE_MODULE(mpm_event);

/* Evict this often, and this many: an eighth, at least 1, at most 32. */
#define EVICT_INTERVAL apr_time_from_msec(100)
#define EVICT_SHARE 8
#define EVICT_MAX 32

/* Clients have waited for long when they were found waiting so many times,
 * EVICT_INTERVAL apart, without there being room in between. */
#define CROWDED_CHECKS 10

/* Who waits for longer than a moment calls for more children, and again. Those
 * would not help as long as only processors are short: then there may soon be
 * room, once it is known how fast the child is. */
#define HELP_AFTER apr_time_from_msec(10)
#define HELP_COMPUTING (FDQUEUE_SOON + apr_time_from_msec(50))
#define HELP_INTERVAL apr_time_from_msec(25)

/* Not one that may well have its next request on the way. */
#define EVICT_MIN_IDLE apr_time_from_sec(1)

/* A connection that has waited for so long gives memory back, so many of them
 * at a time. */
#define TRIM_AFTER apr_time_from_sec(1)
#define TRIM_MAX 64

typedef struct listener_t {
    runtime_t *runtime;
    apr_time_t now;      /* of this turn */
    apr_time_t evict_at; /* not before this */
    int crowded;         /* times that clients were found waiting */
    drain_t drain;
    int failed;          /* waiting has, and that has been said */
    apr_time_t grow_at;  /* new connections get older */
    apr_time_t trim_at;  /* somebody has waited for TRIM_AFTER */
    apr_time_t shrink_at; /* pools are kept in vain */
    apr_time_t leave_at; /* clients were about to close */
    apr_time_t help_at;  /* look whether clients wait in vain */
    apr_time_t full_at;  /* and since when they may */
} listener_t;

static void take_ready(listener_t *l, parked_t *parked)
{
    conn_t *conn = CONN_OF_PARKED(parked);

    if (heads_wait_on(l->runtime->heads, conn, l->now)) {
        return; /* the client has not said all yet */
    }
    if (conn->counted == STATUS_CLOSING && linger_drain(conn) == CONN_PARK
        && parking_again(l->runtime->parking, parked) == APR_SUCCESS) {
        return; /* the client is not through yet */
    }
    if (parking_take(l->runtime->parking, parked, PARKING_READY) != NULL) {
        conn_hand_over(&conn, PARKING_READY);
    }
}

static void dispatch(listener_t *l)
{
    parking_event_t event;

    while (parking_next_event(l->runtime->parking, &event)) {
        if (event.kind == PARKING_LISTENER) {
            acceptor_accept(l->runtime->acceptor, event.listener, l->now);
        }
        else {
            take_ready(l, event.parked);
        }
    }
}

static void report_failure(listener_t *l, conn_t *conn)
{
    const char *id;

    switch (conn->cs.state) {
    case CONN_STATE_KEEPALIVE:
        id = APLOGNO(03093);
        break;
    case CONN_STATE_WRITE_COMPLETION:
        id = APLOGNO(03465);
        break;
    case CONN_STATE_ASYNC_WAITIO:
        id = APLOGNO(10503);
        break;
    default:
        id = APLOGNO(03092);
        break;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, conn->parked.error,
                 l->runtime->server,
                 "%sapr_pollset_add failed in state \"%s\": closing the "
                 "connection", id, conn_row(conn->cs.state)->name);
}

static void expire(listener_t *l)
{
    parking_t *parking = l->runtime->parking;
    parked_t *parked;

    while ((parked = parking_take_failed(parking)) != NULL) {
        conn_t *conn = CONN_OF_PARKED(parked);

        if (conn->counted == STATUS_HEAD) {
            heads_fail(l->runtime->heads, &conn);
            continue;
        }
        report_failure(l, conn);
        conn_hand_over(&conn, PARKING_FAILED);
    }
    while ((parked = parking_take_expired(parking, l->now)) != NULL) {
        conn_t *conn = CONN_OF_PARKED(parked);

        if (conn->counted == STATUS_HEAD) {
            heads_expire(l->runtime->heads, &conn, l->now);
            continue;
        }
        /* Its event may be among those the next wait will tell of. */
        conn_hand_over(&conn,
                       conn->cs.state == CONN_STATE_KEEPALIVE
                               && conn_has_input(conn)
                           ? PARKING_READY
                           : PARKING_EXPIRED);
    }
}

/* Those whose clients were about to close, and that no worker has come to
 * look at. */
static void see_off(listener_t *l)
{
    leaving_t *leaving = l->runtime->leaving;
    leaving_entry_t *entry;

    while ((entry = leaving_take(leaving, LEAVING_LONG, l->now)) != NULL) {
        conn_t *conn = CONN_OF_LEAVING(entry);

        if (linger_drain(conn) != CONN_PARK || !conn_stay(&conn)) {
            CONN_GIVE(conn, CONN_OWNER_LEAVING, CONN_OWNER_PARKING);
            conn_hand_over(&conn, PARKING_READY);
        }
    }
}

static void start_timers(listener_t *l)
{
    timers_entry_t *timer;

    while ((timer = timers_take(l->runtime->timers, l->now)) != NULL) {
        fdqueue_entry_t *entry = &timer->entry;

        fdqueue_push(l->runtime->queue, &entry, FDQUEUE_NOW);
    }
}

/* Of n, as many as may go at a time. */
static int share_of(int n)
{
    n /= EVICT_SHARE;
    return n < 1 ? 1 : n > EVICT_MAX ? EVICT_MAX : n;
}

/* Clients wait no more: answers that are not begun yet need not say "close"
 * for them. */
static void end_crowd(listener_t *l)
{
    if (l->crowded > 0) {
        l->crowded = 0;
        atomic_store(&l->runtime->partings, 0);
    }
}

/* Is there an entry in the queue that is for a client that was accepted? */
static int requests_wait(const runtime_t *rt)
{
    return fdqueue_waiting(rt->queue) > acceptor_errands(rt->acceptor);
}

/*
 * Clients wait to be accepted and this child has no room for them: after a
 * second of that say "close" in some answers, so that all get a turn. With
 * every worker busy, or without descriptors, let go of idle kept-alive
 * connections too, longest idle first. A few of each at a time.
 */
static void make_room(listener_t *l)
{
    runtime_t *rt = l->runtime;
    int conns = status_limited_conns(&rt->status);
    int is_short = acceptor_is_short(rt->acceptor);
    int busy = fdqueue_idle(rt->queue, acceptor_errands(rt->acceptor)) == 0
               && requests_wait(rt)
               && conns >= rt->settings->threads_per_child;
    int n;

    if (!acceptor_is_full(rt->acceptor) && !is_short) {
        end_crowd(l);
        return;
    }
    if (l->now < l->evict_at) {
        return;
    }
    l->evict_at = l->now + EVICT_INTERVAL;
    if (!acceptor_is_wanted(rt->acceptor)) {
        end_crowd(l);
        return; /* nobody would be better off */
    }
    if (++l->crowded >= CROWDED_CHECKS) {
        atomic_store(&rt->partings, share_of(conns));
    }
    if (!busy && !is_short) {
        return;
    }
    if (is_short) {
        heads_shed(rt->heads, share_of(status_heads(&rt->status)));
    }
    n = share_of(parking_count(rt->parking, CONN_STATE_KEEPALIVE));
    while (n-- > 0) {
        parked_t *parked = parking_oldest(rt->parking, CONN_STATE_KEEPALIVE);
        conn_t *conn;

        if (parked == NULL
            || parked->until - parked->timeout + EVICT_MIN_IDLE > l->now
            || parking_take(rt->parking, parked, PARKING_EVICTED) == NULL) {
            return;
        }
        conn = CONN_OF_PARKED(parked);
        conn_hand_over(&conn,
                       conn_has_input(conn) ? PARKING_READY : PARKING_EVICTED);
    }
}

/* Do those that wait in here wait for nothing but their turn to run? */
static int is_computing(const runtime_t *rt)
{
    return fdqueue_blocked(rt->queue) == 0 && requests_wait(rt);
}

/* Who still waits to be accepted a moment after this child was found full may
 * need another child. */
static void call_for_help(listener_t *l)
{
    runtime_t *rt = l->runtime;

    if (l->help_at == CLOCK_NEVER && acceptor_is_full(rt->acceptor)) {
        l->full_at = l->now;
        l->help_at = l->now + HELP_AFTER;
    }
    else if (l->now >= l->help_at) {
        l->help_at = CLOCK_NEVER;
        if (acceptor_is_wanted(rt->acceptor)) {
            l->help_at = l->now + HELP_INTERVAL;
            if (!is_computing(rt) || l->now >= l->full_at + HELP_COMPUTING) {
                runtime_ask_help(rt);
            }
        }
    }
}

/* Connections that have waited for a while keep no more than they use. */
static void trim(listener_t *l)
{
    runtime_t *rt = l->runtime;
    int n;

    l->trim_at = CLOCK_NEVER;
    for (n = 0; n < TRIM_MAX; n++) {
        parked_t *parked
            = parking_find_rested(rt->parking, CONN_STATE_KEEPALIVE,
                                  TRIM_AFTER, l->now, &l->trim_at);

        if (parked == NULL) {
            return;
        }
        ptrans_trim(rt->ptrans, CONN_OF_PARKED(parked)->pool);
    }
    l->trim_at = l->now;
}

static void wait_for_events(listener_t *l)
{
    runtime_t *rt = l->runtime;
    apr_time_t due = timers_next_due(rt->timers);
    apr_time_t acceptor = acceptor_due(rt->acceptor);
    apr_time_t review;
    apr_status_t rv;

    fdqueue_rest(rt->queue);
    due = due < acceptor ? due : acceptor;
    due = due < l->drain.until ? due : l->drain.until;
    due = due < l->trim_at ? due : l->trim_at;
    due = due < l->shrink_at ? due : l->shrink_at;
    due = due < l->leave_at ? due : l->leave_at;
    due = due < l->help_at ? due : l->help_at;
    due = due < l->grow_at ? due : l->grow_at;
    /* Kept: workers change the answer between two calls. */
    review = fdqueue_due(rt->queue);
    due = due < review ? due : review;
    rv = parking_wait(rt->parking, clock_now(), due);

    l->now = clock_now();
    fdqueue_review(rt->queue, l->now);
    if (rv != APR_SUCCESS) {
        if (!l->failed) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, rt->server,
                         "waiting for events failed: this child drains");
        }
        l->failed = 1;
        runtime_request_stop(rt, RUNTIME_DRAIN, APEXIT_CHILDSICK);
        apr_sleep(apr_time_from_msec(10)); /* it may well fail again */
    }
}

/* Has this child nothing left to wait for? */
static int is_over(const listener_t *l)
{
    const runtime_t *rt = l->runtime;
    runtime_stop_e mode = runtime_stop_mode(rt);

    /* Until it has begun to drain workers may still accept. */
    return mode == RUNTIME_EXIT
           || (mode == RUNTIME_DRAIN && l->drain.begun
               && status_conns(&rt->status) == 0);
}

void *APR_THREAD_FUNC listener_main(apr_thread_t *thread, void *data)
{
    listener_t l = {.runtime = data,
                    .now = clock_now(),
                    .grow_at = CLOCK_NEVER,
                    .trim_at = CLOCK_NEVER,
                    .shrink_at = CLOCK_NEVER,
                    .leave_at = CLOCK_NEVER,
                    .help_at = CLOCK_NEVER};
    runtime_t *rt = data;

    (void)thread;
    drain_init(&l.drain, rt);
    acceptor_review(rt->acceptor, l.now);
    while (!is_over(&l)) {
        wait_for_events(&l);
        dispatch(&l);
        expire(&l);
        start_timers(&l);
        see_off(&l);
        l.leave_at = leaving_due(rt->leaving, l.now);
        heads_shed(rt->heads, 0);
        l.grow_at = heads_grow(rt->heads, l.now);
        trim(&l);
        l.shrink_at = ptrans_shrink(rt->ptrans, l.now);
        if (runtime_stop_mode(rt) != RUNTIME_RUN) {
            drain_turn(&l.drain, l.now);
        }
        else {
            make_room(&l);
            call_for_help(&l);
            acceptor_review(rt->acceptor, l.now);
        }
    }
    acceptor_close(rt->acceptor);
    fdqueue_close(rt->queue);
    runtime_thread_ends(rt);
    return NULL;
}
