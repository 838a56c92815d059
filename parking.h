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
 * parking: where connections wait that need no thread: the poll set and the
 * timeout queues.
 *
 * A worker parks by pushing on a CAS inbox and then arming the poll set; the
 * listener drains the inbox before it looks at events, so no event precedes
 * its entry.  The queues are the listener's alone: see waits.h.
 *
 * Arming and the first event can overlap: whoever comes second of "the
 * worker is through with arming" and "the listener takes it for its event"
 * goes on with it. What is still being armed neither expires nor is evicted.
 * It never looks into a connection, never closes one, never logs.
 */

#ifndef EVENT_PARKING_H
#define EVENT_PARKING_H

#include "apr_poll.h"
#include "apr_pools.h"
#include "apr_time.h"

#include "waits.h"

typedef struct parking_t parking_t;
typedef struct parking_event_t parking_event_t;

struct parking_event_t {
    parking_kind_e kind;
    parked_t *parked; /* PARKING_CONN: still parked */
    void *listener;   /* PARKING_LISTENER: its client_data */
};

/*
 * Make an empty parking that reports up to batch events a wait, living as
 * long as pool. Errors of poller_create. [main]
 */
apr_status_t parking_create(parking_t **parking, apr_uint32_t batch,
                            apr_pool_t *pool);

/* The poll method in use, for the log. [any] */
const char *parking_method(const parking_t *parking);

/* Prepare the part that stays the same for a connection's life. [worker] */
void parking_init(parked_t *parked, apr_socket_t *socket, apr_pool_t *pool);

/*
 * Park *parked for reqevents and timeout (microseconds) from now on, with
 * tag, and null the giver's pointer: 1. If its event came while it was being
 * armed, 0: *parked is the caller's again, ready. [worker] [listener]
 */
int parking_put(parking_t *parking, parked_t **parked, int tag,
                apr_int16_t reqevents, apr_interval_time_t timeout,
                apr_time_t now);

/* Have the listener look up, if it sleeps in parking_wait. [any] */
void parking_wake(parking_t *parking);

/* Watch, or no longer, a listening socket; exclusive as in poller_watch.
 * APR's errors. [listener] */
apr_status_t parking_watch(parking_t *parking, apr_pollfd_t *pfd,
                           int exclusive);
apr_status_t parking_unwatch(parking_t *parking, apr_pollfd_t *pfd);

/*
 * Sleep until an event, a wake-up, the next expiry or due (CLOCK_NEVER for
 * none). Errors of the poll call; being woken is none. [listener]
 */
apr_status_t parking_wait(parking_t *parking, apr_time_t now,
                          apr_time_t due);

/* The next event of the last wait; 0 when there are no more. [listener] */
int parking_next_event(parking_t *parking, parking_event_t *event);

/*
 * Take one out with this verdict: it, the caller's from here on. NULL while
 * a worker is still arming it: PARKING_READY leaves it to that worker then,
 * any other verdict leaves it where it is. [listener]
 */
parked_t *parking_take(parking_t *parking, parked_t *parked,
                       parking_verdict_e verdict);

/* The next one whose time is over at now, taken; or NULL. [listener] */
parked_t *parking_take_expired(parking_t *parking, apr_time_t now);

/*
 * One with tag that has been parked for time (microseconds) and was not the
 * answer before while it is parked: still parked. NULL if there is none;
 * then *due becomes the time when there will be one, if that is earlier.
 * [listener]
 */
parked_t *parking_find_rested(parking_t *parking, int tag,
                              apr_interval_time_t time, apr_time_t now,
                              apr_time_t *due);

/* The next one that could not be armed, taken; or NULL. [listener] */
parked_t *parking_take_failed(parking_t *parking);

/* The one with tag that is parked longest, still parked; or NULL.
 * [listener] */
parked_t *parking_oldest(parking_t *parking, int tag);

/*
 * One with tag that matches, still parked and to be taken; or NULL. If one
 * that matches is still being armed, parking_wait returns in a moment, to
 * look again. [listener]
 */
parked_t *parking_find(parking_t *parking, int tag, waits_match_fn *match,
                       apr_time_t now);

/* Look at all that are parked, none of which may be taken. [listener] */
void parking_visit(parking_t *parking, waits_visit_fn *visit, void *baton);

/* Let none with tag wait longer than max_wait from now. [listener] */
void parking_shorten(parking_t *parking, int tag,
                     apr_interval_time_t max_wait, apr_time_t now);

/* Its event came, but it stays where it is until the next one. APR's
 * errors. [listener] */
apr_status_t parking_again(parking_t *parking, parked_t *parked);

/* Is a connection told of to only some of those that watch? [any] */
int parking_is_exclusive(const parking_t *parking);

/* How many events the last wait found. [listener] */
int parking_found(const parking_t *parking);

/* How many with tag the listener has in its queues. [listener] */
int parking_count(const parking_t *parking, int tag);

#endif /* EVENT_PARKING_H */
