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

#include <stdlib.h>
#include <unistd.h>

#include "httpd.h"
#include "ap_listen.h"
#include "http_log.h"
#include "http_main.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "child.h"
#include "children.h"
#include "clock.h"
#include "parent.h"
#include "quota.h"

APLOG_USE_MODULE(mpm_event);

/* The monitor hook and the idle census. */
#define BEAT apr_time_from_sec(1)
#define BEATS_PER_MONITOR 10

/* Children that have no room are helped this often at most. */
#define HELP_BEAT apr_time_from_msec(20)

/* How often to look whether the new generation is ready. */
#define HANDOVER_BEAT apr_time_from_msec(10)

typedef struct run_t {
    children_t children;
    apr_time_t next_beat;
    apr_time_t next_help;
    int beats;
} run_t;

/* ap_reclaim_child_processes passes nothing to its callback. */
static run_t *running;

/*
 * After a graceful restart: is the old generation still to be told? It goes
 * on serving until the new one can, so that there is never nobody to accept.
 * Where slots are short, the oldest child that is finishing is hurried.
 */
static int hand_over(run_t *run)
{
    retained_t *retained = run->children.retained;
    ap_generation_t generation = retained->mpm->my_generation;
    spawn_totals_t totals;
    int healthy;

    if (slots_untold_before(&retained->slots, generation) == 0) {
        return 0;
    }
    totals = children_count(&run->children);
    healthy = children_healthy(&run->children, NULL);
    if (totals.free_slots == 0) {
        slots_hurry(&retained->slots, generation);
    }
    if (totals.serving > 0 && healthy == totals.serving
        && (retained->spawn.wanted <= 0 || totals.free_slots == 0)) {
        slots_tell_before(&retained->slots, generation, POD_DRAIN);
        return 0;
    }
    return 1;
}

static int is_pending(const ap_unixd_mpm_retained_data *mpm)
{
    return mpm->shutdown_pending || mpm->restart_pending;
}

/* Clients wait that the children there are cannot accept: that is not left
 * until the next beat. */
static void help(run_t *run)
{
    apr_time_t now = clock_now();

    if (now >= run->next_help && !run->children.give_up
        && !is_pending(run->children.retained->mpm)
        && children_want_help(&run->children)) {
        run->next_help = now + HELP_BEAT;
        children_help(&run->children);
    }
}

/* Sleep until a signal, the bell, or the next beat, which is soon if a child
 * is expected to get ready; then reap, and beat. */
static void turn(run_t *run, int expecting)
{
    struct pollfd bell = {run->children.retained->bell_in, POLLIN, 0};
    apr_interval_time_t nap = run->next_beat - clock_now();

    if (expecting && nap > HANDOVER_BEAT) {
        nap = HANDOVER_BEAT;
    }
    if (nap > 0) {
        signals_sleep(run->children.signals, &bell, 1, nap);
    }
    if (bell.revents != 0) {
        pod_hear(bell.fd);
    }
    ap_update_global_status();
    children_reap(&run->children);
    help(run);
    if (clock_now() < run->next_beat || is_pending(run->children.retained->mpm)
        || run->children.give_up) {
        return;
    }
    run->next_beat = clock_now() + BEAT;
    if (++run->beats % BEATS_PER_MONITOR == 0) {
        ap_run_monitor(run->children.pconf, run->children.server);
    }
    children_maintain(&run->children);
}

static void serve(run_t *run)
{
    int handing_over = 1;

    run->next_beat = clock_now() + BEAT;
    while (!is_pending(run->children.retained->mpm) && !run->children.give_up) {
        int relieving = children_relieve(&run->children);

        handing_over = handing_over && hand_over(run);
        turn(run, handing_over || relieving);
    }
}

/* For core's reclaiming: the child in this slot has ended. */
static void reclaimed(int slot, pid_t pid, ap_generation_t generation)
{
    (void)generation;
    if (slot < 0) {
        slot = slots_find(&running->children.retained->slots, pid);
    }
    if (slot >= 0) {
        slots_leave(&running->children.retained->slots, slot,
                    running->children.server);
    }
}

static void tell_all(run_t *run, pod_word_e word)
{
    slots_tell_before(&run->children.retained->slots,
                      run->children.retained->mpm->my_generation + 1, word);
}

/* Stop all children now, by force if need be. */
static void kill_all(run_t *run)
{
    tell_all(run, POD_EXIT);
    ap_reclaim_child_processes(1, reclaimed);
}

static void remove_pid_file(run_t *run)
{
    if (!startup_is_alone()) {
        ap_remove_pid(run->children.pconf, ap_pid_fname);
    }
}

/* Let the children finish; until they have, time is up, or TERM comes. */
static void stop_gracefully(run_t *run)
{
    ap_unixd_mpm_retained_data *mpm = run->children.retained->mpm;
    apr_time_t give_up = CLOCK_NEVER;

    ap_close_listeners();
    spawn_begin(&run->children.retained->spawn, 0); /* no more are wanted */
    tell_all(run, POD_LAST);
    remove_pid_file(run);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->children.server,
                 APLOGNO(00492) "caught " AP_SIG_GRACEFUL_STOP_STRING
                                ", shutting down gracefully");
    if (ap_graceful_shutdown_timeout > 0) {
        give_up = clock_now() + apr_time_from_sec(ap_graceful_shutdown_timeout);
    }
    for (;;) {
        apr_time_t now = clock_now();
        apr_interval_time_t nap = BEAT;

        children_reap(&run->children);
        if (children_count(&run->children).children == 0 || mpm->is_ungraceful
            || now >= give_up) {
            break;
        }
        nap = give_up - now < nap ? give_up - now : nap;
        signals_sleep(run->children.signals, NULL, 0, nap);
    }
    kill_all(run);
}

static int stop(run_t *run)
{
    if (run->children.give_up) {
        kill_all(run);
        return run->children.give_up;
    }
    if (!run->children.retained->mpm->is_ungraceful) {
        stop_gracefully(run);
        return DONE;
    }
    kill_all(run);
    remove_pid_file(run);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->children.server,
                 APLOGNO(00491) "caught SIGTERM, shutting down");
    return DONE;
}

static int restart(run_t *run)
{
    ap_unixd_mpm_retained_data *mpm = run->children.retained->mpm;

    run->children.retained->wanted = children_count(&run->children).serving;
    mpm->my_generation++;
    ap_scoreboard_image->global->running_generation = mpm->my_generation;
    if (mpm->is_ungraceful) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->children.server,
                     APLOGNO(00494) "SIGHUP received.  Attempting to "
                                    "restart");
        kill_all(run);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->children.server,
                     APLOGNO(00493) AP_SIG_GRACEFUL_STRING
                     " received.  "
                     "Doing graceful restart");
        /*
         * What helpers do for a request is lost when they end with the old
         * configuration, so where there are any the old children take no
         * more connections from here on.
         */
        tell_all(run, slots_have_helpers(&run->children.retained->slots)
                          ? POD_DRAIN
                          : POD_RENEWED);
    }
    return OK;
}

/* -X: this process is the child. Core has arranged for its own cleaning up
 * at exit, and returning to it would make it do that twice. */
static void run_alone(run_t *run)
{
    children_t *children = &run->children;
    slots_t *slots = &children->retained->slots;
    child_start_t start = {.server = children->server,
                           .pconf = children->pconf,
                           .settings = children->settings,
                           .listeners = startup_listeners(children->pconf, 0),
                           .pod = -1,
                           .one_process = 1,
                           .clients = slots->clients,
                           .signals = children->signals,
                           .runtime = children->runtime};
    int code;

    slots_enter(slots, 0, getpid(), children->retained->mpm->my_generation, 0,
                -1, children->server);
    code = child_main(&start);
    slots_leave(slots, 0, children->server);
    exit(code);
}

/* As many as StartServers says or, after a graceful restart, as served
 * before, as soon as there are slots for them. */
static void start_serving(run_t *run)
{
    retained_t *retained = run->children.retained;
    int graceful = retained->mpm->was_graceful;
    int wanted = run->children.settings->start_servers;
    int b;

    if (graceful && retained->wanted > wanted) {
        wanted = retained->wanted;
    }
    if (wanted > run->children.settings->max_children) {
        wanted = run->children.settings->max_children;
    }
    for (b = 0; b < retained->mpm->num_buckets; b++) {
        spawn_slow_down(&retained->buckets[b]);
    }
    spawn_begin(&retained->spawn,
                wanted - children_start(&run->children, wanted));
}

static void announce(run_t *run, apr_pool_t *plog)
{
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, run->children.server,
                 APLOGNO(00489) "%s configured -- resuming normal "
                                "operations",
                 ap_get_server_description());
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, run->children.server,
                 APLOGNO(00490) "Server built: %s", ap_get_server_built());
    ap_log_command_line(plog, run->children.server);
    ap_log_mpm_common(run->children.server);
}

static void fill_limits(children_t *children)
{
    const settings_t *settings = children->settings;

    children->limits.min_spare = settings->min_spare_threads;
    children->limits.max_spare = settings->max_spare_threads;
    children->limits.max_workers = settings->max_request_workers;
    children->limits.max_children = settings->max_children;
    children->limits.threads = settings->threads_per_child;
    children->limits.num_buckets = children->retained->mpm->num_buckets;
}

/* Serve until somebody wants it to end. */
static int run_children(run_t *run, apr_pool_t *plog)
{
    ap_unixd_mpm_retained_data *mpm = run->children.retained->mpm;
    int rc;

    start_serving(run);
    announce(run, plog);
    mpm->mpm_state = AP_MPMQ_RUNNING;
    serve(run);
    if (run->children.give_up || mpm->shutdown_pending) {
        rc = stop(run);
    }
    else {
        rc = restart(run);
    }
    return rc;
}

/*
 * When the configuration is cleared, core forgets what signals have asked
 * for. Ours are let in after that, so that one which came between our last
 * look and then is pending for the next run and not lost.
 */
static apr_status_t let_signals_in(void *data)
{
    signals_release(data);
    return APR_SUCCESS;
}

/* What is kept from the first run to the last: 0 if it cannot be had. */
static int set_up_once(run_t *run)
{
    children_t *children = &run->children;
    retained_t *retained = children->retained;
    apr_status_t rv;

    rv = pod_open_bell(&retained->bell_in, &retained->bell_out);
    if (rv == APR_SUCCESS) {
        rv = pod_open_bell(&retained->knock_in, &retained->knock_out);
    }
    if (rv == APR_SUCCESS) {
        rv = slots_init(&retained->slots, children->settings->slots,
                        children->server->process->pool);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, children->server,
                     "cannot set up the table of children");
    }
    return rv == APR_SUCCESS;
}

int parent_run(retained_t *retained, apr_pool_t *pconf, apr_pool_t *plog,
               server_rec *server, settings_t *settings, runtime_t **runtime)
{
    ap_unixd_mpm_retained_data *mpm = retained->mpm;
    run_t run = {.children = {.retained = retained,
                              .pconf = pconf,
                              .server = server,
                              .settings = settings,
                              .runtime = runtime}};

    running = &run;
    ap_log_pid(pconf, ap_pid_fname);
    if (!mpm->was_graceful) {
        /* The scoreboard is about to be emptied: nobody may be in it. */
        if (children_count(&run.children).children > 0) {
            kill_all(&run);
            slots_clear(&retained->slots);
        }
        if (ap_run_pre_mpm(server->process->pool, SB_SHARED) != OK) {
            mpm->mpm_state = AP_MPMQ_STOPPING;
            return !OK;
        }
        ap_scoreboard_image->global->running_generation = mpm->my_generation;
    }
    if (retained->slots.slots == NULL && !set_up_once(&run)) {
        mpm->mpm_state = AP_MPMQ_STOPPING;
        return !OK;
    }
    quota_prepare(&retained->slots.clients, settings, retained->slots.num,
                  server->process->pool, server);
    settings_fit_buckets(settings, mpm->num_buckets);
    fill_limits(&run.children);
    run.children.signals = apr_pcalloc(pconf, sizeof(signals_t));
    if (startup_is_alone()) {
        ap_unixd_mpm_set_signals(pconf, 1);
        run_alone(&run);
    }
    /* In this order: see let_signals_in. */
    signals_hold(run.children.signals);
    apr_pool_cleanup_register(pconf, run.children.signals, let_signals_in,
                              apr_pool_cleanup_null);
    ap_unixd_mpm_set_signals(pconf, 0);
    return run_children(&run, plog);
}
