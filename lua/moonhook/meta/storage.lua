---@meta
-- luacheck: ignore 122 212 241 (annotations only)
-- session.storage and session:once: what a plugin keeps. All methods wait, and raise Errors coded
-- "permission_denied", "invalid_param" (422 when nobody catches it), "quota_exceeded" (507),
-- "storage_full" (507), "storage_unavailable" (503).

---@class Storage  bytes by key; kept over restarts; every plugin has its own
local Storage = {}

--- Keeps bytes under a key, in place of what was there. Without a ttl they stay; a key that had one
--- loses it.
---@param key string  1 to 256 bytes, no NUL, no ".." between slashes
---@param value string  at most 10 MiB
---@param options? { ttl?: number }  seconds
function Storage:set(key, value, options) end

--- Gives what is kept under a key.
---@param key string
---@return string?  nil: nothing
function Storage:get(key) end

--- Removes a key.
---@param key string
---@return boolean  whether it was there; of several that delete it at once, one gets true
function Storage:delete(key) end

--- Says whether there is something under a key.
---@param key string
---@return boolean
function Storage:exist(key) end

--- Gives the keys that begin with a prefix, in the order of their bytes, page by page.
---@param prefix? string  "": all keys
---@param options? { cursor?: string, limit?: integer }  limit: 1 to 1000, by default 100
---@return string[] keys
---@return string? next_cursor  for the next page; nil: this was the last
function Storage:list(prefix, options) end

--- Adds to the integer under a key, which counts as 0 when it is not there. A ttl counts from the
--- first time: a key that is there keeps its own. Raises "invalid_value" for what is no integer.
---@param key string
---@param by? integer  1
---@param options? { ttl?: number }  seconds
---@return integer  the sum
function Storage:incr(key, by, options) end

--- Keeps `new` under a key if `old` is there now. One step: nobody comes between.
---@param key string
---@param old? string  nil: if nothing is there
---@param new string
---@param options? { ttl?: number }  seconds
---@return boolean  whether it was so
function Storage:cas(key, old, new, options) end

---@class Session
---@field storage Storage
local Session = {}

--- True for the first who asks for this key, then false, until its time is up: an event that comes
--- twice is handled once. Its keys are not those of storage; the quota is the same.
---@param key string
---@param ttl? number  seconds; 7 days by default
---@return boolean
function Session:once(key, ttl) end
