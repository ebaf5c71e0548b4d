--- Verbs of the command line that ask a running host, and `doctor`. The program has checked the
--- flags already; this finds the verb's function and turns what fails into a line and an exit code.

local failure = require "moonhook.cli.failure"

-- Where each verb's function is: the module, by the verb's first word.
local MODULES = {
  endpoint = "moonhook.cli.endpoint", plugin = "moonhook.cli.plugin",
  secrets = "moonhook.cli.secrets", doctor = "moonhook.cli.doctor",
}

---@class CliInput
---@field verb string  "endpoint add"
---@field flags table<string, string[]>  the values of each flag that was given
---@field places string[]  the other arguments
---@field admin? CliAdmin  of the running host
---@field config? table  for doctor

---@param input CliInput
---@return integer  the exit code
return function(input)
  local group, verb = input.verb:match "^(%S+) ?(%S*)$"
  local run = require(MODULES[group])
  if type(run) == "table" then run = run[verb] end
  local ok, result = pcall(run, input)
  if ok then return result or 0 end
  if not failure.is(result) then error(result, 0) end
  io.stderr:write("moonhook ", input.verb, ": ", result.message, "\n")
  return result.code
end
