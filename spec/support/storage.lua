--- Plugins that do with session.storage what a request tells them, and a host that runs them.
---
---   local storage = require "spec.support.storage"
---   local server = storage.start { shelf = 1048576 }  -- plugins, with their quotas
---   storage.set(server, "shelf", "key", "value")   -- true; or nil, error { code, message }
---   storage.call(server, "shelf", "get", "key")    -- likewise what any method gives
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"

local storage = {}

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
resource: { permission: { storage: { %s } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /raw/<key>, method: [GET, PUT], extra: { lua: { source: raw.lua } } }
        - { path: /long, method: POST, extra: { lua: { source: long.lua } } }
        - { path: /leave, method: GET, extra: { lua: { source: leave.lua } } }
        - { path: /pending, method: GET, extra: { lua: { source: pending.lua } } }
        - { path: /probe, method: GET, extra: { lua: { source: probe.lua } } }
]]

local SOURCES = {
  -- { verb, args, count, is_uncaught } -> { results, count } or { failed = { code, message, ... } }
  call = [[
local moonhook = require "moonhook"
local json = moonhook.json
return function(self, request)
  local body = request:get_json "object"
  local args = {}
  for i = 1, body.count do
    local arg = body.args[i]
    if arg ~= json.null then args[i] = arg end
  end
  local function run()
    if body.verb == "once" then return self.session:once(unpack(args, 1, body.count)) end
    return self.session.storage[body.verb](self.session.storage, unpack(args, 1, body.count))
  end
  local results = body.is_uncaught and { true, run() } or { pcall(run) }
  if not results[1] then
    local err = results[2]
    if type(err) ~= "table" then err = { message = err } end
    return moonhook.Response.json {
      failed = { code = err.code, message = err.message, status = err.status } }
  end
  return moonhook.Response.json { first = results[2], second = results[3] }
end]],
  raw = [[
local moonhook = require "moonhook"
return function(self, request, values)
  if request.method == "PUT" then
    self.session.storage:set(values.key, request:get_data())
    return "ok"
  end
  local bytes = self.session.storage:get(values.key)
  if not bytes then moonhook.abort(404) end
  return moonhook.Response(bytes, { content_type = "application/octet-stream" })
end]],
  long = [[
return function(self, request)
  local body = request:get_json "object"
  local ok, err = pcall(self.session.storage.set, self.session.storage, body.key,
    ("x"):rep(body.bytes))
  return ok and "ok" or err.code .. ": " .. err.message
end]],
  leave = [[
local moonhook = require "moonhook"
return function(self)
  return moonhook.Response(function()
    local storage = self.session.storage
    coroutine.yield("started")
    local ok, err = pcall(moonhook.sleep, 60000)
    storage:set("left", tostring(ok) .. " " .. err.code)
    storage:incr("times")
    ok, err = pcall(moonhook.sleep, 1)
    storage:set("then", tostring(ok) .. " " .. err.code .. " " .. storage:get("left"))
  end)
end]],
  pending = [[
return function(self)
  local storage = self.session.storage
  local ok, err = pcall(storage.set, storage, "key", "value")
  storage:set("pending", ok and "done" or err.code)
end]],
  probe = "return function() return 'alive' end",
}

--- The files of plugins { name = quota in bytes, or true: none is named, or false: no permission }.
function storage.files(plugins)
  local files = {}
  for name, quota in pairs(plugins) do
    local folder = "plugins/" .. name .. "/"
    local permission = quota and "enabled: true" or "enabled: false"
    if type(quota) == "number" then permission = permission .. ", size: " .. quota end
    files[folder .. "manifest.yaml"] = MANIFEST:format(name, permission)
    for source, text in pairs(SOURCES) do files[folder .. source .. ".lua"] = text end
  end
  return files
end

-- 10 MiB take more than 100 ms of processor time on a machine that has much else to do.
local LIMITS = { plugin_cpu_ms = 250 }

function storage.config(plugins)
  local endpoints = {}
  for name in pairs(plugins) do
    endpoints[#endpoints + 1] = { plugin = name, name = name, hook_id = name .. "-spec" }
  end
  return { plugins = { "plugins" }, endpoints = endpoints, limits = LIMITS }
end

function storage.start(plugins)
  return host.start { files = storage.files(plugins), config = storage.config(plugins) }
end

--- The request of such a call.
function storage.request(server, plugin, verb, ...)
  local args, count = {}, select("#", ...)
  for i = 1, count do
    local arg = select(i, ...)
    if arg == nil then arg = cjson.null end
    args[i] = arg
  end
  return {
    port = server.port, target = ("/e/%s-spec/call"):format(plugin), seconds = 10,
    json = cjson.encode { verb = verb, args = args, count = count },
  }
end

--- What a reply to it says: the results; or nil and the error { code, message, status }.
function storage.result(reply)
  assert(reply.status == 200, reply.body)
  local body = cjson.decode(reply.body)
  if body.failed then return nil, body.failed end
  local first, second = body.first, body.second
  if first == cjson.null then first = nil end
  if second == cjson.null then second = nil end
  return first, second
end

function storage.call(server, plugin, verb, ...)
  return storage.result(http.request(storage.request(server, plugin, verb, ...)))
end

--- Sets a key: true, or nil and the error.
function storage.set(server, plugin, ...)
  local _, err = storage.call(server, plugin, "set", ...)
  if err then return nil, err end
  return true
end

--- Sends requests all at once, each on a connection of its own; gives the replies in their order.
function storage.all_at_once(requests)
  local connections, replies = {}, {}
  for i, request in ipairs(requests) do connections[i] = http.connect(request.port) end
  for i, request in ipairs(requests) do assert(connections[i]:send(http.format(request))) end
  for i, connection in ipairs(connections) do
    replies[i] = http.read_head(connection, { method = "POST", seconds = 20 })
    replies[i]:read_body()
    connection:close()
  end
  return replies
end

return storage
