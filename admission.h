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
 * admission: when a child takes connections: as many as the rule of
 * AsyncRequestWorkerFactor lets it have, none for a while when descriptors or
 * memory are short, none while it rests.  It opens and shuts the doors.
 *
 * Threads: [listener], with the lock of the acceptor, whose this is, where it
 * opens or shuts doors; [worker] asks for the rule, and whether the listener
 * should look again.
 */

#ifndef EVENT_ADMISSION_H
#define EVENT_ADMISSION_H

#include <stdatomic.h>

#include "doors.h"
#include "runtime.h"
#include "shortage.h"

typedef struct admission_t {
    runtime_t *runtime;  /* const */
    doors_t *doors;      /* const */
    shortage_t shortage; /* listener: of descriptors or memory */
    atomic_int full;     /* listener writes, workers read: the doors are shut
                          * because of the rule */
} admission_t;

/*
 * The rule of AsyncRequestWorkerFactor: with conns connections that count
 * and idle of threads workers idle, may there be one more? [any]
 */
static inline int admission_rule(int conns, int idle, int threads,
                                 double factor)
{
    return idle > 0 && conns < threads + factor * idle;
}

/* Nothing is taken before the first review; doors are shut. [main] */
void admission_init(admission_t *admission, runtime_t *runtime,
                    doors_t *doors);

/* How many workers could take a connection now. [any] */
int admission_idle(const admission_t *admission);

/* Does the rule allow one more, doors open or shut? [any] */
int admission_allows(const admission_t *admission);

/* Accepting failed, for rv, which is no fault of a client: the next review
 * shuts the doors, for longer each time. Logs it once. [listener] */
void admission_fails(admission_t *admission, apr_status_t rv, apr_time_t now);

/* A connection was accepted. [listener] */
void admission_works(admission_t *admission);

/* Open the doors or shut them, as it should be now. Under the lock.
 * [listener] */
void admission_review(admission_t *admission, apr_time_t now);

/* The doors are closed for good: nobody need wake us for them. [listener] */
void admission_end(admission_t *admission);

/* Has a failure made it pause, and does it still? [listener] */
int admission_pauses(admission_t *admission, apr_time_t now);

/* Did the last try fail? [listener] */
int admission_is_short(const admission_t *admission);

/* Are the doors shut because of the rule? [any] */
int admission_is_full(const admission_t *admission);

/* When to review at the latest, CLOCK_NEVER if nothing is due. [listener] */
apr_time_t admission_due(const admission_t *admission);

/* A worker is done, or a connection gone: wake the listener if the doors are
 * shut and need not be any longer. [any] */
void admission_nudge(admission_t *admission);

#endif /* EVENT_ADMISSION_H */
