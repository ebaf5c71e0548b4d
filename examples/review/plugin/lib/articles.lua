-- What was published, in session.storage.
local moonhook = require "moonhook"
local json = moonhook.json

local LATEST = 20

local articles = {}

--- Keeps an article under a name that follows from its draft: once, however often it is called.
---@return string name
function articles.add(session, draft, article)
  -- Keys are listed in the order of their bytes: the newest shall come first.
  local name = ("%010d-%s"):format(1e10 - draft.decided_at, draft.id)
  session.storage:cas("article/" .. name, nil, json.encode(article))
  return name
end

function articles.find(session, name)
  if not name:find "^%d+%-%x+$" then return nil end
  local bytes = session.storage:get("article/" .. name)
  return bytes and json.decode(bytes)
end

--- The latest, newest first: { name, article }.
function articles.latest(session)
  local found = {}
  for _, key in ipairs((session.storage:list("article/", { limit = LATEST }))) do
    local name = key:match "/(.*)"
    found[#found + 1] = { name = name, article = articles.find(session, name) }
  end
  return found
end

return articles
