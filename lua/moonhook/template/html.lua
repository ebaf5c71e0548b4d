--- Follows a page's text as an HTML parser does, far enough to say what a value at this place must
--- be written as. Browsers read tags and attributes the same way; what is not sure is refused.

local Javascript = require "moonhook.template.javascript"

local find, match, sub = string.find, string.match, string.sub

-- The content of these is not parsed for tags, and values in it would not be escaped by `&lt;`.
local RAW = { style = "a style sheet", xmp = "<xmp>", iframe = "<iframe>", noembed = "<noembed>",
  noframes = "<noframes>", plaintext = "<plaintext>" }
local TEXT_ONLY = { title = true, textarea = true } -- character references work, tags do not

local URLS = {}
for name in ([[href src action formaction poster cite background data manifest ping
    longdesc xlink:href]]):gmatch "%S+" do
  URLS[name] = true
end
local REFUSED = { style = "a style attribute", srcdoc = "a srcdoc attribute",
  srcset = "a srcset attribute" }

---@class Html
local Html = {}
Html.__index = Html

function Html.new()
  return setmetatable({ state = "text" }, Html)
end

local states = {}

function states.text(self, text, at)
  local from = find(text, "<", at, true)
  if not from then return #text + 1 end
  if sub(text, from, from + 3) == "<!--" then
    self.state = "comment"
    return from + 4
  end
  local slash, name = match(text, "^<(/?)(%a[^%s/>]*)", from)
  if name then
    self.state, self.closes, self.tag = "tag", slash == "/", name:lower()
    self.is_open_name = from + #slash + #name == #text -- the name may go on
    return from + 1 + #slash + #name
  end
  if find(text, "^<[!?/]", from) then
    self.state = "declaration"
    return from + 2
  end
  self.is_half_tag = from == #text
  return from + 1
end

function states.comment(self, text, at)
  local _, to = find(text, "-->", at, true)
  if not to then return #text + 1 end
  self.state = "text"
  return to + 1
end

function states.declaration(self, text, at)
  local from = find(text, ">", at, true)
  if not from then return #text + 1 end
  self.state = "text"
  return from + 1
end

local function after_tag(self)
  if self.closes then return "text" end
  if self.tag == "script" then
    self.script, self.has_script_values = Javascript.new(), false
    return "script"
  end
  if RAW[self.tag] then return "raw" end
  self.holds_tags = false
  return TEXT_ONLY[self.tag] and "text_only" or "text"
end

-- Between attributes.
function states.tag(self, text, at)
  local from = find(text, "[^%s/]", at)
  if not from then return #text + 1 end
  if sub(text, from, from) == ">" then
    self.state = after_tag(self)
    return from + 1
  end
  local name = match(text, "^=?[^%s/>=]*", from)
  self.state, self.attribute = "attribute_name", name:lower()
  return from + #name
end

function states.attribute_name(self, text, at)
  local from = find(text, "%S", at)
  if not from then return #text + 1 end
  self.state = "tag"
  if sub(text, from, from) ~= "=" then return from end
  self.state, self.value = "before_value", ""
  return from + 1
end

function states.before_value(self, text, at)
  local from = find(text, "%S", at)
  if not from then return #text + 1 end
  local c = sub(text, from, from)
  if c == '"' or c == "'" then
    self.state, self.quote = "value", c
    return from + 1
  end
  if c == ">" then
    self.state = "tag"
    return from
  end
  self.state, self.value_at = "bare_value", from
  return from
end

function states.value(self, text, at)
  local from = find(text, self.quote, at, true)
  self.value = self.value .. sub(text, at, (from or 0) - 1)
  if not from then return #text + 1 end
  self.state = "tag"
  return from + 1
end

-- A value without quotes; when values stand in it we write the quotes (see Html:context).
function states.bare_value(self, text, at)
  local from = find(text, "[%s>]", at)
  local part = sub(text, at, (from or 0) - 1)
  self.value = self.value .. part
  if self.is_quoted_by_us and find(part, '"', 1, true) then
    self.problem = "an attribute without quotes that holds a quote"
    return #text + 1
  end
  if not from then return #text + 1 end
  if self.is_quoted_by_us then self.close_quote_at = from end
  self.state, self.is_quoted_by_us = "tag", nil
  return from
end

-- Where `</name` stands, ending in something that ends a tag's name; or nil.
local function find_end(text, name, at)
  local lower = text:lower()
  local from = at
  while true do
    local to
    from, to = find(lower, "</" .. name, from, true)
    if not from then return nil end
    if find(lower, "^[%s/>]", to + 1) then return from end
    from = to
  end
end

function states.script(self, text, at)
  local from = find_end(text, "script", at)
  self.script:feed(sub(text, at, (from or 0) - 1))
  if not from then return #text + 1 end
  self.state = "text"
  local problem = self.has_script_values and self.script:finish()
  if problem then self.problem = problem end
  return from
end

local function until_end(self, text, at)
  local from = find_end(text, self.tag, at)
  if find(sub(text, at, (from or 0) - 1), "<[%a!]") then self.holds_tags = true end
  if not from then return #text + 1 end
  self.state = "text"
  return from
end

states.raw, states.text_only = until_end, until_end

--- Takes the next part of the page. Returns it with the quotes that it needs, or nil and a problem.
function Html:feed(text)
  local at = 1
  self.is_half_tag, self.is_open_name, self.value_at, self.close_quote_at = nil, nil, nil, nil
  while at <= #text do
    at = states[self.state](self, text, at)
    if self.problem then return nil, self.problem end
  end
  local close_at = self.close_quote_at
  if close_at then
    text = sub(text, 1, close_at - 1) .. '"' .. sub(text, close_at)
    if self.value_at then self.value_at = self.value_at + 1 end
  end
  return text
end

local function url_context(self)
  local value = self.value:lower():gsub("[%z\1-\32]", "")
  value = value:gsub("&[^;]*;?", "") -- a character reference settles nothing
  if value:find "^javascript:" or value:find "^vbscript:" then return nil, "a javascript: URL" end
  return find(value, "[/?#:]") and "text" or "url"
end

local function attribute_context(self)
  local name = self.attribute
  if name:find "^on" then return nil, "an event handler (use a data- attribute)" end
  if REFUSED[name] then return nil, REFUSED[name] end
  if URLS[name] then return url_context(self) end
  return "text"
end

--- How a value is to be written at this place: "text", "url", "json", "string"; or nil and the
--- place where none may stand. `literal` is the text before it, returned with the quotes it needs.
function Html:context(literal)
  local state = self.state
  local context, problem
  if state == "text" or state == "text_only" then
    if self.is_half_tag then return nil, "a tag's name" end
    if state == "text_only" and self.holds_tags then
      return nil, ("a <%s> that holds tags"):format(self.tag)
    end
    return "text", literal
  elseif state == "script" then
    self.has_script_values = true
    context, problem = self.script:context()
    return context, problem or literal
  elseif state == "value" then
    context, problem = attribute_context(self)
  elseif state == "before_value" or state == "bare_value" then
    context, problem = attribute_context(self)
    if context and not self.is_quoted_by_us then
      local value_at = state == "before_value" and #literal + 1 or self.value_at
      if find(literal, '"', value_at, true) then
        return nil, "an attribute without quotes that holds a quote"
      end
      literal = sub(literal, 1, value_at - 1) .. '"' .. sub(literal, value_at)
      self.state, self.is_quoted_by_us = "bare_value", true
    end
  else
    problem = state == "raw" and RAW[self.tag] or state == "comment" and "a comment"
      or state == "declaration" and "a declaration" or self.is_open_name and "a tag's name"
      or "a tag, outside of an attribute's value"
  end
  if not context then return nil, problem end
  return context, literal
end

--- What is wrong at the end of the page, or nil.
function Html:finish()
  if self.state == "script" and self.has_script_values then return "a <script> does not end" end
  if self.is_quoted_by_us then return "a tag does not end" end
end

return Html
