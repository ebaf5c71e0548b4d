-- Runs with both LuaJITs. Pattern functions in a plugin on the real binary: a hostile pattern ends,
-- with an error that says where (L05); a function given to gsub may wait.
local cjson = require "cjson"
local host = require "spec.support.host"

local files = {
  ["patterns/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: patterns
limits: { cpu_ms: 30000 }
plugins:
  endpoints:
    - endpoints:
        - { path: /hostile, method: GET, extra: { lua: { source: hostile.lua } } }
        - { path: /caught, method: GET, extra: { lua: { source: caught.lua } } }
        - { path: /endless, method: GET, extra: { lua: { source: endless.lua } } }
        - { path: /waits, method: GET, extra: { lua: { source: waits.lua } } }
        - { path: /method, method: GET, extra: { lua: { source: method.lua } } }
]],
  ["patterns/hostile.lua"] = [[
return function()
  local text = ("a"):rep(200000)
  local found = text:find ".-.-.-b"
  return tostring(found)
end
]],
  ["patterns/caught.lua"] = [[
return function()
  local ok, message = pcall(string.gsub, ("a"):rep(200000), ".-.-.-b", "")
  return tostring(ok) .. " " .. message
end
]],
  ["patterns/endless.lua"] = [[
return function()
  local text = ("a"):rep(200000)
  while true do pcall(string.find, text, ".-.-.-b") end
end
]],
  ["patterns/waits.lua"] = [[
local moonhook = require "moonhook"
return function()
  return (("Dear {name}, {what}"):gsub("{(%w+)}", function(word)
    moonhook.sleep(1)
    return word:upper()
  end))
end
]],
  ["patterns/method.lua"] = [[
return function()
  local word = ("x=1"):match "(%w)="
  local parts = {}
  for part in ("a,b"):gmatch "[^,]+" do parts[#parts + 1] = part end
  return word .. table.concat(parts) .. ("-"):rep(2) .. ("q"):gsub("q", { q = "t" })
end
]],
}

describe("a plugin's pattern", function()
  local server

  setup(function()
    server = host.start {
      config = {
        plugins = { "patterns" }, endpoints = { { plugin = "patterns", hook_id = "patterns" } },
        limits = { plugin_cpu_ms = 30000, stuck_ms = 60000 }, -- for slow builds
      },
      files = files,
    }
  end)
  teardown(function() server:stop() end)

  local function get(path)
    return server:request { target = "/e/patterns" .. path }
  end

  it("that would not end is an error with file and line", function()
    local reply = get "/hostile"
    assert.equal(500, reply.status)
    local problem = cjson.decode(reply.body).error
    assert.equal("plugin_error", problem.code)
    server:wait_record { error = "~hostile%.lua:3: pattern too complex" }
  end)

  it("that would not end can be caught", function()
    local reply = get "/caught"
    assert.equal(200, reply.status)
    assert.equal("false pattern too complex", reply.body)
  end)

  it("may wait in the function that makes the replacements", function()
    assert.equal("Dear NAME, WHAT", get "/waits".body)
  end)

  it("works as a method of strings", function()
    assert.equal("xab--t", get "/method".body)
  end)
end)

describe("the limit of processor time", function()
  it("ends a plugin in the middle of matching", function()
    local server = host.start {
      config = {
        plugins = { "patterns" }, endpoints = { { plugin = "patterns", hook_id = "patterns" } },
        limits = { plugin_cpu_ms = 50 },
      },
      files = files,
    }
    local reply = server:request { target = "/e/patterns/endless" }
    assert.equal(500, reply.status)
    assert.equal("plugin_cpu_limit", cjson.decode(reply.body).error.code)
    assert.equal("xab--t", server:request({ target = "/e/patterns/method" }).body)
    server:stop()
  end)
end)
