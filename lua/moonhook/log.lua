--- The log as plugins see it: log.debug, log.info, log.warn, log.error (message, fields?). The host
--- adds the plugin, the endpoint and the request; `print` is log.info.

local write = require("host.log").write
local Error = require "moonhook.error"

local log = {}

for _, level in ipairs { "debug", "info", "warn", "error" } do
  ---@param message string
  ---@param fields? table<string, string|number|boolean>
  log[level] = function(message, fields)
    if type(message) ~= "string" then
      Error.blame(("log.%s: message: expected a string, got %s"):format(level, type(message)))
    end
    if fields ~= nil and type(fields) ~= "table" then
      Error.blame(("log.%s: fields: expected a table, got %s"):format(level, type(fields)))
    end
    write(level, message, fields)
  end
end

return require("moonhook.strict").close(log, "moonhook.log")
