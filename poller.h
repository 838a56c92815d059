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
 * poller: asks the kernel which sockets are ready, for parking.
 *
 * A socket is armed for one event; who takes it for that event has nothing
 * more to undo.  A listening socket is watched until it is unwatched.
 *
 * Linux's epoll is used directly, as APR offers neither; elsewhere it is an
 * apr_pollset.
 *
 * Threads: [listener] waits, watches, disarms; [worker] arms; [any] wakes.
 * It owns the poll set and never logs.
 */

#ifndef EVENT_POLLER_H
#define EVENT_POLLER_H

#include "apr_poll.h"
#include "apr_pools.h"
#include "apr_time.h"

#if defined(HAVE_EPOLL_CREATE1) && defined(HAVE_EVENTFD)                       \
    && defined(HAVE_TIMERFD_CREATE) && !defined(EVENT_PORTABLE_ONLY)
#define POLLER_NATIVE 1
#else
#define POLLER_NATIVE 0
#endif

typedef struct poller_t poller_t;

/* A socket that is to be armed; the owner's, zeros at first. */
typedef struct poller_entry_t {
    apr_pollfd_t pfd; /* const while armed */
    int known;        /* poller: the kernel has it, armed or not */
} poller_entry_t;

/*
 * Make a poller that tells of up to batch events at a time, living as long
 * as pool. Errors of apr_pollset_create_ex or epoll_create1(2). [main]
 */
apr_status_t poller_create(poller_t **poller, apr_uint32_t batch,
                           apr_pool_t *pool);

/* The method in use, for the log. [any] */
const char *poller_method(const poller_t *poller);

/* Can it watch exclusively? [any] */
int poller_is_exclusive(const poller_t *poller);

/* Arm an entry for one event of its pfd. Errors of the poll set. [owner] */
apr_status_t poller_arm(poller_t *poller, poller_entry_t *entry);

/* Its event came: it is not armed any more. [listener] */
void poller_came(poller_t *poller, poller_entry_t *entry);

/* Its event came, and the next one is wanted just so. [listener] */
apr_status_t poller_again(poller_t *poller, poller_entry_t *entry);

/* It is not to be armed any more, though no event came. [listener] */
void poller_disarm(poller_t *poller, poller_entry_t *entry);

/*
 * Watch a listening socket, or no longer. With exclusive one that sleeps, of
 * all processes that watch it so, is woken for a connection, where that is
 * possible. APR's errors. [listener]
 */
apr_status_t poller_watch(poller_t *poller, apr_pollfd_t *pfd, int exclusive);
apr_status_t poller_unwatch(poller_t *poller, apr_pollfd_t *pfd);

/*
 * It is now. Sleep until an event, a wake-up or due (CLOCK_NEVER: no time; one
 * that is over: do not sleep), perhaps not so long; *num becomes the number of
 * events. APR_TIMEUP, APR_EINTR, and errors of the poll set. [listener]
 */
apr_status_t poller_wait(poller_t *poller, apr_time_t now, apr_time_t due,
                         int *num);

/* The client_data of event i of the last wait. [listener] */
void *poller_event(const poller_t *poller, int i);

/* Have the present or the next wait return. [any] */
void poller_wake(poller_t *poller);

#endif /* EVENT_POLLER_H */
