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
 * blocked: which workers of a crew wait for something in the entry they have
 * taken, so that others may run instead of them.
 *
 * A worker that has been at its entry for BLOCKED_ASLEEP and is asleep is
 * blocked, and so is one that has run for BLOCKED_LONG: others must not wait
 * for it. But one that waits for another thread to map or unmap a file is not
 * blocked before BLOCKED_MAPS: more that run would only join it, until most of
 * the workers stand there.
 *
 * A look at one takes three system calls. So the more often none was found
 * asleep, the longer the next look may be put off, up to BLOCKED_PAUSE; but
 * not beyond the moment when one is blocked for the time it has taken. One
 * found asleep ends that: the others may be looked at again at once.
 *
 * Threads: each worker says what it does, the listener looks, [any] counts.
 * "The lock" is the crew's: a worker is found blocked, and found to have gone
 * on, under it. Owns what it knows of the workers; never logs.
 */

#ifndef EVENT_BLOCKED_H
#define EVENT_BLOCKED_H

#include "apr_pools.h"
#include "apr_thread_mutex.h"
#include "apr_time.h"

#include "trial.h"

#define BLOCKED_ASLEEP 100 /* us: even a short wait for a backend is longer */
#define BLOCKED_LONG apr_time_from_msec(5)
#define BLOCKED_MAPS apr_time_from_msec(100)
#define BLOCKED_PAUSE apr_time_from_msec(5)

typedef struct blocked_t blocked_t;

/* That worker has just been found blocked; the lock is held. [listener] */
typedef void blocked_fn(void *self, int worker);

/* Of workers numbered 0 to num_workers - 1, none of whom has an entry. Lives
 * as long as pool; found is called with self. [main] */
blocked_t *blocked_create(int num_workers, apr_thread_mutex_t *lock,
                          blocked_fn *found, void *self, apr_pool_t *pool);

/* The calling thread is that worker. [worker, once] */
void blocked_join(blocked_t *blocked, int worker);

/* It has taken an entry; it has none, and is going to sleep. The caller has
 * the lock. [worker] */
void blocked_begin(blocked_t *blocked, int worker);
void blocked_sleep(blocked_t *blocked, int worker);

/* It is through with its entry: 1 if it was found blocked in it, and does not
 * count any more. The caller has the lock. [worker] */
int blocked_return(blocked_t *blocked, int worker);

/* How many are blocked. [any] */
int blocked_num(const blocked_t *blocked);

/*
 * It is now: find workers that are blocked and have not been found so before,
 * and tell trial of those that sleep. How many of those just found are
 * asleep? One of whom the system does not tell counts as if it were. Takes the
 * lock for each. [listener]
 */
int blocked_find(blocked_t *blocked, trial_t *trial, apr_time_t now);

/* Until when there is no need to look again; it may be long ago. [listener] */
apr_time_t blocked_due(const blocked_t *blocked);

#endif /* EVENT_BLOCKED_H */
