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
 * check_gate: at which byte each request, whole or odd, is worth a thread,
 * and what is waited for until then. Every text is looked at byte by byte.
 *
 * The corpus of the fuzzer goes through the same check here, so that every
 * compiler's build has been through it.
 */

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

#include "../fuzz/fuzz_gate.h"

#define CORPUS "test/fuzz/corpus/gate"

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n"
#define NEVER 0

static gate_limits_t limits;
static gate_t gate;

static void setup(void)
{
    limits = fuzz_gate_limits[0]; /* httpd's defaults */
}

/* The length at which text becomes ready; NEVER if it waits at its end. */
static size_t ready_at(gate_kind_e kind, const char *text, size_t len)
{
    size_t i;

    gate_init(&gate, kind);
    for (i = 1; i <= len; i++) {
        if (gate_look(&gate, &limits, text, i, 0).verdict == GATE_READY) {
            return i;
        }
    }
    return NEVER;
}

/* The answer for all of text at once. */
static gate_answer_t look(gate_kind_e kind, const char *text, size_t len)
{
    gate_init(&gate, kind);
    return gate_look(&gate, &limits, text, len, 0);
}

#define READY_AT(text) ready_at(GATE_EITHER, text, sizeof(text) - 1)
#define LOOK(text) look(GATE_EITHER, text, sizeof(text) - 1)

/* Ready with its last byte and not before; never. */
#define READY_AT_END(text)                                                   \
    ck_assert_uint_eq(READY_AT(text), sizeof(text) - 1)
#define WAITS(text) ck_assert_uint_eq(READY_AT(text), NEVER)

static void assert_answer(gate_answer_t answer, gate_verdict_e verdict,
                          gate_stage_e stage, size_t mark)
{
    ck_assert_int_eq(answer.verdict, verdict);
    ck_assert_int_eq(answer.stage, stage);
    ck_assert_uint_eq(answer.mark, mark);
}

/* A head of len bytes: fields of a good length fill it. */
static char *long_head(size_t len, size_t field)
{
    char *head = malloc(len + 1);
    size_t used = sizeof(GET) - 1;

    ck_assert_ptr_nonnull(head);
    memset(head, 'x', len);
    memcpy(head, GET, used);
    while (len - used > 4) {
        size_t n = len - used - 2;

        n = n < field ? n : n < field + 8 ? n / 2 : field;
        memcpy(head + used, "X:", 2);
        memcpy(head + used + n - 2, "\r\n", 2);
        used += n;
    }
    memcpy(head + used, "\r\n", 2);
    return head;
}

/* --- Whole heads ------------------------------------------------------- */

START_TEST(silence)
{
    gate_init(&gate, GATE_EITHER);
    assert_answer(gate_look(&gate, &limits, NULL, 0, 0), GATE_NOTHING,
                  GATE_IDLE, 1);
    ck_assert_int_eq(gate_look(&gate, &limits, NULL, 0, 1).verdict,
                     GATE_READY);
    assert_answer(look(GATE_TLS, NULL, 0), GATE_NOTHING, GATE_RECORD, 1);
}
END_TEST

START_TEST(a_head_is_ready_when_whole)
{
    READY_AT_END(GET HOST "\r\n");
    READY_AT_END("GET http://a:80/b HTTP/1.0\r\n\r\n");
    READY_AT_END("GET http://[::1]:80 HTTP/1.1\r\n\r\n");
    READY_AT_END("CONNECT a.b:443 HTTP/1.1\r\n" HOST "\r\n");
    READY_AT_END("OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    READY_AT_END("GET / HTTP/2.0\r\n\r\n");
    /* What is pipelined behind it does not matter. */
    ck_assert_uint_eq(READY_AT(GET "\r\n" GET), sizeof(GET "\r\n") - 1);
}
END_TEST

START_TEST(what_is_there_is_told)
{
    assert_answer(LOOK("G"), GATE_WAIT, GATE_LINE, 2);
    assert_answer(LOOK("GET / HTTP/1.1\r"), GATE_WAIT, GATE_LINE, 16);
    assert_answer(LOOK(GET), GATE_WAIT, GATE_FIELDS, sizeof(GET));
    assert_answer(LOOK(GET HOST "\r"), GATE_WAIT, GATE_FIELDS,
                  sizeof(GET HOST "\r"));
}
END_TEST

START_TEST(garbage_of_one_line_waits_for_its_end)
{
    /* As core does, which then refuses it: nobody would be answered by a
     * thread before. */
    READY_AT_END("hello\r\n");
    READY_AT_END("\x01\x02\x03\n");
    READY_AT_END("\x16\x04\x03\n");
    READY_AT_END("\xff\xff\xff\n");
    READY_AT_END(" GET / HTTP/1.1\r\n");
    READY_AT_END("GET  / HTTP/1.1\r\n");
    READY_AT_END("GET\t/ HTTP/1.1\r\n");
    READY_AT_END("GET / HTTP/1.1 \r\n");
    READY_AT_END("GET / http/1.1\r\n");
    READY_AT_END("GET / HTTP/0.9\r\n");
    READY_AT_END("GET / HTTP/1.10\r\n");
    READY_AT_END("GET / XTTP/1.1\r\n");
    READY_AT_END("G(T / HTTP/1.1\r\n");
    READY_AT_END("GET a HTTP/1.1\r\n");
    READY_AT_END("GET * HTTP/1.1\r\n");
    READY_AT_END("GET /\x01 HTTP/1.1\r\n");
    READY_AT_END("GET /#a HTTP/1.1\r\n");
    READY_AT_END("GET http://u@h/ HTTP/1.1\r\n");
    READY_AT_END("GET http://h:x/ HTTP/1.1\r\n");
    READY_AT_END("CONNECT a HTTP/1.1\r\n");
    READY_AT_END("CONNECT a: HTTP/1.1\r\n");
    WAITS("hello");
}
END_TEST

START_TEST(a_line_with_a_nul_is_refused)
{
    READY_AT_END("GET / HTTP/1.1\0\r\n");
    READY_AT_END("\0\r\n");
    READY_AT_END(GET "X: a\0b\r\n");
    READY_AT_END(GET "X: a\r\n \0\r\n");
    limits.strict = 0;
    READY_AT_END(GET "X\0: a\n");
}
END_TEST

START_TEST(other_protocols)
{
    /* No head has no fields. */
    READY_AT_END("GET /\r\n");
    /* HTTP/2 with prior knowledge; to HTTP/1 its line is refused. */
    ck_assert_uint_eq(READY_AT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 16);
    /* The PROXY protocol's two versions. */
    READY_AT_END("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n");
    ck_assert_uint_eq(READY_AT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"), 7);
}
END_TEST

START_TEST(blank_lines_come_first)
{
    READY_AT_END("\r\n\r\n" GET HOST "\r\n");
    assert_answer(LOOK("\r\n\r\n\r"), GATE_WAIT, GATE_IDLE, 6);
    assert_answer(LOOK("\r\nG"), GATE_WAIT, GATE_LINE, 4);
    /* Ten; core refuses the eleventh. */
    READY_AT_END("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET "\r\n");
    READY_AT_END("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
}
END_TEST

START_TEST(bare_line_feeds)
{
    READY_AT_END("GET / HTTP/1.1\n");
    READY_AT_END(GET "Host: a\n");
    READY_AT_END(GET HOST "\n");
    READY_AT_END("\n");
    limits.strict = 0;
    READY_AT_END("\nGET / HTTP/1.1\nHost: a\n\n");
    READY_AT_END("\r\nGET / HTTP/1.1\nHost: a\r\n\n");
}
END_TEST

START_TEST(a_lenient_server)
{
    limits.strict = 0;
    READY_AT_END("G(T   /#a  http/1.1  \r\n" HOST "\r\n");
    READY_AT_END("GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n");
    READY_AT_END("GET / HTTP/1.1 x\r\n");
    READY_AT_END("GET\t/ HTTP/1.1\r\n");
    READY_AT_END(GET "X(\x01: \x01\r\nY:\r\n\r\n");
    READY_AT_END(GET "X: a\rb\r\nY:\r\n");
    READY_AT_END(GET "X : a\r\nY:\r\n");
}
END_TEST

/* --- Fields ------------------------------------------------------------ */

START_TEST(a_bad_field_is_refused_with_the_next)
{
    READY_AT_END(GET "no colon\r\nX:\r\n");
    READY_AT_END(GET ": a\r\nX:\r\n");
    READY_AT_END(GET "X : a\r\nX:\r\n");
    READY_AT_END(GET "X: \x01\r\nX:\r\n");
    READY_AT_END(GET "X: a\rb\r\n c\r\nX:\r\n");
    READY_AT_END(GET "X: a\r\n b\x7f\r\nX:\r\n");
    READY_AT_END(GET "no colon\r\n\r\n");
    WAITS(GET "no colon\r\n");
    WAITS(GET "X: \xe4\t\r\nY:\r\n");
}
END_TEST

START_TEST(folded_fields)
{
    READY_AT_END(GET "X: a\r\n b\r\n\tc\r\n\r\n");
    READY_AT_END(GET " a\r\n");
    READY_AT_END(GET "X: a\r\n \r\n");
    READY_AT_END(GET "X: a\r\n \t \r\n");
    limits.field_size = 10;
    WAITS(GET "X: a\r\n bcd\r\n");         /* 4 + 4 + 1 */
    READY_AT_END(GET "X: a\r\n  bcde\r\n"); /* 4 + 5 + 1 */
}
END_TEST

START_TEST(too_many_fields)
{
    limits.fields = 2;
    READY_AT_END(GET "A:\r\nB:\r\n\r\n");
    WAITS(GET "A:\r\nB:\r\nC:\r\n");
    READY_AT_END(GET "A:\r\nB:\r\nC:\r\nD:\r\n");
    limits.fields = 0;
    WAITS(GET "A:\r\nB:\r\nC:\r\nD:\r\n");
}
END_TEST

/* --- Lengths ----------------------------------------------------------- */

START_TEST(lines_of_the_longest_length)
{
    limits.line = 15;
    WAITS("GET / HTTP/1.1\r\n");
    WAITS("GET /a HTTP/1.1\r\n");
    WAITS("GET /ab HTTP/1.1\r\n"); /* all but the LF fits */
    READY_AT_END("GET /abc HTTP/1.1\r\n");
    limits.field_size = 5;
    WAITS(GET "X: ab\r\n");
    WAITS(GET "X: abc\r\n");
    READY_AT_END(GET "X: abcd\r\n");
    limits.strict = 0;
    WAITS(GET "X: abc\n");
    READY_AT_END(GET "X: abcd\n");
}
END_TEST

START_TEST(a_line_without_an_end)
{
    char *line = malloc(20000);

    ck_assert_ptr_nonnull(line);
    memset(line, 'x', 20000);
    ck_assert_uint_eq(ready_at(GATE_EITHER, line, 20000), 16385);
    limits.line = 17000;
    ck_assert_uint_eq(ready_at(GATE_EITHER, line, 20000), 17003);
    limits.line = APR_INT32_MAX - 1;
    ck_assert_uint_eq(ready_at(GATE_EITHER, line, 20000), NEVER);
    free(line);
}
END_TEST

START_TEST(what_the_buffer_cannot_hold)
{
    char *head = long_head(5000, 700);

    ck_assert_uint_eq(ready_at(GATE_EITHER, head, 5000), 5000);
    limits.size = 4000;
    ck_assert_uint_eq(ready_at(GATE_EITHER, head, 5000), 4000);
    /* More at once than fits: not looked at. */
    ck_assert_int_eq(look(GATE_EITHER, head, 5000).verdict, GATE_READY);
    limits.size = 0;
    ck_assert_int_eq(look(GATE_EITHER, head, 1).verdict, GATE_READY);
    free(head);
}
END_TEST

/* --- Bodies ------------------------------------------------------------ */

#define LENGTH_5 POST "Content-Length: 5\r\n\r\n"

START_TEST(a_small_body_is_waited_for)
{
    size_t head = sizeof(LENGTH_5) - 1;

    READY_AT_END(LENGTH_5 "12345");
    assert_answer(LOOK(LENGTH_5), GATE_WAIT, GATE_BODY, head + 5);
    assert_answer(LOOK(LENGTH_5 "1234"), GATE_WAIT, GATE_BODY, head + 5);
    READY_AT_END(POST "content-LENGTH:\t 05 \r\n\r\n12345");
    READY_AT_END(POST "Content-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(a_large_body_is_the_handlers)
{
    READY_AT_END(POST "Content-Length: 16385\r\n\r\n");
    WAITS(POST "Content-Length: 16384\r\n\r\n");
    READY_AT_END(POST "Content-Length: 4294967301\r\n\r\n");
    READY_AT_END(POST "Content-Length: 99999999999999999999\r\n\r\n");
    limits.body = 0;
    READY_AT_END(LENGTH_5);
    limits.body = 16384;
    limits.size = sizeof(LENGTH_5) - 1 + 4;
    READY_AT_END(LENGTH_5);
    limits.size += 1;
    READY_AT_END(LENGTH_5 "12345");
}
END_TEST

START_TEST(bodies_that_are_not_waited_for)
{
    READY_AT_END(POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    READY_AT_END(POST "Content-Length: 5\r\nexpect: x\r\n\r\n");
    READY_AT_END(POST "Transfer-Encoding: chunked\r\n\r\n");
    READY_AT_END(POST
                 "Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n");
    READY_AT_END(POST "Content-Length: 5\r\nUpgrade: h2c\r\n\r\n");
}
END_TEST

START_TEST(lengths_that_core_refuses)
{
    READY_AT_END(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n");
    READY_AT_END(POST "Content-Length: 5, 5\r\n\r\n");
    READY_AT_END(POST "Content-Length: +5\r\n\r\n");
    READY_AT_END(POST "Content-Length: -5\r\n\r\n");
    READY_AT_END(POST "Content-Length: 0x5\r\n\r\n");
    READY_AT_END(POST "Content-Length:\r\n\r\n");
    READY_AT_END(POST "Content-Length: 5\r\n 5\r\n\r\n");
    READY_AT_END(POST "Content-Length: 5\r\nbad\r\n\r\n");
}
END_TEST

/* --- TLS --------------------------------------------------------------- */

#define RECORD "\x16\x03\x01\x00\x05" "12345"

START_TEST(a_record_is_ready_when_whole)
{
    READY_AT_END(RECORD);
    assert_answer(LOOK("\x16"), GATE_WAIT, GATE_RECORD, 2);
    assert_answer(LOOK("\x16\x03\x01\x00"), GATE_WAIT, GATE_RECORD, 5);
    assert_answer(LOOK("\x16\x03\x01\x00\x05"), GATE_WAIT, GATE_RECORD, 10);
    READY_AT_END("\x16\x03\x01\x00\x00");
    READY_AT_END("\x16\x03\x01\x48\x01"); /* longer than any */
    limits.size = 100;
    READY_AT_END("\x16\x03\x01\x00\x60");
}
END_TEST

START_TEST(a_record_of_a_running_session)
{
    ck_assert_uint_eq(ready_at(GATE_TLS, "\x17\x03\x03\x00\x01x", 6), 6);
    ck_assert_uint_eq(ready_at(GATE_TLS, "\x15\x03\x03\x00\x02xy", 7), 7);
    /* None is refused as soon as its header is there. */
    ck_assert_uint_eq(ready_at(GATE_TLS, "GET / HTTP", 10), 5);
    ck_assert_uint_eq(ready_at(GATE_TLS, "\x16\x02\x03\x00\x01", 5), 5);
    /* And what looks like one is a line of garbage where there is no TLS. */
    ck_assert_uint_eq(ready_at(GATE_CLEAR, RECORD, 10), NEVER);
    assert_answer(look(GATE_CLEAR, RECORD, 10), GATE_WAIT, GATE_LINE, 11);
}
END_TEST

START_TEST(a_hello_of_ssl_2)
{
    READY_AT_END("\x80\x04\x01\x03\x01x");
    assert_answer(LOOK("\x80\x04\x01"), GATE_WAIT, GATE_RECORD, 6);
}
END_TEST

/* --- Looking again ----------------------------------------------------- */

START_TEST(half_closed_is_ready)
{
    gate_init(&gate, GATE_EITHER);
    ck_assert_int_eq(gate_look(&gate, &limits, "GE", 2, 0).verdict,
                     GATE_WAIT);
    ck_assert_int_eq(gate_look(&gate, &limits, "GE", 2, 1).verdict,
                     GATE_READY);
    ck_assert_int_eq(gate_look(&gate, &limits, "GE", 2, 0).verdict,
                     GATE_READY);
}
END_TEST

START_TEST(fewer_bytes_than_before_are_ready)
{
    gate_init(&gate, GATE_CLEAR);
    ck_assert_int_eq(gate_look(&gate, &limits, GET, 9, 0).verdict,
                     GATE_WAIT);
    ck_assert_int_eq(gate_look(&gate, &limits, GET, 8, 0).verdict,
                     GATE_READY);
}
END_TEST

/* What has been looked at is not looked at again, so a trickle costs as
 * much as a flood. */
START_TEST(only_what_is_new_is_looked_at)
{
    char text[] = GET HOST "X-y: z";
    size_t len = sizeof(text) - 1;

    gate_init(&gate, GATE_CLEAR);
    ck_assert_int_eq(gate_look(&gate, &limits, text, len, 0).verdict,
                     GATE_WAIT);
    text[len - 2] = '\n';
    ck_assert_int_eq(gate_look(&gate, &limits, text, len, 0).verdict,
                     GATE_WAIT);
    memcpy(text, "\n\n\n\n", 4);
    ck_assert_int_eq(gate_look(&gate, &limits, text, len, 0).verdict,
                     GATE_WAIT);
}
END_TEST

START_TEST(the_corpus)
{
    DIR *dir = opendir(CORPUS);
    struct dirent *entry;
    int files = 0;

    ck_assert_msg(dir != NULL, "run me where the sources are: no " CORPUS);
    while ((entry = readdir(dir)) != NULL) {
        static uint8_t data[65536];
        const char *complaint;
        char path[512];
        size_t size;
        FILE *file;

        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
        file = fopen(path, "rb");
        ck_assert_ptr_nonnull(file);
        size = fread(data, 1, sizeof(data), file);
        fclose(file);
        complaint = fuzz_gate_complaint(data, size);
        ck_assert_msg(complaint == NULL, "%s: %s", path, complaint);
        files++;
    }
    closedir(dir);
    ck_assert_int_ge(files, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tests = tcase_create("gate");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, silence);
    tcase_add_test(tests, a_head_is_ready_when_whole);
    tcase_add_test(tests, what_is_there_is_told);
    tcase_add_test(tests, garbage_of_one_line_waits_for_its_end);
    tcase_add_test(tests, a_line_with_a_nul_is_refused);
    tcase_add_test(tests, other_protocols);
    tcase_add_test(tests, blank_lines_come_first);
    tcase_add_test(tests, bare_line_feeds);
    tcase_add_test(tests, a_lenient_server);
    tcase_add_test(tests, a_bad_field_is_refused_with_the_next);
    tcase_add_test(tests, folded_fields);
    tcase_add_test(tests, too_many_fields);
    tcase_add_test(tests, lines_of_the_longest_length);
    tcase_add_test(tests, a_line_without_an_end);
    tcase_add_test(tests, what_the_buffer_cannot_hold);
    tcase_add_test(tests, a_small_body_is_waited_for);
    tcase_add_test(tests, a_large_body_is_the_handlers);
    tcase_add_test(tests, bodies_that_are_not_waited_for);
    tcase_add_test(tests, lengths_that_core_refuses);
    tcase_add_test(tests, a_record_is_ready_when_whole);
    tcase_add_test(tests, a_record_of_a_running_session);
    tcase_add_test(tests, a_hello_of_ssl_2);
    tcase_add_test(tests, half_closed_is_ready);
    tcase_add_test(tests, fewer_bytes_than_before_are_ready);
    tcase_add_test(tests, only_what_is_new_is_looked_at);
    tcase_add_test(tests, the_corpus);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
