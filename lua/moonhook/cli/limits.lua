--- Limits of an endpoint as a command line gives them.

local json = require "moonhook.json"
local tool = require "host.tool"
local failure = require "moonhook.cli.failure"

local limits = { names = { "cpu_ms", "head_ms", "idle_ms" } }

local KNOWN = {}
for _, name in ipairs(limits.names) do KNOWN[name] = true end

--- The limits that shall be: those it has, changed by --limit; nil when none was given.
---@param input CliInput
---@param before table<string, integer>
---@return table?  json.null: none any more
function limits.read(input, before)
  local given = input.flags["--limit"]
  if not given then return nil end
  local result = {}
  for name, ms in pairs(before) do result[name] = ms end
  for _, text in ipairs(given) do
    local name, value = text:match "^([^=]*)=(.*)$"
    if not name then failure.usage("--limit: expected NAME=MS, got '%s'", text) end
    if not KNOWN[name] then
      local near = tool.nearest(name, limits.names)
      failure.usage("--limit %s: expected one of %s%s", name, table.concat(limits.names, ", "),
        near and (", did you mean '%s'?"):format(near) or "")
    end
    if value ~= "default" and not value:find "^%d+$" then
      failure.usage("--limit %s: expected milliseconds, or default, got '%s'", name, value)
    end
    result[name] = tonumber(value) -- nil: the plugin's own
  end
  return next(result) and result or json.null
end

return limits
