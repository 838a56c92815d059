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

/* parent: see parent.h */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apr_thread_proc.h"

#include "httpd.h"
#include "ap_listen.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "child.h"
#include "clock.h"
#include "parent.h"

APLOG_USE_MODULE(mpm_event);

/* Not stock's: after a swap of the module a restart must not take one's
 * retained data for the other's. */
#define RETAINED_KEY "mpm_event.parent"

/* The monitor hook and the idle census. */
#define BEAT apr_time_from_sec(1)
#define BEATS_PER_MONITOR 10

/* How often to look whether the new generation is ready. */
#define HANDOVER_BEAT apr_time_from_msec(10)

/* What parent_run works with. */
typedef struct run_t {
    parent_t *parent;
    apr_pool_t *pconf;
    server_rec *server;
    settings_t *settings;
    runtime_t **runtime;
    signals_t signals;
    spawn_limits_t limits;
    apr_time_t next_beat;
    int beats;
    int healthy;  /* a child of this generation had all its workers up */
    int fork_failed;
    int give_up;  /* exit code, once the server cannot go on */
} run_t;

/* ap_reclaim_child_processes passes nothing to its callback. */
static run_t *running;

int parent_is_alone(void)
{
    return ap_exists_config_define("ONE_PROCESS")
           || ap_exists_config_define("DEBUG");
}

apr_status_t parent_prepare(parent_t **pparent, apr_pool_t *pconf)
{
    ap_unixd_mpm_retained_data *mpm = ap_unixd_mpm_get_retained_data();
    parent_t *parent = ap_retained_data_get(RETAINED_KEY);

    if (parent == NULL) {
        parent = ap_retained_data_create(RETAINED_KEY, sizeof(*parent));
        parent->size = sizeof(*parent);
        parent->mpm = mpm;
    }
    else if (parent->size != sizeof(*parent)) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, NULL,
                     "another build of mpm_event was loaded before: stop "
                     "and start the server to change to this one");
        return APR_EGENERAL;
    }
    if (mpm->baton != parent) {
        mpm->was_graceful = 0; /* another MPM ran before */
        mpm->baton = parent;
    }
    mpm->mpm_state = AP_MPMQ_STARTING;
    mpm->module_loads++;
    *pparent = parent;
    if (mpm->module_loads == 2 && !parent_is_alone()
        && !ap_exists_config_define("FOREGROUND")) {
        apr_status_t rv;

        ap_fatal_signal_setup(ap_server_conf, pconf);
        rv = apr_proc_detach(ap_exists_config_define("NO_DETACH")
                                 ? APR_PROC_DETACH_FOREGROUND
                                 : APR_PROC_DETACH_DAEMONIZE);
        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, NULL,
                         APLOGNO(00496) "apr_proc_detach failed");
            return rv;
        }
    }
    return APR_SUCCESS;
}

int parent_open_listeners(parent_t *parent, apr_pool_t *pconf,
                          server_rec *server)
{
    ap_unixd_mpm_retained_data *mpm = parent->mpm;
    int startup = mpm->module_loads == 1 ? APLOG_STARTUP : 0;
    ap_listen_rec **buckets;
    apr_status_t rv;

    if (ap_setup_listeners(server) < 1) {
        ap_log_error(APLOG_MARK, APLOG_ALERT | startup, 0,
                     startup ? NULL : server,
                     "no listening sockets available, shutting down");
        return !OK;
    }
    if (parent_is_alone()) {
        mpm->num_buckets = 1;
    }
    else if (!mpm->was_graceful) {
        mpm->num_buckets = 0; /* as many as the configuration says */
    }
    rv = ap_duplicate_listeners(pconf, server, &buckets, &mpm->num_buckets);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT | startup, rv,
                     startup ? NULL : server,
                     "could not duplicate listeners");
        return !OK;
    }
    apr_pool_userdata_setn(buckets, RETAINED_KEY, NULL, pconf);
    if (mpm->max_buckets < mpm->num_buckets) {
        mpm->max_buckets = mpm->num_buckets;
    }
    if (parent->num_buckets < mpm->num_buckets) {
        spawn_bucket_t *more = ap_calloc((size_t)mpm->num_buckets,
                                         sizeof(*more));

        if (parent->num_buckets > 0) {
            memcpy(more, parent->buckets,
                   sizeof(*more) * (size_t)parent->num_buckets);
            free(parent->buckets);
        }
        parent->buckets = more;
        parent->num_buckets = mpm->num_buckets;
    }
    return OK;
}

static ap_listen_rec *listeners_of(const run_t *run, int bucket)
{
    void *buckets = NULL;

    apr_pool_userdata_get(&buckets, RETAINED_KEY, run->pconf);
    return ((ap_listen_rec **)buckets)[bucket];
}

/* In a new process: be the child in this slot. */
static void become_child(run_t *run, int slot, int pod)
{
    ap_unixd_mpm_retained_data *mpm = run->parent->mpm;
    int mine = slot % mpm->num_buckets;
    child_start_t start = {run->server, run->pconf, run->settings,
                           listeners_of(run, mine), slot, pod, 0,
                           &run->signals, run->runtime};
    int i;

    slots_forget(&run->parent->slots);
    for (i = 0; i < mpm->num_buckets; i++) {
        if (i != mine) {
            ap_close_listeners_ex(listeners_of(run, i));
        }
    }
    child_main(&start);
}

/* Start a child in this slot: 0 if that was not possible. */
static int start_child(run_t *run, int slot)
{
    parent_t *parent = run->parent;
    int child_end, parent_end;
    apr_status_t rv;
    pid_t pid = -1;

    rv = pod_open(&child_end, &parent_end);
    if (rv == APR_SUCCESS) {
        pid = fork();
        if (pid == 0) {
            pod_close(&parent_end);
            become_child(run, slot, child_end);
        }
        if (pid < 0) {
            rv = errno;
            pod_close(&parent_end);
        }
        pod_close(&child_end);
    }
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, run->server,
                     APLOGNO(00481) "fork: Unable to fork new process");
        run->fork_failed = 1;
        return 0;
    }
    slots_enter(&parent->slots, slot, pid, parent->mpm->my_generation,
                parent_end, run->server);
    return 1;
}

/* Start up to n children in this bucket. */
static int start_in_bucket(run_t *run, int bucket, int n)
{
    parent_t *parent = run->parent;
    int started = 0;

    while (started < n && !run->fork_failed) {
        int slot = slots_find_free(&parent->slots, bucket,
                                   parent->mpm->num_buckets);

        if (slot < 0 || !start_child(run, slot)) {
            break;
        }
        started++;
    }
    return started;
}

/* Start up to n children, spread over the buckets. */
static int start_children(run_t *run, int n)
{
    int num_buckets = run->parent->mpm->num_buckets;
    int started = 0, before, bucket;

    do {
        before = started;
        for (bucket = 0; bucket < num_buckets && started < n; bucket++) {
            started += start_in_bucket(run, bucket, 1);
        }
    } while (started > before && started < n);
    return started;
}

static void report(run_t *run, spawn_report_e what)
{
    server_rec *s = run->server;

    switch (what) {
    case SPAWN_REPORT_NONE:
        break;
    case SPAWN_REPORT_FULL:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     APLOGNO(00484) "server reached MaxRequestWorkers "
                     "setting, consider raising the MaxRequestWorkers "
                     "setting");
        break;
    case SPAWN_REPORT_NEAR:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     APLOGNO(10159) "server is within MinSpareThreads of "
                     "MaxRequestWorkers, consider raising the "
                     "MaxRequestWorkers setting");
        break;
    case SPAWN_REPORT_NO_SLOT:
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     APLOGNO(03490) "scoreboard is full, not at "
                     "MaxRequestWorkers. Increase ServerLimit (now %d).",
                     run->parent->slots.num);
        break;
    case SPAWN_REPORT_MANY:
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s,
                     APLOGNO(00486) "server seems busy, (you may need to "
                     "increase StartServers, ThreadsPerChild or "
                     "Min/MaxSpareThreads)");
        break;
    case SPAWN_REPORT_KILLS:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     APLOGNO(10392) "children are killed successively!");
        break;
    case SPAWN_REPORT_OLD_FATAL:
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     APLOGNO(00487) "Ignoring fatal exit in a child of an "
                     "earlier generation");
        break;
    case SPAWN_REPORT_HOPELESS:
        ap_log_error(APLOG_MARK, APLOG_ALERT, 0, s,
                     APLOGNO(02324) "A resource shortage or other "
                     "unrecoverable failure was encountered before any "
                     "child process initialized successfully... httpd is "
                     "exiting!");
        break;
    }
}

static spawn_totals_t count(const run_t *run)
{
    spawn_totals_t totals;
    const parent_t *parent = run->parent;

    slots_count(&parent->slots, parent->mpm->my_generation,
                parent->mpm->num_buckets, &totals);
    return totals;
}

/* A process that is not a child of ours has ended: a logger, a daemon. */
static void other_ended(run_t *run, apr_proc_t *proc, int status)
{
    sigset_t held;

    /* What is started anew for it must not inherit what we hold back. */
    pthread_sigmask(SIG_SETMASK, &run->signals.outside, &held);
    if (apr_proc_other_child_alert(proc, APR_OC_REASON_DEATH, status)
            != APR_SUCCESS
        && run->parent->mpm->was_graceful) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, run->server,
                     APLOGNO(00488) "long lost child came home! (pid %ld)",
                     (long)proc->pid);
    }
    pthread_sigmask(SIG_SETMASK, &held, NULL);
}

static void child_ended(run_t *run, apr_proc_t *proc, apr_exit_why_e why,
                        int status)
{
    parent_t *parent = run->parent;
    ap_generation_t generation = parent->mpm->my_generation;
    int rc = ap_process_child_status(proc, why, status);
    int slot = slots_find(&parent->slots, proc->pid);
    spawn_death_t death = {SPAWN_END_NORMAL, 0, 0};
    spawn_bucket_t *bucket = NULL;
    spawn_decision_t decision;

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
        death.old = parent->slots.slots[slot].generation != generation;
        death.serving = slots_serves(&parent->slots, slot, generation);
        bucket = &parent->buckets[slot % parent->mpm->num_buckets];
        slots_leave(&parent->slots, slot, run->server);
    }
    else if (death.end != SPAWN_END_FATAL) {
        other_ended(run, proc, status);
        return;
    }
    decision = spawn_reaped(&parent->spawn, bucket, &run->limits,
                            count(run).serving, &death);
    report(run, decision.report);
    if (decision.stop) {
        run->give_up = APEXIT_CHILDFATAL;
    }
    if (decision.fork && start_child(run, slot) == 0 && bucket != NULL) {
        spawn_slow_down(bucket);
    }
}

static void reap(run_t *run)
{
    apr_proc_t proc;
    apr_exit_why_e why;
    int status;

    while (APR_STATUS_IS_CHILD_DONE(apr_proc_wait_all_procs(
               &proc, &status, &why, APR_NOWAIT, run->pconf))) {
        child_ended(run, &proc, why, status);
    }
}

/* The turn of a bucket in the idle maintenance. */
static void maintain_bucket(run_t *run, int b, spawn_totals_t *totals)
{
    parent_t *parent = run->parent;
    ap_generation_t generation = parent->mpm->my_generation;
    int num_buckets = parent->mpm->num_buckets;
    spawn_census_t census;
    spawn_decision_t decision;

    slots_census(&parent->slots, generation,
                 run->settings->threads_per_child, b, num_buckets, &census);
    decision = spawn_decide(&parent->buckets[b], &run->limits, &census,
                            totals);
    report(run, decision.report);
    if (start_in_bucket(run, b, decision.fork) < decision.fork) {
        spawn_slow_down(&parent->buckets[b]);
    }
    if (decision.retire) {
        slots_tell(&parent->slots,
                   slots_least_busy(&parent->slots, generation, b,
                                    num_buckets),
                   POD_DRAIN);
    }
}

/* Healthy children; *idle is the number of idle workers of all buckets. */
static int look_around(run_t *run, int *idle)
{
    parent_t *parent = run->parent;
    int healthy = 0, b;

    *idle = 0;
    for (b = 0; b < parent->mpm->num_buckets; b++) {
        spawn_census_t census;

        healthy += slots_census(&parent->slots, parent->mpm->my_generation,
                                run->settings->threads_per_child, b,
                                parent->mpm->num_buckets, &census);
        *idle += census.idle;
    }
    if (healthy > 0) {
        run->healthy = 1;
    }
    return healthy;
}

static void maintain(run_t *run)
{
    parent_t *parent = run->parent;
    spawn_totals_t totals = count(run);
    spawn_decision_t decision;
    int b;

    run->fork_failed = 0;
    look_around(run, &totals.idle);
    decision = spawn_tick(&parent->spawn, &run->limits, &totals,
                          run->healthy);
    report(run, decision.report);
    if (decision.stop) {
        run->give_up = APEXIT_CHILDSICK;
        return;
    }
    parent->spawn.wanted += decision.fork
                            - start_children(run, decision.fork);
    totals = count(run);
    look_around(run, &totals.idle);
    for (b = 0; b < parent->mpm->num_buckets; b++) {
        maintain_bucket(run, b, &totals);
    }
}

/*
 * After a graceful restart: is the old generation still to be told? It goes
 * on serving until the new one can, so that there is never nobody to accept.
 * Where slots are short, old children make room one after the other.
 */
static int hand_over(run_t *run)
{
    parent_t *parent = run->parent;
    ap_generation_t generation = parent->mpm->my_generation;
    spawn_totals_t totals;
    int idle, healthy;

    if (slots_untold_before(&parent->slots, generation) == 0) {
        return 0;
    }
    totals = count(run);
    healthy = look_around(run, &idle);
    if (totals.serving > 0 && healthy == totals.serving
        && (parent->spawn.wanted <= 0 || totals.free_slots == 0)) {
        slots_tell_before(&parent->slots, generation, POD_DRAIN);
        return 0;
    }
    if (totals.serving == 0 && totals.free_slots == 0) {
        slots_tell_before(&parent->slots, generation, POD_DRAIN);
    }
    return 1;
}

static int is_pending(const ap_unixd_mpm_retained_data *mpm)
{
    return mpm->shutdown_pending || mpm->restart_pending;
}

/* Sleep until a signal, or the next beat; then reap, and beat. */
static void turn(run_t *run, int handing_over)
{
    apr_time_t now = clock_now();
    apr_interval_time_t nap = run->next_beat - now;

    if (handing_over && nap > HANDOVER_BEAT) {
        nap = HANDOVER_BEAT;
    }
    if (nap > 0) {
        signals_sleep(&run->signals, NULL, 0, nap);
    }
    ap_update_global_status();
    reap(run);
    if (clock_now() < run->next_beat || is_pending(run->parent->mpm)
        || run->give_up) {
        return;
    }
    run->next_beat = clock_now() + BEAT;
    if (++run->beats % BEATS_PER_MONITOR == 0) {
        ap_run_monitor(run->pconf, run->server);
    }
    maintain(run);
}

static void serve(run_t *run)
{
    int handing_over = 1;

    run->next_beat = clock_now() + BEAT;
    while (!is_pending(run->parent->mpm) && !run->give_up) {
        handing_over = handing_over && hand_over(run);
        turn(run, handing_over);
    }
}

/* For core's reclaiming: the child in this slot has ended. */
static void reclaimed(int slot, pid_t pid, ap_generation_t generation)
{
    (void)generation;
    if (slot < 0) {
        slot = slots_find(&running->parent->slots, pid);
    }
    if (slot >= 0) {
        slots_leave(&running->parent->slots, slot, running->server);
    }
}

static void tell_all(run_t *run, pod_word_e word)
{
    slots_tell_before(&run->parent->slots,
                      run->parent->mpm->my_generation + 1, word);
}

/* Stop all children now, by force if need be. */
static void kill_all(run_t *run)
{
    tell_all(run, POD_EXIT);
    ap_reclaim_child_processes(1, reclaimed);
}

static void remove_pid_file(run_t *run)
{
    if (!parent_is_alone()) {
        ap_remove_pid(run->pconf, ap_pid_fname);
    }
}

/* Let the children finish; until they have, time is up, or TERM comes. */
static void stop_gracefully(run_t *run)
{
    ap_unixd_mpm_retained_data *mpm = run->parent->mpm;
    apr_time_t give_up = CLOCK_NEVER;

    ap_close_listeners();
    tell_all(run, POD_DRAIN);
    remove_pid_file(run);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->server,
                 APLOGNO(00492) "caught " AP_SIG_GRACEFUL_STOP_STRING
                 ", shutting down gracefully");
    if (ap_graceful_shutdown_timeout > 0) {
        give_up = clock_now()
                  + apr_time_from_sec(ap_graceful_shutdown_timeout);
    }
    for (;;) {
        apr_time_t now = clock_now();
        apr_interval_time_t nap = BEAT;

        ap_relieve_child_processes(reclaimed);
        if (count(run).children == 0 || mpm->is_ungraceful
            || now >= give_up) {
            break;
        }
        nap = give_up - now < nap ? give_up - now : nap;
        signals_sleep(&run->signals, NULL, 0, nap);
    }
    kill_all(run);
}

static int stop(run_t *run)
{
    if (run->give_up) {
        kill_all(run);
        return run->give_up;
    }
    if (!run->parent->mpm->is_ungraceful) {
        stop_gracefully(run);
        return DONE;
    }
    kill_all(run);
    remove_pid_file(run);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->server,
                 APLOGNO(00491) "caught SIGTERM, shutting down");
    return DONE;
}

static int restart(run_t *run)
{
    ap_unixd_mpm_retained_data *mpm = run->parent->mpm;

    run->parent->wanted = count(run).serving;
    mpm->my_generation++;
    ap_scoreboard_image->global->running_generation = mpm->my_generation;
    if (mpm->is_ungraceful) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->server,
                     APLOGNO(00494) "SIGHUP received.  Attempting to "
                     "restart");
        kill_all(run);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->server,
                     APLOGNO(00493) AP_SIG_GRACEFUL_STRING " received.  "
                     "Doing graceful restart");
    }
    return OK;
}

/* -X: this process is the child. */
static int run_alone(run_t *run)
{
    slots_t *slots = &run->parent->slots;
    child_start_t start = {run->server, run->pconf, run->settings,
                           listeners_of(run, 0), 0, -1, 1,
                           &run->signals, run->runtime};

    slots_enter(slots, 0, getpid(), run->parent->mpm->my_generation, -1,
                run->server);
    child_main(&start);
    slots_leave(slots, 0, run->server);
    return DONE;
}

/* As many as StartServers says or, after a graceful restart, as served
 * before, as soon as there are slots for them. */
static void start_serving(run_t *run)
{
    parent_t *parent = run->parent;
    int graceful = parent->mpm->was_graceful;
    int wanted = run->settings->start_servers;
    int b;

    if (graceful && parent->wanted > wanted) {
        wanted = parent->wanted;
    }
    if (wanted > run->settings->max_children) {
        wanted = run->settings->max_children;
    }
    for (b = 0; b < parent->mpm->num_buckets; b++) {
        spawn_slow_down(&parent->buckets[b]);
    }
    spawn_begin(&parent->spawn, wanted - start_children(run, wanted));
}

static void announce(run_t *run, apr_pool_t *plog)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->server,
                 APLOGNO(00489) "%s configured -- resuming normal "
                 "operations", ap_get_server_description());
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, run->server,
                 APLOGNO(00490) "Server built: %s", ap_get_server_built());
    ap_log_command_line(plog, run->server);
    ap_log_mpm_common(run->server);
}

static void fill_limits(run_t *run)
{
    run->limits.min_spare = run->settings->min_spare_threads;
    run->limits.max_spare = run->settings->max_spare_threads;
    run->limits.max_workers = run->settings->max_request_workers;
    run->limits.max_children = run->settings->max_children;
    run->limits.num_buckets = run->parent->mpm->num_buckets;
}

int parent_run(parent_t *parent, apr_pool_t *pconf, apr_pool_t *plog,
               server_rec *server, settings_t *settings, runtime_t **runtime)
{
    ap_unixd_mpm_retained_data *mpm = parent->mpm;
    run_t run = {0};
    int rc;

    run.parent = parent;
    run.pconf = pconf;
    run.server = server;
    run.settings = settings;
    run.runtime = runtime;
    running = &run;
    ap_log_pid(pconf, ap_pid_fname);
    if (!mpm->was_graceful) {
        if (ap_run_pre_mpm(server->process->pool, SB_SHARED) != OK) {
            mpm->mpm_state = AP_MPMQ_STOPPING;
            return !OK;
        }
        ap_scoreboard_image->global->running_generation = mpm->my_generation;
    }
    if (parent->slots.slots == NULL) {
        slots_init(&parent->slots, settings->server_limit);
    }
    settings_fit_buckets(settings, mpm->num_buckets);
    fill_limits(&run);
    ap_unixd_mpm_set_signals(pconf, parent_is_alone());
    if (parent_is_alone()) {
        mpm->mpm_state = AP_MPMQ_RUNNING;
        return run_alone(&run);
    }
    signals_hold(&run.signals);
    start_serving(&run);
    announce(&run, plog);
    mpm->mpm_state = AP_MPMQ_RUNNING;
    serve(&run);
    if (run.give_up || mpm->shutdown_pending) {
        rc = stop(&run);
    }
    else {
        rc = restart(&run);
        signals_release(&run.signals);
        if (mpm->shutdown_pending) {
            /* A stop that came while the restart reclaimed children would
             * be forgotten with the old configuration. */
            signals_hold(&run.signals);
            rc = stop(&run);
        }
    }
    signals_release(&run.signals);
    return rc;
}
