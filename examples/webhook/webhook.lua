-- POST /webhook: takes events that are signed as standardwebhooks.com says, and no others.
local moonhook = require "moonhook"

local Webhook = {}

function Webhook:invoke(request, values, settings)
  -- Before anything is read of the body: 401 unless it comes from who knows the secret.
  moonhook.verify.standard_webhooks(request, settings.signing_secret)
  local event = request:get_json "object"
  if type(event.type) ~= "string" then moonhook.abort(400, "`type` must be a string") end
  moonhook.log.info("event received", { type = event.type, id = request.headers["webhook-id"] })
  return moonhook.Response.json { received = event.type }
end

return Webhook
