-- POST /<sender>: whether the sender's way of signing accepts the request.
local crypto = require "moonhook.crypto"
local verify = require "moonhook.verify"
local Response = require("moonhook").Response

local Hook = {}

function Hook:invoke(request, values, settings)
  verify[values.sender](request, settings[values.sender])
  return Response.json { sha256 = crypto.hex(crypto.sha256(request:get_data())) }
end

return Hook
