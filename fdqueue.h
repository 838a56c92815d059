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
 * Entries are embedded in what they stand for, so a push needs no memory
 * and cannot fail: the queue is never full.  There are two lines: NOW for
 * clients that wait for us, LATER for closings and other work nobody waits
 * for; each line is first in, first out.
 *
 * Threads: [any] pushes, [worker] pops, [listener] rests and reviews.  The
 * queue owns an entry from push to pop and touches nothing of it but the
 * entry itself.  It never looks at what an entry is embedded in, and never
 * logs.
 */

#ifndef EVENT_FDQUEUE_H
#define EVENT_FDQUEUE_H

#include "apr.h"
#include "apr_errno.h"
#include "apr_pools.h"
#include "apr_time.h"

#include "crew.h"

typedef struct fdqueue_t fdqueue_t;
typedef struct fdqueue_entry_t fdqueue_entry_t;

struct fdqueue_entry_t {
    fdqueue_entry_t *next; /* fdqueue, from push to pop */
    int kind;              /* the user's: what this is embedded in */
};

/* Who waits for this long need not go to another child for a worker. */
#define FDQUEUE_SOON apr_time_from_msec(100)

typedef enum {
    FDQUEUE_NOW,  /* a client waits */
    FDQUEUE_LATER /* taken when NOW is empty, and at least once in a while */
} fdqueue_line_e;

/* What the queues of several processes share: the shares of their crews. */
typedef crew_share_t fdqueue_share_t;

/*
 * Make a queue for workers numbered 0 to num_workers - 1, living as long as
 * pool. share (NULL: all workers may run at a time) is copied. Any error is
 * one of APR's for a mutex or a condition. [main]
 */
apr_status_t fdqueue_create(fdqueue_t **queue, int num_workers,
                            const fdqueue_share_t *share, apr_pool_t *pool);

/*
 * Give *entry to the workers and null the giver's pointer: it may run and
 * be gone before this returns. Wakes a sleeping worker only if no wake-up
 * is on its way already. [any]
 */
void fdqueue_push(fdqueue_t *queue, fdqueue_entry_t **entry,
                  fdqueue_line_e line);

/*
 * This worker is ready for its first entry: from now on it counts as idle.
 * [worker, once]
 */
void fdqueue_join(fdqueue_t *queue, int worker);

/*
 * Take the next entry, sleeping until there is one. NULL once the queue is
 * closed (whatever is still queued then stays there). The worker counts as
 * busy until fdqueue_done. [worker]
 */
fdqueue_entry_t *fdqueue_pop(fdqueue_t *queue, int worker);

/*
 * The entry popped last has been dealt with: this worker is idle. One that
 * ends instead of popping again leaves this out and stays busy for good.
 * [worker]
 */
void fdqueue_done(fdqueue_t *queue, int worker);

/*
 * Make every pop, sleeping or future, return NULL; one that is under way on
 * another thread may still get its entry. Its workers do not count among
 * those that run any more. [any]
 */
void fdqueue_close(fdqueue_t *queue);

/*
 * It is now: see which workers are blocked, and wake others for what waits
 * behind them. Before pushing, and again when fdqueue_due says. [listener]
 */
void fdqueue_review(fdqueue_t *queue, apr_time_t now);

/*
 * Sleep until so few entries wait that more are welcome, but only for a
 * moment (a millisecond, or up to five while all compute): what is pushed
 * earlier would only wait longer. Not at all if all workers may run at a time.
 * [listener]
 */
void fdqueue_rest(fdqueue_t *queue);

/*
 * When to review again at the latest, for what waits here or in a queue that
 * shares the processors. CLOCK_NEVER: nothing waits for a worker that could
 * be woken, or there is no bound; until the next review there is none then.
 * [listener]
 */
apr_time_t fdqueue_due(fdqueue_t *queue);

/*
 * Workers that neither run an entry nor have one of the NOW line waiting
 * for them; never negative. What waits for a processor, as few workers run at
 * a time, waits for no worker: that is as many entries as were popped of late
 * in FDQUEUE_SOON. errands: so many entries, which wait or are run, take no
 * worker away, as who runs one is through at once. A moment's figure. [any]
 */
int fdqueue_idle(const fdqueue_t *queue, int errands);

/* Workers that run an entry. [any] */
int fdqueue_busy(const fdqueue_t *queue);

/* Workers that sleep in their entry, or have been at it for so long that
 * others may run beside them; as last reviewed. All that have an entry, where
 * many block. [any] */
int fdqueue_blocked(const fdqueue_t *queue);

/* Entries in the NOW line that no worker has taken yet. [any] */
int fdqueue_waiting(const fdqueue_t *queue);

#endif /* EVENT_FDQUEUE_H */
