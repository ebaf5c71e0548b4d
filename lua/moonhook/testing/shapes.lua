-- From what a spec says in short ("Hel", "lo") to what an upstream sends: the pieces of an answer
-- for each kind of call, in Dify's shapes. Pure but for the numbers that tell answers apart.
local bytes = require "host.bytes"
local json = require "host.json"
local result = require "moonhook.session.result"

local shapes = {}

local count = 0

local function new_id(prefix)
  count = count + 1
  return ("%s-%d"):format(prefix, count)
end

-- ---- apps ---------------------------------------------------------------------------------------

local function ids_of(call)
  call.ids = call.ids or {
    conversation_id = (call.conversation_id or "") ~= "" and call.conversation_id
      or new_id "conversation",
    message_id = new_id "message",
    task_id = new_id "task",
    created_at = 1735689600,
  }
  return call.ids
end

local function with_ids(call, event)
  local full = {}
  for name, value in pairs(ids_of(call)) do full[name] = value end
  if event.event ~= "message_end" then full.id = full.message_id end
  for name, value in pairs(event) do full[name] = value end
  return full
end

local LAST = { message_end = true, workflow_finished = true, workflow_paused = true, error = true }

local function run_of(outputs)
  return {
    id = new_id "run", status = "succeeded", outputs = outputs, elapsed_time = 0,
    total_tokens = 0, total_steps = 1, created_at = 1735689600, finished_at = 1735689600,
  }
end

local app = {}

function app.piece(call, value)
  local event = type(value) == "string" and { event = "message", answer = value } or value
  call.has_last = call.has_last or LAST[event.event]
  return with_ids(call, event)
end

function app.finish(call)
  if call.has_last then return {} end
  return { with_ids(call, { event = "message_end", metadata = { usage = result.usage(0, 0, 0) } }) }
end

--- A blocking call's one answer.
function app.whole(call, values)
  local texts, last = {}, { event = "message", mode = "chat", metadata = {} }
  for _, value in ipairs(values) do
    if type(value) == "string" then
      texts[#texts + 1] = value
    elseif type(value.data) == "table" and value.event == nil then
      return value -- a run, as it is
    else
      for name, field in pairs(value) do last[name] = field end
      texts[#texts + 1] = value.answer
    end
  end
  last.event = last.event == "message_end" and "message" or last.event
  last.answer = table.concat(texts)
  return with_ids(call, last)
end

--- A workflow's run, as events or as one answer.
function app.workflow(call, outputs)
  local run, ids = run_of(outputs), ids_of(call)
  if call.response_mode == "blocking" then
    return { { task_id = ids.task_id, workflow_run_id = run.id, data = run } }
  end
  local function event(name)
    return { event = name, task_id = ids.task_id, workflow_run_id = run.id, data = run }
  end
  return { event "workflow_started", event "workflow_finished" }
end

-- ---- chat models --------------------------------------------------------------------------------

local llm = {}

local function chunk_of(call, message, more)
  local delta = { index = call.index or 0, message = message }
  call.index = delta.index + 1
  for name, value in pairs(more or {}) do delta[name] = value end
  return {
    model = call.model or "test", prompt_messages = json.array {}, delta = delta,
  }
end

function llm.piece(call, value)
  if type(value) == "table" and value.delta then -- a chunk, as it is
    call.has_last = call.has_last or value.delta.finish_reason ~= nil
    value.model = value.model or call.model or "test"
    return value
  end
  local message = { role = "assistant", content = value, tool_calls = json.array {} }
  if type(value) == "table" then
    message.content = value.content or ""
    for name, field in pairs(value) do message[name] = field end
    for index, tool_call in ipairs(message.tool_calls) do
      tool_call.type = tool_call.type or "function"
      tool_call.id = tool_call.id or "call-" .. index
    end
    if value.tool_calls then call.finish_reason = "tool_calls" end
    local structured = value.structured_output
    message.structured_output = nil
    local chunk = chunk_of(call, message)
    chunk.structured_output = structured
    return chunk
  end
  return chunk_of(call, message)
end

function llm.finish(call)
  if call.has_last then return {} end
  local message = { role = "assistant", content = "", tool_calls = json.array {} }
  local tokens = call.index or 0
  return { chunk_of(call, message, {
    finish_reason = call.finish_reason or "stop", usage = result.usage(tokens, tokens, 0),
  }) }
end

function llm.whole(call, values)
  local texts = {}
  for _, value in ipairs(values) do
    if type(value) == "table" then return llm.piece(call, value) end
    texts[#texts + 1] = value
  end
  local chunk = llm.piece(call, table.concat(texts))
  chunk.delta.finish_reason = "stop"
  chunk.delta.usage = result.usage(#values, #values, 0)
  return chunk
end

-- ---- other streams ------------------------------------------------------------------------------

local tts = {
  piece = function(_, value) return { result = bytes.hex(value) } end,
  finish = function() return {} end,
}

local tool = { finish = function() return {} end }

function tool.piece(_, value)
  if type(value) == "string" then return { type = "text", message = { text = value } } end
  if type(value.type) == "string" then return value end
  return { type = "json", message = { json_object = value } }
end

shapes.streams = {
  app = app, llm = llm, llm_structured_output = llm, tts = tts, tool = tool,
}

-- ---- answers in one JSON text -------------------------------------------------------------------

local whole = {}

function whole.text_embedding(call, value)
  if value.embeddings then return value end
  local tokens = #(call.texts or call.documents or {})
  return {
    model = call.model, embeddings = value, usage = result.embedding_usage(tokens, tokens, 0),
  }
end

function whole.rerank(call, value)
  if value.docs then return value end
  local docs = {}
  for i, doc in ipairs(value) do
    if type(doc) == "number" then doc = { index = i - 1, score = doc } end
    doc.text = doc.text or (call.docs or {})[doc.index + 1]
    docs[i] = doc
  end
  return { model = call.model, docs = json.array(docs) }
end

function whole.speech2text(_, value) return { result = value } end
function whole.moderation(_, value) return { result = value } end
function whole.summary(_, value) return { summary = value } end
function whole.fetch_app(_, value) return { data = value } end

local function outputs_of(_, value)
  if value.outputs then return value end
  return { process_data = {}, inputs = {}, outputs = value }
end
whole.parameter_extractor, whole.question_classifier = outputs_of, outputs_of

shapes.whole = whole

return shapes
