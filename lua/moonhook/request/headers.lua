--- The header fields of a request. A look-up by name ignores case and reads from the host; the list
--- is fetched only when it is walked.

local http = require "host.http"
local Error = require "moonhook.error"

local error, getmetatable, setmetatable, type = error, getmetatable, setmetatable, type
local read_header = http.header

---@class Headers
local Headers = {}

local function flat_of(self)
  local flat, message = http.headers(getmetatable(self).handle)
  if not flat then error(Error.new("closed", message), 0) end
  return flat
end

--- All values of a field, in order; an empty table when there is none.
function Headers:get_all(name)
  local flat, values = flat_of(self), {}
  name = name:lower()
  for i = 1, #flat, 2 do
    if flat[i]:lower() == name then values[#values + 1] = flat[i + 1] end
  end
  return values
end

--- `for name, value in headers:pairs() do`: every field in its order, bytes as they came.
function Headers:pairs()
  local flat, i = flat_of(self), -1
  return function()
    i = i + 2
    return flat[i], flat[i + 1]
  end
end

local function new(handle)
  local meta = { handle = handle }
  function meta.__index(_, name)
    if Headers[name] then return Headers[name] end
    if type(name) ~= "string" then return nil end
    local value, closed = read_header(handle, name)
    if closed then error(Error.new("closed", "the request is over"), 0) end
    return value
  end
  return setmetatable({}, meta)
end

return { new = new }
