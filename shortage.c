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

/* shortage: see shortage.h */

#include "clock.h"
#include "shortage.h"

void shortage_init(shortage_t *s)
{
    s->pause = 0;
    s->retry_at = CLOCK_NEVER;
    s->calm_at = CLOCK_NEVER;
}

int shortage_begins(shortage_t *s, apr_time_t now)
{
    int news = s->calm_at == CLOCK_NEVER;

    s->calm_at = now + SHORTAGE_CALM;
    if (s->pause == 0) {
        s->pause = SHORTAGE_PAUSE;
    }
    else if (s->pause < SHORTAGE_PAUSE_MAX) {
        s->pause *= 2;
    }
    s->retry_at = now + s->pause;
    return news;
}

void shortage_eases(shortage_t *s)
{
    s->pause = 0;
}

int shortage_pauses(shortage_t *s, apr_time_t now)
{
    if (s->retry_at <= now) {
        s->retry_at = CLOCK_NEVER;
    }
    return s->retry_at != CLOCK_NEVER;
}

int shortage_is_on(const shortage_t *s)
{
    return s->pause != 0;
}

int shortage_ends(shortage_t *s, apr_time_t now)
{
    if (now < s->calm_at) {
        return 0;
    }
    shortage_init(s);
    return 1;
}

apr_time_t shortage_due(const shortage_t *s)
{
    return s->retry_at < s->calm_at ? s->retry_at : s->calm_at;
}
