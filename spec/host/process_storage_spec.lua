-- Four workers write storage at once: in turns, and whoever dies leaves the lock to the next.
local database = require "spec.support.database"
local host = require "spec.support.host"
local load_on = require "spec.support.load"
local process = require "spec.support.process"

local FILES = {
  ["plugins/count/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: count
resource: { permission: { storage: { enabled: true, size: 1048576 } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /add, method: GET,  extra: { lua: { source: add.lua } } }
        - { path: /get, method: GET, extra: { lua: { source: get.lua } } }
]],
  ["plugins/count/add.lua"] = [[
return function(self)
  return tostring(self.session.storage:incr "n")
end]],
  ["plugins/count/get.lua"] = [[
return function(self)
  return self.session.storage:get "n" or "0"
end]],
}

local function start()
  return host.start { workers = 4, files = FILES, config = {
    plugins = { "plugins" }, endpoints = { { plugin = "count", hook_id = "count-spec" } },
  } }
end

local function count(server)
  return tonumber(server:request { target = "/e/count-spec/get" }.body)
end

describe("storage of four workers", function()
  it("loses no increment, and lets nobody wait for long", function()
    local server = start()
    local load = load_on.start(server.base .. "/e/count-spec/add",
      { rate = 2000, connections = 16 })
    local longest = 0
    local writes = os.getenv "SOAK" and 2000 or 60
    for _ = 1, writes do -- each by some worker
      local from = process.now()
      assert.equal(200, server:request { target = "/e/count-spec/add" }.status)
      longest = math.max(longest, process.now() - from)
    end
    local sum = load:stop()
    assert.equal(0, sum.failed)
    assert.equal(sum.ok + writes, count(server))
    assert.is_true(longest < 2, longest .. " s")
    if os.getenv "SOAK" then
      print(("# %d writes, the longest wait %.3f s"):format(sum.ok + writes, longest))
    end
    server:stop()
  end)

  it("goes on when processes die while they write", function()
    local server = start()
    local load = load_on.start(server.base .. "/e/count-spec/add",
      { rate = 1000, connections = 16 })
    for i = 1, 8 do
      local before = count(server)
      process.eventually(function() return count(server) > before end, 5)
      local number = i % 4 + 1
      local pid = server:pid(number)
      process.kill(pid, "KILL")
      process.eventually(function() return server:pid(number) and server:pid(number) ~= pid end, 5)
    end
    local sum = load:stop()
    assert.equal(0, sum.refused)
    assert.is_true(count(server) >= sum.ok) -- what was answered is there
    assert.equal(200, server:request { target = "/e/count-spec/add" }.status)
    server:stop(true)
    local db = database.open(server.dir .. "/data/moonhook.db")
    assert.equal("ok", db:run "PRAGMA integrity_check")
    db:close()
    os.execute(("rm -rf '%s'"):format(server.dir))
  end)
end)
