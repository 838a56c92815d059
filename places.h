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
 * places: on which processors the workers of a crew run, and who of them
 * should go to another.
 *
 * The kernel chooses a processor for a thread when it wakes.  Workers that
 * find entry after entry hardly ever sleep, and two of them may stay on one
 * processor, taking turns with each other and with who wakes them, while
 * another is idle: it looks for such threads only now and then, and leaves
 * alone those that ran a moment ago.
 *
 * Threads: [worker]; the listener takes off who is blocked.  All with the lock
 * of the crew's queue.  What crews show each other are hints.
 */

#ifndef EVENT_PLACES_H
#define EVENT_PLACES_H

#include <stdatomic.h>

/* Processors are told apart by their numbers modulo this. */
#define PLACES_NUM 32

/* What others see of a crew, in memory that all share. */
typedef struct places_shown_t {
    atomic_int running; /* how many of its workers run */
    atomic_uint taken;  /* a bit for each processor with any of them */
} places_shown_t;

/* A crew's workers, and what it knows of the others; zeros at first. */
typedef struct places_t {
    unsigned short on[PLACES_NUM]; /* how many run there */
    unsigned int taken;            /* a bit for each that is not 0 */
    unsigned char crowded[PLACES_NUM]; /* so many entries in a row were taken
                                        * there beside another worker */
} places_t;

/* Where a worker is counted: a processor's number plus 1, 0: nowhere. */
typedef int place_t;

/* It runs on that processor; -1: nobody knows. [worker] */
void places_enter(places_t *places, place_t *place, int processor);

/* It does not run any more. [worker] [listener] */
void places_leave(places_t *places, place_t *place);

/*
 * The worker at place has taken another entry: a bit for each processor that
 * it should rather be on, 0 if it is well where it is. That is, when for a
 * while another of this crew, or one of a crew before it, was there too, while
 * some of num processors had none. shown and top are all crews', mine is this
 * one's index. [worker]
 */
unsigned int places_better(places_t *places, place_t place, int num,
                           const places_shown_t *shown, int top, int mine);

#endif /* EVENT_PLACES_H */
