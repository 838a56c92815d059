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
 * settings: the values of this MPM's own directives, from their defaults
 * through the configuration to what the server can really run with.
 *
 * Threads: [config] writes; once children exist the values are constant.
 * It owns no memory: the one settings_t is event.c's, the settings_frozen_t
 * lives in retained data. It is the only room that corrects a value, and it
 * says so in the log, except for what settings_fit_buckets does.
 */

#ifndef EVENT_SETTINGS_H
#define EVENT_SETTINGS_H

#include "apr_tables.h"

#include "httpd.h"
#include "http_config.h"

typedef struct settings_t {
    int start_servers;
    int server_limit;
    int thread_limit;
    int threads_per_child;
    int max_request_workers; /* after settings_check: children * threads */
    int min_spare_threads;
    int max_spare_threads;
    int slots;           /* no directive: ServerLimit, and a reserve for
                          * children that are finishing */
    int max_children;    /* no directive: children that may serve at once */
    double async_factor; /* more than 0, finite */
    int drain_timeout;   /* seconds; 0: no limit */
    int client_limit;    /* connections of an address; 0: no limit */
    int client_loopback; /* loopback addresses are limited too */
    apr_array_header_t *client_exempt; /* apr_ipsubnet_t *; NULL: none; in
                                        * the configuration's pool */
    int head_timeout;    /* seconds; 0: no gate */
    int body_wait;       /* bytes; 0: heads only */
    int head_limit;      /* connections; 0: no limit; -1: what descriptors
                          * allow */
} settings_t;

/*
 * What sized the scoreboard and can no more be changed: plain values that
 * outlive the module. 0: not known yet.
 */
typedef struct settings_frozen_t {
    int server_limit;
    int thread_limit;
    int slots;
} settings_frozen_t;

/* Set every value to that of a configuration without directives. [config] */
void settings_defaults(settings_t *settings);

/*
 * Set the value of the directive that cmd is about (any but
 * AsyncRequestWorkerFactor) from arg. NULL, or what is wrong, in cmd's pool.
 * Any int is accepted here: settings_check corrects it. [config]
 */
const char *settings_set_number(settings_t *settings, cmd_parms *cmd,
                                const char *arg);

/* The same for the directives that only this MPM has: nothing corrects
 * them, what is out of bounds is wrong. [config] */
const char *settings_set_event(settings_t *settings, cmd_parms *cmd,
                               const char *arg);

/* The same for AsyncRequestWorkerFactor. [config] */
const char *settings_set_factor(settings_t *settings, cmd_parms *cmd,
                                const char *arg);

/*
 * Correct what cannot be, with a warning each: on the console if startup
 * (the first pass over the configuration), else in server's log. Computes
 * max_children and slots, and fills frozen the first time. [config]
 */
void settings_check(settings_t *settings, settings_frozen_t *frozen,
                    int startup, const server_rec *server);

/*
 * Adjust silently for num_buckets (at least 1) sets of listeners: a child
 * for each where ServerLimit allows, and room between the spare limits for
 * each to start or stop one. [config] when the server runs, any number of
 * times.
 */
void settings_fit_buckets(settings_t *settings, int num_buckets);

#endif /* EVENT_SETTINGS_H */
