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
 * status: what operators see of a child's connections: the counters of its
 * process_score, kept true at every change.
 *
 * Threads: [any] counts. The scoreboard is what others read and may be
 * written to by any child; what this child decides by are its own figures.
 */

#ifndef EVENT_STATUS_H
#define EVENT_STATUS_H

#include <stdatomic.h>

#include "httpd.h"
#include "scoreboard.h"

typedef enum {
    STATUS_NONE, /* with a worker: in no condition of its own */
    STATUS_WAIT_IO,
    STATUS_WRITE,
    STATUS_KEEPALIVE,
    STATUS_CLOSING,
    STATUS_SUSPENDED,
    STATUS_HEAD /* without a request yet: in no figure of the scoreboard */
} status_count_e;

typedef struct status_t {
    process_score *ps;  /* const; the slot in the scoreboard */
    int slot;           /* const */
    atomic_int conns;   /* atomic: all there are, from accept to close */
    atomic_int closing; /* atomic: of these, lingering */
    atomic_int heads;   /* atomic: of these, waiting for what they ask */
} status_t;

/* Start with zeros in slot's process_score. [main] */
void status_init(status_t *status, int slot);

/* One more connection, or one less. [any] */
void status_opened(status_t *status);
void status_closed(status_t *status);

/* A connection went from one condition to another. [any] */
void status_move(status_t *status, status_count_e from, status_count_e to);

/* All connections; those that count against the limit on them. [any] */
int status_conns(const status_t *status);
int status_limited_conns(const status_t *status);

/* Those that wait for their client to have sent enough. [any] */
int status_heads(const status_t *status);

/* Show that this child takes connections at present, or not. [who holds the
 * acceptor's lock] */
void status_accepting(status_t *status, int accepting);

/* Show that this child takes none for good. [any] */
void status_quiescing(status_t *status);

/*
 * A worker's cell: claimed for the calling thread and shown as starting;
 * then ready for work; then dead. [worker]
 */
void status_worker_starts(status_t *status, int worker);
void status_worker_is(status_t *status, int worker, int server_status);

/* Show all workers that are idle as finishing gracefully. [main] */
void status_workers_drain(status_t *status, int num_workers);

/*
 * Write a figure into a page of mod_status, whose flags these are: key is
 * what programs read, title what people do. [any]
 */
void status_show(request_rec *r, int flags, const char *key,
                 const char *title, apr_uint64_t figure);

#endif /* EVENT_STATUS_H */
