---@meta moonhook.verify
-- luacheck: ignore 122 212 241 (annotations only)
-- Whether a webhook comes from who knows the secret. Explained in docs/plugin-api.md, "Webhooks".

---@class verify
local verify = {}

---@class VerifyOptions
---@field tolerance_s? number  how far the signed time may be from ours; by default 300
---@field now? number  seconds since 1970, instead of the clock: for specs

--- Standard Webhooks (standardwebhooks.com), as OpenAI, Svix, Resend, Clerk and others send them:
--- HMAC-SHA256, or Ed25519, over the headers webhook-id and webhook-timestamp and the body; the
--- headers may also be named svix-... Of several signatures one must be right; eight are looked at.
--- The same webhook-id may come again, from the sender's retries; `session:once` remembers it.
---
---     moonhook.verify.standard_webhooks(request, settings.signing_secret)
---     if not self.session:once(request.headers["webhook-id"]) then return "seen before" end
---
--- Raises Error coded "unauthorized" (401), the same whatever is wrong; the log says what. Raises
--- at the caller's line when the secret is missing or is not base64.
---@param request Request
---@param secret string  `whsec_` and base64 (the prefix may be missing), or a public key: `whpk_`
---@param options? VerifyOptions
---@return true
function verify.standard_webhooks(request, secret, options) end

--- Slack's events, slash commands and interactions: X-Slack-Request-Timestamp, X-Slack-Signature.
--- The challenge of a new event URL is signed, too.
--- Raises Error coded "unauthorized" (401); at the caller's line when the secret is missing.
---@param request Request
---@param secret string  the app's signing secret
---@param options? VerifyOptions
---@return true
function verify.slack(request, secret, options) end

--- GitHub's webhooks: X-Hub-Signature-256. GitHub signs no time, so an old delivery passes again:
--- remember X-GitHub-Delivery.
--- Raises Error coded "unauthorized" (401); at the caller's line when the secret is missing.
---@param request Request
---@param secret string  the webhook's
---@param options? VerifyOptions
---@return true
function verify.github(request, secret, options) end

--- Stripe's webhooks: Stripe-Signature, its scheme v1; one of several signatures must be right.
--- Raises Error coded "unauthorized" (401); at the caller's line when the secret is missing.
---@param request Request
---@param secret string  the endpoint's, `whsec_...`, whole
---@param options? VerifyOptions
---@return true
function verify.stripe(request, secret, options) end

--- Discord's interactions: X-Signature-Timestamp and X-Signature-Ed25519. Discord tries an endpoint
--- with wrong signatures and wants 401 for them, which is what an uncaught Error gives.
--- Raises Error coded "unauthorized" (401); at the caller's line when the key is none.
---@param request Request
---@param secret string  the application's public key, 64 hexadecimal digits
---@param options? VerifyOptions
---@return true
function verify.discord(request, secret, options) end

--- LINE's webhooks: X-Line-Signature. LINE signs no time, so an old delivery passes again: remember
--- each event's webhookEventId.
--- Raises Error coded "unauthorized" (401); at the caller's line when the secret is missing.
---@param request Request
---@param secret string  the channel's
---@param options? VerifyOptions
---@return true
function verify.line(request, secret, options) end

return verify
