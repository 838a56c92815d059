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
 * request: which request a connection is on and whose time-outs it is under,
 * as far as this MPM has to know; and a state of its own for each stream of
 * a multiplexing protocol.
 *
 * Threads: the hooks call these on whatever thread a module works on: the
 * connection's owner for a primary connection, one of the module's own for a
 * stream, which touches nothing but the stream's record and its primary's
 * count of streams.
 */

#ifndef EVENT_REQUEST_H
#define EVENT_REQUEST_H

#include "httpd.h"

/* A request is about to be read. For pre_read_request. */
void request_begins(request_rec *r);

/* It is read, and its server known. For post_read_request. */
void request_known(request_rec *r);

/* Whose a connection is was learnt without a request. For
 * protocol_switch. */
void request_server_known(conn_rec *c, server_rec *s);

/*
 * A secondary connection is set up: it gets a state and a record of its own,
 * and of its primary nothing but whose time-outs hold. For pre_connection.
 */
void request_stream_begins(conn_rec *c);

#endif /* EVENT_REQUEST_H */
