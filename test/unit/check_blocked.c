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
 * check_blocked: how often workers are looked at. (Which of them are blocked,
 * and what comes of it, check_crew tests.)
 *
 * Times are made up, and so is what the system says of a thread.
 */

#include <check.h>
#include <stdlib.h>

#include "apr_general.h"

#include "clock.h"
#include "tasks.h"

static tasks_state_e answer[2]; /* what tasks_state says of each worker */
static int looks;               /* and how often it was asked */
static int goes_on;             /* meanwhile the worker is done */

static void go_on(int worker);

static tasks_state_e our_state(long task)
{
    looks++;
    if (goes_on) {
        go_on((int)task);
    }
    return answer[task];
}

static long joins; /* so the workers' tasks are their numbers */

static long our_self(void)
{
    return joins++;
}

static apr_time_t moment;

static apr_time_t our_clock(void)
{
    return moment;
}

#define tasks_state our_state
#define tasks_self our_self
#define clock_now our_clock
#include "blocked.c"

#define START apr_time_from_sec(1000)

static apr_pool_t *pool;
static apr_thread_mutex_t *lock;
static blocked_t *blocked;
static trial_t trial;

static void go_on(int worker)
{
    blocked_sleep(blocked, worker);
}

static void found(void *self, int worker)
{
    (void)self;
    (void)worker;
}

/* Worker 0 has an entry that is old enough for a look. */
static void setup(void)
{
    moment = START;
    looks = 0;
    joins = 0;
    goes_on = 0;
    answer[0] = answer[1] = TASKS_RUNS;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(
        apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, pool),
        APR_SUCCESS);
    trial_init(&trial);
    blocked = blocked_create(2, lock, found, NULL, pool);
    blocked_join(blocked, 0);
    blocked_join(blocked, 1);
    blocked_begin(blocked, 0);
    moment += BLOCKED_ASLEEP;
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* How many are looked at now? */
static int look(void)
{
    int before = looks;

    blocked_find(blocked, &trial, moment);
    return looks - before;
}

/* The worker has a new entry, just old enough for a look. */
static void begin_anew(int worker)
{
    moment -= BLOCKED_ASLEEP;
    apr_thread_mutex_lock(lock);
    blocked_return(blocked, worker);
    blocked_begin(blocked, worker);
    apr_thread_mutex_unlock(lock);
    moment += BLOCKED_ASLEEP;
}

/* Worker 0 was found running each time, for long. */
static void look_for_long(void)
{
    int i;

    for (i = 0; i < 20; i++) {
        moment = moment < blocked_due(blocked) ? blocked_due(blocked) : moment;
        begin_anew(0);
        ck_assert_int_eq(look(), 1);
    }
}

/* At last until the one that runs will have taken too long. */
START_TEST(less_and_less_often)
{
    apr_interval_time_t pause = 0;
    int i;

    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(look(), 1);
        ck_assert_int_ge(blocked_due(blocked) - moment, pause);
        pause = blocked_due(blocked) - moment;
        if (i == 0) {
            ck_assert_int_eq(pause, BLOCKED_ASLEEP);
        }
        moment += pause;
        begin_anew(0);
    }
    ck_assert_int_eq(pause, BLOCKED_LONG - BLOCKED_ASLEEP);
}
END_TEST

START_TEST(not_beyond_what_takes_too_long)
{
    apr_time_t began;

    look_for_long();
    moment = blocked_due(blocked);
    begin_anew(0);
    began = moment - BLOCKED_ASLEEP;
    moment += BLOCKED_LONG / 2;
    begin_anew(1);
    ck_assert_int_eq(look(), 2);
    ck_assert_int_eq(blocked_due(blocked), began + BLOCKED_LONG);
    moment = blocked_due(blocked);
    ck_assert_int_eq(look(), 2);
    ck_assert_int_eq(blocked_num(blocked), 1);
}
END_TEST

START_TEST(one_asleep_ends_the_pause)
{
    look_for_long();
    moment = blocked_due(blocked);
    begin_anew(0);
    begin_anew(1);
    answer[1] = TASKS_SLEEPS;
    ck_assert_int_eq(look(), 2);
    ck_assert_int_eq(blocked_num(blocked), 1);
    ck_assert_int_eq(blocked_due(blocked), moment);
    moment++;
    /* The one that has been found is not looked at any more. */
    ck_assert_int_eq(look(), 1);
    ck_assert_int_eq(blocked_due(blocked), moment + BLOCKED_ASLEEP);
}
END_TEST

/* One that has gone on meanwhile: it sleeps for want of work. */
START_TEST(who_has_gone_on_was_not_asleep)
{
    look_for_long();
    moment = blocked_due(blocked);
    begin_anew(0);
    answer[0] = TASKS_SLEEPS;
    goes_on = 1;
    ck_assert_int_eq(look(), 1);
    ck_assert_int_eq(blocked_num(blocked), 0);
    ck_assert_int_gt(blocked_due(blocked), moment + BLOCKED_ASLEEP);
}
END_TEST

/* It may be anything. */
START_TEST(unknown_may_sleep)
{
    look_for_long();
    moment = blocked_due(blocked);
    begin_anew(0);
    answer[0] = TASKS_UNKNOWN;
    ck_assert_int_eq(look(), 1);
    ck_assert_int_eq(blocked_due(blocked), moment);
}
END_TEST

START_TEST(who_maps_does_not_sleep)
{
    answer[0] = TASKS_MAPS;
    look_for_long();
    ck_assert_int_eq(blocked_due(blocked), moment + BLOCKED_PAUSE);
}
END_TEST

/* Entries that are over before anybody looks say nothing. */
START_TEST(nobody_to_look_at)
{
    apr_time_t due;

    ck_assert_int_eq(look(), 1);
    due = blocked_due(blocked);
    moment = due + 1;
    begin_anew(0);
    moment = due;
    ck_assert_int_eq(look(), 0);
    ck_assert_int_eq(blocked_due(blocked), due);
    moment++;
    ck_assert_int_eq(look(), 1);
}
END_TEST

START_TEST(what_was_long_ago_is_forgotten)
{
    look_for_long();
    moment += FORGET - 1;
    begin_anew(0);
    ck_assert_int_eq(look(), 1);
    ck_assert_int_gt(blocked_due(blocked), moment + BLOCKED_ASLEEP);
    moment += FORGET;
    begin_anew(0);
    ck_assert_int_eq(look(), 1);
    ck_assert_int_eq(blocked_due(blocked), moment + BLOCKED_ASLEEP);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("blocked");
    TCase *tc = tcase_create("looks");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, less_and_less_often);
    tcase_add_test(tc, not_beyond_what_takes_too_long);
    tcase_add_test(tc, one_asleep_ends_the_pause);
    tcase_add_test(tc, who_has_gone_on_was_not_asleep);
    tcase_add_test(tc, unknown_may_sleep);
    tcase_add_test(tc, who_maps_does_not_sleep);
    tcase_add_test(tc, nobody_to_look_at);
    tcase_add_test(tc, what_was_long_ago_is_forgotten);
    suite_add_tcase(all, tc);
    return all;
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
