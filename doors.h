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
 * doors: the listening sockets of a child, and who is at each.
 *
 * While they are open, each door is either watched, by the poll set, or out:
 * then its entry is in the fdqueue, or popped by a worker, who accepts there.
 *
 * Threads: who holds the acceptor's lock, but for what says [any].  It owns
 * this child's copies of the listening sockets and their entries in the poll
 * set; siblings hear of what it cannot take.
 */

#ifndef EVENT_DOORS_H
#define EVENT_DOORS_H

#include <stddef.h>

#include "ap_listen.h"

#include "fdqueue.h"
#include "parking.h"
#include "runtime.h"

typedef struct doors_t doors_t;

typedef struct door_t {
    parking_kind_e kind;   /* const; first, as parking wants it */
    ap_listen_rec *lr;     /* const; NULL: siblings knock here */
    apr_pollfd_t pfd;      /* const */
    fdqueue_entry_t entry; /* of kind RUNTIME_DOOR; fdqueue's while out */
    int watched;           /* in the poll set */
    int out;               /* sent out and not brought back */
    apr_time_t at; /* acceptor's: when its last event was, or it was brought
                    * back; 0: the next one is not to send it out */
} door_t;

#define DOOR_OF_ENTRY(e) \
    ((door_t *)(void *)((char *)(e) - offsetof(door_t, entry)))

/* The doors of listeners, not open yet. [main] */
doors_t *doors_create(runtime_t *runtime, ap_listen_rec *listeners,
                      apr_pool_t *pool);

/* Door i, from 0 on; NULL after the last. [any] */
door_t *doors_get(const doors_t *doors, int i);

/* Open them all, or stop looking after them for now; siblings hear of who waits
 * then. Those that are out stay it. Logs what fails, and returns why one is not
 * watched that should be. */
apr_status_t doors_open(doors_t *doors, int open);
int doors_are_open(const doors_t *doors);

/* No longer watched from here on, but out; its entry is the caller's to
 * push. */
fdqueue_entry_t *doors_send_out(doors_t *doors, door_t *door);

/* Its entry was popped and is done with: watched again, if they are open. If
 * that fails, all are shut, to be opened anew: the caller wakes the listener,
 * whose review does so. */
void doors_bring_back(doors_t *doors, door_t *door);

/* How many are out, in the queue or with a worker that accepts. [any] */
int doors_out(const doors_t *doors);

/* Is there a client that waits to be accepted? Asks the kernel. They are not
 * closed yet, and will not be meanwhile. */
int doors_are_wanted(const doors_t *doors);

/* Does another child have clearly fewer connections, so that he should have
 * the next one? [any] */
int doors_are_ahead(const doors_t *doors);

/* The kernel wakes whoever has watched longest: let that be another. If it
 * cannot be watched anew, all are shut, to be opened again. */
void doors_move_behind(doors_t *doors, door_t *door);

/* This event of the poll set was a knock: it is answered. */
int doors_hear(doors_t *doors, const door_t *door);

/* Close the sockets, for good. */
void doors_close(doors_t *doors);

#endif /* EVENT_DOORS_H */
