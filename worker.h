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
 * worker: a thread that takes an entry from the queue and runs it to where
 * it can wait without a thread, or to its end.
 *
 * Threads: [worker], each with a worker_t of its own; [main] starts them and
 * may cut short what they are in.
 */

#ifndef EVENT_WORKER_H
#define EVENT_WORKER_H

#include <stdatomic.h>

#include "runtime.h"

typedef struct worker_t {
    runtime_t *runtime;           /* const after start */
    int id;                       /* const after start; scoreboard thread */
    apr_thread_t *thread;         /* const once it runs; main joins it */
    _Atomic(struct conn_t *) busy; /* atomic: the connection it is in;
                                    * NULL while it is lent to another */
} worker_t;

/* The thread's function; data is its worker_t. */
void *APR_THREAD_FUNC worker_main(apr_thread_t *thread, void *data);

/*
 * Shut down the socket of the connection this worker is in, so that it does
 * not wait for that client any longer. [main]
 */
void worker_cut_short(worker_t *worker);

/* Say in the log which connection this worker is in, if any. [listener] */
void worker_report(worker_t *worker, apr_time_t now);

#endif /* EVENT_WORKER_H */
