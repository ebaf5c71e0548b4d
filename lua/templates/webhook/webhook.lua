-- POST /webhook: takes events that are signed as standardwebhooks.com says, each once.
local moonhook = require "moonhook"

local Webhook = {}

local DAY = 24 * 60 * 60

function Webhook:invoke(request, values, settings)
  if not settings.signing_secret then moonhook.abort(503, "the signing secret is not set") end
  moonhook.verify.standard_webhooks(request, settings.signing_secret) -- or 401
  local event = request:get_json "object"
  -- Senders try again when they hear nothing: the same event may come twice.
  if self.session:once(request.headers["webhook-id"], DAY) then
    moonhook.log.info("event received", { type = tostring(event.type) })
  end
  return moonhook.Response.json { received = true }
end

return Webhook
