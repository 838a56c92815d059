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
 * startup: what happens in the configuration phase before the server runs:
 * what is known from before, leaving the terminal, opening the sockets.
 *
 * Threads: [config].  What has to outlive a restart, in which this module
 * may be unloaded and loaded again, is in retained data as plain values.
 */

#ifndef EVENT_STARTUP_H
#define EVENT_STARTUP_H

#include "httpd.h"
#include "ap_listen.h"
#include "unixd.h"

#include "settings.h"
#include "slots.h"
#include "spawn.h"

/* What the parent knows across restarts: retained data. */
typedef struct retained_t {
    ap_unixd_mpm_retained_data *mpm; /* core's, as long-lived */
    settings_frozen_t frozen;
    slots_t slots;
    spawn_server_t spawn;
    spawn_bucket_t *buckets; /* one for each bucket ever */
    int num_buckets;         /* of these */
    int wanted;              /* children that served before a restart */
    int bell_in;             /* the parent's end */
    int bell_out;            /* for children */
    int knock_in;            /* from children, for children */
    int knock_out;
} retained_t;

/*
 * Find or make the retained data, note that the module was loaded, and, in
 * the second pass over the configuration, leave the terminal as the -D flags
 * say. *retained stays valid for the process. APR's error if that fails.
 */
apr_status_t startup_prepare(retained_t **retained, apr_pool_t *pconf);

/* Was the server started with -X or -D ONE_PROCESS? [any] */
int startup_is_alone(void);

/*
 * Open the listening sockets, in at most max_buckets buckets as configured:
 * OK, or !OK when the server cannot start.
 */
int startup_open_listeners(retained_t *retained, apr_pool_t *pconf,
                           server_rec *server, int max_buckets);

/* The listeners of a bucket, as opened for this configuration. [parent] */
ap_listen_rec *startup_listeners(apr_pool_t *pconf, int bucket);

#endif /* EVENT_STARTUP_H */
