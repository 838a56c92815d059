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
 * ptrans: the pools that connections live in ("transaction" pools).
 *
 * Kept pools are a stack, so that the one used last, whose memory is warm,
 * is used next.  A pool's place on the stack is allocated from the pool
 * itself after it was cleared.  The stack's top doubles as the word that
 * says whether pools are still kept: when it is &ptrans->closed they are
 * not, and no put can slip by that.
 *
 * Threads: [any] takes and puts, [listener] shrinks.  Owns the kept pools, and
 * the pool between them and their parent.  Who puts takes no lock, and no pool
 * is made, cleared or destroyed under one.  It never logs.
 */

#include <stdatomic.h>

#include "apr_allocator.h"
#include "apr_errno.h"
#include "apr_thread_mutex.h"

#include "clock.h"
#include "ptrans.h"

/* What a usual request leaves in an allocator, and a little more. */
#define TRIM_NODES 6

/* As many as were not needed for so long are freed, so many of them at a time,
 * and the next after a pause. */
#define SHRINK_AFTER apr_time_from_sec(1)
#define SHRINK_MAX 16
#define SHRINK_PAUSE apr_time_from_msec(10)

typedef struct node_t node_t;

struct node_t {
    apr_pool_t *pool;
    node_t *below; /* who puts, until the pool is on the stack */
};

struct ptrans_t {
    apr_pool_t *parent;    /* const; of all connections' pools */
    apr_size_t max_free;   /* const */
    int max_kept;          /* const; 0: no limit */
    atomic_int watched;    /* the listener knows of spare ones, or will */
    int fewest;            /* under taking: kept, since the listener looked */
    apr_time_t shrink_at;  /* listener: frees those then */
    _Atomic(node_t *) top; /* NULL: none is kept */
    atomic_int kept;       /* pools on the stack, or about to be */
    node_t closed;         /* const; as the top: no more are kept */
    apr_thread_mutex_t *taking; /* const; held by who takes */
};

/* A pool with an allocator of its own. */
static apr_status_t make_pool(apr_pool_t **pool, apr_pool_t *parent,
                              apr_allocator_t **allocator)
{
    apr_status_t rv;

    rv = apr_allocator_create(allocator);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_pool_create_ex(pool, parent, NULL, *allocator);
    if (rv != APR_SUCCESS) {
        apr_allocator_destroy(*allocator);
        return rv;
    }
    apr_allocator_owner_set(*allocator, *pool);
    return APR_SUCCESS;
}

apr_status_t ptrans_create(ptrans_t **ptrans, apr_pool_t *parent,
                           apr_size_t max_free, int max_kept,
                           apr_pool_t *pool)
{
    ptrans_t *p = apr_pcalloc(pool, sizeof(*p));
    apr_thread_mutex_t *mutex;
    apr_allocator_t *allocator;
    apr_status_t rv;

    /* Creating and destroying a pool locks its parent's allocator, if that
     * has a mutex: here it surely has one, and one that is ours alone. */
    rv = make_pool(&p->parent, parent, &allocator);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_pool_tag(p->parent, "transactions");
    rv = apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT,
                                 p->parent);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(p->parent);
        return rv;
    }
    apr_allocator_mutex_set(allocator, mutex);
    rv = apr_thread_mutex_create(&p->taking, APR_THREAD_MUTEX_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(p->parent);
        return rv;
    }
    p->max_free = max_free;
    p->max_kept = max_kept;
    *ptrans = p;
    return APR_SUCCESS;
}

/* A connection's. */
static apr_status_t make_one(const ptrans_t *ptrans, apr_pool_t **pool)
{
    apr_allocator_t *allocator;
    apr_status_t rv = make_pool(pool, ptrans->parent, &allocator);

    if (rv != APR_SUCCESS) {
        *pool = NULL;
        return rv;
    }
    apr_allocator_max_free_set(allocator, ptrans->max_free);
    apr_pool_tag(*pool, "transaction");
    return APR_SUCCESS;
}

/*
 * Take the pool kept last; NULL if there is none. The caller holds taking.
 * One taker at a time, which is what makes this simple: between reading the
 * top's `below` and the compare-and-swap other threads may cover the top with
 * more, and then we try again, but nobody else can take it off. So what is
 * still the top never left, its `below` is still right, and there is no ABA.
 */
static apr_pool_t *take_kept(ptrans_t *ptrans)
{
    node_t *top = atomic_load(&ptrans->top);

    while (top && top != &ptrans->closed) {
        if (atomic_compare_exchange_weak(&ptrans->top, &top, top->below)) {
            atomic_fetch_sub(&ptrans->kept, 1);
            return top->pool;
        }
    }
    return NULL;
}

apr_status_t ptrans_take(ptrans_t *ptrans, apr_pool_t **pool)
{
    int kept;

    apr_thread_mutex_lock(ptrans->taking);
    *pool = take_kept(ptrans);
    kept = *pool != NULL ? atomic_load(&ptrans->kept) : 0;
    if (kept < ptrans->fewest) {
        ptrans->fewest = kept;
    }
    apr_thread_mutex_unlock(ptrans->taking);
    return *pool != NULL ? APR_SUCCESS : make_one(ptrans, pool);
}

/* Reserve a place on the stack. Counted before it is taken and given back
 * after, so that there are never more pools on the stack than may be. */
static int may_keep(ptrans_t *ptrans)
{
    if (atomic_load(&ptrans->top) == &ptrans->closed) {
        return 0;
    }
    if (atomic_fetch_add(&ptrans->kept, 1) < PTRANS_BURST * ptrans->max_kept
        || ptrans->max_kept == 0) {
        return 1;
    }
    atomic_fetch_sub(&ptrans->kept, 1);
    return 0;
}

/* Returns 0 if ptrans_stop_keeping was quicker. */
static int keep(ptrans_t *ptrans, apr_pool_t *pool)
{
    node_t *top = atomic_load(&ptrans->top);
    node_t *node;

    apr_pool_clear(pool);
    node = apr_palloc(pool, sizeof(*node));
    node->pool = pool;
    do {
        if (top == &ptrans->closed) {
            return 0;
        }
        node->below = top;
    } while (!atomic_compare_exchange_weak(&ptrans->top, &top, node));
    return 1;
}

static int has_spare(const ptrans_t *ptrans)
{
    return ptrans->max_kept != 0
           && atomic_load(&ptrans->kept) > ptrans->max_kept
           && atomic_load(&ptrans->top) != &ptrans->closed;
}

int ptrans_put(ptrans_t *ptrans, apr_pool_t **pool)
{
    apr_pool_t *mine = *pool;

    *pool = NULL;
    if (!may_keep(ptrans) || !keep(ptrans, mine)) {
        apr_pool_destroy(mine);
        return 0;
    }
    return has_spare(ptrans) && !atomic_exchange(&ptrans->watched, 1);
}

void ptrans_stock(ptrans_t *ptrans, int num)
{
    int most = ptrans->max_kept;
    apr_pool_t *pool;

    num = most != 0 && num > most ? most : num;
    while (num-- > 0 && make_one(ptrans, &pool) == APR_SUCCESS) {
        ptrans_put(ptrans, &pool);
    }
}

void ptrans_trim(ptrans_t *ptrans, apr_pool_t *pool)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(pool);
    apr_memnode_t *nodes = NULL;
    int i;

    /* A lower limit alone frees nothing that is kept already: what is kept
     * has to be taken and given back. */
    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < TRIM_NODES; i++) {
        apr_memnode_t *node = apr_allocator_alloc(allocator, 1);

        if (node == NULL) {
            break;
        }
        node->next = nodes;
        nodes = node;
    }
    if (nodes != NULL) {
        apr_allocator_free(allocator, nodes);
    }
    apr_allocator_max_free_set(allocator, ptrans->max_free);
}

/* Take one that was not needed, as long as there are more of those than may
 * be kept; or NULL. */
static apr_pool_t *take_spare(ptrans_t *ptrans)
{
    apr_pool_t *pool = NULL;

    apr_thread_mutex_lock(ptrans->taking);
    if (ptrans->fewest > ptrans->max_kept) {
        pool = take_kept(ptrans);
        ptrans->fewest -= pool != NULL;
    }
    apr_thread_mutex_unlock(ptrans->taking);
    return pool;
}

/* Free those, at most so many at a time: may there be more? */
static int free_spare(ptrans_t *ptrans)
{
    int i;

    for (i = 0; i < SHRINK_MAX; i++) {
        apr_pool_t *pool = take_spare(ptrans);

        if (pool == NULL) {
            return 0;
        }
        apr_pool_destroy(pool);
    }
    return 1;
}

/* What is kept from now on, at the least, is what is not needed. */
static void look_anew(ptrans_t *ptrans)
{
    apr_thread_mutex_lock(ptrans->taking);
    ptrans->fewest = atomic_load(&ptrans->kept);
    apr_thread_mutex_unlock(ptrans->taking);
}

/* Say whether we know that there are spare ones. */
static void watch(ptrans_t *ptrans, int watched)
{
    if (atomic_load(&ptrans->watched) != watched) {
        atomic_store(&ptrans->watched, watched);
    }
}

apr_time_t ptrans_shrink(ptrans_t *ptrans, apr_time_t now)
{
    if (ptrans->shrink_at != 0 && now < ptrans->shrink_at) {
        return ptrans->shrink_at; /* whoever comes and goes meanwhile */
    }
    watch(ptrans, has_spare(ptrans));
    /* Race with who puts: it sees that nobody watches, or we see its pool. */
    if (!has_spare(ptrans)) {
        ptrans->shrink_at = 0;
        return CLOCK_NEVER;
    }
    watch(ptrans, 1); /* in case that it has just come */
    if (ptrans->shrink_at == 0) {
        look_anew(ptrans);
        ptrans->shrink_at = now + SHRINK_AFTER;
    }
    else if (free_spare(ptrans)) {
        ptrans->shrink_at = now + SHRINK_PAUSE;
    }
    else {
        look_anew(ptrans);
        ptrans->shrink_at = now + SHRINK_AFTER;
    }
    return ptrans->shrink_at;
}

void ptrans_stop_keeping(ptrans_t *ptrans)
{
    node_t *node;

    /* Nobody looks at the top's `below` then, which is about to go. */
    apr_thread_mutex_lock(ptrans->taking);
    node = atomic_exchange(&ptrans->top, &ptrans->closed);
    apr_thread_mutex_unlock(ptrans->taking);
    while (node && node != &ptrans->closed) {
        node_t *below = node->below;

        apr_pool_destroy(node->pool);
        node = below;
    }
}
