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
 * siblings: the children that listen on the same sockets, and who of them is
 * to take the next connection.
 *
 * The kernel wakes one that sleeps for each connection, and the same one
 * again and again.  So who has clearly more connections than another takes
 * them one by one and moves behind the others.  Who was woken and cannot
 * take what waits has to pass that on, or nobody else might come to know: he
 * knocks, and one of the others hears it.
 *
 * Threads: [listener], and workers that accept, one at a time: who holds the
 * acceptor's lock. Any asks who has fewer. It owns nothing but its entry in
 * the poll set; what it reads of the scoreboard are hints.
 */

#ifndef EVENT_SIBLINGS_H
#define EVENT_SIBLINGS_H

#include "apr_pools.h"

#include "parking.h"
#include "runtime.h"

typedef struct siblings_t siblings_t;

/*
 * The siblings of this child; NULL if each of them gets to know of every
 * connection anyway: there is no knocker, or the poll set tells all. door is
 * the kind and client_data of knocks in the poll set. [main]
 */
siblings_t *siblings_create(const runtime_t *runtime, void *door,
                            apr_pool_t *pool);

/* Hear knocks from now on, or no longer. [with the acceptor's lock] */
void siblings_listen(siblings_t *siblings, parking_t *parking, int on);

/* One that takes connections has clearly fewer than conns. [any] */
int siblings_have_fewer(const siblings_t *siblings, int conns);

/* Somebody else is to look for connections. [any] */
void siblings_knock(const siblings_t *siblings);

/* A knock was heard: it is ours now, unless another was quicker. [listener] */
void siblings_answer(const siblings_t *siblings);

#endif /* EVENT_SIBLINGS_H */
