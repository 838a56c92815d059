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
 * clock: the time every wait of this MPM is measured with.
 *
 * It never jumps when an administrator or NTP sets the wall clock, so a
 * KeepAliveTimeout is neither cut short nor stretched by that.  It has
 * nothing to do with apr_time_now(): never mix the two.
 */

#ifndef EVENT_CLOCK_H
#define EVENT_CLOCK_H

#include <time.h>

#include "apr_time.h"

/* A time that never comes. */
#define CLOCK_NEVER ((apr_time_t)0x7fffffffffffffffLL)

/* The monotonic time in microseconds. [any] */
static inline apr_time_t clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (apr_time_t)ts.tv_sec * APR_USEC_PER_SEC + ts.tv_nsec / 1000;
}

#endif /* EVENT_CLOCK_H */
