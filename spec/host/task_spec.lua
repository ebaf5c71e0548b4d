-- Tasks on the real binary: generators, waits at any depth, errors, clients that leave.
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local manifest = [[
version: 0.0.1
type: plugin
author: spec
name: tasks
plugins:
  endpoints:
    - endpoints:
]]

local handlers = {
  pieces = [[
    return function()
      return Response(function()
        coroutine.yield("a")
        moonhook.sleep(300)
        coroutine.yield("b")
      end)
    end]],
  head_alone = [[
    return function()
      return Response(function()
        coroutine.yield("")
        moonhook.sleep(300)
        coroutine.yield("late")
      end, { status = 201, headers = { ["X-Early"] = "yes" } })
    end]],
  nested = [[
    return function()
      local produce = coroutine.wrap(function()
        for i = 1, 3 do
          pcall(function() moonhook.sleep(1) end)
          coroutine.yield({ number = i })
        end
      end)
      return Response(function()
        for item in produce do
          moonhook.sleep(1)
          coroutine.yield("n" .. item.number)
        end
      end)
    end]],
  iterator = [[
    local function numbers()
      local i = 0
      return function()
        moonhook.sleep(1)
        i = i + 1
        if i <= 3 then return i end
      end
    end
    return function()
      local function slow(_, key) moonhook.sleep(1) return "m" .. key end
      local out = setmetatable({}, { __index = slow })
      local text = out.x
      for n in numbers() do text = text .. n end
      return text
    end]],
  raises = [[
    return function()
      local nothing
      return nothing.field
    end]],
  raises_late = [[
    return function()
      return Response(function()
        coroutine.yield("a")
        error "too late"
      end)
    end]],
  raises_before_piece = [[
    return function()
      return Response(function() error "at once" end)
    end]],
  raises_nil = "return function() error(nil) end",
  raises_table = "return function() error({ code = 403 }) end",
  raises_tostring = [[
    return function()
      error(setmetatable({}, { __tostring = function() error 'x' end }))
    end]],
  yields_number = [[
    return function()
      return Response(function()
        local ok, message = pcall(function() coroutine.yield(5) end)
        coroutine.yield(tostring(ok) .. ": " .. tostring(message))
      end)
    end]],
  yields_outside = "return function() coroutine.yield('x') return 'y' end",
  returns_nothing = "return function() end",
  returns_number = "return function() return 7 end",
  aborts = "return function() moonhook.abort(403, 'not for you') end",
  in_sort = [[
    return function()
      table.sort({ 3, 2, 1 }, function(a, b) moonhook.sleep(1) return a < b end)
      return "sorted"
    end]],
  shared = [[
    local wrapped = coroutine.wrap(function()
      while true do moonhook.sleep(200) coroutine.yield("mine") end
    end)
    return function()
      return Response(function()
        coroutine.yield("")
        local ok, value = pcall(wrapped)
        coroutine.yield(tostring(ok) .. " " .. tostring(value))
      end)
    end]],
  sse = [[
    return function()
      return Response.sse(function()
        coroutine.yield("") -- the head alone
        coroutine.yield("one\ntwo")
        coroutine.yield({ event = "named", id = "7", retry = 1000, data = { a = 1 } })
        if true then error "broken" end
      end)
    end]],
  sse_bad = [[
    return function()
      return Response.sse(function()
        for _, event in ipairs {
          { event = "a\nb", data = "x" }, { id = {} }, { data = "x", evnt = "x" }, { "x" },
          { data = true }, { data = { function() end } },
          { retry = "soon" }, { retry = -1 }, { retry = 0.5 },
        } do
          local ok, message = pcall(function()
            coroutine.yield(event)
          end)
          coroutine.yield(tostring(ok) .. " " .. tostring(message))
        end
        coroutine.yield { retry = 3000, id = 7, data = { a = 1 } }
      end)
    end]],
  endless = [[
    return function()
      return Response(function()
        local block = ("x"):rep(10000)
        while true do coroutine.yield(block) end
      end)
    end]],
  cleanup = [[
    local seen = {}
    return function(self, request)
      if request.args.what == "seen" then return table.concat(seen, ",") end
      return Response(function()
        coroutine.yield("started")
        local ok, err = pcall(moonhook.sleep, 60000)
        seen[#seen + 1] = err.code
        local again, later = pcall(moonhook.sleep, 1)
        seen[#seen + 1] = tostring(again) .. ":" .. later.code
        local third, last = pcall(coroutine.yield, "x")
        seen[#seen + 1] = tostring(third) .. ":" .. last.code
      end)
    end]],
  stubborn = [[
    return function()
      return Response(function()
        coroutine.yield("started")
        while true do pcall(moonhook.sleep, 10) pcall(coroutine.yield, "x") end
      end)
    end]],
  swallows = [[
    return { invoke = function(self, request)
      local how = request.args.how
      return Response(function()
        coroutine.yield("started")
        pcall(moonhook.sleep, 60000)
        while true do
          if how == "sleep" then
            pcall(moonhook.sleep, 20)
          elseif how == "spawn" then
            pcall(self.session.spawn, self.session, function() self.session:sleep(5) end)
          else
            coroutine.wrap(function()
              while true do pcall(self.session.spawn, self.session, print) end
            end)()
          end
        end
      end)
    end }]],
  globals = [[
    return function()
      local names = {}
      for _, name in ipairs { "io", "os", "debug", "ffi", "package", "jit", "newproxy", "getfenv",
          "setfenv", "collectgarbage", "dofile", "loadfile", "gcinfo", "module" } do
        if _G[name] ~= nil then names[#names + 1] = name end
      end
      names[#names + 1] = tostring(string.dump) .. tostring(pcall(require, "ffi"))
        .. tostring(pcall(require, "host.task"))
      names[#names + 1] = tostring(load("\27LJ\2") == nil)
      names[#names + 1] = tostring(pcall(function() getmetatable("").__index = nil end))
      return table.concat(names, " ")
    end]],
  values = [[
    return function(_, request, values)
      return tostring(values.n + 1) .. " " .. values.rest .. " " .. request.path
    end]],
}

local paths = { values = "/values/<int:n>/<path:rest>" }

local function package()
  local files, lines = {}, { manifest }
  for name, code in pairs(handlers) do
    lines[#lines + 1] =
      ("        - { path: %q, method: GET, extra: { lua: { source: %s.lua } } }\n")
      :format(paths[name] or "/" .. name, name)
    files["plugins/tasks/" .. name .. ".lua"] =
      "local moonhook = require 'moonhook'\nlocal Response = moonhook.Response\n" .. code
  end
  files["plugins/tasks/manifest.yaml"] = table.concat(lines)
  return files
end

describe("a task", function()
  local server

  local function get(target)
    return server:request { endpoint = "tasks", target = target }
  end

  local function error_of(reply)
    return cjson.decode(reply.body).error
  end

  setup(function()
    server = host.start {
      workers = 1, -- so that two requests meet in one state
      files = package(),
      config = {
        plugins = { "plugins" },
        endpoints = { { plugin = "tasks", hook_id = "tasks-spec" } },
      },
    }
  end)

  teardown(function() server:stop() end)

  it("sends each piece when it is yielded", function()
    local reply = server:open { endpoint = "tasks", target = "/pieces" }
    local first, first_at = reply:next_piece(2)
    local second, second_at = reply:next_piece(2)
    assert.same({ "a", "b" }, { first, second })
    assert.is_true(second_at - first_at > 0.25)
    assert.is_nil((reply:next_piece(2)))
    reply:close()
  end)

  it("sends the head alone for an empty piece", function()
    local reply = server:open { endpoint = "tasks", target = "/head_alone" }
    local head_at = process.now() - reply.started
    assert.equal(201, reply.status)
    assert.equal("yes", reply.headers["x-early"])
    assert.is_true(head_at < 0.25)
    assert.equal("late", reply:read_body())
    reply:close()
  end)

  it("waits inside the plugin's own coroutines and inside pcall", function()
    assert.equal("n1n2n3", get("/nested").body)
  end)

  it("waits inside iterators and metamethods", function()
    assert.equal("mx123", get("/iterator").body)
  end)

  it("refuses to wait inside table.sort with an error, and goes on serving", function()
    assert.equal(500, get("/in_sort").status)
    assert.equal("mx123", get("/iterator").body)
  end)

  it("keeps a waiting coroutine to the task that it waits for", function()
    local one = server:open { endpoint = "tasks", target = "/shared" }
    local two = get("/shared")
    assert.matches("^false .*coroutine is waiting", two.body)
    assert.equal("true mine", one:read_body())
    one:close()
  end)

  it("turns an error into 500 with no word of the plugin's", function()
    local reply = get("/raises")
    assert.equal(500, reply.status)
    assert.equal("plugin_error", error_of(reply).code)
    assert.is_nil(reply.body:find("field", 1, true))
    assert.equal(reply.headers["x-request-id"], error_of(reply).request_id)
    local record = server:wait_record({ msg = "plugin failed", route = "/raises" }, 2)
    assert.matches("raises.lua:5", record.error)
    assert.matches("raises.lua", record.traceback)
  end)

  it("answers an error before the first piece with a full error reply", function()
    assert.equal(500, get("/raises_before_piece").status)
  end)

  it("breaks off a stream that raised, without its last chunk", function()
    local reply = server:open { endpoint = "tasks", target = "/raises_late" }
    assert.equal("a", (reply:next_piece(2)))
    assert.is_false((pcall(reply.next_piece, reply, 2)))
    reply:close()
  end)

  it("survives error objects of every kind", function()
    for _, name in ipairs { "raises_nil", "raises_table", "raises_tostring" } do
      local reply = get("/" .. name)
      assert.equal(500, reply.status, name)
      assert.equal("plugin_error", error_of(reply).code, name)
    end
    assert.is_truthy(server:find_record { msg = "plugin failed", error = "~object is nil" })
    assert.is_truthy(server:find_record { msg = "plugin failed", error = "~code=403" })
  end)

  it("raises at the line that yields no string", function()
    assert.matches("^false: yields_number.lua:5: .*expected one string", get("/yields_number").body)
  end)

  it("refuses a yield outside a generator", function()
    assert.equal(500, get("/yields_outside").status)
  end)

  it("says that a handler returned nothing, or nonsense", function()
    for _, name in ipairs { "returns_nothing", "returns_number" } do
      local reply = get("/" .. name)
      assert.same({ 500, "plugin_bad_response" }, { reply.status, error_of(reply).code })
    end
  end)

  it("answers moonhook.abort with its status and message", function()
    local reply = get("/aborts")
    local problem = error_of(reply)
    assert.same({ 403, "forbidden", "not for you" },
      { reply.status, problem.code, problem.message })
  end)

  it("frames events, and ends a broken event stream with an error event", function()
    local reply = server:open { endpoint = "tasks", target = "/sse" }
    assert.matches("^text/event%-stream", reply.headers["content-type"])
    local text = ""
    pcall(function()
      for piece in reply:pieces() do text = text .. piece end
    end)
    assert.equal("data: one\ndata: two\n\n", text:sub(1, 21))
    assert.matches('event: named\nid: 7\nretry: 1000\ndata: {"a":1}\n\n', text, 1, true)
    assert.matches('event: error\ndata: {"error":{"code":"plugin_error"', text, 1, true)
    reply:close()
  end)

  it("raises at a yield of an event that cannot be framed", function()
    local told = {}
    local body = get("/sse_bad").body
    for line in body:gmatch "data: false sse_bad.lua:11: coroutine.yield: ([^\n]*)" do
      told[#told + 1] = line
    end
    assert.same({
      "an event's `event` must be one line", "an event's `id` must be one line",
      "an event has no field 'evnt': it has event, id, retry and data",
      "an event is a table of event, id, retry and data, not a list",
      "an event's `data` must be a string or a table, got a boolean",
      "data: cannot encode a function at [1] as JSON",
      "an event's `retry` must be a whole number of milliseconds",
      "an event's `retry` must be a whole number of milliseconds",
      "an event's `retry` must be a whole number of milliseconds",
    }, told)
    assert.matches('\nid: 7\nretry: 3000\ndata: {"a":1}\n\n$', body)
  end)

  it("resumes a generator only while the client reads", function()
    local reply = server:open { endpoint = "tasks", target = "/endless" }
    reply:next_piece(2)
    local function memory()
      local file = assert(io.open(("/proc/%d/statm"):format(server:pid())))
      local pages = tonumber(file:read("*a"):match "^%d+ (%d+)")
      file:close()
      return pages * 4096
    end
    local before = memory()
    for _ = 1, 20 do assert.equal("mx123", get("/iterator").body) end
    assert.is_true(memory() - before < 64 * 1024 * 1024)
    reply:close()
  end)

  it("raises `cancelled` in whatever waits when the client leaves, and lets it clean up", function()
    local reply = server:open { endpoint = "tasks", target = "/cleanup" }
    assert.equal("started", (reply:next_piece(2)))
    reply:close()
    local seen = process.eventually(function()
      local body = get("/cleanup?what=seen").body
      return select(2, body:gsub("cancelled", "")) == 3 and body
    end, 5, "the cleanup to run")
    assert.equal("cancelled,false:cancelled,false:cancelled", seen)
    server:wait_record({ msg = "request", route = "/cleanup", term = "client" }, 2)
  end)

  it("ends a task that will not end one second after its client left", function()
    local reply = server:open { endpoint = "tasks", target = "/stubborn" }
    assert.equal("started", (reply:next_piece(2)))
    reply:close() -- teardown asserts that no task is left
    assert.equal("mx123", get("/iterator").body)
  end)

  for _, how in ipairs { "sleep", "spawn", "deep" } do
    it("ends a task that catches its cancellation for ever, by " .. how, function()
      local reply = server:open { endpoint = "tasks", target = "/swallows?how=" .. how }
      assert.equal("started", (reply:next_piece(2)))
      reply:close() -- teardown asserts that no task is left
      for _ = 1, 10 do assert.equal("mx123", get("/iterator").body) end
    end)
  end

  it("has no dangerous globals", function()
    assert.equal("nilfalsefalse true false", (get("/globals").body:gsub("false[^f ]*", "false")))
  end)

  it("gives path variables typed and the path decoded", function()
    assert.equal("43 a/b c /values/42/a/b c", get("/values/42/a/b%20c").body)
    assert.equal(404, get("/values/x/y").status)
  end)
end)
