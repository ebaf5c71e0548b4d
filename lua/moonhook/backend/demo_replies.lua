-- What `local/demo` says: rules tried one after the other, short and kind; questions about Moonhook are
-- answered with the nearest passage of the built-in docs.
local demo = require "moonhook.backend.demo"

local replies = {}

local MIN_SCORE = 0.16         -- below it a passage is about something else
local MAX_PASSAGE_BYTES = 1400
local LONG_ANSWER_BYTES = 6000
local MAX_COUNT = 300

local function pick(talk, options)
  return options[talk.seed % #options + 1]
end

-- ---- what it was told ---------------------------------------------------------------------------

local function fact_text(subject, value)
  if subject == "home" then return "you live in " .. value end
  if subject == "note" then return value end
  return ("your %s is %s"):format(subject, value)
end

local function acknowledge(talk, subject, value)
  if subject == "name" then
    return pick(talk, { "Nice to meet you, %s!", "Hello %s, good to have you here!", "Welcome, %s!" }):format(value)
  elseif subject == "note" then
    return ("I will remember: %s."):format(value)
  end
  return ("Noted: %s."):format(fact_text(subject, value))
end

local function everything_told(facts)
  if #facts.order == 0 then return "You have not told me anything about yourself yet." end
  local lines = { "This is what you told me:\n" }
  for _, subject in ipairs(facts.order) do lines[#lines + 1] = "- " .. fact_text(subject, facts[subject]) end
  return table.concat(lines, "\n")
end

local NAME_QUESTIONS = {
  "who am i", "what am i called", "my name%s*%?", "what'?s? i?s? ?my name", "know my name", "remember my name",
  "say my name", "我叫什么", "我的名字是什么", "wie hei\195\159e ich", "comment je m'appelle", "c\195\179mo me llamo",
}

local function recall(talk, _, lowered)
  local facts = talk.facts
  local subject
  for _, pattern in ipairs(NAME_QUESTIONS) do
    if lowered:find(pattern) then subject = "name" end
  end
  if lowered:find "where do i live" then subject = "home" end
  if lowered:find "what do you [kr]%w+ [aofrm]+ ?[aboutfrm]* me" or lowered:find "what did i t?s?[ea][ly]l? ?y?o?u?" then
    return everything_told(facts)
  end
  if not subject and lowered:find "^%s*wh" or lowered:find "remember" or lowered:find "do you know" then
    subject = subject or lowered:match "%f[%w]my ([%w ]-)%s*%?" or lowered:match "%f[%w]my ([%w ]-)%s*$"
  end
  if not subject then return nil end
  if facts[subject] then
    local text = fact_text(subject, facts[subject])
    return text:sub(1, 1):upper() .. text:sub(2) .. "."
  end
  local what = subject == "home" and "where you live" or "your " .. subject
  return ("You have not told me %s yet, and I know only what stands in this conversation."):format(what)
end

-- ---- who it is ----------------------------------------------------------------------------------

local IDENTITY_QUESTIONS = {
  "who are you", "what are you%s*%?", "what are you$", "your name", "are you an? %w+", "are you human", "are you real",
  "are you gpt", "are you chatgpt", "which model", "what model are", "introduce yourself", "tell me about yourself",
  "你是谁", "你叫什么", "wer bist du", "qui es%-tu", "qui \195\170tes%-vous", "qui\195\169n eres", "quem \195\169 voc",
}

local function identity(talk, _, lowered)
  for _, pattern in ipairs(IDENTITY_QUESTIONS) do
    if lowered:find(pattern) then
      local role = talk.persona and ("Here I go by %s. Behind that name I"):format(talk.persona) or "I"
      return role .. " am **local/demo**, the small demo model built into Moonhook: rules and a search in the docs, "
        .. "no neural network and no connection to anywhere. I can tell you about Moonhook, and I remember this "
        .. "conversation. For clever answers, name a real model in moonhook.yaml."
    end
  end
end

local CAPABILITIES = "I can do a few things:\n\n"
  .. "- answer questions about Moonhook from its docs: *how do I write a plugin?*\n"
  .. "- remember what you tell me: *my name is Ada*\n"
  .. "- show Markdown, a list, code or a long answer\n"
  .. "- call the tools I am given, and keep to a JSON schema\n\n"
  .. "I am local/demo, a small model made of rules."

local function help(_, _, lowered)
  if lowered:find "what can you do" or lowered:find "what do you do" or lowered:find "^%s*help[%s!.?]*$"
    or lowered:find "how can you help" then
    return CAPABILITIES
  end
end

-- ---- shows --------------------------------------------------------------------------------------

local MARKDOWN = [[
# Markdown, for example

Some **bold** and some *slanted* words, a bit of `code`, and a [link](https://daringfireball.net/projects/markdown/).

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
```lua
-- hello.lua: a whole endpoint
return function(self, request)
  return "Hello, " .. (request.args.name or "you") .. "!"
end
```]]

local function code(talk)
  for _, found in ipairs(require("moonhook.backend.passages").search(talk.text, 6, talk.pause)) do
    local block = found.score >= MIN_SCORE and found.passage.text:match "```lua\n.-\n```"
    if block then
      return ("From %s, “%s”:\n\n%s"):format(found.passage.page, found.passage.title, block)
    end
  end
  return "Here is a whole endpoint in Lua:\n\n" .. CODE
end

local function list()
  local lines, seen = { "These pages come with Moonhook:\n" }, {}
  for _, passage in ipairs(require("moonhook.backend.passages").all()) do
    if not seen[passage.page] then
      seen[passage.page], lines[#lines + 1] = true, ("%d. **%s** (%s)"):format(#lines, passage.page_title, passage.page)
    end
  end
  return #lines > 1 and table.concat(lines, "\n") or CAPABILITIES
end

local function long()
  local parts, bytes = { "Gladly: a walk through the docs." }, 0
  for _, passage in ipairs(require("moonhook.backend.passages").all()) do
    if bytes > LONG_ANSWER_BYTES then break end
    parts[#parts + 1] = ("## %s\n\n%s"):format(passage.title, passage.text)
    bytes = bytes + #parts[#parts]
  end
  if #parts == 1 then
    for i = 1, 12 do parts[i + 1] = ("Paragraph %d. %s"):format(i, (CAPABILITIES:gsub("\n+", " "))) end
  end
  return table.concat(parts, "\n\n")
end

local VERBS = "show give write send print display list make need want example try use in"
local SHOWS = {
  { "%f[%w]markdown%f[%W]", function() return MARKDOWN end },
  { "%f[%w]code%f[%W]", code }, { "%f[%w]snippet%f[%W]", code },
  { "%f[%w]list%f[%W]", list },
  { "%f[%w]long%f[%W]", long }, { "%f[%w]essay%f[%W]", long }, { "tell me everything", long },
}

local function show(talk, _, lowered)
  if lowered:find "^%s*how" or lowered:find "^%s*w[he]" or lowered:find "^%s*does" or lowered:find "^%s*is " then
    return nil -- a question about it, not a wish for it
  end
  local _, word_count = lowered:gsub("[%w']+", "")
  local is_wish = word_count <= 3 or lowered:find "tell me everything"
  for verb in VERBS:gmatch "%a+" do is_wish = is_wish or lowered:find("%f[%w]" .. verb .. "%f[%W]") end
  if not is_wish then return nil end
  for _, entry in ipairs(SHOWS) do
    if lowered:find(entry[1]) then return entry[2](talk) end
  end
end

local function say(_, text, lowered)
  local at = lowered:match "^%s*say:? ()" or lowered:match "^%s*repeat after me:? ()" or lowered:match "^%s*repeat:? ()"
  if at then return (text:sub(at):gsub("^[\"“](.-)[\"”]%s*$", "%1")) end
  local count = tonumber(lowered:match "%f[%w]count to (%d+)" or "")
  if count then
    local numbers = {}
    for i = 1, math.min(count, MAX_COUNT) do numbers[i] = tostring(i) end
    return table.concat(numbers, ", ") .. "."
  end
end

-- ---- small talk ---------------------------------------------------------------------------------

local GREETINGS = { hello = true, hi = true, hey = true, hallo = true, moin = true, hola = true, bonjour = true,
  salut = true, ciao = true, ["olá"] = true, ["你好"] = true, ["您好"] = true, ["こんにちは"] = true, good = true,
  greetings = true }
local SMALL_TALK = {
  { "%f[%w]thank", { "You are welcome!", "With pleasure.", "Any time." } },
  { "^%s*bye", { "Goodbye!", "See you." } }, { "goodbye", { "Goodbye!", "See you." } },
  { "how are you", { "Very well, thank you: my rules are all in order. And you?" } },
  { "%f[%w]joke", { "Two coroutines walk into a bar. One yields." } },
}

local function small_talk(talk, text, lowered)
  for _, entry in ipairs(SMALL_TALK) do
    if lowered:find(entry[1]) then return pick(talk, entry[2]) end
  end
  local first = lowered:match "^%s*([%a\128-\255]+)"
  local _, word_count = lowered:gsub("[%w']+", "")
  if first and GREETINGS[first] and word_count <= 4 then
    local name = talk.facts.name and " " .. talk.facts.name or ""
    local me = talk.persona and ("I am %s, "):format(talk.persona) or "I am local/demo, "
    local greeting = text:match "^%s*([%a\128-\255]+)"
    return ("%s%s! %s"):format(first == "good" and "Hello" or greeting, name, me)
      .. "a small demo model. Ask me something about Moonhook, for example: how do I write a plugin?"
  end
end

-- ---- the docs -----------------------------------------------------------------------------------

-- The first paragraphs of a passage; a code block is kept whole or left out.
local function shortened(text)
  if #text <= MAX_PASSAGE_BYTES then return text end
  local cut, is_code, at = nil, false, 1
  while at <= #text do
    local stop = text:find("\n", at, true) or #text + 1
    local line = text:sub(at, stop - 1)
    if line:find "^```" then is_code = not is_code end
    if stop > MAX_PASSAGE_BYTES and cut then break end
    if not is_code and (line == "" or line == "```") then cut = stop - 1 end
    at = stop + 1
  end
  return (text:sub(1, cut or #text):gsub("%s+$", "")) .. "\n\nThe page goes on from there."
end

local function docs(talk, text)
  local found = require("moonhook.backend.passages").search(text, 4, talk.pause)
  local best = found[1]
  if not best or best.score < MIN_SCORE then return nil end
  local answer = ("**%s** (from %s)\n\n%s"):format(best.passage.title, best.passage.page, shortened(best.passage.text))
  for i = 2, #found do
    local other = found[i]
    if other.score >= MIN_SCORE and other.passage.page ~= best.passage.page then
      return answer .. ("\n\nSee also %s, “%s”."):format(other.passage.page, other.passage.title)
    end
  end
  return answer
end

local RULES = { recall, identity, say, show, help, small_talk, docs }

local function fallback(talk)
  return pick(talk, {
    "I am only a small demo model, and that is beyond my rules. Ask me about Moonhook: how do I write a plugin?",
    "Sorry, I do not know. I know Moonhook's docs, what you tell me here, and little else.",
    "That is more than local/demo can answer. Try: how do I stream an answer? Or tell me your name.",
  })
end

-- ---- putting it together ------------------------------------------------------------------------

--- The reply to the last user message.
function replies.reply(talk)
  local parts, rest = {}, {}
  if talk.has_media then
    parts[1] = "I cannot look at pictures or listen to recordings, so I only read your text."
  end
  for _, sentence in ipairs(demo.sentences_of(talk.text)) do
    local subject, value = demo.fact_in(sentence)
    if subject and value then
      parts[#parts + 1] = acknowledge(talk, subject, value)
    else
      rest[#rest + 1] = sentence
    end
  end
  local text = table.concat(rest)
  local is_told_only = #parts > 0 and (text == "" or GREETINGS[text:lower():match "^%s*([%a\128-\255]*)[%s,!.]*$" or 0])
  if is_told_only then
    parts[#parts + 1] = "What would you like to know about Moonhook?"
  else
    local answer
    for _, rule in ipairs(RULES) do
      answer = answer or rule(talk, text, text:lower())
    end
    parts[#parts + 1] = answer or fallback(talk)
  end
  return table.concat(parts, " ")
end

--- The reply once the tools have answered.
function replies.after_tools(talk)
  local lines = {}
  for i, result in ipairs(talk.results) do
    local text = result.text == "" and "(nothing)" or result.text
    local name = result.name and "`" .. result.name .. "`" or "the tool"
    lines[i] = (#text > 80 or text:find "\n") and ("%s answered:\n\n%s"):format(name, text)
      or ("%s answered: %s"):format(name, text)
  end
  local text = table.concat(lines, "\n\n")
  return text:sub(1, 1):upper() .. text:sub(2)
end

return replies
