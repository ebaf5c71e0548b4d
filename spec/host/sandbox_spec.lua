-- Runs with both LuaJITs. What a plugin's code may not do, and what its mistakes come to, on the
-- real binary (the cases of the fault list are named at the end).
local cjson = require "cjson"
local limits = require "spec.support.limits"
local process = require "spec.support.process"

describe("a plugin", function()
  local stage
  setup(function() stage = limits.start { workers = 1 } end) -- its state is looked at
  teardown(function() stage:stop() end)
  after_each(function() stage:assert_alive() end)

  -- The error that the log has for code that raises.
  local function raised(code, wanted_code)
    local from = #stage.host:log()
    assert.equal(wanted_code or "plugin_error", (stage:fails(code)))
    return stage:failure({ plugin = "wild" }, from).error
  end

  for _, name in ipairs { "newproxy", "io", "os", "debug", "ffi", "jit", "package", "dofile",
    "loadfile", "collectgarbage", "gcinfo", "getfenv", "setfenv", "module" } do
    it("has no " .. name .. " (L04, L25, L26, L27, L29)", function()
      assert.equal("nil", stage:result(("return type(_G[%q])"):format(name)))
      assert.matches("attempt to %a+ global '" .. name .. "'", raised("return " .. name .. "()"))
    end)
  end

  it("has nothing of string.dump, and loads no bytecode (L28)", function()
    assert.equal("nil", stage:result "return string.dump")
    assert.equal("nil", stage:result "return ('').dump")
    assert.matches("attempt to load", raised [[assert(load("\27LJ\2\0\0"))]])
    assert.matches("attempt to load", raised [[assert(loadstring("\27LJ\2\0\0"))]])
  end)

  for _, name in ipairs { "ffi", "jit", "jit.util", "io", "debug", "host.task" } do
    it("cannot require " .. name .. " (L27)", function()
      assert.matches("module", raised(("require %q"):format(name)))
    end)
  end

  it("cannot change strings for others (L29, L30)", function()
    assert.equal("false", stage:result "return getmetatable('')")
    stage:result "string.rep = nil table.insert = nil _G.math = nil return 1"
    local code = "return ('x'):rep(2) .. (table.insert and '' or 'gone')"
    assert.equal("xx", stage:result(code, "calm"))
    assert.equal("xx", stage:result "return ('x'):rep(2)")
  end)

  it("is told where it writes a global that it did not declare (L24)", function()
    assert.matches("x:3: write to the undeclared global 'counter': write 'local counter'",
      raised "local fine = 1\ncounter = 1")
    assert.equal("nil", stage:result "return counter")
    assert.equal("7", stage:result "rawset(_G, 'meant', 6) meant = 7 return meant")
  end)

  it("cannot change the library for others (L30)", function()
    stage:result "json.raw = nil moonhook.hex = nil return 1"
    assert.equal("7 61", stage:result(
      "return json.encode(json.raw '7') .. ' ' .. moonhook.hex 'a'", "calm"))
  end)

  it("may raise anything, and its client is told nothing of it (L10 to L13)", function()
    assert.matches("error object is nil", raised "error(nil)")
    assert.matches("error object is a table code=403", raised "error({ code = 403 })")
    assert.matches("error object is a table",
      raised "error(setmetatable({}, { __tostring = function() error 'x' end }))")
    assert.is_true(#raised "error(('E'):rep(20 * 2^20), 0)" <= 4200)
  end)

  for _, status in ipairs { "'200 OK'", "99", "1000", "200.5", "0/0", "101", "{}", "true" } do
    it("cannot answer with the status " .. status .. " (L14)", function()
      local code = stage:fails("return moonhook.Response('x', { status = " .. status .. " })")
      assert.is_true(code == "plugin_error" or code == "plugin_bad_response", code)
    end)
  end

  for name, header in pairs { ["a line break"] = [[X = "a\r\nSet-Cookie: h=1"]],
    ["a space in its name"] = [=[["A B"] = "x"]=], ["a NUL"] = [[X = "a\0b"]] } do
    it("cannot send a header with " .. name .. " (L15)", function()
      local reply = stage:run("return moonhook.Response('x', { headers = { " .. header .. " } })")
      assert.equal(500, reply.status)
      assert.is_nil(reply.headers["set-cookie"])
      assert.is_nil(reply.headers.x)
    end)
  end

  it("does not frame its reply: that is the host's (L16)", function()
    local connection = stage.host:connect()
    for _, headers in ipairs { "['Content-Length'] = '5'", "['Transfer-Encoding'] = 'chunked'",
      "Connection = 'upgrade'" } do
      local request = limits.request("return moonhook.Response('0123456789', { headers = { "
        .. headers .. " } })")
      request.connection = connection
      local reply = stage.host:request(request)
      assert.is_true(reply.status == 500 or reply.body == "0123456789", reply.body)
      assert.is_nil(reply.headers["transfer-encoding"])
      assert.are_not.equal("upgrade", reply.headers.connection)
    end
    connection:close()
  end)

  it("may set two cookies (L17)", function()
    local reply = stage:run [[return moonhook.Response("x", {
      headers = { ["Set-Cookie"] = { "a=1", "b=2" } } })]]
    local cookies = {}
    for _, field in ipairs(reply.header_list) do
      if field[1]:lower() == "set-cookie" then cookies[#cookies + 1] = field[2] end
    end
    assert.same({ "a=1", "b=2" }, cookies)
  end)

  describe("with its reply", function()
    local connection
    before_each(function() connection = stage.host:connect() end)
    after_each(function() connection:close() end)

    -- On the one connection, so that a byte too many would be read as the next reply's.
    local function run_here(code)
      local request = limits.request(code)
      request.connection = connection
      return stage.host:request(request)
    end

    it("cannot go on when it is over (L18)", function()
      assert.equal("first", run_here([[
        a.kept.co = coroutine.create(function() coroutine.yield("late") return "end" end)
        return "first"]]).body)
      assert.equal("true late", run_here([[
        local ok, what = coroutine.resume(a.kept.co) return tostring(ok) .. " " .. tostring(what)]])
        .body)
      assert.equal("pieces", run_here([[
        return moonhook.Response(function()
          a.kept.yield = coroutine.wrap(function()
            while true do coroutine.yield("late") end
          end)
          coroutine.yield("pieces")
        end)]]).body)
      assert.equal("late late", run_here("return a.kept.yield() .. ' ' .. a.kept.yield()").body)
    end)

    it("cannot write behind its end (L18)", function()
      for _, reply in ipairs { "'first'",
        "moonhook.Response(function() coroutine.yield('first') end)" } do
        local from = #stage.host:log()
        assert.equal("first", run_here(([[
          session:after_response(function()
            session:sleep(1)
            coroutine.yield("late")
          end)
          return %s]]):format(reply)).body)
        assert.equal("second", run_here("return 'second'").body)
        local record = stage.host:wait_record({ msg = "after_response failed" }, 5, from)
        assert.matches("coroutine.yield", record.error, 1, true)
      end
      assert.equal("first", run_here([[
        local task = session:spawn(function() session:sleep(1) coroutine.yield("late") end)
        pcall(task.wait, task)
        return "first"]]).body)
      assert.equal("second", run_here("return 'second'").body)
    end)

    it("cannot answer twice (L18)", function()
      -- What a handler keeps of an answer answers the next request, and not this one again.
      assert.equal("once", run_here([[
        a.kept.reply = moonhook.Response("once")
        session:after_response(function() return a.kept.reply end)
        return a.kept.reply]]).body)
      assert.equal("once", run_here("return a.kept.reply").body)
      assert.equal("once", run_here("return a.kept.reply").body)
      assert.equal("ab", run_here([[
        return moonhook.Response(function()
          coroutine.yield("a")
          coroutine.yield("b")
          return moonhook.Response("again", { status = 500 })
        end)]]).body)
      assert.equal("second", run_here("return 'second'").body)
    end)

    it("is told when it gives none (L19)", function()
      for value, told in pairs { ["nil"] = "nothing (is a `return` missing?)", ["5"] = "a number",
        ["true"] = "a boolean", ["{}"] = "a table", ["print"] = "a function",
        ["setmetatable({}, { __tostring = function() return 'x' end })"] = "a table" } do
        local from = #stage.host:log()
        local reply = run_here("return " .. value .. ", true")
        assert.equal(500, reply.status)
        assert.equal("plugin_bad_response", cjson.decode(reply.body).error.code)
        assert.matches("the handler returned " .. told, stage:failure({}, from).error, 1, true)
        assert.equal("next", run_here("return 'next'").body)
      end
    end)

    it("cannot yield before there is one (L20)", function()
      for _, yield in ipairs { "coroutine.yield()", "coroutine.yield('piece')",
        "coroutine.yield(nil, 1)", "coroutine.yield({})",
        "pcall(coroutine.yield) coroutine.yield()",
        "coroutine.wrap(function() session:sleep(1) end)() coroutine.yield(5)",
        "session:spawn(function() coroutine.yield() end):wait()" } do
        local from = #stage.host:log()
        local reply = run_here("\n" .. yield .. " return 'not this'")
        assert.equal(500, reply.status, yield)
        assert.equal("plugin_error", cjson.decode(reply.body).error.code)
        local record = stage:failure({}, from)
        assert.matches("x:%d: coroutine.yield: expected ", record.error)
        assert.equal("next", run_here("return 'next'").body)
      end
    end)

    it("cannot yield what is no piece of it (L20)", function()
      for _, value in ipairs { "", "nil", "5", "true", "'a', 'b'", "print", "{ data = 'x' }" } do
        local from = #stage.host:log()
        local reply = run_here("\nreturn moonhook.Response(function() coroutine.yield(" .. value
          .. ") end)")
        assert.equal(500, reply.status, value)
        assert.matches("x:3: coroutine.yield: expected ", stage:failure({}, from).error)
        assert.equal("next", run_here("return 'next'").body)
      end
      -- When the head is out, what was sent stays, and the reply does not look finished.
      local reply = stage.host:open(limits.request
        "return moonhook.Response(function() coroutine.yield('begun;') coroutine.yield(5) end)")
      assert.equal("begun;", reply:next_piece(5))
      assert.is_false((pcall(reply.read_body, reply)))
      reply:close()
    end)
  end)

  it("may wait in a pcall; where it cannot, it is told (L21)", function()
    assert.equal("true", stage:result "return (pcall(moonhook.sleep, 1))")
    assert.equal("7", stage:result [[
      return setmetatable({}, { __index = function() moonhook.sleep(1) return 7 end }).x]])
    raised "table.sort({ 3, 2, 1 }, function(x, y) moonhook.sleep(1) return x < y end)"
  end)

  it("is told what JSON cannot hold (L22)", function()
    for _, value in ipairs { "(function() local t = {} t.t = t return t end)()", "0/0", "1/0",
      "(function() local t = {} for _ = 1, 1e5 do t = { t } end return t end)()",
      "{ [1] = 1, [1e9] = 1 }", "print" } do
      assert.is_true(#raised("return json.encode(" .. value .. ")") < 500)
    end
    assert.matches("at most 128 levels", raised [[return json.decode(("["):rep(1e5))]])
  end)

  it("has 64 calls, 64 spawned functions and 1,000 coroutines at a time (L23)", function()
    assert.equal("1000", stage:result [[
      local t, n = {}, 0
      for i = 1, 1e6 do
        local ok, co = pcall(coroutine.create, function() end)
        if not ok then break end
        t[i], n = co, i
      end
      return n]])
    assert.equal("20000", stage:result [[
      local n = 0
      for _ = 1, 20000 do
        local co = coroutine.wrap(function() coroutine.yield(1) end)
        n = n + co()
      end
      return n]])
    local calls = tonumber(stage:result(([[
      local open, n = {}, 0
      for i = 1, 1000 do
        local ok, reply = pcall(function()
          return session.http:request { url = "http://127.0.0.1:%d/e/calm/ok", stream = true }
        end)
        if not ok then break end
        open[i], n = reply, i
      end
      return n]]):format(stage.host.port)))
    assert.is_true(calls <= 64, calls)
    assert.is_true(calls >= 16, calls)
  end)

  it("that recurses without end is told so (L31)", function()
    assert.matches("stack overflow", raised "local function f() return 1 + f() end f()")
    for _, code in ipairs {
      "local function f() return (('a'):gsub('a', f)) end f()",
      "local function f() table.sort({ 3, 2, 1 }, function(x, y) f() return x < y end) end f()",
      "local function f() coroutine.wrap(f)() end f()",
      "local function f() return load(function() f() end) end f()",
      [[local m = {} m.__tostring = function(x) return ("%s"):format(x) end
        return tostring(setmetatable({}, m))]],
    } do
      local reply = stage:run(code)
      assert.is_true(reply.status == 500 or reply.status == 200, reply.status)
    end
  end)

  it("that logs without end is cut short, and does not hold up the others (L32)", function()
    local from = #stage.host:log()
    stage:result [[
      local line = ("x"):rep(1e6)
      for _ = 1, 2000 do moonhook.log.info(line) end
      return 1]]
    -- A second may have ended meanwhile: then it was told in two parts.
    process.eventually(function()
      local dropped = 0
      stage:run "moonhook.log.info('again')"
      for _, record in ipairs(stage.host:records(from)) do
        if record.msg == "log records of the plugin dropped" then
          dropped = dropped + record.dropped
        end
      end
      return dropped >= 1700
    end, 5, "the count of dropped records")
    local written = 0
    for _, record in ipairs(stage.host:records(from)) do
      if record.msg and record.msg:find "^xxx" then
        written = written + 1
        assert.is_true(#record.msg <= 4096)
      end
    end
    assert.is_true(written <= 200, written)
  end)

  it("whose client does not read waits (L09)", function()
    local connection = stage.host:connect { receive_buffer = 2048 }
    local request = limits.request [[return moonhook.Response(function()
      for i = 1, 1e6 do a.kept.sent = i coroutine.yield(("x"):rep(1000)) end
    end)]]
    connection:send(("POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s")
      :format(request.target, #request.body, request.body))
    local before
    process.eventually(function()
      local now = stage:result "return a.kept.sent or 0"
      local is_still = now ~= "0" and now == before
      before = now
      return is_still
    end, 10, "the stream to stand still")
    assert.is_true(tonumber(before) < 20000, before)
    connection:close()
  end)
end)
