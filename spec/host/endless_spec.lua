-- A plugin whose handler never ends, and others who want to be served meanwhile.
local host_support = require "spec.support.host"

local function manifest(name)
  return ([[
version: 0.0.1
type: plugin
author: spec
name: %s
limits: { cpu_ms: 30 }
plugins:
  endpoints:
    - endpoints:
        - { path: /run, method: GET, extra: { lua: { source: run.lua } } }
]]):format(name)
end

local LOOPS = 24

describe("beside many requests whose code never ends", function()
  it("a client that comes behind them is served before most of them are over", function()
    local server = host_support.start {
      files = {
        ["plugins/endless/manifest.yaml"] = manifest "endless",
        ["plugins/endless/run.lua"] = "return function() while true do end end",
        ["plugins/fine/manifest.yaml"] = manifest "fine",
        ["plugins/fine/run.lua"] = "return function() return 'fine' end",
      },
      config = { plugins = { "plugins" }, endpoints = {
        { plugin = "endless", hook_id = "endless" }, { plugin = "fine", hook_id = "fine" },
      } },
      workers = 1,
    }
    local connections = {}
    for i = 1, LOOPS do
      connections[i] = server:connect()
      connections[i]:send "GET /e/endless/run HTTP/1.1\r\nHost: a\r\n\r\n"
    end
    assert.equal("fine", server:request({ target = "/e/fine/run", seconds = 30 }).body)
    server:wait_record({ msg = "request", plugin = "fine" }, 10)
    local over = 0
    for _, record in ipairs(server:records()) do
      if record.msg == "request" and record.plugin == "fine" then break end
      if record.msg == "plugin failed" then over = over + 1 end
    end
    assert.is_true(over < LOOPS / 2, over)
    for i = 1, LOOPS do connections[i]:receive_until("plugin_cpu_limit", 30) end
    for i = 1, LOOPS do connections[i]:close() end
    server:stop()
  end)
end)
