-- session.model: calls to models, loaded when first used.
local MODULES = {
  llm = "moonhook.session.llm",
  llm_structured_output = "moonhook.session.structured_output",
  text_embedding = "moonhook.session.embedding",
  rerank = "moonhook.session.rerank",
}
local SHARED = { -- two in one file
  tts = "moonhook.session.audio",
  speech2text = "moonhook.session.audio",
  moderation = "moonhook.session.judge",
  summary = "moonhook.session.judge",
}

local model = {}

local function unknown(name)
  if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
  local names = { "list" }
  for _, known in ipairs { MODULES, SHARED } do
    for kind in pairs(known) do names[#names + 1] = kind end
  end
  table.sort(names)
  local near = require("moonhook.session.check").nearest(name, names)
  require("moonhook.error").blame(("session.model.%s: there is no such kind of model%s"):format(
    name, near and ", did you mean '" .. near .. "'?" or "; it has " .. table.concat(names, ", ")))
end

--- The models that the configured backends declare, `local` included.
---@param model_type? "llm"|"text-embedding"|"rerank"|"tts"|"speech2text"|"moderation"  nil: all
---@return ListedModel[]
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
    local namespace
    if MODULES[name] then
      namespace = require(MODULES[name])
    elseif SHARED[name] then
      namespace = require(SHARED[name])[name]
    else
      return unknown(name)
    end
    rawset(model, name, namespace)
    return namespace
  end,
})
