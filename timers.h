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
 * timers: timed callbacks, in time order.
 *
 * Callbacks with equal due times run in the order they were registered.
 * The listener takes what is due and hands it to a worker through the
 * fdqueue; the worker runs it and puts the entry back.
 *
 * Threads: [any] may add; all state is under the room's own lock. Times are
 * clock.h's. It never runs a callback itself and never logs.
 */

#ifndef EVENT_TIMERS_H
#define EVENT_TIMERS_H

#include "apr_pools.h"
#include "apr_time.h"

#include "fdqueue.h"

typedef struct timers_t timers_t;
typedef struct timers_entry_t timers_entry_t;
typedef void timers_fn_t(void *baton);

struct timers_entry_t {
    fdqueue_entry_t entry; /* for the way to a worker */
    timers_fn_t *fn;       /* const from add to put */
    void *baton;           /* const from add to put */
    apr_time_t due;        /* const from add to put; clock.h's time */
    apr_uint64_t seq;      /* timers: the order of registration */
    timers_entry_t *next;  /* timers: free list */
};

/*
 * Make an empty set of timers. Memory comes from a pool of its own under
 * pool, so that adding needs no other room's lock. kind is written to every
 * entry.kind. [main]
 */
apr_status_t timers_create(timers_t **timers, int kind, apr_pool_t *pool);

/*
 * Have fn(baton) run at due or, where that is past, as soon as possible.
 * *earliest (may be NULL) becomes 1 if this is now the next one due, so that
 * the listener has to be woken. APR_ENOMEM. [any]
 */
apr_status_t timers_add(timers_t *timers, apr_time_t due, timers_fn_t *fn,
                        void *baton, int *earliest);

/* The next entry due at now, the caller's from here on; or NULL. [listener] */
timers_entry_t *timers_take(timers_t *timers, apr_time_t now);

/* Give an entry whose callback has run back for reuse. [worker] */
void timers_put(timers_t *timers, timers_entry_t **entry);

/* When the next one is due, CLOCK_NEVER if there is none. [any] */
apr_time_t timers_next_due(timers_t *timers);

#endif /* EVENT_TIMERS_H */
