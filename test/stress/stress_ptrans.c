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
 * stress_ptrans: takers and putters of connections' pools.
 *
 * keeping:  a pool is one holder's at a time and empty when taken, its
 *           cleanups run once, no more are kept than may be;
 * stopping: pools put while keeping stops are all freed;
 * sharing:  the same with many takers, while spare ones are freed.
 *
 * Pools alive are counted in front of the functions of APR that make and
 * destroy them.
 */

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

#include "apr_allocator.h"
#include "apr_general.h"
#include "apr_pools.h"

#include "clock.h"
#include "ptrans.h"
#include "stress.h"

#define PUTTERS 4
#define TAKERS 3
#define MAX_KEPT 8
#define MAX_OUT 32
#define PER_STOP 16

/* One taking of a pool. */
typedef struct record_t record_t;

struct record_t {
    apr_pool_t *pool;
    record_t *next; /* in the putters' list */
    atomic_int cleaned;
};

typedef struct {
    ptrans_t *ptrans;
    pthread_t putters[PUTTERS];
    pthread_mutex_t lock;
    pthread_cond_t changed; /* more to put, or ended */
    record_t *to_put;       /* under lock */
    int ended;              /* under lock */
    atomic_int out;         /* taken, and no put has begun */
    atomic_int told;        /* that there are spare ones */
    atomic_int putting;     /* given to putters, and put has not returned */
} crew_t;

/* --- What stands between the room and APR ------------------------------ */

/* Hidden from APR's library, which goes on calling its own. */
#define OURS __attribute__((visibility("hidden")))

typedef apr_status_t create_fn_t(apr_pool_t **, apr_pool_t *,
                                 apr_abortfunc_t, apr_allocator_t *);
typedef void destroy_fn_t(apr_pool_t *);

static create_fn_t *real_create;
static destroy_fn_t *real_destroy;
static atomic_int alive;

OURS apr_status_t apr_pool_create_ex(apr_pool_t **newpool, apr_pool_t *parent,
                                     apr_abortfunc_t abort_fn,
                                     apr_allocator_t *allocator)
{
    atomic_fetch_add(&alive, 1);
    return real_create(newpool, parent, abort_fn, allocator);
}

OURS void apr_pool_destroy(apr_pool_t *pool)
{
    real_destroy(pool);
    atomic_fetch_sub(&alive, 1);
}

/* --- Putters ----------------------------------------------------------- */

static void put(crew_t *crew, record_t *record)
{
    apr_pool_t *pool = record->pool;

    /* Had somebody else got this pool too, it would be cleaned already. */
    MUST(atomic_load(&record->cleaned) == 0);
    atomic_fetch_sub(&crew->out, 1);
    if (ptrans_put(crew->ptrans, &pool)) {
        atomic_store(&crew->told, 1);
    }
    MUST(pool == NULL);
    MUST(atomic_load(&record->cleaned) == 1);
    atomic_fetch_sub(&crew->putting, 1);
}

static void *run_putter(void *data)
{
    crew_t *crew = data;

    pthread_mutex_lock(&crew->lock);
    for (;;) {
        record_t *record = crew->to_put;

        if (record) {
            crew->to_put = record->next;
            pthread_mutex_unlock(&crew->lock);
            put(crew, record);
            pthread_mutex_lock(&crew->lock);
        }
        else if (crew->ended) {
            break;
        }
        else {
            pthread_cond_wait(&crew->changed, &crew->lock);
        }
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void start_crew(crew_t *crew)
{
    int i;

    memset(crew, 0, sizeof(*crew));
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    for (i = 0; i < PUTTERS; i++) {
        crew->putters[i] = stress_start(run_putter, crew);
    }
}

static void end_crew(crew_t *crew)
{
    int i;

    pthread_mutex_lock(&crew->lock);
    crew->ended = 1;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (i = 0; i < PUTTERS; i++) {
        stress_join(crew->putters[i]);
    }
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
}

static void await_all_put(crew_t *crew)
{
    while (atomic_load(&crew->putting) > 0) {
        sched_yield();
    }
}

/* --- Takers ----------------------------------------------------------- */

static apr_status_t note_cleanup(void *data)
{
    record_t *record = data;

    atomic_fetch_add(&record->cleaned, 1);
    return APR_SUCCESS;
}

static void take(crew_t *crew, record_t *record, unsigned *random)
{
    apr_pool_t *child;
    void *found;

    MUST(ptrans_take(crew->ptrans, &record->pool) == APR_SUCCESS);
    atomic_fetch_add(&crew->out, 1);
    MUST(apr_pool_userdata_get(&found, "stress", record->pool)
         == APR_SUCCESS);
    MUST(found == NULL);
    apr_pool_userdata_setn(record, "stress", NULL, record->pool);
    apr_pool_cleanup_register(record->pool, record, note_cleanup,
                              apr_pool_cleanup_null);
    memset(apr_palloc(record->pool, 1 + stress_random(random, 20000)), 'x',
           1);
    if (stress_random(random, 4) == 0) {
        MUST(real_create(&child, record->pool, NULL, NULL) == APR_SUCCESS);
    }
}

static void give(crew_t *crew, record_t *record)
{
    atomic_fetch_add(&crew->putting, 1);
    pthread_mutex_lock(&crew->lock);
    record->next = crew->to_put;
    crew->to_put = record;
    pthread_cond_signal(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

static apr_pool_t *make_ptrans(crew_t *crew, int max_kept)
{
    apr_pool_t *pool;

    MUST(real_create(&pool, NULL, NULL, NULL) == APR_SUCCESS);
    MUST(ptrans_create(&crew->ptrans, pool, 16384, max_kept, pool)
         == APR_SUCCESS);
    /* The room's own between the connections' and ours does not count. */
    atomic_store(&alive, 0);
    return pool;
}

static record_t *make_records(int count)
{
    record_t *records = calloc(count, sizeof(*records));

    MUST(records != NULL);
    return records;
}

/* --- keeping, stopping ------------------------------------------------- */

static int keeping(crew_t *crew, int count)
{
    apr_pool_t *pool = make_ptrans(crew, MAX_KEPT);
    record_t *records = make_records(count);
    apr_time_t due = CLOCK_NEVER, now = apr_time_from_sec(1000);
    unsigned random = 3;
    int i;

    atomic_store(&crew->told, 0);
    for (i = 0; i < count; i++) {
        int out = atomic_load(&crew->out);

        /* In this order, as putters lower both; those in a put count here,
         * too. */
        MUST(atomic_load(&alive) - out <= PTRANS_BURST * MAX_KEPT + PUTTERS);
        while (atomic_load(&crew->putting) >= MAX_OUT) {
            sched_yield();
        }
        take(crew, &records[i], &random);
        give(crew, &records[i]);
        if (stress_random(&random, 4) == 0) {
            atomic_store(&crew->told, 0);
            now += apr_time_from_msec(stress_random(&random, 500));
            due = ptrans_shrink(crew->ptrans, now);
        }
    }
    await_all_put(crew);
    for (i = 0; i < count; i++) {
        MUST(atomic_load(&records[i].cleaned) == 1);
    }
    /* A listener that sleeps would have been woken. */
    MUST(atomic_load(&alive) <= MAX_KEPT || due != CLOCK_NEVER
         || atomic_load(&crew->told));
    while ((due = ptrans_shrink(crew->ptrans, now)) != CLOCK_NEVER) {
        now = due;
    }
    MUST(atomic_load(&alive) <= MAX_KEPT);
    MUST(atomic_load(&alive) >= 1);
    ptrans_stop_keeping(crew->ptrans);
    MUST(atomic_load(&alive) == 0);
    free(records);
    real_destroy(pool);
    return count;
}

static int stopping(crew_t *crew, int count)
{
    unsigned random = 5;
    int round;
    int i;

    for (round = 0; round < count; round++) {
        apr_pool_t *pool = make_ptrans(crew, round % 2 ? 0 : MAX_KEPT);
        record_t *records = make_records(PER_STOP + 1);
        int stop_after = (int)stress_random(&random, PER_STOP);

        for (i = 0; i < PER_STOP; i++) {
            take(crew, &records[i], &random);
        }
        for (i = 0; i < PER_STOP; i++) {
            give(crew, &records[i]);
            if (i == stop_after) {
                ptrans_stop_keeping(crew->ptrans);
            }
        }
        take(crew, &records[PER_STOP], &random);
        give(crew, &records[PER_STOP]);
        await_all_put(crew);
        MUST(atomic_load(&crew->out) == 0);
        MUST(atomic_load(&alive) == 0);
        free(records);
        real_destroy(pool);
    }
    return count;
}

/* --- sharing ----------------------------------------------------------- */

typedef struct {
    crew_t *crew;
    record_t *records;
    int count;
    unsigned random;
    atomic_int *taking; /* takers that are not through */
} taker_t;

static void *run_taker(void *data)
{
    taker_t *taker = data;
    int i;

    for (i = 0; i < taker->count; i++) {
        while (atomic_load(&taker->crew->putting) >= MAX_OUT) {
            sched_yield();
        }
        take(taker->crew, &taker->records[i], &taker->random);
        give(taker->crew, &taker->records[i]);
    }
    atomic_fetch_sub(taker->taking, 1);
    return NULL;
}

/* Even rounds stop keeping when all have been taken, odd ones before. */
static int sharing(crew_t *crew, int rounds, int count)
{
    int round, i;

    for (round = 0; round < rounds; round++) {
        apr_pool_t *pool = make_ptrans(crew, MAX_KEPT);
        record_t *records = make_records(TAKERS * count);
        apr_time_t now = apr_time_from_sec(1000);
        atomic_int taking = TAKERS;
        taker_t takers[TAKERS];
        pthread_t threads[TAKERS];

        for (i = 0; i < TAKERS; i++) {
            takers[i] = (taker_t){crew, records + i * count, count,
                                  (unsigned)(round + i + 1), &taking};
            threads[i] = stress_start(run_taker, &takers[i]);
        }
        for (i = 0; atomic_load(&taking) > (round % 2 ? 1 : 0); i++) {
            now += apr_time_from_msec(500);
            ptrans_shrink(crew->ptrans, now);
            sched_yield();
        }
        ptrans_stop_keeping(crew->ptrans);
        for (i = 0; i < TAKERS; i++) {
            stress_join(threads[i]);
        }
        await_all_put(crew);
        for (i = 0; i < TAKERS * count; i++) {
            MUST(atomic_load(&records[i].cleaned) == 1);
        }
        MUST(atomic_load(&crew->out) == 0);
        MUST(atomic_load(&alive) == 0);
        free(records);
        real_destroy(pool);
    }
    return rounds * TAKERS * count;
}

int main(int argc, char **argv)
{
    int iterations = stress_iterations(argc, argv);
    static crew_t crew;
    int kept;
    int stopped;
    int shared;

    real_create = (create_fn_t *)dlsym(RTLD_NEXT, "apr_pool_create_ex");
    real_destroy = (destroy_fn_t *)dlsym(RTLD_NEXT, "apr_pool_destroy");
    MUST(real_create && real_destroy);
    MUST(apr_initialize() == APR_SUCCESS);
    start_crew(&crew);
    kept = keeping(&crew, 2 * iterations);
    stopped = stopping(&crew, iterations / 25 + 1);
    shared = sharing(&crew, 10, iterations / 25 + 1);
    end_crew(&crew);
    printf("stress_ptrans: %d taken and put, %d stops of %d, %d by several\n",
           kept, stopped, PER_STOP, shared);
    apr_terminate();
    return EXIT_SUCCESS;
}
