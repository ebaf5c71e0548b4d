--- Whether a webhook comes from who knows the secret: a function for each sender's way of signing.
---
--- All take (request, secret, options?), work on the body's bytes as they came, compare in constant
--- time, and return true or raise an Error coded "unauthorized" with status 401. The client never
--- learns what was wrong; the log does. A secret that is missing or cannot be one is the plugin's
--- mistake, raised at its line: an empty one would let everybody sign.
---
--- Where the sender signs a time it must be near: 5 minutes, or `options.tolerance_s`.
--- `options.now` stands in for the clock in specs. That a delivery is not handled twice within that
--- time is not checked here: remember its id.

local bytes = require "host.bytes"
local host = require "host.crypto"
local write_log = require("host.log").write
local Error = require "moonhook.error"

local blame = Error.blame
local error, math, pairs, tonumber, tostring, type = error, math, pairs, tonumber, tostring, type

local TOLERANCE_S = 300
local MAX_SIGNATURES = 8 -- of one request; senders send two while they change their key

local verify = {}

-- --- what all share ------------------------------------------------------------------------------

---@class VerifyCall
---@field sender string
---@field request Request
---@field tolerance_s number
---@field now? number

local function check_options(sender, options)
  if type(options) ~= "table" then
    blame(("verify.%s: options: expected a table, got %s"):format(sender, type(options)))
  end
  for name, value in pairs(options) do
    local is_known = name == "tolerance_s" or name == "now"
    if not is_known then
      blame(("verify.%s: options.%s: there are only tolerance_s and now")
        :format(sender, tostring(name)))
    end
    if type(value) ~= "number" or value ~= value or value < 0 then
      blame(("verify.%s: options.%s: expected a number of seconds, got %s")
        :format(sender, name, type(value) == "number" and tostring(value) or type(value)))
    end
  end
end

local function begin(sender, request, secret, options)
  if type(request) ~= "table" or type(request.get_data) ~= "function" then
    blame(("verify.%s: request: expected the handler's request, got %s")
      :format(sender, type(request)))
  end
  if type(secret) ~= "string" or secret == "" then
    blame(("verify.%s: secret: expected a string that is not empty, got %s")
      :format(sender, secret == "" and '""' or type(secret)))
  end
  if options ~= nil then check_options(sender, options) end
  return {
    sender = sender, request = request, now = options and options.now,
    tolerance_s = options and options.tolerance_s or TOLERANCE_S,
  }
end

local function refuse(call, reason)
  write_log("info", "webhook refused", { sender = call.sender, reason = reason })
  error(Error.new("unauthorized", "the signature is not valid", { status = 401 }), 0)
end

-- The only value of a header; a repeated one might be read otherwise elsewhere.
local function only_header(call, name)
  local values = call.request.headers:get_all(name)
  if #values == 0 then refuse(call, "there is no " .. name) end
  if #values > 1 then refuse(call, name .. " is repeated") end
  return values[1]
end

-- Refuses a time (seconds since 1970, as text) that is too far from now.
local function check_time(call, text)
  if #text > 12 or not text:find "^%d+$" then
    refuse(call, "the time is not a number of seconds")
  end
  local away_s = math.abs((call.now or require("host.clock").now()) - tonumber(text))
  if away_s > call.tolerance_s then
    refuse(call, ("the time is %.0f s away, %.0f are allowed"):format(away_s, call.tolerance_s))
  end
end

local function hmac_sha256(key, message)
  return host.hmac("sha256", key, message)
end

-- Passes when one of the signatures is accepted. All are tried, so that the time tells no place.
local function check_any(call, signatures, accepts)
  if #signatures == 0 then refuse(call, "there is no signature of a known version") end
  local is_valid = false
  for i = 1, math.min(#signatures, MAX_SIGNATURES) do
    is_valid = accepts(signatures[i]) or is_valid
  end
  if not is_valid then refuse(call, "no signature is right: a wrong secret, or a changed body") end
  return true
end

local function check_equal(call, signatures, expected)
  return check_any(call, signatures, function(given) return bytes.equal(given, expected) end)
end

-- --- the senders ---------------------------------------------------------------------------------

-- The three headers, under the standard's names or those that it had before.
local function standard_headers(call)
  local headers = call.request.headers
  local prefix = headers["webhook-signature"] == nil and headers["svix-signature"] ~= nil
    and "svix-" or "webhook-"
  return only_header(call, prefix .. "id"), only_header(call, prefix .. "timestamp"),
    only_header(call, prefix .. "signature")
end

-- Gives the version of the signatures to look at and the key.
local function standard_key(secret)
  local prefix, text = secret:match "^(wh%l+_)(.*)$"
  local is_public = prefix == "whpk_"
  local is_known = not prefix or is_public or prefix == "whsec_"
  local key = is_known and bytes.base64_decode(text or secret)
  if not key or key == "" or is_public and #key ~= 32 then
    blame("verify.standard_webhooks: secret: expected `whsec_` and base64, or `whpk_` and the "
      .. "base64 of 32 bytes, got something else")
  end
  return is_public and "v1a" or "v1", key
end

--- Standard Webhooks (standardwebhooks.com): OpenAI, Svix, Resend, Clerk and many others. The
--- secret is `whsec_...`, or the public key `whpk_...` of a sender that signs with Ed25519.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.standard_webhooks(request, secret, options)
  local call = begin("standard_webhooks", request, secret, options)
  local version, key = standard_key(secret)
  local id, time, header = standard_headers(call)
  check_time(call, time)
  local signatures = {}
  for name, signature in header:gmatch "(%w+),(%S+)" do
    if name == version then signatures[#signatures + 1] = signature end
  end
  local message = id .. "." .. time .. "." .. request:get_data()
  if version == "v1" then
    return check_equal(call, signatures, bytes.base64_encode(hmac_sha256(key, message)))
  end
  return check_any(call, signatures, function(text)
    return host.ed25519_verify(key, message, bytes.base64_decode(text) or "")
  end)
end

--- Slack's events, commands and interactions; the secret is the app's signing secret.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.slack(request, secret, options)
  local call = begin("slack", request, secret, options)
  local time = only_header(call, "X-Slack-Request-Timestamp")
  local signature = only_header(call, "X-Slack-Signature")
  check_time(call, time)
  local message = "v0:" .. time .. ":" .. request:get_data()
  return check_equal(call, { signature }, "v0=" .. bytes.hex(hmac_sha256(secret, message)))
end

--- GitHub's webhooks; the secret is the webhook's. No time is signed: remember X-GitHub-Delivery.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.github(request, secret, options)
  local call = begin("github", request, secret, options)
  local signature = only_header(call, "X-Hub-Signature-256")
  local expected = "sha256=" .. bytes.hex(hmac_sha256(secret, request:get_data()))
  return check_equal(call, { signature }, expected)
end

--- Stripe's webhooks; the secret is the endpoint's, `whsec_...`.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.stripe(request, secret, options)
  local call = begin("stripe", request, secret, options)
  local time, signatures = nil, {}
  for item in only_header(call, "Stripe-Signature"):gmatch "[^,]+" do
    local name, value = item:match "^%s*(%w+)=(%S+)%s*$"
    if name == "t" then
      if time then refuse(call, "there are two times") end
      time = value
    elseif name == "v1" then
      signatures[#signatures + 1] = value
    end
  end
  check_time(call, time or "")
  local message = time .. "." .. request:get_data()
  return check_equal(call, signatures, bytes.hex(hmac_sha256(secret, message)))
end

--- Discord's interactions; the secret is the application's public key, 64 hexadecimal digits.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.discord(request, secret, options)
  local call = begin("discord", request, secret, options)
  local key = bytes.hex_decode(secret)
  if not key or #key ~= 32 then
    blame("verify.discord: secret: expected the public key, 64 hexadecimal digits, "
      .. "got something else")
  end
  local time = only_header(call, "X-Signature-Timestamp")
  local signature = only_header(call, "X-Signature-Ed25519")
  check_time(call, time)
  local message = time .. request:get_data()
  return check_any(call, { signature }, function(text)
    return host.ed25519_verify(key, message, bytes.hex_decode(text) or "")
  end)
end

--- LINE's webhooks; the secret is the channel's. No time is signed: remember webhookEventId.
---@param request Request
---@param secret string
---@param options? VerifyOptions
---@return true
function verify.line(request, secret, options)
  local call = begin("line", request, secret, options)
  local signature = only_header(call, "X-Line-Signature")
  return check_equal(call, { signature },
    bytes.base64_encode(hmac_sha256(secret, request:get_data())))
end

return require("moonhook.strict").close(verify, "moonhook.verify")
