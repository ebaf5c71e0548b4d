-- The first workflow: { topic } -> { text }. It writes and ends; nothing waits for the answer
-- of whoever reads it.
local MODEL = { provider = "local", model = "demo" } -- or a model of `backends` in moonhook.yaml

local PROMPT = "You write short articles: two or three paragraphs, no headings, no Markdown."

-- Models like to wrap lines, to mark words and to begin with a title; the page shows paragraphs
-- under a title of its own.
local function tidy(answer, topic)
  local text = answer:gsub("\r\n", "\n"):gsub("%*%*", ""):gsub("`", ""):gsub("%f[^\n%z]#+ +", "")
  text = text:gsub("([^\n])\n(%w)", "%1 %2"):match "^%s*(.-)%s*$"
  local title, rest = text:match "^([^\n]+)\n%s*\n(.*)$"
  return title and title:sub(1, #topic) == topic and rest or text
end

local Write = {}

function Write.run(session, inputs)
  local answer = session:step("ask the model", function()
    local result = session.model.llm:invoke {
      model_config = MODEL,
      prompt_messages = {
        { role = "system", content = PROMPT }, { role = "user", content = inputs.topic },
      },
      stream = false,
    }
    return result.message.content
  end)
  local text = tidy(answer, inputs.topic)
  if text == "" then error("the model wrote nothing", 0) end
  return { text = text }
end

return Write
