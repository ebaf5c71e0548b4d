--- Follows a script's text far enough to tell code, strings, template literals and comments apart:
--- where a value may stand in it, and how it must be written there.

local find, match, sub = string.find, string.match, string.sub

-- After these words a `/` begins a regular expression, after other words it divides.
local BEFORE_REGEX = {}
for word in ([[return typeof case in of delete void throw new else do instanceof yield await]])
    :gmatch "%a+" do
  BEFORE_REGEX[word] = true
end

---@class Javascript
---@field mode "code"|'"'|"'"|"`"|"//"|"/*"|"regex"
---@field problem? string  set when the text could not be followed
local Javascript = {}
Javascript.__index = Javascript

function Javascript.new()
  return setmetatable({ mode = "code", may_be_regex = true, depth = 0, templates = {} }, Javascript)
end

local modes = {}

-- Code: one token at `at`; returns the place behind it.
function modes.code(self, text, at)
  local from = find(text, "[^%s]", at)
  if not from then return #text + 1 end
  local word = match(text, "^[%w_$\128-\255]+", from)
  if word then
    self.may_be_regex = BEFORE_REGEX[word] or false
    return from + #word
  end
  local two, c = sub(text, from, from + 1), sub(text, from, from)
  if two == "//" or two == "/*" then
    self.mode = two
    return from + 2
  end
  if c == '"' or c == "'" or c == "`" or (c == "/" and self.may_be_regex) then
    self.mode = c == "/" and "regex" or c
    self.in_class = false
    return from + 1
  end
  if c == "{" then
    self.depth = self.depth + 1
  elseif c == "}" then
    local templates = self.templates
    if #templates > 0 and templates[#templates] == self.depth then
      templates[#templates] = nil -- the end of a template's ${...}
      self.depth = self.depth - 1
      self.mode = "`"
      return from + 1
    end
    self.depth = self.depth - 1
  end
  if two == "++" or two == "--" then return from + 2 end
  self.may_be_regex = c ~= ")" and c ~= "]" and c ~= "."
  return from + 1
end

local function quoted(quote)
  local stop = "[\\\n" .. quote .. "]"
  return function(self, text, at)
    local from = find(text, stop, at)
    if not from then return #text + 1 end
    local c = sub(text, from, from)
    if c == "\\" then return from + 2 end
    if c == "\n" then
      self.problem = "a string that does not end on its line"
      return #text + 1
    end
    self.mode, self.may_be_regex = "code", false
    return from + 1
  end
end

modes['"'] = quoted '"'
modes["'"] = quoted "'"

modes["`"] = function(self, text, at)
  local from = find(text, "[\\`$]", at)
  if not from then return #text + 1 end
  local c = sub(text, from, from)
  if c == "\\" then return from + 2 end
  if c == "`" then
    self.mode, self.may_be_regex = "code", false
    return from + 1
  end
  if sub(text, from + 1, from + 1) ~= "{" then return from + 1 end
  self.depth = self.depth + 1
  self.templates[#self.templates + 1] = self.depth
  self.mode, self.may_be_regex = "code", true
  return from + 2
end

modes["//"] = function(self, text, at)
  local from = find(text, "[\n\r]", at)
  if not from then return #text + 1 end
  self.mode = "code"
  return from + 1
end

modes["/*"] = function(self, text, at)
  local from = find(text, "*/", at, true)
  if not from then return #text + 1 end
  self.mode = "code"
  return from + 2
end

function modes.regex(self, text, at)
  local from = find(text, "[\\\n%[%]/]", at)
  if not from then return #text + 1 end
  local c = sub(text, from, from)
  if c == "\\" then return from + 2 end
  if c == "\n" then
    self.problem = "a regular expression that does not end on its line"
    return #text + 1
  end
  if c == "[" then
    self.in_class = true
  elseif c == "]" then
    self.in_class = false
  elseif not self.in_class then
    self.mode, self.may_be_regex = "code", false
  end
  return from + 1
end

--- Takes the next part of the script.
function Javascript:feed(text)
  local at = 1
  if find(text, "<!--", 1, true) or find(text, "\n%s*%-%->") then
    self.problem = "an HTML comment in a script"
  end
  while at <= #text and not self.problem do at = modes[self.mode](self, text, at) end
  if at > #text + 1 then self.problem = "a value right after a backslash" end
end

--- How a value is to be written here: "json" or "string", or nil and where we are.
function Javascript:context()
  if self.problem then return nil, self.problem end
  if self.mode == "code" then
    self.may_be_regex = false -- a value stands here
    return "json"
  end
  if self.mode == "regex" then return nil, "a regular expression" end
  if self.mode == "//" or self.mode == "/*" then return nil, "a comment" end
  return "string"
end

--- What is wrong at the end of the script, or nil.
function Javascript:finish()
  if self.problem then return self.problem end
  if self.mode ~= "code" and self.mode ~= "//" then return "a script that ends inside a string" end
end

return Javascript
