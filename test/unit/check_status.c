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
 * check_status: the counters of a child, and what its slot in the scoreboard
 * shows of them. httpd is not running: the scoreboard is the few lines at
 * the top, the only thing of httpd that the room writes to.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apr_general.h"
#include "apr_portable.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_protocol.h"
#include "mod_status.h"
#include "mpm_common.h"
#include "scoreboard.h"
#include "unixd.h"

#include "status.h"

#define SLOTS 3
#define WORKERS 4
#define SLOT 1

/* --- What httpd does for the room ----------------------------------------- */

static process_score processes[SLOTS];
static worker_score cells[SLOTS][WORKERS];
static ap_unixd_mpm_retained_data retained;
static int updates;

AP_DECLARE(process_score *) ap_get_scoreboard_process(int slot)
{
    ck_assert(slot >= 0 && slot < SLOTS);
    return &processes[slot];
}

AP_DECLARE(worker_score *) ap_get_scoreboard_worker_from_indexes(int slot,
                                                                 int worker)
{
    ck_assert(slot >= 0 && slot < SLOTS && worker >= 0 && worker < WORKERS);
    return &cells[slot][worker];
}

AP_DECLARE(int) ap_update_child_status_from_indexes(int slot, int worker,
                                                    int status,
                                                    request_rec *r)
{
    worker_score *cell = ap_get_scoreboard_worker_from_indexes(slot, worker);
    int old = cell->status;

    ck_assert_ptr_null(r);
    cell->status = (unsigned char)status;
    updates++;
    return old;
}

AP_DECLARE(ap_unixd_mpm_retained_data *) ap_unixd_mpm_get_retained_data(void)
{
    return &retained;
}

static char shown[200];

AP_DECLARE_NONSTD(int) ap_rprintf(request_rec *r, const char *format, ...)
{
    va_list args;
    int n;

    ck_assert_ptr_null(r);
    va_start(args, format);
    n = apr_vsnprintf(shown, sizeof(shown), format, args);
    va_end(args);
    return n;
}

/* --- Help ----------------------------------------------------------------- */

static status_t status;
static process_score before;

static void setup(void)
{
    memset(processes, 0x55, sizeof(processes));
    memset(cells, 0, sizeof(cells));
    memset(&status, 0x55, sizeof(status));
    memcpy(&before, &processes[0], sizeof(before));
    updates = 0;
    status_init(&status, SLOT);
}

/* The slots of others are as they were. */
static void teardown(void)
{
    ck_assert_mem_eq(&processes[0], &before, sizeof(before));
    ck_assert_mem_eq(&processes[2], &before, sizeof(before));
}

static const process_score *ours(void)
{
    return &processes[SLOT];
}

static void assert_shown(unsigned wait_io, unsigned writing,
                         unsigned keep_alive, unsigned closing,
                         unsigned suspended)
{
    ck_assert_uint_eq(ours()->wait_io, wait_io);
    ck_assert_uint_eq(ours()->write_completion, writing);
    ck_assert_uint_eq(ours()->keep_alive, keep_alive);
    ck_assert_uint_eq(ours()->lingering_close, closing);
    ck_assert_uint_eq(ours()->suspended, suspended);
}

/* --- Connections ---------------------------------------------------------- */

START_TEST(starts_with_nothing)
{
    ck_assert_int_eq(status_conns(&status), 0);
    ck_assert_int_eq(status_limited_conns(&status), 0);
    ck_assert_uint_eq(ours()->connections, 0);
    ck_assert_int_eq(ours()->not_accepting, 0);
    assert_shown(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(opened_and_closed)
{
    status_opened(&status);
    status_opened(&status);
    ck_assert_int_eq(status_conns(&status), 2);
    ck_assert_uint_eq(ours()->connections, 2);
    status_closed(&status);
    ck_assert_int_eq(status_conns(&status), 1);
    ck_assert_uint_eq(ours()->connections, 1);
    status_closed(&status);
    ck_assert_int_eq(status_conns(&status), 0);
    ck_assert_uint_eq(ours()->connections, 0);
}
END_TEST

START_TEST(each_condition_has_its_counter)
{
    int i;

    for (i = 0; i < 3; i++) {
        status_move(&status, STATUS_NONE, STATUS_WAIT_IO);
        assert_shown(1, 0, 0, 0, 0);
        status_move(&status, STATUS_WAIT_IO, STATUS_WRITE);
        assert_shown(0, 1, 0, 0, 0);
        status_move(&status, STATUS_WRITE, STATUS_KEEPALIVE);
        assert_shown(0, 0, 1, 0, 0);
        status_move(&status, STATUS_KEEPALIVE, STATUS_SUSPENDED);
        assert_shown(0, 0, 0, 0, 1);
        status_move(&status, STATUS_SUSPENDED, STATUS_CLOSING);
        assert_shown(0, 0, 0, 1, 0);
        status_move(&status, STATUS_CLOSING, STATUS_NONE);
        assert_shown(0, 0, 0, 0, 0);
    }
    ck_assert_uint_eq(ours()->connections, 0); /* says opened and closed */
}
END_TEST

/* From any condition to any other, the same one included. */
START_TEST(moves_keep_the_sum)
{
    status_count_e from = (status_count_e)(_i / 6);
    status_count_e to = (status_count_e)(_i % 6);
    unsigned sum;

    status_move(&status, STATUS_NONE, from);
    status_move(&status, from, to);
    sum = ours()->wait_io + ours()->write_completion + ours()->keep_alive
          + ours()->lingering_close + ours()->suspended;
    ck_assert_uint_eq(sum, to != STATUS_NONE);
    status_move(&status, to, STATUS_NONE);
    assert_shown(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(lingering_ones_do_not_count_against_the_limit)
{
    int i;

    for (i = 0; i < 5; i++) {
        status_opened(&status);
    }
    status_move(&status, STATUS_NONE, STATUS_CLOSING);
    status_move(&status, STATUS_NONE, STATUS_KEEPALIVE);
    status_move(&status, STATUS_KEEPALIVE, STATUS_CLOSING);
    status_move(&status, STATUS_NONE, STATUS_SUSPENDED);
    ck_assert_int_eq(status_conns(&status), 5);
    ck_assert_int_eq(status_limited_conns(&status), 3);
    status_move(&status, STATUS_CLOSING, STATUS_NONE);
    status_closed(&status);
    ck_assert_int_eq(status_conns(&status), 4);
    ck_assert_int_eq(status_limited_conns(&status), 3);
}
END_TEST

START_TEST(nor_do_those_that_have_not_asked_yet)
{
    status_opened(&status);
    status_opened(&status);
    status_move(&status, STATUS_NONE, STATUS_HEAD);
    ck_assert_int_eq(status_heads(&status), 1);
    ck_assert_int_eq(status_conns(&status), 2);
    ck_assert_int_eq(status_limited_conns(&status), 1);
    assert_shown(0, 0, 0, 0, 0);
    status_move(&status, STATUS_HEAD, STATUS_KEEPALIVE);
    ck_assert_int_eq(status_heads(&status), 0);
    ck_assert_int_eq(status_limited_conns(&status), 2);
}
END_TEST

/* Any child can write to any slot: what we decide by is not there. */
START_TEST(what_others_write_is_not_believed)
{
    status_opened(&status);
    status_opened(&status);
    status_move(&status, STATUS_NONE, STATUS_CLOSING);
    memset(&processes[SLOT], 0xff, sizeof(processes[SLOT]));
    ck_assert_int_eq(status_conns(&status), 2);
    ck_assert_int_eq(status_limited_conns(&status), 1);
}
END_TEST

START_TEST(accepting_or_not)
{
    status_accepting(&status, 0);
    ck_assert_int_eq(ours()->not_accepting, 1);
    status_accepting(&status, 1);
    ck_assert_int_eq(ours()->not_accepting, 0);
}
END_TEST

START_TEST(quiescing_for_good)
{
    processes[SLOT].quiescing = 0;
    status_quiescing(&status);
    ck_assert_int_eq(ours()->quiescing, 1);
    status_accepting(&status, 1);
    status_accepting(&status, 0);
    ck_assert_int_eq(ours()->quiescing, 1);
}
END_TEST

START_TEST(shown_to_programs_and_people)
{
    const apr_uint64_t many = APR_UINT64_C(18446744073709551615);

    status_show(NULL, AP_STATUS_SHORT | AP_STATUS_EXTENDED, "Key", "Title", 7);
    ck_assert_str_eq(shown, "Key: 7\n");
    status_show(NULL, AP_STATUS_EXTENDED, "Key", "A title", many);
    ck_assert_str_eq(shown, "<p>A title: 18446744073709551615</p>\n");
}
END_TEST

/* --- Workers -------------------------------------------------------------- */

START_TEST(a_worker_claims_its_cell)
{
    retained.my_generation = 7;
    status_worker_starts(&status, 2);
    ck_assert_int_eq(cells[SLOT][2].pid, getpid());
    ck_assert(apr_os_thread_equal(cells[SLOT][2].tid,
                                  apr_os_thread_current()));
    ck_assert_int_eq(cells[SLOT][2].generation, 7);
    ck_assert_int_eq(cells[SLOT][2].status, SERVER_STARTING);
    status_worker_is(&status, 2, SERVER_READY);
    ck_assert_int_eq(cells[SLOT][2].status, SERVER_READY);
    status_worker_is(&status, 2, SERVER_DEAD);
    ck_assert_int_eq(cells[SLOT][2].status, SERVER_DEAD);
    ck_assert_int_eq(cells[SLOT][1].pid, 0);
    ck_assert_int_eq(updates, 3);
}
END_TEST

START_TEST(only_idle_workers_are_shown_as_finishing)
{
    static const int was[WORKERS] = {SERVER_READY, SERVER_BUSY_WRITE,
                                     SERVER_STARTING, SERVER_READY};
    int i;

    for (i = 0; i < WORKERS; i++) {
        cells[SLOT][i].status = (unsigned char)was[i];
    }
    status_workers_drain(&status, 3); /* the fourth is none of ours */
    ck_assert_int_eq(cells[SLOT][0].status, SERVER_GRACEFUL);
    for (i = 1; i < WORKERS; i++) {
        ck_assert_int_eq(cells[SLOT][i].status, was[i]);
    }
    ck_assert_int_eq(updates, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("status");
    TCase *tc = tcase_create("connections");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, starts_with_nothing);
    tcase_add_test(tc, opened_and_closed);
    tcase_add_test(tc, each_condition_has_its_counter);
    tcase_add_loop_test(tc, moves_keep_the_sum, 0, 36);
    tcase_add_test(tc, lingering_ones_do_not_count_against_the_limit);
    tcase_add_test(tc, nor_do_those_that_have_not_asked_yet);
    tcase_add_test(tc, what_others_write_is_not_believed);
    tcase_add_test(tc, accepting_or_not);
    tcase_add_test(tc, quiescing_for_good);
    tcase_add_test(tc, shown_to_programs_and_people);
    suite_add_tcase(s, tc);

    tc = tcase_create("workers");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_worker_claims_its_cell);
    tcase_add_test(tc, only_idle_workers_are_shown_as_finishing);
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
