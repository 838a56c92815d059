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

/* doors: see doors.h */

#include <poll.h>

#include "apr_poll.h"
#include "apr_portable.h"

#include "httpd.h"
#include "http_log.h"

#include "doors.h"
#include "siblings.h"

APLOG_USE_MODULE(mpm_event);

struct doors_t {
    runtime_t *runtime;   /* const */
    door_t *all;          /* const */
    int num;              /* const */
    door_t knocker;       /* const; not one of them */
    siblings_t *siblings; /* const; NULL: all are told of everybody */
    int open;             /* under the acceptor's lock */
    atomic_int out;       /* written under it */
};

doors_t *doors_create(runtime_t *runtime, ap_listen_rec *listeners,
                      apr_pool_t *pool)
{
    doors_t *d = apr_pcalloc(pool, sizeof(*d));
    ap_listen_rec *lr;
    int i = 0;

    for (lr = listeners; lr != NULL; lr = lr->next) {
        d->num++;
    }
    d->all = apr_pcalloc(pool, sizeof(*d->all) * d->num);
    for (lr = listeners; lr != NULL; lr = lr->next) {
        door_t *door = &d->all[i++];

        door->kind = PARKING_LISTENER;
        door->lr = lr;
        door->pfd.p = pool;
        door->pfd.desc_type = APR_POLL_SOCKET;
        door->pfd.desc.s = lr->sd;
        door->pfd.reqevents = APR_POLLIN;
        door->pfd.client_data = door;
        door->entry.kind = RUNTIME_DOOR;
        /* Several children are told of one connection; one gets it. */
        apr_socket_opt_set(lr->sd, APR_SO_NONBLOCK, 1);
    }
    d->knocker.kind = PARKING_LISTENER;
    d->siblings = siblings_create(runtime, &d->knocker, pool);
    d->runtime = runtime;
    atomic_init(&d->out, 0);
    return d;
}

door_t *doors_get(const doors_t *doors, int i)
{
    return i < doors->num ? &doors->all[i] : NULL;
}

static apr_status_t watch(const doors_t *d, door_t *door)
{
    apr_status_t rv = parking_watch(d->runtime->parking, &door->pfd,
                                    d->siblings != NULL);

    door->watched = rv == APR_SUCCESS;
    return rv;
}

static apr_status_t unwatch(const doors_t *d, door_t *door)
{
    if (!door->watched) {
        return APR_SUCCESS;
    }
    door->watched = 0;
    return parking_unwatch(d->runtime->parking, &door->pfd);
}

apr_status_t doors_open(doors_t *d, int open)
{
    apr_status_t failed = APR_SUCCESS;
    int i;

    for (i = 0; i < d->num; i++) {
        door_t *door = &d->all[i];
        apr_status_t rv = APR_SUCCESS;

        if (!door->out) {
            rv = open ? watch(d, door) : unwatch(d, door);
        }
        if (rv != APR_SUCCESS) {
            failed = open ? rv : failed;
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, d->runtime->server,
                         "cannot %s listening on %pI",
                         open ? "start" : "stop", door->lr->bind_addr);
        }
    }
    d->open = open;
    status_accepting(&d->runtime->status, open);
    if (d->siblings != NULL) {
        siblings_listen(d->siblings, d->runtime->parking, open);
        /* We may have been the only one who was told of who waits now. */
        if (!open && doors_are_wanted(d)) {
            siblings_knock(d->siblings);
        }
    }
    return failed;
}

int doors_are_open(const doors_t *doors)
{
    return doors->open;
}

fdqueue_entry_t *doors_send_out(doors_t *d, door_t *door)
{
    unwatch(d, door);
    door->out = 1;
    atomic_fetch_add(&d->out, 1);
    return &door->entry;
}

void doors_bring_back(doors_t *d, door_t *door)
{
    door->out = 0;
    atomic_fetch_sub(&d->out, 1);
    if (d->open && watch(d, door) != APR_SUCCESS) {
        doors_open(d, 0);
    }
}

int doors_out(const doors_t *doors)
{
    return atomic_load(&doors->out);
}

int doors_are_wanted(const doors_t *d)
{
    int i;

    for (i = 0; i < d->num; i++) {
        struct pollfd fd = {-1, POLLIN, 0};

        if (apr_os_sock_get(&fd.fd, d->all[i].lr->sd) == APR_SUCCESS
            && poll(&fd, 1, 0) > 0) {
            return 1;
        }
    }
    return 0;
}

int doors_are_ahead(const doors_t *d)
{
    return d->siblings != NULL
           && siblings_have_fewer(d->siblings,
                                  status_conns(&d->runtime->status));
}

void doors_move_behind(doors_t *d, door_t *door)
{
    unwatch(d, door);
    if (watch(d, door) != APR_SUCCESS) {
        doors_open(d, 0);
    }
}

int doors_hear(doors_t *d, const door_t *door)
{
    int i;

    if (door != &d->knocker) {
        return 0;
    }
    /*
     * Several may have knocked, and more may wait than we can take: watched
     * anew, a socket with somebody waiting is ready, and stays so for us
     * until it is not or we stop watching, and then knock. Where a door is
     * out somebody looks already, and it is watched anew when he is through.
     */
    siblings_answer(d->siblings);
    for (i = 0; i < d->num && d->open; i++) {
        if (!d->all[i].out) {
            doors_move_behind(d, &d->all[i]);
        }
    }
    if (!d->open) {
        siblings_knock(d->siblings);
    }
    return 1;
}

void doors_close(doors_t *d)
{
    int i;

    if (d->open) {
        doors_open(d, 0);
    }
    for (i = 0; i < d->num; i++) {
        d->all[i].lr->active = 0;
        apr_socket_close(d->all[i].lr->sd);
    }
}
