-- GET /texts: a form that asks for a text, and what was published. POST /texts: runs the first
-- workflow, keeps what it wrote, and goes to the page that decides on it.
local moonhook = require "moonhook"
local articles = require "lib.articles"
local drafts = require "lib.drafts"
local pages = require "lib.pages"

local MAX_TOPIC_BYTES = 300

---@class Texts: Handler
local Texts = {}

local function show(session)
  local page = { title = "Texts", { "desk" } }
  local latest = articles.latest(session)
  if not latest[1] then page[2] = { "none" } end
  for _, item in ipairs(latest) do
    local article = item.article
    page[#page + 1] = {
      "item", { name = item.name, title = article.title, summary = article.summary },
    }
  end
  page[#page + 1] = { "desk_end" }
  return pages.show(page)
end

local function write(session, app_id, topic)
  local run = session.app.workflow:invoke {
    app_id = app_id, inputs = { topic = topic }, response_mode = "blocking",
  }
  if run.data.status ~= "succeeded" then
    moonhook.log.error("writing failed", { error = tostring(run.data.error) })
    return nil
  end
  return drafts.add(session, topic, run.data.outputs.text)
end

function Texts:invoke(request, values, settings)
  if request.method == "GET" then return show(self.session) end

  -- Another site's form must not spend our model's time, should somebody there know this address.
  if request.headers["Sec-Fetch-Site"] == "cross-site" then moonhook.abort(403) end
  local topic = (request.form.topic or ""):match "^%s*(.-)%s*$"
  if topic == "" or #topic > MAX_TOPIC_BYTES then
    return pages.problem(400, "What is the text to be about?",
      ("Write a topic of at most %d characters."):format(MAX_TOPIC_BYTES))
  end
  local token = write(self.session, settings.writer.app_id, topic)
  if not token then
    return pages.problem(502, "The text was not written",
      "The workflow that writes has failed. Try again; the log says why.")
  end
  return moonhook.Response.redirect("review?token=" .. token, 303)
end

return Texts
