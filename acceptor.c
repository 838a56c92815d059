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

/* acceptor: see acceptor.h */

#include <poll.h>

#include "apr_poll.h"
#include "apr_portable.h"

#include "ap_listen.h"
#include "http_log.h"
#include "mpm_common.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "heads.h"
#include "quota.h"
#include "shortage.h"
#include "siblings.h"

APLOG_USE_MODULE(mpm_event);

/* Accepted from one socket before others have their turn. */
#define BATCH 64

/* Ready again so soon, a socket has more than one connection waiting. */
#define BURST 50 /* microseconds */

/* A backlog's worth: taken from each socket before it is closed. */
#define EMPTY_MAX 512

typedef struct door_t {
    parking_kind_e kind; /* const; first, as parking wants it */
    ap_listen_rec *lr;   /* const; NULL: siblings knock here */
    apr_pollfd_t pfd;    /* const */
    int batch;           /* listener: to accept at the next event */
    apr_time_t at;       /* listener: when the last one was */
} door_t;

struct acceptor_t {
    runtime_t *runtime;       /* const */
    door_t *doors;            /* const */
    int num_doors;            /* const */
    door_t knocker;           /* const; not one of them */
    siblings_t *siblings;     /* const; NULL: all are told of everybody */
    int watching;             /* listener: the doors are in the poll set */
    int closed;               /* listener */
    int max_conns;            /* const; MaxConnectionsPerChild, 0: any */
    int accepted;             /* listener; counted up to max_conns */
    shortage_t shortage;      /* listener: of descriptors or memory */
    atomic_int full;          /* listener writes, workers read: paused
                               * because of the rule */
};

acceptor_t *acceptor_create(runtime_t *runtime, ap_listen_rec *listeners,
                            int max_conns, apr_pool_t *pool)
{
    acceptor_t *a = apr_pcalloc(pool, sizeof(*a));
    ap_listen_rec *lr;
    int i = 0;

    for (lr = listeners; lr != NULL; lr = lr->next) {
        a->num_doors++;
    }
    a->doors = apr_pcalloc(pool, sizeof(*a->doors) * a->num_doors);
    for (lr = listeners; lr != NULL; lr = lr->next) {
        door_t *door = &a->doors[i++];

        door->kind = PARKING_LISTENER;
        door->lr = lr;
        door->pfd.p = pool;
        door->pfd.desc_type = APR_POLL_SOCKET;
        door->pfd.desc.s = lr->sd;
        door->pfd.reqevents = APR_POLLIN;
        door->pfd.client_data = door;
        door->batch = 1;
        /* Several children are told of one connection; one gets it. */
        apr_socket_opt_set(lr->sd, APR_SO_NONBLOCK, 1);
    }
    a->knocker.kind = PARKING_LISTENER;
    a->siblings = siblings_create(runtime, &a->knocker, pool);
    a->runtime = runtime;
    a->max_conns = max_conns > 0 ? max_conns : 0;
    shortage_init(&a->shortage);
    atomic_init(&a->full, 1);
    return a;
}

static int admits(const acceptor_t *a)
{
    const runtime_t *rt = a->runtime;

    return acceptor_rule(status_limited_conns(&rt->status),
                         fdqueue_idle(rt->queue) - heads_young(rt->heads),
                         rt->settings->threads_per_child,
                         rt->settings->async_factor);
}

/* Descriptors or memory are short, or the network is down: try again after
 * a while, longer each time, and say so once. */
static void begin_pause(acceptor_t *a, apr_status_t rv, apr_time_t now)
{
    if (shortage_begins(&a->shortage, now)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, a->runtime->server,
                     APLOGNO(02179) "cannot accept a connection: no new ones "
                     "until that is over");
    }
}

/* After a while without: the shortage is over, whether anybody has come to
 * be accepted meanwhile or not. */
static void end_shortage(acceptor_t *a, apr_time_t now)
{
    if (shortage_ends(&a->shortage, now)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, a->runtime->server,
                     "accepting connections again");
    }
}

/* Errors of one connection, or of a sibling having been faster. */
static int is_passing(apr_status_t rv)
{
    return APR_STATUS_IS_EAGAIN(rv) || APR_STATUS_IS_EINTR(rv)
           || APR_STATUS_IS_ECONNABORTED(rv) || APR_STATUS_IS_ECONNRESET(rv)
           || APR_STATUS_IS_ETIMEDOUT(rv) || APR_STATUS_IS_EHOSTUNREACH(rv)
           || APR_STATUS_IS_ENETUNREACH(rv)
#ifdef EPROTO
           || rv == EPROTO
#endif
        ;
}

/* This child has taken all the connections it may, and need take no more. */
static int is_done(const acceptor_t *a)
{
    return a->max_conns > 0 && a->accepted >= a->max_conns
           && atomic_load(&a->runtime->relieved);
}

/*
 * One more for MaxConnectionsPerChild. Another child is asked for in time,
 * and until it is there this one goes on, as otherwise there might be nobody
 * to accept; what is too many is not kept alive.
 */
static void count_conn(acceptor_t *a, conn_t *conn)
{
    if (a->accepted < a->max_conns) {
        a->accepted++;
    }
    if (a->accepted >= a->max_conns - a->max_conns / 8) {
        runtime_ask_relief(a->runtime);
    }
    conn->last = a->accepted == a->max_conns;
    if (is_done(a)) {
        /* Before a worker sees it: its answers are to say "close". */
        runtime_request_stop(a->runtime, RUNTIME_DRAIN, 0);
    }
}

/* Accept one and hand it over, or close it at once if its client has too
 * many: APR_SUCCESS, or why there is none. */
static apr_status_t accept_one(acceptor_t *a, ap_listen_rec *lr)
{
    runtime_t *rt = a->runtime;
    apr_socket_t *csd;
    apr_pool_t *pool;
    conn_t *conn;
    fdqueue_entry_t *entry;
    int client;
    apr_status_t rv = ptrans_take(rt->ptrans, &pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_socket_accept(&csd, lr->sd, pool);
    if (rv != APR_SUCCESS) {
        ptrans_put(rt->ptrans, &pool);
        return rv;
    }
    shortage_eases(&a->shortage);
    client = quota_enter(rt, csd);
    if (client == CLIENTS_REFUSED) {
        apr_socket_close(csd);
        ptrans_put(rt->ptrans, &pool);
        return APR_SUCCESS;
    }
    conn = conn_make(rt, pool, csd);
    conn->client = client;
    if (a->max_conns > 0) {
        count_conn(a, conn);
    }
    if (heads_admit(rt->heads, &conn, lr->protocol)) {
        return APR_SUCCESS;
    }
    entry = &conn->entry;
    CONN_GIVE(conn, CONN_OWNER_LISTENER, CONN_OWNER_QUEUE);
    fdqueue_push(rt->queue, &entry, FDQUEUE_NOW);
    return APR_SUCCESS;
}

static void watch(acceptor_t *a, int on)
{
    int i;

    for (i = 0; i < a->num_doors; i++) {
        apr_status_t rv
            = on ? parking_watch(a->runtime->parking, &a->doors[i].pfd,
                                 a->siblings != NULL)
                 : parking_unwatch(a->runtime->parking, &a->doors[i].pfd);

        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, a->runtime->server,
                         "cannot %s listening on %pI",
                         on ? "start" : "stop", a->doors[i].lr->bind_addr);
        }
    }
    a->watching = on;
    status_accepting(&a->runtime->status, on);
    if (a->siblings != NULL) {
        siblings_listen(a->siblings, a->runtime->parking, on);
        /* We may have been the only one who was told of who waits now. */
        if (!on && acceptor_is_wanted(a)) {
            siblings_knock(a->siblings);
        }
    }
}

/* Does another child have clearly fewer connections, so that he should have
 * the next one? */
static int is_ahead(const acceptor_t *a)
{
    return a->siblings != NULL
           && siblings_have_fewer(a->siblings,
                                  status_conns(&a->runtime->status));
}

/* The kernel wakes whoever has watched longest: let that be another. */
static void move_behind(acceptor_t *a, door_t *door)
{
    parking_unwatch(a->runtime->parking, &door->pfd);
    if (parking_watch(a->runtime->parking, &door->pfd, 1) != APR_SUCCESS) {
        watch(a, 0); /* the review after this turn tries again */
    }
}

/*
 * Most often one connection comes at a time, and to look for a second one
 * would be in vain: more are looked for when the socket is ready again at
 * once, and by a child that has more to do anyway.
 */
static void accept_at(acceptor_t *a, door_t *door, apr_time_t now)
{
    int burst = now - door->at < BURST
                || fdqueue_waiting(a->runtime->queue) > 0;
    int n, max = burst ? door->batch : 1;

    door->at = now;
    door->batch = max < BATCH ? 2 * max : BATCH;
    for (n = 0; n < max; n++) {
        apr_status_t rv;

        if (!a->watching || is_done(a) || !admits(a)
            || shortage_pauses(&a->shortage, now)) {
            return;
        }
        if (is_ahead(a)) {
            move_behind(a, door);
            max = n + 1;
            door->batch = 1;
        }
        rv = accept_one(a, door->lr);
        if (rv == APR_SUCCESS) {
            continue;
        }
        if (!is_passing(rv)) {
            begin_pause(a, rv, now);
            return;
        }
        if (APR_STATUS_IS_EAGAIN(rv)) {
            door->batch = 1;
            return;
        }
    }
}

void acceptor_accept(acceptor_t *a, void *data, apr_time_t now)
{
    door_t *door = data;
    int i;

    if (door != &a->knocker) {
        accept_at(a, door, now);
        return;
    }
    /*
     * Several may have knocked, and more may wait than we can take: watched
     * anew, a socket with somebody waiting is ready, and stays so for us
     * until it is not or we stop watching, and then knock.
     */
    siblings_answer(a->siblings);
    for (i = 0; i < a->num_doors && a->watching; i++) {
        move_behind(a, &a->doors[i]);
    }
    if (!a->watching) {
        siblings_knock(a->siblings);
    }
}

void acceptor_empty(acceptor_t *a, int all)
{
    int i, n;

    /* One that is relieved has siblings for what is left. */
    for (i = 0; i < a->num_doors && !a->closed && !is_done(a); i++) {
        for (n = 0; n < EMPTY_MAX; n++) {
            apr_status_t rv;

            if (!all && !admits(a)) {
                break; /* a sibling will take it */
            }
            rv = accept_one(a, a->doors[i].lr);
            if (rv != APR_SUCCESS && !APR_STATUS_IS_EINTR(rv)
                && !APR_STATUS_IS_ECONNABORTED(rv)) {
                break;
            }
        }
    }
}

/* Nobody is taken and nobody is to be made room for. */
static void rest(acceptor_t *a)
{
    atomic_store(&a->full, 0);
    if (a->watching) {
        watch(a, 0);
        ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, a->runtime->server,
                     "resting: %d connections left",
                     status_conns(&a->runtime->status));
    }
}

void acceptor_review(acceptor_t *a, apr_time_t now)
{
    const runtime_t *rt = a->runtime;
    int open;

    if (a->closed) {
        return;
    }
    if (is_done(a)) {
        runtime_request_stop(a->runtime, RUNTIME_DRAIN, 0);
        return;
    }
    end_shortage(a, now);
    if (atomic_load(&rt->resting)) {
        rest(a);
        return;
    }
    open = admits(a);
    if (!open) {
        /*
         * Race with a worker that becomes idle: either it sees this word
         * and wakes us, or we see that it is idle.
         */
        atomic_store(&a->full, 1);
        open = admits(a);
    }
    if (open) {
        atomic_store(&a->full, 0);
    }
    open = open && !shortage_pauses(&a->shortage, now);
    if (open && !a->watching) {
        ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                     APLOGNO(00457) "Accepting new connections: %d active "
                     "conns, %d idle workers",
                     status_limited_conns(&rt->status),
                     fdqueue_idle(rt->queue));
        watch(a, 1);
    }
    else if (!open && a->watching) {
        int idle = fdqueue_idle(rt->queue);

        watch(a, 0);
        if (!atomic_load(&a->full)) {
            return; /* a shortage, of which begin_pause has told */
        }
        if (idle == 0) {
            ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                         "All workers are busy, not accepting new conns in "
                         "this process");
        }
        else {
            ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                         "Too many open connections (%d), not accepting new "
                         "conns in this process",
                         status_limited_conns(&rt->status));
        }
    }
}

int acceptor_is_short(const acceptor_t *a)
{
    return shortage_is_on(&a->shortage);
}

int acceptor_is_full(const acceptor_t *a)
{
    return atomic_load(&a->full);
}

int acceptor_is_wanted(const acceptor_t *a)
{
    int i;

    for (i = 0; i < a->num_doors && !a->closed; i++) {
        struct pollfd fd = {-1, POLLIN, 0};

        if (apr_os_sock_get(&fd.fd, a->doors[i].lr->sd) == APR_SUCCESS
            && poll(&fd, 1, 0) > 0) {
            return 1;
        }
    }
    return 0;
}

apr_time_t acceptor_due(const acceptor_t *a)
{
    return a->closed ? CLOCK_NEVER : shortage_due(&a->shortage);
}

void acceptor_nudge(acceptor_t *a)
{
    if (atomic_load(&a->full) && admits(a)) {
        parking_wake(a->runtime->parking);
    }
}

void acceptor_close(acceptor_t *a)
{
    int i;

    if (a->closed) {
        return;
    }
    if (a->watching) {
        watch(a, 0);
    }
    a->closed = 1;
    atomic_store(&a->full, 0);
    for (i = 0; i < a->num_doors; i++) {
        a->doors[i].lr->active = 0;
        apr_socket_close(a->doors[i].lr->sd);
    }
}
