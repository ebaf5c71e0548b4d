-- The last step of every session call: hands it to the functions for the backend's type. Each of
-- these modules has a function per kind that it carries, taking (backend, call, title) and giving
-- what the session method gives. A kind without a function is one that the type does not carry.
local Error = require "moonhook.error"
local catalogue = require "moonhook.session.catalogue"

local transport = {}

local MODULES = {
  openai = "moonhook.session.openai",
  dify = "moonhook.session.dify",
  ["dify-service"] = "moonhook.session.dify_service",
  ["local"] = "moonhook.session.local_backend",
}

local function unsupported(backend, backend_type, kind)
  local text = backend == backend_type and "the backend '%s' does not carry '%s' calls"
    or "the backend '%s' of type " .. backend_type .. " does not carry '%s' calls"
  return Error.new("unsupported", text:format(backend, kind), { backend = backend, kind = kind })
end

--- Makes the call; raises "unsupported" when the backend's type does not carry the kind.
---@param kind string  "app_chat", "llm", "tts" ...
---@param call table  what the plugin gave, checked
---@param title string  the method's name, for messages about what cannot be sent
function transport.call(backend, backend_type, kind, call, title)
  local carry = require(MODULES[backend_type])[kind]
  if not carry then error(unsupported(backend, backend_type, kind), 0) end
  return carry(backend, call, title)
end

--- Makes a call of a model: the backend is the one that has call.model_config's model.
---@param model_type string  "llm", "rerank" ...
function transport.call_model(model_type, kind, call, title)
  local config = call.model_config
  local backend, backend_type = catalogue.of_model(config.provider, config.model, model_type)
  return transport.call(backend, backend_type, kind, call, title)
end

--- A request as JSON text; what cannot be said in JSON is raised at the plugin's line.
function transport.encode(title, request)
  local body, problem = require("host.json").encode(request)
  if not body then Error.blame(title .. ": " .. problem) end
  return body
end

return transport
