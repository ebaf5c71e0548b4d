-- session.app: calls to chat apps. The events are Dify's, whatever backend serves the app.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local exchange = require "moonhook.session.exchange"
local json = require "host.json"

local chat = {}

local function app_id_hint(value)
  if type(value) == "table" and value.app_id then return "an app-selector holds it as app_id" end
end

local RULES = {
  { name = "app_id", kind = "string", required = true, hint = app_id_hint },
  { name = "query", kind = "string", required = true },
  { name = "inputs", kind = "table" },
  { name = "response_mode", kind = "string", test = check.one_of("streaming", "blocking") },
  { name = "conversation_id", kind = "string" },
  { name = "user", kind = "string" },
  { name = "files", kind = "list" },
}

-- An `error` event ends a stream. Its text is an upstream's, so it stays in the fields.
local function error_of(event, backend)
  local is_missing = event.status == 404 or event.code == "not_found"
  local message = is_missing and "the app or the conversation does not exist"
    or "the app ended with an error"
  return Error.new(is_missing and "not_found" or "upstream_error", message, {
    backend = backend,
    upstream_code = event.code,
    upstream_message = event.message,
    upstream_status = event.status,
  })
end

local function decode_event(piece, backend, position)
  local event = json.decode_plain(piece)
  if type(event) ~= "table" or type(event.event) ~= "string" then
    return nil, Stream.malformed(backend, position, "not a JSON object with an event's name")
  end
  if event.event == "error" then return nil, error_of(event, backend) end
  return event
end

local ANSWER_EVENTS = { message = true, agent_message = true }

-- Joins the events into the answer that the blocking call gives.
local function collect(events)
  local texts, last = {}, { event = "message", mode = "chat", metadata = {} }
  for event in events do
    if ANSWER_EVENTS[event.event] then
      texts[#texts + 1] = event.answer or ""
      last.id = event.id or last.id
    elseif event.event == "message_replace" then
      texts = { event.answer or "" }
    elseif event.event == "message_end" then
      last.metadata, last.id = event.metadata or last.metadata, event.id or last.id
    end
    for _, name in ipairs { "task_id", "message_id", "conversation_id", "created_at" } do
      last[name] = event[name] or last[name]
    end
  end
  last.answer = table.concat(texts)
  return last
end

local function event_source(call)
  local position, has_ended = 0, false
  local function read()
    local piece, failure = exchange.read(call)
    if not piece then
      if failure or has_ended then return nil, failure end
      return nil, Stream.truncated(call.backend, position)
    end
    position = position + 1
    local event
    event, failure = decode_event(piece, call.backend, position)
    has_ended = has_ended or (event and event.event == "message_end")
    return event, failure
  end
  return { read = read, close = function() exchange.close(call) end, collect = collect }
end

--- Asks a chat app; streams unless told otherwise.
---@param call ChatCall  { app_id, query, inputs?, conversation_id?, user?, files?, response_mode? }
---@return Stream<AppEvent>|AppAnswer  an iterator of events, or one answer when blocking
--- Raises Error coded "not_found" (app or conversation), "invalid_param", "unsupported",
--- "permission_denied", "upstream_error", "upstream_timeout", "upstream_truncated", "cancelled".
function chat:invoke(call)
  check.call("session.app.chat:invoke", chat, self, call, RULES)
  local is_streaming = call.response_mode ~= "blocking"
  local body, problem = json.encode {
    app_id = call.app_id,
    query = call.query,
    inputs = call.inputs or {},
    response_mode = is_streaming and "streaming" or "blocking",
    conversation_id = call.conversation_id or "",
    user = call.user or "",
    files = call.files and #call.files > 0 and call.files or nil,
  }
  if not body then Error.blame("session.app.chat:invoke: " .. problem) end

  local backend = catalogue.of_app(call.app_id)
  local exchanged = exchange.open(backend, "app", body, { stream = is_streaming })
  if is_streaming then
    local events = Stream.new(event_source(exchanged))
    return events
  end
  local answer, failure = decode_event(exchange.whole(exchanged), backend, 1)
  if failure then error(failure, 0) end
  return answer
end

return { chat = chat }
