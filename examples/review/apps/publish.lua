-- The second workflow: { id, title, text } -> { summary, paragraphs }. It gets what was
-- accepted, and makes an article of it. This is the place for a call that tells the world: a CMS, a
-- mail. `id` is the same should it ever run again for the same text, so send it along as the key by
-- which the other side knows a repeat.
local SUMMARY_BYTES = 160

local function split(text)
  local paragraphs = {}
  for paragraph in (text .. "\n\n"):gmatch "(.-)\n%s*\n" do
    paragraph = paragraph:match "^%s*(.-)%s*$"
    if paragraph ~= "" then paragraphs[#paragraphs + 1] = paragraph end
  end
  return paragraphs
end

-- The first words of a text. Languages without spaces are cut between two characters.
local function summarize(text)
  text = text:gsub("%s+", " ")
  if #text <= SUMMARY_BYTES then return text end
  local start = text:sub(1, SUMMARY_BYTES)
  return (start:match "^(.+) " or start:match "^(.*)[%z\1-\127\192-\255]") .. " …"
end

local Publish = {}

function Publish.run(session, inputs)
  local paragraphs = session:step("split into paragraphs", split, inputs.text)
  local summary = session:step("summarize", summarize, inputs.text)
  session.log.info("published", { id = inputs.id, title = inputs.title })
  return { summary = summary, paragraphs = paragraphs }
end

return Publish
