-- What `local/demo` says: rules tried one after the other, short and kind. Questions about Moonhook
-- are answered with the nearest passage of the built-in docs.
local demo = require "moonhook.backend.demo"
local passages = require "moonhook.backend.passages"
local shows = require "moonhook.backend.demo_shows"

local replies = {}

local MAX_COUNT = 300

local function pick(talk, options)
  return options[talk.seed % #options + 1]
end

local function finds_any(lowered, patterns)
  for _, pattern in ipairs(patterns) do
    if lowered:find(pattern) then return true end
  end
  return false
end

local function capitalised(text)
  return text:sub(1, 1):upper() .. text:sub(2)
end

-- ---- what it was told -------------------------------------------------------------------------

local function fact_text(subject, value)
  if subject == "home" then return "you live in " .. value end
  if subject == "note" then return value end
  return ("your %s is %s"):format(subject, value)
end

local WELCOMES = {
  "Nice to meet you, %s!", "Hello %s, good to have you here!", "Welcome, %s!",
}

local function acknowledge(talk, subject, value)
  if subject == "name" then return pick(talk, WELCOMES):format(value) end
  if subject == "note" then return ("I will remember: %s."):format(value) end
  return ("Noted: %s."):format(fact_text(subject, value))
end

local function everything_told(facts)
  if #facts.order == 0 then return "You have not told me anything about yourself yet." end
  local lines = { "This is what you told me:\n" }
  for _, subject in ipairs(facts.order) do
    lines[#lines + 1] = "- " .. fact_text(subject, facts[subject])
  end
  return table.concat(lines, "\n")
end

local NAME_QUESTIONS = {
  "who am i", "what am i called", "what'?s? ?i?s? my name", "know my name", "remember my name",
  "say my name", "tell me my name", "我叫什么", "我的名字是什么", "wie heiße ich",
  "comment je m'appelle", "cómo me llamo", "como me llamo",
}
local EVERYTHING_QUESTIONS = {
  "know about me", "remember about me", "what did i tell you", "what have i told you",
}

local function recall(talk, _, lowered)
  local facts, subject = talk.facts, nil
  if finds_any(lowered, EVERYTHING_QUESTIONS) then return everything_told(facts) end
  if finds_any(lowered, NAME_QUESTIONS) then
    subject = "name"
  elseif lowered:find "where do i live" then
    subject = "home"
  elseif finds_any(lowered, { "^%s*wh", "remember", "do you know" }) then
    subject = lowered:match "%f[%w]my ([%w ]-)%s*%?" or lowered:match "%f[%w]my ([%w ]-)%s*$"
  end
  if not subject then return nil end
  if facts[subject] then return capitalised(fact_text(subject, facts[subject])) .. "." end
  return ("You have not told me %s yet, and I know only what stands in this conversation.")
    :format(subject == "home" and "where you live" or "your " .. subject)
end

-- ---- who it is --------------------------------------------------------------------------------

local IDENTITY_QUESTIONS = {
  "who are you", "what are you%s*%?", "what are you$", "your name", "are you an? %w+",
  "are you human", "are you real", "are you %w*gpt", "which model", "what model are",
  "introduce yourself", "tell me about yourself", "你是谁", "你叫什么", "wer bist du", "qui es%-tu",
  "qui êtes%-vous", "quién eres", "quem é voc",
}
local IDENTITY = "%s am **local/demo**, the small demo model built into Moonhook: rules and a "
  .. "search in the docs, no neural network and no connection to anywhere. I can tell you about "
  .. "Moonhook, and I remember this conversation. For clever answers, name a real model in "
  .. "moonhook.yaml."

local function identity(talk, _, lowered)
  if not finds_any(lowered, IDENTITY_QUESTIONS) then return nil end
  return IDENTITY:format(talk.persona and "Here I go by " .. talk.persona .. ". Behind that name I"
    or "I")
end

local HELP_QUESTIONS = {
  "what can you do", "what do you do", "^%s*help[%s!.?]*$", "how can you help",
}

local function help(_, _, lowered)
  return finds_any(lowered, HELP_QUESTIONS) and shows.CAPABILITIES or nil
end

-- ---- small talk -------------------------------------------------------------------------------

local function say(_, text, lowered)
  local at = lowered:match "^%s*say:? ()" or lowered:match "^%s*repeat:? ()"
    or lowered:match "^%s*repeat after me:? ()"
  if at then return (text:sub(at):gsub('^"(.-)"%s*$', "%1")) end
  local count = tonumber(lowered:match "%f[%w]count to (%d+)" or "")
  if not count then return nil end
  local numbers = {}
  for i = 1, math.min(count, MAX_COUNT) do numbers[i] = tostring(i) end
  return table.concat(numbers, ", ") .. "."
end

local SMALL_TALK = {
  { "%f[%w]thank", { "You are welcome!", "With pleasure.", "Any time." } },
  { "%f[%w]bye", { "Goodbye!", "See you." } },
  { "goodbye", { "Goodbye!", "See you." } },
  { "how are you", { "Very well, thank you: my rules are all in order. And you?" } },
  { "%f[%w]joke", { "Two coroutines walk into a bar. One yields." } },
}
local GREETINGS = {}
for word in ([[hello hi hey hallo moin hola bonjour salut ciao olá 你好 您好 こんにちは 안녕하세요
    greetings]]):gmatch "%S+" do
  GREETINGS[word] = true
end

local function small_talk(talk, text, lowered)
  for _, entry in ipairs(SMALL_TALK) do
    if lowered:find(entry[1]) then return pick(talk, entry[2]) end
  end
  local greeting = (text:match "^%s*([%a\128-\255]+)" or ""):gsub("！.*", ""):gsub("，.*", "")
  local _, word_count = lowered:gsub("[%w']+", "")
  local is_greeting = GREETINGS[greeting:lower()]
  if lowered:find "^%s*good %a+" then
    greeting, is_greeting = "Hello", true
  end
  if not is_greeting or word_count > 4 then return nil end
  local name = talk.facts.name and " " .. talk.facts.name or ""
  return ("%s%s! I am %s, a small demo model. Ask me something about Moonhook, for example: "
    .. "how do I write a plugin?"):format(capitalised(greeting), name, talk.persona or "local/demo")
end

-- ---- the docs ---------------------------------------------------------------------------------

local function docs(talk, text)
  local found = passages.search(text, 4, talk.pause)
  local best = found[1] and found[1].is_near and found[1].passage
  if not best then return nil end
  local answer = ("**%s** (from %s)\n\n%s"):format(best.title, best.page, best.text)
  for i = 2, #found do
    local other = found[i].passage
    if found[i].is_near and other.page ~= best.page then
      return answer .. ("\n\nSee also %s, “%s”."):format(other.page, other.title)
    end
  end
  return answer
end

local EXCUSES = {
  "I am only a small demo model, and that is beyond my rules. Ask me about Moonhook: how do I "
    .. "write a plugin?",
  "Sorry, I do not know. I know Moonhook's docs, what you tell me here, and little else.",
  "That is more than local/demo can answer. Try: how do I stream an answer? Or tell me your name.",
}

local RULES = { recall, identity, say, shows.reply, help, small_talk, docs }

local function answer_to(talk, text)
  local lowered = text:lower()
  for _, rule in ipairs(RULES) do
    local answer = rule(talk, text, lowered)
    if answer then return answer end
  end
  return pick(talk, EXCUSES)
end

-- ---- putting it together ----------------------------------------------------------------------

--- The reply to the last user message: what it tells is acknowledged, what it asks is answered.
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
  local only_word = text:lower():match "^[%s%p]*([%a\128-\255]*)[%s%p]*$"
  if #parts > 0 and (only_word == "" or GREETINGS[only_word]) then
    parts[#parts + 1] = "What would you like to know about Moonhook?"
  else
    parts[#parts + 1] = answer_to(talk, text)
  end
  return table.concat(parts, " ")
end

--- The reply once the tools have answered.
function replies.after_tools(talk)
  local lines = {}
  for i, result in ipairs(talk.results) do
    local text = result.text == "" and "(nothing)" or result.text
    local name = result.name and "`" .. result.name .. "`" or "The tool"
    local is_long = #text > 80 or text:find "\n"
    lines[i] = ("%s answered:%s%s"):format(name, is_long and "\n\n" or " ", text)
  end
  return table.concat(lines, "\n\n")
end

return replies
