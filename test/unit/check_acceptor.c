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
 * check_acceptor: when a child takes connections, by the listener or by its
 * workers, and what becomes of errors, of MaxConnectionsPerChild, of knocks and
 * of those who wait when it closes; and so what doors are for.
 *
 * The sockets are real ones, and so are their clients; they are local, as who
 * connects to such a one can be accepted at once. Times are made up; parking,
 * the queue, siblings and the rest of the child are the functions at the top,
 * and so is accept, so that it can fail.
 */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apr_general.h"
#include "apr_portable.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_log.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "doors.h"
#include "heads.h"
#include "quota.h"
#include "shortage.h"
#include "siblings.h"

module AP_MODULE_DECLARE_DATA mpm_event_module;

#define START apr_time_from_sec(1000)
#define LATER 50   /* microseconds; a socket ready sooner is a burst */
#define MANY 10000 /* workers */
#define DOORS 2
#define CLIENT 17 /* where quota counts it */

/* These are only looked at from outside. */
static int mark;
#define PARKING ((parking_t *)&mark)
#define QUEUE ((fdqueue_t *)&mark)
#define HEADS ((struct heads_t *)&mark)
#define SIBLINGS ((siblings_t *)&mark)

typedef struct address_t {
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
    };
    socklen_t len;
} address_t;

static apr_pool_t *pool;
static settings_t settings;
static server_rec server;
static runtime_t runtime;
static ap_listen_rec listeners[DOORS];
static address_t addresses[DOORS];
static acceptor_t *acceptor;
static apr_time_t now;

/* What the acceptor has asked for. */
static struct {
    int watched[DOORS]; /* is it in the poll set? */
    int watches, unwatches;
    int exclusive;      /* of the last one watched */
    void *data[DOORS];  /* of its events */
    int accepting;      /* what the scoreboard shows */
    int pushed, waiting_for_request;
    int mine;           /* a worker's that has accepted it */
    fdqueue_entry_t *out[DOORS]; /* pushed and not popped */
    int last;           /* what the last one was: the last of this child */
    int client;         /* and where it is counted */
    runtime_stop_e mode; /* and the stop mode then */
    const char *protocol;
    int pools;          /* taken and not put back */
    int woken;
    int relief;         /* times it was asked for */
    runtime_stop_e stop;
    int exit_code;
    void *knocker;      /* data of knocks */
    int hears;          /* knocks */
    int knocks, answers;
    int errors, notices, others; /* messages, of other levels debug */
    char logged[300];   /* the last one */
    char worst[300];    /* the last that is critical */
} seen;

/* What the others answer. */
static struct {
    int idle;    /* workers; each entry that is pushed takes one */
    int young;   /* will soon take one */
    int waiting; /* fdqueue_waiting */
    int conns;   /* all there are */
    int limited; /* of these count against the limit */
    int siblings, fewer;
    int client;  /* quota_enter */
    int parks;   /* heads_admit keeps it */
    apr_status_t error; /* of accept, for so many times */
    int errors;
    int crowd; /* there is always one more to accept */
    apr_status_t no_pool;  /* ptrans_take */
    apr_status_t no_watch; /* the next parking_watch */
    int done_at; /* a worker is done and nudges after so many looks */
} say;

/* --- The other rooms ------------------------------------------------------ */

static int door_of(const apr_pollfd_t *pfd)
{
    int i = 0;

    ck_assert_int_eq(pfd->desc_type, APR_POLL_SOCKET);
    ck_assert_int_eq(pfd->reqevents, APR_POLLIN);
    while (pfd->desc.s != listeners[i].sd) {
        ck_assert_int_lt(++i, DOORS);
    }
    return i;
}

apr_status_t parking_watch(parking_t *parking, apr_pollfd_t *pfd,
                           int exclusive)
{
    int i = door_of(pfd);
    apr_status_t rv = say.no_watch;

    ck_assert_ptr_eq(parking, PARKING);
    ck_assert(!seen.watched[i]);
    ck_assert_int_eq(*(parking_kind_e *)pfd->client_data, PARKING_LISTENER);
    say.no_watch = APR_SUCCESS;
    seen.watches++;
    seen.exclusive = exclusive;
    seen.data[i] = pfd->client_data;
    seen.watched[i] = rv == APR_SUCCESS;
    return rv;
}

apr_status_t parking_unwatch(parking_t *parking, apr_pollfd_t *pfd)
{
    int i = door_of(pfd);

    ck_assert_ptr_eq(parking, PARKING);
    seen.unwatches++;
    seen.watched[i] = 0;
    return APR_SUCCESS;
}

void parking_wake(parking_t *parking)
{
    ck_assert_ptr_eq(parking, PARKING);
    seen.woken++;
}

/* After the look that say.done_at names a worker is through: too late for
 * that look. */
int fdqueue_idle(const fdqueue_t *queue, int errands)
{
    int idle = say.idle + errands;

    ck_assert_ptr_eq(queue, QUEUE);
    if (say.done_at > 0 && --say.done_at == 0) {
        say.idle++;
        acceptor_nudge(acceptor);
    }
    return idle;
}

int fdqueue_waiting(const fdqueue_t *queue)
{
    ck_assert_ptr_eq(queue, QUEUE);
    return say.waiting;
}

static void note_conn(const conn_t *conn)
{
    seen.last = conn->last;
    seen.client = conn->client;
    seen.mode = seen.stop;
    apr_socket_close(conn->csd);
}

void fdqueue_push(fdqueue_t *queue, fdqueue_entry_t **entry,
                  fdqueue_line_e line)
{
    ck_assert_ptr_eq(queue, QUEUE);
    ck_assert_int_eq(line, FDQUEUE_NOW);
    say.idle--;
    if ((*entry)->kind == RUNTIME_DOOR) {
        int i = door_of(&DOOR_OF_ENTRY(*entry)->pfd);

        ck_assert(!seen.watched[i]);
        ck_assert_ptr_null(seen.out[i]);
        seen.out[i] = *entry;
        *entry = NULL;
        return;
    }
    note_conn(CONN_OF_ENTRY(*entry));
    seen.pushed++;
}

int heads_admit(heads_t *heads, conn_t **conn, const char *protocol)
{
    ck_assert_ptr_eq(heads, HEADS);
    seen.protocol = protocol;
    if (!say.parks) {
        return 0;
    }
    note_conn(*conn);
    seen.waiting_for_request++;
    *conn = NULL;
    return 1;
}

int heads_young(const heads_t *heads)
{
    ck_assert_ptr_eq(heads, HEADS);
    return say.young;
}

int status_conns(const status_t *status)
{
    ck_assert_ptr_eq(status, &runtime.status);
    return say.conns;
}

int status_limited_conns(const status_t *status)
{
    ck_assert_ptr_eq(status, &runtime.status);
    return say.limited;
}

void status_accepting(status_t *status, int accepting)
{
    ck_assert_ptr_eq(status, &runtime.status);
    seen.accepting = accepting;
}

int quota_enter(runtime_t *of, apr_socket_t *csd)
{
    ck_assert_ptr_eq(of, &runtime);
    ck_assert_ptr_nonnull(csd);
    return say.client;
}

conn_t *conn_make(runtime_t *of, apr_pool_t *own, apr_socket_t *csd)
{
    conn_t *conn = apr_pcalloc(own, sizeof(*conn));

    ck_assert_ptr_eq(of, &runtime);
    conn->csd = csd;
    conn->entry.kind = RUNTIME_CONN;
    say.conns++;
    return conn;
}

#ifdef EVENT_DEBUG
void conn_give(conn_t *conn, conn_owner_e from, conn_owner_e to)
{
    ck_assert_ptr_nonnull(conn);
    ck_assert_int_eq(from, CONN_OWNER_LISTENER);
    ck_assert(to == CONN_OWNER_QUEUE || to == CONN_OWNER_WORKER);
}
#endif

apr_status_t ptrans_take(ptrans_t *ptrans, apr_pool_t **own)
{
    ck_assert_ptr_null(ptrans);
    if (say.no_pool != APR_SUCCESS) {
        return say.no_pool;
    }
    seen.pools++;
    return apr_pool_create(own, pool);
}

int ptrans_put(ptrans_t *ptrans, apr_pool_t **own)
{
    ck_assert_ptr_null(ptrans);
    seen.pools--;
    apr_pool_destroy(*own);
    *own = NULL;
    return 0;
}

void runtime_request_stop(runtime_t *of, runtime_stop_e mode, int exit_code)
{
    ck_assert_ptr_eq(of, &runtime);
    seen.stop = mode;
    seen.exit_code = exit_code;
}

void runtime_ask_relief(runtime_t *of)
{
    ck_assert_ptr_eq(of, &runtime);
    seen.relief++;
}

siblings_t *siblings_create(const runtime_t *of, void *door, apr_pool_t *p)
{
    ck_assert_ptr_eq(of, &runtime);
    ck_assert_ptr_eq(p, pool);
    ck_assert_int_eq(*(parking_kind_e *)door, PARKING_LISTENER);
    seen.knocker = door;
    return say.siblings ? SIBLINGS : NULL;
}

void siblings_listen(siblings_t *siblings, parking_t *parking, int on)
{
    ck_assert_ptr_eq(siblings, SIBLINGS);
    ck_assert_ptr_eq(parking, PARKING);
    seen.hears = on;
}

int siblings_have_fewer(const siblings_t *siblings, int conns)
{
    ck_assert_ptr_eq(siblings, SIBLINGS);
    ck_assert_int_eq(conns, say.conns);
    return say.fewer;
}

/* Who knocks before he has stopped watching may hear it himself. */
void siblings_knock(const siblings_t *siblings)
{
    ck_assert_ptr_eq(siblings, SIBLINGS);
    ck_assert(!seen.watched[0] && !seen.watched[1] && !seen.hears);
    seen.knocks++;
}

void siblings_answer(const siblings_t *siblings)
{
    ck_assert_ptr_eq(siblings, SIBLINGS);
    seen.answers++;
}

APR_DECLARE(apr_status_t) apr_socket_accept(apr_socket_t **csd,
                                            apr_socket_t *sd,
                                            apr_pool_t *own)
{
    apr_os_sock_t fd;

    if (say.errors > 0) {
        say.errors--;
        return say.error;
    }
    ck_assert_int_eq(apr_os_sock_get(&fd, sd), APR_SUCCESS);
    ck_assert_int_ge(fd, 0); /* or it is closed */
    fd = say.crowd ? socket(AF_UNIX, SOCK_STREAM, 0) : accept(fd, NULL, NULL);
    if (fd < 0) {
        return errno;
    }
    *csd = NULL;
    return apr_os_sock_put(csd, &fd, own);
}

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    va_list args;

    ck_assert_msg(file != NULL && s == &server, "%d %d", line, module_index);
    level &= APLOG_LEVELMASK;
    seen.errors += level < APLOG_NOTICE;
    seen.notices += level == APLOG_NOTICE;
    seen.others += level > APLOG_NOTICE;
    ck_assert_int_eq(status != APR_SUCCESS, level < APLOG_NOTICE);
    va_start(args, fmt);
    apr_vsnprintf(seen.logged, sizeof(seen.logged), fmt, args);
    va_end(args);
    if (level <= APLOG_CRIT) {
        apr_cpystrn(seen.worst, seen.logged, sizeof(seen.worst));
    }
}

/* --- Sockets and clients -------------------------------------------------- */

/* Its descriptor, or -1. */
static int connect_to(int door)
{
    address_t *at = &addresses[door];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    if (connect(fd, &at->sa, at->len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* So many clients wait at a door. */
static void come(int door, int clients)
{
    while (clients-- > 0) {
        int fd = connect_to(door);

        ck_assert_int_ge(fd, 0);
        close(fd);
    }
}

static void listen_at(int door)
{
    address_t *at = &addresses[door];
    ap_listen_rec *lr = &listeners[door];
    apr_os_sock_t fd = socket(AF_UNIX, SOCK_STREAM, 0);

    *lr = (ap_listen_rec){.next = door + 1 < DOORS ? lr + 1 : NULL,
                          .active = 1,
                          .protocol = door == 0 ? "http" : "https"};
    ck_assert_int_eq(apr_sockaddr_info_get(&lr->bind_addr, "127.0.0.1",
                                           APR_INET, 80, 0, pool),
                     APR_SUCCESS);
    /* The kernel finds a name for it. */
    *at = (address_t){.sa.sa_family = AF_UNIX, .len = sizeof(at->un)};
    ck_assert_int_eq(bind(fd, &at->sa, sizeof(at->sa.sa_family)), 0);
    ck_assert_int_eq(getsockname(fd, &at->sa, &at->len), 0);
    ck_assert_int_eq(listen(fd, 20), 0);
    ck_assert_int_eq(apr_os_sock_put(&lr->sd, &fd, pool), APR_SUCCESS);
}

static void setup(void)
{
    int i;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    memset(&seen, 0, sizeof(seen));
    memset(&say, 0, sizeof(say));
    say.idle = MANY;
    say.client = CLIENT;
    say.siblings = 1;
    server = (server_rec){.log = {.level = APLOG_DEBUG}};
    settings
        = (settings_t){.threads_per_child = MANY, .async_factor = 2};
    runtime = (runtime_t){.server = &server,
                          .settings = &settings,
                          .parking = PARKING,
                          .queue = QUEUE,
                          .heads = HEADS};
    now = START;
    for (i = 0; i < DOORS; i++) {
        listen_at(i);
    }
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* Whether both doors are open, which they are together: those that are not out
 * are watched then. */
static int is_open(void)
{
    int i;

    for (i = 0; i < DOORS; i++) {
        ck_assert_int_eq(seen.watched[i],
                         seen.accepting && seen.out[i] == NULL);
    }
    ck_assert_int_eq(say.siblings && seen.accepting, seen.hears);
    return seen.accepting;
}

static void create(int max_conns)
{
    ck_assert_int_eq(acceptor_create(&acceptor, &runtime, listeners,
                                     max_conns, pool),
                     APR_SUCCESS);
}

/* An acceptor with this MaxConnectionsPerChild that accepts. */
static void begin(int max_conns)
{
    create(max_conns);
    acceptor_review(acceptor, now);
    ck_assert(is_open());
    seen.watches = seen.unwatches = seen.others = 0;
}

static int taken(void)
{
    return seen.pushed + seen.waiting_for_request + seen.mine;
}

/* The door is ready again at once: how many are taken? */
static int again(int door)
{
    int before = taken();

    acceptor_accept(acceptor, seen.data[door], now);
    return taken() - before;
}

/* The same after a while. */
static int ready(int door)
{
    now += LATER;
    return again(door);
}

/* A worker pops the door, which is out, and stays busy with what it gets. */
static int turn(int door)
{
    fdqueue_entry_t *entry = seen.out[door];
    int before = taken();
    conn_t *conn;

    ck_assert_ptr_nonnull(entry);
    seen.out[door] = NULL;
    conn = acceptor_take(acceptor, entry);
    if (conn == NULL) {
        say.idle++;
    }
    else {
        seen.mine++;
        note_conn(conn);
    }
    return taken() - before;
}

/* Somebody waits at the door, and it goes out. */
static void send_out(int door)
{
    come(door, 1);
    ready(door);
    come(door, 1);
    again(door);
    ck_assert_ptr_nonnull(seen.out[door]);
    ck_assert(is_open());
}

/* One comes and is taken, or not. */
static int take_one(void)
{
    come(0, 1);
    return ready(0);
}

static int review(void)
{
    acceptor_review(acceptor, now);
    return is_open();
}

/* --- Starting ------------------------------------------------------------- */

START_TEST(it_accepts_nothing_before_the_first_review)
{
    apr_os_sock_t fd;
    int i;

    create(0);
    ck_assert(!is_open());
    ck_assert_int_eq(acceptor_due(acceptor), CLOCK_NEVER);
    /* A worker that is ready before that has the listener look. */
    ck_assert(acceptor_is_full(acceptor));
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 1);
    for (i = 0; i < DOORS; i++) {
        apr_os_sock_get(&fd, listeners[i].sd);
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
}
END_TEST

START_TEST(the_first_review_begins)
{
    begin(0);
    ck_assert(seen.exclusive);
    ck_assert(!acceptor_is_full(acceptor));
    ck_assert_ptr_nonnull(strstr(seen.logged, "AH00457"));
    ck_assert_ptr_nonnull(
        strstr(seen.logged, "0 active conns, 10000 idle workers"));
    ck_assert(review());
    ck_assert_int_eq(seen.watches + seen.unwatches + seen.others, 0);
}
END_TEST

START_TEST(without_siblings_all_are_told_of_everybody)
{
    say.siblings = 0;
    begin(0);
    ck_assert(!seen.exclusive);
    ck_assert_int_eq(take_one(), 1);
    come(0, 1);
    say.idle = 0;
    ck_assert(!review());
    acceptor_close(acceptor);
}
END_TEST

START_TEST(a_socket_that_cannot_be_watched_is_named)
{
    create(0);
    say.no_watch = APR_ENOMEM;
    server.log.level = APLOG_NOTICE;
    acceptor_review(acceptor, now);
    ck_assert_int_eq(seen.errors, 2);
    ck_assert_ptr_nonnull(strstr(seen.worst, "127.0.0.1:80"));
    ck_assert_ptr_nonnull(strstr(seen.logged, "AH02179"));
    ck_assert(!seen.watched[0]);
    ck_assert(seen.watched[1]);
    /* It is tried anew, after a pause. */
    ck_assert(!review());
    now = acceptor_due(acceptor);
    ck_assert(review());
    ck_assert_int_eq(seen.errors, 2);
}
END_TEST

/* --- Accepting ------------------------------------------------------------ */

START_TEST(who_comes_is_given_to_a_worker)
{
    begin(0);
    ck_assert_int_eq(take_one(), 1);
    ck_assert_int_eq(seen.pushed, 1);
    ck_assert_int_eq(seen.client, CLIENT);
    ck_assert_int_eq(seen.pools, 1);
    ck_assert_str_eq(seen.protocol, "http");
    come(1, 1);
    ck_assert_int_eq(ready(1), 1);
    ck_assert_str_eq(seen.protocol, "https");
    ck_assert_int_eq(seen.errors + seen.others, 0);
}
END_TEST

START_TEST(who_has_not_asked_yet_is_not)
{
    say.parks = 1;
    begin(0);
    ck_assert_int_eq(take_one(), 1);
    ck_assert_int_eq(seen.waiting_for_request, 1);
    ck_assert_int_eq(seen.pushed, 0);
    ck_assert_int_eq(seen.client, CLIENT);
}
END_TEST

START_TEST(one_at_a_time)
{
    begin(0);
    come(0, 3);
    ck_assert_int_eq(ready(0), 1);
    now += LATER;
    ck_assert_int_eq(ready(0), 1);
    now += LATER;
    ck_assert_int_eq(ready(0), 1);
}
END_TEST

START_TEST(in_a_burst_workers_accept)
{
    int i;

    begin(0);
    come(0, 5);
    ck_assert_int_eq(ready(0), 1);
    now += LATER - 1;
    ck_assert_int_eq(again(0), 0);
    ck_assert_ptr_nonnull(seen.out[0]);
    ck_assert(review());
    /* An event that was found before. */
    ck_assert_int_eq(again(0), 0);
    for (i = 1; i < 5; i++) {
        ck_assert_int_eq(turn(0), 1);
        ck_assert_int_eq(seen.mine, i);
        ck_assert_int_eq(seen.client, CLIENT);
        ck_assert_str_eq(seen.protocol, "http");
        ck_assert_ptr_nonnull(seen.out[0]);
    }
    ck_assert_int_eq(turn(0), 0);
    ck_assert_ptr_null(seen.out[0]);
    ck_assert(is_open());
    ck_assert_int_eq(seen.pushed, 1);
    ck_assert_int_eq(seen.pools, 5);
    ck_assert_int_eq(say.idle, MANY - 5);
    ck_assert_int_eq(seen.woken, 0);
    /* Soon there may be more. */
    come(0, 1);
    ck_assert_int_eq(again(0), 0);
    ck_assert_int_eq(turn(0), 1);
}
END_TEST

START_TEST(each_door_has_its_own_burst)
{
    begin(0);
    come(0, 2);
    come(1, 2);
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(again(1), 1);
    ck_assert_int_eq(again(0) + again(1), 0);
    ck_assert_int_eq(turn(1), 1);
    ck_assert_str_eq(seen.protocol, "https");
    ck_assert_int_eq(turn(0), 1);
    ck_assert_str_eq(seen.protocol, "http");
}
END_TEST

START_TEST(who_has_not_asked_yet_is_no_workers)
{
    say.parks = 1;
    begin(0);
    send_out(0);
    ck_assert_int_eq(turn(0), 1);
    ck_assert_int_eq(seen.waiting_for_request, 2);
    ck_assert_int_eq(seen.mine, 0);
    ck_assert_ptr_nonnull(seen.out[0]);
    /* The listener counts them. */
    ck_assert_int_eq(seen.woken, 1);
}
END_TEST

START_TEST(while_workers_are_behind_a_burst_is_slower)
{
    begin(0);
    say.waiting = 1;
    come(0, 3);
    now += apr_time_from_msec(5);
    ck_assert_int_eq(again(0), 1);
    now += apr_time_from_msec(5);
    ck_assert_int_eq(again(0), 1);
    now += apr_time_from_msec(5) - 1;
    ck_assert_int_eq(again(0), 0);
    ck_assert_ptr_nonnull(seen.out[0]);
}
END_TEST

/* They wait before the door's next turn. */
START_TEST(a_worker_takes_more_while_others_wait)
{
    begin(0);
    send_out(0);
    come(0, 9);
    say.waiting = 0;
    ck_assert_int_eq(turn(0), 1);
    say.waiting = 2;
    ck_assert_int_eq(turn(0), 3);
    ck_assert_int_eq(seen.mine, 2);
    ck_assert_int_eq(seen.pushed, 3);
    say.waiting = 1000;
    ck_assert_int_eq(turn(0), 6);
    ck_assert(is_open());
    ck_assert_ptr_null(seen.out[0]);
    say.crowd = 1;
    again(0);
    ck_assert_int_eq(turn(0), 64);
    ck_assert_ptr_nonnull(seen.out[0]);
}
END_TEST

/* A worker that has a door counts as idle, as it was; not one that runs what
 * it has got there. */
START_TEST(a_door_that_is_out_takes_no_worker)
{
    begin(0);
    send_out(0);
    come(0, 2);
    say.idle = 0; /* one for the door */
    ck_assert(review());
    ck_assert_int_eq(turn(0), 1);
    ck_assert_int_eq(seen.woken, 1); /* or nobody would look */
    ck_assert_int_eq(acceptor_errands(acceptor), 1);
    ck_assert(!review());
    ck_assert(acceptor_is_full(acceptor));
    ck_assert_int_eq(seen.knocks, 1);
    seen.woken = 0;
    ck_assert_int_eq(turn(0), 0);
    ck_assert_ptr_null(seen.out[0]);
    ck_assert(!is_open());
    say.idle = 1;
    acceptor_nudge(acceptor);
    ck_assert(review());
    ck_assert_int_eq(seen.pools, 2);
}
END_TEST

/* With a worker that takes more than it can run, too. */
START_TEST(nor_do_workers_take_more_than_the_rule_allows)
{
    begin(0);
    send_out(0);
    say.crowd = 1;
    say.waiting = 1000;
    say.idle = 4;
    ck_assert_int_eq(turn(0), 5);
    ck_assert_int_eq(turn(0), 0);
    ck_assert_ptr_null(seen.out[0]);
    ck_assert(is_open());
    say.idle = 0;
    ck_assert(!review());
}
END_TEST

START_TEST(who_is_refused_takes_no_worker)
{
    begin(0);
    send_out(0);
    say.client = CLIENTS_REFUSED;
    ck_assert_int_eq(turn(0), 0);
    ck_assert_ptr_nonnull(seen.out[0]);
    ck_assert_int_eq(seen.pools, 1);
    ck_assert(!acceptor_is_wanted(acceptor));
}
END_TEST

START_TEST(what_fails_for_a_worker_is_the_listeners)
{
    begin(0);
    send_out(0);
    say.error = EMFILE;
    say.errors = 2;
    ck_assert_int_eq(turn(0), 0);
    ck_assert(is_open());
    ck_assert_int_eq(seen.errors, 0);
    ck_assert_int_eq(again(0), 0);
    ck_assert_int_eq(say.errors, 0);
    ck_assert_int_eq(seen.errors, 1);
    ck_assert(acceptor_is_short(acceptor));
    ck_assert(!review());
    now += SHORTAGE_PAUSE;
    ck_assert(review());
    /* For as long as it is not known to be over. */
    come(0, 1);
    ck_assert_int_eq(again(0), 1);
    ck_assert_int_eq(again(0), 0);
    ck_assert_int_eq(turn(0), 1);
}
END_TEST

START_TEST(who_cannot_be_watched_again_stops_until_the_review)
{
    begin(0);
    send_out(0);
    ck_assert_int_eq(turn(0), 1);
    say.no_watch = APR_ENOMEM;
    ck_assert_int_eq(turn(0), 0);
    ck_assert(!is_open());
    ck_assert_int_eq(seen.woken, 1);
    ck_assert(review());
}
END_TEST

START_TEST(closed_nobody_comes_in_where_it_was_out)
{
    begin(0);
    send_out(0);
    acceptor_close(acceptor);
    ck_assert(!is_open());
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert_int_eq(turn(0), 0);
    ck_assert(!is_open());
    ck_assert_int_eq(seen.pools, 1);
}
END_TEST

START_TEST(stopped_and_begun_again_it_is_still_out)
{
    begin(0);
    send_out(0);
    atomic_store(&runtime.resting, 1);
    ck_assert(!review());
    atomic_store(&runtime.resting, 0);
    ck_assert(review());
    ck_assert_ptr_nonnull(seen.out[0]);
    ck_assert_int_eq(turn(0), 1);
}
END_TEST

START_TEST(the_last_may_be_a_workers)
{
    begin(3);
    atomic_store(&runtime.relieved, 1);
    send_out(0);
    come(0, 2);
    ck_assert_int_eq(turn(0), 1);
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
    ck_assert_int_eq(turn(0), 1);
    ck_assert_int_eq(seen.last, 1);
    ck_assert_int_eq(seen.mode, RUNTIME_DRAIN);
    ck_assert_int_eq(turn(0), 0);
    ck_assert_ptr_null(seen.out[0]);
}
END_TEST

START_TEST(no_more_than_the_rule_allows)
{
    begin(0);
    come(0, 7);
    ck_assert_int_eq(ready(0), 1);
    say.idle = 2;
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(ready(0), 0);
    say.idle = 3;
    say.young = 3;
    ck_assert_int_eq(ready(0), 0);
    say.young = 2;
    ck_assert_int_eq(ready(0), 1);
    say.idle = 1;
    say.young = 0;
    say.limited = MANY + 2;
    ck_assert_int_eq(ready(0), 0);
    say.limited--;
    ck_assert_int_eq(ready(0), 1);
    /* No worker need look, either. */
    say.idle = 0;
    ck_assert_int_eq(again(0), 0);
    ck_assert_ptr_null(seen.out[0]);
}
END_TEST

START_TEST(who_has_too_many_is_closed_and_not_counted)
{
    char byte;
    int fd;

    begin(1);
    say.client = CLIENTS_REFUSED;
    fd = connect_to(0);
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
    ck_assert_int_eq(seen.pools, 0);
    ck_assert_int_eq(seen.relief, 0);
    ck_assert_int_eq(say.conns, 0);
    come(0, 2);
    ck_assert_int_eq(ready(0) + ready(0), 0);
    ck_assert(!acceptor_is_wanted(acceptor));
    ck_assert_int_eq(seen.errors, 0);
}
END_TEST

START_TEST(a_late_event_finds_it_closed)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    say.idle = 1;
    come(0, 1);
    ck_assert_int_eq(ready(0), 0);
}
END_TEST

/* --- Siblings ------------------------------------------------------------- */

START_TEST(who_is_ahead_takes_one_and_moves_behind)
{
    begin(0);
    come(0, 2);
    ck_assert_int_eq(ready(0), 1);
    say.fewer = 1;
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(seen.unwatches, 1);
    ck_assert_int_eq(seen.watches, 1);
    ck_assert(seen.exclusive);
    ck_assert(is_open());
}
END_TEST

/* Each child takes as many as it can run; ahead is who has more waiting. */
START_TEST(in_a_burst_it_matters_if_others_wait)
{
    begin(0);
    say.fewer = 1;
    come(0, 9);
    ck_assert_int_eq(ready(0), 1);
    say.waiting = 5;
    ck_assert_int_eq(again(0), 1);
    ck_assert_int_eq(seen.watches, 2);
    say.waiting = 4;
    ck_assert_int_eq(again(0), 0);
    ck_assert_int_eq(turn(0), 5);
    ck_assert_ptr_nonnull(seen.out[0]);
    say.waiting = 50;
    ck_assert_int_eq(turn(0), 1);
    ck_assert_ptr_null(seen.out[0]);
    ck_assert(is_open());
}
END_TEST

START_TEST(who_cannot_move_behind_stops_until_the_review)
{
    begin(0);
    come(0, 1);
    say.fewer = 1;
    say.no_watch = APR_ENOMEM;
    ck_assert_int_eq(ready(0), 0);
    ck_assert(!is_open());
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert(review());
}
END_TEST

START_TEST(a_knock_is_for_who_watches)
{
    begin(0);
    send_out(0);
    seen.watches = seen.unwatches = 0;
    acceptor_accept(acceptor, seen.knocker, now);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_int_eq(seen.unwatches, DOORS - 1);
    ck_assert(is_open());
}
END_TEST

START_TEST(a_knock_is_answered_by_watching_anew)
{
    begin(0);
    come(0, 1);
    acceptor_accept(acceptor, seen.knocker, now);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_int_eq(seen.unwatches, DOORS);
    ck_assert_int_eq(seen.watches, DOORS);
    ck_assert(seen.exclusive);
    ck_assert(is_open());
    ck_assert_int_eq(seen.pushed, 0);
    ck_assert_int_eq(seen.knocks, 0);
}
END_TEST

START_TEST(who_has_stopped_passes_a_knock_on)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    ck_assert_int_eq(seen.knocks, 0);
    acceptor_accept(acceptor, seen.knocker, now);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert(!is_open());
}
END_TEST

START_TEST(so_does_who_cannot_watch_anew)
{
    begin(0);
    say.no_watch = APR_ENOMEM;
    acceptor_accept(acceptor, seen.knocker, now);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert(!is_open());
}
END_TEST

START_TEST(who_stops_knocks_if_somebody_waits)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    ck_assert_int_eq(seen.knocks, 0);
    say.idle = 1;
    ck_assert(review());
    come(1, 1);
    say.idle = 0;
    ck_assert(!review());
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert(!review());
    ck_assert_int_eq(seen.knocks, 1);
}
END_TEST

START_TEST(the_kernel_knows_whether_anybody_waits)
{
    begin(0);
    ck_assert(!acceptor_is_wanted(acceptor));
    come(1, 1);
    ck_assert(acceptor_is_wanted(acceptor));
    ck_assert_int_eq(ready(1), 1);
    ck_assert(!acceptor_is_wanted(acceptor));
}
END_TEST

/* --- Full ----------------------------------------------------------------- */

START_TEST(without_an_idle_worker_it_stops)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    ck_assert(acceptor_is_full(acceptor));
    ck_assert_int_eq(seen.others, 1);
    ck_assert_ptr_nonnull(strstr(seen.logged, "All workers are busy"));
    ck_assert(!review());
    ck_assert_int_eq(seen.others, 1);
    say.idle = 1;
    ck_assert(review());
    ck_assert(!acceptor_is_full(acceptor));
    ck_assert_int_eq(acceptor_due(acceptor), CLOCK_NEVER);
}
END_TEST

START_TEST(with_too_many_connections_it_stops)
{
    begin(0);
    say.idle = 1;
    say.limited = MANY + 2;
    ck_assert(!review());
    ck_assert(acceptor_is_full(acceptor));
    ck_assert_ptr_nonnull(
        strstr(seen.logged, "Too many open connections (10002)"));
    say.limited--;
    ck_assert(review());
}
END_TEST

START_TEST(who_is_about_to_ask_takes_a_worker)
{
    begin(0);
    say.idle = 3;
    say.young = 3;
    ck_assert(!review());
    say.young = 2;
    ck_assert(review());
}
END_TEST

START_TEST(a_worker_wakes_a_full_child_if_there_is_room)
{
    begin(0);
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 0);
    say.idle = 0;
    ck_assert(!review());
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 0);
    say.idle = 1;
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 1);
}
END_TEST

/* Wherever in a review a worker becomes idle: the listener sees that, or is
 * woken to see it. */
START_TEST(a_worker_that_becomes_idle_is_never_missed)
{
    begin(0);
    say.idle = 0;
    say.done_at = _i;
    if (!review()) {
        ck_assert_int_eq(seen.woken, 1);
        ck_assert(acceptor_is_full(acceptor));
    }
    else {
        ck_assert_int_eq(_i, 1);
        ck_assert(!acceptor_is_full(acceptor));
    }
    ck_assert_int_eq(say.done_at, 0);
    ck_assert(review());
}
END_TEST

START_TEST(who_rests_takes_nobody_and_makes_no_room)
{
    begin(0);
    say.conns = 3;
    atomic_store(&runtime.resting, 1);
    come(0, 1);
    ck_assert(!review());
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert_ptr_nonnull(strstr(seen.logged, "resting: 3 connections"));
    say.idle = 0;
    ck_assert(!review());
    ck_assert(!acceptor_is_full(acceptor));
    say.idle = 1;
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 0);
    ck_assert_int_eq(seen.others, 1);
    atomic_store(&runtime.resting, 0);
    ck_assert(review());
}
END_TEST

START_TEST(who_is_full_and_then_rests_is_full_no_longer)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    atomic_store(&runtime.resting, 1);
    ck_assert(!review());
    ck_assert(!acceptor_is_full(acceptor));
}
END_TEST

/* --- Errors of accept ----------------------------------------------------- */

static const apr_status_t passing[]
    = {EINTR, ECONNABORTED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH,
       EPROTO};

START_TEST(an_error_of_one_connection_is_passed_over)
{
    begin(0);
    come(0, 2);
    ck_assert_int_eq(ready(0), 1);
    say.error = passing[_i];
    say.errors = 1;
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_eq(ready(0), 1);
    ck_assert(review());
    ck_assert(!acceptor_is_short(acceptor));
    ck_assert_int_eq(seen.errors + seen.others, 0);
    ck_assert_int_eq(seen.pools, 2);
}
END_TEST

START_TEST(a_sibling_that_was_faster_is_no_error)
{
    begin(0);
    come(0, 3);
    ck_assert_int_eq(ready(0), 1);
    say.error = EAGAIN;
    say.errors = 1;
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_eq(say.errors, 0);
    ck_assert(review());
    ck_assert_int_eq(seen.errors + seen.others, 0);
    ck_assert_int_eq(seen.pools, 1);
    ck_assert_int_eq(ready(0), 1);
}
END_TEST

static const apr_status_t lasting[]
    = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENETDOWN, EPERM};

START_TEST(a_shortage_pauses)
{
    begin(0);
    come(0, 3);
    come(1, 1);
    ck_assert_int_eq(ready(0), 1);
    say.error = lasting[_i];
    say.errors = 1;
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_eq(seen.pools, 1);
    ck_assert_int_eq(seen.errors, 1);
    ck_assert_ptr_nonnull(strstr(seen.logged, "AH02179"));
    ck_assert(acceptor_is_short(acceptor));
    ck_assert_int_eq(acceptor_due(acceptor), now + SHORTAGE_PAUSE);
    /* Nor at the other door. */
    ck_assert_int_eq(again(1), 0);
    ck_assert(!review());
    /* Others can have who waits; no worker can help. */
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert(!acceptor_is_full(acceptor));
    now += SHORTAGE_PAUSE - 1;
    ck_assert(!review());
    now++;
    ck_assert(review());
    ck_assert(acceptor_is_short(acceptor));
    ck_assert_int_eq(ready(0), 1);
    ck_assert(!acceptor_is_short(acceptor));
}
END_TEST

START_TEST(so_does_one_of_memory)
{
    begin(0);
    say.no_pool = APR_ENOMEM;
    ck_assert_int_eq(take_one(), 0);
    ck_assert_int_eq(seen.errors, 1);
    ck_assert(acceptor_is_short(acceptor));
    ck_assert(acceptor_is_wanted(acceptor));
    ck_assert(!review());
}
END_TEST

/* A failure at each try, a longer pause each time. */
static void fail_again(apr_interval_time_t pause)
{
    ck_assert(review());
    say.errors = 1;
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_eq(say.errors, 0);
    ck_assert_int_eq(acceptor_due(acceptor), now + pause);
    now += pause;
}

START_TEST(its_beginning_and_its_end_are_said_once)
{
    int round;

    begin(0);
    server.log.level = APLOG_NOTICE;
    say.error = EMFILE;
    for (round = 1; round <= 2; round++) {
        come(0, 1);
        fail_again(SHORTAGE_PAUSE);
        ck_assert_int_eq(seen.errors, round);
        fail_again(2 * SHORTAGE_PAUSE);
        fail_again(4 * SHORTAGE_PAUSE);
        ck_assert_int_eq(seen.errors, round);
        ck_assert(review());
        ck_assert_int_eq(ready(0), 1);
        ck_assert_int_eq(seen.notices, round - 1);
        /* It has begun and ended for as long as this is not over. */
        now = acceptor_due(acceptor) - 1;
        ck_assert(review());
        ck_assert_int_eq(seen.notices, round - 1);
        now++;
        ck_assert(review());
        ck_assert(review());
        ck_assert_int_eq(seen.notices, round);
        ck_assert_str_eq(seen.logged, "accepting connections again");
        ck_assert_int_eq(acceptor_due(acceptor), CLOCK_NEVER);
    }
    ck_assert_int_eq(seen.errors, 2);
}
END_TEST

/* --- MaxConnectionsPerChild ----------------------------------------------- */

static const struct {
    int max;
    int asks_at;
} limits[] = {{1, 1}, {2, 2}, {7, 7}, {8, 7}, {15, 14}, {16, 14}, {100, 88}};

START_TEST(relief_is_asked_for_at_seven_eighths)
{
    int n;

    begin(limits[_i].max);
    for (n = 1; n <= limits[_i].max; n++) {
        ck_assert_int_eq(take_one(), 1);
        ck_assert_int_eq(seen.relief > 0, n >= limits[_i].asks_at);
    }
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
}
END_TEST

START_TEST(it_goes_on_until_it_is_relieved)
{
    static const int lasts[] = {0, 0, 1, 1, 1};
    int n;

    begin(3);
    for (n = 0; n < 5; n++) {
        ck_assert_int_eq(take_one(), 1);
        /* What is too many is not kept alive. */
        ck_assert_int_eq(seen.last, lasts[n]);
        ck_assert(review());
    }
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
    atomic_store(&runtime.relieved, 1);
    ck_assert_int_eq(take_one(), 0);
    acceptor_empty(acceptor, 1);
    ck_assert_int_eq(seen.pushed, 5);
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
    say.idle = 0;
    acceptor_review(acceptor, now);
    ck_assert_int_eq(seen.stop, RUNTIME_DRAIN);
    ck_assert_int_eq(seen.exit_code, 0);
    /* How it goes on is not the rule's any more. */
    ck_assert(!acceptor_is_full(acceptor));
    ck_assert_int_eq(seen.others, 0);
}
END_TEST

START_TEST(relieved_in_time_it_drains_with_the_last)
{
    say.parks = _i;
    begin(2);
    atomic_store(&runtime.relieved, 1);
    come(0, 4);
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
    ck_assert(review());
    ck_assert_int_eq(ready(0), 1);
    ck_assert_int_eq(seen.last, 1);
    /* Before anybody has seen it, so that its answers say "close". */
    ck_assert_int_eq(seen.mode, RUNTIME_DRAIN);
    ck_assert_int_eq(seen.exit_code, 0);
}
END_TEST

START_TEST(without_a_limit_none_is_the_last)
{
    int n;

    begin(-_i);
    atomic_store(&runtime.relieved, 1);
    for (n = 0; n < 5; n++) {
        ck_assert_int_eq(take_one(), 1);
        ck_assert_int_eq(seen.last, 0);
        ck_assert(review());
    }
    ck_assert_int_eq(seen.relief, 0);
    ck_assert_int_eq(seen.stop, RUNTIME_RUN);
}
END_TEST

/* --- Emptying and closing ------------------------------------------------- */

START_TEST(who_waits_at_the_end_is_taken_as_the_rule_allows)
{
    begin(0);
    come(0, 3);
    come(1, 3);
    say.idle = 4;
    acceptor_empty(acceptor, 0);
    ck_assert_int_eq(seen.pushed, 4);
    ck_assert(acceptor_is_wanted(acceptor));
}
END_TEST

START_TEST(or_all_if_nobody_else_is_there)
{
    begin(0);
    come(0, 3);
    come(1, 3);
    say.idle = 0;
    /* It may well have stopped before that. */
    ck_assert(!review());
    acceptor_empty(acceptor, 1);
    ck_assert_int_eq(seen.pushed, 6);
    ck_assert(!acceptor_is_wanted(acceptor));
    ck_assert_int_eq(seen.pools, 6);
}
END_TEST

START_TEST(but_no_more_than_a_backlog)
{
    begin(0);
    say.crowd = 1;
    acceptor_empty(acceptor, 1);
    ck_assert_int_eq(seen.pushed, DOORS * 512);
}
END_TEST

static const struct {
    apr_status_t error;
    int pushed;
} emptying[] = {{EINTR, 4}, {ECONNABORTED, 4}, {EAGAIN, 2}, {EMFILE, 2}};

START_TEST(an_error_ends_the_emptying_of_its_door_only)
{
    begin(0);
    come(0, 2);
    come(1, 2);
    say.error = emptying[_i].error;
    say.errors = 1;
    acceptor_empty(acceptor, 1);
    ck_assert_int_eq(seen.pushed, emptying[_i].pushed);
    ck_assert_int_eq(seen.errors, 0);
}
END_TEST

START_TEST(closed_it_takes_nobody_and_waits_for_nothing)
{
    begin(0);
    say.error = EMFILE;
    say.errors = 1;
    come(0, 1);
    ck_assert_int_eq(ready(0), 0);
    ck_assert_int_ne(acceptor_due(acceptor), CLOCK_NEVER);
    acceptor_close(acceptor);
    ck_assert(!is_open());
    /* A sibling can have who waits. */
    ck_assert_int_eq(seen.knocks, 1);
    ck_assert_int_eq(listeners[0].active + listeners[1].active, 0);
    ck_assert_int_eq(connect_to(0), -1);
    ck_assert_int_eq(connect_to(1), -1);
    ck_assert_int_eq(acceptor_due(acceptor), CLOCK_NEVER);
    ck_assert(!acceptor_is_wanted(acceptor));
    now += apr_time_from_sec(10);
    ck_assert(!review());
    acceptor_empty(acceptor, 1);
    acceptor_close(acceptor);
    ck_assert_int_eq(seen.pushed, 0);
    ck_assert_int_eq(seen.unwatches, DOORS);
    ck_assert_int_eq(seen.notices, 0);
}
END_TEST

START_TEST(closed_while_full_nobody_wakes_it)
{
    begin(0);
    say.idle = 0;
    ck_assert(!review());
    seen.unwatches = 0;
    acceptor_close(acceptor);
    ck_assert_int_eq(seen.unwatches, 0);
    ck_assert(!acceptor_is_full(acceptor));
    say.idle = 1;
    acceptor_nudge(acceptor);
    ck_assert_int_eq(seen.woken, 0);
}
END_TEST

/* --- All of them ---------------------------------------------------------- */

#define NUMBER(table) ((int)(sizeof(table) / sizeof((table)[0])))

static TCase *group(Suite *s, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    suite_add_tcase(s, tc);
    return tc;
}

static Suite *suite(void)
{
    Suite *s = suite_create("acceptor");
    TCase *tc;

    tc = group(s, "start");
    tcase_add_test(tc, it_accepts_nothing_before_the_first_review);
    tcase_add_test(tc, the_first_review_begins);
    tcase_add_test(tc, without_siblings_all_are_told_of_everybody);
    tcase_add_test(tc, a_socket_that_cannot_be_watched_is_named);

    tc = group(s, "accept");
    tcase_add_test(tc, who_comes_is_given_to_a_worker);
    tcase_add_test(tc, who_has_not_asked_yet_is_not);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, in_a_burst_workers_accept);
    tcase_add_test(tc, each_door_has_its_own_burst);
    tcase_add_test(tc, who_has_not_asked_yet_is_no_workers);
    tcase_add_test(tc, while_workers_are_behind_a_burst_is_slower);
    tcase_add_test(tc, a_worker_takes_more_while_others_wait);
    tcase_add_test(tc, a_door_that_is_out_takes_no_worker);
    tcase_add_test(tc, nor_do_workers_take_more_than_the_rule_allows);
    tcase_add_test(tc, who_is_refused_takes_no_worker);
    tcase_add_test(tc, what_fails_for_a_worker_is_the_listeners);
    tcase_add_test(tc, who_cannot_be_watched_again_stops_until_the_review);
    tcase_add_test(tc, closed_nobody_comes_in_where_it_was_out);
    tcase_add_test(tc, stopped_and_begun_again_it_is_still_out);
    tcase_add_test(tc, the_last_may_be_a_workers);
    tcase_add_test(tc, no_more_than_the_rule_allows);
    tcase_add_test(tc, who_has_too_many_is_closed_and_not_counted);
    tcase_add_test(tc, a_late_event_finds_it_closed);

    tc = group(s, "siblings");
    tcase_add_test(tc, who_is_ahead_takes_one_and_moves_behind);
    tcase_add_test(tc, in_a_burst_it_matters_if_others_wait);
    tcase_add_test(tc, who_cannot_move_behind_stops_until_the_review);
    tcase_add_test(tc, a_knock_is_for_who_watches);
    tcase_add_test(tc, a_knock_is_answered_by_watching_anew);
    tcase_add_test(tc, who_has_stopped_passes_a_knock_on);
    tcase_add_test(tc, so_does_who_cannot_watch_anew);
    tcase_add_test(tc, who_stops_knocks_if_somebody_waits);
    tcase_add_test(tc, the_kernel_knows_whether_anybody_waits);

    tc = group(s, "full");
    tcase_add_test(tc, without_an_idle_worker_it_stops);
    tcase_add_test(tc, with_too_many_connections_it_stops);
    tcase_add_test(tc, who_is_about_to_ask_takes_a_worker);
    tcase_add_test(tc, a_worker_wakes_a_full_child_if_there_is_room);
    tcase_add_loop_test(tc, a_worker_that_becomes_idle_is_never_missed, 1, 4);
    tcase_add_test(tc, who_rests_takes_nobody_and_makes_no_room);
    tcase_add_test(tc, who_is_full_and_then_rests_is_full_no_longer);

    tc = group(s, "errors");
    tcase_add_loop_test(tc, an_error_of_one_connection_is_passed_over, 0,
                        NUMBER(passing));
    tcase_add_test(tc, a_sibling_that_was_faster_is_no_error);
    tcase_add_loop_test(tc, a_shortage_pauses, 0, NUMBER(lasting));
    tcase_add_test(tc, so_does_one_of_memory);
    tcase_add_test(tc, its_beginning_and_its_end_are_said_once);

    tc = group(s, "max");
    tcase_add_loop_test(tc, relief_is_asked_for_at_seven_eighths, 0,
                        NUMBER(limits));
    tcase_add_test(tc, it_goes_on_until_it_is_relieved);
    tcase_add_loop_test(tc, relieved_in_time_it_drains_with_the_last, 0, 2);
    tcase_add_loop_test(tc, without_a_limit_none_is_the_last, 0, 2);

    tc = group(s, "end");
    tcase_add_test(tc, who_waits_at_the_end_is_taken_as_the_rule_allows);
    tcase_add_test(tc, or_all_if_nobody_else_is_there);
    tcase_add_test(tc, but_no_more_than_a_backlog);
    tcase_add_loop_test(tc, an_error_ends_the_emptying_of_its_door_only, 0,
                        NUMBER(emptying));
    tcase_add_test(tc, closed_it_takes_nobody_and_waits_for_nothing);
    tcase_add_test(tc, closed_while_full_nobody_wakes_it);
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
