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
 * leaving: connections that are shut down, for the moment in which most
 * clients close, too.
 *
 * Who is looked at a moment later has mostly closed, and is done with: the
 * poll set need not watch for that, and nobody is woken by it.  Those that
 * are still there then go on to be parked.
 *
 * Threads: [worker] puts and takes, [listener] takes what workers leave.  It
 * owns what is in it, under its lock, and never logs.
 */

#ifndef EVENT_LEAVING_H
#define EVENT_LEAVING_H

#include "apr_pools.h"
#include "apr_time.h"

/* Worth a look after this: a client nearby has closed by then. */
#define LEAVING_SOON apr_time_from_msec(10)

/* Not to be left unwatched for longer than about twice this. */
#define LEAVING_LONG apr_time_from_msec(20)

/* About so many at most; others are parked at once. */
#define LEAVING_MAX 256

typedef struct leaving_t leaving_t;

/* Embedded in what is put; leaving's while it is in. */
typedef struct leaving_entry_t {
    struct leaving_entry_t *next;
    apr_time_t at; /* when it was put */
} leaving_entry_t;

/* An empty one, living as long as pool. Errors of making a mutex. [main] */
apr_status_t leaving_create(leaving_t **leaving, apr_pool_t *pool);

/* How many are in: a hint. [any] */
int leaving_count(const leaving_t *leaving);

/*
 * Give an entry away now, and null the giver's pointer: 1 if the listener is
 * to be woken, as it does not know that it has to look. [worker]
 */
int leaving_put(leaving_t *leaving, leaving_entry_t **entry, apr_time_t now);

/*
 * Take the one that was put first, if it has been in for that long; or NULL.
 * It is the taker's. [worker] [listener]
 */
leaving_entry_t *leaving_take(leaving_t *leaving, apr_interval_time_t time,
                              apr_time_t now);

/*
 * When to look for entries that have been in for LEAVING_LONG, CLOCK_NEVER if
 * there are none, nor will be before leaving_put asks for it. It is asked after
 * each look that was due. [listener]
 */
apr_time_t leaving_due(leaving_t *leaving, apr_time_t now);

#endif /* EVENT_LEAVING_H */
