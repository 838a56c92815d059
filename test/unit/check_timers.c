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
 * check_timers: order, punctuality and reuse of timed callbacks. Times are
 * made up: nothing here reads a clock.
 */

#include <check.h>
#include <stdlib.h>

#include "apr_general.h"

#include "clock.h"
#include "timers.h"

#define KIND 42
#define MANY 5000

static apr_pool_t *pool;
static timers_t *timers;
static int batons[MANY];
static int *last_run;

static void note_baton(void *baton)
{
    last_run = baton;
}

static void other_fn(void *baton)
{
    (void)baton;
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(timers_create(&timers, KIND, pool), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* Add number n, due then; is it the earliest? */
static int add(int n, apr_time_t due)
{
    int earliest = -1;

    ck_assert_int_eq(
        timers_add(timers, due, note_baton, &batons[n], &earliest),
        APR_SUCCESS);
    ck_assert(earliest == 0 || earliest == 1);
    return earliest;
}

/* The number of what is due next at now, -1 for nothing; put back. */
static int take(apr_time_t now)
{
    timers_entry_t *entry = timers_take(timers, now);
    int n;

    if (!entry) {
        return -1;
    }
    ck_assert(entry->due <= now);
    ck_assert_int_eq(entry->entry.kind, KIND);
    entry->fn(entry->baton);
    ck_assert_ptr_eq(last_run, entry->baton);
    n = (int)(last_run - batons);
    timers_put(timers, &entry);
    ck_assert_ptr_null(entry);
    return n;
}

START_TEST(empty)
{
    ck_assert_ptr_null(timers_take(timers, CLOCK_NEVER));
    ck_assert(timers_next_due(timers) == CLOCK_NEVER);
}
END_TEST

START_TEST(never_early)
{
    add(0, 1000);
    ck_assert(timers_next_due(timers) == 1000);
    ck_assert_int_eq(take(0), -1);
    ck_assert_int_eq(take(999), -1);
    ck_assert_int_eq(take(1000), 0);
    ck_assert_int_eq(take(CLOCK_NEVER), -1);
    ck_assert(timers_next_due(timers) == CLOCK_NEVER);
}
END_TEST

START_TEST(in_order_of_time)
{
    add(0, 30);
    add(1, 10);
    add(2, 20);
    ck_assert_int_eq(take(100), 1);
    add(3, 5);
    ck_assert_int_eq(take(100), 3);
    ck_assert_int_eq(take(100), 2);
    ck_assert_int_eq(take(100), 0);
    ck_assert_int_eq(take(100), -1);
}
END_TEST

START_TEST(only_what_is_due)
{
    add(0, 10);
    add(1, 20);
    add(2, 30);
    ck_assert_int_eq(take(20), 0);
    ck_assert_int_eq(take(20), 1);
    ck_assert_int_eq(take(20), -1);
    ck_assert(timers_next_due(timers) == 30);
}
END_TEST

START_TEST(the_past_is_due_at_once)
{
    add(0, 500);
    add(1, -7);
    add(2, 0);
    ck_assert(timers_next_due(timers) == -7);
    ck_assert_int_eq(take(500), 1);
    ck_assert_int_eq(take(500), 2);
    ck_assert_int_eq(take(500), 0);
}
END_TEST

START_TEST(equal_times_in_order_of_registration)
{
    int i;

    for (i = 0; i < 1000; i++) {
        add(i, 77);
    }
    for (i = 0; i < 1000; i++) {
        ck_assert_int_eq(take(77), i);
    }
    ck_assert_int_eq(take(77), -1);
}
END_TEST

START_TEST(equal_times_with_reused_entries)
{
    int i;
    int round;

    for (round = 0; round < 20; round++) {
        for (i = 0; i < 10; i++) {
            add(i, 5);
        }
        add(10, 4);
        ck_assert_int_eq(take(5), 10);
        for (i = 0; i < 10; i++) {
            ck_assert_int_eq(take(5), i);
        }
    }
}
END_TEST

START_TEST(the_same_callback_twice_is_two)
{
    add(0, 5);
    add(0, 5);
    ck_assert_int_eq(take(5), 0);
    ck_assert_int_eq(take(5), 0);
    ck_assert_int_eq(take(5), -1);
}
END_TEST

START_TEST(many_in_any_order)
{
    static apr_time_t due[MANY];
    apr_uint32_t random = 12345;
    apr_time_t now = -1;
    int last = -1;
    int i;

    for (i = 0; i < MANY; i++) {
        random = random * 1664525 + 1013904223;
        due[i] = random >> 22; /* about five of each */
        add(i, due[i]);
    }
    for (i = 0; i < MANY; i++) {
        apr_time_t next = timers_next_due(timers);
        int n = take(next);

        ck_assert_int_ge(n, 0);
        ck_assert(due[n] == next);
        ck_assert(next > now || (next == now && n > last));
        now = next;
        last = n;
    }
    ck_assert_int_eq(take(CLOCK_NEVER), -1);
}
END_TEST

START_TEST(adding_while_taking)
{
    static apr_time_t due[MANY];
    apr_uint32_t random = 99;
    apr_time_t now = 0;
    int taken = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        random = random * 1664525 + 1013904223;
        due[i] = now + (random >> 24);
        add(i, due[i]);
        if (i % 3 == 0) {
            int n = take(now += 10);

            if (n >= 0) {
                taken++;
                ck_assert(due[n] <= now);
            }
            else {
                ck_assert(timers_next_due(timers) > now);
            }
        }
    }
    while (take(CLOCK_NEVER) >= 0) {
        taken++;
    }
    ck_assert_int_eq(taken, MANY);
}
END_TEST

START_TEST(says_which_is_the_earliest)
{
    ck_assert_int_eq(add(0, 50), 1);
    ck_assert_int_eq(add(1, 60), 0);
    ck_assert_int_eq(add(2, 50), 0);
    ck_assert_int_eq(add(3, 49), 1);
    ck_assert_int_eq(add(4, 49), 0);
    ck_assert_int_eq(take(49), 3);
    ck_assert_int_eq(take(49), 4);
    ck_assert_int_eq(add(5, 49), 1);
    ck_assert_int_eq(timers_add(timers, 1, note_baton, batons, NULL),
                     APR_SUCCESS);
    ck_assert(timers_next_due(timers) == 1);
}
END_TEST

START_TEST(entries_are_reused)
{
    timers_entry_t *first;
    timers_entry_t *second;
    timers_entry_t *mine;
    int i;

    add(0, 1);
    first = mine = timers_take(timers, 1);
    timers_put(timers, &mine);
    add(1, 1);
    second = timers_take(timers, 1);
    ck_assert_ptr_eq(first, second);
    /* One that is out is not handed out again. */
    for (i = 0; i < 100; i++) {
        add(2, 1);
    }
    for (i = 0; i < 100; i++) {
        mine = timers_take(timers, 1);
        ck_assert_ptr_ne(mine, second);
        timers_put(timers, &mine);
    }
    ck_assert_ptr_eq(second->baton, &batons[1]);
}
END_TEST

START_TEST(all_that_come_back_are_reused)
{
    timers_entry_t *first[3];
    timers_entry_t *again;
    int i;

    for (i = 0; i < 3; i++) {
        add(i, 1);
    }
    for (i = 0; i < 3; i++) {
        first[i] = timers_take(timers, 1);
    }
    for (i = 0; i < 3; i++) {
        timers_entry_t *mine = first[i];

        timers_put(timers, &mine);
    }
    for (i = 0; i < 3; i++) {
        add(i, 1);
    }
    for (i = 0; i < 3; i++) {
        again = timers_take(timers, 1);
        ck_assert(again == first[0] || again == first[1]
                  || again == first[2]);
    }
}
END_TEST

START_TEST(each_keeps_its_own_callback)
{
    timers_entry_t *entry;

    ck_assert_int_eq(timers_add(timers, 2, other_fn, NULL, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(timers_add(timers, 1, note_baton, batons, NULL),
                     APR_SUCCESS);
    entry = timers_take(timers, 2);
    ck_assert(entry->fn == note_baton && entry->baton == batons);
    entry = timers_take(timers, 2);
    ck_assert(entry->fn == other_fn && entry->baton == NULL);
}
END_TEST

START_TEST(never_is_a_time_like_any_other)
{
    ck_assert_int_eq(add(0, CLOCK_NEVER), 1);
    ck_assert_int_eq(add(1, 3), 1);
    ck_assert_int_eq(take(CLOCK_NEVER - 1), 1);
    ck_assert_int_eq(take(CLOCK_NEVER - 1), -1);
    ck_assert(timers_next_due(timers) == CLOCK_NEVER);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("timers");
    TCase *order = tcase_create("order");
    TCase *entries = tcase_create("entries");

    tcase_add_checked_fixture(order, setup, teardown);
    tcase_add_test(order, empty);
    tcase_add_test(order, never_early);
    tcase_add_test(order, in_order_of_time);
    tcase_add_test(order, only_what_is_due);
    tcase_add_test(order, the_past_is_due_at_once);
    tcase_add_test(order, equal_times_in_order_of_registration);
    tcase_add_test(order, equal_times_with_reused_entries);
    tcase_add_test(order, the_same_callback_twice_is_two);
    tcase_add_test(order, many_in_any_order);
    tcase_add_test(order, adding_while_taking);
    tcase_add_test(order, says_which_is_the_earliest);
    tcase_add_test(order, never_is_a_time_like_any_other);
    suite_add_tcase(s, order);

    tcase_add_checked_fixture(entries, setup, teardown);
    tcase_add_test(entries, entries_are_reused);
    tcase_add_test(entries, all_that_come_back_are_reused);
    tcase_add_test(entries, each_keeps_its_own_callback);
    suite_add_tcase(s, entries);
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
