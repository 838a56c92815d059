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

/* signals: see signals.h */

#include <pthread.h>
#include <string.h>
#include <sys/select.h>

#include "signals.h"

/* What a parent acts on. */
static const int parent_signals[] = {SIGTERM, SIGINT,  SIGHUP,
                                     SIGUSR1, SIGWINCH, SIGCHLD};
#define NUM_PARENT_SIGNALS \
    ((int)(sizeof(parent_signals) / sizeof(parent_signals[0])))

/* Only there so that the end of a child, or of the parent, interrupts the
 * sleep. */
static void look_up(int sig)
{
    (void)sig;
}

static void set_handler(int sig, void (*handler)(int))
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sigemptyset(&sa.sa_mask);
    sa.sa_handler = handler;
    sigaction(sig, &sa, NULL);
}

void signals_hold(signals_t *sig)
{
    sigset_t held;
    int i;

    sigemptyset(&held);
    for (i = 0; i < NUM_PARENT_SIGNALS; i++) {
        sigaddset(&held, parent_signals[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, &sig->outside);
    sig->asleep = sig->outside;
    for (i = 0; i < NUM_PARENT_SIGNALS; i++) {
        sigdelset(&sig->asleep, parent_signals[i]);
    }
    set_handler(SIGCHLD, look_up);
}

void signals_release(const signals_t *sig)
{
    set_handler(SIGCHLD, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &sig->outside, NULL);
}

void signals_start_child(const signals_t *sig, void (*handler)(int))
{
    set_handler(SIGTERM, handler);
    set_handler(SIGINT, SIG_IGN);
    set_handler(SIGHUP, SIG_IGN);
    set_handler(SIGNALS_PARENT_GONE, look_up);
    set_handler(SIGWINCH, SIG_IGN);
    set_handler(SIGCHLD, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &sig->outside, NULL);
}

void signals_take_term(signals_t *sig, int interactive)
{
    sigset_t all;

    sigfillset(&all);
    /* What a thread brings on itself cannot be put off. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &all, &sig->outside);
    sig->asleep = all;
    sigdelset(&sig->asleep, SIGTERM);
    sigdelset(&sig->asleep, interactive ? SIGINT : SIGNALS_PARENT_GONE);
}

#if defined(HAVE_PPOLL) && !defined(EVENT_PORTABLE_ONLY)

int signals_sleep(const signals_t *sig, struct pollfd *fds, int num_fds,
                  apr_interval_time_t timeout)
{
    struct timespec ts;

    ts.tv_sec = (time_t)apr_time_sec(timeout);
    ts.tv_nsec = (long)apr_time_usec(timeout) * 1000;
    return ppoll(fds, (nfds_t)num_fds, timeout < 0 ? NULL : &ts,
                 &sig->asleep);
}

#else

/* pselect knows no descriptors beyond FD_SETSIZE: those are not waited for,
 * and found ready by whoever looks at them after the shortened sleep. */
int signals_sleep(const signals_t *sig, struct pollfd *fds, int num_fds,
                  apr_interval_time_t timeout)
{
    const apr_interval_time_t blind_nap = apr_time_from_msec(100);
    struct timespec ts;
    fd_set readable;
    int i, rc, top = -1, blind = 0;

    FD_ZERO(&readable);
    for (i = 0; i < num_fds; i++) {
        fds[i].revents = 0;
        if (fds[i].fd >= FD_SETSIZE) {
            blind = 1;
        }
        else if (fds[i].fd >= 0) {
            FD_SET(fds[i].fd, &readable);
            top = fds[i].fd > top ? fds[i].fd : top;
        }
    }
    if (blind && (timeout < 0 || timeout > blind_nap)) {
        timeout = blind_nap;
    }
    ts.tv_sec = (time_t)apr_time_sec(timeout);
    ts.tv_nsec = (long)apr_time_usec(timeout) * 1000;
    rc = pselect(top + 1, &readable, NULL, NULL, timeout < 0 ? NULL : &ts,
                 &sig->asleep);
    if (rc < 0) {
        return rc;
    }
    for (i = 0, rc = 0; i < num_fds; i++) {
        if (fds[i].fd >= FD_SETSIZE) {
            rc += poll(&fds[i], 1, 0) > 0;
        }
        else if (fds[i].fd >= 0 && FD_ISSET(fds[i].fd, &readable)) {
            fds[i].revents = POLLIN;
            rc++;
        }
    }
    return rc;
}

#endif
