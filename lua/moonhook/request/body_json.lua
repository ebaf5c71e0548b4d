--- request:get_json, as werkzeug has it: a wrong content type is 415, a body that is not JSON 400.

local http = require "host.http"
local is_array = require("host.json").is_array
local Error = require "moonhook.error"

local error, pairs, rawget, rawset, type = error, pairs, rawget, rawset, type
local blame = Error.blame

local SHAPES = { object = true, array = true }
local OPTIONS = { [1] = "string", force = "boolean", silent = "boolean" }

local function is_json_type(content_type)
  if content_type == "application/json" then return true end
  local kind = content_type and content_type:match "^%s*([^;%s]+)"
  kind = kind and kind:lower()
  return kind == "application/json" or (kind and kind:find "^application/.*%+json$" ~= nil)
end

local function check_options(shape, more)
  local options = shape
  if type(shape) == "string" then
    options = { shape }
    if more ~= nil and type(more) ~= "table" then
      blame("get_json: expected a table of options behind the shape, got " .. type(more))
    end
    if more then
      for name, value in pairs(more) do options[name] = value end
    end
  end
  if type(options) ~= "table" then
    blame('get_json: expected "object", "array" or a table of options, got ' .. type(options))
  end
  for name, value in pairs(options) do
    if not OPTIONS[name] then
      blame(("get_json: unknown option %s: expected force or silent"):format(tostring(name)))
    end
    if type(value) ~= OPTIONS[name] then
      blame(("get_json: %s: expected a %s, got %s"):format(name, OPTIONS[name], type(value)))
    end
  end
  if options[1] and not SHAPES[options[1]] then
    blame(('get_json: expected "object" or "array", got "%s"'):format(options[1]))
  end
  return options
end

-- The decoded body, kept in the request: value, or nil, status, code, message.
local function read(self, handle, is_forced)
  local kept = rawget(self, "_json")
  if kept then return kept.value end
  local content_type, closed = http.header(handle, "content-type")
  if closed then error(Error.new("closed", "the request is over"), 0) end
  if not is_forced and not is_json_type(content_type) then
    return nil, 415, "unsupported_media_type", "expected a body with Content-Type: application/json"
  end
  local value, status, code, message = http.json(handle)
  if status then return nil, status, code, message end
  rawset(self, "_json", { value = value })
  return value
end

local function check_shape(value, shape)
  if shape == "array" then return is_array(value) end
  return type(value) == "table" and not is_array(value)
end

return function(self, handle, shape, options)
  if shape ~= nil then
    options = check_options(shape, options)
    shape = options[1]
  elseif options ~= nil then
    options = check_options(options)
  end
  local value, status, code, message = read(self, handle, options and options.force)
  if not status and shape and not check_shape(value, shape) then
    status, code = 400, "bad_request"
    message = "the body must be a JSON " .. shape
  end
  if not status then return value end
  if options and options.silent then return nil end
  error(Error.new(code, message, { status = status }), 0)
end
