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
 * acceptor: taking connections, as long as admission says so and up to
 * MaxConnectionsPerChild.
 *
 * The listener accepts as long as clients come one by one.  When more wait at
 * a listening socket (a door: see doors.h) it sends that out, as an entry of
 * the fdqueue, and workers accept there until nobody waits any more.
 *
 * Threads: [listener]; [worker] takes, and asks whether the listener should
 * look again.  It owns the doors and the lock that they are used under.
 */

#ifndef EVENT_ACCEPTOR_H
#define EVENT_ACCEPTOR_H

#include "ap_listen.h"

#include "runtime.h"

typedef struct acceptor_t acceptor_t;
struct conn_t;

/* An acceptor for listeners that accepts nothing yet. Errors of making a
 * mutex. [main] */
apr_status_t acceptor_create(acceptor_t **acceptor, runtime_t *runtime,
                             ap_listen_rec *listeners, int max_conns,
                             apr_pool_t *pool);

/* A socket is ready: accept, or have workers do so, as far as the rule and
 * MaxConnectionsPerChild go. data is the event's. [listener] */
void acceptor_accept(acceptor_t *acceptor, void *data, apr_time_t now);

/*
 * A door's entry was popped: accept there, one connection or, while others
 * wait, as many as these, and pass the entry on. Returns one that is the
 * caller's to run, or NULL; others are handed over. [worker]
 */
struct conn_t *acceptor_take(acceptor_t *acceptor, fdqueue_entry_t *entry);

/* Pause or resume as the rule says now, and as the parent says whether this
 * child rests; start the first time. [listener] */
void acceptor_review(acceptor_t *acceptor, apr_time_t now);

/* Entries of the NOW line, or that workers have, that are for accepting and
 * nobody's request. [any] */
int acceptor_errands(const acceptor_t *acceptor);

/* Has it paused for want of descriptors or memory? [listener] */
int acceptor_is_short(const acceptor_t *acceptor);

/* Has it paused because of the rule? [listener] */
int acceptor_is_full(const acceptor_t *acceptor);

/* Is there a client that waits to be accepted? Asks the kernel. [listener] */
int acceptor_is_wanted(const acceptor_t *acceptor);

/* When to review at the latest, CLOCK_NEVER if nothing is due. [listener] */
apr_time_t acceptor_due(const acceptor_t *acceptor);

/* Wake the listener if it has paused and need not any longer. [worker] */
void acceptor_nudge(acceptor_t *acceptor);

/*
 * Before closing for good: take what the kernel has accepted for us already,
 * or those clients would be reset; as many as the rule allows or, if nobody
 * else listens on our sockets, all, up to a backlog's worth. [listener]
 */
void acceptor_empty(acceptor_t *acceptor, int all);

/* Stop for good and close this child's listening sockets. [listener] */
void acceptor_close(acceptor_t *acceptor);

#endif /* EVENT_ACCEPTOR_H */
