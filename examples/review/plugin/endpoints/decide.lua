-- POST /accept?token=... and POST /reject?token=...: the webhooks behind the two buttons. Who comes
-- first decides, and gets 303 to the page; everybody after that gets 409. The token is what permits
-- it: a page elsewhere cannot make a browser send what it does not know.
local moonhook = require "moonhook"
local drafts = require "lib.drafts"
local publish = require "lib.publish"
local show = require "lib.review_page"

local NEXT = { accept = "accepted", reject = "rejected" }

-- True for the one request that decides.
local function decide(session, token, draft, bytes, decision)
  if draft.state ~= "waiting" then return false end
  draft.state, draft.decided_at = NEXT[decision], moonhook.time()
  return drafts.change(session, token, bytes, draft)
end

---@class Decide: Handler
local Decide = {}

function Decide:invoke(request, values, settings)
  local session, token, decision = self.session, request.args.token, values.decision
  local draft, bytes = drafts.find(session, token)
  local is_first = draft and decide(session, token, draft, bytes, decision)
  if not is_first then draft, bytes = drafts.find(session, token) end
  if not draft then return show(nil) end
  -- After the reply, where the client cannot end it. Also for who comes late: the first may have
  -- been cut off before it came to this, and only one can claim the draft.
  if decision == "accept" and draft.state == "accepted" then
    session:after_response(function() publish(session, token, settings.publisher.app_id) end)
    if drafts.is_stalled(draft) then -- pressed to try again
      is_first = drafts.restart(session, token, bytes, draft)
    end
  end
  if not is_first then return show(draft, token, true) end
  return moonhook.Response.redirect("review?token=" .. token, 303)
end

return Decide
