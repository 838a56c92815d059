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
 * mpm_default: what a directive is worth when it is not there, and how far
 * it may go.  Numbers only; the reasons are beside them.
 */

#ifndef APACHE_MPM_DEFAULT_H
#define APACHE_MPM_DEFAULT_H

/* Children forked at start: enough to show a restart works, few enough to
 * start in no time. */
#ifndef DEFAULT_START_DAEMON
#define DEFAULT_START_DAEMON 3
#endif

/* Slots for children, and the most anyone may ask for (each slot costs
 * ThreadLimit scoreboard cells of about 300 bytes). */
#ifndef DEFAULT_SERVER_LIMIT
#define DEFAULT_SERVER_LIMIT 16
#endif
#ifndef MAX_SERVER_LIMIT
#define MAX_SERVER_LIMIT 20000
#endif

/* Slots beyond ServerLimit, for children that are finishing: however many
 * clients hold on to children of earlier generations, the present one has
 * its slots. As many as cost about 7 MB of scoreboard, within bounds. */
#define MAX_RESERVE 128
#define MIN_RESERVE 16
#define RESERVE_CELLS 16384

/* Workers a child may have, and the most anyone may ask for. */
#ifndef DEFAULT_THREAD_LIMIT
#define DEFAULT_THREAD_LIMIT 64
#endif
#ifndef MAX_THREAD_LIMIT
#define MAX_THREAD_LIMIT 100000
#endif

/* Workers a child has. */
#ifndef DEFAULT_THREADS_PER_CHILD
#define DEFAULT_THREADS_PER_CHILD 25
#endif

/* Idle workers in the whole server: fork below, retire above. */
#ifndef DEFAULT_MIN_FREE_DAEMON
#define DEFAULT_MIN_FREE_DAEMON 3
#endif
#ifndef DEFAULT_MAX_FREE_DAEMON
#define DEFAULT_MAX_FREE_DAEMON 10
#endif
#define DEFAULT_MIN_SPARE_THREADS \
    (DEFAULT_MIN_FREE_DAEMON * DEFAULT_THREADS_PER_CHILD)
#define DEFAULT_MAX_SPARE_THREADS \
    (DEFAULT_MAX_FREE_DAEMON * DEFAULT_THREADS_PER_CHILD)

/* Connections a child may hold beyond its workers, per idle worker. */
#ifndef DEFAULT_ASYNC_FACTOR
#define DEFAULT_ASYNC_FACTOR 2.0
#endif

/* The longest that may be asked for a head: no more than a day, so that
 * times can be added. */
#define MAX_HEAD_TIMEOUT 86400

/* The longest body to wait for. It waits in the system's buffer, of which
 * each look makes a copy. */
#define MAX_BODY_WAIT 1048576

/* EventHeadLimit when it is not there: of the descriptors that the process
 * may have, so many quarters. */
#define HEAD_LIMIT_AUTO -1
#define HEAD_LIMIT_QUARTERS 3

#endif /* APACHE_MPM_DEFAULT_H */
