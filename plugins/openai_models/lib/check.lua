-- Checks of a request's parameters. Each refuses with the parameter's path, as OpenAI names it
-- (`messages[0].content`, counted from 0), and gives the value back. Absent values are nil.
local json = require("moonhook").json
local failure = require "lib.failure"

local check = {}

local function show(value)
  if value == nil or value == json.null then return "null" end
  if type(value) == "table" then return json.is_array(value) and "an array" or "an object" end
  return "a " .. type(value)
end

function check.invalid_type(path, expected, value)
  if value == nil then
    failure.param(path, "missing_required_parameter", ("Missing parameter: '%s'."):format(path))
  end
  failure.param(path, "invalid_type",
    ("Invalid type for '%s': expected %s, but got %s instead."):format(path, expected, show(value)))
end

function check.invalid_value(path, expected, value)
  local shown = type(value) == "table" and show(value) or json.encode(value)
  failure.param(path, "invalid_value",
    ("Invalid value for '%s': expected %s, but got %s."):format(path, expected, shown:sub(1, 80)))
end

function check.unsupported(path, message)
  failure.param(path, "unsupported_parameter",
    message or ("Unsupported parameter: '%s'."):format(path))
end

--- Applies a check to a value that may be absent.
function check.optional(test, value, path)
  if value ~= nil then return test(value, path) end
end

local function of_type(name, expected)
  return function(value, path)
    if type(value) ~= name then check.invalid_type(path, expected, value) end
    return value
  end
end

check.string = of_type("string", "a string")
check.boolean = of_type("boolean", "a boolean")

function check.object(value, path)
  if type(value) ~= "table" or value == json.null or json.is_array(value) then
    check.invalid_type(path, "an object", value)
  end
  return value
end

function check.array(value, path, expected)
  if type(value) ~= "table" or not json.is_array(value) then
    check.invalid_type(path, expected or "an array", value)
  end
  return value
end

--- A check for a number between two bounds.
function check.number(min, max)
  return function(value, path)
    if type(value) ~= "number" then check.invalid_type(path, "a number", value) end
    if not (value >= min and value <= max) then
      check.invalid_value(path, ("a number from %d to %d"):format(min, max), value)
    end
    return value
  end
end

function check.integer(min)
  return function(value, path)
    if type(value) ~= "number" or value % 1 ~= 0 then
      check.invalid_type(path, "an integer", value)
    end
    if min and value < min then check.invalid_value(path, "an integer >= " .. min, value) end
    return value
  end
end

--- A check for one of some strings.
function check.one_of(...)
  local names = { ... }
  return function(value, path)
    check.string(value, path)
    for _, name in ipairs(names) do
      if value == name then return value end
    end
    check.invalid_value(path, "one of '" .. table.concat(names, "', '") .. "'", value)
  end
end

--- Refuses members of an object that nobody reads.
function check.members(object, path, known)
  for name in pairs(object) do
    if not known[name] then check.unsupported(path .. "." .. tostring(name)) end
  end
end

return check
