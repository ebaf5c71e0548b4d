-- GET /review?token=...: a draft, with Accept and Reject while it waits. It changes nothing, so
-- mail programs and chats may look at the link first.
local drafts = require "lib.drafts"
local show = require "lib.review_page"

---@class Review: Handler
local Review = {}

function Review:invoke(request)
  local token = request.args.token -- in the query: paths are logged, queries are not
  local draft = drafts.find(self.session, token)
  return show(draft, token)
end

return Review
