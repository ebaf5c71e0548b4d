-- Texts that wait for a decision, and what became of them. Each is one value in session.storage,
-- and each change one compare-and-set: of two that change a draft at once, one sees that it cannot.
--
--   waiting -> rejected
--   waiting -> accepted -> published      accepted: claimed by who publishes, until claimed_until
--
-- A draft is kept under the hash of its token. So a copy of the store holds no link that works, and
-- the time that a look-up takes says nothing about a token.
local moonhook = require "moonhook"
local json = moonhook.json

local TOKEN_BYTES = 16
local KEEP_S = 30 * 24 * 3600 -- a link works as long; so does the answer to a used one
local CLAIM_S = 90            -- longer than session:after_response lets anything run
local START_S = 5             -- whoever accepts begins to publish at once

---@class Draft
---@field id string  public; the token is not
---@field state "waiting"|"rejected"|"accepted"|"published"
---@field title string
---@field text string
---@field decided_at? integer
---@field claimed_until? integer  somebody is publishing it
---@field has_failed? boolean  the last try to publish it did
---@field article? string  the name of what was published

local drafts = {}

local function key_of(token)
  return "draft/" .. moonhook.hex(moonhook.sha256(token))
end

--- Keeps a new draft; gives the token that decides on it.
---@return string token
function drafts.add(session, title, text)
  local token = moonhook.hex(moonhook.random(TOKEN_BYTES))
  local draft = {
    id = moonhook.hex(moonhook.random(8)), state = "waiting", title = title, text = text,
  }
  session.storage:set(key_of(token), json.encode(draft), { ttl = KEEP_S })
  return token
end

--- The draft as it is now, and its bytes for drafts.change; nil when there is none.
---@return Draft?, string?
function drafts.find(session, token)
  if #(token or "") ~= 2 * TOKEN_BYTES then return nil end
  local bytes = session.storage:get(key_of(token))
  if bytes then return json.decode(bytes), bytes end
end

--- Keeps a draft in place of what was read as `bytes`; false when it is something else by now.
---@param draft Draft
function drafts.change(session, token, bytes, draft)
  return session.storage:cas(key_of(token), bytes, json.encode(draft), { ttl = KEEP_S })
end

--- Makes the draft the caller's to publish, unless it is somebody's already.
function drafts.claim(draft)
  if draft.state ~= "accepted" or (draft.claimed_until or 0) > moonhook.time() then return false end
  draft.claimed_until, draft.has_failed = moonhook.time() + CLAIM_S, nil
  return true
end

--- Whether it was accepted, but nobody publishes it: that failed, or the host was stopped.
function drafts.is_stalled(draft)
  return draft.state == "accepted" and (draft.has_failed
    or (draft.claimed_until or draft.decided_at + START_S) < moonhook.time()) or false
end

--- Takes back that it is stalled, so that the page that follows says so.
function drafts.restart(session, token, bytes, draft)
  draft.has_failed, draft.claimed_until, draft.decided_at = nil, nil, moonhook.time()
  return drafts.change(session, token, bytes, draft)
end

return drafts
