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
 * probe: a module for tests only, that looks at an MPM from where modules
 * sit, and does to it what modules may do.
 *
 * What it sees goes line by line to ProbeFile; what it is told to do comes
 * from directives, from requests below its handler (mpm-probe) and, on the
 * ports of ProbeLines, from lines of text.  It is no model for a module:
 * it crashes, lies and dawdles when asked to.
 */

#ifndef MPM_PROBE_H
#define MPM_PROBE_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"

#define PROBE_MAX_TIMERS 32

/* What the directives say. */
typedef struct {
    const char *board;          /* socket the board answers on, or NULL */
    const char *child_exit_if;  /* only while this file exists, or NULL */
    int child_exit;             /* exit code for child_init, or -1 */
    int child_sleep;            /* ms that child_init takes */
    int config_sleep;           /* ms that post_config takes */
    int trace;                  /* log suspend, resume and ends */
    apr_port_t lines_port;      /* line protocol, or 0 */
    apr_port_t refuse_port;     /* pre_connection fails, or 0 */
    int refuse_rc;              /* ... with this */
    apr_port_t null_port;       /* create_connection gives NULL, or 0 */
    int num_timers;             /* registered in child_init */
    int timers[PROBE_MAX_TIMERS]; /* ms */
} probe_settings_t;

/* This generation's settings; valid from pre_config on. */
const probe_settings_t *probe_settings(void);

/* Append one line, "WHAT key=value ...", to ProbeFile, if there is one. */
void probe_log(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Log what ap_mpm_query says to every code. */
void probe_log_queries(const char *stage);

/* The kernel's number of this thread. */
int probe_tid(void);

/* "main" on the first thread of the process, else "other". */
const char *probe_thread(void);

/* The port of the peer, by which the test knows its connection. */
int probe_peer(conn_rec *c);

/* A name for a CONN_STATE_*; the number back from a name, -1 for none. */
const char *probe_state_name(int state);
int probe_state_number(const char *name);

/* Register ms (signed) as a timed callback that logs itself. */
apr_status_t probe_add_timer(const char *batch, int number, int ms,
                             int again);

/* The handler, the hooks of the line protocol and of the board. */
int probe_handler(request_rec *r);
int probe_lines(conn_rec *c);
int probe_board_start(apr_pool_t *pconf);
void probe_board_child(void);
char *probe_board_text(void);

#endif /* MPM_PROBE_H */
