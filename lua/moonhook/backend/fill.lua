-- Values for a JSON schema, found in a text by simple rules: how `local/demo` fills in a tool's
-- arguments and keeps to a response format. Gives JSON with sorted keys, the same every time.
local json = require "host.json"

local fill = {}

local MAX_DEPTH, MAX_ITEMS, MAX_PADDED_BYTES = 8, 20, 1000

local function resolve(schema, root)
  local reference = schema["$ref"]
  for _ = 1, MAX_DEPTH do
    if type(reference) ~= "string" then break end
    schema = root
    for step in reference:gsub("^#", ""):gmatch "[^/]+" do
      schema = type(schema) == "table" and schema[(step:gsub("~1", "/"):gsub("~0", "~"))] or nil
    end
    if type(schema) ~= "table" then return {} end
    reference = schema["$ref"]
  end
  return schema
end

local function type_of(schema)
  local kind = schema.type
  if type(kind) == "table" then
    for _, one in ipairs(kind) do
      if one ~= "null" then return one end
    end
    return "null"
  end
  return kind or (schema.properties and "object") or (schema.items and "array") or "string"
end

local WORD = "[%w\128-\255][%w\128-\255'%-]*"

local FORMATS = { -- pattern in the text, what stands for it
  email = { "[%w._%-]+@[%w.%-]+%.%a+", "someone@example.com" },
  uri = { "https?://[^%s\"'<>]+", "https://example.com/" },
  date = { "%d%d%d%d%-%d%d%-%d%d", "2026-01-01" },
  time = { "%d%d?:%d%d", "12:00:00" },
  ["date-time"] = { "%d%d%d%d%-%d%d%-%d%dT[%d:.Z+%-]+", "2026-01-01T00:00:00Z" },
  uuid = { ("%x"):rep(8) .. "%-[%x%-]+", "00000000-0000-4000-8000-000000000000" },
}
local FORMAT_OF_WORD = {
  email = "email", mail = "email", url = "uri", link = "uri", date = "date", day = "date",
}

local function set_of(words)
  local set = {}
  for word in words:gmatch "%a+" do set[word] = true end
  return set
end

local PLACES = set_of "city location place country town destination"
local FREE_TEXTS = set_of [[query question text input prompt message search answer reply response
  content summary explanation description body output result comment reason reasoning expression]]

local function quoted(text)
  return text:match '"([^"\n]+)"' or text:match "“([^”\n]+)”" or text:match "`([^`\n]+)`"
end

-- The last run of capitalised words that does not begin the text.
local function proper_name(text)
  local found
  for run in text:gmatch("%s(%u" .. "[%w\128-\255'%-]*" .. "[%s%u%w\128-\255'%-]*)") do
    local words = {}
    for word in run:gmatch(WORD) do
      if not word:find "^[%u\195-\244]" then break end
      words[#words + 1] = word
    end
    if #words > 0 and words[1] ~= "I" then found = table.concat(words, " ") end
  end
  return found
end

local function place(text)
  for _, preposition in ipairs { "in", "at", "for", "near", "to" } do
    local rest = text:match("%f[%w]" .. preposition .. "%s+(%u.*)")
    if rest then return proper_name(" " .. rest:match "^[^,.?!;\n]*") end
  end
  return proper_name(text)
end

-- A string found in the text, or nil; the second value says that it is only a stand-in.
local function find_string(name, schema, context)
  local text = context.text
  local format = FORMATS[schema.format]
  for word in name:lower():gmatch "%a+" do
    format = format or FORMATS[FORMAT_OF_WORD[word]]
    if PLACES[word] and not format then return quoted(text) or place(text) end
    if FREE_TEXTS[word] and not format then return context.free_text(name) end
  end
  if format then
    local found = text:match(format[1])
    if found then return (found:gsub("[.,;:!?)]+$", "")) end
    return schema.format and format[2] or nil
  end
  local after = text:lower():match("%f[%w]" .. name:lower():gsub("%W", "%%%0") .. "%s*[:=]?%s+()")
  return quoted(text) or (after and text:match("^" .. WORD, after)) or proper_name(text)
end

local function cut_string(value, schema)
  local least, most = tonumber(schema.minLength) or 0, tonumber(schema.maxLength)
  if most and #value > most then
    value = value:sub(1, most + 1):gsub("[\192-\244]?[\128-\191]*$", ""):sub(1, most)
  end
  local _, characters = value:gsub("[^\128-\191]", "")
  return value .. ("."):rep(math.min(least, MAX_PADDED_BYTES) - characters)
end

-- The next number of the text that no earlier member took.
local function find_number(context)
  local seen = 0
  for digits in context.text:gmatch "%-?%d+%.?%d*" do
    seen = seen + 1
    if seen > context.numbers_used then
      context.numbers_used = seen
      return tonumber(digits)
    end
  end
end

local function clamp_number(value, schema)
  if type_of(schema) == "integer" then value = math.floor(value) end
  if type(schema.minimum) == "number" and value < schema.minimum then value = schema.minimum end
  if type(schema.maximum) == "number" and value > schema.maximum then value = schema.maximum end
  return value
end

local value_of

local function table_or_empty(value)
  return type(value) == "table" and value or {}
end

local function object_of(schema, context, depth)
  local names, required, members = {}, {}, {}
  for _, name in ipairs(table_or_empty(schema.required)) do required[name] = true end
  local properties = table_or_empty(schema.properties)
  for name in pairs(properties) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local is_needed = required[name] or (context.is_complete and depth < MAX_DEPTH / 2)
    local value = value_of(properties[name], context, depth + 1, name, is_needed)
    if value then members[#members + 1] = json.must_encode(name) .. ":" .. value end
  end
  return "{" .. table.concat(members, ",") .. "}"
end

local function array_of(schema, context, depth, name)
  local items, values = table_or_empty(schema.items), {}
  local wanted = math.max(tonumber(schema.minItems) or 0, depth < MAX_DEPTH / 2 and 1 or 0)
  for i = 1, math.min(wanted, MAX_ITEMS) do
    values[i] = value_of(items, context, depth + 1, name, true)
  end
  return "[" .. table.concat(values, ",") .. "]"
end

local function boolean_of(schema, _, is_needed)
  if is_needed then return schema.default ~= false end
end

local function number_of(schema, context, is_needed)
  local found = find_number(context)
  if not found and is_needed then
    found = tonumber(schema.default) or tonumber(schema.minimum) or 1
  end
  return found and clamp_number(found, schema)
end

local function string_of(schema, context, is_needed, name)
  local found = find_string(name, schema, context)
  if not found and is_needed then
    found = type(schema.default) == "string" and schema.default or context.text
  end
  return found and cut_string(found, schema)
end

local function null_of(_, _, is_needed)
  if is_needed then return json.null end
end

local LEAVES = {
  boolean = boolean_of, number = number_of, integer = number_of, null = null_of, string = string_of,
}

local function enum_of(schema, context, is_needed)
  local lowered = context.text:lower()
  for _, option in ipairs(schema.enum) do
    if lowered:find(tostring(option):lower(), 1, true) then return option end
  end
  if is_needed then return schema.default or schema.enum[1] end
end

-- The JSON text for a schema; nil when it is not needed and the text says nothing about it.
function value_of(schema, context, depth, name, is_needed)
  schema = type(schema) == "table" and resolve(schema, context.root) or {}
  local options = schema.anyOf or schema.oneOf or schema.allOf
  if type(options) == "table" and type(options[1]) == "table" and depth < MAX_DEPTH then
    return value_of(options[1], context, depth + 1, name, is_needed)
  end
  local value
  local kind = type_of(schema)
  if schema.const ~= nil then
    value = schema.const
  elseif type(schema.enum) == "table" then
    value = enum_of(schema, context, is_needed)
  elseif depth > MAX_DEPTH then
    value = is_needed and json.null or nil
  elseif kind == "object" then
    return object_of(schema, context, depth)
  elseif kind == "array" then
    if not is_needed and not schema.minItems then return nil end
    return array_of(schema, context, depth, name)
  else
    value = (LEAVES[kind] or string_of)(schema, context, is_needed, name)
  end
  if value == nil then return nil end
  return json.must_encode(value)
end

--- JSON text that keeps to a schema.
---@param context { text: string, free_text: fun(name: string): string, is_complete: boolean }
--- is_complete: optional members too, not only those that the text speaks of
function fill.json(schema, context)
  context.root, context.numbers_used = schema, 0
  return value_of(schema, context, 0, "answer", true) or json.must_encode(context.text)
end

return fill
