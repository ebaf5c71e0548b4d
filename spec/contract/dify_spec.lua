-- The backend `dify` against a Dify made from the contract: every kind of call, and all that can
-- go wrong with frames and envelopes.
local cjson = require "cjson"
local fake_dify = require "spec.contract.fake_dify"
local process = require "spec.support.process"

local MODEL = { provider = "langgenius/openai/openai", model = "gpt-4o" }
local FRAME_HEAD = "\15\0\10\0%s\0\0\0\0\0\0"

describe("the backend dify", function()
  local dify, caller

  setup(function()
    dify = fake_dify.start()
    caller = fake_dify.caller {
      backends = { dify = dify:backend() }, client = { first_byte_ms = 2000, idle_ms = 500 },
    }
  end)

  teardown(function()
    caller:stop()
    dify:stop()
  end)

  before_each(function()
    dify:order {}
    dify:forget()
  end)

  local function chat(more)
    local argument = { app_id = "app-chat", query = "hello big world", user = "u-1" }
    for name, value in pairs(more or {}) do argument[name] = value end
    return { path = "app.chat", argument = argument }
  end

  local function llm(more)
    local argument = {
      model_config = MODEL, prompt_messages = { { role = "user", content = "one two" } },
    }
    for name, value in pairs(more or {}) do argument[name] = value end
    return { path = "model.llm", argument = argument }
  end

  local function text_of(items)
    local texts = {}
    for _, item in ipairs(items) do
      texts[#texts + 1] = item.answer or item.delta and item.delta.message.content
    end
    return table.concat(texts)
  end

  local function envelope(data, problem)
    return ('{"data":%s,"error":%s}'):format(data, cjson.encode(problem or ""))
  end

  -- ---- apps -------------------------------------------------------------------------------------

  describe("asked for a chat app", function()
    it("sends Dify's request with the key, the tenant and the user", function()
      caller:call(chat { inputs = { a = 1 }, conversation_id = "c-7" })
      local seen = dify:seen()
      assert.equal(1, #seen)
      assert.same({ "POST", "/inner/api/invoke/app", "inner-secret", "application/json" },
        { seen[1].method, seen[1].path, seen[1].headers["x-inner-api-key"],
          seen[1].headers["content-type"] })
      assert.is_nil(seen[1].headers.authorization)
      assert.same({ tenant_id = "t-1", user_id = "", type = "app", app_id = "app-chat",
        query = "hello big world", inputs = { a = 1 }, conversation_id = "c-7", user = "u-1",
        response_mode = "streaming" }, seen[1].body)
    end)

    it("gives its events in order, unchanged", function()
      local told, text = caller:call(chat())
      assert.same({ nil, "u-1 said: hello big world", 6 },
        { told.error, text_of(told.items), #told.items })
      assert.equal("message_end", told.items[6].event)
      assert.equal("0.000007", told.items[6].metadata.usage.total_price)
      assert.truthy(text:find('"from_variable_selector":null', 1, true))
    end)

    it("gives the same when the frames are split anywhere", function()
      local whole = caller:call(chat())
      for _, order in ipairs { { split = 1 }, { split = 1, framing = "close" }, { split = 13 },
        { at_once = true }, { empty_frames = true }, { empty_frames = true, split = 3 } } do
        dify:order(order)
        assert.same(whole, caller:call(chat()), cjson.encode(order))
      end
    end)

    it("gives one answer when blocking, from one frame", function()
      local told = caller:call(chat { response_mode = "blocking" })
      assert.same({ "message", "u-1 said: hello big world", "c-new", "chat" },
        { told.value.event, told.value.answer, told.value.conversation_id, told.value.mode })
      assert.same({ "blocking", "u-1" },
        { dify:seen()[1].body.response_mode, dify:seen()[1].body.user })
    end)

    it("collects a stream into what the blocking call gives", function()
      local order = chat()
      order.collect = true
      assert.same(caller:call(chat { response_mode = "blocking" }).value, caller:call(order).value)
    end)

    it("keeps its connection for the next call", function()
      caller:call(chat())
      local before = dify:connections()
      for _ = 1, 3 do caller:call(chat { response_mode = "blocking" }) end
      assert.equal(before, dify:connections())
    end)

    it("passes on what a chatflow says of its nodes, and files", function()
      local file = { type = "image", transfer_method = "remote_url", url = "http://x/y.png" }
      local told = caller:call(chat { app_id = "app-advanced-chat", files = { file } })
      local names = {}
      for i, item in ipairs(told.items) do names[i] = item.event end
      assert.equal("workflow_started node_started node_finished message message message message "
        .. "message message_end workflow_finished", table.concat(names, " "))
      assert.same({ file }, dify:seen()[1].body.files)
    end)

    it("raises not_found for an app that Dify does not know", function()
      local failure = caller:call(chat { app_id = "app-nowhere" }).error
      assert.same({ "not_found", "app not found", 400 },
        { failure.code, failure.upstream_message, failure.upstream_status })
      assert.truthy(failure.detail:find(
        "invoke app failed: request failed with status code: 400 and respond with: {", 1, true))
    end)
  end)

  it("runs completion and workflow apps, whole and as events", function()
    for _, mode in ipairs { "completion", "workflow" } do
      local function order(response_mode, collect)
        return { path = "app." .. mode, collect = collect, argument = { app_id = "app-" .. mode,
          inputs = { query = "who" }, user = "u-2", response_mode = response_mode } }
      end
      local whole = caller:call(order()).value
      assert.same(whole, caller:call(order("streaming", true)).value)
      assert.equal("u-2", dify:seen()[#dify:seen()].body.user)
      if mode == "workflow" then
        assert.same({ "succeeded", "run-1" }, { whole.data.status, whole.workflow_run_id })
      else
        assert.equal("u-2 said: who", whole.answer)
      end
    end
  end)

  it("gives a failed run of a workflow as its result", function()
    local run = '{"workflow_run_id":"r","task_id":"t","data":{"status":"failed","error":"no"}}'
    dify:order { frames = { envelope(run) } }
    local told = caller:call { path = "app.workflow", argument = { app_id = "app-workflow" } }
    assert.same({ status = "failed", error = "no" }, told.value.data)
  end)

  it("tells how an app is set up", function()
    local told = caller:call { path = "app", method = "fetch", argument = { app_id = "x" } }
    assert.equal("Hello!", told.value.opening_statement)
    assert.equal("/inner/api/fetch/app/info", dify:seen()[1].path)
  end)

  -- ---- chat models ------------------------------------------------------------------------------

  describe("asked for a chat model", function()
    it("sends prompt messages with all their fields, null for lists that are absent", function()
      local image = { type = "image", mime_type = "image/png", base64_data = "aGk=" }
      caller:call(llm { prompt_messages = {
        { role = "system", content = "be kind" },
        { role = "user", content = { { type = "text", data = "see" }, image } },
        { role = "assistant", content = "", tool_calls = { { id = "i", type = "function",
          ["function"] = { name = "f", arguments = "{}" } } } },
        { role = "tool", content = "done", tool_call_id = "i" },
      } })
      local record = dify:seen()[1]
      assert.is_nil(record.problem)
      local body = record.body
      assert.same({ cjson.null, cjson.null, true, "chat" },
        { body.tools, body.stop, body.stream, body.mode })
      assert.same({ role = "system", content = "be kind", name = "", tool_call_id = "",
        tool_calls = cjson.null }, body.prompt_messages[1])
      assert.same({ type = "image", format = "png", mime_type = "image/png", url = "",
        base64_data = "aGk=", filename = "", detail = "low" }, body.prompt_messages[2].content[2])
      assert.same({ { id = "i", type = "function", ["function"] = { name = "f",
        arguments = "{}" } } }, body.prompt_messages[3].tool_calls)
      assert.equal("i", body.prompt_messages[4].tool_call_id)
    end)

    it("gives its chunks, the last with usage", function()
      local told, text = caller:call(llm())
      assert.equal("You said: one two", text_of(told.items))
      assert.same({ 0, 1, 2, 3, 4 }, { told.items[1].delta.index, told.items[2].delta.index,
        told.items[3].delta.index, told.items[4].delta.index, told.items[5].delta.index })
      assert.same({ "stop", 5 },
        { told.items[5].delta.finish_reason, told.items[5].delta.usage.total_tokens })
      assert.truthy(text:find('"usage":null', 1, true))
    end)

    it("gives one result without a stream", function()
      local result = caller:call(llm { stream = false }).value
      assert.same({ "You said: one two", "gpt-4o", 5 },
        { result.message.content, result.model, result.usage.total_tokens })
    end)

    it("passes tools on and gives the calls back", function()
      local tool = { name = "add", description = "adds", parameters = { type = "object" } }
      local choice = { mode = "tool", name = "add" }
      local result =
        caller:call(llm { tools = { tool }, tool_choice = choice, stream = false }).value
      assert.same({ tool }, dify:seen()[1].body.tools)
      assert.same(choice, dify:seen()[1].body.tool_choice)
      assert.same({ id = "call-1", type = "function",
        ["function"] = { name = "add", arguments = '{"a":1}' } }, result.message.tool_calls[1])
    end)

    it("gives a value that keeps to a schema", function()
      local schema = { type = "object", properties = { name = { type = "string" } } }
      local result = caller:call {
        path = "model.llm_structured_output",
        argument = { model_config = MODEL, stream = false, structured_output_schema = schema,
          prompt_messages = { { role = "user", content = "hi" } } },
      }.value
      assert.same({ name = "a name" }, result.structured_output)
      assert.equal("/inner/api/invoke/llm/structured-output", dify:seen()[1].path)
    end)

    local function chunk(message, rest)
      return envelope(('{"model":"m","prompt_messages":[{"role":"user","content":"x"}],'
        .. '"system_fingerprint":null,"delta":{"index":0,"message":%s%s}}')
        :format(message, rest or ',"usage":null,"finish_reason":null'))
    end

    it("refuses chunks that are none, by their place, without repeating them", function()
      for _, message in ipairs { '{"role":"SECRET","content":"a"}',
        '{"role":"assistant","content":123}', '"SECRET"',
        '{"role":"assistant","content":[{"type":"SECRET"}]}' } do
        dify:order { frames = { chunk '{"role":"assistant","content":"a"}', chunk(message) } }
        local told, text = caller:call(llm())
        assert.equal(1, #told.items, message)
        assert.same({ "upstream_error", 2 }, { told.error.code, told.error.position })
        assert.falsy(text:find("SECRET", 1, true))
      end
      assert.falsy(caller.host:log():find("SECRET", 1, true))
    end)

    it("takes parts, opaque bodies, null content and null tool fields", function()
      dify:order { frames = {
        chunk('{"role":"assistant","content":[{"type":"image","format":"png",'
          .. '"mime_type":"image/png","url":"u"}]}'),
        chunk('{"role":"assistant","content":null,"opaque_body":{"a":[1]},"tool_calls":'
          .. '[{"id":null,"type":null,"function":{"name":null,"arguments":null}}]}'),
        chunk('{"role":"assistant","content":""}', ',"usage":null,"finish_reason":"stop"'),
      } }
      local told, text = caller:call(llm())
      assert.is_nil(told.error)
      assert.equal("u", told.items[1].delta.message.content[1].url)
      assert.same({ a = { 1 } }, told.items[2].delta.message.opaque_body)
      assert.same({ { id = "", type = "", ["function"] = { name = "", arguments = "" } } },
        told.items[2].delta.message.tool_calls)
      assert.truthy(text:find('"prompt_messages":[]', 1, true))
      assert.falsy(text:find('"x"', 1, true))
    end)

    it("joins three chunks, the last with usage", function()
      local call = '"tool_calls":[{"id":"i","type":"function",'
        .. '"function":{"name":"f","arguments":""}}]'
      local usage = '{"prompt_tokens":1,"prompt_unit_price":0.001,"prompt_price_unit":"0.001",'
        .. '"prompt_price":"0","completion_tokens":2,"completion_unit_price":"0",'
        .. '"completion_price_unit":"0","completion_price":"0","total_tokens":3,'
        .. '"total_price":"0","currency":"USD","latency":0.1}'
      dify:order { frames = { chunk '{"role":"assistant","content":"a"}',
        chunk('{"role":"assistant","content":"b",' .. call .. "}"),
        chunk('{"role":"assistant","content":"","tool_calls":[]}',
          ',"finish_reason":"stop","usage":' .. usage) } }
      local result = caller:call(llm { stream = false }).value
      assert.same({ "ab", 3, "0.001", "f" }, { result.message.content, result.usage.total_tokens,
        result.usage.prompt_unit_price, result.message.tool_calls[1]["function"].name })
    end)
  end)

  -- ---- failures ---------------------------------------------------------------------------------

  describe("raises", function()
    local function failure(order, call)
      dify:order(order)
      return caller:call(call or llm()).error
    end

    it("an error envelope, Dify's words in the fields only", function()
      local raised = failure { frames = { envelope("null", "boom") } }
      assert.same({ "upstream_error", "boom", "read llm model failed: request failed: boom" },
        { raised.code, raised.upstream_message, raised.detail })
      assert.falsy(raised.message:find("boom", 1, true))
      raised = failure({ frames = { envelope("null", "boom") } }, chat())
      assert.equal("read app failed: request failed: boom", raised.detail)
    end)

    it("an error envelope in the middle, after what came before it", function()
      dify:order { frames = { envelope '{"event":"message","answer":"a","task_id":"t"}',
        envelope("null", "boom") } }
      local told = caller:call(chat())
      assert.same({ 1, "boom" }, { #told.items, told.error.upstream_message })
    end)

    it("an envelope without data", function()
      assert.truthy(failure { frames = { envelope "null" } }.detail:find "data is nil$")
    end)

    it("a frame that is no envelope, by its place", function()
      for _, text in ipairs { "not json", "[]", '"x"', '{"data":1,"error":5}' } do
        local raised = failure { frames = { text } }
        assert.same({ "upstream_error", 1 }, { raised.code, raised.position }, text)
      end
    end)

    it("an error event", function()
      local event = '{"event":"error","status":400,"code":"quota","message":"too much"}'
      local raised = failure({ frames = { envelope(event) } }, chat())
      assert.same({ "upstream_error", "quota", "too much", 400 }, { raised.code,
        raised.upstream_code, raised.upstream_message, raised.upstream_status })
    end)

    it("a reply that is not 200, with its status and body", function()
      local raised = failure({ status = 500, body = "x" }, chat())
      assert.same({ "upstream_error", 500, "x",
        "invoke app failed: request failed with status code: 500 and respond with: x" },
        { raised.code, raised.upstream_status, raised.upstream_message, raised.detail })
    end)

    it("an answer without a frame, whoever asked", function()
      local embedding = { path = "model.text_embedding",
        argument = { model_config = MODEL, texts = { "a" } } }
      assert.equal("data is nil", failure({ status = 404, body = "{}" }, embedding).detail
        :match "data is nil$")
      for name, order in pairs {
        chat = chat { response_mode = "blocking" },
        completion = { path = "app.completion", argument = { app_id = "app-completion" } },
        workflow = { path = "app.workflow", argument = { app_id = "app-workflow" } },
        llm = llm { stream = false },
      } do
        dify:order { end_after_bytes = 0 }
        assert.equal("No response from " .. name, caller:call(order).error.detail)
      end
    end)

    it("an error of a call that is answered in JSON", function()
      for _, status in ipairs { 200, 400 } do
        local raised = failure({ status = status, body = envelope("null", "no such model") }, {
          path = "model.moderation", argument = { model_config = MODEL, text = "a" },
        })
        assert.same({ "upstream_error", "no such model",
          "invoke moderation model failed: request failed: no such model" },
          { raised.code, raised.upstream_message, raised.detail })
      end
    end)
  end)

  describe("whose frames are broken", function()
    local good = '{"data":{"event":"message","answer":"a","task_id":"t"},"error":""}'
    local cases = { -- the frames, the exact text
      { { magic = 16, text = "hello" }, "frame_magic: magic number mismatch: 16" },
      { { header_length = 11 }, "frame_header: header length mismatch: 11" },
      { { data_length = 4294967295, text = "hello" },
        "frame_too_large: data length is too long: 4294967295" },
      { { data_length = 31457281 }, "frame_too_large: data length is too long: 31457281" },
    }
    for _, case in ipairs(cases) do
      it("raises " .. case[2], function()
        for _, split in ipairs { 0, 1 } do
          dify:order { frames = { good, case[1] }, split = split > 0 and split or nil }
          local told = caller:call(chat())
          assert.same({ 1, "upstream_error", case[2] },
            { #told.items, told.error.code, told.error.detail })
        end
        process.eventually(function() return dify:connections() == 0 end, 2, "no connection")
      end)
    end

    it("raises when the body ends inside a frame, wherever", function()
      local head = FRAME_HEAD:format "\100\0\0\0"
      assert.equal(14, #head)
      for bytes, part in pairs { [1] = "system header", [3] = "system header", [4] = "header",
        [7] = "header", [13] = "header", [14] = "data", [20] = "data" } do
        for _, framing in ipairs { "chunked", "close" } do
          dify:order { frames = { good, good }, end_after_bytes = 14 + #good + bytes,
            framing = framing }
          local told = caller:call(chat())
          assert.same({ 1, "upstream_truncated", "frame_truncated: failed to read " .. part },
            { #told.items, told.error.code, told.error.detail })
        end
      end
    end)

    it("raises when the stream is cut between frames", function()
      for _, how in ipairs { "fin", "rst" } do
        for _, framing in ipairs { "chunked", "close" } do
          dify:order { after = 2, cut = how, framing = framing }
          for _, order in ipairs { chat(), llm() } do
            local told = caller:call(order)
            assert.equal(2, #told.items)
            assert.truthy(({ upstream_truncated = true, upstream_error = true })[told.error.code])
          end
        end
      end
    end)

    it("takes frames of many packets, and many frames of one", function()
      local long = ("x"):rep(300000)
      dify:order { frames = { envelope(cjson.encode { event = "message", answer = long }),
        envelope '{"event":"message_end"}' }, split = 20000 }
      assert.equal(300000, #caller:call(chat()).items[1].answer)
    end)
  end)

  it("is a 502 without Dify's words when the plugin catches nothing", function()
    for _, order in ipairs { { frames = { { magic = 16, text = "SECRET" } } },
      { frames = { envelope("null", "SECRET") } }, { frames = { "SECRET" } },
      { status = 400, body = "SECRET" }, { end_after_bytes = 7 } } do
      dify:order(order)
      local reply = caller:uncaught(chat())
      assert.equal(502, reply.status)
      assert.truthy(reply.body:find('"code":"upstream_error"', 1, true), reply.body)
      assert.falsy(reply.body:find("SECRET", 1, true), reply.body)
    end
  end)

  it("keeps the key and the tenant from plugins, whatever fails", function()
    for _, order in ipairs { {}, { status = 500, body = "x" }, { frames = { "x" } },
      { cut = "rst", after = 0 } } do
      dify:order(order)
      local _, text = caller:call(chat())
      assert.falsy(text:find("inner-secret", 1, true))
      assert.falsy(text:find("t-1", 1, true))
    end
    assert.falsy(caller.host:log():find("inner-secret", 1, true))
  end)

  -- ---- leaving ----------------------------------------------------------------------------------

  it("lets Dify know at once when a client leaves or a stream is closed", function()
    dify:order { piece_ms = 30 }
    local reply = caller:stream(chat { query = ("word "):rep(200) })
    while not reply:next_piece():find "word" do end
    local left_at = process.now()
    reply:close()
    dify:wait_seen(function(record) return record.closed end)
    assert.is_true(process.now() - left_at < 2, process.now() - left_at)
    assert.is_true(dify:seen()[1].sent < 100)

    dify:forget()
    local order = chat { query = ("word "):rep(200) }
    order.take = 2
    assert.equal(2, #caller:call(order).items)
    dify:wait_seen(function(record) return record.closed end)
    assert.is_true(dify:seen()[1].sent < 100)
  end)
end)
