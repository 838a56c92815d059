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
 * check_settings: defaults, parsing, every correction with its message ids,
 * and the fit to buckets. httpd is not running: what settings.c calls of it
 * is played by the few functions at the top, which note what they were told.
 */

#include <check.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apr_general.h"
#include "apr_pools.h"
#include "apr_strings.h"
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"

#include "mpm_default.h"
#include "settings.h"

/* What httpd does for settings.c. */

typedef struct message_t {
    int level; /* APLOG_STARTUP included */
    const server_rec *server;
    char text[300];
} message_t;

module AP_MODULE_DECLARE_DATA mpm_event_module;

static message_t messages[20];
static int num_messages;
static char ids[200]; /* "AH00497 AH00513" */
static const char *context_error;

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    message_t *message = &messages[num_messages++];
    va_list args;

    (void)line;
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(module_index, mpm_event_module.module_index);
    ck_assert_int_eq(status, 0);
    ck_assert_int_lt(num_messages, 20);
    message->level = level;
    message->server = s;
    va_start(args, fmt);
    apr_vsnprintf(message->text, sizeof(message->text), fmt, args);
    va_end(args);
    /* "AHnnnnn: text", so that the tables below can name the ids. */
    ck_assert_msg(!strncmp(message->text, "AH", 2) && message->text[7] == ':',
                  "no id in: %s", message->text);
    snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%.7s",
             *ids ? " " : "", message->text);
}

AP_DECLARE(const char *) ap_check_cmd_context(cmd_parms *cmd,
                                              unsigned forbidden)
{
    (void)cmd;
    ck_assert_uint_eq(forbidden, GLOBAL_ONLY);
    return context_error;
}

/* The tests' own. */

static apr_pool_t *pool;
static server_rec server;
static settings_t settings;
static settings_frozen_t frozen;

static void setup(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    server.log.level = APLOG_WARNING;
    settings_defaults(&settings);
    memset(&frozen, 0, sizeof(frozen));
    num_messages = 0;
    *ids = '\0';
    context_error = NULL;
}

static void teardown(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static const char *set(const char *name, const char *arg)
{
    command_rec command = {.name = name};
    cmd_parms cmd = {.cmd = &command, .pool = pool, .server = &server};

    if (!strcmp(name, "AsyncRequestWorkerFactor")) {
        return settings_set_factor(&settings, &cmd, arg);
    }
    if (!strncmp(name, "Event", 5)) {
        return settings_set_event(&settings, &cmd, arg);
    }
    return settings_set_number(&settings, &cmd, arg);
}

static void check(int startup)
{
    num_messages = 0;
    *ids = '\0';
    settings_check(&settings, &frozen, startup, &server);
}

static void assert_said(const char *expected)
{
    ck_assert_str_eq(ids, expected);
}

START_TEST(defaults_are_the_manuals)
{
    memset(&settings, 0x55, sizeof(settings));
    settings_defaults(&settings);
    ck_assert_int_eq(settings.start_servers, 3);
    ck_assert_int_eq(settings.server_limit, 16);
    ck_assert_int_eq(settings.thread_limit, 64);
    ck_assert_int_eq(settings.threads_per_child, 25);
    ck_assert_int_eq(settings.max_request_workers, 400);
    ck_assert_int_eq(settings.min_spare_threads, 75);
    ck_assert_int_eq(settings.max_spare_threads, 250);
    ck_assert_int_eq(settings.max_children, 16);
    ck_assert_double_eq(settings.async_factor, 2.0);
}
END_TEST

START_TEST(defaults_need_no_correction)
{
    settings_t before = settings;

    check(1);
    assert_said("");
    check(0);
    assert_said("");
    ck_assert_mem_eq(&settings, &before, sizeof(before));
    ck_assert_int_eq(frozen.server_limit, 16);
    ck_assert_int_eq(frozen.thread_limit, 64);
}
END_TEST

static const struct {
    const char *name;
    int *value;
} numbers[] = {
    {"StartServers", &settings.start_servers},
    {"ServerLimit", &settings.server_limit},
    {"ThreadLimit", &settings.thread_limit},
    {"ThreadsPerChild", &settings.threads_per_child},
    {"MaxRequestWorkers", &settings.max_request_workers},
    {"MinSpareThreads", &settings.min_spare_threads},
    {"MaxSpareThreads", &settings.max_spare_threads},
};
#define NUM_NUMBERS ((int)(sizeof(numbers) / sizeof(numbers[0])))

START_TEST(each_directive_sets_its_own_value)
{
    settings_t others;

    ck_assert_ptr_null(set(numbers[_i].name, "4711"));
    ck_assert_int_eq(*numbers[_i].value, 4711);
    *numbers[_i].value = 0;
    others = settings;
    settings_defaults(&settings);
    *numbers[_i].value = 0;
    ck_assert_mem_eq(&settings, &others, sizeof(others));
    assert_said("");
}
END_TEST

START_TEST(any_int_is_taken)
{
    static const struct {
        const char *arg;
        int value;
    } rows[] = {
        {"0", 0}, {"-1", -1}, {"+7", 7}, {"010", 10}, {" 8", 8},
        {"2147483647", INT_MAX}, {"-2147483648", INT_MIN},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_ptr_null(set("StartServers", rows[i].arg));
        ck_assert_int_eq(settings.start_servers, rows[i].value);
    }
}
END_TEST

START_TEST(no_number_is_an_error)
{
    static const char *const args[] = {
        "", " ", "many", "12abc", "12 ", "1.5", "0x10", "-", "1e3", "4,5",
        "2147483648", "-2147483649", "99999999999999999999999",
        "-99999999999999999999999",
    };
    settings_t before = settings;

    for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        const char *err = set(numbers[_i].name, args[i]);

        ck_assert_msg(err != NULL, "\"%s\" was taken", args[i]);
        ck_assert_ptr_nonnull(strstr(err, numbers[_i].name));
        ck_assert_ptr_nonnull(strstr(err, args[i]));
    }
    ck_assert_mem_eq(&settings, &before, sizeof(before));
}
END_TEST

START_TEST(overflow_says_so)
{
    ck_assert_str_eq(set("ServerLimit", "2147483648"),
                     "ServerLimit: 2147483648 is out of range");
    ck_assert_str_eq(set("ServerLimit", "1x"),
                     "ServerLimit: \"1x\" is not a whole number");
}
END_TEST

START_TEST(unknown_directive_is_an_error)
{
    ck_assert_ptr_nonnull(strstr(set("Threads", "1"), "Threads"));
}
END_TEST

START_TEST(max_clients_is_an_alias)
{
    ck_assert_ptr_null(set("MaxClients", "150"));
    ck_assert_int_eq(settings.max_request_workers, 150);
    assert_said("AH00521");
    ck_assert_int_eq(messages[0].level, APLOG_INFO);
    ck_assert_ptr_null(messages[0].server);
    ck_assert_ptr_nonnull(strstr(set("MaxClients", "x"), "MaxClients"));
}
END_TEST

START_TEST(only_in_the_main_server)
{
    settings_t before = settings;

    context_error = "cannot occur within <VirtualHost> section";
    for (int i = 0; i < NUM_NUMBERS; i++) {
        ck_assert_ptr_eq(set(numbers[i].name, "9"), context_error);
    }
    ck_assert_ptr_eq(set("MaxClients", "9"), context_error);
    ck_assert_ptr_eq(set("AsyncRequestWorkerFactor", "9"), context_error);
    ck_assert_mem_eq(&settings, &before, sizeof(before));
    assert_said("");
}
END_TEST

START_TEST(own_directives)
{
    settings_t before = settings;

    ck_assert_int_eq(settings.drain_timeout, 0);
    ck_assert_int_eq(settings.head_timeout, 20);
    ck_assert_int_eq(settings.body_wait, 16384);
    ck_assert_int_lt(settings.head_limit, 0);
    ck_assert_ptr_nonnull(strstr(set("EventHead", "1"), "EventHead"));
    ck_assert_ptr_nonnull(strstr(set("EventHeadLimit", "-1"), "-1"));
    ck_assert_ptr_nonnull(strstr(set("EventBodyWait", "1048577"), "1048576"));
    ck_assert_ptr_nonnull(strstr(set("EventHeadTimeout", "x"), "\"x\""));
    ck_assert_mem_eq(&settings, &before, sizeof(before));
    ck_assert_ptr_null(set("EventDrainTimeout", "7"));
    ck_assert_ptr_null(set("EventHeadTimeout", "0"));
    ck_assert_ptr_null(set("EventBodyWait", "9"));
    ck_assert_ptr_null(set("EventHeadLimit", "8"));
    ck_assert_int_eq(settings.drain_timeout, 7);
    ck_assert_int_eq(settings.head_timeout, 0);
    ck_assert_int_eq(settings.body_wait, 9);
    ck_assert_int_eq(settings.head_limit, 8);
}
END_TEST

START_TEST(factor_takes_real_numbers)
{
    static const struct {
        const char *arg;
        double value;
    } rows[] = {
        {"1.5", 1.5}, {"0.01", 0.01}, {"3", 3}, {"+2", 2}, {".5", 0.5},
        {"1e1", 10}, {"25E-1", 2.5}, {"1.99", 1.99},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_ptr_null(set("AsyncRequestWorkerFactor", rows[i].arg));
        ck_assert_double_eq(settings.async_factor, rows[i].value);
    }
}
END_TEST

START_TEST(factor_refuses_the_rest)
{
    static const char *const junk[] = {
        "", "two", "1.5x", "1,5", "1.5 ", "0x10", "0x1p3", "inf", "-inf",
        "INFINITY", "nan", "nan(1)", "1e999", "-1e999", "--1", ".", "e5",
    };
    static const char *const not_positive[] = {
        "0", "0.0", "-0", "-1", "-0.5", "1e-999",
    };
    size_t i;

    for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        const char *err = set("AsyncRequestWorkerFactor", junk[i]);

        ck_assert_msg(err != NULL, "\"%s\" was taken", junk[i]);
        ck_assert_ptr_nonnull(strstr(err, "error parsing value"));
        ck_assert_ptr_nonnull(strstr(err, junk[i]));
        ck_assert_ptr_nonnull(strstr(err, "AsyncRequestWorkerFactor"));
    }
    for (i = 0; i < sizeof(not_positive) / sizeof(not_positive[0]); i++) {
        const char *err = set("AsyncRequestWorkerFactor", not_positive[i]);

        ck_assert_msg(err != NULL, "\"%s\" was taken", not_positive[i]);
        ck_assert_ptr_nonnull(strstr(err, "must be a positive number"));
        ck_assert_ptr_nonnull(strstr(err, "AsyncRequestWorkerFactor"));
    }
    ck_assert_double_eq(settings.async_factor, 2.0);
}
END_TEST

/*
 * The corrections: what is configured, which messages that makes, and what
 * becomes of it.
 */
typedef struct correction_t {
    const char *what;
    const char *conf; /* "Directive value Directive value" */
    const char *startup_ids;
    const char *restart_ids;
    int server_limit, thread_limit, threads, workers, children, start, spare;
} correction_t;

static const correction_t corrections[] = {
    {"1 high", "ServerLimit 20001", "AH00497", "AH00498",
     20000, 64, 25, 400, 16, 3, 75},
    {"1 highest", "ServerLimit 20000", "", "",
     20000, 64, 25, 400, 16, 3, 75},
    {"1 low", "ServerLimit 0 MaxRequestWorkers 25", "AH00499", "AH00500",
     1, 64, 25, 25, 1, 3, 75},
    {"1 lowest", "ServerLimit 1 MaxRequestWorkers 25", "", "",
     1, 64, 25, 25, 1, 3, 75},
    {"3 high", "ThreadLimit 100001", "AH00502", "AH00503",
     16, 100000, 25, 400, 16, 3, 75},
    {"3 highest", "ThreadLimit 100000", "", "",
     16, 100000, 25, 400, 16, 3, 75},
    {"3 low", "ThreadLimit -1 ThreadsPerChild 1 MaxRequestWorkers 16",
     "AH00504", "AH00505", 16, 1, 1, 16, 16, 3, 75},
    {"5 high", "ThreadsPerChild 65 MaxRequestWorkers 640",
     "AH00507", "AH00508", 16, 64, 64, 640, 10, 3, 75},
    {"5 highest", "ThreadsPerChild 64 MaxRequestWorkers 640", "", "",
     16, 64, 64, 640, 10, 3, 75},
    {"5 low", "ThreadsPerChild 0 MaxRequestWorkers 16",
     "AH00509", "AH00510", 16, 64, 1, 16, 16, 3, 75},
    {"3 then 5", "ThreadLimit 0", "AH00504 AH00507 AH00515",
     "AH00505 AH00508 AH00516", 16, 1, 1, 16, 16, 3, 75},
    {"6", "MaxRequestWorkers 24", "AH00511", "AH00512",
     16, 64, 25, 25, 1, 3, 75},
    {"6 negative", "MaxRequestWorkers -5", "AH00511", "AH00512",
     16, 64, 25, 25, 1, 3, 75},
    {"6 equal", "MaxRequestWorkers 25", "", "",
     16, 64, 25, 25, 1, 3, 75},
    {"7", "MaxRequestWorkers 149", "AH00513", "AH00514",
     16, 64, 25, 125, 5, 3, 75},
    {"8", "MaxRequestWorkers 425", "AH00515", "AH00516",
     16, 64, 25, 400, 16, 3, 75},
    {"7 then 8",
     "ThreadsPerChild 10 ServerLimit 2 MaxRequestWorkers 45",
     "AH00513 AH00515", "AH00514 AH00516", 2, 64, 10, 20, 2, 3, 75},
    {"9", "StartServers 0", "AH00517", "AH00518",
     16, 64, 25, 400, 16, 1, 75},
    {"10", "MinSpareThreads 0", "AH00519", "AH00520",
     16, 64, 25, 400, 16, 3, 1},
    {"MaxSpareThreads goes unsaid", "MaxSpareThreads -9", "", "",
     16, 64, 25, 400, 16, 3, 75},
    {"all low",
     "ServerLimit -1 ThreadLimit -1 ThreadsPerChild -1 "
     "MaxRequestWorkers -1 StartServers -1 MinSpareThreads -1",
     "AH00499 AH00504 AH00509 AH00511 AH00517 AH00519",
     "AH00500 AH00505 AH00510 AH00512 AH00518 AH00520",
     1, 1, 1, 1, 1, 1, 1},
    {"all high",
     "ServerLimit 2147483647 ThreadLimit 2147483647 "
     "ThreadsPerChild 2147483647 MaxRequestWorkers 2147483647",
     "AH00497 AH00502 AH00507 AH00513 AH00515",
     "AH00498 AH00503 AH00508 AH00514 AH00516",
     20000, 100000, 100000, 2000000000, 20000, 3, 75},
    {"no overflow", "ServerLimit 1 ThreadLimit 100000 "
     "ThreadsPerChild 99999 MaxRequestWorkers 2147483647",
     "AH00513 AH00515", "AH00514 AH00516",
     1, 100000, 99999, 99999, 1, 3, 75},
};
#define NUM_CORRECTIONS ((int)(sizeof(corrections) / sizeof(corrections[0])))

static void configure(const char *conf)
{
    char *words = apr_pstrdup(pool, conf);
    char *last;
    char *name;

    settings_defaults(&settings);
    for (name = apr_strtok(words, " ", &last); name;
         name = apr_strtok(NULL, " ", &last)) {
        ck_assert_ptr_null(set(name, apr_strtok(NULL, " ", &last)));
    }
}

static void assert_corrected(const correction_t *row)
{
    ck_assert_int_eq(settings.server_limit, row->server_limit);
    ck_assert_int_eq(settings.thread_limit, row->thread_limit);
    ck_assert_int_eq(settings.threads_per_child, row->threads);
    ck_assert_int_eq(settings.max_request_workers, row->workers);
    ck_assert_int_eq(settings.max_children, row->children);
    ck_assert_int_eq(settings.start_servers, row->start);
    ck_assert_int_eq(settings.min_spare_threads, row->spare);
}

START_TEST(corrected_at_startup)
{
    const correction_t *row = &corrections[_i];

    configure(row->conf);
    check(1);
    ck_assert_msg(!strcmp(ids, row->startup_ids), "%s: said %s", row->what,
                  ids);
    assert_corrected(row);
    for (int i = 0; i < num_messages; i++) {
        ck_assert_int_eq(messages[i].level, APLOG_WARNING | APLOG_STARTUP);
        ck_assert_ptr_null(messages[i].server);
        ck_assert_ptr_nonnull(strstr(messages[i].text, ": WARNING: "));
    }
}
END_TEST

START_TEST(corrected_later)
{
    const correction_t *row = &corrections[_i];

    configure(row->conf);
    check(0);
    ck_assert_msg(!strcmp(ids, row->restart_ids), "%s: said %s", row->what,
                  ids);
    assert_corrected(row);
    for (int i = 0; i < num_messages; i++) {
        ck_assert_int_eq(messages[i].level, APLOG_WARNING);
        ck_assert_ptr_eq(messages[i].server, &server);
        ck_assert_ptr_null(strstr(messages[i].text, "WARNING"));
    }
}
END_TEST

/* What is corrected needs no correction, and the same again is no change. */
START_TEST(correction_is_final)
{
    settings_t first;

    configure(corrections[_i].conf);
    check(1);
    first = settings;
    check(0);
    assert_said("");
    ck_assert_mem_eq(&settings, &first, sizeof(first));
}
END_TEST

START_TEST(messages_name_the_numbers)
{
    configure("ThreadsPerChild 10 ServerLimit 2 MaxRequestWorkers 45");
    check(1);
    assert_said("AH00513 AH00515");
    ck_assert_str_eq(messages[0].text,
                     "AH00513: WARNING: MaxRequestWorkers 45 is no multiple "
                     "of ThreadsPerChild 10, using 40: that is 4 child "
                     "processes; 50 would fit too");
    ck_assert_str_eq(messages[1].text,
                     "AH00515: WARNING: MaxRequestWorkers 40 takes 4 child "
                     "processes and ServerLimit is 2, using 20: raise "
                     "ServerLimit for more");

    configure("ServerLimit 2 ThreadsPerChild 100");
    check(0);
    ck_assert_str_eq(messages[0].text,
                     "AH00508: ThreadsPerChild 100 is too high, using 64");
}
END_TEST

START_TEST(next_fit_does_not_overflow)
{
    configure("ThreadLimit 100000 ThreadsPerChild 100000 "
              "ServerLimit 20000 MaxRequestWorkers 2147483647");
    check(1);
    assert_said("AH00513 AH00515");
    ck_assert_ptr_nonnull(strstr(messages[0].text, "; 2147500000 would"));
    ck_assert_int_eq(settings.max_request_workers, 2000000000);
}
END_TEST

START_TEST(limits_are_frozen_by_the_first_start)
{
    configure("ServerLimit 20 ThreadLimit 30");
    check(1);
    assert_said("");
    ck_assert_int_eq(frozen.server_limit, 20);
    ck_assert_int_eq(frozen.thread_limit, 30);

    configure("ServerLimit 21 ThreadLimit 29");
    check(0);
    assert_said("AH00501 AH00506");
    ck_assert_int_eq(settings.server_limit, 20);
    ck_assert_int_eq(settings.thread_limit, 30);
    for (int i = 0; i < num_messages; i++) {
        ck_assert_int_eq(messages[i].level, APLOG_WARNING);
        ck_assert_ptr_eq(messages[i].server, &server);
    }
    ck_assert_ptr_nonnull(strstr(messages[0].text, "ServerLimit 21"));
    ck_assert_ptr_nonnull(strstr(messages[0].text, "keeping 20"));

    /* Directives taken away: the defaults count as a change, too. */
    settings_defaults(&settings);
    check(0);
    assert_said("AH00501 AH00506");

    configure("ServerLimit 20 ThreadLimit 30");
    check(0);
    assert_said("");
    ck_assert_int_eq(frozen.server_limit, 20);
    ck_assert_int_eq(frozen.thread_limit, 30);
}
END_TEST

START_TEST(frozen_are_the_corrected_values)
{
    configure("ServerLimit 30000 ThreadLimit 0 ThreadsPerChild 1");
    check(1);
    assert_said("AH00497 AH00504");
    ck_assert_int_eq(frozen.server_limit, 20000);
    ck_assert_int_eq(frozen.thread_limit, 1);

    configure("ServerLimit 30000 ThreadLimit 0 ThreadsPerChild 1");
    check(0);
    assert_said("AH00498 AH00505");
}
END_TEST

/* The rules after the freeze work on the frozen value. */
START_TEST(frozen_limits_bind_the_others)
{
    configure("ServerLimit 2 ThreadLimit 10 ThreadsPerChild 10 "
              "MaxRequestWorkers 20");
    check(1);
    configure("ServerLimit 5 ThreadLimit 50 ThreadsPerChild 50 "
              "MaxRequestWorkers 250");
    check(0);
    assert_said("AH00501 AH00506 AH00508 AH00516");
    ck_assert_int_eq(settings.threads_per_child, 10);
    ck_assert_int_eq(settings.max_request_workers, 20);
    ck_assert_int_eq(settings.max_children, 2);
}
END_TEST

/* Buckets, what is configured, what is left of it. */
static const struct {
    int buckets;
    const char *conf;
    int children, start, min_spare, max_spare;
} fits[] = {
    {1, "", 16, 3, 75, 250},
    {1, "StartServers 100", 16, 16, 75, 250},
    {1, "MinSpareThreads 5 MaxSpareThreads 5", 16, 3, 5, 31},
    {1, "MinSpareThreads 5 MaxSpareThreads 31", 16, 3, 5, 31},
    {1, "MinSpareThreads 5 MaxSpareThreads 32", 16, 3, 5, 32},
    {1, "MaxSpareThreads -1", 16, 3, 75, 101},
    {1, "MinSpareThreads 2147483647", 16, 3, INT_MAX, INT_MAX},
    {4, "", 16, 4, 79, 250},
    {4, "StartServers 9 MinSpareThreads 78 MaxSpareThreads 1",
     16, 9, 79, 183},
    {4, "MaxRequestWorkers 50", 4, 4, 79, 250},
    {4, "ServerLimit 3 MaxRequestWorkers 50", 3, 3, 79, 250},
    {2, "MinSpareThreads 27 MaxSpareThreads 78", 16, 3, 27, 79},
};
#define NUM_FITS ((int)(sizeof(fits) / sizeof(fits[0])))

START_TEST(fits_buckets)
{
    settings_t first;

    configure(fits[_i].conf);
    check(1);
    settings_fit_buckets(&settings, fits[_i].buckets);
    assert_said("");
    ck_assert_int_eq(settings.max_children, fits[_i].children);
    ck_assert_int_eq(settings.start_servers, fits[_i].start);
    ck_assert_int_eq(settings.min_spare_threads, fits[_i].min_spare);
    ck_assert_int_eq(settings.max_spare_threads, fits[_i].max_spare);
    first = settings;
    settings_fit_buckets(&settings, fits[_i].buckets);
    ck_assert_mem_eq(&settings, &first, sizeof(first));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("settings");
    TCase *parse = tcase_create("parse");
    TCase *correct = tcase_create("correct");

    tcase_add_checked_fixture(parse, setup, teardown);
    tcase_add_test(parse, defaults_are_the_manuals);
    tcase_add_loop_test(parse, each_directive_sets_its_own_value, 0,
                        NUM_NUMBERS);
    tcase_add_test(parse, any_int_is_taken);
    tcase_add_loop_test(parse, no_number_is_an_error, 0, NUM_NUMBERS);
    tcase_add_test(parse, overflow_says_so);
    tcase_add_test(parse, unknown_directive_is_an_error);
    tcase_add_test(parse, max_clients_is_an_alias);
    tcase_add_test(parse, only_in_the_main_server);
    tcase_add_test(parse, own_directives);
    tcase_add_test(parse, factor_takes_real_numbers);
    tcase_add_test(parse, factor_refuses_the_rest);
    suite_add_tcase(s, parse);

    tcase_add_checked_fixture(correct, setup, teardown);
    tcase_add_test(correct, defaults_need_no_correction);
    tcase_add_loop_test(correct, corrected_at_startup, 0, NUM_CORRECTIONS);
    tcase_add_loop_test(correct, corrected_later, 0, NUM_CORRECTIONS);
    tcase_add_loop_test(correct, correction_is_final, 0, NUM_CORRECTIONS);
    tcase_add_test(correct, messages_name_the_numbers);
    tcase_add_test(correct, next_fit_does_not_overflow);
    tcase_add_test(correct, limits_are_frozen_by_the_first_start);
    tcase_add_test(correct, frozen_are_the_corrected_values);
    tcase_add_test(correct, frozen_limits_bind_the_others);
    tcase_add_loop_test(correct, fits_buckets, 0, NUM_FITS);
    suite_add_tcase(s, correct);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
