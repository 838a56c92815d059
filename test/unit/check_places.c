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
 * check_places: where workers are counted, and who is told to go elsewhere.
 */

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Its numbers, too. */
#include "places.c"

#define CREWS 4
#define MINE 2

static places_t places;
static place_t workers[4];
static places_shown_t shown[CREWS];

static void setup(void)
{
    memset(&places, 0, sizeof(places));
    memset(workers, 0, sizeof(workers));
    memset(shown, 0, sizeof(shown));
}

/* Worker i runs there. */
static void enter(int i, int processor)
{
    places_enter(&places, &workers[i], processor);
}

/* Worker i takes an entry, of num processors. */
static unsigned int better(int i, int num)
{
    return places_better(&places, workers[i], num, shown, CREWS, MINE);
}

/* It takes as many as it has to before it is told anything: what. */
static unsigned int better_in_the_end(int i, int num)
{
    int n;

    for (n = 1; n < CROWDED_MANY; n++) {
        ck_assert_uint_eq(better(i, num), 0);
    }
    return better(i, num);
}

START_TEST(counted_where_it_is)
{
    enter(0, 3);
    ck_assert_uint_eq(places.taken, 1u << 3);
    enter(0, 3);
    enter(1, 3);
    ck_assert_int_eq(places.on[3], 2);
    enter(0, 0);
    ck_assert_uint_eq(places.taken, 1u << 3 | 1u << 0);
    enter(0, PLACES_NUM + 31);
    ck_assert_uint_eq(places.taken, 1u << 3 | 1u << 31);
    places_leave(&places, &workers[1]);
    places_leave(&places, &workers[1]);
    ck_assert_uint_eq(places.taken, 1u << 31);
    enter(0, -1);
    ck_assert_uint_eq(places.taken, 0);
    ck_assert_int_eq(places.on[3] + places.on[0] + places.on[31], 0);
    enter(1, -1);
    ck_assert_int_eq(workers[1], 0);
}
END_TEST

START_TEST(one_of_two_goes_after_a_while)
{
    enter(0, 0);
    enter(1, 0);
    ck_assert_uint_eq(better_in_the_end(0, 2), ~1u);
    /* On its way it is nowhere, and the other one need not go, too. */
    places_leave(&places, &workers[0]);
    ck_assert_uint_eq(better_in_the_end(1, 2), 0);
    enter(0, 1);
    ck_assert_uint_eq(better_in_the_end(0, 2), 0);
    ck_assert_uint_eq(better_in_the_end(1, 2), 0);
}
END_TEST

/* The other one may have gone meanwhile, or slept. */
START_TEST(only_if_it_is_so_in_a_row)
{
    int n;

    enter(0, 0);
    for (n = 0; n < 10 * CROWDED_MANY; n++) {
        enter(1, n % CROWDED_MANY == 0);
        ck_assert_uint_eq(better(0, 2), 0);
    }
    setup();
    enter(0, 0);
    enter(1, 0);
    for (n = 0; n < 10 * CROWDED_MANY; n++) {
        if (n % (CROWDED_MANY - 1) == 0) {
            places_leave(&places, &workers[1]); /* it sleeps */
            enter(1, 0);
        }
        ck_assert_uint_eq(better(0, 2), 0);
    }
}
END_TEST

START_TEST(not_where_all_are_taken)
{
    enter(0, 0);
    enter(1, 0);
    enter(2, 1);
    ck_assert_uint_eq(better_in_the_end(0, 2), 0);
    ck_assert_uint_eq(better_in_the_end(0, 3), ~3u);
    atomic_store(&shown[3].taken, 1u << 2);
    ck_assert_uint_eq(better_in_the_end(0, 3), 0);
    atomic_store(&shown[3].taken, UINT_MAX);
    ck_assert_uint_eq(better_in_the_end(0, 1000), 0);
}
END_TEST

/* The parameter: the crew that is there, too. */
START_TEST(of_two_crews_the_later_goes)
{
    enter(0, 1);
    atomic_store(&shown[_i].taken, 1u << 1);
    ck_assert_uint_eq(better_in_the_end(0, 2), _i < MINE ? ~2u : 0);
    atomic_store(&shown[_i].taken, 1u << 0);
    ck_assert_uint_eq(better_in_the_end(0, 4), 0);
}
END_TEST

/* Who is alone on its processor does not mind what is on others. */
START_TEST(beside_one_who_is_well_where_it_is)
{
    int n;

    enter(0, 0);
    enter(1, 0);
    enter(2, 1);
    for (n = 1; n < CROWDED_MANY; n++) {
        ck_assert_uint_eq(better(n % 2, 4), 0);
        ck_assert_uint_eq(better(2, 4), 0);
    }
    ck_assert_uint_eq(better(0, 4), ~3u);
}
END_TEST

START_TEST(nobody_knows_where)
{
    enter(0, -1);
    enter(1, -1);
    atomic_store(&shown[0].taken, UINT_MAX);
    ck_assert_uint_eq(better_in_the_end(0, 8), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("places");
    TCase *tc = tcase_create("places");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, counted_where_it_is);
    tcase_add_test(tc, one_of_two_goes_after_a_while);
    tcase_add_test(tc, only_if_it_is_so_in_a_row);
    tcase_add_test(tc, not_where_all_are_taken);
    tcase_add_loop_test(tc, of_two_crews_the_later_goes, 0, CREWS);
    tcase_add_test(tc, beside_one_who_is_well_where_it_is);
    tcase_add_test(tc, nobody_knows_where);
    suite_add_tcase(s, tc);
    return s;
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
