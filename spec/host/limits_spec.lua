-- Runs with both LuaJITs. Plugins that compute for ever or take all memory, on the real binary.
local limits = require "spec.support.limits"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil -- it keeps what was freed
local MOST_KIB = (is_slow_build and 1600 or 400) * 1024
local BIG_BYTES = 20 * 1024 * 1024

local ENDLESS = {
  ["a loop"] = "while true do end",
  ["a loop in a pcall in a loop"] = "while true do pcall(function() while true do end end) end",
  ["an xpcall whose handler loops"] = [[
    while true do
      xpcall(function() while true do end end, function() while true do end end)
    end]],
  ["a comparator"] = "table.sort({1,2,3,4,5,6,7,8}, function() while true do end end)",
  ["a long list that is sorted"] = [[local list = {}
    for i = 1, 60000 do list[i] = i % 7 end
    while true do table.sort(list) end]],
  ["a comparator that catches"] = [[
    table.sort({1,2,3,4,5,6,7,8}, function()
      while true do pcall(function() while true do end end) end
    end)]],
  ["a replacement"] = "string.gsub('aaa', 'a', function() while true do end end)",
  ["a metamethod"] = [[
    return setmetatable({}, { __index = function() while true do end end }).x]],
  ["a coroutine"] = "coroutine.wrap(function() while true do end end)()",
  ["coroutines in coroutines"] = [[
    local function deeper()
      while true do pcall(coroutine.wrap(deeper)) end
    end
    deeper()]],
  ["tail calls"] = "local function f() return f() end return f()",
  ["recursion that catches its end"] = "local function f() pcall(f) end while true do f() end",
  ["writes to a table"] = "local t = {} while true do t[1] = t end",
  ["arithmetic"] = "local x = 0 for i = 1, 1e15 do x = x + i % 7 end return x",
  ["JSON"] = [[local t = { list = { 1, 2, "three" } }
    while true do t = json.decode(json.encode(t)) end]],
  ["an iterator"] = "for _ in function() return 1 end do end",
  ["goto"] = "::again:: goto again",
  ["numbers to strings"] = "local n = 0 while true do n = #tostring(n) + n end",
  ["error objects"] = "while true do pcall(error, { code = 'x' }) end",
  ["a generator"] = [[return moonhook.Response(function() while true do end end)]],
}

local GREEDY = {
  ["one string"] = "local s = ('x'):rep(1e9) return #s",
  ["a table"] = "local t = {} for i = 1, 1e9 do t[i] = i end",
  ["many tables"] = "local t = {} while true do t = { t, 1, 2, 3 } end",
  ["strings that double"] = "local s = 'x' while true do s = s .. s end",
  ["a string that is caught"] = "while true do pcall(string.rep, 'x', 1e9) end",
  ["coroutines"] = [[
    local t = {} while true do
      local co = coroutine.create(function() coroutine.yield() end)
      t[#t + 1] = { co, ("x"):rep(100000) .. #t }
    end]],
  ["a table that is caught"] = [[
    local t = {} while true do pcall(function() for i = 1, 1e9 do t[i] = i end end) end]],
  ["concat"] = [[local t = {} for i = 1, 1e6 do t[i] = "0123456789" end
    local s = "" while true do s = s .. table.concat(t) end]],
  ["format"] = "local s = ('x'):rep(1e6) while true do s = ('%s%s'):format(s, s) end",
  ["gsub"] = "return #(('x'):rep(1e5):gsub('x', ('y'):rep(1e5)))",
  ["code"] = "return load(function() return 'a=1 ' end)",
}

describe("a plugin that computes for ever is stopped:", function()
  local stage
  -- The master must not take a worker for stuck that a busy machine lets wait.
  setup(function() stage = limits.start { config = { limits = { stuck_ms = 30000 } } } end)
  teardown(function() stage:stop() end)

  for name, code in pairs(ENDLESS) do
    it(name, function()
      local from = #stage.host:log()
      local got, status = stage:fails(code)
      assert.equal("plugin_cpu_limit", got)
      assert.equal(500, status)
      local record = stage:failure({ code = "plugin_cpu_limit" }, from)
      assert.matches("used more than 100 ms of processor time", record.error)
      assert.matches("x:%d+", record.traceback)
      stage:assert_alive()
    end)
  end
end)

describe("a plugin that takes all memory is stopped:", function()
  local stage
  setup(function() stage = limits.start { limits = "limits: { cpu_ms: 10000 }",
    files = { ["plugins/wild/big.bin"] = ("b"):rep(BIG_BYTES) },
    config = { limits = { plugin_cpu_ms = 10000, stuck_ms = 30000 } } } end)
  teardown(function() stage:stop() end)

  -- Of the worker, which runs the plugins.
  local function resident_kib()
    local file = assert(io.open(("/proc/%d/status"):format(stage.host:pid(1))))
    local kib = tonumber(file:read("*a"):match "VmRSS:%s*(%d+)")
    file:close()
    return kib
  end

  for name, code in pairs(GREEDY) do
    it(name, function()
      local from = #stage.host:log()
      local got, status = stage:fails(code)
      assert.equal("plugin_memory_limit", got)
      assert.equal(500, status)
      local record = stage:failure({ code = "plugin_memory_limit" }, from)
      assert.matches("needed more than 65536 KiB of memory", record.error)
      stage:assert_alive()
      assert.is_true(resident_kib() < MOST_KIB, resident_kib())
    end)
  end

  it("what the host read for it is given back each time", function()
    local before = resident_kib()
    for _ = 1, 20 do
      assert.equal("plugin_memory_limit", (stage:fails [[
        local kept = {}
        for i = 1, 52 do kept[i] = ("x"):rep(1e6) .. i end
        return #moonhook.read("big.bin") + #kept]]))
    end
    stage:assert_alive()
    local grown = resident_kib() - before
    assert.is_true(grown < 20 * BIG_BYTES / 1024 / 2, grown)
  end)
end)
