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
 * stress_clients: many children count in one table.
 *
 * crowd:  more addresses than entries, so that these are taken over all the
 *         time: nobody is refused, in the end each count is right;
 * limits: few addresses that want more than they may have: never many more
 *         than the limit, and in the end just as many as it;
 * killed: processes die wherever they are; what they had is given back.
 *
 * A thread is as good as a child here: each has a slot of its own.
 */

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "apr_general.h"
#include "apr_shm.h"

#include "clients.h"
#include "stress.h"

#define CHILDREN 4
#define HELD 8  /* connections a child has at a time, at most */
#define CROWD 100
#define ENTRIES 16 /* of the smallest table */
#define FEW 3
#define LIMIT 5

#define KEY(i) ((clients_key_t)0x20010db8 << 32 | (unsigned)(i))

typedef struct {
    unsigned key;
    int entry;
} held_t;

typedef struct {
    clients_t *clients;
    int slot;
    int iterations;
    unsigned keys;
    int limit;
    atomic_int *admitted; /* of each key; no more than there are */
    int refused;
    int uncounted;
    held_t held[HELD];
} child_t;

static void leave(child_t *child, held_t *held)
{
    if (held->entry >= 0) {
        atomic_fetch_sub(&child->admitted[held->key], 1);
        clients_leave(child->clients, held->entry, child->slot);
        held->entry = CLIENTS_UNCOUNTED;
    }
}

static void enter(child_t *child, held_t *held, unsigned key)
{
    held->key = key;
    held->entry = clients_enter(child->clients, KEY(key), child->slot,
                                child->limit);
    if (held->entry >= 0) {
        int before = atomic_fetch_add(&child->admitted[key], 1);

        MUST(before < child->limit + 2 * (CHILDREN - 1));
    }
    else {
        child->refused += held->entry == CLIENTS_REFUSED;
        child->uncounted += held->entry == CLIENTS_UNCOUNTED;
    }
}

static void *run_child(void *data)
{
    child_t *child = data;
    unsigned random = (unsigned)child->slot + 1;
    int i;

    for (i = 0; i < HELD; i++) {
        child->held[i].entry = CLIENTS_UNCOUNTED;
    }
    for (i = 0; i < child->iterations; i++) {
        held_t *held = &child->held[stress_random(&random, HELD)];

        leave(child, held);
        enter(child, held, stress_random(&random, child->keys));
    }
    return NULL;
}

static clients_t *make_table(apr_pool_t *pool, int addresses)
{
    clients_t *clients;

    MUST(clients_create(&clients, addresses, CHILDREN, pool) == APR_SUCCESS);
    return clients;
}

static void must_be(clients_t *clients, const atomic_int *admitted)
{
    unsigned i;

    for (i = 0; i < CROWD; i++) {
        MUST(clients_count(clients, KEY(i))
             == (unsigned)atomic_load(&admitted[i]));
    }
}

/* Run children, and count the refused; *uncounted: what had no room. */
static int run_children(clients_t *clients, unsigned keys, int limit,
                        int iterations, int *uncounted)
{
    static atomic_int admitted[CROWD];
    child_t children[CHILDREN];
    pthread_t threads[CHILDREN];
    int refused = 0;
    int i, j;

    for (i = 0; i < CHILDREN; i++) {
        child_t child = {.clients = clients, .slot = i, .keys = keys,
                         .iterations = iterations, .limit = limit,
                         .admitted = admitted};

        children[i] = child;
        threads[i] = stress_start(run_child, &children[i]);
    }
    *uncounted = 0;
    for (i = 0; i < CHILDREN; i++) {
        stress_join(threads[i]);
        refused += children[i].refused;
        *uncounted += children[i].uncounted;
    }
    must_be(clients, admitted);
    for (i = 0; i < CHILDREN; i++) {
        for (j = 0; j < HELD; j++) {
            leave(&children[i], &children[i].held[j]);
        }
        must_be(clients, admitted);
    }
    MUST(clients_refused(clients) == (apr_uint64_t)refused);
    MUST(clients_overflowed(clients) == (apr_uint64_t)*uncounted);
    return refused;
}

static void crowd(apr_pool_t *pool, int iterations)
{
    /* 16 entries for up to 32 connections of 100 addresses. All of them,
     * and those that step back just now, might be one address's. */
    clients_t *clients = make_table(pool, 1);
    int uncounted;

    MUST(run_children(clients, CROWD, CHILDREN * (HELD + 1), iterations,
                      &uncounted)
         == 0);
    MUST(uncounted > 0);
}

static int limits(apr_pool_t *pool, int iterations)
{
    clients_t *clients = make_table(pool, CROWD);
    int uncounted;
    int refused
        = run_children(clients, FEW, LIMIT, iterations, &uncounted);
    unsigned key;
    int i;

    MUST(refused > 0);
    for (key = 0; key < FEW; key++) {
        for (i = 0; i < LIMIT; i++) {
            MUST(clients_enter(clients, KEY(key), 0, LIMIT) >= 0);
        }
        MUST(clients_enter(clients, KEY(key), 0, LIMIT) == CLIENTS_REFUSED);
    }
    return refused;
}

/* --- Processes that die ------------------------------------------------ */

static pid_t start_process(clients_t *clients, int slot, atomic_int *begun)
{
    pid_t pid = fork();

    MUST(pid >= 0);
    if (pid == 0) {
        static atomic_int admitted[CROWD];
        child_t child = {.clients = clients, .slot = slot, .keys = CROWD,
                         .iterations = INT_MAX, .limit = 1000,
                         .admitted = admitted};

        atomic_fetch_add(begun, 1);
        run_child(&child);
        _exit(EXIT_FAILURE);
    }
    return pid;
}

static void killed(apr_pool_t *pool, int rounds)
{
    clients_t *clients = make_table(pool, 1);
    apr_shm_t *shm;
    static const atomic_int nothing[CROWD];
    atomic_int *begun;
    unsigned random = 1;
    int slot;
    int i;

    MUST(apr_shm_create(&shm, sizeof(*begun), NULL, pool) == APR_SUCCESS);
    begun = apr_shm_baseaddr_get(shm);
    while (rounds-- > 0) {
        pid_t pids[CHILDREN];
        int status;

        atomic_store(begun, 0);
        for (slot = 0; slot < CHILDREN; slot++) {
            pids[slot] = start_process(clients, slot, begun);
        }
        while (atomic_load(begun) < CHILDREN) {
            usleep(100);
        }
        usleep(stress_random(&random, 2000));
        for (slot = 0; slot < CHILDREN; slot++) {
            MUST(kill(pids[slot], SIGKILL) == 0);
            MUST(waitpid(pids[slot], &status, 0) == pids[slot]);
            MUST(WIFSIGNALED(status));
            clients_give_back(clients, slot);
        }
        must_be(clients, nothing);
        /* No entry is lost: as many addresses as entries find room. */
        for (i = 0; i < ENTRIES; i++) {
            MUST(clients_enter(clients, KEY(i), 0, 1) >= 0);
        }
        clients_give_back(clients, 0);
    }
}

int main(int argc, char **argv)
{
    int iterations = stress_iterations(argc, argv);
    int rounds = iterations / 2000 + 1;
    apr_pool_t *pool;
    int refused;

    MUST(apr_initialize() == APR_SUCCESS);
    MUST(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    killed(pool, rounds);
    crowd(pool, iterations);
    refused = limits(pool, iterations);
    apr_pool_destroy(pool);
    printf("stress_clients: %d times %d processes killed, %d connections, "
           "%d refused\n", rounds, CHILDREN, 2 * CHILDREN * iterations,
           refused);
    apr_terminate();
    return EXIT_SUCCESS;
}
