-- Processes that die, one by one and all at once: who serves meanwhile, and who comes back.
local host = require "spec.support.host"
local load_on = require "spec.support.load"
local process = require "spec.support.process"
local echo = require "spec.host.echo"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

-- Waits until worker `number` is another process than `pid` and serves; returns its pid.
local function wait_respawned(server, name, pid)
  return process.eventually(function()
    local now = server:pid(name)
    return now and now ~= pid and now
  end, 5, "worker " .. name .. " to be started again")
end

local function zombies(server)
  local count = 0
  for _, pid in ipairs(process.children(server.process.pid)) do
    if not process.is_alive(pid) then count = count + 1 end
  end
  return count
end

describe("a host of two workers", function()
  it("serves on when one is killed under load, and has it back (P01)", function()
    local server = echo.start { workers = 2 }
    local load = load_on.start(server.base .. echo.prefix .. "/calls")
    local first = server:pid(1)
    process.kill(first, "KILL")
    wait_respawned(server, 1, first)
    server:wait_record { msg = "process died", pid = first }
    process.eventually(function() return server:find_record {
      msg = "request", route = "/calls" } end)
    local sum = load:stop()
    assert.is_true(sum.ok > 0)
    assert.equal(0, sum.refused)
    assert.is_true(sum.failed <= 32, sum.failed .. " requests failed") -- one a connection at most
    server:stop()
  end)

  it("is alive after many crashes of one cause, and takes its time with them (P04)", function()
    local server = echo.start { workers = 2 }
    for i = 1, 6 do
      local victim = server:pid(1)
      process.kill(victim, is_slow_build and "KILL" or "SEGV") -- the sanitizer would explain it
      server:wait_record({ msg = "process died", pid = victim }, 5)
      assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status, i)
      wait_respawned(server, 1, victim)
    end
    local pauses = {}
    for _, record in ipairs(server:records()) do
      if record.msg == "process died" then pauses[#pauses + 1] = record.again_in_ms end
    end
    assert.same({ 0, 0, 0, 100, 200, 400 }, pauses)
    assert.equal(0, zombies(server))
    server:stop()
  end)

  it("has its keeper back, which serves what was served", function()
    local server = echo.start { workers = 2 }
    local keeper = server:pid "keeper"
    process.kill(keeper, "KILL")
    wait_respawned(server, "keeper", keeper)
    process.eventually(function()
      local ok, reply = pcall(server.request, server,
        { url = "http://127.0.0.1:" .. server.admin_port .. "/readyz" })
      return ok and reply.status == 200
    end, 5, "the admin listener")
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    server:stop()
  end)

  it("has a worker back that somebody ended in order", function()
    local server = echo.start { workers = 2 }
    local first = server:pid(2)
    process.kill(first, "TERM")
    server:wait_record { msg = "closed", pid = first }
    wait_respawned(server, 2, first)
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    server:stop()
  end)

  it("leaves nothing running when its master is killed, nor the port taken (P02)", function()
    local server = echo.start { workers = 2 }
    local stream = server:open { target = echo.prefix .. "/ticks/20" } -- it never ends
    local pids = { server:pid "keeper", server:pid(1), server:pid(2) }
    local killed = process.now()
    server.process:kill "KILL"
    server.process:wait(5)
    local again = echo.start { workers = 2, dir = server.dir, listen = "127.0.0.1:" .. server.port }
    assert.equal(200, again:request { target = echo.prefix .. "/calls" }.status)
    process.eventually(function()
      for _, pid in ipairs(pids) do
        if process.is_alive(pid) then return false end
      end
      return true
    end, is_slow_build and 10 or 4, "its processes to end")
    assert.is_true(process.now() - killed < (is_slow_build and 10 or 4))
    stream:close()
    again:stop()
  end)

  it("refuses a data folder that another master works in (O05)", function()
    local server = echo.start { workers = 1 }
    local result = host.run { "serve", "--config", "moonhook.yaml", "--data", "data", "--listen",
      "127.0.0.1:0", "--admin", "127.0.0.1:0", dir = server.dir }
    assert.equal(1, result.code)
    assert.matches("another moonhook works in it, pid " .. server.process.pid, result.stderr)
    server:stop()
  end)

  it("lives when SIGPIPE comes and clients do not wait for their replies (P10)", function()
    local server = echo.start { workers = 2 }
    for _ = 1, 300 do
      local connection = server:connect()
      connection:send(("GET %s/big/64 HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix))
      connection:close()
    end
    for _, pid in ipairs(process.children(server.process.pid)) do process.kill(pid, "PIPE") end
    server.process:kill "PIPE"
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    assert.is_nil(server:find_record { msg = "process died" })
    server:stop()
  end)

  local function sockets(server)
    local counts = {}
    for number = 1, 2 do
      counts[number] = 0
      local listing = io.popen(("ls -l /proc/%d/fd 2>/dev/null"):format(server:pid(number)))
      for line in listing:lines() do
        if line:find "socket:" then counts[number] = counts[number] + 1 end
      end
      listing:close()
    end
    return counts
  end

  it("shares connections evenly, no worse than 60 to 40", function()
    local server = echo.start { workers = 2 }
    local own, connections, counts = sockets(server), {}, {}
    for i = 1, 64 do connections[i] = server:connect() end
    for _, connection in ipairs(connections) do
      connection:send(("GET %s/calls HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix))
    end
    process.eventually(function()
      counts = sockets(server)
      counts = { counts[1] - own[1], counts[2] - own[2] }
      return counts[1] + counts[2] == 64
    end, 5, "all to be accepted")
    assert.is_true(math.max(counts[1], counts[2]) <= 38, counts[1] .. " and " .. counts[2])
    for _, connection in ipairs(connections) do connection:close() end
    server:stop()
  end)
end)
