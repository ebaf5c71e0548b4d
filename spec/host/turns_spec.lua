-- Who goes first: a request that comes anew waits for one computing task, not for all of them.
local host = require "spec.support.host"

local manifest = [[
version: 0.0.1
type: plugin
author: spec
name: turns
plugins:
  endpoints:
    - { path: /compute, method: GET, extra: { lua: { source: main.lua } } }
    - { path: /steps, method: GET, extra: { lua: { source: main.lua } } }
]]

-- What computes counts its steps, of a few milliseconds each; a request tells how many there were.
local source = [[
local moonhook = require "moonhook"
local steps = 0

local function compute()
  local number = 1
  for _ = 1, 400000 do number = number * 16807 % 2147483647 end
  steps = steps + 1
  return number
end

return function(_, request)
  if request.path == "/steps" then return tostring(steps) end
  return moonhook.Response(function()
    while true do coroutine.yield(compute() .. "\n") end
  end)
end
]]

local STREAMS = 6

describe("a turn of the loop", function()
  local server, streams

  setup(function()
    server = host.start {
      files = { ["plugins/turns/manifest.yaml"] = manifest, ["plugins/turns/main.lua"] = source },
      config = { plugins = { "plugins" },
        endpoints = { { plugin = "turns", hook_id = "turns-spec" } } },
    }
    streams = {}
    for i = 1, STREAMS do
      streams[i] = server:open { endpoint = "turns", target = "/compute" }
      assert.is_string(streams[i]:next_piece(10))
    end
  end)

  teardown(function()
    for _, stream in ipairs(streams) do stream:close() end
    server:stop()
  end)

  local function steps_now()
    return assert(tonumber(server:request({ endpoint = "turns", target = "/steps" }).body))
  end

  it("lets a new request of the same plugin go before those that compute", function()
    local fewest = math.huge
    local before = steps_now()
    for _ = 1, 50 do
      local now = steps_now()
      fewest = math.min(fewest, now - before)
      before = now
    end
    assert.is_true(fewest <= 2, fewest .. " steps between two requests")
  end)

  it("lets those that compute go on beside requests without end", function()
    local before = steps_now()
    for _ = 1, 200 do steps_now() end
    assert.is_true(steps_now() > before)
    for _, stream in ipairs(streams) do assert.is_string(stream:next_piece(10)) end
  end)
end)
