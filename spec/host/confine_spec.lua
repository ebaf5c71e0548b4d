-- What the kernel keeps from workers. Where a system has no seccomp or no Landlock the host says
-- so; the specs of that part then see that it does.
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local plugins = io.popen("pwd"):read "*l" .. "/spec/host/plugins"

local function start(options)
  options.workers = 1
  options.config = options.config or {}
  options.config.plugins = { plugins }
  options.config.endpoints = { { plugin = "echo", hook_id = "echo-hook" } }
  options.config.log = { level = "debug" }
  return host.start(options)
end

local is_sanitized = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

local function status_of(pid)
  local fields = {}
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local name, value = line:match "^([%w_]+):%s*(.-)%s*$"
    if name then fields[name] = value end
  end
  return fields
end

local function core_limit(pid)
  for line in io.lines(("/proc/%d/limits"):format(pid)) do
    local soft, hard = line:match "^Max core file size%s+(%S+)%s+(%S+)"
    if soft then return soft .. " " .. hard end
  end
end

describe("a worker", function()
  it("has no new privileges, filtered system calls and no core dumps", function()
    local server = start {}
    local record = server:wait_record { msg = "confined" }
    local status = status_of(server:pid(1))
    assert.equal("1", status.NoNewPrivs)
    assert.equal("0 0", core_limit(server:pid(1)))
    assert.equal(record.calls == "filtered" and "2" or "0", status.Seccomp)
    assert.equal("0", status_of(server.process.pid).Seccomp) -- the master: it upgrades by exec
    server:stop()
  end)

  it("that is taken over runs no program, reaches no process and no file of others", function()
    local dir = host.folder { files = {
      ["mine/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: mine
resource: { permission: { network: { enabled: true, hosts: [break.out.test] } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: a.lua } } }
]],
      ["mine/a.lua"] = [[
return function(self)
  local ok, problem = pcall(function()
    return self.session.http:request { url = "http://break.out.test:9/" }
  end)
  return tostring(problem)
end
]],
    }, config = { plugins = { "mine" }, endpoints = { { plugin = "mine", hook_id = "mine" } },
      log = { level = "debug" } } }
    local outside = os.tmpname()
    local built = process.run { "cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o",
      dir .. "/break_out.so", "spec/support/break_out.c", "-ldl" }
    assert.equal(0, built.code, built.stderr)
    local server = host.start { dir = dir, workers = 1, env = {
      LD_PRELOAD = dir .. "/break_out.so",
      ASAN_OPTIONS = is_sanitized and "exitcode=99:detect_leaks=1:verify_asan_link_order=0",
      BREAK_OUT_FILE = outside, BREAK_OUT_RESULTS = dir .. "/data/results",
    } }
    local kept = server:wait_record { msg = "confined" }
    local reply = server:request { target = "/e/mine/" }
    assert.equal(200, reply.status, reply.body)
    local lines = {}
    for line in io.lines(dir .. "/data/results") do lines[#lines + 1] = line end
    server:stop()
    local count, refused = 0, { ["1"] = true, ["13"] = true } -- EPERM, EACCES
    for _, line in ipairs(lines) do
      local want, what, number = line:match "^(%a+)_([%w_]+)=(%d+)$"
      local is_file = what:find "outside" or what:find "etc_" or what:find "environ"
      local holds = is_file and kept.files == "its own" or not is_file and kept.calls == "filtered"
      local is_traced = is_sanitized and (what == "ptrace" or what == "kill")
      if want == "yes" or not holds then
        assert.equal(want == "yes" and "0" or number, number, what)
      elseif not is_traced then
        assert.is_true(refused[number] == true, what .. " gave " .. number)
      end
      count = count + 1
    end
    assert.equal(13, count)
    os.remove(outside)
  end)

  it("is not confined when the operator says so", function()
    local server = start { env = { MOONHOOK_CONFINE = "off" } }
    assert.same({ "0", "0" }, { status_of(server:pid(1)).NoNewPrivs,
      status_of(server:pid(1)).Seccomp })
    server:stop()
  end)

  it("is replaced when the configuration comes to read a folder it may not", function()
    local config = { backends = { up = { type = "openai", url = "http://127.0.0.1:9/v1",
      api_key_file = "near.key", models = { llm = { "m" } } } } }
    local elsewhere = os.tmpname()
    local file = io.open(elsewhere, "w")
    file:write "a key\n"
    file:close()
    local server = start { config = config, files = { ["near.key"] = "a key\n" } }
    local first = server:pid(1)
    local is_confined = server:wait_record({ msg = "confined" }).files == "its own"
    config.backends.up.api_key_file = elsewhere
    server:write("moonhook.yaml", cjson.encode(config))
    process.kill(server.process.pid, "HUP")
    server:wait_record { msg = "configuration loaded" }
    if is_confined then
      process.eventually(function()
        local now = server:pid(1)
        return now and now ~= first
      end, 10, "a fresh worker")
    end
    assert.equal(200, server:request { target = "/e/echo-hook/calls" }.status)
    assert.is_nil(server:find_record { msg = "configuration not taken by this worker",
      pid = server:pid(1) })
    os.remove(elsewhere)
    server:stop()
  end)
end)
