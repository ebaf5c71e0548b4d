--- Errors with a stable code: what the library raises when the world fails, and what a plugin
--- raises to answer a request with a status of its own. The host recognises them by the raw
--- metatable's `__moonhook_error` and reads the raw fields `code`, `message`, `status`.

local error, getmetatable, pcall, rawget, setmetatable, tostring, type =
  error, getmetatable, pcall, rawget, setmetatable, tostring, type

---@class Error
---@field code string  stable, for programs: "not_found", "upstream_timeout" ...
---@field message string  for people
---@field status? integer  HTTP status of the reply when nobody catches it
local Error = {}

local meta = { __index = Error, __moonhook_error = true }

function meta.__tostring(self)
  return tostring(rawget(self, "code")) .. ": " .. tostring(rawget(self, "message"))
end

-- "lua/moonhook" in a source tree, "moonhook" in the binary: how positions in the library begin.
local library = select(2, pcall(error, "", 2)):match "^(.*moonhook)[./]error" or "moonhook"

local function is_library(position)
  return position:sub(1, #library) == library and position:find("^[./:]", #library + 1) ~= nil
end

--- Raises a mistake of the plugin's author at the author's line: the innermost one outside of the
--- library. A handler that ends with `return moonhook.Response(...)` has no line any more.
---@param message string
function Error.blame(message)
  for level = 2, 12 do
    local _, position = pcall(error, "", level + 1) -- pcall is a level, too
    if position ~= "" and not is_library(position) then error(position .. message, 0) end
  end
  error(message, 0)
end

local blame = Error.blame

--- Makes an Error; `error(Error.new(...))` raises it.
---@param code string
---@param message? string
---@param fields? table  further fields, `status` among them
---@return Error
function Error.new(code, message, fields)
  if type(code) ~= "string" then
    blame("Error.new: code: expected a string, got " .. type(code))
  end
  local value = {}
  if fields then
    for name, field in pairs(fields) do value[name] = field end
  end
  value.code = code
  value.message = message == nil and code or tostring(message)
  return setmetatable(value, meta)
end

--- Whether a value (what `pcall` gave back) is an Error.
---@return boolean
function Error.is(value)
  return type(value) == "table" and getmetatable(value) == meta
end

--- Ends the request with a status: raises an Error that, uncaught, is the reply.
---@param status integer  400..599
---@param message? string
---@param code? string  by default the status's own: "bad_request", "not_found" ...
function Error.abort(status, message, code)
  if type(status) ~= "number" or status % 1 ~= 0 or status < 400 or status > 599 then
    blame("abort: status: expected an integer 400..599, got "
      .. (type(status) == "string" and ("%q"):format(status) or tostring(status)))
  end
  if message ~= nil and type(message) ~= "string" then
    blame("abort: message: expected a string, got " .. type(message))
  end
  if code ~= nil and type(code) ~= "string" then
    blame("abort: code: expected a string, got " .. type(code))
  end
  local statuses = require "moonhook.error_statuses"
  local known = statuses[status] or statuses[status < 500 and 400 or 500]
  error(Error.new(code or known[1], message or known[2], { status = status }), 0)
end

return Error
