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
 * stress: what the stress programs have in common.
 *
 * A program's first argument is how much it does; a violation, or the alarm
 * where something hangs, ends it with a code that is not zero.
 */

#ifndef EVENT_STRESS_H
#define EVENT_STRESS_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* About a second, without a sanitizer, on two processors. */
#define STRESS_ITERATIONS 20000

/* Seconds in which even a sanitizer on a busy machine is through. */
#define STRESS_TOO_LONG 500

#define MUST(claim)                                                          \
    do {                                                                     \
        if (!(claim)) {                                                      \
            stress_failed(__FILE__, __LINE__, #claim);                       \
        }                                                                    \
    } while (0)

static inline void stress_failed(const char *file, int line,
                                 const char *claim)
{
    fprintf(stderr, "%s:%d: violated: %s\n", file, line, claim);
    fflush(stderr);
    /* Other threads are still at work on what exit() would take away. */
    _exit(EXIT_FAILURE);
}

/* How much to do; from now on the alarm is set. */
static inline int stress_iterations(int argc, char **argv)
{
    int iterations = argc > 1 ? atoi(argv[1]) : STRESS_ITERATIONS;

    if (iterations < 1) {
        fprintf(stderr, "usage: %s [iterations]\n", argv[0]);
        exit(EXIT_FAILURE);
    }
    alarm(STRESS_TOO_LONG);
    return iterations;
}

static inline pthread_t stress_start(void *(*fn)(void *), void *data)
{
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, fn, data) == 0);
    return thread;
}

static inline void stress_join(pthread_t thread)
{
    MUST(pthread_join(thread, NULL) == 0);
}

/* 0 to below - 1; the same numbers in every run. */
static inline unsigned stress_random(unsigned *state, unsigned below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

#endif /* EVENT_STRESS_H */
