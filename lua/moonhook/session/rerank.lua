-- session.model.rerank: puts documents in the order of their nearness to a question, in Dify's
-- RerankResult.
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local rerank = {}

local function config_problem(config, path)
  local problem = prompt.model_config(config, path)
  for _, name in ipairs { "score_threshold", "top_n" } do
    local value = config[name]
    if not problem and value ~= nil and type(value) ~= "number" then
      problem = check.expected(path .. "." .. name, "a number", value)
    end
  end
  return problem
end

local MODEL_CONFIG = {
  name = "model_config", kind = "table", required = true, test = config_problem,
  what = "a table { provider, model, score_threshold, top_n }",
}
local RULES = {
  MODEL_CONFIG,
  { name = "docs", kind = "list", required = true, what = "an array of strings",
    test = prompt.texts },
  { name = "query", kind = "string", required = true }, prompt.USER,
}
local MULTIMODAL_RULES = {
  MODEL_CONFIG,
  { name = "query", kind = "table", required = true, what = "a table { content, content_type }",
    test = prompt.document },
  { name = "docs", kind = "list", required = true, what = "an array of { content, content_type }",
    test = prompt.documents },
  prompt.USER,
}

--- Gives the texts that fit a question, the best first: those with at least the model_config's
--- score_threshold, and at most its top_n.
---@param call RerankCall
---@return RerankResult
--- Raises Error with the codes of session.model.llm:invoke.
function rerank:invoke(call)
  local title = "session.model.rerank:invoke"
  check.call(title, rerank, self, call, RULES)
  local answer = transport.call_model("rerank", "rerank", call, title)
  return answer
end

--- The same with texts and images.
---@param call MultimodalRerankCall
---@return RerankResult
--- Raises Error with the codes of session.model.llm:invoke.
function rerank:invoke_multimodal(call)
  local title = "session.model.rerank:invoke_multimodal"
  check.call(title, rerank, self, call, MULTIMODAL_RULES)
  local answer = transport.call_model("rerank", "multimodal_rerank", call, title)
  return answer
end

return rerank
