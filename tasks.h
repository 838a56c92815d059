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
 * tasks: does a thread of this process wait for something, or would it run
 * if it had a processor? And which one has it?
 *
 * Only the kernel knows; where it cannot be asked, TASKS_CAN_TELL is 0 and
 * the answer is always that nobody knows.
 *
 * Threads: [any]. It owns nothing and never logs.
 */

#ifndef EVENT_TASKS_H
#define EVENT_TASKS_H

#include <stdatomic.h>

#include "apr_time.h"

#if defined(__linux__) && !defined(EVENT_PORTABLE_ONLY)
#define TASKS_CAN_TELL 1
#else
#define TASKS_CAN_TELL 0
#endif

/* The calling thread, by a number that others may ask with. [any] */
long tasks_self(void);

/* The processor it is on, -1 if that is unknown. [any] */
int tasks_processor(void);

/* On how many the calling thread may run, 0 or less if that is unknown.
 * [any] */
int tasks_processors(void);

/*
 * Have the calling thread go on on a processor whose number, modulo num, is
 * that of a bit in wanted, if it may run on one; it is not bound to that
 * afterwards. 1 if it has gone. Costs a few system calls. [any]
 */
int tasks_go(unsigned int wanted, int num);

/*
 * Sleep while *word is value and time (microseconds) is not over; perhaps
 * not so long. Wake who does, after changing the word. [any]
 */
void tasks_wait(atomic_int *word, int value, apr_interval_time_t time);
void tasks_wake(atomic_int *word);

typedef enum {
    TASKS_UNKNOWN, /* cannot be found out */
    TASKS_RUNS,    /* or would, if it had a processor */
    TASKS_MAPS,    /* waits until others of this process have mapped or
                    * unmapped something: who joins them waits for the same */
    TASKS_SLEEPS   /* waits for something else */
} tasks_state_e;

/* What that thread of this process does. Costs three system calls; for one in
 * a sleep that nothing interrupts six, or some more. [any] */
tasks_state_e tasks_state(long task);

#endif /* EVENT_TASKS_H */
