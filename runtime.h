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
 * runtime: what the threads of one child share: where the rooms are, and
 * how urgently the child is to stop.
 *
 * The pointers are set by the main thread before any other thread starts and
 * never change.  The stop mode only rises.
 */

#ifndef EVENT_RUNTIME_H
#define EVENT_RUNTIME_H

#include <stdatomic.h>

#include "apr_thread_proc.h"

#include "httpd.h"

#include "clients.h"
#include "fdqueue.h"
#include "held.h"
#include "leaving.h"
#include "parking.h"
#include "pod.h"
#include "ptrans.h"
#include "settings.h"
#include "status.h"
#include "timers.h"

typedef struct runtime_t runtime_t;
struct acceptor_t;
struct heads_t;
struct worker_t;

/* What an fdqueue entry is embedded in. */
enum {
    RUNTIME_CONN,  /* a conn_t */
    RUNTIME_TIMER, /* a timers_entry_t */
    RUNTIME_DOOR   /* a listening socket, for acceptor_take */
};

typedef enum {
    RUNTIME_RUN,
    RUNTIME_DRAIN, /* no new connections, finish those there are */
    RUNTIME_EXIT   /* leave now */
} runtime_stop_e;

struct runtime_t {
    server_rec *server;           /* const after start */
    const settings_t *settings;   /* const after start */
    apr_pool_t *pool;             /* const; outlives all connections */
    int slot;                     /* const */
    fdqueue_t *queue;             /* const */
    parking_t *parking;           /* const */
    timers_t *timers;             /* const */
    ptrans_t *ptrans;             /* const */
    leaving_t *leaving;           /* const */
    held_t *held;                 /* const */
    pod_t *pod;                   /* const */
    clients_t *clients;           /* const; NULL: there is no limit on
                                   * them */
    struct acceptor_t *acceptor;  /* const */
    struct heads_t *heads;        /* const */
    struct worker_t *workers;     /* const; an array */
    status_t status;              /* see status.h */
    atomic_int stop;              /* atomic: runtime_stop_e, only rises */
    atomic_int exit_code;         /* atomic: the first that is not 0 */
    atomic_int threads;           /* atomic: listener and workers alive */
    atomic_int resting;           /* atomic: take no connections for now */
    atomic_int relieved;          /* atomic: another child is there instead */
    atomic_int last;              /* atomic: nobody else accepts from our
                                   * sockets */
    atomic_int partings;          /* atomic: so many answers are to be their
                                   * connections' last, to make room */
    atomic_int hurry;             /* atomic: do not wait for idle clients */
    apr_threadkey_t *running;     /* const; see session.h */
    pod_note_t *note;           /* const; NULL: there is no parent */
    pod_board_t *board;           /* const; NULL as note */
    int bell;                     /* const; to call the parent */
    int knock_in;                 /* const; see siblings.h; -1: none */
    int knock_out;                /* const */
};

/* How urgently this child is to stop. [any] */
runtime_stop_e runtime_stop_mode(const runtime_t *runtime);

/*
 * Ask this child to stop, with exit_code if nobody asked before; a weaker
 * wish than the present one changes nothing. Listener and main thread wake
 * up and act. [any]
 */
void runtime_request_stop(runtime_t *runtime, runtime_stop_e mode,
                          int exit_code);

/*
 * Take no connections from now on, or (0) take them again. Nothing else
 * changes, and modules are told nothing, as this is soon taken back. [main]
 */
void runtime_rest(runtime_t *runtime, int rests);

/*
 * This child has served its time: ask the parent for another one, and drain
 * when it is there. [any]
 */
void runtime_ask_relief(runtime_t *runtime);

/* Clients wait to be accepted and this child has no room for them: the parent
 * is to see whether there should be more children. [listener] */
void runtime_ask_help(runtime_t *runtime);

/* Is the answer that is begun now to be the last of its connection? [any] */
int runtime_parts(runtime_t *runtime);

/* A connection is gone: those who wait for the last one are woken. [any] */
void runtime_conn_gone(runtime_t *runtime);

/* A thread of this child ends. [listener] [worker] */
void runtime_thread_ends(runtime_t *runtime);

#endif /* EVENT_RUNTIME_H */
