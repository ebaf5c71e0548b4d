-- session.workflow_node: two of Dify's workflow nodes as plain calls.
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local prompt = require "moonhook.session.prompt"
local transport = require "moonhook.session.transport"
local expected = check.expected

local extractor, classifier = {}, {}

local is_parameter_type = check.one_of("string", "number", "bool", "select", "array[string]",
  "array[number]", "array[object]")

local function parameters_problem(parameters, path)
  if #parameters == 0 then return path .. ": expected at least one parameter, got none" end
  for i, parameter in ipairs(parameters) do
    local at = ("%s[%d]"):format(path, i)
    if type(parameter) ~= "table" then
      return expected(at, "a table { name, type, description, required }", parameter)
    end
    local problem = prompt.a_string(parameter.name, at .. ".name")
      or is_parameter_type(parameter.type, at .. ".type")
    if not problem and parameter.options ~= nil and type(parameter.options) ~= "table" then
      problem = expected(at .. ".options", "an array of strings", parameter.options)
    end
    if problem then return problem end
  end
end

local function classes_problem(classes, path)
  if #classes == 0 then return path .. ": expected at least one class, got none" end
  for i, class in ipairs(classes) do
    local at = ("%s[%d]"):format(path, i)
    if type(class) ~= "table" then return expected(at, "a table { id, name }", class) end
    local problem = prompt.a_string(class.id, at .. ".id")
      or prompt.a_string(class.name, at .. ".name")
    if problem then return problem end
  end
end

-- A node's model has a `name` where others have `model`.
local function model_problem(model, path)
  local problem = prompt.a_string(model.provider, path .. ".provider")
  if not problem and type(model.name) ~= "string" then
    problem = expected(path .. ".name", "a string", model.name)
      .. (model.model and " (a node's model has its name as `name`)" or "")
  end
  return problem
end

local MODEL = {
  name = "model", kind = "table", required = true, what = "a table { provider, name }",
  test = model_problem,
}
local QUERY = { name = "query", kind = "string", required = true }
local INSTRUCTION = { name = "instruction", kind = "string" }
local EXTRACTOR_RULES = {
  { name = "parameters", kind = "list", required = true, what = "an array of parameters",
    test = parameters_problem },
  MODEL, QUERY, INSTRUCTION, prompt.USER,
}
local CLASSIFIER_RULES = {
  { name = "classes", kind = "list", required = true, what = "an array of { id, name }",
    test = classes_problem },
  MODEL, QUERY, INSTRUCTION, prompt.USER,
}

local function invoke(title, kind, call)
  local backend, backend_type = catalogue.of_provider(call.model.provider, kind)
  local model, request = {}, {}
  for name, value in pairs(call.model) do model[name] = value end
  model.mode, model.completion_params = model.mode or "chat", model.completion_params or {}
  for name, value in pairs(call) do request[name] = value end
  request.model, request.instruction = model, call.instruction or ""
  local answer = transport.call(backend, backend_type, kind, request, title)
  return answer
end

--- Finds the values of parameters in a text.
---@param call ExtractorCall
---@return NodeResult  the values are in `outputs`
--- Raises Error with the codes of session.tool:invoke.
function extractor:invoke(call)
  local title = "session.workflow_node.parameter_extractor:invoke"
  check.call(title, extractor, self, call, EXTRACTOR_RULES)
  local answer = invoke(title, "parameter_extractor", call)
  return answer
end

--- Finds the class that a text belongs to.
---@param call ClassifierCall
---@return NodeResult  the class is in `outputs`
--- Raises Error with the codes of session.tool:invoke.
function classifier:invoke(call)
  local title = "session.workflow_node.question_classifier:invoke"
  check.call(title, classifier, self, call, CLASSIFIER_RULES)
  local answer = invoke(title, "question_classifier", call)
  return answer
end

return { parameter_extractor = extractor, question_classifier = classifier }
