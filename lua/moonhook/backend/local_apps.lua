-- The apps of the backend `local`: chat apps with their conversations kept in the store, completion
-- apps, and the way to the workflow apps (backend/local_workflow.lua).
local Error = require "moonhook.error"
local bytes = require "host.bytes"
local clock = require "host.clock"
local coroutines = require "moonhook.coroutines"
local json = require "host.json"
local log = require "host.log"
local result = require "moonhook.session.result"
local reverse = require "host.reverse"
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

-- The remembered messages of a user's conversation, the oldest first, beginning with the user's.
local function remembered(app_id, conversation_id, user, memory)
  if #conversation_id > 64 then fail("not_found", "Conversation Not Exists.") end
  local limit = math.max(memory, 1) -- reading tells whether it exists, too
  local store = require "host.store"
  local flat, code, message = waited(store.conversation_read(app_id, conversation_id, limit, user))
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
  local user, store = request.user or "", require "host.store"
  local ok, code, message =
    waited(store.conversation_append(app_id, conversation_id, user, request.query, answer))
  if not ok then fail(code, message) end
end

-- ---- what the model is asked --------------------------------------------------------------------

-- {{name}} in a prompt stands for the input of that name, as in Dify.
local function filled(prompt, inputs)
  return (prompt:gsub("{{%s*([%w_]+)%s*}}", function(name)
    local value = inputs[name]
    return (type(value) == "string" or type(value) == "number") and tostring(value) or nil
  end))
end

local FILE_TYPES = { image = true, audio = true, video = true, document = true }

-- The question, with the files that came along as parts.
local function question(text, files)
  if not files or #files == 0 then return { role = "user", content = text } end
  local parts = { { type = "text", data = text } }
  for i, file in ipairs(files) do
    local url = type(file) == "table" and file.transfer_method == "remote_url" and file.url
    if type(url) ~= "string" or not FILE_TYPES[file.type] then
      fail("unsupported", ("files[%d]: apps of the built-in backend take images, audio, videos and "
        .. "documents by their remote_url"):format(i))
    end
    parts[i + 1] = { type = file.type, url = url }
  end
  return { role = "user", content = parts }
end

local function chat_messages(app, request, conversation_id)
  if (request.query or "") == "" then fail("invalid_param", "missing query") end
  local messages = {}
  if (app.prompt or "") ~= "" then
    messages[1] = { role = "system", content = filled(app.prompt, request.inputs or {}) }
  end
  if conversation_id then
    local memory = app.memory or DEFAULT_MEMORY
    for _, message in ipairs(remembered(request.app_id, conversation_id,
      request.user or "", memory)) do
      messages[#messages + 1] = message
    end
  end
  messages[#messages + 1] = question(request.query, request.files)
  return messages
end

-- The prompt with its inputs is what a completion app asks; an input `query` that the prompt does
-- not name comes after it.
local function completion_messages(app, request)
  local inputs, prompt = request.inputs or {}, app.prompt or ""
  local query = type(inputs.query) == "string" and inputs.query or ""
  local names_query = prompt:find "{{%s*query%s*}}" ~= nil
  local text = filled(prompt, inputs)
  if query == "" or names_query then
    if text == "" then fail("invalid_param", "missing inputs.query") end
    return { question(text, request.files) }
  end
  local messages = { question(query, request.files) }
  if text ~= "" then table.insert(messages, 1, { role = "system", content = text }) end
  return messages
end

-- ---- the model ----------------------------------------------------------------------------------

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

-- ---- answers ------------------------------------------------------------------------------------

-- Sends the model's answer as events that all carry `common`, or as one. `on_answer` is called with
-- the whole text before its end is announced.
local function answer(app, mode, common, messages, is_streaming, on_answer)
  local function send(event)
    for name, value in pairs(common) do event[name] = value end
    yield(json.must_encode(event))
  end

  local texts, usage = {}, nil
  for chunk in ask_model(app, messages, is_streaming) do
    local text = text_of(chunk.delta.message.content)
    usage = chunk.delta.usage or usage
    texts[#texts + 1] = text
    if is_streaming and text ~= "" then send { event = "message", answer = text } end
  end

  local whole = table.concat(texts)
  on_answer(whole)
  local metadata = { usage = usage or result.usage(0, 0, 0), retriever_resources = json.array {} }
  if is_streaming then
    send { event = "message_end", metadata = metadata }
  else
    send { event = "message", mode = mode, answer = whole, metadata = metadata }
  end
end

local function common_fields()
  local message_id = bytes.uuid()
  return {
    task_id = bytes.uuid(),
    id = message_id,
    message_id = message_id,
    created_at = math.floor(clock.now()),
  }
end

local function is_streaming(request)
  return request.response_mode ~= "blocking"
end

local run = {}

function run.chat(app, request)
  local known_id = (request.conversation_id or "") ~= "" and request.conversation_id or nil
  local messages, common = chat_messages(app, request, known_id), common_fields()
  common.conversation_id = known_id or bytes.uuid()
  -- Only whole answers are kept, and before the end is announced: who saw it can go on from it.
  answer(app, "chat", common, messages, is_streaming(request), function(whole)
    keep(request.app_id, common.conversation_id, request, whole)
  end)
end

function run.completion(app, request)
  local messages = completion_messages(app, request)
  answer(app, "completion", common_fields(), messages, is_streaming(request), function() end)
end

function run.workflow(app, request)
  require("moonhook.backend.local_workflow").run(app, request)
end

-- ---- the configuration --------------------------------------------------------------------------

local apps, apps_version

local function app_of(app_id)
  local text, version = reverse.apps()
  if not apps or version ~= apps_version then
    apps, apps_version = json.decode_plain(text), version
  end
  local app = apps[app_id]
  if not app then fail("not_found", "app not found") end
  return app, app.mode or "chat"
end

local calls = {}

function calls.app(request)
  local app, mode = app_of(request.app_id)
  if mode ~= (request.app_type or "chat") then
    fail("unsupported", ("the app is a %s app: call it with session.app.%s"):format(mode, mode))
  end
  run[mode](app, request)
end

-- What the prompt names is what a form would ask for.
local function form_of(prompt)
  local form, seen = json.array {}, {}
  for name in prompt:gmatch "{{%s*([%w_]+)%s*}}" do
    if not seen[name] then
      form[#form + 1] = { ["text-input"] = { label = name, variable = name, required = false } }
      seen[name] = true
    end
  end
  return form
end

--- Dify's parameters of an app; what these apps do not have is switched off.
function calls.fetch_app(request)
  local app, mode = app_of(request.app_id)
  local off = { enabled = false }
  yield(json.must_encode {
    opening_statement = "",
    suggested_questions = json.array {},
    suggested_questions_after_answer = off,
    speech_to_text = off,
    text_to_speech = off,
    retriever_resource = off,
    annotation_reply = off,
    more_like_this = off,
    user_input_form = form_of(mode == "workflow" and "" or app.prompt or ""),
    sensitive_word_avoidance = off,
    file_upload = off,
    system_parameters = {},
  })
end

return calls
