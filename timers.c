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
 * A binary heap ordered by (due, seq).  A heap and not apr_skiplist: it
 * needs no memory for an entry's place, no random numbers, and with seq in
 * the key there are no equal keys for it to lose or to reorder.
 *
 * Threads: [any] adds and puts, [listener] takes.  Owns the heap, the free
 * list and a pool nobody else allocates from, all under its own lock, which
 * is never held while anything but the C library is called.
 */

#include <string.h>

#include "apr_allocator.h"
#include "apr_errno.h"
#include "apr_thread_mutex.h"

#include "clock.h"
#include "timers.h"

/* Room for a busy child's timers; grows when it has to. */
#define FIRST_SIZE 64

struct timers_t {
    apr_pool_t *pool;         /* under lock */
    apr_thread_mutex_t *lock; /* const */
    int kind;                 /* const */
    timers_entry_t **heap;    /* under lock; heap[0] is the next one due */
    apr_size_t count;         /* under lock; entries in the heap */
    apr_size_t size;          /* under lock; room in the heap */
    timers_entry_t *unused;   /* under lock; free list */
    apr_uint64_t next_seq;    /* under lock */
};

/* A pool that fails instead of aborting, with an allocator nobody shares. */
static apr_status_t make_pool(apr_pool_t **pool, apr_pool_t *parent)
{
    apr_allocator_t *allocator;
    apr_status_t rv;

    rv = apr_allocator_create(&allocator);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_pool_create_ex(pool, parent, NULL, allocator);
    if (rv != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return rv;
    }
    apr_allocator_owner_set(allocator, *pool);
    apr_pool_abort_set(NULL, *pool);
    apr_pool_tag(*pool, "timers");
    return APR_SUCCESS;
}

apr_status_t timers_create(timers_t **timers, int kind, apr_pool_t *pool)
{
    apr_pool_t *own;
    apr_status_t rv;
    timers_t *t;

    rv = make_pool(&own, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    t = apr_pcalloc(own, sizeof(*t));
    rv = apr_thread_mutex_create(&t->lock, APR_THREAD_MUTEX_DEFAULT, own);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(own);
        return rv;
    }
    t->pool = own;
    t->kind = kind;
    *timers = t;
    return APR_SUCCESS;
}

static int is_before(const timers_entry_t *a, const timers_entry_t *b)
{
    return a->due < b->due || (a->due == b->due && a->seq < b->seq);
}

/* Put entry into the hole at place i, or above where it belongs there. */
static void sift_up(timers_t *timers, apr_size_t i, timers_entry_t *entry)
{
    while (i > 0) {
        apr_size_t parent = (i - 1) / 2;

        if (!is_before(entry, timers->heap[parent])) {
            break;
        }
        timers->heap[i] = timers->heap[parent];
        i = parent;
    }
    timers->heap[i] = entry;
}

/* Put entry into the hole at place i, or below where it belongs there. */
static void sift_down(timers_t *timers, apr_size_t i, timers_entry_t *entry)
{
    apr_size_t child;

    while ((child = 2 * i + 1) < timers->count) {
        if (child + 1 < timers->count
            && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], entry)) {
            break;
        }
        timers->heap[i] = timers->heap[child];
        i = child;
    }
    timers->heap[i] = entry;
}

/* The heaps outgrown stay in the pool: each is half the next, so that all
 * of them together are smaller than the one in use. */
static apr_status_t make_room(timers_t *timers)
{
    apr_size_t size = timers->size ? 2 * timers->size : FIRST_SIZE;
    timers_entry_t **heap;

    if (timers->count < timers->size) {
        return APR_SUCCESS;
    }
    heap = apr_palloc(timers->pool, size * sizeof(*heap));
    if (!heap) {
        return APR_ENOMEM;
    }
    if (timers->count) {
        memcpy(heap, timers->heap, timers->count * sizeof(*heap));
    }
    timers->heap = heap;
    timers->size = size;
    return APR_SUCCESS;
}

static timers_entry_t *get_unused(timers_t *timers)
{
    timers_entry_t *entry = timers->unused;

    if (entry) {
        timers->unused = entry->next;
        return entry;
    }
    return apr_palloc(timers->pool, sizeof(*entry));
}

apr_status_t timers_add(timers_t *timers, apr_time_t due, timers_fn_t *fn,
                        void *baton, int *earliest)
{
    timers_entry_t *entry = NULL;
    int is_first = 0;

    apr_thread_mutex_lock(timers->lock);
    if (make_room(timers) == APR_SUCCESS) {
        entry = get_unused(timers);
    }
    if (entry) {
        entry->entry.next = NULL;
        entry->entry.kind = timers->kind;
        entry->fn = fn;
        entry->baton = baton;
        entry->due = due;
        entry->seq = timers->next_seq++;
        entry->next = NULL;
        sift_up(timers, timers->count++, entry);
        is_first = timers->heap[0] == entry;
    }
    apr_thread_mutex_unlock(timers->lock);

    if (earliest) {
        *earliest = is_first;
    }
    return entry ? APR_SUCCESS : APR_ENOMEM;
}

timers_entry_t *timers_take(timers_t *timers, apr_time_t now)
{
    timers_entry_t *entry = NULL;

    apr_thread_mutex_lock(timers->lock);
    if (timers->count && timers->heap[0]->due <= now) {
        entry = timers->heap[0];
        timers->count--;
        if (timers->count) {
            sift_down(timers, 0, timers->heap[timers->count]);
        }
    }
    apr_thread_mutex_unlock(timers->lock);
    return entry;
}

void timers_put(timers_t *timers, timers_entry_t **entry)
{
    timers_entry_t *mine = *entry;

    *entry = NULL;
    apr_thread_mutex_lock(timers->lock);
    mine->next = timers->unused;
    timers->unused = mine;
    apr_thread_mutex_unlock(timers->lock);
}

apr_time_t timers_next_due(timers_t *timers)
{
    apr_time_t due = CLOCK_NEVER;

    apr_thread_mutex_lock(timers->lock);
    if (timers->count) {
        due = timers->heap[0]->due;
    }
    apr_thread_mutex_unlock(timers->lock);
    return due;
}
