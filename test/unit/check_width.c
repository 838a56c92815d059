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
 * check_width: how many run best, of a made-up machine of which a table says
 * how much gets done when so many run.
 */

#include <check.h>
#include <limits.h>
#include <stdlib.h>

#include "width.h"

#define T0 apr_time_from_sec(1000)
#define MANY (10 * WIDTH_ENTRIES)
/* Reviews in a slot. */
#define TURNS 4

static width_t w;
static unsigned int begun; /* entries, ever */
static apr_time_t now;
static int runs;        /* so many run; they are as many as may */
static int narrowest;   /* fewest that might run */
static int waits;       /* something is left waiting */
static unsigned int done[17]; /* in a slot, by how many run */

static void create(int most)
{
    int i;

    width_init(&w, most);
    begun = 0;
    now = T0;
    narrowest = most;
    waits = 1;
    for (i = 0; i < 17; i++) {
        done[i] = MANY;
    }
    runs = width_review(&w, begun, 0, 0, now);
    ck_assert_int_eq(runs, most);
}

/* A part of a slot, in which at most so many want to run. */
static void turn(int want)
{
    begun += done[runs < want ? runs : want] / TURNS;
    now += WIDTH_SLOT / TURNS;
    runs = width_review(&w, begun, runs < want ? runs : want, waits, now);
    ck_assert_int_ge(runs, 1);
    ck_assert_int_le(runs, w.most);
    narrowest = runs < narrowest ? runs : narrowest;
}

static void pass_beside(apr_interval_time_t time, int want)
{
    apr_time_t end = now + time;

    while (now < end) {
        turn(want);
    }
}

static void pass(apr_interval_time_t time)
{
    pass_beside(time, INT_MAX);
}

/* Until the first slot of a comparison begins. */
static void pass_pauses(void)
{
    while (w.other == 0) {
        turn(INT_MAX);
    }
}

/* Until a comparison is over, and it is a pause. */
static void pass_comparison(void)
{
    pass_pauses();
    while (w.other != 0) {
        turn(INT_MAX);
    }
}

START_TEST(fewer_if_they_do_more)
{
    create(2);
    done[1] = MANY * WIDTH_BETTER / 100 + TURNS;
    pass_comparison();
    ck_assert_int_eq(w.best, 1);
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 1);
}
END_TEST

START_TEST(all_if_it_makes_no_difference)
{
    create(2);
    done[1] = MANY * (WIDTH_BETTER - 1) / 100;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(narrowest, 1); /* it was tried */
    ck_assert_int_eq(w.best, 2);
}
END_TEST

START_TEST(as_many_as_do_most)
{
    create(16);
    done[8] = 2 * MANY;
    done[4] = 4 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 4);
    /* And with something else to do, more of them. */
    done[4] = MANY / 2;
    done[8] = MANY;
    done[16] = 2 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 16);
}
END_TEST

START_TEST(a_number_that_is_no_power_of_two)
{
    create(6);
    done[3] = 2 * MANY;
    done[1] = 3 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 1);
    done[1] = done[2] = MANY;
    done[3] = done[4] = 2 * MANY;
    done[6] = 4 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 6);
}
END_TEST

START_TEST(half_of_those_that_run_are_compared)
{
    create(16);
    done[2] = 2 * MANY;
    pass_beside(2 * WIDTH_PAUSE, 4);
    ck_assert_int_eq(narrowest, 2);
    pass_beside(apr_time_from_sec(60), 4);
    ck_assert_int_eq(w.best, 2);
}
END_TEST

START_TEST(one_has_nothing_to_compare)
{
    create(8);
    done[1] = 2 * MANY;
    pass_beside(apr_time_from_sec(60), 1);
    ck_assert_int_eq(narrowest, 8);
    create(1);
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 1);
}
END_TEST

/* Nor has one of several that may run. */
START_TEST(who_runs_alone_is_not_compared)
{
    apr_time_t end;

    create(4);
    done[2] = 2 * MANY;
    pass_comparison();
    ck_assert_int_eq(w.best, 2);
    end = now + apr_time_from_sec(10);
    while (now < end) {
        turn(1);
        ck_assert_int_eq(w.other, 0);
    }
}
END_TEST

START_TEST(nothing_is_compared_while_little_goes_on)
{
    create(2);
    done[1] = WIDTH_ENTRIES - 1;
    done[2] = WIDTH_ENTRIES / 2;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(narrowest, 2);
}
END_TEST

START_TEST(when_little_goes_on_all_may_run_soon)
{
    create(2);
    done[1] = 2 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 1);
    done[1] = done[2] = WIDTH_ENTRIES - TURNS;
    /* What is left of a pause before it, and one. */
    pass(2 * WIDTH_PAUSE);
    ck_assert_int_eq(runs, 2);
}
END_TEST

/* The parameter: so many do most, and then nothing comes in a pause, or in a
 * slot in which others are tried. */
START_TEST(after_an_idle_time_all_may_run)
{
    int is_compared;

    for (is_compared = 0; is_compared < 2; is_compared++) {
        create(2);
        done[_i] = 2 * MANY;
        pass(apr_time_from_sec(60));
        ck_assert_int_eq(w.best, _i);
        while ((w.other != 0 && w.slot == 1) != is_compared) {
            turn(INT_MAX);
        }
        now += apr_time_from_sec(60);
        ck_assert_int_eq(width_review(&w, begun, 0, 0, now), 2);
        ck_assert_int_eq(w.other, 0);
        ck_assert_int_eq(w.best, 2);
    }
}
END_TEST

/* As they come, and all are done at once whoever runs: between a half and one
 * and a half times as many as on average. */
START_TEST(what_comes_by_chance_does_not_make_it_fewer)
{
    unsigned int random = 1;
    apr_time_t end;

    create(2);
    end = now + apr_time_from_sec(600);
    while (now < end) {
        random = random * 1103515245 + 12345;
        done[1] = done[2] = MANY / 2 + (random >> 16) % MANY;
        waits = (random >> 8) % 4 == 0; /* sometimes it does */
        turn(INT_MAX);
        ck_assert_int_eq(w.best, 2);
    }
    ck_assert_int_eq(narrowest, 1);
}
END_TEST

/* The other way round: few do all there is, and more leave nothing either. */
START_TEST(who_leave_nothing_are_enough)
{
    create(2);
    done[1] = 2 * MANY;
    pass(apr_time_from_sec(60));
    ck_assert_int_eq(w.best, 1);
    waits = 0;
    pass(apr_time_from_sec(10));
    ck_assert_int_eq(w.best, 2);
}
END_TEST

START_TEST(it_ends_when_little_goes_on)
{
    create(2);
    done[1] = 2 * MANY;
    pass_pauses();
    done[1] = WIDTH_ENTRIES - TURNS;
    done[2] = WIDTH_ENTRIES / 2;
    while (w.other != 0) {
        turn(INT_MAX);
        ck_assert_int_eq(w.slot, 0);
    }
    ck_assert_int_eq(w.best, 2);
}
END_TEST

/* In the slot with that number, from 0, the other one is no better. */
START_TEST(every_pair_has_to_say_so)
{
    int slot = 2 * _i + 1;

    create(2);
    done[1] = 2 * MANY;
    pass_pauses();
    while (w.slot < slot) {
        turn(INT_MAX);
    }
    ck_assert_int_eq(runs, 1);
    done[1] = MANY;
    while (w.other != 0) {
        ck_assert_int_eq(w.slot, slot);
        turn(INT_MAX);
    }
    ck_assert_int_eq(w.best, 2);
}
END_TEST

START_TEST(a_slot_nobody_asked_in_says_nothing)
{
    create(2);
    done[1] = 2 * MANY;
    pass_pauses();
    begun += 100 * MANY;
    now += 2 * WIDTH_SLOT + 1;
    ck_assert_int_eq(width_review(&w, begun, 2, 1, now), 2);
    ck_assert_int_eq(w.other, 0);
    ck_assert_int_eq(w.best, 2);
}
END_TEST

/* It is by time, however long each slot was. */
START_TEST(slots_that_are_not_as_long)
{
    create(2);
    done[1] = 2 * MANY;
    pass_pauses();
    begun += 2 * MANY;
    now += 2 * WIDTH_SLOT;
    ck_assert_int_eq(width_review(&w, begun, 2, 1, now), 1);
    begun += MANY * WIDTH_BETTER / 100 + 1;
    now += WIDTH_SLOT;
    ck_assert_int_eq(width_review(&w, begun, 1, 1, now), 2);
    ck_assert_int_eq(w.slot, 2);
}
END_TEST

/* How often something else was tried in so many seconds. */
static int comparisons(int seconds)
{
    apr_time_t end = now + apr_time_from_sec(seconds);
    int n = 0, before = 0;

    while (now < end) {
        turn(INT_MAX);
        n += w.other != 0 && before == 0;
        before = w.other;
    }
    return n;
}

START_TEST(seldom_where_nothing_changes)
{
    int longest;

    create(2);
    /* 250, 500, 1000 and 2000 ms after the one before. */
    ck_assert_int_eq(comparisons(4), 4);
    longest = comparisons(20);
    ck_assert_int_ge(longest, 8);
    ck_assert_int_le(longest, 10);
    done[1] = 2 * MANY;
    pass_comparison();
    ck_assert_int_eq(w.best, 1);
    ck_assert_int_eq(comparisons(4), 4);
}
END_TEST

START_TEST(counts_that_wrap)
{
    create(2);
    done[1] = 2 * MANY;
    pass_pauses();
    begun = w.from = UINT_MAX - MANY / 2;
    while (w.other != 0) {
        turn(INT_MAX);
    }
    ck_assert_uint_lt(begun, UINT_MAX / 2);
    ck_assert_int_eq(w.best, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("width");
    TCase *tc = tcase_create("comparisons");

    tcase_add_test(tc, fewer_if_they_do_more);
    tcase_add_test(tc, all_if_it_makes_no_difference);
    tcase_add_test(tc, as_many_as_do_most);
    tcase_add_test(tc, a_number_that_is_no_power_of_two);
    tcase_add_test(tc, half_of_those_that_run_are_compared);
    tcase_add_test(tc, one_has_nothing_to_compare);
    tcase_add_test(tc, who_runs_alone_is_not_compared);
    tcase_add_test(tc, nothing_is_compared_while_little_goes_on);
    tcase_add_test(tc, when_little_goes_on_all_may_run_soon);
    tcase_add_loop_test(tc, after_an_idle_time_all_may_run, 1, 3);
    tcase_add_test(tc, what_comes_by_chance_does_not_make_it_fewer);
    tcase_add_test(tc, who_leave_nothing_are_enough);
    tcase_add_test(tc, it_ends_when_little_goes_on);
    tcase_add_loop_test(tc, every_pair_has_to_say_so, 0, WIDTH_PAIRS);
    tcase_add_test(tc, a_slot_nobody_asked_in_says_nothing);
    tcase_add_test(tc, slots_that_are_not_as_long);
    tcase_add_test(tc, seldom_where_nothing_changes);
    tcase_add_test(tc, counts_that_wrap);
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
