local reverse = require "spec.support.reverse"
local json = require "host.json"
local session = require "moonhook.session"

local SERVICE = { backends = { dify = { type = "dify" } } }

local function event(fields) return json.encode(fields) end

local function message(answer)
  return event { event = "message", answer = answer, conversation_id = "c", task_id = "t", id = "m",
    message_id = "m", created_at = 1 }
end

local END = event { event = "message_end", id = "m", message_id = "m", conversation_id = "c",
  task_id = "t", metadata = { usage = { total_tokens = 3 } } }

local function ask(call)
  call = call or {}
  call.app_id, call.query = call.app_id or "a", call.query or "hi"
  return session.app.chat:invoke(call)
end

describe("session.app.chat:invoke", function()
  before_each(function() reverse.reset(SERVICE) end)

  it("sends Dify's request", function()
    reverse.script { pieces = { END } }
    reverse.run(function() ask { inputs = { a = 1 }, user = "u", conversation_id = "c" } end)
    local call = reverse.calls[1]
    assert.same({ "dify", "app" }, { call.backend, call.kind })
    assert.is_true(call.options.stream)
    assert.same({ type = "app", app_id = "a", query = "hi", inputs = { a = 1 }, user = "u",
      conversation_id = "c", response_mode = "streaming" }, call.body)
  end)

  it("sends inputs as an object when there are none", function()
    reverse.script { pieces = { END } }
    reverse.run(function() ask() end)
    assert.truthy(reverse.calls[1].text:find('"inputs":{}', 1, true))
  end)

  it("gives the events in order, waiting for each", function()
    reverse.script { pieces = { message "a", message "b", END } }
    local seen = reverse.run(function()
      local seen = {}
      for chunk in ask() do seen[#seen + 1] = chunk.answer or chunk.event end
      return seen
    end)
    assert.same({ "a", "b", "message_end" }, seen)
    assert.equal(5, reverse.waits) -- for the head, three events, the end
  end)

  it("encodes an untouched event with its nulls", function()
    reverse.script { pieces = { '{"event":"message","answer":"x","files":null}', END } }
    reverse.run(function()
      local first = ask()()
      assert.is_nil(first.files)
      assert.truthy(json.encode(first):find('"files":null', 1, true))
    end)
  end)

  -- An event that is like one before it but for its answer is not checked again: what comes out
  -- must be what decoding each of them gives.
  describe("asked by a stream of events that are mostly alike", function()
    local function written(answer, rest)
      return ('{"event":"message","task_id":"t","answer":%s%s}'):format(answer, rest or "")
    end
    local streams = {
      ["answers"] = { written '"a"', written '"b"', written '"小猫 é"', written '"\127"' },
      ["escapes"] = {
        written [["\n"]], written '"a"', written [["say \"hi\""]], written '"b"',
        written [["\u00e9"]], written [["\ud83d"]],
      },
      ["empty answers"] = { written '""', written '"a"', written '""', written '"b"' },
      ["others"] = { written '"a"', written "null", written "7", written '"b"', written '["c"]' },
      ["members that come and go"] = {
        written '"a"', written('"b"', ',"files":null'), written('"c"', ',"files":null'),
        written '"d"',
      },
      ["an answer that comes twice"] = {
        '{"answer":"a","event":"message","answer":"x"}',
        '{"answer":"b","event":"message","answer":"x"}',
        '{"answer":"b","event":"message","answer":"y"}',
      },
      ["an answer in the answer"] = {
        written [["{\"answer\":\"x\"}"]], written [["{\"answer\":\"y\"}"]],
      },
      ["an answer further in"] = {
        '{"event":"message","data":{"answer":"a"}}', '{"event":"message","data":{"answer":"b"}}',
      },
      ["names that change"] = {
        written '"a"', '{"event":"ping"}', written '"b"',
        '{"event":"agent_message","task_id":"t","answer":"c"}',
        '{"event":"agent_message","task_id":"u","answer":"d"}', written '"e"',
      },
      ["bytes that are no text"] = { written '"a"', written '"\255"', written '"b"' },
      ["a control character"] = { written '"a"', written '"\1"', written '"b"' },
      ["an end in the middle"] = { written '"a"', '{"event":"message","task_id":"t","answer":"' },
    }

    local function outcome(pieces)
      local all = { unpack(pieces) }
      all[#all + 1] = END
      reverse.script { pieces = all }
      return reverse.run(function()
        local seen = {}
        local ok, problem = pcall(function()
          for chunk in ask() do
            seen[#seen + 1] = json.decode(json.encode(chunk))
            seen[#seen + 1] = chunk.answer or chunk.event
            chunk.answer, chunk.event, chunk.extra = "changed", nil, 1
          end
        end)
        return { seen, ok or problem.message }
      end)
    end

    for name, pieces in pairs(streams) do
      for _, backend in ipairs { "dify", "dify-service" } do
        it(("tells %s by %s as decoding each of them does"):format(name, backend), function()
          local config = { backends = { dify = { type = backend } } }
          if backend == "dify-service" then config.backends.dify.apps = { a = {} } end
          reverse.reset(config)
          local found, text_like = outcome(pieces), json.text_like
          json.text_like = function() end
          reverse.reset(config)
          local ok, expected = pcall(outcome, pieces)
          json.text_like = text_like
          assert.is_true(ok, tostring(expected))
          assert.same(expected, found)
        end)
      end
    end

    it("checks only the first where it can", function()
      local decoded, decode = 0, json.decode_event
      local functions = require("moonhook.session.app_events").PLAIN
      functions.decode = function(text)
        decoded = decoded + 1
        return decode(text)
      end
      local pieces = {}
      for i = 1, 50 do pieces[i] = written('"' .. i .. '"') end
      reverse.reset { backends = { dify = { type = "dify-service", apps = { a = {} } } } }
      assert.is_true(outcome(pieces)[2])
      functions.decode = decode
      local is_off = os.getenv "MOONHOOK_FAST_PATHS" == "off"
      assert.equal(is_off and 51 or 2, decoded) -- the last is another
    end)
  end)

  it("works inside a coroutine of the plugin's own", function()
    local coroutines = require("moonhook.coroutines").public
    reverse.script { pieces = { message "a", message "b", END } }
    local seen = reverse.run(function()
      local seen = {}
      for answer in coroutines.wrap(function()
        for chunk in ask() do coroutines.yield(chunk.answer or "end") end
      end) do seen[#seen + 1] = answer end
      return seen
    end)
    assert.same({ "a", "b", "end" }, seen)
  end)

  it("gives one answer when blocking", function()
    reverse.script { pieces = { event { event = "message", answer = "whole", mode = "chat" } } }
    local answer = reverse.run(function() return ask { response_mode = "blocking" } end)
    assert.equal("whole", answer.answer)
    assert.is_true(reverse.calls[1].is_closed)
    assert.equal("blocking", reverse.calls[1].body.response_mode)
  end)

  it("collects a stream into what the blocking call gives", function()
    reverse.script { pieces = { message "ab", message "c", END } }
    local answer = reverse.run(function() return ask():collect() end)
    assert.same({ event = "message", mode = "chat", answer = "abc", conversation_id = "c", id = "m",
      message_id = "m", task_id = "t", created_at = 1, metadata = { usage = { total_tokens = 3 } },
    }, answer)
  end)

  it("lets message_replace replace what was said", function()
    local replace = event { event = "message_replace", answer = "better" }
    reverse.script { pieces = { message "bad", replace, END } }
    assert.equal("better", reverse.run(function() return ask():collect() end).answer)
  end)

  it("passes unknown events on", function()
    reverse.script { pieces = { event { event = "node_started", data = { n = 1 } }, END } }
    reverse.run(function() assert.equal("node_started", ask()().event) end)
  end)

  it("ends quietly after message_end, again and again", function()
    reverse.script { pieces = { END } }
    reverse.run(function()
      local chunks = ask()
      chunks()
      assert.is_nil(chunks())
      assert.is_nil(chunks())
    end)
  end)

  it("accepts events after message_end", function()
    reverse.script { pieces = { END, event { event = "workflow_finished" } } }
    assert.equal(2, reverse.run(function()
      local count = 0
      for _ in ask() do count = count + 1 end
      return count
    end))
  end)

  describe("when the world fails", function()
    it("raises when the stream ends without message_end, and again", function()
      reverse.script { pieces = { message "half" } }
      reverse.run(function()
        local chunks = ask()
        assert.equal("half", chunks().answer)
        for _ = 1, 2 do
          local ok, raised = pcall(chunks)
          assert.is_false(ok)
          assert.equal("upstream_truncated", raised.code)
        end
      end)
      assert.is_true(reverse.calls[1].is_closed)
    end)

    it("raises when nothing came at all", function()
      reverse.script { pieces = {} }
      local failure = reverse.failure(function() ask() end)
      assert.same({ "upstream_error", "No response from chat" }, { failure.code, failure.detail })
    end)

    it("raises an error event, its words in the fields only", function()
      local bad = event { event = "error", status = 400, code = "quota", message = "SECRET" }
      reverse.script { pieces = { message "a", bad } }
      local raised = reverse.failure(function() for _ in ask() do end end)
      assert.same({ "upstream_error", "quota", "SECRET", 400 },
        { raised.code, raised.upstream_code, raised.upstream_message, raised.upstream_status })
      assert.is_nil(tostring(raised):find "SECRET")
    end)

    it("raises not_found for a conversation that is gone, in invoke", function()
      local bad = event { event = "error", status = 404, code = "not_found", message = "Gone" }
      reverse.script { pieces = { bad } }
      assert.equal("not_found", reverse.failure(function() ask() end).code)
    end)

    it("names the place of a malformed event, not its data", function()
      for _, piece in ipairs { "{SECRET", '"SECRET"', '["SECRET"]', '{"a":"SECRET"}', "" } do
        reverse.script { pieces = { message "a", piece, END } }
        local raised = reverse.failure(function() for _ in ask() do end end)
        assert.equal("upstream_error", raised.code)
        assert.truthy(raised.message:find("event 2", 1, true))
        assert.is_nil(raised.message:find "SECRET")
      end
    end)

    it("keeps the upstream's address out of the message", function()
      reverse.script { pieces = {}, failure = { "upstream_error", "connect_refused: 10.0.0.5" } }
      local raised = reverse.failure(function() ask() end)
      assert.is_nil(raised.message:find "10.0.0.5")
      assert.equal("connect_refused: 10.0.0.5", raised.detail)
      assert.equal("dify", raised.backend)
    end)

    it("gives a broken stream a code of its own", function()
      local failure = { "upstream_error", "upstream_truncated: x" }
      reverse.script { pieces = { message "a" }, failure = failure }
      assert.equal("upstream_truncated", reverse.failure(function() for _ in ask() do end end).code)
    end)

    it("raises timeouts and refusals with their codes", function()
      reverse.script { pieces = {}, failure = { "upstream_timeout", "no byte for 60 s" } }
      assert.equal("upstream_timeout", reverse.failure(function() ask() end).code)
      reverse.reset { backends = SERVICE.backends, refusal = { "permission_denied", "no" } }
      local raised = reverse.failure(function() ask() end)
      assert.same({ "permission_denied", "no" }, { raised.code, raised.message })
    end)

    it("can be caught and leaves the Error whole", function()
      reverse.script { pieces = {}, failure = { "upstream_timeout", "x" } }
      reverse.run(function()
        local ok, raised = pcall(ask)
        assert.is_false(ok)
        assert.is_true(require("moonhook.error").is(raised))
      end)
    end)
  end)

  describe("close", function()
    it("cancels the call and ends the iteration", function()
      reverse.script { pieces = { message "a", message "b", END } }
      reverse.run(function()
        local chunks = ask()
        chunks()
        chunks:close()
        chunks:close()
        assert.is_nil(chunks())
      end)
      assert.is_true(reverse.calls[1].is_closed)
    end)

    it("forgets the first event, which was read ahead", function()
      reverse.script { pieces = { message "a", END } }
      reverse.run(function()
        local chunks = ask()
        chunks:close()
        assert.is_nil(chunks())
      end)
    end)
  end)

  describe("when its author is wrong", function()
    local function problem(body)
      local raised = reverse.failure(body)
      assert.equal("string", type(raised))
      local place, text = raised:match "^(%S+session_app_spec%.lua:%d+): (.*)$"
      assert.truthy(place, raised)
      return text
    end

    it("says so at the author's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local raised = reverse.failure(function() session.app.chat:invoke { query = "x" } end)
      assert.truthy(raised:find("session_app_spec.lua:" .. line .. ":", 1, true), raised)
    end)

    it("names what is missing", function()
      assert.equal("session.app.chat:invoke: app_id: expected a string, got nil "
      .. "(is the app-selector setting set?)",
        problem(function() session.app.chat:invoke { query = "x" } end))
      assert.equal("session.app.chat:invoke: query: expected a text, got \"\"",
        problem(function() session.app.chat:invoke { app_id = "a", query = "" } end))
    end)

    it("knows an app-selector given whole", function()
      assert.truthy(problem(function()
        session.app.chat:invoke { app_id = { app_id = "x" }, query = "q" }
      end):find("an app-selector holds it as app_id", 1, true))
    end)

    it("knows a call with a dot", function()
      assert.truthy(problem(function()
        session.app.chat.invoke { app_id = "a", query = "q" }
      end):find("called with '.'", 1, true))
    end)

    it("names the nearest known argument", function()
      assert.equal("session.app.chat:invoke: unknown argument 'conversationId', did you mean "
        .. "'conversation_id'?", problem(function()
        session.app.chat:invoke { app_id = "a", query = "q", conversationId = "c" }
      end))
    end)

    it("lists the known ones when none is near", function()
      assert.truthy(problem(function()
        session.app.chat:invoke { app_id = "a", query = "q", zzzzzzzzz = 1 }
      end):find("known are app_id, query", 1, true))
    end)

    it("names a wrong mode and a missing table", function()
      assert.truthy(problem(function()
        session.app.chat:invoke { app_id = "a", query = "q", response_mode = "stream" }
      end):find('response_mode: expected one of "streaming", "blocking", got "stream"', 1, true))
      assert.truthy(problem(function()
        session.app.chat:invoke()
      end):find("expected one table of named values, got nil", 1, true))
    end)

    it("names what cannot be sent", function()
      assert.truthy(problem(function()
        session.app.chat:invoke { app_id = "a", query = "q", inputs = { f = print } }
      end):find "function")
    end)

    it("refuses to collect what was read already", function()
      reverse.script { pieces = { message "a", END } }
      assert.truthy(problem(function()
        local chunks = ask()
        chunks()
        chunks:collect()
      end):find("collect", 1, true))
    end)
  end)
end)
