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
 * check_ptrans: whose the pools are, how many are kept, and that none leaks.
 *
 * What a pool was cleared or destroyed for is told apart by counting calls:
 * this program puts its own functions in front of the two of APR that make
 * and destroy pools.
 */

#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "apr_allocator.h"
#include "apr_general.h"
#include "apr_strings.h"

#include "ptrans.c"

#define MAX_FREE 8192
#define MANY 40
#define START apr_time_from_sec(1000)

static apr_pool_t *pool;
static apr_pool_t *parent;
static ptrans_t *ptrans;
static int made;      /* pools made by the room */
static int destroyed; /* pools destroyed by the room */
static int no_memory; /* pools cannot be made */
static int cleaned;   /* cleanups run */

/* --- What stands between the room and APR ------------------------------ */

typedef apr_status_t create_fn_t(apr_pool_t **, apr_pool_t *,
                                 apr_abortfunc_t, apr_allocator_t *);
typedef void destroy_fn_t(apr_pool_t *);

/* Hidden from APR's library, which goes on calling its own. */
#define OURS __attribute__((visibility("hidden")))

static create_fn_t *real_create;
static destroy_fn_t *real_destroy;

OURS apr_status_t apr_pool_create_ex(apr_pool_t **newpool, apr_pool_t *above,
                                     apr_abortfunc_t abort_fn,
                                     apr_allocator_t *allocator)
{
    if (no_memory) {
        return APR_ENOMEM;
    }
    made++;
    return real_create(newpool, above, abort_fn, allocator);
}

OURS void apr_pool_destroy(apr_pool_t *p)
{
    destroyed++;
    real_destroy(p);
}

/* --- Help -------------------------------------------------------------- */

static void setup(void)
{
    real_create = (create_fn_t *)dlsym(RTLD_NEXT, "apr_pool_create_ex");
    real_destroy = (destroy_fn_t *)dlsym(RTLD_NEXT, "apr_pool_destroy");
    ck_assert(real_create && real_destroy);
    ck_assert_int_eq(real_create(&pool, NULL, NULL, NULL), APR_SUCCESS);
    ck_assert_int_eq(real_create(&parent, pool, NULL, NULL), APR_SUCCESS);
}

static void teardown(void)
{
    real_destroy(pool);
}

static void create(int max_kept)
{
    ck_assert_int_eq(ptrans_create(&ptrans, parent, MAX_FREE, max_kept, pool),
                     APR_SUCCESS);
    made = destroyed = cleaned = no_memory = 0;
}

static apr_pool_t *take(void)
{
    apr_pool_t *taken = NULL;

    ck_assert_int_eq(ptrans_take(ptrans, &taken), APR_SUCCESS);
    ck_assert_ptr_nonnull(taken);
    return taken;
}

static void put(apr_pool_t *taken)
{
    ptrans_put(ptrans, &taken);
    ck_assert_ptr_null(taken);
}

static apr_status_t count_cleanup(void *data)
{
    (void)data;
    cleaned++;
    return APR_SUCCESS;
}

/* Take n pools at once and put them back. */
static void take_and_put(int n)
{
    apr_pool_t *taken[MANY];
    int i;
    int j;

    for (i = 0; i < n; i++) {
        taken[i] = take();
        for (j = 0; j < i; j++) {
            ck_assert_ptr_ne(taken[i], taken[j]);
        }
    }
    for (i = 0; i < n; i++) {
        put(taken[i]);
    }
}

/* --- Tests ------------------------------------------------------------- */

START_TEST(a_pool_is_used_again)
{
    apr_pool_t *first;
    int i;

    create(0);
    first = take();
    put(first);
    for (i = 0; i < 10; i++) {
        apr_pool_t *taken = take();

        ck_assert_ptr_eq(taken, first);
        /* More than one node, so that clearing has something to do. */
        ck_assert_ptr_nonnull(apr_pcalloc(taken, 20000));
        put(taken);
    }
    ck_assert_int_eq(made, 1);
    ck_assert_int_eq(destroyed, 0);
}
END_TEST

START_TEST(the_last_one_put_is_taken_first)
{
    apr_pool_t *a;
    apr_pool_t *b;

    create(0);
    a = take();
    b = take();
    put(a);
    put(b);
    ck_assert_ptr_eq(take(), b);
    ck_assert_ptr_eq(take(), a);
}
END_TEST

START_TEST(put_runs_cleanups_once)
{
    int max_kept;

    for (max_kept = 0; max_kept < 2; max_kept++) {
        apr_pool_t *one;
        apr_pool_t *two;

        create(max_kept);
        one = take();
        two = take();
        apr_pool_cleanup_register(one, NULL, count_cleanup,
                                  apr_pool_cleanup_null);
        apr_pool_cleanup_register(two, NULL, count_cleanup,
                                  apr_pool_cleanup_null);
        put(one);
        ck_assert_int_eq(cleaned, 1);
        put(two);
        ck_assert_int_eq(cleaned, 2);
        put(take());
        ck_assert_int_eq(cleaned, 2);
    }
}
END_TEST

START_TEST(a_taken_pool_is_empty)
{
    apr_pool_t *taken;
    apr_pool_t *child;
    void *found;

    create(0);
    taken = take();
    ck_assert_int_eq(real_create(&child, taken, NULL, NULL), APR_SUCCESS);
    apr_pool_cleanup_register(child, NULL, count_cleanup,
                              apr_pool_cleanup_null);
    apr_pool_userdata_setn("here", "key", NULL, taken);
    put(taken);
    ck_assert_int_eq(cleaned, 1);
    ck_assert_ptr_eq(take(), taken);
    apr_pool_userdata_get(&found, "key", taken);
    ck_assert_ptr_null(found);
}
END_TEST

START_TEST(each_has_its_own_allocator)
{
    apr_pool_t *a;
    apr_pool_t *b;
    apr_allocator_t *of_a;
    apr_allocator_t *of_b;
    apr_allocator_t *of_parent;

    create(0);
    a = take();
    b = take();
    of_a = apr_pool_allocator_get(a);
    of_b = apr_pool_allocator_get(b);
    of_parent = apr_pool_allocator_get(apr_pool_parent_get(a));
    ck_assert_ptr_ne(of_a, of_b);
    ck_assert_ptr_ne(of_a, of_parent);
    ck_assert_ptr_ne(of_parent, apr_pool_allocator_get(parent));
    ck_assert_ptr_eq(apr_allocator_owner_get(of_a), a);
    ck_assert_ptr_eq(apr_allocator_owner_get(of_b), b);
    ck_assert(apr_pool_is_ancestor(parent, a));
    /* Any thread may destroy a: what it is unlinked from must be locked,
     * and what is its user's alone need not be. */
    ck_assert_ptr_nonnull(apr_allocator_mutex_get(of_parent));
    ck_assert_ptr_null(apr_allocator_mutex_get(of_a));
}
END_TEST

START_TEST(for_a_burst_more_are_kept)
{
    int most = 3 * PTRANS_BURST;

    create(3);
    take_and_put(most + 2);
    ck_assert_int_eq(made, most + 2);
    ck_assert_int_eq(destroyed, 2);
    take_and_put(most);
    ck_assert_int_eq(made, most + 2);
    ck_assert_int_eq(destroyed, 2);
    take_and_put(most + 1);
    ck_assert_int_eq(made, most + 3);
    ck_assert_int_eq(destroyed, 3);
}
END_TEST

/* From START on: when has all been freed that nobody wants? */
static apr_time_t shrink_all(void)
{
    apr_time_t now = START;
    apr_time_t due;
    int looks = 0;

    while ((due = ptrans_shrink(ptrans, now)) != CLOCK_NEVER) {
        ck_assert_int_gt(due, now);
        ck_assert_int_lt(looks++, 100);
        now = due;
    }
    return now;
}

START_TEST(what_nobody_takes_is_freed)
{
    create(5);
    take_and_put(5);
    ck_assert_int_eq(ptrans_shrink(ptrans, START), CLOCK_NEVER);
    take_and_put(6);
    ck_assert_int_eq(ptrans_shrink(ptrans, START), START + SHRINK_AFTER);
    ck_assert_int_eq(ptrans_shrink(ptrans, START + SHRINK_AFTER - 1),
                     START + SHRINK_AFTER);
    ck_assert_int_eq(destroyed, 0);
    ptrans_shrink(ptrans, START + SHRINK_AFTER);
    ck_assert_int_eq(destroyed, 1);
    ck_assert_int_eq(ptrans_shrink(ptrans, START + 2 * SHRINK_AFTER),
                     CLOCK_NEVER);
    take_and_put(5);
    ck_assert_int_eq(made, 6);
}
END_TEST

START_TEST(what_is_taken_again_is_not_freed)
{
    apr_pool_t *out[3];
    int i;

    create(2);
    take_and_put(8);
    ptrans_shrink(ptrans, START);
    for (i = 0; i < 3; i++) {
        out[i] = take();
    }
    for (i = 0; i < 3; i++) {
        put(out[i]);
    }
    /* Of the eight, five were never out. */
    ck_assert_int_eq(ptrans_shrink(ptrans, START + SHRINK_AFTER),
                     START + 2 * SHRINK_AFTER);
    ck_assert_int_eq(destroyed, 3);
    /* The others are not out any more either. */
    ptrans_shrink(ptrans, START + 2 * SHRINK_AFTER);
    ck_assert_int_eq(destroyed, 6);
}
END_TEST

START_TEST(once_all_were_out_none_is_freed)
{
    create(2);
    take_and_put(8);
    ptrans_shrink(ptrans, START);
    take_and_put(MANY - 1);
    ptrans_shrink(ptrans, START + SHRINK_AFTER);
    ck_assert_int_eq(destroyed, MANY - 1 - 8);
    /* But if nobody takes any from now on. */
    ck_assert_int_eq(ptrans_shrink(ptrans, START + 2 * SHRINK_AFTER),
                     START + 3 * SHRINK_AFTER);
    ck_assert_int_eq(destroyed, MANY - 1 - 2);
    ck_assert_int_eq(ptrans_shrink(ptrans, START + 3 * SHRINK_AFTER),
                     CLOCK_NEVER);
}
END_TEST

/* Of many only as many as were not needed, however often it looks. */
START_TEST(no_more_are_freed_than_were_not_needed)
{
    apr_pool_t *out[MANY];
    apr_time_t now = START;
    int i;

    create(10);
    take_and_put(MANY);
    ptrans_shrink(ptrans, now);
    for (i = 0; i < 10; i++) {
        out[i] = take();
    }
    for (i = 0; i < 10; i++) {
        put(out[i]);
    }
    /* 30 of the 40 were not needed, but 10 stay in any case. */
    for (now += SHRINK_AFTER; now < START + 2 * SHRINK_AFTER;
         now += SHRINK_PAUSE) {
        ptrans_shrink(ptrans, now);
    }
    ck_assert_int_eq(destroyed, 20);
}
END_TEST

START_TEST(many_are_freed_by_and_by)
{
    create(MANY / PTRANS_BURST);
    take_and_put(MANY);
    ck_assert_int_eq(ptrans_shrink(ptrans, START), START + SHRINK_AFTER);
    ck_assert_int_eq(ptrans_shrink(ptrans, START + SHRINK_AFTER),
                     START + SHRINK_AFTER + SHRINK_PAUSE);
    ck_assert_int_eq(destroyed, SHRINK_MAX);
    ck_assert_int_ge(shrink_all(), START + SHRINK_AFTER);
    ck_assert_int_eq(destroyed, MANY - MANY / PTRANS_BURST);
}
END_TEST

/* The listener sleeps, and need not be woken twice. */
START_TEST(who_puts_the_first_spare_one_says_so)
{
    apr_pool_t *out[4];
    int i;

    create(2);
    for (i = 0; i < 4; i++) {
        out[i] = take();
    }
    ck_assert(!ptrans_put(ptrans, &out[0]));
    ck_assert(!ptrans_put(ptrans, &out[1]));
    ck_assert(ptrans_put(ptrans, &out[2]));
    ck_assert(!ptrans_put(ptrans, &out[3]));
    shrink_all();
    ck_assert_int_eq(destroyed, 2);
    /* It does not know of others. */
    for (i = 0; i < 3; i++) {
        out[i] = take();
    }
    ck_assert(!ptrans_put(ptrans, &out[0]));
    ck_assert(!ptrans_put(ptrans, &out[1]));
    ck_assert(ptrans_put(ptrans, &out[2]));
    /* Nor has it to be told what it has seen. */
    out[0] = take();
    out[1] = take();
    ck_assert_int_eq(ptrans_shrink(ptrans, START), CLOCK_NEVER);
    ck_assert(!ptrans_put(ptrans, &out[0]));
    ck_assert(ptrans_put(ptrans, &out[1]));
    ptrans_shrink(ptrans, START);
    out[1] = take();
    ck_assert(!ptrans_put(ptrans, &out[1]));
}
END_TEST

START_TEST(once_stopped_there_is_nothing_to_shrink)
{
    create(2);
    take_and_put(8);
    ck_assert_int_ne(ptrans_shrink(ptrans, START), CLOCK_NEVER);
    ptrans_stop_keeping(ptrans);
    ck_assert_int_eq(ptrans_shrink(ptrans, START + SHRINK_AFTER),
                     CLOCK_NEVER);
}
END_TEST

START_TEST(the_first_find_what_was_made_ahead)
{
    int i;

    create(4);
    ptrans_stock(ptrans, 3);
    ck_assert_int_eq(made, 3);
    for (i = 0; i < 3; i++) {
        apr_pool_t *taken = take();

        ck_assert_ptr_eq(
            apr_allocator_owner_get(apr_pool_allocator_get(taken)), taken);
        ck_assert_int_eq(made, 3);
    }
    take();
    ck_assert_int_eq(made, 4);
}
END_TEST

/* The parameter: max_kept. */
START_TEST(no_more_are_made_ahead_than_may_be_kept)
{
    create(_i);
    ptrans_stock(ptrans, 4);
    ck_assert_int_eq(made, _i == 0 ? 4 : _i);
    ck_assert_int_eq(destroyed, 0);
    ck_assert_int_eq(ptrans_shrink(ptrans, 1), CLOCK_NEVER);
}
END_TEST

START_TEST(max_zero_keeps_all)
{
    create(0);
    take_and_put(MANY);
    take_and_put(MANY);
    ck_assert_int_eq(made, MANY);
    ck_assert_int_eq(destroyed, 0);
}
END_TEST

START_TEST(stop_frees_what_is_kept)
{
    apr_pool_t *out;

    create(0);
    take_and_put(5);
    out = take();
    ptrans_stop_keeping(ptrans);
    ck_assert_int_eq(destroyed, 4);
    put(out);
    ck_assert_int_eq(destroyed, 5);
}
END_TEST

START_TEST(after_stop_take_works_and_nothing_is_kept)
{
    create(0);
    ptrans_stop_keeping(ptrans);
    take_and_put(4);
    take_and_put(4);
    ck_assert_int_eq(made, 8);
    ck_assert_int_eq(destroyed, 8);
    ptrans_stop_keeping(ptrans);
    ck_assert_int_eq(destroyed, 8);
}
END_TEST

/* Only glibc's own malloc says how much of it is in use; an APR may have its
 * memory of the system itself, which Linux tells. */
#if defined(__linux__) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)         \
    && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_COUNT 1
static size_t in_use(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);

    ck_assert(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return mallinfo2().uordblks
           + strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}
#else
#define CAN_COUNT 0
static size_t in_use(void)
{
    return 0;
}
#endif

/* Leave three nodes in the allocator, as requests do, if it keeps them. */
static size_t used_after_use(apr_pool_t *taken)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(taken);
    apr_memnode_t *nodes[3];
    int i;

    for (i = 0; i < 3; i++) {
        nodes[i] = apr_allocator_alloc(allocator, 1);
        ck_assert_ptr_nonnull(nodes[i]);
        nodes[i]->next = NULL;
    }
    for (i = 0; i < 3; i++) {
        apr_allocator_free(allocator, nodes[i]);
    }
    return in_use();
}

START_TEST(a_trimmed_pool_gives_its_memory_back)
{
    apr_pool_t *taken;
    const char *text;
    size_t before, after, untrimmed;

    ck_assert_int_eq(ptrans_create(&ptrans, parent, 8 * MAX_FREE, 0, pool),
                     APR_SUCCESS);
    taken = take();
    text = apr_pstrdup(taken, "kept");
    before = used_after_use(taken);
    ptrans_trim(ptrans, taken);
    after = in_use();
    if (CAN_COUNT) {
        ck_assert_uint_ge(before, after + 3 * 8192);
    }
    ck_assert_str_eq(text, "kept");
    /* As before, what comes from now on is kept. */
    untrimmed = used_after_use(taken);
    if (CAN_COUNT) {
        ck_assert_uint_ge(untrimmed, after + 3 * 8192);
    }
    ck_assert_ptr_nonnull(apr_palloc(taken, 100000));
    put(taken);
    ck_assert_ptr_eq(take(), taken);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    apr_pool_t *taken = pool;

    create(0);
    no_memory = 1;
    ptrans_stock(ptrans, 3); /* but here it is none */
    ck_assert_int_eq(made, 0);
    ck_assert_int_eq(ptrans_take(ptrans, &taken), APR_ENOMEM);
    ck_assert_ptr_null(taken);
    no_memory = 0;
    put(take());
    /* One that is kept needs none. */
    no_memory = 1;
    taken = take();
    no_memory = 0;
    put(taken);
}
END_TEST

START_TEST(the_parent_takes_all_along)
{
    apr_pool_t *out;

    create(0);
    take_and_put(3);
    out = take();
    apr_pool_cleanup_register(out, NULL, count_cleanup,
                              apr_pool_cleanup_null);
    real_destroy(parent);
    ck_assert_int_eq(cleaned, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ptrans");
    TCase *reuse = tcase_create("reuse");
    TCase *limits = tcase_create("limits");

    tcase_add_checked_fixture(reuse, setup, teardown);
    tcase_add_test(reuse, a_pool_is_used_again);
    tcase_add_test(reuse, the_last_one_put_is_taken_first);
    tcase_add_test(reuse, put_runs_cleanups_once);
    tcase_add_test(reuse, a_taken_pool_is_empty);
    tcase_add_test(reuse, each_has_its_own_allocator);
    tcase_add_test(reuse, the_parent_takes_all_along);
    suite_add_tcase(s, reuse);

    tcase_add_checked_fixture(limits, setup, teardown);
    tcase_add_test(limits, for_a_burst_more_are_kept);
    tcase_add_test(limits, what_nobody_takes_is_freed);
    tcase_add_test(limits, what_is_taken_again_is_not_freed);
    tcase_add_test(limits, once_all_were_out_none_is_freed);
    tcase_add_test(limits, no_more_are_freed_than_were_not_needed);
    tcase_add_test(limits, many_are_freed_by_and_by);
    tcase_add_test(limits, who_puts_the_first_spare_one_says_so);
    tcase_add_test(limits, once_stopped_there_is_nothing_to_shrink);
    tcase_add_test(limits, the_first_find_what_was_made_ahead);
    tcase_add_loop_test(limits, no_more_are_made_ahead_than_may_be_kept, 0, 4);
    tcase_add_test(limits, max_zero_keeps_all);
    tcase_add_test(limits, stop_frees_what_is_kept);
    tcase_add_test(limits, after_stop_take_works_and_nothing_is_kept);
    tcase_add_test(limits, a_trimmed_pool_gives_its_memory_back);
    tcase_add_test(limits, no_memory_is_an_error);
    suite_add_tcase(s, limits);
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
