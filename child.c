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

/* child: see child.h */

#include <stdlib.h>
#include <unistd.h>
#ifdef HAVE_PRCTL
#include <sys/prctl.h>
#endif

#include "apr_signal.h"
#include "apr_thread_proc.h"

#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "http_main.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "acceptor.h"
#include "child.h"
#include "clock.h"
#include "conn.h"
#include "heads.h"
#include "listener.h"
#include "tasks.h"
#include "worker.h"

APLOG_USE_MODULE(mpm_event);

/* Events per wait: many, so that a busy listener turns seldom. */
#define EVENT_BATCH 256

/* A child has memory ready for its first connections: one for each thread, but
 * for no more than this. In a burst they would all make theirs at once. */
#define STOCK_MAX 64

/*
 * How long to serve on while a new generation is prepared: until this module
 * is loaded again, which it never is if another MPM was put in its place,
 * and from then until the configuration has been read.
 */
#define RELOAD_TIME apr_time_from_sec(5)
#define RENEWAL_TIME apr_time_from_sec(300)

/* How long workers may take to leave when the child is to exit now. */
#define EXIT_TIME apr_time_from_msec(2000)

/* Set by TERM; a signal handler has no other way to be told where. */
static volatile sig_atomic_t term_came;

typedef struct child_t {
    const child_start_t *start;
    apr_pool_t *pchild; /* for modules */
    runtime_t *runtime; /* in a pool that outlives the connections */
    apr_thread_t *listener; /* NULL: not started */
    int workers;            /* started */
    pid_t parent;
    apr_time_t renewed; /* drain by then: the next generation is due */
    int told; /* runtime_stop_e that child_stopping has been run for */
} child_t;

static void leave_early(int sig)
{
    (void)sig;
    _exit(0); /* nothing has been started yet that would want a goodbye */
}

static void note_term(int sig)
{
    (void)sig;
    term_came = 1;
}

/* Modules' goodbye, then out. */
static int leave(child_t *child, int code)
{
    ap_unixd_mpm_get_retained_data()->mpm_state = AP_MPMQ_STOPPING;
    if (child->pchild != NULL) {
        if (child->told == RUNTIME_RUN && child->runtime != NULL) {
            ap_run_child_stopping(child->pchild, 0);
        }
#if MODULE_MAGIC_NUMBER_MAJOR >= 20211221
        ap_run_child_stopped(child->pchild, child->told == RUNTIME_DRAIN);
#endif
        apr_pool_destroy(child->pchild);
        child->pchild = NULL;
    }
    if (!child->start->one_process) {
        exit(code);
    }
    return code;
}

/* What a worker of this child has its threads' stacks and such from. */
static apr_threadattr_t *thread_attributes(const runtime_t *rt)
{
    apr_threadattr_t *attr;
    apr_status_t rv;

    apr_threadattr_create(&attr, rt->pool);
    apr_threadattr_detach_set(attr, 0);
    if (ap_thread_stacksize != 0) {
        rv = apr_threadattr_stacksize_set(attr, ap_thread_stacksize);
        if (rv != APR_SUCCESS && rv != APR_ENOTIMPL) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, rv, rt->server,
                         APLOGNO(02436) "WARNING: ThreadStackSize of "
                         "%" APR_SIZE_T_FMT " is inappropriate, using "
                         "default", ap_thread_stacksize);
        }
    }
    return attr;
}

/* Out of threads: a matter of the system's limits, which may pass. */
static void report_no_thread(const runtime_t *rt, apr_status_t rv,
                             const char *id, const char *what)
{
    ap_log_error(APLOG_MARK, APLOG_ALERT, rv, rt->server,
                 "%sap_thread_create: unable to create %s thread", id, what);
}

static apr_status_t start_threads(child_t *child)
{
    runtime_t *rt = child->runtime;
    apr_threadattr_t *attr = thread_attributes(rt);
    apr_status_t rv;
    int i;

    for (i = 0; i < rt->settings->threads_per_child; i++) {
        worker_t *worker = &rt->workers[i];

        worker->runtime = rt;
        worker->id = i;
        atomic_init(&worker->busy, NULL);
        atomic_fetch_add(&rt->threads, 1);
        rv = ap_thread_create(&worker->thread, attr, worker_main, worker,
                              rt->pool);
        if (rv != APR_SUCCESS) {
            atomic_fetch_sub(&rt->threads, 1);
            report_no_thread(rt, rv, APLOGNO(03104), "worker");
            return rv;
        }
        child->workers++;
    }
    atomic_fetch_add(&rt->threads, 1);
    rv = ap_thread_create(&child->listener, attr, listener_main, rt,
                          rt->pool);
    if (rv != APR_SUCCESS) {
        child->listener = NULL;
        atomic_fetch_sub(&rt->threads, 1);
        report_no_thread(rt, rv, APLOGNO(00474), "listener");
    }
    return rv;
}

/* What this child's workers share with those of its siblings, if any. */
static const fdqueue_share_t *share_of(const child_start_t *start,
                                       fdqueue_share_t *share)
{
    int processors = tasks_processors();

    if (start->note == NULL || processors < 1) {
        return NULL;
    }
    share->shown = start->board->shown;
    share->top = &start->board->top;
    share->mine = start->slot;
    share->processors = processors;
    return share;
}

/*
 * The rooms. Their pool is made before any connection's, so that these are
 * gone before it is.
 */
static apr_status_t build_rooms(child_t *child)
{
    const child_start_t *start = child->start;
    int threads = start->settings->threads_per_child;
    fdqueue_share_t share;
    apr_pool_t *pool;
    runtime_t *rt;
    apr_status_t rv;

    apr_pool_create(&pool, start->pconf);
    apr_pool_tag(pool, "runtime");
    rt = apr_pcalloc(pool, sizeof(*rt));
    rt->server = start->server;
    rt->settings = start->settings;
    rt->pool = pool;
    rt->slot = start->slot;
    rt->note = start->note;
    rt->bell = start->bell;
    rt->board = start->board;
    rt->knock_in = start->board != NULL ? start->knock_in : -1;
    rt->knock_out = start->knock_out;
    rt->clients = start->settings->client_limit > 0 ? start->clients : NULL;
    atomic_init(&rt->resting, 0);
    atomic_init(&rt->relieved, 0);
    atomic_init(&rt->hurry, 0);
    atomic_init(&rt->partings, 0);
    atomic_init(&rt->last, start->own_sockets);
    atomic_init(&rt->stop, RUNTIME_RUN);
    atomic_init(&rt->exit_code, 0);
    atomic_init(&rt->threads, 0);
    status_init(&rt->status, start->slot);
    rt->workers = apr_pcalloc(pool, sizeof(*rt->workers) * threads);
    if ((rv = fdqueue_create(&rt->queue, threads, share_of(start, &share),
                             pool))
            != APR_SUCCESS
        || (rv = parking_create(&rt->parking, EVENT_BATCH, pool))
               != APR_SUCCESS
        || (rv = timers_create(&rt->timers, RUNTIME_TIMER, pool))
               != APR_SUCCESS
        || (rv = ptrans_create(&rt->ptrans, start->pconf, ap_max_mem_free,
                               ap_max_mem_free != 0 ? threads * 3 / 4 + 1 : 0,
                               pool))
               != APR_SUCCESS
        || (rv = leaving_create(&rt->leaving, pool)) != APR_SUCCESS
        || (rv = held_create(&rt->held, threads, conn_moved_on, pool))
               != APR_SUCCESS
        || (rv = apr_threadkey_private_create(&rt->running, NULL, pool))
               != APR_SUCCESS
        || (rv = pod_create(&rt->pod, start->pod, pool)) != APR_SUCCESS
        || (rv = acceptor_create(&rt->acceptor, rt, start->listeners,
                                 ap_max_requests_per_child, pool))
               != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ALERT, rv, start->server,
                     APLOGNO(03102) "cannot build the runtime of this child");
        return rv;
    }
    ptrans_stock(rt->ptrans, threads < STOCK_MAX ? threads : STOCK_MAX);
    rt->heads = heads_create(rt, pool);
    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, start->server,
                 APLOGNO(02471) "using %s", parking_method(rt->parking));
    child->runtime = rt;
    *start->runtime = rt;
    return APR_SUCCESS;
}

/* Up to where modules have started: 0, or the exit code. */
static int set_up(child_t *child)
{
    const child_start_t *start = child->start;
    apr_status_t rv;

    ap_unixd_mpm_get_retained_data()->mpm_state = AP_MPMQ_STARTING;
    ap_fatal_signal_child_setup(start->server);
    apr_pool_create(&child->pchild, start->pconf);
    apr_pool_tag(child->pchild, "pchild");
#if AP_HAS_THREAD_LOCAL
    if (!start->one_process) {
        apr_thread_t *self;

        rv = ap_thread_main_create(&self, child->pchild);
        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_EMERG, rv, start->server,
                         APLOGNO(10377) "Couldn't initialize child main "
                         "thread, exiting");
            return APEXIT_CHILDFATAL;
        }
    }
#endif
    ap_reopen_scoreboard(child->pchild, NULL, 0);
    if (ap_run_drop_privileges(child->pchild, start->server)) {
        return APEXIT_CHILDFATAL;
    }
    if (build_rooms(child) != APR_SUCCESS) {
        return APEXIT_CHILDSICK;
    }
    /* Blocks signals in this thread and so in all it and modules start. */
    rv = apr_setup_signal_thread();
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, rv, start->server,
                     APLOGNO(00479) "Couldn't initialize signal thread");
        return APEXIT_CHILDFATAL;
    }
    ap_run_child_init(child->pchild, start->server);
    return 0;
}

/* Tell modules how this child is going to stop, once for each mode. */
static void tell_modules(child_t *child, runtime_stop_e mode)
{
    if ((int)mode > child->told) {
        child->told = (int)mode;
        ap_run_child_stopping(child->pchild, mode == RUNTIME_DRAIN);
        if (mode == RUNTIME_DRAIN) {
            status_workers_drain(&child->runtime->status,
                                 child->runtime->settings->threads_per_child);
        }
    }
}

static int is_orphan(const child_t *child)
{
    return !child->start->one_process && getppid() != child->parent;
}

static int is_told_by_signal(const child_t *child)
{
    return child->start->one_process
               ? ap_unixd_mpm_get_retained_data()->shutdown_pending
               : term_came;
}

/*
 * The pod tells that the parent is gone, unless a process that a module has
 * forked holds its other end too: so have a signal come as well.
 */
static void watch_parent(child_t *child)
{
#if defined(HAVE_PRCTL) && defined(PR_SET_PDEATHSIG)
    if (!child->start->one_process) {
        prctl(PR_SET_PDEATHSIG, SIGNALS_PARENT_GONE);
    }
#endif
    if (is_orphan(child)) {
        runtime_request_stop(child->runtime, RUNTIME_DRAIN, 0);
    }
}

/* What the parent wants of this child. */
static void obey(child_t *child, pod_word_e word)
{
    runtime_t *rt = child->runtime;

    switch (word) {
    case POD_RENEWED:
        child->renewed
            = clock_now()
              + (child->renewed == CLOCK_NEVER ? RELOAD_TIME : RENEWAL_TIME);
        break;
    case POD_RELIEVED:
        atomic_store(&rt->relieved, 1);
        parking_wake(rt->parking);
        break;
    case POD_GONE:
        atomic_store(&rt->last, 1);
        runtime_request_stop(rt, RUNTIME_DRAIN, 0);
        break;
    case POD_DRAIN:
        runtime_request_stop(rt, RUNTIME_DRAIN, 0);
        break;
    case POD_LAST:
        atomic_store(&rt->last, 1);
        runtime_request_stop(rt, RUNTIME_DRAIN, 0);
        break;
    case POD_HURRY:
        atomic_store(&rt->hurry, 1);
        runtime_request_stop(rt, RUNTIME_DRAIN, 0);
        parking_wake(rt->parking);
        break;
    case POD_EXIT:
        runtime_request_stop(rt, RUNTIME_EXIT, 0);
        break;
    default:
        break;
    }
    runtime_rest(rt, pod_rests(rt->pod));
    if (is_orphan(child) || clock_now() >= child->renewed) {
        runtime_request_stop(rt, RUNTIME_DRAIN, 0);
    }
    if (is_told_by_signal(child)) {
        runtime_request_stop(rt, RUNTIME_EXIT, 0);
    }
}

/* Do not wait for clients any longer. */
static void cut_short(child_t *child)
{
    int i;

    fdqueue_close(child->runtime->queue);
    for (i = 0; i < child->workers; i++) {
        worker_cut_short(&child->runtime->workers[i]);
    }
}

/* Wait for somebody to ask for a stop, and act on it, until all threads
 * have ended: 1; or until EXIT_TIME after they should have: 0. */
static int watch_over(child_t *child)
{
    runtime_t *rt = child->runtime;
    apr_time_t give_up = CLOCK_NEVER;

    while (atomic_load(&rt->threads) > 0) {
        runtime_stop_e mode = runtime_stop_mode(rt);
        apr_time_t now = clock_now();
        apr_interval_time_t nap = -1;

        if (mode != RUNTIME_RUN) {
            status_quiescing(&rt->status);
            tell_modules(child, mode);
        }
        else if (child->renewed != CLOCK_NEVER) {
            nap = child->renewed > now ? child->renewed - now : 0;
        }
        if (mode == RUNTIME_EXIT) {
            give_up = give_up == CLOCK_NEVER ? now + EXIT_TIME : give_up;
            if (now >= give_up) {
                return 0;
            }
            cut_short(child);
            nap = apr_time_from_msec(50);
        }
        obey(child, pod_wait(rt->pod, child->start->signals, nap));
    }
    /* It may all have been over before we woke. */
    tell_modules(child, runtime_stop_mode(rt));
    return 1;
}

static void join(child_t *child)
{
    runtime_t *rt = child->runtime;
    apr_status_t status;
    int i;

    if (child->listener != NULL) {
        apr_thread_join(&status, child->listener);
    }
    for (i = 0; i < child->workers; i++) {
        apr_thread_join(&status, rt->workers[i].thread);
    }
}

int child_main(const child_start_t *start)
{
    child_t child = {
        .start = start, .parent = start->parent, .renewed = CLOCK_NEVER};
    int code;

    if (!start->one_process) {
#if AP_HAS_THREAD_LOCAL
        ap_thread_current_after_fork();
#endif
        signals_start_child(start->signals, leave_early);
    }
    code = set_up(&child);
    if (code != 0) {
        return leave(&child, code);
    }
    if (!start->one_process) {
        apr_signal(SIGTERM, note_term);
    }
    signals_take_term(start->signals, start->one_process);
    ap_unixd_mpm_get_retained_data()->mpm_state = AP_MPMQ_RUNNING;
    watch_parent(&child);
    if (start_threads(&child) != APR_SUCCESS) {
        runtime_request_stop(child.runtime, RUNTIME_EXIT, APEXIT_CHILDSICK);
    }
    if (!watch_over(&child)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, start->server,
                     "%d threads have not stopped in time, leaving them",
                     atomic_load(&child.runtime->threads));
        _exit(atomic_load(&child.runtime->exit_code));
    }
    join(&child);
    return leave(&child, atomic_load(&child.runtime->exit_code));
}
