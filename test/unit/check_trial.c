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
 * check_trial: whether a bound is worth having, with made-up counts.
 */

#include <check.h>
#include <limits.h>
#include <stdlib.h>

#include "trial.h"

#define T0 apr_time_from_sec(1000)

static trial_t t;
static unsigned int begun; /* entries, ever */
static apr_time_t now;

static void setup(void)
{
    trial_init(&t);
    begun = 0;
    now = T0;
}

/* So many are begun, and so many of them found asleep: is there no bound? */
static int pass(unsigned int n, unsigned int asleep)
{
    apr_time_t since = now;

    begun += n;
    now += apr_time_from_msec(1);
    while (asleep-- > 0) {
        trial_asleep(&t, since);
    }
    return trial_frees(&t, begun, now);
}

START_TEST(many_of_them)
{
    ck_assert(!trial_frees(&t, 0, now));
    ck_assert(!pass(TRIAL_ENTRIES, 0));
    ck_assert(!pass(TRIAL_ENTRIES, TRIAL_ENTRIES / TRIAL_SHARE));
    ck_assert(pass(TRIAL_ENTRIES, TRIAL_ENTRIES / TRIAL_SHARE + 1));
}
END_TEST

START_TEST(of_so_many)
{
    ck_assert(!pass(TRIAL_ENTRIES - 1, TRIAL_ENTRIES - 1));
    ck_assert(pass(1, 0));
    setup();
    /* However many it are when it looks. */
    ck_assert(!pass(TRIAL_SHARE * TRIAL_ENTRIES, TRIAL_ENTRIES));
    ck_assert(pass(TRIAL_SHARE * TRIAL_ENTRIES, TRIAL_ENTRIES + 1));
}
END_TEST

START_TEST(for_so_many_more)
{
    ck_assert(pass(TRIAL_ENTRIES, TRIAL_ENTRIES));
    ck_assert(pass(0, 0));
    ck_assert(pass(TRIAL_FREE - 1, 0));
    ck_assert(!pass(1, 0));
    /* And then it is tried anew. */
    ck_assert(!pass(TRIAL_ENTRIES - 1, TRIAL_ENTRIES - 1));
    ck_assert(pass(1, 1));
    /* Whatever became of those. */
    ck_assert(!pass(TRIAL_FREE, TRIAL_FREE));
}
END_TEST

START_TEST(or_for_so_long)
{
    apr_time_t end;

    ck_assert(trial_looks(&t, 0, now));
    pass(TRIAL_ENTRIES, TRIAL_ENTRIES);
    end = now + TRIAL_FREE_TIME;
    ck_assert_int_eq(trial_due(&t), end);
    ck_assert(!trial_looks(&t, begun + TRIAL_FREE - 1, end - 1));
    ck_assert(trial_looks(&t, begun + TRIAL_FREE, end - 1));
    ck_assert(trial_looks(&t, begun, end));
    ck_assert(trial_frees(&t, begun, end - 1));
    ck_assert(!trial_frees(&t, begun, end));
    ck_assert(trial_looks(&t, begun, end));
}
END_TEST

START_TEST(who_began_before_says_nothing)
{
    apr_time_t before = now;
    int i;

    pass(TRIAL_ENTRIES, 0);
    for (i = 0; i < TRIAL_ENTRIES; i++) {
        trial_asleep(&t, before);
    }
    ck_assert(!pass(TRIAL_ENTRIES, 0));
}
END_TEST

START_TEST(counts_that_wrap)
{
    begun = UINT_MAX - 3 * TRIAL_ENTRIES / 2;
    pass(0, 0);
    ck_assert(!pass(TRIAL_ENTRIES, 0));
    ck_assert(pass(TRIAL_ENTRIES, TRIAL_ENTRIES));
    ck_assert_uint_lt(begun, TRIAL_ENTRIES);
    ck_assert(pass(TRIAL_FREE - 1, 0));
    ck_assert(!pass(1, 0));
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("trial");
    TCase *tc = tcase_create("verdicts");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, many_of_them);
    tcase_add_test(tc, of_so_many);
    tcase_add_test(tc, for_so_many_more);
    tcase_add_test(tc, or_for_so_long);
    tcase_add_test(tc, who_began_before_says_nothing);
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
