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
 * check_waits: in what order time-outs end, when to look next, and who is
 * left alone because it is still being armed. Times are made up.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apr_general.h"

#include "clock.h"
#include "waits.h"

#define START apr_time_from_sec(1000)
#define SEC apr_time_from_sec(1)
#define MSEC apr_time_from_msec(1)
#define MANY 3000
#define TAGS 3

static apr_pool_t *pool;
static waits_t waits;
static parked_t conns[MANY];
static parked_t *all[MANY]; /* those that are in, in some order */
static int visited;

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    memset(conns, 0, sizeof(conns));
    waits_init(&waits, pool);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* As the inbox brings it: parked at now, and armed. */
static parked_t *add(int i, int tag, apr_interval_time_t timeout,
                     apr_time_t now)
{
    parked_t *parked = &conns[i];

    parked->tag = tag;
    parked->timeout = timeout;
    parked->until = now + timeout;
    atomic_init(&parked->meet, WAITS_ARMED);
    waits_add(&waits, parked);
    return parked;
}

/* Its worker is not through with it yet. */
static void be_arming(parked_t *parked, int arming)
{
    atomic_store(&parked->meet, arming ? 0 : WAITS_ARMED);
}

static parked_t *expire(apr_time_t now)
{
    parked_t *parked = waits_find_expired(&waits, now);

    if (parked != NULL) {
        waits_remove(parked);
        ck_assert_ptr_null(parked->queue);
    }
    return parked;
}

/* The number of the next one that has expired; -1: none. */
static int next_expired(apr_time_t now)
{
    parked_t *parked = expire(now);

    return parked == NULL ? -1 : (int)(parked - conns);
}

/* --- Expiry --------------------------------------------------------------- */

START_TEST(nobody_waits_for_ever)
{
    ck_assert_int_eq(waits.due, CLOCK_NEVER);
    ck_assert_ptr_null(waits_find_expired(&waits, START));
    ck_assert_int_eq(waits_count(&waits, 0), 0);
    ck_assert_ptr_null(waits_oldest(&waits, 0));
}
END_TEST

START_TEST(not_before_its_time)
{
    add(0, 0, 5 * SEC, START);
    ck_assert_int_eq(waits.due, START + 5 * SEC);
    ck_assert_int_eq(next_expired(START), -1);
    ck_assert_int_eq(next_expired(START + 5 * SEC - 1), -1);
    ck_assert_int_eq(next_expired(START + 5 * SEC), 0);
    ck_assert_int_eq(next_expired(START + 5 * SEC), -1);
    ck_assert_int_eq(waits.due, CLOCK_NEVER);
}
END_TEST

START_TEST(who_came_first_ends_first)
{
    int i;

    for (i = 0; i < 10; i++) {
        add(i, 0, 5 * SEC, START + i / 2);
    }
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(next_expired(START + 5 * SEC + 1), i);
    }
    ck_assert_int_eq(next_expired(START + 5 * SEC + 1), -1);
    ck_assert_int_eq(waits.due, START + 5 * SEC + 2);
    ck_assert_int_eq(waits_count(&waits, 0), 6);
}
END_TEST

/* The longer time was added first, and last. */
START_TEST(the_earliest_of_all_queues_is_due)
{
    add(0, 0, 60 * SEC, START);
    add(1, 0, 5 * SEC, START);
    add(2, 1, 3 * SEC, START);
    add(3, 1, 90 * SEC, START);
    ck_assert_int_eq(waits.due, START + 3 * SEC);
    ck_assert_int_eq(next_expired(START + 4 * SEC), 2);
    ck_assert_int_eq(next_expired(START + 4 * SEC), -1);
    ck_assert_int_eq(waits.due, START + 5 * SEC);
    ck_assert_int_eq(next_expired(START + 60 * SEC), 1);
    ck_assert_int_eq(next_expired(START + 60 * SEC), 0);
    ck_assert_int_eq(next_expired(START + 60 * SEC), -1);
    ck_assert_int_eq(waits.due, START + 90 * SEC);
}
END_TEST

START_TEST(who_is_taken_out_does_not_expire)
{
    parked_t *first = add(0, 0, 5 * SEC, START);

    add(1, 0, 5 * SEC, START + 1);
    add(2, 0, 5 * SEC, START + 2);
    waits_remove(first);
    waits_remove(first); /* it is in none */
    waits_remove(&conns[2]);
    ck_assert_int_eq(waits_count(&waits, 0), 1);
    ck_assert_int_eq(next_expired(START + 6 * SEC), 1);
    ck_assert_int_eq(next_expired(START + 6 * SEC), -1);
    /* And may come back. */
    add(0, 0, 5 * SEC, START + 6 * SEC);
    ck_assert_int_eq(next_expired(START + 11 * SEC), 0);
}
END_TEST

START_TEST(who_is_being_armed_does_not_expire)
{
    parked_t *first = add(0, 0, SEC, START);

    add(1, 0, SEC, START + 1);
    add(2, 1, SEC, START + 2);
    be_arming(first, 1);
    /* Nor does who came after it; others do. */
    ck_assert_int_eq(next_expired(START + 2 * SEC), 2);
    ck_assert_int_eq(next_expired(START + 2 * SEC), -1);
    ck_assert_int_eq(waits.due, START + 2 * SEC + MSEC);
    be_arming(first, 0);
    ck_assert_int_eq(next_expired(START + 2 * SEC + MSEC - 1), -1);
    ck_assert_int_eq(next_expired(START + 2 * SEC + MSEC), 0);
    ck_assert_int_eq(next_expired(START + 2 * SEC + MSEC), 1);
}
END_TEST

/* Many, parked in the order of time with one of five timeouts each, some of
 * them taken out before: each ends once, and in the first look after its
 * time. */
START_TEST(many_end_in_time_and_once)
{
    static const apr_interval_time_t timeouts[] = {MSEC, 7 * MSEC, 30 * MSEC,
                                                   SEC, 5 * SEC};
    apr_time_t now = START, before = START;
    int i, left = 0, added = 0;

    srand(1);
    for (i = 0; i < MANY; i++) {
        all[i] = NULL;
    }
    do {
        for (i = rand() % 20; i > 0 && added < MANY; i--) {
            all[added] = add(added, rand() % TAGS, timeouts[rand() % 5], now);
            added++;
            left++;
        }
        i = added > 0 ? rand() % added : 0;
        if (all[i] != NULL && rand() % 4 == 0) {
            waits_remove(all[i]);
            all[i] = NULL;
            left--;
        }
        before = now;
        now += rand() % (3 * MSEC);
        while ((i = next_expired(now)) >= 0) {
            ck_assert_ptr_nonnull(all[i]);
            ck_assert_int_gt(conns[i].until, before - 1);
            ck_assert_int_le(conns[i].until, now);
            all[i] = NULL;
            left--;
        }
        for (i = 0; i < added; i++) {
            if (all[i] != NULL
                && (all[i]->until <= now || all[i]->until < waits.due)) {
                ck_abort_msg("%d is still in, or nobody will look", i);
            }
        }
        ck_assert_int_eq(waits_count(&waits, 0) + waits_count(&waits, 1)
                             + waits_count(&waits, 2),
                         left);
    } while (added < MANY || left > 0);
}
END_TEST

/* --- Looking for some of them --------------------------------------------- */

START_TEST(counts_are_of_a_tag)
{
    add(0, 0, SEC, START);
    add(1, 0, 2 * SEC, START);
    add(2, 1, SEC, START);
    ck_assert_int_eq(waits_count(&waits, 0), 2);
    ck_assert_int_eq(waits_count(&waits, 1), 1);
    ck_assert_int_eq(waits_count(&waits, 2), 0);
    waits_remove(&conns[0]);
    ck_assert_int_eq(waits_count(&waits, 0), 1);
}
END_TEST

/* Parked longest, whoever ends first. */
START_TEST(the_oldest_came_first)
{
    add(0, 1, SEC, START);
    add(1, 0, 60 * SEC, START + 1);
    add(2, 0, SEC, START + 2);
    add(3, 0, 60 * SEC, START + 3);
    ck_assert_ptr_eq(waits_oldest(&waits, 0), &conns[1]);
    waits_remove(&conns[1]);
    ck_assert_ptr_eq(waits_oldest(&waits, 0), &conns[2]);
    waits_remove(&conns[2]);
    ck_assert_ptr_eq(waits_oldest(&waits, 0), &conns[3]);
    waits_remove(&conns[3]);
    ck_assert_ptr_null(waits_oldest(&waits, 0));
    ck_assert_ptr_eq(waits_oldest(&waits, 1), &conns[0]);
}
END_TEST

/* The parameter of rested(): so long after START. */
static int rested(apr_interval_time_t later, apr_time_t *due)
{
    parked_t *parked;

    *due = CLOCK_NEVER;
    parked = waits_find_rested(&waits, 0, 2 * SEC, START + later, due);
    return parked == NULL ? -1 : (int)(parked - conns);
}

START_TEST(who_has_rested_is_found_once)
{
    apr_time_t due;

    add(0, 0, 5 * SEC, START);
    add(1, 0, 5 * SEC, START + SEC);
    add(2, 1, 5 * SEC, START);
    add(3, 0, 2 * SEC, START); /* ends before it could be */
    ck_assert_int_eq(rested(2 * SEC - 1, &due), -1);
    ck_assert_int_eq(due, START + 2 * SEC);
    ck_assert_int_eq(rested(2 * SEC, &due), 0);
    ck_assert_int_eq(rested(2 * SEC, &due), -1);
    ck_assert_int_eq(due, START + 3 * SEC);
    ck_assert_int_eq(rested(4 * SEC, &due), 1);
    ck_assert_int_eq(rested(4 * SEC, &due), -1);
    ck_assert_int_eq(due, CLOCK_NEVER);
    /* They wait on as before. */
    ck_assert_int_eq(waits_count(&waits, 0), 3);
    add(4, 0, 5 * SEC, START + 4 * SEC);
    ck_assert_int_eq(rested(6 * SEC, &due), 4);
}
END_TEST

START_TEST(the_earliest_to_have_rested_is_due)
{
    apr_time_t due;

    add(0, 0, 9 * SEC, START + SEC);
    add(1, 0, 5 * SEC, START);
    add(2, 0, 7 * SEC, START + 2 * SEC);
    ck_assert_int_eq(rested(0, &due), -1);
    ck_assert_int_eq(due, START + 2 * SEC);
    ck_assert_int_eq(rested(2 * SEC, &due), 1);
    ck_assert_int_eq(rested(2 * SEC, &due), -1);
    ck_assert_int_eq(due, START + 3 * SEC);
}
END_TEST

START_TEST(who_is_taken_out_has_not_rested)
{
    apr_time_t due;

    add(0, 0, 5 * SEC, START);
    add(1, 0, 5 * SEC, START);
    add(2, 0, 5 * SEC, START);
    waits_remove(&conns[0]);
    ck_assert_int_eq(rested(2 * SEC, &due), 1);
    waits_remove(&conns[1]);
    waits_remove(&conns[2]);
    ck_assert_int_eq(rested(3 * SEC, &due), -1);
    add(0, 0, 5 * SEC, START + 3 * SEC);
    ck_assert_int_eq(rested(5 * SEC, &due), 0);
}
END_TEST

START_TEST(who_is_being_armed_has_not_rested)
{
    apr_time_t due;

    be_arming(add(0, 0, 5 * SEC, START), 1);
    ck_assert_int_eq(rested(2 * SEC, &due), -1);
    ck_assert_int_eq(due, START + 2 * SEC + MSEC);
    be_arming(&conns[0], 0);
    ck_assert_int_eq(rested(2 * SEC + MSEC, &due), 0);
}
END_TEST

static int is_last(const parked_t *parked)
{
    return parked == &conns[2];
}

START_TEST(find_looks_at_all_of_a_tag)
{
    add(0, 0, SEC, START);
    add(1, 0, SEC, START);
    add(2, 0, SEC, START);
    add(3, 0, 9 * SEC, START);
    ck_assert_ptr_eq(waits_find(&waits, 0, is_last, START), &conns[2]);
    ck_assert_ptr_null(waits_find(&waits, 1, is_last, START));
    be_arming(&conns[2], 1);
    ck_assert_ptr_null(waits_find(&waits, 0, is_last, START));
    ck_assert_int_eq(waits.due, START + MSEC); /* to look again */
    waits_remove(&conns[2]);
    ck_assert_ptr_null(waits_find(&waits, 0, is_last, START));
}
END_TEST

static void count_visit(const parked_t *parked, void *baton)
{
    ck_assert_ptr_eq(baton, &visited);
    visited |= 1 << (parked - conns);
}

START_TEST(visits_are_to_all)
{
    visited = 0;
    add(0, 0, SEC, START);
    be_arming(add(1, 0, SEC, START), 1);
    add(2, 1, SEC, START);
    add(3, 1, 5 * SEC, START);
    add(4, 1, 5 * SEC, START);
    waits_remove(&conns[3]);
    waits_visit(&waits, count_visit, &visited);
    ck_assert_int_eq(visited, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4);
}
END_TEST

START_TEST(shortened_end_in_order_and_not_later)
{
    add(0, 0, 5 * SEC, START);
    add(1, 0, 5 * SEC, START + SEC);
    add(2, 0, 60 * SEC, START);
    add(3, 1, 60 * SEC, START);
    waits_shorten(&waits, 0, 5 * SEC, START);
    ck_assert_int_eq(conns[0].until, START + 5 * SEC);
    ck_assert_int_eq(conns[1].until, START + 5 * SEC);
    ck_assert_int_eq(conns[2].until, START + 5 * SEC);
    ck_assert_int_eq(conns[3].until, START + 60 * SEC);
    waits_shorten(&waits, 0, SEC, START);
    ck_assert_int_eq(waits.due, START + SEC);
    waits_shorten(&waits, 0, 9 * SEC, START);
    ck_assert_int_eq(waits.due, START + SEC);
    ck_assert_int_eq(next_expired(START + SEC - 1), -1);
    ck_assert_int_eq(waits_count(&waits, 0), 3);
    ck_assert_ptr_nonnull(expire(START + SEC));
    ck_assert_ptr_nonnull(expire(START + SEC));
    ck_assert_ptr_nonnull(expire(START + SEC));
    ck_assert_int_eq(next_expired(START + SEC), -1);
    ck_assert_int_eq(waits.due, START + 60 * SEC);
}
END_TEST

/* A queue without anybody in it is nothing to wake up for. */
START_TEST(shortening_nobody_is_not_due)
{
    add(0, 0, 5 * SEC, START);
    ck_assert_int_eq(next_expired(START + 5 * SEC), 0);
    ck_assert_int_eq(next_expired(START + 5 * SEC), -1);
    waits_shorten(&waits, 0, SEC, START + 5 * SEC);
    ck_assert_int_eq(waits.due, CLOCK_NEVER);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("waits");
    TCase *tc = tcase_create("expiry");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nobody_waits_for_ever);
    tcase_add_test(tc, not_before_its_time);
    tcase_add_test(tc, who_came_first_ends_first);
    tcase_add_test(tc, the_earliest_of_all_queues_is_due);
    tcase_add_test(tc, who_is_taken_out_does_not_expire);
    tcase_add_test(tc, who_is_being_armed_does_not_expire);
    tcase_add_test(tc, many_end_in_time_and_once);
    suite_add_tcase(s, tc);

    tc = tcase_create("search");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, counts_are_of_a_tag);
    tcase_add_test(tc, the_oldest_came_first);
    tcase_add_test(tc, who_has_rested_is_found_once);
    tcase_add_test(tc, the_earliest_to_have_rested_is_due);
    tcase_add_test(tc, who_is_taken_out_has_not_rested);
    tcase_add_test(tc, who_is_being_armed_has_not_rested);
    tcase_add_test(tc, find_looks_at_all_of_a_tag);
    tcase_add_test(tc, visits_are_to_all);
    tcase_add_test(tc, shortened_end_in_order_and_not_later);
    tcase_add_test(tc, shortening_nobody_is_not_due);
    suite_add_tcase(s, tc);
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
