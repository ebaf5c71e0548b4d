-- The model `local/demo`: answers by rules, without any learned weights, so that a host without
-- configuration has somebody to talk to and specs have a model that always says the same. It reads
-- the conversation here, decides what kind of answer it asks for, and streams it in tokens. What it
-- says is in demo_replies.lua, how it calls tools and keeps to schemas in demo_tools.lua.
local clock = require "host.clock"
local coroutines = require "moonhook.coroutines"
local json = require "host.json"
local result = require "moonhook.session.result"
local reverse = require "host.reverse"
local timer = require "host.timer"
local WAIT = require("host.task").WAIT

local demo = {}

local MAX_READ_BYTES = 4000
local MAX_SENTENCE_BYTES = 300

-- ---- tokens -------------------------------------------------------------------------------------

-- A token is a word, a mark or one character of another script, with the space before it.
local TOKENS = { "^%s*[%w_']+", "^%s*[\194-\244][\128-\191]*", "^%s*%S" }

--- Cuts a text into tokens; joined they give the text again.
function demo.tokens(text)
  local tokens, at = {}, 1
  while at <= #text do
    local last
    for _, pattern in ipairs(TOKENS) do
      last = last or select(2, text:find(pattern, at))
    end
    if not last then
      tokens[math.max(#tokens, 1)] = (tokens[#tokens] or "") .. text:sub(at) -- only spaces are left
      break
    end
    tokens[#tokens + 1], at = text:sub(at, last), last + 1
  end
  return tokens
end

--- The number of tokens, without making them.
function demo.count(text)
  local _, words = text:gsub("[%w_']+", "")
  local _, others = text:gsub("[^%w_'%s\128-\191]", "")
  return words + others
end

-- ---- the conversation ---------------------------------------------------------------------------

local function text_of(message)
  local content = message.content
  if type(content) ~= "table" then return content or "" end
  local texts = {}
  for _, part in ipairs(content) do
    if part.type == "text" then texts[#texts + 1] = part.data end
  end
  return table.concat(texts, "\n")
end

-- What the rules look at: the beginning of a text, cut between two characters.
local function beginning_of(text)
  if #text <= MAX_READ_BYTES then return text end
  return (text:sub(1, MAX_READ_BYTES):gsub("[\192-\244]?[\128-\191]*$", ""))
end

local function has_media(message)
  for _, part in ipairs(type(message.content) == "table" and message.content or {}) do
    if part.type ~= "text" then return true end
  end
  return false
end

local NAME_PHRASES = {
  "my name is ", "my name's ", "call me ", "i am called ", "i'm called ", "我叫", "我的名字是",
  "ich heiße ", "je m'appelle ", "me llamo ", "mi nombre es ", "meu nome é ", "mi chiamo ",
}
local NO_NAMES = { what = true, who = true, ["not"] = true }

-- Trims a told value: "Ada, and you?" -> "Ada".
local function told_value(text)
  local value = text:match("^[^.!?,;\n]*"):gsub("，.*", ""):gsub("。.*", ""):gsub("%s+and%s+.*", "")
  value = value:gsub("^%s+", ""):gsub("%s+$", "")
  if value ~= "" and #value <= 80 and not NO_NAMES[value:lower()] then return value end
end

-- What one sentence tells about its speaker: a subject and a value, or nil.
function demo.fact_in(sentence)
  local lowered = sentence:lower()
  local is_question = lowered:find "%?%s*$" or lowered:find "？"
  if #sentence > MAX_SENTENCE_BYTES or is_question then return nil end
  for _, phrase in ipairs(NAME_PHRASES) do
    local _, last = lowered:find(phrase, 1, true)
    if last then return "name", told_value(sentence:sub(last + 1)) end
  end
  local capitalised = sentence:match "^%s*I[' a]+m (%u%l+)%s*[.!]*%s*$"
  if capitalised then return "name", capitalised end
  local subject, at = lowered:match "%f[%w]my ([%w ]-) is ()"
  if not subject then subject, at = lowered:match "%f[%w]my ([%w ]-) are ()" end
  if subject and not lowered:find "^%s*wh" and #subject <= 40 then
    return subject, told_value(sentence:sub(at))
  end
  at = lowered:match "%f[%w]i live in ()"
  if at then return "home", told_value(sentence:sub(at)) end
  at = lowered:match "^%s*remember:?%s+that ()" or lowered:match "^%s*remember: ()"
  if at then return "note", told_value(sentence:sub(at)) end
end

function demo.sentences_of(text)
  local list = {}
  for sentence in (text .. "\n"):gmatch "[^.!?\n]+[.!?]*" do
    if sentence:find "%S" then list[#list + 1] = sentence end
  end
  return list
end

-- Everything the user told so far; the last word counts.
local function facts_of(messages)
  local facts = { order = {} }
  for _, message in ipairs(messages) do
    local text = message.role == "user" and beginning_of(text_of(message)) or ""
    for _, sentence in ipairs(demo.sentences_of(text)) do
      local subject, value = demo.fact_in(sentence)
      if subject and value then
        if not facts[subject] then table.insert(facts.order, subject) end
        facts[subject] = value
      end
    end
  end
  return facts
end

-- What matters of a conversation: the last user message, the persona that the system prompt gives,
-- the facts, the results of tools since.
local function read_messages(messages)
  local talk, call_names = { text = "", results = {}, facts = facts_of(messages) }, {}
  for _, message in ipairs(messages) do
    if message.role == "user" then
      talk.text, talk.has_media = beginning_of(text_of(message)), has_media(message)
      talk.results = {}
    elseif message.role == "tool" then
      local name = call_names[message.tool_call_id] or message.name
      table.insert(talk.results, { text = text_of(message), name = name ~= "" and name or nil })
    elseif message.role == "system" then
      talk.persona = text_of(message):match "[Yy]ou are (%u[%w\128-\255]*)" or talk.persona
    end
    for _, call in ipairs(message.tool_calls or {}) do
      call_names[call.id or ""] = call["function"].name
    end
  end
  return talk
end

-- ---- answering ----------------------------------------------------------------------------------

--- A number below 2^31 for a text, the same everywhere.
function demo.hash(text)
  local sum = 7
  for i = 1, #text do sum = (sum * 131 + text:byte(i)) % 2147483647 end
  return sum
end

local function compose(request, talk)
  local replies = require "moonhook.backend.demo_replies"
  if #talk.results > 0 then return { text = replies.after_tools(talk) } end
  local tools = require "moonhook.backend.demo_tools"
  local calls = tools.calls(request, talk)
  if calls then return { text = "", tool_calls = calls } end
  local schema = tools.response_schema(request.completion_params or {})
  if not schema then return { text = replies.reply(talk) } end
  return { text = tools.fill(schema, talk, true, function() return replies.reply(talk) end) }
end

-- Cuts at the first stop string, then at max_tokens; gives the tokens and the finish_reason.
local function limit(text, request)
  local params = request.completion_params or {}
  local stops, cut = request.stop or params.stop, nil
  for _, stop in ipairs(type(stops) == "table" and stops or { stops }) do
    local at = type(stop) == "string" and stop ~= "" and text:find(stop, 1, true)
    if at and (not cut or at < cut) then cut = at end
  end
  local tokens = demo.tokens(cut and text:sub(1, cut - 1) or text)
  local most = tonumber(params.max_tokens or params.max_completion_tokens)
  if not most or #tokens <= most then return tokens, "stop" end
  local kept = {}
  for i = 1, math.max(0, math.floor(most)) do kept[i] = tokens[i] end
  return kept, "length"
end

-- ---- streaming ----------------------------------------------------------------------------------

local function sleep(ms)
  local ok, code, message = timer.start(ms)
  if ok == WAIT then
    ok, code, message = coroutines.wait()
  end
  if not ok then error(require("moonhook.error").new(code or "cancelled", message), 0) end
end

local function prompt_tokens(request)
  local count = 0
  for _, message in ipairs(request.prompt_messages) do
    count = count + demo.count(text_of(message)) + 1
  end
  for _, tool in ipairs(request.tools or {}) do
    count = count + demo.count(tool.name .. " " .. (tool.description or ""))
  end
  return count
end

-- The messages that carry the answer, one for each step of the stream.
local function steps_of(tokens, calls)
  local steps = {}
  for i, token in ipairs(tokens) do steps[i] = { content = token } end
  for i, call in ipairs(calls or {}) do
    local first = true
    for _, piece in ipairs(demo.tokens(call.arguments)) do
      local fragment = {
        index = i - 1,
        id = first and call.id or "",
        type = first and "function" or "",
        ["function"] = { name = first and call.name or "", arguments = piece },
      }
      steps[#steps + 1], first = { content = "", tool_calls = { fragment } }, false
    end
  end
  return steps
end

local function whole_message(tokens, calls)
  local message = { role = "assistant", content = table.concat(tokens), tool_calls = json.array {} }
  for i, call in ipairs(calls or {}) do
    local target = { name = call.name, arguments = call.arguments }
    message.tool_calls[i] = { id = call.id, type = "function", ["function"] = target }
  end
  return message
end

--- Answers as a model: gives an iterator of LLMResultChunk tables, one per token, the last with the
--- usage and the finish_reason ("stop", "length", "tool_calls").
---@param request LlmRequest  Dify's: prompt_messages, tools, stop, completion_params, stream ...
function demo.chat(request)
  local started_s = clock.now()
  local pause_ms, seed = reverse.demo()
  local params = request.completion_params or {}
  seed = tonumber(params.seed) or seed or 0
  local talk = read_messages(request.prompt_messages)
  talk.seed = demo.hash(("%s %d %s"):format(seed, #request.prompt_messages, talk.text))
  talk.pause = function() sleep(0) end -- lets others run during a long search
  local answer = compose(request, talk)
  local tokens, finish_reason = limit(answer.text, request)
  if answer.tool_calls then finish_reason = "tool_calls" end

  local completion_tokens = #tokens
  for _, call in ipairs(answer.tool_calls or {}) do
    completion_tokens = completion_tokens + demo.count(call.name) + demo.count(call.arguments)
  end
  local is_streaming = request.stream ~= false
  local steps = is_streaming and steps_of(tokens, answer.tool_calls) or {}
  local index = 0

  local function chunk_of(message)
    index = index + 1
    message.role, message.tool_calls = "assistant", message.tool_calls or json.array {}
    local delta = { index = index - 1, message = message }
    return { model = "demo", prompt_messages = json.array {}, delta = delta }
  end

  return function()
    if index > #steps then return nil end
    if index > 0 and pause_ms > 0 and index < #steps then sleep(pause_ms) end
    if index < #steps then return chunk_of(steps[index + 1]) end
    local message = is_streaming and { content = "" } or whole_message(tokens, answer.tool_calls)
    local last = chunk_of(message)
    local latency_s = math.max(0, clock.now() - started_s)
    last.delta.finish_reason = finish_reason
    last.delta.usage = result.usage(prompt_tokens(request), completion_tokens, latency_s)
    return last
  end
end

--- Embeds texts; gives a TextEmbeddingResult.
function demo.embed(texts)
  local embedding = require "moonhook.backend.embedding"
  local started_s, tokens, vectors = clock.now(), 0, {}
  for i, text in ipairs(texts) do
    vectors[i], tokens = embedding.embed(text), tokens + demo.count(text)
    if i % 16 == 0 then sleep(0) end
  end
  return {
    model = "demo-embedding",
    embeddings = json.array(vectors),
    usage = result.embedding_usage(tokens, tokens, math.max(0, clock.now() - started_s)),
  }
end

return demo
