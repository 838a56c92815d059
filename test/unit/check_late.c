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
 * check_late: what a worker is given of a client whose time is over.
 *
 * The input filter below, the connection's record and httpd's list of
 * filters are the functions at the top.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "late.c"

static conn_t conn;
static conn_rec c;
static struct {
    int added;
    int brief;
    apr_read_type_e block; /* the socket's filter was asked with */
} seen;
static apr_status_t answer; /* and answers so, */
static int gives;           /* with this bucket or without any */
static apr_bucket some;

conn_t *conn_of(const conn_rec *of)
{
    ck_assert_ptr_eq(of, &c);
    return &conn;
}

void conn_make_brief(conn_t *of)
{
    ck_assert_ptr_eq(of, &conn);
    seen.brief++;
}

AP_DECLARE(ap_filter_t *) ap_add_input_filter(const char *name, void *ctx,
                                              request_rec *r, conn_rec *of)
{
    ck_assert_str_eq(name, LATE_FILTER);
    ck_assert(ctx == NULL && r == NULL && of == &c);
    seen.added++;
    return NULL;
}

AP_DECLARE(ap_filter_rec_t *) ap_register_input_filter(
    const char *name, ap_in_filter_func func, ap_init_filter_func init,
    ap_filter_type type)
{
    (void)name;
    (void)func;
    (void)init;
    (void)type;
    return NULL;
}

AP_DECLARE(apr_status_t) ap_get_brigade(ap_filter_t *f, apr_bucket_brigade *bb,
                                        ap_input_mode_t mode,
                                        apr_read_type_e block,
                                        apr_off_t readbytes)
{
    (void)f;
    (void)mode;
    (void)readbytes;
    seen.block = block;
    if (gives) {
        APR_BRIGADE_INSERT_TAIL(bb, &some);
    }
    return answer;
}

static void setup(void)
{
    memset(&conn, 0, sizeof(conn));
    memset(&seen, 0, sizeof(seen));
    answer = APR_SUCCESS;
    gives = 0;
}

static apr_status_t read_some(ap_input_mode_t mode)
{
    ap_filter_t f;
    apr_bucket_brigade bb;

    memset(&f, 0, sizeof(f));
    APR_RING_INIT(&bb.list, apr_bucket, link);
    return take_no_more(&f, &bb, mode, APR_BLOCK_READ, 100);
}

START_TEST(only_who_is_late_and_once)
{
    late_opens(&c);
    ck_assert_int_eq(seen.added, 0);
    conn.head.late = 1;
    late_opens(&c);
    late_opens(&c);
    ck_assert_int_eq(seen.added, 1);
    ck_assert_int_eq(seen.brief, 1);
}
END_TEST

START_TEST(what_there_is_is_read_without_waiting)
{
    gives = 1;
    ck_assert_int_eq(read_some(AP_MODE_GETLINE), APR_SUCCESS);
    ck_assert_int_eq(seen.block, APR_NONBLOCK_READ);
}
END_TEST

START_TEST(what_is_missing_is_too_late)
{
    ck_assert_int_eq(read_some(AP_MODE_READBYTES), APR_TIMEUP);
    answer = APR_EAGAIN;
    ck_assert_int_eq(read_some(AP_MODE_GETLINE), APR_TIMEUP);
    answer = APR_EOF;
    ck_assert_int_eq(read_some(AP_MODE_GETLINE), APR_EOF);
}
END_TEST

START_TEST(what_never_waits_is_left_alone)
{
    answer = APR_EAGAIN;
    ck_assert_int_eq(read_some(AP_MODE_EATCRLF), APR_EAGAIN);
    ck_assert_int_eq(read_some(AP_MODE_INIT), APR_EAGAIN);
    ck_assert_int_eq(seen.block, APR_BLOCK_READ);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("late");
    TCase *tc = tcase_create("room");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, only_who_is_late_and_once);
    tcase_add_test(tc, what_there_is_is_read_without_waiting);
    tcase_add_test(tc, what_is_missing_is_too_late);
    tcase_add_test(tc, what_never_waits_is_left_alone);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
