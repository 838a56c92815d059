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


/* width: see width.h */

#include "width.h"

/* A slot or a pause begins. */
static void begin(width_t *w, unsigned int begun, apr_time_t now)
{
    w->from = begun;
    w->at = now;
    w->reviews = 0;
    w->waited = 0;
}

static void begin_pause(width_t *w, unsigned int begun, apr_time_t now)
{
    w->other = 0;
    w->peak = 0;
    begin(w, begun, now);
}

void width_init(width_t *w, int most)
{
    w->most = w->best = most;
    w->goes_down = 1;
    w->pauses = 1;
    begin_pause(w, 0, 0);
}

static int min(int a, int b)
{
    return a < b ? a : b;
}

/* What to compare the best with, 0 if that would say nothing. */
static int choose_other(const width_t *w)
{
    int busy = min(w->peak, w->best);

    if (w->best == w->most || (w->best > 1 && w->goes_down)) {
        return busy / 2; /* more than run make no difference */
    }
    return busy == w->best ? min(2 * w->best, w->most) : 0;
}

/* Is other better than best, by this slot and the one before it? */
static int other_is_better(const width_t *w, const width_slot_t *slot)
{
    int is_fewer = w->other < w->best;
    const width_slot_t *few = is_fewer ? slot : &w->last;
    const width_slot_t *many = is_fewer ? &w->last : slot;

    int few_are_better
        = !many->is_enough
          && (apr_int64_t)few->entries * many->time * 100
                 >= (apr_int64_t)many->entries * few->time * WIDTH_BETTER;

    return is_fewer == few_are_better;
}

/* A comparison is over: is the other the best from now on? */
static void decide(width_t *w, int is_changed)
{
    w->goes_down = !w->goes_down;
    if (is_changed) {
        w->best = w->other;
        w->pauses = 1;
    }
    else if (w->pauses < WIDTH_PAUSES_MAX) {
        w->pauses *= 2;
    }
}

/* Does so little go on that more than one run only by chance? */
static int is_quiet(const width_slot_t *slot)
{
    return (apr_int64_t)slot->entries * WIDTH_SLOT
           < (apr_int64_t)WIDTH_ENTRIES * slot->time;
}

static void review_slot(width_t *w, const width_slot_t *slot,
                        unsigned int begun, apr_time_t now)
{
    int is_others = w->slot % 2;

    /* If it was too long, nobody has asked. */
    if (is_quiet(slot) || slot->time > 2 * WIDTH_SLOT
        || (is_others && !other_is_better(w, slot))) {
        decide(w, 0);
        begin_pause(w, begun, now);
    }
    else if (++w->slot == 2 * WIDTH_PAIRS) {
        decide(w, 1);
        begin_pause(w, begun, now);
    }
    else {
        w->last = *slot;
        begin(w, begun, now);
    }
}

static void review_pause(width_t *w, const width_slot_t *slot,
                         unsigned int begun, apr_time_t now)
{
    int other = 0;

    if (is_quiet(slot)) {
        w->best = w->most;
        w->pauses = 1;
        w->paused = 0;
    }
    else if (++w->paused >= w->pauses) {
        w->paused = 0;
        other = choose_other(w);
        if (other == 0) {
            w->goes_down = !w->goes_down;
        }
    }
    begin_pause(w, begun, now);
    w->other = other;
    w->slot = 0;
}

int width_review(width_t *w, unsigned int begun, int running, int waits,
                 apr_time_t now)
{
    width_slot_t slot = {begun - w->from, now - w->at, 0};

    w->reviews++;
    w->waited += waits;
    slot.is_enough = 2 * w->waited <= w->reviews;
    w->peak = running > w->peak ? running : w->peak;
    if (slot.time >= WIDTH_PAUSE) {
        review_pause(w, &slot, begun, now); /* of an idle time, too */
    }
    else if (w->other != 0 && slot.time >= WIDTH_SLOT) {
        review_slot(w, &slot, begun, now);
    }
    return w->other != 0 && w->slot % 2 ? w->other : w->best;
}
