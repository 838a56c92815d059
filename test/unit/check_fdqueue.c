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
 * check_fdqueue: the order and the figures of the hand-off to workers. Here
 * all is done by one thread, which never has to sleep.
 */

#include <check.h>
#include <stdlib.h>

#include "apr_general.h"

#include "fdqueue.h"

#define MAX_ITEMS 64

typedef struct item_t {
    fdqueue_entry_t entry;
    int id;
} item_t;

static apr_pool_t *pool;
static fdqueue_t *queue;
static item_t items[MAX_ITEMS];

static void setup(void)
{
    int i;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    for (i = 0; i < MAX_ITEMS; i++) {
        items[i].id = i;
        items[i].entry.kind = 1000 + i;
    }
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static void create(int num_workers)
{
    ck_assert_int_eq(fdqueue_create(&queue, num_workers, NULL, pool),
                     APR_SUCCESS);
}

static void push(int id, fdqueue_line_e line)
{
    fdqueue_entry_t *entry = &items[id].entry;

    fdqueue_push(queue, &entry, line);
    ck_assert_ptr_null(entry);
}

/* What worker 0 pops next. */
static int pop(void)
{
    fdqueue_entry_t *entry = fdqueue_pop(queue, 0);
    item_t *item = (item_t *)entry;

    ck_assert_ptr_nonnull(entry);
    ck_assert_ptr_null(entry->next);
    ck_assert_int_eq(entry->kind, 1000 + item->id);
    return item->id;
}

static int pop_and_do(void)
{
    int id = pop();

    fdqueue_done(queue, 0);
    return id;
}

/* --- Order ------------------------------------------------------------- */

START_TEST(first_in_first_out)
{
    int i;

    create(1);
    fdqueue_join(queue, 0);
    for (i = 0; i < 10; i++) {
        push(i, FDQUEUE_NOW);
    }
    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(pop_and_do(), i);
    }
}
END_TEST

START_TEST(order_holds_across_pops)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 0);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 1);
    ck_assert_int_eq(pop_and_do(), 2);
    push(4, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 3);
    ck_assert_int_eq(pop_and_do(), 4);
}
END_TEST

START_TEST(an_entry_can_go_round_again)
{
    int i;

    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_LATER);
    for (i = 0; i < 100; i++) {
        int id = pop_and_do();

        push(id, id == 0 ? FDQUEUE_NOW : FDQUEUE_LATER);
    }
    ck_assert_int_eq(fdqueue_waiting(queue), 1);
}
END_TEST

START_TEST(now_comes_before_later)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_LATER);
    push(1, FDQUEUE_LATER);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 2);
    ck_assert_int_eq(pop_and_do(), 3);
    ck_assert_int_eq(pop_and_do(), 0);
    push(4, FDQUEUE_NOW);
    ck_assert_int_eq(pop_and_do(), 4);
    ck_assert_int_eq(pop_and_do(), 1);
}
END_TEST

START_TEST(later_is_not_starved)
{
    int later = 0;
    int next_now = 3;
    int i;

    create(1);
    fdqueue_join(queue, 0);
    for (i = 0; i < 43; i++) {
        push(i, i < 3 ? FDQUEUE_LATER : FDQUEUE_NOW);
    }
    for (i = 1; i <= 24; i++) {
        int id = pop_and_do();

        if (id < 3) {
            ck_assert_int_eq(id, later++);
        }
        else {
            ck_assert_int_eq(id, next_now++);
        }
        ck_assert_int_ge(later, i / 8);
        /* Nor does it get more than its share. */
        ck_assert_int_le(later, 1 + i / 8);
    }
    ck_assert_int_eq(later, 3);
}
END_TEST

/* --- Figures ----------------------------------------------------------- */

static void assert_figures(int idle, int waiting)
{
    ck_assert_int_eq(fdqueue_idle(queue, 0), idle);
    ck_assert_int_eq(fdqueue_waiting(queue), waiting);
}

START_TEST(figures_of_now)
{
    create(3);
    assert_figures(0, 0);
    fdqueue_join(queue, 0);
    assert_figures(1, 0);
    fdqueue_join(queue, 1);
    fdqueue_join(queue, 2);
    assert_figures(3, 0);
    push(0, FDQUEUE_NOW);
    assert_figures(2, 1);
    push(1, FDQUEUE_NOW);
    push(2, FDQUEUE_NOW);
    push(3, FDQUEUE_NOW);
    push(4, FDQUEUE_NOW);
    assert_figures(0, 5);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 0));
    assert_figures(0, 4);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 1));
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 2));
    assert_figures(0, 2);
    fdqueue_done(queue, 1);
    fdqueue_done(queue, 2);
    assert_figures(0, 2);
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 1));
    ck_assert_ptr_nonnull(fdqueue_pop(queue, 2));
    assert_figures(0, 0);
    fdqueue_done(queue, 0);
    assert_figures(1, 0);
    fdqueue_done(queue, 1);
    fdqueue_done(queue, 2);
    assert_figures(3, 0);
}
END_TEST

START_TEST(figures_of_later)
{
    create(2);
    fdqueue_join(queue, 0);
    fdqueue_join(queue, 1);
    push(0, FDQUEUE_LATER);
    push(1, FDQUEUE_LATER);
    push(2, FDQUEUE_LATER);
    assert_figures(2, 0);
    ck_assert_int_eq(pop(), 0);
    assert_figures(1, 0);
    push(3, FDQUEUE_NOW);
    assert_figures(0, 1);
    fdqueue_done(queue, 0);
    assert_figures(1, 1);
    ck_assert_int_eq(pop_and_do(), 3);
    assert_figures(2, 0);
}
END_TEST

START_TEST(entries_may_come_before_workers)
{
    create(2);
    push(0, FDQUEUE_NOW);
    assert_figures(0, 1);
    fdqueue_join(queue, 0);
    assert_figures(0, 1);
    fdqueue_join(queue, 1);
    assert_figures(1, 1);
    ck_assert_int_eq(pop_and_do(), 0);
    assert_figures(2, 0);
}
END_TEST

START_TEST(closed_pops_nothing)
{
    create(1);
    fdqueue_join(queue, 0);
    push(0, FDQUEUE_NOW);
    push(1, FDQUEUE_LATER);
    fdqueue_close(queue);
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
    push(2, FDQUEUE_NOW);
    ck_assert_ptr_null(fdqueue_pop(queue, 0));
    ck_assert_int_eq(fdqueue_waiting(queue), 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fdqueue");
    TCase *order = tcase_create("order");
    TCase *figures = tcase_create("figures");

    tcase_add_checked_fixture(order, setup, teardown);
    tcase_add_test(order, first_in_first_out);
    tcase_add_test(order, order_holds_across_pops);
    tcase_add_test(order, an_entry_can_go_round_again);
    tcase_add_test(order, now_comes_before_later);
    tcase_add_test(order, later_is_not_starved);
    tcase_add_test(order, closed_pops_nothing);
    suite_add_tcase(s, order);

    tcase_add_checked_fixture(figures, setup, teardown);
    tcase_add_test(figures, figures_of_now);
    tcase_add_test(figures, figures_of_later);
    tcase_add_test(figures, entries_may_come_before_workers);
    suite_add_tcase(s, figures);
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
