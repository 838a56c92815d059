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

/* late: see late.h */

#include "httpd.h"
#include "util_filter.h"

#include "conn.h"
#include "late.h"

#define LATE_FILTER "EVENT_LATE"

/* What there is, and no waiting for more. */
static apr_status_t take_no_more(ap_filter_t *f, apr_bucket_brigade *bb,
                                 ap_input_mode_t mode, apr_read_type_e block,
                                 apr_off_t readbytes)
{
    apr_status_t rv;

    if (mode == AP_MODE_INIT || mode == AP_MODE_EATCRLF) {
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    rv = ap_get_brigade(f->next, bb, mode, APR_NONBLOCK_READ, readbytes);
    if (APR_STATUS_IS_EAGAIN(rv)
        || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb))) {
        rv = APR_TIMEUP;
    }
    return rv;
}

void late_opens(conn_rec *c)
{
    conn_t *conn = conn_of(c);

    if (conn != NULL && conn->head.late) {
        conn->head.late = 0; /* this is done once */
        conn_make_brief(conn);
        ap_add_input_filter(LATE_FILTER, NULL, NULL, c);
    }
}

void late_hooks(void)
{
    /* Directly above the socket's. */
    ap_register_input_filter(LATE_FILTER, take_no_more, NULL,
                             AP_FTYPE_NETWORK - 1);
}
