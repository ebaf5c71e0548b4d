-- Calls to chat models in Dify's shapes: the request, and a stream whose pieces are its chunks.
local Stream = require "moonhook.session.stream"
local exchange = require "moonhook.session.exchange"
local result = require "moonhook.session.result"
local json = require "host.json"

local llm_chunks = {}

local function unless_empty(list)
  return list and #list > 0 and list or nil
end

--- Dify's request for a call of session.model.llm or llm_structured_output.
function llm_chunks.request(call)
  local config = call.model_config
  return {
    provider = config.provider,
    model = config.model,
    mode = config.mode or "chat",
    completion_params = config.completion_params or {},
    prompt_messages = call.prompt_messages,
    tools = unless_empty(call.tools),
    tool_choice = call.tool_choice,
    stop = unless_empty(call.stop),
    structured_output_schema = call.structured_output_schema,
    stream = call.stream ~= false,
  }
end

local function next_value(call)
  local piece, failure = exchange.read(call)
  if not piece then return nil, failure end
  return json.decode_plain(piece) or false
end

--- An iterator's source over pieces that are chunks.
---@param call table  of exchange.open
---@param next_chunk? fun(call): table?, table?  where a piece is not simply a chunk in JSON
---@return StreamSource
function llm_chunks.source(call, next_chunk)
  local position = 0
  next_chunk = next_chunk or next_value
  local function read()
    local chunk, failure = next_chunk(call)
    if chunk == nil then
      if not failure and position == 0 then failure = Stream.truncated(call.backend, position) end
      return nil, failure
    end
    position = position + 1
    local problem = result.chunk_problem(chunk)
    if problem then return nil, Stream.malformed(call.backend, position, problem) end
    if chunk.delta.usage then exchange.used(call.backend, chunk.delta.usage) end
    return chunk
  end
  return { read = read, close = function() exchange.close(call) end, collect = result.collect }
end

--- A Stream of the source's chunks, or the one result that they make.
---@param source StreamSource
function llm_chunks.result(call, source)
  local chunks = Stream.new(source)
  if call.stream ~= false then return chunks end
  local joined = chunks:collect()
  return joined
end

return llm_chunks
