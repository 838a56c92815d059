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

/* tasks: see tasks.h */

#include "tasks.h"

#if TASKS_CAN_TELL

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long tasks_self(void)
{
    return syscall(SYS_gettid);
}

int tasks_processor(void)
{
    return sched_getcpu();
}

int tasks_processors(void)
{
    cpu_set_t all;

    return sched_getaffinity(0, sizeof(all), &all) == 0
               ? CPU_COUNT(&all)
               : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int tasks_go(unsigned int wanted, int num)
{
    cpu_set_t all, one;
    int i, went;

    if (sched_getaffinity(0, sizeof(all), &all) != 0) {
        return 0;
    }
    for (i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all) && wanted >> i % num & 1) {
            break;
        }
    }
    if (i == CPU_SETSIZE) {
        return 0;
    }
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    went = sched_setaffinity(0, sizeof(one), &one) == 0;
    /* Who might run on all may do so on those that are added later, too. */
    if (CPU_COUNT(&all) >= sysconf(_SC_NPROCESSORS_ONLN)
        || sched_setaffinity(0, sizeof(all), &all) != 0) {
        memset(&all, 0xff, sizeof(all));
        sched_setaffinity(0, sizeof(all), &all);
    }
    return went;
}

/* A futex's time is measured by the monotonic clock. */
void tasks_wait(atomic_int *word, int value, apr_interval_time_t time)
{
    struct timespec ts = {.tv_sec = (time_t)apr_time_sec(time),
                          .tv_nsec = (long)apr_time_usec(time) * 1000};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &ts, NULL, 0);
}

void tasks_wake(atomic_int *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* What the system says of a task in that file, cut short to size. */
static int read_file(long task, const char *file, char *buf, size_t size)
{
    char name[64];
    ssize_t len;
    int fd;

    snprintf(name, sizeof(name), "/proc/self/task/%ld/%s", task, file);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    len = read(fd, buf, size - 1);
    close(fd);
    buf[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* Where the kernel has threads wait that want to change what their process has
 * mapped, or to look it up: parts of its functions' names, 5.x to 6.x. (File
 * systems have an mmap of their own, in which they may wait for a disk.) */
static int is_at_map(const char *function)
{
    static const char *const parts[] = {
        "vm_mmap", "munmap", "mprotect", "mremap", "madvise", "sys_brk",
        "dup_mmap", "lock_mm_and_find_vma", "user_addr_fault",
        "do_page_fault"};
    size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(function, parts[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* The letter for the state of a task, 0 if it cannot be found out. */
static char read_state(long task)
{
    char buf[256];
    const char *state;

    if (!read_file(task, "stat", buf, sizeof(buf))) {
        return 0;
    }
    /* "pid (name) S ...", and a name may have parentheses in it. */
    state = strrchr(buf, ')');
    return state != NULL && state[1] == ' ' ? state[2] : 0;
}

/* It was in a sleep that nothing interrupts: for a lock, or for a disk? (The
 * file that has the system call's number is closed to who has dropped root's
 * rights.) */
static tasks_state_e look_deeper(long task)
{
    char buf[256];
    int i;

    for (i = 0; i < 3 && read_file(task, "wchan", buf, sizeof(buf)); i++) {
        if (strcmp(buf, "0") != 0) {
            return is_at_map(buf) ? TASKS_MAPS : TASKS_SLEEPS;
        }
        /* It has gone on, perhaps to sleep again, or the kernel never tells. */
        if (read_state(task) != 'D') {
            return TASKS_RUNS;
        }
    }
    return TASKS_SLEEPS;
}

tasks_state_e tasks_state(long task)
{
    switch (read_state(task)) {
    case 0:
        return TASKS_UNKNOWN;
    case 'S':
        return TASKS_SLEEPS;
    case 'D':
        return look_deeper(task);
    default:
        return TASKS_RUNS;
    }
}

#else

long tasks_self(void)
{
    return 0;
}

int tasks_processor(void)
{
    return -1;
}

int tasks_processors(void)
{
    return -1;
}

int tasks_go(unsigned int wanted, int num)
{
    (void)wanted;
    (void)num;
    return 0;
}

void tasks_wait(atomic_int *word, int value, apr_interval_time_t time)
{
    (void)word;
    (void)value;
    (void)time;
}

void tasks_wake(atomic_int *word)
{
    (void)word;
}

tasks_state_e tasks_state(long task)
{
    (void)task;
    return TASKS_UNKNOWN;
}

#endif
