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
 * clients: see clients.h
 *
 * An address has its entry in one of WINDOW places, by its hash. An entry
 * whose counts are all zero is free, and whoever needs one takes it over:
 * it claims the entry by writing a claim in place of the key, looks at the
 * counts once more, and writes its own key.
 *
 * Race of counting and taking over: who counts adds to its count and then
 * reads the key again; who takes over changes the key and then reads the
 * counts again. One of them sees the other and steps back. So an entry with
 * a connection in it keeps its key.
 *
 * Two children may give one address an entry each. What it has is the sum
 * over all entries with its key, so nothing is lost by that.
 */

#include <stdatomic.h>
#include <string.h>

#include "apr_errno.h"
#include "apr_general.h"
#include "apr_shm.h"

#include "clients.h"

/* Entries an address may be in. */
#define WINDOW 16

/* Looks for an entry before one is admitted without. */
#define TRIES 8

/*
 * Keys that are no client's: source addresses are never multicast, so IPv6's
 * ff00::/8 is free for IPv4 and for claims.
 */
#define IPV4_KEY ((clients_key_t)0xffff << 48)
#define CLAIM ((clients_key_t)0xfffe << 48)
#define VACANT ((clients_key_t)0xfffd << 48) /* after a claim given back */
#define ZERO_KEY ((clients_key_t)0xfffc << 48) /* of 64 bits of zeros */

typedef struct entry_t {
    _Atomic(clients_key_t) key;
    _Atomic(apr_int64_t) log_at; /* its next refusal may be logged then */
} entry_t;

typedef struct table_t {
    apr_uint64_t seed; /* const; so that nobody can choose whom he hides */
    _Atomic(apr_uint64_t) refused;
    _Atomic(apr_uint64_t) overflowed;
} table_t;

struct clients_t {
    table_t *table;           /* const; in shared memory, as what follows */
    entry_t *entries;         /* const */
    _Atomic(apr_uint32_t) *counts; /* const; a row of slots an entry */
    apr_uint32_t num;         /* const; entries, a power of two */
    apr_uint32_t slots;       /* const */
};

/* --- Making it --------------------------------------------------------- */

/* Twice as many as addresses, so that hardly any window is ever full. */
static apr_uint32_t num_entries(int addresses)
{
    apr_uint32_t num = WINDOW;

    while (num < (1u << 24) && num / 2 < (apr_uint32_t)addresses) {
        num *= 2;
    }
    return num;
}

apr_size_t clients_size(int addresses, int slots)
{
    return sizeof(table_t)
           + num_entries(addresses)
                 * (sizeof(entry_t) + sizeof(apr_uint32_t) * (apr_size_t)slots);
}

apr_status_t clients_create(clients_t **clients, int addresses, int slots,
                            apr_pool_t *pool)
{
    clients_t *c = apr_pcalloc(pool, sizeof(*c));
    apr_shm_t *shm;
    apr_status_t rv;

    rv = apr_shm_create(&shm, clients_size(addresses, slots), NULL, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* The system's zeros: pages that are not touched cost nothing. */
    c->table = apr_shm_baseaddr_get(shm);
    c->entries = (entry_t *)(c->table + 1);
    c->num = num_entries(addresses);
    c->counts = (void *)(c->entries + c->num);
    c->slots = (apr_uint32_t)slots;
    if (!atomic_is_lock_free(&c->entries->key)
        || !atomic_is_lock_free(c->counts)) {
        return APR_ENOTIMPL;
    }
    rv = apr_generate_random_bytes((unsigned char *)&c->table->seed,
                                   sizeof(c->table->seed));
    *clients = c;
    return rv;
}

/* --- Keys -------------------------------------------------------------- */

static apr_uint64_t from_bytes(const unsigned char *bytes, int n)
{
    apr_uint64_t value = 0;

    while (n-- > 0) {
        value = value << 8 | *bytes++;
    }
    return value;
}

static clients_key_t key_of_ipv4(const unsigned char *address)
{
    return IPV4_KEY | from_bytes(address, 4);
}

#if APR_HAVE_IPV6
static clients_key_t key_of_ipv6(const unsigned char *address)
{
    static const unsigned char mapped[12]
        = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    clients_key_t key = from_bytes(address, 8);

    if (memcmp(address, mapped, sizeof(mapped)) == 0) {
        return key_of_ipv4(address + sizeof(mapped));
    }
    if (key >> 56 == 0xff) {
        return CLIENTS_NOBODY;
    }
    return key != 0 ? key : ZERO_KEY;
}
#endif

/* 127.0.0.0/8, and ::1, which shares its 64 bits with no real client. */
static int is_loopback(clients_key_t key)
{
    return key == ZERO_KEY || key >> 24 == (IPV4_KEY >> 24 | 127);
}

clients_key_t clients_key(apr_sockaddr_t *address, int loopback,
                          const apr_array_header_t *exempt)
{
    clients_key_t key = CLIENTS_NOBODY;
    int i;

    if (address->family == APR_INET) {
        key = key_of_ipv4(address->ipaddr_ptr);
    }
#if APR_HAVE_IPV6
    else if (address->family == APR_INET6) {
        key = key_of_ipv6(address->ipaddr_ptr);
    }
#endif
    if (key == CLIENTS_NOBODY || (!loopback && is_loopback(key))) {
        return CLIENTS_NOBODY;
    }
    for (i = 0; exempt != NULL && i < exempt->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(exempt, i, apr_ipsubnet_t *),
                              address)) {
            return CLIENTS_NOBODY;
        }
    }
    return key;
}

/* --- Looking ----------------------------------------------------------- */

static apr_uint32_t place_of(const clients_t *c, clients_key_t key, int i)
{
    apr_uint64_t hash = key ^ c->table->seed;

    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
    return ((apr_uint32_t)(hash >> 32) + (apr_uint32_t)i) & (c->num - 1);
}

static _Atomic(apr_uint32_t) *count_of(const clients_t *c, apr_uint32_t entry,
                                       apr_uint32_t slot)
{
    return &c->counts[(apr_size_t)entry * c->slots + slot];
}

static unsigned sum_of(const clients_t *c, apr_uint32_t entry)
{
    apr_uint32_t slot;
    unsigned sum = 0;

    for (slot = 0; slot < c->slots; slot++) {
        sum += atomic_load(count_of(c, entry, slot));
    }
    return sum;
}

/* The first entry with key, -1 if there is none; what all of them sum up
 * to. */
static int look_up(const clients_t *c, clients_key_t key, unsigned *sum)
{
    int found = -1;
    int i;

    *sum = 0;
    for (i = 0; i < WINDOW; i++) {
        apr_uint32_t entry = place_of(c, key, i);

        if (atomic_load(&c->entries[entry].key) == key) {
            *sum += sum_of(c, entry);
            found = found < 0 ? (int)entry : found;
        }
    }
    return found;
}

static int is_claim(clients_key_t key)
{
    return key >> 48 == CLAIM >> 48;
}

/* A free entry that from now on is key's; -1 if there is none. */
static int take_over(clients_t *c, clients_key_t key, int slot)
{
    int i;

    for (i = 0; i < WINDOW; i++) {
        apr_uint32_t number = place_of(c, key, i);
        entry_t *entry = &c->entries[number];
        clients_key_t old = atomic_load(&entry->key);

        if (is_claim(old) || sum_of(c, number) > 0
            || !atomic_compare_exchange_strong(&entry->key, &old,
                                               CLAIM | (unsigned)slot)) {
            continue;
        }
        if (sum_of(c, number) > 0) {
            atomic_store(&entry->key, old); /* it was counted in meanwhile */
            continue;
        }
        atomic_store(&entry->log_at, 0);
        atomic_store(&entry->key, key);
        return (int)number;
    }
    return -1;
}

/* --- Counting ---------------------------------------------------------- */

int clients_enter(clients_t *c, clients_key_t key, int slot, int limit)
{
    int tries;

    if (key == CLIENTS_NOBODY || limit <= 0) {
        return CLIENTS_UNCOUNTED;
    }
    for (tries = 0; tries < TRIES; tries++) {
        unsigned sum;
        int entry = look_up(c, key, &sum);

        if (entry >= 0 && sum >= (unsigned)limit) {
            atomic_fetch_add(&c->table->refused, 1);
            return CLIENTS_REFUSED;
        }
        if (entry < 0) {
            entry = take_over(c, key, slot);
        }
        if (entry < 0) {
            break;
        }
        atomic_fetch_add(count_of(c, (apr_uint32_t)entry, (apr_uint32_t)slot),
                         1);
        if (atomic_load(&c->entries[entry].key) == key) {
            return entry;
        }
        clients_leave(c, entry, slot); /* it has just been taken over */
    }
    atomic_fetch_add(&c->table->overflowed, 1);
    return CLIENTS_UNCOUNTED;
}

void clients_leave(clients_t *c, int entry, int slot)
{
    if (entry >= 0) {
        atomic_fetch_sub(count_of(c, (apr_uint32_t)entry, (apr_uint32_t)slot),
                         1);
    }
}

unsigned clients_count(const clients_t *c, clients_key_t key)
{
    unsigned sum;

    look_up(c, key, &sum);
    return sum;
}

int clients_may_log(clients_t *c, clients_key_t key, apr_time_t now)
{
    unsigned sum;
    int entry = look_up(c, key, &sum);
    apr_int64_t log_at;

    if (entry < 0) {
        return 0; /* all its connections have gone meanwhile */
    }
    log_at = atomic_load(&c->entries[entry].log_at);
    return now >= log_at
           && atomic_compare_exchange_strong(&c->entries[entry].log_at,
                                             &log_at,
                                             now + CLIENTS_LOG_INTERVAL);
}

void clients_give_back(clients_t *c, int slot)
{
    clients_key_t claim = CLAIM | (unsigned)slot;
    apr_uint32_t entry;

    for (entry = 0; entry < c->num; entry++) {
        clients_key_t key = atomic_load(&c->entries[entry].key);

        if (key == CLIENTS_NOBODY) {
            continue; /* never used: leave its page alone */
        }
        atomic_store(count_of(c, entry, (apr_uint32_t)slot), 0);
        if (key == claim) {
            atomic_store(&c->entries[entry].key, VACANT);
        }
    }
}

apr_uint64_t clients_refused(const clients_t *c)
{
    return atomic_load(&c->table->refused);
}

apr_uint64_t clients_overflowed(const clients_t *c)
{
    return atomic_load(&c->table->overflowed);
}
