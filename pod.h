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
 * pod: the pipe of death, by which a child learns to drain or to die.
 *
 * Each child has one of its own: the parent can tell a given child, and a
 * word can never reach a child of another generation.  Only the parent
 * holds the writing end, so its end of file tells the child that the parent
 * is gone.  The child's own threads call the main thread by a second pipe.
 *
 * Threads: [parent] opens, tells and closes; [main] waits; [any] wakes.
 * It owns its descriptors, and never logs.
 */

#ifndef EVENT_POD_H
#define EVENT_POD_H

#include <stdatomic.h>

#include "apr_errno.h"
#include "apr_pools.h"

#include "places.h"
#include "signals.h"

typedef struct pod_t pod_t;

typedef enum {
    POD_NOTHING,  /* time is up, or a signal was handled */
    POD_REST,     /* take no more connections until you are taken back */
    POD_RESUME,   /* take connections again */
    POD_RENEWED,  /* a new generation is being prepared; said twice, when
                   * it is asked for and when its module is loaded */
    POD_RELIEVED, /* another one is there: drain whenever you want to */
    POD_DRAIN,    /* take no more connections, finish those there are */
    POD_LAST,     /* that, and nobody else accepts any more */
    POD_HURRY,    /* that, and do not wait for clients that are idle */
    POD_EXIT,     /* leave now */
    POD_GONE,     /* the parent is gone */
    POD_WOKEN     /* a thread of this child called */
} pod_word_e;

/* What a child tells the parent, in memory both share. The parent believes
 * nothing that could hurt it. */
typedef struct pod_note_t {
    atomic_int wants_relief; /* atomic: another child should take its place */
    atomic_int crowded;      /* atomic: clients wait that it cannot accept */
    atomic_int heads;        /* atomic: its connections that wait for a whole
                              * request */
    atomic_uint late;        /* atomic: those for which that was too long, of
                              * all children that had the slot */
} pod_note_t;

/* What all children read all the time, so that it is in few lines of cache. */
typedef struct pod_board_t {
    atomic_int top;         /* atomic: the highest slot ever used, plus 1 */
    places_shown_t shown[]; /* atomic: the crew of the child in each slot */
} pod_board_t;

/*
 * Make a pod: *child_end for the child to be forked, *parent_end for the
 * parent, who owns both until then. Errors of pipe(2). [parent]
 */
apr_status_t pod_open(int *child_end, int *parent_end);

/* Tell the child at parent_end one of the words REST to EXIT; never blocks.
 * EAGAIN, EPIPE. [parent] */
apr_status_t pod_tell(int parent_end, pod_word_e word);

/*
 * Make the bell, by which any child calls the parent: *in is the parent's
 * end, *out what children ring with. Errors of pipe(2). [parent]
 */
apr_status_t pod_open_bell(int *in, int *out);

/* Ring it; and hear it: all rings so far are one. [any]; [parent] */
void pod_ring(int out);
void pod_hear(int in);

/* Close an end and forget it. [parent] [main] */
void pod_close(int *end);

/*
 * The child's side, taking over child_end (-1: there is no parent to listen
 * to). Errors of pipe(2). [main]
 */
apr_status_t pod_create(pod_t **pod, int child_end, apr_pool_t *pool);

/*
 * Sleep until there is something to know; timeout in microseconds, -1 for
 * no end. Once the parent was said to be gone, that is not said again. [main]
 */
pod_word_e pod_wait(pod_t *pod, const signals_t *sig,
                    apr_interval_time_t timeout);

/* Which of REST and RESUME came last: is this child to rest? These two take
 * each other back, so the stronger one does not count. [main] */
int pod_rests(const pod_t *pod);

/* Make pod_wait return POD_WOKEN. Async-signal-safe. [any] */
void pod_wake(pod_t *pod);

#endif /* EVENT_POD_H */
