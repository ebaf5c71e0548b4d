-- Publishes an accepted draft: runs the second workflow and keeps what it gives. For
-- session:after_response, so that nobody's closed tab ends it half-way.
local moonhook = require "moonhook"
local articles = require "lib.articles"
local drafts = require "lib.drafts"

-- The article that the workflow makes; raises when it failed.
local function run_workflow(session, app_id, draft)
  local run = session.app.workflow:invoke {
    app_id = app_id,
    inputs = { id = draft.id, title = draft.title, text = draft.text },
    response_mode = "blocking",
  }
  if run.data.status ~= "succeeded" then error(tostring(run.data.error), 0) end
  local outputs = run.data.outputs
  if type(outputs.paragraphs) ~= "table" then error("the workflow gave no paragraphs", 0) end
  return { title = draft.title, summary = outputs.summary or "", paragraphs = outputs.paragraphs }
end

--- Does nothing when somebody else publishes it, or it is published.
return function(session, token, app_id)
  local draft, bytes = drafts.find(session, token)
  if not draft or not drafts.claim(draft) then return end
  if not drafts.change(session, token, bytes, draft) then return end

  local claimed = moonhook.json.encode(draft)
  local ok, article = pcall(run_workflow, session, app_id, draft)
  draft.claimed_until = nil
  if ok then
    draft.article, draft.state = articles.add(session, draft, article), "published"
  else
    moonhook.log.error("publishing failed", { id = draft.id, error = tostring(article) })
    draft.has_failed = true
  end
  drafts.change(session, token, claimed, draft)
end
