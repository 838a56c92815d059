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
 * shortage: how long to leave off what fails for want of something: longer
 * each time while it goes on, and when it is over.
 *
 * Threads: the owner's. It is a plain value and a pure rule; the time is an
 * argument.
 */

#ifndef EVENT_SHORTAGE_H
#define EVENT_SHORTAGE_H

#include "apr_time.h"

/* The first pause and the longest. */
#define SHORTAGE_PAUSE apr_time_from_msec(50)
#define SHORTAGE_PAUSE_MAX apr_time_from_msec(800)

/* A shortage is over when there was no failure for so long. */
#define SHORTAGE_CALM apr_time_from_sec(5)

typedef struct shortage_t {
    apr_interval_time_t pause; /* the last one's length; 0: it worked since */
    apr_time_t retry_at;       /* when it is over; CLOCK_NEVER: no pause */
    apr_time_t calm_at;        /* it is all over if nothing fails before this;
                                * CLOCK_NEVER: there is no shortage */
} shortage_t;

/* There is none. */
void shortage_init(shortage_t *shortage);

/* It failed: pause. 1 if that is news. */
int shortage_begins(shortage_t *shortage, apr_time_t now);

/* It worked: the next pause, if any, is short again. */
void shortage_eases(shortage_t *shortage);

/* Is there a pause now? */
int shortage_pauses(shortage_t *shortage, apr_time_t now);

/* Did the last try fail? */
int shortage_is_on(const shortage_t *shortage);

/* Is it over, as of now? Once. */
int shortage_ends(shortage_t *shortage, apr_time_t now);

/* When to ask again at the latest; CLOCK_NEVER if there is none. */
apr_time_t shortage_due(const shortage_t *shortage);

#endif /* EVENT_SHORTAGE_H */
