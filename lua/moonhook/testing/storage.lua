-- A plugin's storage, seen and set by a spec: plugin.storage.visits, plugin.storage.visits = "41".
local Error = require "moonhook.error"
local json = require "host.json"
local testbed = require "host.testbed"

local storage = {}

local function text_of(value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return ("%.17g"):format(value) end
  return json.must_encode(value)
end

--- Puts values into the storage, which is empty when a plugin was loaded. What is no string is
--- stored as the plugin's `set_json` and `incr` would: as JSON.
function storage.fill(id, values)
  for key, value in pairs(values) do testbed.storage(id, "set", key, text_of(value)) end
end

--- The table that a spec sees. Values are strings, as they are stored; pairs() does not work in Lua
--- 5.1 on it: `storage.keys()` lists.
function storage.view(id)
  return setmetatable({}, {
    __index = function(_, key)
      if type(key) ~= "string" then Error.blame "storage: expected a key, a string" end
      return testbed.storage(id, "get", key)
    end,
    __newindex = function(_, key, value)
      if value == nil then
        testbed.storage(id, "delete", key)
      else
        testbed.storage(id, "set", key, text_of(value))
      end
    end,
    __call = function(_, prefix) return testbed.storage(id, "list", prefix or "") end,
  })
end

return storage
