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
 * check_session: which threads see that the child stops, and from when on.
 * httpd is not running: what it says of a connection's protocol is played by
 * the functions at the top, and so is the stop mode.
 */

#include <check.h>
#include <stdlib.h>

#include "apr_general.h"
#include "apr_thread_proc.h"
#include "http_protocol.h"
#include "mpm_common.h"

#include "session.h"

int ap_graceful_shutdown_timeout;

static const char *protocol;
static runtime_stop_e mode;

AP_DECLARE(const char *) ap_get_protocol(conn_rec *c)
{
    (void)c;
    return protocol;
}

runtime_stop_e runtime_stop_mode(const runtime_t *runtime)
{
    (void)runtime;
    return mode;
}

static settings_t settings;
static runtime_t runtime;
static session_t session;
static conn_rec c;

#define START apr_time_from_sec(1000)

static void set_up(void)
{
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    ck_assert_int_eq(apr_threadkey_private_create(&runtime.running, NULL,
                                                  pool),
                     APR_SUCCESS);
    runtime.settings = &settings;
    session = (session_t){0};
    settings.drain_timeout = 0;
    ap_graceful_shutdown_timeout = 0;
    protocol = "h2";
    mode = RUNTIME_DRAIN;
}

/* Is the session told so many seconds after it has first asked? */
static int told_after(int seconds)
{
    session_enter(&runtime, &session, &c);
    ck_assert(!session_sees_stop(&runtime, START));
    return session_sees_stop(&runtime, START + apr_time_from_sec(seconds));
}

START_TEST(nobody_while_it_runs)
{
    mode = RUNTIME_RUN;
    ck_assert(!session_sees_stop(&runtime, START));
    session_enter(&runtime, &session, &c);
    ck_assert(!session_sees_stop(&runtime, START));
    ck_assert_int_eq(session.told_at, 0);
}
END_TEST

START_TEST(others_at_once)
{
    ck_assert(session_sees_stop(&runtime, START));
    protocol = "http/1.1";
    session_enter(&runtime, &session, &c);
    ck_assert(session_sees_stop(&runtime, START));
}
END_TEST

START_TEST(a_session_after_a_while)
{
    ck_assert(!told_after(9));
    protocol = "h2c";
    ck_assert(!told_after(9));
    ck_assert(told_after(10));
}
END_TEST

/* The time is the session's, whatever its worker does in between. */
START_TEST(each_has_its_own_time)
{
    session_t other = {0};

    ck_assert(!told_after(5));
    session_leave(&runtime);
    ck_assert(session_sees_stop(&runtime, START));
    session_enter(&runtime, &other, &c);
    ck_assert(!session_sees_stop(&runtime, START + apr_time_from_sec(15)));
    session_enter(&runtime, &session, &c);
    ck_assert(session_sees_stop(&runtime, START + apr_time_from_sec(15)));
}
END_TEST

START_TEST(before_it_is_cut_off)
{
    settings.drain_timeout = 6;
    ck_assert(!told_after(2));
    ck_assert(told_after(3));
    session = (session_t){0};
    ap_graceful_shutdown_timeout = 4;
    ck_assert(!told_after(1));
    ck_assert(told_after(2));
    session = (session_t){0};
    settings.drain_timeout = ap_graceful_shutdown_timeout = 3600;
    ck_assert(!told_after(9));
    ck_assert(told_after(10));
}
END_TEST

START_TEST(at_once_if_it_shall_exit)
{
    ck_assert(!told_after(1));
    mode = RUNTIME_EXIT;
    ck_assert(session_sees_stop(&runtime, START));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("stop");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, nobody_while_it_runs);
    tcase_add_test(tc, others_at_once);
    tcase_add_test(tc, a_session_after_a_while);
    tcase_add_test(tc, each_has_its_own_time);
    tcase_add_test(tc, before_it_is_cut_off);
    tcase_add_test(tc, at_once_if_it_shall_exit);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
