--- A fake server in a process of its own that specs steer over HTTP: POST /_control says how to
--- answer, GET /_seen tells what came, GET /_connections how many are open.
---
---   local FakeModel = setmetatable({}, { __index = steered })
---   FakeModel.__index = FakeModel
---   local model = steered.start(FakeModel, { "node", "fake_model.mjs" })
local cjson = require "cjson"
local http = require "spec.support.http"
local process = require "spec.support.process"

local START_SECONDS = 15 -- one of them makes certificates first

---@class Steered
---@field process Process
---@field port integer
---@field ports table  what the server printed as JSON: port, and what else it has
local steered = {}

--- Starts the command and waits until it tells its port; an object of `class`.
function steered.start(class, command)
  local self = setmetatable({}, class)
  self.process = process.start(command)
  self.ports = cjson.decode(self.process:wait_for("stdout", "^(%b{})\n", START_SECONDS))
  self.port = self.ports.port
  return self
end

local function control(self, method, target, value)
  local body = value and cjson.encode(value) or nil
  local reply = http.request { port = self.port, method = method, target = target, json = body }
  assert(reply.status == 200, reply.body)
  return cjson.decode(reply.body)
end

--- How to answer all requests from now on; without an argument: well.
function steered:order(order)
  control(self, "POST", "/_control", order or {})
end

--- The requests since the start or the last :forget(), and what became of their connections.
function steered:seen()
  return control(self, "GET", "/_seen")
end

function steered:forget()
  control(self, "DELETE", "/_seen")
end

--- How many connections it holds just now.
function steered:connections()
  return control(self, "GET", "/_connections").open
end

--- Waits until a request came (the first since :forget()), or one that `test` accepts.
function steered:wait_seen(test, seconds, what)
  return process.eventually(function()
    for _, record in ipairs(self:seen()) do
      if not test or test(record) then return record end
    end
  end, seconds, what or "a request at the fake server")
end

function steered:stop()
  self.process:kill "TERM"
  self.process:wait(5)
end

return steered
