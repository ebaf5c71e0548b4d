-- session.model.llm: chat models. Chunks and results are Dify's LLMResultChunk and LLMResult,
-- whatever backend serves the model; backend/openai.lua translates for OpenAI-compatible servers.
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local llm = {}

--- Asks a chat model; streams unless told otherwise.
---@param call LlmCall
---@return Stream|LLMResult  an iterator of LLMResultChunk, or one result: stream = false
--- Raises Error coded "not_found", "invalid_param", "unsupported", "permission_denied",
--- "upstream_error" (fields upstream_status, upstream_code, upstream_message), "upstream_timeout",
--- "upstream_truncated", "cancelled".
function llm:invoke(call)
  local title = "session.model.llm:invoke"
  check.call(title, llm, self, call, prompt.LLM_RULES)
  local answer = transport.call_model("llm", "llm", call, title)
  return answer
end

return llm
