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
 * settings: see settings.h. One table says for each directive what it is
 * worth when absent and what it may be worth at all; the rules that tie two
 * directives together are the few functions below it.
 */

#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "apr_strings.h"
#include "http_log.h"

#include "mpm_default.h"

APLOG_USE_MODULE(mpm_event);

enum {
    SERVER_LIMIT,
    THREAD_LIMIT,
    THREADS_PER_CHILD,
    MAX_REQUEST_WORKERS,
    START_SERVERS,
    MIN_SPARE_THREADS,
    MAX_SPARE_THREADS,
    NUM_ROWS
};

typedef struct row_t row_t;

/* How far a value may go; a max without ids: as far as it likes. */
typedef struct bound_t {
    int number;      /* so far, or */
    const row_t *of; /* as far as the value of that directive */
    const char *startup_id;
    const char *restart_id;
    const char *why; /* for the console only */
} bound_t;

struct row_t {
    const char *name;
    size_t field; /* offset in settings_t */
    int preset;
    bound_t max;
    bound_t min;
    const char *frozen_id; /* for those a restart cannot change */
};

static const row_t rows[NUM_ROWS] = {
    [SERVER_LIMIT] = {
        .name = "ServerLimit",
        .field = offsetof(settings_t, server_limit),
        .preset = DEFAULT_SERVER_LIMIT,
        .max = {.number = MAX_SERVER_LIMIT,
                .startup_id = APLOGNO(00497),
                .restart_id = APLOGNO(00498),
                .why = "this module was built for no more"},
        .min = {.number = 1,
                .startup_id = APLOGNO(00499),
                .restart_id = APLOGNO(00500),
                .why = "there must be room for a child process"},
        .frozen_id = APLOGNO(00501),
    },
    [THREAD_LIMIT] = {
        .name = "ThreadLimit",
        .field = offsetof(settings_t, thread_limit),
        .preset = DEFAULT_THREAD_LIMIT,
        .max = {.number = MAX_THREAD_LIMIT,
                .startup_id = APLOGNO(00502),
                .restart_id = APLOGNO(00503),
                .why = "this module was built for no more"},
        .min = {.number = 1,
                .startup_id = APLOGNO(00504),
                .restart_id = APLOGNO(00505),
                .why = "there must be room for a worker thread"},
        .frozen_id = APLOGNO(00506),
    },
    [THREADS_PER_CHILD] = {
        .name = "ThreadsPerChild",
        .field = offsetof(settings_t, threads_per_child),
        .preset = DEFAULT_THREADS_PER_CHILD,
        .max = {.of = &rows[THREAD_LIMIT],
                .startup_id = APLOGNO(00507),
                .restart_id = APLOGNO(00508),
                .why = "ThreadLimit must be raised with it"},
        .min = {.number = 1,
                .startup_id = APLOGNO(00509),
                .restart_id = APLOGNO(00510),
                .why = "a child process needs a worker thread"},
    },
    [MAX_REQUEST_WORKERS] = {
        .name = "MaxRequestWorkers",
        .field = offsetof(settings_t, max_request_workers),
        .preset = DEFAULT_SERVER_LIMIT * DEFAULT_THREADS_PER_CHILD,
        .min = {.of = &rows[THREADS_PER_CHILD],
                .startup_id = APLOGNO(00511),
                .restart_id = APLOGNO(00512),
                .why = "one child process has ThreadsPerChild workers"},
    },
    [START_SERVERS] = {
        .name = "StartServers",
        .field = offsetof(settings_t, start_servers),
        .preset = DEFAULT_START_DAEMON,
        .min = {.number = 1,
                .startup_id = APLOGNO(00517),
                .restart_id = APLOGNO(00518),
                .why = "somebody has to serve"},
    },
    [MIN_SPARE_THREADS] = {
        .name = "MinSpareThreads",
        .field = offsetof(settings_t, min_spare_threads),
        .preset = DEFAULT_MIN_SPARE_THREADS,
        .min = {.number = 1,
                .startup_id = APLOGNO(00519),
                .restart_id = APLOGNO(00520),
                .why = "the server would never start another child process"},
    },
    [MAX_SPARE_THREADS] = {
        .name = "MaxSpareThreads",
        .field = offsetof(settings_t, max_spare_threads),
        .preset = DEFAULT_MAX_SPARE_THREADS,
    },
};

/* The directives that stock does not have, and their bounds. */
typedef struct extra_t {
    const char *name;
    size_t field; /* offset in settings_t */
    int preset;
    int min;
    int max;
} extra_t;

static const extra_t extras[] = {
    {"EventDrainTimeout", offsetof(settings_t, drain_timeout), 0,
     0, INT_MAX},
    {"EventClientLimit", offsetof(settings_t, client_limit), 0,
     0, INT_MAX},
    {"EventHeadTimeout", offsetof(settings_t, head_timeout), 20,
     0, MAX_HEAD_TIMEOUT},
    {"EventBodyWait", offsetof(settings_t, body_wait), 16384,
     0, MAX_BODY_WAIT},
    {"EventHeadLimit", offsetof(settings_t, head_limit), HEAD_LIMIT_AUTO,
     0, INT_MAX},
};

#define NUM_EXTRAS ((int)(sizeof(extras) / sizeof(extras[0])))

/* Where a warning goes. */
typedef struct audience_t {
    int startup; /* the console, else */
    const server_rec *server;
} audience_t;

static int *field_at(settings_t *settings, size_t field)
{
    return (int *)((char *)settings + field);
}

static int *field_of(settings_t *settings, const row_t *row)
{
    return field_at(settings, row->field);
}

static const row_t *row_named(const char *name)
{
    if (!strcasecmp(name, "MaxClients")) {
        name = rows[MAX_REQUEST_WORKERS].name;
    }
    for (int i = 0; i < NUM_ROWS; i++) {
        if (!strcasecmp(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Of two values that never change, so that neither does this. */
static int slots_for(const settings_t *settings)
{
    int reserve = RESERVE_CELLS / settings->thread_limit;

    reserve = reserve > MAX_RESERVE ? MAX_RESERVE : reserve;
    reserve = reserve < MIN_RESERVE ? MIN_RESERVE : reserve;
    return settings->server_limit + reserve;
}

void settings_defaults(settings_t *settings)
{
    for (int i = 0; i < NUM_ROWS; i++) {
        *field_of(settings, &rows[i]) = rows[i].preset;
    }
    settings->max_children = DEFAULT_SERVER_LIMIT;
    settings->async_factor = DEFAULT_ASYNC_FACTOR;
    settings->slots = slots_for(settings);
    settings->client_loopback = 0;
    settings->client_exempt = NULL;
    for (int i = 0; i < NUM_EXTRAS; i++) {
        *field_at(settings, extras[i].field) = extras[i].preset;
    }
}

/* NULL, or what is wrong with arg. */
static const char *parse_number(cmd_parms *cmd, const char *arg, int *number)
{
    const char *name = cmd->cmd->name;
    char *end;
    long value;

    errno = 0;
    value = strtol(arg, &end, 10);
    if (end == arg || *end != '\0') {
        return apr_psprintf(cmd->pool, "%s: \"%s\" is not a whole number",
                            name, arg);
    }
    if (errno == ERANGE || value < INT_MIN || value > INT_MAX) {
        return apr_psprintf(cmd->pool, "%s: %s is out of range", name, arg);
    }
    *number = (int)value;
    return NULL;
}

const char *settings_set_number(settings_t *settings, cmd_parms *cmd,
                                const char *arg)
{
    const char *name = cmd->cmd->name;
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const row_t *row = row_named(name);

    if (err) {
        return err;
    }
    if (!row) {
        return apr_pstrcat(cmd->pool, name, " is not a setting of event",
                           NULL);
    }
    if (!strcasecmp(name, "MaxClients")) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, NULL, APLOGNO(00521)
                     "MaxClients is deprecated, write MaxRequestWorkers");
    }
    return parse_number(cmd, arg, field_of(settings, row));
}

const char *settings_set_event(settings_t *settings, cmd_parms *cmd,
                               const char *arg)
{
    const char *name = cmd->cmd->name;
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const extra_t *extra = extras;
    int value;

    while (strcasecmp(name, extra->name) != 0) {
        if (++extra == extras + NUM_EXTRAS) {
            return apr_pstrcat(cmd->pool, name, " is not a setting of event",
                               NULL);
        }
    }
    if (err == NULL) {
        err = parse_number(cmd, arg, &value);
    }
    if (err == NULL && (value < extra->min || value > extra->max)) {
        err = apr_psprintf(cmd->pool, "%s: %s is not between %d and %d",
                           name, arg, extra->min, extra->max);
    }
    if (err == NULL) {
        *field_at(settings, extra->field) = value;
    }
    return err;
}

const char *settings_set_factor(settings_t *settings, cmd_parms *cmd,
                                const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end;
    double value;

    if (err) {
        return err;
    }
    value = strtod(arg, &end);
    /* strtod also reads names and hexadecimal, which nobody means here. */
    if (end == arg || *end != '\0' || !isfinite(value)
        || arg[strspn(arg, "+-.0123456789eE")] != '\0') {
        return apr_psprintf(cmd->pool, "%s: error parsing value \"%s\"",
                            cmd->cmd->name, arg);
    }
    if (value <= 0) {
        return apr_psprintf(cmd->pool, "%s must be a positive number, not %s",
                            cmd->cmd->name, arg);
    }
    settings->async_factor = value;
    return NULL;
}

static int bound_value(settings_t *settings, const bound_t *bound)
{
    return bound->of ? *field_of(settings, bound->of) : bound->number;
}

/* Move a value to the bound it is beyond. */
static void move(settings_t *settings, const row_t *row, const bound_t *bound,
                 const char *how, const audience_t *to)
{
    int *value = field_of(settings, row);
    int limit = bound_value(settings, bound);

    if (to->startup) {
        ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, NULL,
                     "%sWARNING: %s %d is too %s, using %d: %s",
                     bound->startup_id, row->name, *value, how, limit,
                     bound->why);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, to->server,
                     "%s%s %d is too %s, using %d", bound->restart_id,
                     row->name, *value, how, limit);
    }
    *value = limit;
}

static void clamp(settings_t *settings, int which, const audience_t *to)
{
    const row_t *row = &rows[which];
    int value = *field_of(settings, row);

    if (row->max.startup_id && value > bound_value(settings, &row->max)) {
        move(settings, row, &row->max, "high", to);
    }
    else if (value < bound_value(settings, &row->min)) {
        move(settings, row, &row->min, "low", to);
    }
}

/* The scoreboard has its size for life, so the first value stays. */
static void keep_first(settings_t *settings, int which, int *first,
                       const audience_t *to)
{
    const row_t *row = &rows[which];
    int *value = field_of(settings, row);

    if (*first && *value != *first) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, to->server,
                     "%s%s %d takes a stop and a start of the server, "
                     "keeping %d", row->frozen_id, row->name, *value, *first);
        *value = *first;
    }
    *first = *value;
}

/* Only whole children can be started. */
static void round_workers(settings_t *settings, const audience_t *to)
{
    int threads = settings->threads_per_child;
    int asked = settings->max_request_workers;
    int children = asked / threads;
    int workers = children * threads;

    settings->max_children = children;
    settings->max_request_workers = workers;
    if (asked == workers) {
        return;
    }
    if (to->startup) {
        ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, NULL,
                     APLOGNO(00513) "WARNING: MaxRequestWorkers %d is no "
                     "multiple of ThreadsPerChild %d, using %d: that is %d "
                     "child processes; %" APR_INT64_T_FMT " would fit too",
                     asked, threads, workers, children,
                     (apr_int64_t)workers + threads);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, to->server,
                     APLOGNO(00514) "MaxRequestWorkers %d is no multiple of "
                     "ThreadsPerChild %d, using %d", asked, threads, workers);
    }
}

static void limit_children(settings_t *settings, const audience_t *to)
{
    int asked = settings->max_children;
    int slots = settings->server_limit;
    int workers = slots * settings->threads_per_child;

    if (asked <= slots) {
        return;
    }
    if (to->startup) {
        ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, NULL,
                     APLOGNO(00515) "WARNING: MaxRequestWorkers %d takes %d "
                     "child processes and ServerLimit is %d, using %d: raise "
                     "ServerLimit for more", settings->max_request_workers,
                     asked, slots, workers);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, to->server,
                     APLOGNO(00516) "MaxRequestWorkers %d takes %d child "
                     "processes and ServerLimit is %d, using %d",
                     settings->max_request_workers, asked, slots, workers);
    }
    settings->max_children = slots;
    settings->max_request_workers = workers;
}

void settings_check(settings_t *settings, settings_frozen_t *frozen,
                    int startup, const server_rec *server)
{
    audience_t to = {startup, server};

    /* Each step builds on those before it. */
    clamp(settings, SERVER_LIMIT, &to);
    keep_first(settings, SERVER_LIMIT, &frozen->server_limit, &to);
    clamp(settings, THREAD_LIMIT, &to);
    keep_first(settings, THREAD_LIMIT, &frozen->thread_limit, &to);
    if (frozen->slots == 0) {
        frozen->slots = slots_for(settings);
    }
    settings->slots = frozen->slots;
    clamp(settings, THREADS_PER_CHILD, &to);
    clamp(settings, MAX_REQUEST_WORKERS, &to);
    round_workers(settings, &to);
    limit_children(settings, &to);
    clamp(settings, START_SERVERS, &to);
    clamp(settings, MIN_SPARE_THREADS, &to);
}

static int at_least(int value, apr_int64_t floor)
{
    if (value >= floor) {
        return value;
    }
    return floor < INT_MAX ? (int)floor : INT_MAX;
}

static int at_most(int value, int ceiling)
{
    return value < ceiling ? value : ceiling;
}

void settings_fit_buckets(settings_t *settings, int num_buckets)
{
    apr_int64_t buckets = num_buckets;
    apr_int64_t threads = settings->threads_per_child;

    /* More children than slots would never find a place. */
    settings->max_children = at_most(
        at_least(settings->max_children, buckets), settings->server_limit);
    settings->start_servers = at_most(
        at_least(settings->start_servers, buckets), settings->max_children);
    settings->min_spare_threads = at_least(
        settings->min_spare_threads, threads * (buckets - 1) + buckets);
    settings->max_spare_threads = at_least(
        settings->max_spare_threads,
        settings->min_spare_threads + (threads + 1) * buckets);
}
