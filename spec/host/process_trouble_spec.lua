-- What the machine may do to the host's processes: a clock that jumps, memory that runs out.
local host = require "spec.support.host"
local process = require "spec.support.process"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

local FILES = {
  ["plugins/trouble/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: trouble
resource: { permission: { storage: { enabled: true, size: 1048576 } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /ticks, method: GET, extra: { lua: { source: ticks.lua } } }
        - { path: /once, method: GET, extra: { lua: { source: once.lua } } }
        - { path: /eat, method: GET, extra: { lua: { source: eat.lua } } }
        - { path: /fine, method: GET, extra: { lua: { source: fine.lua } } }
]],
  ["plugins/trouble/ticks.lua"] = [[
local moonhook = require "moonhook"
return function(_, request)
  return moonhook.Response(function()
    for i = 1, tonumber(request.args.count) do
      coroutine.yield(i .. "\n")
      moonhook.sleep(50)
    end
  end)
end]],
  ["plugins/trouble/once.lua"] = [[
return function(self) return tostring(self.session:once("event-1", 86400)) end]],
  ["plugins/trouble/eat.lua"] = [[
return function()
  local eaten = {}
  for i = 1, 4e5 do eaten[i] = ("x"):rep(1000) .. i end
  return "sated"
end]],
  ["plugins/trouble/fine.lua"] = "return function() return 'fine' end",
}

local BOTH = {} -- the same twice, by two names
for name, text in pairs(FILES) do
  BOTH[name] = text
  BOTH[(name:gsub("trouble/", "calm/"))] = text:gsub("name: trouble", "name: calm")
end

local CONFIG = {
  plugins = { "plugins" },
  endpoints = {
    { plugin = "trouble", hook_id = "trouble-spec" }, { plugin = "calm", hook_id = "calm-spec" },
  },
}

describe("a clock that jumps", function()
  local library, clock_file

  setup(function()
    local dir = host.folder {}
    library, clock_file = dir .. "/clock.so", dir .. "/clock"
    local made = process.run { "cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library,
      "spec/support/clock.c", "-ldl" }
    assert.equal(0, made.code, made.stderr)
  end)

  teardown(function() os.execute("rm -rf " .. library:match "(.*)/") end)

  local function set_clock(seconds)
    local file = assert(io.open(clock_file, "w"))
    file:write(seconds, "\n")
    file:close()
  end

  it("an hour forth and back cuts no stream, hurries no timer, repeats nothing (P12)", function()
    set_clock(0)
    local server = host.start { workers = 2, files = BOTH, config = CONFIG, env = {
      LD_PRELOAD = library, CLOCK_FILE = clock_file, ASAN_OPTIONS = is_slow_build
        and "exitcode=99:detect_leaks=1:verify_asan_link_order=0" or nil } }
    local ids = {}
    local function ask(target)
      local reply = server:request { target = "/e/trouble-spec" .. target }
      assert.equal(200, reply.status)
      local id = reply.headers["x-request-id"]
      assert.is_nil(ids[id])
      ids[id] = true
      return reply.body
    end
    assert.equal("true", ask "/once")
    local started = process.now()
    local stream = server:open { target = "/e/trouble-spec/ticks?count=30", seconds = 30 }
    for _, seconds in ipairs { 3600, 0, -3600, 0 } do
      stream:next_piece(10)
      set_clock(seconds)
      for _ = 1, 10 do assert.equal("fine", ask "/fine") end
      assert.equal("false", ask "/once")
    end
    assert.matches("30\n$", stream:read_body())
    assert.is_true(process.now() - started >= 1.4) -- 29 pauses of 50 ms: none was left out
    stream:close()
    assert.is_nil(server:find_record { msg = "process died" })
    assert.is_nil(server:find_record { msg = "process does not move" })
    server:stop()
  end)
end)

describe("ports that run out", function()
  it("are told from an upstream that fails, and come back (P13)", function()
    local dir = host.folder {}
    local library, marker = dir .. "/no_ports.so", dir .. "/none"
    local made = process.run { "cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library,
      "spec/support/no_ports.c", "-ldl" }
    assert.equal(0, made.code, made.stderr)
    local target = host.start { files = FILES, config = CONFIG, workers = 1 }
    local server = host.start { workers = 2, files = {
      ["plugins/caller/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: caller
resource: { permission: { network: { enabled: true, hosts: ["*"] } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: main.lua } } }
]],
      ["plugins/caller/main.lua"] = ([[
return function(self)
  return self.session.http:get(%q).body
end]]):format(target.base .. "/e/trouble-spec/fine"),
    }, config = {
      plugins = { "plugins" }, http = { allow = { "127.0.0.0/8" } },
      endpoints = { { plugin = "caller", hook_id = "caller-spec" } },
    }, env = { LD_PRELOAD = library, NO_PORTS_FILE = marker, ASAN_OPTIONS = is_slow_build
      and "exitcode=99:detect_leaks=1:verify_asan_link_order=0" or nil } }
    local function get() return server:request { target = "/e/caller-spec/", seconds = 20 } end
    assert.equal("fine", get().body)
    assert(io.open(marker, "w")):close()
    -- A connection that was kept may serve one more call.
    local reply
    process.eventually(function()
      reply = get()
      return reply.status ~= 200
    end, 10)
    assert.equal(503, reply.status)
    assert.matches('"no_ports"', reply.body, 1, true)
    assert.is_truthy(reply.headers["retry-after"])
    os.remove(marker)
    process.eventually(function() return get().body == "fine" end, 20, "calls to work again")
    server:stop()
    target:stop()
    os.execute("rm -rf " .. dir)
  end)
end)

describe("memory that runs out", function()
  it("ends no more than the worker that needs it (P11)", function()
    if is_slow_build then return end -- a sanitizer takes terabytes of addresses
    local server = host.start { workers = 2, files = BOTH, config = CONFIG }
    for number = 1, 2 do
      assert.equal(0, os.execute(("prlimit --pid %d --as=400000000"):format(server:pid(number))))
    end
    for _ = 1, 4 do
      pcall(server.request, server, { target = "/e/trouble-spec/eat", seconds = 20 })
      process.eventually(function()
        local ok, reply = pcall(server.request, server, { target = "/e/calm-spec/fine" })
        return ok and reply.status == 200
      end, 10, "the host to serve")
    end
    server:stop()
  end)
end)
