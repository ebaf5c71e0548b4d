-- The session's answers as OpenAI's chat completions: one object, or the chunks of a stream.
local moonhook = require "moonhook"
local json = moonhook.json

local REASONS = { stop = true, length = true, tool_calls = true, content_filter = true }

local completion = {}

--- What all parts of one answer share.
---@param model string  the name that the reply gives
function completion.new(model)
  local created = math.floor(moonhook.time())
  return { id = "chatcmpl-" .. moonhook.uuid(), created = created, model = model }
end

local function finish_reason(reason, has_tool_calls)
  if has_tool_calls and (reason == "stop" or not REASONS[reason]) then return "tool_calls" end
  return REASONS[reason] and reason or "stop"
end

local function usage_of(usage)
  return {
    prompt_tokens = usage.prompt_tokens, completion_tokens = usage.completion_tokens,
    total_tokens = usage.total_tokens, prompt_tokens_details = usage.prompt_tokens_details,
    completion_tokens_details = usage.completion_tokens_details,
  }
end

local function new_call_id() return "call_" .. moonhook.uuid() end

-- Content may be a list of parts; clients get its text.
local function text_of(content)
  if type(content) ~= "table" then return content or "" end
  local texts = {}
  for _, part in ipairs(content) do texts[#texts + 1] = part.type == "text" and part.data or "" end
  return table.concat(texts)
end

local function present(text) return text ~= nil and text ~= "" and text or nil end

--- A whole answer (LLMResult) as a chat.completion.
function completion.whole(answer, result)
  local message, calls = result.message, nil
  for i, call in ipairs(message.tool_calls or {}) do
    local target = call["function"]
    calls = calls or {}
    calls[i] = { id = present(call.id) or new_call_id(), type = "function",
      ["function"] = { name = target.name, arguments = target.arguments } }
  end
  local text = text_of(message.content)
  return {
    id = answer.id, object = "chat.completion", created = answer.created, model = answer.model,
    system_fingerprint = present(result.system_fingerprint),
    choices = { {
      index = 0,
      message = {
        role = "assistant",
        content = (text == "" and calls) and json.null or text,
        refusal = message.refusal or json.null,
        reasoning_content = message.reasoning_content,
        tool_calls = calls,
      },
      logprobs = json.null,
      finish_reason = finish_reason(result.finish_reason, calls ~= nil),
    } },
    usage = usage_of(result.usage),
  }
end

-- Tool calls as deltas: a call has its index in all fragments, its id, type and name in the first.
local function tool_call_deltas(calls, seen)
  local deltas
  for i, call in ipairs(calls or {}) do
    local id, target = present(call.id), call["function"] or {}
    local index = call.index
    if not index then
      -- Dify's chunks have no index: a new id is a new call, no id goes on with the last one.
      local is_new = seen.count == 0 or (id and not seen[id])
      if is_new then seen.count = seen.count + 1 end
      index = (id and seen[id]) or seen.count - 1
      if id then seen[id] = index end
    end
    local is_first = not seen.open[index]
    seen.open[index] = true
    deltas = deltas or {}
    deltas[i] = {
      index = index,
      id = is_first and (id or new_call_id()) or nil,
      type = is_first and "function" or nil,
      ["function"] = { name = is_first and target.name or nil, arguments = target.arguments or "" },
    }
  end
  return deltas
end

--- Sends each of the answer's chunks (LLMResultChunk) as a chat.completion.chunk.
---@param chunks fun(): table?
---@param with_usage boolean  a last chunk says what was used
---@param send fun(value: table)
function completion.stream(answer, chunks, with_usage, send)
  local role, reason, usage = "assistant", nil, nil
  local seen = { count = 0, open = {} }

  local function send_chunk(choices, used)
    send {
      id = answer.id, object = "chat.completion.chunk", created = answer.created,
      model = answer.model,
      choices = json.array(choices), usage = with_usage and (used or json.null) or nil,
    }
  end

  for chunk in chunks do
    local message = chunk.delta.message
    local delta = {
      role = role, -- once, in the first
      content = present(text_of(message.content)),
      reasoning_content = present(message.reasoning_content),
      refusal = present(message.refusal),
      tool_calls = tool_call_deltas(message.tool_calls, seen),
    }
    if delta.content or delta.reasoning_content or delta.refusal or delta.tool_calls then
      send_chunk { { index = 0, delta = delta, logprobs = json.null, finish_reason = json.null } }
      role = nil
    end
    reason, usage = present(chunk.delta.finish_reason) or reason, chunk.delta.usage or usage
  end

  local last = { role = role, content = role and "" or nil }
  send_chunk { { index = 0, delta = last, logprobs = json.null,
    finish_reason = finish_reason(reason, next(seen.open) ~= nil) } }
  if with_usage then send_chunk({}, usage and usage_of(usage)) end
end

return completion
