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


/*
 * stress_held: connections that modules hold, and callbacks that move them
 * on, on many workers that work as this MPM's do.
 *
 * A callback touches its connection after it has moved it on, and who takes
 * it back overwrites and frees it at once: taken a moment too early, that is
 * seen (by the sanitizers, and as nonsense). One that is never taken back is
 * waited for until the alarm.
 */

#include <stdatomic.h>
#include <string.h>

#include "apr_general.h"

#include "fdqueue.h"
#include "held.h"
#include "stress.h"

#define WORKERS 6
#define CONNS 16
#define MAX_CALLBACKS 3

enum { CONN, CALLBACK };

typedef struct {
    fdqueue_entry_t entry;
    held_entry_t held;
    atomic_int moved;  /* its module is through with it, or nearly so */
    atomic_int to_run; /* callbacks that have not run */
    int touches;       /* by callbacks */
    int expected;      /* touches in all */
} conn_t;

/* What a timer runs; without a connection it is somebody else's. */
typedef struct {
    fdqueue_entry_t entry;
    conn_t *conn;
} callback_t;

typedef struct {
    pthread_t thread;
    int number;
    unsigned dice;
} worker_t;

static fdqueue_t *queue;
static held_t *held;
static worker_t workers[WORKERS];
static atomic_int left;      /* connections still to be made */
static atomic_int gone;      /* lines of connections that have ended */
static atomic_int callbacks; /* there are at present */
static atomic_int early;     /* moved on before they were given away */

static int has_moved(held_entry_t *entry)
{
    const conn_t *conn
        = (const conn_t *)((char *)entry - APR_OFFSETOF(conn_t, held));

    return atomic_load_explicit(&conn->moved, memory_order_relaxed);
}

static void dawdle(worker_t *worker)
{
    unsigned times = stress_random(&worker->dice, 8);

    while (times-- > 4) {
        sched_yield();
    }
}

static void push(fdqueue_entry_t *entry, int kind)
{
    entry->kind = kind;
    fdqueue_push(queue, &entry, FDQUEUE_NOW);
}

static void push_callback(conn_t *conn)
{
    callback_t *callback = calloc(1, sizeof(*callback));

    MUST(callback != NULL);
    atomic_fetch_add(&callbacks, 1);
    callback->conn = conn;
    push(&callback->entry, CALLBACK);
}

/* The module's work. Only the last callback moves the connection on: until
 * then it is theirs. */
static void run_callback(worker_t *worker, callback_t *callback)
{
    conn_t *conn = callback->conn;

    held_callback_begins(held, worker->number);
    dawdle(worker);
    if (conn != NULL && atomic_fetch_sub(&conn->to_run, 1) == 1) {
        atomic_store_explicit(&conn->moved, 1, memory_order_relaxed);
        dawdle(worker);
        conn->touches++;
    }
    held_callback_ends(held, worker->number);
    memset(callback, 0xA5, sizeof(*callback));
    free(callback);
    atomic_fetch_sub(&callbacks, 1);
}

/* Make a connection and give it to a module, whose callbacks may be faster
 * than we are. */
static void make_conn(worker_t *worker)
{
    conn_t *conn;
    int n = 1 + (int)stress_random(&worker->dice, MAX_CALLBACKS), i;

    if (atomic_fetch_sub(&left, 1) <= 0) {
        atomic_fetch_add(&gone, 1);
        return;
    }
    conn = calloc(1, sizeof(*conn));
    MUST(conn != NULL);
    conn->expected = 1;
    atomic_init(&conn->moved, 0);
    atomic_init(&conn->to_run, n);
    if (stress_random(&worker->dice, 4) == 0) {
        push_callback(NULL);
    }
    for (i = 0; i < n; i++) {
        push_callback(conn);
    }
    dawdle(worker);
    if (has_moved(&conn->held)) {
        atomic_fetch_add(&early, 1);
    }
    held_put(held, &conn->held);
}

/* It is ours again, all of it. */
static void end_conn(worker_t *worker, conn_t *conn)
{
    MUST(conn->touches == conn->expected);
    MUST(atomic_load(&conn->to_run) == 0);
    memset(conn, 0xA5, sizeof(*conn));
    free(conn);
    make_conn(worker);
}

static void *run_worker(void *data)
{
    worker_t *self = data;
    fdqueue_entry_t *entry;
    held_entry_t *back;

    fdqueue_join(queue, self->number);
    while ((entry = fdqueue_pop(queue, self->number)) != NULL) {
        if (entry->kind == CALLBACK) {
            run_callback(self, (callback_t *)entry);
        }
        else {
            free(entry);
            make_conn(self);
        }
        while ((back = held_take(held)) != NULL) {
            end_conn(self, (conn_t *)((char *)back
                                      - APR_OFFSETOF(conn_t, held)));
        }
        fdqueue_done(queue, self->number);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int iterations = stress_iterations(argc, argv);
    apr_pool_t *pool;
    int i;

    MUST(apr_initialize() == APR_SUCCESS);
    MUST(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    MUST(fdqueue_create(&queue, WORKERS, NULL, pool) == APR_SUCCESS);
    MUST(held_create(&held, WORKERS, has_moved, pool) == APR_SUCCESS);
    atomic_init(&left, iterations);
    for (i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        workers[i].dice = (unsigned)i;
        workers[i].thread = stress_start(run_worker, &workers[i]);
    }
    for (i = 0; i < CONNS; i++) {
        fdqueue_entry_t *entry = calloc(1, sizeof(*entry));

        MUST(entry != NULL);
        push(entry, CONN);
    }
    while (atomic_load(&gone) < CONNS || atomic_load(&callbacks) > 0) {
        usleep(1000);
    }
    fdqueue_close(queue);
    for (i = 0; i < WORKERS; i++) {
        stress_join(workers[i].thread);
    }
    MUST(held_take(held) == NULL);
    printf("stress_held: %d held and taken back, %d of them moved on before "
           "they were given away\n",
           iterations, atomic_load(&early));
    apr_pool_destroy(pool);
    apr_terminate();
    return EXIT_SUCCESS;
}
