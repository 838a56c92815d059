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

/* pod: see pod.h */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pod.h"

struct pod_t {
    int parent_fd; /* main: words of the parent; -1 when it is gone */
    int rests;     /* main: REST was said after RESUME */
    int wake_in;   /* main */
    int wake_out;  /* any, const */
};

/* The words on the wire, the weakest first; the oldest two are as core's. */
static const char words[] = {0, 'z', 'b', 'n', 'r', '!', 'l', 'h', '$'};

static apr_status_t open_pipe(int fds[2])
{
    int i;

    if (pipe(fds) != 0) {
        return errno;
    }
    for (i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return APR_SUCCESS;
}

apr_status_t pod_open(int *child_end, int *parent_end)
{
    int fds[2];
    apr_status_t rv = open_pipe(fds);

    if (rv == APR_SUCCESS) {
        *child_end = fds[0];
        *parent_end = fds[1];
    }
    return rv;
}

apr_status_t pod_tell(int parent_end, pod_word_e word)
{
    while (write(parent_end, &words[word], 1) != 1) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

void pod_close(int *end)
{
    if (*end >= 0) {
        close(*end);
        *end = -1;
    }
}

apr_status_t pod_open_bell(int *in, int *out)
{
    return pod_open(in, out);
}

/* A full pipe rings just as well. */
static void call(int fd)
{
    while (write(fd, "w", 1) < 0 && errno == EINTR) {
    }
}

static void hear(int fd)
{
    char buf[64];

    while (read(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf)) {
    }
}

void pod_ring(int out)
{
    call(out);
}

void pod_hear(int in)
{
    hear(in);
}

static apr_status_t close_pod(void *data)
{
    pod_t *pod = data;

    pod_close(&pod->parent_fd);
    pod_close(&pod->wake_in);
    pod_close(&pod->wake_out);
    return APR_SUCCESS;
}

apr_status_t pod_create(pod_t **pod, int child_end, apr_pool_t *pool)
{
    int fds[2];
    apr_status_t rv = open_pipe(fds);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *pod = apr_palloc(pool, sizeof(**pod));
    (*pod)->parent_fd = child_end;
    (*pod)->rests = 0;
    (*pod)->wake_in = fds[0];
    (*pod)->wake_out = fds[1];
    apr_pool_cleanup_register(pool, *pod, close_pod, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/* All words in the pipe at once: the strongest counts, and the last of those
 * two that take each other back. */
static pod_word_e read_words(pod_t *pod)
{
    char buf[64];
    pod_word_e word = POD_NOTHING;
    ssize_t len, i;

    for (;;) {
        len = read(pod->parent_fd, buf, sizeof(buf));
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len <= 0) {
            break;
        }
        for (i = 0; i < len; i++) {
            const char *known = memchr(words, buf[i], sizeof(words));

            if (known == NULL) {
                continue;
            }
            if (known - words == POD_REST || known - words == POD_RESUME) {
                pod->rests = known - words == POD_REST;
            }
            if (known - words > (int)word) {
                word = (pod_word_e)(known - words);
            }
        }
    }
    if (len == 0 && word == POD_NOTHING) {
        pod_close(&pod->parent_fd);
        word = POD_GONE;
    }
    return word;
}

pod_word_e pod_wait(pod_t *pod, const signals_t *sig,
                    apr_interval_time_t timeout)
{
    struct pollfd fds[2];
    pod_word_e word = POD_NOTHING;

    fds[0].fd = pod->parent_fd; /* poll(2) passes over a negative one */
    fds[0].events = POLLIN;
    fds[0].revents = 0;
    fds[1].fd = pod->wake_in;
    fds[1].events = POLLIN;
    fds[1].revents = 0;
    if (signals_sleep(sig, fds, 2, timeout) <= 0) {
        return POD_NOTHING;
    }
    if (fds[0].revents) {
        word = read_words(pod);
    }
    if (fds[1].revents) {
        hear(pod->wake_in);
        if (word == POD_NOTHING) {
            word = POD_WOKEN;
        }
    }
    return word;
}

int pod_rests(const pod_t *pod)
{
    return pod->rests;
}

void pod_wake(pod_t *pod)
{
    int saved = errno;

    call(pod->wake_out);
    errno = saved;
}
