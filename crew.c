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
 * crew: the workers of a queue: who sleeps, who is woken, how many may run.
 *
 * Each worker sleeps on a condition of its own, so that who wakes one knows
 * whom.  Not all workers run at once who might: see THE BOUND.
 *
 * Threads: [any] wakes, [worker] sleeps, [listener] reviews.  "The lock" is
 * the queue's.  Never allocates after crew_create and never holds two locks.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "apr_general.h"
#include "apr_thread_cond.h"
#include "apr_thread_mutex.h"

#include "blocked.h"
#include "clock.h"
#include "crew.h"
#include "tasks.h"
#include "trial.h"
#include "width.h"

/*
 * THE WAKE-UP RULE: while the queue is not empty, or is closed, a worker is
 * asleep and fewer run than may, a wake-up is in flight, and never two.
 *
 * `waking` says that one is. The woken worker takes that back and then looks
 * for entries, both under the lock, and before it lets go of the lock it
 * claims the next one if the rule asks for it: so does fdqueue_pop. All that
 * changes under the lock but one thing: entries arrive without it. All these
 * words are accessed in the one order that C11's default gives them, so:
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
 * come to waits here, in line. Of this crew it may be fewer, where fewer get
 * more done: width.h says how many.
 *
 * A worker that is blocked does not count as running: blocked.h says which.
 *
 * If entries wait while workers get blocked, `extra` ones may run, twice as
 * many as were found blocked each time, and fewer again by and by. That is
 * what crew_review is for, and crew_due says when it is needed: who waits
 * behind a worker that blocks does so for about BLOCK_TIME, and for up to
 * BLOCKED_PAUSE more if none was found asleep in the last looks.
 *
 * Where many entries are found asleep there is no bound for a while, and nobody
 * is looked at: trial.h says when. As it is not known then how many run, others
 * are told of one at most, and of no processor that is taken.
 *
 * When nothing waits for a sleeper and no worker counts as running, there is
 * nothing to review: the listener sets `unwatched` and sleeps. Until the next
 * review there is no bound, as workers that come back may be blocked again by
 * what they take, and nobody would notice: no other is to sleep while an
 * entry waits. The listener sets that word and then looks for entries; a
 * worker gets on the list of sleepers and then reads it: one of them sees the
 * other.
 */

/* Words that are written by different threads are kept this far apart. */
#define CACHE_LINE 64

/* See THE BOUND. */
#define BLOCK_TIME apr_time_from_msec(1)

/* The next review, while nothing waits here and no other crew runs anybody. */
#define ALONE_TIME apr_time_from_msec(20)

struct crew_worker_t {
    /* Under lock; the sleeper after it. */
    _Alignas(CACHE_LINE) crew_worker_t *next;
    apr_thread_mutex_t *mutex; /* const; for woken */
    apr_thread_cond_t *cond;   /* const; woken has become 1 */
    int woken;                 /* under mutex */
    place_t place;             /* under lock */
};

struct crew_t {
    /* Written by going to sleep and by waking, under lock. */
    _Alignas(CACHE_LINE) crew_worker_t *first;
    crew_worker_t *last; /* of the sleepers, who are in order of their sleep */
    atomic_int sleeping; /* how many those are */
    atomic_int waking;   /* one has been woken and has not looked yet */
    places_t places;     /* under lock */
    int shown_running;   /* under lock; what is shown of it */
    unsigned int shown_taken;

    /* Written when the listener sleeps. */
    _Alignas(CACHE_LINE) atomic_int unwatched; /* no review comes before
                                                * something happens */

    /* Hardly ever written. */
    _Alignas(CACHE_LINE) atomic_int joined;
    atomic_int closed;
    crew_worker_t *workers; /* const */
    int num_workers;        /* const */
    crew_queue_t queue;     /* const */
    crew_share_t share;     /* const; processors is 0: no bound */
    blocked_t *blocked;     /* const */
    atomic_int free;        /* written under lock, by the reviewer; there is no
                             * bound, says the trial */
    atomic_int width_now;   /* written by the reviewer: the answer of width */
    atomic_int extra;       /* the same; workers beyond the bound that may
                             * run */

    /* The reviewer's. */
    _Alignas(CACHE_LINE) apr_time_t now; /* the last review's */
    apr_time_t looked_at; /* at those that may be blocked, the last time */
    trial_t trial;
    width_t width;
    apr_time_t changed_at; /* until then extra has been made smaller */
};

/* Workers of this crew that run, or would if they had a processor. */
static int running(const crew_t *crew)
{
    return atomic_load(&crew->joined) - atomic_load(&crew->sleeping)
           - blocked_num(crew->blocked);
}

/*
 * Tell the other crews how many of ours run, and where; once closed we are out
 * of it. No sum is kept that would have to agree with this: when a child is
 * killed, wherever it was, the parent writes 0 here and all is right. The caller
 * has the lock.
 */
static void publish(crew_t *crew)
{
    int now = 0;
    unsigned int taken = 0;

    if (crew->share.processors > 0) {
        places_shown_t *shown = &crew->share.shown[crew->share.mine];

        if (!atomic_load(&crew->closed)) {
            int is_free = atomic_load(&crew->free);

            now = running(crew);
            now = is_free && now > 1 ? 1 : now;
            taken = is_free ? 0 : crew->places.taken;
        }
        if (now != crew->shown_running) {
            atomic_store(&shown->running, now);
            crew->shown_running = now;
        }
        if (taken != crew->shown_taken) {
            atomic_store(&shown->taken, taken);
            crew->shown_taken = taken;
        }
    }
}

/* That worker is blocked. The caller has the lock. */
static void take_off(void *self, int worker)
{
    crew_t *crew = self;

    places_leave(&crew->places, &crew->workers[worker].place);
    publish(crew);
}

/* Pools align to eight bytes only. */
static void *aligned_zeros(apr_pool_t *pool, apr_size_t size)
{
    char *memory = apr_pcalloc(pool, size + CACHE_LINE - 1);

    return (void *)APR_ALIGN((uintptr_t)memory, CACHE_LINE);
}

apr_status_t crew_create(crew_t **crew, int num_workers,
                         const crew_queue_t *queue, const crew_share_t *share,
                         apr_pool_t *pool)
{
    crew_t *made = aligned_zeros(pool, sizeof(*made));
    apr_status_t rv;
    int i;

    made->num_workers = num_workers;
    trial_init(&made->trial);
    made->queue = *queue;
    if (share != NULL && TASKS_CAN_TELL) {
        made->share = *share;
        atomic_store(&made->width_now, share->processors);
        width_init(&made->width, share->processors);
    }
    made->blocked = blocked_create(num_workers, queue->lock, take_off, made,
                                   pool);
    made->workers = aligned_zeros(pool, sizeof(crew_worker_t) * num_workers);
    for (i = 0; i < num_workers; i++) {
        crew_worker_t *worker = &made->workers[i];

        rv = apr_thread_mutex_create(&worker->mutex,
                                     APR_THREAD_MUTEX_DEFAULT, pool);
        if (rv == APR_SUCCESS) {
            rv = apr_thread_cond_create(&worker->cond, pool);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    *crew = made;
    return APR_SUCCESS;
}

void crew_join(crew_t *crew, int worker)
{
    blocked_join(crew->blocked, worker);
    atomic_fetch_add(&crew->joined, 1);
}

int crew_joined(const crew_t *crew)
{
    return atomic_load(&crew->joined);
}

int crew_is_bound(const crew_t *crew)
{
    return crew->share.processors > 0 && !atomic_load(&crew->free);
}

int crew_is_closed(const crew_t *crew)
{
    return atomic_load(&crew->closed);
}

/* Is there anything a sleeping worker would have to be woken for? */
static int has_news(const crew_t *crew)
{
    return crew->queue.has_work(crew->queue.self)
           || atomic_load(&crew->closed);
}

/* How many more workers may run, 1 if there is no bound; below 0, how many
 * too many do. */
static int room(const crew_t *crew)
{
    const crew_share_t *share = &crew->share;
    int running_now, mine, all, may, most, top, i;

    if (share->processors == 0 || atomic_load(&crew->closed)
        || atomic_load(&crew->unwatched) || atomic_load(&crew->free)) {
        return 1;
    }
    running_now = running(crew);
    mine = 1 - running_now; /* one of each crew may run in any case */
    all = share->processors;
    top = atomic_load(share->top);
    for (i = 0; i < top && all > mine; i++) {
        all -= atomic_load(&share->shown[i].running);
    }
    may = mine > all ? mine : all;
    most = atomic_load(&crew->width_now) - running_now;
    return (may < most ? may : most) + atomic_load(&crew->extra);
}

static int wakes_one(const crew_t *crew)
{
    return atomic_load(&crew->sleeping) > 0 && !atomic_load(&crew->waking)
           && has_news(crew) && room(crew) > 0;
}

crew_worker_t *crew_claim(crew_t *crew)
{
    crew_worker_t *worker;

    if (!wakes_one(crew)) {
        return NULL;
    }
    worker = crew->first;
    crew->first = worker->next;
    atomic_fetch_sub(&crew->sleeping, 1);
    atomic_store(&crew->waking, 1);
    publish(crew);
    return worker;
}

void crew_signal(crew_worker_t *worker)
{
    if (worker != NULL) {
        apr_thread_mutex_lock(worker->mutex);
        worker->woken = 1;
        apr_thread_mutex_unlock(worker->mutex);
        /* Signalled while locked it would wake only to wait for the lock. */
        apr_thread_cond_signal(worker->cond);
    }
}

void crew_wake(crew_t *crew)
{
    crew_worker_t *worker;

    if (wakes_one(crew)) {
        apr_thread_mutex_lock(crew->queue.lock);
        worker = crew_claim(crew);
        apr_thread_mutex_unlock(crew->queue.lock);
        crew_signal(worker);
    }
}

int crew_is_over(const crew_t *crew)
{
    return room(crew) < 0;
}

void crew_return(crew_t *crew, int worker)
{
    if (blocked_return(crew->blocked, worker)) {
        publish(crew);
    }
}

unsigned int crew_begin(crew_t *crew, int worker)
{
    const crew_share_t *share = &crew->share;
    place_t *place = &crew->workers[worker].place;
    unsigned int better;

    if (share->processors > 0) {
        blocked_begin(crew->blocked, worker);
    }
    if (share->processors < 2 || atomic_load(&crew->free)) {
        return 0;
    }
    places_enter(&crew->places, place, tasks_processor());
    better = places_better(&crew->places, *place, share->processors,
                           share->shown, atomic_load(share->top),
                           share->mine);
    if (better != 0) {
        places_leave(&crew->places, place); /* until it is there */
    }
    publish(crew);
    return better;
}

void crew_sleep(crew_t *crew, int worker)
{
    crew_worker_t *self = &crew->workers[worker];

    blocked_sleep(crew->blocked, worker);
    /* Counted before it looks, as pushers look after they have pushed; the
     * list itself is nobody's but the lock's. */
    atomic_fetch_add(&crew->sleeping, 1);
    if (has_news(crew) && room(crew) > 0) {
        /* What has come meanwhile, its pusher saw nobody to wake for. */
        atomic_fetch_sub(&crew->sleeping, 1);
        return;
    }
    places_leave(&crew->places, &self->place);
    self->next = NULL;
    if (crew->first == NULL) {
        crew->first = self;
    }
    else {
        crew->last->next = self;
    }
    crew->last = self;
    publish(crew);
    apr_thread_mutex_unlock(crew->queue.lock);

    apr_thread_mutex_lock(self->mutex);
    while (!self->woken) {
        apr_thread_cond_wait(self->cond, self->mutex);
    }
    self->woken = 0;
    apr_thread_mutex_unlock(self->mutex);

    apr_thread_mutex_lock(crew->queue.lock);
    atomic_store(&crew->waking, 0);
}

void crew_close(crew_t *crew)
{
    crew_worker_t *worker;

    apr_thread_mutex_lock(crew->queue.lock);
    atomic_store(&crew->closed, 1);
    publish(crew);
    /* One is enough: each that wakes to a closed queue wakes the next. */
    worker = crew_claim(crew);
    apr_thread_mutex_unlock(crew->queue.lock);
    crew_signal(worker);
}

int crew_blocked(const crew_t *crew)
{
    return atomic_load(&crew->free)
               ? atomic_load(&crew->joined) - atomic_load(&crew->sleeping)
               : blocked_num(crew->blocked);
}

/* There is no bound from now on, or there is one again. */
static void set_free(crew_t *crew, int is_free)
{
    apr_thread_mutex_lock(crew->queue.lock);
    atomic_store(&crew->free, is_free);
    publish(crew);
    apr_thread_mutex_unlock(crew->queue.lock);
}

/* So many have just been found blocked: how many more may run beyond the
 * bound? 1 if anything waits behind them. */
static int adjust_extra(crew_t *crew, int found, apr_time_t now)
{
    int extra = atomic_load(&crew->extra);
    int blocks = found > 0 && has_news(crew);

    if (blocks) {
        extra += 2 * found;
        crew->changed_at = now;
    }
    for (; extra > 0 && now - crew->changed_at >= BLOCK_TIME;
         crew->changed_at += BLOCK_TIME) {
        extra -= (extra + 3) / 4;
    }
    extra = extra < crew->num_workers ? extra : crew->num_workers;
    if (extra != atomic_load(&crew->extra)) {
        atomic_store(&crew->extra, extra);
    }
    return blocks;
}

/* Have as many of this crew run at a time as do most. */
static void adjust_width(crew_t *crew, unsigned int begun, apr_time_t now)
{
    int width = width_review(&crew->width, begun, running(crew),
                             has_news(crew), now);

    if (width != atomic_load(&crew->width_now)) {
        atomic_store(&crew->width_now, width);
    }
}

int crew_review(crew_t *crew, unsigned int begun, apr_time_t now)
{
    int was_free = atomic_load(&crew->free);
    int is_due = was_free ? trial_looks(&crew->trial, begun, now)
                          : now >= blocked_due(crew->blocked);
    int is_free = was_free, found = 0;
    int blocks;

    crew->now = now;
    if (is_due) {
        crew->looked_at = now;
    }
    if (atomic_load(&crew->unwatched)) {
        atomic_store(&crew->unwatched, 0);
    }
    if (crew->share.processors == 0) {
        return 1;
    }
    if (!was_free) {
        adjust_width(crew, begun, now);
    }
    if (is_due
        && atomic_load(&crew->joined) != atomic_load(&crew->sleeping)) {
        found = blocked_find(crew->blocked, &crew->trial, now);
        is_free = trial_frees(&crew->trial, begun, now);
        if (was_free) {
            found = 0; /* they have gathered in all the free time, and do not
                        * say that many block now */
        }
    }
    blocks = adjust_extra(crew, found, now) || is_free;
    if (is_free != was_free) {
        set_free(crew, is_free);
    }
    crew_wake(crew);
    return blocks;
}

/* Does anything wait for a worker that could be woken? */
static int waits_for_sleeper(const crew_t *crew)
{
    return atomic_load(&crew->sleeping) > 0 && has_news(crew);
}

static int others_run(const crew_t *crew)
{
    const crew_share_t *share = &crew->share;
    int top = atomic_load(share->top);
    int i;

    for (i = 0; i < top; i++) {
        if (i != share->mine && atomic_load(&share->shown[i].running) > 0) {
            return 1;
        }
    }
    return 0;
}

/* Are others told that any of ours run? */
static int shows_any(const crew_t *crew)
{
    return atomic_load(&crew->share.shown[crew->share.mine].running) > 0;
}

apr_time_t crew_looks_at(const crew_t *crew)
{
    apr_time_t due = blocked_due(crew->blocked);
    apr_time_t first = crew->now + BLOCK_TIME;

    return due > first ? due : first;
}

apr_time_t crew_due(crew_t *crew)
{
    if (crew->share.processors == 0 || atomic_load(&crew->closed)) {
        return CLOCK_NEVER;
    }
    if (atomic_load(&crew->free)) {
        return shows_any(crew) ? trial_due(&crew->trial) : CLOCK_NEVER;
    }
    if (waits_for_sleeper(crew)) {
        return crew_looks_at(crew);
    }
    /* Nothing waits here, but in other queues something may, behind one of
     * ours that does not really run: if so, one of theirs does. */
    if (shows_any(crew)) {
        return others_run(crew) ? crew->looked_at + BLOCKED_LONG
                                : crew->now + ALONE_TIME;
    }
    /* Race with a worker that leaves something and goes to sleep. */
    atomic_store(&crew->unwatched, 1);
    if (waits_for_sleeper(crew)) {
        atomic_store(&crew->unwatched, 0);
        return crew_looks_at(crew);
    }
    return CLOCK_NEVER;
}
