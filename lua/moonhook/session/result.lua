-- Dify's results: usage built from numbers, LLMResult joined from a stream's chunks, the shapes of
-- what other models give.
local Stream = require "moonhook.session.stream"
local json = require "host.json"

local result = {}

--- Usage in Dify's twelve fields. Prices are unknown here: zero, as decimals in strings.
function result.usage(prompt_tokens, completion_tokens, latency_s)
  return {
    prompt_tokens = prompt_tokens,
    prompt_unit_price = "0",
    prompt_price_unit = "0",
    prompt_price = "0",
    completion_tokens = completion_tokens,
    completion_unit_price = "0",
    completion_price_unit = "0",
    completion_price = "0",
    total_tokens = prompt_tokens + completion_tokens,
    total_price = "0",
    currency = "USD",
    latency = latency_s,
  }
end

--- The usage of an embedding, in Dify's seven fields.
function result.embedding_usage(tokens, total_tokens, latency_s)
  return {
    tokens = tokens,
    total_tokens = total_tokens,
    unit_price = "0",
    price_unit = "0",
    total_price = "0",
    currency = "USD",
    latency = latency_s,
  }
end

-- Tool calls that carry an index arrive in fragments; without one the last list counts.
local function join_tool_calls(calls, more)
  if more[1].index == nil then return more end
  for _, fragment in ipairs(more) do
    local call = calls[fragment.index]
    if not call then
      call = { id = "", type = "function", ["function"] = { name = "", arguments = {} } }
      call.index = fragment.index
      calls[fragment.index], calls.order = call, calls.order or {}
      table.insert(calls.order, call)
    end
    local target, source = call["function"], fragment["function"] or {}
    if (fragment.id or "") ~= "" then call.id = fragment.id end
    if (fragment.type or "") ~= "" then call.type = fragment.type end
    if (source.name or "") ~= "" then target.name = source.name end
    table.insert(target.arguments, source.arguments or "")
  end
  return calls
end

local function finished_tool_calls(calls)
  if not calls.order then return calls end
  for _, call in ipairs(calls.order) do
    call.index, call["function"].arguments = nil, table.concat(call["function"].arguments)
  end
  return json.array(calls.order)
end

local NAMES_A_THING = { id = true, type = true, format = true }

--- Joins what streamed messages carry beyond Dify's entities: texts grow, lists too, the rest is
--- replaced. Neither argument is changed.
function result.join_opaque(first, second)
  if type(first) ~= "table" or type(second) ~= "table" then
    if second == nil then return first end
    return second
  end
  local joined = {}
  for name, value in pairs(first) do joined[name] = value end
  if json.is_array(first) or json.is_array(second) then
    for _, value in ipairs(second) do joined[#joined + 1] = value end
    return json.array(joined)
  end
  for name, value in pairs(second) do
    local before = joined[name]
    if type(before) == "string" and type(value) == "string" and not NAMES_A_THING[name] then
      joined[name] = before .. value
    elseif type(before) == "table" then
      joined[name] = result.join_opaque(before, value)
    else
      joined[name] = value
    end
  end
  return joined
end

local COUNTS = { "prompt_tokens", "completion_tokens", "total_tokens" }

local function join_usage(sum, usage)
  if not sum then return usage end
  local joined = {}
  for name, value in pairs(usage) do joined[name] = value end
  for _, name in ipairs(COUNTS) do
    joined[name] = (tonumber(sum[name]) or 0) + (tonumber(usage[name]) or 0)
  end
  return joined
end

local function is_a(value, first, second)
  return value == nil or type(value) == first or type(value) == second
end

--- What is wrong with a chunk, or nil.
function result.chunk_problem(chunk)
  local delta = type(chunk) == "table" and chunk.delta
  local message = type(delta) == "table" and delta.message
  if type(message) ~= "table" then return "not a chunk of a model's answer" end
  if not is_a(message.content, "string", "table") then
    return "the content is neither a text nor an array"
  end
  if not is_a(message.reasoning_content, "string") then return "reasoning_content is not a text" end
  if not is_a(delta.usage, "table") then return "usage is not an object" end
  if not is_a(message.tool_calls, "table") then return "tool_calls is not an array" end
  for _, call in ipairs(message.tool_calls or {}) do
    local target = type(call) == "table" and call["function"]
    if type(target) ~= "table" or not is_a(target.arguments, "string") then
      return "a tool call is not an object"
    end
  end
end

--- Joins chunks into the result that the blocking call gives.
---@param chunks fun(): LLMResultChunk?
---@return LLMResult
function result.collect(chunks)
  local texts, thoughts, parts = {}, {}, {}
  local joined = { model = "", prompt_messages = json.array {}, message = { role = "assistant" } }
  local calls = json.array {}
  for chunk in chunks do
    local delta = chunk.delta
    local message = delta.message
    if type(message.content) == "table" then
      for _, part in ipairs(message.content) do parts[#parts + 1] = part end
    else
      texts[#texts + 1] = message.content or ""
    end
    if message.reasoning_content then thoughts[#thoughts + 1] = message.reasoning_content end
    if message.tool_calls and #message.tool_calls > 0 then
      calls = join_tool_calls(calls, message.tool_calls)
    end
    joined.message.refusal = message.refusal or joined.message.refusal
    joined.message.opaque_body =
      result.join_opaque(joined.message.opaque_body, message.opaque_body)
    joined.model = chunk.model or joined.model
    joined.system_fingerprint = chunk.system_fingerprint or joined.system_fingerprint
    if delta.finish_reason ~= "" then
      joined.finish_reason = delta.finish_reason or joined.finish_reason
    end
    joined.logprobs = result.join_opaque(joined.logprobs, delta.logprobs)
    if chunk.structured_output ~= nil then joined.structured_output = chunk.structured_output end
    if delta.usage then joined.usage = join_usage(joined.usage, delta.usage) end
  end
  local text = table.concat(texts)
  if #parts > 0 and text ~= "" then table.insert(parts, 1, { type = "text", data = text }) end
  joined.message.content = #parts > 0 and parts or text
  joined.message.tool_calls = finished_tool_calls(calls)
  if #thoughts > 0 then joined.message.reasoning_content = table.concat(thoughts) end
  joined.usage = joined.usage or result.usage(0, 0, 0)
  return joined
end

--- The TextEmbeddingResult, when it holds one vector for each text; raises otherwise.
function result.embeddings(answer, count, backend)
  local vectors = type(answer) == "table" and answer.embeddings
  if type(vectors) ~= "table" or #vectors ~= count then
    error(Stream.malformed(backend, 1, "not one vector for each text"), 0)
  end
  for _, vector in ipairs(vectors) do
    if type(vector) ~= "table" then
      error(Stream.malformed(backend, 1, "a vector is not an array"), 0)
    end
  end
  return answer
end

--- The RerankResult, when its documents have indexes and scores; raises otherwise.
function result.reranked(answer, backend)
  local docs = type(answer) == "table" and answer.docs
  if type(docs) ~= "table" then error(Stream.malformed(backend, 1, "docs is not an array"), 0) end
  for _, doc in ipairs(docs) do
    if type(doc) ~= "table" or type(doc.index) ~= "number" or type(doc.score) ~= "number" then
      error(Stream.malformed(backend, 1, "a document has no index or no score"), 0)
    end
  end
  return answer
end

return result
