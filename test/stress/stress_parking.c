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
 * stress_parking: workers that park, and a listener that works as this MPM's
 * does.
 *
 * Everything that is parked must come out exactly once, with a verdict that
 * is true, to one owner. Who gets it overwrites and frees it at once, so that
 * a late touch by anybody else is seen (by the sanitizers, and as nonsense).
 *
 * alone: one at a time and nothing else going on: whatever wake-up is lost
 *        is waited for here until the alarm;
 * far:   the same while another waits that has an hour;
 * crowd: many, with evictions, refusals, listening sockets and wake-ups by
 *        others.
 *
 * The room is compiled into this program, with slow steps between threads
 * and slow arming, so that things do come in the middle of each other.
 */

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "apr_general.h"
#include "apr_poll.h"
#include "apr_portable.h"

#include "clock.h"
#include "fdqueue.h"
#include "poller.h"
#include "stress.h"

#define SOON 1500 /* microseconds */

/* --- A slow poll set, and slow words between threads ---------------------- */

static _Thread_local unsigned dice;

static void dawdle(unsigned chance)
{
    unsigned how = stress_random(&dice, 64 * chance);

    if (how == 0) {
        usleep(SOON / 2);
    }
    else if (how < 16) {
        sched_yield();
    }
}

static apr_status_t slow_arm(poller_t *poller, poller_entry_t *entry)
{
    apr_status_t rv;

    dawdle(1);
    rv = poller_arm(poller, entry);
    dawdle(1);
    return rv;
}

static void slow_came(poller_t *poller, poller_entry_t *entry)
{
    dawdle(20);
    poller_came(poller, entry);
}

static void slow_disarm(poller_t *poller, poller_entry_t *entry)
{
    dawdle(20);
    poller_disarm(poller, entry);
}

/* Between any two of these another thread may do anything: make it likely
 * that it does. */
#undef atomic_load
#define atomic_load(word)                                                    \
    (dawdle(20), atomic_load_explicit(word, memory_order_seq_cst))
#undef atomic_store
#define atomic_store(word, value)                                            \
    (dawdle(20), atomic_store_explicit(word, value, memory_order_seq_cst))
#undef atomic_fetch_or
#define atomic_fetch_or(word, value)                                         \
    (dawdle(20), atomic_fetch_or_explicit(word, value, memory_order_seq_cst))
#undef atomic_exchange
#define atomic_exchange(word, value)                                         \
    (dawdle(20), atomic_exchange_explicit(word, value, memory_order_seq_cst))

#define poller_arm slow_arm
#define poller_came slow_came
#define poller_disarm slow_disarm
#include "parking.c"
#include "waits.c"
#undef poller_arm
#undef poller_came
#undef poller_disarm

/* --- Who does what -------------------------------------------------------- */

#define MAX_SLOTS 48
#define MAX_WORKERS 4
#define BATCH 8

#define FAR_OFF apr_time_from_sec(3600)
/* On any machine: an end of time that is noticed later than this was not
 * noticed by itself. */
#define LATE apr_time_from_sec(60)

/* What is to become of a parked item. */
typedef enum {
    FRESH,    /* not parked yet */
    EVENT,    /* ready while it is armed or a little later */
    AT_ONCE,  /* ready before it is armed */
    EXPIRY,   /* its time is over soon */
    EITHER,   /* one of these, whatever is first */
    REFUSAL,  /* no descriptor at all */
    TWINS,    /* two with one descriptor: the second is refused */
    EVICTION, /* the listener wants it out */
    FAR       /* it outlasts all others, then it is ready */
} plan_e;

enum { TAG_ANY, TAG_EVICT };

/* Who owns an item. */
enum { WITH_WORKER, IN_PARKING, IN_QUEUE };

typedef struct world_t world_t;
typedef struct slot_t slot_t;

/* As a connection: made by a worker, freed by the one that gets it back. */
typedef struct {
    fdqueue_entry_t entry;
    parked_t parked;
    slot_t *slot;
    plan_e plan;
    int is_second; /* of TWINS */
} item_t;

/* The descriptors of one item after the other. */
struct slot_t {
    int fd, peer, none;
    int known;           /* who has the slot: as its last item had it */
    apr_socket_t *socket, *twin, *closed;
    atomic_int owner[2]; /* of the item; of its twin */
    int pokes;           /* who has the slot: how often it was to be poked */
    atomic_int poke;     /* the poker is to say something to it */
    atomic_int poked;    /* how often it has */
};

typedef struct {
    world_t *world;
    int number;
    pthread_t thread;
} member_t;

struct world_t {
    apr_pool_t *pool;
    parking_t *parking;
    fdqueue_t *queue;
    int is_crowd;
    int num_slots;
    slot_t slots[MAX_SLOTS];
    int num_workers;
    member_t workers[MAX_WORKERS];
    pthread_t listener;
    pthread_t poker;
    sem_t pokes;
    atomic_int left;    /* items still to be parked */
    atomic_int retired; /* slots that are out of use */
    atomic_int over;
    atomic_int made;    /* items that were to be parked */
    atomic_int back;    /* those that came back from parking_put */
    atomic_int out[4];  /* all that are out, by verdict */
    struct {
        parking_kind_e kind;
        int is_watched; /* listener */
        int fd, peer;
        apr_pollfd_t pfd;
    } door;
};

/* --- Workers -------------------------------------------------------------- */

static void say(slot_t *slot)
{
    MUST(write(slot->peer, "x", 1) == 1);
}

static void hear(slot_t *slot)
{
    char c;

    MUST(recv(slot->fd, &c, 1, MSG_DONTWAIT) == 1);
}

static void give(item_t *item, int from, int to)
{
    MUST(atomic_exchange(&item->slot->owner[item->is_second], to) == from);
}

static item_t *make_item(world_t *world, slot_t *slot, plan_e plan)
{
    item_t *item = calloc(1, sizeof(*item));

    MUST(item != NULL);
    atomic_fetch_add(&world->made, plan != FRESH);
    item->slot = slot;
    item->plan = plan;
    return item;
}

static void destroy(item_t *item)
{
    memset(item, 0xA5, sizeof(*item));
    free(item);
}

static plan_e choose_plan(const world_t *world)
{
    static const plan_e plans[] = {EVENT, EVENT, AT_ONCE, EXPIRY, EITHER,
                                   REFUSAL, TWINS, EVICTION};

    return plans[stress_random(&dice, world->is_crowd ? 8 : 6)];
}

/* 1 if it is parked, 0 if it is the caller's again. */
static int park(world_t *world, item_t *item, apr_socket_t *socket, int tag,
                apr_interval_time_t timeout)
{
    parked_t *parked = &item->parked;

    parking_init(parked, socket, world->pool);
    if (socket == item->slot->socket) {
        parked->entry.known = item->slot->known;
    }
    give(item, WITH_WORKER, IN_PARKING);
    if (parking_put(world->parking, &parked, tag, APR_POLLIN, timeout,
                    clock_now())) {
        MUST(parked == NULL);
        return 1;
    }
    MUST(parked == &item->parked);
    give(item, IN_PARKING, WITH_WORKER);
    return 0;
}

static void park_twins(world_t *world, item_t *item)
{
    slot_t *slot = item->slot;
    item_t *second = make_item(world, slot, TWINS);

    second->is_second = 1;
    MUST(park(world, item, slot->socket, TAG_ANY, FAR_OFF) == 1);
    MUST(park(world, second, slot->twin, TAG_ANY, FAR_OFF) == 1);
}

static int park_as_planned(world_t *world, item_t *item)
{
    slot_t *slot = item->slot;
    apr_interval_time_t soon = stress_random(&dice, SOON);

    switch (item->plan) {
    case EVENT:
    case EITHER:
        slot->pokes++;
        atomic_store(&slot->poke, 1);
        sem_post(&world->pokes);
        return park(world, item, slot->socket, TAG_ANY,
                    item->plan == EVENT ? FAR_OFF : soon);
    case AT_ONCE:
        say(slot);
        return park(world, item, slot->socket, TAG_ANY, FAR_OFF);
    case EXPIRY:
        return park(world, item, slot->socket, TAG_ANY, soon);
    case REFUSAL:
        return park(world, item, slot->closed, TAG_ANY, soon);
    case TWINS:
        park_twins(world, item);
        return 1;
    case EVICTION:
        MUST(park(world, item, slot->socket, TAG_EVICT, FAR_OFF) == 1);
        /* Nothing else makes the listener look whether it wants it. */
        parking_wake(world->parking);
        return 1;
    case FAR:
    case FRESH:
        break;
    }
    return park(world, item, slot->socket, TAG_ANY, FAR_OFF);
}

/* An item is out: is that as it should be? Then it is no more. */
static void judge(world_t *world, item_t *item)
{
    slot_t *slot = item->slot;
    const parked_t *parked = &item->parked;
    parking_verdict_e verdict = parked->verdict;
    apr_time_t now = clock_now();

    MUST(parked->queue == NULL);
    switch (item->plan) {
    case FRESH:
        break;
    case EVENT:
    case AT_ONCE:
    case FAR:
        MUST(verdict == PARKING_READY);
        hear(slot);
        break;
    case EXPIRY:
        MUST(verdict == PARKING_EXPIRED);
        break;
    case EITHER:
        MUST(verdict == PARKING_READY || verdict == PARKING_EXPIRED);
        while (atomic_load(&slot->poked) < slot->pokes) {
            sched_yield();
        }
        hear(slot);
        break;
    case REFUSAL:
        MUST(verdict == PARKING_FAILED && parked->error == APR_EBADF);
        break;
    case TWINS:
        if (item->is_second) {
            MUST(verdict == PARKING_FAILED && parked->error == APR_EEXIST);
        }
        else {
            MUST(verdict == PARKING_READY);
            hear(slot);
        }
        break;
    case EVICTION:
        MUST(verdict == PARKING_EVICTED || verdict == PARKING_EXPIRED);
        break;
    }
    if (item->plan != FRESH) {
        MUST(verdict != PARKING_EXPIRED || now >= parked->until);
        MUST(now < parked->until + LATE);
        atomic_fetch_add(&world->out[verdict], 1);
    }
}

/* Done with an item; 1 if its slot is free for the next one. */
static int bury(world_t *world, item_t *item)
{
    slot_t *slot = item->slot;
    plan_e plan = item->plan;
    int is_second = item->is_second;

    judge(world, item);
    /* A connection is one with its descriptor, and an item is not. */
    if (plan != FRESH && plan != REFUSAL && !is_second) {
        slot->known = item->parked.entry.known;
    }
    destroy(item);
    if (plan == FAR) {
        atomic_fetch_add(&world->retired, 1);
        return 0;
    }
    if (is_second) {
        say(slot); /* to the first one */
        return 0;
    }
    return 1;
}

/* Park the next item of this slot, and so on until one stays parked. */
static void go_on(world_t *world, slot_t *slot)
{
    item_t *item;

    do {
        if (atomic_fetch_sub(&world->left, 1) <= 0) {
            atomic_fetch_add(&world->retired, 1);
            return;
        }
        item = make_item(world, slot, choose_plan(world));
        if (park_as_planned(world, item)) {
            return;
        }
        MUST(item->parked.verdict == PARKING_READY);
        atomic_fetch_add(&world->back, 1);
    } while (bury(world, item));
}

static void *run_worker(void *data)
{
    member_t *self = data;
    world_t *world = self->world;
    fdqueue_entry_t *entry;

    dice = self->number;
    fdqueue_join(world->queue, self->number);
    while ((entry = fdqueue_pop(world->queue, self->number)) != NULL) {
        item_t *item = (item_t *)entry;
        slot_t *slot = item->slot;

        give(item, IN_QUEUE, WITH_WORKER);
        if (bury(world, item)) {
            go_on(world, slot);
        }
        fdqueue_done(world->queue, self->number);
    }
    return NULL;
}

/* --- The listener --------------------------------------------------------- */

static void hand_over(world_t *world, parked_t *parked)
{
    item_t *item
        = (item_t *)((char *)parked - APR_OFFSETOF(item_t, parked));
    fdqueue_entry_t *entry = &item->entry;

    MUST(parked->queue == NULL);
    give(item, IN_PARKING, IN_QUEUE);
    fdqueue_push(world->queue, &entry, FDQUEUE_NOW);
}

static void answer_door(world_t *world)
{
    char buf[64];

    MUST(world->door.is_watched);
    MUST(recv(world->door.fd, buf, sizeof(buf), MSG_DONTWAIT) > 0);
}

static void dispatch(world_t *world)
{
    parking_event_t event;

    while (parking_next_event(world->parking, &event)) {
        parked_t *parked = event.parked;

        if (event.kind == PARKING_LISTENER) {
            MUST(event.listener == &world->door);
            answer_door(world);
        }
        /* Some events are left for the next turn. */
        else if (stress_random(&dice, 8) == 0) {
            MUST(parking_again(world->parking, parked) == APR_SUCCESS);
        }
        else if (parking_take(world->parking, parked, PARKING_READY)
                 != NULL) {
            MUST(parked->verdict == PARKING_READY);
            hand_over(world, parked);
        }
    }
}

static void expire(world_t *world)
{
    apr_time_t now = clock_now();
    parked_t *parked;

    while ((parked = parking_take_failed(world->parking)) != NULL) {
        MUST(parked->verdict == PARKING_FAILED);
        hand_over(world, parked);
    }
    while ((parked = parking_take_expired(world->parking, now)) != NULL) {
        MUST(parked->verdict == PARKING_EXPIRED && parked->until <= now);
        hand_over(world, parked);
    }
}

static int is_odd(const parked_t *parked)
{
    const item_t *item = (const item_t *)((const char *)parked
                                          - APR_OFFSETOF(item_t, parked));

    MUST(item->plan == EVICTION);
    return item->slot->fd % 2;
}

static void evict(world_t *world)
{
    parking_t *parking = world->parking;
    parked_t *parked = NULL;
    int is_armed = 0;

    switch (stress_random(&dice, 4)) {
    case 0:
        parked = parking_oldest(parking, TAG_EVICT);
        break;
    case 1:
        parked = parking_find(parking, TAG_EVICT, is_odd, clock_now());
        is_armed = parked != NULL;
        break;
    case 2:
        parking_shorten(parking, TAG_EVICT, stress_random(&dice, SOON),
                        clock_now());
        break;
    }
    if (parked != NULL) {
        if (parking_take(parking, parked, PARKING_EVICTED) != NULL) {
            hand_over(world, parked);
        }
        else {
            MUST(!is_armed);
        }
    }
}

static void open_or_close_door(world_t *world)
{
    apr_status_t rv
        = world->door.is_watched
              ? parking_unwatch(world->parking, &world->door.pfd)
              : parking_watch(world->parking, &world->door.pfd, 0);

    MUST(rv == APR_SUCCESS);
    world->door.is_watched = !world->door.is_watched;
}

static void *run_listener(void *data)
{
    world_t *world = data;
    parking_t *parking = world->parking;

    dice = 4711;
    while (!atomic_load(&world->over)) {
        apr_time_t now = clock_now();
        apr_time_t due = CLOCK_NEVER;

        if (parking_count(parking, TAG_EVICT) > 0) {
            due = now + stress_random(&dice, SOON);
        }
        MUST(parking_wait(parking, now, due) == APR_SUCCESS);
        dispatch(world);
        expire(world);
        evict(world);
        if (world->is_crowd && stress_random(&dice, 32) == 0) {
            open_or_close_door(world);
        }
    }
    return NULL;
}

/* Those who talk to the parked ones, and call the listener for nothing. */
static void *run_poker(void *data)
{
    world_t *world = data;
    int i;

    dice = 99;
    for (;;) {
        while (sem_wait(&world->pokes) != 0) {
        }
        if (atomic_load(&world->over)) {
            return NULL;
        }
        dawdle(1);
        for (i = 0; i < world->num_slots; i++) {
            slot_t *slot = &world->slots[i];

            if (atomic_exchange(&slot->poke, 0)) {
                say(slot);
                atomic_fetch_add(&slot->poked, 1);
            }
        }
        if (world->is_crowd && stress_random(&dice, 16) == 0) {
            parking_wake(world->parking);
            send(world->door.peer, "x", 1, MSG_DONTWAIT);
        }
    }
}

/* --- Parts ---------------------------------------------------------------- */

static void open_pair(int *fd, int *peer)
{
    int ends[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    *fd = ends[0];
    *peer = ends[1];
}

static apr_socket_t *socket_of(world_t *world, int *fd)
{
    apr_socket_t *socket = NULL;

    MUST(apr_os_sock_put(&socket, fd, world->pool) == APR_SUCCESS);
    return socket;
}

static void open_slots(world_t *world)
{
    int i;

    for (i = 0; i < world->num_slots; i++) {
        slot_t *slot = &world->slots[i];

        open_pair(&slot->fd, &slot->peer);
        slot->none = -1;
        slot->socket = socket_of(world, &slot->fd);
        slot->twin = socket_of(world, &slot->fd);
        slot->closed = socket_of(world, &slot->none);
        atomic_init(&slot->owner[0], WITH_WORKER);
        atomic_init(&slot->owner[1], WITH_WORKER);
    }
    open_pair(&world->door.fd, &world->door.peer);
    world->door.kind = PARKING_LISTENER;
    world->door.pfd.p = world->pool;
    world->door.pfd.desc_type = APR_POLL_SOCKET;
    world->door.pfd.desc.s = socket_of(world, &world->door.fd);
    world->door.pfd.reqevents = APR_POLLIN;
    world->door.pfd.client_data = &world->door;
}

static void start_threads(world_t *world)
{
    int i;

    world->listener = stress_start(run_listener, world);
    world->poker = stress_start(run_poker, world);
    for (i = 0; i < world->num_workers; i++) {
        world->workers[i].world = world;
        world->workers[i].number = i;
        world->workers[i].thread
            = stress_start(run_worker, &world->workers[i]);
    }
}

/* With has_far the last slot is for one that waits all the time. */
static void start(world_t *world, int num_slots, int num_workers, int count,
                  int has_far)
{
    int i;

    memset(world, 0, sizeof(*world));
    world->num_slots = num_slots;
    world->num_workers = num_workers;
    world->is_crowd = num_workers > 1;
    atomic_init(&world->left, count);
    MUST(apr_pool_create(&world->pool, NULL) == APR_SUCCESS);
    MUST(parking_create(&world->parking, BATCH, world->pool) == APR_SUCCESS);
    MUST(fdqueue_create(&world->queue, num_workers, NULL, world->pool)
         == APR_SUCCESS);
    sem_init(&world->pokes, 0, 0);
    open_slots(world);
    start_threads(world);
    if (has_far) {
        slot_t *slot = &world->slots[--num_slots];

        MUST(park_as_planned(world, make_item(world, slot, FAR)) == 1);
    }
    for (i = 0; i < num_slots; i++) {
        item_t *item = make_item(world, &world->slots[i], FRESH);
        fdqueue_entry_t *entry = &item->entry;

        give(item, WITH_WORKER, IN_QUEUE);
        fdqueue_push(world->queue, &entry, FDQUEUE_NOW);
    }
}

/* Wait until so many slots are out of use; without a sign of life, give
 * up. */
static void await_retired(world_t *world, int num_slots)
{
    apr_time_t alive = clock_now();
    int made = 0;

    while (atomic_load(&world->retired) < num_slots) {
        if (atomic_load(&world->made) != made) {
            made = atomic_load(&world->made);
            alive = clock_now();
        }
        MUST(clock_now() < alive + LATE);
        usleep(1000);
    }
}

static void join_threads(world_t *world)
{
    int i;

    atomic_store(&world->over, 1);
    parking_wake(world->parking);
    sem_post(&world->pokes);
    fdqueue_close(world->queue);
    stress_join(world->listener);
    stress_join(world->poker);
    for (i = 0; i < world->num_workers; i++) {
        stress_join(world->workers[i].thread);
    }
}

static void end(world_t *world, int has_far)
{
    int out = 0, i;

    if (has_far) {
        await_retired(world, world->num_slots - 1);
        say(&world->slots[world->num_slots - 1]);
    }
    await_retired(world, world->num_slots);
    join_threads(world);
    for (i = 0; i < 4; i++) {
        out += atomic_load(&world->out[i]);
    }
    MUST(out == atomic_load(&world->made));
    /* Nothing is left behind, neither in the inbox nor in a queue. */
    MUST(parking_wait(world->parking, 0, 0) == APR_SUCCESS);
    MUST(parking_count(world->parking, TAG_ANY) == 0);
    MUST(parking_count(world->parking, TAG_EVICT) == 0);
    MUST(parking_take_failed(world->parking) == NULL);
    for (i = 0; i < world->num_slots; i++) {
        close(world->slots[i].fd);
        close(world->slots[i].peer);
    }
    close(world->door.fd);
    close(world->door.peer);
    sem_destroy(&world->pokes);
    apr_pool_destroy(world->pool);
}

static void run_part(const char *name, int num_slots, int num_workers,
                     int count, int has_far)
{
    static world_t world;

    start(&world, num_slots, num_workers, count, has_far);
    end(&world, has_far);
    printf("stress_parking: %s: %d parked, %d of them back at once, %d ready, "
           "%d expired, %d evicted, %d refused\n",
           name, atomic_load(&world.made), atomic_load(&world.back),
           atomic_load(&world.out[PARKING_READY]),
           atomic_load(&world.out[PARKING_EXPIRED]),
           atomic_load(&world.out[PARKING_EVICTED]),
           atomic_load(&world.out[PARKING_FAILED]));
}

int main(int argc, char **argv)
{
    int iterations = stress_iterations(argc, argv);

    MUST(apr_initialize() == APR_SUCCESS);
    run_part("alone", 1, 1, iterations / 20 + 1, 0);
    run_part("far", 2, 1, iterations / 20 + 1, 1);
    run_part("crowd", MAX_SLOTS, MAX_WORKERS, iterations, 0);
    apr_terminate();
    return EXIT_SUCCESS;
}
