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
 * child: a child's life: build the rooms, drop privileges, start threads,
 * wait for word from the parent, stop, join, exit.
 *
 * Threads: [main], the first and last of a child.
 */

#ifndef EVENT_CHILD_H
#define EVENT_CHILD_H

#include "httpd.h"
#include "ap_listen.h"

#include "runtime.h"
#include "settings.h"
#include "signals.h"

typedef struct child_start_t {
    server_rec *server;
    apr_pool_t *pconf;
    const settings_t *settings;
    ap_listen_rec *listeners; /* this child's bucket */
    int slot;
    int pod;         /* the child's end, taken over; -1: no parent */
    pid_t parent;    /* who forked this child */
    int bell;        /* to call the parent */
    pod_note_t *note; /* for the parent to read; NULL: no parent */
    pod_board_t *board; /* what all children share; NULL as note */
    int knock_in;    /* where siblings knock; -1: they need not */
    int knock_out;
    clients_t *clients; /* all children's; NULL: none */
    int own_sockets; /* that no later generation accepts from */
    int one_process; /* this is the process that was started itself */
    signals_t *signals;
    runtime_t **runtime; /* set once the rooms exist, for hooks to find */
} child_start_t;

/*
 * Live as a child and leave the process with an exit code; with one_process
 * return it instead. [main]
 */
int child_main(const child_start_t *start);

#endif /* EVENT_CHILD_H */
