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
 * one lock.  Not all workers run at once who might: see THE BOUND.
 *
 * Threads: [any] pushes, [worker] pops, [listener] reviews.  Owns the lines,
 * the list of sleepers and the counts.  Never allocates after
 * fdqueue_create, never runs an entry and never holds two locks.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "apr_general.h"
#include "apr_thread_cond.h"
#include "apr_thread_mutex.h"

#include "clock.h"
#include "fdqueue.h"
#include "tasks.h"

/* With --enable-debug: callers keep to the order of join, pop and done. */
#ifdef EVENT_DEBUG
#include <assert.h>
#define ASSERT_STATE(worker, is) assert((worker)->state == (is))
#else
#define ASSERT_STATE(worker, is) ((void)0)
#endif

/*
 * THE WAKE-UP RULE: while the queue is not empty, a worker is asleep and
 * fewer run than may, a wake-up is in flight, and never two.
 *
 * `waking` says that one is. The woken worker takes that back and then looks
 * for entries, both under the lock, and before it lets go of the lock it
 * wakes the next one if the rule asks for it. All that changes under the
 * lock but one thing: entries arrive without it. All these words are
 * accessed in the one order that C11's default gives them, so:
 *
 *     pusher: entry in          worker: on the list of sleepers
 *     pusher: sleepers?         worker: entries?       one of them says yes
 *
 *     pusher: entry in          woken:  not waking any more
 *     pusher: waking?           woken:  entries?       one of them says yes
 *
 * THE BOUND. More running threads than processors only queue up in the
 * scheduler, at the price of a switch each and in an order that no client
 * would call fair. So a worker beyond the first is woken only while fewer
 * run, in all children together, than there are processors; what they do not
 * come to waits here, in line.
 *
 * A worker that has been at its entry for BLOCK_TIME and is asleep does not
 * count as running, nor does one that has been at it for LONG_TIME, whatever
 * it does: others must not wait for it. If entries wait while workers get
 * blocked, `extra` ones may run, twice as many as were found blocked each
 * time, and fewer again by and by. That is what fdqueue_review is for, and
 * fdqueue_due says when it is needed: who waits behind a worker that blocks
 * does so for about BLOCK_TIME. There is no bound while nobody will review:
 * who were all blocked may go on with what blocks some of them for longer,
 * and the others are not to sleep while anything waits. The listener says
 * so and then looks, as in the rule above; a worker that goes to sleep does
 * it and then reads that word.
 */

/* Words that are written by different threads are kept this far apart. */
#define CACHE_LINE 64

/* While there are LATER entries one is popped at least every so many pops:
 * closings then get an eighth of the pops under any load of requests. */
#define LATER_EVERY 8

#define NUM_LINES (FDQUEUE_LATER + 1)

/* See THE BOUND. */
#define BLOCK_TIME apr_time_from_msec(1)
#define LONG_TIME apr_time_from_msec(5)

/* The listener rests while more entries than this wait. */
#define REST_BELOW 2

typedef enum {
    WORKER_ABSENT, /* has not joined */
    WORKER_IDLE,
    WORKER_BUSY
} worker_state_e;

typedef struct worker_t worker_t;

struct worker_t {
    _Alignas(CACHE_LINE) worker_state_e state; /* this worker */
    worker_t *next;                /* under lock; the sleeper after it */
    apr_thread_mutex_t *mutex;     /* const; for woken */
    apr_thread_cond_t *cond;       /* const; woken has become 1 */
    int woken;                     /* under mutex */
    long task;                     /* const once joined; for tasks */
    atomic_int blocked;            /* written under lock; it was found so, and
                                    * has not popped since */
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

    /* Written by going to sleep and by waking, under lock. */
    _Alignas(CACHE_LINE) worker_t *first;
    worker_t *last;      /* under lock; of the sleepers, by how long they are */
    atomic_int sleeping; /* how many those are */
    atomic_int waking;   /* one has been woken and has not looked yet */
    int counted;         /* under lock; what of it is in share.running */

    /* Written when the listener rests and when it sleeps. */
    _Alignas(CACHE_LINE) atomic_int resting;
    atomic_int unwatched; /* no review comes before something happens */

    /* Hardly ever written by workers. */
    _Alignas(CACHE_LINE) atomic_int joined;
    atomic_int closed;
    worker_t *workers;          /* const */
    int num_workers;            /* const */
    fdqueue_share_t share;      /* const; processors is 0: no bound */
    _Atomic(apr_time_t) now;    /* the last review's */
    _Atomic(apr_time_t) *since; /* when each worker took its entry; 0: it is
                                 * asleep */
    atomic_int blocked;         /* written under lock; how many are */
    atomic_int extra;           /* workers beyond the bound that may run */
    apr_time_t changed_at;      /* reviewer: when extra was last looked at */
};

/* Pools align to eight bytes only. */
static void *aligned_zeros(apr_pool_t *pool, apr_size_t size)
{
    char *memory = apr_pcalloc(pool, size + CACHE_LINE - 1);

    return (void *)APR_ALIGN((uintptr_t)memory, CACHE_LINE);
}

apr_status_t fdqueue_create(fdqueue_t **queue, int num_workers,
                            const fdqueue_share_t *share, apr_pool_t *pool)
{
    fdqueue_t *q = aligned_zeros(pool, sizeof(*q));
    apr_status_t rv;
    int i;

    rv = apr_thread_mutex_create(&q->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    q->num_workers = num_workers;
    if (share != NULL && TASKS_CAN_TELL) {
        q->share = *share;
    }
    q->since = aligned_zeros(pool, sizeof(*q->since) * num_workers);
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

/* Workers of this queue that run, or would if they had a processor. */
static int running(fdqueue_t *queue)
{
    return atomic_load(&queue->joined) - atomic_load(&queue->sleeping)
           - atomic_load(&queue->blocked);
}

/* How many workers more may run; less than 0: so many too many. */
static int room(fdqueue_t *queue)
{
    const fdqueue_share_t *share = &queue->share;
    int all, mine;

    if (share->processors == 0 || atomic_load(&queue->closed)
        || atomic_load(&queue->unwatched)) {
        return 1;
    }
    mine = 1 - running(queue);
    all = share->processors - atomic_load(share->running);
    return (mine > all ? mine : all) + atomic_load(&queue->extra);
}

/* Tell the other queues how many of ours run; once closed we are out of it.
 * The caller has the lock. */
static void publish(fdqueue_t *queue)
{
    int now;

    if (queue->share.processors > 0) {
        now = atomic_load(&queue->closed) ? 0 : running(queue);
        if (now != queue->counted) {
            atomic_fetch_add(queue->share.running, now - queue->counted);
            atomic_store(queue->share.mine, now);
            queue->counted = now;
        }
    }
}

static int wakes_one(fdqueue_t *queue)
{
    return atomic_load(&queue->sleeping) > 0 && !atomic_load(&queue->waking)
           && has_news(queue) && room(queue) > 0;
}

/* Take the sleeper that the wake-up rule asks for off the list, if it does:
 * the one that has slept longest. The caller has the lock, and signals when
 * it has not any more. */
static worker_t *claim_sleeper(fdqueue_t *queue)
{
    worker_t *worker;

    if (!wakes_one(queue)) {
        return NULL;
    }
    worker = queue->first;
    queue->first = worker->next;
    atomic_fetch_sub(&queue->sleeping, 1);
    atomic_store(&queue->waking, 1);
    publish(queue);
    return worker;
}

static void signal_worker(worker_t *worker)
{
    if (worker != NULL) {
        apr_thread_mutex_lock(worker->mutex);
        worker->woken = 1;
        apr_thread_mutex_unlock(worker->mutex);
        /* Signalled while locked it would wake only to wait for the lock. */
        apr_thread_cond_signal(worker->cond);
    }
}

static void wake_one(fdqueue_t *queue)
{
    worker_t *worker;

    if (wakes_one(queue)) {
        apr_thread_mutex_lock(queue->lock);
        worker = claim_sleeper(queue);
        apr_thread_mutex_unlock(queue->lock);
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
    self->task = tasks_self();
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
            atomic_fetch_sub(&queue->waiting, 1);
        }
    }
    return entry;
}

void fdqueue_rest(fdqueue_t *queue)
{
    if (queue->share.processors == 0
        || atomic_load(&queue->waiting) <= REST_BELOW) {
        return;
    }
    /* Race with a worker that pops: either it sees that we rest, or we see
     * how few are left. */
    atomic_store(&queue->resting, 1);
    if (atomic_load(&queue->waiting) > REST_BELOW) {
        tasks_wait(&queue->resting, 1, BLOCK_TIME);
    }
    atomic_store(&queue->resting, 0);
}

static void end_rest(fdqueue_t *queue)
{
    if (atomic_load(&queue->resting)
        && atomic_load(&queue->waiting) <= REST_BELOW
        && atomic_exchange(&queue->resting, 0)) {
        tasks_wake(&queue->resting);
    }
}

/* Sleep until somebody takes this worker off the list of sleepers. The
 * caller has the lock, and has it again afterwards. */
static void sleep_until_woken(fdqueue_t *queue, worker_t *self)
{
    atomic_store(&queue->since[self - queue->workers], 0);
    /* Counted before it looks, as pushers look after they have pushed; the
     * list itself is nobody's but the lock's. */
    atomic_fetch_add(&queue->sleeping, 1);
    if (has_news(queue) && room(queue) > 0) {
        /* What has come meanwhile, its pusher saw nobody to wake for. */
        atomic_fetch_sub(&queue->sleeping, 1);
        return;
    }
    self->next = NULL;
    if (queue->first == NULL) {
        queue->first = self;
    }
    else {
        queue->last->next = self;
    }
    queue->last = self;
    publish(queue);
    apr_thread_mutex_unlock(queue->lock);

    apr_thread_mutex_lock(self->mutex);
    while (!self->woken) {
        apr_thread_cond_wait(self->cond, self->mutex);
    }
    self->woken = 0;
    apr_thread_mutex_unlock(self->mutex);

    apr_thread_mutex_lock(queue->lock);
    atomic_store(&queue->waking, 0);
}

fdqueue_entry_t *fdqueue_pop(fdqueue_t *queue, int worker)
{
    worker_t *self = &queue->workers[worker];
    fdqueue_entry_t *entry = NULL;
    worker_t *next;

    ASSERT_STATE(self, WORKER_IDLE);
    apr_thread_mutex_lock(queue->lock);
    if (atomic_load(&self->blocked)) {
        atomic_store(&self->blocked, 0);
        atomic_fetch_sub(&queue->blocked, 1);
        publish(queue);
    }
    while (!atomic_load(&queue->closed)
           && (room(queue) < 0 || !(entry = pop_any(queue)))) {
        sleep_until_woken(queue, self);
    }
    if (entry) {
        self->state = WORKER_BUSY;
        atomic_store(&queue->since[worker], atomic_load(&queue->now));
    }
    /* For what we leave behind; and when closed, everybody's turn. */
    next = claim_sleeper(queue);
    apr_thread_mutex_unlock(queue->lock);
    signal_worker(next);
    end_rest(queue);
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
    worker_t *worker;

    apr_thread_mutex_lock(queue->lock);
    atomic_store(&queue->closed, 1);
    publish(queue);
    /* One is enough: each that wakes to a closed queue wakes the next. */
    worker = claim_sleeper(queue);
    apr_thread_mutex_unlock(queue->lock);
    signal_worker(worker);
}

/* This worker was blocked with the entry it took at since: 1 if it still has
 * that one. */
static int mark_blocked(fdqueue_t *queue, int i, apr_time_t since)
{
    int is_same;

    apr_thread_mutex_lock(queue->lock);
    is_same = atomic_load(&queue->since[i]) == since;
    if (is_same) {
        atomic_store(&queue->workers[i].blocked, 1);
        atomic_fetch_add(&queue->blocked, 1);
        publish(queue);
    }
    apr_thread_mutex_unlock(queue->lock);
    return is_same;
}

/*
 * Find workers that are blocked, and have not been found so before: how many
 * of them are asleep? One that only waits for a processor is not, unless it
 * takes very long: another one would wait for a processor, too.
 */
static int find_blocked(fdqueue_t *queue, apr_time_t now)
{
    int i, found = 0;

    for (i = 0; i < queue->num_workers; i++) {
        const worker_t *worker = &queue->workers[i];
        apr_time_t since = atomic_load(&queue->since[i]);
        int asleep;

        if (since == 0 || now - since < BLOCK_TIME
            || atomic_load(&worker->blocked)) {
            continue;
        }
        asleep = tasks_is_asleep(worker->task) != 0;
        if (asleep || now - since >= LONG_TIME) {
            found += mark_blocked(queue, i, since) && asleep;
        }
    }
    return found;
}

void fdqueue_review(fdqueue_t *queue, apr_time_t now)
{
    int extra = atomic_load(&queue->extra);
    int found;

    atomic_store(&queue->now, now);
    atomic_store(&queue->unwatched, 0);
    if (queue->share.processors == 0
        || atomic_load(&queue->joined) == atomic_load(&queue->sleeping)) {
        return;
    }
    found = find_blocked(queue, now);
    if (found > 0 && has_news(queue)) {
        extra += 2 * found;
        queue->changed_at = now;
    }
    else if (extra > 0 && now - queue->changed_at >= BLOCK_TIME) {
        extra -= (extra + 3) / 4;
        queue->changed_at = now;
    }
    atomic_store(&queue->extra,
                 extra < queue->num_workers ? extra : queue->num_workers);
    wake_one(queue);
}

/* Does anything wait for a worker that could be woken? */
static int waits_for_sleeper(fdqueue_t *queue)
{
    return atomic_load(&queue->sleeping) > 0 && has_news(queue);
}

apr_time_t fdqueue_due(fdqueue_t *queue)
{
    apr_time_t now = atomic_load(&queue->now);

    if (queue->share.processors == 0 || atomic_load(&queue->closed)) {
        return CLOCK_NEVER;
    }
    if (waits_for_sleeper(queue)) {
        return now + BLOCK_TIME;
    }
    /* Nothing waits here, but in other queues something may, behind one of
     * ours that does not really run. */
    if (atomic_load(queue->share.mine) > 0) {
        return now + LONG_TIME;
    }
    /* Race with a worker that leaves something and goes to sleep. */
    atomic_store(&queue->unwatched, 1);
    if (waits_for_sleeper(queue)) {
        atomic_store(&queue->unwatched, 0);
        return now + BLOCK_TIME;
    }
    return CLOCK_NEVER;
}

int fdqueue_idle(const fdqueue_t *queue)
{
    int waiting = atomic_load(&queue->waiting);
    int busy = atomic_load(&queue->busy);
    int idle = atomic_load(&queue->joined) - busy - waiting;

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
