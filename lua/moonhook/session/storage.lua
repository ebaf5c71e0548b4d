-- session.storage: bytes by key, kept over restarts; every plugin has keys of its own. Here the
-- arguments are checked; host.storage knows the plugin, its permission and its quota.
local Error = require "moonhook.error"
local host = require "host.storage"
local storage_call = require "moonhook.session.storage_call"

local check_key, check_ttl = storage_call.check_key, storage_call.check_ttl
local must, refuse, result = storage_call.must, storage_call.refuse, storage_call.result

local MAX_KEY_BYTES, MAX_VALUE_BYTES = 256, 10 * 1024 * 1024
local MAX_INTEGER = 2 ^ 53
local DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

---@class Storage
local storage = {}

-- ---- arguments ----------------------------------------------------------------------------------

local function check_value(title, name, value)
  must(type(value) == "string", title, name, "a string", value)
  if #value > MAX_VALUE_BYTES then
    refuse(("invalid value: %d bytes, at most %d can be kept"):format(#value, MAX_VALUE_BYTES))
  end
end

local function check_options(title, options, known)
  if options == nil then return {} end
  must(type(options) == "table", title, "options", "a table", options)
  for name in pairs(options) do
    if not known[name] then
      local names = {}
      for option in pairs(known) do names[#names + 1] = option end
      table.sort(names)
      local near = type(name) == "string" and require("moonhook.session.check").nearest(name, names)
      Error.blame(("%s: unknown option '%s'%s"):format(title, tostring(name),
        near and (", did you mean '%s'?"):format(near) or ": it has " .. table.concat(names, ", ")))
    end
  end
  return options
end

local TTL = { ttl = true }

local function ttl_of(title, options)
  return check_ttl(title, check_options(title, options, TTL).ttl)
end

local function begin(self, title, key)
  if self ~= storage then Error.blame(title .. ": called with '.', expected ':'") end
  check_key(title, key)
end

-- ---- methods ------------------------------------------------------------------------------------

--- Keeps bytes under a key, in place of what was there. Without a ttl they stay.
---@param key string  1 to 256 bytes
---@param value string  at most 10 MiB
---@param options? { ttl?: number }  seconds
function storage:set(key, value, options)
  begin(self, "session.storage:set", key)
  check_value("session.storage:set", "value", value)
  result(host.set(key, value, ttl_of("session.storage:set", options)))
end

---@param key string
---@return string?  nil: there is nothing under this key
function storage:get(key)
  begin(self, "session.storage:get", key)
  return (result(host.get(key)))
end

---@param key string
---@return boolean  whether it was there: of several that delete at once, one gets true
function storage:delete(key)
  begin(self, "session.storage:delete", key)
  return (result(host.delete(key)))
end

---@param key string
---@return boolean
function storage:exist(key)
  begin(self, "session.storage:exist", key)
  return (result(host.exist(key)))
end

local LIST = { cursor = true, limit = true }

--- The keys that begin with a prefix, in the order of their bytes, page by page.
---@param prefix? string  "": all
---@param options? { cursor?: string, limit?: integer }  limit: 1 to 1000, by default 100
---@return string[] keys
---@return string? next_cursor  for the next page; nil: there is none
function storage:list(prefix, options)
  local title = "session.storage:list"
  if self ~= storage then Error.blame(title .. ": called with '.', expected ':'") end
  if prefix == nil then prefix = "" end
  must(type(prefix) == "string", title, "prefix", "a string", prefix)
  if #prefix > MAX_KEY_BYTES then refuse "invalid prefix: it is longer than 256 bytes" end
  options = check_options(title, options, LIST)
  local cursor, limit = options.cursor, options.limit
  must(cursor == nil or type(cursor) == "string", title, "cursor", "a string", cursor)
  if limit == nil then limit = DEFAULT_LIMIT end
  must(type(limit) == "number" and limit % 1 == 0 and limit >= 1 and limit <= MAX_LIMIT, title,
    "limit", "an integer 1..1000", limit)
  local keys, has_more = result(host.list(prefix, cursor, limit))
  return keys, has_more and keys[#keys] or nil
end

--- Adds to the integer under a key; what is not there counts as 0. The ttl counts from the first
--- time: a key that is there keeps its own.
---@param key string
---@param by? integer  1
---@param options? { ttl?: number }
---@return integer
function storage:incr(key, by, options)
  local title = "session.storage:incr"
  begin(self, title, key)
  if by == nil then by = 1 end
  must(type(by) == "number" and by % 1 == 0 and by >= -MAX_INTEGER and by <= MAX_INTEGER, title,
    "by", "an integer", by)
  return (result(host.increment(key, by, ttl_of(title, options))))
end

--- Keeps `new` under a key if `old` is there now; `old` nil: if nothing is there.
---@param key string
---@param old? string
---@param new string
---@param options? { ttl?: number }
---@return boolean  whether it was so
function storage:cas(key, old, new, options)
  local title = "session.storage:cas"
  begin(self, title, key)
  must(old == nil or type(old) == "string", title, "old", "a string or nil", old)
  check_value(title, "new", new)
  return (result(host.swap(key, old, new, ttl_of(title, options))))
end

return storage
