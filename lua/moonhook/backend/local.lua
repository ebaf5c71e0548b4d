-- The backend `local`: apps declared in the configuration, and the demo models. Runs in a state of
-- its own, one task per call; what it yields are the pieces of the call's stream, JSON texts in
-- Dify's shapes. Failures are raised as Errors.
local Error = require "moonhook.error"
local json = require "host.json"

local MODULES = { -- each returns a table of functions by kind, called with the decoded request
  app = "moonhook.backend.local_apps",
  fetch_app = "moonhook.backend.local_apps",
  llm = "moonhook.backend.local_models",
  text_embedding = "moonhook.backend.local_models",
  rerank = "moonhook.backend.local_models",
  moderation = "moonhook.backend.local_models",
  summary = "moonhook.backend.local_models",
}

--- Serves one call: yields its pieces, returns at its end.
---@param kind "app"|"fetch_app"|"llm"|"text_embedding"|"rerank"|"moderation"|"summary"
---@param body string  Dify's request as JSON
local function serve(kind, body)
  local module = MODULES[kind]
  if not module then
    error(Error.new("unsupported", "the backend 'local' does not carry this kind of call"), 0)
  end
  local request = json.decode_plain(body)
  if type(request) ~= "table" then
    error(Error.new("invalid_param", "the request is not a JSON object"), 0)
  end
  require(module)[kind](request)
end

return { serve = serve }
