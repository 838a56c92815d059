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
 * check_pod: words of the parent, its end, calls of the child's threads, and
 * the bell.
 */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apr_general.h"

#include "pod.h"
#include "signals.h"

static apr_pool_t *pool;
static signals_t sig;
static pod_t *pod;
static int parent_end;

static void setup(void)
{
    int child_end;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    signal(SIGPIPE, SIG_IGN); /* as core does */
    pthread_sigmask(SIG_SETMASK, NULL, &sig.asleep);
    ck_assert_int_eq(pod_open(&child_end, &parent_end), APR_SUCCESS);
    ck_assert_int_eq(pod_create(&pod, child_end, pool), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
    pod_close(&parent_end);
}

static void tell(pod_word_e word)
{
    ck_assert_int_eq(pod_tell(parent_end, word), APR_SUCCESS);
}

/* What there is to know by now. */
static pod_word_e look(void)
{
    return pod_wait(pod, &sig, 0);
}

/* --- Words ---------------------------------------------------------------- */

START_TEST(nothing)
{
    ck_assert_int_eq(look(), POD_NOTHING);
    ck_assert_int_eq(pod_wait(pod, &sig, 1500), POD_NOTHING);
}
END_TEST

START_TEST(each_word_once)
{
    tell(POD_DRAIN);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_DRAIN);
    ck_assert_int_eq(look(), POD_NOTHING);
    tell(POD_EXIT);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_EXIT);
    ck_assert_int_eq(look(), POD_NOTHING);
    tell(POD_DRAIN);
    ck_assert_int_eq(look(), POD_DRAIN);
}
END_TEST

/* The parameter: how many words are there before the strongest one. */
START_TEST(the_strongest_of_many)
{
    static const int before[] = {0, 1, 62, 63, 64, 65, 127, 500};
    int i;

    for (i = 0; i < before[_i]; i++) {
        tell(POD_DRAIN);
    }
    tell(POD_EXIT);
    for (i = 0; i < 70; i++) {
        tell(POD_DRAIN);
    }
    ck_assert_int_eq(look(), POD_EXIT);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

/* Any two words, in any order: the later one of the enum counts. */
START_TEST(the_stronger_of_two)
{
    int a = 1 + _i / POD_EXIT, b = 1 + _i % POD_EXIT;

    tell((pod_word_e)a);
    tell((pod_word_e)b);
    ck_assert_int_eq(look(), a > b ? a : b);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

/* Of these two the last one counts, whatever else is said. The parameter's
 * bits say which they are. */
START_TEST(rest_and_resume_take_each_other_back)
{
    int i;

    ck_assert_int_eq(pod_rests(pod), 0);
    for (i = 0; i < 4; i++) {
        tell(_i >> i & 1 ? POD_REST : POD_RESUME);
    }
    ck_assert_int_eq(look(), _i == 15 ? POD_REST : POD_RESUME);
    ck_assert_int_eq(pod_rests(pod), _i >> 3);
    tell(POD_REST);
    tell(POD_RENEWED);
    ck_assert_int_eq(look(), POD_RENEWED);
    ck_assert_int_eq(pod_rests(pod), 1);
    tell(POD_RELIEVED);
    tell(POD_RESUME);
    ck_assert_int_eq(look(), POD_RELIEVED);
    ck_assert_int_eq(pod_rests(pod), 0);
}
END_TEST

START_TEST(what_is_no_word_says_nothing)
{
    static const char noise[256] = {'w', 'x', 1, 127, -1};
    int i;

    ck_assert_int_eq(write(parent_end, noise, sizeof(noise)), sizeof(noise));
    ck_assert_int_eq(look(), POD_NOTHING);
    ck_assert_int_eq(look(), POD_NOTHING);
    for (i = 0; i < 100; i++) {
        ck_assert_int_eq(write(parent_end, noise, 1), 1);
    }
    tell(POD_RELIEVED);
    ck_assert_int_eq(write(parent_end, noise, 5), 5);
    ck_assert_int_eq(look(), POD_RELIEVED);
}
END_TEST

START_TEST(a_full_pipe_is_no_reason_to_wait)
{
    apr_status_t rv;

    do {
        rv = pod_tell(parent_end, POD_DRAIN);
    } while (rv == APR_SUCCESS);
    ck_assert(APR_STATUS_IS_EAGAIN(rv));
    ck_assert_int_eq(look(), POD_DRAIN);
    ck_assert_int_eq(look(), POD_NOTHING);
    tell(POD_EXIT);
    ck_assert_int_eq(look(), POD_EXIT);
}
END_TEST

/* --- The parent's end, the child's end ------------------------------------ */

START_TEST(gone_is_said_once)
{
    pod_close(&parent_end);
    ck_assert_int_eq(parent_end, -1);
    pod_close(&parent_end);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_GONE);
    ck_assert_int_eq(look(), POD_NOTHING);
    pod_wake(pod);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_WOKEN);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

START_TEST(last_words_come_first)
{
    tell(POD_DRAIN);
    pod_close(&parent_end);
    ck_assert_int_eq(look(), POD_DRAIN);
    ck_assert_int_eq(look(), POD_GONE);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

START_TEST(without_a_parent)
{
    pod_t *alone;

    ck_assert_int_eq(pod_create(&alone, -1, pool), APR_SUCCESS);
    ck_assert_int_eq(pod_wait(alone, &sig, 0), POD_NOTHING);
    pod_wake(alone);
    ck_assert_int_eq(pod_wait(alone, &sig, -1), POD_WOKEN);
    ck_assert_int_eq(pod_wait(alone, &sig, 0), POD_NOTHING);
}
END_TEST

START_TEST(a_child_that_is_gone)
{
    apr_pool_clear(pool);
    ck_assert_int_eq(pod_tell(parent_end, POD_DRAIN), EPIPE);
}
END_TEST

/* A parent that is killed can say nothing, and yet its child learns it. */
START_TEST(a_parent_that_is_killed)
{
    int result[2], child_end;
    pid_t pid;
    char word = -1;

    ck_assert_int_eq(pipe(result), 0);
    pid = fork();
    if (pid == 0) {
        pod_close(&parent_end);
        pod_open(&child_end, &parent_end);
        if (fork() == 0) {
            pod_close(&parent_end);
            pod_create(&pod, child_end, pool);
            word = (char)pod_wait(pod, &sig, -1);
            _exit(write(result[1], &word, 1) != 1);
        }
        raise(SIGKILL);
    }
    close(result[1]);
    ck_assert_int_eq(read(result[0], &word, 1), 1);
    ck_assert_int_eq(word, POD_GONE);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(result[0]);
}
END_TEST

/* --- Calls of threads ----------------------------------------------------- */

START_TEST(any_number_of_calls_is_one)
{
    int i;

    for (i = 0; i < 200000; i++) { /* more than a pipe holds */
        errno = 42;
        pod_wake(pod);
        ck_assert_int_eq(errno, 42);
    }
    ck_assert_int_eq(look(), POD_WOKEN);
    ck_assert_int_eq(look(), POD_NOTHING);
    for (i = 0; i < 64; i++) {
        pod_wake(pod);
    }
    ck_assert_int_eq(look(), POD_WOKEN);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

START_TEST(a_word_goes_before_a_call)
{
    pod_wake(pod);
    tell(POD_DRAIN);
    ck_assert_int_eq(look(), POD_DRAIN);
    ck_assert_int_eq(look(), POD_NOTHING);
}
END_TEST

static void *call(void *data)
{
    pod_wake(data);
    return NULL;
}

START_TEST(calls_end_the_wait)
{
    int i;

    for (i = 0; i < 200; i++) {
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, call, pod), 0);
        ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_WOKEN);
        pthread_join(thread, NULL);
        ck_assert_int_eq(look(), POD_NOTHING);
    }
}
END_TEST

static volatile sig_atomic_t came;

static void note(int number)
{
    (void)number;
    came = 1;
}

START_TEST(a_signal_ends_the_wait)
{
    signal(SIGTERM, note);
    signals_take_term(&sig, 0);
    raise(SIGTERM);
    ck_assert_int_eq(came, 0);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_NOTHING);
    ck_assert_int_eq(came, 1);
    tell(POD_DRAIN);
    ck_assert_int_eq(pod_wait(pod, &sig, -1), POD_DRAIN);
}
END_TEST

/* --- The bell ------------------------------------------------------------- */

static int in, out;

static void hang_up_bell(void)
{
    setup();
    ck_assert_int_eq(pod_open_bell(&in, &out), APR_SUCCESS);
}

static void take_down_bell(void)
{
    pod_close(&in);
    pod_close(&out);
    teardown();
}

/* As the parent waits. */
static int is_ringing(void)
{
    struct pollfd fd = {in, POLLIN, 0};

    return signals_sleep(&sig, &fd, 1, 0);
}

START_TEST(all_rings_are_one)
{
    static const int rings[] = {1, 2, 63, 64, 65, 128, 200000};
    int i;

    ck_assert_int_eq(is_ringing(), 0);
    for (i = 0; i < rings[_i]; i++) {
        pod_ring(out);
    }
    ck_assert_int_eq(is_ringing(), 1);
    pod_hear(in);
    ck_assert_int_eq(is_ringing(), 0);
    pod_hear(in); /* does not wait for one */
    pod_ring(out);
    ck_assert_int_eq(is_ringing(), 1);
}
END_TEST

START_TEST(ringing_where_nobody_is_left)
{
    pod_close(&in);
    pod_ring(out);
}
END_TEST

/* --- Descriptors ---------------------------------------------------------- */

START_TEST(ends_do_not_block_nor_outlive_an_exec)
{
    int ends[2], i;

    ck_assert_int_eq(pod_open(&ends[0], &ends[1]), APR_SUCCESS);
    for (i = 0; i < 2; i++) {
        ck_assert_int_ne(fcntl(ends[i], F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_ne(fcntl(ends[i], F_GETFL) & O_NONBLOCK, 0);
        pod_close(&ends[i]);
        ck_assert_int_eq(ends[i], -1);
    }
}
END_TEST

static int count_open(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 100; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

START_TEST(the_pool_closes_the_childs_ends)
{
    int ends[2], before = count_open();

    ck_assert_int_eq(pod_open(&ends[0], &ends[1]), APR_SUCCESS);
    ck_assert_int_eq(pod_create(&pod, ends[0], pool), APR_SUCCESS);
    ck_assert_int_eq(count_open(), before + 4);
    apr_pool_clear(pool); /* this pod's three, and those of setup's pod */
    ck_assert_int_eq(count_open(), before + 1 - 3);
    pod_close(&ends[1]);
}
END_TEST

START_TEST(no_descriptors_are_left)
{
    struct rlimit limit, none;
    int ends[2] = {-1, -1};
    pod_t *other;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(pod_open(&ends[0], &ends[1]), EMFILE);
    ck_assert_int_eq(pod_open_bell(&ends[0], &ends[1]), EMFILE);
    ck_assert_int_eq(pod_create(&other, -1, pool), EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(ends[0] & ends[1], -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pod");
    TCase *tc = tcase_create("words");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing);
    tcase_add_test(tc, each_word_once);
    tcase_add_loop_test(tc, the_strongest_of_many, 0, 8);
    tcase_add_loop_test(tc, the_stronger_of_two, 0, POD_EXIT * POD_EXIT);
    tcase_add_loop_test(tc, rest_and_resume_take_each_other_back, 0, 16);
    tcase_add_test(tc, what_is_no_word_says_nothing);
    tcase_add_test(tc, a_full_pipe_is_no_reason_to_wait);
    suite_add_tcase(s, tc);

    tc = tcase_create("ends");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, gone_is_said_once);
    tcase_add_test(tc, last_words_come_first);
    tcase_add_test(tc, without_a_parent);
    tcase_add_test(tc, a_child_that_is_gone);
    tcase_add_test(tc, a_parent_that_is_killed);
    suite_add_tcase(s, tc);

    tc = tcase_create("calls");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, any_number_of_calls_is_one);
    tcase_add_test(tc, a_word_goes_before_a_call);
    tcase_add_test(tc, calls_end_the_wait);
    tcase_add_test(tc, a_signal_ends_the_wait);
    suite_add_tcase(s, tc);

    tc = tcase_create("bell");
    tcase_add_checked_fixture(tc, hang_up_bell, take_down_bell);
    tcase_add_loop_test(tc, all_rings_are_one, 0, 7);
    tcase_add_test(tc, ringing_where_nobody_is_left);
    suite_add_tcase(s, tc);

    tc = tcase_create("descriptors");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, ends_do_not_block_nor_outlive_an_exec);
    tcase_add_test(tc, the_pool_closes_the_childs_ends);
    tcase_add_test(tc, no_descriptors_are_left);
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
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
