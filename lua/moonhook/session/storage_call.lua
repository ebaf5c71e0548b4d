-- What session.storage and session:once share: checks of keys and times, the wait for the store.
local Error = require "moonhook.error"
local check = require "moonhook.session.check"
local coroutines = require "moonhook.coroutines"
local WAIT = require("host.task").WAIT

local MAX_KEY_BYTES = 256
local MAX_TTL = 1e10 -- seconds: three centuries

local storage_call = {}

--- What the author wrote wrong is raised at the author's line.
function storage_call.must(ok, title, name, what, got)
  if not ok then Error.blame(("%s: %s"):format(title, check.expected(name, what, got))) end
end

--- What may have come from a client is an Error that, uncaught, answers 422.
function storage_call.refuse(message)
  error(Error.new("invalid_param", message, { status = 422 }), 0)
end

local must, refuse = storage_call.must, storage_call.refuse

local function has_dots(key)
  return ("/" .. key .. "/"):find "[/\\]%.%.[/\\]" ~= nil
end

function storage_call.check_key(title, key)
  must(type(key) == "string", title, "key", "a string", key)
  if key == "" then refuse "invalid key: it is empty" end
  if #key > MAX_KEY_BYTES then refuse "invalid key: it is longer than 256 bytes" end
  if key:find("\0", 1, true) then refuse "invalid key: it has a NUL byte" end
  if has_dots(key) then refuse "invalid key: path traversal attempt detected" end
end

function storage_call.check_ttl(title, ttl)
  if ttl == nil then return 0 end
  must(type(ttl) == "number" and ttl > 0 and ttl <= MAX_TTL, title, "ttl",
    "a number of seconds above 0", ttl)
  return ttl
end

--- What a leaf of host.storage gives, waited for. `value` nil and a code: it failed.
function storage_call.result(value, second, message)
  if value == WAIT then
    value, second, message = coroutines.wait()
  end
  if value == nil and second then
    error(Error.new(second, message, second == "invalid_value" and { status = 422 } or nil), 0)
  end
  return value, second
end

return storage_call
