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
 * late: connections whose client has not sent all of a request in time.
 * They are run as any other, but nothing waits for the client any more: core
 * finds that time is over, and answers as it does then.
 *
 * Threads: [worker].
 */

#ifndef EVENT_LATE_H
#define EVENT_LATE_H

#include "httpd.h"

/* Register the filter that they have. [config] */
void late_hooks(void);

/* A connection is opened, or goes on: is it late? [worker] */
void late_opens(conn_rec *c);

#endif /* EVENT_LATE_H */
