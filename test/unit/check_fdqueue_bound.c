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
 * check_fdqueue_bound: how many workers run at a time, who is found blocked,
 * and when the listener rests.
 *
 * Times are made up, and so is what the system says of a thread: fdqueue and
 * crew are compiled into this program with our functions in front of those of
 * tasks.
 * Workers stay in their entries until they are let go.
 */

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "places.h"
#include "tasks.h"

static atomic_int answer;     /* of tasks_state, for whomever */
static atomic_int wakes;      /* of who rests */
static int waits;             /* rests that slept */
static apr_interval_time_t waited; /* how long the last rest might be */
static void (*resting)(void); /* once, on the thread that rests */

static tasks_state_e our_state(long task)
{
    (void)task;
    return atomic_load(&answer);
}

static _Atomic(apr_time_t) clock_time; /* when entries are taken */

static apr_time_t our_clock(void)
{
    return atomic_load(&clock_time);
}

static int goes;              /* how often one was told to go */
static unsigned int goes_to; /* and where, the last time */

static int our_processor(void)
{
    return 0;
}

static int our_go(unsigned int wanted, int num)
{
    ck_assert_int_eq(num, PLACES_NUM);
    goes++;
    goes_to = wanted;
    return 1;
}

static void our_wait(atomic_int *word, int value, apr_interval_time_t time)
{
    void (*happen)(void) = resting;

    ck_assert_int_eq(atomic_load(word), value);
    ck_assert(time > 0);
    waited = time;
    waits++;
    resting = NULL;
    if (happen) {
        happen();
    }
}

static void our_wake(atomic_int *word)
{
    ck_assert_int_eq(atomic_load(word), 0);
    atomic_fetch_add(&wakes, 1);
}

/* With what we say of threads there is a bound on every system. */
#undef TASKS_CAN_TELL
#define TASKS_CAN_TELL 1
#define tasks_state our_state
#define tasks_wait our_wait
#define tasks_processor our_processor
#define tasks_go our_go
#define tasks_wake our_wake
#define clock_now our_clock
#include "blocked.c"
#include "crew.c"
#include "fdqueue.c"

#define MAX_WORKERS 64
#define START apr_time_from_sec(1000)

/* A queue and its workers, as a child has them. */
typedef struct team_t {
    fdqueue_t *queue;
    int num_workers;
    atomic_int taken;    /* entries, ever */
    atomic_int at_work;  /* workers with one */
    sem_t go;            /* one of them may finish */
    atomic_int numbers;
    pthread_t threads[MAX_WORKERS];
    fdqueue_entry_t entries[MAX_WORKERS];
} team_t;

static apr_pool_t *pool;
static team_t teams[2];
static places_shown_t shown[2]; /* each team's, in what they share */
static const atomic_int num_teams = 2;
static apr_time_t now;

static void setup(void)
{
    memset(teams, 0, sizeof(teams));
    atomic_store(&answer, TASKS_RUNS);
    memset(shown, 0, sizeof(shown));
    now = START;
    atomic_store(&clock_time, now);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static int number_of(const team_t *team)
{
    return (int)(team - teams);
}

static int share_of(const team_t *team)
{
    return atomic_load(&shown[number_of(team)].running);
}

/* What both share. */
static int sum(void)
{
    return share_of(&teams[0]) + share_of(&teams[1]);
}

static void create(team_t *team, int num_workers, int processors)
{
    fdqueue_share_t share = {shown, &num_teams, number_of(team),
                             processors};

    team->num_workers = num_workers;
    sem_init(&team->go, 0, 0);
    ck_assert_int_eq(fdqueue_create(&team->queue, num_workers, &share, pool),
                     APR_SUCCESS);
    fdqueue_review(team->queue, now);
}

static void *run_worker(void *data)
{
    team_t *team = data;
    int number = atomic_fetch_add(&team->numbers, 1);

    fdqueue_join(team->queue, number);
    while (fdqueue_pop(team->queue, number) != NULL) {
        atomic_fetch_add(&team->at_work, 1);
        atomic_fetch_add(&team->taken, 1);
        while (sem_wait(&team->go) != 0) {
        }
        atomic_fetch_sub(&team->at_work, 1);
        fdqueue_done(team->queue, number);
    }
    return NULL;
}

/* Until that many entries have been taken, ever, that many workers are at
 * one, and all others are asleep. */
static void await(team_t *team, int taken, int at_work)
{
    while (atomic_load(&team->taken) < taken
           || atomic_load(&team->at_work) != at_work
           || atomic_load(&team->queue->crew->sleeping)
                  != team->num_workers - at_work) {
        sched_yield();
    }
    ck_assert_int_eq(atomic_load(&team->taken), taken);
    ck_assert_int_eq(atomic_load(&team->queue->crew->waking), 0);
}

static void start(team_t *team, int num_workers, int processors)
{
    int i;

    create(team, num_workers, processors);
    for (i = 0; i < num_workers; i++) {
        ck_assert_int_eq(
            pthread_create(&team->threads[i], NULL, run_worker, team), 0);
    }
    await(team, 0, 0);
    ck_assert_int_eq(share_of(team), 0);
}

static void push(team_t *team, int n)
{
    fdqueue_entry_t *entry;
    int i;

    for (i = 0; i < n; i++) {
        entry = &team->entries[i];
        fdqueue_push(team->queue, &entry, FDQUEUE_NOW);
    }
}

static void let_go(team_t *team, int n)
{
    while (n-- > 0) {
        sem_post(&team->go);
    }
}

static void review(team_t *team, apr_interval_time_t later)
{
    now += later;
    atomic_store(&clock_time, now);
    fdqueue_review(team->queue, now);
}

static void end(team_t *team)
{
    int i;

    fdqueue_close(team->queue);
    ck_assert_int_eq(share_of(team), 0);
    let_go(team, MAX_WORKERS);
    for (i = 0; i < team->num_workers; i++) {
        pthread_join(team->threads[i], NULL);
    }
    ck_assert_int_eq(share_of(team), 0);
}

static void assert_due(team_t *team, apr_time_t due)
{
    ck_assert_int_eq(fdqueue_due(team->queue), due);
}

/* --- The bound ------------------------------------------------------------ */

/* The parameter: that many processors. */
START_TEST(no_more_run_than_processors)
{
    team_t *team = &teams[0];
    int i;

    start(team, 8, _i);
    push(team, 6);
    await(team, _i, _i);
    ck_assert_int_eq(sum(), _i);
    for (i = _i + 1; i <= 6; i++) {
        let_go(team, 1);
        await(team, i, _i);
        ck_assert_int_eq(sum(), _i);
    }
    let_go(team, _i);
    await(team, 6, 0);
    ck_assert_int_eq(sum(), 0);
    end(team);
}
END_TEST

START_TEST(no_share_no_bound)
{
    team_t *team = &teams[0];

    start(team, 8, 0);
    push(team, 8);
    await(team, 8, 8);
    assert_due(team, CLOCK_NEVER);
    review(team, BLOCKED_LONG);
    ck_assert_int_eq(sum(), 0);
    end(team);
}
END_TEST

START_TEST(who_sleeps_is_found_in_time)
{
    team_t *team = &teams[0];

    start(team, 8, 1);
    push(team, 2);
    await(team, 1, 1);
    assert_due(team, START + BLOCK_TIME);
    atomic_store(&answer, TASKS_SLEEPS);
    review(team, BLOCKED_ASLEEP - 1);
    await(team, 1, 1);
    review(team, 1);
    await(team, 2, 2);
    end(team);
}
END_TEST

/* Nor is one of whom nothing can be known waited for. */
START_TEST(who_cannot_be_asked_is_blocked)
{
    team_t *team = &teams[0];

    start(team, 8, 1);
    push(team, 2);
    await(team, 1, 1);
    atomic_store(&answer, TASKS_UNKNOWN);
    review(team, BLOCK_TIME);
    await(team, 2, 2);
    end(team);
}
END_TEST

START_TEST(who_runs_is_not_blocked_until_late)
{
    team_t *team = &teams[0];

    start(team, 8, 1);
    push(team, 2);
    await(team, 1, 1);
    review(team, BLOCK_TIME);
    review(team, BLOCKED_LONG - BLOCK_TIME - 1);
    await(team, 1, 1);
    review(team, 1);
    await(team, 2, 2);
    end(team);
}
END_TEST

/* Each time twice as many as were found, so in a few times all. */
START_TEST(many_that_block_all_start)
{
    team_t *team = &teams[0];
    int at_work = 1, reviews = 0;

    start(team, MAX_WORKERS, 1);
    atomic_store(&answer, TASKS_SLEEPS);
    push(team, MAX_WORKERS);
    await(team, 1, 1);
    while (at_work < MAX_WORKERS) {
        int before = at_work;

        ck_assert_int_lt(reviews++, 7);
        review(team, BLOCK_TIME);
        do {
            sched_yield();
            at_work = atomic_load(&team->at_work);
        } while (wakes_one(team->queue->crew)
                 || atomic_load(&team->queue->crew->waking)
                 || at_work + atomic_load(&team->queue->crew->sleeping)
                        != MAX_WORKERS
                 || at_work != atomic_load(&team->at_work));
        ck_assert_int_gt(at_work, before);
    }
    ck_assert_int_gt(reviews, 3); /* it is a bound after all */
    end(team);
}
END_TEST

START_TEST(who_was_blocked_and_sleeps_is_counted_once)
{
    team_t *team = &teams[0];
    int round;

    start(team, 8, 1);
    for (round = 1; round <= 3; round++) {
        push(team, 1);
        await(team, round, 1);
        ck_assert_int_eq(sum(), 1);
        atomic_store(&answer, TASKS_SLEEPS);
        review(team, BLOCK_TIME);
        ck_assert_int_eq(sum(), 0);
        let_go(team, 1);
        await(team, round, 0);
        ck_assert_int_eq(sum(), 0);
    }
    end(team);
}
END_TEST

START_TEST(extra_ones_become_fewer)
{
    team_t *team = &teams[0];
    int i;

    start(team, 8, 1);
    push(team, 4);
    await(team, 1, 1);
    atomic_store(&answer, TASKS_SLEEPS);
    review(team, BLOCK_TIME);
    ck_assert_int_eq(atomic_load(&team->queue->crew->extra), 2);
    await(team, 4, 4);
    let_go(team, 4);
    await(team, 4, 0);
    atomic_store(&answer, TASKS_RUNS);
    push(team, 1);
    await(team, 5, 1);
    for (i = 0; i < 2; i++) {
        review(team, BLOCK_TIME);
    }
    ck_assert_int_eq(atomic_load(&team->queue->crew->extra), 0);
    end(team);
}
END_TEST

START_TEST(two_queues_share_the_processors)
{
    team_t *one = &teams[0], *other = &teams[1];

    start(one, 8, 2);
    start(other, 8, 2);
    push(one, 2);
    await(one, 2, 2);
    push(other, 3);
    await(other, 1, 1); /* one may run in any case */
    ck_assert_int_eq(sum(), 3);
    /* Nothing waits in the one, but others must get to know. */
    assert_due(one, START + BLOCKED_LONG);
    atomic_store(&answer, TASKS_SLEEPS);
    review(one, BLOCK_TIME);
    ck_assert_int_eq(sum(), 1);
    assert_due(one, CLOCK_NEVER);
    atomic_store(&answer, TASKS_RUNS);
    review(other, 0);
    await(other, 2, 2);
    ck_assert_int_eq(sum(), 2);
    end(one);
    ck_assert_int_eq(sum(), 2);
    end(other);
    ck_assert_int_eq(sum(), 0);
}
END_TEST

/* All are blocked, so that there is nothing to look for; then all go on with
 * what waits, and before anybody has looked again. */
START_TEST(nobody_sleeps_beside_an_entry_while_nobody_looks)
{
    team_t *team = &teams[0];

    start(team, 4, 1);
    atomic_store(&answer, TASKS_SLEEPS);
    push(team, 4);
    while (atomic_load(&team->taken) < 4) {
        review(team, BLOCK_TIME);
        sched_yield();
    }
    while (atomic_load(&team->queue->crew->extra) > 0
           || share_of(team) > 0) {
        review(team, BLOCK_TIME);
    }
    push(team, 4);
    assert_due(team, CLOCK_NEVER);
    let_go(team, 4);
    await(team, 8, 4);
    /* With the next look there is a bound again. */
    review(team, 0);
    ck_assert_int_le(room(team->queue->crew), 0);
    end(team);
}
END_TEST

START_TEST(closing_leaves_nothing_in_the_share)
{
    team_t *team = &teams[0];

    start(team, 4, 1);
    push(team, 3);
    await(team, 1, 1);
    atomic_store(&answer, TASKS_SLEEPS);
    fdqueue_close(team->queue);
    ck_assert_int_eq(sum(), 0);
    review(team, BLOCKED_LONG);
    ck_assert_int_eq(sum(), 0);
    assert_due(team, CLOCK_NEVER);
    end(team);
    ck_assert_int_eq(sum(), 0);
}
END_TEST

/* --- Rest: all done by this thread ---------------------------------------- */

static void pop_three(void)
{
    int i;

    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(atomic_load(&wakes), 0);
        ck_assert_ptr_nonnull(fdqueue_pop(teams[0].queue, 0));
        fdqueue_done(teams[0].queue, 0);
    }
    ck_assert_int_eq(atomic_load(&wakes), 1);
}

START_TEST(rests_until_few_wait)
{
    team_t *team = &teams[0];

    create(team, 1, 1);
    fdqueue_join(team->queue, 0);
    push(team, REST_ABOVE);
    fdqueue_rest(team->queue);
    ck_assert_int_eq(waits, 0);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
    fdqueue_done(team->queue, 0);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
    fdqueue_done(team->queue, 0);
    ck_assert_int_eq(atomic_load(&wakes), 0);
    push(team, REST_ABOVE + 3);
    resting = pop_three;
    fdqueue_rest(team->queue);
    ck_assert_int_eq(waits, 1);
    ck_assert_int_eq(waited, BLOCK_TIME);
    ck_assert_int_eq(atomic_load(&wakes), 1);
    fdqueue_rest(team->queue); /* few wait */
    ck_assert_int_eq(waits, 1);
    /* However long the turn since the last review was. */
    push(team, REST_ABOVE + 1);
    clock_time += 2 * BLOCK_TIME;
    fdqueue_rest(team->queue);
    ck_assert_int_eq(waits, 2);
    ck_assert_int_eq(waited, REST_TIME);
}
END_TEST

/* Then it has nothing to look for earlier. */
START_TEST(while_all_compute_it_rests_longer)
{
    team_t *team = &teams[0];
    int i;

    create(team, 1, 1);
    fdqueue_join(team->queue, 0);
    push(team, REST_ABOVE + 21);
    for (i = 0; i < 20; i++) {
        now += BLOCKED_PAUSE;
        atomic_store(&clock_time, now);
        ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
        review(team, BLOCKED_ASLEEP);
        fdqueue_done(team->queue, 0);
    }
    fdqueue_rest(team->queue);
    ck_assert_int_eq(waits, 1);
    ck_assert_int_eq(waited, BLOCKED_LONG - BLOCKED_ASLEEP);
}
END_TEST

START_TEST(without_a_bound_nobody_rests)
{
    team_t *team = &teams[0];

    create(team, 1, 0);
    fdqueue_join(team->queue, 0);
    push(team, 10);
    fdqueue_rest(team->queue);
    ck_assert_int_eq(waits, 0);
}
END_TEST

/* --- The pace: all done by this thread ------------------------------------ */

static void create_with_idle(team_t *team, int processors)
{
    int i;

    create(team, 4, processors);
    for (i = 0; i < 4; i++) {
        fdqueue_join(team->queue, i);
    }
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 4);
    review(team, 2 * FDQUEUE_SOON);
}

static void pop(team_t *team, int n)
{
    while (n-- > 0) {
        ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
        fdqueue_done(team->queue, 0);
    }
}

START_TEST(what_waits_for_a_processor_needs_no_worker)
{
    team_t *team = &teams[0];

    create_with_idle(team, 8);
    push(team, 50);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
    pop(team, 24);
    review(team, FDQUEUE_SOON - 1);
    ck_assert_int_eq(fdqueue_waiting(team->queue), 26);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
    /* So long it took for 24: of 26 two need a worker. */
    review(team, 1);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 2);
    pop(team, 1);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 3);
    /* Slower: 1 in a time and a half. */
    review(team, FDQUEUE_SOON + FDQUEUE_SOON / 2);
    ck_assert_int_eq(fdqueue_waiting(team->queue), 25);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

/* Waiting or run; but who waits behind it, or runs beside it, does. And no
 * pace makes more of it. */
START_TEST(an_errand_takes_no_worker)
{
    team_t *team = &teams[0];
    int i;

    create_with_idle(team, 8);
    push(team, 2);
    ck_assert_int_eq(fdqueue_idle(team->queue, 1), 3);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
    ck_assert_int_eq(fdqueue_idle(team->queue, 1), 3);
    fdqueue_done(team->queue, 0);
    pop(team, 1);
    push(team, 30);
    pop(team, 29);
    review(team, FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_idle(team->queue, 1), 4);
    push(team, 3);
    for (i = 1; i < 4; i++) {
        ck_assert_int_eq(fdqueue_idle(team->queue, 1), 5 - i);
        ck_assert_ptr_nonnull(fdqueue_pop(team->queue, i));
    }
    ck_assert_int_eq(fdqueue_idle(team->queue, 1), 1);
    push(team, 1);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
    ck_assert_int_eq(fdqueue_idle(team->queue, 1), 0);
}
END_TEST

/* A time that nobody looked at for so long tells nothing. */
START_TEST(no_pace_after_a_long_time)
{
    team_t *team = &teams[0];

    create_with_idle(team, 8);
    push(team, 50);
    pop(team, 40);
    review(team, FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 4);
    pop(team, 5);
    review(team, 2 * FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_waiting(team->queue), 5);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

/* Whoever waits may have to wait as long as it does. */
START_TEST(no_pace_while_a_worker_blocks)
{
    team_t *team = &teams[0];
    int blocked;

    create_with_idle(team, 8);
    push(team, 50);
    pop(team, 40);
    review(team, FDQUEUE_SOON);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 1));
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 3);
    blocked = fdqueue_blocked(team->queue);
    atomic_store(&answer, TASKS_SLEEPS);
    review(team, BLOCK_TIME);
    ck_assert_int_eq(fdqueue_blocked(team->queue), blocked + 1);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
    /* Nor before it is known anew. */
    atomic_store(&answer, TASKS_RUNS);
    review(team, FDQUEUE_SOON - 1);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

/* Closings are cheaper, and wait in their own line. */
START_TEST(closings_make_no_pace)
{
    team_t *team = &teams[0];
    fdqueue_entry_t *entry;
    int i;

    create_with_idle(team, 8);
    for (i = 0; i < 20; i++) {
        entry = &team->entries[i];
        fdqueue_push(team->queue, &entry, FDQUEUE_LATER);
    }
    pop(team, 20);
    push(team, 10);
    review(team, FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

/* Workers who are at an entry are not idle, however fast others are. */
START_TEST(busy_is_busy)
{
    team_t *team = &teams[0];
    int i;

    create_with_idle(team, 8);
    push(team, 50);
    pop(team, 40);
    for (i = 1; i < 4; i++) {
        ck_assert_ptr_nonnull(fdqueue_pop(team->queue, i));
    }
    review(team, FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 1);
    ck_assert_ptr_nonnull(fdqueue_pop(team->queue, 0));
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

START_TEST(without_a_bound_no_pace)
{
    team_t *team = &teams[0];

    create_with_idle(team, 0);
    push(team, 50);
    pop(team, 40);
    review(team, FDQUEUE_SOON);
    ck_assert_int_eq(fdqueue_idle(team->queue, 0), 0);
}
END_TEST

/* --- Where to run --------------------------------------------------------- */

static void push_and_pop(team_t *team, int n)
{
    while (n-- > 0) {
        push(team, 1);
        pop(team, 1);
    }
}

/* The second of two crews finds the first one where it is. */
START_TEST(who_is_told_to_go_goes)
{
    team_t *team = &teams[1];

    create(team, 1, 2);
    fdqueue_join(team->queue, 0);
    push_and_pop(team, 50);
    ck_assert_int_eq(goes, 0);
    atomic_store(&shown[0].taken, 1u << 0);
    push_and_pop(team, 50);
    ck_assert_int_gt(goes, 0);
    ck_assert_uint_eq(goes_to, ~1u);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fdqueue_bound");
    TCase *pace = tcase_create("pace");
    TCase *bound = tcase_create("bound");
    TCase *rest = tcase_create("rest");

    tcase_add_checked_fixture(bound, setup, teardown);
    /* Reached only where somebody waits for ever. */
    tcase_set_timeout(bound, 10);
    tcase_add_loop_test(bound, no_more_run_than_processors, 1, 3);
    tcase_add_test(bound, no_share_no_bound);
    tcase_add_test(bound, who_sleeps_is_found_in_time);
    tcase_add_test(bound, who_cannot_be_asked_is_blocked);
    tcase_add_test(bound, who_runs_is_not_blocked_until_late);
    tcase_add_test(bound, many_that_block_all_start);
    tcase_add_test(bound, who_was_blocked_and_sleeps_is_counted_once);
    tcase_add_test(bound, extra_ones_become_fewer);
    tcase_add_test(bound, two_queues_share_the_processors);
    tcase_add_test(bound, nobody_sleeps_beside_an_entry_while_nobody_looks);
    tcase_add_test(bound, closing_leaves_nothing_in_the_share);
    suite_add_tcase(s, bound);

    tcase_add_checked_fixture(rest, setup, teardown);
    tcase_add_test(rest, rests_until_few_wait);
    tcase_add_test(rest, while_all_compute_it_rests_longer);
    tcase_add_test(rest, without_a_bound_nobody_rests);
    tcase_add_checked_fixture(pace, setup, teardown);
    tcase_add_test(pace, what_waits_for_a_processor_needs_no_worker);
    tcase_add_test(pace, an_errand_takes_no_worker);
    tcase_add_test(pace, no_pace_after_a_long_time);
    tcase_add_test(pace, no_pace_while_a_worker_blocks);
    tcase_add_test(pace, closings_make_no_pace);
    tcase_add_test(pace, busy_is_busy);
    tcase_add_test(pace, without_a_bound_no_pace);
    tcase_add_test(pace, who_is_told_to_go_goes);
    suite_add_tcase(s, pace);
    suite_add_tcase(s, rest);
    return s;
}

int main(void)
{
    SRunner *runner;
    int failed;

    apr_initialize();
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
