--- A plugin that passes on what a model server says, and a host with it, for specs of reverse
--- calls.
---
---   local relay = require("spec.support.relay").start { backends = { gpt = { ... } } }
---   relay:stream("gpt", "fake;n=3")  -- an open SSE reply
---   relay:once("gpt", "fake")        -- a whole reply; its body is the model's text
---   relay:failure("gpt", "fake")     -- what the plugin's pcall got: { code, message, detail }
---   relay:stop()
local cjson = require "cjson"
local host = require "spec.support.host"

local FILES = {
  ["plugins/relay/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: relay
resource: { permission: { model: { enabled: true, llm: true, text_embedding: true } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /stream, method: POST, extra: { lua: { source: stream.lua } } }
        - { path: /once, method: POST, extra: { lua: { source: once.lua } } }
        - { path: /failure, method: POST, extra: { lua: { source: failure.lua } } }
        - { path: /probe, method: GET, extra: { lua: { source: probe.lua } } }
]],
  ["plugins/relay/ask.lua"] = [[
return function(self, request, stream)
  local body = request:get_json "object"
  return self.session.model.llm:invoke {
    model_config = { provider = body.provider, model = body.model, mode = "chat" },
    prompt_messages = { { role = "user", content = body.text or "hello big world" } },
    stream = stream,
  }
end]],
  ["plugins/relay/stream.lua"] = [[
local moonhook = require "moonhook"
local ask = require "ask"
return function(self, request)
  return moonhook.Response.sse(function()
    coroutine.yield { event = "begun", data = "" }
    for chunk in ask(self, request, true) do
      if chunk.delta.message.content ~= "" then
        coroutine.yield { data = { chunk.delta.message.content } }
      end
    end
    coroutine.yield { event = "done", data = "" }
  end)
end]],
  ["plugins/relay/once.lua"] = [[
local ask = require "ask"
return function(self, request)
  return ask(self, request, false).message.content
end]],
  ["plugins/relay/failure.lua"] = [[
local moonhook = require "moonhook"
local ask = require "ask"
return function(self, request)
  local ok, failure = pcall(ask, self, request, false)
  if ok then return moonhook.Response.json { ok = true } end
  return moonhook.Response.json {
    code = failure.code, message = failure.message, detail = failure.detail,
    upstream_status = failure.upstream_status,
  }
end]],
  ["plugins/relay/probe.lua"] = "return function() return 'alive' end",
}

local relay = {}

---@class Relay
---@field host Host
local Relay = {}
Relay.__index = Relay

--- options: backends, client, limits (their sections of the configuration), files, env.
function relay.start(options)
  local files = {}
  for path, text in pairs(FILES) do files[path] = text end
  for path, text in pairs(options.files or {}) do files[path] = text end
  local config = {
    plugins = { "plugins" },
    backends = options.backends,
    client = options.client,
    limits = options.limits,
    endpoints = { { plugin = "relay", hook_id = "relay" } },
  }
  local started = host.start { config = config, files = files, env = options.env,
    workers = options.workers }
  return setmetatable({ host = started }, Relay)
end

local function request(target, provider, model, seconds)
  return {
    target = "/e/relay" .. target, seconds = seconds or 10,
    json = cjson.encode { provider = provider, model = model },
  }
end

--- An open reply: reply:next_piece() and reply:pieces() give the bytes as they come.
function Relay:stream(provider, model, seconds)
  return self.host:open(request("/stream", provider, model, seconds))
end

--- The events of an SSE text: { event =, data = } each.
function relay.events(text)
  local events = {}
  for block in text:gmatch "(.-)\n\n" do
    local name, data = block:match "event: (%S+)", block:match "data: ([^\n]*)"
    events[#events + 1] = { event = name, data = data }
  end
  return events
end

--- Reads a stream to its end. Returns the model's text; how it ended: "done", or the code of its
--- error event; and whether the reply was complete as HTTP goes.
function relay.read(reply)
  local pieces, texts, ending = {}, {}, nil
  local is_complete, problem = pcall(function()
    for piece in reply:pieces() do pieces[#pieces + 1] = piece end
  end)
  assert(is_complete or tostring(problem):find "closed", problem)
  reply:close()
  for _, item in ipairs(relay.events(table.concat(pieces))) do
    if item.event == "error" then
      ending = cjson.decode(item.data).error.code
    elseif item.event == "done" then
      ending = "done"
    elseif not item.event then
      texts[#texts + 1] = cjson.decode(item.data)[1]
    end
  end
  return table.concat(texts), ending, is_complete
end

--- Asks for a stream and reads it to its end, as relay.read.
function Relay:text(provider, model)
  return relay.read(self:stream(provider, model))
end

function Relay:once(provider, model, seconds)
  return self.host:request(request("/once", provider, model, seconds))
end

function Relay:failure(provider, model)
  return cjson.decode(self.host:request(request("/failure", provider, model)).body)
end

--- Is the host answering others?
function Relay:probe()
  return self.host:request { target = "/e/relay/probe", seconds = 1 }.body
end

function Relay:stop()
  self.host:stop()
end

return relay
