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
 * check_poller: events, one for each arming, and wake-ups, of a real poll
 * set.
 */

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apr_general.h"
#include "apr_portable.h"
#include "apr_thread_proc.h"

#include "clock.h"
#include "poller.h"

static apr_pool_t *pool;
static poller_t *poller;
static poller_entry_t entry;
static int ends[2];

static void setup(void)
{
    apr_socket_t *sock = NULL;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(poller_create(&poller, 4, pool), APR_SUCCESS);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(apr_os_sock_put(&sock, &ends[0], pool), APR_SUCCESS);
    memset(&entry, 0, sizeof(entry));
    entry.pfd.p = pool;
    entry.pfd.desc_type = APR_POLL_SOCKET;
    entry.pfd.desc.s = sock;
    entry.pfd.reqevents = APR_POLLIN;
    entry.pfd.client_data = &entry;
}

static void teardown(void)
{
    close(ends[0]);
    close(ends[1]);
    apr_pool_destroy(pool);
}

/* How many events there are now; if any, they are the entry's. */
static int events(void)
{
    int num = 0, i;
    apr_status_t rv = poller_wait(poller, 0, 0, &num);

    ck_assert(rv == APR_SUCCESS || APR_STATUS_IS_TIMEUP(rv)
              || APR_STATUS_IS_EINTR(rv));
    for (i = 0; i < num; i++) {
        ck_assert_ptr_eq(poller_event(poller, i), &entry);
    }
    return num;
}

static void arm(void)
{
    ck_assert_int_eq(poller_arm(poller, &entry), APR_SUCCESS);
}

static void say(void)
{
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
}

START_TEST(one_event_an_arming)
{
    int round;

    say();
    for (round = 0; round < 3; round++) {
        ck_assert_int_eq(events(), 0);
        arm();
        ck_assert_int_eq(events(), 1);
        poller_came(poller, &entry);
        say();
    }
    ck_assert_int_eq(events(), 0);
    shutdown(ends[1], SHUT_RDWR);
    ck_assert_int_eq(events(), 0);
}
END_TEST

START_TEST(and_again)
{
    say();
    arm();
    ck_assert_int_eq(events(), 1);
    ck_assert_int_eq(poller_again(poller, &entry), APR_SUCCESS);
    ck_assert_int_eq(events(), 1);
    poller_came(poller, &entry);
    ck_assert_int_eq(events(), 0);
}
END_TEST

START_TEST(disarmed)
{
    arm();
    poller_disarm(poller, &entry);
    say();
    ck_assert_int_eq(events(), 0);
    arm();
    ck_assert_int_eq(events(), 1);
}
END_TEST

/* The parameter: exclusively? */
START_TEST(watched_until_it_is_unwatched)
{
    int round;

    ck_assert_int_eq(poller_watch(poller, &entry.pfd, _i), APR_SUCCESS);
    say();
    for (round = 0; round < 3; round++) {
        ck_assert_int_eq(events(), 1);
    }
    ck_assert_int_eq(poller_unwatch(poller, &entry.pfd), APR_SUCCESS);
    ck_assert_int_eq(events(), 0);
}
END_TEST

START_TEST(a_wakeup_before_a_wait)
{
    int round, num;

    for (round = 0; round < 3; round++) {
        poller_wake(poller);
        poller_wake(poller);
        /* For ever, but for the wake-up. */
        poller_wait(poller, 0, CLOCK_NEVER, &num);
        ck_assert_int_eq(num, 0);
        ck_assert(APR_STATUS_IS_TIMEUP(poller_wait(poller, 0, 0, &num)));
    }
    say();
    arm();
    poller_wake(poller);
    ck_assert_int_ge(events() + events(), 1);
}
END_TEST

/* It returns, that is all; whether in time only a clock could tell. */
START_TEST(a_time_that_is_due)
{
    static const int later[] = {1, 1, 500, 2000, 30}; /* microseconds */
    int num, i;

    for (i = 0; i < 5; i++) {
        apr_time_t due = clock_now() + later[i];

        while (clock_now() < due) {
            poller_wait(poller, clock_now(), due, &num);
            ck_assert_int_eq(num, 0);
        }
    }
}
END_TEST

/* Of several times the earliest counts, and an earlier one may be late. */
START_TEST(an_earlier_time_than_before)
{
    apr_time_t now = clock_now();
    int num;

    say();
    arm();
    poller_wait(poller, now, now + apr_time_from_sec(3000), &num);
    ck_assert_int_eq(num, 1);
    poller_came(poller, &entry);
    poller_wait(poller, now, now + 1000, &num);
    ck_assert_int_eq(num, 0);
    /* That has rung, and is over. */
    ck_assert(APR_STATUS_IS_TIMEUP(poller_wait(poller, 0, 0, &num)));
    arm();
    poller_wait(poller, now, CLOCK_NEVER, &num);
    ck_assert_int_eq(num, 1);
}
END_TEST

START_TEST(events_beside_what_is_our_own)
{
    apr_time_t now = clock_now();
    int num, seen = 0;

    poller_wake(poller);
    poller_wait(poller, now, now + 1, &num);
    while (clock_now() < now + 2000) { /* it rings meanwhile */
        apr_thread_yield();
    }
    poller_wake(poller);
    say();
    arm();
    for (; seen == 0; seen += num) {
        poller_wait(poller, now, CLOCK_NEVER, &num);
    }
    ck_assert_int_eq(seen, 1);
    ck_assert_ptr_eq(poller_event(poller, 0), &entry);
}
END_TEST

static void *wake(void *data)
{
    poller_wake(data);
    return NULL;
}

START_TEST(a_wakeup_by_another_thread)
{
    pthread_t thread;
    int round, num;

    for (round = 0; round < 200; round++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, wake, poller), 0);
        poller_wait(poller, 0, CLOCK_NEVER, &num);
        ck_assert_int_eq(num, 0);
        pthread_join(thread, NULL);
    }
}
END_TEST

/* What is refused is not taken for known the next time. */
START_TEST(refused)
{
    int kept = dup(ends[0]);

    arm();
    close(ends[0]);
    if (POLLER_NATIVE) {
        say();
        ck_assert_int_eq(events(), 1); /* the duplicate holds it */
    }
    close(kept);
    ck_assert_int_eq(poller_arm(poller, &entry), APR_EBADF);
    ck_assert_int_eq(entry.known, 0);
    close(ends[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    arm();
    say();
    ck_assert_int_eq(events(), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("poller");
    TCase *tc = tcase_create("poller");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, one_event_an_arming);
    tcase_add_test(tc, and_again);
    tcase_add_test(tc, disarmed);
    tcase_add_loop_test(tc, watched_until_it_is_unwatched, 0, 2);
    tcase_add_test(tc, a_wakeup_before_a_wait);
    tcase_add_test(tc, a_time_that_is_due);
    tcase_add_test(tc, an_earlier_time_than_before);
    tcase_add_test(tc, events_beside_what_is_our_own);
    tcase_add_test(tc, a_wakeup_by_another_thread);
    tcase_add_test(tc, refused);
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
