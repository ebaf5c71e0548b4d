--- moonhook secrets: the key that endpoints' secret settings are sealed with.

local clients = require "moonhook.cli.client"
local output = require "moonhook.cli.output"

local secrets = {}

function secrets.rotate(input)
  local done = clients.new(input.admin):ask("POST", "/secrets/rotate")
  output.say("sealed %d secrets anew, under key %s", done.sealed, done.key_id)
  if input.flags["--json"] then output.json(done) end
end

return secrets
