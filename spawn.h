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
 * spawn: how many children to start and when to let one go; census in,
 * decision out.
 *
 * Three questions, asked by the parent's loop: spawn_reaped when a child has
 * ended, spawn_tick about each second, and after it spawn_decide for each
 * bucket of listeners.
 *
 * Threads: [parent]. It owns nothing: what it remembers are plain values
 * that the parent keeps, all zero at first, and which may outlive the
 * module. It never forks, never logs and never sees the scoreboard.
 */

#ifndef EVENT_SPAWN_H
#define EVENT_SPAWN_H

/* How far it may go; figures of the whole server, after settings_check. */
typedef struct spawn_limits_t {
    int min_spare;    /* idle threads: fewer are too few */
    int max_spare;    /* idle threads: more are too many */
    int max_workers;  /* MaxRequestWorkers */
    int max_children; /* that serve at once */
    int threads;      /* ThreadsPerChild */
    int num_buckets;  /* the limits on threads are shared by so many */
} spawn_limits_t;

/*
 * The whole server's children. One that serves is of the current generation,
 * started or starting, is not about to stop (quiescing), and does not rest:
 * one that rests has a slot and takes no connections, until it is taken back
 * or drains.
 */
typedef struct spawn_totals_t {
    int children;      /* slots with a pid */
    int serving;       /* children that serve */
    int free_slots;    /* slots without a pid */
    int idle;          /* the sum of all buckets' */
    int empty_buckets; /* buckets without a child that serves */
} spawn_totals_t;

/*
 * One bucket's children and their threads. A child accepts if it serves and
 * is not at its limit of connections just now.
 */
typedef struct spawn_census_t {
    int idle;       /* threads idle or not yet up in children that accept */
    int refusing;   /* threads idle or not yet up in those that only serve */
    int active;     /* threads that are up in children that serve */
    int serving;    /* children that serve */
    int accepting;  /* children that accept */
    int resting;    /* children that could be taken back */
    int free_slots; /* slots of this bucket without a pid */
} spawn_census_t;

/*
 * Something worth one message: once it was reported, it is not again until
 * it has been absent for SPAWN_CALM decisions in a row (ten minutes: cleared
 * for good, not for a breath).
 */
typedef struct spawn_episode_t {
    int reported;
    int calm; /* decisions since it was last seen */
} spawn_episode_t;

#define SPAWN_CALM 600

/* What is remembered of one bucket. */
typedef struct spawn_bucket_t {
    int rate; /* children to start at the next need; 0 counts as 1 */
    spawn_episode_t full;
    spawn_episode_t near;
    spawn_episode_t no_slot;
} spawn_bucket_t;

/* What is remembered of the server. */
typedef struct spawn_server_t {
    int wanted; /* children still due from spawn_begin */
    int kills;  /* children killed since the last tick */
    int sick;   /* a child of this generation ended sick since then */
} spawn_server_t;

typedef enum {
    SPAWN_END_NORMAL,
    SPAWN_END_SICK,  /* for want of something: APEXIT_CHILDSICK */
    SPAWN_END_FATAL, /* hopelessly: APEXIT_CHILDFATAL */
    SPAWN_END_KILLED /* by a signal */
} spawn_end_e;

/* How a child ended. */
typedef struct spawn_death_t {
    spawn_end_e end;
    int old;     /* it was of an earlier generation */
    int serving; /* it served up to its end */
} spawn_death_t;

typedef enum {
    SPAWN_REPORT_NONE,
    SPAWN_REPORT_FULL,      /* all workers there may be are busy: AH00484 */
    SPAWN_REPORT_NEAR,      /* too few idle, no more allowed: AH10159 */
    SPAWN_REPORT_NO_SLOT,   /* all slots hold children: AH03490 */
    SPAWN_REPORT_MANY,      /* starts 8 or more at a time: AH00486 */
    SPAWN_REPORT_KILLS,     /* 3, 13, 23... killed in a row: AH10392 */
    SPAWN_REPORT_OLD_FATAL, /* an old one's end is no reason: AH00487 */
    SPAWN_REPORT_HOPELESS   /* no child ever came to work: AH02324 */
} spawn_report_e;

typedef struct spawn_decision_t {
    int resurrect; /* take back so many of those that rest */
    int fork;      /* start so many children */
    int retire;    /* let one child, whichever, rest (0 or 1) */
    int stop;      /* the server has to give up */
    spawn_report_e report;
} spawn_decision_t;

/*
 * The server begins to run, with wanted children yet to come: 0 if the
 * parent has started all it needs; after a graceful restart StartServers or,
 * if that is more, as many as served before, so that it comes back at once
 * to what it had. [parent]
 */
void spawn_begin(spawn_server_t *server, int wanted);

/*
 * Start with one child at the next need: when a generation begins, and when
 * a fork failed. [parent]
 */
void spawn_slow_down(spawn_bucket_t *bucket);

/*
 * A child of this bucket (NULL if nobody knows the child) has ended; serving
 * children are left. The answer is a child at once in its place, or none,
 * a report or the order to give up. [parent]
 */
spawn_decision_t spawn_reaped(spawn_server_t *server, spawn_bucket_t *bucket,
                              const spawn_limits_t *limits, int serving,
                              const spawn_death_t *death);

/*
 * A turn has passed without a child's end. The answer is how many of the
 * wanted children to start now, spread over the buckets, or the order to give
 * up, if a child ended sick and none of this generation has ever been healthy
 * (had all its threads up).
 * The census for spawn_decide is to be taken after doing so. [parent]
 */
spawn_decision_t spawn_tick(spawn_server_t *server,
                            const spawn_limits_t *limits,
                            const spawn_totals_t *totals, int healthy);

/*
 * The same turn, for each bucket. If idle threads are few: take back as many
 * as it needs of those that rest and, if these are not enough, start children
 * too, more each time. If they are many: let one rest. totals are corrected
 * by what is decided, so that the next bucket's turn sees it. [parent]
 */
spawn_decision_t spawn_decide(spawn_bucket_t *bucket,
                              const spawn_limits_t *limits,
                              const spawn_census_t *census,
                              spawn_totals_t *totals);

#endif /* EVENT_SPAWN_H */
