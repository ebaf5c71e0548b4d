--- A web server (web_server.mjs) and a plugin that calls it with session.http, for host specs.
---
---   local server = web.serve { "127.0.0.2:0", "127.0.0.1:0" }
---   local caller = web.start { allow = { "127.0.0.2" }, hosts = { "..." } }
---   local result = caller:call { url = server.url .. "/echo" }   -- { status, headers, body, url }
---   result.code, result.message, result.detail                   -- of what it raised
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local web = {}

-- --- the server ----------------------------------------------------------------------------------

local Server = {}
Server.__index = Server

--- Listens on these addresses ("HOST:PORT"); a port 0 is any, the same for all.
function web.serve(addresses)
  local command = { "node", "spec/support/web_server.mjs" }
  for _, address in ipairs(addresses) do command[#command + 1] = address end
  local self = setmetatable({ process = process.start(command) }, Server)
  self.port = cjson.decode(self.process:wait_for("stdout", "^(%b{})\n", 10)).port
  self.host = addresses[1]:match "^(.*):%d+$"
  self.url = ("http://%s:%d"):format(self.host, self.port)
  return self
end

function Server:_control(method, target)
  local connection = http.connect(self.port, { host = self.host })
  local reply = http.request {
    port = self.port, connection = connection, method = method, target = target,
  }
  connection:close()
  return cjson.decode(reply.body)
end

function Server:seen() return self:_control("GET", "/_seen").seen end
function Server:forget() self:_control("DELETE", "/_seen") end
function Server:flaky(status) self:_control("POST", "/_flaky?" .. status) end

function Server:stop()
  self.process:kill "TERM"
  self.process:wait(5)
end

-- --- the plugin ----------------------------------------------------------------------------------

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: caller
%s
plugins:
  endpoints:
    - endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /uncaught, method: POST, extra: { lua: { source: uncaught.lua } } }
        - { path: /stream, method: POST, extra: { lua: { source: stream.lua } } }
        - { path: /upload, method: POST, extra: { lua: { source: upload.lua } } }
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
        - { path: /probe, method: GET, extra: { lua: { source: probe.lua } } }
]]

local FILES = {
  ["call.lua"] = [[
local moonhook = require "moonhook"
local function plain(response)
  local headers = {}
  for name, value in response.headers:pairs() do headers[name:lower()] = value end
  return { status = response.status, headers = headers, body = response.body, url = response.url }
end
return function(self, request)
  local call = request:get_json "object"
  local ok, result = pcall(function() return plain(self.session.http:request(call)) end)
  if ok then return moonhook.Response.json(result) end
  if type(result) == "string" then result = { code = "lua", message = result } end
  return moonhook.Response.json {
    code = result.code, message = result.message, detail = result.detail, host = result.host,
    retry_after_s = result.retry_after_s,
  }
end]],
  ["uncaught.lua"] = [[
return function(self, request)
  return self.session.http:request(request:get_json "object").body
end]],
  ["stream.lua"] = [[
local Response = require("moonhook").Response
return function(self, request)
  local call = request:get_json "object"
  call.stream = true
  return Response(function()
    for piece in self.session.http:request(call).body do coroutine.yield(piece) end
  end)
end]],
  ["upload.lua"] = [[
local moonhook = require "moonhook"
return function(self, request)
  local call = request:get_json "object"
  local count, given = call.pieces, 0
  local piece = ("p"):rep(call.bytes)
  call.pieces, call.bytes = nil, nil
  call.body = function()
    if given == count then return nil end
    given = given + 1
    return piece
  end
  local ok, result = pcall(function() return self.session.http:request(call) end)
  return moonhook.Response.json {
    given = given, status = ok and result.status or nil, body = ok and result.body or nil,
    code = not ok and (result.code or result) or nil,
  }
end]],
  ["run.lua"] = [[
local moonhook = require "moonhook"
return function(self, request)
  local chunk = assert(load(request:get_data(), "=chunk"))
  local ok, result = pcall(chunk(), self.session)
  if not ok and type(result) == "table" then
    result = { code = result.code, detail = result.detail }
  end
  return moonhook.Response.json { ok = ok, result = result }
end]],
  ["probe.lua"] = "return function() return 'alive' end",
}

local Caller = {}
Caller.__index = Caller

--- options: allow and proxy (the configuration's http section), permission (the manifest's text
--- for resource.permission.network; `true` by default), client, backends, env.
function web.start(options)
  options = options or {}
  local permission = options.permission or "true"
  local files = {
    ["plugins/caller/manifest.yaml"] = MANIFEST:format("resource: { permission: { "
      .. "model: { enabled: true, llm: true }"
      .. (permission == "none" and "" or ", network: " .. permission) .. " } }"),
  }
  for name, text in pairs(FILES) do files["plugins/caller/" .. name] = text end
  local config = {
    plugins = { "plugins" },
    client = options.client,
    backends = options.backends,
    http = { allow = options.allow, proxy = options.proxy },
    endpoints = { { plugin = "caller", hook_id = "caller" } },
  }
  local started = host.start { config = config, files = files, env = options.env,
    workers = options.workers }
  return setmetatable({ host = started }, Caller)
end

function Caller:post(target, value)
  return self.host:request {
    target = "/e/caller" .. target, json = cjson.encode(value), seconds = 10,
  }
end

--- What session.http:request gave or raised, as a table.
function Caller:call(call)
  local reply = self:post("/call", call)
  assert(reply.status == 200, reply.body)
  return cjson.decode(reply.body)
end

--- Runs `text`, which is Lua that returns a function of the session, inside the plugin.
function Caller:run(text)
  local reply = self.host:request { target = "/e/caller/run", body = text, seconds = 10 }
  assert(reply.status == 200, reply.body)
  local result = cjson.decode(reply.body)
  return result.result, result.ok
end

function Caller:stop()
  self.host:stop()
end

return web
