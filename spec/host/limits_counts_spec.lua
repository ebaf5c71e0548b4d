-- Runs with both LuaJITs. How many calls, timers, coroutines and log records a request and its
-- plugin may have at a time (L23, L32), and that none is left afterwards.
local limits = require "spec.support.limits"
local process = require "spec.support.process"

describe("a plugin has a bounded number of", function()
  local stage

  setup(function()
    stage = limits.start { workers = 1,
      config = { limits = { plugin_calls = 80, plugin_timers = 40, plugin_cpu_ms = 1000,
        stuck_ms = 30000 } } }
  end)
  teardown(function() stage:stop() end) -- no handle, no task, no memory is left

  -- Opens calls to the calm plugin until one is refused; gives how many, and the refusal's code.
  local CALLS = [[
    local open, told = {}, "none"
    for i = 1, 1000 do
      local ok, reply = pcall(session.http.request, session.http,
        { url = "http://127.0.0.1:%d/e/calm/ok", stream = true })
      if not ok then told = reply.code break end
      open[i] = reply
    end
  ]]

  it("calls: 64 for a request, and what the operator says for the plugin", function()
    local calls = CALLS:format(stage.host.port)
    assert.equal("64 too_many_calls", stage:result(calls .. "return #open .. ' ' .. told"))
    -- One request holds 64, so that another has 16.
    local holder = stage.host:open(limits.request(calls .. [[
      return moonhook.Response(function()
        coroutine.yield(#open .. ";")
        while not a.kept.is_over do session:sleep(5) end
      end)]]))
    assert.equal("64;", holder:next_piece(10))
    assert.equal("16 too_many_calls", stage:result(calls .. "return #open .. ' ' .. told"))
    stage:result "a.kept.is_over = true return 1"
    assert.equal("", holder:read_body())
    holder:close()
    assert.equal("64 too_many_calls", stage:result(calls .. "return #open .. ' ' .. told"))
  end)

  it("calls, which those that it closes or loses do not count for", function()
    assert.equal("300", stage:result(([[
      local count = 0
      for i = 1, 300 do
        local reply = session.http:request { url = "http://127.0.0.1:%d/e/calm/ok", stream = true }
        if i %% 2 == 0 then reply:close() end
        count = count + 1
      end
      return count]]):format(stage.host.port)))
  end)

  it("timers", function()
    local code = [[
      local sleeping, told = {}, {}
      for i = 1, 60 do
        sleeping[i] = session:spawn(function() session:sleep(%d) end)
      end
      for i = 1, 60 do
        local ok, problem = pcall(sleeping[i].wait, sleeping[i])
        if not ok then told[#told + 1] = problem.code end
      end
      return #told .. " " .. tostring(told[1])]]
    assert.equal("20 too_many_timers", stage:result(code:format(200)))
    assert.equal("20 too_many_timers", stage:result(code:format(50)))
  end)

  it("coroutines of a request, of which none is left for the next", function()
    local code = [[
      local t, n = {}, 0
      for i = 1, 1e6 do
        local ok, co = pcall(coroutine.create, function() end)
        if not ok then return n .. " " .. co end
        t[i], n = co, i
      end]]
    for _ = 1, 2 do
      assert.equal("1000 x:4: too many coroutines: a request may have 1000", stage:result(code))
    end
  end)

  it("log records: 50 a second for a request, 100 for all of them", function()
    local function count(word, from)
      local found = 0
      for _, record in ipairs(stage.host:records(from)) do
        if record.msg == word then found = found + 1 end
      end
      return found
    end
    -- All of it in one second of the host's clock, or it is tried again.
    process.eventually(function()
      local from = #stage.host:log()
      stage:result "for _ = 1, 1000 do moonhook.log.info 'one' end return 1"
      stage:result "for _ = 1, 1000 do moonhook.log.info 'two' end return 1"
      stage:result "for _ = 1, 1000 do moonhook.log.info 'three' end return 1"
      process.eventually(function()
        stage:run "moonhook.log.info 'again'"
        return stage.host:find_record({ msg = "log records of the plugin dropped" }, from)
      end, 5, "the count of dropped records")
      local one, two, three = count("one", from), count("two", from), count("three", from)
      assert.is_true(one >= 1 and one <= 100 and two <= 100, one .. " " .. two)
      return one == 50 and two == 50 and three == 0
    end, 20, "a second with all of them")
  end)
end)
