-- session.app: calls to apps. The events are Dify's, whatever backend serves the app.
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local transport = require "moonhook.session.transport"

local app, chat, completion, workflow = {}, {}, {}, {}
app.chat, app.completion, app.workflow = chat, completion, workflow

local function app_id_hint(value)
  if value == nil then return "is the app-selector setting set?" end
  if type(value) == "table" and value.app_id then return "an app-selector holds it as app_id" end
end

local APP_ID = { name = "app_id", kind = "string", required = true, hint = app_id_hint }
local INPUTS = { name = "inputs", kind = "table" }
local MODE = {
  name = "response_mode", kind = "string", test = check.one_of("streaming", "blocking"),
}
local USER = { name = "user", kind = "string" }
local FILES = { name = "files", kind = "list", test = check.each("table", "a table { type, ... }") }

local CHAT_RULES = {
  APP_ID, { name = "query", kind = "string", required = true }, INPUTS, MODE,
  { name = "conversation_id", kind = "string" }, USER, FILES,
}
local RUN_RULES = { APP_ID, INPUTS, MODE, USER, FILES }

local function invoke(title, kind, call)
  local backend, backend_type = catalogue.of_app(call.app_id)
  local answer = transport.call(backend, backend_type, kind, call, title)
  return answer
end

--- Asks a chat app; streams unless told otherwise.
---@param call ChatCall
---@return Stream|AppAnswer  an iterator of AppEvent, or one answer when blocking
--- Raises Error coded "not_found" (app or conversation), "invalid_param", "unsupported",
--- "permission_denied", "upstream_error", "upstream_timeout", "upstream_truncated", "cancelled".
function chat:invoke(call)
  local title = "session.app.chat:invoke"
  check.call(title, chat, self, call, CHAT_RULES)
  local answer = invoke(title, "app_chat", call)
  return answer
end

--- Asks a completion app; gives one answer unless told to stream.
---@param call CompletionCall
---@return AppAnswer|Stream
--- Raises Error with the codes of session.app.chat:invoke.
function completion:invoke(call)
  local title = "session.app.completion:invoke"
  check.call(title, completion, self, call, RUN_RULES)
  local answer = invoke(title, "app_completion", call)
  return answer
end

--- Runs a workflow app; gives one result unless told to stream. A run that failed is a result, too:
--- its `data.status` says so.
---@param call WorkflowCall
---@return WorkflowRun|Stream
--- Raises Error with the codes of session.app.chat:invoke.
function workflow:invoke(call)
  local title = "session.app.workflow:invoke"
  check.call(title, workflow, self, call, RUN_RULES)
  local answer = invoke(title, "app_workflow", call)
  return answer
end

--- Tells how an app is set up: its opening words, its inputs.
---@param call { app_id: string }
---@return AppParameters
--- Raises Error with the codes of session.app.chat:invoke.
function app:fetch(call)
  local title = "session.app:fetch"
  check.call(title, app, self, call, { APP_ID })
  local parameters = invoke(title, "fetch_app", call)
  return parameters
end

return app
