-- Between Dify's rerank and moderation calls and those of model servers: /rerank in its common
-- shape (Cohere's, Jina's, vLLM's), OpenAI's /moderations. Pure functions.
local json = require "host.json"

local ranking = {}

local function copy_of(params)
  local copy = {}
  for name, value in pairs(params or {}) do copy[name] = value end
  return copy
end

--- The body of POST /rerank.
---@param docs string[]
function ranking.rerank_request(call, query, docs)
  local config = call.model_config
  local request = copy_of(config.completion_params)
  request.model, request.query, request.documents = config.model, query, docs
  request.top_n, request.return_documents = config.top_n, false
  return request
end

--- The answer of /rerank as Dify's RerankResult, the best first; nil when it is not one.
function ranking.reranked(answer, call, docs)
  local config = call.model_config
  local results = type(answer) == "table" and (answer.results or answer.data)
  if type(results) ~= "table" then return nil end
  local kept, seen = {}, {}
  for _, item in ipairs(results) do
    local index = type(item) == "table" and item.index
    local score = type(item) == "table" and (item.relevance_score or item.score)
    if type(index) ~= "number" or type(score) ~= "number" or not docs[index + 1] or seen[index] then
      return nil
    end
    seen[index] = true
    if score >= (config.score_threshold or -math.huge) then
      kept[#kept + 1] = { index = index, text = docs[index + 1], score = score }
    end
  end
  table.sort(kept, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.index < b.index
  end)
  for i = #kept, (config.top_n or #kept) + 1, -1 do kept[i] = nil end
  local model = type(answer.model) == "string" and answer.model or config.model
  return { model = model, docs = json.array(kept) }
end

--- The body of POST /moderations.
function ranking.moderation_request(call)
  local request = copy_of(call.model_config.completion_params)
  request.model, request.input = call.model_config.model, call.text
  return request
end

--- Whether a moderation flags its text; nil when the answer does not say.
---@return boolean?
function ranking.is_flagged(answer)
  local results = type(answer) == "table" and answer.results
  if type(results) ~= "table" or #results == 0 then return nil end
  local is_flagged = false
  for _, item in ipairs(results) do
    if type(item) ~= "table" or type(item.flagged) ~= "boolean" then return nil end
    is_flagged = is_flagged or item.flagged
  end
  return is_flagged
end

return ranking
