-- Checks what plugin authors pass to `session` and raises at their line, naming the parameter, what
-- was expected and what came. Knows nothing of the calls themselves.
local Error = require "moonhook.error"

local check = {}

local MAX_SHOWN_BYTES = 40

local function show(value)
  if type(value) == "string" then
    if #value > MAX_SHOWN_BYTES then return "a string of " .. #value .. " bytes" end
    return ("%q"):format(value)
  end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  return value == nil and "nil" or "a " .. type(value)
end

-- The number of edits between two short names, two swapped letters counted as one.
local function distance(a, b)
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local older = before
    before, row = row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], older[j - 2] + 1)
      end
    end
  end
  return row[#b]
end

--- The known name nearest to a wrong one, or nil when none is near.
function check.nearest(name, known)
  local best, best_distance = nil, math.max(2, math.floor(#name / 3)) + 1
  if #name > 64 then return nil end
  for _, candidate in ipairs(known) do
    local edits = distance(name:lower(), candidate)
    if edits < best_distance then best, best_distance = candidate, edits end
  end
  return best
end

local function expected(path, what, got)
  return ("%s: expected %s, got %s"):format(path, what, show(got))
end
check.expected = expected

local KINDS = {
  string = function(value) return type(value) == "string" end,
  number = function(value) return type(value) == "number" and value == value end,
  boolean = function(value) return type(value) == "boolean" end,
  any = function() return true end, -- what its test accepts
  table = function(value) return type(value) == "table" end,
  string_or_table = function(value) return type(value) == "string" or type(value) == "table" end,
  list = function(value) return type(value) == "table" and (#value > 0 or next(value) == nil) end,
}
local KIND_NAMES = {
  string = "a string", number = "a number", boolean = "a boolean", table = "a table",
  list = "an array",
}

local function problem_with(value, rule)
  local what = rule.what or KIND_NAMES[rule.kind]
  if value == nil and not rule.required then return nil end
  if not KINDS[rule.kind](value) then
    local hint = rule.hint and rule.hint(value)
    return expected(rule.name, what, value) .. (hint and " (" .. hint .. ")" or "")
  end
  if rule.required and value == "" and not rule.may_be_empty then
    return expected(rule.name, "a text", value)
  end
  return rule.test and rule.test(value, rule.name)
end

local function problem_of(call, rules)
  if type(call) ~= "table" then return expected("argument", "one table of named values", call) end
  local names = {}
  for i, rule in ipairs(rules) do
    names[i], names[rule.name] = rule.name, true
  end
  for name in pairs(call) do
    if type(name) ~= "string" then
      return "argument: expected named values only, got a value at [" .. tostring(name) .. "]"
    elseif not names[name] then
      local near = check.nearest(name, names)
      return ("unknown argument '%s'%s"):format(name, near and ", did you mean '" .. near .. "'?"
        or "; known are " .. table.concat(names, ", "))
    end
  end
  for _, rule in ipairs(rules) do
    local problem = problem_with(call[rule.name], rule)
    if problem then return problem end
  end
end

--- Checks the arguments of a method that takes one table; errors point at the plugin's line.
---@param rules table[]  { name, kind, required?, may_be_empty?, what?, hint?,
---  test?(value, path) -> problem }
function check.call(title, owner, self, call, rules)
  local problem
  if self ~= owner then
    problem = "called with '.', expected ':' before the last name"
  else
    problem = problem_of(call, rules)
  end
  if problem then Error.blame(title .. ": " .. problem) end
end

--- A test for a rule: the value is one of these strings.
function check.one_of(...)
  local known = { ... }
  local what = '"' .. table.concat(known, '", "') .. '"'
  for _, value in ipairs(known) do known[value] = true end
  return function(value, path)
    if not known[value] then return expected(path, "one of " .. what, value) end
  end
end

--- A test for a rule: each item of the array is of this kind.
---@param what? string  how to call it
function check.each(kind, what)
  return function(values, path)
    for i, value in ipairs(values) do
      if not KINDS[kind](value) then
        return expected(("%s[%d]"):format(path, i), what or KIND_NAMES[kind], value)
      end
    end
  end
end

return check
