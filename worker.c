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

/* worker: see worker.h */

#include <sys/socket.h>

#include "httpd.h"
#include "http_log.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "linger.h"
#include "turn.h"
#include "worker.h"

APLOG_USE_MODULE(mpm_event);

/* Looked at between two entries: twice as many as may come meanwhile. */
#define SEE_OFF_MAX 2

/*
 * The connection that a worker is in is lent to who wants to look at it: the
 * worker does not go on with it before it has it back.
 */
static struct conn_t *borrow(worker_t *worker)
{
    return atomic_exchange(&worker->busy, NULL);
}

static void give_back(worker_t *worker, struct conn_t *conn)
{
    atomic_store(&worker->busy, conn);
}

static void reclaim(worker_t *worker)
{
    while (atomic_exchange(&worker->busy, NULL) == NULL) {
        apr_thread_yield();
    }
}

void worker_cut_short(worker_t *worker)
{
    conn_t *conn = borrow(worker);

    if (conn != NULL) {
        /* Through the descriptor: the worker may be changing the rest. */
        if (conn->fd >= 0) {
            shutdown(conn->fd, SHUT_RDWR);
        }
        give_back(worker, conn);
    }
}

void worker_report(worker_t *worker, apr_time_t now)
{
    conn_t *conn = borrow(worker);

    if (conn != NULL) {
        conn_report(conn, now);
        give_back(worker, conn);
    }
}

/*
 * While others wait, one that has been shut down is left alone for a moment:
 * who goes on working comes to look at it. Not one whose client is limited: it
 * may return at once, and should not be counted twice.
 */
static int may_leave(const runtime_t *runtime, const conn_t *conn)
{
    return conn->counted == STATUS_CLOSING && conn->client < 0
           && fdqueue_waiting(runtime->queue) > 0
           && leaving_count(runtime->leaving) < LEAVING_MAX
           && runtime_stop_mode(runtime) == RUNTIME_RUN;
}

/* Look at some of those whose clients were about to close. */
static void see_off(runtime_t *runtime)
{
    leaving_entry_t *entry;
    apr_time_t now;
    int i;

    if (leaving_count(runtime->leaving) == 0) {
        return;
    }
    now = clock_now();
    for (i = 0; i < SEE_OFF_MAX
                && (entry = leaving_take(runtime->leaving, LEAVING_SOON, now))
                       != NULL;
         i++) {
        conn_t *conn = CONN_OF_LEAVING(entry);

        if (linger_drain(conn) != CONN_PARK || !conn_stay(&conn)) {
            CONN_GIVE(conn, CONN_OWNER_LEAVING, CONN_OWNER_WORKER);
            conn_close(&conn);
        }
    }
}

static void run_conn(worker_t *worker, conn_t *conn);

/* Go on with connections that their modules have finished with. */
static void run_moved_on(worker_t *worker)
{
    held_entry_t *entry;

    while ((entry = held_take(worker->runtime->held)) != NULL) {
        CONN_GIVE(CONN_OF_HELD(entry), CONN_OWNER_MODULE, CONN_OWNER_WORKER);
        run_conn(worker, CONN_OF_HELD(entry));
    }
}

static void run_conn(worker_t *worker, conn_t *conn)
{
    while (conn != NULL) {
        conn_verdict_e verdict;

        give_back(worker, conn);
        verdict = turn_run(conn, worker->id, worker->thread);
        if (verdict == CONN_LINGER) {
            verdict = linger_start(conn);
        }
        reclaim(worker);
        switch (verdict) {
        case CONN_PARK:
            if (may_leave(worker->runtime, conn)) {
                conn_leave(&conn);
            }
            else if (!conn_park(&conn)) {
                conn_unpark(conn, PARKING_READY);
            }
            break;
        case CONN_AGAIN:
            conn_requeue(&conn);
            break;
        case CONN_HOLD:
            conn_hold(&conn);
            break;
        default:
            conn_close(&conn);
            break;
        }
    }
}

static void run_timer(worker_t *worker, timers_entry_t *timer)
{
    runtime_t *runtime = worker->runtime;

    held_callback_begins(runtime->held, worker->id);
    timer->fn(timer->baton);
    held_callback_ends(runtime->held, worker->id);
    timers_put(runtime->timers, &timer);
}

void *APR_THREAD_FUNC worker_main(apr_thread_t *thread, void *data)
{
    worker_t *worker = data;
    runtime_t *runtime = worker->runtime;
    fdqueue_entry_t *entry;

    worker->thread = thread;
    status_worker_starts(&runtime->status, worker->id);
    status_worker_is(&runtime->status, worker->id, SERVER_READY);
    fdqueue_join(runtime->queue, worker->id);
    acceptor_nudge(runtime->acceptor);
    while ((entry = fdqueue_pop(runtime->queue, worker->id)) != NULL) {
        if (entry->kind == RUNTIME_TIMER) {
            run_timer(worker, (timers_entry_t *)entry);
        }
        else if (entry->kind == RUNTIME_DOOR) {
            run_conn(worker, acceptor_take(runtime->acceptor, entry));
        }
        else {
            CONN_GIVE(CONN_OF_ENTRY(entry), CONN_OWNER_QUEUE,
                      CONN_OWNER_WORKER);
            run_conn(worker, CONN_OF_ENTRY(entry));
        }
        run_moved_on(worker);
        see_off(runtime);
        status_worker_is(&runtime->status, worker->id,
                         runtime_stop_mode(runtime) == RUNTIME_RUN
                             ? SERVER_READY
                             : SERVER_GRACEFUL);
        fdqueue_done(runtime->queue, worker->id);
        acceptor_nudge(runtime->acceptor);
    }
    status_worker_is(&runtime->status, worker->id, SERVER_DEAD);
    runtime_thread_ends(runtime);
    return NULL;
}
