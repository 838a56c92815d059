-- Licensed to the Apache Software Foundation (ASF) under one or more
-- contributor license agreements.  See the NOTICE file distributed with
-- this work for additional information regarding copyright ownership.
-- The ASF licenses this file to You under the Apache License, Version 2.0
-- (the "License"); you may not use this file except in compliance with
-- the License.  You may obtain a copy of the License at
--
--     http://www.apache.org/licenses/LICENSE-2.0
--
-- Unless required by applicable law or agreed to in writing, software
-- distributed under the License is distributed on an "AS IS" BASIS,
-- WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
-- See the License for the specific language governing permissions and
-- limitations under the License.

-- For wrk: one request in so many is for another path, the others are for
-- that of the URL.  wrk -s one_in.lua URL -- EVERY OTHER_PATH

local every, other, count

function init(args)
   every, other, count = tonumber(args[1]), args[2], 0
end

function request()
   count = count + 1
   return wrk.format(nil, count % every == 0 and other or nil)
end
