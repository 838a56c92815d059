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

/* heads: see heads.h */

#include <limits.h>
#include <sys/resource.h>

#include "httpd.h"
#include "http_log.h"

#include "clock.h"
#include "heads.h"
#include "linger.h"
#include "mpm_default.h"
#include "peek.h"

APLOG_USE_MODULE(mpm_event);

/* Tags for parking, beyond those that are states of a connection. */
#define SILENT CONN_STATE_NUM
#define BEGUN (CONN_STATE_NUM + 1)

/* For so many bytes received a head has one more second. */
#define BYTES_A_SECOND 500

/* So many events at a time mean that clients all leave, or all return. */
#define BURST 128

/* Clients ask as soon as they have connected, or else they do not mean to
 * for a while. */
#define YOUTH apr_time_from_msec(5)

/* How long a client that has said nothing is waited for by a child that
 * drains. */
#define DRAIN_TIME apr_time_from_sec(5)

struct heads_t {
    runtime_t *runtime;          /* const */
    apr_interval_time_t timeout; /* const; EventHeadTimeout, 0: no gate */
    int limit;                   /* const; EventHeadLimit, 0: none */
    peek_t *peek;                /* const */
    int shown;                   /* listener: what the note says */
    atomic_int young;            /* atomic; any */
};

static int limit_of(const settings_t *settings)
{
    struct rlimit files;

    if (settings->head_limit != HEAD_LIMIT_AUTO) {
        return settings->head_limit;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) != 0
        || files.rlim_cur / 4 > INT_MAX / HEAD_LIMIT_QUARTERS) {
        return 0;
    }
    return (int)(files.rlim_cur / 4) * HEAD_LIMIT_QUARTERS;
}

heads_t *heads_create(runtime_t *runtime, apr_pool_t *pool)
{
    const settings_t *settings = runtime->settings;
    heads_t *h = apr_pcalloc(pool, sizeof(*h));

    h->runtime = runtime;
    h->timeout = apr_time_from_sec(settings->head_timeout);
    h->limit = limit_of(settings);
    atomic_init(&h->young, 0);
    h->peek = peek_create(settings, runtime->server, pool);
    return h;
}

/* There are more bytes than at the look before: what that means for its
 * time. */
static void note_progress(conn_t *conn, const gate_answer_t *answer,
                          apr_time_t now)
{
    conn_head_t *head = &conn->head;

    head->heard = now;
    if (head->began == 0) {
        head->began = now;
        head->from = 0;
        head->in_body = 0;
    }
    if (answer->stage == GATE_BODY && !head->in_body) {
        head->began = now;
        head->from = head->len;
        head->in_body = 1;
    }
}

/* Timeout, for each silence. */
static apr_interval_time_t patience(const heads_t *h, const conn_t *conn)
{
    return conn->c != NULL ? conn->server->timeout
                           : h->runtime->server->timeout;
}

static apr_time_t deadline(const heads_t *h, const conn_t *conn)
{
    const conn_head_t *head = &conn->head;
    apr_time_t silence = head->heard + patience(h, conn);
    apr_time_t end;
    apr_interval_time_t more
        = apr_time_from_sec((head->len - head->from) / BYTES_A_SECOND);

    if (!head->in_body && more > h->timeout) {
        more = h->timeout;
    }
    end = head->began + h->timeout + more;
    return end < silence ? end : silence;
}

/* Park one that is ours: NULL; or, if the listener had its event while it was
 * being armed, that one, which is ours again. Never so on the listener. */
static conn_t *park(heads_t *h, conn_t *conn, int tag,
                    apr_interval_time_t time, apr_time_t now)
{
    parked_t *parked = &conn->parked;

    conn_count(conn, STATUS_HEAD);
    CONN_GIVE(conn, CONN_OWNER_LISTENER, CONN_OWNER_PARKING);
    if (parking_put(h->runtime->parking, &parked, tag,
                    APR_POLLIN | APR_POLLHUP, time, now)) {
        return NULL;
    }
    CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_LISTENER);
    return conn;
}

/* For the shortest time it may have: when that is over heads_expire sees
 * whether its bytes have bought it more. */
static conn_t *park_begun(heads_t *h, conn_t *conn, apr_time_t now)
{
    apr_interval_time_t time = patience(h, conn);

    return park(h, conn, BEGUN, time < h->timeout ? time : h->timeout, now);
}

static void set_young(heads_t *h, conn_t *conn, int young)
{
    if (conn->head.young != young) {
        conn->head.young = (unsigned char)young;
        atomic_fetch_add(&h->young, young ? 1 : -1);
    }
}

/* It is not to be waited for any longer. */
static void release(conn_t *conn)
{
    peek_mark(conn, 1); /* who reads it waits for any byte */
    conn->head.began = 0;
}

/* Nothing that the client could be told. What it has sent is read, or the
 * system would tell it of an error. */
static void close_silently(conn_t **conn)
{
    apr_socket_timeout_set((*conn)->csd, 0);
    linger_drain(*conn);
    conn_close(conn);
}

/* Does this protocol's client speak first, and HTTP or TLS? */
static int is_looked_at(const char *protocol)
{
    return protocol == NULL || !strcmp(protocol, "http")
           || !strcmp(protocol, "https");
}

/* Park a new one that is ours: NULL, or it, as park does. */
static conn_t *park_new(heads_t *h, conn_t *conn, const gate_answer_t *answer)
{
    apr_time_t now = clock_now();

    if (answer->verdict != GATE_NOTHING) {
        note_progress(conn, answer, now);
        return park_begun(h, conn, now);
    }
    set_young(h, conn, 1);
    conn = park(h, conn, SILENT, patience(h, conn), now);
    if (conn != NULL) {
        set_young(h, conn, 0);
    }
    return conn;
}

int heads_admit(heads_t *h, conn_t **pconn, const char *protocol)
{
    conn_t *conn = *pconn;
    gate_answer_t answer;

    if (h->timeout == 0 || conn->fd < 0 || !is_looked_at(protocol)) {
        return 0;
    }
    do {
        answer = peek_first(h->peek, conn);
        if (conn->head.left) {
            conn_close(pconn);
            return 1;
        }
        if (answer.verdict == GATE_READY || !peek_mark(conn, answer.mark)) {
            release(conn);
            conn_count(conn, STATUS_NONE);
            return 0;
        }
        conn = park_new(h, conn, &answer);
    } while (conn != NULL);
    *pconn = NULL;
    return 1;
}

/*
 * A worker would at once be through with most that kept-alive clients send.
 * So they are looked at only where that pays: when workers are busy, and
 * when many come at a time, as they do when they all leave.
 */
static int is_kept_and_pays(const heads_t *h, const conn_t *conn)
{
    const runtime_t *rt = h->runtime;

    return conn->counted == STATUS_KEEPALIVE && h->timeout != 0
           && (conn->head.kind == CONN_HEAD_TLS
               || (conn->head.kind == CONN_HEAD_CLEAR
                   && atomic_load_explicit(&conn->streams,
                                           memory_order_relaxed) == 0))
           && (parking_found(rt->parking) >= BURST
               || fdqueue_busy(rt->queue) * 2
                      > rt->settings->threads_per_child);
}

/* The first look at what comes after a kept-alive connection's last
 * request: there is something, or the client has gone. */
static int wait_on_kept(heads_t *h, conn_t *conn, apr_time_t now)
{
    gate_answer_t answer;

    peek_begin(h->peek, conn);
    answer = peek_look(h->peek, conn, 1);
    if (answer.verdict == GATE_READY) {
        conn->head.later = conn->head.left;
        return 0;
    }
    if (parking_take(h->runtime->parking, &conn->parked, PARKING_READY)
        == NULL) {
        return 1; /* the worker that has just parked it goes on with it */
    }
    CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_LISTENER);
    if (!peek_mark(conn, answer.mark)) {
        CONN_GIVE(conn, CONN_OWNER_LISTENER, CONN_OWNER_PARKING);
        return 0;
    }
    note_progress(conn, &answer, now);
    park_begun(h, conn, now);
    return 1;
}

/* Who is still being parked by the worker that has accepted it is looked at
 * again by that, as parking_take tells it. */
int heads_wait_on(heads_t *h, conn_t *conn, apr_time_t now)
{
    parking_t *parking = h->runtime->parking;
    gate_answer_t answer;

    if (conn->counted != STATUS_HEAD) {
        return is_kept_and_pays(h, conn) && wait_on_kept(h, conn, now);
    }
    answer = peek_look(h->peek, conn, 1);
    set_young(h, conn, 0);
    if (answer.verdict == GATE_READY) {
        if (conn->c == NULL && conn->head.left) {
            if (parking_take(parking, &conn->parked, PARKING_READY) != NULL) {
                conn_close(&conn);
            }
            return 1;
        }
        release(conn);
        return 0;
    }
    note_progress(conn, &answer, now);
    if (!peek_mark(conn, answer.mark)) {
        release(conn);
        return 0;
    }
    if (conn->parked.tag == BEGUN
        && parking_again(parking, &conn->parked) == APR_SUCCESS) {
        return 1;
    }
    if (parking_take(parking, &conn->parked, PARKING_READY) != NULL) {
        CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_LISTENER);
        park_begun(h, conn, now);
    }
    return 1;
}

static void report_late(const conn_t *conn, apr_time_t now)
{
    apr_sockaddr_t *address = NULL;

    if (conn->runtime->note != NULL) {
        atomic_fetch_add(&conn->runtime->note->late, 1);
    }
    apr_socket_addr_get(&address, APR_REMOTE, conn->csd);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, conn->runtime->server,
                 "%pI has sent %u bytes of a request in %d s and not all of "
                 "it: closing the connection", address,
                 (unsigned)conn->head.len,
                 (int)apr_time_sec(now - conn->since));
}

/* Time is over for a client that has sent too little. */
static void end_late(conn_t **pconn, gate_stage_e stage)
{
    conn_t *conn = *pconn;

    if (stage == GATE_IDLE || stage == GATE_RECORD) {
        if (conn->c == NULL) {
            close_silently(pconn);
        }
        else {
            conn_hand_over(pconn, PARKING_EXPIRED);
        }
        return;
    }
    conn->head.late = 1;
    conn->head.later = 1;
    conn_hand_over(pconn, PARKING_READY);
}

void heads_expire(heads_t *h, conn_t **pconn, apr_time_t now)
{
    conn_t *conn = *pconn;
    apr_uint32_t len = conn->head.began != 0 ? conn->head.len : 0;
    gate_answer_t answer = peek_look(h->peek, conn, 0);

    set_young(h, conn, 0);
    if (answer.verdict == GATE_READY && conn->head.len > 0) {
        release(conn);
        conn_hand_over(pconn, PARKING_READY);
        return;
    }
    if (conn->head.len > len) {
        note_progress(conn, &answer, now);
    }
    if (conn->head.len > 0 && now < deadline(h, conn)
        && peek_mark(conn, answer.mark)) {
        apr_interval_time_t rest = deadline(h, conn) - now;

        /* In whole seconds, as each length of time has its own queue. */
        rest = apr_time_from_sec((rest + APR_USEC_PER_SEC - 1)
                                 / APR_USEC_PER_SEC);
        *pconn = NULL;
        CONN_GIVE(conn, CONN_OWNER_PARKING, CONN_OWNER_LISTENER);
        park(h, conn, BEGUN, rest, now);
        return;
    }
    release(conn);
    if (conn->head.len > 0) {
        report_late(conn, now);
    }
    end_late(pconn, answer.stage);
}

void heads_fail(heads_t *h, conn_t **pconn)
{
    conn_t *conn = *pconn;

    ap_log_error(APLOG_MARK, APLOG_ERR, conn->parked.error, h->runtime->server,
                 APLOGNO(03092) "apr_pollset_add failed: a worker waits for a "
                 "request");
    set_young(h, conn, 0);
    release(conn);
    conn_hand_over(pconn, PARKING_READY);
}

/* The one that has waited longest, or NULL. */
static parked_t *oldest(const heads_t *h)
{
    parked_t *silent = parking_oldest(h->runtime->parking, SILENT);
    parked_t *begun = parking_oldest(h->runtime->parking, BEGUN);

    if (silent == NULL || begun == NULL) {
        return silent != NULL ? silent : begun;
    }
    return silent->until - silent->timeout <= begun->until - begun->timeout
               ? silent
               : begun;
}

void heads_shed(heads_t *h, int wanted)
{
    int n = status_heads(&h->runtime->status) - h->limit;
    parked_t *parked;

    n = h->limit == 0 || n < wanted ? wanted : n;
    while (n-- > 0 && (parked = oldest(h)) != NULL
           && parking_take(h->runtime->parking, parked, PARKING_EVICTED)) {
        conn_t *conn = CONN_OF_PARKED(parked);
        gate_answer_t answer = peek_look(h->peek, conn, 0);

        set_young(h, conn, 0);
        release(conn);
        if (answer.verdict == GATE_READY && conn->head.len > 0) {
            conn_hand_over(&conn, PARKING_READY);
        }
        else if (conn->c != NULL) {
            conn_hand_over(&conn, PARKING_EVICTED);
        }
        else {
            close_silently(&conn);
        }
    }
}

/* For the siblings, one of which is asked by mod_status. */
static void note_waiting(heads_t *h)
{
    int waiting = status_heads(&h->runtime->status);

    if (h->runtime->note != NULL && waiting != h->shown) {
        atomic_store(&h->runtime->note->heads, waiting);
        h->shown = waiting;
    }
}

void heads_show(const heads_t *h, request_rec *r, int flags)
{
    const runtime_t *rt = h->runtime;
    apr_uint64_t waiting = 0, late = 0;
    int i;

    if (rt->note == NULL || h->timeout == 0) {
        return;
    }
    for (i = 0; i < rt->settings->slots; i++) {
        const pod_note_t *note = rt->note - rt->slot + i;

        waiting += (apr_uint64_t)atomic_load(&note->heads);
        late += atomic_load(&note->late);
    }
    status_show(r, flags, "MpmHeadsWaiting",
                "Connections waiting for a whole request", waiting);
    status_show(r, flags, "MpmHeadsLate",
                "Connections closed because it did not come in time", late);
}

int heads_young(const heads_t *h)
{
    return atomic_load(&h->young);
}

apr_time_t heads_grow(heads_t *h, apr_time_t now)
{
    apr_time_t due = CLOCK_NEVER;
    parked_t *parked;

    note_waiting(h);
    if (atomic_load(&h->young) == 0) {
        return CLOCK_NEVER;
    }
    while ((parked = parking_find_rested(h->runtime->parking, SILENT, YOUTH,
                                         now, &due))
           != NULL) {
        set_young(h, CONN_OF_PARKED(parked), 0);
    }
    /* What is in the inbox of parking is not seen yet. */
    return due != CLOCK_NEVER || atomic_load(&h->young) == 0 ? due
                                                              : now + YOUTH;
}

void heads_drain(heads_t *h, apr_time_t now)
{
    parking_shorten(h->runtime->parking, SILENT, DRAIN_TIME, now);
}
