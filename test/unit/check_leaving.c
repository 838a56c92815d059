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
 * check_leaving: who is taken when, and when the listener is to look, with
 * made-up times; and several threads that put and take.
 */

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "apr_general.h"

#include "clock.h"
#include "leaving.h"

#define T0 apr_time_from_sec(1000)
#define THREADS 4
#define EACH 20000

static apr_pool_t *pool;
static leaving_t *l;
static leaving_entry_t entries[LEAVING_MAX];

static void setup(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    ck_assert_int_eq(leaving_create(&l, pool), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static int put(int i, apr_time_t now)
{
    leaving_entry_t *entry = &entries[i];
    int wake = leaving_put(l, &entry, now);

    ck_assert_ptr_null(entry);
    return wake;
}

START_TEST(in_order_and_not_too_early)
{
    ck_assert_ptr_null(leaving_take(l, 0, T0));
    put(0, T0);
    put(1, T0 + 1);
    ck_assert_int_eq(leaving_count(l), 2);
    ck_assert_ptr_null(leaving_take(l, 10, T0 + 9));
    ck_assert_ptr_eq(leaving_take(l, 10, T0 + 10), &entries[0]);
    ck_assert_ptr_null(leaving_take(l, 10, T0 + 10));
    put(2, T0 + 10);
    ck_assert_ptr_eq(leaving_take(l, 10, T0 + 20), &entries[1]);
    ck_assert_ptr_eq(leaving_take(l, 10, T0 + 20), &entries[2]);
    ck_assert_ptr_null(leaving_take(l, 0, T0 + 20));
    ck_assert_int_eq(leaving_count(l), 0);
}
END_TEST

START_TEST(whoever_has_just_come_by_an_older_clock)
{
    put(0, T0 + 5);
    ck_assert_ptr_null(leaving_take(l, LEAVING_LONG, T0));
    ck_assert_int_eq(leaving_count(l), 1);
}
END_TEST

START_TEST(the_listener_is_woken_once)
{
    ck_assert(leaving_due(l, T0) == CLOCK_NEVER);
    ck_assert(put(0, T0));
    ck_assert(!put(1, T0));
    ck_assert(leaving_due(l, T0) == T0 + LEAVING_LONG);
    ck_assert(!put(2, T0));
    /* Turns between do not put the look off. */
    ck_assert(leaving_due(l, T0 + 1) == T0 + LEAVING_LONG);
}
END_TEST

START_TEST(it_looks_until_there_is_nothing_new)
{
    apr_time_t now = T0;

    put(0, now);
    now = leaving_due(l, now);
    ck_assert_ptr_nonnull(leaving_take(l, LEAVING_LONG, now));
    put(1, now);
    now = leaving_due(l, now);
    ck_assert(now == T0 + 2 * LEAVING_LONG);
    ck_assert_ptr_nonnull(leaving_take(l, 0, now));
    put(2, now);
    ck_assert_ptr_nonnull(leaving_take(l, 0, now));
    /* None is in, but one came since the look before. */
    ck_assert(leaving_due(l, now) == now + LEAVING_LONG);
    now += LEAVING_LONG;
    ck_assert(leaving_due(l, now) == CLOCK_NEVER);
    ck_assert(put(3, now + 1));
    ck_assert(leaving_due(l, now + 1) == now + 1 + LEAVING_LONG);
}
END_TEST

START_TEST(who_is_still_in_is_looked_for_again)
{
    put(0, T0);
    leaving_due(l, T0);
    ck_assert(leaving_due(l, T0 + LEAVING_LONG) == T0 + 2 * LEAVING_LONG);
    ck_assert(leaving_due(l, T0 + 2 * LEAVING_LONG)
              == T0 + 3 * LEAVING_LONG);
}
END_TEST

static atomic_int taken;
static atomic_int bell; /* the listener is woken */
static atomic_int left; /* threads that put */

/* Puts, and takes what anybody has put. */
static void *work(void *data)
{
    leaving_entry_t *mine = NULL;
    int i;

    for (i = 0; i < EACH; i++) {
        if (mine == NULL) {
            mine = calloc(1, sizeof(*mine));
        }
        if (leaving_put(l, &mine, i)) {
            atomic_store(&bell, 1);
        }
        if (i % 3 != 0) {
            mine = leaving_take(l, 0, EACH);
            atomic_fetch_add(&taken, mine != NULL);
        }
    }
    free(mine);
    atomic_fetch_sub(&left, 1);
    return data;
}

/* Sleep until the bell rings: 0 if nobody is left to ring it. */
static int sleep_well(void)
{
    while (!atomic_exchange(&bell, 0)) {
        if (atomic_load(&left) == 0) {
            return atomic_exchange(&bell, 0);
        }
        sched_yield();
    }
    return 1;
}

/* The listener's part, with a clock by which each look is due: how often it
 * slept. */
static int listen_until_all_is_over(void)
{
    apr_time_t now = T0;
    int sleeps = 0;

    for (;; now += LEAVING_LONG) {
        leaving_entry_t *entry;

        while ((entry = leaving_take(l, LEAVING_LONG, now)) != NULL) {
            free(entry);
            atomic_fetch_add(&taken, 1);
        }
        if (leaving_due(l, now) == CLOCK_NEVER) {
            sleeps++;
            if (!sleep_well()) {
                return sleeps;
            }
        }
    }
}

START_TEST(each_has_one_taker_and_none_is_forgotten)
{
    pthread_t threads[THREADS];
    int i, sleeps;

    atomic_store(&left, THREADS);
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    sleeps = listen_until_all_is_over();
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    /* It looked again whenever it had to. */
    ck_assert_int_eq(leaving_count(l), 0);
    ck_assert_int_eq(atomic_load(&taken), THREADS * EACH);
    ck_assert_int_ge(sleeps, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("leaving");
    TCase *tc = tcase_create("entries");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, in_order_and_not_too_early);
    tcase_add_test(tc, whoever_has_just_come_by_an_older_clock);
    tcase_add_test(tc, the_listener_is_woken_once);
    tcase_add_test(tc, it_looks_until_there_is_nothing_new);
    tcase_add_test(tc, who_is_still_in_is_looked_for_again);
    tcase_add_test(tc, each_has_one_taker_and_none_is_forgotten);
    suite_add_tcase(all, tc);
    return all;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
