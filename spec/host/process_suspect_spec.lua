-- A plugin that killed a worker is served by one worker alone for a while: the others pass its
-- connections on. Which worker code runs in is told by its state: each has its own.
local cjson = require "cjson"
local database = require "spec.support.database"
local hanger = require "spec.support.hanger"
local host = require "spec.support.host"
local http = require "spec.support.http"
local load_on = require "spec.support.load"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
plugins:
  endpoints:
    - endpoints:
        - { path: /who, method: GET, extra: { lua: { source: who.lua } } }
        - { path: /kill, method: GET, extra: { lua: { source: kill.lua } } }
        - { path: /count, method: GET, extra: { lua: { source: count.lua } } }
        - { path: /echo, method: [GET, PUT], extra: { lua: { source: echo.lua } } }
]]

local FILES = {}
for _, name in ipairs { "suspect", "good" } do
  local function file(path, text) FILES["plugins/" .. name .. "/" .. path] = text end
  file("manifest.yaml", MANIFEST:format(name))
  file("id.lua", "return require('moonhook').crypto.hex(require('moonhook').crypto.random(8))")
  file("who.lua", "local id = require 'id'\nreturn function() return id end")
  file("kill.lua", "return function() return " .. hanger.HANG .. " end")
  file("count.lua", [[
local id, moonhook = require "id", require "moonhook"
return function(_, request)
  return moonhook.Response(function()
    for i = 1, tonumber(request.args.to) do
      coroutine.yield(i .. " " .. id .. "\n")
      moonhook.sleep(2)
    end
  end)
end]])
  file("echo.lua", [[
local moonhook = require "moonhook"
return function(_, request)
  local fields = {}
  for name, value in request.headers:pairs() do fields[#fields + 1] = { name, value } end
  return moonhook.Response.json { method = request.method, target = request.raw_target,
    fields = fields, body = request:get_data(), client = request.remote_addr }
end]])
end
local CRASHING = {}
for path, text in pairs(FILES) do CRASHING[path] = text end
CRASHING["plugins/suspect/kill.lua"] = "return function() return " .. hanger.CRASH .. " end"

local CONFIG = {
  limits = { stuck_ms = 500 }, -- a kill takes half as long
  plugins = { "plugins" },
  endpoints = { { plugin = "suspect", hook_id = "suspect-spec" },
    { plugin = "good", hook_id = "good-spec" } },
}

local function start(options)
  options = options or {}
  options.workers = options.workers or 2
  options.files = options.files or FILES
  options.env = options.env or hanger.env()
  options.config = CONFIG
  return host.start(options)
end

-- Lets the plugin kill the worker that it is served by; the record of the death.
local function kill(server)
  local died, from = hanger.kill_worker(server, "/e/suspect-spec/kill")
  server:wait_record({ msg = "plugin killed a worker", plugin = "spec/suspect" }, 5, from)
  return died
end

-- Asks on `count` connections at once who serves: { [id] = replies }, and how many ids.
local function who(server, plugin, count)
  local connections, ids, distinct = {}, {}, 0
  for i = 1, count or 40 do
    connections[i] = server:connect()
    connections[i]:send(("GET /e/%s-spec/who HTTP/1.1\r\nHost: t\r\n\r\n"):format(plugin))
  end
  for _, connection in ipairs(connections) do
    local reply = http.read_head(connection, { seconds = 10 })
    assert.equal(200, reply.status)
    local id = reply:read_body()
    distinct = distinct + (ids[id] and 0 or 1)
    ids[id] = (ids[id] or 0) + 1
  end
  for _, connection in ipairs(connections) do connection:close() end
  return ids, distinct
end

local function ids_of_all(server, plugin, count)
  local ids
  process.eventually(function()
    local distinct
    ids, distinct = who(server, plugin)
    return distinct == count
  end, 10, count .. " workers to serve " .. plugin)
  return ids
end

local function metric(server, name)
  local text = http.request { port = server.admin_port, target = "/metrics" }.body
  return tonumber(text:match("\nmoonhook_" .. name .. " (%d+)"))
end

local function passed(server)
  return metric(server, "http_connections_passed_total")
end

-- Two workers, one of which the plugin has killed.
local function start_suspect(options)
  local server = start(options)
  ids_of_all(server, "suspect", 2)
  kill(server)
  ids_of_all(server, "good", 2)
  return server
end

-- Gives the worker that serves the suspect so many connections that the other takes all that come,
-- until they are closed.
local function lean(server)
  local streams = {}
  for i = 1, 16 do
    streams[i] = server:open { target = "/e/suspect-spec/count?to=100000" }
    streams[i]:next_piece(5)
  end
  return function()
    for _, stream in ipairs(streams) do stream:close() end
  end
end

setup(hanger.build)
teardown(hanger.remove)

describe("a plugin that killed a worker", function()
  for what, files in pairs { hangs = FILES, crashes = hanger.has_crashes and CRASHING or nil } do
    it(("and %s is served by one worker, which alone dies of it again"):format(what), function()
      local server = start { files = files }
      local before = ids_of_all(server, "suspect", 2)
      kill(server)
      server:wait_record { msg = "plugin is suspect, one worker serves it",
        plugin = "spec/suspect" }
      local first, distinct = who(server, "suspect")
      assert.equal(1, distinct)
      assert.equal(40, first[next(first)]) -- none was lost
      ids_of_all(server, "good", 2) -- the others are served by all
      lean(server)() -- through the other one
      local second = server:pid(2)
      assert.equal("worker 1", kill(server).process)
      local again
      again, distinct = who(server, "suspect") -- some wait until it is back
      assert.equal(1, distinct)
      assert.is_nil(before[next(again)])
      assert.is_nil(first[next(again)])
      assert.equal(second, server:pid(2))
      assert.is_true(passed(server) > 0)
      assert.equal("worker 1", kill(server).process)
      server:wait_record { msg = "plugin in quarantine", plugin = "spec/suspect" }
      assert.equal(503, server:request { target = "/e/suspect-spec/who" }.status)
      assert.equal(second, server:pid(2))
      server:stop()
    end)
  end

  it("gets every request as it was sent, however the bytes came", function()
    local server = start_suspect()
    local function ask(head, body, send)
      local connection = server:connect()
      send = send or connection.send
      assert(send(connection, head .. "\r\n" .. (body or "")))
      local reply = http.read_head(connection, { seconds = 10 })
      assert.equal(200, reply.status)
      local got = cjson.decode(reply:read_body())
      connection:close()
      return got, reply
    end
    local target = "/e/suspect-spec/echo?a=%20b&&c"
    local head = "PUT " .. target .. " HTTP/1.1\r\nhost:t\r\nX-Odd:   a \t b  \r\nX-Odd: \r\n"
    local big = ("0123456789"):rep(20000)
    local before, stop_leaning = passed(server), nil
    for i = 1, 6 do -- some come to the one that serves, some to the other
      if i == 3 then stop_leaning = lean(server) end
      local got = ask(head .. "Content-Length: 5\r\n", "hello")
      assert.same({ "PUT", target, "hello", "127.0.0.1" },
        { got.method, got.target, got.body, got.client })
      assert.same({ { "host", "t" }, { "X-Odd", "a \t b" }, { "X-Odd", "" },
        { "Content-Length", "5" } }, { unpack(got.fields, 1, 4) }) -- the rest is the host's
      assert.equal("hello", ask(head .. "Content-Length: 5\r\n", "hello",
        function(connection, bytes) return connection:send_bytewise(bytes) end).body)
      assert.equal(big, ask(head .. ("Content-Length: %d\r\n"):format(#big), big).body)
      assert.equal("abcde", ask(head .. "Transfer-Encoding: chunked\r\n",
        "2;x=y\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: t\r\n\r\n").body)
      local _, reply = ask(head .. "Expect: 100-continue\r\nContent-Length: 2\r\n", nil,
        function(connection, bytes)
          connection:send(bytes)
          assert.matches("^HTTP/1.1 100 ", connection:receive_until "\r\n\r\n")
          return connection:send "ok"
        end)
      assert.equal(200, reply.status)
      assert.equal(200, select(2, ask("GET " .. target .. " HTTP/1.0\r\n")).status)
    end
    assert.is_true(passed(server) >= before + 4 * 6)
    stop_leaning()
    server:stop()
  end)

  it("gets what is pipelined behind other requests, and these go on", function()
    local server = start_suspect()
    local get = "GET /e/%s-spec/who HTTP/1.1\r\nHost: t\r\n\r\n"
    local order = { "good", "suspect", "good", "suspect", "suspect", "good" }
    local suspect = next((who(server, "suspect")))
    local before, stop_leaning = passed(server), lean(server)
    for _ = 1, 8 do
      local connection, bytes = server:connect(), ""
      for _, plugin in ipairs(order) do bytes = bytes .. get:format(plugin) end
      connection:send(bytes)
      for _, plugin in ipairs(order) do
        local reply = http.read_head(connection, { seconds = 10 })
        assert.equal(200, reply.status)
        assert.equal(plugin == "suspect", reply:read_body() == suspect)
      end
      for _, plugin in ipairs(order) do -- and one by one
        local reply = server:request { target = "/e/" .. plugin .. "-spec/who",
          connection = connection }
        assert.equal(plugin == "suspect", reply.body == suspect)
      end
      connection:close()
    end
    assert.is_true(passed(server) >= before + 8)
    stop_leaning()
    server:stop()
  end)

  it("streams, and hears that a client has left", function()
    local server = start_suspect()
    local streams = {}
    for i = 1, 12 do streams[i] = server:open { target = "/e/suspect-spec/count?to=60" } end
    for _, stream in ipairs(streams) do
      assert.matches("^1 %x+\n.*60 %x+\n$", stream:read_body())
      stream:close()
    end
    for i = 1, 12 do
      streams[i] = server:open { target = "/e/suspect-spec/count?to=100000" }
      streams[i]:next_piece(5)
    end
    for _, stream in ipairs(streams) do stream:close() end
    process.eventually(function() return metric(server, "http_requests_in_flight") == 0 end, 5,
      "the streams to end")
    server:stop()
  end)

  it("loses none of 200 requests under load", function()
    local server = start_suspect()
    local load = load_on.start(server.base .. "/e/suspect-spec/who",
      { rate = 400, connections = 16 })
    for _ = 1, 5 do assert.equal(1, select(2, who(server, "suspect", 40))) end
    local sum = load:stop()
    assert.equal(0, sum.failed)
    ids_of_all(server, "good", 2)
    server:stop()
  end)

  it("leaves new connections to the others when many came to it", function()
    local server = start_suspect()
    local stop_leaning, streams = lean(server), {}
    local busy = next((who(server, "suspect")))
    local ids = {}
    for i = 17, 48 do -- of which most go to the other
      streams[i] = server:open { target = "/e/good-spec/count?to=100000" }
      local id = streams[i]:next_piece(5):match " (%x+)"
      ids[id] = (ids[id] or 0) + 1
    end
    local shares = {}
    for _, count in pairs(ids) do shares[#shares + 1] = count end
    table.sort(shares)
    -- 48 connections: 24 for each, 5 more or less.
    assert.equal(2, #shares)
    assert.is_true(shares[1] >= 3 and shares[1] <= 13, table.concat(shares, " and "))
    assert.equal(busy, next((who(server, "suspect"))))
    for _, stream in pairs(streams) do stream:close() end
    stop_leaning()
    server:stop()
  end)

  it("is served by the next worker while the first ends in order", function()
    local server = start_suspect()
    local streams = {} -- of both
    for i = 1, 24 do streams[i] = server:open { target = "/e/good-spec/count?to=100000" } end
    for _, one in ipairs(streams) do one:next_piece(5) end
    local first = next((who(server, "suspect")))
    process.kill(server:pid(1), "TERM") -- its streams hold it
    local second
    process.eventually(function() -- it closes connections on which nothing was asked yet
      local ok, ids = pcall(who, server, "suspect")
      second = ok and next(ids)
      return second and second ~= first
    end, 5, "the second worker to serve it")
    assert.equal(1, select(2, who(server, "suspect")))
    for _, one in ipairs(streams) do one:close() end
    process.eventually(function() return next((who(server, "suspect"))) ~= second end, 5,
      "the first worker to be back")
    server:stop()
  end)

  it("is served by what there is, with one worker", function()
    local server = start { workers = 1 }
    kill(server)
    assert.equal(1, select(2, who(server, "suspect")))
    assert.equal(0, passed(server))
    server:stop()
  end)

  -- Stops the first worker, with nobody to kill it, and asks more often than can be on the way.
  -- Returns the connections, and the worker's pid to let it go on.
  local function ask_while_stopped(server)
    local first, connections = server:pid(1), {}
    server:write("moonhook.yaml", cjson.encode { plugins = CONFIG.plugins,
      endpoints = CONFIG.endpoints, limits = { stuck_ms = 0 } })
    server.process:kill "HUP"
    server:wait_record { msg = "configuration loaded" }
    process.kill(first, "STOP")
    for i = 1, 500 do
      connections[i] = server:connect()
      connections[i]:send "GET /e/suspect-spec/who HTTP/1.1\r\nHost: t\r\n\r\n"
    end
    process.eventually(function() -- the second one keeps some that it could not pass on
      return passed(server) > 50 and metric(server, "http_connections") > 4
    end, 10, "them to wait")
    return connections, first
  end

  it("waits for room while its worker takes nothing, and loses nothing", function()
    local server = start_suspect()
    local connections, first = ask_while_stopped(server)
    process.kill(first, "CONT")
    local ids, distinct = {}, 0
    for _, connection in ipairs(connections) do
      local reply = http.read_head(connection, { seconds = 10 })
      assert.equal(200, reply.status)
      local id = reply:read_body()
      distinct = distinct + (ids[id] and 0 or 1)
      ids[id] = true
      connection:close()
    end
    assert.equal(1, distinct)
    server:stop()
  end)

  it("is served by the others when the host stops while its worker takes nothing", function()
    local server = start_suspect()
    local connections, first = ask_while_stopped(server)
    server.process:kill "TERM"
    for _, connection in ipairs(connections) do
      assert.equal(200, http.read_head(connection, { seconds = 10 }).status)
      connection:close()
    end
    process.kill(first, "CONT")
    server:stop()
  end)

  it("is refused for a moment when there was no room for long", function()
    local server = start_suspect()
    local connections, first = ask_while_stopped(server)
    server:wait_record({ msg = "request", status = 503 }, 10)
    process.kill(first, "CONT")
    local counts = { [200] = 0, [503] = 0 }
    for _, connection in ipairs(connections) do
      local reply = http.read_head(connection, { seconds = 10 })
      counts[reply.status] = counts[reply.status] + 1
      if reply.status == 503 then
        assert.equal("1", reply.headers["retry-after"])
        assert.matches('"overloaded"', reply:read_body(), 1, true)
      end
      connection:close()
    end
    assert.is_true(counts[503] > 0 and counts[200] > 50)
    server:stop()
  end)

  it("waits for a descriptor while its worker has none left, and loses nothing", function()
    local server = start_suspect()
    local stop_leaning = lean(server)
    local pid, count = server:pid(1), 0
    for _ in io.popen(("ls /proc/%d/fd"):format(pid)):lines() do count = count + 1 end
    local function limit(files)
      local set = process.run { "prlimit", "--pid", tostring(pid), ("--nofile=%d:"):format(files) }
      assert.equal(0, set.code, set.stderr)
    end
    limit(count)
    local before, connections = passed(server), {}
    for i = 1, 5 do
      connections[i] = server:connect()
      connections[i]:send "GET /e/suspect-spec/who HTTP/1.1\r\nHost: t\r\n\r\n"
    end
    process.eventually(function() return passed(server) == before + 5 end, 5, "them to be passed")
    assert.is_nil((connections[5]:receive(0.2)))
    limit(1024)
    for _, connection in ipairs(connections) do
      assert.equal(200, http.read_head(connection, { seconds = 5 }).status)
      connection:close()
    end
    stop_leaning()
    server:stop()
  end)

  it("is served by all again after a minute without another", function()
    local clock = hanger.build "clock"
    local file = clock .. ".offset"
    local server = start_suspect { env = hanger.env(clock, { CLOCK_FILE = file }) }
    assert.equal(1, select(2, who(server, "suspect")))
    local out = assert(io.open(file, "w"))
    out:write "61\n"
    out:close()
    server:wait_record { msg = "plugin is suspect no more, all workers serve it",
      plugin = "spec/suspect" }
    ids_of_all(server, "suspect", 2)
    server:stop()
  end)

  it("has its requests ended in order when the host stops", function()
    local server = start_suspect()
    local streams = {}
    for i = 1, 20 do
      streams[i] = server:open { target = "/e/suspect-spec/count?to=100", seconds = 10 }
      streams[i]:next_piece(5)
    end
    server.process:kill "TERM"
    for _, stream in ipairs(streams) do assert.matches("\n100 %x+\n$", stream:read_body()) end
    server:stop()
  end)

  local function wait_kept(server)
    process.eventually(function()
      local db = database.open(server.dir .. "/data/registry.db")
      local kept = db:run "SELECT count(*) FROM meta WHERE value LIKE '0 0 %spec/suspect%'"
      db:close()
      return kept == "1"
    end, 5, "it to be written down")
  end

  it("is suspect over an upgrade, too", function()
    local server = start_suspect()
    wait_kept(server)
    local from, old = #server:log(), { server:pid(1), server:pid(2) }
    server.process:kill "USR2"
    server:wait_record({ msg = "listening", listener = "public" }, 20, from)
    for _, pid in ipairs(old) do
      process.eventually(function() return not process.is_alive(pid) end, 10, "it to end")
    end
    ids_of_all(server, "good", 2)
    assert.equal(1, select(2, who(server, "suspect")))
    server:stop()
  end)

  it("is suspect over a restart, too", function()
    local server = start_suspect()
    wait_kept(server)
    server:stop(true)
    server = start { dir = server.dir }
    ids_of_all(server, "good", 2)
    assert.equal(1, select(2, who(server, "suspect")))
    server:stop()
  end)
end)
