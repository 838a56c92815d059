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

/* runtime: see runtime.h */

#include "httpd.h"
#include "mpm_common.h"
#include "unixd.h"

#include "runtime.h"

runtime_stop_e runtime_stop_mode(const runtime_t *runtime)
{
    return (runtime_stop_e)atomic_load_explicit(&runtime->stop,
                                                memory_order_acquire);
}

void runtime_request_stop(runtime_t *runtime, runtime_stop_e mode,
                          int exit_code)
{
    int now = atomic_load(&runtime->stop);
    int none = 0;

    atomic_compare_exchange_strong(&runtime->exit_code, &none, exit_code);
    do {
        if (now >= (int)mode) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&runtime->stop, &now, (int)mode));
    parking_wake(runtime->parking);
    pod_wake(runtime->pod);
}

void runtime_rest(runtime_t *runtime, int rests)
{
    if (atomic_exchange(&runtime->resting, rests) != rests) {
        parking_wake(runtime->parking);
    }
}

void runtime_ask_relief(runtime_t *runtime)
{
    if (runtime->note == NULL) {
        atomic_store(&runtime->relieved, 1);
    }
    else if (!atomic_exchange(&runtime->note->wants_relief, 1)) {
        pod_ring(runtime->bell);
    }
}

void runtime_ask_help(runtime_t *runtime)
{
    if (runtime->note != NULL
        && !atomic_exchange(&runtime->note->crowded, 1)) {
        pod_ring(runtime->bell);
    }
}

int runtime_parts(runtime_t *runtime)
{
    return atomic_load_explicit(&runtime->partings, memory_order_relaxed) > 0
           && atomic_fetch_sub(&runtime->partings, 1) > 0;
}

void runtime_conn_gone(runtime_t *runtime)
{
    /*
     * Race with the listener, which raises the mode's effect and then looks
     * at the number: one of the two sees what the other has done.
     */
    if (atomic_load(&runtime->stop) != RUNTIME_RUN
        && status_conns(&runtime->status) == 0) {
        parking_wake(runtime->parking);
    }
}

void runtime_thread_ends(runtime_t *runtime)
{
    atomic_fetch_sub(&runtime->threads, 1);
    pod_wake(runtime->pod);
}
