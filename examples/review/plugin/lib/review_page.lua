-- The page of one draft: its text, and what can be done or was done with it.
local drafts = require "lib.drafts"
local pages = require "lib.pages"

local function part_of(draft)
  if draft.state ~= "accepted" then return draft.state end
  return drafts.is_stalled(draft) and "stalled" or "accepted"
end

--- The page; 404 for a token that is none.
---@param draft? Draft
---@param is_late? boolean  this is the reply to a decision that came too late
return function(draft, token, is_late)
  if not draft then
    return pages.problem(404, "This link leads nowhere",
      "It is not complete, or it has expired: links to texts work for 30 days.")
  end
  local part = part_of(draft)
  local page = {
    title = draft.title,
    status = is_late and 409 or 200,
    refresh = part == "accepted" and "1; url=review?token=" .. token or nil,
  }
  if is_late then
    page[1] = { "late", { decision = draft.state == "rejected" and "rejected" or "accepted" } }
  end
  page[#page + 1] = { "text", { title = draft.title, text = draft.text } }
  page[#page + 1] = { part, { token = token, article = draft.article or "" } }
  return pages.show(page)
end
