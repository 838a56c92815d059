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
 * check_peek: what is seen of what a client has sent, that nothing of it is
 * taken, and whose limits hold for it. The client is the other end of a pair
 * of sockets; httpd is not running.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apr_general.h"

#include "peek.c"

static const char *tls_module; /* which is loaded */
static apr_array_header_t *tls_hooks;

AP_DECLARE(module *) ap_find_linked_module(const char *name)
{
    static module found;

    return tls_module != NULL && !strcmp(name, tls_module) ? &found : NULL;
}

AP_DECLARE(apr_array_header_t *) ap_hook_get_ssl_conn_is_ssl(void)
{
    return tls_hooks;
}

#define VHOSTS 3
#define BODY_WAIT 1000

static apr_pool_t *pool;
static settings_t settings;
static core_server_config core[VHOSTS];
static void *configs[VHOSTS][1];
static server_rec servers[VHOSTS];
static peek_t *peek;
static conn_t conn;
static conn_rec c;
static int client; /* its end */

static void setup(void)
{
    int fds[2], i;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    tls_module = NULL;
    tls_hooks = NULL;
    settings.body_wait = BODY_WAIT;
    for (i = 0; i < VHOSTS; i++) {
        core[i].http_conformance = AP_HTTP_CONFORMANCE_UNSAFE;
        configs[i][0] = &core[i];
        servers[i] = (server_rec){
            .next = i + 1 < VHOSTS ? &servers[i + 1] : NULL,
            .limit_req_line = 8190,
            .limit_req_fieldsize = 8190,
            .limit_req_fields = 100,
            .module_config = (ap_conf_vector_t *)configs[i]};
    }
    peek = peek_create(&settings, servers, pool);
    conn = (conn_t){.fd = fds[0]};
    client = fds[1];
    peek_begin(peek, &conn);
}

static void teardown(void)
{
    close(conn.fd);
    if (client >= 0) {
        close(client);
    }
    apr_pool_destroy(pool);
}

static void sends(const char *bytes, size_t len)
{
    ck_assert_int_eq(write(client, bytes, len), len);
}

static void says(const char *text)
{
    sends(text, strlen(text));
}

static int low_water(void)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(
        getsockopt(conn.fd, SOL_SOCKET, SO_RCVLOWAT, &value, &len), 0);
    return value;
}

/* Look: with this answer? */
static void sees(int woken, gate_verdict_e verdict, gate_stage_e stage,
                 unsigned len)
{
    gate_answer_t answer = peek_look(peek, &conn, woken);

    ck_assert_int_eq(answer.verdict, verdict);
    ck_assert_int_eq(answer.stage, stage);
    ck_assert_uint_eq(conn.head.len, len);
    if (verdict != GATE_READY) {
        ck_assert_uint_gt(answer.mark, len);
        ck_assert(peek_mark(&conn, answer.mark));
        ck_assert_int_eq(low_water(), answer.mark);
    }
}

/* --- What is seen --------------------------------------------------------- */

START_TEST(a_request_in_pieces_and_nothing_is_taken)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char got[100];

    sees(0, GATE_NOTHING, GATE_IDLE, 0);
    says("GET / HT");
    sees(1, GATE_WAIT, GATE_LINE, 8);
    says("TP/1.1\r\nHost:");
    sees(1, GATE_WAIT, GATE_FIELDS, 21);
    says(" a\r\n\r\n");
    sees(1, GATE_READY, GATE_FIELDS, 27);
    ck_assert_int_eq(conn.head.left, 0);
    ck_assert_int_eq(read(conn.fd, got, sizeof(got)), 27);
    ck_assert_int_eq(memcmp(got, request, 27), 0);
}
END_TEST

START_TEST(a_body_is_waited_for_as_a_whole)
{
    gate_answer_t answer;

    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    answer = peek_look(peek, &conn, 0);
    ck_assert_int_eq(answer.verdict, GATE_WAIT);
    ck_assert_int_eq(answer.stage, GATE_BODY);
    ck_assert_uint_eq(answer.mark, conn.head.len - 3 + 1000);
}
END_TEST

START_TEST(a_body_beyond_the_setting_is_not)
{
    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\nabc");
    ck_assert_int_eq(peek_look(peek, &conn, 0).verdict, GATE_READY);
}
END_TEST

START_TEST(who_has_left_is_known)
{
    close(client);
    client = -1;
    sees(0, GATE_READY, GATE_IDLE, 0);
    ck_assert_int_eq(conn.head.left, 1);
}
END_TEST

START_TEST(a_broken_socket_is_one_that_was_left)
{
    int fd = conn.fd;

    conn.fd = -1;
    sees(0, GATE_READY, GATE_IDLE, 0);
    ck_assert_int_eq(conn.head.left, 1);
    conn.fd = fd;
}
END_TEST

START_TEST(what_is_there_no_more_is_not_counted)
{
    char got[4];

    says("GET ");
    sees(0, GATE_WAIT, GATE_LINE, 4);
    ck_assert_int_eq(read(conn.fd, got, sizeof(got)), 4);
    peek_look(peek, &conn, 0);
    ck_assert_uint_eq(conn.head.len, 0);
    ck_assert_int_eq(conn.head.left, 0);
}
END_TEST

/* It was to be readable with more bytes than there are: no more will come.
 * Whoever merely looks does not know that. */
START_TEST(who_sends_no_more_is_seen_when_woken)
{
    says("GET / HT");
    sees(0, GATE_WAIT, GATE_LINE, 8);
    ck_assert_uint_gt(conn.head.mark, 8);
    shutdown(client, SHUT_WR);
    sees(0, GATE_WAIT, GATE_LINE, 8);
    sees(1, GATE_READY, GATE_LINE, 8);
    ck_assert_int_eq(conn.head.left, 0);
}
END_TEST

START_TEST(more_than_the_buffer_is_not_seen)
{
    char *much = apr_pcalloc(pool, 20000);

    memset(much, 'a', 20000);
    memcpy(much, "GET / HTTP/1.1\r\n", 16);
    sends(much, 20000);
    ck_assert_int_eq(peek_look(peek, &conn, 0).verdict, GATE_READY);
    ck_assert_uint_eq(conn.head.len, HEAD_SEEN + BODY_WAIT);
}
END_TEST

/* --- The low-water mark --------------------------------------------------- */

START_TEST(the_mark_is_set_when_it_changes)
{
    int value = 7;

    ck_assert(peek_mark(&conn, 5));
    ck_assert_int_eq(low_water(), 5);
    setsockopt(conn.fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
    ck_assert(peek_mark(&conn, 5)); /* the system is not asked */
    ck_assert_int_eq(low_water(), 7);
    ck_assert(peek_mark(&conn, 1));
    ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(a_mark_that_cannot_be_set_is_not_kept)
{
    int fd = conn.fd;

    ck_assert(peek_mark(&conn, 5));
    conn.fd = -1;
    ck_assert(!peek_mark(&conn, 9));
    ck_assert_uint_eq(conn.head.mark, 5);
    conn.fd = fd;
}
END_TEST

/* --- What it may be ------------------------------------------------------- */

#define RECORD "\x16\x03\x01\x02\x00" /* of 512 bytes */

START_TEST(tls_only_where_a_module_has_it)
{
    sends(RECORD, 5);
    ck_assert_int_ne(peek_look(peek, &conn, 0).stage, GATE_RECORD);
}
END_TEST

/* The parameter: how TLS came in. */
START_TEST(a_record_is_waited_for)
{
    static const char *const modules[] = {"mod_ssl.c", "mod_gnutls.c",
                                          "mod_nss.c", "mod_tls.c", NULL};
    gate_answer_t answer;

    tls_module = modules[_i];
    if (tls_module == NULL) {
        tls_hooks = apr_array_make(pool, 1, sizeof(void *));
        ck_assert_int_eq(peek_create(&settings, servers, pool)->kind,
                         GATE_CLEAR);
        apr_array_push(tls_hooks);
    }
    peek = peek_create(&settings, servers, pool);
    peek_begin(peek, &conn);
    sends(RECORD, 5);
    answer = peek_look(peek, &conn, 0);
    ck_assert_int_eq(answer.verdict, GATE_WAIT);
    ck_assert_int_eq(answer.stage, GATE_RECORD);
    ck_assert_uint_eq(answer.mark, 5 + 512);
}
END_TEST

/* More than is looked at first: what is waited for is there already. */
START_TEST(the_first_look_sees_a_usual_head)
{
    gate_answer_t answer;
    char field[HEAD_SEEN + 10];

    says("GET / HTTP/1.1\r\n");
    answer = peek_first(peek, &conn);
    ck_assert_int_eq(answer.verdict, GATE_WAIT);
    ck_assert_int_eq(answer.stage, GATE_FIELDS);
    ck_assert_uint_eq(conn.head.len, 16);
    memset(field, 'a', sizeof(field));
    field[100] = ':';
    sends(field, HEAD_SEEN - 10);
    says("\r\nb: ");
    sends(field, 100);
    answer = peek_first(peek, &conn);
    ck_assert_int_eq(answer.verdict, GATE_WAIT);
    ck_assert_uint_eq(conn.head.len, HEAD_SEEN);
    ck_assert_uint_le(answer.mark, HEAD_SEEN + 100);
    says("\r\n\r\n");
    ck_assert_int_eq(peek_look(peek, &conn, 1).verdict, GATE_READY);
    ck_assert_uint_eq(conn.head.len, 16 + HEAD_SEEN - 10 + 5 + 100 + 4);
}
END_TEST

/* Whatever a new connection might be. */
START_TEST(a_kept_connection_is_what_it_was)
{
    tls_module = "mod_ssl.c";
    peek = peek_create(&settings, servers, pool);
    conn.c = &c;
    conn.head.kind = CONN_HEAD_CLEAR;
    peek_begin(peek, &conn);
    sends(RECORD, 5);
    ck_assert_int_ne(peek_look(peek, &conn, 0).stage, GATE_RECORD);
    conn.head.kind = CONN_HEAD_TLS;
    peek_begin(peek, &conn);
    ck_assert_int_eq(peek_look(peek, &conn, 0).stage, GATE_RECORD);
}
END_TEST

/* --- Whose limits --------------------------------------------------------- */

/* The parameter: which server is the strict one. */
START_TEST(the_strictest_of_all_servers)
{
    const gate_limits_t *l;

    servers[_i].limit_req_line = 100;
    servers[_i].limit_req_fieldsize = 50;
    servers[_i].limit_req_fields = 3;
    core[_i].http_conformance = AP_HTTP_CONFORMANCE_STRICT;
    l = &peek_create(&settings, servers, pool)->limits;
    ck_assert_int_eq(l->line, 100);
    ck_assert_int_eq(l->field_size, 50);
    ck_assert_int_eq(l->fields, 3);
    ck_assert_int_eq(l->strict, 1);
    ck_assert_uint_eq(l->body, BODY_WAIT);
}
END_TEST

/* Nor is 0 the strictest: it is no limit. */
START_TEST(no_limit_is_not_strict)
{
    int i;

    servers[0].limit_req_fields = 0;
    ck_assert_int_eq(peek_create(&settings, servers, pool)->limits.fields,
                     100);
    servers[0].limit_req_fields = 100;
    servers[2].limit_req_fields = 0;
    ck_assert_int_eq(peek_create(&settings, servers, pool)->limits.fields,
                     100);
    for (i = 0; i < VHOSTS; i++) {
        servers[i].limit_req_fields = 0;
    }
    ck_assert_int_eq(peek_create(&settings, servers, pool)->limits.fields, 0);
    ck_assert_int_eq(peek_create(&settings, servers, pool)->limits.strict, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("peek");
    TCase *tc = tcase_create("seen");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_request_in_pieces_and_nothing_is_taken);
    tcase_add_test(tc, a_body_is_waited_for_as_a_whole);
    tcase_add_test(tc, a_body_beyond_the_setting_is_not);
    tcase_add_test(tc, who_has_left_is_known);
    tcase_add_test(tc, a_broken_socket_is_one_that_was_left);
    tcase_add_test(tc, what_is_there_no_more_is_not_counted);
    tcase_add_test(tc, who_sends_no_more_is_seen_when_woken);
    tcase_add_test(tc, more_than_the_buffer_is_not_seen);
    tcase_add_test(tc, the_mark_is_set_when_it_changes);
    tcase_add_test(tc, a_mark_that_cannot_be_set_is_not_kept);
    tcase_add_test(tc, tls_only_where_a_module_has_it);
    tcase_add_loop_test(tc, a_record_is_waited_for, 0, 5);
    tcase_add_test(tc, the_first_look_sees_a_usual_head);
    tcase_add_test(tc, a_kept_connection_is_what_it_was);
    tcase_add_loop_test(tc, the_strictest_of_all_servers, 0, VHOSTS);
    tcase_add_test(tc, no_limit_is_not_strict);
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
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
