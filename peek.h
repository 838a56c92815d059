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
 * peek: looks at what a client has sent and nobody has read yet, with the
 * eyes of gate, and takes nothing of it.
 *
 * Threads: [listener]; new connections also the worker that accepts them.  It
 * owns a buffer, which is good for one look of the listener at a time, and
 * changes nothing of a socket but its low-water mark.
 */

#ifndef EVENT_PEEK_H
#define EVENT_PEEK_H

#include "httpd.h"

#include "conn.h"

typedef struct peek_t peek_t;

/* For the limits of server and all its virtual hosts. [main] */
peek_t *peek_create(const settings_t *settings, const server_rec *server,
                    apr_pool_t *pool);

/* The next look at conn is the first one at what it asks for now.
 * [owner] */
void peek_begin(const peek_t *peek, conn_t *conn);

/*
 * peek_begin, and a look at no more than a usual request's worth: whatever it
 * says to wait for may be there already. [owner]
 */
gate_answer_t peek_first(const peek_t *peek, conn_t *conn);

/*
 * Look at what there is. woken: the socket was said to have as much as was
 * waited for; if it has not, there will be no more: the client has closed
 * its side, or the system takes no more. [listener]
 */
gate_answer_t peek_look(peek_t *peek, conn_t *conn, int woken);

/* Have the socket be readable when there are so many bytes: 0 if that cannot
 * be. [owner] */
int peek_mark(conn_t *conn, apr_size_t mark);

#endif /* EVENT_PEEK_H */
