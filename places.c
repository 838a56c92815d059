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

/* places: see places.h */

#include <limits.h>

#include "places.h"

/* So many entries in a row are no coincidence, and going elsewhere costs less
 * than they. */
#define CROWDED_MANY 8

/* Of a place that is somewhere. */
#define INDEX(place) (((place) - 1) % PLACES_NUM)
#define BIT(place) (1u << INDEX(place))

void places_leave(places_t *places, place_t *place)
{
    if (*place != 0) {
        /* Who remains may be alone now. */
        places->crowded[INDEX(*place)] = 0;
        if (--places->on[INDEX(*place)] == 0) {
            places->taken &= ~BIT(*place);
        }
    }
    *place = 0;
}

void places_enter(places_t *places, place_t *place, int processor)
{
    if (*place == processor + 1) {
        return;
    }
    places_leave(places, place);
    if (processor >= 0) {
        *place = processor + 1;
        places->on[INDEX(*place)]++;
        places->taken |= BIT(*place);
    }
}

static int count_bits(unsigned int bits)
{
    int n;

    for (n = 0; bits != 0; n++) {
        bits &= bits - 1;
    }
    return n;
}

/* Of two crews that share a processor the later one goes: if both did, they
 * would meet again. */
static int is_crowded(const places_t *places, place_t place,
                      const places_shown_t *shown, int mine)
{
    int i;

    if (places->on[INDEX(place)] > 1) {
        return 1;
    }
    for (i = 0; i < mine; i++) {
        if (atomic_load(&shown[i].taken) & BIT(place)) {
            return 1;
        }
    }
    return 0;
}

unsigned int places_better(places_t *places, place_t place, int num,
                           const places_shown_t *shown, int top, int mine)
{
    unsigned int taken = places->taken;
    int i;

    if (place == 0) {
        return 0;
    }
    if (!is_crowded(places, place, shown, mine)) {
        places->crowded[INDEX(place)] = 0;
        return 0;
    }
    for (i = 0; i < top; i++) {
        taken |= atomic_load(&shown[i].taken);
    }
    if (count_bits(taken) >= num || taken == UINT_MAX) {
        places->crowded[INDEX(place)] = 0;
        return 0;
    }
    if (++places->crowded[INDEX(place)] < CROWDED_MANY) {
        return 0;
    }
    places->crowded[INDEX(place)] = 0;
    return ~taken;
}
