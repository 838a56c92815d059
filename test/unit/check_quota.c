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
 * check_quota: who is counted and who is not, when one is refused and what
 * of it is logged, and how large the table is.
 *
 * httpd is not running: what quota calls of it are the few functions at the
 * top, and a socket is the address of its client.
 */

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apr_general.h"
#include "apr_shm.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_log.h"

#include "quota.h"

#define SLOTS 3
#define LIMIT 2

module AP_MODULE_DECLARE_DATA mpm_event_module;

static char logged[500]; /* the last message */
static int num_logged;
static const char *context_error;
static char shown[500];
static apr_status_t no_memory; /* what the next apr_shm_create returns */

static apr_pool_t *pool;
static settings_t settings;
static runtime_t runtime;
static cmd_parms cmd;
static server_rec server;
static const command_rec directive = {.name = "EventClientLimitExempt"};

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    va_list args;

    (void)line;
    (void)status;
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(module_index, mpm_event_module.module_index);
    ck_assert_int_le(level & APLOG_LEVELMASK, APLOG_WARNING);
    ck_assert_ptr_eq(s, &server);
    num_logged++;
    va_start(args, fmt);
    apr_vsnprintf(logged, sizeof(logged), fmt, args);
    va_end(args);
}

AP_DECLARE(const char *) ap_check_cmd_context(cmd_parms *parms,
                                              unsigned forbidden)
{
    ck_assert_ptr_eq(parms, &cmd);
    ck_assert_uint_eq(forbidden, GLOBAL_ONLY);
    return context_error;
}

void status_show(request_rec *r, int flags, const char *key,
                 const char *title, apr_uint64_t figure)
{
    ck_assert_ptr_null(r);
    ck_assert_int_eq(flags, 7);
    ck_assert_ptr_nonnull(title);
    apr_snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown),
                 "%s %d;", key, (int)figure);
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    settings = (settings_t){.client_limit = LIMIT};
    runtime = (runtime_t){.server = &server, .settings = &settings};
    cmd = (cmd_parms){.cmd = &directive, .pool = pool};
    num_logged = 0;
    logged[0] = shown[0] = '\0';
    context_error = NULL;
    no_memory = APR_SUCCESS;
    quota_prepare(&runtime.clients, &settings, SLOTS, pool, &server);
    ck_assert_ptr_nonnull(runtime.clients);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* In front of APR's: these tests' sockets are addresses. */
APR_DECLARE(apr_status_t) apr_socket_addr_get(apr_sockaddr_t **sa,
                                              apr_interface_e which,
                                              apr_socket_t *csd)
{
    ck_assert_int_eq(which, APR_REMOTE);
    *sa = (void *)csd;
    return csd != NULL ? APR_SUCCESS : APR_ENOTSOCK;
}

static int enter(const char *address)
{
    apr_sockaddr_t *sa;

    ck_assert_int_eq(apr_sockaddr_info_get(&sa, address, APR_UNSPEC, 4711, 0,
                                           pool),
                     APR_SUCCESS);
    return quota_enter(&runtime, (void *)sa);
}

/* How many of this client are let in, of more than there may be. */
static int admitted(const char *address)
{
    int i, n = 0;

    for (i = 0; i < LIMIT + 3; i++) {
        n += enter(address) != CLIENTS_REFUSED;
    }
    return n;
}

static const char *exempt(const char *arg)
{
    return quota_set_exempt(&settings, &cmd, arg);
}

/* --- Who is limited ------------------------------------------------------- */

START_TEST(each_has_as_many_as_the_limit)
{
    ck_assert_int_eq(admitted("192.0.2.1"), LIMIT);
    ck_assert_int_eq(admitted("192.0.2.2"), LIMIT);
    ck_assert_int_eq(admitted("2001:db8::1"), LIMIT);
}
END_TEST

START_TEST(an_ipv4_client_is_the_same_over_ipv6)
{
    int client = enter("192.0.2.1");

    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(enter("::ffff:192.0.2.1"), client);
    ck_assert_int_eq(enter("192.0.2.1"), CLIENTS_REFUSED);
    ck_assert_int_eq(enter("::ffff:192.0.2.1"), CLIENTS_REFUSED);
    ck_assert_int_ge(enter("::ffff:192.0.2.2"), 0);
}
END_TEST

START_TEST(a_network_of_64_bits_is_one_client)
{
    ck_assert_int_ge(enter("2001:db8:0:7::1"), 0);
    ck_assert_int_ge(enter("2001:db8:0:7:ffff::2"), 0);
    ck_assert_int_eq(enter("2001:db8:0:7:0:1::3"), CLIENTS_REFUSED);
    ck_assert_int_ge(enter("2001:db8:0:8::1"), 0);
}
END_TEST

START_TEST(who_leaves_makes_room)
{
    int client = enter("192.0.2.1");

    enter("192.0.2.1");
    ck_assert_int_eq(enter("192.0.2.1"), CLIENTS_REFUSED);
    quota_leave(&runtime, CLIENTS_REFUSED);
    quota_leave(&runtime, CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("192.0.2.1"), CLIENTS_REFUSED);
    quota_leave(&runtime, client);
    ck_assert_int_ge(enter("192.0.2.1"), 0);
    ck_assert_int_eq(enter("192.0.2.1"), CLIENTS_REFUSED);
}
END_TEST

/* They are counted for the slot of the child, which the parent clears. */
START_TEST(a_childs_connections_are_its_slots)
{
    runtime.slot = 2;
    ck_assert_int_eq(admitted("192.0.2.1"), LIMIT);
    clients_give_back(runtime.clients, 1);
    ck_assert_int_eq(admitted("192.0.2.1"), 0);
    clients_give_back(runtime.clients, 2);
    ck_assert_int_eq(admitted("192.0.2.1"), LIMIT);
}
END_TEST

START_TEST(without_a_table_nobody_is_counted)
{
    runtime.clients = NULL;
    ck_assert_int_eq(enter("192.0.2.1"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(admitted("192.0.2.1"), LIMIT + 3);
    quota_show(&runtime, NULL, 7);
    ck_assert_str_eq(shown, "");
}
END_TEST

/* It has gone already. */
START_TEST(without_an_address_nobody_is_counted)
{
    ck_assert_int_eq(quota_enter(&runtime, NULL), CLIENTS_UNCOUNTED);
}
END_TEST

/* --- Who is exempt -------------------------------------------------------- */

START_TEST(loopback_is_exempt_unless_nobody_is)
{
    ck_assert_int_eq(enter("127.0.0.1"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("::1"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("::ffff:127.0.0.1"), CLIENTS_UNCOUNTED);
    ck_assert_ptr_null(exempt("192.0.2.0/24"));
    ck_assert_int_eq(enter("127.0.0.1"), CLIENTS_UNCOUNTED);
    ck_assert_ptr_null(exempt("None"));
    ck_assert_int_eq(admitted("127.0.0.1"), LIMIT);
    ck_assert_int_eq(admitted("::1"), LIMIT);
    ck_assert_int_eq(admitted("192.0.2.7"), LIMIT);
}
END_TEST

START_TEST(networks_and_addresses_are_exempt)
{
    ck_assert_ptr_null(exempt("192.0.2.128/25"));
    ck_assert_ptr_null(exempt("198.51.100.0/255.255.255.0"));
    ck_assert_ptr_null(exempt("203.0.113.9"));
    ck_assert_ptr_null(exempt("2001:db8:5::/48"));
    ck_assert_int_eq(enter("192.0.2.129"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("::ffff:192.0.2.129"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("198.51.100.1"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("203.0.113.9"), CLIENTS_UNCOUNTED);
    ck_assert_int_eq(enter("2001:db8:5:ffff::1"), CLIENTS_UNCOUNTED);
    ck_assert_int_ge(enter("192.0.2.127"), 0);
    ck_assert_int_ge(enter("198.51.101.1"), 0);
    ck_assert_int_ge(enter("203.0.113.8"), 0);
    ck_assert_int_ge(enter("2001:db8:6::1"), 0);
}
END_TEST

START_TEST(what_follows_none_is_exempt_again)
{
    ck_assert_ptr_null(exempt("192.0.2.0/24"));
    ck_assert_ptr_null(exempt("none"));
    ck_assert_ptr_null(exempt("198.51.100.0/24"));
    ck_assert_int_ge(enter("192.0.2.1"), 0);
    ck_assert_int_eq(enter("198.51.100.1"), CLIENTS_UNCOUNTED);
    ck_assert_int_ge(enter("127.0.0.1"), 0);
}
END_TEST

/* The parameter: which of these. */
START_TEST(what_is_no_network_is_said)
{
    static const char *const args[] = {"example.org", "192.0.2.0/33", "",
                                       "192.0.2.0/24/1", "all", "/24"};
    const char *error = exempt(args[_i]);

    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_nonnull(strstr(error, directive.name));
    ck_assert_ptr_nonnull(
        strstr(error, apr_psprintf(pool, "\"%s\"", args[_i])));
    ck_assert(settings.client_exempt == NULL
              || settings.client_exempt->nelts == 0);
    ck_assert_int_ge(enter("192.0.2.1"), 0);
}
END_TEST

START_TEST(not_where_it_does_not_belong)
{
    context_error = "not here";
    ck_assert_str_eq(exempt("192.0.2.0/24"), "not here");
    ck_assert_str_eq(exempt("none"), "not here");
    ck_assert_int_eq(settings.client_loopback, 0);
    ck_assert_int_ge(enter("192.0.2.1"), 0);
}
END_TEST

/* --- What operators hear -------------------------------------------------- */

START_TEST(one_message_for_each_address)
{
    ck_assert_int_eq(admitted("192.0.2.1"), LIMIT);
    ck_assert_int_eq(num_logged, 1);
    ck_assert_ptr_nonnull(strstr(logged, "client 192.0.2.1 has the 2 "));
    ck_assert_int_eq(admitted("2001:db8::5"), LIMIT);
    ck_assert_int_eq(num_logged, 2);
    ck_assert_ptr_nonnull(strstr(logged, "client 2001:db8::5/64 has the 2 "));
    ck_assert_int_eq(admitted("192.0.2.1"), 0);
    ck_assert_int_eq(num_logged, 2);
}
END_TEST

START_TEST(refusals_are_counted)
{
    quota_show(&runtime, NULL, 7);
    ck_assert_str_eq(shown, "MpmClientsRefused 0;MpmClientsUncounted 0;");
    admitted("192.0.2.1");
    shown[0] = '\0';
    quota_show(&runtime, NULL, 7);
    ck_assert_str_eq(shown, "MpmClientsRefused 3;MpmClientsUncounted 0;");
}
END_TEST

/* --- The table ------------------------------------------------------------ */

static apr_size_t asked_for;
static apr_shm_t *memory;

/* In front of APR's, for what clients_create calls. */
APR_DECLARE(apr_status_t) apr_shm_create(apr_shm_t **shm, apr_size_t size,
                                         const char *name, apr_pool_t *p)
{
    ck_assert_ptr_null(name);
    asked_for = size;
    memory = *shm = apr_pcalloc(p, no_memory == APR_SUCCESS ? size : 1);
    return no_memory;
}

APR_DECLARE(void *) apr_shm_baseaddr_get(const apr_shm_t *shm)
{
    return (void *)(apr_uintptr_t)shm;
}

START_TEST(no_limit_no_table)
{
    clients_t *clients = NULL;

    settings.client_limit = 0;
    asked_for = 0;
    quota_prepare(&clients, &settings, SLOTS, pool, &server);
    ck_assert_ptr_null(clients);
    ck_assert_uint_eq(asked_for, 0);
}
END_TEST

/* A reload must not forget those who are connected. */
START_TEST(a_table_is_kept)
{
    clients_t *clients = runtime.clients;

    asked_for = 0;
    quota_prepare(&clients, &settings, SLOTS, pool, &server);
    ck_assert_ptr_eq(clients, runtime.clients);
    ck_assert_uint_eq(asked_for, 0);
}
END_TEST

START_TEST(who_was_not_counted_does_not_leave)
{
    void *before = apr_pmemdup(pool, memory, asked_for);

    quota_leave(&runtime, CLIENTS_REFUSED);
    quota_leave(&runtime, CLIENTS_UNCOUNTED);
    ck_assert_int_eq(memcmp(memory, before, asked_for), 0);
}
END_TEST

START_TEST(without_memory_nobody_is_limited)
{
    clients_t *clients = NULL;

    no_memory = APR_ENOMEM;
    quota_prepare(&clients, &settings, SLOTS, pool, &server);
    ck_assert_ptr_null(clients);
    ck_assert_int_eq(num_logged, 1);
    ck_assert_ptr_nonnull(strstr(logged, "EventClientLimit: "));
}
END_TEST

START_TEST(many_slots_mean_fewer_addresses)
{
    const apr_size_t most = (apr_size_t)64 << 20;
    clients_t *clients = NULL;

    no_memory = APR_ENOMEM; /* what is asked for is enough to know */
    quota_prepare(&clients, &settings, 16, pool, &server);
    ck_assert_uint_ge(asked_for, clients_size(16384, 16));
    quota_prepare(&clients, &settings, 2000, pool, &server);
    ck_assert_uint_le(asked_for, most);
    ck_assert_uint_gt(asked_for, most / 4);
    quota_prepare(&clients, &settings, 20000, pool, &server);
    ck_assert_uint_ge(asked_for, clients_size(1024, 20000));
    ck_assert_uint_lt(asked_for, clients_size(2048, 20000));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("quota");
    TCase *tc = tcase_create("limited");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, each_has_as_many_as_the_limit);
    tcase_add_test(tc, an_ipv4_client_is_the_same_over_ipv6);
    tcase_add_test(tc, a_network_of_64_bits_is_one_client);
    tcase_add_test(tc, who_leaves_makes_room);
    tcase_add_test(tc, a_childs_connections_are_its_slots);
    tcase_add_test(tc, without_a_table_nobody_is_counted);
    tcase_add_test(tc, without_an_address_nobody_is_counted);
    suite_add_tcase(s, tc);

    tc = tcase_create("exempt");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, loopback_is_exempt_unless_nobody_is);
    tcase_add_test(tc, networks_and_addresses_are_exempt);
    tcase_add_test(tc, what_follows_none_is_exempt_again);
    tcase_add_loop_test(tc, what_is_no_network_is_said, 0, 6);
    tcase_add_test(tc, not_where_it_does_not_belong);
    suite_add_tcase(s, tc);

    tc = tcase_create("heard");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, one_message_for_each_address);
    tcase_add_test(tc, refusals_are_counted);
    suite_add_tcase(s, tc);

    tc = tcase_create("table");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, no_limit_no_table);
    tcase_add_test(tc, a_table_is_kept);
    tcase_add_test(tc, who_was_not_counted_does_not_leave);
    tcase_add_test(tc, without_memory_nobody_is_limited);
    tcase_add_test(tc, many_slots_mean_fewer_addresses);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *runner;
    int failed;

    apr_initialize();
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
