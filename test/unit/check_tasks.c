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
 * check_tasks: what the system says of threads that sleep, run and are gone.
 */

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <unistd.h>

#include "apr_general.h"

#include "tasks.h"

static atomic_long task;
static atomic_int over;

static void *spin(void *data)
{
    atomic_store(&task, tasks_self());
    while (!atomic_load(&over)) {
    }
    return data;
}

static void *sleep_on(void *data)
{
    int *ends = data;
    char c;

    atomic_store(&task, tasks_self());
    while (read(ends[0], &c, 1) < 0) {
    }
    return NULL;
}

static pthread_t start(void *(*fn)(void *), void *data)
{
    pthread_t thread;

    atomic_store(&task, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, fn, data), 0);
    while (TASKS_CAN_TELL && atomic_load(&task) == 0) {
        sched_yield();
    }
    return thread;
}

START_TEST(a_thread_that_runs)
{
    pthread_t thread = start(spin, NULL);
    int i;

    for (i = 0; i < 100; i++) {
        ck_assert_int_eq(tasks_state(atomic_load(&task)),
                         TASKS_CAN_TELL ? TASKS_RUNS : TASKS_UNKNOWN);
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    ck_assert_int_eq(
        tasks_state(tasks_self()),
        TASKS_CAN_TELL ? TASKS_RUNS : TASKS_UNKNOWN);
}
END_TEST

START_TEST(a_thread_that_sleeps_and_one_that_is_gone)
{
    pthread_t thread;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    thread = start(sleep_on, ends);
    /* It is on its way there: the alarm ends this if it is never seen. */
    while (tasks_state(atomic_load(&task))
           != (TASKS_CAN_TELL ? TASKS_SLEEPS : TASKS_UNKNOWN)) {
        sched_yield();
    }
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    pthread_join(thread, NULL);
    /* The system may need a moment to forget it. */
    while (tasks_state(atomic_load(&task)) != TASKS_UNKNOWN) {
        sched_yield();
    }
}
END_TEST

#if TASKS_CAN_TELL

static void *map_and_unmap(void *data)
{
    atomic_store(&task, tasks_self());
    while (!atomic_load(&over)) {
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);

        /* Not checked here: check's own locks would be waited for, too. */
        munmap(page, 4096);
    }
    return data;
}

/* They wait for each other so often that we see it. The parameter: as a child
 * of httpd that was started by root, which the system does not tell all. */
START_TEST(threads_that_wait_for_their_turn_to_map)
{
    pthread_t threads[8];
    long tasks[8];
    int i, seen = 0, asleep = 0;

    if (_i) {
        int done = geteuid() == 0 ? setuid(65534) : 0;

        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 0), 0);
        (void)done; /* where there is no such user the rest must do */
    }

    for (i = 0; i < 8; i++) {
        threads[i] = start(map_and_unmap, NULL);
        tasks[i] = atomic_load(&task);
    }
    for (i = 0; seen + asleep < 500; i = (i + 1) % 8) {
        tasks_state_e state = tasks_state(tasks[i]);

        ck_assert_int_ne(state, TASKS_UNKNOWN);
        seen += state == TASKS_MAPS;
        asleep += state == TASKS_SLEEPS;
    }
    /* One that is about to wait may be taken for one that sleeps, as where it
     * waits is not known yet. */
    ck_assert_int_gt(seen, 100);
    atomic_store(&over, 1);
    for (i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
}
END_TEST

static void *wake(void *data)
{
    atomic_int *word = data;

    atomic_store(word, 0);
    tasks_wake(word);
    return NULL;
}

START_TEST(a_wait_ends)
{
    atomic_int word = 1;
    pthread_t thread;

    tasks_wait(&word, 0, apr_time_from_sec(3600)); /* it is not that */
    tasks_wait(&word, 1, 1000);                    /* nobody wakes us */
    ck_assert_int_eq(pthread_create(&thread, NULL, wake, &word), 0);
    while (atomic_load(&word) == 1) {
        tasks_wait(&word, 1, apr_time_from_sec(3600));
    }
    pthread_join(thread, NULL);
}
END_TEST

static unsigned int bit_of(int processor)
{
    return 1u << processor % 32;
}

/* It goes, and is not bound to where it went. */
START_TEST(a_thread_that_goes_to_another_processor)
{
    cpu_set_t before, after;
    int i, others = 0, here = tasks_processor();

    ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
    for (i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &before)) {
            int tries = 0;

            /* The system may send it away again at once, but not always. */
            do {
                ck_assert_int_lt(tries++, 100);
                ck_assert_int_eq(tasks_go(bit_of(i), 32), 1);
            } while (bit_of(tasks_processor()) != bit_of(i));
            others += (bit_of(i) != bit_of(here));
        }
    }
    ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
    here = tasks_processor();
    ck_assert(here >= 0 && CPU_ISSET(here, &before));
    ck_assert_int_eq(tasks_go(~bit_of(here), 32), others > 0);
    ck_assert_int_eq(tasks_go(0, 32), 0);
}
END_TEST

/* Where it may not run it does not go. */
START_TEST(a_thread_that_is_bound)
{
    cpu_set_t one, after;
    int here = tasks_processor();

    CPU_ZERO(&one);
    CPU_SET(here, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(tasks_go(~bit_of(here), 32), 0);
    ck_assert_int_eq(tasks_go(bit_of(here), 32), 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
    ck_assert(CPU_EQUAL(&one, &after));
    ck_assert_int_eq(tasks_processor(), here);
}
END_TEST

#endif

static Suite *suite(void)
{
    Suite *s = suite_create("tasks");
    TCase *tc = tcase_create("tasks");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_thread_that_runs);
    tcase_add_test(tc, a_thread_that_sleeps_and_one_that_is_gone);
#if TASKS_CAN_TELL
    tcase_add_loop_test(tc, threads_that_wait_for_their_turn_to_map, 0, 2);
    tcase_add_test(tc, a_wait_ends);
    tcase_add_test(tc, a_thread_that_goes_to_another_processor);
    tcase_add_test(tc, a_thread_that_is_bound);
#endif
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
