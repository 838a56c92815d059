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

/* quota: see quota.h */

#include <string.h>

#include "apr_strings.h"

#include "httpd.h"
#include "http_log.h"

#include "clock.h"
#include "quota.h"

APLOG_USE_MODULE(mpm_event);

/* Addresses that there is room for at a time, and how much of the address
 * space that may take where there are very many slots. Memory is used as
 * addresses come. */
#define ADDRESSES 16384
#define FEWEST_ADDRESSES 1024
#define TABLE_MAX ((apr_size_t)64 << 20)

const char *quota_set_exempt(settings_t *settings, cmd_parms *cmd,
                             const char *arg)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *address = apr_pstrdup(cmd->pool, arg);
    char *length = strchr(address, '/');
    apr_ipsubnet_t *network;

    if (err != NULL) {
        return err;
    }
    if (settings->client_exempt == NULL) {
        settings->client_exempt
            = apr_array_make(cmd->pool, 4, sizeof(apr_ipsubnet_t *));
    }
    if (!strcasecmp(arg, "none")) {
        settings->client_loopback = 1;
        settings->client_exempt->nelts = 0;
        return NULL;
    }
    if (length != NULL) {
        *length++ = '\0';
    }
    if (apr_ipsubnet_create(&network, address, length, cmd->pool)
        != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "%s: \"%s\" is neither an address nor "
                            "a network such as 192.0.2.0/24, and not none",
                            cmd->cmd->name, arg);
    }
    APR_ARRAY_PUSH(settings->client_exempt, apr_ipsubnet_t *) = network;
    return NULL;
}

void quota_prepare(clients_t **clients, const settings_t *settings, int slots,
                   apr_pool_t *pool, const server_rec *server)
{
    int addresses = ADDRESSES;
    clients_t *made;
    apr_status_t rv;

    if (settings->client_limit == 0 || *clients != NULL) {
        return;
    }
    while (addresses > FEWEST_ADDRESSES
           && clients_size(addresses, slots) > TABLE_MAX) {
        addresses /= 2;
    }
    rv = clients_create(&made, addresses, slots, pool);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, server,
                     "EventClientLimit: no shared memory to count clients "
                     "in, so that nobody is limited");
        return;
    }
    *clients = made;
}

/* An attacker must not fill the log: once a minute for each address. */
static void report(const runtime_t *runtime, apr_sockaddr_t *address,
                   clients_key_t key)
{
    char ip[APRMAXHOSTLEN] = "";

    if (!clients_may_log(runtime->clients, key, clock_now())) {
        return;
    }
    apr_sockaddr_ip_getbuf(ip, sizeof(ip), address);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, runtime->server,
                 "client %s%s has the %d connections that EventClientLimit "
                 "allows: closing more of them (said once a minute)",
                 ip, strchr(ip, ':') != NULL ? "/64" : "",
                 runtime->settings->client_limit);
}

int quota_enter(runtime_t *runtime, apr_socket_t *csd)
{
    const settings_t *settings = runtime->settings;
    apr_sockaddr_t *address;
    clients_key_t key;
    int client;

    if (runtime->clients == NULL
        || apr_socket_addr_get(&address, APR_REMOTE, csd) != APR_SUCCESS) {
        return CLIENTS_UNCOUNTED;
    }
    key = clients_key(address, settings->client_loopback,
                      settings->client_exempt);
    client = clients_enter(runtime->clients, key, runtime->slot,
                           settings->client_limit);
    if (client == CLIENTS_REFUSED) {
        report(runtime, address, key);
    }
    return client;
}

void quota_leave(runtime_t *runtime, int client)
{
    if (client >= 0) {
        clients_leave(runtime->clients, client, runtime->slot);
    }
}

void quota_show(const runtime_t *runtime, request_rec *r, int flags)
{
    if (runtime->clients == NULL) {
        return;
    }
    status_show(r, flags, "MpmClientsRefused",
                "Connections refused because of EventClientLimit",
                clients_refused(runtime->clients));
    status_show(r, flags, "MpmClientsUncounted",
                "Connections not counted, for want of room",
                clients_overflowed(runtime->clients));
}
