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
 * check_held: a connection comes back when its module has moved it on and
 * every callback that may have done so has returned: some cases by name, and
 * then all orders of events up to a certain length.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apr_general.h"

#include "held.h"

#define WORKERS 3
#define CONNS 2

typedef struct conn_t {
    int before; /* so that an entry's address is not its connection's */
    held_entry_t entry;
    int moved;
} conn_t;

static apr_pool_t *pool;
static held_t *held;
static conn_t conns[CONNS];

static conn_t *conn_of(held_entry_t *entry)
{
    return (conn_t *)((char *)entry - APR_OFFSETOF(conn_t, entry));
}

static int has_moved(held_entry_t *entry)
{
    return conn_of(entry)->moved;
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(held_create(&held, WORKERS, has_moved, pool),
                     APR_SUCCESS);
    memset(conns, 0, sizeof(conns));
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static void put(int i)
{
    held_put(held, &conns[i].entry);
}

/* The number of the one that comes back, -1 for none. */
static int take(void)
{
    held_entry_t *entry = held_take(held);

    return entry == NULL ? -1 : (int)(conn_of(entry) - conns);
}

/* --- By name -------------------------------------------------------------- */

START_TEST(nobody)
{
    ck_assert_int_eq(take(), -1);
    held_callback_begins(held, 0);
    ck_assert_int_eq(take(), -1);
    held_callback_ends(held, 0);
    ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(not_before_it_has_moved)
{
    put(0);
    ck_assert_int_eq(take(), -1);
    held_callback_begins(held, 0);
    held_callback_ends(held, 0);
    ck_assert_int_eq(take(), -1);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), 0);
    ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(not_before_its_callback_has_returned)
{
    put(0);
    held_callback_begins(held, 1);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), -1);
    held_callback_ends(held, 1);
    ck_assert_int_eq(take(), 0);
}
END_TEST

START_TEST(not_before_any_that_may_have_moved_it)
{
    put(0);
    held_callback_begins(held, 0);
    held_callback_begins(held, 1);
    held_callback_begins(held, 2);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), -1);
    held_callback_ends(held, 1);
    ck_assert_int_eq(take(), -1);
    held_callback_ends(held, 0);
    ck_assert_int_eq(take(), -1);
    held_callback_ends(held, 2);
    ck_assert_int_eq(take(), 0);
}
END_TEST

/* However busy the timers are, it comes back. */
START_TEST(later_callbacks_do_not_hold_it_up)
{
    put(0);
    held_callback_begins(held, 0);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), -1);
    held_callback_begins(held, 1);
    held_callback_ends(held, 0);
    held_callback_begins(held, 0);
    ck_assert_int_eq(take(), 0);
    held_callback_ends(held, 0);
    held_callback_ends(held, 1);
}
END_TEST

START_TEST(moved_on_before_it_was_put)
{
    held_callback_begins(held, 2);
    conns[0].moved = 1;
    held_callback_ends(held, 2);
    ck_assert_int_eq(take(), -1);
    put(0);
    ck_assert_int_eq(take(), 0);
}
END_TEST

START_TEST(held_again)
{
    int i;

    for (i = 0; i < 3; i++) {
        conns[0].moved = 0;
        put(0);
        ck_assert_int_eq(take(), -1);
        held_callback_begins(held, i);
        conns[0].moved = 1;
        ck_assert_int_eq(take(), -1);
        held_callback_ends(held, i);
        ck_assert_int_eq(take(), 0);
    }
    ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(one_that_waits_does_not_hold_up_others)
{
    put(0);
    put(1);
    conns[1].moved = 1;
    ck_assert_int_eq(take(), 1);
    put(1); /* behind the other */
    held_callback_begins(held, 0);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), -1);
    held_callback_begins(held, 1);
    held_callback_ends(held, 0);
    ck_assert_int_eq(take(), 0);
    held_callback_ends(held, 1);
    ck_assert_int_eq(take(), 1);
}
END_TEST

static void note_visit(const held_entry_t *entry, void *baton)
{
    const conn_t *conn
        = (const conn_t *)((const char *)entry - APR_OFFSETOF(conn_t, entry));

    ((int *)baton)[conn - conns]++;
}

START_TEST(visit_looks_at_all)
{
    int visits[CONNS] = {0};

    held_visit(held, note_visit, visits);
    ck_assert_int_eq(visits[0] + visits[1], 0);
    put(0);
    put(1);
    held_visit(held, note_visit, visits);
    ck_assert_int_eq(visits[0], 1);
    ck_assert_int_eq(visits[1], 1);
    conns[0].moved = 1;
    ck_assert_int_eq(take(), 0);
    held_visit(held, note_visit, visits);
    ck_assert_int_eq(visits[0], 1);
    ck_assert_int_eq(visits[1], 2);
}
END_TEST

/* --- All orders ----------------------------------------------------------- */

typedef enum { BEGIN, END, MOVE, PUT, TAKE } verb_e;

typedef struct {
    verb_e verb;
    int worker; /* BEGIN, END, MOVE */
    int conn;   /* MOVE, PUT */
} step_t;

/* What ought to be so, kept in the plainest way. */
typedef struct {
    int begun;
    int running[WORKERS]; /* number of the callback, 0: none */
    struct {
        int is_held;
        int moved;
        int may[WORKERS]; /* callbacks that ran when it was moved */
        int seen;         /* callbacks begun when it was seen, or 0 */
    } conns[CONNS];
} model_t;

#define MAX_STEPS 12

static int num_workers, num_conns, num_steps;
static step_t steps[MAX_STEPS];
static long num_takes; /* that gave something */

static int is_possible(const model_t *model, const step_t *step)
{
    switch (step->verb) {
    case BEGIN:
        return model->running[step->worker] == 0;
    case END:
        return model->running[step->worker] != 0;
    case MOVE:
        return model->running[step->worker] != 0
               && !model->conns[step->conn].moved;
    case PUT:
        return !model->conns[step->conn].is_held;
    default:
        return 1;
    }
}

/* Does this callback still run? */
static int runs(const model_t *model, int callback)
{
    int w;

    for (w = 0; w < num_workers; w++) {
        if (callback != 0 && model->running[w] == callback) {
            return 1;
        }
    }
    return 0;
}

static void took(model_t *model, int i)
{
    int w;

    ck_assert(model->conns[i].is_held && model->conns[i].moved);
    for (w = 0; w < num_workers; w++) {
        ck_assert(!runs(model, model->conns[i].may[w]));
    }
    memset(&model->conns[i], 0, sizeof(model->conns[i]));
    conns[i].moved = 0;
    num_takes++;
}

/* Nothing came back: something must be in the way of each. */
static void took_none(model_t *model)
{
    int i, callback;

    for (i = 0; i < num_conns; i++) {
        int in_the_way = 0;

        if (!model->conns[i].is_held || !model->conns[i].moved) {
            continue;
        }
        if (model->conns[i].seen == 0) {
            model->conns[i].seen = model->begun;
        }
        for (callback = 1; callback <= model->conns[i].seen; callback++) {
            in_the_way += runs(model, callback);
        }
        ck_assert_int_gt(in_the_way, 0);
    }
}

static void take_step(model_t *model, const step_t *step)
{
    int i;

    switch (step->verb) {
    case BEGIN:
        model->running[step->worker] = ++model->begun;
        held_callback_begins(held, step->worker);
        break;
    case END:
        model->running[step->worker] = 0;
        held_callback_ends(held, step->worker);
        break;
    case MOVE:
        model->conns[step->conn].moved = 1;
        memcpy(model->conns[step->conn].may, model->running,
               sizeof(model->running));
        conns[step->conn].moved = 1;
        break;
    case PUT:
        model->conns[step->conn].is_held = 1;
        put(step->conn);
        break;
    case TAKE:
        i = take();
        if (i < 0) {
            took_none(model);
        }
        else {
            took(model, i);
        }
        break;
    }
}

/* With all callbacks at an end, all that have moved come back. */
static void finish(model_t *model)
{
    int w, i;

    for (w = 0; w < num_workers; w++) {
        if (model->running[w] != 0) {
            model->running[w] = 0;
            held_callback_ends(held, w);
        }
    }
    while ((i = take()) >= 0) {
        took(model, i);
    }
    took_none(model);
    /* Now the rest, for the next one. */
    for (i = 0; i < num_conns; i++) {
        conns[i].moved = 1;
    }
    while (take() >= 0) {
    }
    memset(conns, 0, sizeof(conns));
}

/* Do the first so many steps, then each possible one. */
static long try_all(int depth)
{
    model_t before;
    long tried = 0;
    step_t *step = &steps[depth];
    int i;

    memset(&before, 0, sizeof(before));
    for (i = 0; i < depth; i++) {
        take_step(&before, &steps[i]);
    }
    {
        model_t model = before;

        finish(&model);
    }
    if (depth == num_steps) {
        return 1;
    }
    for (i = 0; i < 5 * WORKERS * CONNS; i++) {
        step->verb = (verb_e)(i % 5);
        step->worker = i / 5 % WORKERS;
        step->conn = i / 5 / WORKERS;
        /* What a step does not ask for is 0: no step twice. */
        if (step->worker >= num_workers || step->conn >= num_conns
            || (step->worker > 0 && step->verb >= PUT)
            || (step->conn > 0 && step->verb != MOVE && step->verb != PUT)) {
            continue;
        }
        if (is_possible(&before, step)) {
            tried += try_all(depth + 1);
        }
    }
    return tried;
}

static const struct {
    int workers, conns, steps;
} sizes[] = {{1, 1, 12}, {2, 1, 10}, {3, 1, 8}, {2, 2, 7}};

START_TEST(all_orders)
{
    long tried;

    num_workers = sizes[_i].workers;
    num_conns = sizes[_i].conns;
    num_steps = sizes[_i].steps;
    num_takes = 0;
    tried = try_all(0);
    ck_assert_int_gt(tried, 1000);
    ck_assert_int_gt(num_takes, 1000);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("held");
    TCase *named = tcase_create("named");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(named, setup, teardown);
    tcase_add_test(named, nobody);
    tcase_add_test(named, not_before_it_has_moved);
    tcase_add_test(named, not_before_its_callback_has_returned);
    tcase_add_test(named, not_before_any_that_may_have_moved_it);
    tcase_add_test(named, later_callbacks_do_not_hold_it_up);
    tcase_add_test(named, moved_on_before_it_was_put);
    tcase_add_test(named, held_again);
    tcase_add_test(named, one_that_waits_does_not_hold_up_others);
    tcase_add_test(named, visit_looks_at_all);
    suite_add_tcase(s, named);

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, all_orders, 0,
                        (int)(sizeof(sizes) / sizeof(sizes[0])));
    suite_add_tcase(s, all);
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
