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
 * check_shortage: pauses that grow and end, with made-up times.
 */

#include <check.h>
#include <stdlib.h>

#include "clock.h"
#include "shortage.h"

#define T0 apr_time_from_sec(1000)

static shortage_t s;

static void setup(void)
{
    shortage_init(&s);
}

START_TEST(none)
{
    ck_assert(!shortage_pauses(&s, T0));
    ck_assert(!shortage_is_on(&s));
    ck_assert(!shortage_ends(&s, T0));
    ck_assert(shortage_due(&s) == CLOCK_NEVER);
}
END_TEST

START_TEST(is_news_once)
{
    ck_assert(shortage_begins(&s, T0));
    ck_assert(!shortage_begins(&s, T0 + SHORTAGE_PAUSE));
    ck_assert(shortage_is_on(&s));
}
END_TEST

START_TEST(pauses_grow_up_to_a_limit)
{
    apr_time_t now = T0;
    apr_interval_time_t pause = SHORTAGE_PAUSE;
    int i;

    for (i = 0; i < 10; i++) {
        shortage_begins(&s, now);
        ck_assert(shortage_due(&s) == now + pause);
        ck_assert(shortage_pauses(&s, now + pause - 1));
        ck_assert(!shortage_pauses(&s, now + pause));
        now += pause;
        pause = pause < SHORTAGE_PAUSE_MAX ? 2 * pause : pause;
    }
    ck_assert(pause == SHORTAGE_PAUSE_MAX);
}
END_TEST

START_TEST(success_makes_the_next_pause_short)
{
    shortage_begins(&s, T0);
    shortage_begins(&s, T0 + 1);
    shortage_eases(&s);
    ck_assert(!shortage_is_on(&s));
    ck_assert(!shortage_begins(&s, T0 + 2));
    ck_assert(shortage_due(&s) == T0 + 2 + SHORTAGE_PAUSE);
}
END_TEST

START_TEST(ends_once_after_calm)
{
    shortage_begins(&s, T0);
    shortage_pauses(&s, T0 + SHORTAGE_PAUSE);
    ck_assert(shortage_due(&s) == T0 + SHORTAGE_CALM);
    ck_assert(!shortage_ends(&s, T0 + SHORTAGE_CALM - 1));
    ck_assert(shortage_ends(&s, T0 + SHORTAGE_CALM));
    ck_assert(!shortage_ends(&s, T0 + SHORTAGE_CALM));
    ck_assert(!shortage_is_on(&s));
    ck_assert(shortage_begins(&s, T0 + SHORTAGE_CALM + 1));
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("shortage");
    TCase *tc = tcase_create("pauses");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, none);
    tcase_add_test(tc, is_news_once);
    tcase_add_test(tc, pauses_grow_up_to_a_limit);
    tcase_add_test(tc, success_makes_the_next_pause_short);
    tcase_add_test(tc, ends_once_after_calm);
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
