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
 * A queue and its crew have one lock, which is the queue's: each function
 * says whether its caller has it or it takes it; one that says neither needs
 * none.  The crew asks the queue whether anything waits.  Who puts something
 * into the queue does so first and calls crew_wake then.
 *
 * Threads: [any] wakes, [worker] sleeps, [listener] reviews.  Owns the list
 * of sleepers, the workers' mutexes and conditions, and what is published of
 * them to other processes.  Never touches an entry, and never logs.
 */

#ifndef EVENT_CREW_H
#define EVENT_CREW_H

#include <stdatomic.h>

#include "apr_errno.h"
#include "apr_pools.h"
#include "apr_thread_mutex.h"
#include "apr_time.h"

#include "places.h"

typedef struct crew_t crew_t;
typedef struct crew_worker_t crew_worker_t;

/*
 * What the crews of several processes share, so that no more workers run
 * than there are processors.
 */
typedef struct crew_share_t {
    places_shown_t *shown; /* in memory shared by all: each writes its own */
    const atomic_int *top; /* the same: how many of these are in use */
    int mine;              /* index of this crew's own */
    int processors;
} crew_share_t;

/* What a crew knows of its queue. */
typedef struct crew_queue_t {
    apr_thread_mutex_t *lock;          /* of both */
    int (*has_work)(const void *self); /* is an entry in it? asked with
                                        * the lock and without */
    const void *self;
} crew_queue_t;

/*
 * Make a crew of workers numbered 0 to num_workers - 1, living as long as
 * pool. queue and share (NULL: all workers may run at a time) are copied.
 * Any error is one of APR's for a mutex or a condition. [main]
 */
apr_status_t crew_create(crew_t **crew, int num_workers,
                         const crew_queue_t *queue, const crew_share_t *share,
                         apr_pool_t *pool);

/* This worker belongs to the crew from now on. [worker, once] */
void crew_join(crew_t *crew, int worker);

/* How many have joined. [any] */
int crew_joined(const crew_t *crew);

/* Is there a bound to how many run now? [any] */
int crew_is_bound(const crew_t *crew);

/* Something has come into the queue: wake who is to be woken for it. Takes
 * the lock, if there is somebody. [any] */
void crew_wake(crew_t *crew);

/* The worker is through with its entry. The caller has the lock. [worker] */
void crew_return(crew_t *crew, int worker);

/* Do more run than may, so that one should sleep whatever waits? [worker] */
int crew_is_over(const crew_t *crew);

/*
 * Sleep until woken, or not at all if there is reason to look again. The
 * caller has the lock, and has it again afterwards. [worker]
 */
void crew_sleep(crew_t *crew, int worker);

/*
 * The worker has taken an entry: 0, or the processors it should go to, as
 * tasks_go takes them with PLACES_NUM. The caller has the lock. [worker]
 */
unsigned int crew_begin(crew_t *crew, int worker);

/*
 * Take the sleeper off the list that the wake-up rule asks for: the one that
 * has slept longest. NULL if it asks for none. The caller has the lock, and
 * gives the answer to crew_signal when it has not any more. [any]
 */
crew_worker_t *crew_claim(crew_t *crew);
void crew_signal(crew_worker_t *worker); /* nothing for NULL */

/*
 * Wake all, one after the other; its workers do not count among those that
 * run any more. Takes the lock. [any]
 */
void crew_close(crew_t *crew);
int crew_is_closed(const crew_t *crew);

/*
 * It is now, and so many entries that may block were ever begun, modulo 2^32:
 * see which workers are blocked, and wake others for what waits behind them.
 * Does something wait behind one who was not blocked before? 1, too, while
 * there is no bound, as then nobody is looked at. Takes the lock, if there is
 * anything to write. [listener]
 */
int crew_review(crew_t *crew, unsigned int begun, apr_time_t now);

/* How many are blocked; where nobody is looked at, all that have an entry.
 * [any] */
int crew_blocked(const crew_t *crew);

/* When a review looks at those who may be blocked, if something waits: not
 * before that. [listener] */
apr_time_t crew_looks_at(const crew_t *crew);

/*
 * When to review again at the latest, for what waits here or in a queue that
 * shares the processors. CLOCK_NEVER: nothing waits for a worker that could
 * be woken, or there is no bound; until the next review there is none then.
 * [listener]
 */
apr_time_t crew_due(crew_t *crew);

#endif /* EVENT_CREW_H */
