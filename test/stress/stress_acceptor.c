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
 * stress_acceptor: clients that come at two listening sockets while the
 * listener and the workers accept, and while the child rests now and then.
 *
 * Each client is answered, and each socket is looked after again and again:
 * else somebody waits until the alarm. Acceptor, doors, the queue, parking and
 * pools are the real ones; what a connection is, and who counts it, is here.
 */

#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "apr_general.h"
#include "apr_portable.h"

#include "httpd.h"
#include "http_log.h"

#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "heads.h"
#include "quota.h"
#include "siblings.h"
#include "stress.h"

module AP_MODULE_DECLARE_DATA mpm_event_module;

#define WORKERS 4
#define CLIENTS 6
#define DOORS 2

static settings_t settings = {.threads_per_child = WORKERS, .async_factor = 2};
static server_rec server;
static runtime_t runtime = {.server = &server, .settings = &settings};
static ap_listen_rec listeners[DOORS];
static struct sockaddr_un addresses[DOORS];
static socklen_t lengths[DOORS];
static atomic_int conns;  /* accepted and not closed */
static atomic_int served;
static atomic_int taken;  /* by workers that had a door */
static atomic_int over;   /* the listener is to end */

/* --- The other rooms ------------------------------------------------------ */

int heads_admit(heads_t *heads, conn_t **conn, const char *protocol)
{
    MUST(heads == NULL && *conn != NULL && protocol == NULL);
    return 0;
}

int heads_young(const heads_t *heads)
{
    MUST(heads == NULL);
    return 0;
}

int status_conns(const status_t *status)
{
    (void)status;
    return atomic_load(&conns);
}

int status_limited_conns(const status_t *status)
{
    return status_conns(status);
}

void status_accepting(status_t *status, int accepting)
{
    (void)status;
    (void)accepting;
}

int quota_enter(runtime_t *of, apr_socket_t *csd)
{
    MUST(of == &runtime && csd != NULL);
    return CLIENTS_UNCOUNTED;
}

conn_t *conn_make(runtime_t *of, apr_pool_t *pool, apr_socket_t *csd)
{
    conn_t *conn = apr_pcalloc(pool, sizeof(*conn));

    MUST(of == &runtime);
    conn->pool = pool;
    conn->csd = csd;
    conn->entry.kind = RUNTIME_CONN;
    atomic_fetch_add(&conns, 1);
    return conn;
}

#ifdef EVENT_DEBUG
void conn_give(conn_t *conn, conn_owner_e from, conn_owner_e to)
{
    MUST(conn != NULL && from != to);
}
#endif

void runtime_request_stop(runtime_t *of, runtime_stop_e mode, int exit_code)
{
    (void)of;
    (void)exit_code;
    MUST(mode == RUNTIME_RUN);
}

void runtime_ask_relief(runtime_t *of)
{
    MUST(of == NULL);
}

siblings_t *siblings_create(const runtime_t *of, void *door, apr_pool_t *p)
{
    MUST(of != NULL && door != NULL && p != NULL);
    return NULL;
}

/* Without siblings these are for nobody. */
void siblings_listen(siblings_t *siblings, parking_t *parking, int on)
{
    (void)parking;
    (void)on;
    MUST(siblings != NULL);
}

int siblings_have_fewer(const siblings_t *siblings, int than)
{
    (void)than;
    MUST(siblings != NULL);
    return 0;
}

void siblings_knock(const siblings_t *siblings)
{
    MUST(siblings != NULL);
}

void siblings_answer(const siblings_t *siblings)
{
    MUST(siblings != NULL);
}

AP_DECLARE(void) ap_log_error_(const char *file, int line, int module_index,
                               int level, apr_status_t status,
                               const server_rec *s, const char *fmt, ...)
{
    (void)line;
    (void)module_index;
    MUST(file != NULL && s == &server && fmt != NULL);
    MUST(status == APR_SUCCESS && (level & APLOG_LEVELMASK) > APLOG_NOTICE);
}

/* --- The child's threads -------------------------------------------------- */

static void answer(conn_t *conn)
{
    apr_pool_t *pool = conn->pool;
    apr_os_sock_t fd;
    char byte;

    MUST(apr_os_sock_get(&fd, conn->csd) == APR_SUCCESS);
    MUST(read(fd, &byte, 1) == 1);
    MUST(write(fd, &byte, 1) == 1);
    apr_socket_close(conn->csd);
    atomic_fetch_add(&served, 1);
    atomic_fetch_sub(&conns, 1);
    ptrans_put(runtime.ptrans, &pool);
}

static void *run_worker(void *data)
{
    int id = (int)(intptr_t)data;
    fdqueue_entry_t *entry;

    fdqueue_join(runtime.queue, id);
    acceptor_nudge(runtime.acceptor);
    while ((entry = fdqueue_pop(runtime.queue, id)) != NULL) {
        conn_t *conn;

        if (entry->kind == RUNTIME_DOOR) {
            conn = acceptor_take(runtime.acceptor, entry);
            atomic_fetch_add(&taken, conn != NULL);
        }
        else {
            conn = CONN_OF_ENTRY(entry);
        }
        if (conn != NULL) {
            answer(conn);
        }
        fdqueue_done(runtime.queue, id);
        acceptor_nudge(runtime.acceptor);
    }
    return NULL;
}

static void *run_listener(void *data)
{
    parking_event_t event;
    apr_time_t now = clock_now();

    (void)data;
    acceptor_review(runtime.acceptor, now);
    while (!atomic_load(&over)) {
        MUST(parking_wait(runtime.parking, now,
                          acceptor_due(runtime.acceptor))
             == APR_SUCCESS);
        now = clock_now();
        while (parking_next_event(runtime.parking, &event)) {
            MUST(event.kind == PARKING_LISTENER);
            acceptor_accept(runtime.acceptor, event.listener, now);
        }
        acceptor_review(runtime.acceptor, now);
    }
    acceptor_empty(runtime.acceptor, 1);
    acceptor_close(runtime.acceptor);
    return NULL;
}

/* --- Clients -------------------------------------------------------------- */

static void *run_client(void *data)
{
    int *count = data;
    int i;

    for (i = 0; i < *count; i++) {
        int door = i % DOORS;
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        char byte = 'a';

        MUST(fd >= 0);
        MUST(connect(fd, (struct sockaddr *)&addresses[door], lengths[door])
             == 0);
        MUST(write(fd, &byte, 1) == 1);
        MUST(read(fd, &byte, 1) == 1);
        close(fd);
    }
    return NULL;
}

static void listen_at(int door, apr_pool_t *pool)
{
    struct sockaddr *address = (struct sockaddr *)&addresses[door];
    apr_os_sock_t fd = socket(AF_UNIX, SOCK_STREAM, 0);

    listeners[door].next = door + 1 < DOORS ? &listeners[door + 1] : NULL;
    address->sa_family = AF_UNIX;
    lengths[door] = sizeof(addresses[door]);
    MUST(bind(fd, address, sizeof(address->sa_family)) == 0);
    MUST(getsockname(fd, address, &lengths[door]) == 0);
    MUST(listen(fd, 64) == 0);
    MUST(apr_os_sock_put(&listeners[door].sd, &fd, pool) == APR_SUCCESS);
}

int main(int argc, char **argv)
{
    int count = stress_iterations(argc, argv) / CLIENTS + 1;
    pthread_t workers[WORKERS], clients[CLIENTS], listener;
    apr_pool_t *pool;
    unsigned random = 7;
    int i;

    MUST(apr_initialize() == APR_SUCCESS);
    MUST(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    for (i = 0; i < DOORS; i++) {
        listen_at(i, pool);
    }
    MUST(fdqueue_create(&runtime.queue, WORKERS, NULL, pool) == APR_SUCCESS);
    MUST(parking_create(&runtime.parking, 64, pool) == APR_SUCCESS);
    MUST(ptrans_create(&runtime.ptrans, pool, 4096, 8, pool) == APR_SUCCESS);
    MUST(acceptor_create(&runtime.acceptor, &runtime, listeners, 0, pool)
         == APR_SUCCESS);
    listener = stress_start(run_listener, NULL);
    for (i = 0; i < WORKERS; i++) {
        workers[i] = stress_start(run_worker, (void *)(intptr_t)i);
    }
    for (i = 0; i < CLIENTS; i++) {
        clients[i] = stress_start(run_client, &count);
    }
    for (i = 0; atomic_load(&served) < CLIENTS * count; i++) {
        atomic_store(&runtime.resting, i % 2);
        parking_wake(runtime.parking);
        usleep(i % 2 ? 100 : 1 + stress_random(&random, 2000));
    }
    for (i = 0; i < CLIENTS; i++) {
        stress_join(clients[i]);
    }
    atomic_store(&over, 1);
    parking_wake(runtime.parking);
    stress_join(listener);
    fdqueue_close(runtime.queue);
    for (i = 0; i < WORKERS; i++) {
        stress_join(workers[i]);
    }
    MUST(atomic_load(&served) == CLIENTS * count);
    MUST(atomic_load(&conns) == 0);
    MUST(atomic_load(&taken) > 0);
    printf("stress_acceptor: %d served, %d of them taken by workers\n",
           CLIENTS * count, atomic_load(&taken));
    apr_terminate();
    return EXIT_SUCCESS;
}
