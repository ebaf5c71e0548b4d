-- The models of the backend `local`. All are rules, none has learned anything: the chat model is
-- backend/demo.lua, the others are made of its hashed vectors and of a list of words.
local coroutines = require "moonhook.coroutines"
local embedding = require "moonhook.backend.embedding"
local json = require "host.json"

local MAX_SUMMARY_SENTENCES = 6
local SUMMARY_SHARE = 0.25 -- of the text's sentences

local IDEOGRAPHIC_STOP = "\227\128\130"

local yield = coroutines.public.yield

local models = {}

function models.llm(request)
  for chunk in require("moonhook.backend.demo").chat(request) do
    chunk.system_fingerprint = json.null
    chunk.delta.usage = chunk.delta.usage or json.null
    chunk.delta.finish_reason = chunk.delta.finish_reason or json.null
    yield(json.must_encode(chunk))
  end
end

function models.text_embedding(request)
  yield(json.must_encode(require("moonhook.backend.demo").embed(request.texts)))
end

-- ---- nearness -----------------------------------------------------------------------------------

--- Scores are cosines of the vectors, from 0 to 1.
function models.rerank(request)
  local vectors = require("moonhook.backend.demo").embed(request.docs).embeddings
  local question, kept = embedding.embed(request.query), {}
  for i, vector in ipairs(vectors) do
    local score = math.max(0, math.min(1, embedding.similarity(question, vector)))
    if score >= (request.score_threshold or 0) then
      kept[#kept + 1] = { index = i - 1, text = request.docs[i], score = score }
    end
  end
  table.sort(kept, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.index < b.index
  end)
  for i = #kept, (request.top_n or #kept) + 1, -1 do kept[i] = nil end
  yield(json.must_encode { model = "demo-rerank", docs = json.array(kept) })
end

-- A text ends a sentence with a mark and a space, or with an empty line.
local function sentences_of(text)
  local sentences = {}
  text = text:gsub("\r\n", "\n"):gsub("\n%s*\n", "\0")
  text = text:gsub("([.!?]+[\"')]*)%s+", "%1\0"):gsub(IDEOGRAPHIC_STOP, "%0\0")
  for sentence in text:gmatch "%Z+" do
    sentence = sentence:gsub("%s+", " "):match "^%s*(.-)%s*$"
    if sentence ~= "" then sentences[#sentences + 1] = sentence end
  end
  return sentences
end

--- The sentences that are nearest to the whole text, in its own order. With an instruction also
--- those near to what it names.
function models.summary(request)
  local sentences = sentences_of(request.text)
  local count = math.min(MAX_SUMMARY_SENTENCES, math.ceil(#sentences * SUMMARY_SHARE))
  local whole = embedding.embed(request.text .. " " .. (request.instruction or ""))
  local ranked, chosen, kept = {}, {}, {}
  local vectors = require("moonhook.backend.demo").embed(sentences).embeddings
  for i, vector in ipairs(vectors) do ranked[i] = { i, embedding.similarity(whole, vector) } end
  table.sort(ranked, function(a, b)
    if a[2] ~= b[2] then return a[2] > b[2] end
    return a[1] < b[1]
  end)
  for i = 1, count do chosen[ranked[i][1]] = true end
  for i, sentence in ipairs(sentences) do
    if chosen[i] then kept[#kept + 1] = sentence end
  end
  yield(json.must_encode { summary = table.concat(kept, " ") })
end

-- ---- judgement ----------------------------------------------------------------------------------

-- Threats and calls to harm; enough to try a moderated plugin, nothing more.
local PHRASES = {
  "kill you", "kill myself", "kill yourself", "kill them", "kill him", "kill her", "hurt you",
  "hurt myself", "shoot you", "stab you", "beat you up", "bomb", "suicide", "murder",
  "i will find you", "deserve to die",
}

function models.moderation(request)
  local text, is_flagged = " " .. request.text:lower():gsub("[^%w]+", " ") .. " ", false
  for _, phrase in ipairs(PHRASES) do
    is_flagged = is_flagged or text:find(" " .. phrase .. " ", 1, true) ~= nil
  end
  yield(json.must_encode { result = is_flagged })
end

return models
