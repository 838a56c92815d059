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
 * check_slots: the parent's table of children. httpd is not running: the
 * scoreboard and the hook are the few lines at the top; the pods are real.
 */

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apr_general.h"

#include "httpd.h"
#include "ap_mpm.h"
#include "mpm_common.h"
#include "scoreboard.h"

#include "slots.h"

#define SLOTS 12
#define THREADS 4      /* of a child */
#define THREAD_LIMIT 6 /* cells of a slot */
#define GENERATION 5   /* the present one */

/* --- What httpd does for the room ----------------------------------------- */

static process_score processes[SLOTS];
static worker_score cells[SLOTS][THREAD_LIMIT];

/* What modules were told last. */
static struct {
    int times;
    server_rec *server;
    pid_t pid;
    ap_generation_t generation;
    int slot;
    mpm_child_status state;
} told;

AP_DECLARE_DATA module mpm_event_module;

AP_DECLARE(process_score *) ap_get_scoreboard_process(int slot)
{
    ck_assert(slot >= 0 && slot < SLOTS);
    return &processes[slot];
}

AP_DECLARE(worker_score *) ap_get_scoreboard_worker_from_indexes(int slot,
                                                                 int worker)
{
    ck_assert(slot >= 0 && slot < SLOTS);
    ck_assert(worker >= 0 && worker < THREAD_LIMIT);
    return &cells[slot][worker];
}

AP_DECLARE(int) ap_update_child_status_from_indexes(int slot, int worker,
                                                    int status,
                                                    request_rec *r)
{
    ck_assert_ptr_null(r);
    ap_get_scoreboard_worker_from_indexes(slot, worker)->status
        = (unsigned char)status;
    return 0;
}

AP_DECLARE(apr_status_t) ap_mpm_query(int code, int *result)
{
    ck_assert_int_eq(code, AP_MPMQ_HARD_LIMIT_THREADS);
    *result = THREAD_LIMIT;
    return APR_SUCCESS;
}

AP_DECLARE(void) ap_run_child_status(server_rec *s, pid_t pid,
                                     ap_generation_t gen, int slot,
                                     mpm_child_status state)
{
    told.times++;
    told.server = s;
    told.pid = pid;
    told.generation = gen;
    told.slot = slot;
    told.state = state;
}

/* --- Help ----------------------------------------------------------------- */

static apr_pool_t *pool;
static slots_t slots;
static server_rec server;
static signals_t sig;
static pod_t *pods[SLOTS]; /* the children's sides */

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    memset(processes, 0, sizeof(processes));
    memset(cells, 0, sizeof(cells));
    memset(&told, 0, sizeof(told));
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, NULL, &sig.asleep);
    ck_assert_int_eq(slots_init(&slots, SLOTS, pool), APR_SUCCESS);
}

static void teardown(void)
{
    slots_forget(&slots);
    apr_pool_destroy(pool);
}

/* The child that sits in a slot in these tests. */
static pid_t pid_of(int i)
{
    return 1000 + i;
}

static void enter(int i, ap_generation_t generation, int bucket)
{
    int child_end, parent_end;

    ck_assert_int_eq(pod_open(&child_end, &parent_end), APR_SUCCESS);
    ck_assert_int_eq(pod_create(&pods[i], child_end, pool), APR_SUCCESS);
    slots_enter(&slots, i, pid_of(i), generation, bucket, parent_end,
                &server);
}

/* What the child in slot i hears by now. */
static pod_word_e heard(int i)
{
    return pod_wait(pods[i], &sig, 0);
}

/* Let the workers in slot i be as this says: "S" starting, "R" ready, "B"
 * busy, "G" finishing gracefully, "D" dead. */
static void workers_are(int i, const char *states)
{
    int t;

    for (t = 0; states[t] != '\0'; t++) {
        cells[i][t].status = states[t] == 'S' ? SERVER_STARTING
                             : states[t] == 'R' ? SERVER_READY
                             : states[t] == 'B' ? SERVER_BUSY_WRITE
                             : states[t] == 'G' ? SERVER_GRACEFUL
                                                : SERVER_DEAD;
    }
}

/* --- Who sits where ------------------------------------------------------- */

START_TEST(empty)
{
    spawn_totals_t totals;
    int i;

    ck_assert_int_eq(slots.num, SLOTS);
    ck_assert_int_eq(slots.top, 0);
    ck_assert_int_eq(slots_find(&slots, pid_of(0)), -1);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 0), -1);
    slots_count(&slots, GENERATION, 2, &totals);
    ck_assert_int_eq(totals.children, 0);
    ck_assert_int_eq(totals.serving, 0);
    ck_assert_int_eq(totals.free_slots, SLOTS);
    ck_assert_int_eq(totals.empty_buckets, 2);
    for (i = 0; i < SLOTS; i++) {
        ck_assert_int_eq(slots_serves(&slots, i, GENERATION), 0);
        ck_assert_int_eq(slots_serves(&slots, i, 0), 0);
        slots_tell(&slots, i, POD_EXIT);
        slots_leave(&slots, i, &server);
    }
    ck_assert_int_eq(told.times, 0);
}
END_TEST

START_TEST(entering)
{
    enter(3, GENERATION, 1);
    ck_assert_int_eq(slots.slots[3].pid, pid_of(3));
    ck_assert_int_eq(slots.slots[3].generation, GENERATION);
    ck_assert_int_eq(slots.slots[3].bucket, 1);
    ck_assert_int_eq(slots.slots[3].told, POD_NOTHING);
    ck_assert_int_eq(slots.top, 4);
    ck_assert_int_eq(processes[3].pid, pid_of(3));
    ck_assert_int_eq(processes[3].generation, GENERATION);
    ck_assert_int_eq(told.times, 1);
    ck_assert_ptr_eq(told.server, &server);
    ck_assert_int_eq(told.pid, pid_of(3));
    ck_assert_int_eq(told.generation, GENERATION);
    ck_assert_int_eq(told.slot, 3);
    ck_assert_int_eq(told.state, MPM_CHILD_STARTED);
    ck_assert_int_eq(slots_find(&slots, pid_of(3)), 3);
    enter(1, GENERATION, 1);
    ck_assert_int_eq(slots.top, 4);
}
END_TEST

START_TEST(leaving)
{
    int t;

    enter(2, GENERATION - 1, 0);
    enter(3, GENERATION, 0);
    memset(&processes[2], 0x55, sizeof(processes[2]));
    for (t = 0; t < THREAD_LIMIT; t++) {
        cells[2][t].status = SERVER_BUSY_READ;
        cells[3][t].status = SERVER_BUSY_READ;
    }
    slots_leave(&slots, 2, &server);
    ck_assert_int_eq(told.times, 3);
    ck_assert_ptr_eq(told.server, &server);
    ck_assert_int_eq(told.pid, pid_of(2));
    ck_assert_int_eq(told.generation, GENERATION - 1);
    ck_assert_int_eq(told.slot, 2);
    ck_assert_int_eq(told.state, MPM_CHILD_EXITED);
    ck_assert_int_eq(heard(2), POD_GONE); /* its pod is closed */
    ck_assert_int_eq(processes[2].pid, 0);
    ck_assert_int_eq(processes[2].not_accepting, 0);
    ck_assert_int_eq(processes[2].quiescing, 0);
    ck_assert_uint_eq(processes[2].connections, 0);
    ck_assert_uint_eq(processes[2].wait_io, 0);
    ck_assert_uint_eq(processes[2].write_completion, 0);
    ck_assert_uint_eq(processes[2].keep_alive, 0);
    ck_assert_uint_eq(processes[2].lingering_close, 0);
    ck_assert_uint_eq(processes[2].suspended, 0);
    for (t = 0; t < THREAD_LIMIT; t++) {
        ck_assert_int_eq(cells[2][t].status, SERVER_DEAD);
        ck_assert_int_eq(cells[3][t].status, SERVER_BUSY_READ);
    }
    ck_assert_int_eq(slots_find(&slots, pid_of(2)), -1);
    ck_assert_int_eq(slots_find(&slots, pid_of(3)), 3);
    slots_leave(&slots, 2, &server);
    ck_assert_int_eq(told.times, 3);
    ck_assert_int_eq(heard(3), POD_NOTHING);
}
END_TEST

/* Nothing of the one before. */
START_TEST(leaving_gives_its_clients_back)
{
    const clients_key_t key = 7;

    ck_assert_int_eq(clients_create(&slots.clients, 1, SLOTS, pool),
                     APR_SUCCESS);
    enter(2, GENERATION, 0);
    enter(3, GENERATION, 0);
    ck_assert_int_ge(clients_enter(slots.clients, key, 2, 9), 0);
    ck_assert_int_ge(clients_enter(slots.clients, key, 2, 9), 0);
    ck_assert_int_ge(clients_enter(slots.clients, key, 3, 9), 0);
    slots_leave(&slots, 2, &server);
    ck_assert_uint_eq(clients_count(slots.clients, key), 1);
    slots_leave(&slots, 2, &server); /* which nobody has entered since */
    ck_assert_uint_eq(clients_count(slots.clients, key), 1);
    slots_clear(&slots);
    ck_assert_uint_eq(clients_count(slots.clients, key), 0);
}
END_TEST

START_TEST(a_slot_is_used_again)
{
    enter(0, GENERATION - 1, 1);
    slots_tell(&slots, 0, POD_DRAIN);
    atomic_store(&slots.notes[0].wants_relief, 1);
    slots.slots[0].relief = 77;
    slots_rest(&slots, 0);
    slots_leave(&slots, 0, &server);
    enter(0, GENERATION, 0);
    ck_assert_int_eq(slots.slots[0].told, POD_NOTHING);
    ck_assert_int_eq(slots.slots[0].relief, 0);
    ck_assert_int_eq(slots_rests(&slots, 0, GENERATION), 0);
    ck_assert_int_eq(slots.slots[0].bucket, 0);
    ck_assert_int_eq(atomic_load(&slots.notes[0].wants_relief), 0);
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 1);
    slots_tell(&slots, 0, POD_DRAIN);
    ck_assert_int_eq(heard(0), POD_DRAIN);
}
END_TEST

START_TEST(free_slots_alternate_between_buckets)
{
    int i;

    ck_assert_int_eq(slots_find_free(&slots, 0, 3), 0);
    ck_assert_int_eq(slots_find_free(&slots, 1, 3), 1);
    ck_assert_int_eq(slots_find_free(&slots, 2, 3), 2);
    enter(1, GENERATION, 1);
    ck_assert_int_eq(slots_find_free(&slots, 1, 3), 4);
    ck_assert_int_eq(slots_find_free(&slots, 0, 1), 0);
    for (i = 0; i < SLOTS; i++) {
        if (i % 3 == 2) {
            enter(i, GENERATION, 2);
        }
    }
    /* Better any than none. */
    ck_assert_int_eq(slots_find_free(&slots, 2, 3), 0);
    for (i = 0; i < SLOTS; i++) {
        if (slots.slots[i].pid == 0) {
            enter(i, GENERATION, 0);
        }
    }
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(slots_find_free(&slots, i, 3), -1);
    }
    slots_leave(&slots, 7, &server);
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(slots_find_free(&slots, i, 3), 7);
    }
}
END_TEST

/* --- Words ---------------------------------------------------------------- */

START_TEST(words_only_rise)
{
    int word, weaker;

    for (word = POD_NOTHING + 1; word <= POD_EXIT; word++) {
        enter(0, GENERATION, 0);
        slots_tell(&slots, 0, (pod_word_e)word);
        ck_assert_int_eq(heard(0), word);
        ck_assert_int_eq(slots.slots[0].told, word);
        for (weaker = POD_NOTHING + 1; weaker <= word; weaker++) {
            slots_tell(&slots, 0, (pod_word_e)weaker);
            ck_assert_int_eq(heard(0), POD_NOTHING);
            ck_assert_int_eq(slots.slots[0].told, word);
        }
        if (word < POD_EXIT) {
            slots_tell(&slots, 0, POD_EXIT);
            ck_assert_int_eq(heard(0), POD_EXIT);
        }
        slots_leave(&slots, 0, &server);
    }
}
END_TEST

START_TEST(words_to_those_before)
{
    enter(0, GENERATION - 2, 0);
    enter(1, GENERATION, 0);
    enter(2, GENERATION - 1, 0);
    enter(3, GENERATION - 1, 0);
    slots_leave(&slots, 3, &server);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION), 2);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION + 1), 3);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION - 2), 0);
    slots_tell_before(&slots, GENERATION, POD_DRAIN);
    ck_assert_int_eq(heard(0), POD_DRAIN);
    ck_assert_int_eq(heard(1), POD_NOTHING);
    ck_assert_int_eq(heard(2), POD_DRAIN);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION), 0);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION + 1), 1);
    slots_tell_before(&slots, GENERATION + 1, POD_EXIT);
    ck_assert_int_eq(heard(0), POD_EXIT);
    ck_assert_int_eq(heard(1), POD_EXIT);
    ck_assert_int_eq(heard(2), POD_EXIT);
}
END_TEST

START_TEST(hurrying_whom_it_helps)
{
    slots_hurry(&slots, GENERATION); /* nobody there */
    enter(0, GENERATION, 0);
    enter(1, GENERATION - 1, 0);
    enter(2, GENERATION - 2, 0);
    enter(3, GENERATION - 3, 0);
    enter(4, GENERATION - 1, 0);
    slots_leave(&slots, 4, &server);
    slots_tell(&slots, 2, POD_DRAIN);
    slots_tell(&slots, 1, POD_DRAIN);
    slots_hurry(&slots, GENERATION);
    ck_assert_int_eq(heard(0), POD_NOTHING);
    ck_assert_int_eq(heard(1), POD_DRAIN);
    ck_assert_int_eq(heard(2), POD_HURRY); /* the oldest that drains */
    ck_assert_int_eq(heard(3), POD_NOTHING);
    slots_hurry(&slots, GENERATION); /* one at a time */
    ck_assert_int_eq(heard(1), POD_NOTHING);
    slots_leave(&slots, 2, &server);
    slots_hurry(&slots, GENERATION);
    ck_assert_int_eq(heard(1), POD_HURRY);
    slots_leave(&slots, 1, &server);
    /* None drains: one has to begin. */
    slots_hurry(&slots, GENERATION);
    ck_assert_int_eq(heard(3), POD_DRAIN);
    slots_leave(&slots, 3, &server);
    /* The present generation is left alone. */
    slots_hurry(&slots, GENERATION);
    ck_assert_int_eq(heard(0), POD_NOTHING);
}
END_TEST

/* It neither serves nor is gone, and every stronger word reaches it. */
START_TEST(resting)
{
    spawn_totals_t totals;
    spawn_census_t census;

    enter(0, GENERATION, 0);
    enter(1, GENERATION, 0);
    workers_are(0, "RRRR");
    workers_are(1, "RRRR");
    slots_rest(&slots, 0);
    ck_assert_int_eq(heard(0), POD_REST);
    ck_assert_int_eq(slots_rests(&slots, 0, GENERATION), 1);
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 0);
    ck_assert_int_eq(slots_rests(&slots, 1, GENERATION), 0);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 0), 1);
    slots_count(&slots, GENERATION, 1, &totals);
    ck_assert_int_eq(totals.children, 2);
    ck_assert_int_eq(totals.serving, 1);
    ck_assert_int_eq(totals.free_slots, SLOTS - 2);
    ck_assert_int_eq(slots_census(&slots, GENERATION, THREADS, 0, &census),
                     1);
    ck_assert_int_eq(census.idle, 4);
    ck_assert_int_eq(census.resting, 1);
    ck_assert_int_eq(census.accepting, 1);
    /* Who goes of its own accord cannot be taken back. */
    processes[0].quiescing = 1;
    ck_assert_int_eq(slots_rests(&slots, 0, GENERATION), 0);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), -1);
    processes[0].quiescing = 0;
    slots_tell(&slots, 0, POD_RENEWED);
    ck_assert_int_eq(heard(0), POD_RENEWED);
    ck_assert_int_eq(slots_rests(&slots, 0, GENERATION), 0);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), -1);
    ck_assert_int_eq(slots_untold_before(&slots, GENERATION + 1), 2);
    slots_tell_before(&slots, GENERATION + 1, POD_DRAIN);
    ck_assert_int_eq(heard(0), POD_DRAIN);
}
END_TEST

START_TEST(taking_back_whom_was_told_last)
{
    int i;

    for (i = 0; i < 6; i++) {
        enter(i, i == 5 ? GENERATION - 1 : GENERATION, i == 4);
        slots_rest(&slots, i);
        slots.slots[i].rests_since = 100 + (i == 1 ? 50 : i);
        ck_assert_int_eq(heard(i), POD_REST);
    }
    slots_tell(&slots, 3, POD_DRAIN);
    ck_assert_int_eq(heard(3), POD_DRAIN);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), 1);
    ck_assert_int_eq(heard(1), POD_RESUME);
    ck_assert_int_eq(slots_serves(&slots, 1, GENERATION), 1);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), 2);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 1), 4);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 1), -1);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), 0);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), -1);
    ck_assert_int_eq(heard(3), POD_NOTHING);
    ck_assert_int_eq(heard(5), POD_NOTHING);
    /* And again. */
    slots_rest(&slots, 1);
    ck_assert_int_eq(heard(1), POD_REST);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), 1);
}
END_TEST

START_TEST(rests_end)
{
    apr_time_t now;
    int i;

    for (i = 0; i < 4; i++) {
        enter(i, GENERATION, 0);
        processes[i].connections = i == 0 ? 0 : 3;
        if (i < 3) {
            slots_rest(&slots, i);
            ck_assert_int_eq(heard(i), POD_REST);
        }
    }
    /* Not in the turn in which they began. */
    slots_end_rests(&slots, GENERATION);
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(heard(i), POD_NOTHING);
    }
    now = slots.slots[0].rests_since;
    slots.slots[0].rests_since = now - apr_time_from_sec(1);
    slots.slots[1].rests_since = now - apr_time_from_sec(1);
    slots.slots[2].rests_since = now - apr_time_from_sec(11);
    slots_end_rests(&slots, GENERATION);
    ck_assert_int_eq(heard(0), POD_DRAIN); /* nothing keeps it */
    ck_assert_int_eq(heard(1), POD_NOTHING);
    ck_assert_int_eq(heard(2), POD_DRAIN); /* for too long */
    ck_assert_int_eq(heard(3), POD_NOTHING);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), 1);
    ck_assert_int_eq(slots_take_back(&slots, GENERATION, 0), -1);
    slots_end_rests(&slots, GENERATION);
    ck_assert_int_eq(heard(1), POD_RESUME);
    ck_assert_int_eq(heard(1), POD_NOTHING);
}
END_TEST

/* -X: this process sits in the slot itself, and has no pod. */
START_TEST(a_child_without_a_pod)
{
    slots_enter(&slots, 0, getpid(), GENERATION, 0, -1, &server);
    slots_tell(&slots, 0, POD_EXIT);
    ck_assert_int_eq(slots_find(&slots, getpid()), 0);
    slots_forget(&slots);
    slots_leave(&slots, 0, &server);
    ck_assert_int_eq(told.state, MPM_CHILD_EXITED);
}
END_TEST

/* In a forked child: the others' pods close for it, so that they do not
 * outlive the parent in it. */
START_TEST(forgetting)
{
    enter(0, GENERATION, 0);
    enter(5, GENERATION, 0);
    slots_forget(&slots);
    ck_assert_int_eq(heard(0), POD_GONE);
    ck_assert_int_eq(heard(5), POD_GONE);
    slots_forget(&slots);
}
END_TEST

/* --- The census ----------------------------------------------------------- */

START_TEST(who_serves)
{
    enter(0, GENERATION, 0);
    enter(1, GENERATION - 1, 0);
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 1);
    ck_assert_int_eq(slots_serves(&slots, 1, GENERATION), 0);
    ck_assert_int_eq(slots_serves(&slots, 1, GENERATION - 1), 1);
    processes[0].not_accepting = 1; /* a matter of the moment */
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 1);
    processes[0].quiescing = 1;
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 0);
    processes[0].quiescing = 0;
    slots_tell(&slots, 0, POD_DRAIN);
    ck_assert_int_eq(slots_serves(&slots, 0, GENERATION), 0);
}
END_TEST

START_TEST(who_is_up)
{
    enter(0, GENERATION, 0);
    workers_are(0, "RRB");
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS), 0);
    workers_are(0, "RRBS");
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS), 0);
    workers_are(0, "RRBG");
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS), 0);
    workers_are(0, "RRBR");
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS), 1);
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS + 1), 0);
    slots_leave(&slots, 0, &server);
    ck_assert_int_eq(slots_is_up(&slots, 0, THREADS), 0);
}
END_TEST

START_TEST(all_of_them)
{
    spawn_totals_t totals;

    enter(0, GENERATION, 0);
    enter(1, GENERATION, 1);
    enter(2, GENERATION - 1, 2);
    enter(9, GENERATION, 0);
    slots_tell(&slots, 1, POD_DRAIN);
    slots_count(&slots, GENERATION, 3, &totals);
    ck_assert_int_eq(totals.children, 4);
    ck_assert_int_eq(totals.serving, 2);
    ck_assert_int_eq(totals.free_slots, SLOTS - 4);
    ck_assert_int_eq(totals.empty_buckets, 2);
    ck_assert_int_eq(totals.idle, 0);
    slots_leave(&slots, 9, &server);
    slots_leave(&slots, 0, &server);
    slots_count(&slots, GENERATION, 3, &totals);
    ck_assert_int_eq(totals.children, 2);
    ck_assert_int_eq(totals.serving, 0);
    ck_assert_int_eq(totals.free_slots, SLOTS - 2);
    ck_assert_int_eq(totals.empty_buckets, 3);
}
END_TEST

START_TEST(a_buckets_children)
{
    spawn_census_t census;

    enter(0, GENERATION, 0);
    workers_are(0, "RRBB");
    enter(1, GENERATION, 0); /* just started */
    workers_are(1, "RSDD");
    enter(2, GENERATION, 0); /* at its limit */
    workers_are(2, "RBBB");
    processes[2].not_accepting = 1;
    enter(3, GENERATION, 1); /* another bucket's */
    workers_are(3, "RRRR");
    enter(4, GENERATION - 1, 0); /* another generation's */
    workers_are(4, "RRRR");
    enter(5, GENERATION, 0); /* finishing */
    workers_are(5, "RRRR");
    slots_tell(&slots, 5, POD_DRAIN);
    enter(6, GENERATION, 0); /* finishing of its own accord */
    workers_are(6, "RRRR");
    processes[6].quiescing = 1;
    ck_assert_int_eq(slots_census(&slots, GENERATION, THREADS, 0, &census),
                     2);
    ck_assert_int_eq(census.idle, 2 + 4);
    ck_assert_int_eq(census.refusing, 1);
    ck_assert_int_eq(census.active, 4 + 1 + 4);
    ck_assert_int_eq(census.serving, 3);
    ck_assert_int_eq(census.accepting, 2);
    ck_assert_int_eq(census.free_slots, SLOTS - 7);
    ck_assert_int_eq(slots_census(&slots, GENERATION, THREADS, 1, &census),
                     1);
    ck_assert_int_eq(census.idle, 4);
    ck_assert_int_eq(census.serving, 1);
    ck_assert_int_eq(slots_census(&slots, GENERATION, THREADS, 2, &census),
                     0);
    ck_assert_int_eq(census.idle + census.active + census.serving, 0);
    ck_assert_int_eq(census.free_slots, SLOTS - 7);
}
END_TEST

START_TEST(least_busy)
{
    static const apr_uint32_t conns[] = {7, 3, 1, 0, 0, 3};
    int i;

    for (i = 0; i < 6; i++) {
        enter(i, GENERATION, i == 2);
        processes[i].connections = conns[i];
    }
    processes[3].quiescing = 1;
    slots_tell(&slots, 4, POD_DRAIN);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 0), 1);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 1), 2);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 2), -1);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION - 1, 0), -1);
    slots_leave(&slots, 1, &server);
    ck_assert_int_eq(slots_least_busy(&slots, GENERATION, 0), 5);
}
END_TEST

/* A child that has gone mad can write anything there. It may get the figures
 * wrong, but nothing else. */
START_TEST(a_scoreboard_not_to_be_trusted)
{
    static const int bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    spawn_census_t census;
    spawn_totals_t totals;
    int healthy, i;

    for (i = 0; i < 4; i++) {
        enter(i, GENERATION, 0);
    }
    memset(processes, bytes[_i], sizeof(processes));
    memset(cells, bytes[_i], sizeof(cells));
    healthy = slots_census(&slots, GENERATION, THREADS, 0, &census);
    ck_assert(healthy >= 0 && healthy <= 4);
    ck_assert(census.serving >= 0 && census.serving <= 4);
    ck_assert(census.accepting >= 0 && census.accepting <= census.serving);
    ck_assert(census.idle >= 0 && census.idle <= 4 * THREADS);
    ck_assert(census.refusing >= 0 && census.refusing <= 4 * THREADS);
    ck_assert(census.active >= 0 && census.active <= 4 * THREADS);
    ck_assert_int_eq(census.free_slots, SLOTS - 4);
    slots_count(&slots, GENERATION, 1, &totals);
    ck_assert_int_eq(totals.children, 4);
    ck_assert_int_eq(totals.free_slots, SLOTS - 4);
    i = slots_least_busy(&slots, GENERATION, 0);
    ck_assert(i >= -1 && i < 4);
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(slots_find(&slots, pid_of(i)), i);
        slots_tell(&slots, i, POD_DRAIN);
        ck_assert_int_eq(heard(i), POD_DRAIN);
        slots_leave(&slots, i, &server);
        ck_assert_int_eq(told.pid, pid_of(i));
        ck_assert_int_eq(told.generation, GENERATION);
    }
}
END_TEST

START_TEST(shares_are_given_back)
{
    int i;

    for (i = 0; i < 3; i++) {
        slots_enter(&slots, i, 100 + i, GENERATION, 0, -1, &server);
        atomic_store(&slots.board->shown[i].running, 2 + i);
        atomic_store(&slots.board->shown[i].taken, 1u << i);
    }
    slots_leave(&slots, 1, &server);
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(atomic_load(&slots.board->shown[i].running),
                         i == 1 ? 0 : 2 + i);
        ck_assert_uint_eq(atomic_load(&slots.board->shown[i].taken),
                          i == 1 ? 0 : 1u << i);
    }
    slots_clear(&slots);
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(atomic_load(&slots.board->shown[i].running), 0);
        ck_assert_uint_eq(atomic_load(&slots.board->shown[i].taken), 0);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("slots");
    TCase *tc = tcase_create("seats");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, empty);
    tcase_add_test(tc, entering);
    tcase_add_test(tc, leaving);
    tcase_add_test(tc, leaving_gives_its_clients_back);
    tcase_add_test(tc, shares_are_given_back);
    tcase_add_test(tc, a_slot_is_used_again);
    tcase_add_test(tc, free_slots_alternate_between_buckets);
    suite_add_tcase(s, tc);

    tc = tcase_create("words");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, words_only_rise);
    tcase_add_test(tc, words_to_those_before);
    tcase_add_test(tc, hurrying_whom_it_helps);
    tcase_add_test(tc, resting);
    tcase_add_test(tc, taking_back_whom_was_told_last);
    tcase_add_test(tc, rests_end);
    tcase_add_test(tc, a_child_without_a_pod);
    tcase_add_test(tc, forgetting);
    suite_add_tcase(s, tc);

    tc = tcase_create("census");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_serves);
    tcase_add_test(tc, who_is_up);
    tcase_add_test(tc, all_of_them);
    tcase_add_test(tc, a_buckets_children);
    tcase_add_test(tc, least_busy);
    tcase_add_loop_test(tc, a_scoreboard_not_to_be_trusted, 0, 5);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *runner;
    int failed;

    apr_initialize();
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
