-- Workflow apps of the built-in backend: a Lua file, its steps as events, its failures as results.
local library = require "spec.support.library"
local reverse = require "spec.support.reverse"
local Error = require "moonhook.error"
local json = require "host.json"
local session = require "moonhook.session"

local versions = 0
local settings

-- Makes the app `flow` of this text.
local function write(text, problem)
  versions = versions + 1
  settings.sources.flow = { text = text, version = versions, problem = problem }
end

local function start(text)
  settings = {
    apps = {
      flow = { mode = "workflow", name = "Flow", source = "/etc/apps/flow.lua" },
      candy = { mode = "chat", prompt = "You are Candy." },
    },
    sources = {},
    backends = { gpt = { type = "openai" } },
  }
  reverse.reset(settings)
  write(text)
end

local function run(inputs, fields)
  local call = { app_id = "flow", inputs = inputs }
  for name, value in pairs(fields or {}) do call[name] = value end
  return reverse.run(function() return session.app.workflow:invoke(call) end)
end

local function events_of(inputs)
  return reverse.run(function()
    local events = {}
    local stream = session.app.workflow:invoke {
      app_id = "flow", inputs = inputs, response_mode = "streaming",
    }
    for event in stream do events[#events + 1] = event end
    return events
  end)
end

local function names_of(events)
  local names = {}
  for i, event in ipairs(events) do
    names[i] = event.event .. (event.data.title and " " .. event.data.title or "")
  end
  return names
end

describe("a workflow app of the built-in backend", function()
  it("gives what run returns", function()
    start [[return { run = function(session, inputs) return { sum = inputs.a + inputs.b } end }]]
    local result = run { a = 1, b = 2 }
    assert.same({ sum = 3 }, result.data.outputs)
    assert.same({ "succeeded", "flow", 0 },
      { result.data.status, result.data.workflow_id, result.data.total_steps })
    assert.is_nil(result.data.error)
    assert.equal(result.workflow_run_id, result.data.id)
    assert.is_true(result.data.elapsed_time >= 0)
    assert.equal(36, #result.task_id)
  end)

  it("takes a file that returns just the function", function()
    start [[return function() return { ok = true } end]]
    assert.same({ ok = true }, run().data.outputs)
  end)

  it("names a plain value `result` and gives no outputs for none", function()
    start [[return function(_, inputs) return inputs.value end]]
    assert.same({ result = "x" }, run({ value = "x" }).data.outputs)
    assert.same({ result = { 1, 2 } }, run({ value = { 1, 2 } }).data.outputs)
    assert.same({}, run({}).data.outputs)
  end)

  it("tells run who asked and which files came along", function()
    start [[return function(_, _, call) return { user = call.user, files = call.files } end]]
    local files = { { type = "image", transfer_method = "remote_url", url = "http://x/y.png" } }
    local outputs = run({}, { user = "ada", files = files }).data.outputs
    assert.same({ user = "ada", files = files }, outputs)
  end)

  it("tells of its steps as events, in order", function()
    start [[return function(session)
      local text = session:step("write", function() return { text = "hello" } end)
      local count = session:step("count", function(of) return #of end, text.text)
      return { count = count }
    end]]
    local events = events_of { topic = "x" }
    assert.same({ "workflow_started", "node_started write", "node_finished write",
      "node_started count", "node_finished count", "workflow_finished" }, names_of(events))
    assert.same({ topic = "x" }, events[1].data.inputs)
    local first, last = events[3].data, events[5].data
    assert.same({ "succeeded", 1, { text = "hello" }, "write" },
      { first.status, first.index, first.outputs, first.node_id })
    assert.equal(events[2].data.id, first.id)
    assert.same({ 2, { result = 5 }, "write" },
      { last.index, last.outputs, last.predecessor_node_id })
    assert.same({ "succeeded", { count = 5 }, 2 },
      { events[6].data.status, events[6].data.outputs, events[6].data.total_steps })
    for _, event in ipairs(events) do
      assert.equal(events[1].task_id, event.task_id)
      assert.equal(events[1].workflow_run_id, event.workflow_run_id)
    end
  end)

  it("is collected into what the blocking call gives", function()
    start [[return function(session)
      return session:step("a", function() return { x = 1 } end)
    end]]
    local collected = reverse.run(function()
      return session.app.workflow:invoke({ app_id = "flow", response_mode = "streaming" }):collect()
    end)
    assert.same({ x = 1 }, collected.data.outputs)
    assert.equal(collected.workflow_run_id, collected.data.id)
    assert.is_string(collected.task_id)
  end)

  it("calls models and other apps, and waits", function()
    start [[
      local moonhook = require "moonhook"
      return function(session)
        moonhook.sleep(5)
        return session:step("ask", function()
          local answer = session.app.chat:invoke {
            app_id = "candy", query = "count to 3", response_mode = "blocking",
          }
          local model = session.model.llm:invoke {
            model_config = { provider = "gpt", model = "m" }, stream = false,
            prompt_messages = { { role = "user", content = "hi" } },
          }
          return { answer = answer.answer, model = model.message.content }
        end)
      end]]
    reverse.script { pieces = { '{"choices":[{"message":{"content":"from gpt"}}]}' } }
    local result = run()
    assert.same({ answer = "1, 2, 3.", model = "from gpt" }, result.data.outputs)
    assert.equal(5, reverse.slept_ms)
  end)

  it("runs other workflows, but not without end", function()
    start [[return function(session, inputs)
      local inner = session.app.workflow:invoke { app_id = "flow", inputs = inputs }
      return { deep = inner.data.error or inner.data.outputs.deep }
    end]]
    assert.equal("workflow apps call each other more than 8 deep", run().data.outputs.deep)
  end)

  it("keeps the steps of its own coroutines in order", function()
    start [[return function(session)
      local words = coroutine.wrap(function()
        coroutine.yield(session:step("inner", function() return "a" end))
      end)
      local word = words()
      session:step("outer", function() end)
      return { word = word }
    end]]
    local events = events_of()
    assert.same({ "workflow_started", "node_started inner", "node_finished inner",
      "node_started outer", "node_finished outer", "workflow_finished" }, names_of(events))
    assert.same({ word = "a" }, events[6].data.outputs)
  end)

  describe("that fails", function()
    it("is a run that failed, told without a path", function()
      start "return function() error 'the printer is on fire' end"
      local result = run()
      assert.same({ "failed", "the printer is on fire" }, { result.data.status, result.data.error })
      assert.is_nil(result.data.outputs)
      local line = library.log[#library.log]
      assert.same({ "error", "a workflow app failed" }, { line[1], line[2] })
      assert.equal("/etc/apps/flow.lua:1: the printer is on fire", line[3].error)
    end)

    it("ends its stream with workflow_finished", function()
      start [[return function(session)
        session:step("burn", function() error { code = "x" } end)
      end]]
      local events = events_of()
      assert.same({ "workflow_started", "node_started burn", "node_finished burn",
        "workflow_finished" }, names_of(events))
      assert.equal("failed", events[3].data.status)
      assert.equal("failed", events[4].data.status)
    end)

    it("may go on after a step that failed", function()
      start [[return function(session)
        local ok, why = pcall(session.step, session, "burn", function() error("no", 0) end)
        return { ok = ok, why = why }
      end]]
      local events = events_of()
      assert.same({ "failed", "no" }, { events[3].data.status, events[3].data.error })
      assert.same({ ok = false, why = "no" }, events[4].data.outputs)
    end)

    it("tells an Error's message, and what an upstream said only to the log", function()
      start [[return function(session)
        session.model.llm:invoke {
          model_config = { provider = "gpt", model = "m" }, stream = false,
          prompt_messages = { { role = "user", content = "hi" } },
        }
      end]]
      reverse.script { status = 500, pieces = { '{"error":{"message":"SECRET"}}' } }
      local result = run()
      assert.equal("the model server answered with status 500", result.data.error)
      local fields = library.log[#library.log][3]
      assert.same({ 500, "SECRET" }, { fields.upstream_status, fields.upstream_message })
    end)

    it("names outputs that cannot be sent", function()
      start "return function() return { f = print } end"
      assert.truthy(run().data.error:find("outputs: .*function"))
      start [[return function(session)
        session:step("odd", function() return { f = print } end)
      end]]
      assert.truthy(run().data.error:find('session:step "odd": outputs: ', 1, true))
    end)

    it("names a step without a title or a function", function()
      start "return function(session) session:step(print) end"
      assert.equal("session:step: title: expected a text, got function", run().data.error)
      start "return function(session) session:step('a') end"
      assert.equal("session:step: fn: expected a function, got nil", run().data.error)
      start "return function(session) session.step('a') end"
      assert.truthy(run().data.error:find("called with '.'", 1, true))
    end)

    it("has no reply to wait for", function()
      start "return function(session) session:after_response(print) end"
      assert.truthy(run().data.error:find("session:after_response: a workflow app has no reply", 1,
        true))
    end)

    it("may not yield", function()
      start "return function() coroutine.yield 'x' end"
      assert.truthy(run().data.error:find("run yielded a value", 1, true))
      assert.same({ "workflow_started", "workflow_finished" }, names_of(events_of()))
    end)

    it("is not a run when its caller has left", function()
      start [[return function() require("moonhook").sleep(1) end]]
      local timer = require "host.timer"
      local kept = timer.start
      timer.start = function() return nil, "cancelled", "the client left" end
      local raised = reverse.failure(run)
      timer.start = kept
      assert.equal("cancelled", raised.code)
    end)
  end)

  describe("from a file", function()
    it("is loaded again when the file has changed", function()
      start "return function() return { version = 1 } end"
      assert.same({ version = 1 }, run().data.outputs)
      write "return function() return { version = 2 } end"
      assert.same({ version = 2 }, run().data.outputs)
    end)

    it("keeps what it remembers while its text stays the same", function()
      start "local n = 0 return function() n = n + 1 return { n = n } end"
      run()
      write(settings.sources.flow.text)
      assert.same({ n = 2 }, run().data.outputs)
    end)

    it("keeps the last good version, and logs the line once", function()
      start "return function() return { version = 1 } end"
      run()
      for _, text in ipairs {
        "return function(\n  return 1\nend", "error 'no'", "return 7", "coroutine.yield(1)",
      } do
        write(text)
        library.log = {}
        assert.same({ version = 1 }, run().data.outputs)
        assert.same({ version = 1 }, run().data.outputs)
        assert.equal(1, #library.log)
        local level, message, fields = unpack(library.log[1])
        assert.same({ "error", "a workflow app does not load", "flow" },
          { level, message, fields.app_id })
        assert.truthy(fields.error:find("/etc/apps/flow.lua", 1, true), fields.error)
      end
      assert.equal("flow.lua:2:", (function()
        write "return function(\n  return 1\nend"
        library.log = {}
        run()
        return library.log[1][3].error:match "flow%.lua:%d+:"
      end)())
    end)

    it("that never loaded raises, without the reason", function()
      start "nonsense("
      settings.apps.other = { mode = "workflow", source = "/etc/apps/other.lua" }
      settings.sources.other = { text = "nonsense(", version = 1 }
      reverse.reset(settings)
      local raised = reverse.failure(function()
        session.app.workflow:invoke { app_id = "other" }
      end)
      assert.same({ "upstream_error", "the app does not load; the log says why" },
        { raised.code, raised.message })
    end)

    it("that cannot be read any more keeps running", function()
      start "return function() return { version = 1 } end"
      run()
      write(nil, "permission denied")
      assert.same({ version = 1 }, run().data.outputs)
    end)

    it("runs in a sandbox of its own", function()
      start [[
        leaked = (leaked or 0) + 1
        string.format = nil
        return function()
          return { leaked = leaked, io = tostring(io), os = tostring(os), debug = tostring(debug),
            host = pcall(require, "host.reverse"), file = pcall(require, "lib.x"),
            json = pcall(require, "moonhook.json"), format = tostring(string.format) }
        end]]
      local first = run().data.outputs
      assert.same({ leaked = 1, io = "nil", os = "nil", debug = "nil", host = false, file = false,
        json = true, format = "nil" }, first)
      write(settings.sources.flow.text .. " ")
      assert.equal(1, run().data.outputs.leaked)
      write "return function() return { format = type(string.format), leaked = leaked } end"
      assert.same({ format = "function" }, run().data.outputs)
    end)
  end)

  it("is called as what it is", function()
    start "return function() end"
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "flow", query = "hi" }
    end)
    assert.same({ "unsupported", "the app is a workflow app: call it with session.app.workflow" },
      { raised.code, raised.message })
  end)

  it("gives Errors that library code knows", function()
    start [[return function(session)
      local ok, raised = pcall(function() session.model.llm:invoke {
        model_config = { provider = "nobody", model = "m" },
        prompt_messages = { { role = "user", content = "x" } } } end)
      return { ok = ok, code = raised.code, is_error = require("moonhook").Error.is(raised) }
    end]]
    assert.same({ ok = false, code = "not_found", is_error = true }, run().data.outputs)
    assert.is_true(Error.is(Error.new "x"))
    assert.equal("null", json.encode(json.null))
  end)
end)
