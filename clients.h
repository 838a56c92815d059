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
 * clients: how many connections each client address has, over all children.
 *
 * A table in shared memory that the parent makes before it forks. Each
 * entry has one count for each slot of the scoreboard, written only by the
 * child in that slot: so a crashed child's connections are taken back by
 * writing zeros, whatever it died in. What an address has is the sum.
 *
 * It never refuses for want of room: who has no entry is admitted without
 * being counted. No locks, no state of its own besides the table, no log.
 * Threads: [parent] makes it and takes back; [any] counts.
 */

#ifndef EVENT_CLIENTS_H
#define EVENT_CLIENTS_H

#include "apr_network_io.h"
#include "apr_pools.h"
#include "apr_tables.h"
#include "apr_time.h"

typedef struct clients_t clients_t;

/* An address as it is counted: IPv4 by itself, IPv6 by its first 64 bits. */
typedef apr_uint64_t clients_key_t;

/* That of an address which is not counted. */
#define CLIENTS_NOBODY ((clients_key_t)0)

/* What clients_enter returns besides the number of an entry. */
enum {
    CLIENTS_UNCOUNTED = -1, /* admitted, and nothing to leave */
    CLIENTS_REFUSED = -2
};

/* Refusals of one address are logged this often. */
#define CLIENTS_LOG_INTERVAL apr_time_from_sec(60)

/*
 * Bytes of a table for about so many addresses at a time and children in so
 * many slots; memory is used as addresses come. [any]
 */
apr_size_t clients_size(int addresses, int slots);

/*
 * An empty table that lives as long as pool. Errors of apr_shm_create;
 * APR_ENOTIMPL where there are no atomics that processes can share.
 * [parent]
 */
apr_status_t clients_create(clients_t **clients, int addresses, int slots,
                            apr_pool_t *pool);

/*
 * The key of address; CLIENTS_NOBODY if it is no IP address, loopback, unless
 * loopback says that this counts too, or in one of the networks exempt
 * (apr_ipsubnet_t *; NULL: none). [any]
 */
clients_key_t clients_key(apr_sockaddr_t *address, int loopback,
                          const apr_array_header_t *exempt);

/*
 * One more connection of key in the child in slot, unless there are limit
 * of them: the entry it is counted in, to be given to clients_leave; or
 * CLIENTS_UNCOUNTED or CLIENTS_REFUSED. A limit of 0 is none, and then
 * nothing is counted. Children that admit at the same moment do not see
 * each other, so there may be a few too many, at most two for each other
 * child. [any]
 */
int clients_enter(clients_t *clients, clients_key_t key, int slot,
                  int limit);

/* One less in entry, which clients_enter returned to the same child. [any] */
void clients_leave(clients_t *clients, int entry, int slot);

/* How many connections of key are counted at this moment. [any] */
unsigned clients_count(const clients_t *clients, clients_key_t key);

/*
 * May the refusal of key be logged at now (clock.h)? Yes once in
 * CLIENTS_LOG_INTERVAL for each address, over all children. [any]
 */
int clients_may_log(clients_t *clients, clients_key_t key, apr_time_t now);

/* The child in slot is gone, with all its connections. To be called before
 * another one sits there. [parent] */
void clients_give_back(clients_t *clients, int slot);

/* How many were refused; how many were admitted uncounted, for want of
 * room. [any] */
apr_uint64_t clients_refused(const clients_t *clients);
apr_uint64_t clients_overflowed(const clients_t *clients);

#endif /* EVENT_CLIENTS_H */
