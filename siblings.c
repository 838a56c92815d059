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

/* siblings: see siblings.h */

#include "apr_portable.h"

#include "httpd.h"
#include "scoreboard.h"

#include "siblings.h"

/* So many connections more, and an eighth, are clearly more. */
#define CLEARLY 2

/* Siblings looked at for each connection, however many there are. */
#define LOOK_AT 32

struct siblings_t {
    const runtime_t *runtime; /* const */
    apr_pollfd_t pfd;         /* const; where knocks are heard */
    int listening;            /* under the acceptor's lock */
};

siblings_t *siblings_create(const runtime_t *runtime, void *door,
                            apr_pool_t *pool)
{
    siblings_t *s;
    apr_os_sock_t fd = runtime->knock_in;

    if (runtime->knock_in < 0 || !parking_is_exclusive(runtime->parking)) {
        return NULL;
    }
    s = apr_pcalloc(pool, sizeof(*s));
    s->runtime = runtime;
    s->pfd.p = pool;
    s->pfd.desc_type = APR_POLL_SOCKET;
    s->pfd.reqevents = APR_POLLIN;
    s->pfd.client_data = door;
    return apr_os_sock_put(&s->pfd.desc.s, &fd, pool) == APR_SUCCESS ? s
                                                                     : NULL;
}

void siblings_listen(siblings_t *s, parking_t *parking, int on)
{
    if (on && !s->listening) {
        s->listening = parking_watch(parking, &s->pfd, 1) == APR_SUCCESS;
    }
    else if (!on && s->listening) {
        parking_unwatch(parking, &s->pfd);
        s->listening = 0;
    }
}

int siblings_have_fewer(const siblings_t *s, int conns)
{
    int self = s->runtime->slot;
    int top = atomic_load(&s->runtime->board->top);
    int generation = ap_get_scoreboard_process(self)->generation;
    int i;

    for (i = 1; i < top && i <= LOOK_AT; i++) {
        const process_score *ps = ap_get_scoreboard_process((self + i) % top);
        int fewer = (int)ps->connections;

        if (ps->pid != 0 && ps->generation == generation && !ps->quiescing
            && !ps->not_accepting && conns > fewer + fewer / 8 + CLEARLY) {
            return 1;
        }
    }
    return 0;
}

void siblings_knock(const siblings_t *s)
{
    pod_ring(s->runtime->knock_out);
}

void siblings_answer(const siblings_t *s)
{
    pod_hear(s->runtime->knock_in);
}
