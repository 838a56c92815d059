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

/* parking: see parking.h */

#include "clock.h"
#include "parking.h"

/* parked_t.meet */
#define ARMED 1  /* by the worker, once the poll set has it */
#define FAILED 2 /* by the worker, once the poll set has refused it */
#define TAKEN 4  /* by the listener */

/* When to look again at one that is being armed when its time is over. */
#define ARMING_TIME apr_time_from_msec(1)

/* After this long parking_wait returns for nothing. */
#define LONGEST_WAIT apr_time_from_sec(3600)

APR_RING_HEAD(parking_ring_t, parked_t);

struct parking_queue_t {
    struct parking_ring_t ring;
    parking_queue_t *next;
    parked_t *unrested; /* the first that is not rested; NULL: all are */
    int tag;
    int count;
    apr_interval_time_t timeout;
};

struct parking_t {
    poller_t *poller;            /* const */
    apr_pool_t *pool;            /* listener */
    _Atomic(parked_t *) inbox;   /* workers push, the listener takes all */
    _Atomic(parked_t *) refused; /* by the poll set; as inbox */
    parked_t *failed;            /* listener: refused, not yet given out */
    _Atomic(apr_time_t) wake_at; /* listener writes: it looks up by itself */
    parking_queue_t *queues;     /* listener */
    apr_time_t due;              /* listener: nothing expires before this */
    int num_events;              /* listener: what the last wait found */
    int next_event;              /* listener */
};

apr_status_t parking_create(parking_t **parking, apr_uint32_t batch,
                            apr_pool_t *pool)
{
    parking_t *k = apr_pcalloc(pool, sizeof(*k));
    apr_status_t rv = poller_create(&k->poller, batch, pool);

    k->pool = pool;
    k->due = CLOCK_NEVER;
    atomic_init(&k->inbox, NULL);
    atomic_init(&k->refused, NULL);
    atomic_init(&k->wake_at, CLOCK_NEVER);
    if (rv == APR_SUCCESS) {
        *parking = k;
    }
    return rv;
}

const char *parking_method(const parking_t *parking)
{
    return poller_method(parking->poller);
}

void parking_init(parked_t *parked, apr_socket_t *socket, apr_pool_t *pool)
{
    parked->kind = PARKING_CONN;
    parked->queue = NULL;
    parked->entry.pfd.p = pool;
    parked->entry.pfd.desc_type = APR_POLL_SOCKET;
    parked->entry.pfd.desc.s = socket;
    parked->entry.pfd.client_data = parked;
    atomic_init(&parked->meet, 0);
}

static void push_inbox(parking_t *parking, parked_t *parked)
{
    parked_t *head
        = atomic_load_explicit(&parking->inbox, memory_order_relaxed);

    do {
        parked->next = head;
    } while (!atomic_compare_exchange_weak(&parking->inbox, &head, parked));
}

static void push_refused(parking_t *parking, parked_t *parked)
{
    parked_t *head
        = atomic_load_explicit(&parking->refused, memory_order_relaxed);

    do {
        parked->next_refused = head;
    } while (!atomic_compare_exchange_weak(&parking->refused, &head, parked));
}

int parking_put(parking_t *parking, parked_t **pparked, int tag,
                apr_int16_t reqevents, apr_interval_time_t timeout,
                apr_time_t now)
{
    parked_t *parked = *pparked;
    apr_time_t until = now + timeout;
    apr_status_t rv;

    parked->tag = tag;
    parked->entry.pfd.reqevents = reqevents;
    parked->timeout = timeout;
    parked->until = until;
    atomic_store_explicit(&parked->meet, 0, memory_order_relaxed);
    push_inbox(parking, parked);
    rv = poller_arm(parking->poller, &parked->entry);
    if (rv != APR_SUCCESS) {
        parked->error = rv;
    }
    if (atomic_fetch_or(&parked->meet, rv == APR_SUCCESS ? ARMED : FAILED)
        & TAKEN) {
        return 0;
    }
    *pparked = NULL;
    if (rv != APR_SUCCESS) {
        /* The listener has it in a queue: only the listener can get it out
         * again. */
        push_refused(parking, parked);
        parking_wake(parking);
    }
    else if (until < atomic_load(&parking->wake_at)) {
        parking_wake(parking);
    }
    return 1;
}

void parking_wake(parking_t *parking)
{
    poller_wake(parking->poller);
}

apr_status_t parking_watch(parking_t *parking, apr_pollfd_t *pfd,
                           int exclusive)
{
    return poller_watch(parking->poller, pfd, exclusive);
}

apr_status_t parking_unwatch(parking_t *parking, apr_pollfd_t *pfd)
{
    return poller_unwatch(parking->poller, pfd);
}

static parking_queue_t *queue_for(parking_t *parking, int tag,
                                  apr_interval_time_t timeout)
{
    parking_queue_t *q;

    for (q = parking->queues; q != NULL; q = q->next) {
        if (q->timeout == timeout && q->tag == tag) {
            return q;
        }
    }
    q = apr_palloc(parking->pool, sizeof(*q));
    APR_RING_INIT(&q->ring, parked_t, link);
    q->tag = tag;
    q->count = 0;
    q->unrested = NULL;
    q->timeout = timeout;
    q->next = parking->queues;
    parking->queues = q;
    return q;
}

static void enqueue(parking_t *parking, parked_t *parked)
{
    parking_queue_t *q = queue_for(parking, parked->tag, parked->timeout);

    APR_RING_INSERT_TAIL(&q->ring, parked, parked_t, link);
    q->count++;
    if (q->unrested == NULL) {
        q->unrested = parked;
    }
    parked->queue = q;
    if (parked->until < parking->due) {
        parking->due = parked->until;
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

static void dequeue(parked_t *parked)
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

static void drain_inbox(parking_t *parking)
{
    parked_t *newest = atomic_exchange(&parking->inbox, NULL);
    parked_t *oldest = NULL;

    while (newest != NULL) {
        parked_t *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        parked_t *next = oldest->next;

        enqueue(parking, oldest);
        oldest = next;
    }
}

apr_status_t parking_wait(parking_t *parking, apr_time_t now, apr_time_t due)
{
    apr_interval_time_t timeout = -1;
    apr_status_t rv;

    drain_inbox(parking);
    if (parking->due < due) {
        due = parking->due;
    }
    /*
     * Race with a worker that parks: either it sees this time and wakes us
     * if its own is earlier, or we see its entry in the inbox.
     */
    atomic_store(&parking->wake_at, due);
    if (due <= now || atomic_load(&parking->inbox) != NULL) {
        timeout = 0;
    }
    else if (due != CLOCK_NEVER) {
        /* In milliseconds it has to fit an int. */
        timeout = due - now < LONGEST_WAIT ? due - now : LONGEST_WAIT;
    }
    parking->next_event = 0;
    rv = poller_wait(parking->poller, timeout, &parking->num_events);
    atomic_store(&parking->wake_at, 0); /* awake: no need to be woken */
    if (APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_EINTR(rv)) {
        rv = APR_SUCCESS;
    }
    drain_inbox(parking);
    return rv;
}

int parking_next_event(parking_t *parking, parking_event_t *event)
{
    void *data;

    if (parking->next_event >= parking->num_events) {
        return 0;
    }
    data = poller_event(parking->poller, parking->next_event++);
    event->kind = *(parking_kind_e *)data;
    if (event->kind == PARKING_CONN) {
        event->parked = data;
        event->listener = NULL;
    }
    else {
        event->parked = NULL;
        event->listener = data;
    }
    return 1;
}

parked_t *parking_take(parking_t *parking, parked_t *parked,
                       parking_verdict_e verdict)
{
    if (verdict != PARKING_READY) {
        if (!(atomic_load(&parked->meet) & ARMED)) {
            return NULL;
        }
        dequeue(parked);
        poller_disarm(parking->poller, &parked->entry);
        parked->verdict = verdict;
        return parked;
    }
    /*
     * An event shows that the poll set has it, if not yet that the worker
     * is through with it. Out of the poll set first: once it is another's,
     * no later event may lead us to it.
     */
    dequeue(parked);
    poller_came(parking->poller, &parked->entry);
    parked->verdict = verdict;
    return atomic_fetch_or(&parked->meet, TAKEN) & ARMED ? parked : NULL;
}

parked_t *parking_take_expired(parking_t *parking, apr_time_t now)
{
    parking_queue_t *q;
    parked_t *parked;

    if (now < parking->due) {
        return NULL;
    }
    parking->due = CLOCK_NEVER;
    for (q = parking->queues; q != NULL; q = q->next) {
        while (!APR_RING_EMPTY(&q->ring, parked_t, link)) {
            parked = APR_RING_FIRST(&q->ring);
            if (parked->until > now) {
                if (parked->until < parking->due) {
                    parking->due = parked->until;
                }
                break;
            }
            parked = parking_take(parking, parked, PARKING_EXPIRED);
            if (parked != NULL) {
                parking->due = now; /* not all of them have been seen */
                return parked;
            }
            if (now + ARMING_TIME < parking->due) {
                parking->due = now + ARMING_TIME;
            }
            break;
        }
    }
    return NULL;
}

parked_t *parking_find_rested(parking_t *parking, int tag,
                              apr_interval_time_t time, apr_time_t now,
                              apr_time_t *due)
{
    parking_queue_t *q;

    for (q = parking->queues; q != NULL; q = q->next) {
        parked_t *parked = q->unrested;
        apr_time_t rested;

        if (q->tag != tag || parked == NULL || q->timeout <= time) {
            continue;
        }
        rested = parked->until - parked->timeout + time;
        if (now < rested || !(atomic_load(&parked->meet) & ARMED)) {
            rested = now < rested ? rested : now + ARMING_TIME;
            *due = *due < rested ? *due : rested;
            continue;
        }
        q->unrested = next_in_queue(parked);
        return parked;
    }
    return NULL;
}

parked_t *parking_take_failed(parking_t *parking)
{
    parked_t *parked = parking->failed;

    if (parked == NULL
        && atomic_load_explicit(&parking->refused, memory_order_relaxed)
               != NULL) {
        parked = atomic_exchange(&parking->refused, NULL);
    }
    if (parked == NULL) {
        return NULL;
    }
    parking->failed = parked->next_refused;
    /* It may still be in the inbox, where only a drain gets it out. */
    drain_inbox(parking);
    dequeue(parked);
    parked->verdict = PARKING_FAILED;
    return parked;
}

parked_t *parking_oldest(parking_t *parking, int tag)
{
    parking_queue_t *q;
    parked_t *oldest = NULL;

    for (q = parking->queues; q != NULL; q = q->next) {
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

parked_t *parking_find(parking_t *parking, int tag, parking_match_fn *match,
                       apr_time_t now)
{
    parking_queue_t *q;
    parked_t *parked;

    for (q = parking->queues; q != NULL; q = q->next) {
        if (q->tag != tag) {
            continue;
        }
        APR_RING_FOREACH(parked, &q->ring, parked_t, link)
        {
            if (!match(parked)) {
                continue;
            }
            if (atomic_load(&parked->meet) & ARMED) {
                return parked;
            }
            if (now + ARMING_TIME < parking->due) {
                parking->due = now + ARMING_TIME;
            }
        }
    }
    return NULL;
}

void parking_visit(parking_t *parking, parking_visit_fn *visit, void *baton)
{
    parking_queue_t *q;
    parked_t *parked;

    for (q = parking->queues; q != NULL; q = q->next) {
        APR_RING_FOREACH(parked, &q->ring, parked_t, link)
        {
            visit(parked, baton);
        }
    }
}

void parking_shorten(parking_t *parking, int tag,
                     apr_interval_time_t max_wait, apr_time_t now)
{
    parking_queue_t *q;

    /* Times within a queue rise, and still do when all are cut to the same
     * one: nothing has to move. */
    for (q = parking->queues; q != NULL; q = q->next) {
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
        if (q->count > 0 && now + max_wait < parking->due) {
            parking->due = now + max_wait;
        }
    }
}

apr_status_t parking_again(parking_t *parking, parked_t *parked)
{
    return poller_again(parking->poller, &parked->entry);
}

int parking_is_exclusive(const parking_t *parking)
{
    return poller_is_exclusive(parking->poller);
}

int parking_found(const parking_t *parking)
{
    return parking->num_events;
}

int parking_count(const parking_t *parking, int tag)
{
    const parking_queue_t *q;
    int count = 0;

    for (q = parking->queues; q != NULL; q = q->next) {
        if (q->tag == tag) {
            count += q->count;
        }
    }
    return count;
}
