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


/* admission: see admission.h */

#include "httpd.h"
#include "http_log.h"

#include "admission.h"
#include "heads.h"

APLOG_USE_MODULE(mpm_event);

void admission_init(admission_t *a, runtime_t *runtime, doors_t *doors)
{
    a->runtime = runtime;
    a->doors = doors;
    shortage_init(&a->shortage);
    atomic_init(&a->full, 1);
}

/* A worker that has a door is as good as idle. */
int admission_idle(const admission_t *a)
{
    return fdqueue_idle(a->runtime->queue, doors_out(a->doors));
}

int admission_allows(const admission_t *a)
{
    const runtime_t *rt = a->runtime;

    return admission_rule(status_limited_conns(&rt->status),
                          admission_idle(a) - heads_young(rt->heads),
                          rt->settings->threads_per_child,
                          rt->settings->async_factor);
}

void admission_fails(admission_t *a, apr_status_t rv, apr_time_t now)
{
    if (shortage_begins(&a->shortage, now)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, a->runtime->server,
                     APLOGNO(02179) "cannot accept a connection: no new ones "
                     "until that is over");
    }
}

void admission_works(admission_t *a)
{
    shortage_eases(&a->shortage);
}

/* After a while without: the shortage is over, whether anybody has come to
 * be accepted meanwhile or not. */
static void end_shortage(admission_t *a, apr_time_t now)
{
    if (shortage_ends(&a->shortage, now)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, a->runtime->server,
                     "accepting connections again");
    }
}

/* Nobody is taken and nobody is to be made room for. */
static void rest(admission_t *a)
{
    atomic_store(&a->full, 0);
    if (doors_are_open(a->doors)) {
        doors_open(a->doors, 0);
        ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, a->runtime->server,
                     "resting: %d connections left",
                     status_conns(&a->runtime->status));
    }
}

/* Take connections from now on; if a socket cannot be watched, try anew after
 * a pause. */
static void resume(admission_t *a, apr_time_t now)
{
    apr_status_t rv;

    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, a->runtime->server,
                 APLOGNO(00457) "Accepting new connections: %d active "
                 "conns, %d idle workers",
                 status_limited_conns(&a->runtime->status), admission_idle(a));
    rv = doors_open(a->doors, 1);
    if (rv != APR_SUCCESS) {
        admission_fails(a, rv, now);
    }
}

/* Take none. */
static void halt(admission_t *a)
{
    const runtime_t *rt = a->runtime;
    int idle = admission_idle(a);

    doors_open(a->doors, 0);
    if (!atomic_load(&a->full)) {
        return; /* a shortage, of which admission_fails has told */
    }
    if (idle == 0) {
        ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                     "All workers are busy, not accepting new conns in "
                     "this process");
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, rt->server,
                     "Too many open connections (%d), not accepting new "
                     "conns in this process",
                     status_limited_conns(&rt->status));
    }
}

/* As the rule says now. */
static void follow_rule(admission_t *a, apr_time_t now)
{
    int open = admission_allows(a);

    if (!open) {
        /*
         * Race with a worker that becomes idle: either it sees this word
         * and wakes us, or we see that it is idle.
         */
        atomic_store(&a->full, 1);
        open = admission_allows(a);
    }
    if (open) {
        atomic_store(&a->full, 0);
    }
    open = open && !shortage_pauses(&a->shortage, now);
    if (open && !doors_are_open(a->doors)) {
        resume(a, now);
    }
    else if (!open && doors_are_open(a->doors)) {
        halt(a);
    }
}

void admission_review(admission_t *a, apr_time_t now)
{
    end_shortage(a, now);
    if (atomic_load(&a->runtime->resting)) {
        rest(a);
    }
    else {
        follow_rule(a, now);
    }
}

void admission_end(admission_t *a)
{
    atomic_store(&a->full, 0);
}

int admission_pauses(admission_t *a, apr_time_t now)
{
    return shortage_pauses(&a->shortage, now);
}

int admission_is_short(const admission_t *a)
{
    return shortage_is_on(&a->shortage);
}

int admission_is_full(const admission_t *a)
{
    return atomic_load(&a->full);
}

apr_time_t admission_due(const admission_t *a)
{
    return shortage_due(&a->shortage);
}

void admission_nudge(admission_t *a)
{
    if (atomic_load(&a->full) && admission_allows(a)) {
        parking_wake(a->runtime->parking);
    }
}
