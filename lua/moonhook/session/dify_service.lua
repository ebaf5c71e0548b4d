-- Calls to apps by Dify's public Service API: a key per app, server-sent events. A stream that is
-- left before its end stops the run at Dify: the call for that is laid down with the host as soon
-- as the run's id is known, so that it is made even when the plugin's code runs no more.
local Error = require "moonhook.error"
local app_events = require "moonhook.session.app_events"
local exchange = require "moonhook.session.exchange"
local reverse = require "host.reverse"
local transport = require "moonhook.session.transport"
local json = require "host.json"

local event_of, PLAIN = app_events.event_of, app_events.PLAIN

local calls = {}

-- The API wants a name for whoever asks; this is what Dify calls one without.
local NOBODY = "DEFAULT-USER"

local function text_or_nil(value)
  return type(value) == "string" and value or nil
end

-- Dify refused: its words stay in the fields.
local function refusal(call, status)
  local said = json.decode_plain((exchange.read(call)) or "")
  said = type(said) == "table" and said or {}
  local fields = {
    backend = call.backend,
    upstream_status = status,
    upstream_code = text_or_nil(said.code),
    upstream_message = text_or_nil(said.message),
    retry_after = exchange.header(call, "retry-after"),
  }
  if status == 404 then
    return Error.new("not_found", "the app or the conversation does not exist", fields)
  end
  return Error.new("upstream_error", "Dify answered with status " .. status, fields)
end

local function open(backend, kind, body, options)
  local call = exchange.open(backend, kind, body, options)
  local status, failure = exchange.head(call)
  if status and (status < 200 or status > 299) then failure = refusal(call, status) end
  if failure then
    exchange.close(call)
    error(failure, 0)
  end
  return call
end

-- ---- apps -------------------------------------------------------------------------------------

local KINDS = {
  chat = { stop = "stop_chat", last = { message_end = true, error = true } },
  completion = { stop = "stop_completion", last = { message_end = true, error = true } },
  workflow = {
    stop = "stop_workflow",
    last = { workflow_finished = true, workflow_paused = true, error = true },
  },
}

-- The next event that is no ping, as Dify sent it; keeps the host told how to stop the run.
local function event_reader(app_type, app_id, user)
  local kind, task_id = KINDS[app_type], nil
  local stop_body = json.encode { user = user }

  local function note(call, name, id)
    if kind.last[name] then
      reverse.farewell(call.handle)
    elseif id and id ~= task_id then
      task_id = id
      reverse.farewell(call.handle, kind.stop, stop_body, { app_id = app_id, path_arg = task_id })
    end
  end

  return function(call)
    while true do
      local piece, is_like = exchange.read(call)
      if not piece then return nil, is_like end
      local event, name, id = event_of(call, piece, is_like, PLAIN)
      if type(event) ~= "table" then return false end
      if name ~= "ping" then
        note(call, name, id)
        return event, nil, name
      end
    end
  end
end

local function request_of(call, app_type)
  local request = app_events.request(call, app_type)
  request.app_id = nil -- the key says which app it is
  request.user = request.user ~= "" and request.user or NOBODY
  if app_type ~= "chat" then request.conversation_id = nil end
  if app_type == "workflow" then request.query = nil end
  return request
end

for _, app_type in ipairs { "chat", "completion", "workflow" } do
  calls["app_" .. app_type] = function(backend, call, title)
    local is_streaming = app_events.is_streaming(call, app_type)
    local request = request_of(call, app_type)
    local exchanged = open(backend, "app_" .. app_type, transport.encode(title, request),
      { app_id = call.app_id, stream = is_streaming })
    local next_event = is_streaming and event_reader(app_type, call.app_id, request.user) or nil
    local answer = app_events.result(call, exchanged, app_type, next_event)
    return answer
  end
end

--- Gives the app's parameters.
function calls.fetch_app(backend, call)
  local exchanged = open(backend, "fetch_app", "", { app_id = call.app_id })
  local parameters = json.decode_plain(exchange.whole(exchanged))
  if type(parameters) ~= "table" then
    error(require("moonhook.session.stream").malformed(backend, 1, "not a JSON object"), 0)
  end
  return parameters
end

-- ---- files ------------------------------------------------------------------------------------

--- Gives the file's entity, and how apps are told of it.
function calls.upload_file(backend, call)
  local user = (call.user or "") ~= "" and call.user or NOBODY
  local body, content_type = require("moonhook.backend.multipart").encode({ { "user", user } }, {
    name = "file", filename = call.filename, mime_type = call.mimetype, content = call.content,
  }, "moonhook-" .. require("host.bytes").uuid())
  local exchanged = open(backend, "upload_file", body,
    { app_id = call.app_id, content_type = content_type })
  local entity = json.decode_plain(exchange.whole(exchanged))
  if type(entity) ~= "table" or type(entity.id) ~= "string" then
    error(require("moonhook.session.stream").malformed(backend, 1, "no id of a file"), 0)
  end
  return entity, "local_file"
end

return calls
