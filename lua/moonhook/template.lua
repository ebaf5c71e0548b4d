--- Pages with values: `{{ name }}` and `{{ name.member }}` in a file of the package. A value is
--- written as its place demands: escaped in text and attributes, as JSON in a script, as the inside
--- of a string in a script's string, checked in a link. A place where nothing is safe is refused.

local json = require "host.json"
local package = require "host.package"
local Error = require "moonhook.error"

local blame = Error.blame
local concat = table.concat

local HTML_ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["'"] = "&#39;", ["`"] = "&#96;", ["\0"] = "\239\191\189" }
local SCHEMES = { http = true, https = true, mailto = true, tel = true, sms = true }

local compiled = {} -- [path] = list of strings and { context, names, line }

local function escape_html(text)
  return (text:gsub("[&<>\"'`%z]", HTML_ESCAPES))
end

local function unicode_escape(c)
  return ("\\u%04x"):format(c:byte())
end

-- JSON text that neither ends a script nor, when it stands in a string, that string.
local function escape_script(text, set)
  text = text:gsub(set, unicode_escape)
  return (text:gsub("\226\128[\168\169]", { ["\226\128\168"] = "\\u2028",
    ["\226\128\169"] = "\\u2029" }))
end

local function encode(value)
  local text, message = json.encode(value)
  if not text then return nil, message end
  return text
end

-- What a value is in running text, or nil.
local function to_text(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return encode(value) end
  if kind == "boolean" then return tostring(value) end
  if value == json.null then return "" end
end

local writers = {}

function writers.text(value)
  local text = to_text(value)
  return text and escape_html(text)
end

-- A link goes to the web, to a mailbox or to this site; never to a script.
function writers.url(value)
  local text = to_text(value)
  if not text then return nil end
  local bare = text:gsub("[%z\1-\32]", "")
  local scheme = bare:match "^([^/?#:]*):"
  local is_image = bare:lower():find "^data:image/[^s]" -- svg+xml can hold scripts
  if scheme and not SCHEMES[scheme:lower()] and not is_image then return "about:invalid" end
  return escape_html(text)
end

function writers.json(value)
  local text, message = encode(value)
  if not text then return nil, message end
  return (text:sub(1, 1) == "-" and " " or "") .. escape_script(text, "[<>&]")
end

function writers.string(value)
  local text, message = to_text(value), nil
  if text then text, message = encode(text) end
  if not text then return nil, message end
  return escape_script(text:sub(2, -2), "[<>&'`${]")
end

-- --- compiling -----------------------------------------------------------------------------------

local function line_of(text, at)
  local _, lines = text:sub(1, at - 1):gsub("\n", "")
  return lines + 1
end

local function compile(path, text)
  local html = require("moonhook.template.html").new()
  local parts, at = {}, 1
  local function refuse(where, message)
    blame(("%s:%d: %s"):format(path, line_of(text, where), message))
  end
  local function feed(piece)
    local fed, problem = html:feed(piece)
    if not fed then refuse(at, "values cannot be written safely: " .. problem) end
    return fed
  end
  while true do
    local from = text:find("{{", at, true)
    local literal = feed(text:sub(at, (from or 0) - 1))
    if not from then
      local problem = html:finish()
      if problem then refuse(#text + 1, problem) end
      parts[#parts + 1] = literal
      return parts
    end
    local name, to = text:match("^{{%s*([%a_][%w_.]*)%s*}}()", from)
    if not name or name:find("..", 1, true) or name:sub(-1) == "." then
      refuse(from, "expected {{ name }}, got " .. text:match("^[^\n}]*}?}?", from):sub(1, 40))
    end
    local context, fixed = html:context(literal)
    if not context then refuse(from, ("{{ %s }} may not stand in %s"):format(name, fixed)) end
    parts[#parts + 1] = fixed
    local names = {}
    for member in name:gmatch "[^.]+" do names[#names + 1] = tonumber(member) or member end
    parts[#parts + 1] = { write = writers[context], name = name, names = names,
      place = path .. ":" .. line_of(text, from) }
    at = to
  end
end

-- --- rendering -----------------------------------------------------------------------------------

local function look_up(part, values)
  local value = values
  for i = 1, #part.names do
    if type(value) ~= "table" then value = nil break end
    value = value[part.names[i]]
  end
  if value == nil then
    blame(("%s: no value is given for {{ %s }}"):format(part.place, part.name))
  end
  return value
end

local function render(parts, values)
  local out = {}
  for i = 1, #parts do
    local part = parts[i]
    if type(part) == "string" then
      out[i] = part
    else
      local value = look_up(part, values)
      local text, message = part.write(value)
      if not text then
        blame(("%s: {{ %s }}: %s"):format(part.place, part.name, message or
          ("expected a string, a number or a boolean, got a " .. type(value))))
      end
      out[i] = text
    end
  end
  return concat(out)
end

--- Renders a file of the package.
---@param path string  in the package: "pages/index.html"
---@param values? table  what `{{ name }}` stands for; a name without a value is an error
---@return string html  for Response(html, { content_type = "text/html" })
local function template(path, values)
  if type(path) ~= "string" then
    blame("moonhook.template: path: expected a string, got " .. type(path))
  end
  if values ~= nil and type(values) ~= "table" then
    blame("moonhook.template: values: expected a table, got " .. type(values))
  end
  local parts = compiled[path]
  if not parts then
    local text, message = package.read(path)
    if not text then blame("moonhook.template: " .. message) end
    parts = compile(path, text)
    compiled[path] = parts
  end
  return render(parts, values or {})
end

return template
