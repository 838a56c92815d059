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


/* trial: see trial.h */

#include "trial.h"

static void begin(trial_t *t, int is_free, unsigned int begun, apr_time_t now)
{
    t->from = begun;
    t->at = now;
    t->asleep = 0;
    t->free = is_free;
}

void trial_init(trial_t *t)
{
    begin(t, 0, 0, 0);
}

static unsigned int tried(const trial_t *t, unsigned int begun)
{
    return begun - t->from;
}

int trial_looks(const trial_t *t, unsigned int begun, apr_time_t now)
{
    return !t->free || tried(t, begun) >= TRIAL_FREE || now >= trial_due(t);
}

void trial_asleep(trial_t *t, apr_time_t since)
{
    /* Those that had begun before may have slept for long, and say nothing of
     * what comes now. */
    t->asleep += since >= t->at;
}

int trial_frees(trial_t *t, unsigned int begun, apr_time_t now)
{
    unsigned int n = tried(t, begun);

    if (t->free) {
        if (trial_looks(t, begun, now)) {
            begin(t, 0, begun, now);
        }
    }
    else if (n >= TRIAL_ENTRIES) {
        begin(t, t->asleep > n / TRIAL_SHARE, begun, now);
    }
    return t->free;
}

apr_time_t trial_due(const trial_t *t)
{
    return t->at + TRIAL_FREE_TIME;
}
