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
 * drain: a child that is to stop once its connections are through.
 *
 * It takes no more of them. Idle kept-alive ones wait for what is left of
 * their time: a request that comes meanwhile is answered, and core says
 * "close" in the answer, because we are stopping.
 *
 * Threads: [listener]. Owns only what is in drain_t.
 */

#ifndef EVENT_DRAIN_H
#define EVENT_DRAIN_H

#include "apr_time.h"

#include "runtime.h"

typedef struct drain_t {
    runtime_t *runtime; /* const */
    int begun;          /* listener, as the next */
    apr_time_t until;   /* EventDrainTimeout; CLOCK_NEVER: not yet, or no
                         * limit */
} drain_t;

/* [main] */
void drain_init(drain_t *drain, runtime_t *runtime);

/*
 * A stop has been asked for, and it is now: close the listeners, if that has
 * not been done, and let go of what need not be waited for. When there are
 * connections left after EventDrainTimeout they are named in the log and the
 * child is asked to exit. To be called at each turn. [listener]
 */
void drain_turn(drain_t *drain, apr_time_t now);

#endif /* EVENT_DRAIN_H */
