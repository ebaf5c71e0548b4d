--- A plugin that makes a session call and leaves it, or is left, in every way that there is; for
--- specs of what becomes of the upstream's connection.
---
---   local host = leaver.start { config = { backends = leaver.backends(port) } }
---   local client = leaver.send(host, "/call", { path = "model.llm", argument = { ... } })
---
--- /call waits as long as it takes and notes what was raised (/seen tells), /closes closes the
--- iterator, /breaks leaves its loop, /returns replies while a spawned call waits, when
--- `leaver.let_return` says so.
local cjson = require "cjson"
local host_support = require "spec.support.host"
local http = require "spec.support.http"

local leaver = {}

local FILES = {
  ["inner.key"] = "inner-secret\n",
  ["chat.key"] = "app-secret\n",
  ["plugins/leaver/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: leaver
resource: { permission: { app: { enabled: true }, model: { enabled: true, llm: true,
  text_embedding: true } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /closes, method: POST, extra: { lua: { source: closes.lua } } }
        - { path: /breaks, method: POST, extra: { lua: { source: breaks.lua } } }
        - { path: /returns, method: POST, extra: { lua: { source: returns.lua } } }
        - { path: /return, method: GET, extra: { lua: { source: return.lua } } }
        - { path: /seen, method: GET, extra: { lua: { source: seen.lua } } }
]],
  ["plugins/leaver/ask.lua"] = [[
return function(self, order)
  local object = self.session
  for name in order.path:gmatch "[%w_]+" do object = object[name] end
  return object:invoke(order.argument)
end]],
  ["plugins/leaver/raised.lua"] = "return {}",
  -- Waits as long as it takes; notes what the call raised.
  ["plugins/leaver/call.lua"] = [[
local moonhook = require "moonhook"
local ask, raised = require "ask", require "raised"

return function(self, request)
  local order = request:get_json "object"
  return moonhook.Response(function()
    local ok, problem = pcall(function()
      local value = ask(self, order)
      if not order.is_streaming then return coroutine.yield("an answer\n") end
      for item in value do
        local text = item.delta and item.delta.message.content or item.answer
        coroutine.yield((text or "item") .. "\n")
      end
    end)
    raised[#raised + 1] = ok and "nothing" or problem.code or tostring(problem)
    if not ok then error(problem, 0) end
  end)
end]],
  -- Closes the iterator, and goes on with something else.
  ["plugins/leaver/closes.lua"] = [[
local moonhook = require "moonhook"
local ask = require "ask"

return function(self, request)
  local order = request:get_json "object"
  return moonhook.Response(function()
    local values = ask(self, order)
    values()
    values:close()
    coroutine.yield("left")
    self.session:sleep(5000)
    coroutine.yield("the end")
  end)
end]],
  -- Leaves the loop without a word, and the handler with it.
  ["plugins/leaver/breaks.lua"] = [[
local ask = require "ask"

return function(self, request)
  for _ in ask(self, request:get_json "object") do return "left" end
end]],
  ["plugins/leaver/returning.lua"] = "return { items = 0 }",
  -- Replies while a spawned call waits.
  ["plugins/leaver/returns.lua"] = [[
local ask, returning = require "ask", require "returning"

return function(self, request)
  local order = request:get_json "object"
  returning.items, returning.is_due = 0, false
  self.session:spawn(function()
    local values = ask(self, order)
    if order.is_streaming then
      for _ in values do returning.items = returning.items + 1 end
    end
  end)
  while not returning.is_due do self.session:sleep(5) end
  return "left"
end]],
  -- Lets it, when it has got as many items.
  ["plugins/leaver/return.lua"] = [[
local returning = require "returning"

return function(self, request)
  while returning.items < tonumber(request.args.items) do self.session:sleep(5) end
  returning.is_due = true
  return "told"
end]],
  ["plugins/leaver/seen.lua"] = [[
local raised = require "raised"
return function() return table.concat(raised, ",") end]],
}

--- Every type of backend at one port of loopback.
function leaver.backends(port, scheme)
  local base = ("%s://127.0.0.1:%d"):format(scheme or "http", port)
  return {
    gpt = { type = "openai", url = base .. "/v1" },
    dify = { type = "dify", url = base, inner_api_key_file = "inner.key", tenant_id = "t-1" },
    service = { type = "dify-service", url = base .. "/v1",
      apps = { ["app-chat"] = { key_file = "chat.key" } } },
  }
end

--- Starts a host with the plugin; with one worker, as what the handlers tell each other is a
--- worker's own.
function leaver.start(options)
  options.files = FILES
  options.workers = 1
  options.config.plugins = { "plugins" }
  options.config.endpoints = { { plugin = "leaver", hook_id = "leaver" } }
  return host_support.start(options)
end

--- Sends a request; gives the open connection.
function leaver.send(host, target, order)
  local client = host:connect()
  client:send(http.format { target = "/e/leaver" .. target, json = cjson.encode(order) })
  return client
end

--- Lets /returns reply, when its call has brought so many items (0).
function leaver.let_return(host, items)
  local reply = host:request { target = "/e/leaver/return?items=" .. (items or 0) }
  assert(reply.body == "told", reply.body)
end

return leaver
