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
 * fuzz_gate: what must be true of the gate for every input; the libFuzzer
 * target, and check_gate.c, ask fuzz_gate_complaint.
 *
 * The first byte of an input chooses what the connection may speak and the
 * server's limits, the second seeds how the rest arrives in pieces.
 */

#ifndef EVENT_FUZZ_GATE_H
#define EVENT_FUZZ_GATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gate.h"

/* Below so many bytes every prefix is looked at afresh, above some are. */
#define FUZZ_GATE_ALL 600

/* Defaults; small ones; a server that is not strict; a tight buffer. */
static const gate_limits_t fuzz_gate_limits[] = {
    {8190, 8190, 100, 16384, 24576, 1},
    {20, 24, 3, 40, 400, 1},
    {60, 40, 0, 200, 1000, 0},
    {8190, 8190, 100, 0, 64, 1},
};

typedef struct {
    const gate_limits_t *limits;
    gate_kind_e kind;
    const char *bytes;
    size_t len;
} fuzz_gate_input_t;

static inline gate_answer_t fuzz_gate_afresh(const fuzz_gate_input_t *in,
                                             size_t len)
{
    gate_t gate;

    gate_init(&gate, in->kind);
    return gate_look(&gate, in->limits, in->bytes, len, 0);
}

static inline int fuzz_gate_differ(gate_answer_t a, gate_answer_t b)
{
    /* What a ready connection speaks depends on how early it was ready. */
    return a.verdict != b.verdict || a.mark != b.mark
           || (a.verdict != GATE_READY && a.stage != b.stage);
}

static inline size_t fuzz_gate_step(size_t len)
{
    return 1 + len / FUZZ_GATE_ALL;
}

/* One answer by itself, and after the one for a shorter prefix. */
static inline const char *fuzz_gate_rule(gate_answer_t answer, size_t len,
                                         gate_answer_t before,
                                         size_t shorter)
{
    if (answer.verdict != GATE_READY && answer.mark <= len) {
        return "a mark that is there already";
    }
    if ((answer.verdict == GATE_NOTHING) != (len == 0)) {
        return "nothing is something";
    }
    if (before.verdict == GATE_READY && answer.verdict != GATE_READY) {
        return "ready, and then no longer";
    }
    if (before.verdict != GATE_READY && before.mark > shorter + 1
        && len < before.mark
        && (answer.verdict != GATE_WAIT || answer.mark != before.mark)) {
        return "a mark that is not the one";
    }
    return NULL;
}

/* Looks at all prefixes, each with a gate of its own. */
static inline const char *fuzz_gate_prefixes(const fuzz_gate_input_t *in)
{
    gate_answer_t before = fuzz_gate_afresh(in, 0);
    size_t shorter = 0;
    size_t len;

    for (len = fuzz_gate_step(in->len); len <= in->len;
         len += fuzz_gate_step(in->len)) {
        gate_answer_t answer = fuzz_gate_afresh(in, len);
        const char *complaint
            = fuzz_gate_rule(answer, len, before, shorter);

        if (complaint != NULL) {
            return complaint;
        }
        before = answer;
        shorter = len;
    }
    return NULL;
}

/* Looks with one gate, in pieces of up to max bytes: for the prefixes looked
 * at above the answers must be the same. */
static inline const char *fuzz_gate_pieces(const fuzz_gate_input_t *in,
                                           uint32_t seed, uint32_t max)
{
    gate_t gate;
    size_t len = 0;

    gate_init(&gate, in->kind);
    for (;;) {
        gate_answer_t answer
            = gate_look(&gate, in->limits, in->bytes, len, 0);

        if (len % fuzz_gate_step(in->len) == 0
            && fuzz_gate_differ(answer, fuzz_gate_afresh(in, len))) {
            return "in pieces another answer than at once";
        }
        if (len == in->len) {
            break;
        }
        seed = seed * 1664525u + 1013904223u;
        len += 1 + (seed >> 8) % max;
        len = len < in->len ? len : in->len;
    }
    if (gate_look(&gate, in->limits, in->bytes, len, 1).verdict
        != GATE_READY) {
        return "nothing more will come and it waits";
    }
    return NULL;
}

/* What is wrong with the gate's answers for this input; NULL: nothing. */
static inline const char *fuzz_gate_complaint(const uint8_t *data,
                                              size_t size)
{
    fuzz_gate_input_t in;
    const char *complaint;

    if (size < 2) {
        return NULL;
    }
    in.limits = &fuzz_gate_limits[data[0] % 4];
    in.kind = (gate_kind_e)(data[0] / 4 % 3);
    in.bytes = (const char *)data + 2;
    in.len = size - 2;
    complaint = fuzz_gate_prefixes(&in);
    if (complaint == NULL) {
        complaint = fuzz_gate_pieces(&in, data[1], 1);
    }
    if (complaint == NULL) {
        complaint = fuzz_gate_pieces(&in, data[1], 40);
    }
    return complaint;
}

#endif /* EVENT_FUZZ_GATE_H */
