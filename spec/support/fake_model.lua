--- The fake model server of fake_model.mjs in a process of its own, for specs of the real binary.
---
---   local model = fake_model.start()          -- { tls = true }: TLS ports and a proxy as well
---   config.backends.gpt = { type = "openai", url = model.url }
---   model:order { head_ms = 100 }             -- or in the model's name: "fake;head_ms=100"
---   local seen = model:seen()                 -- the requests that came, in order
---   model:stop()
local cjson = require "cjson"
local http = require "spec.support.http"
local process = require "spec.support.process"

local START_SECONDS = 15 -- the first start makes the certificates

local fake_model = {}

---@class FakeModel
---@field url string  "http://127.0.0.1:PORT/v1"
---@field port integer
---@field ports table  what the server printed: ca_file, tls_port, proxy_port ...
local FakeModel = {}
FakeModel.__index = FakeModel

function fake_model.start(options)
  local command = { "node", "spec/support/fake_model.mjs" }
  if options and options.tls then
    command[3], command[4] = "--tls", io.popen("pwd"):read "*l" .. "/build/spec/certificates"
  end
  local self = setmetatable({}, FakeModel)
  self.process = process.start(command)
  self.ports = cjson.decode(self.process:wait_for("stdout", "^(%b{})\n", START_SECONDS))
  self.port = self.ports.port
  self.url = ("http://127.0.0.1:%d/v1"):format(self.port)
  return self
end

local function control(self, method, target, value)
  local body = value and cjson.encode(value) or nil
  local reply = http.request { port = self.port, method = method, target = target, json = body }
  assert(reply.status == 200, reply.body)
  return cjson.decode(reply.body)
end

--- How to answer all requests from now on; without an argument: well.
function FakeModel:order(order)
  control(self, "POST", "/_control", order or {})
end

--- The requests since the start or the last :forget(), and what became of their connections.
function FakeModel:seen()
  return control(self, "GET", "/_seen")
end

function FakeModel:forget()
  control(self, "DELETE", "/_seen")
end

--- How many connections it holds just now.
function FakeModel:connections()
  return control(self, "GET", "/_connections").open
end

--- Waits until a request came (the first since :forget()), or one that `test` accepts.
function FakeModel:wait_seen(test, seconds, what)
  return process.eventually(function()
    for _, record in ipairs(self:seen()) do
      if not test or test(record) then return record end
    end
  end, seconds, what or "a request at the model server")
end

function FakeModel:stop()
  self.process:kill "TERM"
  self.process:wait(5)
end

return fake_model
