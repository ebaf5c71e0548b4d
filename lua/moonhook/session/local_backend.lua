-- Calls to the built-in backend `local`, which runs in another state of the same worker
-- (backend/local.lua). It is asked, and answers, in Dify's shapes.
local Error = require "moonhook.error"
local app_events = require "moonhook.session.app_events"
local exchange = require "moonhook.session.exchange"
local llm_chunks = require "moonhook.session.llm_chunks"
local result = require "moonhook.session.result"
local transport = require "moonhook.session.transport"
local json = require "host.json"

local calls = {}

--- How deep in calls of workflow apps a coroutine is; filled in by backend/local_workflow.lua.
calls.depths = setmetatable({}, { __mode = "k" })

local function open(backend, kind, request, title, is_streaming)
  local body = transport.encode(title, request)
  return exchange.open(backend, kind, body, { stream = is_streaming })
end

local function ask(backend, kind, request, title)
  return json.decode_plain(exchange.whole(open(backend, kind, request, title)))
end

-- ---- apps ---------------------------------------------------------------------------------------

local function app_call(app_type)
  return function(backend, call, title)
    local request = app_events.request(call, app_type)
    request.app_type = app_type
    local co = coroutine.running()
    request.depth = co and calls.depths[co]
    local exchanged = open(backend, "app", request, title, app_events.is_streaming(call, app_type))
    local answer = app_events.result(call, exchanged, app_type)
    return answer
  end
end

calls.app_chat = app_call "chat"
calls.app_completion = app_call "completion"
calls.app_workflow = app_call "workflow"

function calls.fetch_app(backend, call, title)
  return ask(backend, "fetch_app", { app_id = call.app_id }, title)
end

-- ---- models -------------------------------------------------------------------------------------

function calls.llm(backend, call, title)
  local exchanged = open(backend, "llm", llm_chunks.request(call), title, call.stream ~= false)
  local answer = llm_chunks.result(call, llm_chunks.source(exchanged))
  return answer
end

function calls.llm_structured_output(backend, call, title)
  local structured = require "moonhook.session.structured"
  call = structured.as_llm_call(call)
  local exchanged = open(backend, "llm", llm_chunks.request(call), title, call.stream ~= false)
  local source = structured.source(llm_chunks.source(exchanged), backend)
  local answer = llm_chunks.result(call, source)
  return answer
end

-- The built-in models know texts only.
local function texts_of(documents)
  local texts = {}
  for i, document in ipairs(documents) do
    if document.content_type ~= "text" then
      error(Error.new("unsupported", "the built-in models know texts, but no images",
        { param = "content_type" }), 0)
    end
    texts[i] = document.content
  end
  return texts
end

local function embed(backend, call, texts, title)
  local config = call.model_config
  if (config.completion_params or {}).dimensions then
    error(Error.new("unsupported", "the vectors of this model have a fixed number of dimensions",
      { param = "dimensions" }), 0)
  end
  local answer = ask(backend, "text_embedding", {
    provider = config.provider,
    model = config.model,
    texts = texts,
    input_type = call.input_type or "query",
  }, title)
  answer = result.embeddings(answer, #texts, backend)
  exchange.used(backend, answer.usage)
  return answer
end

function calls.text_embedding(backend, call, title)
  return embed(backend, call, call.texts, title)
end

function calls.multimodal_embedding(backend, call, title)
  return embed(backend, call, texts_of(call.documents), title)
end

local function rerank(backend, call, query, docs, title)
  local config = call.model_config
  local answer = ask(backend, "rerank", {
    model = config.model,
    query = query,
    docs = docs,
    score_threshold = config.score_threshold,
    top_n = config.top_n,
  }, title)
  return result.reranked(answer, backend)
end

function calls.rerank(backend, call, title)
  return rerank(backend, call, call.query, call.docs, title)
end

function calls.multimodal_rerank(backend, call, title)
  return rerank(backend, call, texts_of({ call.query })[1], texts_of(call.docs), title)
end

function calls.moderation(backend, call, title)
  return ask(backend, "moderation", { text = call.text }, title).result
end

function calls.summary(backend, call, title)
  local request = { text = call.text, instruction = call.instruction }
  return ask(backend, "summary", request, title).summary
end

return calls
