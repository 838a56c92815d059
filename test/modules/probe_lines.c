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
 * probe_lines: a protocol of lines, by which a client tells the connection
 * what its process_connection hook shall return, and in which state.
 *
 *   ECHO text              answer text
 *   COUNT                  answer how often the hook was entered
 *   NEXT text              when the hook is entered next, send text first
 *   SENSE READ|WRITE|DEFAULT   cs->sense for the next RET
 *   KEEP 0|1               c->keepalive
 *   CLOG 0|1               c->clogging_input_filters
 *   ABORTED                c->aborted = 1
 *   BIG n                  send n KB without a flush
 *   RET rc STATE           leave the hook with this result and state
 *
 * Without a whole line to read the hook leaves with OK and ASYNC_WAITIO; at
 * the end of input with OK and LINGER.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpm_probe.h"

#include "apr_strings.h"
#include "http_connection.h"
#include "util_filter.h"

/* What the hook remembers of a connection. */
typedef struct {
    int entered;
    int sense;
    char *next;  /* text for the next entry, or NULL */
    char *input; /* what has been read and not yet obeyed */
} lines_t;

static const char lines_key[] = "mpm_probe_lines";

static lines_t *lines_of(conn_rec *c)
{
    void *found = NULL;

    apr_pool_userdata_get(&found, lines_key, c->pool);
    if (!found) {
        lines_t *lines = apr_pcalloc(c->pool, sizeof(*lines));

        lines->sense = CONN_SENSE_DEFAULT;
        lines->input = apr_pstrdup(c->pool, "");
        apr_pool_userdata_setn(lines, lines_key, NULL, c->pool);
        found = lines;
    }
    return found;
}

static void say(conn_rec *c, const char *text, apr_size_t length, int flush)
{
    apr_bucket_brigade *bb = apr_brigade_create(c->pool, c->bucket_alloc);

    apr_brigade_write(bb, NULL, NULL, text, length);
    if (flush) {
        APR_BRIGADE_INSERT_TAIL(bb,
                                apr_bucket_flush_create(c->bucket_alloc));
    }
    ap_pass_brigade(c->output_filters, bb);
    apr_brigade_destroy(bb);
}

static void say_line(conn_rec *c, const char *text)
{
    text = apr_pstrcat(c->pool, text, "\n", NULL);
    say(c, text, strlen(text), 1);
}

/* Add what has arrived to lines->input; APR_EOF when the peer is done. */
static apr_status_t read_more(conn_rec *c, lines_t *lines)
{
    apr_bucket_brigade *bb = apr_brigade_create(c->pool, c->bucket_alloc);
    apr_status_t rv = ap_get_brigade(c->input_filters, bb, AP_MODE_READBYTES,
                                     APR_NONBLOCK_READ, 4096);

    if (rv == APR_SUCCESS) {
        char *text;
        apr_size_t length;

        if (APR_BRIGADE_EMPTY(bb)) {
            rv = APR_EAGAIN;
        }
        else if (APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(bb))) {
            rv = APR_EOF;
        }
        else {
            rv = apr_brigade_pflatten(bb, &text, &length, c->pool);
            if (rv == APR_SUCCESS) {
                lines->input = apr_pstrcat(
                    c->pool, lines->input,
                    apr_pstrmemdup(c->pool, text, length), NULL);
            }
        }
    }
    apr_brigade_destroy(bb);
    return rv;
}

/* Take one line off lines->input, or NULL if there is no whole one. */
static char *take_line(conn_rec *c, lines_t *lines)
{
    char *end = strchr(lines->input, '\n');
    char *line;

    if (!end) {
        return NULL;
    }
    line = apr_pstrmemdup(c->pool, lines->input, end - lines->input);
    lines->input = end + 1;
    return line;
}

static int leave(conn_rec *c, lines_t *lines, int rc, int state)
{
    c->cs->sense = lines->sense;
    lines->sense = CONN_SENSE_DEFAULT;
    c->cs->state = state;
    probe_log("lines_leave peer=%d n=%d rc=%d state=%s", probe_peer(c),
              lines->entered, rc, probe_state_name(state));
    return rc;
}

/* Obey all commands but RET. */
static void obey(conn_rec *c, lines_t *lines, const char *word,
                 const char *rest)
{
    if (!strcmp(word, "ECHO")) {
        say_line(c, rest);
    }
    else if (!strcmp(word, "COUNT")) {
        say_line(c, apr_itoa(c->pool, lines->entered));
    }
    else if (!strcmp(word, "NEXT")) {
        lines->next = apr_pstrdup(c->pool, rest);
    }
    else if (!strcmp(word, "SENSE")) {
        lines->sense = !strcmp(rest, "READ") ? CONN_SENSE_WANT_READ :
            !strcmp(rest, "WRITE") ? CONN_SENSE_WANT_WRITE :
            CONN_SENSE_DEFAULT;
    }
    else if (!strcmp(word, "KEEP")) {
        c->keepalive = atoi(rest) ? AP_CONN_KEEPALIVE : AP_CONN_CLOSE;
    }
    else if (!strcmp(word, "CLOG")) {
        c->clogging_input_filters = atoi(rest) != 0;
    }
    else if (!strcmp(word, "ABORTED")) {
        c->aborted = 1;
    }
    else if (!strcmp(word, "BIG")) {
        apr_size_t length = (apr_size_t)atoi(rest) * 1024;
        char *text = apr_palloc(c->pool, length);

        memset(text, 'y', length);
        say(c, text, length, 0);
    }
    else {
        say_line(c, "what?");
    }
}

int probe_lines(conn_rec *c)
{
    apr_port_t port = probe_settings()->lines_port;
    lines_t *lines;

    if (!port || c->master || c->local_addr->port != port) {
        return DECLINED;
    }
    lines = lines_of(c);
    lines->entered++;
    probe_log("lines_enter peer=%d n=%d state=%s sense=%d id=%ld sbh=%d "
              "tid=%d pid=%d", probe_peer(c), lines->entered,
              probe_state_name(c->cs->state), (int)c->cs->sense, c->id,
              c->sbh != NULL, probe_tid(), (int)getpid());
    if (lines->next) {
        char *text = lines->next;

        lines->next = NULL;
        say_line(c, text);
    }
    for (;;) {
        char *line = take_line(c, lines);
        char *word;
        apr_status_t rv;

        if (!line) {
            rv = read_more(c, lines);
            if (rv == APR_SUCCESS) {
                continue;
            }
            return leave(c, lines, OK, APR_STATUS_IS_EAGAIN(rv) ?
                         CONN_STATE_ASYNC_WAITIO : CONN_STATE_LINGER);
        }
        word = apr_strtok(line, " ", &line);
        if (word && !strcmp(word, "RET")) {
            const char *rc = apr_strtok(NULL, " ", &line);
            const char *state = apr_strtok(NULL, " ", &line);

            return leave(c, lines, rc ? atoi(rc) : OK,
                         state ? probe_state_number(state) : 0);
        }
        if (word) {
            obey(c, lines, word, line ? line : "");
        }
    }
}
