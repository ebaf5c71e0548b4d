-- session.model.llm: chat models. Chunks and results are Dify's LLMResultChunk and LLMResult,
-- whatever backend serves the model; backend/openai.lua translates for OpenAI-compatible servers.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local exchange = require "moonhook.session.exchange"
local prompt = require "moonhook.session.prompt"
local result = require "moonhook.session.result"
local json = require "host.json"

local llm = {}

local RULES = {
  { name = "model_config", kind = "table", required = true, what = "a table { provider, model }",
    test = prompt.model_config },
  { name = "prompt_messages", kind = "list", required = true, what = "an array of messages",
    test = prompt.messages },
  { name = "tools", kind = "list", test = prompt.tools },
  { name = "tool_choice", kind = "table", test = prompt.tool_choice },
  { name = "stop", kind = "list", test = prompt.strings },
  { name = "stream", kind = "boolean" },
}

-- Backends that speak Dify's chunks: a piece is one chunk.
local function chunk_source(call)
  local position, failure = 0, nil
  local function read()
    local piece
    piece, failure = exchange.read(call)
    if not piece then
      if not failure and position == 0 then failure = Stream.truncated(call.backend, position) end
      return nil, failure
    end
    position = position + 1
    local chunk = json.decode_plain(piece)
    local problem = result.chunk_problem(chunk)
    if problem then return nil, Stream.malformed(call.backend, position, problem) end
    return chunk
  end
  return { read = read, close = function() exchange.close(call) end, collect = result.collect }
end

local function encode_dify(call)
  local config = call.model_config
  return json.encode {
    provider = config.provider,
    model = config.model,
    mode = config.mode or "chat",
    completion_params = config.completion_params or {},
    prompt_messages = call.prompt_messages,
    tools = call.tools and #call.tools > 0 and call.tools or nil,
    tool_choice = call.tool_choice,
    stop = call.stop and #call.stop > 0 and call.stop or nil,
    stream = call.stream ~= false,
  }
end

--- Asks a chat model; streams unless told otherwise.
---@param call LlmCall  { model_config, prompt_messages, tools?, tool_choice?, stop?, stream? }
---@return Stream<LLMResultChunk>|LLMResult  an iterator of chunks, or one result: stream = false
--- Raises Error coded "not_found", "invalid_param", "unsupported", "permission_denied",
--- "upstream_error" (fields upstream_status, upstream_code, upstream_message), "upstream_timeout",
--- "upstream_truncated", "cancelled".
function llm:invoke(call)
  check.call("session.model.llm:invoke", llm, self, call, RULES)
  local config = call.model_config
  local backend, backend_type = catalogue.of_model(config.provider, config.model, "llm")
  local is_openai = backend_type == "openai"
  local body, problem
  if is_openai then
    body, problem = json.encode(require("moonhook.backend.openai").chat_request(call))
  else
    body, problem = encode_dify(call)
  end
  if not body then Error.blame("session.model.llm:invoke: " .. problem) end

  local is_streaming = call.stream ~= false
  if is_openai then
    local answer = require("moonhook.session.openai").llm(backend, config.model, body, is_streaming)
    return answer
  end
  local exchanged = exchange.open(backend, "llm", body, { stream = is_streaming })
  local chunks = Stream.new(chunk_source(exchanged))
  if is_streaming then return chunks end
  local answer = chunks:collect()
  return answer
end

return llm
