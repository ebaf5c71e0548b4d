-- Calls to Dify's inner API, which speaks the session's own shapes.
local app_events = require "moonhook.session.app_events"
local exchange = require "moonhook.session.exchange"
local llm_chunks = require "moonhook.session.llm_chunks"
local result = require "moonhook.session.result"
local transport = require "moonhook.session.transport"
local json = require "host.json"

local calls = {}

local function open(backend, kind, request, title, is_streaming)
  local body = transport.encode(title, request)
  return exchange.open(backend, kind, body, { stream = is_streaming })
end

for _, app_type in ipairs { "chat", "completion", "workflow" } do
  calls["app_" .. app_type] = function(backend, call, title)
    local is_streaming = app_events.is_streaming(call, app_type)
    local request = app_events.request(call, app_type)
    local exchanged = open(backend, "app", request, title, is_streaming)
    local answer = app_events.result(call, exchanged, app_type)
    return answer
  end
end

function calls.llm(backend, call, title)
  local exchanged = open(backend, "llm", llm_chunks.request(call), title, call.stream ~= false)
  local answer = llm_chunks.result(call, llm_chunks.source(exchanged))
  return answer
end

function calls.text_embedding(backend, call, title)
  local config = call.model_config
  local exchanged = open(backend, "text_embedding", {
    provider = config.provider,
    model = config.model,
    texts = call.texts,
    input_type = call.input_type or "query",
  }, title)
  local answer = json.decode_plain(exchange.whole(exchanged))
  return result.embeddings(answer, #call.texts, backend)
end

return calls
