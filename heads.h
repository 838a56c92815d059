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
 * heads: connections that wait, without a thread, for their client to have
 * sent enough to be worth one: a whole request head, a small body, a record
 * of TLS.  gate says what is enough; here the bytes are looked at, never
 * taken out of the socket.
 *
 * A new connection waits like that before any hook has run, a kept-alive one
 * where it is; only the latter counts as one of httpd's.  Whose time is over
 * is given to a worker that does not wait for more, so that core answers as
 * it would have done.
 *
 * Threads: [listener]; [any] admits, and asks how many are young; [worker]
 * shows.
 */

#ifndef EVENT_HEADS_H
#define EVENT_HEADS_H

#include "httpd.h"

#include "conn.h"

typedef struct heads_t heads_t;

/* For the connections of a child, which waits as its settings say.
 * [main] */
heads_t *heads_create(runtime_t *runtime, apr_pool_t *pool);

/*
 * A new connection on a socket for protocol (NULL: any): 1 if it has been
 * parked until its client has sent enough, or closed because the client has
 * gone; *conn is null then. 0: it is still the caller's, to be run. [any],
 * who has accepted it
 */
int heads_admit(heads_t *heads, conn_t **conn, const char *protocol);

/*
 * This parked one has become readable: 1 if it is parked still, or has been
 * closed; 0: it is to be taken and handed over. [listener]
 */
int heads_wait_on(heads_t *heads, conn_t *conn, apr_time_t now);

/* This one has been taken out of parking, as its time is over; it counts as
 * STATUS_HEAD. [listener] */
void heads_expire(heads_t *heads, conn_t **conn, apr_time_t now);

/* This one has been taken out of parking, as the poll set has refused it; it
 * counts as STATUS_HEAD. It goes to a worker, who waits. [listener] */
void heads_fail(heads_t *heads, conn_t **conn);

/* Close those that have waited longest, as far as there are more than
 * EventHeadLimit; or, if descriptors are short, so many. [listener] */
void heads_shed(heads_t *heads, int wanted);

/*
 * New connections whose client has not had the time to ask, which it is
 * about to do: as many workers will soon be busy. [any]
 */
int heads_young(const heads_t *heads);

/* Those that have not asked at once are not young any more: when to look
 * again, or CLOCK_NEVER. Tells the siblings, too, how many wait. [listener] */
apr_time_t heads_grow(heads_t *heads, apr_time_t now);

/* This child takes no more connections: those that have said nothing do not
 * wait for long. [listener] */
void heads_drain(heads_t *heads, apr_time_t now);

/* The rows of mod_status: figures of all children. [worker] */
void heads_show(const heads_t *heads, request_rec *r, int flags);

#endif /* EVENT_HEADS_H */
