-- Requests and answers of Dify's inner API: pure functions over tables. The session's shapes are
-- Dify's own; what is added here is what Dify's plugin daemon adds when it sends them: fields that
-- are always there, null for lists that nobody gave. `tenant_id` and `user_id` are added in C.
local json = require "host.json"

local dify = {}

-- ---- requests ---------------------------------------------------------------------------------

local function array_or_null(list, map)
  if not list or #list == 0 then return json.null end
  local copy = {}
  for i, item in ipairs(list) do copy[i] = map and map(item) or item end
  return json.array(copy)
end

local function array(list)
  local copy = {}
  for i, item in ipairs(list or {}) do copy[i] = item end
  return json.array(copy)
end

-- What a part's type is taken for when nobody said it.
local DEFAULT_FORMATS = { image = "png", audio = "mp3", video = "mp4", document = "pdf" }
local MIME_TYPES = {
  jpg = "image/jpeg", svg = "image/svg+xml", mp3 = "audio/mpeg", m4a = "audio/mp4",
  mov = "video/quicktime", pdf = "application/pdf", txt = "text/plain", md = "text/markdown",
  html = "text/html", csv = "text/csv", json = "application/json",
}

local function part_of(part)
  if part.type == "text" then return { type = "text", data = part.data } end
  local extension = (part.url or ""):match("^[^?#]*"):match "/[^/]*%.(%w+)$"
  local mime_type = part.mime_type or ""
  local format = part.format or mime_type:match "/x%-([%w.+-]+)$" or mime_type:match "/([%w.+-]+)$"
    or (extension and extension:lower()) or DEFAULT_FORMATS[part.type]
  local kind = part.type == "document" and "application" or part.type
  return {
    type = part.type,
    format = format,
    mime_type = part.mime_type or MIME_TYPES[format] or kind .. "/" .. format,
    base64_data = part.base64_data or "",
    url = part.url or "",
    filename = part.filename or "",
    detail = part.type == "image" and (part.detail or "low") or nil,
  }
end

local function tool_call_of(call)
  local target = call["function"]
  return {
    id = call.id or "",
    type = call.type or "function",
    ["function"] = { name = target.name or "", arguments = target.arguments or "" },
  }
end

local function message_of(message)
  local content = message.content or ""
  if type(content) == "table" then
    local parts = {}
    for i, part in ipairs(content) do parts[i] = part_of(part) end
    content = json.array(parts)
  end
  return {
    role = message.role,
    content = content,
    name = message.name or "",
    tool_calls = array_or_null(message.tool_calls, tool_call_of),
    tool_call_id = message.tool_call_id or "",
    opaque_body = message.opaque_body,
  }
end

local function tool_of(tool)
  return {
    name = tool.name,
    description = tool.description or "",
    parameters = tool.parameters or { type = "object", properties = {} },
  }
end

--- Of invoke/llm and invoke/llm/structured-output.
function dify.llm_request(call)
  local config, messages = call.model_config, {}
  for i, message in ipairs(call.prompt_messages) do messages[i] = message_of(message) end
  return {
    type = call.structured_output_schema and "llm_structured_output" or "llm",
    provider = config.provider,
    model = config.model,
    mode = config.mode or "chat",
    completion_params = config.completion_params or {},
    prompt_messages = json.array(messages),
    tools = array_or_null(call.tools, tool_of),
    stop = array_or_null(call.stop),
    tool_choice = call.tool_choice,
    stream = call.stream ~= false,
    structured_output_schema = call.structured_output_schema,
  }
end

function dify.embedding_request(call)
  local config = call.model_config
  return {
    type = call.documents and "multimodal_embedding" or "text_embedding",
    provider = config.provider,
    model = config.model,
    texts = call.texts and array(call.texts),
    documents = call.documents and array(call.documents),
    input_type = call.input_type or "query",
  }
end

--- Of invoke/rerank, and of invoke/multimodal-rerank when the query is a table.
function dify.rerank_request(call)
  local config = call.model_config
  return {
    type = type(call.query) == "table" and "multimodal_rerank" or "rerank",
    provider = config.provider,
    model = config.model,
    query = call.query,
    docs = array(call.docs),
    score_threshold = config.score_threshold or 0,
    top_n = config.top_n or #call.docs,
  }
end

function dify.tts_request(call)
  local config = call.model_config
  return {
    type = "tts",
    provider = config.provider,
    model = config.model,
    content_text = call.content_text,
    voice = config.voice or "",
  }
end

---@param hex string  the recording, two digits a byte
function dify.speech_request(call, hex)
  local config = call.model_config
  return { type = "speech2text", provider = config.provider, model = config.model, file = hex }
end

function dify.moderation_request(call)
  local config = call.model_config
  return {
    type = "moderation", provider = config.provider, model = config.model, text = call.text,
  }
end

function dify.summary_request(call)
  return { type = "system_summary", text = call.text, instruction = call.instruction or "" }
end

function dify.tool_request(call)
  return {
    type = "tool",
    tool_type = call.provider_type,
    provider = call.provider,
    tool = call.tool_name,
    tool_parameters = call.parameters or {},
    credential_id = call.credential_id or "",
  }
end

-- Nodes name their model otherwise than models do.
local function node_model(model)
  return {
    provider = model.provider,
    name = model.name or model.model,
    mode = model.mode or "chat",
    completion_params = model.completion_params or {},
  }
end

local function parameter_of(parameter)
  return {
    name = parameter.name,
    type = parameter.type,
    options = array_or_null(parameter.options),
    description = parameter.description or "",
    required = parameter.required == true,
  }
end

function dify.extractor_request(call)
  return {
    type = "node_parameter_extractor",
    parameters = array_or_null(call.parameters, parameter_of),
    model = node_model(call.model),
    instruction = call.instruction or "",
    query = call.query,
  }
end

function dify.classifier_request(call)
  local function class_of(class) return { id = class.id, name = class.name } end
  return {
    type = "node_question_classifier",
    classes = array_or_null(call.classes, class_of),
    model = node_model(call.model),
    instruction = call.instruction or "",
    query = call.query,
  }
end

-- ---- answers ----------------------------------------------------------------------------------

--- Opens the envelope around every answer.
---@return table? envelope  nil: it is none
---@return string? problem  in Dify's words, when it carries no data; `upstream_message` beside it
---@return string? upstream_message
function dify.envelope(text)
  local envelope = json.decode_plain(text)
  if type(envelope) ~= "table" or json.is_array(envelope) then return nil end
  local problem = envelope.error
  if problem ~= nil and type(problem) ~= "string" then return nil end
  if (problem or "") ~= "" then return envelope, "request failed: " .. problem, problem end
  if envelope.data == nil then return envelope, "data is nil" end
  return envelope
end

local PRICES = {
  "prompt_unit_price", "prompt_price_unit", "prompt_price", "completion_unit_price",
  "completion_price_unit", "completion_price", "total_price", "unit_price", "price_unit",
}

local function fix_prices(usage)
  for _, name in ipairs(PRICES) do
    if type(usage[name]) == "number" then usage[name] = ("%.14g"):format(usage[name]) end
  end
end

local ROLES = { system = true, user = true, assistant = true, tool = true }
local PART_TYPES = { text = true, image = true, audio = true, video = true, document = true }

local function parts_problem(parts)
  for _, part in ipairs(parts) do
    if type(part) ~= "table" or not PART_TYPES[part.type] then return "a part of unknown type" end
  end
end

local function text_or_nil(value)
  return value == nil or type(value) == "string"
end

-- Fills in what may be null in a fragment of a tool call.
local function fix_tool_call(call)
  if type(call) ~= "table" then return "a tool call is not an object" end
  local target = call["function"]
  if target == nil then
    target = {}
    call["function"] = target
  end
  if type(target) ~= "table" or not text_or_nil(target.name) or not text_or_nil(target.arguments)
    or not text_or_nil(call.id) or not text_or_nil(call.type) then
    return "a tool call is not an object of texts"
  end
  call.id, call.type = call.id or "", call.type or ""
  target.name, target.arguments = target.name or "", target.arguments or ""
end

local function message_problem(message)
  if not ROLES[message.role] then return "the role is unknown" end
  -- Models send no content beside tool calls; Dify's daemon loses such chunks.
  if message.content == nil then message.content = "" end
  if type(message.content) == "table" then
    local problem = parts_problem(message.content)
    if problem then return problem end
  elseif type(message.content) ~= "string" then
    return "the content is neither a text nor an array"
  end
  if message.tool_calls == nil then message.tool_calls = json.array {} end
  if type(message.tool_calls) ~= "table" then return "tool_calls is not an array" end
  for _, call in ipairs(message.tool_calls) do
    local problem = fix_tool_call(call)
    if problem then return problem end
  end
end

--- Checks an LLMResultChunk and fills in what the wire leaves open; the text of a problem, or nil.
function dify.fix_chunk(chunk)
  if type(chunk) ~= "table" then return "not an object" end
  local delta = chunk.delta
  if type(chunk.model) ~= "string" then return "the model is not a text" end
  if type(delta) ~= "table" or type(delta.index) ~= "number" then
    return "no delta with an index"
  end
  if type(delta.message) ~= "table" then return "no message" end
  if delta.usage ~= nil and type(delta.usage) ~= "table" then return "usage is not an object" end
  if not text_or_nil(delta.finish_reason) then return "finish_reason is not a text" end
  local problem = message_problem(delta.message)
  if problem then return problem end
  if delta.usage then fix_prices(delta.usage) end
  chunk.prompt_messages = json.array {}
end

--- The same for a TextEmbeddingResult.
function dify.fix_embeddings(answer)
  if type(answer) == "table" and type(answer.usage) == "table" then fix_prices(answer.usage) end
  return answer
end

return dify
