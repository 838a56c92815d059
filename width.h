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
 * width: how many workers of one process may run at a time so that most gets
 * done, by what does get done.
 *
 * Threads of a process that map and unmap files wait for each other, and each
 * interrupts the processors of the others: where requests are small, two may
 * do less than one would. So while much is going on, half of those that run
 * are compared with all that may, now and then, in short slots that alternate,
 * and what is better stays; another time that is compared with twice as many,
 * so that there is a way back.
 *
 * Fewer have to be better: where it makes no difference, as many may run as
 * there are processors. And who leave nothing waiting have done all that there
 * was, however much that is: so more are never worse while that is so.
 *
 * Threads: the owner's. It is a plain value and a pure rule; counts and times
 * are arguments.
 */

#ifndef EVENT_WIDTH_H
#define EVENT_WIDTH_H

#include "apr_time.h"

/* A slot is so long, and says something if so many entries begin in it. */
#define WIDTH_SLOT apr_time_from_msec(20)
#define WIDTH_ENTRIES 64

/* A comparison is so many pairs of slots; all must be for a change. */
#define WIDTH_PAIRS 3

/* Fewer are better if they do at least so much, in percent of what more do. */
#define WIDTH_BETTER 105

/* A pause is so long. Between two comparisons there is one, and twice as many
 * each time that nothing changes, at most the maximum. After one in which
 * little went on all may run again. */
#define WIDTH_PAUSE apr_time_from_msec(250)
#define WIDTH_PAUSES_MAX 8

/* What happened in a slot, or a pause. */
typedef struct width_slot_t {
    unsigned int entries;
    apr_interval_time_t time;
    int is_enough; /* mostly there was nothing left that waited */
} width_slot_t;

typedef struct width_t {
    int most;
    int best;                  /* that many do most, as far as is known */
    int other;                 /* compared with that; 0: it is a pause */
    int goes_down;             /* the next comparison is with fewer, if both
                                * are possible */
    int peak;                  /* so many have run in this pause */
    int slot;                  /* of the comparison; odd ones are other's */
    unsigned int from;         /* so many had ever been begun when this slot,
                                * or pause, began */
    apr_time_t at;             /* when that was */
    int reviews;               /* so many since then */
    int waited;                /* and in so many of them something waited */
    int pauses;                /* between two comparisons */
    int paused;                /* and so many of them are over */
    width_slot_t last;         /* the slot before this one */
} width_t;

/* As many as most may run at first. */
void width_init(width_t *width, int most);

/*
 * It is now, so many entries were ever begun, modulo 2^32, so many workers
 * run, and an entry waits or none does: how many may run from now on? 1 to
 * most. To be asked several times in each slot while entries wait, and at least
 * once in any; a slot that was much too long says nothing.
 */
int width_review(width_t *width, unsigned int begun, int running, int waits,
                 apr_time_t now);

#endif /* EVENT_WIDTH_H */
