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
 * check_turn: what becomes of a connection after a turn on a worker, by what
 * its modules have left it in, and what modules are told meanwhile.
 *
 * conn and session are the real ones. httpd's core and its modules, parking,
 * the queue and the pools are the functions at the top: they answer what the
 * test says and note what turn wants of them.
 */

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apr_buckets.h"
#include "apr_general.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"

#include "httpd.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "http_vhost.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "util_filter.h"

#include "quota.h"
#include "turn.h"

module AP_MODULE_DECLARE_DATA mpm_event_module;
int ap_graceful_shutdown_timeout;

#define SLOT 3
#define THREAD_LIMIT 64
#define WORKER 5
#define OTHER 6 /* another worker */

#define PROCESSING CONN_STATE_PROCESSING
#define KEEPALIVE CONN_STATE_KEEPALIVE
#define WRITE CONN_STATE_WRITE_COMPLETION

/* These are only looked at from outside. */
static int cell, first_thread, other_thread, socket_of_client;
#define CELL ((ap_sb_handle_t *)&cell)
#define THREAD ((apr_thread_t *)&first_thread)
#define OTHER_THREAD ((apr_thread_t *)&other_thread)
#define CSD ((apr_socket_t *)&socket_of_client)
#define BUCKETS ((apr_bucket_alloc_t *)&cell)
#define QUEUE ((fdqueue_t *)&cell)

static apr_pool_t *pool;
static settings_t settings;
static server_rec server, host; /* the address' first is the host */
static runtime_t runtime;
static conn_t *conn;
static conn_rec c;
static void *config[1]; /* of c */
static request_rec request;

/* What is met on the way. */
static struct {
    const char *steps[32]; /* one for each hook, in their order */
    int num_steps;
    int suspended, resumed, processed, flushed;
    int status;       /* the last of the worker's cell */
    int cell_worker;  /* whose the cell is */
    int cell_given;   /* c had it when it was told of the end of waiting */
    int parked;       /* in this state; -1: it is not */
    int requeued, held, put, closed;
    char logged[300]; /* the last message */
    int num_logged;
    int woken;          /* the listener, so often */
} seen;

/* What the modules, the client and the other rooms answer. */
static struct {
    int refuses;        /* create_connection */
    int pre_connection;
    int processing;     /* process_connection */
    conn_state_e state; /* what it leaves the connection in */
    conn_sense_e sense; /* and waits for */
    int aborts;         /* the client is gone */
    ap_conn_keepalive_e keepalive;
    int output;         /* it leaves so many parts of its answer */
    int room;           /* of which each flush can send so many */
    apr_status_t flush;
    int pipelined;      /* so many requests are there at once */
    const char *protocol;
    int waiting;        /* fdqueue_waiting */
    int spare;          /* the listener has to hear of the pool */
    int armed_late;     /* what is parked is ready at once */
    runtime_stop_e mode;
} say;

static void step(const char *name)
{
    ck_assert_int_lt(seen.num_steps, 32);
    seen.steps[seen.num_steps++] = name;
}

/* All steps up to now, as one text. */
static const char *steps(void)
{
    const char *all = "";
    int i;

    for (i = 0; i < seen.num_steps; i++) {
        all = apr_pstrcat(pool, all, i > 0 ? " " : "", seen.steps[i], NULL);
    }
    return all;
}

/* --- httpd's core and its modules ----------------------------------------- */

AP_DECLARE(void) ap_create_sb_handle(ap_sb_handle_t **sbh, apr_pool_t *p,
                                     int child, int thread)
{
    ck_assert_ptr_eq(p, conn->pool);
    ck_assert_int_eq(child, SLOT);
    seen.cell_worker = thread;
    *sbh = CELL;
}

AP_DECLARE(void) ap_update_sb_handle(ap_sb_handle_t *sbh, int child,
                                     int thread)
{
    ck_assert_ptr_eq(sbh, CELL);
    ck_assert_int_eq(child, SLOT);
    seen.cell_worker = thread;
}

AP_DECLARE(int) ap_update_child_status(ap_sb_handle_t *sbh, int status,
                                       request_rec *r)
{
    ck_assert_ptr_eq(sbh, CELL);
    ck_assert_ptr_null(r);
    seen.status = status;
    return 0;
}

static apr_status_t c_is_gone(void *data)
{
    ck_assert_ptr_eq(data, &c);
    step("gone");
    return APR_SUCCESS;
}

AP_DECLARE(conn_rec *) ap_run_create_connection(apr_pool_t *p, server_rec *s,
                                                apr_socket_t *csd, long id,
                                                void *sbh,
                                                apr_bucket_alloc_t *buckets)
{
    step("create");
    ck_assert_ptr_eq(p, conn->pool);
    ck_assert_ptr_eq(s, &server);
    ck_assert_ptr_eq(csd, CSD);
    ck_assert_ptr_eq(buckets, BUCKETS);
    if (say.refuses) {
        return NULL;
    }
    c = (conn_rec){.pool = p,
                   .base_server = s,
                   .id = id,
                   .sbh = sbh,
                   .bucket_alloc = buckets,
                   .conn_config = (ap_conf_vector_t *)config,
                   .notes = apr_table_make(p, 1)};
    return &c;
}

AP_DECLARE(void) ap_update_vhost_given_ip(conn_rec *asked)
{
    ck_assert_ptr_eq(asked, &c);
    step("vhost");
    c.base_server = &host;
}

AP_DECLARE(int) ap_pre_connection(conn_rec *asked, void *csd)
{
    step("pre");
    ck_assert_ptr_eq(asked, &c);
    ck_assert_ptr_eq(csd, CSD);
    ck_assert_ptr_eq(conn_of(&c), conn);
    ck_assert_ptr_eq(c.cs, &conn->cs);
    ck_assert_ptr_eq(c.current_thread, THREAD);
    ck_assert_ptr_eq(c.base_server, &host);
    /* A module's last chance to clean up. */
    apr_pool_cleanup_register(c.pool, &c, c_is_gone, apr_pool_cleanup_null);
    /* Whatever a module writes there. */
    c.cs->state = CONN_STATE_SUSPENDED;
    c.cs->sense = CONN_SENSE_WANT_READ;
    return say.pre_connection;
}

AP_DECLARE(int) ap_run_process_connection(conn_rec *run)
{
    void *running = NULL;

    step("process");
    ck_assert_ptr_eq(run, &c);
    ck_assert_int_eq(c.cs->state, PROCESSING);
    ck_assert_int_eq(conn->counted, STATUS_NONE);
    ck_assert_int_eq(c.cs->sense, CONN_SENSE_DEFAULT);
    ck_assert_ptr_eq(c.sbh, CELL);
    apr_threadkey_private_get(&running, runtime.running);
    ck_assert_ptr_eq(running, &conn->session);
    ck_assert_ptr_eq(conn->session.c, &c);
    seen.processed++;
    c.cs->state = say.state;
    c.cs->sense = say.sense;
    c.aborted = say.aborts;
    c.keepalive = say.keepalive;
    c.data_in_output_filters = say.output;
    if (say.pipelined > 0) {
        say.pipelined--;
    }
    c.data_in_input_filters = say.pipelined > 0;
    return say.processing;
}

static apr_status_t send_some(ap_filter_t *f, apr_bucket_brigade *bb)
{
    step("flush");
    ck_assert_ptr_null(f->next);
    ck_assert_ptr_null(bb);
    ck_assert_int_eq(seen.status, SERVER_BUSY_WRITE);
    seen.flushed++;
    c.data_in_output_filters
        -= say.room < say.output ? say.room : say.output;
    return say.flush;
}

static apr_status_t not_the_last(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ck_abort_msg("called %p %p", (void *)f, (void *)bb);
    return APR_EGENERAL;
}

AP_DECLARE(void) ap_run_suspend_connection(conn_rec *told, request_rec *r)
{
    step("suspend");
    ck_assert_ptr_eq(told, &c);
    ck_assert_ptr_eq(r, conn->r);
    ck_assert_ptr_eq(c.sbh, CELL);
    seen.suspended++;
}

AP_DECLARE(void) ap_run_resume_connection(conn_rec *told, request_rec *r)
{
    step("resume");
    ck_assert_ptr_eq(told, &c);
    ck_assert_ptr_eq(r, conn->r);
    seen.cell_given = c.sbh == CELL;
    seen.resumed++;
}

AP_DECLARE(const char *) ap_get_protocol(conn_rec *asked)
{
    ck_assert_ptr_eq(asked, &c);
    return say.protocol;
}

AP_DECLARE(int) ap_ssl_conn_is_ssl(conn_rec *asked)
{
    ck_assert_ptr_eq(asked, &c);
    return 0;
}

static void note_message(int level, const char *fmt, va_list args)
{
    ck_assert_int_eq(level & APLOG_LEVELMASK, APLOG_DEBUG);
    seen.num_logged++;
    apr_vsnprintf(seen.logged, sizeof(seen.logged), fmt, args);
}

AP_DECLARE(void) ap_log_cerror_(const char *file, int line, int module_index,
                                int level, apr_status_t status,
                                const conn_rec *of, const char *fmt, ...)
{
    va_list args;

    ck_assert_msg(file != NULL && of == &c, "%d %d", line, module_index);
    ck_assert_int_eq(status, say.flush);
    va_start(args, fmt);
    note_message(level, fmt, args);
    va_end(args);
}

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    ck_abort_msg("%s %d %d %d %d %p %s", file, line, module_index, level,
                 status, (const void *)s, fmt);
}

/* In the debug build only. */
AP_DECLARE(void) ap_log_assert(const char *what, const char *file, int line)
{
    ck_abort_msg("%s:%d: %s", file, line, what);
    abort();
}

APR_DECLARE_NONSTD(apr_bucket_alloc_t *) apr_bucket_alloc_create(apr_pool_t *p)
{
    ck_assert_ptr_eq(p, conn->pool);
    return BUCKETS;
}

/* --- The other rooms ------------------------------------------------------ */

runtime_stop_e runtime_stop_mode(const runtime_t *of)
{
    ck_assert_ptr_eq(of, &runtime);
    return say.mode;
}

void runtime_conn_gone(runtime_t *of)
{
    ck_assert_ptr_eq(of, &runtime);
    step("counted");
}

void parking_init(parked_t *parked, apr_socket_t *csd, apr_pool_t *p)
{
    ck_assert_ptr_nonnull(parked);
    ck_assert_ptr_eq(csd, CSD);
    ck_assert_ptr_nonnull(p);
}

int parking_put(parking_t *parking, parked_t **parked, int tag,
                apr_int16_t events, apr_interval_time_t timeout,
                apr_time_t now)
{
    ck_assert_ptr_null(parking);
    ck_assert_ptr_eq(*parked, &conn->parked);
    ck_assert_int_ne(events, 0);
    ck_assert_int_gt(timeout, 0);
    ck_assert_int_gt(now, 0);
    seen.parked = tag;
    return !say.armed_late;
}

void parking_wake(parking_t *parking)
{
    ck_assert_ptr_null(parking);
    seen.woken++;
}

int fdqueue_waiting(const fdqueue_t *queue)
{
    ck_assert_ptr_eq(queue, QUEUE);
    return say.waiting;
}

void fdqueue_push(fdqueue_t *queue, fdqueue_entry_t **entry,
                  fdqueue_line_e line)
{
    ck_assert_ptr_eq(queue, QUEUE);
    ck_assert_ptr_eq(*entry, &conn->entry);
    ck_assert_int_eq(line, FDQUEUE_NOW);
    seen.requeued++;
}

void held_put(held_t *held, held_entry_t *entry)
{
    ck_assert_ptr_null(held);
    ck_assert_ptr_eq(entry, &conn->held);
    seen.held++;
}

int ptrans_put(ptrans_t *ptrans, apr_pool_t **given)
{
    ck_assert_ptr_null(ptrans);
    seen.put++;
    apr_pool_destroy(*given);
    *given = NULL;
    return say.spare;
}

void quota_leave(runtime_t *of, int client)
{
    ck_assert_ptr_eq(of, &runtime);
    ck_assert_int_eq(client, CLIENTS_UNCOUNTED);
}

void status_opened(status_t *status)
{
    ck_assert_ptr_eq(status, &runtime.status);
}

void status_closed(status_t *status)
{
    ck_assert_ptr_eq(status, &runtime.status);
}

void status_move(status_t *status, status_count_e from, status_count_e to)
{
    ck_assert_ptr_eq(status, &runtime.status);
    ck_assert_int_ge(from, 0);
    ck_assert_int_ge(to, 0);
}

APR_DECLARE(apr_status_t) apr_os_sock_get(apr_os_sock_t *fd, apr_socket_t *of)
{
    ck_assert_ptr_eq(of, CSD);
    *fd = 7;
    return APR_SUCCESS;
}

APR_DECLARE(apr_status_t) apr_socket_close(apr_socket_t *csd)
{
    ck_assert_ptr_eq(csd, CSD);
    seen.closed++;
    return APR_SUCCESS;
}

/* --- A connection --------------------------------------------------------- */

static ap_filter_rec_t last_rec = {.filter_func.out_func = send_some};
static ap_filter_rec_t other_rec = {.filter_func.out_func = not_the_last};
static ap_filter_t last_filter = {.frec = &last_rec};
static ap_filter_t first_filter = {.frec = &other_rec, .next = &last_filter};

/* As the listener makes it. */
static void accept_one(void)
{
    apr_pool_t *own;

    ck_assert_int_eq(apr_pool_create(&own, pool), APR_SUCCESS);
    conn = conn_make(&runtime, own, CSD);
#ifdef EVENT_DEBUG
    conn->owner = CONN_OWNER_WORKER;
#endif
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    server = (server_rec){.timeout = apr_time_from_sec(60),
                          .keep_alive_timeout = apr_time_from_sec(5),
                          .log = {.level = APLOG_DEBUG}};
    host = server;
    settings = (settings_t){.thread_limit = THREAD_LIMIT};
    runtime = (runtime_t){.server = &server,
                          .settings = &settings,
                          .slot = SLOT,
                          .queue = QUEUE};
    ck_assert_int_eq(
        apr_threadkey_private_create(&runtime.running, NULL, pool),
        APR_SUCCESS);
    memset(&say, 0, sizeof(say));
    say.state = WRITE;
    say.keepalive = AP_CONN_KEEPALIVE;
    say.protocol = "http/1.1";
    memset(&seen, 0, sizeof(seen));
    seen.parked = seen.status = seen.cell_worker = -1;
    accept_one();
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* A turn of this worker; the filters are there once c is. */
static conn_verdict_e turn_of(int worker, apr_thread_t *thread)
{
    conn_verdict_e verdict;
    void *running;

    if (conn->c != NULL) {
        c.output_filters = &first_filter;
    }
    verdict = turn_run(conn, worker, thread);
    apr_threadkey_private_get(&running, runtime.running);
    ck_assert_ptr_null(running);
    return verdict;
}

static conn_verdict_e turn(void)
{
    return turn_of(WORKER, THREAD);
}

/* It has been opened and is parked for its next request. */
static void keep_alive(void)
{
    conn_t *given = conn;

    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, KEEPALIVE);
    ck_assert(conn_park(&given));
    ck_assert_ptr_null(given);
    ck_assert_int_eq(seen.parked, KEEPALIVE);
    ck_assert_ptr_null(c.sbh);
    memset(seen.steps, 0, sizeof(seen.steps));
    seen.num_steps = seen.processed = 0;
}

/* The listener gives it back. */
static void unpark(parking_verdict_e verdict)
{
#ifdef EVENT_DEBUG
    conn->owner = CONN_OWNER_WORKER;
#endif
    conn_unpark(conn, verdict);
}

static void close_it(void)
{
    conn_t *given = conn;

    conn_close(&given);
    ck_assert_ptr_null(given);
    ck_assert_int_eq(seen.put, 1);
}

/* What a turn of an opened connection that is in this state answers. */
static conn_verdict_e run_in(conn_state_e state)
{
    keep_alive();
    unpark(PARKING_READY);
    conn->cs.state = state;
    return turn();
}

/* --- A new connection ----------------------------------------------------- */

START_TEST(a_new_connection_is_opened_and_processed)
{
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_str_eq(steps(), "create vhost pre process");
    ck_assert_int_eq(seen.cell_worker, WORKER);
    ck_assert_int_eq(c.id, SLOT * THREAD_LIMIT + WORKER);
    ck_assert_ptr_eq(conn->c, &c);
    ck_assert_ptr_eq(conn->sbh, CELL);
    /* Whose time-outs hold until a request says. */
    ck_assert_ptr_eq(conn->server, &host);
    ck_assert_int_eq(seen.num_logged, 0);
}
END_TEST

START_TEST(who_is_not_created_is_forgotten)
{
    say.refuses = 1;
    ck_assert_int_eq(turn(), CONN_CLOSE);
    ck_assert_str_eq(steps(), "create");
    ck_assert_int_eq(conn->fd, -1);
    close_it();
    /* Its socket is closed by who has refused it. */
    ck_assert_int_eq(seen.closed, 0);
    ck_assert_int_eq(seen.resumed, 0);
}
END_TEST

static const int refusals[] = {DECLINED, HTTP_FORBIDDEN, AP_FILTER_ERROR};

START_TEST(who_is_refused_is_closed_unprocessed)
{
    say.pre_connection = refusals[_i];
    ck_assert_int_eq(turn(), CONN_CLOSE);
    ck_assert_str_eq(steps(), "create vhost pre");
    ck_assert_int_eq(seen.num_logged, 1);
    ck_assert_ptr_nonnull(strstr(seen.logged, "AH00469"));
    close_it();
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(seen.resumed, 0);
}
END_TEST

/* A listener that sleeps would not free it. The parameter: is it one? */
START_TEST(of_a_spare_pool_the_listener_hears)
{
    keep_alive();
    unpark(PARKING_READY);
    seen.woken = 0;
    say.spare = _i;
    close_it();
    ck_assert_int_eq(seen.woken, _i);
}
END_TEST

START_TEST(done_before_the_connection_is_no_refusal)
{
    say.pre_connection = DONE;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(seen.processed, 1);
}
END_TEST

/* --- After process_connection --------------------------------------------- */

/* What a module returns and leaves, and what comes of it. */
static const struct {
    int rc;
    conn_state_e state;
    int aborted;
    conn_verdict_e verdict;
    conn_state_e next;
    int logged;
} ends[] = {
    /* In 2.4 modules that know nothing of MPMs leave it as it was. */
    {OK, PROCESSING, 0, CONN_LINGER, CONN_STATE_LINGER, 0},
    {DONE, PROCESSING, 0, CONN_LINGER, CONN_STATE_LINGER, 0},
    {OK, CONN_STATE_LINGER, 0, CONN_LINGER, CONN_STATE_LINGER, 0},
    {DONE, CONN_STATE_LINGER, 1, CONN_LINGER, CONN_STATE_LINGER, 0},
    {OK, WRITE, 0, CONN_PARK, KEEPALIVE, 0},
    {DONE, WRITE, 0, CONN_PARK, KEEPALIVE, 0},
    {OK, KEEPALIVE, 0, CONN_PARK, KEEPALIVE, 0},
    {OK, CONN_STATE_ASYNC_WAITIO, 0, CONN_PARK, CONN_STATE_ASYNC_WAITIO, 0},
    {DONE, CONN_STATE_ASYNC_WAITIO, 0, CONN_PARK, CONN_STATE_ASYNC_WAITIO,
     0},
    {OK, CONN_STATE_SUSPENDED, 0, CONN_HOLD, CONN_STATE_SUSPENDED, 0},
    {DONE, CONN_STATE_SUSPENDED, 0, CONN_HOLD, CONN_STATE_SUSPENDED, 0},
    /* Nobody is there to wait for. */
    {OK, WRITE, 1, CONN_LINGER, CONN_STATE_LINGER, 0},
    {OK, KEEPALIVE, 1, CONN_LINGER, CONN_STATE_LINGER, 0},
    {OK, CONN_STATE_ASYNC_WAITIO, 1, CONN_LINGER, CONN_STATE_LINGER, 0},
    {OK, CONN_STATE_SUSPENDED, 1, CONN_LINGER, CONN_STATE_LINGER, 0},
    /* No module may leave these. */
    {OK, CONN_STATE_HANDLER, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {OK, CONN_STATE_LINGER_NORMAL, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {DONE, CONN_STATE_LINGER_SHORT, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    /* It has failed, or nobody knew what to do. */
    {DECLINED, PROCESSING, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {DECLINED, WRITE, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {HTTP_BAD_REQUEST, WRITE, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {HTTP_BAD_REQUEST, KEEPALIVE, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {SUSPENDED, CONN_STATE_SUSPENDED, 0, CONN_LINGER, CONN_STATE_LINGER, 1},
    {DECLINED, CONN_STATE_ASYNC_WAITIO, 0, CONN_LINGER, CONN_STATE_LINGER,
     1},
};

START_TEST(what_modules_leave_is_obeyed_or_closed)
{
    say.processing = ends[_i].rc;
    say.state = ends[_i].state;
    say.aborts = ends[_i].aborted;
    ck_assert_int_eq(turn(), ends[_i].verdict);
    ck_assert_int_eq(conn->cs.state, ends[_i].next);
    ck_assert_int_eq(seen.processed, 1);
    ck_assert_int_eq(seen.flushed, 0);
    ck_assert_int_eq(seen.num_logged, ends[_i].logged);
    ck_assert_int_eq(strstr(seen.logged, "AH10111") != NULL, ends[_i].logged);
}
END_TEST

START_TEST(what_waits_is_counted_as_what_it_waits_for)
{
    say.state = CONN_STATE_ASYNC_WAITIO;
    turn();
    ck_assert_int_eq(conn->counted, STATUS_WAIT_IO);
    unpark(PARKING_READY);
    ck_assert_int_eq(conn->counted, STATUS_NONE);
    say.state = WRITE;
    turn();
    ck_assert_int_eq(conn->counted, STATUS_KEEPALIVE);
    unpark(PARKING_READY);
    say.output = 1;
    turn();
    ck_assert_int_eq(conn->counted, STATUS_WRITE);
    unpark(PARKING_EXPIRED);
    turn();
    ck_assert_int_eq(conn->counted, STATUS_NONE);
}
END_TEST

/* --- After an answer ------------------------------------------------------ */

START_TEST(what_can_be_sent_is_sent)
{
    keep_alive();
    unpark(PARKING_READY);
    say.output = say.room = 2;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, KEEPALIVE);
    ck_assert_str_eq(steps(), "resume process flush");
    ck_assert_int_eq(seen.status, SERVER_BUSY_WRITE);
}
END_TEST

START_TEST(the_rest_waits_for_the_client)
{
    keep_alive();
    unpark(PARKING_READY);
    say.output = 3;
    say.room = 1;
    /* There is more to be sent first, whatever else there is. */
    say.pipelined = 2;
    say.keepalive = AP_CONN_CLOSE;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, WRITE);
    unpark(PARKING_READY);
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, WRITE);
    unpark(PARKING_READY);
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(conn->cs.state, CONN_STATE_LINGER);
    ck_assert_int_eq(seen.processed, 1);
    ck_assert_int_eq(seen.flushed, 3);
}
END_TEST

START_TEST(who_cannot_be_written_to_is_closed)
{
    keep_alive();
    unpark(PARKING_READY);
    say.output = 2;
    say.room = 1;
    say.flush = APR_ECONNRESET;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(conn->cs.state, CONN_STATE_LINGER);
    ck_assert_int_eq(seen.num_logged, 1);
    ck_assert_ptr_nonnull(strstr(seen.logged, "AH00470"));
    ck_assert_ptr_nonnull(strstr(seen.logged, "\"write completion\""));
}
END_TEST

/* TLS may have to read before it can write on. */
START_TEST(a_module_may_wait_for_the_client_to_write_first)
{
    say.sense = CONN_SENSE_WANT_READ;
    say.keepalive = AP_CONN_CLOSE;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, WRITE);
    ck_assert_int_eq(conn->counted, STATUS_WRITE);
}
END_TEST

static const ap_conn_keepalive_e lasts[]
    = {AP_CONN_CLOSE, AP_CONN_UNKNOWN};

START_TEST(who_is_not_kept_alive_is_closed)
{
    say.keepalive = lasts[_i];
    say.pipelined = 2;
    say.waiting = 1;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(conn->cs.state, CONN_STATE_LINGER);
    ck_assert_int_eq(seen.processed, 1);
}
END_TEST

START_TEST(who_has_gone_meanwhile_is_closed)
{
    keep_alive();
    unpark(PARKING_READY);
    conn->cs.state = WRITE;
    c.aborted = 1;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(seen.processed, 0);
}
END_TEST

START_TEST(nothing_is_sent_to_who_has_gone)
{
    keep_alive();
    unpark(PARKING_READY);
    say.aborts = 1;
    say.output = 2;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(seen.flushed, 0);
}
END_TEST

/* --- Pipelined ------------------------------------------------------------ */

START_TEST(pipelined_requests_are_answered_in_one_turn)
{
    say.pipelined = 4;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, KEEPALIVE);
    ck_assert_int_eq(seen.processed, 4);
}
END_TEST

START_TEST(one_each_when_others_wait)
{
    conn_t *given = conn;

    say.pipelined = 3;
    say.waiting = 1;
    ck_assert_int_eq(turn(), CONN_AGAIN);
    ck_assert_int_eq(conn->cs.state, PROCESSING);
    ck_assert_int_eq(conn->counted, STATUS_NONE);
    ck_assert_int_eq(seen.processed, 1);
    conn_requeue(&given);
    CONN_GIVE(conn, CONN_OWNER_QUEUE, CONN_OWNER_WORKER);
    ck_assert_int_eq(seen.requeued, 1);
    ck_assert_int_eq(turn_of(OTHER, OTHER_THREAD), CONN_AGAIN);
    ck_assert_int_eq(seen.processed, 2);
    /* The last one leaves nothing more to do. */
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(seen.processed, 3);
    ck_assert_int_eq(seen.suspended, 0);
    ck_assert_int_eq(seen.resumed, 0);
}
END_TEST

/* --- A child that stops --------------------------------------------------- */

/* Only who can tell what was lost is closed between two requests. */
static const struct {
    runtime_stop_e mode;
    const char *protocol;
    conn_verdict_e verdict;
} stops[] = {
    {RUNTIME_RUN, "http/1.1", CONN_PARK},
    {RUNTIME_RUN, "h2", CONN_PARK},
    {RUNTIME_DRAIN, "http/1.1", CONN_PARK},
    {RUNTIME_DRAIN, "h2", CONN_LINGER},
    {RUNTIME_DRAIN, "h2c", CONN_LINGER},
    {RUNTIME_EXIT, "http/1.1", CONN_PARK},
    {RUNTIME_EXIT, "h2", CONN_LINGER},
};

START_TEST(an_idle_session_ends_and_a_connection_is_kept)
{
    say.mode = stops[_i].mode;
    say.protocol = stops[_i].protocol;
    ck_assert_int_eq(turn(), stops[_i].verdict);
    ck_assert_int_eq(conn->cs.state, stops[_i].verdict == CONN_PARK
                                         ? KEEPALIVE
                                         : CONN_STATE_LINGER);
}
END_TEST

START_TEST(a_session_that_is_not_idle_goes_on)
{
    keep_alive();
    say.mode = RUNTIME_DRAIN;
    say.protocol = "h2";
    unpark(PARKING_READY);
    say.output = 2;
    say.room = 1;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, WRITE);
    unpark(PARKING_READY);
    say.output = 0;
    say.pipelined = 2;
    conn->cs.state = PROCESSING;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(seen.processed, 3);
    say.sense = CONN_SENSE_WANT_READ;
    conn->cs.state = PROCESSING;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, WRITE);
}
END_TEST

START_TEST(it_is_noted_that_modules_saw_the_stop)
{
    keep_alive();
    ck_assert(!conn->saw_stop);
    say.mode = RUNTIME_DRAIN;
    unpark(PARKING_READY);
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert(conn->saw_stop);
}
END_TEST

START_TEST(sending_the_rest_shows_modules_no_stop)
{
    say.mode = RUNTIME_DRAIN;
    ck_assert_int_eq(run_in(WRITE), CONN_PARK);
    conn->saw_stop = 0;
    unpark(PARKING_READY);
    conn->cs.state = WRITE;
    turn();
    ck_assert(!conn->saw_stop);
}
END_TEST

/* --- States it comes in --------------------------------------------------- */

static const struct {
    conn_state_e state;
    conn_verdict_e verdict;
    conn_state_e next;
    int processed;
} comings[] = {
    {PROCESSING, CONN_PARK, KEEPALIVE, 1},
    /* A module that had it has left it so. */
    {KEEPALIVE, CONN_PARK, KEEPALIVE, 0},
    {WRITE, CONN_PARK, KEEPALIVE, 0},
    {CONN_STATE_ASYNC_WAITIO, CONN_PARK, CONN_STATE_ASYNC_WAITIO, 0},
    {CONN_STATE_LINGER, CONN_LINGER, CONN_STATE_LINGER, 0},
    {CONN_STATE_HANDLER, CONN_LINGER, CONN_STATE_HANDLER, 0},
    {CONN_STATE_SUSPENDED, CONN_LINGER, CONN_STATE_SUSPENDED, 0},
    {CONN_STATE_LINGER_NORMAL, CONN_LINGER, CONN_STATE_LINGER_NORMAL, 0},
};

START_TEST(only_who_is_in_processing_is_processed)
{
    ck_assert_int_eq(run_in(comings[_i].state), comings[_i].verdict);
    ck_assert_int_eq(conn->cs.state, comings[_i].next);
    ck_assert_int_eq(seen.processed, comings[_i].processed);
    ck_assert_int_eq(seen.resumed, 1);
}
END_TEST

START_TEST(whose_time_is_over_is_closed_politely)
{
    keep_alive();
    unpark(PARKING_EXPIRED);
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_str_eq(steps(), "resume");
}
END_TEST

START_TEST(who_has_lingered_is_closed_without_a_hook)
{
    keep_alive();
    unpark(PARKING_EXPIRED);
    ck_assert_int_eq(turn(), CONN_LINGER);
    conn_set_state(conn, CONN_STATE_LINGER_SHORT, 0);
    seen.num_steps = 0;
    ck_assert_int_eq(turn_of(OTHER, OTHER_THREAD), CONN_CLOSE);
    ck_assert_int_eq(seen.num_steps, 0);
    ck_assert_ptr_eq(c.current_thread, THREAD);
}
END_TEST

/* There may be input in a filter, of which no poll set knows. */
START_TEST(filters_that_clog_are_run_by_their_modules)
{
    keep_alive();
    unpark(PARKING_READY);
    c.clogging_input_filters = 1;
    conn->cs.state = WRITE;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(seen.processed, 1);
    conn->cs.state = CONN_STATE_LINGER;
    ck_assert_int_eq(turn(), CONN_LINGER);
    ck_assert_int_eq(conn->cs.state, CONN_STATE_LINGER);
    ck_assert_int_eq(seen.processed, 1);
}
END_TEST

/* --- Suspended and resumed ------------------------------------------------ */

START_TEST(the_end_of_waiting_is_told_before_it_goes_on)
{
    keep_alive();
    unpark(PARKING_READY);
    conn->r = &request;
    ck_assert_int_eq(turn_of(OTHER, OTHER_THREAD), CONN_PARK);
    ck_assert_str_eq(steps(), "resume process");
    ck_assert(seen.cell_given);
    ck_assert_int_eq(seen.cell_worker, OTHER);
    ck_assert_int_eq(c.id, SLOT * THREAD_LIMIT + OTHER);
    ck_assert_ptr_eq(c.current_thread, OTHER_THREAD);
}
END_TEST

START_TEST(it_is_told_once_for_each_wait)
{
    conn_t *given;
    int i;

    keep_alive();
    for (i = 1; i <= 3; i++) {
        unpark(PARKING_READY);
        ck_assert_int_eq(turn(), CONN_PARK);
        ck_assert_int_eq(seen.resumed, i);
        given = conn;
        ck_assert(conn_park(&given));
        ck_assert_int_eq(seen.suspended, i + 1);
    }
    unpark(PARKING_EXPIRED);
    ck_assert_int_eq(turn(), CONN_LINGER);
    close_it();
    ck_assert_int_eq(seen.suspended, 4);
    ck_assert_int_eq(seen.resumed, 4);
}
END_TEST

START_TEST(also_if_it_is_ready_at_once)
{
    conn_t *given = conn;

    say.armed_late = 1;
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert(!conn_park(&given));
    ck_assert_ptr_eq(given, conn);
    conn_unpark(conn, PARKING_READY);
    ck_assert_int_eq(turn(), CONN_PARK);
    close_it();
    ck_assert_str_eq(
        steps(),
        "create vhost pre process suspend resume process gone counted");
}
END_TEST

START_TEST(who_never_waited_is_told_nothing)
{
    say.keepalive = AP_CONN_CLOSE;
    ck_assert_int_eq(turn(), CONN_LINGER);
    close_it();
    ck_assert_str_eq(steps(), "create vhost pre process gone counted");
}
END_TEST

/* Nobody runs it any more, but what modules keep of it is still there. */
START_TEST(who_is_closed_while_it_waits_is_told_first)
{
    conn_t *given = conn;

    keep_alive();
    conn->r = &request;
    unpark(PARKING_EXPIRED);
    ck_assert_int_eq(turn(), CONN_LINGER);
    conn_set_state(conn, CONN_STATE_LINGER_SHORT, 0);
    ck_assert(conn_park(&given));
    unpark(PARKING_EXPIRED);
    ck_assert_int_eq(turn(), CONN_CLOSE);
    seen.num_steps = 0;
    ck_assert_int_eq(seen.resumed, 1);
    c.sbh = CELL; /* a module may have put it back */
    close_it();
    ck_assert_str_eq(steps(), "resume gone counted");
    /* There is no worker's cell to write to. */
    ck_assert(!seen.cell_given);
    ck_assert_int_eq(seen.suspended, 2);
    ck_assert_int_eq(seen.resumed, 2);
}
END_TEST

START_TEST(who_is_held_is_told_when_its_module_moves_on)
{
    conn_t *given = conn;

    say.state = CONN_STATE_SUSPENDED;
    ck_assert_int_eq(turn(), CONN_HOLD);
    /* It is the module's already: only conn_hold counts it. */
    ck_assert_int_eq(conn->counted, STATUS_NONE);
    conn_hold(&given);
    ck_assert_int_eq(seen.held, 1);
    ck_assert_int_eq(seen.suspended, 1);
    ck_assert(!conn_moved_on(&conn->held));
    conn->cs.state = WRITE;
    ck_assert(conn_moved_on(&conn->held));
    CONN_GIVE(conn, CONN_OWNER_MODULE, CONN_OWNER_WORKER);
    ck_assert_int_eq(turn(), CONN_PARK);
    ck_assert_int_eq(conn->cs.state, KEEPALIVE);
    ck_assert_int_eq(conn->counted, STATUS_KEEPALIVE);
    ck_assert_int_eq(seen.processed, 1);
    ck_assert_int_eq(seen.resumed, 1);
}
END_TEST

START_TEST(who_is_held_until_the_end_is_told_then)
{
    conn_t *given = conn;

    say.state = CONN_STATE_SUSPENDED;
    ck_assert_int_eq(turn(), CONN_HOLD);
    conn_hold(&given);
    seen.num_steps = 0;
    apr_pool_destroy(conn->pool);
    ck_assert_str_eq(steps(), "resume gone");
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
    Suite *s = suite_create("turn");
    TCase *tc;

    tc = group(s, "new");
    tcase_add_test(tc, a_new_connection_is_opened_and_processed);
    tcase_add_test(tc, who_is_not_created_is_forgotten);
    tcase_add_loop_test(tc, who_is_refused_is_closed_unprocessed,
                        0, NUMBER(refusals));
    tcase_add_test(tc, done_before_the_connection_is_no_refusal);

    tc = group(s, "process");
    tcase_add_loop_test(tc, of_a_spare_pool_the_listener_hears, 0, 2);
    tcase_add_loop_test(tc, what_modules_leave_is_obeyed_or_closed,
                        0, NUMBER(ends));
    tcase_add_test(tc, what_waits_is_counted_as_what_it_waits_for);

    tc = group(s, "answer");
    tcase_add_test(tc, what_can_be_sent_is_sent);
    tcase_add_test(tc, the_rest_waits_for_the_client);
    tcase_add_test(tc, who_cannot_be_written_to_is_closed);
    tcase_add_test(tc, a_module_may_wait_for_the_client_to_write_first);
    tcase_add_loop_test(tc, who_is_not_kept_alive_is_closed, 0,
                        NUMBER(lasts));
    tcase_add_test(tc, who_has_gone_meanwhile_is_closed);
    tcase_add_test(tc, nothing_is_sent_to_who_has_gone);

    tc = group(s, "pipelined");
    tcase_add_test(tc, pipelined_requests_are_answered_in_one_turn);
    tcase_add_test(tc, one_each_when_others_wait);

    tc = group(s, "stop");
    tcase_add_loop_test(tc, an_idle_session_ends_and_a_connection_is_kept,
                        0, NUMBER(stops));
    tcase_add_test(tc, a_session_that_is_not_idle_goes_on);
    tcase_add_test(tc, it_is_noted_that_modules_saw_the_stop);
    tcase_add_test(tc, sending_the_rest_shows_modules_no_stop);

    tc = group(s, "states");
    tcase_add_loop_test(tc, only_who_is_in_processing_is_processed,
                        0, NUMBER(comings));
    tcase_add_test(tc, whose_time_is_over_is_closed_politely);
    tcase_add_test(tc, who_has_lingered_is_closed_without_a_hook);
    tcase_add_test(tc, filters_that_clog_are_run_by_their_modules);

    tc = group(s, "suspended");
    tcase_add_test(tc, the_end_of_waiting_is_told_before_it_goes_on);
    tcase_add_test(tc, it_is_told_once_for_each_wait);
    tcase_add_test(tc, also_if_it_is_ready_at_once);
    tcase_add_test(tc, who_never_waited_is_told_nothing);
    tcase_add_test(tc, who_is_closed_while_it_waits_is_told_first);
    tcase_add_test(tc, who_is_held_is_told_when_its_module_moves_on);
    tcase_add_test(tc, who_is_held_until_the_end_is_told_then);
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
