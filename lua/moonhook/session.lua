-- What plugins see as `self.session`: the namespaces through which they call apps, models and the
-- world, and a few methods. One table per state, without any state of its own: C knows which task
-- is running, what it may call, and whom it answers. Everything is loaded when it is first used.
local MODULES = {
  app = "moonhook.session.app",
  model = "moonhook.session.model",
  tool = "moonhook.session.tool",
  workflow_node = "moonhook.session.workflow_node",
  file = "moonhook.session.file",
  storage = "moonhook.session.storage",
  http = "moonhook.session.http",
  log = "moonhook.log",
}

local session = {}

-- Names that begin with `_` are the library's own.
local function unknown(name)
  if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
  local names = { "sleep", "spawn", "after_response", "once" }
  for known in pairs(MODULES) do names[#names + 1] = known end
  table.sort(names)
  local near = require("moonhook.session.check").nearest(name, names)
  require("moonhook.error").blame(("session.%s: there is no such member%s"):format(name,
    near and ", did you mean '" .. near .. "'?" or "; it has " .. table.concat(names, ", ")))
end

local function expect_method(self, name)
  if self == session then return end
  require("moonhook.error").blame(("session:%s: called with '.', expected ':'"):format(name))
end

--- Waits; other requests run meanwhile. Raises "cancelled" when the client leaves.
---@param delay_ms number
function session:sleep(delay_ms)
  expect_method(self, "sleep")
  return require("moonhook.clock").sleep(delay_ms)
end

--- Runs fn(...) beside the handler; `:wait()` of what it gives returns fn's results or raises its
--- error. At most 64 at a time for one request; all are cancelled with it.
---@param fn function
function session:spawn(fn, ...)
  expect_method(self, "spawn")
  return require "moonhook.session.spawn"(fn, ...)
end

--- Runs fn after the reply is complete, for at most 60 s; at most 16 for one request. What it
--- raises goes to the log.
---@param fn fun()
function session:after_response(fn)
  expect_method(self, "after_response")
  return require("moonhook.session.after").add(self, fn)
end

--- True the first time that the plugin asks for this key within ttl seconds, then false.
---@param key string
---@param ttl? number  seconds
---@return boolean
function session:once(key, ttl)
  expect_method(self, "once")
  return require "moonhook.session.once"(key, ttl)
end

return setmetatable(session, {
  __index = function(_, name)
    if not MODULES[name] then return unknown(name) end
    local namespace = require(MODULES[name])
    rawset(session, name, namespace)
    return namespace
  end,
})
