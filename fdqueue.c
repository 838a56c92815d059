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
 * do so, unless there is somebody to wake.  Workers take a whole inbox at a
 * time, turn it round into the line it belongs to and pop from there, under
 * one lock.  Which of them sleep and who is woken is the crew's affair, under
 * the same lock.
 *
 * Threads: [any] pushes, [worker] pops, [listener] reviews.  Owns the lines,
 * the lock and the counts of entries.  Never allocates after
 * fdqueue_create, never runs an entry and never holds two locks.
 */

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>

#include "apr_general.h"
#include "apr_thread_mutex.h"

#include "clock.h"
#include "crew.h"
#include "fdqueue.h"
#include "tasks.h"

/* With --enable-debug: callers keep to the order of join, pop and done. */
#ifdef EVENT_DEBUG
#include <assert.h>
#define ASSERT_STATE(queue, worker, is)                                      \
    assert((queue)->states[worker] == (is))
#define SET_STATE(queue, worker, to) ((void)((queue)->states[worker] = (to)))
#else
#define ASSERT_STATE(queue, worker, is) ((void)(worker))
#define SET_STATE(queue, worker, to) ((void)(worker))
#endif

/* Words that are written by different threads are kept this far apart. */
#define CACHE_LINE 64

/* While there are LATER entries one is popped at least every so many pops:
 * closings in it then get an eighth of the pops under any load of requests. */
#define LATER_EVERY 8

#define NUM_LINES (FDQUEUE_LATER + 1)

/* The listener rests while more entries than this wait, at most so long or
 * until the crew is to be looked at. */
#define REST_ABOVE 2
#define REST_TIME apr_time_from_msec(1)

typedef enum {
    WORKER_ABSENT, /* has not joined */
    WORKER_IDLE,
    WORKER_BUSY
} worker_state_e;

struct fdqueue_t {
    /* Written by every push. */
    _Alignas(CACHE_LINE) _Atomic(fdqueue_entry_t *) inbox[NUM_LINES];
    atomic_int waiting; /* entries in the NOW inbox and line */

    /* Written by every pop. */
    _Alignas(CACHE_LINE) apr_thread_mutex_t *lock; /* const */
    _Atomic(fdqueue_entry_t *) line[NUM_LINES];    /* written under lock */
    int since_later;                               /* under lock */
    atomic_int busy;                               /* workers with an entry */
    atomic_uint popped;                            /* of NOW, ever */

    /* Written by the listener; a worker ends its rest. */
    _Alignas(CACHE_LINE) atomic_int resting;
    atomic_int soon;     /* listener writes: so many in FDQUEUE_SOON */
    unsigned int paced;  /* listener: popped, when soon was last looked at */
    apr_time_t paced_at; /* listener: and when that was */

    /* Not written any more. */
    _Alignas(CACHE_LINE) crew_t *crew; /* const */
#ifdef EVENT_DEBUG
    worker_state_e *states; /* each its worker's */
#endif
};

/* For the crew, which asks with the lock and without it. */
static int has_work(const void *self)
{
    const fdqueue_t *queue = self;
    int i;

    for (i = 0; i < NUM_LINES; i++) {
        if (atomic_load(&queue->inbox[i]) || atomic_load(&queue->line[i])) {
            return 1;
        }
    }
    return 0;
}

apr_status_t fdqueue_create(fdqueue_t **queue, int num_workers,
                            const fdqueue_share_t *share, apr_pool_t *pool)
{
    /* Pools align to eight bytes only. */
    char *memory = apr_pcalloc(pool, sizeof(fdqueue_t) + CACHE_LINE - 1);
    fdqueue_t *q = (void *)APR_ALIGN((uintptr_t)memory, CACHE_LINE);
    crew_queue_t known = {NULL, has_work, q};
    apr_status_t rv;

    rv = apr_thread_mutex_create(&q->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    known.lock = q->lock;
    rv = crew_create(&q->crew, num_workers, &known, share, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
#ifdef EVENT_DEBUG
    q->states = apr_pcalloc(pool, sizeof(*q->states) * num_workers);
#endif
    *queue = q;
    return APR_SUCCESS;
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
    crew_wake(queue->crew);
}

void fdqueue_join(fdqueue_t *queue, int worker)
{
    ASSERT_STATE(queue, worker, WORKER_ABSENT);
    SET_STATE(queue, worker, WORKER_IDLE);
    crew_join(queue->crew, worker);
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

/* The caller has the lock. */
static fdqueue_entry_t *pop_any(fdqueue_t *queue)
{
    fdqueue_entry_t *entry = NULL;
    fdqueue_line_e line = FDQUEUE_LATER;

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
    if (entry) {
        /* In this order, so that fdqueue_idle, which reads in the other,
         * never counts a worker as idle that has taken an entry. */
        atomic_fetch_add(&queue->busy, 1);
        if (line == FDQUEUE_NOW) {
            atomic_fetch_add(&queue->popped, 1);
            atomic_fetch_sub(&queue->waiting, 1);
        }
    }
    return entry;
}

void fdqueue_rest(fdqueue_t *queue)
{
    if (!crew_is_bound(queue->crew)
        || atomic_load(&queue->waiting) <= REST_ABOVE) {
        return;
    }
    /* Race with a worker that pops: either it sees that we rest, or we see
     * how few are left. */
    atomic_store(&queue->resting, 1);
    if (atomic_load(&queue->waiting) > REST_ABOVE) {
        apr_interval_time_t time = crew_looks_at(queue->crew) - clock_now();

        tasks_wait(&queue->resting, 1, time > REST_TIME ? time : REST_TIME);
    }
    atomic_store(&queue->resting, 0);
}

static void end_rest(fdqueue_t *queue)
{
    if (atomic_load(&queue->resting)
        && atomic_load(&queue->waiting) <= REST_ABOVE
        && atomic_exchange(&queue->resting, 0)) {
        tasks_wake(&queue->resting);
    }
}

fdqueue_entry_t *fdqueue_pop(fdqueue_t *queue, int worker)
{
    crew_t *crew = queue->crew;
    fdqueue_entry_t *entry = NULL;
    crew_worker_t *next;
    unsigned int elsewhere = 0;

    ASSERT_STATE(queue, worker, WORKER_IDLE);
    apr_thread_mutex_lock(queue->lock);
    crew_return(crew, worker);
    while (!crew_is_closed(crew)
           && (crew_is_over(crew) || !(entry = pop_any(queue)))) {
        crew_sleep(crew, worker);
    }
    if (entry) {
        SET_STATE(queue, worker, WORKER_BUSY);
        elsewhere = crew_begin(crew, worker);
    }
    /* For what we leave behind; and when closed, everybody's turn. */
    next = crew_claim(crew);
    apr_thread_mutex_unlock(queue->lock);
    crew_signal(next);
    end_rest(queue);
    if (elsewhere != 0) {
        tasks_go(elsewhere, PLACES_NUM);
    }
    return entry;
}

void fdqueue_done(fdqueue_t *queue, int worker)
{
    ASSERT_STATE(queue, worker, WORKER_BUSY);
    SET_STATE(queue, worker, WORKER_IDLE);
    atomic_fetch_sub(&queue->busy, 1);
}

void fdqueue_close(fdqueue_t *queue)
{
    crew_close(queue->crew);
}

/*
 * Entries that wait because few workers run at a time are popped as fast as
 * others were just now, in the last FDQUEUE_SOON that was looked at as a
 * whole.  A worker that blocks while others wait may be the first of many:
 * then there is no pace until it has been so long without one.  Nor is there
 * where all workers may run.
 */
static void find_pace(fdqueue_t *queue, apr_time_t now, int blocks)
{
    unsigned int popped = atomic_load(&queue->popped);
    apr_interval_time_t time = now - queue->paced_at;
    apr_int64_t soon = 0;

    if (!blocks && time < FDQUEUE_SOON) {
        return;
    }
    if (!blocks && time < 2 * FDQUEUE_SOON) {
        soon = (apr_int64_t)(popped - queue->paced) * FDQUEUE_SOON / time;
    }
    queue->paced = popped;
    queue->paced_at = now;
    atomic_store(&queue->soon, (int)(soon < INT_MAX ? soon : INT_MAX));
}

void fdqueue_review(fdqueue_t *queue, apr_time_t now)
{
    find_pace(queue, now,
              crew_review(queue->crew, atomic_load(&queue->popped), now));
}

int fdqueue_blocked(const fdqueue_t *queue)
{
    return crew_blocked(queue->crew);
}

apr_time_t fdqueue_due(fdqueue_t *queue)
{
    return crew_due(queue->crew);
}

int fdqueue_idle(const fdqueue_t *queue, int errands)
{
    int waiting = atomic_load(&queue->waiting);
    int busy = atomic_load(&queue->busy);
    /* Errands that are not run wait; who waits behind them may be popped
     * soon. */
    int first = waiting < errands ? waiting : errands;
    int later = waiting - first - atomic_load(&queue->soon);
    int idle = crew_joined(queue->crew) - busy + errands - first
               - (later > 0 ? later : 0);

    return idle > 0 ? idle : 0;
}

int fdqueue_busy(const fdqueue_t *queue)
{
    return atomic_load(&queue->busy);
}

int fdqueue_waiting(const fdqueue_t *queue)
{
    return atomic_load(&queue->waiting);
}
