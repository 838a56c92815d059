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


/* blocked: see blocked.h */

#include <stdatomic.h>
#include <stdint.h>

#include "apr_general.h"

#include "blocked.h"
#include "clock.h"
#include "tasks.h"

/* What workers write is not in a line of cache with anything else. */
#define CACHE_LINE 64

/* After so long without a look the next ones are early again. */
#define FORGET (4 * BLOCKED_PAUSE)

typedef struct one_t {
    long task;           /* const once joined; for tasks */
    atomic_int is_found; /* written under lock; it is blocked, and has not
                          * returned since */
} one_t;

struct blocked_t {
    apr_thread_mutex_t *lock;   /* const */
    blocked_fn *found;          /* const */
    void *self;                 /* const */
    int num_workers;            /* const */
    one_t *workers;             /* const */
    _Atomic(apr_time_t) *since; /* when each worker took its entry; 0: it is
                                 * asleep */
    atomic_int num;             /* written under lock; how many are found */
    apr_time_t looked_at;       /* listener: at one at least, the last time */
    apr_interval_time_t pause;  /* listener: the longest from then to the next
                                 * look */
    apr_time_t due;             /* listener: when that is needed */
};

blocked_t *blocked_create(int num_workers, apr_thread_mutex_t *lock,
                          blocked_fn *found, void *self, apr_pool_t *pool)
{
    blocked_t *b = apr_pcalloc(pool, sizeof(*b));
    apr_size_t size = APR_ALIGN(sizeof(*b->since) * (apr_size_t)num_workers,
                                CACHE_LINE);
    /* Pools align to eight bytes only. */
    char *since = apr_pcalloc(pool, size + CACHE_LINE - 1);

    b->lock = lock;
    b->found = found;
    b->self = self;
    b->num_workers = num_workers;
    b->workers = apr_pcalloc(pool, sizeof(one_t) * (apr_size_t)num_workers);
    b->since = (void *)APR_ALIGN((uintptr_t)since, CACHE_LINE);
    return b;
}

void blocked_join(blocked_t *blocked, int worker)
{
    blocked->workers[worker].task = tasks_self();
}

void blocked_begin(blocked_t *blocked, int worker)
{
    atomic_store(&blocked->since[worker], clock_now());
}

void blocked_sleep(blocked_t *blocked, int worker)
{
    atomic_store(&blocked->since[worker], 0);
}

int blocked_return(blocked_t *blocked, int worker)
{
    one_t *one = &blocked->workers[worker];

    if (!atomic_load(&one->is_found)) {
        return 0;
    }
    atomic_store(&one->is_found, 0);
    atomic_fetch_sub(&blocked->num, 1);
    return 1;
}

int blocked_num(const blocked_t *blocked)
{
    return atomic_load(&blocked->num);
}

/* Count this worker, unless it has gone on from the entry it took at since:
 * 1 if it is counted. */
static int mark(blocked_t *blocked, int worker, apr_time_t since)
{
    int is_same;

    apr_thread_mutex_lock(blocked->lock);
    is_same = atomic_load(&blocked->since[worker]) == since;
    if (is_same) {
        atomic_store(&blocked->workers[worker].is_found, 1);
        atomic_fetch_add(&blocked->num, 1);
        blocked->found(blocked->self, worker);
    }
    apr_thread_mutex_unlock(blocked->lock);
    return is_same;
}

/* Some were looked at, and one at least was asleep, or none. If none, the next
 * pause is half as long again, but not beyond the end; after FORGET without a
 * look they begin anew. */
static void put_off(blocked_t *blocked, int is_asleep, apr_time_t now,
                    apr_time_t end)
{
    apr_interval_time_t pause = blocked->pause;

    if (is_asleep) {
        pause = 0;
    }
    else {
        pause = now - blocked->looked_at < FORGET ? pause : 0;
        pause += pause / 2 + BLOCKED_ASLEEP;
        pause = pause < BLOCKED_PAUSE ? pause : BLOCKED_PAUSE;
    }
    blocked->pause = pause;
    blocked->looked_at = now;
    blocked->due = now + pause < end ? now + pause : end;
}

apr_time_t blocked_due(const blocked_t *blocked)
{
    return blocked->due;
}

int blocked_find(blocked_t *blocked, trial_t *trial, apr_time_t now)
{
    int i, looked = 0, found = 0;
    apr_time_t end = CLOCK_NEVER; /* when the first will have taken too long */

    for (i = 0; i < blocked->num_workers; i++) {
        const one_t *one = &blocked->workers[i];
        apr_time_t since = atomic_load(&blocked->since[i]);
        tasks_state_e state;

        if (since == 0 || now - since < BLOCKED_ASLEEP
            || atomic_load(&one->is_found)) {
            continue;
        }
        looked++;
        state = tasks_state(one->task);
        if (state == TASKS_SLEEPS || state == TASKS_UNKNOWN) {
            if (mark(blocked, i, since)) {
                found++;
                /* A system that does not tell knows of no backend. */
                if (state == TASKS_SLEEPS) {
                    trial_asleep(trial, since);
                }
            }
        }
        else {
            apr_time_t late = since + (state == TASKS_RUNS ? BLOCKED_LONG
                                                           : BLOCKED_MAPS);

            if (now >= late) {
                mark(blocked, i, since);
            }
            else {
                end = end < late ? end : late;
            }
        }
    }
    if (looked > 0) {
        put_off(blocked, found > 0, now, end);
    }
    return found;
}
