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
 * check_fdqueue: order, figures and wake-ups of the hand-off to workers.
 *
 * The queue sleeps, signals and unlocks through functions of APR, which
 * this program puts its own in front of: so it knows which workers are
 * asleep without waiting for time to pass, can hold a wake-up back to look
 * at the queue while one is on its way, and can have something happen just
 * after a worker found nothing and before it sleeps.
 */

#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "apr_general.h"
#include "apr_thread_cond.h"
#include "apr_thread_mutex.h"

#include "fdqueue.h"

#define MAX_WORKERS 64

typedef struct item_t {
    fdqueue_entry_t entry;
    int id;
} item_t;

typedef struct sleeper_t {
    fdqueue_t *queue;
    int worker;
    pthread_t thread;
    item_t *popped;
    pthread_barrier_t *together; /* met before done, if any */
} sleeper_t;

static apr_pool_t *pool;
static fdqueue_t *queue;
static item_t items[MAX_WORKERS];
static sleeper_t sleepers[MAX_WORKERS];

/* --- What stands between the queue and APR ----------------------------- */

typedef apr_status_t wait_fn_t(apr_thread_cond_t *, apr_thread_mutex_t *);
typedef apr_status_t signal_fn_t(apr_thread_cond_t *);
typedef apr_status_t unlock_fn_t(apr_thread_mutex_t *);

/* Hidden from APR's library, which goes on calling its own. */
#define OURS __attribute__((visibility("hidden")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static wait_fn_t *real_wait;
static signal_fn_t *real_signal;
static unlock_fn_t *real_unlock;
static int num_sleeps;  /* waits that ever began */
static int num_signals; /* signals ever sent */
static int holding;     /* keep signals back */
static apr_thread_cond_t *held[MAX_WORKERS];
static int num_held;
static void (*after_unlock)(void); /* once, on the thread that unlocks */

/* The queue calls this with the worker's mutex locked, and signals under
 * the same: what is counted here is as good as asleep. */
OURS apr_status_t apr_thread_cond_wait(apr_thread_cond_t *cond,
                                       apr_thread_mutex_t *mutex)
{
    pthread_mutex_lock(&lock);
    num_sleeps++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return real_wait(cond, mutex);
}

OURS apr_status_t apr_thread_cond_signal(apr_thread_cond_t *cond)
{
    int hold;

    pthread_mutex_lock(&lock);
    num_signals++;
    hold = holding;
    if (hold) {
        held[num_held++] = cond;
    }
    pthread_mutex_unlock(&lock);
    return hold ? APR_SUCCESS : real_signal(cond);
}

OURS apr_status_t apr_thread_mutex_unlock(apr_thread_mutex_t *mutex)
{
    void (*happen)(void) = after_unlock;
    apr_status_t rv = real_unlock(mutex);

    if (happen) {
        after_unlock = NULL;
        happen();
    }
    return rv;
}

static void let_signals_go(void)
{
    int i;

    pthread_mutex_lock(&lock);
    holding = 0;
    for (i = 0; i < num_held; i++) {
        real_signal(held[i]);
    }
    num_held = 0;
    pthread_mutex_unlock(&lock);
}

static int signals_sent(void)
{
    int n;

    pthread_mutex_lock(&lock);
    n = num_signals;
    pthread_mutex_unlock(&lock);
    return n;
}

/* Until n sleeps have begun since the test did. */
static void await_sleeps(int n)
{
    pthread_mutex_lock(&lock);
    while (num_sleeps < n) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

/* --- Help -------------------------------------------------------------- */

static void setup(void)
{
    int i;

    real_wait = (wait_fn_t *)dlsym(RTLD_NEXT, "apr_thread_cond_wait");
    real_signal = (signal_fn_t *)dlsym(RTLD_NEXT, "apr_thread_cond_signal");
    real_unlock = (unlock_fn_t *)dlsym(RTLD_NEXT, "apr_thread_mutex_unlock");
    ck_assert(real_wait && real_signal && real_unlock);
    num_sleeps = num_signals = num_held = holding = 0;
    after_unlock = NULL;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    for (i = 0; i < MAX_WORKERS; i++) {
        items[i].id = i;
        items[i].entry.kind = 1000 + i;
    }
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static void create(int num_workers)
{
    ck_assert_int_eq(fdqueue_create(&queue, num_workers, pool), APR_SUCCESS);
}

static void push(int id, fdqueue_line_e line)
{
    fdqueue_entry_t *entry = &items[id].entry;

    fdqueue_push(queue, &entry, line);
    ck_assert_ptr_null(entry);
}

/* What worker 0 pops next. */
static int pop(void)
{
    fdqueue_entry_t *entry = fdqueue_pop(queue, 0);
    item_t *item = (item_t *)entry;

    ck_assert_ptr_nonnull(entry);
    ck_assert_ptr_null(entry->next);
    ck_assert_int_eq(entry->kind, 1000 + item->id);
    return item->id;
}

static int pop_and_do(void)
{
    int id = pop();

    fdqueue_done(queue, 0);
    return id;
}

static void *pop_one(void *data)
{
    sleeper_t *self = data;

    fdqueue_join(self->queue, self->worker);
    self->popped = (item_t *)fdqueue_pop(self->queue, self->worker);
    if (self->popped && self->together) {
        pthread_barrier_wait(self->together);
    }
    if (self->popped) {
        fdqueue_done(self->queue, self->worker);
    }
    return NULL;
}

/* A thread that pops one entry as that worker. */
static void start_sleeper(int worker, pthread_barrier_t *together)
{
    sleeper_t *sleeper = &sleepers[worker];

    sleeper->queue = queue;
    sleeper->worker = worker;
    sleeper->together = together;
    ck_assert_int_eq(
        pthread_create(&sleeper->thread, NULL, pop_one, sleeper), 0);
}

/* The id of what it popped, -1 for NULL. */
static int join_sleeper(int worker)
{
    ck_assert_int_eq(pthread_join(sleepers[worker].thread, NULL), 0);
    return sleepers[worker].popped ? sleepers[worker].popped->id : -1;
}

/* --- Order ------------------------------------------------------------- */

START_TEST(first_in_first_out)
{
    int i;

    create(1);
    fdqueue_join(queue, 0);
    for (i = 0; i < 10; i++) {
        push(i, FDQUEUE_NOW);
    }
    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(pop_and_do(), i);
    }
}
END_TEST

START_TEST(order_holds_across_pops)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 0);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 1);
    ck_assert_int_eq(pop_and_do(), 2);
    push(4, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 3);
    ck_assert_int_eq(pop_and_do(), 4);
}
END_TEST

START_TEST(an_entry_can_go_round_again)
{
    int i;

    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_LATER);
    for (i = 0; i < 100; i++) {
        int id = pop_and_do();

        push(id, id == 0 ? FDQUEUE_NOW : FDQUEUE_LATER);
    }
    ck_assert_int_eq(fdqueue_waiting(queue), 1);
}
END_TEST

START_TEST(now_comes_before_later)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_LATER);
    push(1, FDQUEUE_LATER);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 2);
    ck_assert_int_eq(pop_and_do(), 3);
    ck_assert_int_eq(pop_and_do(), 0);
    push(4, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 4);
    ck_assert_int_eq(pop_and_do(), 1);
}
END_TEST

START_TEST(later_is_not_starved)
{
    int later = 0;
    int next_now = 3;
    int i;

    create(1);
    fdqueue_join(queue, 0);
    for (i = 0; i < 43; i++) {
        push(i, i < 3 ? FDQUEUE_LATER : FDQUEUE_NOW);
    }
    for (i = 1; i <= 24; i++) {
        int id = pop_and_do();

        if (id < 3) {
            ck_assert_int_eq(id, later++);
        }
        else {
            ck_assert_int_eq(id, next_now++);
        }
        ck_assert_int_ge(later, i / 8);
        /* Nor does it get more than its share. */
        ck_assert_int_le(later, 1 + i / 8);
    }
    ck_assert_int_eq(later, 3);
}
END_TEST

/* --- Figures ----------------------------------------------------------- */

static void assert_figures(int idle, int waiting)
{
    ck_assert_int_eq(fdqueue_idle(queue), idle);
    ck_assert_int_eq(fdqueue_waiting(queue), waiting);
}

START_TEST(figures_of_now)
{
    create(3);
    assert_figures(0, 0);
    fdqueue_join(queue, 0);
    assert_figures(1, 0);
    fdqueue_join(queue, 1);
    fdqueue_join(queue, 2);
    assert_figures(3, 0);
    push(0, FDQUEUE_NOW);
    assert_figures(2, 1);
    push(1, FDQUEUE_NOW);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    push(4, FDQUEUE_NOW);
    assert_figures(0, 5);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 0));
    assert_figures(0, 4);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 1));
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 2));
    assert_figures(0, 2);
    fdqueue_done(queue, 1);
    fdqueue_done(queue, 2);
    assert_figures(0, 2);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 1));
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 2));
    assert_figures(0, 0);
    fdqueue_done(queue, 0);
    assert_figures(1, 0);
    fdqueue_done(queue, 1);
    fdqueue_done(queue, 2);
    assert_figures(3, 0);
}
END_TEST

START_TEST(figures_of_later)
{
    create(2);
    fdqueue_join(queue, 0);
    fdqueue_join(queue, 1);
    push(0, FDQUEUE_LATER);
    push(1, FDQUEUE_LATER);
    push(2, FDQUEUE_LATER);
    assert_figures(2, 0);
    ck_assert_int_eq(pop(), 0);
    assert_figures(1, 0);
    push(3, FDQUEUE_NOW);
    assert_figures(0, 1);
    fdqueue_done(queue, 0);
    assert_figures(1, 1);
    ck_assert_int_eq(pop_and_do(), 3);
    assert_figures(2, 0);
}
END_TEST

START_TEST(entries_may_come_before_workers)
{
    create(2);
    push(0, FDQUEUE_NOW);
    assert_figures(0, 1);
    fdqueue_join(queue, 0);
    assert_figures(0, 1);
    fdqueue_join(queue, 1);
    assert_figures(1, 1);
    ck_assert_int_eq(pop_and_do(), 0);
    assert_figures(2, 0);
}
END_TEST

/* --- Sleeping and waking ----------------------------------------------- */

START_TEST(a_push_wakes_a_sleeper)
{
    create(1);
    start_sleeper(0, NULL);
    await_sleeps(1);
    assert_figures(1, 0);
    push(7, FDQUEUE_NOW);
    ck_assert_int_eq(join_sleeper(0), 7);
    assert_figures(1, 0);
    ck_assert_int_eq(signals_sent(), 1);
}
END_TEST

START_TEST(a_later_push_wakes_a_sleeper)
{
    create(1);
    start_sleeper(0, NULL);
    await_sleeps(1);
    push(7, FDQUEUE_LATER);
    ck_assert_int_eq(join_sleeper(0), 7);
}
END_TEST

START_TEST(nobody_asleep_no_signal)
{
    create(2);
    fdqueue_join(queue, 0);
    fdqueue_join(queue, 1);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_LATER);
    ck_assert_int_eq(pop_and_do(), 0);
    ck_assert_int_eq(pop_and_do(), 1);
    ck_assert_int_eq(signals_sent(), 0);
}
END_TEST

START_TEST(most_recently_idle_is_woken)
{
    int i;

    create(4);
    for (i = 0; i < 4; i++) {
        start_sleeper(i, NULL);
        await_sleeps(i + 1);
    }
    for (i = 3; i >= 0; i--) {
        push(10 + i, FDQUEUE_NOW);
        ck_assert_int_eq(join_sleeper(i), 10 + i);
    }
}
END_TEST

START_TEST(one_wakeup_in_flight)
{
    int popped[6] = {0};
    int i;

    create(6);
    for (i = 0; i < 6; i++) {
        start_sleeper(i, NULL);
    }
    await_sleeps(6);
    holding = 1;
    for (i = 0; i < 6; i++) {
        push(i, i % 2 ? FDQUEUE_LATER : FDQUEUE_NOW);
        ck_assert_int_eq(signals_sent(), 1);
    }
    let_signals_go();
    for (i = 0; i < 6; i++) {
        int id = join_sleeper(i);

        ck_assert_int_ge(id, 0);
        popped[id]++;
    }
    for (i = 0; i < 6; i++) {
        ck_assert_int_eq(popped[i], 1);
    }
    ck_assert_int_eq(signals_sent(), 6);
}
END_TEST

START_TEST(who_finishes_takes_the_next_before_the_woken)
{
    create(2);
    start_sleeper(1, NULL);
    await_sleeps(1);
    fdqueue_join(queue, 0);
    holding = 1;
    push(0, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 0);
    /* Woken for nothing it sleeps again, and can be woken again. */
    let_signals_go();
    await_sleeps(2);
    push(1, FDQUEUE_NOW);
    ck_assert_int_eq(join_sleeper(1), 1);
    ck_assert_int_eq(signals_sent(), 2);
}
END_TEST

START_TEST(who_leaves_entries_behind_wakes_one)
{
    create(3);
    start_sleeper(1, NULL);
    await_sleeps(1);
    start_sleeper(2, NULL);
    await_sleeps(2);
    holding = 1;
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_NOW);
    push(2, FDQUEUE_NOW);
    ck_assert_int_eq(signals_sent(), 1);
    fdqueue_join(queue, 0);
    /* One is on its way already. */
    ck_assert_int_eq(pop(), 0);
    ck_assert_int_eq(signals_sent(), 1);
    let_signals_go();
    /* In this order: 2 leaves an entry to 1, and worker 0 stays busy. */
    ck_assert_int_eq(join_sleeper(2), 1);
    ck_assert_int_eq(join_sleeper(1), 2);
    ck_assert_int_eq(signals_sent(), 2);
}
END_TEST

START_TEST(blocking_handlers_all_start)
{
    pthread_barrier_t together;
    int popped[MAX_WORKERS] = {0};
    int i;

    create(MAX_WORKERS);
    pthread_barrier_init(&together, NULL, MAX_WORKERS + 1);
    for (i = 0; i < MAX_WORKERS; i++) {
        start_sleeper(i, &together);
    }
    await_sleeps(MAX_WORKERS);
    assert_figures(MAX_WORKERS, 0);
    for (i = 0; i < MAX_WORKERS; i++) {
        push(i, FDQUEUE_NOW);
    }
    /* Passed only if every worker has an entry and none has finished. */
    pthread_barrier_wait(&together);
    for (i = 0; i < MAX_WORKERS; i++) {
        popped[join_sleeper(i)]++;
    }
    for (i = 0; i < MAX_WORKERS; i++) {
        ck_assert_int_eq(popped[i], 1);
    }
    assert_figures(MAX_WORKERS, 0);
    pthread_barrier_destroy(&together);
}
END_TEST

static void push_now(void)
{
    push(7, FDQUEUE_NOW);
}

static void push_later(void)
{
    push(7, FDQUEUE_LATER);
}

static void close_it(void)
{
    fdqueue_close(queue);
}

/* The worker found nothing, and is not among the sleepers yet: who pushes
 * now sees nobody to wake. */
START_TEST(a_push_while_falling_asleep)
{
    create(1);
    fdqueue_join(queue, 0);
    after_unlock = push_now;
    ck_assert_int_eq(pop_and_do(), 7);
    after_unlock = push_later;
    ck_assert_int_eq(pop_and_do(), 7);
    ck_assert_int_eq(signals_sent(), 0);
}
END_TEST

START_TEST(a_close_while_falling_asleep)
{
    create(1);
    fdqueue_join(queue, 0);
    after_unlock = close_it;
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
}
END_TEST

/* --- Closing ----------------------------------------------------------- */

START_TEST(closed_pops_nothing)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_LATER);
    fdqueue_close(queue);
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
    push(2, FDQUEUE_NOW);
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
    ck_assert_int_eq(fdqueue_waiting(queue), 2);
}
END_TEST

START_TEST(close_wakes_all_sleepers)
{
    int i;

    create(MAX_WORKERS);
    for (i = 0; i < MAX_WORKERS; i++) {
        start_sleeper(i, NULL);
    }
    await_sleeps(MAX_WORKERS);
    fdqueue_close(queue);
    fdqueue_close(queue);
    for (i = 0; i < MAX_WORKERS; i++) {
        ck_assert_int_eq(join_sleeper(i), -1);
    }
}
END_TEST

START_TEST(close_while_a_wakeup_is_in_flight)
{
    int i;

    create(3);
    for (i = 0; i < 3; i++) {
        start_sleeper(i, NULL);
    }
    await_sleeps(3);
    holding = 1;
    push(0, FDQUEUE_NOW);
    fdqueue_close(queue);
    ck_assert_int_eq(signals_sent(), 1);
    let_signals_go();
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(join_sleeper(i), -1);
    }
    ck_assert_int_eq(fdqueue_waiting(queue), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fdqueue");
    TCase *order = tcase_create("order");
    TCase *figures = tcase_create("figures");
    TCase *waking = tcase_create("waking");
    TCase *closing = tcase_create("closing");
    TCase *all[] = {order, figures, waking, closing};
    int i;

    for (i = 0; i < 4; i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        /* Reached only by a worker that nobody wakes. */
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(s, all[i]);
    }
    tcase_add_test(order, first_in_first_out);
    tcase_add_test(order, order_holds_across_pops);
    tcase_add_test(order, an_entry_can_go_round_again);
    tcase_add_test(order, now_comes_before_later);
    tcase_add_test(order, later_is_not_starved);
    tcase_add_test(figures, figures_of_now);
    tcase_add_test(figures, figures_of_later);
    tcase_add_test(figures, entries_may_come_before_workers);
    tcase_add_test(waking, a_push_wakes_a_sleeper);
    tcase_add_test(waking, a_later_push_wakes_a_sleeper);
    tcase_add_test(waking, nobody_asleep_no_signal);
    tcase_add_test(waking, most_recently_idle_is_woken);
    tcase_add_test(waking, one_wakeup_in_flight);
    tcase_add_test(waking, who_finishes_takes_the_next_before_the_woken);
    tcase_add_test(waking, who_leaves_entries_behind_wakes_one);
    tcase_add_test(waking, a_push_while_falling_asleep);
    tcase_add_test(waking, blocking_handlers_all_start);
    tcase_add_test(closing, closed_pops_nothing);
    tcase_add_test(closing, a_close_while_falling_asleep);
    tcase_add_test(closing, close_wakes_all_sleepers);
    tcase_add_test(closing, close_while_a_wakeup_is_in_flight);
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
