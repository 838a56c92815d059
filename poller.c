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

/* poller: see poller.h */

#include "clock.h"
#include "poller.h"

#if POLLER_NATIVE

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "apr_portable.h"

/*
 * To give each wait a time-out of its own would cost more than what is waited
 * for, as the kernel sets the processor's timer for it and sets it back when
 * an event is there first: on virtual machines ten microseconds each.  So
 * there is one alarm, which stays set until it rings, and is only ever set
 * anew for an earlier time.
 */
struct poller_t {
    int epoll;                  /* const */
    int bell;                   /* const; an eventfd */
    atomic_int rung;            /* atomic: the bell has been, and not heard */
    int alarm;                  /* const; a timerfd */
    apr_time_t rings_at;        /* listener: the alarm; CLOCK_NEVER: not */
    int batch;                  /* const */
    struct epoll_event *events; /* listener: of the last wait */
};

static apr_status_t close_poller(void *data)
{
    poller_t *poller = data;

    close(poller->epoll);
    close(poller->bell);
    close(poller->alarm);
    return APR_SUCCESS;
}

/* Have waits tell of one of our own descriptors, by its address. */
static apr_status_t listen_to(const poller_t *poller, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, *fd, &event) < 0
               ? errno
               : APR_SUCCESS;
}

apr_status_t poller_create(poller_t **poller, apr_uint32_t batch,
                           apr_pool_t *pool)
{
    poller_t *p = apr_pcalloc(pool, sizeof(*p));
    apr_status_t rv;

    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll < 0) {
        return errno;
    }
    p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->bell < 0) {
        rv = errno;
        close(p->epoll);
        return rv;
    }
    p->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->alarm < 0) {
        rv = errno;
        close(p->epoll);
        close(p->bell);
        return rv;
    }
    apr_pool_cleanup_register(pool, p, close_poller, apr_pool_cleanup_null);
    rv = listen_to(p, &p->bell);
    if (rv == APR_SUCCESS) {
        rv = listen_to(p, &p->alarm);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    p->rings_at = CLOCK_NEVER;
    p->batch = (int)batch;
    p->events = apr_pcalloc(pool, sizeof(*p->events) * batch);
    *poller = p;
    return APR_SUCCESS;
}

const char *poller_method(const poller_t *poller)
{
    (void)poller;
    return "epoll";
}

int poller_is_exclusive(const poller_t *poller)
{
    (void)poller;
#ifdef EPOLLEXCLUSIVE
    return 1;
#else
    return 0;
#endif
}

static apr_status_t control(poller_t *poller, int what,
                            const apr_pollfd_t *pfd, apr_uint32_t events)
{
    struct epoll_event event = {.events = events,
                                .data.ptr = pfd->client_data};
    apr_os_sock_t fd;

    if (apr_os_sock_get(&fd, pfd->desc.s) != APR_SUCCESS) {
        return APR_EBADF;
    }
    return epoll_ctl(poller->epoll, what, fd, &event) < 0 ? errno
                                                           : APR_SUCCESS;
}

/* An end or an error is told of in any case. */
static apr_uint32_t once(const apr_pollfd_t *pfd)
{
    return EPOLLONESHOT | (pfd->reqevents & APR_POLLIN ? EPOLLIN : 0)
           | (pfd->reqevents & APR_POLLOUT ? EPOLLOUT : 0);
}

apr_status_t poller_arm(poller_t *poller, poller_entry_t *entry)
{
    int known = entry->known;
    apr_status_t rv;

    /* Before: when it is armed, it may at once be another's, who reads it. */
    if (!known) {
        entry->known = 1;
    }
    rv = control(poller, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, &entry->pfd,
                 once(&entry->pfd));
    if (rv != APR_SUCCESS) {
        entry->known = 0;
    }
    return rv;
}

void poller_came(poller_t *poller, poller_entry_t *entry)
{
    (void)poller;
    (void)entry;
}

apr_status_t poller_again(poller_t *poller, poller_entry_t *entry)
{
    return poller_arm(poller, entry);
}

void poller_disarm(poller_t *poller, poller_entry_t *entry)
{
    control(poller, EPOLL_CTL_DEL, &entry->pfd, 0);
    entry->known = 0;
}

apr_status_t poller_watch(poller_t *poller, apr_pollfd_t *pfd, int exclusive)
{
    apr_uint32_t events = EPOLLIN;

#ifdef EPOLLEXCLUSIVE
    events |= exclusive ? EPOLLEXCLUSIVE : 0;
#else
    (void)exclusive;
#endif
    return control(poller, EPOLL_CTL_ADD, pfd, events);
}

apr_status_t poller_unwatch(poller_t *poller, apr_pollfd_t *pfd)
{
    return control(poller, EPOLL_CTL_DEL, pfd, 0);
}

/* Of num events leave out those of our own descriptors. */
static int hear_own(poller_t *poller, int num)
{
    eventfd_t rings;
    int i, left = 0;

    for (i = 0; i < num; i++) {
        const void *data = poller->events[i].data.ptr;

        if (data == &poller->bell) {
            /* In this order: who rings later is heard the next time. */
            eventfd_read(poller->bell, &rings);
            atomic_store(&poller->rung, 0);
        }
        else if (data == &poller->alarm) {
            eventfd_read(poller->alarm, &rings); /* it reads as one, too */
            poller->rings_at = CLOCK_NEVER;
        }
        else {
            poller->events[left++] = poller->events[i];
        }
    }
    return left;
}

/* Have the alarm ring at due, which is later than now, or earlier: is there
 * one? */
static int set_alarm(poller_t *poller, apr_time_t now, apr_time_t due)
{
    apr_interval_time_t left = due - now;
    struct itimerspec time
        = {.it_value = {.tv_sec = (time_t)apr_time_sec(left),
                        .tv_nsec = (long)apr_time_usec(left) * 1000}};

    if (due < poller->rings_at
        && timerfd_settime(poller->alarm, 0, &time, NULL) == 0) {
        poller->rings_at = due;
    }
    return poller->rings_at <= due;
}

/* For epoll, in milliseconds: -1 if the alarm will ring in time. */
static int time_out(poller_t *poller, apr_time_t now, apr_time_t due)
{
    apr_interval_time_t left = (due - now) / 1000 + 1;

    if (due <= now) {
        return 0;
    }
    if (set_alarm(poller, now, due)) {
        return -1;
    }
    return left < INT_MAX ? (int)left : INT_MAX;
}

apr_status_t poller_wait(poller_t *poller, apr_time_t now, apr_time_t due,
                         int *num)
{
    int n = epoll_wait(poller->epoll, poller->events, poller->batch,
                       time_out(poller, now, due));

    *num = 0;
    if (n < 0) {
        return errno;
    }
    if (n == 0) {
        return APR_TIMEUP;
    }
    *num = hear_own(poller, n);
    return APR_SUCCESS;
}

void *poller_event(const poller_t *poller, int i)
{
    return poller->events[i].data.ptr;
}

void poller_wake(poller_t *poller)
{
    if (!atomic_exchange(&poller->rung, 1)) {
        eventfd_write(poller->bell, 1);
    }
}

#else /* !POLLER_NATIVE */

/* So long at most, as milliseconds have to fit an int. */
#define LONGEST_WAIT apr_time_from_sec(3600)

struct poller_t {
    apr_pollset_t *pollset;     /* const */
    const apr_pollfd_t *events; /* listener: of the last wait */
};

apr_status_t poller_create(poller_t **poller, apr_uint32_t batch,
                           apr_pool_t *pool)
{
    poller_t *p = apr_pcalloc(pool, sizeof(*p));
    apr_uint32_t flags = APR_POLLSET_THREADSAFE | APR_POLLSET_NOCOPY
                         | APR_POLLSET_NODEFAULT | APR_POLLSET_WAKEABLE;
    static const apr_pollset_method_e methods[] = {
        APR_POLLSET_KQUEUE, APR_POLLSET_PORT, APR_POLLSET_EPOLL};
    apr_status_t rv = APR_ENOTIMPL;
    int i, nocopy;

    /* Not every method can do without copies of what it is given. */
    for (nocopy = 1; nocopy >= 0 && rv != APR_SUCCESS; nocopy--) {
        for (i = 0; i < 3 && rv != APR_SUCCESS; i++) {
            rv = apr_pollset_create_ex(&p->pollset, batch, pool, flags,
                                       methods[i]);
        }
        flags &= ~(apr_uint32_t)APR_POLLSET_NOCOPY;
    }
    if (rv == APR_SUCCESS) {
        *poller = p;
    }
    return rv;
}

const char *poller_method(const poller_t *poller)
{
    return apr_pollset_method_name(poller->pollset);
}

int poller_is_exclusive(const poller_t *poller)
{
    (void)poller;
    return 0;
}

apr_status_t poller_arm(poller_t *poller, poller_entry_t *entry)
{
    return apr_pollset_add(poller->pollset, &entry->pfd);
}

void poller_came(poller_t *poller, poller_entry_t *entry)
{
    apr_pollset_remove(poller->pollset, &entry->pfd);
}

apr_status_t poller_again(poller_t *poller, poller_entry_t *entry)
{
    (void)poller;
    (void)entry;
    return APR_SUCCESS;
}

void poller_disarm(poller_t *poller, poller_entry_t *entry)
{
    apr_pollset_remove(poller->pollset, &entry->pfd);
}

apr_status_t poller_watch(poller_t *poller, apr_pollfd_t *pfd, int exclusive)
{
    (void)exclusive;
    return apr_pollset_add(poller->pollset, pfd);
}

apr_status_t poller_unwatch(poller_t *poller, apr_pollfd_t *pfd)
{
    return apr_pollset_remove(poller->pollset, pfd);
}

apr_status_t poller_wait(poller_t *poller, apr_time_t now, apr_time_t due,
                         int *num)
{
    apr_int32_t n = 0;
    apr_interval_time_t timeout = due > now ? due - now : 0;
    apr_status_t rv;

    if (due == CLOCK_NEVER) {
        timeout = -1;
    }
    else if (timeout > LONGEST_WAIT) {
        timeout = LONGEST_WAIT;
    }
    else {
        /* Poll sets count milliseconds: round up, or be early and spin. */
        timeout = (timeout + 999) / 1000 * 1000;
    }
    rv = apr_pollset_poll(poller->pollset, timeout, &n, &poller->events);
    *num = rv == APR_SUCCESS ? n : 0;
    return rv;
}

void *poller_event(const poller_t *poller, int i)
{
    return poller->events[i].client_data;
}

void poller_wake(poller_t *poller)
{
    apr_pollset_wakeup(poller->pollset);
}

#endif
