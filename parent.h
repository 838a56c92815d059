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
 * parent: the process that never serves: opens the sockets, starts and
 * replaces children, restarts and stops the server.
 *
 * Threads: [config] and [parent], which are one; modules may run threads
 * beside it.  What has to outlive a restart, in which this module may be
 * unloaded and loaded again, is in retained data as plain values.
 */

#ifndef EVENT_PARENT_H
#define EVENT_PARENT_H

#include "httpd.h"
#include "unixd.h"

#include "runtime.h"
#include "settings.h"
#include "slots.h"
#include "spawn.h"

/* Retained data. */
typedef struct parent_t {
    apr_size_t size;                 /* of the layout that wrote it */
    ap_unixd_mpm_retained_data *mpm; /* core's, as long-lived */
    settings_frozen_t frozen;
    slots_t slots;
    spawn_server_t spawn;
    spawn_bucket_t *buckets; /* one for each bucket ever */
    int num_buckets;         /* of these */
    int wanted;              /* children that served before a restart */
} parent_t;

/*
 * Find or make the retained data, note that the module was loaded, and, in
 * the second pass over the configuration, leave the terminal as the -D flags
 * say. *parent stays valid for the process. APR's error if that fails.
 * [config]
 */
apr_status_t parent_prepare(parent_t **parent, apr_pool_t *pconf);

/* Was the server started with -X or -D ONE_PROCESS? [any] */
int parent_is_alone(void);

/*
 * Open the listening sockets, in buckets as configured: OK, or !OK when the
 * server cannot start. [config]
 */
int parent_open_listeners(parent_t *parent, apr_pool_t *pconf,
                          server_rec *server);

/*
 * Run the server until it is to restart (OK), has stopped (DONE), or cannot
 * go on (any other: the exit code). *runtime is set in children. [parent]
 */
int parent_run(parent_t *parent, apr_pool_t *pconf, apr_pool_t *plog,
               server_rec *server, settings_t *settings,
               runtime_t **runtime);

#endif /* EVENT_PARENT_H */
