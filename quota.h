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
 * quota: how many connections a client may have: EventClientLimit and what
 * is exempt from it. The counting is clients'; here is who is counted, what
 * is told to operators, and how large the table is.
 *
 * Nothing at all is done for a connection while there is no limit.
 *
 * Threads: [config] reads directives, [parent] makes the table, [listener]
 * asks, [any] gives back.
 */

#ifndef EVENT_QUOTA_H
#define EVENT_QUOTA_H

#include "apr_network_io.h"
#include "apr_pools.h"

#include "httpd.h"
#include "http_config.h"

#include "clients.h"
#include "runtime.h"
#include "settings.h"

/*
 * Nobody in the network arg (or at that address) is counted from now on;
 * "none": everybody is, whatever was said before. NULL, or what is wrong, in
 * cmd's pool. [config]
 */
const char *quota_set_exempt(settings_t *settings, cmd_parms *cmd,
                             const char *arg);

/*
 * If there is a limit and no table yet make one, for children in so many
 * slots, that lives as long as pool. Where that cannot be *clients stays NULL
 * and the log says that there will be no limit. [parent]
 */
void quota_prepare(clients_t **clients, const settings_t *settings, int slots,
                   apr_pool_t *pool, const server_rec *server);

/*
 * May one more connection of the client at the other end of csd be served?
 * What conn->client is to be, or CLIENTS_REFUSED, which has been logged.
 * [listener]
 */
int quota_enter(runtime_t *runtime, apr_socket_t *csd);

/* A connection of which quota_enter returned client is over. [any] */
void quota_leave(runtime_t *runtime, int client);

/* Write the figures into a page of mod_status, whose flags these are; nothing
 * while there is no limit. [any] */
void quota_show(const runtime_t *runtime, request_rec *r, int flags);

#endif /* EVENT_QUOTA_H */
