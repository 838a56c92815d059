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
#define ARMED WAITS_ARMED /* by the worker, once the poll set has it */
#define FAILED 2 /* by the worker, once the poll set has refused it */
#define TAKEN 4  /* by the listener */

struct parking_t {
    poller_t *poller;            /* const */
    _Atomic(parked_t *) inbox;   /* workers push, the listener takes all */
    _Atomic(parked_t *) refused; /* by the poll set; as inbox */
    parked_t *failed;            /* listener: refused, not yet given out */
    _Atomic(apr_time_t) wake_at; /* listener writes: it looks up by itself */
    waits_t waits;               /* listener */
    int num_events;              /* listener: what the last wait found */
    int next_event;              /* listener */
};

apr_status_t parking_create(parking_t **parking, apr_uint32_t batch,
                            apr_pool_t *pool)
{
    parking_t *k = apr_pcalloc(pool, sizeof(*k));
    apr_status_t rv = poller_create(&k->poller, batch, pool);

    waits_init(&k->waits, pool);
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

        waits_add(&parking->waits, oldest);
        oldest = next;
    }
}

apr_status_t parking_wait(parking_t *parking, apr_time_t now, apr_time_t due)
{
    apr_status_t rv;

    drain_inbox(parking);
    if (parking->waits.due < due) {
        due = parking->waits.due;
    }
    /*
     * Race with a worker that parks: either it sees this time and wakes us
     * if its own is earlier, or we see its entry in the inbox.
     */
    atomic_store(&parking->wake_at, due);
    if (atomic_load(&parking->inbox) != NULL) {
        due = now;
    }
    parking->next_event = 0;
    rv = poller_wait(parking->poller, now, due, &parking->num_events);
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
        waits_remove(parked);
        poller_disarm(parking->poller, &parked->entry);
        parked->verdict = verdict;
        return parked;
    }
    /*
     * An event shows that the poll set has it, if not yet that the worker
     * is through with it. Out of the poll set first: once it is another's,
     * no later event may lead us to it.
     */
    waits_remove(parked);
    poller_came(parking->poller, &parked->entry);
    parked->verdict = verdict;
    return atomic_fetch_or(&parked->meet, TAKEN) & ARMED ? parked : NULL;
}

parked_t *parking_take_expired(parking_t *parking, apr_time_t now)
{
    parked_t *parked = waits_find_expired(&parking->waits, now);

    return parked == NULL ? NULL
                          : parking_take(parking, parked, PARKING_EXPIRED);
}

parked_t *parking_find_rested(parking_t *parking, int tag,
                              apr_interval_time_t time, apr_time_t now,
                              apr_time_t *due)
{
    return waits_find_rested(&parking->waits, tag, time, now, due);
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
    waits_remove(parked);
    parked->verdict = PARKING_FAILED;
    return parked;
}

parked_t *parking_oldest(parking_t *parking, int tag)
{
    return waits_oldest(&parking->waits, tag);
}

parked_t *parking_find(parking_t *parking, int tag, waits_match_fn *match,
                       apr_time_t now)
{
    return waits_find(&parking->waits, tag, match, now);
}

void parking_visit(parking_t *parking, waits_visit_fn *visit, void *baton)
{
    waits_visit(&parking->waits, visit, baton);
}

void parking_shorten(parking_t *parking, int tag,
                     apr_interval_time_t max_wait, apr_time_t now)
{
    waits_shorten(&parking->waits, tag, max_wait, now);
}

int parking_count(const parking_t *parking, int tag)
{
    return waits_count(&parking->waits, tag);
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
