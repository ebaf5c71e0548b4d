-- `moonhook serve` with two workers: SIGHUP, new versions, and requests that are under way.
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local load_on = require "spec.support.load"
local process = require "spec.support.process"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: live
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: live.lua } } }
        - { path: /stream, method: GET, extra: { lua: { source: stream.lua } } }
]]

local STREAM = [[
local moonhook = require "moonhook"
return function(_, request)
  local version = require "version"
  return moonhook.Response.sse(function()
    for _ = 1, tonumber(request.args.count) do
      coroutine.yield(version)
      moonhook.sleep(20)
    end
  end)
end]]

local function files(word)
  return {
    ["plugins/live/manifest.yaml"] = MANIFEST,
    ["plugins/live/version.lua"] = ("return %q"):format(word),
    ["plugins/live/live.lua"] = "return function() return (require 'version') end",
    ["plugins/live/stream.lua"] = STREAM,
  }
end

local function config(options)
  options = options or {}
  return {
    plugins = { "plugins" },
    endpoints = { { plugin = "live", name = "live", hook_id = "live-spec",
      enabled = options.enabled } },
    limits = { drain_ms = options.drain_ms or 30000 },
    workers = options.workers,
  }
end

local function start(options)
  return host.start { workers = 2, files = files "one", config = config(options) }
end

local function get(server)
  local reply = server:request { target = "/e/live-spec/" }
  return reply.body, reply.status
end

local function reload(server)
  local from = #server:log()
  server.process:kill "HUP"
  server:wait_record({ msg = "configuration loaded" }, 10, from)
  return from
end

local function rss_kib(pid)
  local file = assert(io.open(("/proc/%d/status"):format(pid)))
  local kib = tonumber(file:read("*a"):match "VmRSS:%s*(%d+)")
  file:close()
  return kib
end

describe("moonhook serve, told to look again,", function()
  it("serves the new version on every worker, from one moment on", function()
    local server = start()
    assert.equal("one", (get(server)))
    server:write("plugins/live/version.lua", "return 'two'")
    assert.equal("one", (get(server)))
    reload(server)
    -- Each request of its own connection: some worker or other takes it.
    for _ = 1, 20 do assert.equal("two", (get(server))) end
    server:stop()
  end)

  it("has every worker keep to the limits that the configuration has now", function()
    local server = start()
    local post = { method = "GET", target = "/e/live-spec/", body = ("x"):rep(2000) }
    assert.equal(200, server:request(post).status)
    local changed = config()
    changed.limits.body_bytes = 1024
    server:write("moonhook.yaml", (cjson.encode(changed):gsub("\\/", "/")))
    reload(server)
    for _ = 1, 20 do assert.equal(413, server:request(post).status) end
    server:stop()
  end)

  for name, case in pairs {
    ["that does not compile (R01)"] = { text = "return function() funtion x() end",
      error = "live.lua:1:" },
    ["that raises when it is loaded (R02)"] = { text = "\nerror 'not today'",
      error = "live.lua:2: not today" },
    ["that never ends when it is loaded (R02)"] = { text = "while true do end",
      error = "%S" },
    ["that takes all the memory when it is loaded (R02)"] = {
      text = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", error = "%S" },
    ["that requires what is not there (R03)"] = { text = "require 'missing'", error = "missing" },
  } do
    it("refuses a version " .. name, function()
      local server = start()
      local pids = { server:pid(1), server:pid(2) }
      local load = load_on.start(server.base .. "/e/live-spec/", { rate = 200 })
      server:write("plugins/live/live.lua", case.text)
      local from = reload(server)
      local refused = server:wait_record({ level = "error", plugin = "live" }, 10, from)
      assert.matches(case.error, refused.error)
      assert.equal("the last good version", refused.serving)
      local sum = load:stop()
      assert.equal(0, sum.failed)
      assert.same({ one = sum.ok }, sum.bodies)
      assert.same(pids, { server:pid(1), server:pid(2) })
      server:stop()
    end)
  end

  it("keeps the last good version over a restart, and over the keeper's death", function()
    local server = start()
    server:write("plugins/live/live.lua", "return function() funtion x() end")
    reload(server)
    local keeper = server:pid "keeper"
    process.kill(keeper, "KILL")
    server:wait_record({ msg = "serving the version before" }, 10)
    assert.equal("one", (get(server)))
    server:stop(true)
    server = host.start { workers = 2, dir = server.dir }
    assert.equal("one", (get(server)))
    assert.equal("the last good version",
      server:find_record({ msg = "plugin not loaded" }).serving)
    local metrics = http.request { port = server.admin_port, target = "/metrics" }.body
    for state, count in pairs { loaded = 0, outdated = 1, error = 0 } do
      assert.is_truthy(metrics:find(('\nmoonhook_plugins{state="%s"} %d\n'):format(state, count),
        1, true), metrics)
    end
    server:stop()
  end)

  it("lets a worker that is started later have the same configuration and versions", function()
    local server = start()
    server:write("moonhook.yaml", "wrong: {}\n")
    server.process:kill "HUP"
    server:wait_record({ msg = "configuration not loaded" }, 10)
    server:write("plugins/live/version.lua", "funtion")
    local pid = server:pid(1)
    process.kill(pid, "KILL")
    process.eventually(function() return server:pid(1) and server:pid(1) ~= pid end, 5)
    for _ = 1, 10 do assert.equal("one", (get(server))) end
    server:stop()
  end)

  it("ends streams of a disabled endpoint at the drain limit (R06)", function()
    local server = start { drain_ms = 400 }
    local streams = {}
    for i = 1, 20 do
      streams[i] = server:open { target = "/e/live-spec/stream?count=100000" }
      streams[i]:next_piece(5)
    end
    server:write("moonhook.yaml", (cjson.encode(config { enabled = false, drain_ms = 400 })
      :gsub("\\/", "/")))
    reload(server)
    assert.equal(404, select(2, get(server)))
    for _, stream in ipairs(streams) do
      local text = {}
      pcall(function()
        for piece in stream:pieces() do text[#text + 1] = piece end
      end)
      assert.matches('event: error\ndata: {"error":{"code":"disabled"', table.concat(text), 1, true)
      stream:close()
    end
    server:stop()
  end)

  it("lets streams of a disabled endpoint end that are quick enough", function()
    local server = start()
    local stream = server:open { target = "/e/live-spec/stream?count=20" }
    stream:next_piece(5)
    server:write("moonhook.yaml", (cjson.encode(config { enabled = false }):gsub("\\/", "/")))
    reload(server)
    assert.equal(404, select(2, get(server)))
    local text = stream:read_body()
    assert.is_nil(text:find("error", 1, true))
    stream:close()
    server:stop()
  end)

  it("has more workers, or fewer", function()
    local server = host.start { files = files "one", args = {}, workers = 1, config = config() }
    server:stop(true)
    -- The flag would win over the file.
    local function set(count)
      server:write("moonhook.yaml", (cjson.encode(config { workers = count }):gsub("\\/", "/")))
    end
    set(1)
    server = host.start { dir = server.dir, workers = false }
    set(3)
    reload(server)
    process.eventually(function() return server:pid(3) end, 5, "a third worker")
    set(2)
    local third = server:pid(3)
    reload(server)
    server:wait_record({ msg = "closed", pid = third }, 5)
    assert.equal("one", (get(server)))
    server:stop()
  end)

  -- One stream in each of `count` versions, "v1" first; served by one worker.
  local function hold_versions(server, count)
    local streams = {}
    for i = 1, count do
      server:write("plugins/live/version.lua", ("return 'v%d'"):format(i))
      reload(server)
      process.eventually(function() return get(server) == "v" .. i end, 5, "version " .. i)
      streams[i] = server:open { target = "/e/live-spec/stream?count=100000", seconds = 60 }
      assert.equal(("data: v%d\n\n"):format(i), streams[i]:next_piece(5))
    end
    return streams
  end

  local function read_end(stream)
    local last, ok, piece
    repeat
      last = piece
      ok, piece = pcall(stream.next_piece, stream, 10)
    until not ok or not piece
    return last
  end

  it("keeps 32 old versions alive, and ends the requests of the oldest beyond that", function()
    local server = host.start { workers = 1, files = files "v0", config = config() }
    local streams = hold_versions(server, 33)
    for i = 1, 33 do -- one live, 32 old
      assert.equal(("data: v%d\n\n"):format(i), streams[i]:next_piece(5))
    end
    server:write("plugins/live/version.lua", "return 'v34'")
    reload(server)
    assert.matches('^event: error\ndata: {"error":{"code":"reloaded"', read_end(streams[1]))
    for i = 2, 33 do
      assert.equal(("data: v%d\n\n"):format(i), streams[i]:next_piece(5))
      streams[i]:close()
    end
    assert.equal("v34", (get(server)))
    server:stop()
  end)

  it("ends the requests of every old version when the drain limit is over", function()
    local server = host.start { workers = 1, files = files "v0",
      config = config { drain_ms = 300 } }
    local streams = hold_versions(server, 4)
    server.process:kill "TERM"
    for _, stream in ipairs(streams) do
      assert.matches('^event: error\ndata: {"error":{"code":"server_shutdown"', read_end(stream))
    end
    server:stop()
  end)

  it("loses no request and no stream by many reloads, and no memory (R04)", function()
    local is_soak = os.getenv "SOAK"
    local reloads = is_soak and 100 or 12
    local server = start()
    local streams, began = {}, process.now()
    for i = 1, is_soak and 100 or 40 do
      streams[i] = server:open { target = "/e/live-spec/stream?count=100000", seconds = 120 }
      streams[i]:next_piece(5)
    end
    local load = load_on.start(server.base .. "/e/live-spec/", { rate = is_soak and 500 or 300 })
    local function once(i)
      server:write("plugins/live/version.lua", ("return 'v%d'"):format(i))
      reload(server)
      if is_soak then -- 100 within a minute
        process.eventually(function() return process.now() - began > i * 0.6 end, 5)
      end
    end
    for i = 1, 4 do once(i) end
    local before = rss_kib(server:pid(1)) + rss_kib(server:pid(2))
    for i = 5, 4 + reloads do once(i) end
    local grown = rss_kib(server:pid(1)) + rss_kib(server:pid(2)) - before
    local sum = load:stop()
    assert.same({ 0, 0 }, { sum.failed, sum.refused }, cjson.encode(sum.errors))
    assert.is_true(sum.bodies["v" .. 4 + reloads] > 0)
    for _, stream in ipairs(streams) do
      assert.equal("data: one\n\n", stream:next_piece(5)) -- the version that it began with
      stream:close()
    end
    assert.is_nil(server:find_record { msg = "process died" })
    if is_soak then
      print(("# %d reloads in %.0f s, %d requests, %d KiB more"):format(reloads,
        process.now() - began, sum.ok, grown))
    end
    if not is_slow_build then -- a sanitizer keeps what was freed
      assert.is_true(grown < 6 * 1024, grown .. " KiB more after " .. reloads .. " reloads")
    end
    server:stop()
  end)
end)
