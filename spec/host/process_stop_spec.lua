-- SIGTERM on a host of several processes: what runs may end, and is told when it may not.
local echo = require "spec.host.echo"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/events/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: events
plugins:
  endpoints:
    - endpoints:
        - { path: /events/<int:count>, method: GET, extra: { lua: { source: events.lua } } }
        - { path: /raw, method: GET, extra: { lua: { source: raw.lua } } }
]],
  ["plugins/events/events.lua"] = [[
local moonhook = require "moonhook"
return function(_, _, values)
  return moonhook.Response.sse(function()
    for i = 1, values.count do
      coroutine.yield("event " .. i)
      moonhook.sleep(20)
    end
  end)
end]],
  ["plugins/events/raw.lua"] = [[
local moonhook = require "moonhook"
return function()
  return moonhook.Response(function()
    while true do
      coroutine.yield "piece"
      moonhook.sleep(20)
    end
  end)
end]],
}

local function start(drain_ms)
  return host.start { workers = 2, files = FILES, config = {
    plugins = { "plugins", io.popen("pwd"):read "*l" .. "/spec/host/plugins" },
    endpoints = {
      { plugin = "events", hook_id = "events-spec" }, { plugin = "echo", hook_id = echo.hook },
    },
    limits = drain_ms and { drain_ms = drain_ms } or nil,
  } }
end

local function ended(server, seconds)
  local code = server.process:wait(seconds)
  return code
end

describe("a host that is told to end", function()
  it("lets streams and uploads come to their end, and takes nobody new (P05)", function()
    local server = start()
    local streams, uploads = {}, {}
    for i = 1, 50 do streams[i] = server:open { target = "/e/events-spec/events/40" } end
    for i = 1, 20 do
      uploads[i] = server:connect()
      uploads[i]:send(("POST %s/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\nhalf")
        :format(echo.prefix))
    end
    server:request { target = echo.prefix .. "/calls" }
    server.process:kill "TERM"
    server:wait_record { msg = "stopping" }
    process.eventually(function() return not pcall(server.connect, server) end, 2,
      "connections to be refused")
    for _, upload in ipairs(uploads) do
      upload:send "full"
      assert.equal(200, http.read_head(upload).status)
      upload:close()
    end
    for _, stream in ipairs(streams) do
      assert.matches("event 40\n\n$", stream:read_body())
      stream:close()
    end
    assert.equal(0, ended(server, 10))
    server:stop()
  end)

  it("tells event streams when they take too long, and breaks others off (P06)", function()
    local server = start(300)
    local events = server:open { target = "/e/events-spec/events/100000" }
    local raw = server:open { target = "/e/events-spec/raw" }
    events:next_piece(2)
    server.process:kill "TERM"
    local text = {}
    local is_complete = pcall(function()
      while true do
        local piece = events:next_piece(5)
        if not piece then break end
        text[#text + 1] = piece
      end
    end)
    local all = table.concat(text)
    assert.matches("event: error\ndata: {\"error\":{\"code\":\"server_shutdown\"", all, 1, true)
    assert.is_false(is_complete) -- no last chunk
    assert.is_false((pcall(raw.read_body, raw)))
    assert.equal(0, ended(server, 10))
    local told = 0 -- once for each
    for _, record in ipairs(server:records()) do
      if record.msg == "plugin failed" then told = told + 1 end
    end
    assert.equal(2, told)
    events:close()
    raw:close()
    server:stop()
  end)

  it("ends at once when it is told twice (P07)", function()
    local server = start()
    local streams = {}
    for i = 1, 10 do streams[i] = server:open { target = "/e/events-spec/events/100000" } end
    server.process:kill "TERM"
    server:wait_record { msg = "stopping" }
    server.process:kill "TERM"
    local told = process.now()
    assert.equal(0, ended(server, 10))
    assert.is_true(process.now() - told < 5)
    for _, stream in ipairs(streams) do stream:close() end
    server:stop()
  end)

  it("says that it is not ready any more, until the last worker has ended", function()
    local server = start()
    local stream = server:open { target = "/e/events-spec/events/100000" }
    stream:next_piece(2)
    local ready = { url = "http://127.0.0.1:" .. server.admin_port .. "/readyz" }
    assert.equal(200, http.request(ready).status)
    server.process:kill "TERM"
    process.eventually(function() return http.request(ready).status == 503 end, 5)
    assert.is_truthy(stream:next_piece(2)) -- it runs on
    server.process:kill "TERM"
    assert.equal(0, ended(server, 10))
    stream:close()
    server:stop()
  end)
end)
