-- What `local/demo` shows when asked for Markdown, a list, code or a long answer: something for a
-- page or a client to prove itself on. Where it can, it takes the content from the built-in docs.
local passages = require "moonhook.backend.passages"

local shows = {}

local LONG_ANSWER_BYTES = 6000

shows.CAPABILITIES = [[
I can do a few things:

- answer questions about Moonhook from its docs: *how do I write a plugin?*
- remember what you tell me: *my name is Ada*
- show Markdown, a list, code or a long answer
- call the tools I am given, and keep to a JSON schema

I am local/demo, a small model made of rules.]]

local MARKDOWN = [[
# Markdown, for example

Some **bold** and some *slanted* words, a bit of `code`, and a
[link](https://daringfireball.net/projects/markdown/).

1. First things first
2. Then the rest
   - with a detail

> A quotation stands a little apart.

| piece | what it is |
| --- | --- |
| plugin | a folder with a manifest and Lua sources |
| endpoint | a plugin in use, under its own URL |

```lua
return function(self, request) return "Hello, " .. (request.args.name or "you") .. "!" end
```]]

local CODE = [[
Here is a whole endpoint in Lua:

```lua
-- hello.lua
return function(self, request)
  return "Hello, " .. (request.args.name or "you") .. "!"
end
```]]

local function code(talk)
  local subject = talk.text:lower():gsub("%f[%w]code%f[%W]", ""):gsub("snippet", "")
  for _, found in ipairs(passages.search(subject, 6, talk.pause)) do
    local block = found.is_near and found.passage.text:match "```lua\n.-\n```"
    if block then
      return ("From %s, “%s”:\n\n%s"):format(found.passage.page, found.passage.title, block)
    end
  end
  return CODE
end

local function list()
  local lines, seen = { "These pages come with Moonhook:\n" }, {}
  for _, passage in ipairs(passages.all()) do
    if not seen[passage.page] then
      seen[passage.page] = true
      lines[#lines + 1] = ("%d. **%s** (%s)"):format(#lines, passage.page_title, passage.page)
    end
  end
  return #lines > 1 and table.concat(lines, "\n") or shows.CAPABILITIES
end

local function long()
  local parts, bytes = { "Gladly: a walk through the docs." }, 0
  for _, passage in ipairs(passages.all()) do
    if bytes > LONG_ANSWER_BYTES then break end
    parts[#parts + 1] = ("## %s\n\n%s"):format(passage.title, passage.text)
    bytes = bytes + #parts[#parts]
  end
  if #parts > 1 then return table.concat(parts, "\n\n") end
  return (MARKDOWN .. "\n\n"):rep(8)
end

local function markdown() return MARKDOWN end

local WISHES = {
  { "%f[%w]markdown%f[%W]", markdown },
  { "%f[%w]code%f[%W]", code },
  { "%f[%w]snippet%f[%W]", code },
  { "%f[%w]list%f[%W]", list },
  { "%f[%w]long%f[%W]", long },
  { "%f[%w]essay%f[%W]", long },
  { "tell me everything", long },
}
local VERBS = "show give write send print display make need want example try tell"
local QUESTIONS = { "^%s*how", "^%s*w[he]", "^%s*do", "^%s*is ", "^%s*are ", "^%s*can i " }

-- "show me a list" is a wish; "how do I make a list?" is a question for the docs.
local function is_wish(lowered)
  for _, pattern in ipairs(QUESTIONS) do
    if lowered:find(pattern) then return false end
  end
  local _, word_count = lowered:gsub("[%w']+", "")
  if word_count <= 3 then return true end
  for verb in VERBS:gmatch "%a+" do
    if lowered:find("%f[%w]" .. verb .. "%f[%W]") then return true end
  end
  return false
end

--- What a text wishes to see, or nil.
function shows.reply(talk, _, lowered)
  if not is_wish(lowered) then return nil end
  for _, wish in ipairs(WISHES) do
    if lowered:find(wish[1]) then return wish[2](talk) end
  end
end

return shows
