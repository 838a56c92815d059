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

#include "apr_thread_mutex.h"

#include "ap_listen.h"

#include "acceptor.h"
#include "admission.h"
#include "clock.h"
#include "conn.h"
#include "doors.h"
#include "heads.h"
#include "quota.h"

/* Ready again so soon, a socket has more than one connection waiting: then its
 * door goes to the workers. While they are behind the listener looks less
 * often, and so soon is longer. */
#define BURST 50                          /* microseconds */
#define BURST_BEHIND apr_time_from_msec(5)

/* A worker that has a door takes one connection, and one more for each entry
 * that waits before the door's next turn; so many at most. */
#define TAKE_MAX 64

/* While so few wait nobody else need take them. */
#define FEW 4

/* A backlog's worth: taken from each socket before it is closed. */
#define EMPTY_MAX 512

/* Of take: not now. */
#define SHUT APR_EOF

struct acceptor_t {
    runtime_t *runtime;    /* const */
    int max_conns;         /* const; MaxConnectionsPerChild, 0: any */
    admission_t admission; /* the listener's, but for what any may ask */

    apr_thread_mutex_t *lock; /* const */
    doors_t *doors;           /* under lock, but for what any may ask */
    int accepted;             /* under lock; counted up to max_conns */
    int closed;               /* under lock; the listener writes */
};

apr_status_t acceptor_create(acceptor_t **acceptor, runtime_t *runtime,
                             ap_listen_rec *listeners, int max_conns,
                             apr_pool_t *pool)
{
    acceptor_t *a = apr_pcalloc(pool, sizeof(*a));
    apr_status_t rv;

    rv = apr_thread_mutex_create(&a->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    a->doors = doors_create(runtime, listeners, pool);
    a->runtime = runtime;
    a->max_conns = max_conns > 0 ? max_conns : 0;
    admission_init(&a->admission, runtime, a->doors);
    *acceptor = a;
    return APR_SUCCESS;
}

static void lock(acceptor_t *a)
{
    apr_thread_mutex_lock(a->lock);
}

static void unlock(acceptor_t *a)
{
    apr_thread_mutex_unlock(a->lock);
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

/* This child has taken all the connections it may, and need take no more.
 * Under the lock. */
static int is_done(const acceptor_t *a)
{
    return a->max_conns > 0 && a->accepted >= a->max_conns
           && atomic_load(&a->runtime->relieved);
}

/*
 * One more for MaxConnectionsPerChild. Another child is asked for in time,
 * and until it is there this one goes on, as otherwise there might be nobody
 * to accept; what is too many is not kept alive. Under the lock.
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

/* Under the lock: accept into pool, which *conn has then. *conn is NULL if it
 * was closed at once, as its client has too many. */
static apr_status_t accept_into(acceptor_t *a, const ap_listen_rec *lr,
                                apr_pool_t *pool, conn_t **conn)
{
    runtime_t *rt = a->runtime;
    apr_socket_t *csd;
    int client;
    apr_status_t rv = apr_socket_accept(&csd, lr->sd, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    client = quota_enter(rt, csd);
    if (client == CLIENTS_REFUSED) {
        apr_socket_close(csd);
        return APR_SUCCESS;
    }
    *conn = conn_make(rt, pool, csd);
    (*conn)->client = client;
    if (a->max_conns > 0) {
        count_conn(a, *conn);
    }
    return APR_SUCCESS;
}

/* Accept one, if may says so: APR_SUCCESS and *conn as above, SHUT, or why
 * there is none. */
static apr_status_t take(acceptor_t *a, const ap_listen_rec *lr,
                         int (*may)(const acceptor_t *), conn_t **conn)
{
    apr_pool_t *pool;
    apr_status_t rv = ptrans_take(a->runtime->ptrans, &pool);

    *conn = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    lock(a);
    rv = may(a) ? accept_into(a, lr, pool, conn) : SHUT;
    unlock(a);
    if (*conn == NULL) {
        ptrans_put(a->runtime->ptrans, &pool);
    }
    return rv;
}

/* Has it asked for something, so that it is the caller's? NULL: no. */
static conn_t *admit(acceptor_t *a, conn_t *conn, const ap_listen_rec *lr)
{
    return conn != NULL && !heads_admit(a->runtime->heads, &conn, lr->protocol)
               ? conn
               : NULL;
}

static void hand_over(acceptor_t *a, conn_t *conn)
{
    if (conn != NULL) {
        fdqueue_entry_t *entry = &conn->entry;

        CONN_GIVE(conn, CONN_OWNER_LISTENER, CONN_OWNER_QUEUE);
        fdqueue_push(a->runtime->queue, &entry, FDQUEUE_NOW);
    }
}

/* Under the lock. */
static int may_take(const acceptor_t *a)
{
    return doors_are_open(a->doors) && !is_done(a)
           && admission_allows(&a->admission);
}

/* Should another child have the next one? In a burst each child takes them as
 * fast as it is through with others, and nobody is ahead for long. */
static int is_ahead(const acceptor_t *a, int burst)
{
    return (!burst || fdqueue_waiting(a->runtime->queue) > FEW)
           && doors_are_ahead(a->doors);
}

/*
 * Most often one connection comes at a time. Where more come the workers do
 * better by themselves: who is through with one connection accepts the next,
 * and nobody is woken for it. What fails, fails here too, and here it is seen
 * to.
 */
void acceptor_accept(acceptor_t *a, void *data, apr_time_t now)
{
    door_t *door = data;
    fdqueue_t *queue = a->runtime->queue;
    apr_interval_time_t time
        = fdqueue_waiting(queue) > 0 ? BURST_BEHIND : BURST;
    fdqueue_entry_t *entry = NULL;
    conn_t *conn;
    apr_status_t rv;
    int burst;

    lock(a);
    if (door->out || doors_hear(a->doors, door)) {
        unlock(a);
        return;
    }
    burst = now - door->at < time;
    if (doors_are_open(a->doors) && is_ahead(a, burst)) {
        doors_move_behind(a->doors, door);
    }
    else if (burst && !admission_is_short(&a->admission) && may_take(a)) {
        entry = doors_send_out(a->doors, door);
    }
    door->at = now;
    unlock(a);
    if (entry != NULL) {
        fdqueue_push(queue, &entry, FDQUEUE_NOW);
        return;
    }
    if (admission_pauses(&a->admission, now)) {
        return;
    }
    rv = take(a, door->lr, may_take, &conn);
    if (rv == APR_SUCCESS) {
        admission_works(&a->admission);
        hand_over(a, admit(a, conn, door->lr));
    }
    else if (rv != SHUT && !is_passing(rv)) {
        admission_fails(&a->admission, rv, now);
    }
}

/* Nobody is left at a door, or rv says why nobody can be taken: the poll set
 * watches it again, if it may. */
static void bring_back(acceptor_t *a, door_t *door, apr_status_t rv)
{
    lock(a);
    /* What fails is the listener's to see, too, and to see to. */
    door->at = rv == APR_SUCCESS || rv == SHUT || APR_STATUS_IS_EAGAIN(rv)
                   ? clock_now()
                   : 0;
    doors_bring_back(a->doors, door);
    if (!doors_are_open(a->doors)) {
        parking_wake(a->runtime->parking);
    }
    unlock(a);
}

/* How many to take in one turn: no more than there are workers, us among
 * them. */
static int turn_of(const acceptor_t *a)
{
    int most = admission_idle(&a->admission);
    int n = 1 + fdqueue_waiting(a->runtime->queue);

    most = most < TAKE_MAX ? most : TAKE_MAX;
    n = n < most ? n : most;
    return n > 1 ? n : 1;
}

conn_t *acceptor_take(acceptor_t *a, fdqueue_entry_t *entry)
{
    door_t *door = DOOR_OF_ENTRY(entry);
    const ap_listen_rec *lr = door->lr;
    int left = turn_of(a);
    int waiting = 0;
    conn_t *mine = NULL;

    while (left > 0) {
        int ahead = is_ahead(a, 1);
        conn_t *conn;
        apr_status_t rv = take(a, lr, may_take, &conn);

        left = rv == APR_SUCCESS && !ahead ? left - 1 : 0;
        if (rv != APR_SUCCESS || ahead) {
            bring_back(a, door, rv);
        }
        else if (left == 0) {
            /* The next one need not wait for us to run this one. */
            fdqueue_push(a->runtime->queue, &entry, FDQUEUE_NOW);
        }
        if (conn != NULL) {
            conn = admit(a, conn, lr);
            waiting |= conn == NULL;
        }
        if (mine != NULL) {
            hand_over(a, conn);
        }
        else if (conn != NULL) {
            CONN_GIVE(conn, CONN_OWNER_LISTENER, CONN_OWNER_WORKER);
            mine = conn;
        }
    }
    /* Too many may wait then, or nobody be left who takes the entry. */
    if (waiting || (mine != NULL && !admission_allows(&a->admission))) {
        parking_wake(a->runtime->parking);
    }
    return mine;
}

/* Under the lock: whether the rule says so or not. */
static int may_empty(const acceptor_t *a)
{
    return !is_done(a); /* who is relieved has siblings for what is left */
}

/* Under the lock: what is more is a sibling's. */
static int may_share(const acceptor_t *a)
{
    return !is_done(a) && admission_allows(&a->admission);
}

void acceptor_empty(acceptor_t *a, int all)
{
    door_t *door;
    int i, n;

    for (i = 0; !a->closed && (door = doors_get(a->doors, i)) != NULL; i++) {
        for (n = 0; n < EMPTY_MAX; n++) {
            conn_t *conn;
            apr_status_t rv
                = take(a, door->lr, all ? may_empty : may_share, &conn);

            if (rv != APR_SUCCESS && !APR_STATUS_IS_EINTR(rv)
                && !APR_STATUS_IS_ECONNABORTED(rv)) {
                break;
            }
            hand_over(a, admit(a, conn, door->lr));
        }
    }
}

void acceptor_review(acceptor_t *a, apr_time_t now)
{
    if (a->closed) {
        return;
    }
    lock(a);
    if (is_done(a)) {
        runtime_request_stop(a->runtime, RUNTIME_DRAIN, 0);
    }
    else {
        admission_review(&a->admission, now);
    }
    unlock(a);
}

int acceptor_errands(const acceptor_t *a)
{
    return doors_out(a->doors);
}

int acceptor_is_short(const acceptor_t *a)
{
    return admission_is_short(&a->admission);
}

int acceptor_is_full(const acceptor_t *a)
{
    return admission_is_full(&a->admission);
}

int acceptor_is_wanted(const acceptor_t *a)
{
    /* Only we close them. */
    return !a->closed && doors_are_wanted(a->doors);
}

apr_time_t acceptor_due(const acceptor_t *a)
{
    return a->closed ? CLOCK_NEVER : admission_due(&a->admission);
}

void acceptor_nudge(acceptor_t *a)
{
    admission_nudge(&a->admission);
}

void acceptor_close(acceptor_t *a)
{
    if (a->closed) {
        return;
    }
    lock(a);
    a->closed = 1;
    admission_end(&a->admission);
    doors_close(a->doors);
    unlock(a);
}
