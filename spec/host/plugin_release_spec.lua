-- What the operator sees of a plugin that kills workers, and how to have it served again.
local admin = require "spec.support.admin"
local cjson = require "cjson"
local hanger = require "spec.support.hanger"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/wild/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: wild
plugins:
  endpoints:
    - endpoints:
        - { path: /fine, method: GET, extra: { lua: { source: fine.lua } } }
        - { path: /kill, method: GET, extra: { lua: { source: kill.lua } } }
]],
  ["plugins/wild/fine.lua"] = "return function() return 'fine' end",
  ["plugins/wild/kill.lua"] = "return function() return "
    .. (hanger.has_crashes and hanger.CRASH or hanger.HANG) .. " end",
}

local function start()
  return host.start { workers = 2, files = FILES, env = hanger.env(), config = {
    plugins = { "plugins" }, endpoints = { { plugin = "wild", hook_id = "wild-spec" } } } }
end

local function kill(server)
  local from = #server:log()
  local connection = server:connect()
  connection:send "GET /e/wild-spec/kill HTTP/1.1\r\nHost: t\r\n\r\n"
  server:wait_record({ msg = "plugin killed a worker", plugin = "spec/wild" }, 10, from)
  connection:close()
end

local function trouble(api)
  return api:ask("GET", "/plugins").plugins[1].trouble
end

local function gauge(server, name)
  local text = http.request { port = server.admin_port, target = "/metrics" }.body
  return tonumber(text:match("\nmoonhook_plugin_" .. name .. '{plugin="spec/wild"} (%d)\n'))
end

local function run(server, ...)
  local command = { ... }
  command.dir = server.dir
  command[#command + 1] = "--admin"
  command[#command + 1] = "127.0.0.1:" .. server.admin_port
  command[#command + 1] = "--key-file"
  command[#command + 1] = "data/admin.key"
  return host.run(command)
end

local function seconds_until(stamp)
  local year, month, day, hour, min, sec = stamp:match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.%d+Z$"
  assert.truthy(sec, stamp)
  local now = os.date "!*t"
  now.isdst = false
  return os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec,
    isdst = false } - os.time(now)
end

setup(hanger.build)
teardown(hanger.remove)

describe("a plugin that kills workers", function()
  it("is shown as suspect, then as quarantined, until when and why", function()
    local server = start()
    local api = admin.of(server)
    assert.equal(cjson.null, trouble(api))
    assert.same({ 0, 0 }, { gauge(server, "suspect"), gauge(server, "quarantined") })
    kill(server)
    local shown = trouble(api)
    assert.equal("suspect", shown.state)
    assert.matches(hanger.has_crashes and "^signal 11 " or "^it did not move$", shown.reason)
    assert.is_true(seconds_until(shown.until_at) > 30 and seconds_until(shown.until_at) <= 61)
    assert.is_true(seconds_until(shown.killed_at) <= 1)
    assert.same({ 1, 0 }, { gauge(server, "suspect"), gauge(server, "quarantined") })
    kill(server)
    kill(server)
    shown = api:ask("GET", "/plugins/spec/wild?lang=en_US").trouble
    assert.equal("quarantined", shown.state)
    assert.is_true(seconds_until(shown.until_at) > 5 and seconds_until(shown.until_at) <= 31)
    assert.same({ 0, 1 }, { gauge(server, "suspect"), gauge(server, "quarantined") })
    local listed = run(server, "plugin", "list")
    assert.matches("spec/wild +0.0.1 +quarantined ", listed.stdout)
    assert.matches("spec/wild: quarantined until ", listed.stderr, 1, true)
    server:stop()
  end)

  it("serves at once when the operator releases it, and begins anew", function()
    local server = start()
    local api = admin.of(server)
    for _ = 1, 3 do kill(server) end
    assert.equal(503, server:request { target = "/e/wild-spec/fine" }.status)
    assert.equal(cjson.null, api:ask("POST", "/plugins/spec/wild/release").trouble)
    server:wait_record { msg = "plugin released by the operator", plugin = "spec/wild" }
    for _ = 1, 5 do assert.equal("fine", server:request { target = "/e/wild-spec/fine" }.body) end
    kill(server)
    kill(server)
    assert.equal("suspect", trouble(api).state)
    assert.equal("fine", server:request { target = "/e/wild-spec/fine" }.body)
    kill(server)
    assert.equal("quarantined", trouble(api).state)
    server:wait_record { msg = "plugin in quarantine", for_ms = 30000 } -- not twice as long
    server:stop()
  end)

  it("stays released over a restart", function()
    local server = start()
    for _ = 1, 3 do kill(server) end
    local released = run(server, "plugin", "release", "wild")
    assert.equal(0, released.code, released.stderr)
    assert.matches("spec/wild serves again, it was quarantined", released.stderr, 1, true)
    server:stop(true)
    server = host.start { dir = server.dir, workers = 2, env = hanger.env() }
    assert.equal("fine", server:request { target = "/e/wild-spec/fine" }.body)
    assert.equal(cjson.null, trouble(admin.of(server)))
    server:stop()
  end)
end)

describe("moonhook plugin release", function()
  it("says so when there was nothing to do, and when there is no such plugin", function()
    local server = start()
    local result = run(server, "plugin", "release", "spec/wild", "--json")
    assert.equal(0, result.code)
    assert.matches("spec/wild serves, it was not kept out", result.stderr, 1, true)
    assert.equal("spec/wild", cjson.decode(result.stdout).id)
    result = run(server, "plugin", "release", "wlid")
    assert.equal(1, result.code)
    assert.matches("there is no plugin 'wlid', did you mean 'wild'?", result.stderr, 1, true)
    admin.of(server):ask("POST", "/plugins/spec/nobody/release", nil, 404)
    process.eventually(function() return server:pid(2) end)
    server:stop()
  end)
end)
