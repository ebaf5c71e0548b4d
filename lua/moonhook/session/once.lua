-- session:once(key, ttl): true for the first who asks, also over restarts and between requests that
-- run beside each other. Its keys are not those of session.storage, its quota is the same.
local host = require "host.storage"
local storage_call = require "moonhook.session.storage_call"

local DEFAULT_TTL = 7 * 24 * 3600 -- seconds: longer than senders of webhooks try again

local function once(key, ttl)
  storage_call.check_key("session:once", key)
  if ttl == nil then ttl = DEFAULT_TTL end
  return (storage_call.result(host.once(key, storage_call.check_ttl("session:once", ttl))))
end

return once
