--- A plugin that does whatever it is told, beside a healthy one, on the real binary; for specs of
--- what bounds a plugin.
---
---   local stage = limits.start()
---   local reply = stage:run "return 1 + 1"            -- the text of a handler(a); reply.body "2"
---   assert.equal("plugin_cpu_limit", stage:fails "while true do end")
---   stage:stop()
---
--- What the text returns is made a string, unless it returns a second value, which is true.
--- The text sees `a` (self, request, settings, values), `session`, `moonhook`, `json`.
local assert = require "luassert"
local cjson = require "cjson"
local host_support = require "spec.support.host"

local limits = {}

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
resource:
  permission:
    storage: { enabled: true }
    network: { enabled: true }
    model: { enabled: true, llm: true }
%s
plugins:
  endpoints:
    - endpoints:
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
        - { path: /ok, method: GET, extra: { lua: { source: ok.lua } } }
]]

local RUN = [[
local moonhook = require "moonhook"
local json = moonhook.json
local kept = {}

return function(self, request, values, settings)
  local a = { self = self, request = request, values = values, settings = settings, kept = kept }
  local code = assert(load("local a, session, moonhook, json = ...\n" .. request:get_data(), "=x"))
  local result, is_raw = code(a, self.session, moonhook, json)
  if is_raw or moonhook.Response.is(result) then return result end
  return tostring(result)
end
]]

local OK = [[return function() return "ok" end]]

---@class LimitsStage
---@field host Host
local Stage = {}
Stage.__index = Stage

--- options: config (merged in), limits (YAML of the wild plugin's manifest), files, env, under,
--- workers.
function limits.start(options)
  options = options or {}
  local files = {
    ["plugins/wild/manifest.yaml"] = MANIFEST:format("wild", options.limits or ""),
    ["plugins/wild/run.lua"] = RUN, ["plugins/wild/ok.lua"] = OK,
    ["plugins/calm/manifest.yaml"] = MANIFEST:format("calm", ""),
    ["plugins/calm/run.lua"] = RUN, ["plugins/calm/ok.lua"] = OK,
  }
  for path, text in pairs(options.files or {}) do files[path] = text end
  local config = { plugins = { "plugins" }, http = { allow = { "127.0.0.1" } }, endpoints = {
    { plugin = "wild", hook_id = "wild" }, { plugin = "calm", hook_id = "calm" },
  } }
  for key, value in pairs(options.config or {}) do config[key] = value end
  local host = host_support.start { files = files, config = config, env = options.env,
    under = options.under, workers = options.workers }
  return setmetatable({ host = host }, Stage)
end

function Stage:stop()
  self.host:stop()
end

--- What limits.start's plugins understand; `hook`: "wild" or "calm".
function limits.request(code, hook)
  return { target = ("/e/%s/run"):format(hook or "wild"), body = code, seconds = 20 }
end

function Stage:run(code, hook)
  return self.host:request(limits.request(code, hook))
end

--- The same, which must succeed; gives the text.
function Stage:result(code, hook)
  local reply = self:run(code, hook)
  assert.equal(200, reply.status, reply.body .. self.host:log():sub(-1500))
  return reply.body
end

--- The same, which must fail; gives the error's code and the status.
function Stage:fails(code, hook)
  local reply = self:run(code, hook)
  local ok, body = pcall(cjson.decode, reply.body)
  assert.is_true(ok and body.error ~= nil, reply.status .. " " .. reply.body:sub(1, 300))
  return body.error.code, reply.status
end

--- The failure's record in the log.
function Stage:failure(fields, from)
  fields.msg = "plugin failed"
  return self.host:wait_record(fields, 5, from)
end

--- Both plugins answer.
function Stage:assert_alive()
  for _, hook in ipairs { "calm", "wild" } do
    local reply = self.host:request { target = "/e/" .. hook .. "/ok", seconds = 10 }
    assert.equal("ok", reply.body)
  end
end

return limits
