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
 * probe_handlers: what a request below /probe/ makes the module do.
 *
 *   sleep?ms=N          answer after N milliseconds; us=N: microseconds
 *   where?ms=N          pid, tid, id, slot and thread (after N ms)
 *   stream?kb=N&ms=M    N KB of x, M ms between every 8 KB
 *   timers?t=A,B,C&again=N
 *                       register timed callbacks of A, B and C ms; each
 *                       registers itself N times more
 *   suspend?ms=N        return SUSPENDED, answer N ms later; &flush=0: leave
 *                       the answer to be written by the MPM
 *   crash?how=abort|segv|exit&code=N&ms=M
 *                       end the process that way, after M ms
 *   short               close with the note short-lingering-close
 *   scribble?fill=N     write byte N all over the scoreboard but the pids
 *                       and the generations; &pids=1: over these, too
 *   board               the scoreboard as JSON
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpm_probe.h"

#include "ap_mpm.h"
#include "apr_strings.h"
#include "apr_thread_mutex.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mpm_common.h"
#include "scoreboard.h"

/* A timed callback on its way. */
typedef struct {
    char batch[32];
    int number;
    int ms;
    int again;
    apr_time_t due;
} probe_timer_t;

static apr_time_t monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (apr_time_t)ts.tv_sec * APR_USEC_PER_SEC + ts.tv_nsec / 1000;
}

static void timer_fired(void *baton)
{
    probe_timer_t *timer = baton;

    probe_log("timer batch=%s n=%d ms=%d late=%ld pid=%d tid=%d thread=%s",
              timer->batch, timer->number, timer->ms,
              (long)(monotonic() - timer->due), (int)getpid(), probe_tid(),
              probe_thread());
    if (timer->again > 0) {
        probe_add_timer(timer->batch, timer->number, timer->ms,
                        timer->again - 1);
    }
    free(timer);
}

apr_status_t probe_add_timer(const char *batch, int number, int ms,
                             int again)
{
    probe_timer_t *timer = calloc(1, sizeof(*timer));
    apr_interval_time_t delay = (apr_interval_time_t)ms * 1000;
    apr_status_t rv;

    apr_cpystrn(timer->batch, batch, sizeof(timer->batch));
    timer->number = number;
    timer->ms = ms;
    timer->again = again;
    timer->due = monotonic() + (delay > 0 ? delay : 0);
    rv = ap_mpm_register_timed_callback(delay, timer_fired, timer);
    if (rv != APR_SUCCESS) {
        free(timer);
    }
    return rv;
}

/* The value of one argument of the query, or NULL. */
static const char *argument(request_rec *r, const char *name)
{
    char *args = apr_pstrdup(r->pool, r->args ? r->args : "");
    char *last, *pair;
    size_t length = strlen(name);

    for (pair = apr_strtok(args, "&", &last); pair;
         pair = apr_strtok(NULL, "&", &last)) {
        if (!strncmp(pair, name, length) && pair[length] == '=') {
            return pair + length + 1;
        }
    }
    return NULL;
}

static int argument_number(request_rec *r, const char *name, int other)
{
    const char *value = argument(r, name);

    return value ? atoi(value) : other;
}

static void nap(int ms)
{
    if (ms > 0) {
        apr_sleep(apr_time_from_msec(ms));
    }
}

static int answer(request_rec *r, const char *text)
{
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

static int run_sleep(request_rec *r)
{
    nap(argument_number(r, "ms", 0));
    apr_sleep(argument_number(r, "us", 0));
    return answer(r, "slept\n");
}

static int run_where(request_rec *r)
{
    worker_score *mine = ap_get_scoreboard_worker(r->connection->sbh);
    int slot = -1, thread = -1, i, j;
    global_score *global = ap_get_scoreboard_global();

    nap(argument_number(r, "ms", 0));
    for (i = 0; i < global->server_limit; i++) {
        for (j = 0; j < global->thread_limit; j++) {
            if (&ap_scoreboard_image->servers[i][j] == mine) {
                slot = i;
                thread = j;
            }
        }
    }
    return answer(r, apr_psprintf(
        r->pool, "pid=%d tid=%d id=%ld slot=%d thread=%d current=%d\n",
        (int)getpid(), probe_tid(), r->connection->id, slot, thread,
        r->connection->current_thread != NULL));
}

static int run_stream(request_rec *r)
{
    static const char block[8192] = {[0 ... 8191] = 'x'};
    long left = argument_number(r, "kb", 1) * 1024L;
    int ms = argument_number(r, "ms", 0);

    ap_set_content_type(r, "application/octet-stream");
    ap_set_content_length(r, left);
    while (left > 0 && !r->connection->aborted) {
        long part = left < (long)sizeof(block) ? left : (long)sizeof(block);

        if (ap_rwrite(block, (int)part, r) < 0) {
            break;
        }
        left -= part;
        if (ms) {
            ap_rflush(r);
            nap(ms);
        }
    }
    return OK;
}

static int run_timers(request_rec *r)
{
    const char *given = argument(r, "t");
    const char *batch = argument(r, "batch");
    int again = argument_number(r, "again", 0);
    char *last, *part, *list;
    int number = 0;

    list = apr_pstrdup(r->pool, given ? given : "");
    for (part = apr_strtok(list, ",", &last); part;
         part = apr_strtok(NULL, ",", &last)) {
        apr_status_t rv = probe_add_timer(batch ? batch : "request", number,
                                          atoi(part), again);

        if (rv != APR_SUCCESS) {
            return answer(r, apr_psprintf(r->pool, "error %d\n", rv));
        }
        number++;
    }
    return answer(r, apr_psprintf(r->pool, "added %d\n", number));
}

static void finish_suspended(void *baton)
{
    request_rec *r = baton;

    apr_thread_mutex_lock(r->invoke_mtx);
    probe_log("suspended_end peer=%d state=%s tid=%d",
              probe_peer(r->connection),
              probe_state_name(r->connection->cs->state), probe_tid());
    answer(r, "suspended\n");
    if (argument_number(r, "flush", 1)) {
        ap_rflush(r);
    }
    apr_thread_mutex_unlock(r->invoke_mtx);
    ap_finalize_request_protocol(r);
    ap_process_request_after_handler(r);
}

static int run_suspend(request_rec *r)
{
    apr_interval_time_t delay =
        apr_time_from_msec(argument_number(r, "ms", 100));

    if (ap_mpm_register_timed_callback(delay, finish_suspended, r)
        != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return SUSPENDED;
}

static int run_crash(request_rec *r)
{
    const char *how = argument(r, "how");

    nap(argument_number(r, "ms", 0));
    if (!how || !strcmp(how, "abort")) {
        abort();
    }
    if (!strcmp(how, "exit")) {
        _exit(argument_number(r, "code", 0));
    }
    raise(SIGSEGV);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int run_short(request_rec *r)
{
    apr_table_setn(r->connection->notes, "short-lingering-close", "1");
    r->connection->keepalive = AP_CONN_CLOSE;
    return answer(r, "short\n");
}

static int run_scribble(request_rec *r)
{
    int fill = argument_number(r, "fill", 255);
    int pids = argument_number(r, "pids", 0);
    global_score *global = ap_get_scoreboard_global();
    int servers = global->server_limit, threads = global->thread_limit;
    int i, j;

    for (i = 0; i < servers; i++) {
        process_score *process = &ap_scoreboard_image->parent[i];
        process_score saved = *process;

        memset(process, fill, sizeof(*process));
        if (!pids) {
            process->pid = saved.pid;
            process->generation = saved.generation;
        }
        for (j = 0; j < threads; j++) {
            worker_score *worker = &ap_scoreboard_image->servers[i][j];

            memset(worker, fill, sizeof(*worker));
        }
    }
    return answer(r, "scribbled\n");
}

static int run_board(request_rec *r)
{
    char *text = probe_board_text();
    int rc = answer(r, text ? text : "none");

    free(text);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(request_rec *r);
} commands[] = {
    {"sleep", run_sleep},       {"where", run_where},
    {"stream", run_stream},     {"timers", run_timers},
    {"suspend", run_suspend},   {"crash", run_crash},
    {"short", run_short},       {"scribble", run_scribble},
    {"board", run_board},
};

int probe_handler(request_rec *r)
{
    const char *name = strrchr(r->uri, '/');
    size_t i;

    if (!r->handler || strcmp(r->handler, "mpm-probe")) {
        return DECLINED;
    }
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (name && !strcmp(name + 1, commands[i].name)) {
            return commands[i].run(r);
        }
    }
    return HTTP_NOT_FOUND;
}
