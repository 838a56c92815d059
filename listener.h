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
 * listener: the thread that waits for everything else: new connections,
 * parked ones that become ready or run out of time, timers, and the wish to
 * stop.  It hands work to workers and does nothing that could block, but that
 * it rests for a moment when they have enough (fdqueue_rest).
 */

#ifndef EVENT_LISTENER_H
#define EVENT_LISTENER_H

#include "runtime.h"

/*
 * The thread's function; data is the runtime_t. Returns when the child is
 * to exit, or is draining and the last connection is gone; the queue is
 * closed then, so that the workers end too. [listener]
 */
void *APR_THREAD_FUNC listener_main(apr_thread_t *thread, void *data);

#endif /* EVENT_LISTENER_H */
