-- Calls to apps in Dify's shapes: the request, the events of a stream, the answer of a blocking
-- call, and the joining of events into that answer. Pure but for the exchange that it reads.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local exchange = require "moonhook.session.exchange"
local json = require "host.json"

local app_events = {}

---@alias AppType "chat"|"completion"|"workflow"

--- Whether a call wants events: chat apps stream unless told otherwise, the others do not.
---@param app_type AppType
function app_events.is_streaming(call, app_type)
  return (call.response_mode or (app_type == "chat" and "streaming")) == "streaming"
end

--- Dify's request for a call, without what the transport adds.
---@param app_type AppType
function app_events.request(call, app_type)
  return {
    app_id = call.app_id,
    query = call.query or "",
    inputs = call.inputs or {},
    response_mode = app_events.is_streaming(call, app_type) and "streaming" or "blocking",
    conversation_id = call.conversation_id or "",
    user = call.user or "",
    files = call.files and #call.files > 0 and call.files or nil,
  }
end

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

--- The functions for pieces that are events, and for frames whose data are.
app_events.PLAIN = { decode = json.decode_event, alike = json.event_alike }
app_events.FRAMED = { decode = json.decode_framed_event, alike = json.framed_event_alike }

--- An event, unread where it can be, its name and its task's id; as json.decode_event. One that is
--- like the last but for its answer is known to be good: nobody looks at it before somebody asks.
---@param is_like boolean?  as exchange.read said
function app_events.event_of(call, piece, is_like, functions)
  if is_like then return functions.alike(piece, call.members), call.name, call.task_id end
  local event, name, task_id, members, first, last = functions.decode(piece)
  if first and last >= first then
    call.name, call.task_id, call.members = name, task_id, members
    exchange.expect(call, piece, first, last, true)
  end
  return event, name, task_id
end

local event_of, PLAIN = app_events.event_of, app_events.PLAIN

-- What the next piece says: a value, nothing, and its event's name; false when it is not JSON;
-- nil at the end; nil and an Error.
local function next_value(call)
  local piece, is_like = exchange.read(call)
  if not piece then return nil, is_like end
  local event, name = event_of(call, piece, is_like, PLAIN)
  return event or false, nil, name
end

-- The failure that an event is, or nil.
local function problem_of(event, name, backend, position)
  if name == nil then
    return Stream.malformed(backend, position, "not a JSON object with an event's name")
  end
  if name == "error" then return error_of(event, backend) end
end

-- ---- what the blocking call gives --------------------------------------------------------------

local MODES = { -- events that tell what kind of chat app answers
  agent_message = "agent-chat", agent_thought = "agent-chat", workflow_started = "advanced-chat",
}

local function collect_answer(events, app_type)
  local texts, last = {}, { event = "message", mode = app_type, metadata = {} }
  for event in events do
    local name = event.event
    if app_type == "chat" and MODES[name] then last.mode = MODES[name] end
    if name == "message" or name == "agent_message" then
      texts[#texts + 1] = type(event.answer) == "string" and event.answer or ""
      last.id = event.id or last.id
    elseif name == "message_replace" then
      texts = { type(event.answer) == "string" and event.answer or "" }
    elseif name == "message_end" then
      last.metadata, last.id = event.metadata or last.metadata, event.id or last.id
      last.files = event.files
    end
    for _, field in ipairs { "task_id", "message_id", "conversation_id", "created_at" } do
      last[field] = event[field] or last[field]
    end
  end
  last.answer = table.concat(texts)
  return last
end

local function collect_run(events)
  local run = {}
  for event in events do
    run.task_id = event.task_id or run.task_id
    run.workflow_run_id = event.workflow_run_id or run.workflow_run_id
    if event.event == "workflow_finished" or event.event == "workflow_paused" then
      run.data = event.data
    end
  end
  return run
end

-- The event after which a stream may end.
local LAST_EVENTS = {
  chat = { message_end = true, workflow_paused = true },
  completion = { message_end = true },
  workflow = { workflow_finished = true, workflow_paused = true },
}

--- A Stream of the app's events.
---@param call table  of exchange.open
---@param app_type AppType
---@param next_event? fun(call): table?, table?, string?  where a piece is not simply an event in
---  JSON: the event, or a failure, and the event's name
---@return Stream
function app_events.stream(call, app_type, next_event)
  local position, has_ended = 0, false
  local is_last = LAST_EVENTS[app_type]
  next_event = next_event or next_value
  local function read()
    local event, failure, name = next_event(call)
    if event == nil then
      if failure or has_ended then return nil, failure end
      return nil, Stream.truncated(call.backend, position)
    end
    position = position + 1
    failure = problem_of(event, name, call.backend, position)
    if failure then return nil, failure end
    has_ended = has_ended or is_last[name]
    return event
  end
  local function collect(events)
    if app_type == "workflow" then return collect_run(events) end
    return collect_answer(events, app_type)
  end
  local events = Stream.new {
    read = read, close = function() exchange.close(call) end, collect = collect,
  }
  return events
end

--- The answer of a blocking call, as the upstream sent it.
---@param call table  of exchange.open
---@param app_type AppType
---@param next_answer? fun(call): table?, table?, string?
function app_events.answer(call, app_type, next_answer)
  local backend = call.backend
  local answer, failure, name = (next_answer or next_value)(call)
  exchange.close(call)
  if answer == nil then error(failure or Stream.truncated(backend, 0), 0) end
  if app_type ~= "workflow" then
    failure = problem_of(answer, name, backend, 1)
  elseif type(answer) == "table" and answer.event == "error" then
    failure = error_of(answer, backend)
  elseif type(answer) ~= "table" or type(answer.data) ~= "table" then
    failure = Stream.malformed(backend, 1, "not a JSON object with a run's data")
  end
  if failure then error(failure, 0) end
  return answer
end

--- A Stream or an answer, as the call asks.
function app_events.result(call, exchanged, app_type, next_event)
  if app_events.is_streaming(call, app_type) then
    local events = app_events.stream(exchanged, app_type, next_event)
    return events
  end
  return app_events.answer(exchanged, app_type, next_event)
end

return app_events
