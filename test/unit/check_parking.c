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
 * check_parking: who waits, who comes out when, and what becomes of one that
 * is still being armed.
 *
 * Times are made up. The poller is compiled into this program, with our own
 * functions in front of those of the system that it uses: so we see how long
 * the room would sleep, and can do the listener's part in the middle of a
 * worker's and the other way round: all interleavings that matter, in one
 * thread.
 */

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apr_general.h"
#include "apr_portable.h"

#include "clock.h"
#include "parking.h"

#if POLLER_NATIVE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

#define MANY 60
#define BATCH 16
#define IN APR_POLLIN
#define MSEC APR_TIME_C(1000)

/* --- What stands between the room and the system ------------------------- */

static apr_interval_time_t slept; /* how long the last poll may have taken */
static apr_status_t poll_error;   /* what the next polls return */
static int wakeups;
static apr_status_t add_error;  /* what the next additions return */
static void (*before_add)(void); /* the listener, before a worker arms */
static void (*after_add)(void);  /* ... before the worker is through */
static void (*asleep)(void);     /* workers, while the listener sleeps */

static void run_once(void (**hook)(void))
{
    void (*fn)(void) = *hook;

    *hook = NULL;
    if (fn != NULL) {
        fn();
    }
}

#if POLLER_NATIVE

static int our_ctl(int set, int what, int fd, struct epoll_event *event)
{
    int error = add_error;
    int rv;

    if (what == EPOLL_CTL_DEL) {
        rv = epoll_ctl(set, what, fd, event);
        ck_assert_int_eq(rv, 0); /* never what is not in it */
        return rv;
    }
    run_once(&before_add);
    if (error == 0 && epoll_ctl(set, what, fd, event) < 0) {
        error = errno;
    }
    run_once(&after_add);
    errno = error;
    return error == 0 ? 0 : -1;
}

static apr_interval_time_t rings_in = -1; /* since the last wait */
static int no_alarm;                      /* it cannot be set */

/* It rings in the wait that sets it: that has slept for so long. */
static int our_settime(int alarm, int flags, const struct itimerspec *time,
                       struct itimerspec *old)
{
    static const struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    struct pollfd fd = {alarm, POLLIN, 0};

    if (no_alarm) {
        errno = ENOSYS;
        return -1;
    }
    rings_in = apr_time_from_sec(time->it_value.tv_sec)
               + time->it_value.tv_nsec / 1000;
    ck_assert(rings_in > 0);
    ck_assert_int_eq(timerfd_settime(alarm, flags, &at_once, old), 0);
    return poll(&fd, 1, -1) == 1 ? 0 : -1;
}

static int our_wait(int set, struct epoll_event *events, int max, int timeout)
{
    slept = timeout < 0 ? rings_in : apr_time_from_msec(timeout);
    rings_in = -1;
    run_once(&asleep);
    if (poll_error == APR_TIMEUP) {
        return 0;
    }
    errno = poll_error;
    return poll_error == APR_SUCCESS ? epoll_wait(set, events, max, 0) : -1;
}

static int our_write(int bell, eventfd_t rings)
{
    wakeups++;
    return eventfd_write(bell, rings);
}

#define epoll_ctl our_ctl
#define epoll_wait our_wait
#define eventfd_write our_write
#define timerfd_settime our_settime
#include "poller.c"
#undef epoll_ctl
#undef epoll_wait
#undef eventfd_write
#undef timerfd_settime

#else

static apr_status_t our_add(apr_pollset_t *set, const apr_pollfd_t *fd)
{
    apr_status_t rv = add_error;

    run_once(&before_add);
    if (rv == APR_SUCCESS) {
        rv = apr_pollset_add(set, fd);
    }
    run_once(&after_add);
    return rv;
}

static apr_status_t our_remove(apr_pollset_t *set, const apr_pollfd_t *fd)
{
    apr_status_t rv = apr_pollset_remove(set, fd);

    ck_assert_int_eq(rv, APR_SUCCESS); /* never what is not in it */
    return rv;
}

static apr_status_t our_poll(apr_pollset_t *set, apr_interval_time_t timeout,
                             apr_int32_t *num, const apr_pollfd_t **fds)
{
    slept = timeout;
    run_once(&asleep);
    if (poll_error != APR_SUCCESS) {
        return poll_error;
    }
    return apr_pollset_poll(set, 0, num, fds);
}

static apr_status_t our_wakeup(apr_pollset_t *set)
{
    wakeups++;
    return apr_pollset_wakeup(set);
}

#define apr_pollset_add our_add
#define apr_pollset_remove our_remove
#define apr_pollset_poll our_poll
#define apr_pollset_wakeup our_wakeup
#include "poller.c"
#undef apr_pollset_add
#undef apr_pollset_remove
#undef apr_pollset_poll
#undef apr_pollset_wakeup

#endif

/* --- Help ----------------------------------------------------------------- */

/* A client: what is parked, and the other end of its socket. */
typedef struct client_t {
    parked_t parked;
    int fd;
    int peer;
} client_t;

static apr_pool_t *pool;
static parking_t *parking;
static client_t clients[MANY];

/* A client number i on this descriptor. */
static void make_client(int i, int fd)
{
    apr_socket_t *sock = NULL;

    clients[i].fd = fd;
    ck_assert_int_eq(apr_os_sock_put(&sock, &clients[i].fd, pool),
                     APR_SUCCESS);
    parking_init(&clients[i].parked, sock, pool);
}

static void setup(void)
{
    int i;

    slept = -2;
    poll_error = add_error = APR_SUCCESS;
    before_add = after_add = asleep = NULL;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(parking_create(&parking, BATCH, pool), APR_SUCCESS);
    memset(clients, 0, sizeof(clients));
    for (i = 0; i < MANY; i++) {
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        clients[i].peer = ends[1];
        make_client(i, ends[0]);
    }
    wakeups = 0;
}

static void teardown(void)
{
    int i;

    for (i = 0; i < MANY; i++) {
        close(clients[i].fd);
        close(clients[i].peer);
    }
    apr_pool_destroy(pool);
}

static int number_of(const parked_t *parked)
{
    return parked == NULL ? -1 : (int)((const client_t *)parked - clients);
}

/* Park number i: 1 if it is parked, 0 if it came back. */
static int park_for(int i, int tag, apr_int16_t reqevents,
                    apr_interval_time_t timeout, apr_time_t now)
{
    parked_t *parked = &clients[i].parked;
    int is_parked = parking_put(parking, &parked, tag, reqevents, timeout,
                                now);

    ck_assert_ptr_eq(parked, is_parked ? NULL : &clients[i].parked);
    return is_parked;
}

static void put(int i, int tag, apr_interval_time_t timeout, apr_time_t now)
{
    ck_assert_int_eq(park_for(i, tag, IN, timeout, now), 1);
}

/* How long the listener would sleep at now. */
static apr_interval_time_t wait_at(apr_time_t now, apr_time_t due)
{
    ck_assert_int_eq(parking_wait(parking, now, due), APR_SUCCESS);
    return slept;
}

/* Poll sets count milliseconds. */
static apr_interval_time_t up(apr_interval_time_t time)
{
    return POLLER_NATIVE ? time : (time + MSEC - 1) / MSEC * MSEC;
}

/* The number of the next one that is ready, -1 for none. */
static int next_event(void)
{
    parking_event_t event;

    if (!parking_next_event(parking, &event)) {
        return -1;
    }
    ck_assert_int_eq(event.kind, PARKING_CONN);
    ck_assert_ptr_null(event.listener);
    return number_of(event.parked);
}

static int take(int i, parking_verdict_e verdict)
{
    parked_t *parked = parking_take(parking, &clients[i].parked, verdict);

    if (parked == NULL) {
        return 0;
    }
    ck_assert_ptr_eq(parked, &clients[i].parked);
    ck_assert_int_eq(parked->verdict, verdict);
    return 1;
}

/* Its event came, and it is left where it is. */
static void again(int i)
{
    ck_assert_int_eq(parking_again(parking, &clients[i].parked), APR_SUCCESS);
}

static int take_expired(apr_time_t now)
{
    parked_t *parked = parking_take_expired(parking, now);

    if (parked != NULL) {
        ck_assert_int_eq(parked->verdict, PARKING_EXPIRED);
        ck_assert(parked->until <= now);
    }
    return number_of(parked);
}

static int take_failed(void)
{
    parked_t *parked = parking_take_failed(parking);

    if (parked != NULL) {
        ck_assert_int_eq(parked->verdict, PARKING_FAILED);
    }
    return number_of(parked);
}

static int oldest(int tag)
{
    return number_of(parking_oldest(parking, tag));
}

/* The client says something. */
static void say(int i)
{
    ck_assert_int_eq(write(clients[i].peer, "x", 1), 1);
}

static void hear(int i)
{
    char c;

    ck_assert_int_eq(recv(clients[i].fd, &c, 1, MSG_DONTWAIT), 1);
}

/* Nobody is in any queue or in the poll set. */
static void assert_empty(void)
{
    int i;

    for (i = 0; i < MANY; i++) {
        if (clients[i].peer > 0) {
            say(i);
        }
    }
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), -1);
    ck_assert_int_eq(take_expired(CLOCK_NEVER - 1), -1);
    ck_assert_int_eq(take_failed(), -1);
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), -1);
    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(parking_count(parking, i), 0);
        ck_assert_int_eq(oldest(i), -1);
    }
}

/* --- Waiting, events ------------------------------------------------------ */

START_TEST(nobody)
{
    assert_empty();
    ck_assert_int_eq(wakeups, 0);
    ck_assert_str_eq(parking_method(parking), "epoll");
}
END_TEST

START_TEST(an_event_until_it_is_taken)
{
    put(3, 1, MSEC, 0);
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), MSEC);
    ck_assert_int_eq(next_event(), -1);
    say(3);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 3);
    ck_assert_int_eq(next_event(), -1);
    /* Left where it is, it is reported again if it is wanted again. */
    again(3);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 3);
    ck_assert_int_eq(take(3, PARKING_READY), 1);
    assert_empty();
}
END_TEST

START_TEST(waits_for_what_was_asked)
{
    char full[65536] = "";

    while (send(clients[0].fd, full, sizeof(full), MSG_DONTWAIT) > 0) {
    }
    park_for(0, 1, APR_POLLOUT, MSEC, 0);
    park_for(1, 1, APR_POLLIN, MSEC, 0);
    park_for(2, 1, APR_POLLOUT, MSEC, 0);
    say(0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 2);
    ck_assert_int_eq(next_event(), -1);
    /* A client that is gone is news whatever was asked for. */
    close(clients[0].peer);
    clients[0].peer = -1;
    take(2, PARKING_READY);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 0);
}
END_TEST

START_TEST(more_events_than_a_batch)
{
    int taken = 0, i;

    for (i = 0; i < MANY; i++) {
        put(i, 1, MSEC, 0);
        say(i);
    }
    while (taken < MANY) {
        int before = taken;

        wait_at(0, CLOCK_NEVER);
        while ((i = next_event()) >= 0) {
            ck_assert_int_eq(take(i, PARKING_READY), 1);
            taken++;
        }
        /* A pollset of APR has room for its own wake-up on top. */
        ck_assert(taken > before && taken <= before + BATCH + 1);
    }
    assert_empty();
}
END_TEST

START_TEST(a_listening_socket)
{
    struct {
        parking_kind_e kind;
        int number;
    } door = {PARKING_LISTENER, 77};
    parking_event_t event;
    apr_pollfd_t pfd = clients[0].parked.entry.pfd;

    pfd.reqevents = IN;
    pfd.client_data = &door;
    ck_assert_int_eq(parking_watch(parking, &pfd, 0), APR_SUCCESS);
    say(0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(parking_next_event(parking, &event), 1);
    ck_assert_int_eq(event.kind, PARKING_LISTENER);
    ck_assert_ptr_eq(event.listener, &door);
    ck_assert_ptr_null(event.parked);
    ck_assert_int_eq(parking_next_event(parking, &event), 0);
    ck_assert_int_eq(parking_unwatch(parking, &pfd), APR_SUCCESS);
    assert_empty();
}
END_TEST

START_TEST(sleeps_until_the_first_of_all)
{
    ck_assert_int_eq(wait_at(1000, 1000 + MSEC), MSEC);
    put(0, 1, 9 * MSEC, 1000);
    put(1, 2, 5 * MSEC, 1000);
    put(2, 1, 7 * MSEC, 1000);
    ck_assert_int_eq(wait_at(1000, CLOCK_NEVER), 5 * MSEC);
    ck_assert_int_eq(wait_at(1000, 1000 + 6 * MSEC), 5 * MSEC);
    ck_assert_int_eq(wait_at(1000, 1000 + 4 * MSEC), 4 * MSEC);
    /* Rounded up to what a poll set can count: never early. */
    ck_assert_int_eq(wait_at(1001, CLOCK_NEVER), up(5 * MSEC - 1));
    ck_assert_int_eq(wait_at(1000 + 4 * MSEC + 1, CLOCK_NEVER), up(MSEC - 1));
    ck_assert_int_eq(wait_at(1000 + 5 * MSEC - 1, CLOCK_NEVER), up(1));
    ck_assert_int_eq(wait_at(1000 + 5 * MSEC, CLOCK_NEVER), 0);
    ck_assert_int_eq(wait_at(1000 + 50 * MSEC, CLOCK_NEVER), 0);
    ck_assert_int_eq(wait_at(1000, 999), 0);
}
END_TEST

/* Poll sets pass milliseconds on in an int; 25 days do not fit, and 50 of
 * them look like none at all. */
START_TEST(sleeps_no_longer_than_can_be_said)
{
    const apr_interval_time_t longest
        = POLLER_NATIVE ? APR_TIME_C(1) << 60 : APR_TIME_C(1000) * INT_MAX;
    int days;

    for (days = 1; days < 200; days++) {
        apr_interval_time_t nap
            = wait_at(7, apr_time_from_sec(days * 86400LL));

        ck_assert(nap > 0 && nap < longest);
    }
    put(0, 1, APR_TIME_C(1) << 60, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert(slept > 0 && slept <= longest);
    ck_assert_int_eq(take_expired(apr_time_from_sec(200 * 86400LL)), -1);
}
END_TEST

#if POLLER_NATIVE
START_TEST(sleeps_without_an_alarm)
{
    no_alarm = 1;
    ck_assert_int_eq(wait_at(1000, 1000 + 5 * MSEC - 1), 5 * MSEC);
    ck_assert_int_ge(wait_at(1000, 1000 + 5 * MSEC), 5 * MSEC);
    ck_assert_int_eq(wait_at(1000, 1001), MSEC);
    ck_assert_int_eq(wait_at(1000, 1000), 0);
    ck_assert_int_gt(wait_at(0, APR_TIME_C(1) << 60), 0);
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), -1);
    no_alarm = 0;
}
END_TEST
#endif

START_TEST(sleeps_for_those_that_are_left)
{
    put(0, 1, 3 * MSEC, 0);
    put(1, 1, 3 * MSEC, MSEC);
    put(2, 2, 9 * MSEC, 0);
    ck_assert_int_eq(wait_at(3 * MSEC, CLOCK_NEVER), 0);
    ck_assert_int_eq(take_expired(3 * MSEC), 0);
    ck_assert_int_eq(take_expired(3 * MSEC), -1);
    ck_assert_int_eq(wait_at(3 * MSEC, CLOCK_NEVER), MSEC);
    ck_assert_int_eq(take(1, PARKING_EVICTED), 1);
    ck_assert_int_eq(take_expired(4 * MSEC), -1);
    ck_assert_int_eq(wait_at(4 * MSEC, CLOCK_NEVER), 5 * MSEC);
    ck_assert_int_eq(take(2, PARKING_EVICTED), 1);
    ck_assert_int_eq(take_expired(9 * MSEC), -1);
    ck_assert_int_eq(wait_at(9 * MSEC, CLOCK_NEVER), -1);
}
END_TEST

START_TEST(errors_of_the_poll_call)
{
    put(0, 1, MSEC, 0);
    say(0);
    wait_at(0, CLOCK_NEVER);
    poll_error = APR_TIMEUP;
    ck_assert_int_eq(parking_wait(parking, 0, CLOCK_NEVER), APR_SUCCESS);
    ck_assert_int_eq(next_event(), -1); /* not that of the wait before */
    poll_error = APR_EINTR;
    ck_assert_int_eq(parking_wait(parking, 0, CLOCK_NEVER), APR_SUCCESS);
    ck_assert_int_eq(next_event(), -1);
    poll_error = APR_EBADF;
    ck_assert_int_eq(parking_wait(parking, 0, CLOCK_NEVER), APR_EBADF);
    ck_assert_int_eq(next_event(), -1);
    poll_error = APR_SUCCESS;
    again(0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 0);
}
END_TEST

/* --- Queues --------------------------------------------------------------- */

START_TEST(expiry_in_order_and_never_early)
{
    put(0, 1, 10, 0);
    put(1, 1, 10, 0);
    put(2, 1, 10, 5);
    put(3, 1, 0, 7);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(6), -1);
    ck_assert_int_eq(take_expired(7), 3);
    ck_assert_int_eq(take_expired(9), -1);
    ck_assert_int_eq(take_expired(10), 0);
    ck_assert_int_eq(take_expired(10), 1);
    ck_assert_int_eq(take_expired(10), -1);
    ck_assert_int_eq(take_expired(14), -1);
    ck_assert_int_eq(take_expired(15), 2);
    assert_empty();
}
END_TEST

START_TEST(expiry_takes_it_out_of_the_poll_set)
{
    put(0, 1, 10, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(10), 0);
    assert_empty();
    put(0, 1, 10, 0); /* and it can come back */
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 0);
    ck_assert_int_eq(take_expired(10), 0);
    assert_empty();
}
END_TEST

START_TEST(tags_are_kept_apart)
{
    put(0, 4, 10, 0);
    put(1, 5, 10, 0);
    put(2, 5, 20, 0);
    put(3, 5, 20, 1);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(parking_count(parking, 3), 0);
    ck_assert_int_eq(parking_count(parking, 4), 1);
    ck_assert_int_eq(parking_count(parking, 5), 3);
    ck_assert_int_eq(oldest(3), -1);
    ck_assert_int_eq(oldest(4), 0);
    ck_assert_int_eq(take(1, PARKING_EVICTED), 1);
    ck_assert_int_eq(parking_count(parking, 4), 1);
    ck_assert_int_eq(parking_count(parking, 5), 2);
    ck_assert_int_eq(take_expired(10), 0);
    ck_assert_int_eq(parking_count(parking, 4), 0);
    ck_assert_int_eq(take_expired(20), 2);
    ck_assert_int_eq(parking_count(parking, 5), 1);
}
END_TEST

START_TEST(count_is_of_what_the_listener_has_seen)
{
    put(0, 1, 10, 0);
    ck_assert_int_eq(parking_count(parking, 1), 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(parking_count(parking, 1), 1);
}
END_TEST

START_TEST(oldest_is_who_is_parked_longest)
{
    put(0, 1, 100, 20);
    put(1, 1, 5, 10); /* expires first, but came later than 2 */
    put(2, 1, 500, 7);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(oldest(1), 2);
    ck_assert_int_eq(oldest(1), 2); /* still parked */
    ck_assert_int_eq(take(2, PARKING_EVICTED), 1);
    ck_assert_int_eq(oldest(1), 1);
    ck_assert_int_eq(take(1, PARKING_EVICTED), 1);
    ck_assert_int_eq(oldest(1), 0);
    ck_assert_int_eq(take(0, PARKING_EVICTED), 1);
    assert_empty();
}
END_TEST

static int is_odd(const parked_t *parked)
{
    return number_of(parked) % 2;
}

static int is_nobody(const parked_t *parked)
{
    (void)parked;
    return 0;
}

static int find_odd(int tag, apr_time_t now)
{
    return number_of(parking_find(parking, tag, is_odd, now));
}

START_TEST(find_looks_at_all_with_the_tag)
{
    put(0, 1, MSEC, 0);
    put(2, 1, 2 * MSEC, 0);
    put(3, 1, 2 * MSEC, 0);
    put(5, 2, 2 * MSEC, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_ptr_null(parking_find(parking, 1, is_nobody, 0));
    ck_assert_ptr_null(parking_find(parking, 9, is_odd, 0));
    ck_assert_int_eq(find_odd(1, 0), 3);
    ck_assert_int_eq(parking_count(parking, 1), 3); /* still parked */
    ck_assert_int_eq(take(3, PARKING_EVICTED), 1);
    ck_assert_int_eq(find_odd(1, 0), -1);
    ck_assert_int_eq(find_odd(2, 0), 5);
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), MSEC); /* none is armed */
}
END_TEST

static int rested(apr_time_t now, apr_time_t *due)
{
    *due = CLOCK_NEVER;
    return number_of(parking_find_rested(parking, 1, 10 * MSEC, now, due));
}

START_TEST(rested_are_found_in_order_and_once)
{
    apr_time_t due;

    put(0, 1, 90 * MSEC, 0);
    put(1, 1, 90 * MSEC, 1 * MSEC);
    put(2, 1, 90 * MSEC, 2 * MSEC);
    put(3, 1, 90 * MSEC, 3 * MSEC);
    put(4, 1, 10 * MSEC, 0);  /* over when it would be rested */
    put(5, 2, 90 * MSEC, 0);  /* not asked for */
    wait_at(3 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(rested(10 * MSEC - 1, &due), -1);
    ck_assert_int_eq(due, 10 * MSEC);
    ck_assert_int_eq(rested(11 * MSEC, &due), 0);
    ck_assert_int_eq(rested(11 * MSEC, &due), 1);
    ck_assert_int_eq(rested(11 * MSEC, &due), -1);
    ck_assert_int_eq(due, 12 * MSEC);
    /* Those taken are skipped, whether they had been found or not. */
    ck_assert_int_eq(take(1, PARKING_EVICTED), 1);
    ck_assert_int_eq(take(2, PARKING_EVICTED), 1);
    ck_assert_int_eq(rested(12 * MSEC, &due), -1);
    ck_assert_int_eq(due, 13 * MSEC);
    ck_assert_int_eq(rested(50 * MSEC, &due), 3);
    ck_assert_int_eq(rested(50 * MSEC, &due), -1);
    ck_assert_int_eq(due, CLOCK_NEVER);
    /* Who comes back is found again. */
    put(1, 1, 90 * MSEC, 50 * MSEC);
    wait_at(50 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(rested(59 * MSEC, &due), -1);
    ck_assert_int_eq(due, 60 * MSEC);
    ck_assert_int_eq(rested(60 * MSEC, &due), 1);
}
END_TEST

static void look_for_rested(void)
{
    apr_time_t due;

    wait_at(20 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(rested(20 * MSEC, &due), -1);
    ck_assert_int_eq(due, 21 * MSEC);
}

START_TEST(rested_but_still_being_armed)
{
    apr_time_t due;

    after_add = look_for_rested;
    put(0, 1, 90 * MSEC, 0);
    ck_assert_int_eq(rested(21 * MSEC, &due), 0);
}
END_TEST

static void note_visit(const parked_t *parked, void *baton)
{
    ((int *)baton)[number_of(parked)]++;
}

START_TEST(visit_looks_at_all)
{
    int visits[MANY] = {0}, i;

    put(0, 1, MSEC, 0);
    put(1, 1, 2 * MSEC, 0);
    put(2, 2, MSEC, 0);
    put(3, 2, MSEC, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(take(2, PARKING_EVICTED), 1);
    parking_visit(parking, note_visit, visits);
    for (i = 0; i < MANY; i++) {
        ck_assert_int_eq(visits[i], i == 0 || i == 1 || i == 3);
    }
    ck_assert_int_eq(parking_count(parking, 1), 2);
}
END_TEST

START_TEST(shorten_cuts_those_with_the_tag)
{
    put(0, 1, 10 * MSEC, 0);
    put(1, 1, 10 * MSEC, 4 * MSEC);
    put(2, 1, 90 * MSEC, 0);
    put(3, 2, 90 * MSEC, 0);
    wait_at(0, CLOCK_NEVER);
    parking_shorten(parking, 1, 5 * MSEC, 6 * MSEC); /* not beyond 11 */
    ck_assert_int_eq(wait_at(6 * MSEC, CLOCK_NEVER), 4 * MSEC);
    ck_assert_int_eq(take_expired(10 * MSEC - 1), -1);
    ck_assert_int_eq(take_expired(10 * MSEC), 0);
    ck_assert_int_eq(take_expired(11 * MSEC - 1), -1);
    ck_assert_int_ge(take_expired(11 * MSEC), 1);
    ck_assert_int_ge(take_expired(11 * MSEC), 1);
    ck_assert_int_eq(take_expired(89 * MSEC), -1);
    ck_assert_int_eq(take_expired(90 * MSEC), 3);
    assert_empty();
}
END_TEST

START_TEST(shorten_to_nothing)
{
    put(0, 1, 9 * MSEC, 0);
    put(1, 1, 9 * MSEC, MSEC);
    ck_assert_int_eq(wait_at(2 * MSEC, CLOCK_NEVER), 7 * MSEC);
    parking_shorten(parking, 1, 0, 2 * MSEC);
    ck_assert_int_eq(wait_at(2 * MSEC, CLOCK_NEVER), 0);
    /* Who comes now is not concerned. */
    put(2, 1, 9 * MSEC, 2 * MSEC);
    wait_at(2 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(2 * MSEC), 0);
    ck_assert_int_eq(take_expired(2 * MSEC), 1);
    ck_assert_int_eq(take_expired(2 * MSEC), -1);
    ck_assert_int_eq(wait_at(2 * MSEC, CLOCK_NEVER), 9 * MSEC);
    /* With nobody there it is no reason to look up either. */
    take(2, PARKING_EVICTED);
    ck_assert_int_eq(take_expired(11 * MSEC), -1);
    parking_shorten(parking, 1, 0, 11 * MSEC);
    ck_assert_int_eq(wait_at(11 * MSEC, CLOCK_NEVER), -1);
}
END_TEST

/* Any order of coming and going, against a list that is searched. */
START_TEST(many_in_any_order)
{
    static const apr_interval_time_t timeouts[] = {0, 3, 10, 10, 500};
    apr_time_t until[MANY] = {0}, since[MANY] = {0};
    int tag[MANY], round, i;
    unsigned random = 4711;
    apr_time_t now = 1;

    memset(tag, -1, sizeof(tag)); /* not parked */
    for (round = 0; round < 20000; round++) {
        int count = 0, old = -1, due = -1;

        random = random * 1664525u + 1013904223u;
        i = (int)(random >> 10) % MANY;
        now += random >> 31;
        if (tag[i] < 0) {
            apr_interval_time_t timeout = timeouts[(random >> 6) % 5];

            tag[i] = (int)(random >> 4) % 2;
            since[i] = now;
            until[i] = now + timeout;
            put(i, tag[i], timeout, now);
        }
        else if (random >> 29 == 0) {
            ck_assert_int_eq(take(i, PARKING_EVICTED), 1);
            tag[i] = -1;
        }
        wait_at(now, CLOCK_NEVER);
        while ((due = take_expired(now)) >= 0) {
            ck_assert(tag[due] >= 0 && until[due] <= now);
            tag[due] = -1;
        }
        for (i = 0; i < MANY; i++) {
            ck_assert(tag[i] < 0 || until[i] > now);
            count += tag[i] == 1;
            if (tag[i] == 1 && (old < 0 || since[i] < since[old])) {
                old = i;
            }
        }
        ck_assert_int_eq(parking_count(parking, 1), count);
        i = oldest(1);
        ck_assert(old < 0 ? i < 0 : tag[i] == 1 && since[i] == since[old]);
    }
}
END_TEST

/* --- While a worker is still arming --------------------------------------- */

static int seen; /* what the listener had when it ran amid the arming */

static void take_its_event(void)
{
    say(0);
    wait_at(0, CLOCK_NEVER);
    seen = next_event();
    ck_assert_int_eq(take(0, PARKING_READY), 0);
}

START_TEST(its_event_while_it_is_armed)
{
    int round;

    for (round = 0; round < 3; round++) {
        seen = -1;
        after_add = take_its_event;
        ck_assert_int_eq(park_for(0, 1, IN, MSEC, 0), 0);
        ck_assert_int_eq(seen, 0);
        ck_assert_int_eq(clients[0].parked.verdict, PARKING_READY);
        ck_assert_ptr_null(clients[0].parked.queue);
        hear(0);
    }
    assert_empty();
}
END_TEST

static void leave_its_event(void)
{
    say(0);
    wait_at(0, CLOCK_NEVER);
    seen = next_event();
    again(0);
}

START_TEST(its_event_may_be_left_to_the_poll_set)
{
    after_add = leave_its_event;
    put(0, 1, MSEC, 0);
    ck_assert_int_eq(seen, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 0);
    ck_assert_int_eq(take(0, PARKING_READY), 1);
    assert_empty();
}
END_TEST

static void try_to_expire(void)
{
    ck_assert_int_eq(wait_at(5 * MSEC, CLOCK_NEVER), 0);
    seen = take_expired(5 * MSEC);
    ck_assert_int_eq(parking_count(parking, 1), 1);
    /* It is looked at again in a moment, not in a spin. */
    ck_assert_int_eq(wait_at(5 * MSEC, CLOCK_NEVER), MSEC);
    ck_assert_int_eq(take_expired(5 * MSEC), -1);
}

/* The parameter: before or after the poll set has it. */
START_TEST(its_end_while_it_is_armed)
{
    seen = 0;
    *(_i ? &before_add : &after_add) = try_to_expire;
    put(0, 1, 5 * MSEC, 0);
    ck_assert_int_eq(seen, -1);
    ck_assert_int_eq(take_expired(6 * MSEC), 0);
    assert_empty();
}
END_TEST

static void expire_then_take_its_event(void)
{
    try_to_expire();
    take_its_event();
}

START_TEST(its_end_and_then_its_event_while_it_is_armed)
{
    after_add = expire_then_take_its_event;
    ck_assert_int_eq(park_for(0, 1, IN, 5 * MSEC, 0), 0);
    ck_assert_int_eq(seen, 0);
    assert_empty();
}
END_TEST

static void expire_others(void)
{
    wait_at(5 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(5 * MSEC), 3); /* of another queue */
    ck_assert_int_eq(take_expired(5 * MSEC), -1);
    /* Behind one that is armed they wait for it a moment, no longer. */
    ck_assert_int_eq(wait_at(5 * MSEC, CLOCK_NEVER), MSEC);
}

static void park_another_and_expire(void)
{
    after_add = expire_others;
    put(1, 1, 5 * MSEC, 0);
    put(2, 1, 5 * MSEC, 0);
}

START_TEST(others_while_one_is_armed)
{
    put(3, 1, 4 * MSEC, 0);
    after_add = park_another_and_expire;
    put(0, 1, 5 * MSEC, 0);
    wait_at(6 * MSEC, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(6 * MSEC), 0);
    ck_assert_int_eq(take_expired(6 * MSEC), 1);
    ck_assert_int_eq(take_expired(6 * MSEC), 2);
    assert_empty();
}
END_TEST

static void try_to_evict(void)
{
    wait_at(0, CLOCK_NEVER);
    seen = oldest(1);
    ck_assert_int_eq(take(0, PARKING_EVICTED), 0);
    ck_assert_int_eq(parking_count(parking, 1), 1);
    parking_shorten(parking, 1, 0, 2 * MSEC);
    ck_assert_int_eq(take_expired(2 * MSEC), -1);
}

START_TEST(evicted_while_it_is_armed)
{
    seen = -1;
    *(_i ? &before_add : &after_add) = try_to_evict;
    put(0, 1, 100 * MSEC, 0);
    ck_assert_int_eq(seen, 0);
    ck_assert_int_eq(oldest(1), 0);
    ck_assert_int_eq(take_expired(3 * MSEC), 0); /* as shortened */
    assert_empty();
}
END_TEST

static void try_to_find(void)
{
    wait_at(7 * MSEC, CLOCK_NEVER);
    seen = find_odd(1, 7 * MSEC);
    if (seen >= 0) {
        ck_assert_int_eq(take(seen, PARKING_EVICTED), 1);
        ck_assert_int_eq(find_odd(1, 7 * MSEC), -1);
    }
    /* It is looked for again in a moment, whatever else happens. */
    ck_assert_int_eq(wait_at(7 * MSEC, CLOCK_NEVER), MSEC);
}

/* The parameter: is there another one that matches? */
START_TEST(looked_for_while_it_is_armed)
{
    if (_i) {
        put(5, 1, 100 * MSEC, 7 * MSEC);
    }
    after_add = try_to_find;
    put(3, 1, 90 * MSEC, 7 * MSEC);
    ck_assert_int_eq(seen, _i ? 5 : -1);
    ck_assert_int_eq(take_expired(8 * MSEC), -1);
    ck_assert_int_eq(find_odd(1, 8 * MSEC), 3);
    ck_assert_int_eq(wait_at(8 * MSEC, CLOCK_NEVER), 89 * MSEC);
}
END_TEST

/* --- What the poll set refuses -------------------------------------------- */

static void put_refused(int i, int tag, apr_status_t error)
{
    add_error = error;
    put(i, tag, MSEC, 0);
    add_error = APR_SUCCESS;
}

START_TEST(refused)
{
    wait_at(0, CLOCK_NEVER);
    put_refused(0, 1, APR_ENOMEM);
    ck_assert_int_eq(wakeups, 1);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), -1);
    /* Nothing else ends its wait. */
    ck_assert_int_eq(take_expired(2 * MSEC), -1);
    ck_assert_int_eq(take(0, PARKING_EVICTED), 0);
    ck_assert_int_eq(take_failed(), 0);
    ck_assert_int_eq(clients[0].parked.error, APR_ENOMEM);
    ck_assert_ptr_null(clients[0].parked.queue);
    ck_assert_int_eq(take_failed(), -1);
    put(0, 1, MSEC, 0);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(take_expired(2 * MSEC), 0);
    assert_empty();
}
END_TEST

static void look(void)
{
    wait_at(0, CLOCK_NEVER);
}

/* Whether the listener has seen it before it is refused or not: the others
 * that came before and after it go on waiting. The parameter's bits: before
 * which of them the listener looks. */
START_TEST(refused_among_others)
{
    int i;

    for (i = 0; i < 5; i++) {
        before_add = _i & (1 << i) ? look : NULL;
        if (i == 1 || i == 3) {
            put_refused(i, 1, APR_ENOMEM);
        }
        else {
            put(i, 1, MSEC, 0);
        }
    }
    if (_i & 32) {
        wait_at(0, CLOCK_NEVER);
        ck_assert_int_eq(parking_count(parking, 1), 5);
    }
    ck_assert_int_eq(take_failed() + take_failed(), 1 + 3);
    ck_assert_int_eq(take_failed(), -1);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(parking_count(parking, 1), 3);
    ck_assert_int_eq(take_expired(MSEC), 0);
    ck_assert_int_eq(take_expired(MSEC), 2);
    ck_assert_int_eq(take_expired(MSEC), 4);
    assert_empty();
}
END_TEST

static void refuse_another(void)
{
    put_refused(1, 1, APR_ENOMEM);
}

/* One is refused while another is between the inbox and its refusal. */
START_TEST(refused_at_the_same_time)
{
    *(_i ? &before_add : &after_add) = refuse_another;
    add_error = APR_EBADF;
    put(0, 1, MSEC, 0);
    add_error = APR_SUCCESS;
    ck_assert_int_eq(take_failed() + take_failed(), 0 + 1);
    ck_assert_int_eq(take_failed(), -1);
    assert_empty();
}
END_TEST

/* With nothing played: what a real poll set refuses. */
START_TEST(refused_by_the_system)
{
    char path[] = "/tmp/check_parking.XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    close(clients[0].fd);
    make_client(0, -1);
    close(clients[1].fd);
    make_client(1, fd);
    close(clients[2].fd);
    make_client(2, clients[3].fd);
    put(3, 1, MSEC, 0);
    put(0, 1, MSEC, 0);
    ck_assert_int_eq(take_failed(), 0);
    ck_assert_int_eq(clients[0].parked.error, APR_EBADF);
    put(1, 1, MSEC, 0);
    ck_assert_int_eq(take_failed(), 1);
    ck_assert_int_eq(clients[1].parked.error, EPERM);
    put(2, 1, MSEC, 0);
    ck_assert_int_eq(take_failed(), 2);
    ck_assert_int_eq(clients[2].parked.error, APR_EEXIST);
    /* The one that has that descriptor is still there. */
    say(3);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 3);
    ck_assert_int_eq(take(3, PARKING_READY), 1);
    clients[2].fd = -1;
}
END_TEST

/* --- Wake-ups ------------------------------------------------------------- */

static void park_0_for_5(void)
{
    put(0, 1, 5 * MSEC, 0);
}

START_TEST(nobody_wakes_who_is_awake)
{
    wait_at(0, CLOCK_NEVER);
    put(0, 1, 0, 0);
    wait_at(0, CLOCK_NEVER);
    put(1, 1, 0, 0);
    ck_assert_int_eq(wakeups, 0);
}
END_TEST

START_TEST(a_sleeper_is_woken_for_an_earlier_end)
{
    asleep = park_0_for_5;
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), -1);
    ck_assert_int_eq(wakeups, 1);
    ck_assert_int_eq(parking_count(parking, 1), 1); /* seen at once */
    ck_assert_int_eq(take_expired(5 * MSEC), 0);
    ck_assert_int_eq(take_expired(5 * MSEC), -1);
    asleep = park_0_for_5;
    ck_assert_int_eq(wait_at(0, 5 * MSEC + 1), up(5 * MSEC + 1));
    ck_assert_int_eq(wakeups, 2);
}
END_TEST

START_TEST(a_sleeper_is_left_alone_for_a_later_end)
{
    wait_at(0, CLOCK_NEVER);
    put(1, 1, 4 * MSEC, 0);
    asleep = park_0_for_5;
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), 4 * MSEC);
    ck_assert_int_eq(take(0, PARKING_EVICTED), 1);
    asleep = park_0_for_5;
    ck_assert_int_eq(wait_at(0, 5 * MSEC), 4 * MSEC);
    ck_assert_int_eq(wakeups, 0);
    ck_assert_int_eq(take_expired(4 * MSEC), 1);
    ck_assert_int_eq(take_expired(4 * MSEC), -1);
    ck_assert_int_eq(wait_at(4 * MSEC, CLOCK_NEVER), MSEC);
}
END_TEST

static void park_refused(void)
{
    put_refused(0, 1, APR_ENOMEM);
}

START_TEST(a_sleeper_is_woken_for_a_refusal)
{
    wait_at(0, CLOCK_NEVER);
    put(1, 1, 0, 0);
    asleep = park_refused;
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(wakeups, 1);
    ck_assert_int_eq(take_failed(), 0);
}
END_TEST

START_TEST(wake_ends_a_sleep_and_is_no_event)
{
    parking_wake(parking);
    parking_wake(parking);
    ck_assert_int_eq(wait_at(0, CLOCK_NEVER), -1);
    ck_assert_int_eq(next_event(), -1);
    /* With one that is ready, that one is reported. */
    put(0, 1, MSEC, 0);
    say(0);
    parking_wake(parking);
    wait_at(0, CLOCK_NEVER);
    ck_assert_int_eq(next_event(), 0);
    ck_assert_int_eq(next_event(), -1);
}
END_TEST

static void add_tests(Suite *s)
{
    TCase *tc = tcase_create("waiting");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nobody);
    tcase_add_test(tc, an_event_until_it_is_taken);
    tcase_add_test(tc, waits_for_what_was_asked);
    tcase_add_test(tc, more_events_than_a_batch);
    tcase_add_test(tc, a_listening_socket);
    tcase_add_test(tc, sleeps_until_the_first_of_all);
    tcase_add_test(tc, sleeps_no_longer_than_can_be_said);
#if POLLER_NATIVE
    tcase_add_test(tc, sleeps_without_an_alarm);
#endif
    tcase_add_test(tc, sleeps_for_those_that_are_left);
    tcase_add_test(tc, errors_of_the_poll_call);
    suite_add_tcase(s, tc);

    tc = tcase_create("queues");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, expiry_in_order_and_never_early);
    tcase_add_test(tc, expiry_takes_it_out_of_the_poll_set);
    tcase_add_test(tc, tags_are_kept_apart);
    tcase_add_test(tc, count_is_of_what_the_listener_has_seen);
    tcase_add_test(tc, oldest_is_who_is_parked_longest);
    tcase_add_test(tc, find_looks_at_all_with_the_tag);
    tcase_add_test(tc, rested_are_found_in_order_and_once);
    tcase_add_test(tc, rested_but_still_being_armed);
    tcase_add_test(tc, visit_looks_at_all);
    tcase_add_test(tc, shorten_cuts_those_with_the_tag);
    tcase_add_test(tc, shorten_to_nothing);
    tcase_add_test(tc, many_in_any_order);
    suite_add_tcase(s, tc);

    tc = tcase_create("arming");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, its_event_while_it_is_armed);
    tcase_add_test(tc, its_event_may_be_left_to_the_poll_set);
    tcase_add_loop_test(tc, its_end_while_it_is_armed, 0, 2);
    tcase_add_test(tc, its_end_and_then_its_event_while_it_is_armed);
    tcase_add_test(tc, others_while_one_is_armed);
    tcase_add_loop_test(tc, evicted_while_it_is_armed, 0, 2);
    tcase_add_loop_test(tc, looked_for_while_it_is_armed, 0, 2);
    suite_add_tcase(s, tc);

    tc = tcase_create("refusals");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, refused_among_others, 0, 64);
    tcase_add_loop_test(tc, refused_at_the_same_time, 0, 2);
    tcase_add_test(tc, refused_by_the_system);
    suite_add_tcase(s, tc);

    tc = tcase_create("wake-ups");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nobody_wakes_who_is_awake);
    tcase_add_test(tc, a_sleeper_is_woken_for_an_earlier_end);
    tcase_add_test(tc, a_sleeper_is_left_alone_for_a_later_end);
    tcase_add_test(tc, a_sleeper_is_woken_for_a_refusal);
    tcase_add_test(tc, wake_ends_a_sleep_and_is_no_event);
    suite_add_tcase(s, tc);
}

int main(void)
{
    Suite *s = suite_create("parking");
    SRunner *runner;
    int failed;

    apr_initialize();
    add_tests(s);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
