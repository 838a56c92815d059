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
 * check_clients: which addresses are one client, how many it may have, and
 * what is left of a child that is gone.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apr_general.h"

#include "clients.h"

#define SLOTS 3
#define ADDRESSES 100
#define LIMIT 4

static apr_pool_t *pool;
static clients_t *clients;

static void setup(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(clients_create(&clients, ADDRESSES, SLOTS, pool),
                     APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static apr_sockaddr_t *address(const char *text)
{
    apr_sockaddr_t *sa;

    ck_assert_int_eq(apr_sockaddr_info_get(&sa, text, APR_UNSPEC, 80, 0,
                                           pool),
                     APR_SUCCESS);
    return sa;
}

static clients_key_t key_of(const char *text)
{
    return clients_key(address(text), 0, NULL);
}

/* --- Keys -------------------------------------------------------------- */

START_TEST(who_is_one_client)
{
    ck_assert_uint_eq(key_of("192.0.2.1"), key_of("192.0.2.1"));
    ck_assert_uint_ne(key_of("192.0.2.1"), key_of("192.0.2.2"));
    ck_assert_uint_eq(key_of("192.0.2.1"), key_of("::ffff:192.0.2.1"));
    ck_assert_uint_eq(key_of("2001:db8::1"), key_of("2001:db8::ffff:2"));
    ck_assert_uint_ne(key_of("2001:db8::1"), key_of("2001:db8:0:1::1"));
    ck_assert_uint_ne(key_of("2001:db8::1"), CLIENTS_NOBODY);
}
END_TEST

START_TEST(loopback_is_nobody)
{
    ck_assert_uint_eq(key_of("127.0.0.1"), CLIENTS_NOBODY);
    ck_assert_uint_eq(key_of("127.8.0.1"), CLIENTS_NOBODY);
    ck_assert_uint_eq(key_of("::1"), CLIENTS_NOBODY);
    ck_assert_uint_eq(key_of("::ffff:127.0.0.1"), CLIENTS_NOBODY);
    ck_assert_uint_ne(key_of("128.0.0.1"), CLIENTS_NOBODY);
}
END_TEST

START_TEST(loopback_may_count)
{
    static const char *const same[][2]
        = {{"127.0.0.2", "::ffff:127.0.0.2"}, {"::1", "::1"}};
    int i;

    for (i = 0; i < 2; i++) {
        ck_assert_uint_ne(clients_key(address(same[i][0]), 1, NULL),
                          CLIENTS_NOBODY);
        ck_assert_uint_eq(clients_key(address(same[i][0]), 1, NULL),
                          clients_key(address(same[i][1]), 1, NULL));
    }
    ck_assert_uint_ne(clients_key(address("127.0.0.2"), 1, NULL),
                      clients_key(address("127.0.0.3"), 1, NULL));
}
END_TEST

START_TEST(other_families_are_nobody)
{
    apr_sockaddr_t *sa = address("192.0.2.1");

    sa->family = APR_UNSPEC;
    ck_assert_uint_eq(clients_key(sa, 1, NULL), CLIENTS_NOBODY);
    /* No source address is multicast, and the table uses such keys. */
    ck_assert_uint_eq(key_of("fffe::1"), CLIENTS_NOBODY);
}
END_TEST

START_TEST(exempt_networks_are_nobody)
{
    static const char *const networks[][2]
        = {{"192.0.2.0", "24"}, {"2001:db8::", "32"}};
    apr_array_header_t *exempt
        = apr_array_make(pool, 2, sizeof(apr_ipsubnet_t *));
    int i;

    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(
            apr_ipsubnet_create(&APR_ARRAY_PUSH(exempt, apr_ipsubnet_t *),
                                networks[i][0], networks[i][1], pool),
            APR_SUCCESS);
    }
    ck_assert_uint_eq(clients_key(address("192.0.2.7"), 1, exempt),
                      CLIENTS_NOBODY);
    ck_assert_uint_eq(clients_key(address("::ffff:192.0.2.7"), 1, exempt),
                      CLIENTS_NOBODY);
    ck_assert_uint_eq(clients_key(address("2001:db8:1::1"), 1, exempt),
                      CLIENTS_NOBODY);
    ck_assert_uint_eq(clients_key(address("192.0.3.7"), 1, exempt),
                      key_of("192.0.3.7"));
}
END_TEST

/* --- Counting ---------------------------------------------------------- */

START_TEST(the_limit_is_over_all_children)
{
    clients_key_t key = key_of("192.0.2.1");
    int entries[LIMIT];
    int i;

    for (i = 0; i < LIMIT; i++) {
        entries[i] = clients_enter(clients, key, i % SLOTS, LIMIT);
        ck_assert_int_ge(entries[i], 0);
    }
    ck_assert_uint_eq(clients_count(clients, key), LIMIT);
    ck_assert_int_eq(clients_enter(clients, key, 0, LIMIT), CLIENTS_REFUSED);
    ck_assert_int_eq(clients_enter(clients, key, 2, LIMIT), CLIENTS_REFUSED);
    ck_assert_uint_eq(clients_count(clients, key), LIMIT);
    ck_assert_uint_eq(clients_refused(clients), 2);
    ck_assert_int_ge(
        clients_enter(clients, key_of("192.0.2.2"), 0, LIMIT), 0);

    clients_leave(clients, entries[1], 1);
    ck_assert_int_ge(clients_enter(clients, key, 2, LIMIT), 0);
    ck_assert_int_eq(clients_enter(clients, key, 1, LIMIT), CLIENTS_REFUSED);
}
END_TEST

START_TEST(nobody_is_never_counted)
{
    int i;

    for (i = 0; i < 2 * LIMIT; i++) {
        int entry = clients_enter(clients, CLIENTS_NOBODY, 0, LIMIT);

        ck_assert_int_eq(entry, CLIENTS_UNCOUNTED);
        clients_leave(clients, entry, 0);
    }
    ck_assert_uint_eq(clients_overflowed(clients), 0);
}
END_TEST

START_TEST(no_limit_counts_nothing)
{
    clients_key_t key = key_of("192.0.2.1");

    ck_assert_int_eq(clients_enter(clients, key, 0, 0), CLIENTS_UNCOUNTED);
    ck_assert_uint_eq(clients_count(clients, key), 0);
    ck_assert_uint_eq(clients_overflowed(clients), 0);
}
END_TEST

/* --- Room -------------------------------------------------------------- */

/* Keys are as good as addresses here. */
#define KEY(i) ((clients_key_t)0x20010db8 << 32 | (unsigned)(i))

START_TEST(entries_are_used_again)
{
    int i;

    for (i = 0; i < 100 * ADDRESSES; i++) {
        int entry = clients_enter(clients, KEY(i), i % SLOTS, LIMIT);

        ck_assert_int_ge(entry, 0);
        clients_leave(clients, entry, i % SLOTS);
    }
    ck_assert_uint_eq(clients_overflowed(clients), 0);
}
END_TEST

START_TEST(as_many_addresses_as_asked_for)
{
    int i;

    for (i = 0; i < ADDRESSES; i++) {
        ck_assert_int_ge(clients_enter(clients, KEY(i), 0, LIMIT), 0);
    }
    for (i = 0; i < ADDRESSES; i++) {
        ck_assert_uint_eq(clients_count(clients, KEY(i)), 1);
    }
}
END_TEST

START_TEST(a_full_table_admits)
{
    unsigned uncounted = 0;
    int i;

    for (i = 0; i < 10 * ADDRESSES; i++) {
        int entry = clients_enter(clients, KEY(i), 0, 1);

        ck_assert_int_ne(entry, CLIENTS_REFUSED);
        uncounted += entry == CLIENTS_UNCOUNTED;
    }
    ck_assert_uint_gt(uncounted, 0);
    ck_assert_uint_eq(clients_overflowed(clients), uncounted);
    /* Those who have an entry are still held to the limit. */
    ck_assert_int_eq(clients_enter(clients, KEY(0), 0, 1), CLIENTS_REFUSED);
}
END_TEST

/* --- Children that are gone -------------------------------------------- */

START_TEST(a_childs_counts_are_given_back)
{
    clients_key_t key = key_of("192.0.2.1");
    int other;
    int i;

    for (i = 0; i < LIMIT - 1; i++) {
        ck_assert_int_ge(clients_enter(clients, key, 1, LIMIT), 0);
    }
    other = clients_enter(clients, key, 2, LIMIT);
    ck_assert_int_eq(clients_enter(clients, key, 2, LIMIT), CLIENTS_REFUSED);
    clients_give_back(clients, 1);
    ck_assert_uint_eq(clients_count(clients, key), 1);
    clients_give_back(clients, 0);
    ck_assert_uint_eq(clients_count(clients, key), 1);
    clients_leave(clients, other, 2);
    ck_assert_uint_eq(clients_count(clients, key), 0);
}
END_TEST

/* --- The log ----------------------------------------------------------- */

START_TEST(a_refusal_is_logged_once_a_minute)
{
    apr_time_t now = apr_time_from_sec(1000);

    clients_enter(clients, KEY(1), 0, LIMIT);
    clients_enter(clients, KEY(2), 0, LIMIT);
    ck_assert(clients_may_log(clients, KEY(1), now));
    ck_assert(!clients_may_log(clients, KEY(1), now));
    ck_assert(clients_may_log(clients, KEY(2), now));
    now += CLIENTS_LOG_INTERVAL - 1;
    ck_assert(!clients_may_log(clients, KEY(1), now));
    ck_assert(clients_may_log(clients, KEY(1), now + 1));
    ck_assert(!clients_may_log(clients, KEY(1), now + 1));
    ck_assert(!clients_may_log(clients, KEY(3), now));
}
END_TEST

START_TEST(who_takes_an_entry_over_begins_anew)
{
    apr_time_t now = apr_time_from_sec(1000);
    int entry;
    int i;

    entry = clients_enter(clients, KEY(0), 0, LIMIT);
    ck_assert(clients_may_log(clients, KEY(0), now));
    clients_leave(clients, entry, 0);
    for (i = 1; clients_enter(clients, KEY(i), 0, LIMIT) != entry; i++) {
        ck_assert_int_lt(i, 100 * ADDRESSES);
    }
    ck_assert(clients_may_log(clients, KEY(i), now));
    ck_assert(!clients_may_log(clients, KEY(0), now));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clients");
    TCase *tests = tcase_create("clients");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, who_is_one_client);
    tcase_add_test(tests, loopback_is_nobody);
    tcase_add_test(tests, loopback_may_count);
    tcase_add_test(tests, other_families_are_nobody);
    tcase_add_test(tests, exempt_networks_are_nobody);
    tcase_add_test(tests, the_limit_is_over_all_children);
    tcase_add_test(tests, nobody_is_never_counted);
    tcase_add_test(tests, no_limit_counts_nothing);
    tcase_add_test(tests, entries_are_used_again);
    tcase_add_test(tests, as_many_addresses_as_asked_for);
    tcase_add_test(tests, a_full_table_admits);
    tcase_add_test(tests, a_childs_counts_are_given_back);
    tcase_add_test(tests, a_refusal_is_logged_once_a_minute);
    tcase_add_test(tests, who_takes_an_entry_over_begins_anew);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
