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
 * stress_fdqueue: many threads on the hand-off to workers.
 *
 * exchange: every entry pushed is popped exactly once, and the figures are
 *           right when all is quiet;
 * order:    with one worker each producer's entries come in its order;
 * pings:    one push to sleeping workers after another, while others block:
 *           a lost wake-up hangs here;
 * blocks:   64 handlers that all wait for each other are all started;
 * later:    a LATER entry waits for eight pops at most;
 * closings: closing loses no worker and no entry;
 * bound:    two queues that share the processors, whose handlers sleep, spin
 *           or do nothing: all is handled, and then none counts as running;
 * free:     the same where for a while all sleep, so that there is no bound,
 *           then none does, so that there is one again, and so on.
 */

#include <stdatomic.h>
#include <string.h>

#include "apr_general.h"

#include "clock.h"
#include "fdqueue.h"
#include "stress.h"
#include "trial.h"

#define MAX_WORKERS 64
#define PRODUCERS 4

typedef struct item_t {
    fdqueue_entry_t entry;
    int producer;
    int number;
    fdqueue_line_e line;
    atomic_int pops;
    atomic_int *handled; /* becomes 1, if any */
    int blocks;          /* wait for the others that do, first */
} item_t;

typedef struct team_t team_t;
typedef void handle_fn_t(team_t *team, item_t *item);

typedef struct {
    team_t *team;
    int number;
    pthread_t thread;
} member_t;

/* Workers on a queue, and what the handlers of each part need. */
struct team_t {
    apr_pool_t *pool;
    fdqueue_t *queue;
    int num_workers;
    handle_fn_t *handle;
    member_t workers[MAX_WORKERS];
    atomic_int handled;
    int next[PRODUCERS][2];     /* order: the number that must come */
    pthread_barrier_t together; /* pings, blocks */
    atomic_int now_pops;        /* later */
    atomic_int over;            /* bound */
};

typedef struct {
    team_t *team;
    item_t *items;
    int count;
    pthread_t thread;
} producer_t;

static void push(fdqueue_t *queue, item_t *item)
{
    fdqueue_entry_t *entry = &item->entry;

    fdqueue_push(queue, &entry, item->line);
}

static void *run_worker(void *data)
{
    member_t *self = data;
    team_t *team = self->team;
    fdqueue_entry_t *entry;

    fdqueue_join(team->queue, self->number);
    while ((entry = fdqueue_pop(team->queue, self->number)) != NULL) {
        team->handle(team, (item_t *)entry);
        fdqueue_done(team->queue, self->number);
    }
    return NULL;
}

static void start_bound_team(team_t *team, int num_workers,
                             handle_fn_t *handle,
                             const fdqueue_share_t *share)
{
    int i;

    memset(team, 0, sizeof(*team));
    team->num_workers = num_workers;
    team->handle = handle;
    MUST(apr_pool_create(&team->pool, NULL) == APR_SUCCESS);
    MUST(fdqueue_create(&team->queue, num_workers, share, team->pool)
         == APR_SUCCESS);
    for (i = 0; i < num_workers; i++) {
        member_t *worker = &team->workers[i];

        worker->team = team;
        worker->number = i;
        worker->thread = stress_start(run_worker, worker);
    }
}

static void start_team(team_t *team, int num_workers, handle_fn_t *handle)
{
    start_bound_team(team, num_workers, handle, NULL);
}

/* Close, and return how many NOW entries were left. */
static int end_team(team_t *team)
{
    int left;
    int i;

    fdqueue_close(team->queue);
    for (i = 0; i < team->num_workers; i++) {
        stress_join(team->workers[i].thread);
    }
    left = fdqueue_waiting(team->queue);
    apr_pool_destroy(team->pool);
    return left;
}

/* Look at the figures until that many have been handled and all is quiet. */
static void await_quiet(team_t *team, int handled)
{
    int idle = 0;

    while (team->handled < handled || idle != team->num_workers) {
        idle = fdqueue_idle(team->queue, 0);
        MUST(idle >= 0 && idle <= team->num_workers);
        MUST(fdqueue_waiting(team->queue) >= 0);
        sched_yield();
    }
    MUST(atomic_load(&team->handled) == handled);
    MUST(fdqueue_waiting(team->queue) == 0);
}

static item_t *make_items(int producer, int count, int with_later)
{
    item_t *items = calloc(count, sizeof(*items));
    int i;

    MUST(items != NULL);
    for (i = 0; i < count; i++) {
        items[i].producer = producer;
        items[i].number = i;
        items[i].line =
            with_later && i % 4 == 3 ? FDQUEUE_LATER : FDQUEUE_NOW;
    }
    return items;
}

static void *run_producer(void *data)
{
    producer_t *self = data;
    unsigned random = self->items[0].producer;
    int i;

    for (i = 0; i < self->count; i++) {
        push(self->team->queue, &self->items[i]);
        /* Now and then let the workers run dry and fall asleep. */
        if (stress_random(&random, 64) == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void start_producers(producer_t *producers, team_t *team, int count,
                            int with_later)
{
    int i;

    for (i = 0; i < PRODUCERS; i++) {
        producers[i].team = team;
        producers[i].items = make_items(i, count, with_later);
        producers[i].count = count;
        producers[i].thread = stress_start(run_producer, &producers[i]);
    }
}

static void join_producers(producer_t *producers, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        stress_join(producers[i].thread);
    }
}

/* Each item must have been popped once, or at most once if least is 0. How
 * many were? */
static int end_producers(producer_t *producers, int least)
{
    int popped = 0;
    int i;
    int k;

    for (i = 0; i < PRODUCERS; i++) {
        for (k = 0; k < producers[i].count; k++) {
            int pops = atomic_load(&producers[i].items[k].pops);

            MUST(pops >= least && pops <= 1);
            popped += pops;
        }
        free(producers[i].items);
    }
    return popped;
}

/* --- exchange, order --------------------------------------------------- */

static void handle_any(team_t *team, item_t *item)
{
    atomic_fetch_add(&item->pops, 1);
    atomic_fetch_add(&team->handled, 1);
}

static void handle_in_order(team_t *team, item_t *item)
{
    int *next = &team->next[item->producer][item->line];

    if (item->line == FDQUEUE_LATER) {
        MUST(item->number == 4 * *next + 3);
    }
    else {
        MUST(item->number == *next / 3 * 4 + *next % 3);
    }
    ++*next;
    handle_any(team, item);
}

static int exchange(team_t *team, int num_workers, int count,
                    handle_fn_t *handle)
{
    producer_t producers[PRODUCERS];

    start_team(team, num_workers, handle);
    start_producers(producers, team, count, 1);
    await_quiet(team, PRODUCERS * count);
    join_producers(producers, PRODUCERS);
    end_team(team);
    return end_producers(producers, 1);
}

/* --- pings ------------------------------------------------------------- */

#define BLOCKED 4

static void handle_ping(team_t *team, item_t *item)
{
    atomic_fetch_add(&team->handled, 1);
    if (item->blocks) {
        pthread_barrier_wait(&team->together);
    }
    if (item->handled) {
        atomic_store(item->handled, 1);
    }
}

/* Waits spinning, so that the next push comes while the worker that has
 * handled the last is on its way to sleep. */
static void await_handled(atomic_int *handled)
{
    while (!atomic_exchange(handled, 0)) {
        sched_yield();
    }
}

static void *run_pinger(void *data)
{
    producer_t *self = data;
    atomic_int handled = 0;
    item_t item;
    int i;

    memset(&item, 0, sizeof(item));
    item.handled = &handled;
    for (i = 0; i < self->count; i++) {
        item.line = i % 3 ? FDQUEUE_NOW : FDQUEUE_LATER;
        push(self->team->queue, &item);
        await_handled(&handled);
    }
    return NULL;
}

/* So many pingers keep so many workers on the verge of sleep. */
static int pings(team_t *team, int num_pingers, int num_free, int count)
{
    producer_t pingers[PRODUCERS];
    item_t blocked[BLOCKED];
    int i;

    start_team(team, BLOCKED + num_free, handle_ping);
    memset(blocked, 0, sizeof(blocked));
    pthread_barrier_init(&team->together, NULL, BLOCKED + 1);
    for (i = 0; i < BLOCKED; i++) {
        blocked[i].blocks = 1;
        push(team->queue, &blocked[i]);
    }
    for (i = 0; i < num_pingers; i++) {
        pingers[i].team = team;
        pingers[i].count = count;
        pingers[i].thread = stress_start(run_pinger, &pingers[i]);
    }
    join_producers(pingers, num_pingers);
    /* Only those that block are busy, and they are. */
    while (fdqueue_idle(team->queue, 0) != num_free) {
        sched_yield();
    }
    pthread_barrier_wait(&team->together);
    await_quiet(team, BLOCKED + num_pingers * count);
    end_team(team);
    pthread_barrier_destroy(&team->together);
    return num_pingers * count;
}

/* --- blocks ------------------------------------------------------------ */

static void handle_block(team_t *team, item_t *item)
{
    handle_any(team, item);
    pthread_barrier_wait(&team->together);
}

static int blocks(team_t *team, int rounds)
{
    int count = MAX_WORKERS / PRODUCERS;
    producer_t producers[PRODUCERS];
    int round;

    start_team(team, MAX_WORKERS, handle_block);
    pthread_barrier_init(&team->together, NULL, MAX_WORKERS + 1);
    for (round = 0; round < rounds; round++) {
        start_producers(producers, team, count, 1);
        pthread_barrier_wait(&team->together);
        join_producers(producers, PRODUCERS);
        /* In every other round workers are asleep, in the rest about to be
         * when the next entries come. */
        if (round % 2) {
            await_quiet(team, (round + 1) * MAX_WORKERS);
        }
        end_producers(producers, 1);
    }
    await_quiet(team, rounds * MAX_WORKERS);
    end_team(team);
    pthread_barrier_destroy(&team->together);
    return rounds;
}

/* --- later ------------------------------------------------------------- */

/* NOW entries go round for ever; a LATER one notes in its number how many
 * were popped before it. */
static void handle_round(team_t *team, item_t *item)
{
    if (item->line == FDQUEUE_LATER) {
        item->number = atomic_load(&team->now_pops);
        atomic_store(item->handled, 1);
    }
    else {
        atomic_fetch_add(&team->now_pops, 1);
        push(team->queue, item);
    }
}

static int later(team_t *team, int rounds)
{
    item_t now[3];
    item_t item;
    atomic_int handled = 0;
    int i;

    start_team(team, 1, handle_round);
    memset(now, 0, sizeof(now));
    for (i = 0; i < 3; i++) {
        now[i].line = FDQUEUE_NOW;
        push(team->queue, &now[i]);
    }
    memset(&item, 0, sizeof(item));
    item.line = FDQUEUE_LATER;
    item.handled = &handled;
    for (i = 0; i < rounds; i++) {
        int before;

        push(team->queue, &item);
        before = atomic_load(&team->now_pops);
        await_handled(&handled);
        /* Of eight pops seven are of NOW; and one of those may have been
         * popped before the push but counted after. */
        MUST(item.number - before <= 8);
    }
    end_team(team);
    return rounds;
}

/* --- closings ---------------------------------------------------------- */

static int closings(team_t *team, int rounds)
{
    producer_t producers[PRODUCERS];
    unsigned random = 7;
    int round;

    for (round = 0; round < rounds; round++) {
        unsigned yields = stress_random(&random, 30);
        int left;

        start_team(team, 8, handle_any);
        start_producers(producers, team, 100, 0);
        while (yields-- > 0) {
            sched_yield();
        }
        fdqueue_close(team->queue);
        join_producers(producers, PRODUCERS);
        left = end_team(team);
        MUST(end_producers(producers, 0) + left == PRODUCERS * 100);
    }
    return rounds;
}

/* --- bound ---------------------------------------------------------------- */

static void handle_variously(team_t *team, item_t *item)
{
    apr_time_t until = clock_now() + 50;

    switch (item->number % 64) {
    case 1:
        usleep(1500);
        break;
    case 2:
        while (clock_now() < until) {
        }
        break;
    }
    handle_any(team, item);
}

/* A trial's worth for each producer, and then enough that the next is due. */
static void handle_in_turns(team_t *team, item_t *item)
{
    if (item->number % 2000 < 2 * TRIAL_ENTRIES) {
        usleep(3000);
    }
    handle_any(team, item);
}

/* As a listener does. */
static void *run_reviewer(void *data)
{
    team_t *team = data;

    while (!atomic_load(&team->over)) {
        apr_time_t now = clock_now();
        apr_time_t due;

        fdqueue_review(team->queue, now);
        fdqueue_rest(team->queue);
        due = fdqueue_due(team->queue);
        if (due > now) {
            usleep(due - now < 1000 ? (useconds_t)(due - now) : 1000);
        }
    }
    return NULL;
}

static int bound(int rounds, int count, handle_fn_t *handle)
{
    static team_t teams[2];
    static places_shown_t shown[2];
    atomic_int top = 2;
    producer_t producers[2][PRODUCERS];
    pthread_t reviewers[2];
    int round, i;

    for (round = 0; round < rounds; round++) {
        for (i = 0; i < 2; i++) {
            fdqueue_share_t share = {shown, &top, i, 2};

            start_bound_team(&teams[i], 16, handle, &share);
            reviewers[i] = stress_start(run_reviewer, &teams[i]);
            start_producers(producers[i], &teams[i], count, 1);
        }
        for (i = 0; i < 2; i++) {
            await_quiet(&teams[i], PRODUCERS * count);
            join_producers(producers[i], PRODUCERS);
        }
        /* Idle is not yet asleep. */
        while (atomic_load(&shown[0].running) != 0
               || atomic_load(&shown[1].running) != 0) {
            sched_yield();
        }
        for (i = 0; i < 2; i++) {
            atomic_store(&teams[i].over, 1);
            stress_join(reviewers[i]);
            MUST(end_team(&teams[i]) == 0);
            end_producers(producers[i], 1);
            MUST(atomic_load(&shown[i].running) == 0);
        }
    }
    return rounds * 2 * PRODUCERS * count;
}

int main(int argc, char **argv)
{
    int n = stress_iterations(argc, argv);
    static team_t team;

    MUST(apr_initialize() == APR_SUCCESS);
    printf("stress_fdqueue: %d exchanged, ",
           exchange(&team, 8, n, handle_any));
    printf("%d in order, ", exchange(&team, 1, n, handle_in_order));
    printf("%d pings, ", pings(&team, 1, 1, n / 2 + 1)
                             + pings(&team, 2, 2, n / 4 + 1)
                             + pings(&team, 2, 3, n / 8 + 1));
    printf("%d blocks of %d, ", blocks(&team, n / 500 + 1), MAX_WORKERS);
    printf("%d later, ", later(&team, n / 4 + 1));
    printf("%d closings, ", closings(&team, n / 200 + 1));
    printf("%d within the bound, ", bound(10, n / 200 + 1, handle_variously));
    printf("%d with and without\n", bound(2, n / 4 + 1, handle_in_turns));
    apr_terminate();
    return EXIT_SUCCESS;
}
