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
 * children: the parent's hands: starts children, notices their ends, and
 * does in each turn what the rules of spawn say.
 *
 * Threads: [parent].
 */

#ifndef EVENT_CHILDREN_H
#define EVENT_CHILDREN_H

#include "httpd.h"

#include "runtime.h"
#include "settings.h"
#include "signals.h"
#include "spawn.h"
#include "startup.h"

/* What the parent works with from the start of a run to its end. */
typedef struct children_t {
    retained_t *retained; /* const */
    apr_pool_t *pconf;    /* const */
    server_rec *server;   /* const */
    settings_t *settings; /* const */
    runtime_t **runtime;  /* const; set in children */
    signals_t *signals; /* const; held back from before the run to its end */
    spawn_limits_t limits; /* const */
    int healthy;     /* a child of this run has had all its workers up */
    int fork_failed; /* in this turn: none is tried again before the next */
    int stalled;     /* it was said that the new generation does not start */
    int give_up;     /* exit code, once the server cannot go on */
} children_t;

/* All children, and those of this generation that serve. */
spawn_totals_t children_count(const children_t *children);

/* Start up to n, spread over the buckets: how many could be. */
int children_start(children_t *children, int n);

/* See who has ended, and start others at once where the rules say so. */
void children_reap(children_t *children);

/* The turn of about a second: enough idle workers, not too many. */
void children_maintain(children_t *children);

/*
 * Has a child asked for help, since the last time, with clients that wait to
 * be accepted? Then help: start children as children_maintain would.
 */
int children_want_help(const children_t *children);
void children_help(children_t *children);

/*
 * Children that have served their time are relieved: each goes on serving
 * until another has all its workers up. How many still wait for that.
 */
int children_relieve(children_t *children);

/* Those of this generation that have all their workers up; *idle (may be
 * NULL) becomes the number of idle workers. */
int children_healthy(children_t *children, int *idle);

#endif /* EVENT_CHILDREN_H */
