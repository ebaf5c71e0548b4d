-- Calls to Dify's inner API: frames or one JSON text, each an envelope. The payloads are made by
-- backend/dify.lua. An Error's `detail` has Dify's own words as its plugins know them, the
-- `upstream_message` what the server said.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local app_events = require "moonhook.session.app_events"
local dify = require "moonhook.backend.dify"
local exchange = require "moonhook.session.exchange"
local llm_chunks = require "moonhook.session.llm_chunks"
local transport = require "moonhook.session.transport"
local json = require "host.json"

local calls = {}

local MAX_DETAIL_BYTES = 2000

-- How Dify's plugins know a call that failed, and an answer that says so.
local INVOKE = {
  llm = "invoke llm model failed",
  llm_structured_output = "invoke llm model failed",
  text_embedding = "invoke text-embedding model failed",
  multimodal_embedding = "invoke text-embedding model failed",
  rerank = "invoke rerank model failed",
  multimodal_rerank = "invoke rerank model failed",
  tts = "invoke tts model failed",
  speech2text = "invoke speech2text model failed",
  moderation = "invoke moderation model failed",
  summary = "invoke summary failed",
  tool = "invoke tool failed",
  parameter_extractor = "invoke parameter extractor failed",
  question_classifier = "invoke question classifier failed",
  app = "invoke app failed",
  fetch_app = "fetch app failed",
  upload_file = "upload file failed",
  upload_signed = "upload file failed",
}
local READ = {
  llm = "read llm model failed",
  llm_structured_output = "read llm model failed",
  tts = "read tts model failed",
  tool = "read tool response failed",
  app = "read app failed",
}

-- ---- failures ---------------------------------------------------------------------------------

local MISSING = { ["app not found"] = true, ["Conversation Not Exists."] = true }

-- `fields` gets what every failure has.
local function failure_of(call, message, detail, fields)
  fields = fields or {}
  fields.backend = call.backend
  fields.detail = detail:sub(1, MAX_DETAIL_BYTES)
  if MISSING[fields.upstream_message or false] then
    return Error.new("not_found", "the app or the conversation does not exist", fields)
  end
  return Error.new("upstream_error", message, fields)
end

local function text_or_nil(value)
  return type(value) == "string" and value or nil
end

-- The reply is not 200 where frames were to come.
local function refusal(call, status)
  local body = exchange.read(call) or ""
  local said = json.decode_plain(body)
  said = type(said) == "table" and said or {}
  local detail = ("%s: request failed with status code: %d and respond with: %s")
    :format(INVOKE[call.kind], status, body)
  return failure_of(call, "Dify answered with status " .. status, detail, {
    upstream_status = status,
    upstream_code = text_or_nil(said.code),
    upstream_message = text_or_nil(said.message) or body:sub(1, MAX_DETAIL_BYTES),
    retry_after = exchange.header(call, "retry-after"),
  })
end

-- The data of an envelope; nil and an Error when there is none.
local function data_of(call, text, verb, position, status)
  local envelope, problem, upstream_message = dify.envelope(text)
  if not envelope then
    local failure = Stream.malformed(call.backend, position, "not a JSON envelope")
    failure.upstream_status = status
    return nil, failure
  elseif problem then
    return nil, failure_of(call, "Dify answered with an error", verb .. ": " .. problem,
      { upstream_message = upstream_message, upstream_status = status })
  end
  return envelope.data
end

-- ---- frames -----------------------------------------------------------------------------------

-- Opens a call that is answered with frames; raises unless they begin to come.
local function open(backend, kind, request, title)
  local call = exchange.open(backend, kind, transport.encode(title, request), { stream = true })
  call.kind, call.position = kind, 0
  local status, failure = exchange.head(call)
  if status and status ~= 200 then failure = refusal(call, status) end
  if failure then
    exchange.close(call)
    error(failure, 0)
  end
  -- Where the connection's end is the only end, a cut looks like it.
  call.is_open_ended = not exchange.header(call, "content-length")
    and not exchange.header(call, "transfer-encoding")
  return call
end

-- Waits for the next frame that says something. nil at the end; an answer without any frame is a
-- failure, but of a tool that has nothing to say.
local function next_frame(call)
  while true do
    local frame, is_like = exchange.read(call)
    if not frame and is_like then
      local failure = is_like
      if (failure.detail or ""):find "^frame_truncated" then failure.code = "upstream_truncated" end
      return nil, failure
    elseif not frame then
      if call.position > 0 or call.kind == "tool" and not call.is_open_ended then return nil end
      local name = call.answers_for or call.kind:gsub("_", " ")
      return nil, failure_of(call, "Dify gave no answer", "No response from " .. name)
    end
    call.position = call.position + 1
    if frame ~= "" then return frame, is_like end -- an empty frame says nothing
  end
end

-- Waits for the next frame's data.
local function next_data(call)
  local frame, failure = next_frame(call)
  if not frame then return nil, failure end
  return data_of(call, frame, READ[call.kind], call.position, nil)
end

-- Frames of one field each, as a Stream of what `take` makes of them.
local function stream_of(call, take, collect)
  local function read()
    local data, failure = next_data(call)
    if data == nil then return nil, failure end
    local value, problem = take(data)
    if problem then return nil, Stream.malformed(call.backend, call.position, problem) end
    return value
  end
  local values = Stream.new {
    read = read, close = function() exchange.close(call) end, collect = collect,
  }
  return values
end

-- ---- apps -------------------------------------------------------------------------------------

local function name_of(event)
  local name = type(event) == "table" and event.event
  return type(name) == "string" and name or nil
end

-- An event, passed on unread where it can be, and its name.
local function next_event(call)
  local frame, is_like = next_frame(call)
  if not frame then return nil, is_like end
  local event, name = app_events.event_of(call, frame, is_like, app_events.FRAMED)
  if event then return event, nil, name end
  local failure
  event, failure = data_of(call, frame, READ[call.kind], call.position, nil)
  return event, failure, name_of(event)
end

-- A blocking call is answered with one frame.
local function next_answer(call)
  local answer, failure = next_data(call)
  if answer == nil then return nil, failure end
  local more
  more, failure = next_data(call)
  if failure then return nil, failure end
  if more ~= nil then
    return nil, Stream.malformed(call.backend, call.position, "a second answer")
  end
  return answer, nil, name_of(answer)
end

for _, app_type in ipairs { "chat", "completion", "workflow" } do
  calls["app_" .. app_type] = function(backend, call, title)
    local request = app_events.request(call, app_type)
    request.type = "app"
    local exchanged = open(backend, "app", request, title)
    exchanged.answers_for = app_type
    local next_one = app_events.is_streaming(call, app_type) and next_event or next_answer
    local answer = app_events.result(call, exchanged, app_type, next_one)
    return answer
  end
end

-- ---- models, by frames ------------------------------------------------------------------------

local function next_chunk(call)
  local chunk, failure = next_data(call)
  if chunk == nil then
    if not failure and call.is_open_ended and not call.has_last then
      failure = Stream.truncated(call.backend, call.position)
    end
    return nil, failure
  end
  local problem = dify.fix_chunk(chunk)
  if problem then return nil, Stream.malformed(call.backend, call.position, problem) end
  local delta = chunk.delta
  call.has_last = call.has_last or delta.finish_reason ~= nil or delta.usage ~= nil
  return chunk
end

local function ask_llm(backend, kind, call, title)
  local exchanged = open(backend, kind, dify.llm_request(call), title)
  local answer = llm_chunks.result(call, llm_chunks.source(exchanged, next_chunk))
  return answer
end

function calls.llm(backend, call, title)
  local answer = ask_llm(backend, "llm", call, title)
  return answer
end

function calls.llm_structured_output(backend, call, title)
  local answer = ask_llm(backend, "llm_structured_output", call, title)
  return answer
end

local function joined(values)
  local pieces = {}
  for piece in values do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

--- Gives a Stream of byte strings.
function calls.tts(backend, call, title)
  local hex_decode = require("host.bytes").hex_decode
  local function take(data)
    local bytes = type(data) == "table" and type(data.result) == "string"
      and hex_decode(data.result)
    return bytes or nil, not bytes and "not bytes in hexadecimal digits" or nil
  end
  local sound = stream_of(open(backend, "tts", dify.tts_request(call), title), take, joined)
  return sound
end

local function listed(messages)
  local list = {}
  for message in messages do list[#list + 1] = message end
  return json.array(list)
end

--- Gives a Stream of tool messages.
function calls.tool(backend, call, title)
  local function take(data)
    if type(data) == "table" and type(data.type) == "string" then return data end
    return nil, "not a tool's message"
  end
  local exchanged = open(backend, "tool", dify.tool_request(call), title)
  local messages = stream_of(exchanged, take, listed)
  return messages
end

-- ---- answers in one JSON text -----------------------------------------------------------------

-- Dify's own client looks at the envelope only, whatever the status.
local function ask(backend, kind, request, title)
  local call = exchange.open(backend, kind, transport.encode(title, request))
  call.kind = kind
  local status, failure = exchange.head(call)
  local text
  if status then
    text, failure = exchange.read(call)
    local retry_after = exchange.header(call, "retry-after")
    if text then
      local data
      data, failure = data_of(call, text, INVOKE[kind], 1, status)
      if failure then failure.retry_after = retry_after end
      text = data
    end
  end
  exchange.close(call)
  if text == nil then error(failure or Stream.truncated(backend, 0), 0) end
  return text
end

-- The member of an answer that has to be of that type.
local function member(backend, data, name, kind)
  local value = type(data) == "table" and data[name]
  if type(value) ~= kind then
    error(Stream.malformed(backend, 1, ("no %s as its %s"):format(kind, name)), 0)
  end
  return value
end

function calls.text_embedding(backend, call, title)
  if (call.model_config.completion_params or {}).dimensions then
    error(Error.new("unsupported", "Dify takes no number of dimensions", { param = "dimensions" }),
      0)
  end
  local kind = call.documents and "multimodal_embedding" or "text_embedding"
  local answer = ask(backend, kind, dify.embedding_request(call), title)
  answer = require("moonhook.session.result").embeddings(dify.fix_embeddings(answer),
    #(call.documents or call.texts), backend)
  if type(answer.usage) == "table" then exchange.used(backend, answer.usage) end
  return answer
end

calls.multimodal_embedding = calls.text_embedding

function calls.rerank(backend, call, title)
  local request = dify.rerank_request(call)
  local answer = ask(backend, request.type, request, title)
  return require("moonhook.session.result").reranked(answer, backend)
end

calls.multimodal_rerank = calls.rerank

function calls.speech2text(backend, call, title)
  local hex = require("host.bytes").hex(call.file)
  local answer = ask(backend, "speech2text", dify.speech_request(call, hex), title)
  return member(backend, answer, "result", "string")
end

function calls.moderation(backend, call, title)
  local answer = ask(backend, "moderation", dify.moderation_request(call), title)
  return member(backend, answer, "result", "boolean")
end

function calls.summary(backend, call, title)
  local answer = ask(backend, "summary", dify.summary_request(call), title)
  return member(backend, answer, "summary", "string")
end

local function node_answer(backend, kind, request, title)
  local answer = ask(backend, kind, request, title)
  member(backend, answer, "outputs", "table")
  return answer
end

function calls.parameter_extractor(backend, call, title)
  return node_answer(backend, "parameter_extractor", dify.extractor_request(call), title)
end

function calls.question_classifier(backend, call, title)
  return node_answer(backend, "question_classifier", dify.classifier_request(call), title)
end

function calls.fetch_app(backend, call, title)
  local answer = ask(backend, "fetch_app", { type = "fetch_app", app_id = call.app_id }, title)
  return member(backend, answer, "data", "table")
end

-- ---- files ------------------------------------------------------------------------------------

local UPLOAD_MS = 10000

--- Gives the file's entity, and how apps are told of it. Dify signs an address first, which takes
--- the file itself.
function calls.upload_file(backend, call, title)
  local permit = ask(backend, "upload_file",
    { type = "upload_file", filename = call.filename, mimetype = call.mimetype }, title)
  local body, content_type = require("moonhook.backend.multipart").encode({}, {
    name = "file", filename = call.filename, mime_type = call.mimetype, content = call.content,
  }, "moonhook-" .. require("host.bytes").uuid())
  local upload = exchange.open(backend, "upload_signed", body, {
    signed_url = member(backend, permit, "url", "string"),
    content_type = content_type,
    total_ms = UPLOAD_MS,
  })
  upload.kind = "upload_signed"
  local status, failure = exchange.head(upload)
  if status and status ~= 201 then failure = refusal(upload, status) end
  if failure then
    exchange.close(upload)
    error(failure, 0)
  end
  local entity = json.decode_plain(exchange.whole(upload))
  member(backend, entity, "id", "string")
  return entity, "tool_file"
end

return calls
