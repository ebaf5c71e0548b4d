--- The part of JSON Schema that the admin API uses: what its OpenAPI document says of a body or a
--- parameter is what is checked. All problems are found at once, each with its field.

local json = require "moonhook.json"

local schema = {}

-- Patterns as a document writes them (ECMAScript), and as Lua does.
local PATTERNS = {
  ["^[a-z0-9-]+$"] = "^[a-z0-9-]+$",
  ["^[a-z0-9_]+$"] = "^[a-z0-9_]+$",
  ["^[A-Za-z_-]+$"] = "^[A-Za-z_-]+$",
  ["^[A-Za-z0-9_/-]+$"] = "^[A-Za-z0-9_/-]+$",
  ["^[^\\u0000-\\u001f\\u007f]+$"] = "^[^%c]+$",
}

local function type_of(value)
  local kind = type(value)
  if value == json.null then return "null" end
  if kind == "table" then return json.is_array(value) and "array" or "object" end
  if kind == "number" then return value % 1 == 0 and "integer" or "number" end
  return kind
end

local function allows(wanted, found)
  if type(wanted) == "table" then
    for _, one in ipairs(wanted) do
      if allows(one, found) then return true end
    end
    return false
  end
  return wanted == found or (wanted == "number" and found == "integer")
end

local WORDS = {
  string = "a string", boolean = "true or false", object = "an object", array = "a list",
  integer = "a whole number", number = "a number", null = "null",
}

local function name_of(wanted)
  if type(wanted) ~= "table" then return WORDS[wanted] end
  local words = {}
  for i, one in ipairs(wanted) do words[i] = WORDS[one] end
  return table.concat(words, " or ")
end

-- Characters, not bytes: the text is UTF-8.
local function length_of(text)
  local _, continuing = text:gsub("[\128-\191]", "")
  return #text - continuing
end

local function check_string(value, rule, problem)
  local length = length_of(value)
  if rule.minLength and length < rule.minLength then
    return problem(rule.minLength == 1 and "expected a text that is not empty"
      or ("expected at least %d characters, got %d"):format(rule.minLength, length))
  end
  if rule.maxLength and length > rule.maxLength then
    return problem(("expected at most %d characters, got %d"):format(rule.maxLength, length))
  end
  if rule.pattern and not value:find(assert(PATTERNS[rule.pattern])) then
    problem(rule["x-expected"] or "expected a text like " .. rule.pattern)
  end
end

local function check_number(value, rule, problem)
  if (rule.minimum and value < rule.minimum) or (rule.maximum and value > rule.maximum) then
    problem(("expected a number from %d to %d"):format(rule.minimum, rule.maximum))
  end
end

local check

local function check_object(value, rule, field, problems)
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  local prefix = field == "" and "" or field .. "."
  for _, name in ipairs(names) do
    local inner = rule.properties and rule.properties[name]
    if inner then
      check(value[name], inner, prefix .. name, problems)
    elseif rule.additionalProperties == false then
      problems[#problems + 1] = { field = prefix .. name, message = "there is no such field" }
    end
  end
  for _, name in ipairs(rule.required or {}) do
    if value[name] == nil then
      problems[#problems + 1] = { field = prefix .. name, message = "expected a value" }
    end
  end
end

local function check_array(value, rule, field, problems, problem)
  if rule.maxItems and #value > rule.maxItems then
    return problem(("expected at most %d items, got %d"):format(rule.maxItems, #value))
  end
  for i, item in ipairs(value) do
    check(item, rule.items or {}, ("%s[%d]"):format(field, i), problems)
  end
end

function check(value, rule, field, problems)
  local found = type_of(value)
  local function problem(message)
    problems[#problems + 1] = { field = field, message = message }
  end
  if rule.type and not allows(rule.type, found) then
    return problem(("expected %s, got %s"):format(name_of(rule.type), WORDS[found]))
  end
  if found == "string" then
    check_string(value, rule, problem)
  elseif found == "integer" or found == "number" then
    check_number(value, rule, problem)
  elseif found == "object" then
    check_object(value, rule, field, problems)
  elseif found == "array" then
    check_array(value, rule, field, problems, problem)
  end
end

--- Holds a decoded JSON value (nulls are json.null) against a schema.
---@param value any
---@param rule table  of lua/moonhook/admin/shapes.lua
---@param field? string  what the value is called in messages; "" for a whole body
---@return { field: string, message: string }[]  empty when it is valid
function schema.check(value, rule, field)
  local problems = {}
  check(value, rule, field or "", problems)
  return problems
end

return schema
