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

/* held: see held.h */

#include <stdatomic.h>

#include "apr_thread_mutex.h"

#include "held.h"

APR_RING_HEAD(held_ring_t, held_entry_t);

struct held_t {
    apr_thread_mutex_t *lock;
    held_moved_on_fn *moved_on; /* const */
    struct held_ring_t ring;    /* lock */
    atomic_int count;           /* atomic: of the ring's entries */
    int num_workers;            /* const */
    apr_uint64_t begun;         /* lock: callbacks begun so far */
    apr_uint64_t *running;      /* lock: which one each worker runs, or 0 */
};

apr_status_t held_create(held_t **held, int num_workers,
                         held_moved_on_fn *moved_on, apr_pool_t *pool)
{
    held_t *h = apr_pcalloc(pool, sizeof(*h));

    h->moved_on = moved_on;
    h->num_workers = num_workers;
    h->running = apr_pcalloc(pool, sizeof(*h->running) * num_workers);
    APR_RING_INIT(&h->ring, held_entry_t, link);
    *held = h;
    return apr_thread_mutex_create(&h->lock, APR_THREAD_MUTEX_DEFAULT, pool);
}

void held_put(held_t *held, held_entry_t *entry)
{
    apr_thread_mutex_lock(held->lock);
    entry->moved_on = 0;
    APR_RING_INSERT_TAIL(&held->ring, entry, held_entry_t, link);
    atomic_fetch_add(&held->count, 1);
    apr_thread_mutex_unlock(held->lock);
}

void held_callback_begins(held_t *held, int worker)
{
    apr_thread_mutex_lock(held->lock);
    held->running[worker] = ++held->begun;
    apr_thread_mutex_unlock(held->lock);
}

void held_callback_ends(held_t *held, int worker)
{
    apr_thread_mutex_lock(held->lock);
    held->running[worker] = 0;
    apr_thread_mutex_unlock(held->lock);
}

void held_visit(held_t *held, held_visit_fn *visit, void *baton)
{
    held_entry_t *entry;

    apr_thread_mutex_lock(held->lock);
    APR_RING_FOREACH(entry, &held->ring, held_entry_t, link)
    {
        visit(entry, baton);
    }
    apr_thread_mutex_unlock(held->lock);
}

/* The callback that has been running longest; none: beyond all. */
static apr_uint64_t oldest_running(const held_t *held)
{
    apr_uint64_t oldest = held->begun + 1;
    int i;

    for (i = 0; i < held->num_workers; i++) {
        if (held->running[i] != 0 && held->running[i] < oldest) {
            oldest = held->running[i];
        }
    }
    return oldest;
}

held_entry_t *held_take(held_t *held)
{
    held_entry_t *entry, *found = NULL;
    apr_uint64_t oldest;

    /* Who puts one looks afterwards itself: no need to be exact here. */
    if (atomic_load_explicit(&held->count, memory_order_relaxed) == 0) {
        return NULL;
    }
    apr_thread_mutex_lock(held->lock);
    oldest = oldest_running(held);
    APR_RING_FOREACH(entry, &held->ring, held_entry_t, link)
    {
        if (entry->moved_on == 0 && held->moved_on(entry)) {
            /* One of those begun so far has moved it; 0 means "not seen" */
            entry->moved_on = held->begun + 1;
        }
        if (entry->moved_on != 0 && entry->moved_on <= oldest) {
            found = entry;
            APR_RING_REMOVE(found, link);
            atomic_fetch_sub(&held->count, 1);
            break;
        }
    }
    apr_thread_mutex_unlock(held->lock);
    return found;
}
