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

/* slots: see slots.h */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apr_shm.h"

#include "httpd.h"
#include "ap_mpm.h"
#include "http_log.h"
#include "mpm_common.h"

#include "clock.h"
#include "slots.h"

APLOG_USE_MODULE(mpm_event);

/* The board is filled up to a multiple of this: a line of cache. */
#define SHARED_APART 64

/* Time for a child that was hurried to be gone. */
#define HURRY_TIME apr_time_from_sec(1)

/* How long a child may rest before it drains, with connections and without:
 * then too, so that the next turn of the parent can take it back. */
#define REST_TIME apr_time_from_sec(10)
#define REST_TIME_IDLE apr_time_from_msec(500)

apr_status_t slots_init(slots_t *slots, int num, apr_pool_t *pool)
{
    apr_size_t board =
        APR_ALIGN(sizeof(*slots->board)
                      + sizeof(slots->board->shown[0]) * (size_t)num,
                  SHARED_APART);
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(
        &shm, board + sizeof(*slots->notes) * (size_t)num, NULL, pool);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    slots->board = apr_shm_baseaddr_get(shm);
    slots->notes = (pod_note_t *)((char *)slots->board + board);
    atomic_init(&slots->board->top, 0);

    slots->slots = apr_pcalloc(pool, sizeof(*slots->slots) * (size_t)num);
    slots->num = num;
    slots->top = 0;
    for (i = 0; i < num; i++) {
        slots->slots[i].pod = -1;
        atomic_init(&slots->notes[i].wants_relief, 0);
        atomic_init(&slots->notes[i].crowded, 0);
        atomic_init(&slots->board->shown[i].running, 0);
        atomic_init(&slots->board->shown[i].taken, 0);
        atomic_init(&slots->notes[i].heads, 0);
        atomic_init(&slots->notes[i].late, 0);
    }
    return APR_SUCCESS;
}

int slots_find_free(const slots_t *slots, int bucket, int num_buckets)
{
    int i, any = -1;

    for (i = 0; i < slots->num; i++) {
        if (slots->slots[i].pid != 0) {
            continue;
        }
        if (i % num_buckets == bucket) {
            return i;
        }
        any = any < 0 ? i : any;
    }
    return any;
}

int slots_find(const slots_t *slots, pid_t pid)
{
    int i;

    for (i = 0; i < slots->top; i++) {
        if (slots->slots[i].pid == pid) {
            return i;
        }
    }
    return -1;
}

void slots_enter(slots_t *slots, int i, pid_t pid,
                 ap_generation_t generation, int bucket, int pod,
                 server_rec *server)
{
    slot_t *slot = &slots->slots[i];
    process_score *ps = ap_get_scoreboard_process(i);

    slot->pid = pid;
    slot->generation = generation;
    slot->bucket = bucket;
    slot->pod = pod;
    slot->told = POD_NOTHING;
    slot->rests_since = 0;
    slot->relief = 0;
    if (i >= slots->top) {
        slots->top = i + 1;
        atomic_store(&slots->board->top, slots->top);
    }
    ps->pid = pid;
    ps->generation = generation;
    ap_run_child_status(server, pid, generation, i, MPM_CHILD_STARTED);
}

void slots_leave(slots_t *slots, int i, server_rec *server)
{
    slot_t *slot = &slots->slots[i];
    process_score *ps = ap_get_scoreboard_process(i);
    pid_t pid = slot->pid;
    int threads, t;

    if (pid == 0) {
        return;
    }
    slot->pid = 0;
    atomic_store(&slots->notes[i].wants_relief, 0);
    atomic_store(&slots->notes[i].crowded, 0);
    atomic_store(&slots->notes[i].heads, 0);
    atomic_store(&slots->board->shown[i].running, 0);
    atomic_store(&slots->board->shown[i].taken, 0);
    if (slots->clients != NULL) {
        clients_give_back(slots->clients, i);
    }
    pod_close(&slot->pod);
    /* Of all threads it may have had: an older generation's child may have
     * had more than one of today has. */
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    for (t = 0; t < threads; t++) {
        ap_update_child_status_from_indexes(i, t, SERVER_DEAD, NULL);
    }
    ap_run_child_status(server, pid, slot->generation, i, MPM_CHILD_EXITED);
    ps->not_accepting = 0;
    ps->connections = 0;
    ps->wait_io = 0;
    ps->write_completion = 0;
    ps->keep_alive = 0;
    ps->lingering_close = 0;
    ps->suspended = 0;
    ps->quiescing = 0;
    ps->pid = 0;
}

void slots_forget(slots_t *slots)
{
    int i;

    for (i = 0; i < slots->top; i++) {
        pod_close(&slots->slots[i].pod);
    }
}

void slots_clear(slots_t *slots)
{
    int i;

    slots_forget(slots);
    for (i = 0; i < slots->top; i++) {
        if (slots->slots[i].pid != 0 && slots->clients != NULL) {
            clients_give_back(slots->clients, i);
        }
        slots->slots[i].pid = 0;
        atomic_store(&slots->board->shown[i].running, 0);
        atomic_store(&slots->board->shown[i].taken, 0);
    }
}

/* Of this generation and not about to stop. */
static int is_current(const slot_t *slot, int i, ap_generation_t generation)
{
    return slot->pid != 0 && slot->generation == generation
           && slot->told == POD_NOTHING
           && !ap_get_scoreboard_process(i)->quiescing;
}

void slots_tell(slots_t *slots, int i, pod_word_e word)
{
    slot_t *slot = &slots->slots[i];

    if (slot->pid != 0 && slot->pod >= 0 && slot->told < word) {
        slot->told = word;
        slot->told_at = clock_now();
        pod_tell(slot->pod, word);
    }
}

/* Not a word that rises: what was told before or after it holds as well. */
void slots_rest(slots_t *slots, int i)
{
    slot_t *slot = &slots->slots[i];

    slot->rests_since = clock_now();
    pod_tell(slot->pod, POD_REST);
}

int slots_rests(const slots_t *slots, int i, ap_generation_t generation)
{
    const slot_t *slot = &slots->slots[i];

    return is_current(slot, i, generation) && slot->rests_since != 0;
}

int slots_take_back(slots_t *slots, ap_generation_t generation, int bucket)
{
    int i, last = -1;

    for (i = 0; i < slots->top; i++) {
        const slot_t *slot = &slots->slots[i];

        if (slot->bucket == bucket && slots_rests(slots, i, generation)
            && (last < 0
                || slot->rests_since > slots->slots[last].rests_since)) {
            last = i;
        }
    }
    if (last >= 0) {
        slots->slots[last].rests_since = 0;
        pod_tell(slots->slots[last].pod, POD_RESUME);
    }
    return last;
}

void slots_end_rests(slots_t *slots, ap_generation_t generation)
{
    apr_time_t now = clock_now();
    int i;

    for (i = 0; i < slots->top; i++) {
        if (slots_rests(slots, i, generation)
            && slots->slots[i].rests_since
                       + (ap_get_scoreboard_process(i)->connections > 0
                              ? REST_TIME
                              : REST_TIME_IDLE)
                   <= now) {
            slots_tell(slots, i, POD_DRAIN);
        }
    }
}

void slots_confirm(const slots_t *slots)
{
    int i;

    for (i = 0; i < slots->top; i++) {
        if (slots->slots[i].pid != 0
            && slots->slots[i].told == POD_RENEWED) {
            pod_tell(slots->slots[i].pod, POD_RENEWED);
        }
    }
}

void slots_tell_before(slots_t *slots, ap_generation_t generation,
                       pod_word_e word)
{
    int i;

    for (i = 0; i < slots->top; i++) {
        if (slots->slots[i].generation < generation) {
            slots_tell(slots, i, word);
        }
    }
}

void slots_hurry(slots_t *slots, ap_generation_t generation)
{
    int i, oldest = -1, untold = -1;

    for (i = 0; i < slots->top; i++) {
        const slot_t *slot = &slots->slots[i];

        if (slot->pid == 0) {
            continue;
        }
        if (slot->told == POD_HURRY
            && slot->told_at + HURRY_TIME > clock_now()) {
            return; /* one at a time */
        }
        if (slot->told == POD_DRAIN
            && (oldest < 0
                || slot->generation < slots->slots[oldest].generation)) {
            oldest = i;
        }
        if (slot->told < POD_DRAIN && slot->generation < generation) {
            untold = i;
        }
    }
    if (oldest >= 0) {
        slots_tell(slots, oldest, POD_HURRY);
    }
    else if (untold >= 0) {
        slots_tell(slots, untold, POD_DRAIN);
    }
}

int slots_serves(const slots_t *slots, int i, ap_generation_t generation)
{
    const slot_t *slot = &slots->slots[i];

    return is_current(slot, i, generation) && slot->rests_since == 0;
}

int slots_is_up(const slots_t *slots, int i, int threads)
{
    int t, up = 0;

    for (t = 0; t < threads && slots->slots[i].pid != 0; t++) {
        int status = ap_get_scoreboard_worker_from_indexes(i, t)->status;

        up += status >= SERVER_READY && status < SERVER_GRACEFUL;
    }
    return up == threads;
}

int slots_untold_before(const slots_t *slots, ap_generation_t generation)
{
    int i, untold = 0;

    for (i = 0; i < slots->top; i++) {
        const slot_t *slot = &slots->slots[i];

        untold += slot->pid != 0 && slot->generation < generation
                  && slot->told < POD_DRAIN;
    }
    return untold;
}

void slots_count(const slots_t *slots, ap_generation_t generation,
                 int num_buckets, spawn_totals_t *totals)
{
    int i, bucket;

    memset(totals, 0, sizeof(*totals));
    for (i = 0; i < slots->top; i++) {
        totals->children += slots->slots[i].pid != 0;
        totals->serving += slots_serves(slots, i, generation);
    }
    totals->free_slots = slots->num - totals->children;
    for (bucket = 0; bucket < num_buckets; bucket++) {
        totals->empty_buckets
            += slots_least_busy(slots, generation, bucket) < 0;
    }
}

int slots_census(const slots_t *slots, ap_generation_t generation,
                 int threads, int bucket, spawn_census_t *census)
{
    int healthy = 0;
    int i, t;

    memset(census, 0, sizeof(*census));
    for (i = 0; i < slots->num; i++) {
        int idle = 0, up = 0, not_accepting;

        if (slots->slots[i].pid == 0) {
            census->free_slots++;
            continue;
        }
        if (slots->slots[i].bucket != bucket) {
            continue;
        }
        census->resting += slots_rests(slots, i, generation);
        if (!slots_serves(slots, i, generation)) {
            continue;
        }
        for (t = 0; t < threads; t++) {
            int status = ap_get_scoreboard_worker_from_indexes(i, t)->status;

            idle += status <= SERVER_READY;
            up += status >= SERVER_READY && status < SERVER_GRACEFUL;
        }
        not_accepting = ap_get_scoreboard_process(i)->not_accepting;
        census->idle += not_accepting ? 0 : idle;
        census->refusing += not_accepting ? idle : 0;
        census->active += up;
        census->serving++;
        census->accepting += !not_accepting;
        healthy += up == threads;
    }
    return healthy;
}

int slots_least_busy(const slots_t *slots, ap_generation_t generation,
                     int bucket)
{
    apr_uint32_t least = 0;
    int i, found = -1;

    for (i = 0; i < slots->top; i++) {
        apr_uint32_t conns;

        if (slots->slots[i].bucket != bucket
            || !slots_serves(slots, i, generation)) {
            continue;
        }
        conns = ap_get_scoreboard_process(i)->connections;
        if (found < 0 || conns < least) {
            found = i;
            least = conns;
        }
    }
    return found;
}

#if defined(__linux__) && !defined(EVENT_PORTABLE_ONLY)

int slots_have_helpers(const slots_t *slots)
{
    char name[64];
    FILE *list;
    int pid, helpers = 0;

    /* Nobody but the main thread forks for good in a parent. */
    snprintf(name, sizeof(name), "/proc/self/task/%d/children", (int)getpid());
    list = fopen(name, "r");
    if (list == NULL) {
        return 1;
    }
    while (fscanf(list, "%d", &pid) == 1) {
        helpers += slots_find(slots, (pid_t)pid) < 0;
    }
    fclose(list);
    return helpers > 0;
}

#else

int slots_have_helpers(const slots_t *slots)
{
    (void)slots;
    return 1;
}

#endif
