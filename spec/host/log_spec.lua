-- The log of the real binary: nobody who does not read it holds up a request.
local cjson = require "cjson"
local echo = require "spec.host.echo"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.socket"

local function records_of(text)
  local records = {}
  for line in text:gmatch "([^\n]*)\n" do records[#records + 1] = cjson.decode(line) end
  return records
end

describe("the log", function()
  it("is dropped and counted when nobody reads the pipe (P09)", function()
    local port = tcp.free_port()
    local dir = host.folder { config = {
      plugins = { io.popen("pwd"):read "*l" .. "/spec/host/plugins" },
      endpoints = { { plugin = "echo", hook_id = echo.hook } },
    } }
    local child = process.start { host.binary(), "serve", "--config", "moonhook.yaml",
      "--data", "data", "--listen", "127.0.0.1:" .. port, "--admin", "127.0.0.1:0",
      cwd = dir, stdout = dir .. "/out" }
    child:wait_for("stderr", '"listener":"public"', 10)
    -- From here on the pipe is not read. 2,000 lines are more than it and the host hold.
    local connection = http.connect(port)
    for _ = 1, 2000 do
      local reply = http.request { port = port, target = echo.prefix .. "/calls",
        connection = connection }
      assert.equal(200, reply.status)
    end
    connection:close()
    assert.is_true(child:is_running())
    local seen
    process.eventually(function()
      seen = child:output "stderr"
      return seen:find("log lines dropped", 1, true)
    end, 5, "the line that counts what was dropped")
    child:kill "TERM"
    assert.equal(0, (child:wait(10)))
    local requests, dropped = 0, 0
    for _, record in ipairs(records_of(child:output "stderr")) do -- every line is whole
      if record.msg == "request" then requests = requests + 1 end
      if record.lines then dropped = dropped + record.lines end
    end
    assert.equal(2000, requests + dropped)
    assert.is_true(dropped > 0)
    os.execute("rm -rf '" .. dir .. "'")
  end)

  it("has a record of each request, and valid UTF-8 whatever came", function()
    local server = echo.start()
    server:request { target = echo.prefix .. "/path/a%22%0a%E5%B0%8F" }
    local record = server:wait_record { msg = "request", route = "/path/<path:rest>" }
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", record.time)
    assert.same({ "info", "GET", 200, '/path/a"\n小', "reply" },
      { record.level, record.method, record.status, record.path, record.term })
    server:stop()
  end)
end)

describe("a log that cannot be written", function()
  it("holds up no request, and what is lost is counted (S06)", function()
    local public, admin = tcp.free_port(), tcp.free_port()
    local dir = host.folder { config = {
      plugins = { io.popen("pwd"):read "*l" .. "/spec/host/plugins" },
      endpoints = { { plugin = "echo", hook_id = echo.hook } },
    } }
    local child = process.start { host.binary(), "serve", "--config", "moonhook.yaml",
      "--data", "data", "--listen", "127.0.0.1:" .. public, "--admin", "127.0.0.1:" .. admin,
      "--workers", "1", cwd = dir, stderr = "/dev/full" }
    process.eventually(function()
      local ok, reply = pcall(http.request, { port = admin, target = "/readyz" })
      return ok and reply.status == 200
    end, 20, "the host to be ready")
    local connection = http.connect(public)
    for _ = 1, 2000 do -- more than the host keeps for a disk that has room again
      assert.equal(200, http.request({ port = public, target = echo.prefix .. "/calls",
        connection = connection }).status)
    end
    connection:close()
    process.eventually(function()
      local text = http.request({ port = admin, target = "/metrics" }).body
      return tonumber(text:match "\nmoonhook_log_dropped_total (%d+)\n") > 0
    end, 20, "the count of dropped lines in /metrics")
    child:kill "TERM"
    assert.equal(0, (child:wait(20)))
    os.execute("rm -rf '" .. dir .. "'")
  end)
end)
