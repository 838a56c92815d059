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

/* children: see children.h */

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "apr_thread_proc.h"

#include "httpd.h"
#include "ap_listen.h"
#include "http_log.h"
#include "mpm_common.h"
#include "scoreboard.h"

#include "child.h"
#include "children.h"

APLOG_USE_MODULE(mpm_event);

/* In a new process: be the child in this slot, whose bucket is mine. */
static void become_child(children_t *children, int slot, int mine, int pod,
                         pid_t parent)
{
    ap_unixd_mpm_retained_data *mpm = children->retained->mpm;
    child_start_t start = {.server = children->server,
                           .pconf = children->pconf,
                           .settings = children->settings,
                           .listeners =
                               startup_listeners(children->pconf, mine),
                           .own_sockets = mine > 0,
                           .slot = slot,
                           .pod = pod,
                           .parent = parent,
                           .bell = children->retained->bell_out,
                           .note = &children->retained->slots.notes[slot],
                           .board = children->retained->slots.board,
                           .knock_in = mpm->num_buckets == 1
                                           ? children->retained->knock_in
                                           : -1,
                           .knock_out = children->retained->knock_out,
                           .clients = children->retained->slots.clients,
                           .signals = children->signals,
                           .runtime = children->runtime};
    int i;

    slots_forget(&children->retained->slots);
    pod_close(&children->retained->bell_in);
    for (i = 0; i < mpm->num_buckets; i++) {
        if (i != mine) {
            ap_close_listeners_ex(startup_listeners(children->pconf, i));
        }
    }
    child_main(&start);
}

/* Start a child in this slot and bucket: 0 if that was not possible. */
static int start_child(children_t *children, int slot, int bucket)
{
    retained_t *retained = children->retained;
    int child_end, parent_end;
    apr_status_t rv;
    pid_t parent = getpid();
    pid_t pid = -1;

    rv = pod_open(&child_end, &parent_end);
    if (rv == APR_SUCCESS) {
        pid = fork();
        if (pid == 0) {
            pod_close(&parent_end);
            become_child(children, slot, bucket, child_end, parent);
        }
        if (pid < 0) {
            rv = errno;
            pod_close(&parent_end);
        }
        pod_close(&child_end);
    }
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, children->server,
                     APLOGNO(00481) "cannot start a child");
        children->fork_failed = 1;
        return 0;
    }
    slots_enter(&retained->slots, slot, pid, retained->mpm->my_generation,
                bucket, parent_end, children->server);
    return 1;
}

/* One more child that serves this bucket, taken back if one rests, else
 * started: its slot, or -1. */
static int add_child(children_t *children, int bucket)
{
    retained_t *retained = children->retained;
    int slot = slots_take_back(&retained->slots, retained->mpm->my_generation,
                               bucket);

    if (slot < 0 && !children->fork_failed) {
        slot = slots_find_free(&retained->slots, bucket,
                               retained->mpm->num_buckets);
        if (slot >= 0 && !start_child(children, slot, bucket)) {
            slot = -1;
        }
    }
    return slot;
}

/* Up to n more that serve this bucket. */
static int add_children(children_t *children, int bucket, int n)
{
    int added = 0;

    while (added < n && add_child(children, bucket) >= 0) {
        added++;
    }
    return added;
}

int children_start(children_t *children, int n)
{
    int num_buckets = children->retained->mpm->num_buckets;
    int started = 0, before, bucket;

    do {
        before = started;
        for (bucket = 0; bucket < num_buckets && started < n; bucket++) {
            started += add_children(children, bucket, 1);
        }
    } while (started > before && started < n);
    return started;
}

/* What there is to say; ids and levels are what scripts look for. */
static const struct {
    int level;
    const char *text;
} reports[] = {
    [SPAWN_REPORT_FULL] =
        {APLOG_ERR,
         APLOGNO(00484) "all workers that MaxRequestWorkers allows are busy: "
                        "clients have to wait; consider raising "
                        "MaxRequestWorkers"},
    [SPAWN_REPORT_NEAR] =
        {APLOG_ERR,
         APLOGNO(10159) "fewer than MinSpareThreads workers are idle, and "
                        "MaxRequestWorkers allows no more; consider raising "
                        "MaxRequestWorkers"},
    [SPAWN_REPORT_NO_SLOT] =
        {APLOG_ERR,
         APLOGNO(03490) "scoreboard is full: all slots are taken, some by "
                        "children that are finishing, although "
                        "MaxRequestWorkers would allow more; consider raising "
                        "ServerLimit"},
    [SPAWN_REPORT_MANY] =
        {APLOG_INFO,
         APLOGNO(00486) "starting many children at once; consider raising "
                        "StartServers, ThreadsPerChild or the spare threads"},
    [SPAWN_REPORT_KILLS] =
        {APLOG_WARNING,
         APLOGNO(10392) "children are killed one after the other: no longer "
                        "replacing them at once"},
    [SPAWN_REPORT_OLD_FATAL] =
        {APLOG_WARNING,
         APLOGNO(00487) "a child of an earlier generation ended with a fatal "
                        "error, which does not concern this one"},
    [SPAWN_REPORT_HOPELESS] =
        {APLOG_ALERT,
         APLOGNO(02324) "children end for want of resources before any of "
                        "them could work: giving up, httpd is exiting"},
};

static void report(const children_t *children, spawn_report_e what)
{
    if (what != SPAWN_REPORT_NONE) {
        ap_log_error(APLOG_MARK, reports[what].level, 0, children->server, "%s",
                     reports[what].text);
    }
}

spawn_totals_t children_count(const children_t *children)
{
    spawn_totals_t totals;
    const retained_t *retained = children->retained;

    slots_count(&retained->slots, retained->mpm->my_generation,
                retained->mpm->num_buckets, &totals);
    return totals;
}

/* A process that is not a child of ours has ended: a logger, a daemon. */
static void other_ended(children_t *children, apr_proc_t *proc, int status)
{
    sigset_t held;

    /* What is started anew for it must not inherit what we hold back. */
    pthread_sigmask(SIG_SETMASK, &children->signals->outside, &held);
    if (apr_proc_other_child_alert(proc, APR_OC_REASON_DEATH, status)
            != APR_SUCCESS
        && children->retained->mpm->was_graceful) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, children->server,
                     APLOGNO(00488) "an unknown process has ended (pid %ld)",
                     (long)proc->pid);
    }
    pthread_sigmask(SIG_SETMASK, &held, NULL);
}

static void child_ended(children_t *children, apr_proc_t *proc,
                        apr_exit_why_e why, int status)
{
    retained_t *retained = children->retained;
    ap_generation_t generation = retained->mpm->my_generation;
    int rc = ap_process_child_status(proc, why, status);
    int slot = slots_find(&retained->slots, proc->pid);
    spawn_death_t death = {SPAWN_END_NORMAL, 0, 0};
    spawn_bucket_t *bucket = NULL;
    spawn_decision_t decision;
    int b = 0;

    if (rc == APEXIT_CHILDFATAL) {
        death.end = SPAWN_END_FATAL;
    }
    else if (rc == APEXIT_CHILDSICK) {
        death.end = SPAWN_END_SICK;
    }
    else if (APR_PROC_CHECK_SIGNALED(why)) {
        death.end = SPAWN_END_KILLED;
    }
    if (slot >= 0) {
        death.old = retained->slots.slots[slot].generation != generation;
        death.serving = slots_serves(&retained->slots, slot, generation);
        b = retained->slots.slots[slot].bucket;
        bucket = &retained->buckets[b];
        children_healthy(children, NULL); /* it may have been, up to now */
        slots_leave(&retained->slots, slot, children->server);
    }
    else if (death.end != SPAWN_END_FATAL) {
        other_ended(children, proc, status);
        return;
    }
    decision = spawn_reaped(&retained->spawn, bucket, &children->limits,
                            children_count(children).serving, &death);
    report(children, decision.report);
    if (decision.stop) {
        children->give_up = APEXIT_CHILDFATAL;
    }
    if (decision.fork && add_child(children, b) < 0 && bucket != NULL) {
        spawn_slow_down(bucket);
    }
}

void children_reap(children_t *children)
{
    apr_proc_t proc;
    apr_exit_why_e why;
    int status;

    while (APR_STATUS_IS_CHILD_DONE(apr_proc_wait_all_procs(
        &proc, &status, &why, APR_NOWAIT, children->pconf))) {
        child_ended(children, &proc, why, status);
    }
}

/* The turn of a bucket in the idle maintenance. */
static void maintain_bucket(children_t *children, int b, spawn_totals_t *totals)
{
    retained_t *retained = children->retained;
    ap_generation_t generation = retained->mpm->my_generation;
    spawn_census_t census;
    spawn_decision_t decision;
    int more;

    slots_census(&retained->slots, generation,
                 children->settings->threads_per_child, b, &census);
    decision =
        spawn_decide(&retained->buckets[b], &children->limits, &census, totals);
    report(children, decision.report);
    more = decision.resurrect + decision.fork;
    if (add_children(children, b, more) < more) {
        spawn_slow_down(&retained->buckets[b]);
    }
    if (decision.retire) {
        slots_rest(&retained->slots,
                   slots_least_busy(&retained->slots, generation, b));
    }
}

/* Start who is to take the place of the child in slot i. */
static void start_relief(children_t *children, int i)
{
    slots_t *slots = &children->retained->slots;
    slot_t *slot = &slots->slots[i];
    int relief = add_child(children, slot->bucket);

    if (relief >= 0) {
        slot->relief = slots->slots[relief].pid;
    }
    else if (!children->fork_failed) {
        slots_tell(slots, i, POD_RELIEVED); /* it has to make room first */
    }
}

int children_relieve(children_t *children)
{
    slots_t *slots = &children->retained->slots;
    ap_generation_t generation = children->retained->mpm->my_generation;
    int i, waiting = 0;

    if (ap_max_requests_per_child <= 0) {
        return 0;
    }
    for (i = 0; i < slots->top; i++) {
        slot_t *slot = &slots->slots[i];
        int relief;

        if (!slots_serves(slots, i, generation)
            || !atomic_load(&slots->notes[i].wants_relief)) {
            continue;
        }
        if (slot->relief == 0) {
            start_relief(children, i);
        }
        if (slot->relief == 0) {
            continue;
        }
        relief = slots_find(slots, slot->relief);
        if (relief < 0 || !slots_serves(slots, relief, generation)) {
            slot->relief = 0; /* another one next time */
        }
        else if (slots_is_up(slots, relief,
                             children->settings->threads_per_child)) {
            slots_tell(slots, i, POD_RELIEVED);
            continue;
        }
        waiting++;
    }
    return waiting;
}

int children_healthy(children_t *children, int *idle)
{
    retained_t *retained = children->retained;
    int healthy = 0, sum = 0, b;

    for (b = 0; b < retained->mpm->num_buckets; b++) {
        spawn_census_t census;

        healthy +=
            slots_census(&retained->slots, retained->mpm->my_generation,
                         children->settings->threads_per_child, b, &census);
        sum += census.idle;
    }
    if (idle != NULL) {
        *idle = sum;
    }
    if (healthy > 0) {
        children->healthy = 1;
    }
    return healthy;
}

/* No child of the new generation comes to work, but the old one does: it
 * goes on, and one new child is tried each second. */
static void report_stalled(children_t *children)
{
    if (!children->stalled) {
        children->stalled = 1;
        ap_log_error(APLOG_MARK, APLOG_ALERT, 0, children->server,
                     "children of the new generation end for want of "
                     "resources: the old generation goes on serving");
    }
    children->retained->spawn.sick = 0;
    children_start(children, 1);
}

void children_maintain(children_t *children)
{
    retained_t *retained = children->retained;
    spawn_totals_t totals = children_count(children);
    spawn_decision_t decision;
    int b;

    children->fork_failed = 0;
    children_healthy(children, &totals.idle);
    decision = spawn_tick(&retained->spawn, &children->limits, &totals,
                          children->healthy);
    if (decision.stop
        && slots_untold_before(&retained->slots, retained->mpm->my_generation)
               > 0) {
        report_stalled(children);
        return;
    }
    report(children, decision.report);
    if (decision.stop) {
        children->give_up = APEXIT_CHILDSICK;
        return;
    }
    retained->spawn.wanted +=
        decision.fork - children_start(children, decision.fork);
    totals = children_count(children);
    children_healthy(children, &totals.idle);
    for (b = 0; b < retained->mpm->num_buckets; b++) {
        maintain_bucket(children, b, &totals);
    }
    slots_end_rests(&retained->slots, retained->mpm->my_generation);
}

int children_want_help(const children_t *children)
{
    const slots_t *slots = &children->retained->slots;
    int i, wanted = 0;

    for (i = 0; i < slots->top; i++) {
        wanted += atomic_load(&slots->notes[i].crowded) != 0
                  && atomic_exchange(&slots->notes[i].crowded, 0);
    }
    return wanted > 0;
}

void children_help(children_t *children)
{
    spawn_totals_t totals = children_count(children);
    int b;

    children_healthy(children, &totals.idle);
    for (b = 0; b < children->retained->mpm->num_buckets; b++) {
        maintain_bucket(children, b, &totals);
    }
}
