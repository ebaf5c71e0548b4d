-- SIGUSR2: another binary takes over, and nobody who asks notices.
local echo = require "spec.host.echo"
local host = require "spec.support.host"
local load_on = require "spec.support.load"
local process = require "spec.support.process"

local UPGRADES = tonumber(os.getenv "SOAK" and 20 or 3)

describe("an upgrade of the binary", function()
  local dir, binary

  -- Puts a file in the binary's place, as an installer does.
  local function install(from)
    assert.equal(0, os.execute(("cp '%s' '%s.new' && chmod 755 '%s.new' && mv '%s.new' '%s'")
      :format(from, binary, binary, binary, binary)))
  end

  before_each(function()
    dir = host.folder {}
    binary = dir .. "/moonhook"
    install(host.binary())
  end)

  after_each(function() os.execute(("rm -rf '%s'"):format(dir)) end)

  local function wait_upgraded(server, from)
    server:wait_record({ msg = "upgrade: the new binary runs" }, 20, from)
    server:wait_record({ msg = "listening", listener = "public" }, 20, from)
  end

  it("runs what lies where it was started from, also when the old one was moved aside", function()
    local server = echo.start { workers = 1, binary = binary }
    local from = #server:log()
    assert.equal(0, os.execute(("mv '%s' '%s.old'"):format(binary, binary)))
    install(host.binary())
    server.process:kill "USR2"
    wait_upgraded(server, from)
    local pipe = io.popen(("readlink /proc/%d/exe"):format(server.process.pid))
    assert.equal(binary .. "\n", pipe:read "*a")
    pipe:close()
    server:stop()
  end)

  it("loses no request (P08)", function()
    local server = echo.start { workers = 2, binary = binary }
    local load = load_on.start(server.base .. echo.prefix .. "/calls", { rate = 300 })
    local master, pids = server.process.pid, {}
    for _ = 1, UPGRADES do
      local from = #server:log()
      pids[#pids + 1] = server:pid(1)
      install(host.binary())
      server.process:kill "USR2"
      wait_upgraded(server, from)
      assert.are_not.equal(pids[#pids], server:pid(1))
      process.eventually(function() return not process.is_alive(pids[#pids]) end, 10,
        "the old worker to end")
    end
    assert.equal(master, server.process.pid)
    assert.is_true(server.process:is_running())
    local sum = load:stop()
    assert.same({ 0, 0 }, { sum.failed, sum.refused }, require("cjson").encode(sum.errors))
    assert.is_true(sum.ok > 100)
    server:stop()
  end)

  it("lets streams of the old one come to their end", function()
    local server = echo.start { workers = 1, binary = binary }
    local stream = server:open { target = echo.prefix .. "/slow/1500" }
    stream:close()
    local slow = server:connect()
    slow:send(("GET %s/slow/1500 HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix))
    local from = #server:log()
    server.process:kill "USR2"
    wait_upgraded(server, from)
    assert.equal("slow", require("spec.support.http").read_head(slow):read_body())
    slow:close()
    server:stop()
  end)

  it("does not happen when the new one cannot start", function()
    local server = echo.start { workers = 1, binary = binary }
    local worker = server:pid(1)
    local file = assert(io.open(dir .. "/broken", "w"))
    file:write "#!/bin/sh\nkill -SEGV $$\n"
    file:close()
    install(dir .. "/broken")
    server.process:kill "USR2"
    local refused = server:wait_record({ level = "error", msg = "~^upgrade: " }, 20)
    assert.equal(11, refused.signal)
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    assert.equal(worker, server:pid(1))
    server:stop()
  end)

  it("does not happen when the configuration would not be taken", function()
    local server = echo.start { workers = 1, binary = binary }
    local worker = server:pid(1)
    server:write("moonhook.yaml", "wrokers: 3\n")
    server.process:kill "USR2"
    local refused = server:wait_record({ level = "error", msg = "~^upgrade: " }, 20)
    assert.equal(1, refused.code)
    assert.matches("moonhook.yaml:1:1: wrokers", server:log(), 1, true)
    assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
    assert.equal(worker, server:pid(1))
    server:stop()
  end)
end)
