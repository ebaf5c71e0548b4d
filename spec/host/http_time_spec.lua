-- Clients that are slow, that leave, and that are too many, on the real binary. The limits are
-- those of the documentation made twenty times smaller.
local echo = require "spec.host.echo"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local usage = require "spec.host.usage"

local now = process.now
local has_sanitizer = host.binary():find "asan" ~= nil

-- "Promptly", on a machine that has other things to do as well.
local SOON = 0.1
local SLACK = 0.25

local LIMITS = {
  head_ms = 500, body_ms = 1000, idle_ms = 1500, stalled_ms = 1000, max_connections = 200,
  worker_body_bytes = 100000,
}

local function get(target, ...)
  local lines = { ("GET %s%s HTTP/1.1"):format(echo.prefix, target), "Host: t", ... }
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function post(target, len)
  return ("POST %s%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"):format(echo.prefix,
    target, len)
end

describe("a client", function()
  local server

  setup(function() server = echo.start { limits = LIMITS } end)
  teardown(function() server:stop() end)

  local function mark()
    return #server:log()
  end

  local function probe()
    return server:request { target = echo.prefix .. "/calls" }
  end

  local function is_healthy()
    local reply = probe()
    assert.equal(200, reply.status)
    assert.equal("0", reply.body)
  end

  -- Sends a byte every 50 ms until the other side closes; gives the seconds that it took.
  local function drip(connections, byte)
    local started, taken, left, worst = now(), {}, #connections, 0
    local text = {}
    for i in ipairs(connections) do text[i] = "" end
    while left > 0 and now() - started < 5 do
      for i, connection in ipairs(connections) do
        if not taken[i] then
          connection:send(byte)
          local bytes, how = connection:receive(0)
          text[i] = text[i] .. (bytes or "")
          if how == "closed" then
            taken[i] = now() - started
            left = left - 1
          end
        end
      end
      local asked = now()
      is_healthy()
      worst = math.max(worst, now() - asked)
      process.eventually(function() return now() - asked > 0.05 end)
    end
    assert.equal(0, left, "connections that nobody closed")
    return taken, text, worst
  end

  local function assert_about(expected, seconds)
    assert.is_true(seconds > expected - 0.06 and seconds < expected + SLACK,
      ("expected about %g s, took %g s"):format(expected, seconds))
  end

  it("that sends its head too slowly gets 408, however many there are (C01)", function()
    local connections = {}
    for i = 1, 40 do
      connections[i] = server:connect()
      connections[i]:send(("GET %s/smuggled HTTP/1.1\r\nX: "):format(echo.prefix))
    end
    local taken, text, worst = drip(connections, "a")
    for i, connection in ipairs(connections) do
      connection:close()
      assert.matches("^HTTP/1.1 408 ", text[i])
      assert_about(0.5, taken[i])
    end
    assert.is_true(worst < SLACK, worst)
  end)

  it("that sends its body too slowly gets 408, and no handler runs (C02)", function()
    local connection = server:connect()
    connection:send(post("/smuggled", 1000))
    local taken, text = drip({ connection }, "a")
    connection:close()
    assert.matches("^HTTP/1.1 408 ", text[1])
    assert_about(1, taken[1])
    is_healthy()
  end)

  it("that sends a large body steadily is not cut off", function()
    local connection = server:connect()
    connection:send(post("/echo", 8000))
    for _ = 1, 16 do
      connection:send(("a"):rep(500))
      local sent = now()
      process.eventually(function() return now() - sent > 0.1 end)
    end
    assert.equal(200, http.read_head(connection).status)
    connection:close()
  end)

  it("that says nothing between requests is closed without a word", function()
    local connection = server:connect()
    connection:send(get "/calls")
    assert.equal("0", http.read_head(connection):read_body())
    local started = now()
    local text, how = connection:receive_all(5)
    assert.same({ "", "closed" }, { text, how })
    assert_about(1.5, now() - started)
    connection:close()
  end)

  it("that does not read is reset, and its plugin was held back (C03)", function()
    local from, memory = mark(), usage.is_known and usage.memory_bytes(server:pid())
    local connections = {}
    for i = 1, 20 do
      connections[i] = server:connect { receive_buffer = 2048 }
      connections[i]:send(get "/big/50000")
    end
    local route = "/big/<int:kilobytes>"
    server:wait_record({ msg = "request", route = route, term = "timeout" }, 3, from)
    -- All of them, before any is read: reading one would be progress.
    process.eventually(function()
      local over = 0
      for _, record in ipairs(server:records(from)) do
        if record.msg == "big is over" and record.code == "cancelled" then
          assert.is_true(record.pieces < 20000, record.pieces)
          over = over + 1
        end
      end
      return over == #connections
    end, 5, "the end of all streams")
    if memory and not has_sanitizer then
      local grown = (usage.memory_bytes(server:pid()) - memory) / #connections
      assert.is_true(grown < 512 * 1024, grown)
    end
    for _, connection in ipairs(connections) do
      assert.is_true(connection:is_closed(3))
      connection:close()
    end
  end)

  it("that reads slowly but steadily gets everything", function()
    local connection = server:connect { receive_buffer = 2048 }
    connection:send(get "/big/20000")
    local reply, total = http.read_head(connection, { seconds = 20 }), 0
    local started = now()
    for piece in reply:pieces() do
      total = total + #piece
      if total % (1024 * 1024) == 0 then
        local paused = now()
        process.eventually(function() return now() - paused > 0.06 end)
      end
    end
    assert.equal(20000 * 1024, total)
    assert.is_true(now() - started > 1)
    connection:close()
  end)

  it("that ends its side at once still gets a reply that is made at once (C04)", function()
    local connection = server:connect()
    connection:send(get "/calls")
    connection:half_close()
    local text, how = connection:receive_all(2)
    assert.equal("closed", how)
    assert.matches("^HTTP/1.1 200 .*\r\n\r\n0$", text)
    connection:close()
  end)

  it("that ends its side while a task waits has left (C04)", function()
    local from, started = mark(), now()
    local connection = server:connect()
    connection:send(get "/slow/30000")
    connection:half_close()
    assert.is_true(connection:is_closed(2))
    assert.is_true(now() - started < SOON + SLACK)
    connection:close()
    server:wait_record({ msg = "slow is over", code = "cancelled" }, 1, from)
    server:wait_record({ msg = "request", route = "/slow/<int:ms>", term = "client" }, 1, from)
  end)

  it("that ends its side inside a body has left, and no handler runs (C05)", function()
    local from, started = mark(), now()
    local connection = server:connect()
    connection:send(post("/smuggled", 100) .. ("x"):rep(50))
    connection:half_close()
    assert.is_true(connection:is_closed(2))
    assert.is_true(now() - started < SOON + SLACK)
    connection:close()
    server:wait_record({ msg = "request", route = "/smuggled", term = "client" }, 1, from)
    is_healthy()
  end)

  it("that resets in the middle of uploads leaves nothing behind (C06)", function()
    local pid, descriptors, memory = server:pid(), nil, nil
    local function upload()
      local connection = server:connect()
      connection:send(post("/echo", 90000) .. ("x"):rep(50000))
      connection:reset()
    end
    for _ = 1, 100 do upload() end
    is_healthy()
    if usage.is_known then
      descriptors, memory = usage.descriptors(pid), usage.memory_bytes(pid)
    end
    for _ = 1, 300 do upload() end
    is_healthy()
    if usage.is_known then
      process.eventually(function() return usage.descriptors(pid) <= descriptors end, 2,
        "the descriptors to be closed")
      if not has_sanitizer then
        assert.is_true(usage.memory_bytes(pid) - memory < 1024 * 1024)
      end
    end
  end)

  it("that leaves during a stream cancels it (C07)", function()
    local from = mark()
    local connection = server:connect()
    connection:send(get "/ticks/30")
    local reply = http.read_head(connection)
    for _ = 1, 3 do assert.equal("tick\n", reply:next_piece()) end
    local left = now()
    connection:close()
    server:wait_record({ msg = "ticks are over", code = "cancelled" }, 1, from)
    assert.is_true(now() - left < SOON + SLACK)
  end)

  for _, way in ipairs { "close", "reset" } do
    it(("that leaves by %s before the first byte cancels the task (C08)"):format(way), function()
      local from = mark()
      local connection = server:connect()
      connection:send(get "/slow/30000")
      server:request { target = echo.prefix .. "/calls" } -- the slow one is running by now
      local left = now()
      connection[way](connection)
      server:wait_record({ msg = "slow is over", code = "cancelled" }, 1, from)
      assert.is_true(now() - left < SOON + SLACK)
    end)

    it(("that leaves by %s is noticed behind unread requests too"):format(way), function()
      local from = mark()
      local connection = server:connect()
      -- More than the server keeps, less than the kernel takes.
      connection:send(get "/slow/30000" .. get("/calls"):rep(3000))
      server:request { target = echo.prefix .. "/calls" }
      connection[way](connection)
      server:wait_record({ msg = "slow is over", code = "cancelled" }, 1, from)
    end)
  end

  it("that leaves before its reply does no harm, a thousand times (P10)", function()
    for _ = 1, 1000 do
      local connection = server:connect()
      connection:send(get "/whole/100")
      connection:reset()
    end
    is_healthy()
  end)

  it("whose body does not fit beside the others gets 503 and Retry-After", function()
    local first, second = server:connect(), server:connect()
    first:send(post("/echo", 80000) .. ("x"):rep(79999))
    second:send(post("/echo", 50000) .. ("x"):rep(50000))
    local refused = http.read_head(second)
    assert.equal(503, refused.status)
    assert.equal("1", refused.headers["retry-after"])
    assert.equal("close", refused.headers.connection)
    second:close()
    first:send "x"
    assert.equal(200, http.read_head(first):read_body() and 200)
    first:close()
    assert.equal(200, server:request { target = echo.prefix .. "/echo", body = ("x"):rep(50000) }
      .status)
  end)

  it("with 65,536 chunks of one byte costs little (H39)", function()
    if not usage.is_known or has_sanitizer then return end
    local body = ("1\r\na\r\n"):rep(65536) .. "0\r\n\r\n"
    local pid = server:pid()
    local memory, cpu = usage.memory_bytes(pid), usage.cpu_seconds(pid)
    local reply = server:request { target = echo.prefix .. "/slow/1", body = body,
      headers = { ["Transfer-Encoding"] = "chunked" } }
    assert.equal(200, reply.status)
    assert.is_true(usage.cpu_seconds(pid) - cpu <= 0.08)
    assert.is_true(usage.memory_bytes(pid) - memory <= 1024 * 1024)
  end)
end)

describe("too many clients", function()
  it("are told so beyond max_connections (C10)", function()
    local server = echo.start { workers = 1, limits = { max_connections = 20 } }
    local connections = {}
    for i = 1, 20 do connections[i] = server:connect() end
    for _ = 1, 5 do
      local started, extra = now(), server:connect()
      local reply = http.read_head(extra)
      assert.equal(503, reply.status)
      assert.equal("1", reply.headers["retry-after"])
      reply:read_body()
      assert.is_true(extra:is_closed(1))
      assert.is_true(now() - started < SOON + SLACK)
      extra:close()
    end
    for _, connection in ipairs(connections) do
      connection:send(get "/calls")
      assert.equal("0", http.read_head(connection):read_body())
      connection:close()
    end
    process.eventually(function()
      return server:request { target = echo.prefix .. "/calls" }.status == 200
    end, 2)
    server:stop()
  end)

  it("for the descriptors that there are do not make it spin (C09)", function()
    local server = echo.start { under = { "sh", "-c", 'ulimit -n 64; exec "$@"', "sh" } }
    local early = server:connect()
    local connections = {}
    for i = 1, 200 do connections[i] = server:connect() end
    local pid = server:pid()
    if usage.is_known then
      local cpu, started = usage.cpu_seconds(pid), now()
      process.eventually(function() return now() - started > 1 end)
      assert.is_true(usage.cpu_seconds(pid) - cpu <= 0.1)
    end
    early:send(get "/calls")
    assert.equal("0", http.read_head(early):read_body())
    local complaints = 0
    for _, record in ipairs(server:records()) do
      if record.msg == "accept EMFILE" then complaints = complaints + 1 end
    end
    assert.is_true(complaints >= 1 and complaints <= 3, complaints)
    for _, connection in ipairs(connections) do connection:close() end
    process.eventually(function()
      local ok, reply = pcall(server.request, server, { target = echo.prefix .. "/calls" })
      return ok and reply.status == 200
    end, 1, "a reply after the others left")
    early:close()
    server:stop()
  end)
end)
