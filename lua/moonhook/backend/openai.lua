-- Between Dify's entities and OpenAI's chat completions and embeddings: pure functions over tables.
-- Knows nothing of connections. What a function is given is never changed.
local Error = require "moonhook.error"
local json = require "host.json"
local result = require "moonhook.session.result"

local pairs, setmetatable, type = pairs, setmetatable, type

local openai = {}

-- ---- requests ---------------------------------------------------------------------------------

local function unsupported(what)
  error(Error.new("unsupported", what .. " cannot be sent to an OpenAI-compatible server"), 0)
end

local function data_url(part)
  if (part.url or "") ~= "" then return part.url end
  return ("data:%s;base64,%s"):format(part.mime_type, part.base64_data)
end

-- What a media type calls otherwise than OpenAI.
local AUDIO_FORMATS = { mpeg = "mp3", wave = "wav" }

local PARTS = {
  text = function(part) return { type = "text", text = part.data } end,
  image = function(part)
    return { type = "image_url", image_url = { url = data_url(part), detail = part.detail } }
  end,
  audio = function(part)
    if (part.base64_data or "") == "" then unsupported("audio by its address") end
    local format = part.format or part.mime_type:match "/x?%-?(%w+)"
    format = AUDIO_FORMATS[format] or format
    return { type = "input_audio", input_audio = { data = part.base64_data, format = format } }
  end,
  video = function(part) return { type = "video_url", video_url = { url = data_url(part) } } end,
  document = function(part)
    if (part.base64_data or "") == "" then unsupported("a document by its address") end
    local filename = (part.filename or "") ~= "" and part.filename or nil
    return { type = "file", file = { filename = filename, file_data = data_url(part) } }
  end,
}

local function content_of(content)
  if type(content) ~= "table" then return content end
  local parts = {}
  for i, part in ipairs(content) do
    if not PARTS[part.type] then unsupported("a part of type " .. tostring(part.type)) end
    parts[i] = PARTS[part.type](part)
  end
  return json.array(parts)
end

local function message_of(message)
  local mapped = { role = message.role, content = content_of(message.content) }
  if (message.name or "") ~= "" then mapped.name = message.name end
  -- What an answer had beyond Dify's entities goes back as it came.
  for name, value in pairs(type(message.opaque_body) == "table" and message.opaque_body or {}) do
    if mapped[name] == nil then mapped[name] = value end
  end
  if message.role == "tool" then mapped.tool_call_id = message.tool_call_id end
  if message.tool_calls and #message.tool_calls > 0 then
    mapped.tool_calls = {}
    for i, call in ipairs(message.tool_calls) do
      local target = { name = call["function"].name, arguments = call["function"].arguments }
      mapped.tool_calls[i] = { id = call.id, type = "function", ["function"] = target }
    end
    if (mapped.content or "") == "" then mapped.content = json.null end
  end
  return mapped
end

local function tool_of(tool)
  return {
    type = "function",
    ["function"] = {
      name = tool.name,
      description = tool.description,
      parameters = tool.parameters,
      strict = tool.strict,
    },
  }
end

-- Dify's selector holds response_format as a name and the schema as JSON text beside it.
local function response_format_of(format, schema)
  if type(format) ~= "string" then return format, schema end
  local name = format:lower()
  if name == "json_schema" and schema then
    if type(schema) == "string" then schema = json.decode(schema) end
    if type(schema) ~= "table" then
      error(Error.new("invalid_param", "json_schema is not a JSON object"), 0)
    end
    if not schema.schema then schema = { name = "answer", schema = schema } end
    return { type = name, json_schema = schema }
  end
  return { type = name == "json" and "json_object" or name }
end

--- The body of POST /chat/completions for the arguments of session.model.llm:invoke.
function openai.chat_request(call)
  local request = {}
  for name, value in pairs(call.model_config.completion_params or {}) do request[name] = value end
  if (request.n or 1) ~= 1 then unsupported("a request for several answers (n)") end
  request.response_format, request.json_schema =
    response_format_of(request.response_format, request.json_schema), nil
  request.model, request.user = call.model_config.model, call.user or request.user
  request.messages = {}
  for i, message in ipairs(call.prompt_messages) do request.messages[i] = message_of(message) end
  if call.stop and #call.stop > 0 then request.stop = call.stop end
  request.stream, request.stream_options = call.stream ~= false, nil
  if request.stream then request.stream_options = { include_usage = true } end
  if call.tools and #call.tools > 0 then
    request.tools = {}
    for i, tool in ipairs(call.tools) do request.tools[i] = tool_of(tool) end
    local choice = call.tool_choice
    if choice and choice.mode == "tool" then
      request.tool_choice = { type = "function", ["function"] = { name = choice.name } }
    elseif choice then
      request.tool_choice = choice.mode
    end
  end
  return request
end

--- The body of POST /embeddings. `input_type` has no counterpart there.
function openai.embedding_request(call)
  local request = {}
  for name, value in pairs(call.model_config.completion_params or {}) do request[name] = value end
  request.model, request.input = call.model_config.model, call.texts
  request.encoding_format, request.user = "float", call.user or request.user
  return request
end

-- ---- answers ----------------------------------------------------------------------------------

-- What stands in a decoded object and is null again when it is encoded, as in Dify's chunks.
local DELTA_NULLS = getmetatable(json.decode_plain '{"usage":null,"finish_reason":null}')
local CHUNK_NULLS = getmetatable(json.decode_plain '{"system_fingerprint":null}')
local ARRAY = getmetatable(json.array {})

-- Few look at these: they are made for those who do.
local CHUNK_LESS = json.without_arrays({ "prompt_messages" }, CHUNK_NULLS)
local MESSAGE_LESS = json.without_arrays { "tool_calls" }

local function string_or(value, otherwise)
  return type(value) == "string" and value or otherwise
end

-- An image of an answer as Dify's part; nil for anything else.
local function image_of(part)
  local image = type(part) == "table" and part.image_url
  local url = type(image) == "table" and image.url or image
  if type(url) ~= "string" then return nil end
  local mime_type, data = url:match "^data:([%w/+.-]+);base64,(.*)$"
  if not mime_type then return { type = "image", url = url } end
  local format = mime_type:match "/(%w+)"
  return { type = "image", mime_type = mime_type, format = format, base64_data = data }
end

-- A text, or an array of Dify's parts where there are images.
local function content_from(message)
  local content = message.content
  if message.images == nil then -- most of a stream's messages
    if type(content) == "string" then return content end
    if content == nil then return "" end
  end
  local texts, images = {}, {}
  if type(content) == "string" then texts[1] = content end
  for _, list in ipairs {
    type(content) == "table" and content or {},
    type(message.images) == "table" and message.images or {},
  } do
    for _, part in ipairs(list) do
      texts[#texts + 1] = type(part) == "table" and string_or(part.text) or nil
      images[#images + 1] = image_of(part)
    end
  end
  local text = table.concat(texts)
  if #images == 0 then return text end
  if text ~= "" then table.insert(images, 1, { type = "text", data = text }) end
  return json.array(images)
end

local function tool_calls_of(calls, is_delta)
  if calls == nil then return setmetatable({}, ARRAY) end
  local mapped = {}
  for i, call in ipairs(calls) do
    local target = call["function"] or {}
    mapped[i] = {
      id = string_or(call.id, ""),
      type = string_or(call.type, is_delta and "" or "function"),
      ["function"] = {
        name = string_or(target.name, ""),
        arguments = string_or(target.arguments, ""),
      },
      index = is_delta and (tonumber(call.index) or i - 1) or nil,
    }
  end
  return json.array(mapped)
end

local MAPPED = {
  role = true, content = true, images = true, tool_calls = true, reasoning_content = true,
  reasoning = true, refusal = true,
}

-- What else a server says of its message: sound, sources, signatures of its reasoning.
local function opaque_of(message)
  local opaque
  for name, value in pairs(message) do
    if not MAPPED[name] then
      opaque = opaque or {}
      opaque[name] = value
    end
  end
  return opaque
end

-- What most messages do not have is added when it is there: a smaller table for each chunk.
local function assistant_message(message, is_delta)
  local mapped = {
    role = "assistant",
    content = content_from(message),
    tool_calls = tool_calls_of(message.tool_calls, is_delta),
  }
  local opaque, reasoning, refusal = opaque_of(message), message.reasoning_content, message.refusal
  if opaque then mapped.opaque_body = opaque end
  if reasoning == nil or type(reasoning) ~= "string" then reasoning = message.reasoning end
  if reasoning ~= nil and type(reasoning) == "string" then mapped.reasoning_content = reasoning end
  if refusal ~= nil and type(refusal) == "string" then mapped.refusal = refusal end
  return mapped
end

local function is_object_or_nil(value)
  return value == nil or type(value) == "table"
end

local function message_problem(message)
  local content, calls = message.content, message.tool_calls
  if type(content) ~= "string" and not is_object_or_nil(content) then
    return "the content is neither a text nor an array"
  end
  if calls == nil then return nil end
  if type(calls) ~= "table" then return "tool_calls is not an array" end
  for _, call in ipairs(calls) do
    if type(call) ~= "table" or not is_object_or_nil(call["function"]) then
      return "a tool call is not an object"
    end
  end
end

--- What is wrong with a stream's event, or nil. An event without choices carries usage only.
function openai.event_problem(event)
  local choices, usage = event.choices, event.usage
  if choices ~= nil and type(choices) ~= "table" then return "choices is not an array" end
  if usage ~= nil and type(usage) ~= "table" then return "usage is not an object" end
  local choice = choices and choices[1]
  if choice == nil then return nil end
  if type(choice) ~= "table" then return "a choice is not an object" end
  local delta = choice.delta
  if delta == nil then return nil end
  if type(delta) ~= "table" then return "a delta is not an object" end
  return message_problem(delta)
end

--- One event of a stream as Dify's LLMResultChunk; `delta.index` is for the caller to change.
function openai.chunk(event, model)
  local choice = event.choices and event.choices[1] or {}
  local delta = { index = 0, message = assistant_message(choice.delta or {}, true) }
  local chunk = {
    model = string_or(event.model, model),
    prompt_messages = setmetatable({}, ARRAY),
    delta = setmetatable(delta, DELTA_NULLS),
  }
  local reason, logprobs, fingerprint =
    choice.finish_reason, choice.logprobs, event.system_fingerprint
  if reason ~= nil and type(reason) == "string" then delta.finish_reason = reason end
  if logprobs ~= nil and type(logprobs) == "table" then delta.logprobs = logprobs end
  if fingerprint ~= nil then chunk.system_fingerprint = string_or(fingerprint) end
  return setmetatable(chunk, CHUNK_NULLS)
end

--- Whether an event says nothing but a text, so that `text_chunk` can make a chunk like its own.
function openai.is_text_alone(event, chunk)
  local delta = chunk.delta
  local message, choice = delta.message, event.choices[1]
  return type(message.content) == "string" and #message.tool_calls == 0 and event.usage == nil
    and message.reasoning_content == nil and message.refusal == nil and message.opaque_body == nil
    and delta.finish_reason == nil and delta.logprobs == nil and choice.delta.images == nil
end

--- The chunk of an event that is like another but for its text.
---@param like { model: string, system_fingerprint?: string }
function openai.text_chunk(content, index, like)
  local message = setmetatable({ role = "assistant", content = content }, MESSAGE_LESS)
  local delta = setmetatable({ index = index, message = message }, DELTA_NULLS)
  local fingerprint = like.system_fingerprint
  if fingerprint then
    return setmetatable({ model = like.model, delta = delta, system_fingerprint = fingerprint },
      CHUNK_LESS)
  end
  return setmetatable({ model = like.model, delta = delta }, CHUNK_LESS)
end

--- Whether a chunk says anything; servers send empty ones, to give the role or to stay alive.
function openai.has_content(chunk)
  local message = chunk.delta.message
  return message.content ~= "" or #message.tool_calls > 0
    or message.reasoning_content ~= nil or message.refusal ~= nil or message.opaque_body ~= nil
end

local function joined_content(first, second)
  if type(first) == "string" and type(second) == "string" then return first .. second end
  local parts = json.array {}
  for _, content in ipairs { first, second } do
    if content ~= "" then
      content = type(content) == "string" and { { type = "text", data = content } } or content
      for _, part in ipairs(content) do parts[#parts + 1] = part end
    end
  end
  return parts
end

--- Adds what came after the finish_reason to the chunk that carried it.
function openai.append(last, chunk)
  local target, message = last.delta.message, chunk.delta.message
  target.content = joined_content(target.content, message.content)
  target.opaque_body = result.join_opaque(target.opaque_body, message.opaque_body)
  last.delta.logprobs = result.join_opaque(last.delta.logprobs, chunk.delta.logprobs)
  for _, call in ipairs(message.tool_calls) do table.insert(target.tool_calls, call) end
  last.delta.finish_reason = chunk.delta.finish_reason or last.delta.finish_reason
end

--- What is wrong with a blocking answer, or nil.
function openai.completion_problem(answer)
  if type(answer) ~= "table" then return "not a JSON object" end
  local choice = type(answer.choices) == "table" and answer.choices[1]
  if type(choice) ~= "table" or type(choice.message) ~= "table" then
    return "no choice with a message"
  end
  if not is_object_or_nil(answer.usage) then return "usage is not an object" end
  return message_problem(choice.message)
end

--- A blocking answer as Dify's LLMResult, without its usage.
function openai.completion(answer, model)
  local choice = answer.choices[1]
  return setmetatable({
    model = string_or(answer.model, model),
    prompt_messages = json.array {},
    message = assistant_message(choice.message, false),
    system_fingerprint = string_or(answer.system_fingerprint),
    finish_reason = string_or(choice.finish_reason),
    logprobs = type(choice.logprobs) == "table" and choice.logprobs or nil,
  }, CHUNK_NULLS)
end

local function count_of(usage, name)
  local count = type(usage) == "table" and usage[name]
  return type(count) == "number" and count or nil
end

--- OpenAI's token counts in Dify's twelve fields, its details kept beside them.
function openai.usage(usage, latency_s)
  local mapped = result.usage(count_of(usage, "prompt_tokens") or 0,
    count_of(usage, "completion_tokens") or 0, latency_s)
  mapped.total_tokens = count_of(usage, "total_tokens") or mapped.total_tokens
  mapped.prompt_tokens_details = usage and usage.prompt_tokens_details
  mapped.completion_tokens_details = usage and usage.completion_tokens_details
  return mapped
end

--- The same for embeddings, which have one price.
function openai.embedding_usage(usage, latency_s)
  local tokens = count_of(usage, "prompt_tokens") or 0
  return result.embedding_usage(tokens, count_of(usage, "total_tokens") or tokens, latency_s)
end

--- The vectors in the order of the texts, or nil when they are not one array for each.
function openai.embeddings(answer, count)
  local data = type(answer) == "table" and answer.data
  if type(data) ~= "table" or #data ~= count then return nil end
  local vectors = {}
  for i, item in ipairs(data) do
    local vector = type(item) == "table" and item.embedding
    local place = type(item) == "table" and (tonumber(item.index) or i - 1) + 1
    if type(vector) ~= "table" or not (place >= 1 and place <= count) or vectors[place] then
      return nil
    end
    vectors[place] = vector
  end
  return #vectors == count and vectors or nil
end

--- The fields for an Error from a server's error object; empty when it sent none.
function openai.error_fields(answer)
  local problem = type(answer) == "table" and answer.error
  if type(problem) == "string" then return { upstream_message = problem } end
  if type(problem) ~= "table" then return {} end
  return {
    upstream_message = string_or(problem.message),
    upstream_code = string_or(problem.code, tonumber(problem.code)),
    upstream_type = string_or(problem.type),
    upstream_param = string_or(problem.param),
  }
end

return openai
