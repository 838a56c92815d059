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
 * event: what httpd sees of this MPM: the module record, the directives and
 * the hooks.  Each hook is a few lines that call a room.
 *
 * mod_http2 and <IfModule event.c> look for this very file name.
 */

#include "httpd.h"
#include "ap_listen.h"
#include "ap_mpm.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "mod_status.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "clock.h"
#include "heads.h"
#include "late.h"
#include "parent.h"
#include "quota.h"
#include "request.h"
#include "runtime.h"
#include "session.h"
#include "settings.h"
#include "startup.h"

#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 137)                                   \
    || (MODULE_MAGIC_NUMBER_MAJOR > 20120211                                   \
        && !AP_MODULE_MAGIC_AT_LEAST(20211221, 22))
#error "mpm_event needs CONN_STATE_ASYNC_WAITIO: httpd 2.4.63 or later"
#endif

AP_DECLARE_MODULE(mpm_event);

static settings_t settings;  /* [config]; read only once children exist */
static retained_t *retained; /* [config]; retained data */
static runtime_t *runtime;   /* [main] writes once; this child's */

static int event_pre_config(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    runtime = NULL;
    if (startup_prepare(&retained, pconf) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_listen_pre_config();
    settings_defaults(&settings);
    ap_extended_status = 0;
    return OK;
}

static int event_check_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    settings_check(&settings, &retained->frozen,
                   retained->mpm->module_loads == 1, s);
    return OK;
}

static int event_open_logs(apr_pool_t *pconf, apr_pool_t *plog,
                           apr_pool_t *ptemp, server_rec *s)
{
    (void)plog;
    (void)ptemp;
    return startup_open_listeners(retained, pconf, s, settings.server_limit);
}

static int event_run(apr_pool_t *pconf, apr_pool_t *plog, server_rec *s)
{
    return parent_run(retained, pconf, plog, s, &settings, &runtime);
}

static const char *event_get_name(void)
{
    return "event";
}

/* Asked before pre_config too: what is not known yet is 0. */
static int event_query(int code, int *result, apr_status_t *rv)
{
    *rv = APR_SUCCESS;
    switch (code) {
    case AP_MPMQ_MAX_DAEMON_USED:
        *result = retained != NULL ? retained->slots.top : 0;
        break;
    case AP_MPMQ_IS_THREADED:
        *result = AP_MPMQ_STATIC;
        break;
    case AP_MPMQ_IS_FORKED:
        *result = AP_MPMQ_DYNAMIC;
        break;
    case AP_MPMQ_HARD_LIMIT_DAEMONS:
        *result = settings.slots;
        break;
    case AP_MPMQ_HARD_LIMIT_THREADS:
        *result = settings.thread_limit;
        break;
    case AP_MPMQ_MAX_THREADS:
        *result = settings.threads_per_child;
        break;
    case AP_MPMQ_MIN_SPARE_DAEMONS:
    case AP_MPMQ_MAX_SPARE_DAEMONS:
        *result = 0;
        break;
    case AP_MPMQ_MIN_SPARE_THREADS:
        *result = settings.min_spare_threads;
        break;
    case AP_MPMQ_MAX_SPARE_THREADS:
        *result = settings.max_spare_threads;
        break;
    case AP_MPMQ_MAX_REQUESTS_DAEMON:
        *result = ap_max_requests_per_child;
        break;
    case AP_MPMQ_MAX_DAEMONS:
        *result = settings.max_children;
        break;
    case AP_MPMQ_MPM_STATE:
        /* Modules that ask see it before anything else stops. */
        *result = runtime != NULL && runtime_stop_mode(runtime) != RUNTIME_RUN
                          && session_sees_stop(runtime, clock_now())
                      ? AP_MPMQ_STOPPING
                      : ap_unixd_mpm_get_retained_data()->mpm_state;
        break;
    case AP_MPMQ_GENERATION:
        *result = ap_unixd_mpm_get_retained_data()->my_generation;
        break;
    case AP_MPMQ_IS_ASYNC:
    case AP_MPMQ_CAN_WAITIO:
        *result = 1;
        break;
    default:
        *rv = APR_ENOTIMPL;
        break;
    }
    return OK;
}

/* A century: with the time of now no more than an apr_time_t holds. */
#define LONGEST_WAIT apr_time_from_sec((apr_time_t)3155760000)

static apr_status_t event_register_timed_callback(apr_time_t t,
                                                  ap_mpm_callback_fn_t *fn,
                                                  void *baton)
{
    apr_status_t rv;
    int earliest;

    if (runtime == NULL) {
        return APR_ENOTIMPL; /* in the parent nobody runs callbacks */
    }
    t = t < 0 ? 0 : t > LONGEST_WAIT ? LONGEST_WAIT : t;
    rv = timers_add(runtime->timers, clock_now() + t, fn, baton, &earliest);
    if (rv == APR_SUCCESS && earliest) {
        parking_wake(runtime->parking);
    }
    return rv;
}

static int event_pre_connection(conn_rec *c, void *csd)
{
    (void)csd;
    if (c->master != NULL && (c->cs == NULL || c->cs == c->master->cs)) {
        request_stream_begins(c);
    }
    else {
        late_opens(c);
    }
    return OK;
}

static void event_resume_connection(conn_rec *c, request_rec *r)
{
    (void)r;
    late_opens(c);
}

static void event_pre_read_request(request_rec *r, conn_rec *c)
{
    (void)c;
    request_begins(r);
}

static int event_post_read_request(request_rec *r)
{
    request_known(r);
    return OK;
}

static int event_protocol_switch(conn_rec *c, request_rec *r, server_rec *s,
                                 const char *protocol)
{
    (void)protocol;
    if (r == NULL && s != NULL) {
        request_server_known(c, s);
    }
    return DECLINED;
}

/* For mod_status, which asks only in children. */
static int event_status(request_rec *r, int flags)
{
    if (runtime != NULL) {
        quota_show(runtime, r, flags);
        heads_show(runtime->heads, r, flags);
    }
    return OK;
}

static void event_hooks(apr_pool_t *p)
{
    /* Core's own open_logs hook leaves the console: sockets come before. */
    static const char *const before_core[] = {"core.c", NULL};

    (void)p;
    ap_hook_open_logs(event_open_logs, NULL, before_core,
                      APR_HOOK_REALLY_FIRST);
    /* Before modules that ask ap_mpm_query in theirs. */
    ap_hook_pre_config(event_pre_config, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_config(event_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_mpm(event_run, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_mpm_query(event_query, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_mpm_get_name(event_get_name, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_mpm_register_timed_callback(event_register_timed_callback, NULL,
                                        NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_connection(event_pre_connection, NULL, NULL,
                           APR_HOOK_REALLY_FIRST);
    ap_hook_resume_connection(event_resume_connection, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    late_hooks();
    ap_hook_pre_read_request(event_pre_read_request, NULL, NULL,
                             APR_HOOK_MIDDLE);
    ap_hook_post_read_request(event_post_read_request, NULL, NULL,
                              APR_HOOK_MIDDLE);
    ap_hook_protocol_switch(event_protocol_switch, NULL, NULL,
                            APR_HOOK_REALLY_FIRST);
    APR_OPTIONAL_HOOK(ap, status_hook, event_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
}

static const char *set_number(cmd_parms *cmd, void *dummy, const char *arg)
{
    (void)dummy;
    return settings_set_number(&settings, cmd, arg);
}

static const char *set_factor(cmd_parms *cmd, void *dummy, const char *arg)
{
    (void)dummy;
    return settings_set_factor(&settings, cmd, arg);
}

static const char *set_event(cmd_parms *cmd, void *dummy, const char *arg)
{
    (void)dummy;
    return settings_set_event(&settings, cmd, arg);
}

static const char *set_client_exempt(cmd_parms *cmd, void *dummy,
                                     const char *arg)
{
    (void)dummy;
    return quota_set_exempt(&settings, cmd, arg);
}

static const command_rec event_directives[] = {
    LISTEN_COMMANDS,
    AP_INIT_TAKE1("StartServers", set_number, NULL, RSRC_CONF,
                  "Number of child processes launched at server startup"),
    AP_INIT_TAKE1("ServerLimit", set_number, NULL, RSRC_CONF,
                  "Maximum number of child processes for this run of httpd"),
    AP_INIT_TAKE1("ThreadLimit", set_number, NULL, RSRC_CONF,
                  "Maximum number of workers per child process for this run"),
    AP_INIT_TAKE1("ThreadsPerChild", set_number, NULL, RSRC_CONF,
                  "Number of workers each child process has"),
    AP_INIT_TAKE1("MaxRequestWorkers", set_number, NULL, RSRC_CONF,
                  "Maximum number of workers alive at the same time"),
    AP_INIT_TAKE1("MaxClients", set_number, NULL, RSRC_CONF,
                  "Deprecated name of MaxRequestWorkers"),
    AP_INIT_TAKE1("MinSpareThreads", set_number, NULL, RSRC_CONF,
                  "Minimum number of idle workers"),
    AP_INIT_TAKE1("MaxSpareThreads", set_number, NULL, RSRC_CONF,
                  "Maximum number of idle workers"),
    AP_INIT_TAKE1("AsyncRequestWorkerFactor", set_factor, NULL, RSRC_CONF,
                  "How many more connections a child may hold per idle "
                  "worker"),
    AP_INIT_TAKE1("EventDrainTimeout", set_event, NULL, RSRC_CONF,
                  "How many seconds a child that takes no more connections "
                  "may go on with those it has; 0: as long as they last"),
    AP_INIT_TAKE1("EventClientLimit", set_event, NULL, RSRC_CONF,
                  "How many connections one client address may have; 0: as "
                  "many as it likes"),
    AP_INIT_ITERATE("EventClientLimitExempt", set_client_exempt, NULL,
                    RSRC_CONF, "Addresses and networks that EventClientLimit "
                    "is not for, besides loopback; none: nobody, not even "
                    "loopback"),
    AP_INIT_TAKE1("EventHeadTimeout", set_event, NULL, RSRC_CONF,
                  "How many seconds a request head may take to arrive; 0: it "
                  "is waited for by a worker"),
    AP_INIT_TAKE1("EventBodyWait", set_event, NULL, RSRC_CONF,
                  "How many bytes of request body to wait for before a "
                  "worker takes the request; 0: none"),
    AP_INIT_TAKE1("EventHeadLimit", set_event, NULL, RSRC_CONF,
                  "How many connections of a child may wait for their "
                  "request to arrive; 0: any number"),
    AP_GRACEFUL_SHUTDOWN_TIMEOUT_COMMAND,
    {0}};

/* The one symbol of this module that others may see. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
module AP_MODULE_DECLARE_DATA mpm_event_module = {
    MPM20_MODULE_STUFF,
    NULL, /* no rewriting of the command line */
    NULL, /* no per-directory configuration */
    NULL,
    NULL, /* no per-server configuration */
    NULL,
    event_directives,
    event_hooks,
#ifdef AP_MODULE_FLAG_NONE
    AP_MODULE_FLAG_NONE
#endif
};
