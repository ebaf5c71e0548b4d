-- session:spawn, session:after_response and session:sleep on the real binary.
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local HANDLERS = {
  side_by_side = [[
    return { invoke = function(self)
      local function slow(name) self.session:sleep(150) return name, #name end
      local one, two = self.session:spawn(slow, "a"), self.session:spawn(slow, "bb")
      local name, length = two:wait()
      return one:wait() .. name .. length
    end }]],
  raises = [[
    return { invoke = function(self)
      local spawned = self.session:spawn(function() moonhook.abort(409, "taken") end)
      local ok, problem = pcall(spawned.wait, spawned)
      return tostring(ok) .. " " .. problem.code .. " " .. tostring(spawned:is_done())
    end }]],
  yields = [[
    return { invoke = function(self)
      local spawned = self.session:spawn(function() coroutine.yield("x") end)
      local ok, problem = pcall(spawned.wait, spawned)
      return tostring(problem)
    end }]],
  many = [[
    return { invoke = function(self)
      local count = 0
      local ok, problem = pcall(function()
        for i = 1, 100 do
          self.session:spawn(function() self.session:sleep(60000) end)
          count = i
        end
      end)
      return count .. " " .. problem.code
    end }]],
  one_by_one = [[
    return { invoke = function(self)
      for i = 1, 200 do self.session:spawn(function() return i end):wait() end
      local last = self.session:spawn(function() self.session:sleep(1) return "last" end)
      self.session:spawn(function() end)
      return self.session.model.llm:invoke({ stream = false,
        model_config = { provider = "local", model = "demo" },
        prompt_messages = { { role = "user", content = "hello" } } }).message.role
        .. " " .. last:wait() .. " " .. last:wait()
    end }]],
  abandoned = [[
    return { invoke = function(self, request)
      if request.args.seen then return table.concat(seen or {}, ",") end
      return moonhook.Response(function()
        self.session:spawn(function()
          local ok, problem = pcall(self.session.sleep, self.session, 60000)
          note(problem.code)
        end)
        coroutine.yield("started")
        self.session:sleep(60000)
      end)
    end }]],
  after_raises = [[
    return { invoke = function(self, request)
      if request.args.seen then return table.concat(seen, ",") end
      self.session:after_response(function() note("never") end)
      error "at once"
    end }]],
  after_many = [[
    return { invoke = function(self)
      local count = 0
      local ok, problem = pcall(function()
        for i = 1, 100 do
          self.session:after_response(function() end)
          count = i
        end
      end)
      return count .. " " .. problem
    end }]],
  after = [[
    return { invoke = function(self, request)
      if request.args.seen then return table.concat(seen, ",") end
      self.session:after_response(function()
        self.session:sleep(200)
        note("after")
        error("in vain")
      end)
      self.session:after_response(function() note("second") end)
      return "reply"
    end }]],
}

local function files()
  local lines = { [[
version: 0.0.1
type: plugin
author: spec
name: spawn
resource: { permission: { model: { enabled: true, llm: true } } }
plugins:
  endpoints:
    - endpoints:
]] }
  local all = {}
  for name, code in pairs(HANDLERS) do
    lines[#lines + 1] =
      ("        - { path: /%s, method: GET, extra: { lua: { source: %s.lua } } }\n")
      :format(name, name)
    all["plugins/spawn/" .. name .. ".lua"] = "local moonhook = require 'moonhook'\n"
      .. "local seen = {}\nlocal function note(text) seen[#seen + 1] = text end\n" .. code
  end
  all["plugins/spawn/manifest.yaml"] = table.concat(lines)
  return all
end

describe("a request's further tasks", function()
  local server

  local function get(target)
    return server:request { target = "/e/spawn-spec" .. target }
  end

  setup(function()
    server = host.start {
      files = files(),
      config = {
        plugins = { "plugins" },
        endpoints = { { plugin = "spawn", hook_id = "spawn-spec" } },
      },
    }
  end)

  teardown(function() server:stop() end)

  it("run side by side and give what they return", function()
    local start = process.now()
    assert.equal("abb2", get("/side_by_side").body)
    assert.is_true(process.now() - start < 0.29)
  end)

  it("hand over what they raise, whole", function()
    assert.equal("false conflict true", get("/raises").body)
  end)

  it("may not yield pieces", function()
    assert.matches("a spawned function has no reply", get("/yields").body)
  end)

  it("are bounded in number, and end with the request", function()
    assert.equal("64 too_many_tasks", get("/many").body)
    assert.equal("64 too_many_tasks", get("/many").body) -- teardown asserts that none is left
  end)

  it("count no more when they are over, not as calls either", function()
    assert.equal("assistant last last", get("/one_by_one").body)
  end)

  it("are cancelled together when the client leaves", function()
    local reply = server:open { target = "/e/spawn-spec/abandoned" }
    assert.equal("started", (reply:next_piece(2)))
    reply:close()
    process.eventually(function()
      return get("/abandoned?seen=1").body == "cancelled"
    end, 2, "the spawned function to be cancelled")
  end)

  it("are dropped with a handler that raises", function()
    for _ = 1, 5 do assert.equal(500, get("/after_raises").status) end
    for _ = 1, 5 do assert.equal("", get("/after_raises?seen=1").body) end
  end)

  it("are bounded after the reply, too", function()
    assert.matches("^16 after_many.lua:.*less than 16 functions", get("/after_many").body)
  end)

  it("go on after the reply, whose end the client sees at once", function()
    local reply = get("/after")
    assert.equal("reply", reply.body)
    assert.is_true(process.now() - reply.started < 0.19)
    process.eventually(function()
      return get("/after?seen=1").body == "after,second"
    end, 2, "the functions to run")
    local record = server:wait_record({ msg = "after_response failed" }, 2)
    assert.matches("in vain", record.error)
    assert.equal(reply.headers["x-request-id"], record.request_id)
    assert.is_string(cjson.encode(record))
  end)
end)
