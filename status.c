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

/* status: see status.h */

#include "apr_atomic.h"
#include "apr_portable.h"

#include "httpd.h"
#include "http_log.h"
#include "http_protocol.h"
#include "mod_status.h"
#include "mpm_common.h"
#include "unixd.h"

#include "status.h"

void status_init(status_t *status, int slot)
{
    process_score *ps = ap_get_scoreboard_process(slot);

    status->ps = ps;
    status->slot = slot;
    atomic_init(&status->conns, 0);
    atomic_init(&status->closing, 0);
    atomic_init(&status->heads, 0);
    ps->not_accepting = 0;
    apr_atomic_set32(&ps->connections, 0);
    apr_atomic_set32(&ps->wait_io, 0);
    apr_atomic_set32(&ps->write_completion, 0);
    apr_atomic_set32(&ps->keep_alive, 0);
    apr_atomic_set32(&ps->lingering_close, 0);
    apr_atomic_set32(&ps->suspended, 0);
}

void status_opened(status_t *status)
{
    atomic_fetch_add(&status->conns, 1);
    apr_atomic_inc32(&status->ps->connections);
}

void status_closed(status_t *status)
{
    atomic_fetch_sub(&status->conns, 1);
    apr_atomic_dec32(&status->ps->connections);
}

static void add(status_t *status, status_count_e which, int delta)
{
    apr_uint32_t *field = NULL;

    switch (which) {
    case STATUS_NONE:
        return;
    case STATUS_HEAD:
        atomic_fetch_add(&status->heads, delta);
        return;
    case STATUS_WAIT_IO:
        field = &status->ps->wait_io;
        break;
    case STATUS_WRITE:
        field = &status->ps->write_completion;
        break;
    case STATUS_KEEPALIVE:
        field = &status->ps->keep_alive;
        break;
    case STATUS_CLOSING:
        atomic_fetch_add(&status->closing, delta);
        field = &status->ps->lingering_close;
        break;
    case STATUS_SUSPENDED:
        field = &status->ps->suspended;
        break;
    }
    apr_atomic_add32(field, (apr_uint32_t)delta);
}

void status_move(status_t *status, status_count_e from, status_count_e to)
{
    if (from != to) {
        add(status, from, -1);
        add(status, to, 1);
    }
}

int status_conns(const status_t *status)
{
    return atomic_load(&status->conns);
}

int status_limited_conns(const status_t *status)
{
    return atomic_load(&status->conns) - atomic_load(&status->closing)
           - atomic_load(&status->heads);
}

int status_heads(const status_t *status)
{
    return atomic_load(&status->heads);
}

void status_accepting(status_t *status, int accepting)
{
    status->ps->not_accepting = !accepting;
}

void status_quiescing(status_t *status)
{
    status->ps->quiescing = 1;
}

void status_worker_starts(status_t *status, int worker)
{
    worker_score *ws = ap_get_scoreboard_worker_from_indexes(status->slot,
                                                             worker);

    ws->pid = getpid();
    ws->tid = apr_os_thread_current();
    ws->generation = ap_unixd_mpm_get_retained_data()->my_generation;
    status_worker_is(status, worker, SERVER_STARTING);
}

void status_worker_is(status_t *status, int worker, int server_status)
{
    ap_update_child_status_from_indexes(status->slot, worker, server_status,
                                        NULL);
}

void status_workers_drain(status_t *status, int num_workers)
{
    int i;

    for (i = 0; i < num_workers; i++) {
        worker_score *ws = ap_get_scoreboard_worker_from_indexes(status->slot,
                                                                 i);

        if (ws->status == SERVER_READY) {
            status_worker_is(status, i, SERVER_GRACEFUL);
        }
    }
}

void status_show(request_rec *r, int flags, const char *key,
                 const char *title, apr_uint64_t figure)
{
    if (flags & AP_STATUS_SHORT) {
        ap_rprintf(r, "%s: %" APR_UINT64_T_FMT "\n", key, figure);
    }
    else {
        ap_rprintf(r, "<p>%s: %" APR_UINT64_T_FMT "</p>\n", title, figure);
    }
}
