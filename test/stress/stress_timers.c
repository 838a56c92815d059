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
 * stress_timers: many threads on the timed callbacks.
 *
 * rounds: what several threads added at a time comes out in the one order
 *         (due, seq), once each, and those said to be the earliest were;
 * turns:  threads add while a listener takes and workers run, put and add
 *         again: each runs as often as it was added, none early, none
 *         before one that was there already and due no later.
 */

#include <stdatomic.h>
#include <string.h>

#include "apr_general.h"

#include "clock.h"
#include "stress.h"
#include "timers.h"

#define ADDERS 4
#define WORKERS 2
#define PER_ROUND 250 /* timers of each adder in a round */
#define KIND 7

typedef struct turns_t turns_t;

typedef struct {
    apr_time_t due;
    int earliest;
    int taken;         /* rounds */
    apr_uint64_t seq;  /* rounds */
    turns_t *turns;    /* turns */
    int again;         /* turns: how often still */
    unsigned random;   /* turns */
    atomic_int runs;   /* turns */
    atomic_int expect; /* turns: runs there should be */
} record_t;

typedef struct {
    timers_t *timers;
    record_t *records;
    int count;
    unsigned random;
    turns_t *turns;
    pthread_t thread;
} adder_t;

static timers_t *make_timers(apr_pool_t **pool)
{
    timers_t *timers;

    MUST(apr_pool_create(pool, NULL) == APR_SUCCESS);
    MUST(timers_create(&timers, KIND, *pool) == APR_SUCCESS);
    return timers;
}

static record_t *make_records(int count)
{
    record_t *records = calloc(count, sizeof(*records));

    MUST(records != NULL);
    return records;
}

static void must_not_run(void *baton)
{
    (void)baton;
    MUST(!"timers called back by itself");
}

/* --- rounds ------------------------------------------------------------ */

static void *add_for_round(void *data)
{
    adder_t *self = data;
    int i;

    for (i = 0; i < self->count; i++) {
        record_t *record = &self->records[i];

        record->due = stress_random(&self->random, 100);
        MUST(timers_add(self->timers, record->due, must_not_run, record,
                        &record->earliest)
             == APR_SUCCESS);
    }
    return NULL;
}

/* Take everything, with the records by seq in `order`. */
static void take_in_order(timers_t *timers, record_t **order,
                          apr_uint64_t first_seq, int count)
{
    apr_time_t last_due = -1;
    apr_uint64_t last_seq = 0;
    apr_time_t now;
    int taken = 0;

    while ((now = timers_next_due(timers)) != CLOCK_NEVER) {
        timers_entry_t *entry;

        MUST(timers_take(timers, now - 1) == NULL);
        while ((entry = timers_take(timers, now)) != NULL) {
            record_t *record = entry->baton;

            MUST(entry->due == now && record->due == now);
            MUST(entry->entry.kind == KIND);
            MUST(now > last_due || entry->seq > last_seq);
            MUST(entry->seq - first_seq < (apr_uint64_t)count);
            MUST(record->taken++ == 0);
            record->seq = entry->seq;
            order[entry->seq - first_seq] = record;
            last_due = now;
            last_seq = entry->seq;
            taken++;
            timers_put(timers, &entry);
        }
    }
    MUST(taken == count);
}

static int rounds(int count)
{
    static record_t *order[ADDERS * PER_ROUND];
    adder_t adders[ADDERS];
    apr_pool_t *pool;
    timers_t *timers = make_timers(&pool);
    int round;
    int i;

    for (round = 0; round < count; round++) {
        apr_time_t earliest = CLOCK_NEVER;

        for (i = 0; i < ADDERS; i++) {
            adders[i].timers = timers;
            adders[i].records = make_records(PER_ROUND);
            adders[i].count = PER_ROUND;
            adders[i].random = round * ADDERS + i;
            adders[i].thread = stress_start(add_for_round, &adders[i]);
        }
        for (i = 0; i < ADDERS; i++) {
            stress_join(adders[i].thread);
        }
        take_in_order(timers, order,
                      (apr_uint64_t)round * ADDERS * PER_ROUND,
                      ADDERS * PER_ROUND);
        for (i = 0; i < ADDERS * PER_ROUND; i++) {
            MUST(order[i]->earliest == (order[i]->due < earliest));
            if (order[i]->earliest) {
                earliest = order[i]->due;
            }
        }
        for (i = 0; i < ADDERS * PER_ROUND; i++) {
            record_t *record = &adders[i / PER_ROUND].records[i % PER_ROUND];

            MUST(i % PER_ROUND == 0 || record->seq > record[-1].seq);
        }
        for (i = 0; i < ADDERS; i++) {
            free(adders[i].records);
        }
    }
    apr_pool_destroy(pool);
    return count * ADDERS * PER_ROUND;
}

/* --- turns ------------------------------------------------------------- */

struct turns_t {
    timers_t *timers;
    _Atomic(apr_time_t) now; /* the listener's clock */
    atomic_int added;
    atomic_int run;
    atomic_int adding; /* adders not through */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    fdqueue_entry_t *ready; /* under lock; last in, first out will do */
    int ended;              /* under lock */
};

static void add_for_turns(record_t *record);

static void run(void *baton)
{
    record_t *record = baton;

    MUST(atomic_load(&record->turns->now) >= record->due);
    atomic_fetch_add(&record->runs, 1);
    if (record->again > 0) {
        record->again--;
        add_for_turns(record);
    }
}

static void add_for_turns(record_t *record)
{
    turns_t *turns = record->turns;

    /* Some are due in the past. */
    record->due = atomic_load(&turns->now)
                  + stress_random(&record->random, 50) - 5;
    atomic_fetch_add(&record->expect, 1);
    atomic_fetch_add(&turns->added, 1);
    MUST(timers_add(turns->timers, record->due, run, record, NULL)
         == APR_SUCCESS);
}

static void *run_adder(void *data)
{
    adder_t *self = data;
    int i;

    for (i = 0; i < self->count; i++) {
        self->records[i].turns = self->turns;
        self->records[i].random = self->random + i;
        self->records[i].again = i % 3;
        add_for_turns(&self->records[i]);
    }
    atomic_fetch_sub(&self->turns->adding, 1);
    return NULL;
}

static void *run_worker(void *data)
{
    turns_t *turns = data;

    pthread_mutex_lock(&turns->lock);
    for (;;) {
        timers_entry_t *timer = (timers_entry_t *)turns->ready;

        if (timer) {
            turns->ready = timer->entry.next;
            pthread_mutex_unlock(&turns->lock);
            timer->fn(timer->baton);
            timers_put(turns->timers, &timer);
            atomic_fetch_add(&turns->run, 1);
            pthread_mutex_lock(&turns->lock);
        }
        else if (turns->ended) {
            break;
        }
        else {
            pthread_cond_wait(&turns->changed, &turns->lock);
        }
    }
    pthread_mutex_unlock(&turns->lock);
    return NULL;
}

/* One turn of the listener: the clock moves, what is due goes to workers. */
static void take_turn(turns_t *turns, apr_time_t *last_due,
                      apr_uint64_t *last_seq)
{
    apr_time_t now = atomic_fetch_add(&turns->now, 1) + 1;
    timers_entry_t *timer;

    while ((timer = timers_take(turns->timers, now)) != NULL) {
        MUST(timer->due <= now);
        /* One due no later that was there already would have come first. */
        MUST(timer->due > *last_due || timer->seq > *last_seq);
        *last_due = timer->due;
        *last_seq = timer->seq;
        pthread_mutex_lock(&turns->lock);
        timer->entry.next = turns->ready;
        turns->ready = &timer->entry;
        pthread_cond_signal(&turns->changed);
        pthread_mutex_unlock(&turns->lock);
    }
}

/* Read in this order: what a callback adds counts as added before the
 * callback counts as run, so that equal is the end. */
static int has_ended(turns_t *turns)
{
    int adding = atomic_load(&turns->adding);
    int run_so_far = atomic_load(&turns->run);

    return adding == 0 && run_so_far == atomic_load(&turns->added);
}

static void run_listener(turns_t *turns)
{
    apr_time_t last_due = -1000;
    apr_uint64_t last_seq = 0;

    while (!has_ended(turns)) {
        take_turn(turns, &last_due, &last_seq);
        sched_yield();
    }
    MUST(timers_next_due(turns->timers) == CLOCK_NEVER);
    pthread_mutex_lock(&turns->lock);
    turns->ended = 1;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

static int turns_of(int count)
{
    turns_t turns;
    adder_t adders[ADDERS];
    pthread_t workers[WORKERS];
    apr_pool_t *pool;
    int i;
    int k;

    memset(&turns, 0, sizeof(turns));
    turns.timers = make_timers(&pool);
    pthread_mutex_init(&turns.lock, NULL);
    pthread_cond_init(&turns.changed, NULL);
    atomic_store(&turns.adding, ADDERS);
    for (i = 0; i < WORKERS; i++) {
        workers[i] = stress_start(run_worker, &turns);
    }
    for (i = 0; i < ADDERS; i++) {
        adders[i].turns = &turns;
        adders[i].records = make_records(count);
        adders[i].count = count;
        adders[i].random = i * 1000003;
        adders[i].thread = stress_start(run_adder, &adders[i]);
    }
    run_listener(&turns);
    for (i = 0; i < ADDERS; i++) {
        stress_join(adders[i].thread);
    }
    for (i = 0; i < WORKERS; i++) {
        stress_join(workers[i]);
    }
    for (i = 0; i < ADDERS; i++) {
        for (k = 0; k < count; k++) {
            record_t *record = &adders[i].records[k];

            MUST(record->again == 0);
            MUST(atomic_load(&record->runs) == 1 + k % 3);
            MUST(atomic_load(&record->expect) == 1 + k % 3);
        }
        free(adders[i].records);
    }
    pthread_cond_destroy(&turns.changed);
    pthread_mutex_destroy(&turns.lock);
    apr_pool_destroy(pool);
    return atomic_load(&turns.run);
}

int main(int argc, char **argv)
{
    int iterations = stress_iterations(argc, argv);
    int in_rounds;
    int in_turns;

    MUST(apr_initialize() == APR_SUCCESS);
    in_rounds = rounds(iterations / 200 + 1);
    in_turns = turns_of(iterations / 2 + 1);
    printf("stress_timers: %d added in rounds and taken in order, %d run in "
           "turns\n",
           in_rounds, in_turns);
    apr_terminate();
    return EXIT_SUCCESS;
}
