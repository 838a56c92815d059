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
 * check_signals: who is interrupted by what, and that no signal is slept
 * over. check_signals_portable.c is the same for systems without ppoll(2).
 */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signals.h"

#ifndef SUITE_NAME
#define SUITE_NAME "signals"
#endif

/* For sleeps that are to be cut short by something else. */
#define LONG apr_time_from_sec(60)

#define ROUNDS 2000

static const int parents[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGWINCH};
#define NUM_PARENTS ((int)(sizeof(parents) / sizeof(parents[0])))

static signals_t sig;
static sigset_t mask_before;
static volatile sig_atomic_t came[NSIG];

static void note(int number)
{
    came[number]++;
}

static void handle(int number)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = note;
    sigemptyset(&sa.sa_mask);
    ck_assert_int_eq(sigaction(number, &sa, NULL), 0);
}

/* As core does before it calls an MPM. */
static void setup(void)
{
    int i;

    for (i = 0; i < NUM_PARENTS; i++) {
        handle(parents[i]);
    }
    sigemptyset(&mask_before);
    sigaddset(&mask_before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    memset((void *)came, 0, sizeof(came));
}

static void assert_mask_is(const sigset_t *expected)
{
    sigset_t mask;
    int i;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (i = 1; i < NSIG; i++) {
        ck_assert_int_eq(sigismember(&mask, i), sigismember(expected, i));
    }
}

static void (*handler_of(int number))(int)
{
    struct sigaction sa;

    ck_assert_int_eq(sigaction(number, NULL, &sa), 0);
    return sa.sa_handler;
}

static int sleep_for(apr_interval_time_t timeout)
{
    return signals_sleep(&sig, NULL, 0, timeout);
}

static void assert_interrupted(int rc)
{
    ck_assert_int_eq(rc, -1);
    ck_assert_int_eq(errno, EINTR);
}

/* --- The parent ----------------------------------------------------------- */

START_TEST(held_back_but_in_the_sleep)
{
    int number = parents[_i];

    signals_hold(&sig);
    raise(number);
    ck_assert_int_eq(came[number], 0);
    assert_interrupted(sleep_for(LONG));
    ck_assert_int_eq(came[number], 1);
    raise(number);
    ck_assert_int_eq(came[number], 1);
    assert_interrupted(sleep_for(-1));
    ck_assert_int_eq(came[number], 2);
    ck_assert_int_eq(sleep_for(0), 0);
}
END_TEST

START_TEST(all_at_once)
{
    int i, rounds = 0;

    signals_hold(&sig);
    for (i = 0; i < NUM_PARENTS; i++) {
        raise(parents[i]);
    }
    while (sleep_for(0) < 0) {
        ck_assert_int_le(++rounds, NUM_PARENTS);
    }
    for (i = 0; i < NUM_PARENTS; i++) {
        ck_assert_int_eq(came[parents[i]], 1);
    }
}
END_TEST

/* Signals from another process, whenever it pleases: each ends a sleep that
 * has no other end. */
START_TEST(none_is_slept_over)
{
    int ask[2], i;
    pid_t pid;

    ck_assert_int_eq(pipe(ask), 0);
    signals_hold(&sig);
    pid = fork();
    if (pid == 0) {
        char c;

        close(ask[1]);
        for (i = 0; read(ask[0], &c, 1) == 1; i++) {
            kill(getppid(), parents[i % NUM_PARENTS]);
        }
        _exit(0);
    }
    close(ask[0]);
    for (i = 0; i < ROUNDS; i++) {
        int number = parents[i % NUM_PARENTS];
        int before = came[number];

        ck_assert_int_eq(write(ask[1], "?", 1), 1);
        assert_interrupted(sleep_for(-1));
        ck_assert_int_eq(came[number], before + 1);
    }
    close(ask[1]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(the_end_of_a_child_ends_the_sleep)
{
    int i, status;

    signals_hold(&sig);
    for (i = 0; i < 50; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            _exit(i);
        }
        assert_interrupted(sleep_for(-1));
        ck_assert_int_eq(waitpid(pid, &status, WNOHANG), pid);
        ck_assert_int_eq(WEXITSTATUS(status), i);
    }
}
END_TEST

START_TEST(release_lets_in_what_waited)
{
    signals_hold(&sig);
    raise(SIGHUP);
    raise(SIGUSR2); /* blocked before, and none of ours */
    assert_interrupted(sleep_for(LONG));
    raise(SIGTERM);
    ck_assert_int_eq(came[SIGTERM], 0);
    signals_release(&sig);
    ck_assert_int_eq(came[SIGTERM], 1);
    ck_assert_int_eq(came[SIGHUP], 1);
    assert_mask_is(&mask_before);
    /* Code of a module that may be unloaded is no handler any more. */
    ck_assert_ptr_eq(handler_of(SIGCHLD), SIG_DFL);
}
END_TEST

START_TEST(others_are_none_of_ours)
{
    handle(SIGUSR2);
    handle(SIGURG);
    signals_hold(&sig);
    raise(SIGUSR2);
    ck_assert_int_eq(sleep_for(0), 0);
    ck_assert_int_eq(came[SIGUSR2], 0); /* blocked before, blocked now */
    raise(SIGURG);
    ck_assert_int_eq(came[SIGURG], 1);
}
END_TEST

/* --- The child ------------------------------------------------------------ */

START_TEST(a_child_starts_deaf_to_what_parents_understand)
{
    int i;

    signals_hold(&sig);
    for (i = 0; i < NUM_PARENTS; i++) {
        raise(parents[i]); /* as if sent before we were asked */
    }
    signals_start_child(&sig, note);
    for (i = 0; i < NUM_PARENTS; i++) {
        int number = parents[i];

        ck_assert_int_eq(came[number], number == SIGTERM);
        if (number == SIGTERM) {
            ck_assert_ptr_eq(handler_of(number), note);
        }
        else if (number != SIGNALS_PARENT_GONE) {
            ck_assert_ptr_eq(handler_of(number), SIG_IGN);
        }
    }
    ck_assert_ptr_eq(handler_of(SIGCHLD), SIG_DFL);
    assert_mask_is(&mask_before);
    /* This one ends a sleep, and does nothing else at any time. */
    raise(SIGNALS_PARENT_GONE);
    signals_take_term(&sig, 0);
    raise(SIGNALS_PARENT_GONE);
    assert_interrupted(sleep_for(LONG));
    ck_assert_int_eq(came[SIGNALS_PARENT_GONE], 0);
}
END_TEST

static void *look_at_mask(void *data)
{
    pthread_sigmask(SIG_SETMASK, NULL, data);
    return NULL;
}

/* The parameter: interactive. */
START_TEST(only_term_and_only_in_the_sleep)
{
    static const int never[] = {SIGHUP,  SIGUSR2, SIGWINCH, SIGCHLD,
                                SIGPIPE, SIGALRM, SIGQUIT};
    int i;

    signals_take_term(&sig, _i);
    for (i = 0; i < (int)(sizeof(never) / sizeof(never[0])); i++) {
        handle(never[i]);
        raise(never[i]);
    }
    ck_assert_int_eq(sleep_for(0), 0);
    raise(SIGINT);
    if (_i) {
        assert_interrupted(sleep_for(LONG));
    }
    else {
        ck_assert_int_eq(sleep_for(0), 0);
    }
    ck_assert_int_eq(came[SIGINT], _i);
    raise(SIGTERM);
    ck_assert_int_eq(came[SIGTERM], 0);
    assert_interrupted(sleep_for(-1));
    ck_assert_int_eq(came[SIGTERM], 1);
    raise(SIGTERM);
    ck_assert_int_eq(came[SIGTERM], 1);
    for (i = 0; i < (int)(sizeof(never) / sizeof(never[0])); i++) {
        ck_assert_int_eq(came[never[i]], 0);
    }
}
END_TEST

START_TEST(threads_take_none_but_their_own_faults)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    pthread_t thread;
    sigset_t mask;
    int i;

    signals_take_term(&sig, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, look_at_mask, &mask), 0);
    pthread_join(thread, NULL);
    for (i = 0; i < NUM_PARENTS; i++) {
        ck_assert_int_eq(sigismember(&mask, parents[i]), 1);
    }
    for (i = 0; i < (int)(sizeof(faults) / sizeof(faults[0])); i++) {
        ck_assert_int_eq(sigismember(&mask, faults[i]), 0);
        ck_assert_int_eq(sigismember(&sig.asleep, faults[i]), 0);
    }
}
END_TEST

/* --- Descriptors ---------------------------------------------------------- */

static int in[2], out[2]; /* reading and writing ends of two pipes */
static struct pollfd fds[2];

static void open_pipes(void)
{
    int i;

    setup();
    signals_hold(&sig);
    for (i = 0; i < 2; i++) {
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        in[i] = ends[0];
        out[i] = ends[1];
        fds[i].fd = in[i];
        fds[i].events = POLLIN;
        fds[i].revents = 77;
    }
}

static void close_pipes(void)
{
    int i;

    for (i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
}

/* Give the reading end a number that select(2) does not know: 0 if that is
 * not allowed here. */
static int renumber(int i, int number)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max <= (rlim_t)number) {
        return 0;
    }
    if (limit.rlim_cur <= (rlim_t)number) {
        limit.rlim_cur = (rlim_t)number + 1;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    ck_assert_int_eq(dup2(in[i], number), number);
    close(in[i]);
    fds[i].fd = in[i] = number;
    return 1;
}

static int poll_for(apr_interval_time_t timeout)
{
    return signals_sleep(&sig, fds, 2, timeout);
}

static void say(int i)
{
    ck_assert_int_eq(write(out[i], "x", 1), 1);
}

/* The parameter's bits: which of the two have numbers beyond FD_SETSIZE. */
START_TEST(what_is_ready)
{
    int i;

    for (i = 0; i < 2; i++) {
        if ((_i & (1 << i)) && !renumber(i, FD_SETSIZE + 3 * i)) {
            return;
        }
    }
    ck_assert_int_eq(poll_for(0), 0);
    ck_assert_int_eq(poll_for(1500), 0);
    ck_assert_int_eq(fds[0].revents | fds[1].revents, 0);
    say(1);
    ck_assert_int_eq(poll_for(0), 1);
    ck_assert_int_eq(fds[0].revents, 0);
    ck_assert_int_eq(fds[1].revents, POLLIN);
    say(0);
    ck_assert_int_eq(poll_for(LONG), 2);
    ck_assert_int_eq(fds[0].revents, POLLIN);
    ck_assert_int_eq(fds[1].revents, POLLIN);
    /* One that is not there is passed over. */
    fds[1].fd = -1;
    ck_assert_int_eq(poll_for(0), 1);
    ck_assert_int_eq(fds[1].revents, 0);
    fds[1].fd = in[1];
    /* The end of what can be read is news. */
    ck_assert_int_eq(read(in[0], &i, 1), 1);
    close(out[0]);
    ck_assert_int_eq(poll_for(0), 2);
    ck_assert_int_ne(fds[0].revents, 0);
}
END_TEST

/* What comes while we sleep; for some numbers the sleep has to be cut into
 * naps, whose ends are no news. */
START_TEST(what_becomes_ready)
{
    pid_t pid;
    int rc;

    if ((_i & 1) && !renumber(1, FD_SETSIZE)) {
        return;
    }
    pid = fork();
    if (pid == 0) {
        usleep(10000);
        _exit(write(out[1], "x", 1) != 1);
    }
    do {
        rc = poll_for(-1);
    } while (rc == 0 || (rc < 0 && errno == EINTR));
    ck_assert_int_eq(rc, 1);
    ck_assert_int_eq(fds[1].revents, POLLIN);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_signal_while_descriptors_are_watched)
{
    int heard = 0;
    char c;

    if (_i && !renumber(0, FD_SETSIZE)) {
        return;
    }
    raise(SIGUSR1);
    assert_interrupted(poll_for(-1));
    ck_assert_int_eq(came[SIGUSR1], 1);
    /* Where both are there, one may wait, but for its turn only. */
    ck_assert_int_eq(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
    raise(SIGUSR1);
    say(0);
    while (came[SIGUSR1] < 2) {
        ck_assert_int_ne(poll_for(LONG), 0);
        heard += read(in[0], &c, 1) > 0;
    }
    ck_assert_int_eq(heard + (poll_for(0) > 0), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create(SUITE_NAME);
    TCase *tc = tcase_create("parent");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, held_back_but_in_the_sleep, 0, NUM_PARENTS);
    tcase_add_test(tc, all_at_once);
    tcase_add_test(tc, none_is_slept_over);
    tcase_add_test(tc, the_end_of_a_child_ends_the_sleep);
    tcase_add_test(tc, release_lets_in_what_waited);
    tcase_add_test(tc, others_are_none_of_ours);
    suite_add_tcase(s, tc);

    tc = tcase_create("child");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_child_starts_deaf_to_what_parents_understand);
    tcase_add_loop_test(tc, only_term_and_only_in_the_sleep, 0, 2);
    tcase_add_test(tc, threads_take_none_but_their_own_faults);
    suite_add_tcase(s, tc);

    tc = tcase_create("descriptors");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, open_pipes, close_pipes);
    tcase_add_loop_test(tc, what_is_ready, 0, 4);
    tcase_add_loop_test(tc, what_becomes_ready, 0, 2);
    tcase_add_loop_test(tc, a_signal_while_descriptors_are_watched, 0, 2);
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
