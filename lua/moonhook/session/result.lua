-- Dify's LLMResult and usage: built from numbers, and joined from a stream's chunks.
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
    joined.model = chunk.model or joined.model
    joined.system_fingerprint = chunk.system_fingerprint or joined.system_fingerprint
    if delta.finish_reason ~= "" then
      joined.finish_reason = delta.finish_reason or joined.finish_reason
    end
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

return result
