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
 * fdqueue: the hand-off from those who find work to the workers who do it.
 *
 * Pushers put entries on an inbox by compare-and-swap and take no lock to
 * do so.  Workers take a whole inbox at a time, turn it round into the line
 * it belongs to and pop from there, under one lock.  Sleeping workers are a
 * stack: the most recently idle one, whose cache is warm, is woken first.
 *
 * Threads: [any] pushes, [worker] pops.  Owns the lines, the stack of
 * sleepers and the counts.  Never allocates after fdqueue_create, never
 * runs an entry and never holds two locks.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "apr_general.h"
#include "apr_thread_cond.h"
#include "apr_thread_mutex.h"

#include "fdqueue.h"

/* With --enable-debug: callers keep to the order of join, pop and done. */
#ifdef EVENT_DEBUG
#include <assert.h>
#define ASSERT_STATE(worker, is) assert((worker)->state == (is))
#else
#define ASSERT_STATE(worker, is) ((void)0)
#endif

/*
 * THE WAKE-UP RULE: while the queue is not empty (or is closed) and a worker
 * is on the stack of sleepers, a wake-up is in flight, and never two.
 *
 * `waking` is the token that makes it so.  Who sets it to 1 may take one
 * worker off the stack and wake it; the token travels with the wake-up and
 * is dropped by the woken worker, before it looks for entries.
 *
 * Three things can break the rule: an entry arrives (in an inbox, or in a
 * line when a worker that took an inbox leaves some behind), a worker gets
 * on the stack, or the token is dropped.  Whoever does one of them looks at
 * the other two afterwards, in wake_one().  All these words are accessed in
 * the one order that C11's default gives them, so of two threads doing such
 * things at a time the later one sees what the earlier one did:
 *
 *     pusher: entry in        worker: on the stack
 *     pusher: sleepers?       worker: entries?         one of them says yes
 *
 *     pusher: entry in        woken:  token dropped
 *     pusher: token free?     woken:  entries?         one of them says yes
 *
 * While a worker holds entries between an inbox and a line nobody else can
 * see them; it looks itself when they are in the line.
 *
 * One token also means one taker at a time on the stack of sleepers, and a
 * worker gets back on it only after it was taken off: between a taker's
 * reading of the top's `below` and its compare-and-swap, the top can be
 * covered but not leave and return.  So no ABA.
 */

/* Words that are written by different threads are kept this far apart. */
#define CACHE_LINE 64

/* While there are LATER entries one is popped at least every so many pops:
 * closings then get an eighth of the pops under any load of requests. */
#define LATER_EVERY 8

#define NUM_LINES (FDQUEUE_LATER + 1)

typedef enum {
    WORKER_ABSENT, /* has not joined */
    WORKER_IDLE,
    WORKER_BUSY
} worker_state_e;

typedef struct worker_t worker_t;

struct worker_t {
    _Alignas(CACHE_LINE) worker_state_e state; /* this worker */
    worker_t *below;           /* who gets on or takes off the stack */
    apr_thread_mutex_t *mutex; /* const; for woken */
    apr_thread_cond_t *cond;   /* const; woken has become 1 */
    int woken;                 /* under mutex */
};

struct fdqueue_t {
    /* Written by every push. */
    _Alignas(CACHE_LINE) _Atomic(fdqueue_entry_t *) inbox[NUM_LINES];
    atomic_int waiting; /* entries in the NOW inbox and line */

    /* Written by every pop. */
    _Alignas(CACHE_LINE) apr_thread_mutex_t *lock; /* const */
    _Atomic(fdqueue_entry_t *) line[NUM_LINES];    /* written under lock */
    int since_later;                               /* under lock */
    atomic_int busy;                               /* workers with an entry */

    /* Written by going to sleep and by waking. */
    _Alignas(CACHE_LINE) _Atomic(worker_t *) sleepers;
    atomic_int waking;

    /* Hardly ever written. */
    _Alignas(CACHE_LINE) atomic_int joined;
    atomic_int closed;
    worker_t *workers; /* const */
};

/* Pools align to eight bytes only. */
static void *aligned_zeros(apr_pool_t *pool, apr_size_t size)
{
    char *memory = apr_pcalloc(pool, size + CACHE_LINE - 1);

    return (void *)APR_ALIGN((uintptr_t)memory, CACHE_LINE);
}

apr_status_t fdqueue_create(fdqueue_t **queue, int num_workers,
                            apr_pool_t *pool)
{
    fdqueue_t *q = aligned_zeros(pool, sizeof(*q));
    apr_status_t rv;
    int i;

    rv = apr_thread_mutex_create(&q->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    q->workers = aligned_zeros(pool, sizeof(worker_t) * num_workers);
    for (i = 0; i < num_workers; i++) {
        worker_t *worker = &q->workers[i];

        rv = apr_thread_mutex_create(&worker->mutex,
                                     APR_THREAD_MUTEX_DEFAULT, pool);
        if (rv == APR_SUCCESS) {
            rv = apr_thread_cond_create(&worker->cond, pool);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    *queue = q;
    return APR_SUCCESS;
}

/* Is there anything a sleeping worker would have to be woken for? */
static int has_news(fdqueue_t *queue)
{
    int i;

    for (i = 0; i < NUM_LINES; i++) {
        if (atomic_load(&queue->inbox[i]) || atomic_load(&queue->line[i])) {
            return 1;
        }
    }
    return atomic_load(&queue->closed);
}

/* For the holder of the token only. */
static worker_t *take_sleeper(fdqueue_t *queue)
{
    worker_t *top = atomic_load(&queue->sleepers);

    while (top && !atomic_compare_exchange_weak(&queue->sleepers, &top,
                                                top->below)) {
    }
    return top;
}

/*
 * Take a sleeper to wake, and the token with it, if the wake-up rule asks
 * for one. With the token but without a sleeper we have to look again after
 * dropping it: one may have got on the stack and have trusted in the token.
 */
static worker_t *claim_sleeper(fdqueue_t *queue)
{
    while (atomic_load(&queue->sleepers) && !atomic_load(&queue->waking)
           && has_news(queue) && !atomic_exchange(&queue->waking, 1)) {
        worker_t *worker = take_sleeper(queue);

        if (worker) {
            return worker;
        }
        atomic_store(&queue->waking, 0);
    }
    return NULL;
}

static void signal_worker(worker_t *worker)
{
    apr_thread_mutex_lock(worker->mutex);
    worker->woken = 1;
    apr_thread_mutex_unlock(worker->mutex);
    /* Signalled while locked it would wake only to wait for the lock. */
    apr_thread_cond_signal(worker->cond);
}

static void wake_one(fdqueue_t *queue)
{
    worker_t *worker = claim_sleeper(queue);

    if (worker) {
        signal_worker(worker);
    }
}

void fdqueue_push(fdqueue_t *queue, fdqueue_entry_t **entry,
                  fdqueue_line_e line)
{
    fdqueue_entry_t *mine = *entry;
    fdqueue_entry_t *newest = atomic_load(&queue->inbox[line]);

    *entry = NULL;
    /* Counted first: a worker may pop it as soon as it is in. */
    if (line == FDQUEUE_NOW) {
        atomic_fetch_add(&queue->waiting, 1);
    }
    do {
        mine->next = newest;
    } while (!atomic_compare_exchange_weak(&queue->inbox[line], &newest,
                                           mine));
    wake_one(queue);
}

void fdqueue_join(fdqueue_t *queue, int worker)
{
    worker_t *self = &queue->workers[worker];

    ASSERT_STATE(self, WORKER_ABSENT);
    self->state = WORKER_IDLE;
    atomic_fetch_add(&queue->joined, 1);
}

/* The caller has the lock. */
static fdqueue_entry_t *pop_line(fdqueue_t *queue, fdqueue_line_e line)
{
    fdqueue_entry_t *first = atomic_load(&queue->line[line]);

    if (!first && atomic_load(&queue->inbox[line])) {
        fdqueue_entry_t *newest = atomic_exchange(&queue->inbox[line], NULL);

        while (newest) {
            fdqueue_entry_t *older = newest->next;

            newest->next = first;
            first = newest;
            newest = older;
        }
    }
    if (first) {
        atomic_store(&queue->line[line], first->next);
        first->next = NULL;
    }
    return first;
}

static fdqueue_entry_t *pop_any(fdqueue_t *queue)
{
    fdqueue_entry_t *entry = NULL;
    fdqueue_line_e line = FDQUEUE_LATER;

    apr_thread_mutex_lock(queue->lock);
    if (++queue->since_later >= LATER_EVERY) {
        entry = pop_line(queue, FDQUEUE_LATER);
        queue->since_later = 0;
    }
    if (!entry) {
        line = FDQUEUE_NOW;
        entry = pop_line(queue, FDQUEUE_NOW);
    }
    if (!entry) {
        line = FDQUEUE_LATER;
        entry = pop_line(queue, FDQUEUE_LATER);
        queue->since_later = 0;
    }
    apr_thread_mutex_unlock(queue->lock);

    if (entry) {
        /* In this order, so that fdqueue_idle, which reads in the other,
         * never counts a worker as idle that has taken an entry. */
        atomic_fetch_add(&queue->busy, 1);
        if (line == FDQUEUE_NOW) {
            atomic_fetch_sub(&queue->waiting, 1);
        }
    }
    return entry;
}

/* Sleep until this worker has been taken off the stack of sleepers. */
static void sleep_until_woken(fdqueue_t *queue, worker_t *self)
{
    worker_t *top = atomic_load(&queue->sleepers);
    worker_t *worker;

    do {
        self->below = top;
    } while (!atomic_compare_exchange_weak(&queue->sleepers, &top, self));

    worker = claim_sleeper(queue);
    if (worker != self) {
        if (worker) {
            signal_worker(worker);
        }
        apr_thread_mutex_lock(self->mutex);
        while (!self->woken) {
            apr_thread_cond_wait(self->cond, self->mutex);
        }
        self->woken = 0;
        apr_thread_mutex_unlock(self->mutex);
    }
    atomic_store(&queue->waking, 0);
}

fdqueue_entry_t *fdqueue_pop(fdqueue_t *queue, int worker)
{
    worker_t *self = &queue->workers[worker];
    fdqueue_entry_t *entry = NULL;

    ASSERT_STATE(self, WORKER_IDLE);
    while (!atomic_load(&queue->closed) && !(entry = pop_any(queue))) {
        sleep_until_woken(queue, self);
    }
    if (entry) {
        self->state = WORKER_BUSY;
    }
    /* For what we leave behind; and when closed, everybody's turn. */
    wake_one(queue);
    return entry;
}

void fdqueue_done(fdqueue_t *queue, int worker)
{
    worker_t *self = &queue->workers[worker];

    ASSERT_STATE(self, WORKER_BUSY);
    self->state = WORKER_IDLE;
    atomic_fetch_sub(&queue->busy, 1);
}

void fdqueue_close(fdqueue_t *queue)
{
    atomic_store(&queue->closed, 1);
    /* One is enough: each that wakes to a closed queue wakes the next. */
    wake_one(queue);
}

int fdqueue_idle(const fdqueue_t *queue)
{
    int waiting = atomic_load(&queue->waiting);
    int busy = atomic_load(&queue->busy);
    int idle = atomic_load(&queue->joined) - busy - waiting;

    return idle > 0 ? idle : 0;
}

int fdqueue_waiting(const fdqueue_t *queue)
{
    return atomic_load(&queue->waiting);
}
