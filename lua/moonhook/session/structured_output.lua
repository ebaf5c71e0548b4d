-- session.model.llm_structured_output: a chat model whose answer is a value that keeps to a JSON
-- schema.
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"

local structured_output = {}

local RULES = {
  { name = "structured_output_schema", kind = "table", required = true,
    what = "a JSON schema as a table" },
}
for _, rule in ipairs(prompt.LLM_RULES) do RULES[#RULES + 1] = rule end

--- Asks a chat model for a value that keeps to a schema; streams unless told otherwise.
---@param call StructuredCall
---@return Stream|StructuredResult  chunks, of which the last has the value; or one result
--- Raises Error with the codes of session.model.llm:invoke; "upstream_error" also when the answer
--- is not JSON.
function structured_output:invoke(call)
  local title = "session.model.llm_structured_output:invoke"
  check.call(title, structured_output, self, call, RULES)
  local answer = transport.call_model("llm", "llm_structured_output", call, title)
  return answer
end

return structured_output
