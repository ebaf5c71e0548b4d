-- POST /webhook: takes events that are signed as standardwebhooks.com says, each once.
local moonhook = require "moonhook"

---@class Webhook: Handler
local Webhook = {}

local DAY = 24 * 60 * 60

function Webhook:invoke(request, values, settings)
  if not settings.signing_secret then moonhook.abort(503, "the signing secret is not set") end
  -- Before anything is read of the body: 401 unless it comes from who knows the secret.
  moonhook.verify.standard_webhooks(request, settings.signing_secret)
  local event, id = request:get_json "object", request.headers["webhook-id"]
  if type(event.type) ~= "string" then moonhook.abort(400, "`type` must be a string") end
  -- Senders try again when they hear nothing: the same event may come twice.
  if self.session:once(id, DAY) then
    moonhook.log.info("event received", { type = event.type, id = id })
  end
  return moonhook.Response.json { received = event.type }
end

return Webhook
