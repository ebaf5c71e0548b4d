-- Header fields of outgoing calls: those that a plugin gives, checked, and those of the reply.
local check = require "moonhook.session.check"

local headers = {}

-- What frames the message or names the peer is the host's to say.
local OURS = {
  host = true, ["content-length"] = true, ["transfer-encoding"] = true, connection = true,
  ["keep-alive"] = true, te = true, trailer = true, upgrade = true, expect = true,
  ["accept-encoding"] = true, ["proxy-authorization"] = true, ["cdn-loop"] = true,
}

local function problem_with_value(path, value)
  local kind = type(value)
  if kind == "number" then return nil end
  if kind ~= "string" then return check.expected(path, "a string or a list of strings", value) end
  if value:find "[%z\1-\8\10-\31\127]" then
    return path .. ": expected no control characters"
  end
end

--- A test for a rule: a table of names with a string, or a list of strings, each.
function headers.test(map, path)
  for name, value in pairs(map) do
    if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
      return check.expected(path, "header names as keys", name)
    end
    local place = ("%s[%q]"):format(path, name)
    if OURS[name:lower()] then return place .. ": expected none: the host sets this field" end
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      local problem = problem_with_value(place, item)
      if problem then return problem end
    end
  end
end

--- { name, value, name, value, ... }, by name.
function headers.flatten(map)
  local names, flat = {}, {}
  for name in pairs(map or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = map[name]
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      flat[#flat + 1] = name
      flat[#flat + 1] = tostring(item)
    end
  end
  return flat
end

--- Whether a flat list has a field.
function headers.has(flat, name)
  for i = 1, #flat, 2 do
    if flat[i]:lower() == name then return true end
  end
  return false
end

--- The list without the fields that `is_dropped` has by their names in lower case.
function headers.without(flat, is_dropped)
  local kept = {}
  for i = 1, #flat, 2 do
    if not is_dropped[flat[i]:lower()] then
      kept[#kept + 1] = flat[i]
      kept[#kept + 1] = flat[i + 1]
    end
  end
  return kept
end

-- --- of a reply: as request.headers -------------------------------------------------------------

local flats = setmetatable({}, { __mode = "k" })
local Fields = {}

--- All values of a field, in order; an empty table when there is none.
function Fields:get_all(name)
  local flat, values = flats[self], {}
  name = name:lower()
  for i = 1, #flat, 2 do
    if flat[i]:lower() == name then values[#values + 1] = flat[i + 1] end
  end
  return values
end

--- `for name, value in headers:pairs() do`: every field in its order.
function Fields:pairs()
  local flat, i = flats[self], -1
  return function()
    i = i + 2
    return flat[i], flat[i + 1]
  end
end

local meta = {}

function meta.__index(self, name)
  if Fields[name] then return Fields[name] end
  if type(name) ~= "string" then return nil end
  local flat = flats[self]
  name = name:lower()
  for i = 1, #flat, 2 do
    if flat[i]:lower() == name then return flat[i + 1] end
  end
end

--- The fields of a reply: a look-up by name ignores case and gives the first value.
function headers.of_reply(flat)
  local fields = setmetatable({}, meta)
  flats[fields] = flat
  return fields
end

return headers
