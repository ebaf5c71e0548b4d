-- session.model: calls to models, one file per type of model, loaded when first used.
local MODULES = { llm = "moonhook.session.llm", text_embedding = "moonhook.session.embedding" }

local model = {}

--- The models that the configured backends declare, `local` included.
---@param model_type? "llm"|"text-embedding"  nil: all
---@return { provider: string, model: string, model_type: string }[]
function model:list(model_type)
  local problem
  if self ~= model then
    problem = "called with '.', expected ':' before the last name"
  elseif model_type ~= nil and type(model_type) ~= "string" then
    problem = require("moonhook.session.check").expected("model_type", "a string", model_type)
  end
  if problem then require("moonhook.error").blame("session.model:list: " .. problem) end
  return require("moonhook.session.catalogue").models(model_type)
end

return setmetatable(model, {
  __index = function(_, name)
    local namespace = MODULES[name] and require(MODULES[name])
    rawset(model, name, namespace)
    return namespace
  end,
})
