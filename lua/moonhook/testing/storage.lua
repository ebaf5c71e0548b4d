-- A plugin's storage, seen and set by a spec: plugin.storage.visits, plugin.storage.visits = "41".
local Error = require "moonhook.error"
local json = require "host.json"
local script = require "moonhook.testing.script"
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

-- One call's fault as host.testbed takes it: a word, and milliseconds.
local function fault_of(value)
  local word, delay_ms = "ok", 0
  local steps = type(value) == "table" and not script.kind(value) and value or { value }
  for _, step in ipairs(steps) do
    local kind = script.kind(step)
    if kind == "wait" then
      delay_ms = delay_ms + step.delay_ms
    elseif kind == "fail" or kind == "full" then
      word = kind
    elseif step == false then
      word = "fail"
    elseif step ~= true then
      Error.blame("storage: expected true, false, testing.fail(), testing.full(), testing.wait(), "
        .. "a list of them, or testing.each(...)")
    end
  end
  return word, delay_ms
end

--- Plays the storage: what befalls all calls from now on, or with testing.each one after the other.
function storage.play(id, value)
  local faults, values = {}, { value }
  local is_each = script.kind(value) == "each"
  if is_each then values = value end
  for i = 1, is_each and value.n or 1 do
    faults[2 * i - 1], faults[2 * i] = fault_of(values[i])
  end
  testbed.storage_faults(id, faults, not is_each)
end

return storage
