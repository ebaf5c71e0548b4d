-- What every endpoint does first and last: ask for the key, and answer failures in OpenAI's shape.
local moonhook = require "moonhook"
local failure = require "lib.failure"

local function check_key(request, settings)
  local scheme, key = (request.headers.authorization or ""):match "^(%S+)%s+(%S+)%s*$"
  if not key or scheme:lower() ~= "bearer" then
    failure.raise(401, "You did not provide an API key. Send it as 'Authorization: Bearer KEY'.")
  end
  if not moonhook.equal(key, settings.api_key) then
    failure.raise(401, "Incorrect API key provided.", { code = "invalid_api_key" })
  end
end

--- Runs `answer` for a client that has the key; gives its Response, or a failure's.
---@param answer fun(): Response
return function(request, settings, answer)
  local ok, result = pcall(function()
    check_key(request, settings)
    return answer()
  end)
  if ok then return result end
  local known = failure.of(result)
  if not known then error(result, 0) end
  return failure.reply(known)
end
