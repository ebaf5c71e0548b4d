-- Model calls to OpenAI-compatible servers: status, events, the end of a stream. The payloads
-- themselves are translated by backend/openai.lua.
local Error = require "moonhook.error"
local Stream = require "moonhook.session.stream"
local exchange = require "moonhook.session.exchange"
local openai = require "moonhook.backend.openai"
local result = require "moonhook.session.result"
local transport = require "moonhook.session.transport"
local clock = require "host.clock"
local json = require "host.json"
local read_piece, text_chunk = exchange.read, openai.text_chunk

local calls = {}

local function ranking() return require "moonhook.backend.openai_ranking" end

-- The server refused: its words stay in the fields.
local function refusal(call, status)
  local fields = openai.error_fields(json.decode_plain((exchange.read(call)) or ""))
  fields.backend, fields.upstream_status = call.backend, status
  fields.retry_after = exchange.header(call, "retry-after")
  exchange.close(call)
  return Error.new("upstream_error", "the model server answered with status " .. status, fields)
end

-- Opens a call and waits for its status; raises unless it is a success.
local function open(backend, kind, body, options)
  local call = exchange.open(backend, kind, body, options or {})
  local status, failure = exchange.head(call)
  if status and (status < 200 or status > 299) then failure = refusal(call, status) end
  if failure then
    exchange.close(call)
    error(failure, 0)
  end
  return call
end

local function ask(backend, kind, request, title)
  local call = open(backend, kind, transport.encode(title, request))
  return json.decode_plain(exchange.whole(call))
end

local MAX_TRIALS = 3 -- of one stream; some servers change more than the text with each event

-- The events of a stream mostly differ in their text alone. What is kept of an event that says
-- nothing else is where that text stands: another event that is the same around it says the same,
-- and only its text is read. The place is tried out: with another text there the event has to have
-- that text.
local function likeness(call, like, piece, event, chunk)
  local content = chunk.delta.message.content
  local trials = like and like.trials or 0
  if trials == MAX_TRIALS or content == "" or not openai.is_text_alone(event, chunk) then
    return like
  end
  local _, before = piece:find('"content": ?"')
  local is_there = false
  if before and piece:find("\\", before, true) then return like end -- perhaps the next one
  if before and piece:sub(before + 1, before + #content + 1) == content .. '"' then
    local other = content .. "." -- whatever it is, another one
    local changed = piece:sub(1, before) .. other .. piece:sub(before + #content + 1)
    local probe = json.decode_plain(changed)
    is_there = probe and probe.choices[1].delta.content == other
  end
  if is_there then
    exchange.expect(call, piece, before + 1, before + #content)
  else
    exchange.expect(call)
  end
  return {
    trials = trials + 1, model = chunk.model, system_fingerprint = chunk.system_fingerprint,
  }
end

-- An iterator's source over the server's events, and the call that they come by. The chunk with the
-- finish_reason is kept back until the usage, which comes after it, is there: Dify's last chunk
-- carries both. Many streams are silent for long: one table has less to hold than closures would.
local Chunks = { collect = result.collect, close = exchange.close }
Chunks.__index = Chunks

local function chunk_source(call, model, started_s)
  return setmetatable({
    handle = call.handle, backend = call.backend, model = model, started_s = started_s,
    position = 0, index = 0,
    like = false, -- see likeness
    rest = false, -- { last, usage }: what came of the two
  }, Chunks)
end

local function numbered(self, chunk)
  chunk.delta.index, self.index = self.index, self.index + 1
  return chunk
end

local function finish(self)
  local rest = self.rest
  exchange.close(self)
  if not rest then return nil end
  if rest.usage then exchange.used(self.backend, rest.usage) end
  local last = rest.last or openai.chunk({}, self.model)
  last.delta.usage = rest.usage
  return numbered(self, last)
end

local function take(self, event, piece)
  local rest = self.rest
  if event.usage then
    rest = rest or {}
    rest.usage, self.rest = openai.usage(event.usage, clock.now() - self.started_s), rest
  end
  local chunk = openai.chunk(event, self.model)
  if rest and rest.last then
    openai.append(rest.last, chunk)
    return
  end
  self.like = likeness(self, self.like, piece, event, chunk)
  if chunk.delta.finish_reason then
    rest = rest or {}
    rest.last, self.rest = chunk, rest
    exchange.expect(self) -- what comes now is added to it
  elseif openai.has_content(chunk) then
    return numbered(self, chunk)
  end
end

function Chunks:read()
  while self.handle do -- until `finish`
    local piece, is_like = read_piece(self)
    if piece and is_like then
      local index = self.index
      self.position, self.index = self.position + 1, index + 1
      return text_chunk(piece, index, self.like)
    end
    if is_like then return nil, is_like end -- the failure
    local position = self.position
    if not piece and not (self.rest and self.rest.last) then
      return nil, Stream.truncated(self.backend, position)
    end
    if not piece or piece == "[DONE]" then return finish(self) end
    position = position + 1
    self.position = position
    local event = json.decode_plain(piece)
    if type(event) ~= "table" then
      return nil, Stream.malformed(self.backend, position, "not a JSON object")
    elseif event.error then
      local fields = openai.error_fields(event)
      fields.backend = self.backend
      return nil,
        Error.new("upstream_error", "the model server ended its answer with an error", fields)
    end
    local problem = openai.event_problem(event)
    if problem then return nil, Stream.malformed(self.backend, position, problem) end
    local chunk = take(self, event, piece)
    if chunk then return chunk end
  end
end

-- ---- chat models --------------------------------------------------------------------------------

local function stream_llm(backend, call, title)
  local started_s, body = clock.now(), transport.encode(title, openai.chat_request(call))
  local exchanged = open(backend, "llm", body, { stream = true })
  return chunk_source(exchanged, call.model_config.model, started_s)
end

local function ask_llm(backend, call, title, kind)
  local started_s = clock.now()
  local answer = ask(backend, kind or "llm", openai.chat_request(call), title)
  local problem = openai.completion_problem(answer)
  if problem then error(Stream.malformed(backend, 1, problem), 0) end
  local joined = openai.completion(answer, call.model_config.model)
  joined.usage = openai.usage(answer.usage, clock.now() - started_s)
  exchange.used(backend, joined.usage)
  return joined
end

--- Gives a Stream of LLMResultChunk, or an LLMResult.
function calls.llm(backend, call, title)
  if call.stream == false then return ask_llm(backend, call, title) end
  local chunks = Stream.new(stream_llm(backend, call, title))
  return chunks
end

--- The same with `structured_output`, in the last chunk and in the result.
function calls.llm_structured_output(backend, call, title)
  local structured = require "moonhook.session.structured"
  local changed = structured.as_llm_call(call)
  if call.stream == false then
    return structured.complete(ask_llm(backend, changed, title), backend)
  end
  local chunks = Stream.new(structured.source(stream_llm(backend, changed, title), backend))
  return chunks
end

local SUMMARIZE = "Summarize the user's text in its own language. Keep what matters, leave out the "
  .. "rest, add nothing, and answer with the summary alone."

--- Gives the shortened text, by a chat model.
function calls.summary(backend, call, title)
  local instruction = call.instruction == "" and SUMMARIZE or SUMMARIZE .. "\n" .. call.instruction
  local answer = ask_llm(backend, {
    model_config = { provider = backend, model = call.model },
    prompt_messages = {
      { role = "system", content = instruction }, { role = "user", content = call.text },
    },
    user = call.user,
    stream = false,
  }, title, "summary")
  local text = answer.message.content
  if type(text) ~= "string" or text == "" then
    error(Stream.malformed(backend, 1, "a summary without text"), 0)
  end
  return text
end

-- ---- vectors, order, judgement ------------------------------------------------------------------

--- Gives a TextEmbeddingResult.
function calls.text_embedding(backend, call, title)
  local started_s = clock.now()
  local answer = ask(backend, "text_embedding", openai.embedding_request(call), title)
  local vectors = openai.embeddings(answer, #call.texts)
  if not vectors then error(Stream.malformed(backend, 1, "not one vector for each text"), 0) end
  local usage = openai.embedding_usage(answer.usage, clock.now() - started_s)
  exchange.used(backend, usage)
  return {
    model = type(answer.model) == "string" and answer.model or call.model_config.model,
    embeddings = vectors,
    usage = usage,
  }
end

-- Their shapes have no place for images.
local function texts_of(documents, path)
  local texts = {}
  for i, document in ipairs(documents) do
    if document.content_type ~= "text" then
      error(Error.new("unsupported", "an image cannot be sent there to an OpenAI-compatible server",
        { param = path }), 0)
    end
    texts[i] = document.content
  end
  return texts
end

function calls.multimodal_embedding(backend, call, title)
  return calls.text_embedding(backend, {
    model_config = call.model_config,
    texts = texts_of(call.documents, "documents"),
    user = call.user,
  }, title)
end

local function rerank(backend, call, query, docs, title)
  local answer = ask(backend, "rerank", ranking().rerank_request(call, query, docs), title)
  local ranked = ranking().reranked(answer, call, docs)
  if not ranked then
    error(Stream.malformed(backend, 1, "not an index and a score for each result"), 0)
  end
  return ranked
end

function calls.rerank(backend, call, title)
  return rerank(backend, call, call.query, call.docs, title)
end

function calls.multimodal_rerank(backend, call, title)
  local query = texts_of({ call.query }, "query")[1]
  return rerank(backend, call, query, texts_of(call.docs, "docs"), title)
end

function calls.moderation(backend, call, title)
  local answer = ask(backend, "moderation", ranking().moderation_request(call), title)
  local is_flagged = ranking().is_flagged(answer)
  if is_flagged == nil then
    error(Stream.malformed(backend, 1, "no result that says whether it is flagged"), 0)
  end
  return is_flagged
end

-- ---- sound --------------------------------------------------------------------------------------

local function sound_source(call)
  local has_sound = false
  local function read()
    local piece, failure = exchange.read(call)
    if piece then
      has_sound = true
      return piece
    end
    if not failure and not has_sound then failure = Stream.truncated(call.backend, 0) end
    return nil, failure
  end
  local function collect(pieces)
    local joined = {}
    for piece in pieces do joined[#joined + 1] = piece end
    return table.concat(joined)
  end
  return { read = read, close = function() exchange.close(call) end, collect = collect }
end

--- Gives a Stream of the sound's bytes.
function calls.tts(backend, call, title)
  local request = require("moonhook.backend.openai_audio").speech_request(call)
  local exchanged = open(backend, "tts", transport.encode(title, request), { stream = true })
  local sound = Stream.new(sound_source(exchanged))
  return sound
end

function calls.speech2text(backend, call)
  local audio, bytes = require "moonhook.backend.openai_audio", require "host.bytes"
  local boundary = "moonhook-" .. bytes.hex(bytes.random(16))
  local body, content_type = audio.transcription_form(call, boundary)
  local exchanged = open(backend, "speech2text", body, { content_type = content_type })
  local text = audio.transcript(json.decode_plain(exchange.whole(exchanged)))
  if not text then error(Stream.malformed(backend, 1, "no text"), 0) end
  return text
end

return calls
