-- Values that keep to a JSON schema, from servers that only send text: OpenAI's response_format for
-- the request, and the reading of the answer. Dify does this itself.
local Error = require "moonhook.error"
local json = require "host.json"

local structured = {}

-- A strict schema names all its properties and allows no others; only such a one may be sent as
-- strict to OpenAI.
local function is_strict(schema)
  if type(schema) ~= "table" then return true end
  if type(schema.properties) == "table" then
    if schema.additionalProperties ~= false then return false end
    if type(schema.required) ~= "table" then return false end
    local is_required = {}
    for _, name in ipairs(schema.required) do is_required[name] = true end
    for name, property in pairs(schema.properties) do
      if not is_required[name] or not is_strict(property) then return false end
    end
  elseif schema.type == "object" then
    return false
  end
  for _, word in ipairs { "items", "anyOf", "$defs", "definitions" } do
    local inner = schema[word]
    if not is_strict(inner) then return false end
    for _, item in pairs(type(inner) == "table" and word ~= "items" and inner or {}) do
      if not is_strict(item) then return false end
    end
  end
  return true
end

--- The same call as one of session.model.llm with OpenAI's response_format.
function structured.as_llm_call(call)
  local changed, config, params = {}, {}, {}
  for name, value in pairs(call) do changed[name] = value end
  for name, value in pairs(call.model_config) do config[name] = value end
  for name, value in pairs(config.completion_params or {}) do params[name] = value end
  local schema = call.structured_output_schema
  params.json_schema = nil
  params.response_format = {
    type = "json_schema",
    json_schema = { name = "answer", schema = schema, strict = is_strict(schema) or nil },
  }
  config.completion_params = params
  changed.model_config, changed.structured_output_schema = config, nil
  return changed
end

-- Some models put their JSON between fences or words.
local function parse(text)
  for _, candidate in ipairs {
    text, text:match "^%s*```%w*%s*\n(.*)\n%s*```%s*$" or "", text:match "%b{}" or "",
  } do
    local value, message = json.decode_plain(candidate)
    if not message and type(value) == "table" then return value end
  end
end

-- The value, or nil and an Error. An answer of tool calls has none, which is no failure.
local function value_of(text, message, finish_reason, backend)
  if text == "" and message.tool_calls and #message.tool_calls > 0 then return nil end
  local value = parse(text)
  if value then return value end
  local why = "is not the JSON that was asked for"
  if message.refusal then
    why = "is a refusal"
  elseif finish_reason == "length" then
    why = "was cut off at its greatest length"
  end
  return nil, Error.new("upstream_error", "the model's answer " .. why,
    { backend = backend, finish_reason = finish_reason, refusal = message.refusal })
end

--- A source whose last chunk carries the value.
---@param source StreamSource
---@return StreamSource
function structured.source(source, backend)
  local texts, message, last, is_done = {}, {}, nil, false

  local function complete(chunk, finish_reason)
    local failure
    is_done = true
    chunk.structured_output, failure =
      value_of(table.concat(texts), message, finish_reason, backend)
    if failure then return nil, failure end
    return chunk
  end

  local function read()
    local chunk, failure = source:read()
    if not chunk and (failure or is_done or not last) then return nil, failure end
    if not chunk then -- ended without a finish_reason
      local delta = { index = last.delta.index + 1, message = { role = "assistant", content = "",
        tool_calls = json.array {} } }
      return complete({ model = last.model, prompt_messages = json.array {}, delta = delta })
    end
    local delta = chunk.delta
    texts[#texts + 1] = type(delta.message.content) == "string" and delta.message.content or nil
    message.refusal = delta.message.refusal or message.refusal
    if #(delta.message.tool_calls or {}) > 0 then message.tool_calls = delta.message.tool_calls end
    last = chunk
    if (delta.finish_reason or "") == "" then return chunk end
    return complete(chunk, delta.finish_reason)
  end

  return { read = read, close = function() source:close() end, collect = source.collect }
end

--- Adds the value to a whole result.
---@param whole LLMResult
function structured.complete(whole, backend)
  local message = whole.message
  local text = type(message.content) == "string" and message.content or ""
  local value, failure = value_of(text, message, whole.finish_reason, backend)
  if failure then error(failure, 0) end
  whole.structured_output = value
  return whole
end

return structured
