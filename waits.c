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

/* waits: see waits.h */

#include "clock.h"
#include "waits.h"

/* When to look again at one that is being armed when its time is over. */
#define ARMING_TIME apr_time_from_msec(1)

APR_RING_HEAD(waits_ring_t, parked_t);

struct waits_queue_t {
    struct waits_ring_t ring;
    waits_queue_t *next;
    parked_t *unrested; /* the first that is not rested; NULL: all are */
    int tag;
    int count;
    apr_interval_time_t timeout;
};

void waits_init(waits_t *waits, apr_pool_t *pool)
{
    waits->pool = pool;
    waits->queues = NULL;
    waits->due = CLOCK_NEVER;
}

static int is_armed(parked_t *parked)
{
    return atomic_load(&parked->meet) & WAITS_ARMED;
}

static waits_queue_t *queue_for(waits_t *waits, int tag,
                                  apr_interval_time_t timeout)
{
    waits_queue_t *q;

    for (q = waits->queues; q != NULL; q = q->next) {
        if (q->timeout == timeout && q->tag == tag) {
            return q;
        }
    }
    q = apr_palloc(waits->pool, sizeof(*q));
    APR_RING_INIT(&q->ring, parked_t, link);
    q->tag = tag;
    q->count = 0;
    q->unrested = NULL;
    q->timeout = timeout;
    q->next = waits->queues;
    waits->queues = q;
    return q;
}

void waits_add(waits_t *waits, parked_t *parked)
{
    waits_queue_t *q = queue_for(waits, parked->tag, parked->timeout);

    APR_RING_INSERT_TAIL(&q->ring, parked, parked_t, link);
    q->count++;
    if (q->unrested == NULL) {
        q->unrested = parked;
    }
    parked->queue = q;
    if (parked->until < waits->due) {
        waits->due = parked->until;
    }
}

/* The one after this one in its queue, or NULL. */
static parked_t *next_in_queue(parked_t *parked)
{
    parked_t *next = APR_RING_NEXT(parked, link);

    return next == APR_RING_SENTINEL(&parked->queue->ring, parked_t, link)
               ? NULL
               : next;
}

void waits_remove(parked_t *parked)
{
    if (parked->queue != NULL) {
        if (parked->queue->unrested == parked) {
            parked->queue->unrested = next_in_queue(parked);
        }
        APR_RING_REMOVE(parked, link);
        parked->queue->count--;
        parked->queue = NULL;
    }
}

parked_t *waits_find_expired(waits_t *waits, apr_time_t now)
{
    waits_queue_t *q;

    if (now < waits->due) {
        return NULL;
    }
    waits->due = CLOCK_NEVER;
    for (q = waits->queues; q != NULL; q = q->next) {
        apr_time_t next;
        parked_t *parked;

        if (APR_RING_EMPTY(&q->ring, parked_t, link)) {
            continue;
        }
        parked = APR_RING_FIRST(&q->ring);
        next = parked->until;
        if (next <= now) {
            if (is_armed(parked)) {
                waits->due = now; /* not all of them have been seen */
                return parked;
            }
            next = now + ARMING_TIME;
        }
        if (next < waits->due) {
            waits->due = next;
        }
    }
    return NULL;
}

parked_t *waits_find_rested(waits_t *waits, int tag,
                              apr_interval_time_t time, apr_time_t now,
                              apr_time_t *due)
{
    waits_queue_t *q;

    for (q = waits->queues; q != NULL; q = q->next) {
        parked_t *parked = q->unrested;
        apr_time_t rested;

        if (q->tag != tag || parked == NULL || q->timeout <= time) {
            continue;
        }
        rested = parked->until - parked->timeout + time;
        if (now < rested || !is_armed(parked)) {
            rested = now < rested ? rested : now + ARMING_TIME;
            *due = *due < rested ? *due : rested;
            continue;
        }
        q->unrested = next_in_queue(parked);
        return parked;
    }
    return NULL;
}

parked_t *waits_oldest(const waits_t *waits, int tag)
{
    waits_queue_t *q;
    parked_t *oldest = NULL;

    for (q = waits->queues; q != NULL; q = q->next) {
        parked_t *head;

        if (q->tag != tag || APR_RING_EMPTY(&q->ring, parked_t, link)) {
            continue;
        }
        head = APR_RING_FIRST(&q->ring);
        if (oldest == NULL
            || head->until - head->timeout
                   < oldest->until - oldest->timeout) {
            oldest = head;
        }
    }
    return oldest;
}

parked_t *waits_find(waits_t *waits, int tag, waits_match_fn *match,
                       apr_time_t now)
{
    waits_queue_t *q;
    parked_t *parked;

    for (q = waits->queues; q != NULL; q = q->next) {
        if (q->tag != tag) {
            continue;
        }
        APR_RING_FOREACH(parked, &q->ring, parked_t, link)
        {
            if (!match(parked)) {
                continue;
            }
            if (is_armed(parked)) {
                return parked;
            }
            if (now + ARMING_TIME < waits->due) {
                waits->due = now + ARMING_TIME;
            }
        }
    }
    return NULL;
}

void waits_visit(const waits_t *waits, waits_visit_fn *visit, void *baton)
{
    waits_queue_t *q;
    parked_t *parked;

    for (q = waits->queues; q != NULL; q = q->next) {
        APR_RING_FOREACH(parked, &q->ring, parked_t, link)
        {
            visit(parked, baton);
        }
    }
}

void waits_shorten(waits_t *waits, int tag,
                     apr_interval_time_t max_wait, apr_time_t now)
{
    waits_queue_t *q;

    /* Times within a queue rise, and still do when all are cut to the same
     * one: nothing has to move. */
    for (q = waits->queues; q != NULL; q = q->next) {
        parked_t *parked;

        if (q->tag != tag) {
            continue;
        }
        APR_RING_FOREACH(parked, &q->ring, parked_t, link)
        {
            if (parked->until > now + max_wait) {
                parked->until = now + max_wait;
            }
        }
        if (q->count > 0 && now + max_wait < waits->due) {
            waits->due = now + max_wait;
        }
    }
}

int waits_count(const waits_t *waits, int tag)
{
    const waits_queue_t *q;
    int count = 0;

    for (q = waits->queues; q != NULL; q = q->next) {
        if (q->tag == tag) {
            count += q->count;
        }
    }
    return count;
}
