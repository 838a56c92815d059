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
 * check_admission_rule: how many connections AsyncRequestWorkerFactor lets a
 * child have, by its manual.
 */

#include <check.h>
#include <limits.h>
#include <stdlib.h>

#include "admission.h"

/* How many connections a child that starts with none may get. */
static int most(int idle, int threads, double factor)
{
    int conns = 0;

    while (admission_rule(conns, idle, threads, factor)) {
        conns++;
    }
    return conns;
}

/* "ThreadsPerChild 10, ServerLimit 4, AsyncRequestWorkerFactor 2": "(10 + (4
 * * 2)) * 4 = 72" with four idle workers in each child, "(10 + (10 * 2)) * 4
 * = 120" with all of them idle. */
START_TEST(the_manuals_example)
{
    ck_assert_int_eq(most(4, 10, 2) * 4, 72);
    ck_assert_int_eq(most(10, 10, 2) * 4, 120);
}
END_TEST

START_TEST(fractions_count)
{
    ck_assert_int_eq(most(10, 10, 1.5), 25);
    ck_assert_int_eq(most(10, 10, 1), 20);
    ck_assert_int_eq(most(10, 10, 0.5), 15);
    ck_assert_int_eq(most(10, 10, 0.1), 11);
    /* The last one that is below the limit is let in. */
    ck_assert_int_eq(most(1, 10, 0.5), 11);
    ck_assert_int_eq(most(3, 10, 1.5), 15);
    ck_assert_int_eq(most(1, 10, 0.001), 11);
}
END_TEST

/* A connection that no worker could take had better go to another child. */
START_TEST(nobody_idle_nobody_in)
{
    int conns;

    for (conns = 0; conns < 100; conns++) {
        ck_assert_int_eq(admission_rule(conns, 0, 10, 2), 0);
    }
    ck_assert_int_eq(admission_rule(0, 0, 10, 1e6), 0);
    ck_assert_int_eq(admission_rule(0, 1, 10, 2), 1);
}
END_TEST

START_TEST(one_worker)
{
    ck_assert_int_eq(most(1, 1, 2), 3);
    ck_assert_int_eq(most(1, 1, 0.5), 2);
}
END_TEST

/* More idle workers never mean fewer connections. */
START_TEST(more_workers_more_connections)
{
    int idle;

    for (idle = 1; idle <= 64; idle++) {
        ck_assert_int_eq(most(idle, 64, 2), 64 + 2 * idle);
        ck_assert_int_ge(most(idle, 64, 0.3), most(idle - 1, 64, 0.3));
    }
}
END_TEST

START_TEST(largest_figures)
{
    ck_assert_int_eq(admission_rule(INT_MAX, 20000, 20000, 1e9), 1);
    ck_assert_int_eq(admission_rule(INT_MAX, 20000, 20000, 2), 0);
    ck_assert_int_eq(admission_rule(59999, 20000, 20000, 2), 1);
    ck_assert_int_eq(admission_rule(60000, 20000, 20000, 2), 0);
    /* Figures of a moment: fewer connections than are closing. */
    ck_assert_int_eq(admission_rule(-1, 1, 1, 0.1), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("admission_rule");
    TCase *tc = tcase_create("rule");

    tcase_add_test(tc, the_manuals_example);
    tcase_add_test(tc, fractions_count);
    tcase_add_test(tc, nobody_idle_nobody_in);
    tcase_add_test(tc, one_worker);
    tcase_add_test(tc, more_workers_more_connections);
    tcase_add_test(tc, largest_figures);
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
