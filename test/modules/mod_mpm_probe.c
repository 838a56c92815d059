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
 * mod_mpm_probe: the record of the module, its directives and the hooks
 * that only watch, or fail on request.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mpm_probe.h"

#include "ap_mpm.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "http_core.h"
#include "mpm_common.h"
#include "scoreboard.h"

/* What is counted per connection. */
typedef struct {
    int suspends;
    int resumes;
    conn_rec *c;
} probe_conn_t;

module AP_MODULE_DECLARE_DATA mpm_probe_module;

/* Read before pre_config runs (EXEC_ON_READ), so not part of settings. */
static char probe_file[4096];
static probe_settings_t settings;

const probe_settings_t *probe_settings(void)
{
    return &settings;
}

int probe_tid(void)
{
    return (int)syscall(SYS_gettid);
}

const char *probe_thread(void)
{
    return probe_tid() == (int)getpid() ? "main" : "other";
}

int probe_peer(conn_rec *c)
{
    return c->client_addr ? c->client_addr->port : 0;
}

void probe_log(const char *format, ...)
{
    char line[2048];
    va_list args;
    size_t length;
    int fd;

    if (!probe_file[0]) {
        return;
    }
    va_start(args, format);
    vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    length = strlen(line);
    line[length++] = '\n';

    fd = open(probe_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0) {
        /* The parent may create it, then the children have to write. */
        if (geteuid() == 0) {
            (void)!fchmod(fd, 0666);
        }
        (void)!write(fd, line, length);
        close(fd);
    }
}

static const char *const state_names[] = {
    "KEEPALIVE", "PROCESSING", "HANDLER", "WRITE_COMPLETION", "SUSPENDED",
    "LINGER", "LINGER_NORMAL", "LINGER_SHORT", "ASYNC_WAITIO"
};
#define NUM_STATES ((int)(sizeof(state_names) / sizeof(state_names[0])))

const char *probe_state_name(int state)
{
    return state >= 0 && state < NUM_STATES ? state_names[state] : "?";
}

int probe_state_number(const char *name)
{
    int i;

    for (i = 0; i < NUM_STATES; i++) {
        if (!strcmp(name, state_names[i])) {
            return i;
        }
    }
    return -1;
}

void probe_log_queries(const char *stage)
{
    char text[1024];
    size_t used = 0;
    int code, main_state, config_gen;

    main_state = ap_state_query(AP_SQ_MAIN_STATE);
    config_gen = ap_state_query(AP_SQ_CONFIG_GEN);
    for (code = 1; code <= 20; code++) {
        int asked = code == 20 ? 999 : code;
        int value = -12345;
        apr_status_t rv = ap_mpm_query(asked, &value);

        if (rv == APR_SUCCESS) {
            used += snprintf(text + used, sizeof(text) - used, " %d=%d",
                             asked, value);
        }
        else {
            used += snprintf(text + used, sizeof(text) - used, " %d=%s",
                             asked, rv == APR_ENOTIMPL ? "ENOTIMPL" :
                             rv == APR_EGENERAL ? "EGENERAL" : "other");
        }
    }
    probe_log("query stage=%s main_state=%d config_gen=%d pid=%d%s", stage,
              main_state, config_gen, (int)getpid(), text);
}

static void nap(int ms)
{
    if (ms > 0) {
        apr_sleep(apr_time_from_msec(ms));
    }
}

/* Signals cut a sleep short, but no work that takes as long. */
static void work(int ms)
{
    apr_time_t end = apr_time_now() + apr_time_from_msec(ms), now;

    while ((now = apr_time_now()) < end) {
        apr_sleep(end - now);
    }
}

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    memset(&settings, 0, sizeof(settings));
    settings.child_exit = -1;
    probe_log_queries("pre_config");
    return OK;
}

static int check_config(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *s)
{
    probe_log_queries("check_config");
    return OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s)
{
    probe_log_queries("post_config");
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    work(settings.config_sleep);
    if (settings.board) {
        return probe_board_start(pconf);
    }
    return OK;
}

static int pre_mpm(apr_pool_t *p, ap_scoreboard_e type)
{
    probe_log_queries("pre_mpm");
    return OK;
}

static int monitor(apr_pool_t *p, server_rec *s)
{
    probe_log_queries("monitor");
    return OK;
}

static void child_status(server_rec *s, pid_t pid, ap_generation_t gen,
                         int slot, mpm_child_status state)
{
    int mpm_state = -1;

    ap_mpm_query(AP_MPMQ_MPM_STATE, &mpm_state);
    probe_log("child_status pid=%d gen=%d slot=%d state=%s mpm_state=%d",
              (int)pid, gen, slot,
              state == MPM_CHILD_STARTED ? "STARTED" :
              state == MPM_CHILD_EXITED ? "EXITED" : "LOST_SLOT", mpm_state);
    probe_log_queries("child_status");
}

static void end_generation(server_rec *s, ap_generation_t gen)
{
    probe_log("end_generation gen=%d", gen);
}

static apr_status_t child_end(void *unused)
{
    probe_log("pchild_end pid=%d", (int)getpid());
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    struct stat found;
    int i;

    probe_board_child();
    probe_log("child_init pid=%d thread=%s", (int)getpid(), probe_thread());
    probe_log_queries("child_init");
    apr_pool_cleanup_register(pchild, NULL, child_end,
                              apr_pool_cleanup_null);
    nap(settings.child_sleep);
    if (settings.child_exit >= 0
        && (!settings.child_exit_if
            || stat(settings.child_exit_if, &found) == 0)) {
        _exit(settings.child_exit);
    }
    for (i = 0; i < settings.num_timers; i++) {
        apr_status_t rv = probe_add_timer("init", i, settings.timers[i], 0);

        probe_log("timer_added batch=init n=%d rv=%d", i, (int)rv);
    }
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    probe_log("child_stopping pid=%d graceful=%d thread=%s", (int)getpid(),
              graceful, probe_thread());
    probe_log_queries("child_stopping");
}

static apr_status_t conn_end(void *baton)
{
    probe_conn_t *probe = baton;

    probe_log("conn_end peer=%d suspends=%d resumes=%d aborted=%d",
              probe_peer(probe->c), probe->suspends, probe->resumes,
              probe->c->aborted);
    return APR_SUCCESS;
}

static int pre_connection(conn_rec *c, void *csd)
{
    probe_conn_t *probe;

    if (c->master || !c->cs) {
        return DECLINED;
    }
    if (settings.trace) {
        probe_log("pre_connection peer=%d id=%ld sbh=%d state=%s tid=%d",
                  probe_peer(c), c->id, c->sbh != NULL,
                  probe_state_name(c->cs->state), probe_tid());
        probe = apr_pcalloc(c->pool, sizeof(*probe));
        probe->c = c;
        ap_set_module_config(c->conn_config, &mpm_probe_module, probe);
        apr_pool_cleanup_register(c->pool, probe, conn_end,
                                  apr_pool_cleanup_null);
    }
    if (settings.refuse_port
        && c->local_addr->port == settings.refuse_port) {
        return settings.refuse_rc;
    }
    return OK;
}

/*
 * A hook cannot end the search for a connection with NULL; but a socket that
 * is closed and has forgotten its addresses makes core give up, as it does
 * when a client is gone at this very moment.
 */
static conn_rec *create_connection(apr_pool_t *p, server_rec *s,
                                   apr_socket_t *csd, long id, void *sbh,
                                   apr_bucket_alloc_t *alloc)
{
    apr_sockaddr_t *local;
    apr_os_sock_t none = -1;

    if (settings.null_port
        && apr_socket_addr_get(&local, APR_LOCAL, csd) == APR_SUCCESS
        && local->port == settings.null_port) {
        apr_socket_close(csd);
        apr_os_sock_put(&csd, &none, p);
    }
    return NULL;
}

static void log_hop(const char *what, conn_rec *c, request_rec *r)
{
    probe_log("%s peer=%d id=%ld sbh=%d state=%s r=%d tid=%d current=%d",
              what, probe_peer(c), c->id, c->sbh != NULL,
              c->cs ? probe_state_name(c->cs->state) : "none", r != NULL,
              probe_tid(), c->current_thread != NULL);
}

static void suspend_connection(conn_rec *c, request_rec *r)
{
    probe_conn_t *probe = ap_get_module_config(c->conn_config,
                                               &mpm_probe_module);

    if (settings.trace && probe) {
        probe->suspends++;
        log_hop("suspend", c, r);
    }
}

static void resume_connection(conn_rec *c, request_rec *r)
{
    probe_conn_t *probe = ap_get_module_config(c->conn_config,
                                               &mpm_probe_module);

    if (settings.trace && probe) {
        probe->resumes++;
        log_hop("resume", c, r);
    }
}

static int pre_close_connection(conn_rec *c)
{
    if (settings.trace && !c->master && c->cs) {
        log_hop("pre_close", c, NULL);
    }
    return OK;
}

static const char *set_file(cmd_parms *cmd, void *dummy, const char *arg)
{
    apr_cpystrn(probe_file, arg, sizeof(probe_file));
    return NULL;
}

static const char *set_string(cmd_parms *cmd, void *dummy, const char *arg)
{
    settings.board = apr_pstrdup(cmd->pool, arg);
    return NULL;
}

static const char *set_trace(cmd_parms *cmd, void *dummy, int on)
{
    settings.trace = on;
    return NULL;
}

static const char *set_port(cmd_parms *cmd, void *dummy, const char *arg)
{
    *(apr_port_t *)((char *)&settings + (size_t)cmd->info) =
        (apr_port_t)atoi(arg);
    return NULL;
}

static const char *set_ms(cmd_parms *cmd, void *dummy, const char *arg)
{
    *(int *)((char *)&settings + (size_t)cmd->info) = atoi(arg);
    return NULL;
}

static const char *set_refuse(cmd_parms *cmd, void *dummy, const char *port,
                              const char *rc)
{
    settings.refuse_port = (apr_port_t)atoi(port);
    settings.refuse_rc = atoi(rc);
    return NULL;
}

static const char *set_child_exit(cmd_parms *cmd, void *dummy,
                                  const char *code, const char *file)
{
    settings.child_exit = atoi(code);
    settings.child_exit_if = file ? apr_pstrdup(cmd->pool, file) : NULL;
    return NULL;
}

static const char *add_timer(cmd_parms *cmd, void *dummy, const char *ms)
{
    if (settings.num_timers == PROBE_MAX_TIMERS) {
        return "too many timers";
    }
    settings.timers[settings.num_timers++] = atoi(ms);
    return NULL;
}

#define FIELD(name) ((void *)offsetof(probe_settings_t, name))

static const command_rec directives[] = {
    AP_INIT_TAKE1("ProbeFile", set_file, NULL, RSRC_CONF | EXEC_ON_READ,
                  "the file to log to"),
    AP_INIT_TAKE1("ProbeBoard", set_string, NULL, RSRC_CONF,
                  "the socket that tells the scoreboard"),
    AP_INIT_FLAG("ProbeTrace", set_trace, NULL, RSRC_CONF,
                 "log what happens to connections"),
    AP_INIT_TAKE1("ProbeLines", set_port, FIELD(lines_port), RSRC_CONF,
                  "the port of the line protocol"),
    AP_INIT_TAKE2("ProbeRefuse", set_refuse, NULL, RSRC_CONF,
                  "port, and what pre_connection returns there"),
    AP_INIT_TAKE1("ProbeNull", set_port, FIELD(null_port), RSRC_CONF,
                  "the port where create_connection gives NULL"),
    AP_INIT_TAKE12("ProbeChildExit", set_child_exit, NULL, RSRC_CONF,
                   "exit code in child_init [while this file exists]"),
    AP_INIT_TAKE1("ProbeChildSleep", set_ms, FIELD(child_sleep), RSRC_CONF,
                  "milliseconds that child_init takes"),
    AP_INIT_TAKE1("ProbeConfigSleep", set_ms, FIELD(config_sleep), RSRC_CONF,
                  "milliseconds that post_config takes"),
    AP_INIT_ITERATE("ProbeChildTimers", add_timer, NULL, RSRC_CONF,
                    "timed callbacks, in ms, to register in child_init"),
    {NULL}
};

static void register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_pre_mpm(pre_mpm, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_monitor(monitor, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_end_generation(end_generation, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_create_connection(create_connection, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_pre_connection(pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(probe_lines, NULL, NULL,
                               APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(suspend_connection, NULL, NULL,
                               APR_HOOK_MIDDLE);
    ap_hook_resume_connection(resume_connection, NULL, NULL,
                              APR_HOOK_MIDDLE);
    ap_hook_pre_close_connection(pre_close_connection, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    ap_hook_handler(probe_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(mpm_probe) = {
    STANDARD20_MODULE_STUFF,
    NULL, /* create per-directory config */
    NULL, /* merge per-directory config */
    NULL, /* create per-server config */
    NULL, /* merge per-server config */
    directives,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
