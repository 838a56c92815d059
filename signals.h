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
 * signals: which thread may be interrupted by what, and a sleep that no
 * signal can slip past.
 *
 * The parent runs with its signals held back and lets them in only while it
 * sleeps, so that one that comes between looking at a flag and going to
 * sleep is not slept over.  A child's main thread does the same for TERM;
 * all other threads of a child take no signals at all.
 *
 * No handler of this room outlives the run of the MPM: the module may be
 * unloaded afterwards.
 */

#ifndef EVENT_SIGNALS_H
#define EVENT_SIGNALS_H

#include <poll.h>
#include <signal.h>

#include "apr_time.h"

/* For a child to be sent when its parent is gone, where that can be had. */
#define SIGNALS_PARENT_GONE SIGUSR1

typedef struct signals_t {
    sigset_t outside; /* the mask before signals_hold */
    sigset_t asleep;  /* the mask while signals_sleep waits */
} signals_t;

/*
 * Hold back what a parent acts on, its children's ends included, until
 * signals_release; they are let in by signals_sleep alone. [parent]
 */
void signals_hold(signals_t *sig);

/* Back to the mask of before, and to no handler for children's ends.
 * [parent] */
void signals_release(const signals_t *sig);

/*
 * In a freshly forked child: back to the mask of before signals_hold, with
 * handler for TERM; what only parents understand does nothing. [main]
 */
void signals_start_child(const signals_t *sig, void (*handler)(int));

/*
 * From now on this thread is interrupted by TERM and SIGNALS_PARENT_GONE (by
 * INT instead, if interactive: there is no parent then) while it is in
 * signals_sleep, and at no other time. [main]
 */
void signals_take_term(signals_t *sig, int interactive);

/*
 * Sleep until a descriptor is ready, a signal was handled or timeout
 * (microseconds; -1 for no end) has passed. As poll(2): the number of ready
 * descriptors, 0 when time is up, -1 with errno. [parent] [main]
 */
int signals_sleep(const signals_t *sig, struct pollfd *fds, int num_fds,
                  apr_interval_time_t timeout);

#endif /* EVENT_SIGNALS_H */
