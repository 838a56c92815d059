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
 * ptrans: the pools that connections live in ("transaction" pools).
 *
 * Each has an allocator of its own, so that a connection's memory is one
 * thread's at a time and needs no lock; pools of closed connections are
 * kept for the next ones.
 *
 * Threads: [main] stocks, [any] takes and puts, [listener] shrinks; kept
 * pools are on a CAS stack with many putters and, by a lock, one taker at a
 * time. It never logs.
 */

#ifndef EVENT_PTRANS_H
#define EVENT_PTRANS_H

#include "apr_pools.h"
#include "apr_time.h"

/* Connections end in bursts and come in bursts: see ptrans_create. */
#define PTRANS_BURST 4

typedef struct ptrans_t ptrans_t;

/*
 * Connections' pools are made under parent, as children of a pool of ours
 * so that no other room's lock is taken; each has max_free bytes kept by
 * its allocator (0: no limit), and at most max_kept are kept for reuse, or
 * PTRANS_BURST times as many until ptrans_shrink finds that nobody wants them
 * (0: no limit). Errors are those of apr_allocator_create,
 * apr_pool_create_ex and apr_thread_mutex_create. [main]
 */
apr_status_t ptrans_create(ptrans_t **ptrans, apr_pool_t *parent,
                           apr_size_t max_free, int max_kept,
                           apr_pool_t *pool);

/*
 * An empty pool, the caller's from here on. Errors are those of
 * apr_allocator_create and apr_pool_create_ex. [any]
 */
apr_status_t ptrans_take(ptrans_t *ptrans, apr_pool_t **pool);

/*
 * Make so many pools and keep them, at most max_kept, so that the first
 * connections find them; fewer if there is no memory. To be called once, before
 * any is taken. [main]
 */
void ptrans_stock(ptrans_t *ptrans, int num);

/*
 * Take *pool back and null the giver's pointer: runs its cleanups, then
 * keeps it or frees it. Should the listener call ptrans_shrink soon, because
 * there are more now than it knows of? [any]
 */
int ptrans_put(ptrans_t *ptrans, apr_pool_t **pool);

/*
 * Give the system what the requests of a connection that waits have left
 * unused in its allocator. [listener], while nobody runs the connection
 */
void ptrans_trim(ptrans_t *ptrans, apr_pool_t *pool);

/*
 * It is now: free some of the pools above max_kept, as many as nobody has
 * needed for a second. When to call again, at the latest; CLOCK_NEVER if there
 * are none to free. [listener]
 */
apr_time_t ptrans_shrink(ptrans_t *ptrans, apr_time_t now);

/*
 * Free what is kept, and from now on everything that is put: this child
 * takes no more connections. ptrans_take still works. [listener]
 */
void ptrans_stop_keeping(ptrans_t *ptrans);

#endif /* EVENT_PTRANS_H */
