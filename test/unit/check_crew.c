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
 * check_crew: who is woken for what waits, how many may run beside the other
 * crews, who of them is blocked (blocked.c), and what is left of a crew whose
 * process is killed.
 *
 * All on one thread: who falls asleep comes back at once and stays on the
 * list of sleepers. Times are made up, and so are the queue, what the system
 * says of a thread, and the writes, after any of which the process may end.
 */

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apr_general.h"
#include "apr_thread_cond.h"

#include "clock.h"
#include "crew.h"
#include "tasks.h"

static int answer;      /* what tasks_state says, of whomever */
static int writes_left; /* when that many are done the process is killed;
                         * -1: it is not */

static tasks_state_e our_state(long task)
{
    (void)task;
    return answer;
}

static apr_time_t clock_time; /* when entries are taken */

static apr_time_t our_clock(void)
{
    return clock_time;
}

static int processor; /* where this thread is, as tasks_processor says */

static int our_processor(void)
{
    return processor;
}

static void count_write(void)
{
    if (writes_left > 0 && --writes_left == 0) {
        _exit(0);
    }
}

/* The order they have in the room does not matter on one thread. */
#undef atomic_store
#undef atomic_fetch_add
#undef atomic_fetch_sub
#define atomic_store(word, value)                                            \
    (atomic_store_explicit(word, value, memory_order_seq_cst), count_write())
#define atomic_fetch_add(word, value)                                        \
    (atomic_fetch_add_explicit(word, value, memory_order_seq_cst),           \
     count_write())
#define atomic_fetch_sub(word, value)                                        \
    (atomic_fetch_sub_explicit(word, value, memory_order_seq_cst),           \
     count_write())

/* With what we say of threads there is a bound on every system. */
#undef TASKS_CAN_TELL
#define TASKS_CAN_TELL 1
#define tasks_state our_state
#define tasks_processor our_processor
#define clock_now our_clock
static apr_status_t our_cond_wait(apr_thread_cond_t *cond,
                                  apr_thread_mutex_t *mutex);
#define apr_thread_cond_wait our_cond_wait
#include "blocked.c"
#include "crew.c"

#define WORKERS 8
#define CREWS 4
#define START apr_time_from_sec(1000)
#define MANY 1000000 /* entries, never too few */

/* In memory that processes share. */
typedef struct board_t {
    atomic_int top;
    places_shown_t shown[CREWS];
} board_t;

static apr_pool_t *pool;
static apr_thread_mutex_t *lock;
static board_t *board;
static int work; /* entries in the queue */
static unsigned int begun; /* and so many of them taken, ever */
static crew_t *crew;

/* As a condition may, wake for nothing; but what the sleeper waits for is
 * true. */
static apr_status_t our_cond_wait(apr_thread_cond_t *cond,
                                  apr_thread_mutex_t *mutex)
{
    int i;

    (void)mutex;
    for (i = 0; i < crew->num_workers; i++) {
        if (crew->workers[i].cond == cond) {
            crew->workers[i].woken = 1;
        }
    }
    return APR_SUCCESS;
}

static int has_work(const void *self)
{
    (void)self;
    return work > 0;
}

static void setup(void)
{
    answer = TASKS_RUNS;
    processor = 0;
    writes_left = -1;
    work = 0;
    begun = 0;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(
        apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, pool),
        APR_SUCCESS);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(board, MAP_FAILED);
    board->top = CREWS;
}

static void teardown(void)
{
    munmap(board, sizeof(*board));
    apr_pool_destroy(pool);
}

/* The crew of these tests is in the place mine of CREWS. */
static void create(int mine, int processors)
{
    crew_queue_t queue = {lock, has_work, NULL};
    crew_share_t share = {board->shown, &board->top, mine, processors};

    ck_assert_int_eq(crew_create(&crew, WORKERS, &queue, &share, pool),
                     APR_SUCCESS);
    clock_time = START;
    crew_review(crew, begun, START);
}

static int review(apr_time_t now)
{
    return crew_review(crew, begun, now);
}

static void fall_asleep(int worker)
{
    apr_thread_mutex_lock(lock);
    crew_sleep(crew, worker);
    apr_thread_mutex_unlock(lock);
}

/* So many join, and sleep in the order of their numbers. */
static void create_asleep(int mine, int processors, int n)
{
    int i;

    work = 0;
    create(mine, processors);
    for (i = 0; i < n; i++) {
        crew_join(crew, i);
    }
    for (i = 0; i < n; i++) {
        fall_asleep(i);
    }
}

/* Who has been woken and has not yet looked? -1: nobody. */
static int woken(void)
{
    int i, found = -1;

    for (i = 0; i < WORKERS; i++) {
        if (crew->workers[i].woken) {
            ck_assert_int_eq(found, -1);
            found = i;
        }
    }
    return found;
}

/* Wake for what waits, as who takes an entry does: who has been woken. */
static int claim(void)
{
    crew_worker_t *worker;

    apr_thread_mutex_lock(lock);
    worker = crew_claim(crew);
    apr_thread_mutex_unlock(lock);
    crew_signal(worker);
    return woken();
}

/* Who has been woken looks, and takes an entry. */
static void begin(void)
{
    int worker = woken();

    ck_assert_int_ge(worker, 0);
    ck_assert_int_eq(atomic_load(&crew->waking), 1);
    crew->workers[worker].woken = 0;
    atomic_store(&crew->waking, 0);
    crew_begin(crew, worker);
    work--;
    begun++;
}

/* Have n entries, and all who may be woken for them take one: how many. */
static int run_all(int n)
{
    int ran = 0;

    work = n;
    while (claim() >= 0) {
        begin();
        ran++;
    }
    return ran;
}

static void set_others(int running)
{
    atomic_store(&board->shown[3].running, running);
}

/* --- Who is woken --------------------------------------------------------- */

START_TEST(who_has_slept_longest_is_woken)
{
    static const int order[] = {2, 0, 3, 1};
    int i;

    create(0, 8);
    for (i = 0; i < 4; i++) {
        crew_join(crew, i);
    }
    for (i = 0; i < 4; i++) {
        fall_asleep(order[i]);
    }
    work = 4;
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(claim(), order[i]);
        begin();
    }
    work = 1;
    ck_assert_int_eq(claim(), -1);
}
END_TEST

START_TEST(nobody_for_nothing)
{
    create_asleep(0, 8, 4);
    ck_assert_int_eq(claim(), -1);
    work = 1;
    ck_assert_int_eq(claim(), 0);
}
END_TEST

START_TEST(one_at_a_time)
{
    create_asleep(0, 8, 4);
    work = 4;
    crew_wake(crew);
    ck_assert_int_eq(woken(), 0);
    crew_wake(crew);
    ck_assert_int_eq(claim(), 0);
    ck_assert_int_eq(atomic_load(&crew->sleeping), 3);
    begin();
    crew_wake(crew);
    ck_assert_int_eq(woken(), 1);
}
END_TEST

/* What came before it was on the list its pusher saw nobody to wake for. */
START_TEST(nobody_sleeps_beside_work)
{
    create(0, 8);
    crew_join(crew, 0);
    work = 1;
    fall_asleep(0);
    ck_assert_int_eq(atomic_load(&crew->sleeping), 0);
    ck_assert_ptr_null(crew->first);
}
END_TEST

START_TEST(a_closed_crew_wakes_all_whoever_else_runs)
{
    int i;

    create_asleep(0, 2, 4);
    set_others(9);
    work = 1;
    ck_assert_int_eq(claim(), 0);
    begin();
    ck_assert(!crew_is_closed(crew));
    crew_close(crew);
    ck_assert(crew_is_closed(crew));
    /* It wakes the first, and each who wakes the next. */
    for (i = 1; i < 4; i++) {
        ck_assert_int_eq(woken(), i);
        begin();
        claim();
    }
    ck_assert_int_eq(woken(), -1);
}
END_TEST

/* --- How many run --------------------------------------------------------- */

/* The parameter: that many run in other crews, of eight processors. */
START_TEST(as_many_as_there_are_processors_in_all_crews)
{
    create_asleep(1, 8, WORKERS);
    atomic_store(&board->shown[0].running, _i / 2);
    atomic_store(&board->shown[CREWS - 1].running, _i - _i / 2);
    ck_assert_int_eq(run_all(20), _i < 8 ? 8 - _i : 1);
    ck_assert(!crew_is_over(crew));
}
END_TEST

START_TEST(one_may_run_whoever_else_does)
{
    create_asleep(1, 2, WORKERS);
    set_others(100);
    ck_assert_int_eq(run_all(20), 1);
    ck_assert(!crew_is_over(crew));
    set_others(1);
    ck_assert_int_eq(claim(), -1);
    set_others(0);
    ck_assert_int_eq(claim(), 1);
}
END_TEST

START_TEST(who_is_one_too_many_is_told)
{
    create_asleep(1, 4, WORKERS);
    ck_assert_int_eq(run_all(20), 4);
    ck_assert(!crew_is_over(crew));
    set_others(1);
    ck_assert(crew_is_over(crew));
    /* Though something waits. */
    fall_asleep(0);
    ck_assert_int_eq(atomic_load(&crew->sleeping), WORKERS - 3);
    ck_assert(!crew_is_over(crew));
}
END_TEST

/* A slot that no child has ever had. */
START_TEST(words_not_in_use_are_not_read)
{
    board->top = CREWS - 1;
    create_asleep(1, 4, WORKERS);
    set_others(100);
    ck_assert_int_eq(run_all(20), 4);
}
END_TEST

START_TEST(without_a_share_there_is_no_bound)
{
    crew_queue_t queue = {lock, has_work, NULL};
    int i;

    ck_assert_int_eq(crew_create(&crew, WORKERS, &queue, NULL, pool),
                     APR_SUCCESS);
    ck_assert(!crew_is_bound(crew));
    for (i = 0; i < WORKERS; i++) {
        crew_join(crew, i);
    }
    ck_assert_int_eq(crew_joined(crew), WORKERS);
    for (i = 0; i < WORKERS; i++) {
        fall_asleep(i);
    }
    ck_assert_int_eq(run_all(20), WORKERS);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
}
END_TEST

START_TEST(others_know_how_many_run)
{
    const atomic_int *shown = &board->shown[2].running;
    int i;

    create_asleep(2, 4, WORKERS);
    ck_assert_int_eq(*shown, 0);
    ck_assert_int_eq(run_all(3), 3);
    ck_assert_int_eq(*shown, 3);
    fall_asleep(1);
    ck_assert_int_eq(*shown, 2);
    /* They are blocked, until they are through. */
    answer = TASKS_SLEEPS;
    review(START + BLOCK_TIME);
    ck_assert_int_eq(*shown, 0);
    crew_return(crew, 0);
    ck_assert_int_eq(*shown, 1);
    crew_return(crew, 0);
    ck_assert_int_eq(*shown, 1);
    crew_close(crew);
    ck_assert_int_eq(*shown, 0);
    for (i = 0; i < CREWS; i++) {
        ck_assert_int_eq(board->shown[i].running, 0);
    }
}
END_TEST

/* One is on each of processors 1 and 3; what others see of that. */
START_TEST(others_know_where_they_run)
{
    const atomic_uint *shown = &board->shown[2].taken;

    create_asleep(2, 4, WORKERS);
    processor = 1;
    ck_assert_int_eq(run_all(1), 1);
    ck_assert_uint_eq(*shown, 1u << 1);
    processor = 3;
    ck_assert_int_eq(run_all(1), 1);
    ck_assert_uint_eq(*shown, 1u << 1 | 1u << 3);
    fall_asleep(0);
    ck_assert_uint_eq(*shown, 1u << 3);
    answer = TASKS_SLEEPS;
    review(START + BLOCK_TIME);
    ck_assert_uint_eq(*shown, 0);
    crew_return(crew, 1);
    crew_begin(crew, 1);
    ck_assert_uint_eq(*shown, 1u << 3);
    crew_close(crew);
    ck_assert_uint_eq(*shown, 0);
}
END_TEST

/* How many entries it takes before it is told to go elsewhere. */
static int entries_until_told(int worker)
{
    int n;

    for (n = 1; crew_begin(crew, worker) == 0; n++) {
        ck_assert_int_lt(n, 100);
    }
    return n;
}

START_TEST(who_finds_another_where_it_runs_is_told)
{
    int many, i;

    create_asleep(2, 2, WORKERS);
    ck_assert_int_eq(run_all(1), 1);
    atomic_store(&board->shown[0].taken, 1u << 0);
    many = entries_until_told(0);
    ck_assert_int_gt(many, 3);
    /* It is on its way. */
    ck_assert_uint_eq(board->shown[2].taken, 0);
    for (i = 0; i < 3; i++) {
        ck_assert_uint_eq(crew_begin(crew, 0), 0);
    }
    /* Who sleeps is given a processor when it wakes. */
    fall_asleep(0);
    ck_assert_int_eq(entries_until_told(0), many);
}
END_TEST

/* There is nowhere to go, and nothing to count. */
START_TEST(on_one_processor_nobody_is_told)
{
    int n;

    create_asleep(2, 1, WORKERS);
    atomic_store(&board->shown[0].taken, 1u << 0);
    ck_assert_int_eq(run_all(1), 1);
    for (n = 0; n < 100; n++) {
        ck_assert_uint_eq(crew_begin(crew, 0), 0);
    }
    ck_assert_uint_eq(board->shown[2].taken, 0);
}
END_TEST

START_TEST(closed_while_all_run_it_shows_none)
{
    create_asleep(2, 4, 2);
    ck_assert_int_eq(run_all(2), 2);
    crew_close(crew);
    ck_assert_int_eq(board->shown[2].running, 0);
    crew_return(crew, 0);
    ck_assert_int_eq(board->shown[2].running, 0);
}
END_TEST

/* --- Who is blocked ------------------------------------------------------- */

START_TEST(behind_who_sleeps_three_start)
{
    create_asleep(1, 2, WORKERS);
    set_others(2);
    ck_assert_int_eq(run_all(20), 1);
    answer = TASKS_SLEEPS;
    review(START + BLOCKED_ASLEEP - 1);
    ck_assert_int_eq(woken(), -1);
    review(START + BLOCKED_ASLEEP);
    /* One in its place, and two beyond the bound. */
    ck_assert_int_eq(woken(), 1);
    begin();
    ck_assert_int_eq(run_all(20), 2);
}
END_TEST

/* However long ago the last review was. */
START_TEST(who_has_just_begun_is_not_blocked)
{
    create_asleep(1, 2, WORKERS);
    answer = TASKS_SLEEPS;
    clock_time = START + BLOCK_TIME;
    ck_assert_int_eq(run_all(2), 2);
    work = 1;
    review(clock_time + 1);
    ck_assert_int_eq(crew_blocked(crew), 0);
    ck_assert_int_eq(woken(), -1);
    review(clock_time + BLOCKED_ASLEEP);
    ck_assert_int_eq(crew_blocked(crew), 2);
    ck_assert_int_eq(woken(), 2);
}
END_TEST

START_TEST(who_takes_very_long_makes_room_for_one)
{
    create_asleep(1, 2, WORKERS);
    set_others(2);
    ck_assert_int_eq(run_all(20), 1);
    review(START + BLOCKED_LONG - 1);
    ck_assert_int_eq(woken(), -1);
    review(START + BLOCKED_LONG);
    ck_assert_int_eq(woken(), 1);
    begin();
    ck_assert_int_eq(run_all(20), 0);
}
END_TEST

/* They only hold each other up, and more would join them. */
START_TEST(who_waits_for_its_turn_to_map_is_not_blocked)
{
    create_asleep(1, 2, WORKERS);
    ck_assert_int_eq(run_all(20), 2);
    answer = TASKS_MAPS;
    review(START + BLOCK_TIME);
    review(START + BLOCKED_MAPS - 1);
    ck_assert_int_eq(crew_blocked(crew), 0);
    ck_assert_int_eq(woken(), -1);
    review(START + BLOCKED_MAPS);
    ck_assert_int_eq(crew_blocked(crew), 2);
}
END_TEST

/* Nor was it blocked who has finished since it was looked at. */
START_TEST(who_sleeps_for_want_of_work_is_not_blocked)
{
    create_asleep(1, 2, WORKERS);
    ck_assert_int_eq(run_all(2), 2);
    fall_asleep(0);
    answer = TASKS_SLEEPS;
    review(START + BLOCKED_LONG);
    ck_assert_int_eq(blocked_num(crew->blocked), 1);
    apr_thread_mutex_lock(lock);
    crew_return(crew, 1);
    apr_thread_mutex_unlock(lock);
    fall_asleep(1);
    ck_assert_int_eq(blocked_num(crew->blocked), 0);
    ck_assert(!mark(crew->blocked, 1, START));
    ck_assert_int_eq(blocked_num(crew->blocked), 0);
}
END_TEST

START_TEST(extra_ones_up_to_all_and_fewer_with_time)
{
    apr_time_t now = START;
    int extra = WORKERS;

    create_asleep(1, 1, WORKERS);
    answer = TASKS_SLEEPS;
    while (atomic_load(&crew->sleeping) > 0) {
        run_all(20);
        now += BLOCK_TIME;
        review(now);
        ck_assert_int_gt(atomic_load(&crew->extra), 0);
        ck_assert_int_le(atomic_load(&crew->extra), WORKERS);
        if (woken() >= 0) {
            begin();
        }
    }
    ck_assert_int_eq(atomic_load(&crew->extra), WORKERS);
    work = 0;
    /* Not with each look. */
    while (extra > 0) {
        review(now);
        ck_assert_int_eq(atomic_load(&crew->extra), extra);
        now += BLOCK_TIME;
        review(now);
        ck_assert_int_lt(atomic_load(&crew->extra), extra);
        extra = atomic_load(&crew->extra);
        ck_assert_int_ge(extra, 0);
    }
}
END_TEST

/* However often the crew is looked at. */
START_TEST(extra_ones_fewer_by_time)
{
    int i;

    for (i = 0; i < 2; i++) {
        apr_time_t now = START + BLOCKED_ASLEEP;

        create_asleep(1, 1, WORKERS);
        answer = TASKS_SLEEPS;
        run_all(4);
        review(now);
        begin();
        run_all(work);
        work = 0;
        ck_assert_int_eq(atomic_load(&crew->extra), 2);
        answer = TASKS_RUNS;
        if (i == 0) {
            review(now + BLOCK_TIME);
        }
        review(now + 2 * BLOCK_TIME);
        ck_assert_int_eq(atomic_load(&crew->extra), 0);
    }
}
END_TEST

START_TEST(none_extra_after_an_idle_time)
{
    create_asleep(1, 1, WORKERS);
    atomic_store(&crew->extra, WORKERS);
    review(START + apr_time_from_sec(1));
    ck_assert_int_eq(atomic_load(&crew->extra), 0);
}
END_TEST

START_TEST(when_to_look_again)
{
    create_asleep(1, 1, WORKERS);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
    work = 2;
    ck_assert_int_eq(crew_due(crew), START + BLOCK_TIME);
    ck_assert_int_eq(claim(), 0);
    begin();
    ck_assert_int_eq(crew_due(crew), START + BLOCK_TIME);
    work = 0;
    ck_assert_int_eq(crew_due(crew), START + ALONE_TIME);
    set_others(1);
    ck_assert_int_eq(crew_due(crew), START + BLOCKED_LONG);
    review(START + BLOCKED_LONG);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
    crew_return(crew, 0);
    ck_assert_int_eq(crew_due(crew), START + 2 * BLOCKED_LONG);
    set_others(0);
    ck_assert_int_eq(crew_due(crew), START + BLOCKED_LONG + ALONE_TIME);
    crew_close(crew);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
}
END_TEST

/* As few looks as there are, when something waits the listener is to wake for
 * no more; but not for less than BLOCK_TIME either. */
START_TEST(who_computes_has_others_wait_longer)
{
    apr_time_t now = START + BLOCKED_ASLEEP;
    int i;

    create_asleep(1, 1, WORKERS);
    ck_assert_int_eq(run_all(20), 1);
    review(now);
    ck_assert_int_eq(crew_due(crew), now + BLOCK_TIME);
    for (i = 0; i < 20; i++) {
        now = crew_due(crew);
        clock_time = now - BLOCKED_ASLEEP;
        crew_begin(crew, 0);
        review(now);
    }
    ck_assert_int_eq(crew_due(crew), clock_time + BLOCKED_LONG);
    answer = TASKS_SLEEPS;
    now = crew_due(crew) - 1;
    clock_time = now - BLOCKED_ASLEEP;
    crew_begin(crew, 0);
    review(now);
    ck_assert_int_eq(crew_blocked(crew), 0);
    ck_assert_int_eq(crew_due(crew), now + BLOCK_TIME);
    review(now + 1);
    ck_assert_int_eq(crew_blocked(crew), 1);
}
END_TEST

/* It is the last look at ours that counts for them, not the last review. */
START_TEST(what_waits_elsewhere_waits_no_longer)
{
    apr_time_t now = START;
    int i;

    create_asleep(1, 2, WORKERS);
    set_others(1);
    ck_assert_int_eq(run_all(1), 1);
    for (i = 0; i < 20; i++) {
        now += BLOCKED_LONG;
        clock_time = now - BLOCKED_ASLEEP;
        crew_begin(crew, 0);
        review(now);
        ck_assert_int_eq(crew_due(crew), now + BLOCKED_LONG);
    }
    review(now + BLOCK_TIME);
    ck_assert_int_eq(crew_due(crew), now + BLOCKED_LONG);
}
END_TEST

START_TEST(no_bound_while_nobody_looks)
{
    create_asleep(1, 1, WORKERS);
    set_others(1);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
    ck_assert_int_eq(run_all(3), 3);
    review(START);
    work = 1;
    ck_assert_int_eq(claim(), -1);
}
END_TEST

/* --- No bound where many are blocked -------------------------------------- */

/* Worker 0, which runs, has n entries, and is found so in each: what the last
 * review says. */
static int have_entries(int n, tasks_state_e state)
{
    int says = 0;

    answer = state;
    while (n-- > 0) {
        /* So that there is a look at those that run, too. */
        clock_time += crew_is_bound(crew) ? BLOCKED_PAUSE : BLOCKED_ASLEEP;
        apr_thread_mutex_lock(lock);
        crew_return(crew, 0);
        crew_begin(crew, 0);
        apr_thread_mutex_unlock(lock);
        begun++;
        says = review(clock_time + BLOCKED_ASLEEP);
    }
    return says;
}

/* Worker 0 takes the first entry, and others than ours would leave no room for
 * more. */
static void create_one_that_runs(void)
{
    create_asleep(1, 2, WORKERS);
    set_others(2);
    ck_assert_int_eq(run_all(1), 1);
}

START_TEST(where_many_sleep_all_may_run)
{
    create_one_that_runs();
    ck_assert(!have_entries(TRIAL_ENTRIES - 2, TASKS_SLEEPS));
    ck_assert(crew_is_bound(crew));
    ck_assert_int_eq(board->shown[1].running, 0);
    ck_assert(have_entries(1, TASKS_SLEEPS));
    ck_assert(!crew_is_bound(crew));
    ck_assert_int_eq(run_all(WORKERS), WORKERS - 1);
    ck_assert(!crew_is_over(crew));
    /* Nobody looks, so all might be. */
    ck_assert_int_eq(crew_blocked(crew), WORKERS);
    /* Others are told of one, and of nowhere. */
    ck_assert_int_eq(board->shown[1].running, 1);
    ck_assert_uint_eq(board->shown[1].taken, 0);
}
END_TEST

/* A whole trial's worth, of which none had begun when it last looked. */
START_TEST(many_between_two_reviews)
{
    create_asleep(1, WORKERS, WORKERS);
    ck_assert_int_eq(run_all(WORKERS), WORKERS);
    /* Just few enough others for ours to be many. */
    begun = TRIAL_SHARE * WORKERS - 1;
    answer = TASKS_SLEEPS;
    review(clock_time + BLOCKED_ASLEEP);
    ck_assert(!crew_is_bound(crew));
}
END_TEST

START_TEST(others_hear_of_it_at_once)
{
    create_one_that_runs();
    have_entries(TRIAL_ENTRIES - 4, TASKS_SLEEPS);
    set_others(0);
    ck_assert_int_eq(run_all(2), 2);
    ck_assert_int_eq(board->shown[1].running, 2);
    /* These two have just begun, and say nothing yet. */
    ck_assert(have_entries(1, TASKS_SLEEPS));
    ck_assert_int_le(board->shown[1].running, 1);
    ck_assert_uint_eq(board->shown[1].taken, 0);
}
END_TEST

START_TEST(who_waits_is_not_held_back_by_a_bound_that_was)
{
    create_one_that_runs();
    have_entries(TRIAL_ENTRIES - 2, TASKS_SLEEPS);
    work = 3;
    ck_assert(have_entries(1, TASKS_SLEEPS));
    ck_assert_int_eq(woken(), 1);
    begin();
    ck_assert_int_eq(run_all(WORKERS), WORKERS - 2);
}
END_TEST

START_TEST(it_is_bound_again_after_so_many)
{
    create_one_that_runs();
    have_entries(TRIAL_ENTRIES - 1, TASKS_SLEEPS);
    ck_assert(!crew_is_bound(crew));
    have_entries(TRIAL_FREE - 1, TASKS_RUNS);
    ck_assert(!crew_is_bound(crew));
    have_entries(1, TASKS_RUNS);
    ck_assert(crew_is_bound(crew));
    ck_assert_int_eq(board->shown[1].running, 1);
    work = 3;
    ck_assert_int_eq(claim(), -1);
    ck_assert_int_eq(crew_due(crew), clock_time + BLOCKED_ASLEEP + BLOCK_TIME);
    have_entries(2 * TRIAL_ENTRIES, TASKS_RUNS);
    ck_assert(crew_is_bound(crew));
    ck_assert_uint_ne(board->shown[1].taken, 0);
}
END_TEST

/* Nobody need come for that; and those that have slept since are no reason for
 * more of them. */
START_TEST(it_is_bound_again_after_some_time)
{
    apr_time_t end;

    create_one_that_runs();
    have_entries(TRIAL_ENTRIES - 1, TASKS_SLEEPS);
    end = clock_time + BLOCKED_ASLEEP + TRIAL_FREE_TIME;
    ck_assert_int_eq(run_all(2), 2);
    atomic_store(&crew->extra, WORKERS);
    work = 1;
    ck_assert_int_eq(crew_due(crew), end);
    ck_assert(review(end - 1));
    ck_assert(!crew_is_bound(crew));
    ck_assert_int_eq(atomic_load(&crew->extra), 0);
    begin();
    work = 1;
    review(end);
    ck_assert(crew_is_bound(crew));
    ck_assert_int_eq(crew_blocked(crew), 4);
    ck_assert_int_eq(atomic_load(&crew->extra), 0);
    /* The one who takes what waits; nobody else would. */
    ck_assert_int_eq(board->shown[1].running, 1);
    begin();
    ck_assert_int_eq(run_all(1), 0);
}
END_TEST

/* Nothing is due while all are idle, and what a review says does not change. */
START_TEST(idle_in_the_free_time)
{
    create_one_that_runs();
    have_entries(TRIAL_ENTRIES - 1, TASKS_SLEEPS);
    apr_thread_mutex_lock(lock);
    crew_return(crew, 0);
    apr_thread_mutex_unlock(lock);
    fall_asleep(0);
    ck_assert_int_eq(board->shown[1].running, 0);
    ck_assert_int_eq(crew_due(crew), CLOCK_NEVER);
    ck_assert(review(clock_time + 2 * TRIAL_FREE_TIME));
}
END_TEST

/* Or many would run to wait for each other; and who cannot be looked at may
 * well run. */
START_TEST(those_that_map_or_take_long_leave_the_bound)
{
    create_one_that_runs();
    have_entries(2 * TRIAL_ENTRIES, TASKS_MAPS);
    ck_assert(crew_is_bound(crew));
    have_entries(2 * TRIAL_ENTRIES, TASKS_RUNS);
    ck_assert(crew_is_bound(crew));
    have_entries(2 * TRIAL_ENTRIES, TASKS_UNKNOWN);
    ck_assert(crew_is_bound(crew));
}
END_TEST

/* --- Fewer than processors ------------------------------------------------ */

static int num_running(void)
{
    return WORKERS - atomic_load(&crew->sleeping);
}

/* So many of this crew may, but for those beyond what may. */
static int may_run(void)
{
    return atomic_load(&crew->width_now);
}

/* For so long, who may run takes entry after entry and leaves so many. In a
 * slot so many are taken while half as many may run as there are processors,
 * or fewer, and so many else. */
static void keep_running(unsigned int by_few, unsigned int by_many, int left,
                         apr_interval_time_t time)
{
    apr_time_t end = clock_time + time;
    int processors = crew->share.processors;
    int i;

    work = left;
    while (clock_time < end) {
        begun += (may_run() <= processors / 2 ? by_few : by_many) / 10;
        clock_time += WIDTH_SLOT / 10;
        for (i = 0; i < WORKERS; i++) {
            if (atomic_load(&crew->blocked->since[i]) != 0) {
                atomic_store(&crew->blocked->since[i], clock_time);
            }
        }
        review(clock_time);
        while (claim() >= 0) {
            begin();
        }
        for (i = 0; i < WORKERS && crew_is_over(crew); i++) {
            if (atomic_load(&crew->blocked->since[i]) != 0) {
                fall_asleep(i);
            }
        }
        ck_assert(!crew_is_over(crew));
    }
}

START_TEST(fewer_run_where_fewer_do_more)
{
    create_asleep(1, WORKERS, WORKERS);
    keep_running(1000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_eq(num_running(), WORKERS);
    keep_running(2000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_lt(num_running(), WORKERS);
    ck_assert_int_eq(board->shown[1].running, num_running());
    keep_running(1000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_eq(num_running(), WORKERS);
}
END_TEST

START_TEST(behind_few_that_sleep_others_start)
{
    create_asleep(1, 2, WORKERS);
    keep_running(2000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_eq(num_running(), 1);
    answer = TASKS_SLEEPS;
    review(clock_time + BLOCKED_ASLEEP);
    ck_assert_int_ge(woken(), 0);
    begin();
    /* That one instead of it, and two beyond what may. */
    ck_assert_int_eq(run_all(1000), 2);
}
END_TEST

START_TEST(where_nothing_is_left_waiting_all_may_run)
{
    create_asleep(1, WORKERS, WORKERS);
    keep_running(2000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_lt(may_run(), WORKERS);
    keep_running(2000, 1000, 0, apr_time_from_sec(30));
    ck_assert_int_eq(may_run(), WORKERS);
}
END_TEST

START_TEST(after_an_idle_time_no_fewer_run)
{
    int i;

    create_asleep(1, WORKERS, WORKERS);
    keep_running(2000, 1000, MANY, apr_time_from_sec(5));
    ck_assert_int_lt(num_running(), WORKERS);
    work = 0;
    for (i = 0; i < WORKERS; i++) {
        if (atomic_load(&crew->blocked->since[i]) != 0) {
            fall_asleep(i);
        }
    }
    clock_time += apr_time_from_sec(60);
    review(clock_time);
    ck_assert_int_eq(run_all(1000), WORKERS);
}
END_TEST

/* --- What a killed process leaves ----------------------------------------- */

/* The life of a crew, which does all that is ever published. */
static void live(void)
{
    create_asleep(2, 6, WORKERS);
    run_all(5);
    fall_asleep(4);
    answer = TASKS_SLEEPS;
    review(START + BLOCK_TIME);
    crew_return(crew, 0);
    crew_return(crew, 1);
    crew_close(crew);
    _exit(1); /* it has come to its end */
}

/* How many of ours may run beside what the others are said to have. */
static int room_beside(void)
{
    create_asleep(1, 6, WORKERS);
    return run_all(WORKERS);
}

/* The parent only writes what slots_leave does. */
START_TEST(killed_anywhere_it_leaves_nothing)
{
    int died = 0, most = 0, status;

    set_others(2);
    do {
        pid_t pid = fork();

        died++;
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            writes_left = died;
            live();
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status));
        if (board->shown[2].running > most) {
            most = board->shown[2].running;
        }
        board->shown[2].running = 0;
        board->shown[1].running = 0;
        ck_assert_msg(room_beside() == 4, "killed after %d writes", died);
    } while (WEXITSTATUS(status) == 0);
    ck_assert_int_gt(most, 3); /* there was something to leave */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crew");
    TCase *tc = tcase_create("waking");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_has_slept_longest_is_woken);
    tcase_add_test(tc, nobody_for_nothing);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, nobody_sleeps_beside_work);
    tcase_add_test(tc, a_closed_crew_wakes_all_whoever_else_runs);
    suite_add_tcase(s, tc);

    tc = tcase_create("bound");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, as_many_as_there_are_processors_in_all_crews, 0,
                        12);
    tcase_add_test(tc, one_may_run_whoever_else_does);
    tcase_add_test(tc, who_is_one_too_many_is_told);
    tcase_add_test(tc, words_not_in_use_are_not_read);
    tcase_add_test(tc, without_a_share_there_is_no_bound);
    tcase_add_test(tc, others_know_how_many_run);
    tcase_add_test(tc, others_know_where_they_run);
    tcase_add_test(tc, who_finds_another_where_it_runs_is_told);
    tcase_add_test(tc, on_one_processor_nobody_is_told);
    tcase_add_test(tc, closed_while_all_run_it_shows_none);
    suite_add_tcase(s, tc);

    tc = tcase_create("blocked");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, behind_who_sleeps_three_start);
    tcase_add_test(tc, who_has_just_begun_is_not_blocked);
    tcase_add_test(tc, who_takes_very_long_makes_room_for_one);
    tcase_add_test(tc, who_waits_for_its_turn_to_map_is_not_blocked);
    tcase_add_test(tc, who_sleeps_for_want_of_work_is_not_blocked);
    tcase_add_test(tc, extra_ones_up_to_all_and_fewer_with_time);
    tcase_add_test(tc, extra_ones_fewer_by_time);
    tcase_add_test(tc, none_extra_after_an_idle_time);
    tcase_add_test(tc, when_to_look_again);
    tcase_add_test(tc, who_computes_has_others_wait_longer);
    tcase_add_test(tc, what_waits_elsewhere_waits_no_longer);
    tcase_add_test(tc, no_bound_while_nobody_looks);
    suite_add_tcase(s, tc);

    tc = tcase_create("free");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, where_many_sleep_all_may_run);
    tcase_add_test(tc, many_between_two_reviews);
    tcase_add_test(tc, others_hear_of_it_at_once);
    tcase_add_test(tc, who_waits_is_not_held_back_by_a_bound_that_was);
    tcase_add_test(tc, it_is_bound_again_after_so_many);
    tcase_add_test(tc, it_is_bound_again_after_some_time);
    tcase_add_test(tc, idle_in_the_free_time);
    tcase_add_test(tc, those_that_map_or_take_long_leave_the_bound);
    suite_add_tcase(s, tc);

    tc = tcase_create("fewer");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fewer_run_where_fewer_do_more);
    tcase_add_test(tc, behind_few_that_sleep_others_start);
    tcase_add_test(tc, where_nothing_is_left_waiting_all_may_run);
    tcase_add_test(tc, after_an_idle_time_no_fewer_run);
    suite_add_tcase(s, tc);

    tc = tcase_create("killed");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, killed_anywhere_it_leaves_nothing);
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
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
