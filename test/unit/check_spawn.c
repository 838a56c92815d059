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
 * check_spawn: the rule that starts children and lets them go. No process,
 * no clock: each test is a server's figures and what is decided on them.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "spawn.h"

#define THREADS 25

/* As httpd's defaults: 16 children of 25 threads. */
static const spawn_limits_t defaults = {
    .min_spare = 75,
    .max_spare = 250,
    .max_workers = 400,
    .max_children = 16,
    .threads = THREADS,
    .num_buckets = 1,
};
#define SLOTS 16

static spawn_limits_t limits;
static spawn_server_t server;
static spawn_bucket_t bucket;
static spawn_totals_t totals;
static spawn_census_t census;

/* One bucket's server: so many children that serve, so many idle threads. */
static void serve(int children, int idle)
{
    memset(&census, 0, sizeof(census));
    census.idle = idle;
    census.active = children * THREADS;
    census.serving = children;
    census.accepting = children;
    census.free_slots = SLOTS - children;
    memset(&totals, 0, sizeof(totals));
    totals.children = children;
    totals.serving = children;
    totals.free_slots = SLOTS - children;
    totals.idle = idle;
    totals.empty_buckets = children == 0;
}

static void setup(void)
{
    limits = defaults;
    memset(&server, 0, sizeof(server));
    memset(&bucket, 0, sizeof(bucket));
    serve(3, 75);
}

static spawn_decision_t decide(void)
{
    return spawn_decide(&bucket, &limits, &census, &totals);
}

static spawn_report_e decide_report(int children, int idle)
{
    serve(children, idle);
    return decide().report;
}

/* One bucket's server as above, and so many children that rest. */
static void serve_and_rest(int children, int idle, int resting)
{
    serve(children, idle);
    census.resting = resting;
    census.free_slots -= resting;
    totals.children += resting;
    totals.free_slots -= resting;
}

static void assert_comes(spawn_decision_t decision, int resurrect, int fork)
{
    ck_assert_int_eq(decision.resurrect, resurrect);
    ck_assert_int_eq(decision.fork, fork);
    ck_assert_int_eq(decision.retire, 0);
    ck_assert_int_eq(decision.stop, 0);
}

/* The decision where nobody rests or is taken back. */
static void assert_decision(spawn_decision_t decision, int fork, int retire,
                            int stop, spawn_report_e report)
{
    ck_assert_int_eq(decision.resurrect, 0);
    ck_assert_int_eq(decision.fork, fork);
    ck_assert_int_eq(decision.retire, retire);
    ck_assert_int_eq(decision.stop, stop);
    ck_assert_int_eq(decision.report, report);
}

/* spawn_decide: between the limits */

START_TEST(enough_idle_is_left_alone)
{
    bucket.rate = 16;
    serve(3, 75);
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 1);
    serve(10, 250);
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
}
END_TEST

/* spawn_decide: too few idle */

START_TEST(few_idle_start_more_each_time)
{
    static const int forks[] = {1, 2, 4, 8, 16, 32, 32, 32};

    limits.max_children = 1000;
    limits.max_workers = 1000 * THREADS;
    for (int i = 0; i < (int)(sizeof(forks) / sizeof(forks[0])); i++) {
        serve(3, 74);
        census.free_slots = 500;
        assert_decision(decide(), forks[i], 0, 0,
                        forks[i] >= 8 ? SPAWN_REPORT_MANY
                                      : SPAWN_REPORT_NONE);
    }
    /* One tick of rest, and it starts slowly again. */
    serve(3, 75);
    decide();
    serve(3, 74);
    ck_assert_int_eq(decide().fork, 1);
}
END_TEST

START_TEST(starts_are_bounded_by_slots)
{
    bucket.rate = 4;
    serve(3, 0);
    census.free_slots = 3;
    assert_decision(decide(), 3, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 8);
    bucket.rate = 4;
    serve(3, 0);
    census.free_slots = 1;
    assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(starts_are_bounded_by_children)
{
    bucket.rate = 8;
    serve(14, 0);
    census.free_slots = 10;
    assert_decision(decide(), 2, 0, 0, SPAWN_REPORT_MANY);
}
END_TEST

START_TEST(slow_down_starts_at_one)
{
    bucket.rate = 32;
    spawn_slow_down(&bucket);
    serve(3, 0);
    ck_assert_int_eq(decide().fork, 1);
}
END_TEST

START_TEST(totals_follow_the_decision)
{
    bucket.rate = 2;
    serve(0, 0);
    decide();
    ck_assert_int_eq(totals.children, 2);
    ck_assert_int_eq(totals.serving, 2);
    ck_assert_int_eq(totals.free_slots, SLOTS - 2);
    ck_assert_int_eq(totals.empty_buckets, 0);

    serve(0, 0);
    census.free_slots = 0;
    decide();
    ck_assert_int_eq(totals.children, 0);
    ck_assert_int_eq(totals.empty_buckets, 1);

    serve(12, 251);
    decide();
    ck_assert_int_eq(totals.children, 12);
    ck_assert_int_eq(totals.serving, 11);
    ck_assert_int_eq(totals.free_slots, SLOTS - 12);
    ck_assert_int_eq(totals.empty_buckets, 0);
}
END_TEST

/* spawn_decide: the server is full */

START_TEST(full_is_reported_when_nobody_is_idle)
{
    bucket.rate = 4;
    serve(16, 0);
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_FULL);
    ck_assert_int_eq(bucket.rate, 1);
}
END_TEST

START_TEST(idle_threads_that_refuse_are_idle)
{
    serve(16, 0);
    census.refusing = 4;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NEAR);
    memset(&bucket, 0, sizeof(bucket));
    census.idle = 4;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NEAR);
}
END_TEST

START_TEST(near_then_full_once_each)
{
    ck_assert_int_eq(decide_report(16, 74), SPAWN_REPORT_NEAR);
    ck_assert_int_eq(decide_report(16, 1), SPAWN_REPORT_NONE);
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_FULL);
    for (int i = 0; i < 3 * SPAWN_CALM; i++) {
        ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_NONE);
    }
    ck_assert_int_eq(decide_report(16, 74), SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(full_says_near_as_well)
{
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_FULL);
    ck_assert_int_eq(decide_report(16, 1), SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(full_is_reported_again_after_calm)
{
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_FULL);
    for (int i = 0; i < SPAWN_CALM - 1; i++) {
        ck_assert_int_eq(decide_report(16, 75), SPAWN_REPORT_NONE);
    }
    /* Not calm for long enough, and the count starts anew. */
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_NONE);
    for (int i = 0; i < SPAWN_CALM - 1; i++) {
        ck_assert_int_eq(decide_report(16, 75), SPAWN_REPORT_NONE);
    }
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_NONE);
    for (int i = 0; i < SPAWN_CALM; i++) {
        ck_assert_int_eq(decide_report(16, 75), SPAWN_REPORT_NONE);
    }
    ck_assert_int_eq(decide_report(16, 0), SPAWN_REPORT_FULL);
    ck_assert_int_eq(decide_report(16, 1), SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(near_is_reported_again_after_calm)
{
    ck_assert_int_eq(decide_report(16, 1), SPAWN_REPORT_NEAR);
    for (int i = 0; i < SPAWN_CALM; i++) {
        ck_assert_int_eq(decide_report(16, 75), SPAWN_REPORT_NONE);
    }
    ck_assert_int_eq(decide_report(16, 1), SPAWN_REPORT_NEAR);
}
END_TEST

/* Threads still starting count as idle but not as active. */
START_TEST(all_children_there_is_full_too)
{
    bucket.rate = 4;
    serve(16, 30);
    census.active = 370;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NEAR);
    ck_assert_int_eq(bucket.rate, 1);
}
END_TEST

START_TEST(enough_idle_is_never_full)
{
    ck_assert_int_eq(decide_report(16, 75), SPAWN_REPORT_NONE);
}
END_TEST

/* spawn_decide: no slot is free */

START_TEST(no_slot_once)
{
    for (int i = 0; i < 2 * SPAWN_CALM; i++) {
        bucket.rate = 4;
        serve(5, 0);
        census.free_slots = 0;
        assert_decision(decide(), 0, 0, 0,
                        i ? SPAWN_REPORT_NONE : SPAWN_REPORT_NO_SLOT);
        ck_assert_int_eq(bucket.rate, 1);
    }
    for (int i = 0; i < SPAWN_CALM; i++) {
        serve(5, 75);
        census.free_slots = 0;
        assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    }
    serve(5, 0);
    census.free_slots = 0;
    ck_assert_int_eq(decide().report, SPAWN_REPORT_NO_SLOT);
}
END_TEST

/* Where no child is allowed, ServerLimit is not to blame. */
START_TEST(no_slot_is_not_blamed_at_the_limit)
{
    serve(16, 10);
    census.free_slots = 0;
    ck_assert_int_eq(decide().report, SPAWN_REPORT_NEAR);
    ck_assert_int_eq(bucket.no_slot.reported, 0);
}
END_TEST

/* spawn_decide: too many idle */

START_TEST(many_idle_let_one_go)
{
    bucket.rate = 8;
    serve(12, 251);
    assert_decision(decide(), 0, 1, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 1);
}
END_TEST

START_TEST(one_goes_at_a_time)
{
    serve(12, 300);
    totals.children = 13;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);

    /* Unless slots are plenty. */
    totals.free_slots = limits.max_children;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    totals.free_slots = limits.max_children + 1;
    assert_decision(decide(), 0, 1, 0, SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(last_accepting_child_stays)
{
    limits.min_spare = 1;
    limits.max_spare = 3;
    serve(5, 20);
    census.accepting = 1;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    census.accepting = 2;
    assert_decision(decide(), 0, 1, 0, SPAWN_REPORT_NONE);
}
END_TEST

/* spawn_decide: some children rest */

START_TEST(resting_are_taken_back_before_any_start)
{
    bucket.rate = 8;
    serve_and_rest(4, 74, 2);
    assert_comes(decide(), 1, 0);
    ck_assert_int_eq(bucket.rate, 1); /* the need is met */
    ck_assert_int_eq(totals.serving, 5);
    ck_assert_int_eq(totals.children, 6);
    ck_assert_int_eq(totals.free_slots, SLOTS - 6);
}
END_TEST

/* The parameter: idle threads. So many come back as make 75. */
START_TEST(as_many_are_taken_back_as_are_needed)
{
    serve_and_rest(4, _i, 4);
    assert_comes(decide(), (75 - _i + THREADS - 1) / THREADS, 0);
}
END_TEST

START_TEST(others_start_where_those_that_rest_are_too_few)
{
    bucket.rate = 4;
    serve_and_rest(4, 10, 2);
    assert_comes(decide(), 2, 4);
    ck_assert_int_eq(bucket.rate, 8);
    ck_assert_int_eq(totals.serving, 10);
    ck_assert_int_eq(totals.children, 10);
    ck_assert_int_eq(totals.free_slots, SLOTS - 10);
}
END_TEST

START_TEST(taking_back_needs_no_slot)
{
    spawn_decision_t decision;

    serve_and_rest(4, 50, 1);
    census.free_slots = 0;
    decision = decide();
    assert_comes(decision, 1, 0);
    ck_assert_int_eq(decision.report, SPAWN_REPORT_NONE);

    /* One is not enough, and no slot is free for another. */
    serve_and_rest(4, 0, 1);
    census.free_slots = 0;
    decision = decide();
    assert_comes(decision, 1, 0);
    ck_assert_int_eq(decision.report, SPAWN_REPORT_NO_SLOT);
}
END_TEST

/* MaxRequestWorkers holds for those that are taken back. */
START_TEST(taken_back_are_bounded_by_children)
{
    bucket.rate = 8;
    serve_and_rest(15, 0, 3);
    assert_comes(decide(), 1, 0);
    ck_assert_int_eq(totals.serving, 16);

    serve_and_rest(16, 0, 3);
    assert_comes(decide(), 0, 0);
    serve_and_rest(14, 0, 3);
    census.active = limits.max_workers; /* threads up to the limit */
    assert_comes(decide(), 0, 0);
}
END_TEST

START_TEST(nobody_is_taken_back_without_need)
{
    serve_and_rest(4, 75, 3);
    assert_comes(decide(), 0, 0);
    serve_and_rest(10, 250, 3);
    assert_comes(decide(), 0, 0);
}
END_TEST

/* Resting is going, as far as slots are concerned. */
START_TEST(one_rests_at_a_time)
{
    limits.max_spare = 100;
    serve_and_rest(12, 251, 1);
    assert_comes(decide(), 0, 0);

    serve_and_rest(12, 251, 1);
    totals.free_slots = limits.max_children + 1;
    ck_assert_int_eq(decide().retire, 1);
}
END_TEST

START_TEST(bucket_where_all_rest_gets_one_back)
{
    limits.num_buckets = 4;
    serve_and_rest(12, 0, 1);
    census.serving = census.accepting = census.active = 0;
    totals.empty_buckets = 2;
    assert_comes(decide(), 1, 0);
    ck_assert_int_eq(totals.empty_buckets, 1);
    /* The place of the other empty one is not given away. */
    limits.max_children = 14;
    serve_and_rest(12, 0, 3);
    census.serving = census.accepting = 1;
    census.active = THREADS;
    totals.empty_buckets = 1;
    limits.min_spare = 400;
    assert_comes(decide(), 1, 0);
}
END_TEST

/* spawn_decide: several buckets */

START_TEST(buckets_share_the_limits)
{
    limits.num_buckets = 4;
    limits.min_spare = 79;  /* 19 each */
    limits.max_spare = 250; /* 62 each */
    serve(4, 0);
    census.serving = census.accepting = 2;
    census.active = 50;

    census.idle = 19;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    census.idle = 18;
    assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_NONE);
    census.idle = 62;
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    census.idle = 63;
    assert_decision(decide(), 0, 1, 0, SPAWN_REPORT_NONE);

    census.idle = 18;
    census.active = 99;
    ck_assert_int_eq(decide().report, SPAWN_REPORT_NONE);
    census.active = 100;
    ck_assert_int_eq(decide().report, SPAWN_REPORT_NEAR);
}
END_TEST

START_TEST(buckets_share_the_rate)
{
    limits.num_buckets = 3;
    limits.max_children = 100;
    bucket.rate = 8;
    serve(3, 0);
    assert_decision(decide(), 8, 0, 0, SPAWN_REPORT_MANY);
    ck_assert_int_eq(bucket.rate, 10);

    limits.num_buckets = 40;
    bucket.rate = 1;
    serve(3, 0);
    census.active = 0;
    assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 1);
}
END_TEST

/* A limit smaller than the number of buckets still allows each a child. */
START_TEST(each_bucket_gets_a_child)
{
    limits.num_buckets = 4;
    limits.min_spare = 2;
    limits.max_spare = 3;
    limits.max_workers = 1;
    limits.max_children = 4;
    serve(0, 0);
    totals.empty_buckets = 4;
    for (int i = 0; i < 4; i++) {
        assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_NONE);
        ck_assert_int_eq(totals.empty_buckets, 3 - i);
        memset(&bucket, 0, sizeof(bucket));
    }
    ck_assert_int_eq(totals.serving, 4);
}
END_TEST

START_TEST(places_are_kept_for_empty_buckets)
{
    limits.num_buckets = 3;
    bucket.rate = 8;
    serve(13, 0);
    census.serving = census.accepting = 2;
    census.active = 50;
    totals.empty_buckets = 2;
    /* 16 allowed, 13 there, 2 kept. */
    assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_MANY);
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(totals.empty_buckets, 2);

    /* For an empty one its own place is not kept from it. */
    census.serving = census.accepting = census.active = 0;
    assert_decision(decide(), 1, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(totals.empty_buckets, 1);
}
END_TEST

START_TEST(one_goes_at_a_time_of_all_buckets)
{
    limits.num_buckets = 2;
    serve(12, 200);
    assert_decision(decide(), 0, 1, 0, SPAWN_REPORT_NONE);
    assert_decision(decide(), 0, 0, 0, SPAWN_REPORT_NONE);
}
END_TEST

/* spawn_reaped */

static spawn_decision_t reap(spawn_end_e end, int old, int serving)
{
    spawn_death_t death = {end, old, serving};

    return spawn_reaped(&server, &bucket, &limits, totals.serving, &death);
}

START_TEST(normal_end_waits_for_the_idle_rule)
{
    bucket.rate = 4;
    assert_decision(reap(SPAWN_END_NORMAL, 0, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 4);
}
END_TEST

START_TEST(killed_are_replaced_twice_then_wait)
{
    for (int turn = 0; turn < 2; turn++) {
        assert_decision(reap(SPAWN_END_KILLED, 0, 1), 1, 0, 0,
                        SPAWN_REPORT_NONE);
        assert_decision(reap(SPAWN_END_KILLED, 0, 1), 1, 0, 0,
                        SPAWN_REPORT_NONE);
        for (int kill = 3; kill < 30; kill++) {
            assert_decision(reap(SPAWN_END_KILLED, 0, 1), 0, 0, 0,
                            kill == 3 || kill == 13 || kill == 23
                                ? SPAWN_REPORT_KILLS
                                : SPAWN_REPORT_NONE);
        }
        assert_decision(spawn_tick(&server, &limits, &totals, 1), 0, 0, 0,
                        SPAWN_REPORT_NONE);
    }
}
END_TEST

/* Ends of other kinds neither count nor break the row. */
START_TEST(only_kills_count)
{
    reap(SPAWN_END_KILLED, 0, 1);
    reap(SPAWN_END_KILLED, 0, 1);
    reap(SPAWN_END_NORMAL, 0, 0);
    reap(SPAWN_END_SICK, 0, 0);
    assert_decision(reap(SPAWN_END_KILLED, 0, 1), 0, 0, 0,
                    SPAWN_REPORT_KILLS);
}
END_TEST

START_TEST(killed_that_did_not_serve_is_not_missed)
{
    assert_decision(reap(SPAWN_END_KILLED, 0, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    assert_decision(reap(SPAWN_END_KILLED, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(killed_beyond_the_limit_is_not_replaced)
{
    totals.serving = limits.max_children;
    assert_decision(reap(SPAWN_END_KILLED, 0, 1), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    totals.serving--;
    assert_decision(reap(SPAWN_END_KILLED, 0, 1), 1, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(sick_slows_down_and_is_not_replaced)
{
    bucket.rate = 16;
    spawn_begin(&server, 5);
    assert_decision(reap(SPAWN_END_SICK, 0, 1), 0, 0, 0, SPAWN_REPORT_NONE);
    ck_assert_int_eq(bucket.rate, 1);
    ck_assert_int_eq(server.wanted, 5);
}
END_TEST

START_TEST(fatal_stops_the_server)
{
    bucket.rate = 16;
    assert_decision(reap(SPAWN_END_FATAL, 0, 1), 0, 0, 1, SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(fatal_of_old_is_sick)
{
    bucket.rate = 16;
    spawn_begin(&server, 5);
    assert_decision(reap(SPAWN_END_FATAL, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_OLD_FATAL);
    ck_assert_int_eq(bucket.rate, 1);
    ck_assert_int_eq(server.wanted, 5);
}
END_TEST

START_TEST(stranger_has_no_bucket)
{
    spawn_death_t death = {.end = SPAWN_END_FATAL};

    assert_decision(spawn_reaped(&server, NULL, &limits, 3, &death), 0, 0, 1,
                    SPAWN_REPORT_NONE);
    death.end = SPAWN_END_SICK;
    assert_decision(spawn_reaped(&server, NULL, &limits, 3, &death), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.sick, 1);
}
END_TEST

/* spawn_tick: nobody ever came to work */

START_TEST(sick_without_a_healthy_one_is_hopeless)
{
    reap(SPAWN_END_SICK, 0, 1);
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 0, 0, 1,
                    SPAWN_REPORT_HOPELESS);
}
END_TEST

START_TEST(sick_among_healthy_is_forgotten)
{
    reap(SPAWN_END_SICK, 0, 1);
    assert_decision(spawn_tick(&server, &limits, &totals, 1), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(sick_of_old_is_no_sign)
{
    reap(SPAWN_END_SICK, 1, 0);
    reap(SPAWN_END_FATAL, 1, 0);
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(begin_forgets)
{
    reap(SPAWN_END_SICK, 0, 1);
    reap(SPAWN_END_KILLED, 0, 1);
    reap(SPAWN_END_KILLED, 0, 1);
    spawn_begin(&server, 0);
    assert_decision(reap(SPAWN_END_KILLED, 0, 1), 1, 0, 0,
                    SPAWN_REPORT_NONE);
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

/* The start after a graceful restart */

START_TEST(wanted_replace_the_old_one_for_one)
{
    spawn_begin(&server, 3);
    serve(0, 0);
    totals.children = 8;
    for (int i = 0; i < 3; i++) {
        assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 1, 0, 0,
                        SPAWN_REPORT_NONE);
        totals.serving++;
    }
    assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(wanted_come_at_the_first_tick)
{
    limits.max_children = 64;
    spawn_begin(&server, 64);
    serve(0, 0);
    totals.free_slots = 64;
    reap(SPAWN_END_NORMAL, 1, 0);
    totals.serving = 1;
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 63, 0, 0,
                    SPAWN_REPORT_NONE);
    totals.serving = 64;
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(wanted_wait_for_slots)
{
    spawn_begin(&server, 10);
    serve(0, 0);
    totals.free_slots = 4;
    assert_decision(spawn_tick(&server, &limits, &totals, 0), 4, 0, 0,
                    SPAWN_REPORT_NONE);
    serve(4, 100);
    totals.free_slots = 0;
    assert_decision(spawn_tick(&server, &limits, &totals, 1), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 1, 0, 0,
                    SPAWN_REPORT_NONE);
    serve(5, 0);
    totals.free_slots = 9;
    assert_decision(spawn_tick(&server, &limits, &totals, 1), 5, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 0);
}
END_TEST

START_TEST(wanted_are_dropped_when_many_are_idle)
{
    spawn_begin(&server, 10);
    serve(8, 250);
    totals.free_slots = 0;
    spawn_tick(&server, &limits, &totals, 1);
    ck_assert_int_eq(server.wanted, 10);
    totals.idle = 251;
    spawn_tick(&server, &limits, &totals, 1);
    ck_assert_int_eq(server.wanted, 0);
    assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
}
END_TEST

START_TEST(wanted_are_bounded_by_children)
{
    spawn_begin(&server, 10);
    serve(14, 0);
    totals.free_slots = 50;
    assert_decision(spawn_tick(&server, &limits, &totals, 1), 2, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 0);

    /* A limit lowered by the restart may be exceeded at first. */
    spawn_begin(&server, 10);
    serve(18, 0);
    totals.free_slots = 50;
    assert_decision(spawn_tick(&server, &limits, &totals, 1), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 0);

    spawn_begin(&server, 10);
    totals.serving = 16;
    assert_decision(reap(SPAWN_END_NORMAL, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 10);
}
END_TEST

/* The replacement of a new child is not one of those still due. */
START_TEST(killed_new_child_keeps_the_count)
{
    spawn_begin(&server, 3);
    assert_decision(reap(SPAWN_END_KILLED, 0, 1), 1, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 3);
    assert_decision(reap(SPAWN_END_KILLED, 1, 0), 1, 0, 0,
                    SPAWN_REPORT_NONE);
    ck_assert_int_eq(server.wanted, 2);
    assert_decision(reap(SPAWN_END_KILLED, 1, 0), 0, 0, 0,
                    SPAWN_REPORT_KILLS);
    ck_assert_int_eq(server.wanted, 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("spawn");
    TCase *idle = tcase_create("decide");
    TCase *ends = tcase_create("reaped and tick");

    tcase_add_checked_fixture(idle, setup, NULL);
    tcase_add_test(idle, enough_idle_is_left_alone);
    tcase_add_test(idle, few_idle_start_more_each_time);
    tcase_add_test(idle, starts_are_bounded_by_slots);
    tcase_add_test(idle, starts_are_bounded_by_children);
    tcase_add_test(idle, slow_down_starts_at_one);
    tcase_add_test(idle, totals_follow_the_decision);
    tcase_add_test(idle, full_is_reported_when_nobody_is_idle);
    tcase_add_test(idle, idle_threads_that_refuse_are_idle);
    tcase_add_test(idle, near_then_full_once_each);
    tcase_add_test(idle, full_says_near_as_well);
    tcase_add_test(idle, full_is_reported_again_after_calm);
    tcase_add_test(idle, near_is_reported_again_after_calm);
    tcase_add_test(idle, all_children_there_is_full_too);
    tcase_add_test(idle, enough_idle_is_never_full);
    tcase_add_test(idle, no_slot_once);
    tcase_add_test(idle, no_slot_is_not_blamed_at_the_limit);
    tcase_add_test(idle, many_idle_let_one_go);
    tcase_add_test(idle, one_goes_at_a_time);
    tcase_add_test(idle, last_accepting_child_stays);
    tcase_add_test(idle, resting_are_taken_back_before_any_start);
    tcase_add_loop_test(idle, as_many_are_taken_back_as_are_needed, 0, 75);
    tcase_add_test(idle, others_start_where_those_that_rest_are_too_few);
    tcase_add_test(idle, taking_back_needs_no_slot);
    tcase_add_test(idle, taken_back_are_bounded_by_children);
    tcase_add_test(idle, nobody_is_taken_back_without_need);
    tcase_add_test(idle, one_rests_at_a_time);
    tcase_add_test(idle, bucket_where_all_rest_gets_one_back);
    tcase_add_test(idle, buckets_share_the_limits);
    tcase_add_test(idle, buckets_share_the_rate);
    tcase_add_test(idle, each_bucket_gets_a_child);
    tcase_add_test(idle, places_are_kept_for_empty_buckets);
    tcase_add_test(idle, one_goes_at_a_time_of_all_buckets);
    suite_add_tcase(s, idle);

    tcase_add_checked_fixture(ends, setup, NULL);
    tcase_add_test(ends, normal_end_waits_for_the_idle_rule);
    tcase_add_test(ends, killed_are_replaced_twice_then_wait);
    tcase_add_test(ends, only_kills_count);
    tcase_add_test(ends, killed_that_did_not_serve_is_not_missed);
    tcase_add_test(ends, killed_beyond_the_limit_is_not_replaced);
    tcase_add_test(ends, sick_slows_down_and_is_not_replaced);
    tcase_add_test(ends, fatal_stops_the_server);
    tcase_add_test(ends, fatal_of_old_is_sick);
    tcase_add_test(ends, stranger_has_no_bucket);
    tcase_add_test(ends, sick_without_a_healthy_one_is_hopeless);
    tcase_add_test(ends, sick_among_healthy_is_forgotten);
    tcase_add_test(ends, sick_of_old_is_no_sign);
    tcase_add_test(ends, begin_forgets);
    tcase_add_test(ends, wanted_replace_the_old_one_for_one);
    tcase_add_test(ends, wanted_come_at_the_first_tick);
    tcase_add_test(ends, wanted_wait_for_slots);
    tcase_add_test(ends, wanted_are_dropped_when_many_are_idle);
    tcase_add_test(ends, wanted_are_bounded_by_children);
    tcase_add_test(ends, killed_new_child_keeps_the_count);
    suite_add_tcase(s, ends);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
