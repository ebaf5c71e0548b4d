-- How the server ends, on the real binary.
local echo = require "spec.host.echo"
local http = require "spec.support.http"
local process = require "spec.support.process"

local now = process.now

local function get(target)
  return ("GET %s%s HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix, target)
end

describe("a host that is told to end", function()
  local server, idle, slow

  before_each(function()
    server = echo.start()
    idle, slow = server:connect(), server:connect()
    idle:send(get "/calls")
    assert.equal("0", http.read_head(idle):read_body())
    slow:send(get "/slow/600")
    server:request { target = echo.prefix .. "/calls" } -- the slow one is running by now
  end)

  after_each(function()
    idle:close()
    slow:close()
  end)

  it("closes idle connections at once, accepts no more, and finishes what runs", function()
    local told = now()
    server.process:kill "TERM"
    assert.is_true(idle:is_closed(1))
    assert.is_true(now() - told < 0.35)
    process.eventually(function() return not pcall(server.connect, server) end, 0.1,
      "connections to be refused")
    local reply = http.read_head(slow)
    assert.equal(200, reply.status)
    assert.equal("close", reply.headers.connection)
    assert.equal("slow", reply:read_body())
    assert.is_true(slow:is_closed(1))
    server:stop()
  end)

  it("answers a request whose body is still coming", function()
    local upload = server:connect()
    upload:send(("POST %s/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab")
      :format(echo.prefix))
    server:request { target = echo.prefix .. "/calls" }
    server.process:kill "TERM"
    assert.is_true(idle:is_closed(1))
    upload:send "cd"
    local reply = http.read_head(upload)
    assert.equal(200, reply.status)
    assert.equal("close", reply.headers.connection)
    upload:close()
    server:stop()
  end)
end)

describe("a host on IPv6", function()
  it("is reached there, and names its clients", function()
    local socket = require "socket"
    local probe = socket.tcp6()
    local has_ipv6 = probe and probe:bind("::1", 0)
    if probe then probe:close() end
    if not has_ipv6 then return pending "no IPv6 on this machine" end
    local server = echo.start { listen = "[::1]:0" }
    local client = socket.tcp6()
    client:settimeout(2)
    assert.is_truthy(client:connect("::1", server.port))
    client:send(get "/echo")
    local line = client:receive "*l"
    assert.equal("HTTP/1.1 200 OK", line)
    client:close()
    assert.equal("::1", server:wait_record({ msg = "request" }).client_ip)
    server:stop()
  end)
end)
