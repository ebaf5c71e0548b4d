--- Files of the plugin's own package.

local package = require "host.package"
local Error = require "moonhook.error"

local files = {}

--- Reads a file of the package and nothing outside of it.
--- Raises an Error coded "no_such_file".
---@param path string  relative to the package: "data/words.txt"
---@return string bytes
function files.read(path)
  if type(path) ~= "string" then
    Error.blame("moonhook.read: path: expected a string, got " .. type(path))
  end
  local bytes, message = package.read(path)
  if not bytes then error(Error.new("no_such_file", message), 0) end
  return bytes
end

return files
