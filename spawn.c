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
 * spawn: see spawn.h. The idea of the idle rule: a child's threads count as
 * idle from the moment it is forked, so need that persists at the next tick
 * is need that the last fork did not meet, and then twice as many are right.
 */

#include "spawn.h"

/* Children started per tick at most, by all buckets together. */
#define RATE_MAX 32

/* From this rate on, somebody should know. */
#define RATE_REPORTED 8

/* Killed children replaced at once before a tick has to pass. */
#define KILLS_REPLACED 2

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* One bucket's part of a limit: never nothing, or it would get no child. */
static int share(int limit, const spawn_limits_t *limits)
{
    int part = limit / limits->num_buckets;

    return part > 0 ? part : 1;
}

/* Is this the moment to report what is so or is not so now? */
static int is_news(spawn_episode_t *episode, int is_so)
{
    int news = is_so && !episode->reported;

    if (is_so) {
        episode->reported = 1;
        episode->calm = 0;
    }
    else if (episode->reported && ++episode->calm >= SPAWN_CALM) {
        episode->reported = 0;
    }
    return news;
}

void spawn_begin(spawn_server_t *server, int wanted)
{
    server->wanted = wanted;
    server->kills = 0;
    server->sick = 0;
}

void spawn_slow_down(spawn_bucket_t *bucket)
{
    bucket->rate = 1;
}

/* Does this child's end call for a child at once? */
static int is_replaced(const spawn_server_t *server,
                       const spawn_death_t *death)
{
    switch (death->end) {
    case SPAWN_END_NORMAL:
        return server->wanted > 0;
    case SPAWN_END_KILLED:
        /* A child that dies as soon as it works would fork us to death. */
        return server->kills <= KILLS_REPLACED
               && (death->serving || server->wanted > 0);
    default:
        /* What one lacked, the next would lack too. */
        return 0;
    }
}

spawn_decision_t spawn_reaped(spawn_server_t *server, spawn_bucket_t *bucket,
                              const spawn_limits_t *limits, int serving,
                              const spawn_death_t *death)
{
    spawn_decision_t decision = {0};

    if (death->end == SPAWN_END_FATAL && !death->old) {
        decision.stop = 1;
        return decision;
    }
    if (death->end == SPAWN_END_FATAL) {
        decision.report = SPAWN_REPORT_OLD_FATAL;
    }
    if (death->end == SPAWN_END_FATAL || death->end == SPAWN_END_SICK) {
        if (bucket) {
            spawn_slow_down(bucket);
        }
        /* An old child's end says nothing about this generation. */
        server->sick |= !death->old;
    }
    if (death->end == SPAWN_END_KILLED && ++server->kills % 10 == 3) {
        decision.report = SPAWN_REPORT_KILLS;
    }
    if (is_replaced(server, death) && serving < limits->max_children) {
        decision.fork = 1;
        /* In the place of one that served, it is not one of those due. */
        if (!death->serving) {
            server->wanted--;
        }
    }
    return decision;
}

spawn_decision_t spawn_tick(spawn_server_t *server,
                            const spawn_limits_t *limits,
                            const spawn_totals_t *totals, int healthy)
{
    spawn_decision_t decision = {0};

    server->kills = 0;
    if (server->sick && !healthy) {
        decision.stop = 1;
        decision.report = SPAWN_REPORT_HOPELESS;
        return decision;
    }
    server->sick = 0;
    decision.fork = least(server->wanted,
                          limits->max_children - totals->serving);
    decision.fork = least(decision.fork, totals->free_slots);
    decision.fork = decision.fork > 0 ? decision.fork : 0;
    server->wanted -= decision.fork;
    if (totals->serving + decision.fork >= limits->max_children
        || totals->idle > limits->max_spare) {
        /* Those still due, for whom there was no slot, are not missed. */
        server->wanted = 0;
    }
    return decision;
}

/* Starting children is of no use or not allowed: is that news? */
static spawn_report_e report_limit(spawn_bucket_t *bucket,
                                   const spawn_census_t *census, int at_max,
                                   int no_slot)
{
    int none_idle = census->idle + census->refusing == 0;
    int full = is_news(&bucket->full, at_max && none_idle);
    int near = is_news(&bucket->near, at_max);

    if (is_news(&bucket->no_slot, no_slot)) {
        return SPAWN_REPORT_NO_SLOT;
    }
    if (full) {
        return SPAWN_REPORT_FULL;
    }
    return near ? SPAWN_REPORT_NEAR : SPAWN_REPORT_NONE;
}

/* How many of those that rest to take back, where room are allowed. That
 * costs nothing, so it is as many as are needed and not the rate. */
static int count_needed(const spawn_limits_t *limits,
                        const spawn_census_t *census, int room)
{
    int missing = share(limits->min_spare, limits) - census->idle;
    int needed = (missing + limits->threads - 1) / limits->threads;

    return least(needed, least(census->resting, room));
}

/* Start some of the room children that are allowed, and double the rate. */
static void start_some(spawn_bucket_t *bucket, const spawn_limits_t *limits,
                       int room, spawn_decision_t *decision)
{
    int rate = bucket->rate > 0 ? bucket->rate : 1;

    decision->fork = least(rate, room);
    if (rate >= RATE_REPORTED) {
        decision->report = SPAWN_REPORT_MANY;
    }
    bucket->rate = least(2 * rate, share(RATE_MAX, limits));
}

/*
 * May one child go? Not while another is going or rests, unless there are
 * slots to start as many anew as ever may serve; and never the last one
 * accepting.
 */
static int may_retire(const spawn_limits_t *limits,
                      const spawn_census_t *census,
                      const spawn_totals_t *totals)
{
    return census->accepting > 1
           && (totals->children == totals->serving
               || totals->free_slots > limits->max_children);
}

spawn_decision_t spawn_decide(spawn_bucket_t *bucket,
                              const spawn_limits_t *limits,
                              const spawn_census_t *census,
                              spawn_totals_t *totals)
{
    spawn_decision_t decision = {0};
    int was_empty = census->serving == 0;
    int few = census->idle < share(limits->min_spare, limits);
    int at_max = few
                 && (census->active >= share(limits->max_workers, limits)
                     || totals->serving >= limits->max_children);
    /* Each bucket without a child has a place kept, or it would be deaf. */
    int room = limits->max_children - totals->serving
               - (totals->empty_buckets - was_empty);
    int starts = few && !at_max && room > 0;

    if (starts) {
        decision.resurrect = count_needed(limits, census, room);
        room -= decision.resurrect;
        starts = room > 0
                 && census->idle + decision.resurrect * limits->threads
                        < share(limits->min_spare, limits);
    }
    decision.report = report_limit(bucket, census, at_max,
                                   starts && census->free_slots < 1);
    if (starts && census->free_slots > 0) {
        start_some(bucket, limits, least(room, census->free_slots),
                   &decision);
    }
    else {
        spawn_slow_down(bucket);
    }
    if (census->idle > share(limits->max_spare, limits)
        && may_retire(limits, census, totals)) {
        decision.retire = 1;
    }
    totals->children += decision.fork;
    totals->free_slots -= decision.fork;
    totals->serving += decision.resurrect + decision.fork - decision.retire;
    totals->empty_buckets
        -= was_empty && decision.resurrect + decision.fork > 0;
    return decision;
}
