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

/* startup: see startup.h */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"

#include "httpd.h"
#include "ap_listen.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "startup.h"

APLOG_USE_MODULE(mpm_event);

/* Not stock's, and not that of a build with another layout: after a swap of
 * the module a restart must not take one's retained data for the other's.
 * The layout is known by sizes, and by the 2: count it up when a field of
 * retained_t, or of what is in shared memory, changes its meaning and the sizes
 * may be the same. */
#define RETAINED_KEY "mpm_event.parent.2.%" APR_SIZE_T_FMT

int startup_is_alone(void)
{
    return ap_exists_config_define("ONE_PROCESS")
           || ap_exists_config_define("DEBUG");
}

/*
 * Another MPM ran before and was swapped for this one by a restart: the
 * scoreboard is as large as that one had it, and remains so.
 */
static void take_over_scoreboard(settings_frozen_t *frozen)
{
    if (!ap_exists_scoreboard_image()) {
        return;
    }
    while (ap_get_scoreboard_process(frozen->slots) != NULL) {
        frozen->slots++;
    }
    frozen->server_limit = frozen->slots;
    while (ap_get_scoreboard_worker_from_indexes(0, frozen->thread_limit)
           != NULL) {
        frozen->thread_limit++;
    }
}

apr_status_t startup_prepare(retained_t **pretained, apr_pool_t *pconf)
{
    ap_unixd_mpm_retained_data *mpm = ap_unixd_mpm_get_retained_data();
    const char *key = apr_psprintf(pconf, RETAINED_KEY, sizeof(retained_t));
    retained_t *retained = ap_retained_data_get(key);

    if (retained == NULL) {
        retained = ap_retained_data_create(key, sizeof(*retained));
        retained->mpm = mpm;
        take_over_scoreboard(&retained->frozen);
    }
    if (mpm->baton != retained) {
        mpm->was_graceful = 0; /* another MPM ran before */
        mpm->baton = retained;
    }
    slots_confirm(&retained->slots);
    mpm->mpm_state = AP_MPMQ_STARTING;
    mpm->module_loads++;
    *pretained = retained;
    if (mpm->module_loads == 2 && !startup_is_alone()
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

/*
 * Core makes a socket that is the only one blocking, also where it was one
 * of several before a graceful restart and children of the old generation
 * still accept from it: they would sleep until the next client comes.  Not
 * through APR, which would note it, so that core undid it at each restart.
 */
static int unblock_listeners(void)
{
    ap_listen_rec *lr;
    apr_os_sock_t fd;

    for (lr = ap_listeners; lr != NULL; lr = lr->next) {
        if (apr_os_sock_get(&fd, lr->sd) != APR_SUCCESS
            || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
            return -1;
        }
    }
    return 0;
}

int startup_open_listeners(retained_t *retained, apr_pool_t *pconf,
                           server_rec *server, int max_buckets)
{
    ap_unixd_mpm_retained_data *mpm = retained->mpm;
    int startup = mpm->module_loads == 1 ? APLOG_STARTUP : 0;
    ap_listen_rec **buckets;
    apr_status_t rv;

    if (ap_setup_listeners(server) < 1) {
        ap_log_error(APLOG_MARK, APLOG_ALERT | startup, 0,
                     startup ? NULL : server,
                     "no listening sockets available, shutting down");
        return !OK;
    }
    if (unblock_listeners() != 0) {
        ap_log_error(APLOG_MARK, APLOG_ALERT | startup, errno,
                     startup ? NULL : server,
                     "could not make the listening sockets non-blocking");
        return !OK;
    }
    if (startup_is_alone()) {
        mpm->num_buckets = 1;
    }
    else if (!mpm->was_graceful) {
        mpm->num_buckets = 0; /* as many as the configuration says */
    }
    rv = ap_duplicate_listeners(pconf, server, &buckets, &mpm->num_buckets);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT | startup, rv,
                     startup ? NULL : server, "could not duplicate listeners");
        return !OK;
    }
    /* A bucket needs a child of its own, or nobody listens to it. */
    while (mpm->num_buckets > max_buckets) {
        ap_close_listeners_ex(buckets[--mpm->num_buckets]);
    }
    apr_pool_userdata_setn(buckets, RETAINED_KEY, NULL, pconf);
    if (retained->num_buckets < mpm->num_buckets) {
        spawn_bucket_t *more = apr_pcalloc(
            server->process->pool,
            sizeof(*more) * (size_t)mpm->num_buckets);

        if (retained->num_buckets > 0) {
            memcpy(more, retained->buckets,
                   sizeof(*more) * (size_t)retained->num_buckets);
        }
        retained->buckets = more;
        retained->num_buckets = mpm->num_buckets;
    }
    return OK;
}

ap_listen_rec *startup_listeners(apr_pool_t *pconf, int bucket)
{
    void *buckets = NULL;

    apr_pool_userdata_get(&buckets, RETAINED_KEY, pconf);
    return ((ap_listen_rec **)buckets)[bucket];
}
