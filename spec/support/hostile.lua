--- A hostile plugin with every permission there is, beside a victim, on a host with backends that
--- repeat what they are told (mirror.mjs); for specs of what plugins must not find out.
---
---   local stage = hostile.start()
---   stage:succeed [[ look(session.storage:get "secret") ]] -- the text of a function in the plugin
---   stage:assert_clean_log()
---
--- The text sees `session`, `moonhook`, `a` (self, request, settings, kept), `look(value)`, which
--- collects every string that the value leads to, and `try(fn, ...)`, which looks at what pcall
--- gives. Whatever the reply has in it is searched for the secrets.
local assert = require "luassert"
local cjson = require "cjson"
local host_support = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local hostile = {}

local secrets = {
  model_key = "sk-model-key-8c1f0a52", inner_key = "inner-dify-key-77d2e91b",
  app_key = "app-service-key-3b9c44aa", tenant = "tenant-5e0f6c3d-secret",
  setting = "victim-setting-91ab", stored = "victim-stored-4cd7", header = "victim-header-60ef",
}
hostile.secrets = secrets

local FILES = {
  ["gpt.key"] = secrets.model_key .. "\n", ["inner.key"] = secrets.inner_key .. "\n",
  ["app.key"] = secrets.app_key .. "\n",
  ["plugins/victim/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: victim
resource: { permission: { storage: { enabled: true, size: 65536 } } }
plugins:
  endpoints:
    - settings: [ { name: token, type: secret-input } ]
      endpoints:
        - { path: /keep, method: POST, extra: { lua: { source: keep.lua } } }
        - { path: /hold, method: GET, extra: { lua: { source: hold.lua } } }
]],
  ["plugins/victim/keep.lua"] = [[
return function(self, request, _, settings)
  self.session.storage:set("secret", request:get_data())
  return #settings.token .. ""
end]],
  ["plugins/victim/hold.lua"] = [[
return function(self, request)
  self.session:sleep(700)
  return "held " .. #request.headers.Authorization
end]],
  ["plugins/hostile/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: hostile
resource:
  permission:
    app: { enabled: true }
    tool: { enabled: true }
    node: { enabled: true }
    network: { enabled: true }
    storage: { enabled: true, size: 65536 }
    model: { enabled: true, llm: true, text_embedding: true, rerank: true, tts: true,
             speech2text: true, moderation: true }
plugins:
  endpoints:
    - endpoints:
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
]],
  -- Runs the text that it is sent; `look` collects every string that a value leads to.
  ["plugins/hostile/run.lua"] = [[
local moonhook = require "moonhook"
local walk = require "walk"
local assert, load, pcall, type, concat = assert, load, pcall, type, table.concat
local kept = {}

return function(self, request, values, settings)
  local code = assert(load(request:get_data(), "=attack"))
  local found = {}
  local function look(value) walk(value, found) end
  local function try(...)
    look { pcall(...) }
    return ...
  end
  local result = code() {
    self = self, session = self.session, request = request, settings = settings, values = values,
    moonhook = moonhook, look = look, try = try, kept = kept,
  }
  look(result)
  return (type(result) == "string" and result .. "\n\n" or "") .. concat(found, "\n")
end]],
  ["plugins/hostile/walk.lua"] = [[
local getmetatable, next, tostring, type = getmetatable, next, tostring, type

return function(value, found)
  local seen = {}
  local function walk(value, depth)
    if type(value) == "string" then found[#found + 1] = value end
    if type(value) == "function" or type(value) == "userdata" then
      found[#found + 1] = tostring(value)
    end
    if seen[value] or depth > 40 then return end
    if type(value) ~= "table" then
      if value == nil or type(value) == "string" then return end
    end
    if value ~= nil then seen[value] = true end
    local meta = getmetatable(value)
    if type(meta) == "table" then walk(meta, depth + 1) end
    if type(value) ~= "table" then return end
    for key, member in next, value do
      walk(key, depth + 1)
      walk(member, depth + 1)
    end
  end
  walk(value, 1)
end]],
}

---@class HostileStage
---@field host Host
---@field ports { port: integer, thief_port: integer }  of the mirror
local Stage = {}
Stage.__index = Stage

--- Starts the mirror and the host; the victim has its setting and its stored value.
function hostile.start()
  local self = setmetatable({}, Stage)
  self.mirror = process.start { "node", "spec/support/mirror.mjs" }
  self.ports = cjson.decode(self.mirror:wait_for("stdout", "^(%b{})\n", 15))
  local base = "http://127.0.0.1:" .. self.ports.port
  self.host = host_support.start {
    files = FILES,
    env = { SECRET_IN_THE_ENVIRONMENT = secrets.model_key },
    config = {
      plugins = { "plugins" },
      backends = {
        gpt = { type = "openai", url = base .. "/v1", api_key_file = "gpt.key" },
        dify = { type = "dify", url = base, inner_api_key_file = "inner.key",
          tenant_id = secrets.tenant },
        clouds = { type = "dify-service", url = base .. "/v1",
          apps = { ["app-1"] = { key_file = "app.key" } } },
      },
      endpoints = {
        { plugin = "victim", hook_id = "victim-hook", settings = { token = secrets.setting } },
        { plugin = "hostile", hook_id = "hostile" },
      },
    },
  }
  local reply = self.host:request { target = "/e/victim-hook/keep", body = secrets.stored }
  assert.equal(tostring(#secrets.setting), reply.body)
  return self
end

function Stage:stop()
  self.host:stop()
  self.mirror:kill "TERM"
  self.mirror:wait(5)
end

local function assert_clean(text, where)
  for _, secret in pairs(secrets) do
    assert.is_nil(text:find(secret, 1, true), secret .. " is " .. where)
    local hex = secret:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    assert.is_nil(text:find(hex, 1, true), secret .. " is in hexadecimal " .. where)
  end
end

--- The request that runs the text of a function in the plugin.
function hostile.request(text)
  return { target = "/e/hostile/run", seconds = 10, body = "return function(a)\n"
    .. "local session, moonhook, look, try = a.session, a.moonhook, a.look, a.try\n" .. text
    .. "\nend" }
end

--- Runs it; the reply must have no secret in it.
function Stage:attack(text)
  local reply = self.host:request(hostile.request(text))
  assert_clean(reply.body, "in the reply")
  for _, field in ipairs(reply.header_list) do assert_clean(field[2], "in a header") end
  return reply
end

--- The same, which must run to its end; gives the string that it returned.
function Stage:succeed(text)
  local reply = self:attack(text)
  assert.equal(200, reply.status, reply.body .. self.host:log():sub(-600))
  return reply.body:match "^(.-)\n\n" or reply.body
end

local function seen_by(port)
  return cjson.decode(http.request { port = port, target = "/_seen" }.body)
end

--- The requests that came to the backends.
function Stage:seen()
  return seen_by(self.ports.port)
end

--- Neither the log nor the server that backends redirect to got a secret.
function Stage:assert_nothing_got_out()
  assert_clean(self.host:log(), "in the log")
  assert.same({}, seen_by(self.ports.thief_port))
end

return hostile
