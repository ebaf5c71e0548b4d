--- The fake model server of fake_model.mjs in a process of its own, for specs of the real binary.
---
---   local model = fake_model.start()          -- { tls = true }: TLS ports and a proxy as well
---   config.backends.gpt = { type = "openai", url = model.url }
---   model:order { head_ms = 100 }             -- or in the model's name: "fake;head_ms=100"
---   local seen = model:seen()                 -- the requests that came, in order
---   model:stop()
local steered = require "spec.support.steered"

local fake_model = {}

---@class FakeModel : Steered
---@field url string  "http://127.0.0.1:PORT/v1"
---@field ports table  ca_file, tls_port, proxy_port ...
local FakeModel = setmetatable({}, { __index = steered })
FakeModel.__index = FakeModel

function fake_model.start(options)
  local command = { "node", "spec/support/fake_model.mjs" }
  if options and options.tls then
    command[3], command[4] = "--tls", io.popen("pwd"):read "*l" .. "/build/spec/certificates"
  end
  local self = steered.start(FakeModel, command)
  self.url = ("http://127.0.0.1:%d/v1"):format(self.port)
  return self
end

return fake_model
