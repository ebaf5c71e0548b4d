-- The backend `local`: chat apps declared in the configuration, their conversations kept in the
-- store, and the demo models. Runs in a state of its own, one task per call; what it yields are the
-- pieces of the call's stream, JSON texts in Dify's shapes. Failures are raised as Errors.
local Error = require "moonhook.error"
local bytes = require "host.bytes"
local clock = require "host.clock"
local coroutines = require "moonhook.coroutines"
local json = require "host.json"
local log = require "host.log"
local result = require "moonhook.session.result"
local reverse = require "host.reverse"
local store = require "host.store"
local WAIT = require("host.task").WAIT

local DEFAULT_MEMORY = 20

local yield = coroutines.public.yield

local function fail(code, message)
  error(Error.new(code, message), 0)
end

-- ---- conversations ------------------------------------------------------------------------------

local function waited(value, ...)
  if value == WAIT then return coroutines.wait() end
  return value, ...
end

-- The remembered messages of a conversation, the oldest first, beginning with the user's.
local function remembered(app_id, conversation_id, memory)
  if #conversation_id > 64 then fail("not_found", "Conversation Not Exists.") end
  local limit = math.max(memory, 1) -- reading tells whether it exists, too
  local flat, code, message = waited(store.conversation_read(app_id, conversation_id, limit))
  if not flat and code == "not_found" then fail("not_found", "Conversation Not Exists.") end
  if not flat then fail(code, message) end
  local messages = {}
  for i = math.max(1, #flat - 2 * memory + 1), #flat, 2 do
    if #messages > 0 or flat[i] == "user" then
      messages[#messages + 1] = { role = flat[i], content = flat[i + 1] }
    end
  end
  return messages
end

local function keep(app_id, conversation_id, request, answer)
  local user = request.user or ""
  local ok, code, message =
    waited(store.conversation_append(app_id, conversation_id, user, request.query, answer))
  if not ok then fail(code, message) end
end

-- ---- apps ---------------------------------------------------------------------------------------

local apps, apps_version

local function app_of(app_id)
  local text, version = reverse.apps()
  if not apps or version ~= apps_version then
    apps, apps_version = json.decode_plain(text), version
  end
  local app = apps[app_id]
  if not app then fail("not_found", "app not found") end
  if (app.mode or "chat") ~= "chat" then fail("unsupported", "the app is not a chat app") end
  return app
end

-- {{name}} in a prompt stands for the input of that name, as in Dify.
local function system_prompt(app, inputs)
  if (app.prompt or "") == "" then return nil end
  return (app.prompt:gsub("{{%s*([%w_]+)%s*}}", function(name)
    local value = inputs[name]
    return (type(value) == "string" or type(value) == "number") and tostring(value) or nil
  end))
end

local function messages_for(app, request, conversation_id)
  local messages, prompt = {}, system_prompt(app, request.inputs or {})
  if prompt then messages[1] = { role = "system", content = prompt } end
  if conversation_id then
    local memory = app.memory or DEFAULT_MEMORY
    for _, message in ipairs(remembered(request.app_id, conversation_id, memory)) do
      messages[#messages + 1] = message
    end
  end
  messages[#messages + 1] = { role = "user", content = request.query }
  return messages
end

-- Calls a function and logs the details of an Error on its way: the caller's state gets only its
-- code and message.
local function logged(body)
  local ok, value = pcall(body)
  if ok then return value end
  if Error.is(value) and value.code ~= "cancelled" then
    log.write("warn", "the model of an app failed", {
      code = value.code,
      error = value.message,
      backend = value.backend,
      detail = value.detail,
      upstream_status = value.upstream_status,
      upstream_code = value.upstream_code,
      upstream_message = value.upstream_message,
    })
  end
  error(value, 0)
end

-- An iterator of chunks: from the demo model here, from any other backend through the session.
local function ask_model(app, messages, is_streaming)
  local config = app.model or {}
  if (config.provider or "local") == "local" then
    if (config.model or "demo") ~= "demo" then
      fail("not_found", "the backend 'local' has only the model 'demo'")
    end
    return require("moonhook.backend.demo").chat {
      prompt_messages = messages,
      completion_params = config.completion_params,
      stream = is_streaming,
    }
  end
  local chunks = logged(function()
    return require("moonhook.session.llm"):invoke {
      model_config = config,
      prompt_messages = messages,
    }
  end)
  return function() return logged(chunks) end
end

local function text_of(content)
  if type(content) ~= "table" then return content or "" end
  local texts = {}
  for _, part in ipairs(content) do texts[#texts + 1] = part.type == "text" and part.data or "" end
  return table.concat(texts)
end

local function check_request(request)
  if (request.query or "") == "" then fail("invalid_param", "missing query") end
  if request.files and #request.files > 0 then
    fail("unsupported", "apps of the built-in backend take no files")
  end
end

local function serve_app(request)
  local app = app_of(request.app_id)
  check_request(request)
  local is_streaming = request.response_mode ~= "blocking"
  local known_id = (request.conversation_id or "") ~= "" and request.conversation_id or nil
  local chunks = ask_model(app, messages_for(app, request, known_id), is_streaming)
  local conversation_id, message_id = known_id or bytes.uuid(), bytes.uuid()
  local common = {
    task_id = bytes.uuid(),
    id = message_id,
    message_id = message_id,
    conversation_id = conversation_id,
    created_at = math.floor(clock.now()),
  }

  local function send(event)
    for name, value in pairs(common) do event[name] = value end
    yield(json.must_encode(event))
  end

  local texts, usage = {}, nil
  for chunk in chunks do
    local text = text_of(chunk.delta.message.content)
    usage = chunk.delta.usage or usage
    texts[#texts + 1] = text
    if is_streaming and text ~= "" then send { event = "message", answer = text } end
  end

  -- Only whole answers are kept, and before the end is announced: who saw it can go on from it.
  local answer = table.concat(texts)
  keep(request.app_id, conversation_id, request, answer)
  local metadata = { usage = usage or result.usage(0, 0, 0), retriever_resources = json.array {} }
  if is_streaming then
    send { event = "message_end", metadata = metadata }
  else
    send { event = "message", mode = "chat", answer = answer, metadata = metadata }
  end
end

-- ---- models -------------------------------------------------------------------------------------

local function serve_llm(request)
  for chunk in require("moonhook.backend.demo").chat(request) do
    chunk.system_fingerprint = json.null
    chunk.delta.usage = chunk.delta.usage or json.null
    chunk.delta.finish_reason = chunk.delta.finish_reason or json.null
    yield(json.must_encode(chunk))
  end
end

local function serve_text_embedding(request)
  yield(json.must_encode(require("moonhook.backend.demo").embed(request.texts)))
end

local KINDS = { app = serve_app, llm = serve_llm, text_embedding = serve_text_embedding }

--- Serves one call: yields its pieces, returns at its end.
---@param kind "app"|"llm"|"text_embedding"
---@param body string  Dify's request as JSON
local function serve(kind, body)
  local run = KINDS[kind]
  if not run then fail("unsupported", "the backend 'local' does not carry this kind of call") end
  local request = json.decode_plain(body)
  if type(request) ~= "table" then fail("invalid_param", "the request is not a JSON object") end
  run(request)
end

return { serve = serve }
