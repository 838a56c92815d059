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
 * check_fdqueue_wake: the sleep and the wake-ups of the hand-off to workers.
 *
 * The queue sleeps and signals through functions of APR, which this program
 * puts its own in front of: so it knows which workers are asleep without
 * waiting for time to pass, and can hold a wake-up back to look at the queue
 * while one is on its way. The crew is compiled into this program, so that
 * something can happen just after a worker found nothing and before it is
 * among the sleepers.
 */

#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "apr_general.h"
#include "apr_thread_cond.h"
#include "apr_thread_mutex.h"

static _Thread_local void (*before_sleep)(void); /* once, when it sleeps */

/* Without a bound a worker that pops counts nothing up in its crew but itself
 * among the sleepers. */
static void fall_asleep(void)
{
    void (*happen)(void) = before_sleep;

    before_sleep = NULL;
    if (happen) {
        happen();
    }
}

#undef atomic_fetch_add
#define atomic_fetch_add(word, value)                                        \
    (fall_asleep(),                                                          \
     atomic_fetch_add_explicit(word, value, memory_order_seq_cst))
#include "crew.c"
#include "fdqueue.h"

#define MAX_WORKERS 64

typedef struct item_t {
    fdqueue_entry_t entry;
    int id;
} item_t;

static apr_pool_t *pool;
static fdqueue_t *queue;
static item_t items[MAX_WORKERS];
static int numbers[MAX_WORKERS];
static pthread_t threads[MAX_WORKERS];
static pthread_barrier_t *together; /* sleepers meet here before they end */

/* --- What stands between the queue and APR ----------------------------- */

typedef apr_status_t wait_fn_t(apr_thread_cond_t *, apr_thread_mutex_t *);
typedef apr_status_t signal_fn_t(apr_thread_cond_t *);

/* Hidden from APR's library, which goes on calling its own. */
#define OURS __attribute__((visibility("hidden")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static wait_fn_t *real_wait;
static signal_fn_t *real_signal;
static atomic_int num_signals; /* ever sent */
static int num_sleeps;         /* under lock; ever begun */
static int holding;            /* under lock; keep signals back */
static apr_thread_cond_t *held[MAX_WORKERS]; /* under lock */
static int num_held;                         /* under lock */

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

    atomic_fetch_add(&num_signals, 1);
    pthread_mutex_lock(&lock);
    hold = holding;
    if (hold) {
        held[num_held++] = cond;
    }
    pthread_mutex_unlock(&lock);
    return hold ? APR_SUCCESS : real_signal(cond);
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
    ck_assert(real_wait && real_signal);
    atomic_store(&num_signals, 0);
    num_sleeps = num_held = holding = 0;
    before_sleep = NULL;
    together = NULL;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    for (i = 0; i < MAX_WORKERS; i++) {
        items[i].id = i;
    }
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static void create(int num_workers)
{
    ck_assert_int_eq(fdqueue_create(&queue, num_workers, NULL, pool),
                     APR_SUCCESS);
}

static void push(int id, fdqueue_line_e line)
{
    fdqueue_entry_t *entry = &items[id].entry;

    fdqueue_push(queue, &entry, line);
    ck_assert_ptr_null(entry);
}

static int pop_and_do(void)
{
    item_t *item = (item_t *)fdqueue_pop(queue, 0);

    ck_assert_ptr_nonnull(item);
    fdqueue_done(queue, 0);
    return item->id;
}

static void *pop_one(void *data)
{
    int worker = *(int *)data;
    fdqueue_entry_t *entry;

    fdqueue_join(queue, worker);
    entry = fdqueue_pop(queue, worker);
    if (entry) {
        if (together) {
            pthread_barrier_wait(together);
        }
        fdqueue_done(queue, worker);
    }
    return entry;
}

/* A queue, and n threads to pop one entry each: asleep, the first for
 * longest, as the workers from first on. This thread may be one below first. */
static void start_sleepers(int first, int n)
{
    int i;

    create(first + n);
    for (i = first; i < first + n; i++) {
        numbers[i] = i;
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, pop_one, &numbers[i]), 0);
        await_sleeps(i - first + 1);
    }
}

/* The id of what it popped, -1 for NULL. */
static int join_sleeper(int worker)
{
    item_t *popped;

    ck_assert_int_eq(pthread_join(threads[worker], (void **)&popped), 0);
    return popped ? popped->id : -1;
}

/* n sleepers have popped the items 0 to n - 1, each one of them. */
static void assert_one_each(int n)
{
    int popped[MAX_WORKERS] = {0};
    int i;

    for (i = 0; i < n; i++) {
        int id = join_sleeper(i);

        ck_assert(id >= 0 && id < n);
        ck_assert_int_eq(popped[id]++, 0);
    }
}

/* --- Tests ------------------------------------------------------------- */

/* In either line. */
START_TEST(a_push_wakes_a_sleeper)
{
    start_sleepers(0, 1);
    ck_assert_int_eq(fdqueue_idle(queue, 0), 1);
    push(7, _i);
    ck_assert_int_eq(join_sleeper(0), 7);
    ck_assert_int_eq(fdqueue_idle(queue, 0), 1);
    ck_assert_int_eq(num_signals, 1);
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
    ck_assert_int_eq(num_signals, 0);
}
END_TEST

START_TEST(the_longest_asleep_is_woken)
{
    int i;

    start_sleepers(0, 4);
    for (i = 0; i < 4; i++) {
        push(10 + i, FDQUEUE_NOW);
        ck_assert_int_eq(join_sleeper(i), 10 + i);
    }
}
END_TEST

START_TEST(one_wakeup_in_flight)
{
    int i;

    start_sleepers(0, 6);
    holding = 1;
    for (i = 0; i < 6; i++) {
        push(i, i % 2 ? FDQUEUE_LATER : FDQUEUE_NOW);
        ck_assert_int_eq(num_signals, 1);
    }
    let_signals_go();
    assert_one_each(6);
    ck_assert_int_eq(num_signals, 6);
}
END_TEST

START_TEST(who_finishes_takes_the_next_before_the_woken)
{
    start_sleepers(1, 1);
    fdqueue_join(queue, 0);
    holding = 1;
    push(0, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 0);
    /* Woken for nothing it sleeps again, and can be woken again. */
    let_signals_go();
    await_sleeps(2);
    push(1, FDQUEUE_NOW);
    ck_assert_int_eq(join_sleeper(1), 1);
    ck_assert_int_eq(num_signals, 2);
}
END_TEST

START_TEST(who_leaves_entries_behind_wakes_one)
{
    start_sleepers(1, 2);
    holding = 1;
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_NOW);
    push(2, FDQUEUE_NOW);
    ck_assert_int_eq(num_signals, 1);
    fdqueue_join(queue, 0);
    /* One is on its way already. */
    ck_assert_ptr_eq(fdqueue_pop(queue, 0), &items[0].entry);
    ck_assert_int_eq(num_signals, 1);
    let_signals_go();
    /* In this order: 1 leaves an entry to 2, and worker 0 stays busy. */
    ck_assert_int_eq(join_sleeper(1), 1);
    ck_assert_int_eq(join_sleeper(2), 2);
    ck_assert_int_eq(num_signals, 2);
}
END_TEST

START_TEST(blocking_handlers_all_start)
{
    pthread_barrier_t barrier;
    int i;

    pthread_barrier_init(&barrier, NULL, MAX_WORKERS + 1);
    together = &barrier;
    start_sleepers(0, MAX_WORKERS);
    ck_assert_int_eq(fdqueue_idle(queue, 0), MAX_WORKERS);
    for (i = 0; i < MAX_WORKERS; i++) {
        push(i, FDQUEUE_NOW);
    }
    /* Passed only if every worker has an entry and none has finished. */
    pthread_barrier_wait(&barrier);
    assert_one_each(MAX_WORKERS);
    ck_assert_int_eq(fdqueue_idle(queue, 0), MAX_WORKERS);
    pthread_barrier_destroy(&barrier);
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

static void *close_it(void *data)
{
    fdqueue_close(queue);
    return data;
}

/* It waits for the worker's lock, or is through before: as it comes. */
static void start_closing(void)
{
    pthread_create(&threads[1], NULL, close_it, NULL);
}

/* The worker found nothing, and is not among the sleepers yet: who pushes
 * now sees nobody to wake. */
START_TEST(a_push_while_falling_asleep)
{
    create(1);
    fdqueue_join(queue, 0);
    before_sleep = push_now;
    ck_assert_int_eq(pop_and_do(), 7);
    before_sleep = push_later;
    ck_assert_int_eq(pop_and_do(), 7);
    ck_assert_int_eq(num_signals, 0);
}
END_TEST

START_TEST(a_close_while_falling_asleep)
{
    create(1);
    fdqueue_join(queue, 0);
    before_sleep = start_closing;
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
    pthread_join(threads[1], NULL);
}
END_TEST

START_TEST(close_wakes_all_sleepers)
{
    int i;

    start_sleepers(0, MAX_WORKERS);
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

    start_sleepers(0, 3);
    holding = 1;
    push(0, FDQUEUE_NOW);
    fdqueue_close(queue);
    ck_assert_int_eq(num_signals, 1);
    let_signals_go();
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(join_sleeper(i), -1);
    }
    ck_assert_int_eq(fdqueue_waiting(queue), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fdqueue_wake");
    TCase *waking = tcase_create("waking");

    tcase_add_checked_fixture(waking, setup, teardown);
    /* Reached only by a worker that nobody wakes. */
    tcase_set_timeout(waking, 60);
    tcase_add_loop_test(waking, a_push_wakes_a_sleeper, FDQUEUE_NOW,
                        FDQUEUE_LATER + 1);
    tcase_add_test(waking, nobody_asleep_no_signal);
    tcase_add_test(waking, the_longest_asleep_is_woken);
    tcase_add_test(waking, one_wakeup_in_flight);
    tcase_add_test(waking, who_finishes_takes_the_next_before_the_woken);
    tcase_add_test(waking, who_leaves_entries_behind_wakes_one);
    tcase_add_test(waking, a_push_while_falling_asleep);
    tcase_add_test(waking, blocking_handlers_all_start);
    tcase_add_test(waking, a_close_while_falling_asleep);
    tcase_add_test(waking, close_wakes_all_sleepers);
    tcase_add_test(waking, close_while_a_wakeup_is_in_flight);
    suite_add_tcase(s, waking);
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
