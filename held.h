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
 * held: connections that a module has taken over (CONN_STATE_SUSPENDED).
 *
 * httpd 2.4 has no call by which a module gives such a connection back: it
 * moves the state on in one of its timed callbacks.  So these connections
 * are looked at again after each entry a worker has run.
 *
 * A connection is ours again only when every callback that may have moved it
 * on has returned: the state changes before the module's last touch of it.
 *
 * Threads: [worker]; all state is under the room's own lock.
 */

#ifndef EVENT_HELD_H
#define EVENT_HELD_H

#include "apr_pools.h"
#include "apr_ring.h"

typedef struct held_t held_t;
typedef struct held_entry_t held_entry_t;

/* Embedded in a connection. */
struct held_entry_t {
    APR_RING_ENTRY(held_entry_t) link; /* held */
    apr_uint64_t moved_on; /* held: callbacks begun when it was first seen
                            * to have moved on; 0: not seen yet */
};

/* Has the module moved this one on? Called under the lock. */
typedef int held_moved_on_fn(held_entry_t *entry);

/* For num_workers workers that run callbacks. [main] */
apr_status_t held_create(held_t **held, int num_workers,
                         held_moved_on_fn *moved_on, apr_pool_t *pool);

/* Give an entry to its module; it may be taken back at once. [worker] */
void held_put(held_t *held, held_entry_t *entry);

/* This worker begins a timed callback, or has come back from one. [worker] */
void held_callback_begins(held_t *held, int worker);
void held_callback_ends(held_t *held, int worker);

/* Look at all that modules hold, under the lock. [any] */
typedef void held_visit_fn(const held_entry_t *entry, void *baton);
void held_visit(held_t *held, held_visit_fn *visit, void *baton);

/* Take back one that its module has moved on; or NULL. [worker] */
held_entry_t *held_take(held_t *held);

#endif /* EVENT_HELD_H */
