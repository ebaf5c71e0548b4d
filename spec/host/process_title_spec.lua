-- What `ps` and `top` call the processes of a host.
local echo = require "spec.host.echo"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

-- As ps reads it: NULs at its end left away, those between arguments as blanks.
local function shown(pid)
  local file = assert(io.open(("/proc/%d/cmdline"):format(pid), "rb"))
  local text = file:read "*a":gsub("%z+$", ""):gsub("%z", " ")
  file:close()
  return text
end

local function short(pid)
  local file = assert(io.open(("/proc/%d/comm"):format(pid)))
  local text = file:read "*l"
  file:close()
  return text
end

describe("the titles of processes", function()
  it("tell master, keeper and workers apart, also after an upgrade", function()
    local dir = host.folder {}
    local binary = dir .. "/moonhook"
    os.execute(("cp '%s' '%s'"):format(host.binary(), binary))
    local server = echo.start { workers = 2, binary = binary,
      env = { A_VARIABLE = ("x"):rep(100), MOONHOOK_LOG_LEVEL = "debug" } }
    local master = server.process.pid

    local function check()
      assert.matches("^moonhook: master %(" .. binary:gsub("%p", "%%%0")
        .. " serve %-%-config moonhook.yaml .*%-%-workers 2%)$", shown(master))
      assert.equal("moonhook", short(master))
      assert.same({ "moonhook: keeper", "moonhook:keeper" },
        { shown(server:pid "keeper"), short(server:pid "keeper") })
      for number = 1, 2 do
        local pid = server:pid(number)
        assert.same({ "moonhook: worker " .. number, "moonhook:w" .. number },
          { shown(pid), short(pid) })
      end
    end

    check()
    local from = #server:log()
    server.process:kill "USR2"
    server:wait_record({ msg = "upgrade: the new binary runs" }, 20, from)
    server:wait_record({ msg = "listening", listener = "public" }, 20, from)
    check()
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    server:stop()
    os.execute(("rm -rf '%s'"):format(dir))
  end)

  it("say which worker ends", function()
    local server = echo.start { workers = 1 }
    local pid = server:pid(1)
    local stream = server:connect()
    stream:send(("GET %s/slow/1500 HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix))
    process.eventually(function()
      local url = ("http://127.0.0.1:%d/metrics"):format(server.admin_port)
      local text = http.request({ url = url }).body
      return text:find("\nmoonhook_http_requests_in_flight 1\n", 1, true)
    end, 10, "the request to be in the worker")
    process.kill(pid, "TERM")
    process.eventually(function() return shown(pid) == "moonhook: worker 1, ending" end, 10,
      "the title")
    stream:close()
    server:stop()
  end)

  it("are not those of other verbs and of dev", function()
    local server = echo.start { verb = "dev" }
    assert.matches(" dev %-%-config moonhook.yaml ", shown(server.process.pid))
    assert.equal("moonhook", short(server.process.pid))
    server:stop()
  end)
end)
