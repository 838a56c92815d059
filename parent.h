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
 * parent: the run of the server, in the process that never serves: keep the
 * children going, hand over from one generation to the next, restart, stop.
 *
 * Threads: [parent]; modules may run threads beside it.
 */

#ifndef EVENT_PARENT_H
#define EVENT_PARENT_H

#include "httpd.h"

#include "runtime.h"
#include "settings.h"
#include "startup.h"

/*
 * Run the server until it is to restart (OK), has stopped (DONE), or cannot
 * go on (any other: the exit code). *runtime is set in children. [parent]
 */
int parent_run(retained_t *retained, apr_pool_t *pconf, apr_pool_t *plog,
               server_rec *server, settings_t *settings,
               runtime_t **runtime);

#endif /* EVENT_PARENT_H */
