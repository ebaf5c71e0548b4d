--- The fake Dify of fake_dify.mjs in a process of its own, and a host with a plugin that makes one
--- session call per request and tells what it gave.
---
---   local dify = fake_dify.start()
---   local caller = fake_dify.caller { backends = { dify = dify:backend() } }
---   local told = caller:call { path = "model.llm", method = "invoke", argument = { ... } }
---   told.value | told.items | told.error
local cjson = require "cjson"
local host = require "spec.support.host"
local steered = require "spec.support.steered"

local fake_dify = {}

---@class FakeDify : Steered
local FakeDify = setmetatable({}, { __index = steered })
FakeDify.__index = FakeDify

function fake_dify.start()
  local self = steered.start(FakeDify, { "node", "spec/contract/fake_dify.mjs" })
  self.url = "http://127.0.0.1:" .. self.port
  return self
end

--- The configuration of the backend `dify` that it is.
function FakeDify:backend()
  return { type = "dify", url = self.url, inner_api_key_file = "inner.key", tenant_id = "t-1" }
end

--- The same for `dify-service`: an app of each mode, its id the mode with "app-" before it.
function FakeDify:service_backend()
  local apps = {}
  for _, mode in ipairs { "chat", "advanced-chat", "completion", "workflow" } do
    apps["app-" .. mode] = { key_file = mode .. ".key" }
  end
  return { type = "dify-service", url = self.url .. "/v1", apps = apps }
end

-- ---- the caller ---------------------------------------------------------------------------------

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
resource:
  permission: %s
plugins:
  endpoints:
    - endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /stream, method: POST, extra: { lua: { source: stream.lua } } }
]]

local ALL = cjson.encode {
  app = { enabled = true }, tool = { enabled = true }, node = { enabled = true },
  model = { enabled = true, llm = true, text_embedding = true, rerank = true, tts = true,
    speech2text = true, moderation = true },
}

-- { path = "model.llm", method = "invoke", argument = {...}, collect?, take?, bytes_of?,
-- parameter?, uncaught? }
local CALL = [[
local moonhook = require "moonhook"
local json = moonhook.json

local function target(session, path)
  local value = session
  for name in path:gmatch "[%w_]+" do value = value[name] end
  return value
end

local function shown(value)
  if type(value) ~= "string" then return value end
  return { hex = (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) }
end

local function failure_of(raised)
  if type(raised) ~= "table" then return { text = tostring(raised) } end
  local fields = {}
  for name, value in pairs(raised) do fields[name] = value end
  return fields
end

local function run(self, order)
  local object = target(self.session, order.path)
  if order.bytes_of then order.argument[order.bytes_of] = "\255\0\1z" end
  local value = object[order.method or "invoke"](object, order.argument)
  if type(value) ~= "table" or type(getmetatable(value)) ~= "table"
    or not getmetatable(value).__call then
    return { value = value, parameter = order.parameter and value:to_app_parameter() or nil }
  end
  if order.collect then return { value = value:collect() } end
  local told = { items = json.array {} }
  local ok, raised = pcall(function()
    for item in value do
      table.insert(told.items, shown(item))
      if #told.items == order.take then
        value:close()
        return
      end
    end
  end)
  if not ok then told.error = failure_of(raised) end
  return told
end

return function(self, request)
  local order = request:get_json "object"
  if order.uncaught then return moonhook.Response.json(run(self, order)) end
  local ok, told = pcall(run, self, order)
  if not ok then told = { error = failure_of(told) } end
  return moonhook.Response.json(told)
end]]

-- Passes the items on as they come.
local STREAM = [[
local moonhook = require "moonhook"

return function(self, request)
  local order = request:get_json "object"
  return moonhook.Response.sse(function()
    coroutine.yield { event = "begun", data = "" }
    local object = self.session
    for name in order.path:gmatch "[%w_]+" do object = object[name] end
    for item in object[order.method or "invoke"](object, order.argument) do
      coroutine.yield { data = item }
    end
    coroutine.yield { event = "done", data = "" }
  end)
end]]

---@class DifyCaller
local Caller = {}
Caller.__index = Caller

--- Starts a host. `options.permission`: of the manifest, instead of all.
function fake_dify.caller(options)
  local permission = options.permission and cjson.encode(options.permission) or ALL
  local files = {
    ["inner.key"] = "inner-secret\n",
    ["plugins/caller/manifest.yaml"] = MANIFEST:format("caller", permission),
    ["plugins/caller/call.lua"] = CALL,
    ["plugins/caller/stream.lua"] = STREAM,
  }
  for _, mode in ipairs { "chat", "advanced-chat", "completion", "workflow" } do
    files[mode .. ".key"] = "app-key-" .. mode .. "\n"
  end
  local self = setmetatable({}, Caller)
  self.host = host.start {
    config = {
      plugins = { "plugins" }, backends = options.backends, client = options.client,
      endpoints = { { plugin = "caller", hook_id = "caller" } },
    },
    files = files,
  }
  return self
end

--- Makes one session call; what it gave: { value } or { items } and { error }.
function Caller:call(order)
  local reply = self.host:request {
    target = "/e/caller/call", json = cjson.encode(order), seconds = order.seconds or 15,
  }
  assert(reply.status == 200, reply.body)
  return cjson.decode(reply.body), reply.body
end

--- The same where the plugin catches nothing: the reply.
function Caller:uncaught(order)
  order.uncaught = true
  return self.host:request { target = "/e/caller/call", json = cjson.encode(order), seconds = 15 }
end

--- Opens a stream of a session call's items.
function Caller:stream(order)
  return self.host:open { target = "/e/caller/stream", json = cjson.encode(order), seconds = 15 }
end

function Caller:stop()
  self.host:stop()
end

return fake_dify
