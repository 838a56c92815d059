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
 * slots: the parent's table of its children: who sits in which scoreboard
 * slot, and how to reach them.
 *
 * Plain values that outlive the module and its configuration, so that a
 * restart can go on with the children of before.  The scoreboard is written
 * by children too: it is read for the census, and nothing in it is used as
 * an index or a process id.
 *
 * Threads: [parent].
 */

#ifndef EVENT_SLOTS_H
#define EVENT_SLOTS_H

#include "httpd.h"
#include "scoreboard.h"

#include "clients.h"
#include "pod.h"
#include "spawn.h"

typedef struct slot_t {
    pid_t pid;                  /* 0: free */
    ap_generation_t generation;
    int bucket;                 /* the listeners it has */
    int pod;                    /* the parent's end, -1: none */
    pod_word_e told;            /* the strongest word it was told */
    apr_time_t told_at;         /* and when; clock.h's time */
    apr_time_t rests_since;     /* it was told to rest; 0: it does not */
    pid_t relief;               /* who takes its place; 0: nobody yet */
} slot_t;

typedef struct slots_t {
    slot_t *slots;
    pod_note_t *notes; /* shared with children */
    pod_board_t *board; /* shared too */
    clients_t *clients; /* shared too; NULL until there is a limit on them */
    int num; /* as the first start had it */
    int top; /* highest slot ever used, plus 1 */
} slots_t;

/*
 * A table of num slots that lives as long as pool: the process. Errors of
 * apr_shm_create.
 */
apr_status_t slots_init(slots_t *slots, int num, apr_pool_t *pool);

/*
 * A free slot, -1 if there is none; one whose number modulo num_buckets is
 * the bucket's if possible, so that children of all buckets alternate.
 */
int slots_find_free(const slots_t *slots, int bucket, int num_buckets);

/* The slot of a child, -1 if it is none of ours. */
int slots_find(const slots_t *slots, pid_t pid);

/*
 * The child pid sits in slot i from now on, with the listeners of bucket,
 * reached by pod, which the table takes over; the scoreboard and modules are
 * told.
 */
void slots_enter(slots_t *slots, int i, pid_t pid,
                 ap_generation_t generation, int bucket, int pod,
                 server_rec *server);

/* The child in slot i is gone; the scoreboard and modules are told. */
void slots_leave(slots_t *slots, int i, server_rec *server);

/* In a forked child: the ends of the others' pods are not its own. */
void slots_forget(slots_t *slots);

/* All children have been killed: nobody is in the table any more. */
void slots_clear(slots_t *slots);

/* Say a word to the child in slot i, unless it has had a stronger one. */
void slots_tell(slots_t *slots, int i, pod_word_e word);

/* Tell the child in slot i to rest. */
void slots_rest(slots_t *slots, int i);

/* Does this child rest, so that it can be taken back? */
int slots_rests(const slots_t *slots, int i, ap_generation_t generation);

/*
 * Take back the child of this bucket that was told to rest last: its slot,
 * -1 if none rests.
 */
int slots_take_back(slots_t *slots, ap_generation_t generation, int bucket);

/* Tell those to drain who have rested for long, or have nothing left that
 * would keep them. */
void slots_end_rests(slots_t *slots, ap_generation_t generation);

/* Those who were told that they are being renewed: the module is loaded
 * again, so they will be. */
void slots_confirm(const slots_t *slots);

/* Say it to all children of generations before this one. */
void slots_tell_before(slots_t *slots, ap_generation_t generation,
                       pod_word_e word);

/*
 * A slot is needed: hurry the oldest child that is finishing, if none has
 * been within a second; if none is finishing, tell one of an earlier
 * generation to.
 */
void slots_hurry(slots_t *slots, ap_generation_t generation);

/* Does this child serve: of this generation, not about to stop, and not
 * resting? */
int slots_serves(const slots_t *slots, int i, ap_generation_t generation);

/* Has this child all of its threads up? */
int slots_is_up(const slots_t *slots, int i, int threads);

/* How many children there are of generations before this one that have not
 * been told to drain. */
int slots_untold_before(const slots_t *slots, ap_generation_t generation);

/* All children, and those of generation that serve. */
void slots_count(const slots_t *slots, ap_generation_t generation,
                 int num_buckets, spawn_totals_t *totals);

/*
 * One bucket's children of generation, with threads workers each, and how
 * many of them have all their workers up.
 */
int slots_census(const slots_t *slots, ap_generation_t generation,
                 int threads, int bucket, spawn_census_t *census);

/* The child of this bucket that has the least to lose by going: of those
 * that serve, the one with the fewest connections; -1 if there is none. */
int slots_least_busy(const slots_t *slots, ap_generation_t generation,
                     int bucket);

/*
 * Are there processes beside our children that the parent has started for
 * modules: loggers, mod_cgid's daemon, programs of RewriteMap? They end with
 * the configuration. 1 also where that cannot be found out.
 */
int slots_have_helpers(const slots_t *slots);

#endif /* EVENT_SLOTS_H */
