-- A plugin that calls itself, and itself, until nobody waits any more.
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: echoes
resource: { permission: { network: true } }
plugins:
  endpoints:
    - { path: /call, method: GET, extra: { lua: { source: call.lua } } }
    - { path: /alive, method: GET, extra: { lua: { source: alive.lua } } }
]]

-- Two further calls of the same, at once.
local CALL = [[
return function(self, request)
  local function call()
    return pcall(self.session.http.get, self.session.http, request.url)
  end
  local one, two = self.session:spawn(call), self.session:spawn(call)
  one:wait()
  two:wait()
  return "over"
end]]

describe("a plugin that calls itself twice", function()
  it("stops when the client has left", function()
    local server = host.start {
      files = {
        ["plugins/echoes/manifest.yaml"] = MANIFEST, ["plugins/echoes/call.lua"] = CALL,
        ["plugins/echoes/alive.lua"] = "return function() return 'alive' end",
      },
      config = {
        plugins = { "plugins" }, http = { allow = { "127.0.0.1" } },
        limits = { drain_ms = 1000, plugin_passes = 1000 },
        endpoints = { { plugin = "echoes", hook_id = "echoes-spec" } },
      },
      workers = 2,
    }
    local client = server:connect()
    assert(client:send(http.format { port = server.port, target = "/e/echoes-spec/call" }, 5))
    local waits_until = process.now() + 0.3
    process.eventually(function() return process.now() > waits_until end, 5, "some calls")
    client:reset()
    -- In the end it answers like one who has nothing else to do.
    local quick = 0
    process.eventually(function()
      local started = process.now()
      local ok, reply = pcall(server.request, server,
        { target = "/e/echoes-spec/alive", seconds = 2 })
      quick = ok and reply.body == "alive" and process.now() - started < 0.2 and quick + 1 or 0
      return quick == 20
    end, 20, "the calls to end")
    server:stop() -- asserts that nothing of it is left
  end)
end)
