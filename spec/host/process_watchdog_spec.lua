-- Workers that hang: named, killed, replaced; and the plugins that make them hang.
local database = require "spec.support.database"
local hanger = require "spec.support.hanger"
local host = require "spec.support.host"
local process = require "spec.support.process"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

local STUCK = "return function() return " .. hanger.HANG .. " end"
local CRASH = "return function() return " .. hanger.CRASH .. " end"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: main.lua } } }
        - { path: /fine, method: GET, extra: { lua: { source: fine.lua } } }
]]

local function files(stuck)
  local list = {}
  for _, name in ipairs { "stuck", "good" } do
    list["plugins/" .. name .. "/manifest.yaml"] = MANIFEST:format(name)
    list["plugins/" .. name .. "/fine.lua"] = "return function() return 'fine' end"
    list["plugins/" .. name .. "/main.lua"] = "return function() return 'good' end"
  end
  list["plugins/stuck/main.lua"] = stuck or STUCK
  return list
end

local CONFIG = {
  plugins = { "plugins" },
  endpoints = {
    { plugin = "stuck", name = "the stuck one", hook_id = "stuck-spec" },
    { plugin = "good", hook_id = "good-spec" },
  },
}

local function start(options)
  options = options or {}
  options.files = not options.dir and (options.files or files()) or nil
  if not options.dir then
    options.config = { plugins = CONFIG.plugins, endpoints = CONFIG.endpoints,
      limits = options.config and options.config.limits }
  end
  options.workers = options.workers or 2
  options.env = hanger.env()
  return host.start(options)
end

-- Asks for what hangs, and does not wait. Waits until some worker has died of it.
local function make_stuck(server)
  return hanger.kill_worker(server, "/e/stuck-spec/")
end

setup(hanger.build)
teardown(hanger.remove)

describe("a worker that hangs", function()
  it("in a C function is named, killed and replaced; the other one serves", function()
    local server = start()
    local connection = server:connect()
    connection:send "GET /e/stuck-spec/ HTTP/1.1\r\nHost: t\r\n\r\n"
    local warned = server:wait_record({ msg = "process does not move" }, 5)
    assert.same({ "warn", "spec/stuck", "the stuck one" },
      { warned.level, warned.plugin, warned.endpoint })
    assert.equal("good", server:request { target = "/e/good-spec/" }.body)
    local killed = server:wait_record({ msg = "process hangs, killing it" }, 5)
    assert.same({ "spec/stuck", "the stuck one", warned.pid },
      { killed.plugin, killed.endpoint, killed.pid })
    server:wait_record({ msg = "process died", pid = killed.pid }, 5)
    local from = #server:log()
    process.eventually(function()
      local pid = server:pid(killed.process:match "%d+")
      return pid and pid ~= killed.pid
    end, 5, "its successor")
    assert.equal("good", server:request { target = "/e/good-spec/" }.body)
    assert.is_nil(server:find_record({ level = "error" }, from))
    connection:close()
    server:stop()
  end)

  it("because it was stopped is killed and replaced, and no plugin blamed (P03)", function()
    local server = start()
    local first = server:pid(1)
    process.kill(first, "STOP")
    local stopped = process.now()
    for _ = 1, 5 do assert.equal("good", server:request { target = "/e/good-spec/" }.body) end
    server:wait_record({ msg = "process died", pid = first }, 10)
    process.eventually(function()
      return server:pid(1) and server:pid(1) ~= first
    end, 5, "its successor")
    assert.is_true(process.now() - stopped < 5)
    assert.is_nil(server:find_record { msg = "plugin killed a worker" })
    server:stop()
  end)

  it("does not keep the others from taking all that comes", function()
    local server = start { config = { limits = { stuck_ms = 0 } } } -- nobody kills it
    local hanging, connections = server:connect(), {}
    hanging:send "GET /e/stuck-spec/ HTTP/1.1\r\nHost: t\r\n\r\n"
    local warned = server:wait_record({ msg = "process does not move" }, 5)
    for i = 1, 40 do
      connections[i] = server:connect()
      connections[i]:send "GET /e/good-spec/ HTTP/1.1\r\nHost: t\r\n\r\n"
    end
    for _, connection in ipairs(connections) do -- each stays open
      assert.matches("^HTTP/1.1 200 ", (connection:receive_until("\r\n", 5)))
    end
    for _, connection in ipairs(connections) do connection:close() end
    process.kill(warned.pid, "KILL")
    server:wait_record({ msg = "process died", pid = warned.pid }, 5)
    hanging:close()
    server:stop()
  end)

  it("goes on unharmed when it goes on in time", function()
    local server = start { workers = 1 }
    local first = server:pid(1)
    process.kill(first, "STOP")
    server:wait_record({ msg = "process does not move", pid = first }, 5)
    process.kill(first, "CONT")
    assert.equal("good", server:request { target = "/e/good-spec/" }.body)
    assert.equal(first, server:pid(1))
    server:stop()
  end)
end)

describe("a plugin that kills workers", function()
  it("is kept out after three, over a restart too, until there is a new version", function()
    local server = start()
    for _ = 1, 3 do make_stuck(server) end
    server:wait_record { msg = "plugin in quarantine", plugin = "spec/stuck" }
    local reply = server:request { target = "/e/stuck-spec/fine" }
    assert.equal(503, reply.status)
    assert.matches("plugin_quarantined", reply.body, 1, true)
    local seconds = tonumber(reply.headers["retry-after"])
    assert.is_true(seconds > 10 and seconds <= 30)
    assert.equal("good", server:request { target = "/e/good-spec/" }.body)

    -- The keeper writes it down within a moment.
    process.eventually(function()
      local db = database.open(server.dir .. "/data/registry.db")
      local kept = db:run "SELECT count(*) FROM meta WHERE value LIKE '1 %spec/stuck%'"
      db:close()
      return kept == "1"
    end, 5, "the quarantine to be kept")
    server:stop(true)
    server = start { dir = server.dir }
    assert.equal(503, server:request { target = "/e/stuck-spec/fine" }.status)
    assert.equal("good", server:request { target = "/e/good-spec/" }.body)

    server:write("plugins/stuck/main.lua", "return function() return 'mended' end")
    server.process:kill "HUP"
    process.eventually(function()
      return server:request { target = "/e/stuck-spec/" }.body == "mended"
    end, 5, "the new version")
    server:stop()
  end)

  -- Ends the server whose plugin is in quarantine, and starts it when the quarantine is over.
  local function start_when_over(server)
    server:stop(true)
    local db = database.open(server.dir .. "/data/registry.db")
    local kept = db:run "SELECT value FROM meta WHERE name = 'suspects'"
    db:run(("UPDATE meta SET value = '%s' WHERE name = 'suspects'")
      :format(kept:gsub("^(%d+) %d+", "%1 1")))
    db:close()
    return start { dir = server.dir }
  end

  -- The first request tries it; others are let in when that is over.
  local function assert_served_again(server)
    local function ask() return server:request { target = "/e/stuck-spec/fine" }.body == "fine" end
    assert.is_true(ask())
    process.eventually(ask, 2, "the one that tries it to be over")
    for _ = 1, 5 do assert.is_true(ask()) end
  end

  local function wait_kept(server, rounds)
    process.eventually(function()
      local db = database.open(server.dir .. "/data/registry.db")
      local kept = db:run "SELECT value FROM meta WHERE name = 'suspects'"
      db:close()
      return kept and kept:match("^" .. rounds .. " ")
    end, 5, "the quarantine to be kept")
  end

  it("is tried with one request when its time is over", function()
    local server = start()
    for _ = 1, 3 do make_stuck(server) end
    wait_kept(server, 1)
    server = start_when_over(server)
    make_stuck(server) -- the one that tries it
    local again = server:wait_record { msg = "plugin in quarantine" }
    assert.equal(60000, again.for_ms) -- twice as long
    assert.equal(503, server:request { target = "/e/stuck-spec/fine" }.status)
    wait_kept(server, 2)
    server = start_when_over(server)
    assert_served_again(server)
    server:stop()
  end)

  it("is tried at once when the operator reloads", function()
    local server = start()
    for _ = 1, 3 do make_stuck(server) end
    server:wait_record { msg = "plugin in quarantine" }
    assert.equal(503, server:request { target = "/e/stuck-spec/fine" }.status)
    server.process:kill "HUP"
    server:wait_record { msg = "plugin in quarantine is tried again", plugin = "spec/stuck" }
    assert_served_again(server)
    server:stop()
  end)

  it("by crashing them is kept out too", function()
    if not hanger.has_crashes then return end
    local server = start { files = files(CRASH) }
    for _ = 1, 3 do make_stuck(server) end
    server:wait_record { msg = "plugin in quarantine", plugin = "spec/stuck" }
    assert.equal(503, server:request { target = "/e/stuck-spec/fine" }.status)
    server:stop()
  end)

  it("is not the one whose worker somebody else killed", function()
    local server = start { files = files [[
      local moonhook = require "moonhook"
      return function()
        return moonhook.Response(function()
          while true do coroutine.yield("x") moonhook.sleep(1) end
        end)
      end]], workers = 1 }
    for _ = 1, 3 do
      local stream = server:open { target = "/e/stuck-spec/" }
      stream:next_piece(2)
      local pid = server:pid(1)
      process.kill(pid, is_slow_build and "KILL" or "SEGV")
      server:wait_record({ msg = "process died", pid = pid }, 5)
      stream:close()
    end
    assert.equal("fine", server:request { target = "/e/stuck-spec/fine" }.body)
    assert.is_nil(server:find_record { msg = "plugin in quarantine" })
    server:stop()
  end)
end)
