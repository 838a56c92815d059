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
 * waits: the queues of time-outs: who is parked, in what order, and until
 * when.
 *
 * A queue holds what has one tag and one timeout, so that its head is the
 * next to expire and nothing is ever sorted.  What a worker is still arming
 * is in a queue already, but is neither expired, rested nor found.
 *
 * Threads: [listener].  Owns the queues and the listener's words in what is
 * parked.  Never touches the poll set or an inbox, and never logs.
 */

#ifndef EVENT_WAITS_H
#define EVENT_WAITS_H

#include <stdatomic.h>

#include "apr_pools.h"
#include "apr_ring.h"
#include "apr_time.h"

#include "poller.h"

typedef struct waits_queue_t waits_queue_t;
typedef struct parked_t parked_t;

/* In parked_t.meet: the worker that parks it is through. */
#define WAITS_ARMED 1

typedef enum {
    PARKING_READY,   /* the socket is ready */
    PARKING_EXPIRED, /* its time is over */
    PARKING_EVICTED, /* the listener needs the room */
    PARKING_FAILED   /* it could not be armed: see error */
} parking_verdict_e;

/* First in everything that a poll set's client_data points to. */
typedef enum {
    PARKING_CONN,    /* a parked_t */
    PARKING_LISTENER /* a listening socket's entry, the acceptor's */
} parking_kind_e;

/* Embedded in a connection; the owner's whenever it is not parked. */
struct parked_t {
    parking_kind_e kind;        /* const */
    int tag;                    /* put's caller: queues hold one tag each */
    APR_RING_ENTRY(parked_t) link; /* listener */
    parked_t *next;             /* inbox */
    parked_t *next_refused;     /* parking; it may be in the inbox, too */
    waits_queue_t *queue;     /* listener; NULL when in none */
    poller_entry_t entry;       /* pfd: const while parked */
    apr_interval_time_t timeout; /* const while parked */
    apr_time_t until;           /* const while parked, then listener */
    parking_verdict_e verdict;  /* listener, until it is given on */
    apr_status_t error;         /* with PARKING_FAILED */
    atomic_int meet;            /* atomic: armed, failed, taken */
};

/* A plain value of its user. */
typedef struct waits_t {
    apr_pool_t *pool;      /* the queues' */
    waits_queue_t *queues; /* made when first needed, kept for good */
    apr_time_t due;        /* nothing expires before this */
} waits_t;

/* Make waits without queues, whose memory will be from pool. [main] */
void waits_init(waits_t *waits, apr_pool_t *pool);

/* Put it into its queue, by its tag and timeout. [listener] */
void waits_add(waits_t *waits, parked_t *parked);

/* Take it out, if it is in a queue. [listener] */
void waits_remove(parked_t *parked);

/* One whose time is over at now, still in; NULL if there is none, and then
 * due is when to look again. [listener] */
parked_t *waits_find_expired(waits_t *waits, apr_time_t now);

/* Is this the one looked for? What is seen may not be taken out. */
typedef int waits_match_fn(const parked_t *parked);
typedef void waits_visit_fn(const parked_t *parked, void *baton);

/* As the functions of parking with these names. [listener] */
parked_t *waits_find_rested(waits_t *waits, int tag, apr_interval_time_t time,
                            apr_time_t now, apr_time_t *due);
parked_t *waits_oldest(const waits_t *waits, int tag);
parked_t *waits_find(waits_t *waits, int tag, waits_match_fn *match,
                     apr_time_t now);
void waits_visit(const waits_t *waits, waits_visit_fn *visit, void *baton);
void waits_shorten(waits_t *waits, int tag, apr_interval_time_t max_wait,
                   apr_time_t now);
int waits_count(const waits_t *waits, int tag);

#endif /* EVENT_WAITS_H */
