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
 * trial: whether a bound on how many workers run is worth having, by what
 * becomes of the entries that are begun under it.
 *
 * Where many of them are found asleep, waiting for a backend or a disk, the
 * bound saves nothing: it would be lifted for each of them anyway, but later,
 * and finding out costs more than a few switches.  So there is no bound for a
 * while: the free time. Then it is tried again.
 *
 * Threads: the owner's. It is a plain value and a pure rule; counts and times
 * are arguments.
 */

#ifndef EVENT_TRIAL_H
#define EVENT_TRIAL_H

#include "apr_time.h"

/* A trial ends after so many entries. More than one in so many of them are to
 * be asleep: where one in twenty-five is, they are so by chance now and then,
 * and as free times are longer than trials, half of the time is free. The free
 * time ends after so many, or so long, whichever comes first. */
#define TRIAL_ENTRIES 32
#define TRIAL_SHARE 8
#define TRIAL_FREE 4096
#define TRIAL_FREE_TIME apr_time_from_sec(1)

typedef struct trial_t {
    unsigned int from;   /* so many had ever been begun when this trial, or
                          * this free time, began */
    apr_time_t at;       /* when that was */
    unsigned int asleep; /* of those begun since then, found asleep */
    int free;            /* it is free time */
} trial_t;

/* A first trial begins; nothing was begun before. */
void trial_init(trial_t *trial);

/* It is now, and so many entries were ever begun, modulo 2^32: may anybody be
 * looked at? Always during a trial, and once when the free time is over. */
int trial_looks(const trial_t *trial, unsigned int begun, apr_time_t now);

/* An entry that was begun at since has been found asleep. */
void trial_asleep(trial_t *trial, apr_time_t since);

/* After the looking, with the same begun and now: is there to be no bound? */
int trial_frees(trial_t *trial, unsigned int begun, apr_time_t now);

/* When the free time is over at the latest. */
apr_time_t trial_due(const trial_t *trial);

#endif /* EVENT_TRIAL_H */
