-- session.tool: Dify's tools. What a tool says comes as Dify's tool messages.
local catalogue = require "moonhook.session.catalogue"
local check = require "moonhook.session.check"
local transport = require "moonhook.session.transport"

local tool = {}

local PROVIDER = { name = "provider", kind = "string", required = true }
local TOOL_NAME = { name = "tool_name", kind = "string", required = true }
local PARAMETERS = { name = "parameters", kind = "table" }
local CREDENTIAL = { name = "credential_id", kind = "string" }
local USER = { name = "user", kind = "string" }

local RULES = {
  { name = "provider_type", kind = "string", required = true,
    test = check.one_of("builtin", "workflow", "api", "mcp") },
  PROVIDER, TOOL_NAME, PARAMETERS, CREDENTIAL, USER,
}
local TYPED_RULES = { PROVIDER, TOOL_NAME, PARAMETERS, CREDENTIAL, USER }

local function invoke(title, provider_type, call)
  local backend, backend_type = catalogue.of_dify "tool"
  local messages = transport.call(backend, backend_type, "tool", {
    provider_type = provider_type,
    provider = call.provider,
    tool_name = call.tool_name,
    parameters = call.parameters or {},
    credential_id = call.credential_id,
    user = call.user,
  }, title)
  return messages
end

--- Runs a tool.
---@param call ToolInvocation
---@return Stream  an iterator of ToolMessage; collect() gives them as an array
--- Raises Error coded "unsupported" where no backend of type dify is configured, and with the codes
--- of session.app.chat:invoke.
function tool:invoke(call)
  local title = "session.tool:invoke"
  check.call(title, tool, self, call, RULES)
  local messages = invoke(title, call.provider_type, call)
  return messages
end

for _, provider_type in ipairs { "builtin", "workflow", "api" } do
  local name = "invoke_" .. provider_type .. "_tool"
  local title = "session.tool:" .. name
  -- The same for one type of provider.
  tool[name] = function(self, call)
    check.call(title, tool, self, call, TYPED_RULES)
    local messages = invoke(title, provider_type, call)
    return messages
  end
end

return tool
