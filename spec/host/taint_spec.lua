-- Code that was stopped for its time or memory could not clean up: new requests get a fresh state
-- of the same version, at most one a second, and what runs in the old one ends there.
local host_support = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: dirty
plugins:
  endpoints:
    - endpoints:
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
]]

local RUN = [[
local moonhook = require "moonhook"
local kept = {}

return function(self, request)
  local code = assert(load("local kept, session, moonhook = ...\n" .. request:get_data(), "=x"))
  local result = code(kept, self.session, moonhook)
  if moonhook.Response.is(result) then return result end
  return tostring(result)
end
]]

-- What a transaction looks like: the flag is taken off again whatever happens, but for a kill.
local UNCLEAN = [[
  kept.is_busy = true
  local ok, err = pcall(function() %s end)
  kept.is_busy = nil
  if not ok then error(err, 0) end
]]

local ENDLESS = UNCLEAN:format "while true do end"
local GREEDY = UNCLEAN:format "local s = 'x' while true do s = s .. s end"
-- The state stays full of what the module keeps.
local FULL = UNCLEAN:format "while true do kept[#kept + 1] = ('x'):rep(1e6) .. #kept end"

describe("after its code was stopped a plugin", function()
  local server

  before_each(function()
    server = host_support.start {
      files = { ["plugins/dirty/manifest.yaml"] = MANIFEST, ["plugins/dirty/run.lua"] = RUN },
      config = { plugins = { "plugins" }, endpoints = { { plugin = "dirty", hook_id = "dirty" } } },
      workers = 1,
    }
  end)

  after_each(function() server:stop() end)

  local function ask(code)
    return { target = "/e/dirty/run", body = code, seconds = 20 }
  end

  local function run(code)
    return server:request(ask(code))
  end

  local function kill(code, expected)
    local reply = run(code)
    assert.equal(500, reply.status, reply.body)
    assert.matches(expected, reply.body, 1, true)
  end

  -- How often the log has the record.
  local function count(msg)
    local found = 0
    for _, record in ipairs(server:records()) do
      if record.msg == msg then found = found + 1 end
    end
    return found
  end

  for code, text in pairs { plugin_cpu_limit = ENDLESS, plugin_memory_limit = GREEDY } do
    it("runs in a fresh state: " .. code, function()
      assert.equal("nil", run("return kept.is_busy").body)
      assert.equal("1", run("kept.count = (kept.count or 0) + 1 return kept.count").body)
      assert.equal("2", run("kept.count = (kept.count or 0) + 1 return kept.count").body)
      kill(text, code)
      local reply = run("return tostring(kept.is_busy) .. ' ' .. tostring(kept.count)")
      assert.equal("nil nil", reply.body)
      local record = server:wait_record({ msg = "plugin state replaced" }, 5)
      assert.equal("spec/dirty", record.plugin)
      assert.equal(1, count "plugin state replaced")
      -- And stays in it.
      assert.equal("1", run("kept.count = (kept.count or 0) + 1 return kept.count").body)
      assert.equal("2", run("kept.count = (kept.count or 0) + 1 return kept.count").body)
      assert.equal(1, count "plugin state replaced")
    end)
  end

  it("keeps its state when an error was raised, or a request was broken off", function()
    assert.equal(500, run("kept.flag = 'kept' error('oops')").status)
    local stream = server:open(ask [[
      return moonhook.Response(function() while true do
        coroutine.yield(("x"):rep(1000)) session:sleep(10)
      end end)]])
    stream:next_piece(5)
    stream:close()
    server:wait_record({ msg = "request", term = "client" }, 10)
    assert.equal("kept", run("return kept.flag").body)
    assert.equal(0, count "plugin state replaced")
  end)

  it("lets a stream of the old state end in it", function()
    local stream = server:open(ask [[
      kept.name = "old"
      return moonhook.Response(function()
        coroutine.yield("begun;")
        while not kept.is_over do session:sleep(10) end
        coroutine.yield(kept.name .. ";end")
      end)]])
    assert.equal("begun;", stream:next_piece(5))
    -- Another task of the old state ends it, as nothing else reaches it any more.
    local ender = server:open(ask [[
      return moonhook.Response(function()
        coroutine.yield("begun;")
        while not kept.is_busy do session:sleep(10) end
        session:sleep(300)
        kept.is_over = true
      end)]])
    assert.equal("begun;", ender:next_piece(5))
    kill(ENDLESS, "plugin_cpu_limit")
    assert.equal("nil", run("return kept.name").body)
    server:wait_record({ msg = "plugin state replaced" }, 5)
    assert.equal(1, count "plugin state replaced")
    assert.equal("old;end", stream:read_body())
    assert.equal("", ender:read_body())
  end)

  it("lets others in while a stream of it goes on, for all its care", function()
    kill(ENDLESS, "plugin_cpu_limit")
    run "return 1" -- the state is fresh now
    local stream = server:open(ask [[
      return moonhook.Response(function()
        coroutine.yield("begun;")
        while not kept.is_over do session:sleep(10) end
        coroutine.yield("end")
      end)]])
    assert.equal("begun;", stream:next_piece(5))
    run "kept.is_over = true"
    assert.equal("end", stream:read_body())
  end)

  it("gets a fresh state at most once a second", function()
    local started = process.now()
    local kills = 0
    while kills < 12 do
      kill(ENDLESS, "plugin_cpu_limit")
      kills = kills + 1
    end
    local seconds = process.now() - started
    local replaced = count "plugin state replaced"
    assert.is_true(replaced >= 1, replaced)
    assert.is_true(replaced <= math.floor(seconds) + 1, replaced .. " in " .. seconds)
    assert.is_true(replaced < kills, replaced)
    -- Until the next the old one serves, with what it has.
    process.eventually(function() return run("return kept.is_busy").body == "nil" end, 10,
      "a fresh state")
  end)

  it("is out of service while its state is full and no fresh one is due", function()
    local statuses = {}
    process.eventually(function()
      local reply = run(FULL)
      statuses[reply.status] = true
      if reply.status == 503 then
        assert.matches("plugin_memory_limit", reply.body, 1, true)
        assert.equal("1", reply.headers["retry-after"])
      end
      return statuses[503]
    end, 20, "a request that comes too early")
    assert.is_true(statuses[500])
    process.eventually(function() return run("return #kept").body == "0" end, 10, "a fresh state")
  end)

  it("goes on in its old state when a fresh one cannot be loaded", function()
    run("kept.name = 'old'")
    local made = io.popen("ls -d " .. server.dir .. "/data/plugins/*/*/run.lua "
      .. server.dir .. "/data/plugins/*/run.lua 2>/dev/null"):read "*a"
    local path = assert(made:match "[^\n]+", made)
    local folder = path:match "^(.*)/"
    assert.equal(0, os.execute(("chmod u+w '%s' && rm -f '%s'"):format(folder, path)))
    kill(ENDLESS, "plugin_cpu_limit")
    assert.equal("old", run("return kept.name").body)
    local record = server:wait_record({ msg = "plugin state not replaced" }, 5)
    assert.matches("run.lua", record.error)
  end)

  -- Sends all of them before the first reply is read.
  local function send_all(number, code)
    local connections = {}
    for i = 1, number do
      connections[i] = server:connect()
      assert(connections[i]:send(http.format(ask(code)), 5))
    end
    return connections
  end

  local function read_all(connections)
    local replies = {}
    for i, connection in ipairs(connections) do
      replies[i] = http.read_head(connection, { method = "POST", deadline = process.now() + 30 })
      replies[i]:read_body()
      connection:close()
    end
    return replies
  end

  -- Gives the most that ever ran at a time.
  local COUNT = [[
    kept.now = (kept.now or 0) + 1
    kept.most = math.max(kept.most or 0, kept.now)
    session:sleep(100)
    kept.now = kept.now - 1
    return kept.most]]

  local function most(number)
    local found = 0
    for _, reply in ipairs(read_all(send_all(number, COUNT))) do
      assert.equal(200, reply.status, reply.body)
      found = math.max(found, tonumber(reply.body))
    end
    return found
  end

  it("runs one task at a time when it was stopped for its time", function()
    assert.is_true(most(6) > 1)
    kill(ENDLESS, "plugin_cpu_limit")
    assert.equal(1, most(6))
    -- Not for ever.
    process.eventually(function() return run("kept.most = 0") and most(6) > 1 end, 30,
      "requests that run side by side")
  end)

  it("runs one task at a time when a function that it spawned was stopped, and tells", function()
    local reply = run [[
      local task = session:spawn(function()
        while true do end
      end)
      local ok, problem = pcall(task.wait, task)
      return tostring(ok) .. " " .. problem.code .. " " .. select(2, pcall(task.wait, task)).code]]
    assert.equal("false plugin_cpu_limit plugin_cpu_limit", reply.body)
    local record = server:wait_record({ msg = "spawned function stopped" }, 5)
    assert.equal("plugin_cpu_limit", record.code)
    assert.equal(reply.headers["x-request-id"], record.request_id)
    assert.matches("x:3:", record.traceback, 1, true)
    assert.equal(1, most(6))
  end)

  it("runs as before when it was stopped for its memory", function()
    kill(GREEDY, "plugin_memory_limit")
    assert.is_true(most(6) > 1)
  end)

  it("lets 64 requests wait, and forgets those whose clients leave", function()
    kill(ENDLESS, "plugin_cpu_limit")
    local first = send_all(1, "while not kept.is_over do session:sleep(10) end")[1]
    local waiting = send_all(64, "kept.is_over = true return 'ran'")
    process.eventually(function()
      local metrics = http.request { port = server.admin_port, target = "/metrics" }.body
      return metrics:match "\nmoonhook_http_requests_in_flight (%d+)" == "65"
    end, 10, "the first and 64 requests")
    local refused = server:open(ask "return 1")
    assert.equal(503, refused.status)
    assert.matches("overloaded", refused:read_body(), 1, true)
    assert.is_truthy(refused.headers["retry-after"])
    local left = 0
    for i = 1, 63 do waiting[i]:close() end
    process.eventually(function()
      left = 0
      for _, record in ipairs(server:records()) do
        if record.msg == "request" and record.term == "client" then left = left + 1 end
      end
      return left == 63
    end, 10, "63 requests whose clients left")
    -- The first is broken off, and the one that still waits has its turn.
    first:close()
    assert.equal("ran", read_all({ waiting[64] })[1].body)
  end)
end)
