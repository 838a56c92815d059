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
 * probe_board: tells the scoreboard on a local socket.
 *
 * A thread of the parent answers, so that tests see the truth also when no
 * thread of any child is free.  It lives as long as the configuration does.
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mpm_probe.h"

#include "scoreboard.h"

/* The thread and its descriptors. */
typedef struct {
    int listener;
    int stop[2];
    pid_t owner;
    pthread_t thread;
} board_t;

/* Gone in trunk, where nobody has missed it. */
#if MODULE_MAGIC_NUMBER_MAJOR >= 20190312
#define BUCKET_OF(process) 0
#else
#define BUCKET_OF(process) ((process).bucket)
#endif

static board_t board = {-1, {-1, -1}, 0, 0};

static void print_process(FILE *out, int slot, int threads)
{
    process_score process = ap_scoreboard_image->parent[slot];
    int i;

    fprintf(out,
            "{\"slot\": %d, \"pid\": %d, \"generation\": %d, "
            "\"quiescing\": %d, \"not_accepting\": %d, "
            "\"connections\": %u, \"write_completion\": %u, "
            "\"lingering_close\": %u, \"keep_alive\": %u, "
            "\"suspended\": %u, \"wait_io\": %u, \"bucket\": %d, "
            "\"threads\": [",
            slot, (int)process.pid, process.generation, process.quiescing,
            process.not_accepting, process.connections,
            process.write_completion, process.lingering_close,
            process.keep_alive, process.suspended, process.wait_io,
            BUCKET_OF(process));
    for (i = 0; i < threads; i++) {
        worker_score *worker = &ap_scoreboard_image->servers[slot][i];

        fprintf(out,
                "%s{\"status\": %d, \"pid\": %d, \"generation\": %d, "
                "\"access_count\": %lu, \"tid\": %d, \"thread_num\": %d}",
                i ? ", " : "", worker->status, (int)worker->pid,
                worker->generation, worker->access_count, worker->tid != 0,
                worker->thread_num);
    }
    fprintf(out, "]}");
}

char *probe_board_text(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out;
    global_score *global;
    int i, first = 1;

    if (!ap_exists_scoreboard_image()) {
        return NULL;
    }
    global = ap_scoreboard_image->global;
    out = open_memstream(&text, &length);
    if (!out) {
        return NULL;
    }
    fprintf(out, "{\"generation\": %d, \"server_limit\": %d, "
            "\"thread_limit\": %d, \"processes\": [",
            global->running_generation, global->server_limit,
            global->thread_limit);
    for (i = 0; i < global->server_limit; i++) {
        if (ap_scoreboard_image->parent[i].pid) {
            fprintf(out, "%s", first ? "" : ", ");
            print_process(out, i, global->thread_limit);
            first = 0;
        }
    }
    fprintf(out, "]}\n");
    fclose(out);
    return text;
}

/*
 * The C library's allocator survives that the server forks while the board's
 * thread uses it, but AddressSanitizer's does not: the child would wait for
 * that thread, which it does not have.  So fork waits.
 */
static pthread_mutex_t memory = PTHREAD_MUTEX_INITIALIZER;
static int fork_waits; /* until this library is unloaded */

static void lock_memory(void)
{
    pthread_mutex_lock(&memory);
}

static void unlock_memory(void)
{
    pthread_mutex_unlock(&memory);
}

static char *text_of_board(void)
{
    char *text;

    lock_memory();
    text = probe_board_text();
    unlock_memory();
    return text;
}

static void forget(char *text)
{
    lock_memory();
    free(text);
    unlock_memory();
}

static void tell(int fd)
{
    char *text = text_of_board();
    size_t length = text ? strlen(text) : 0, done = 0;

    while (done < length) {
        ssize_t n = send(fd, text + done, length - done, MSG_NOSIGNAL);

        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    forget(text);
    /* A child forked at this moment has the descriptor, too. */
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

static void *board_main(void *started)
{
    sem_post(started); /* it has the memory that a thread begins with */
    for (;;) {
        struct pollfd fds[2] = {{board.listener, POLLIN, 0},
                                {board.stop[0], POLLIN, 0}};

        if (poll(fds, 2, -1) > 0) {
            int fd;

            if (fds[1].revents) {
                return NULL;
            }
            fd = accept4(board.listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0) {
                tell(fd);
            }
        }
    }
}

static void close_board(void)
{
    close(board.listener);
    close(board.stop[0]);
    close(board.stop[1]);
    board.listener = -1;
}

static apr_status_t stop_board(void *path)
{
    if (board.listener >= 0) {
        (void)!write(board.stop[1], "x", 1);
        pthread_join(board.thread, NULL);
        close_board();
        unlink(path);
    }
    return APR_SUCCESS;
}

void probe_board_child(void)
{
    if (board.listener >= 0 && board.owner != getpid()) {
        close_board();
    }
}

int probe_board_start(apr_pool_t *pconf)
{
    const char *path = probe_settings()->board;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sigset_t all, old;
    sem_t started;
    int failed;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    board.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (board.listener < 0 || pipe2(board.stop, O_CLOEXEC) != 0
        || bind(board.listener, (void *)&address, sizeof(address)) != 0
        || listen(board.listener, 16) != 0) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    board.owner = getpid();
    /* The server's signals are not for this thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    sem_init(&started, 0, 0);
    failed = (!fork_waits
              && pthread_atfork(lock_memory, unlock_memory, unlock_memory))
             || pthread_create(&board.thread, NULL, board_main, &started);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    fork_waits = 1;
    if (failed) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    while (sem_wait(&started) != 0) {
    }
    sem_destroy(&started);
    apr_pool_pre_cleanup_register(pconf, path, stop_board);
    return OK;
}
