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
 * check_heads: how long a client may take for its request, when it is handed
 * over, closed or waited for, and what its socket is told meanwhile.
 *
 * The client is the other end of a pair of sockets, and peek and gate look at
 * what it sends. Times are made up; parking, conn and the rest of httpd are
 * the functions at the top, which note what heads wants of them.
 */

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apr_general.h"

#include "httpd.h"
#include "http_core.h"
#include "http_ssl.h"

#include "clock.h"

static apr_time_t our_now(void);

#define clock_now our_now
#include "heads.c"

module AP_MODULE_DECLARE_DATA mpm_event_module;

#define START apr_time_from_sec(1000)
#define SEC apr_time_from_sec(1)
#define LONGEST 8000 /* bytes of a head */

static apr_pool_t *pool;
static settings_t settings;
static core_server_config core;
static void *config[1] = {&core};
static server_rec server;
static pod_note_t note;
static runtime_t runtime;
static heads_t *heads;
static conn_t conn, other;
static conn_rec c;
static int client, other_client; /* their ends */

/* What heads has asked for. */
static struct {
    int tag; /* parked with, and for so long; -1: nobody is parked */
    apr_interval_time_t time;
    int again; /* left in parking as it was */
    int taken;
    int closed;
    int drained;
    int logged;
    int verdict; /* handed over with; -1: nobody was */
} seen;

/* What parking and the queue answer. */
static struct {
    int busy;                 /* fdqueue_busy */
    int found;                /* parking_found */
    int armed;                /* or parking_take returns NULL */
    apr_status_t again;       /* parking_again */
    parked_t *oldest[2];      /* SILENT and BEGUN */
    parked_t *rested;         /* who has, once */
    apr_time_t due;           /* when the next will have */
    int waiting;              /* status_heads */
    apr_status_t error;       /* why the poll set has refused one */
    const char *meanwhile;    /* what a client does while it is being parked:
                               * says that, or "" leaves; the listener sees
                               * it, once */
} say;

static apr_time_t our_now(void)
{
    return START;
}

/* The worker that parks one has not armed it yet. */
static int has_event(parked_t *parked)
{
    const char *what = say.meanwhile;
    size_t len = what != NULL ? strlen(what) : 0;

    if (what == NULL) {
        return 0;
    }
    say.meanwhile = NULL;
    if (len == 0) {
        shutdown(client, SHUT_RDWR);
    }
    else {
        ck_assert_int_eq(write(client, what, len), len);
    }
    say.armed = 0;
    heads_wait_on(heads, CONN_OF_PARKED(parked), START);
    say.armed = 1;
    ck_assert_int_eq(seen.closed, 0);
    return seen.again == 0;
}

int parking_put(parking_t *parking, parked_t **parked, int tag,
                apr_int16_t events, apr_interval_time_t timeout,
                apr_time_t now)
{
    ck_assert_ptr_null(parking);
    ck_assert_int_eq(events, APR_POLLIN | APR_POLLHUP);
    ck_assert_int_ge(now, START);
    ck_assert_int_eq(seen.tag, -1);
    (*parked)->tag = seen.tag = tag;
    (*parked)->timeout = seen.time = timeout;
    (*parked)->until = now + timeout;
    if (has_event(*parked)) {
        seen.tag = -1;
        return 0;
    }
    *parked = NULL;
    return 1;
}

parked_t *parking_take(parking_t *parking, parked_t *parked,
                       parking_verdict_e verdict)
{
    ck_assert_ptr_null(parking);
    ck_assert(verdict == PARKING_READY || verdict == PARKING_EVICTED);
    if (!say.armed) {
        return NULL;
    }
    seen.taken++;
    seen.tag = -1;
    say.oldest[parked->tag == BEGUN] = NULL;
    return parked;
}

apr_status_t parking_again(parking_t *parking, parked_t *parked)
{
    ck_assert_ptr_null(parking);
    ck_assert_ptr_nonnull(parked);
    seen.again++;
    return say.again;
}

parked_t *parking_find_rested(parking_t *parking, int tag,
                              apr_interval_time_t time, apr_time_t now,
                              apr_time_t *due)
{
    parked_t *found = say.rested;

    ck_assert_ptr_null(parking);
    ck_assert_int_eq(tag, SILENT);
    ck_assert_int_eq(time, YOUTH);
    ck_assert_int_ge(now, START);
    say.rested = NULL;
    if (found == NULL) {
        *due = say.due;
    }
    return found;
}

parked_t *parking_oldest(parking_t *parking, int tag)
{
    ck_assert_ptr_null(parking);
    return say.oldest[tag == BEGUN];
}

void parking_shorten(parking_t *parking, int tag, apr_interval_time_t time,
                     apr_time_t now)
{
    ck_assert_ptr_null(parking);
    ck_assert_int_eq(now, START);
    seen.tag = tag;
    seen.time = time;
}

int parking_found(const parking_t *parking)
{
    ck_assert_ptr_null(parking);
    return say.found;
}

int fdqueue_busy(const fdqueue_t *queue)
{
    ck_assert_ptr_null(queue);
    return say.busy;
}

int status_heads(const status_t *status)
{
    ck_assert_ptr_eq(status, &runtime.status);
    return say.waiting;
}

void status_show(request_rec *r, int flags, const char *key,
                 const char *title, apr_uint64_t figure)
{
    ck_abort_msg("%p %d %s %s %d", (void *)r, flags, key, title, (int)figure);
}

void conn_count(conn_t *counted, status_count_e count)
{
    counted->counted = count;
}

void conn_hand_over(conn_t **handed, parking_verdict_e verdict)
{
    ck_assert_int_eq(seen.verdict, -1);
    seen.verdict = verdict;
    *handed = NULL;
}

void conn_close(conn_t **closed)
{
    ck_assert_ptr_nonnull(*closed);
    seen.closed++;
    *closed = NULL;
}

#ifdef EVENT_DEBUG
void conn_give(conn_t *given, conn_owner_e from, conn_owner_e to)
{
    ck_assert_ptr_nonnull(given);
    ck_assert_int_ne(from, to);
}
#endif

conn_verdict_e linger_drain(conn_t *drained)
{
    ck_assert_ptr_nonnull(drained);
    seen.drained++;
    return CONN_CLOSE;
}

APR_DECLARE(apr_status_t) apr_socket_timeout_set(apr_socket_t *csd,
                                                 apr_interval_time_t time)
{
    ck_assert_ptr_null(csd);
    ck_assert_int_eq(time, 0);
    return APR_SUCCESS;
}

APR_DECLARE(apr_status_t) apr_socket_addr_get(apr_sockaddr_t **sa,
                                              apr_interface_e which,
                                              apr_socket_t *csd)
{
    ck_assert_ptr_null(csd);
    ck_assert_int_eq(which, APR_REMOTE);
    *sa = NULL;
    return APR_SUCCESS;
}

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    ck_assert_msg(file != NULL && fmt != NULL && status == say.error, "%d %d",
                  line, module_index);
    ck_assert_int_eq(level & APLOG_LEVELMASK,
                     say.error == 0 ? APLOG_INFO : APLOG_ERR);
    ck_assert_ptr_eq(s, &server);
    seen.logged++;
}

AP_DECLARE(module *) ap_find_linked_module(const char *name)
{
    ck_assert_ptr_nonnull(name);
    return NULL;
}

AP_DECLARE(apr_array_header_t *) ap_hook_get_ssl_conn_is_ssl(void)
{
    return NULL;
}

/* --- Clients -------------------------------------------------------------- */

static void forget(void)
{
    memset(&seen, 0, sizeof(seen));
    seen.tag = seen.verdict = -1;
}

static void connect_to(conn_t *new, int *end)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *new = (conn_t){.runtime = &runtime, .fd = fds[0], .since = START};
    *end = fds[1];
}

/* EventHeadTimeout, Timeout and EventBodyWait. */
static void configure(int head_timeout, int timeout, int body_wait)
{
    settings.head_timeout = head_timeout;
    settings.body_wait = body_wait;
    server.timeout = timeout * SEC;
    heads = heads_create(&runtime, pool);
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    memset(&say, 0, sizeof(say));
    say.armed = 1;
    say.due = CLOCK_NEVER;
    forget();
    settings = (settings_t){.threads_per_child = 10};
    server = (server_rec){.log = {.level = APLOG_INFO},
                          .limit_req_line = LONGEST,
                          .limit_req_fieldsize = LONGEST,
                          .limit_req_fields = 100,
                          .module_config = (ap_conf_vector_t *)config};
    memset(&note, 0, sizeof(note));
    runtime = (runtime_t){
        .settings = &settings, .server = &server, .note = &note};
    configure(20, 60, 0);
    connect_to(&conn, &client);
    connect_to(&other, &other_client);
}

static void teardown(void)
{
    close(conn.fd);
    close(client);
    close(other.fd);
    close(other_client);
    apr_pool_destroy(pool);
}

static void says(const char *text)
{
    ck_assert_int_eq(write(client, text, strlen(text)), strlen(text));
}

/* Sends as many bytes of a field. */
static void goes_on(int bytes)
{
    char many[LONGEST];

    memset(many, 'a', sizeof(many));
    ck_assert_int_le(bytes, LONGEST);
    ck_assert_int_eq(write(client, many, bytes), bytes);
}

/* Is it the listener's no longer? */
static int admit(const char *protocol)
{
    conn_t *given = &conn;
    int gone = heads_admit(heads, &given, protocol);

    ck_assert_ptr_eq(given, gone ? NULL : &conn);
    return gone;
}

static void expire(apr_interval_time_t later)
{
    conn_t *given = &conn;

    seen.tag = -1;
    heads_expire(heads, &given, START + later);
    ck_assert_ptr_null(given);
}

static int low_water(void)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(
        getsockopt(conn.fd, SOL_SOCKET, SO_RCVLOWAT, &value, &len), 0);
    return value;
}

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

/* --- New connections ------------------------------------------------------ */

START_TEST(a_whole_request_is_handed_over_at_once)
{
    says(HEAD "\r\n");
    ck_assert(!admit(NULL));
    ck_assert_int_eq(seen.tag, -1);
    ck_assert_int_eq(seen.closed, 0);
    ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(who_says_nothing_has_timeout)
{
    ck_assert(admit("http"));
    ck_assert_int_eq(seen.tag, SILENT);
    ck_assert_int_eq(seen.time, 60 * SEC);
    ck_assert_int_eq(conn.counted, STATUS_HEAD);
    ck_assert_int_eq(heads_young(heads), 1);
    ck_assert_int_eq(low_water(), conn.head.mark);
}
END_TEST

START_TEST(who_has_begun_has_head_timeout)
{
    says(HEAD);
    ck_assert(admit("https"));
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.time, 20 * SEC);
    ck_assert_int_eq(conn.counted, STATUS_HEAD);
    ck_assert_int_eq(heads_young(heads), 0);
    ck_assert_int_gt(low_water(), (int)strlen(HEAD));
}
END_TEST

START_TEST(a_shorter_timeout_counts)
{
    configure(20, 5, 0);
    says(HEAD);
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.time, 5 * SEC);
}
END_TEST

START_TEST(who_has_left_already_is_closed)
{
    shutdown(client, SHUT_RDWR);
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(seen.tag, -1);
}
END_TEST

/* By the worker that has accepted it, while the listener has its event. */
START_TEST(who_asks_while_being_parked_is_handed_over)
{
    say.meanwhile = HEAD "\r\n";
    ck_assert(!admit(NULL));
    ck_assert_int_eq(seen.tag, -1);
    ck_assert_int_eq(conn.counted, STATUS_NONE);
    ck_assert_int_eq(heads_young(heads), 0);
    ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(who_begins_while_being_parked_is_parked_anew)
{
    say.meanwhile = HEAD;
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.time, 20 * SEC);
    ck_assert_int_eq(heads_young(heads), 0);
    ck_assert_int_eq(low_water(), strlen(HEAD) + 1);
}
END_TEST

START_TEST(who_leaves_while_being_parked_is_closed_once)
{
    say.meanwhile = "";
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(heads_young(heads), 0);
}
END_TEST

START_TEST(who_goes_on_while_being_parked_stays)
{
    says(HEAD);
    say.meanwhile = "X: 1\r\n";
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.again, 1);
}
END_TEST

START_TEST(nobody_is_looked_at_without_a_gate)
{
    configure(0, 60, 0);
    ck_assert(!admit(NULL));
    configure(20, 60, 0);
    ck_assert(!admit("ftp"));
    conn.fd = -conn.fd;
    ck_assert(!admit(NULL));
    conn.fd = -conn.fd;
    ck_assert_int_eq(seen.tag, -1);
}
END_TEST

/* --- When there is more --------------------------------------------------- */

START_TEST(the_rest_of_a_request_is_handed_over)
{
    says(HEAD);
    admit(NULL);
    says("\r\n");
    ck_assert(!heads_wait_on(heads, &conn, START + SEC));
    ck_assert_int_eq(low_water(), 1);
    ck_assert_int_eq(conn.head.began, 0);
    ck_assert_int_eq(seen.closed, 0);
}
END_TEST

START_TEST(some_more_of_it_is_waited_on)
{
    says(HEAD);
    admit(NULL);
    says("X: y\r\n");
    ck_assert(heads_wait_on(heads, &conn, START + SEC));
    ck_assert_int_eq(seen.again, 1);
    ck_assert_int_eq(seen.taken, 0);
    ck_assert_int_eq(conn.head.began, START);
    ck_assert_int_eq(conn.head.heard, START + SEC);
    ck_assert_int_eq(heads_young(heads), 0);
    ck_assert_int_gt(low_water(), (int)strlen(HEAD "X: y\r\n"));
}
END_TEST

START_TEST(what_cannot_wait_on_is_parked_anew)
{
    says(HEAD);
    admit(NULL);
    says("X: y\r\n");
    say.again = APR_EGENERAL;
    ck_assert(heads_wait_on(heads, &conn, START + SEC));
    ck_assert_int_eq(seen.taken, 1);
    ck_assert_int_eq(seen.tag, BEGUN);
}
END_TEST

START_TEST(its_time_begins_with_its_first_byte)
{
    admit(NULL);
    says("GET ");
    ck_assert(heads_wait_on(heads, &conn, START + 50 * SEC));
    ck_assert_int_eq(seen.taken, 1);
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.time, 20 * SEC);
    ck_assert_int_eq(conn.head.began, START + 50 * SEC);
    ck_assert_int_eq(heads_young(heads), 0);
}
END_TEST

START_TEST(who_leaves_meanwhile_is_closed)
{
    admit(NULL);
    shutdown(client, SHUT_RDWR);
    ck_assert(heads_wait_on(heads, &conn, START + SEC));
    ck_assert_int_eq(seen.taken, 1);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(heads_young(heads), 0);
}
END_TEST

/* --- How long ------------------------------------------------------------- */

static const struct {
    int timeout; /* EventHeadTimeout */
    int silence; /* Timeout */
    int bytes;
    int seconds; /* that it has */
} cases[] = {{20, 60, 40, 20},   {20, 60, 499, 20},  {20, 60, 500, 21},
             {20, 60, 999, 21},  {20, 60, 5000, 30}, {5, 60, 2499, 9},
             {5, 60, 2500, 10},  {5, 60, 3000, 10},  {5, 60, 7900, 10},
             {20, 3, 5000, 3},   {20, 25, 5000, 25}, {20, 30, 5000, 30}};

/* A second more for each 500 bytes, up to twice the time. */
START_TEST(a_head_has_time_for_its_bytes)
{
    int end = cases[_i].seconds;
    int first = cases[_i].timeout < cases[_i].silence ? cases[_i].timeout
                                                      : cases[_i].silence;

    configure(cases[_i].timeout, cases[_i].silence, 0);
    says("GET / HTTP/1.1\r\nX: ");
    goes_on(cases[_i].bytes - 19);
    ck_assert(admit(NULL));
    ck_assert_int_eq(seen.time, first * SEC);
    if (end > first) {
        expire(first * SEC);
        ck_assert_int_eq(seen.tag, BEGUN);
        ck_assert_int_eq(seen.time, (end - first) * SEC);
        expire(end * SEC - 1);
        ck_assert_int_eq(seen.tag, BEGUN);
        ck_assert_int_eq(seen.time, SEC); /* in whole seconds */
    }
    ck_assert_int_eq(seen.verdict, -1);
    expire(end * SEC);
    ck_assert_int_eq(seen.tag, -1);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(conn.head.late, 1);
    ck_assert_int_eq(conn.head.later, 1);
    ck_assert_int_eq(low_water(), 1);
    ck_assert_int_eq(seen.logged, 1);
    ck_assert_uint_eq(note.late, 1);
}
END_TEST

/* A byte now and then does not help. */
START_TEST(its_time_is_not_renewed)
{
    int second;

    says(HEAD "X: ");
    admit(NULL);
    for (second = 1; second < 20; second++) {
        goes_on(1);
        ck_assert(heads_wait_on(heads, &conn, START + second * SEC));
    }
    expire(20 * SEC);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(conn.head.late, 1);
}
END_TEST

/* With the head's end it begins anew, and with the bytes it lasts. */
START_TEST(a_body_has_its_own_time)
{
    configure(5, 60, 20000);
    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 19000\r\nX: ");
    goes_on(700); /* for which there is no time any more */
    admit(NULL);
    says("\r\n\r\n");
    ck_assert(heads_wait_on(heads, &conn, START + 4 * SEC));
    expire(5 * SEC);
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.time, 4 * SEC);
    /* Nobody is woken before it is whole. */
    ck_assert_int_eq(low_water(), (int)conn.head.len + 19000);
    goes_on(7000);
    expire(9 * SEC);
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(seen.time, 14 * SEC);
    expire(23 * SEC);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(conn.head.late, 1);
}
END_TEST

START_TEST(whole_at_the_last_moment_it_is_not_late)
{
    says(HEAD);
    admit(NULL);
    says("\r\n");
    expire(20 * SEC);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(conn.head.late, 0);
    ck_assert_int_eq(seen.logged, 0);
    ck_assert_uint_eq(note.late, 0);
    ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(who_has_said_nothing_is_closed_without_a_word)
{
    admit(NULL);
    expire(60 * SEC);
    ck_assert_int_eq(seen.drained, 1);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(seen.verdict, -1);
    ck_assert_int_eq(seen.logged, 0);
    ck_assert_int_eq(heads_young(heads), 0);
}
END_TEST

/* --- Kept-alive connections ----------------------------------------------- */

static void keep(void)
{
    conn.c = &c;
    conn.server = &server;
    conn.counted = STATUS_KEEPALIVE;
    conn.head.kind = CONN_HEAD_CLEAR;
    conn.head.mark = 1;
    say.busy = settings.threads_per_child;
}

START_TEST(half_a_request_waits_while_workers_are_busy)
{
    keep();
    says(HEAD);
    ck_assert(heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(seen.tag, BEGUN);
    ck_assert_int_eq(conn.counted, STATUS_HEAD);
}
END_TEST

START_TEST(a_whole_one_does_not)
{
    keep();
    says(HEAD "\r\n");
    ck_assert(!heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(seen.taken, 0);
    ck_assert_int_eq(conn.head.later, 0);
    ck_assert_int_eq(conn.head.mark, 1);
}
END_TEST

START_TEST(who_has_gone_is_for_the_second_line)
{
    keep();
    shutdown(client, SHUT_RDWR);
    ck_assert(!heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(conn.head.later, 1);
}
END_TEST

START_TEST(only_where_it_pays)
{
    keep();
    says(HEAD);
    say.busy = 5;
    ck_assert(!heads_wait_on(heads, &conn, START));
    say.found = BURST - 1;
    ck_assert(!heads_wait_on(heads, &conn, START));
    say.busy = 6;
    conn.head.kind = CONN_HEAD_OTHER;
    ck_assert(!heads_wait_on(heads, &conn, START));
    conn.head.kind = CONN_HEAD_CLEAR;
    atomic_store(&conn.streams, 1);
    ck_assert(!heads_wait_on(heads, &conn, START));
    atomic_store(&conn.streams, 0);
    conn.counted = STATUS_WRITE;
    ck_assert(!heads_wait_on(heads, &conn, START));
    conn.counted = STATUS_KEEPALIVE;
    ck_assert_int_eq(seen.taken, 0);
    ck_assert(heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(seen.taken, 1);
}
END_TEST

START_TEST(or_when_many_come_at_a_time)
{
    keep();
    says(HEAD);
    say.busy = 0;
    say.found = BURST;
    ck_assert(heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(seen.taken, 1);
}
END_TEST

/* Its worker goes on with it, and its mark is as it was. */
START_TEST(one_that_is_being_armed_is_left_alone)
{
    keep();
    says(HEAD);
    say.armed = 0;
    ck_assert(heads_wait_on(heads, &conn, START));
    ck_assert_int_eq(seen.tag, -1);
    ck_assert_int_eq(low_water(), 1);
    ck_assert_int_eq(conn.counted, STATUS_KEEPALIVE);
}
END_TEST

/* --- Room ----------------------------------------------------------------- */

/* Two that wait: the one that came later has begun. */
static void two_wait(void)
{
    conn_t *given = &other;

    ck_assert(admit(NULL));
    say.oldest[0] = &conn.parked;
    seen.tag = -1;
    ck_assert_int_eq(write(other_client, "GET ", 4), 4);
    ck_assert(heads_admit(heads, &given, NULL));
    other.parked.until++;
    say.oldest[1] = &other.parked;
    say.waiting = 2;
    seen.closed = 0;
}

START_TEST(who_has_waited_longest_goes_first)
{
    two_wait();
    heads_shed(heads, 1);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_ptr_null(say.oldest[0]);
    ck_assert_ptr_nonnull(say.oldest[1]);
    ck_assert_int_eq(heads_young(heads), 0);
    heads_shed(heads, 5);
    ck_assert_int_eq(seen.closed, 2);
    ck_assert_ptr_null(say.oldest[1]);
}
END_TEST

START_TEST(as_many_as_are_above_the_limit)
{
    settings.head_limit = 2;
    configure(20, 60, 0);
    two_wait();
    heads_shed(heads, 0);
    ck_assert_int_eq(seen.closed, 0);
    say.waiting = 3;
    heads_shed(heads, 0);
    ck_assert_int_eq(seen.closed, 1);
}
END_TEST

START_TEST(without_a_limit_only_as_wanted)
{
    two_wait();
    heads_shed(heads, 0);
    ck_assert_int_eq(seen.closed, 0);
}
END_TEST

START_TEST(a_whole_request_is_not_thrown_away)
{
    says(HEAD);
    admit(NULL);
    says("\r\n");
    say.oldest[1] = &conn.parked;
    heads_shed(heads, 1);
    ck_assert_int_eq(seen.closed, 0);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
}
END_TEST

/* --- Refused by the poll set ---------------------------------------------- */

START_TEST(refused_it_is_a_workers)
{
    conn_t *given = &conn;
    int low = 0;
    socklen_t size = sizeof(low);

    say.error = conn.parked.error = other.parked.error = ENOSPC;
    ck_assert(admit(NULL)); /* silent, and young */
    ck_assert_int_eq(heads_young(heads), 1);
    heads_fail(heads, &given);
    ck_assert_ptr_null(given);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(heads_young(heads), 0);
    ck_assert_int_eq(heads_grow(heads, START), CLOCK_NEVER);

    given = &other;
    seen.tag = seen.verdict = -1;
    ck_assert_int_eq(write(other_client, "GET ", 4), 4);
    ck_assert(heads_admit(heads, &given, NULL));
    given = &other;
    heads_fail(heads, &given);
    ck_assert_int_eq(seen.verdict, PARKING_READY);
    ck_assert_int_eq(seen.logged, 2);
    /* The worker waits for any byte, and a later head has its own time. */
    ck_assert_int_eq(other.head.began, 0);
    ck_assert_int_eq(getsockopt(other.fd, SOL_SOCKET, SO_RCVLOWAT, &low,
                                &size), 0);
    ck_assert_int_eq(low, 1);
}
END_TEST

/* --- Youth ---------------------------------------------------------------- */

START_TEST(who_does_not_ask_at_once_grows_up)
{
    say.due = START + 3;
    ck_assert_int_eq(heads_grow(heads, START), CLOCK_NEVER);
    say.due = CLOCK_NEVER;
    admit(NULL);
    /* It is not seen yet. */
    ck_assert_int_eq(heads_grow(heads, START), START + YOUTH);
    say.due = START + 3;
    ck_assert_int_eq(heads_grow(heads, START), START + 3);
    ck_assert_int_eq(heads_young(heads), 1);
    say.rested = &conn.parked;
    say.due = CLOCK_NEVER;
    ck_assert_int_eq(heads_grow(heads, START + YOUTH), CLOCK_NEVER);
    ck_assert_int_eq(heads_young(heads), 0);
}
END_TEST

START_TEST(siblings_know_how_many_wait)
{
    say.waiting = 7;
    heads_grow(heads, START);
    ck_assert_int_eq(note.heads, 7);
    say.waiting = 0;
    heads_grow(heads, START);
    ck_assert_int_eq(note.heads, 0);
}
END_TEST

START_TEST(a_child_that_drains_waits_for_a_moment)
{
    heads_drain(heads, START);
    ck_assert_int_eq(seen.tag, SILENT);
    ck_assert_int_eq(seen.time, 5 * SEC);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("heads");
    TCase *tc = tcase_create("new");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_whole_request_is_handed_over_at_once);
    tcase_add_test(tc, who_says_nothing_has_timeout);
    tcase_add_test(tc, who_has_begun_has_head_timeout);
    tcase_add_test(tc, a_shorter_timeout_counts);
    tcase_add_test(tc, who_has_left_already_is_closed);
    tcase_add_test(tc, who_asks_while_being_parked_is_handed_over);
    tcase_add_test(tc, who_begins_while_being_parked_is_parked_anew);
    tcase_add_test(tc, who_leaves_while_being_parked_is_closed_once);
    tcase_add_test(tc, who_goes_on_while_being_parked_stays);
    tcase_add_test(tc, nobody_is_looked_at_without_a_gate);
    suite_add_tcase(s, tc);

    tc = tcase_create("more");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_rest_of_a_request_is_handed_over);
    tcase_add_test(tc, some_more_of_it_is_waited_on);
    tcase_add_test(tc, what_cannot_wait_on_is_parked_anew);
    tcase_add_test(tc, its_time_begins_with_its_first_byte);
    tcase_add_test(tc, who_leaves_meanwhile_is_closed);
    suite_add_tcase(s, tc);

    tc = tcase_create("time");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_head_has_time_for_its_bytes, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, its_time_is_not_renewed);
    tcase_add_test(tc, a_body_has_its_own_time);
    tcase_add_test(tc, whole_at_the_last_moment_it_is_not_late);
    tcase_add_test(tc, who_has_said_nothing_is_closed_without_a_word);
    suite_add_tcase(s, tc);

    tc = tcase_create("kept");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, half_a_request_waits_while_workers_are_busy);
    tcase_add_test(tc, a_whole_one_does_not);
    tcase_add_test(tc, who_has_gone_is_for_the_second_line);
    tcase_add_test(tc, only_where_it_pays);
    tcase_add_test(tc, or_when_many_come_at_a_time);
    tcase_add_test(tc, one_that_is_being_armed_is_left_alone);
    suite_add_tcase(s, tc);

    tc = tcase_create("room");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_has_waited_longest_goes_first);
    tcase_add_test(tc, as_many_as_are_above_the_limit);
    tcase_add_test(tc, without_a_limit_only_as_wanted);
    tcase_add_test(tc, a_whole_request_is_not_thrown_away);
    tcase_add_test(tc, refused_it_is_a_workers);
    tcase_add_test(tc, who_does_not_ask_at_once_grows_up);
    tcase_add_test(tc, siblings_know_how_many_wait);
    tcase_add_test(tc, a_child_that_drains_waits_for_a_moment);
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
