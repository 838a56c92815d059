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
 * conn: one connection and its state machine.
 *
 * A connection has exactly one owner at a time: who accepts it, the fdqueue,
 * a worker, parking, a module (held), leaving.  Only the owner touches its
 * fields.  What a state means for whom stands in one table, conn_row().
 *
 * Threads: [listener] or [worker] makes one, [worker] runs and closes it.
 */

#ifndef EVENT_CONN_H
#define EVENT_CONN_H

#include <stddef.h>

#include "httpd.h"
#include "http_config.h"

#include "fdqueue.h"
#include "gate.h"
#include "held.h"
#include "parking.h"
#include "runtime.h"
#include "session.h"

typedef struct conn_t conn_t;

/* What the worker is to do with a connection it has run. */
typedef enum {
    CONN_PARK,   /* its state says for what and how long */
    CONN_AGAIN,  /* it has more to do, but others wait */
    CONN_HOLD,   /* a module has it */
    CONN_LINGER, /* close it politely: linger_start */
    CONN_CLOSE   /* nothing more is wanted of it */
} conn_verdict_e;

/* Which of the server's times a parked connection may wait. */
typedef enum {
    CONN_TIME_NONE,
    CONN_TIME_IO,          /* Timeout */
    CONN_TIME_KEEPALIVE,   /* KeepAliveTimeout */
    CONN_TIME_LINGER,      /* CONN_LINGER_TIME */
    CONN_TIME_LINGER_SHORT /* CONN_LINGER_TIME_SHORT */
} conn_time_e;

/* How long a client may go on after we have shut down: as core's own. */
#define CONN_LINGER_TIME apr_time_from_sec(30)
#define CONN_LINGER_TIME_SHORT apr_time_from_sec(2)

/* Who may touch a connection. */
typedef enum {
    CONN_OWNER_LISTENER, /* or the worker that has accepted it */
    CONN_OWNER_QUEUE,
    CONN_OWNER_WORKER,
    CONN_OWNER_PARKING,
    CONN_OWNER_MODULE,
    CONN_OWNER_LEAVING
} conn_owner_e;

typedef struct conn_row_t {
    const char *name;       /* for the log */
    conn_sense_e sense;     /* what it waits for unless a module says */
    conn_time_e time;       /* how long it waits for that */
    status_count_e count;   /* what it is counted as while it waits */
    conn_state_e ready;     /* state to run in when the socket is ready */
    conn_state_e expired;   /* state to run in when time is over */
    int polite;             /* short linger when it expires */
} conn_row_t;

/* What may follow on a kept-alive connection. */
typedef enum {
    CONN_HEAD_UNKNOWN, /* it has not been kept alive yet */
    CONN_HEAD_OTHER,   /* nobody can tell */
    CONN_HEAD_CLEAR,   /* a request in HTTP/1 */
    CONN_HEAD_TLS      /* a record of TLS */
} conn_head_e;

/* What heads keeps of a connection. */
typedef struct conn_head_t {
    gate_t gate;        /* owner */
    apr_time_t began;   /* owner; when what is there began; 0: nothing is */
    apr_time_t heard;   /* owner; when the client last sent some of it */
    apr_uint32_t mark;  /* owner; the socket's low-water mark */
    apr_uint32_t len;   /* owner; bytes there when last looked */
    apr_uint32_t from;  /* owner; and there when its time began */
    conn_head_e kind;   /* owner */
    unsigned char in_body; /* owner; its time is that of a body */
    unsigned char young; /* owner; heads counts it as one that is about to
                          * ask */
    unsigned char left;  /* owner; the client has closed, or is gone */
    unsigned char late;  /* owner; a worker is not to wait for more */
    unsigned char later; /* owner; nobody waits for what it is handed over
                          * for */
} conn_head_t;

struct conn_t {
    fdqueue_entry_t entry;    /* fdqueue, while queued */
    parked_t parked;          /* parking, while parked */
    held_entry_t held;        /* held, while a module has it */
    leaving_entry_t leaving;  /* leaving, while its client may close */
    runtime_t *runtime;       /* const; NULL for a secondary connection */
    apr_pool_t *pool;         /* const */
    apr_socket_t *csd;        /* owner; closed by the last one */
    apr_os_sock_t fd;         /* const; its descriptor */
    conn_rec *c;              /* owner; NULL before it is opened */
    conn_state_t cs;          /* owner, and the modules it is with */
    ap_sb_handle_t *sbh;      /* owner; c->sbh is NULL while parked */
    request_rec *r;           /* owner; the request in progress or NULL */
    server_rec *server;       /* owner; whose time-outs it is under */
    status_count_e counted;   /* owner; what it is counted as */
    int client;               /* const; where its client is counted, see
                               * quota.h */
    apr_time_t since;         /* const; when it was accepted */
    int suspended;            /* owner; suspend_connection hooks have run */
    int last;                 /* owner; not to be kept alive */
    int saw_stop;             /* owner; its modules ran since the child
                               * began to stop */
    atomic_int streams;       /* atomic: secondary connections it ever had */
    int stalled;              /* owner; the client did not read in time */
    session_t session;        /* owner; see session.h */
    conn_head_t head;         /* owner; see heads.h */
#ifdef EVENT_DEBUG
    conn_owner_e owner; /* owner */
#endif
};

/* Note that a connection goes from one owner to another; debug builds make
 * sure that it was the one's. By the giver, before it is given. */
#ifdef EVENT_DEBUG
#define CONN_GIVE(conn, from, to) conn_give((conn), (from), (to))
void conn_give(conn_t *conn, conn_owner_e from, conn_owner_e to);
#else
#define CONN_GIVE(conn, from, to) ((void)0)
#endif

#define CONN_OF_ENTRY(e) \
    ((conn_t *)((char *)(e) - offsetof(conn_t, entry)))
#define CONN_OF_PARKED(p) \
    ((conn_t *)((char *)(p) - offsetof(conn_t, parked)))
#define CONN_OF_HELD(h) ((conn_t *)((char *)(h) - offsetof(conn_t, held)))
#define CONN_OF_LEAVING(l) \
    ((conn_t *)((char *)(l) - offsetof(conn_t, leaving)))

/* The row of a state; never NULL. [any] */
const conn_row_t *conn_row(conn_state_e state);

/*
 * A connection on an accepted socket, both living in pool, which the
 * connection takes over; counted from now on. [listener] [worker]
 */
conn_t *conn_make(runtime_t *runtime, apr_pool_t *pool, apr_socket_t *csd);

/*
 * The only writer of a connection's state in this MPM. With parked set, it
 * is counted as its row says. [owner]
 */
void conn_set_state(conn_t *conn, conn_state_e state, int parked);

/* Count it as this from now on. [owner] */
void conn_count(conn_t *conn, status_count_e count);

/* Has the client sent something that nobody has read? [owner] */
int conn_has_input(const conn_t *conn);

/* Is this connection to linger only briefly? Ask for that, as
 * mod_reqtimeout does. [owner] */
int conn_is_brief(const conn_t *conn);
void conn_make_brief(conn_t *conn);

/*
 * Put a connection whose wait is over into the state its row says, for a
 * worker to run. [listener] [worker]
 */
void conn_unpark(conn_t *conn, parking_verdict_e verdict);

/* Give one that has been taken out of parking, or was never in it, to the
 * workers, and null the giver's pointer. [listener] */
void conn_hand_over(conn_t **conn, parking_verdict_e verdict);

/*
 * Park what turn_run said to park, and null the giver's pointer: 1; or 0,
 * when it is ready again already and still the caller's. [worker]
 */
int conn_park(conn_t **conn);

/*
 * Keep what linger_start said to park for the moment in which its client may
 * close, and null the giver's pointer; conn_stay if it has not. [worker]
 */
void conn_leave(conn_t **conn);

/* Park one that was kept so, as conn_park does. [worker] [listener] */
int conn_stay(conn_t **conn);

/* Put what turn_run said to run again behind those that wait, and null the
 * giver's pointer. [worker] */
void conn_requeue(conn_t **conn);

/* Hand it to the module that has suspended it. [worker] */
void conn_hold(conn_t **conn);

/* Has its module moved it on? For held_create. [worker] */
int conn_moved_on(held_entry_t *entry);

/* Say in the log that this one is held when it should be over. [owner, or
 * while the owner waits] */
void conn_report(const conn_t *conn, apr_time_t now);

/* Close the socket and give the memory back. [worker] [listener] */
void conn_close(conn_t **conn);

/* The connection of c, NULL if it is none of ours; c's own record is read
 * by the thread that processes c. [any] */
conn_t *conn_of(const conn_rec *c);

/* Make conn the record, and its state the state, of c. [any] */
void conn_attach(conn_rec *c, conn_t *conn);

#endif /* EVENT_CONN_H */
