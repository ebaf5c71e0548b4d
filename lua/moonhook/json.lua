--- JSON with limits, empty arrays, exact numbers and raw fragments. See
--- docs/plugin-api.md, "JSON"; the work is done by host.json, in C.

local host = require "host.json"
local Error = require "moonhook.error"

local decode, make_raw = host.decode, host.raw
local error, type = error, type

local json = {
  null = host.null,
  encode = host.must_encode, -- raises at the caller's line
  is_array = host.is_array,
}

--- Reads a JSON text. `null` becomes `json.null`, `[]` a table marked as an array.
--- Raises an Error coded "bad_json" whose message has line and column.
---@param text string  at most 32 MiB, 128 levels
---@return any
function json.decode(text)
  if type(text) ~= "string" then
    Error.blame("json.decode: expected a string, got " .. type(text))
  end
  local value, message = decode(text)
  if message then error(Error.new("bad_json", message), 0) end
  return value
end

--- Marks a table as an array, so that it is encoded as `[]` when it is empty.
---@generic T: table
---@param list? T  a new table by default
---@return T
function json.array(list)
  if list ~= nil and type(list) ~= "table" then
    Error.blame("json.array: expected a table, got " .. type(list))
  end
  return host.array(list)
end

--- A value that is encoded as this JSON text, unchanged.
--- Raises an Error coded "bad_json" when the text is not JSON.
---@param text string
---@return JsonRaw
function json.raw(text)
  if type(text) ~= "string" then
    Error.blame("json.raw: expected a string, got " .. type(text))
  end
  local value, message = make_raw(text)
  if message then error(Error.new("bad_json", message), 0) end
  return value
end

return require("moonhook.strict").close(json, "moonhook.json")
