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

/* leaving: see leaving.h */

#include <stdatomic.h>

#include "apr_thread_mutex.h"

#include "clock.h"
#include "leaving.h"

struct leaving_t {
    apr_thread_mutex_t *lock; /* const */
    leaving_entry_t *first;   /* under lock; NULL: none is in */
    leaving_entry_t *last;    /* under lock; while there is a first */
    int news;                 /* under lock; some came since leaving_due */
    atomic_int count;         /* written under lock; how many are in */
    atomic_int watched;       /* written under lock; the listener looks */
    apr_time_t look_at;       /* listener: while watched, its next look */
};

apr_status_t leaving_create(leaving_t **leaving, apr_pool_t *pool)
{
    leaving_t *l = apr_pcalloc(pool, sizeof(*l));
    apr_status_t rv;

    rv = apr_thread_mutex_create(&l->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv == APR_SUCCESS) {
        *leaving = l;
    }
    return rv;
}

int leaving_count(const leaving_t *leaving)
{
    return atomic_load_explicit(&leaving->count, memory_order_relaxed);
}

int leaving_put(leaving_t *leaving, leaving_entry_t **entry, apr_time_t now)
{
    leaving_entry_t *mine = *entry;
    int watched;

    *entry = NULL;
    mine->next = NULL;
    mine->at = now;
    apr_thread_mutex_lock(leaving->lock);
    if (leaving->first == NULL) {
        leaving->first = mine;
    }
    else {
        leaving->last->next = mine;
    }
    leaving->last = mine;
    leaving->news = 1;
    atomic_fetch_add(&leaving->count, 1);
    watched = atomic_exchange(&leaving->watched, 1);
    apr_thread_mutex_unlock(leaving->lock);
    return !watched;
}

leaving_entry_t *leaving_take(leaving_t *leaving, apr_interval_time_t time,
                              apr_time_t now)
{
    leaving_entry_t *entry;

    if (atomic_load(&leaving->count) == 0) {
        return NULL;
    }
    apr_thread_mutex_lock(leaving->lock);
    entry = leaving->first;
    if (entry != NULL && now - entry->at >= time) {
        leaving->first = entry->next;
        atomic_fetch_sub(&leaving->count, 1);
    }
    else {
        entry = NULL;
    }
    apr_thread_mutex_unlock(leaving->lock);
    return entry;
}

apr_time_t leaving_due(leaving_t *leaving, apr_time_t now)
{
    int watched;

    if (!atomic_load(&leaving->watched)) {
        return CLOCK_NEVER;
    }
    if (leaving->look_at != 0 && now < leaving->look_at) {
        return leaving->look_at;
    }
    apr_thread_mutex_lock(leaving->lock);
    watched = leaving->first != NULL || leaving->news;
    leaving->news = 0;
    atomic_store(&leaving->watched, watched);
    apr_thread_mutex_unlock(leaving->lock);
    leaving->look_at = watched ? now + LEAVING_LONG : 0;
    return watched ? leaving->look_at : CLOCK_NEVER;
}
