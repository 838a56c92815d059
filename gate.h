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
 * gate: has a client sent enough to be worth a thread?  Bytes that were
 * peeked at in, verdict out.
 *
 * It says "ready" as soon as httpd's core, or OpenSSL, would act on what is
 * there, be it only to refuse it; until then a thread would but wait. So
 * what a client sees does not depend on the gate. It never takes a request
 * apart further than that, and whatever it is not sure of is ready.
 *
 * Threads: [any], each with a gate of its own. It owns nothing, reads no
 * socket and never logs.
 */

#ifndef EVENT_GATE_H
#define EVENT_GATE_H

#include "apr.h"

/* What the connection may speak. */
typedef enum {
    GATE_EITHER, /* new: its first bytes say whether it is TLS */
    GATE_CLEAR,  /* no TLS */
    GATE_TLS     /* TLS and nothing else */
} gate_kind_e;

typedef enum {
    GATE_NOTHING, /* no bytes yet: silent */
    GATE_WAIT,    /* wait until there are as many as mark says */
    GATE_READY    /* a thread can do something about it */
} gate_verdict_e;

/* What it is that is there, or is waited for. */
typedef enum {
    GATE_IDLE,   /* nothing but blank lines: nothing was asked for yet */
    GATE_LINE,   /* a request line that is not whole */
    GATE_FIELDS, /* a head whose request line is whole */
    GATE_BODY,   /* a whole head and part of its body */
    GATE_RECORD  /* TLS, or too few bytes to know that it is not */
} gate_stage_e;

/* What core refuses: the limits of a server, or the strictest of several. */
typedef struct gate_limits_t {
    int line;         /* LimitRequestLine */
    int field_size;   /* LimitRequestFieldSize */
    int fields;       /* LimitRequestFields, 0: no limit */
    apr_uint32_t body; /* longest body to wait for, 0: none */
    apr_uint32_t size; /* of the buffer for peeking: nothing longer is seen
                        * whole, so nothing longer is waited for */
    int strict;       /* HttpProtocolOptions Strict */
} gate_limits_t;

/* How far the bytes have been looked at: the caller's to keep between looks
 * and nobody's to look into. All offsets are from the first byte. */
typedef struct gate_t {
    apr_uint32_t line;      /* where the line that is not whole begins */
    apr_uint32_t looked;    /* up to here there is no end of it */
    apr_uint32_t need;      /* bytes to wait for, 0: not known */
    apr_uint32_t body;      /* Content-Length */
    apr_uint32_t field_len; /* of the last field, with its continuations */
    apr_uint32_t fields;    /* how many are whole */
    unsigned char kind;
    unsigned char stage;
    unsigned char blanks;   /* blank lines before the request line */
    unsigned char ready : 1;
    unsigned char has_field : 1;
    unsigned char is_bad : 1;     /* the last field will be refused */
    unsigned char is_framing : 1; /* it says where the body ends */
    unsigned char has_length : 1;
    unsigned char is_odd : 1;     /* the body cannot be waited for */
} gate_t;

typedef struct gate_answer_t {
    gate_verdict_e verdict;
    gate_stage_e stage;
    apr_size_t mark; /* GATE_NOTHING and GATE_WAIT: look again when there
                      * are so many bytes; more than there are now */
} gate_answer_t;

/* Begin: nothing of the next request has been looked at. [any] */
void gate_init(gate_t *gate, gate_kind_e kind);

/*
 * Look at the len bytes that wait to be read, all of them, from the first
 * one on: when they are looked at again there are more of them, but the
 * same ones come first. no_more says that none will follow: the peer has
 * closed its side, or the system will take no more. Once ready it stays
 * ready. Each byte is looked at once, however many looks there are. [any]
 */
gate_answer_t gate_look(gate_t *gate, const gate_limits_t *limits,
                        const char *bytes, apr_size_t len, int no_more);

#endif /* EVENT_GATE_H */
