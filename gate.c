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

/* gate: see gate.h */

#include <string.h>
#include <strings.h>

#include "gate.h"

/* Core skips so many blank lines before a request; one more it refuses. */
#define BLANK_LINES 10

/* A line that does not end is refused by core after two pieces of so many
 * bytes each, at the earliest. */
#define PIECE 8192

/* Header, and the longest that a record of TLS may be. */
#define RECORD_HEADER 5
#define RECORD_MAX (16384 + 2048)

/* Characters, as core sorts them. */
static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_token(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* Neither a control character nor a space. */
static int is_visible(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Not what may not be in a field's name where core is not strict. */
static int is_lenient(char c)
{
    return strchr(" \t\v\f\r", c) == NULL;
}

static apr_size_t span(const char *s, apr_size_t n, int (*is)(char))
{
    apr_size_t i = 0;

    while (i < n && is(s[i])) {
        i++;
    }
    return i;
}

static int is(const char *s, apr_size_t n, const char *word)
{
    return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* host, host:port or [address]:port. */
static int is_authority(const char *s, apr_size_t n, int port_needed)
{
    const char *end = s + n;
    const char *bracket = n > 0 && *s == '[' ? memchr(s, ']', n) : NULL;
    const char *colon
        = bracket != NULL ? bracket + 1 : memchr(s, ':', n);

    if (colon == NULL || colon == end) {
        return !port_needed;
    }
    return *colon == ':'
           && span(colon + 1, (apr_size_t)(end - colon - 1), is_digit)
                  == (apr_size_t)(end - colon - 1)
           && (!port_needed || colon + 1 < end);
}

/* scheme://authority, and whatever follows. */
static int is_absolute(const char *s, apr_size_t n, int strict)
{
    apr_size_t i = span(s, n, is_alnum);
    apr_size_t end;

    while (i < n && (is_alnum(s[i]) || strchr("+-.", s[i]))) {
        i++;
    }
    if (i == 0 || n - i < 3 || memcmp(s + i, "://", 3) != 0) {
        return 0;
    }
    s += i + 3;
    n -= i + 3;
    for (end = 0; end < n && !strchr("/?#", s[end]); end++) {
    }
    if (memchr(s, '@', end)) {
        return !strict;
    }
    return is_authority(s, end, 0);
}

/* Does core find nothing wrong with this target? */
static int is_target(const char *method, apr_size_t method_len,
                     const char *s, apr_size_t n, int strict)
{
    if (strict && memchr(s, '#', n)) {
        return 0;
    }
    if (is(method, method_len, "CONNECT")) {
        return is_authority(s, n, 1);
    }
    return *s == '/' || is_absolute(s, n, strict)
           || (is(s, n, "*") && is(method, method_len, "OPTIONS"));
}

static int is_protocol(const char *s, int strict)
{
    return (strict ? strncmp(s, "HTTP/", 5) : strncasecmp(s, "HTTP/", 5)) == 0
           && is_digit(s[5]) && s[5] != '0' && s[6] == '.' && is_digit(s[7]);
}

static int is_space(char c)
{
    return c == ' ';
}

/* How many spaces part two words; 0: they are not parted as they should. */
static apr_size_t gap(const char *s, const char *end, int strict)
{
    apr_size_t spaces = span(s, (apr_size_t)(end - s), is_space);

    return strict && spaces > 1 ? 0 : spaces;
}

/*
 * Does core go on to read fields after this line? If not it answers at once,
 * with what was asked for in HTTP/0.9 or with a refusal.
 */
static int has_fields(const char *s, apr_size_t n, int strict)
{
    const char *end = s + n;
    const char *method = s;
    const char *target;
    apr_size_t method_len, target_len, spaces;

    method_len = span(s, (apr_size_t)(end - s),
                      strict ? is_token : is_visible);
    s += method_len;
    spaces = gap(s, end, strict);
    if (method_len == 0 || spaces == 0) {
        return 0;
    }
    target = s + spaces;
    target_len = span(target, (apr_size_t)(end - target), is_visible);
    s = target + target_len;
    spaces = gap(s, end, strict);
    if (target_len == 0 || spaces == 0
        || !is_target(method, method_len, target, target_len, strict)) {
        return 0;
    }
    s += spaces;
    if (end - s < 8 || !is_protocol(s, strict)) {
        return 0;
    }
    s += 8;
    return s + (strict ? 0 : gap(s, end, 0)) == end;
}

static int is_name(const char *s, apr_size_t n, const char *name)
{
    return n == strlen(name) && strncasecmp(s, name, n) == 0;
}

/* The part of a field's value that is in this line. */
static void take_value(gate_t *g, const char *s, apr_size_t n, int strict)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (strict ? !is_visible(s[i]) && !is_blank(s[i])
                   : strchr("\v\f\r", s[i]) != NULL) {
            g->is_bad = 1;
        }
    }
}

/* A Content-Length; core refuses two of them, and what is no number. */
static void take_length(gate_t *g, const char *s, apr_size_t n)
{
    apr_size_t i = span(s, n, is_blank);

    if (i == n || g->has_length) {
        g->is_odd = 1;
    }
    g->has_length = 1;
    for (; i < n && !g->is_odd; i++) {
        if (!is_digit(s[i]) || g->body > APR_UINT32_MAX / 10 - 1) {
            g->is_odd = 1;
        }
        else {
            g->body = g->body * 10 + (apr_uint32_t)(s[i] - '0');
        }
    }
}

static void take_field(gate_t *g, const char *s, apr_size_t n, int strict)
{
    const char *colon = memchr(s, ':', n);
    apr_size_t len = colon != NULL ? (apr_size_t)(colon - s) : n;

    g->has_field = 1;
    g->field_len = (apr_uint32_t)n;
    g->is_bad = colon == NULL || len == 0
                || span(s, len, strict ? is_token : is_lenient) != len;
    g->is_framing = 0;
    if (g->is_bad) {
        return;
    }
    take_value(g, colon + 1, n - len - 1, strict);
    if (is_name(s, len, "Content-Length")) {
        g->is_framing = 1;
        take_length(g, colon + 1, n - len - 1);
    }
    else if (is_name(s, len, "Transfer-Encoding") || is_name(s, len, "Expect")
             || is_name(s, len, "Upgrade")) {
        g->is_odd = 1;
    }
}

/* A line that goes on with the field before: 1 if core refuses it. */
static int take_continuation(gate_t *g, const gate_limits_t *l,
                             const char *s, apr_size_t n)
{
    apr_size_t skipped = span(s, n, is_blank);

    if (!g->has_field || n == 1) {
        return 1;
    }
    n -= skipped - 1;
    if (g->field_len + n + 1 >= (apr_size_t)l->field_size) {
        return 1;
    }
    g->field_len += (apr_uint32_t)n;
    if (g->is_framing) {
        g->is_odd = 1;
    }
    take_value(g, s + skipped, n - 1, l->strict);
    return 0;
}

/* The head is whole, its end is the byte before this one: 1 unless its body
 * is to be waited for. */
static int take_end(gate_t *g, const gate_limits_t *l, apr_size_t end)
{
    if (g->is_bad || g->is_odd || !g->has_length || g->body == 0
        || g->body > l->body || l->size - end < g->body) {
        return 1;
    }
    g->need = (apr_uint32_t)end + g->body;
    g->stage = GATE_BODY;
    return 0;
}

/* A line of the head, n bytes without its end: 1 if core answers now. A bad
 * field is answered when the next one begins, as until then it might go
 * on. */
static int take_line_of_head(gate_t *g, const gate_limits_t *l,
                             const char *s, apr_size_t n, apr_size_t end)
{
    if (n == 0) {
        return take_end(g, l, end);
    }
    while (n > 1 && is_blank(s[n - 1])) {
        n--;
    }
    if (is_blank(*s)) {
        return take_continuation(g, l, s, n);
    }
    if (g->is_bad) {
        return 1;
    }
    if (g->has_field && ++g->fields > (apr_uint32_t)l->fields
        && l->fields > 0) {
        return 1;
    }
    take_field(g, s, n, l->strict);
    return 0;
}

/* The longest that the present line may be, with its end. */
static apr_size_t max_line(const gate_t *g, const gate_limits_t *l)
{
    return (apr_size_t)(g->stage == GATE_FIELDS ? l->field_size : l->line)
           + 2;
}

/* A line from s to before end, with its LF: 1 if core answers now. */
static int take_line(gate_t *g, const gate_limits_t *l, const char *bytes,
                     apr_size_t end)
{
    const char *s = bytes + g->line;
    apr_size_t n = end - g->line - 1;
    apr_size_t max = max_line(g, l);
    int crlf = n > 0 && s[n - 1] == '\r';

    /* Where the LF is all that is too much core does without it. */
    if ((!crlf && l->strict) || n >= max + (crlf ? 1 : 0)
        || memchr(s, '\0', n)) {
        return 1;
    }
    n -= crlf ? 1 : 0;
    if (g->stage == GATE_FIELDS) {
        return take_line_of_head(g, l, s, n, end);
    }
    if (n == 0) {
        return ++g->blanks > BLANK_LINES;
    }
    g->stage = GATE_FIELDS;
    return !has_fields(s, n, l->strict);
}

static int http_is_ready(gate_t *g, const gate_limits_t *l,
                         const char *bytes, apr_size_t len)
{
    apr_size_t rest;

    while (g->stage != GATE_BODY) {
        const char *lf
            = memchr(bytes + g->looked, '\n', len - g->looked);
        apr_size_t end;

        if (lf == NULL) {
            break;
        }
        end = (apr_size_t)(lf - bytes) + 1;
        if (take_line(g, l, bytes, end)) {
            return 1;
        }
        g->line = g->looked = (apr_uint32_t)end;
    }
    if (g->stage == GATE_BODY) {
        return len >= g->need;
    }
    g->looked = (apr_uint32_t)len;
    rest = len - g->line;
    if (g->stage == GATE_IDLE && rest > 0
        && (rest > 1 || bytes[g->line] != '\r')) {
        g->stage = GATE_LINE;
    }
    return rest > 2 * PIECE && rest > max_line(g, l);
}

/* The first record as SSL 2 wrote it, which OpenSSL may still take. */
static int is_old_hello(const unsigned char *b, apr_size_t len)
{
    return len >= 3 && (b[0] & 0x80) && b[2] == 1;
}

/* Decide by the first bytes; GATE_RECORD while there are too few. */
static void decide(gate_t *g, const unsigned char *b, apr_size_t len)
{
    if (g->kind == GATE_TLS || (b[0] == 0x16 && (len < 2 || b[1] == 3))
        || ((b[0] & 0x80) && len < 3) || is_old_hello(b, len)) {
        g->stage = GATE_RECORD;
    }
    else {
        g->stage = GATE_IDLE;
        g->kind = GATE_CLEAR;
    }
}

static int record_is_ready(gate_t *g, const gate_limits_t *l,
                           const unsigned char *b, apr_size_t len)
{
    if (g->need == 0 && is_old_hello(b, len)) {
        g->need = 2 + ((b[0] & 0x7fu) << 8 | b[1]);
    }
    else if (g->need == 0 && len < RECORD_HEADER) {
        return 0;
    }
    else if (g->need == 0) {
        if (b[0] < 0x14 || b[0] > 0x17 || b[1] != 3) {
            return 1; /* refused at once */
        }
        g->need = RECORD_HEADER + ((unsigned)b[3] << 8 | b[4]);
    }
    return len >= g->need || g->need > RECORD_HEADER + RECORD_MAX
           || g->need > l->size;
}

void gate_init(gate_t *g, gate_kind_e kind)
{
    memset(g, 0, sizeof(*g));
    g->kind = kind;
    g->stage = kind == GATE_TLS ? GATE_RECORD : GATE_IDLE;
}

/* Would core or OpenSSL act on these bytes? */
static int is_ready(gate_t *g, const gate_limits_t *l, const char *bytes,
                    apr_size_t len)
{
    const unsigned char *b = (const unsigned char *)bytes;

    if (len == 0 || len < g->looked) {
        return len < g->looked; /* these are not the bytes of before */
    }
    if (g->kind != GATE_CLEAR && g->need == 0) {
        decide(g, b, len);
    }
    return g->stage == GATE_RECORD ? record_is_ready(g, l, b, len)
                                   : http_is_ready(g, l, bytes, len);
}

gate_answer_t gate_look(gate_t *g, const gate_limits_t *l, const char *bytes,
                        apr_size_t len, int no_more)
{
    gate_answer_t answer = {GATE_READY, GATE_IDLE, 0};

    len = len < l->size ? len : l->size;
    if (!g->ready) {
        g->ready = is_ready(g, l, bytes, len) || len == l->size || no_more;
    }
    answer.stage = (gate_stage_e)g->stage;
    if (!g->ready) {
        answer.verdict = len == 0 ? GATE_NOTHING : GATE_WAIT;
        answer.mark = g->need > len ? g->need : len + 1;
    }
    return answer;
}
