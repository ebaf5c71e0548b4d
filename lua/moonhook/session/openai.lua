-- Model calls to OpenAI-compatible servers: status, events, the end of a stream. The payloads
-- themselves are translated by backend/openai.lua.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local exchange = require "moonhook.session.exchange"
local openai = require "moonhook.backend.openai"
local result = require "moonhook.session.result"
local clock = require "host.clock"
local json = require "host.json"

local calls = {}

-- The server refused: its words stay in the fields.
local function refusal(call, status)
  local fields = openai.error_fields(json.decode_plain((exchange.read(call)) or ""))
  fields.backend, fields.upstream_status = call.backend, status
  fields.retry_after = exchange.header(call, "retry-after")
  exchange.close(call)
  return Error.new("upstream_error", "the model server answered with status " .. status, fields)
end

-- Opens a call and waits for its status; raises unless it is a success.
local function open(backend, kind, body, is_streaming)
  local call = exchange.open(backend, kind, body, { stream = is_streaming })
  local status, failure = exchange.head(call)
  if status and (status < 200 or status > 299) then failure = refusal(call, status) end
  if failure then
    exchange.close(call)
    error(failure, 0)
  end
  return call
end

-- An iterator's source over the server's events. The chunk with the finish_reason is kept back
-- until the usage, which comes after it, is there: Dify's last chunk carries both.
local function chunk_source(call, model, started_s)
  local position, index = 0, 0
  local last, usage
  local is_over = false

  local function numbered(chunk)
    chunk.delta.index, index = index, index + 1
    return chunk
  end

  local function finish()
    is_over = true
    exchange.close(call)
    if not last and not usage then return nil end
    last = last or openai.chunk({}, model)
    last.delta.usage = usage
    return numbered(last)
  end

  local function take(event)
    if event.usage then usage = openai.usage(event.usage, clock.now() - started_s) end
    local chunk = openai.chunk(event, model)
    if last then
      openai.append(last, chunk)
    elseif chunk.delta.finish_reason then
      last = chunk
    elseif openai.has_content(chunk) then
      return numbered(chunk)
    end
  end

  local function read()
    while not is_over do
      local piece, failure = exchange.read(call)
      if failure then return nil, failure end
      if not piece and not last then return nil, Stream.truncated(call.backend, position) end
      if not piece or piece == "[DONE]" then return finish() end
      position = position + 1
      local event = json.decode_plain(piece)
      if type(event) ~= "table" then
        return nil, Stream.malformed(call.backend, position, "not a JSON object")
      elseif event.error then
        local fields = openai.error_fields(event)
        fields.backend = call.backend
        return nil,
          Error.new("upstream_error", "the model server ended its answer with an error", fields)
      end
      local problem = openai.event_problem(event)
      if problem then return nil, Stream.malformed(call.backend, position, problem) end
      local chunk = take(event)
      if chunk then return chunk end
    end
  end

  return { read = read, close = function() exchange.close(call) end, collect = result.collect }
end

--- Gives a Stream of LLMResultChunk, or an LLMResult.
function calls.llm(backend, model, body, is_streaming)
  local started_s = clock.now()
  local call = open(backend, "llm", body, is_streaming)
  if is_streaming then
    local chunks = Stream.new(chunk_source(call, model, started_s))
    return chunks
  end
  local answer = json.decode_plain(exchange.whole(call))
  local problem = openai.completion_problem(answer)
  if problem then error(Stream.malformed(backend, 1, problem), 0) end
  local joined = openai.completion(answer, model)
  joined.usage = openai.usage(answer.usage, clock.now() - started_s)
  return joined
end

--- Gives a TextEmbeddingResult.
function calls.text_embedding(backend, call, body)
  local started_s = clock.now()
  local answer = json.decode_plain(exchange.whole(open(backend, "text_embedding", body, false)))
  local vectors = openai.embeddings(answer, #call.texts)
  if not vectors then error(Stream.malformed(backend, 1, "not one vector for each text"), 0) end
  return {
    model = answer.model or call.model_config.model,
    embeddings = vectors,
    usage = openai.embedding_usage(answer.usage, clock.now() - started_s),
  }
end

return calls
