-- The backend `dify-service` against a Dify made from the contract: its public API, a key per app.
local cjson = require "cjson"
local fake_dify = require "spec.contract.fake_dify"
local process = require "spec.support.process"


describe("the backend dify-service", function()
  local dify, caller

  setup(function()
    dify = fake_dify.start()
    caller = fake_dify.caller {
      backends = { clouds = dify:service_backend() }, client = { idle_ms = 500 },
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

  local function app(kind, more)
    local argument = { app_id = "app-" .. kind, inputs = {} }
    if kind == "chat" then argument.query = "hello big world" end
    for name, value in pairs(more or {}) do argument[name] = value end
    return { path = "app." .. kind, argument = argument }
  end

  local function texts(items)
    local found = {}
    for _, item in ipairs(items) do found[#found + 1] = item.answer end
    return table.concat(found)
  end

  local function stops()
    local found = {}
    for _, record in ipairs(dify:seen()) do
      if record.path:find "/stop$" then found[#found + 1] = record end
    end
    return found
  end

  it("asks each app with its own key, and names no app", function()
    for kind, path in pairs { chat = "chat-messages", completion = "completion-messages",
      workflow = "workflows/run" } do
      dify:forget()
      assert.is_nil(caller:call(app(kind, { user = "u-1", inputs = { query = "w" } })).error)
      local record = dify:seen()[1]
      assert.same({ "/v1/" .. path, "Bearer app-key-" .. kind },
        { record.path, record.headers.authorization })
      assert.is_nil(record.headers["x-inner-api-key"])
      assert.same({ nil, nil, nil, "u-1" }, { record.body.app_id, record.body.tenant_id,
        record.body.type, record.body.user })
    end
  end)

  it("always names a user, as Dify wants it", function()
    caller:call(app "chat")
    assert.equal("DEFAULT-USER", dify:seen()[1].body.user)
  end)

  it("gives the events unchanged, split anywhere, and none of the pings", function()
    local whole, text = caller:call(app "chat")
    assert.same({ 6, "DEFAULT-USER said: hello big world" }, { #whole.items, texts(whole.items) })
    assert.truthy(text:find('"from_variable_selector":null', 1, true))
    for _, order in ipairs { { split = 1 }, { pings = true }, { pings = true, split = 1 },
      { at_once = true }, { framing = "close" } } do
      dify:order(order)
      assert.same(whole, caller:call(app "chat"), cjson.encode(order))
    end
  end)

  it("gives no ping that comes as data, and every event it does not know", function()
    dify:order { events = { { event = "ping" }, { event = "brand_new", task_id = "t", x = { 1 } },
      "event: ping\ndata: {\"event\":\"ping\"}\n\n", { event = "message_end", task_id = "t" } } }
    local told = caller:call(app "chat")
    assert.is_nil(told.error)
    assert.same({ { event = "brand_new", task_id = "t", x = { 1 } },
      { event = "message_end", task_id = "t" } }, told.items)
  end)

  it("gives the same collected as blocking", function()
    for _, kind in ipairs { "chat", "completion", "workflow" } do
      local more = { inputs = { query = "w" }, response_mode = "streaming", user = "u" }
      local order = app(kind, more)
      order.collect = true
      local collected = caller:call(order).value
      more.response_mode = "blocking"
      assert.same(caller:call(app(kind, more)).value, collected)
    end
  end)

  it("goes on with a conversation, with files", function()
    local file = { type = "image", transfer_method = "remote_url", url = "http://x/y.png" }
    local told = caller:call(app("chat", { conversation_id = "c-7", files = { file } }))
    assert.equal("c-7", told.items[1].conversation_id)
    assert.same({ file }, dify:seen()[1].body.files)
  end)

  it("tells how an app is set up", function()
    local told = caller:call { path = "app", method = "fetch", argument = { app_id = "app-chat" } }
    assert.equal("Hello!", told.value.opening_statement)
    assert.same({ "GET", "/v1/parameters" }, { dify:seen()[1].method, dify:seen()[1].path })
  end)

  it("uploads a file for an app", function()
    local told = caller:call { path = "file", method = "upload", bytes_of = "content",
      parameter = true, argument = { filename = "ä.png", mimetype = "image/png",
        app_id = "app-chat", user = "u-3" } }
    assert.is_nil(told.error)
    assert.same({ "ä.png", 4, "u-3" },
      { told.value.name, told.value.size, told.value.created_by })
    assert.same({ upload_file_id = "file-id", transfer_method = "local_file", type = "image" },
      told.parameter)
    assert.equal("Bearer app-key-chat", dify:seen()[1].headers.authorization)
  end)

  describe("raises", function()
    it("an error event, and what came before it stays", function()
      dify:order { events = { { event = "message", answer = "a", task_id = "t" }, { event = "error",
        task_id = "t", status = 400, code = "provider_quota_exceeded", message = "SECRET" } } }
      local told = caller:call(app "chat")
      assert.same({ 1, "upstream_error", "provider_quota_exceeded", "SECRET", 400 },
        { #told.items, told.error.code, told.error.upstream_code, told.error.upstream_message,
          told.error.upstream_status })
      assert.falsy(told.error.message:find("SECRET", 1, true))
      assert.equal(0, #stops())
    end)

    it("a refusal, Dify's words in the fields only", function()
      dify:order { status = 400, body = { code = "app_unavailable", message = "SECRET",
        status = 400 } }
      local raised = caller:call(app "chat").error
      assert.same({ "upstream_error", "app_unavailable", "SECRET", 400 }, { raised.code,
        raised.upstream_code, raised.upstream_message, raised.upstream_status })
      assert.falsy(raised.message:find("SECRET", 1, true))
    end)

    it("not_found for a conversation that is gone", function()
      local raised = caller:call(app("chat", { conversation_id = "gone" })).error
      assert.same({ "not_found", "Conversation Not Exists." },
        { raised.code, raised.upstream_message })
    end)

    it("not_found for an app without a key, without asking anybody", function()
      local raised = caller:call(app("chat", { app_id = "app-other" })).error
      assert.equal("not_found", raised.code)
      assert.equal(0, #dify:seen())
    end)

    it("an event that is unreadable, by its place", function()
      dify:order { events = { { event = "message", answer = "a" }, "data: {\"SECRET\n\n" } }
      local told, text = caller:call(app "chat")
      assert.same({ 1, "upstream_error", 2 },
        { #told.items, told.error.code, told.error.position })
      assert.falsy(text:find("SECRET", 1, true))
    end)

    it("a stream that ends before its last event, however it ends", function()
      for _, order in ipairs { { after = 2, cut = "fin" }, { after = 2, cut = "rst" },
        { after = 2, cut = "fin", framing = "close" },
        { events = { { event = "message", answer = "a" }, { event = "message", answer = "b" } } },
      } do
        dify:order(order)
        local told = caller:call(app "chat")
        assert.same({ 2, true }, { #told.items, told.error ~= nil }, cjson.encode(order))
        assert.truthy(({ upstream_truncated = true, upstream_error = true })[told.error.code])
      end
    end)

    for _, case in ipairs {
      { "model.moderation", { model_config = { provider = "clouds", model = "m" }, text = "x" } },
      { "model.llm", { model_config = { provider = "clouds", model = "m" },
        prompt_messages = { { role = "user", content = "x" } } } },
      { "tool", { provider_type = "builtin", provider = "p", tool_name = "t" } },
    } do
      it("unsupported for " .. case[1], function()
        local raised = caller:call({ path = case[1], argument = case[2] }).error
        assert.equal("unsupported", raised.code)
        assert.equal(0, #dify:seen())
      end)
    end
  end)

  -- ---- leaving a run ----------------------------------------------------------------------------

  describe("whose run is left", function()
    local PATHS = { chat = "/v1/chat-messages/task-chat/stop",
      completion = "/v1/completion-messages/task-completion/stop",
      workflow = "/v1/workflows/tasks/task-workflow/stop" }
    local long = ("word "):rep(200)

    for kind, path in pairs(PATHS) do
      it("stops a " .. kind .. " run, for the same user with the same key", function()
        dify:order { piece_ms = 20 }
        local order = app(kind, { user = "u-5", query = kind == "chat" and long or nil,
          inputs = { query = long }, response_mode = "streaming" })
        order.take = 2
        assert.equal(2, #caller:call(order).items)
        local record = dify:wait_seen(function(item) return item.path:find "/stop$" end)
        assert.same({ "POST", path, { user = "u-5" }, "Bearer app-key-" .. kind },
          { record.method, record.path, record.body, record.headers.authorization })
        assert.equal(1, #stops())
      end)
    end

    it("stops it when a client leaves while nothing comes", function()
      dify:order { silent_after = 2 }
      local reply = caller:stream(app("chat", { query = long }))
      while not reply:next_piece():find "said" do end
      local left_at = process.now()
      reply:close()
      dify:wait_seen(function(record) return record.path:find "/stop$" end)
      assert.is_true(process.now() - left_at < 2)
      assert.is_truthy(dify:seen()[1].closed)
    end)

    it("stops it when a client leaves that does not read", function()
      dify:order { events = (function()
        local events = {}
        for i = 1, 300 do
          events[i] = { event = "message", task_id = "task-x", answer = ("x"):rep(20000) }
        end
        return events
      end)() }
      local reply = caller:stream(app "chat")
      reply:next_piece()
      dify:wait_seen(function(record) return record.sent > 5 end)
      local left_at = process.now()
      reply:close()
      local record = dify:wait_seen(function(item) return item.path:find "/stop$" end, 3)
      assert.equal("/v1/chat-messages/task-x/stop", record.path)
      assert.is_true(process.now() - left_at < 0.5, process.now() - left_at)
    end)

    it("stops it when it falls silent for too long", function()
      dify:order { silent_after = 2 }
      local told = caller:call(app "chat")
      assert.equal("upstream_timeout", told.error.code)
      dify:wait_seen(function(record) return record.path:find "/stop$" end)
    end)

    it("stops nothing that has ended, and nothing whose name is no name", function()
      caller:call(app "chat")
      caller:call(app("workflow", { response_mode = "streaming" }))
      dify:order { events = { { event = "message", task_id = "../../x", answer = "a" },
        { event = "message", task_id = "../../x", answer = "b" } } }
      local order = app "chat"
      order.take = 1
      caller:call(order)
      assert.equal(3, #dify:seen())
      assert.equal(0, #stops())
    end)

    it("leaves nothing behind after hundreds of runs that were left", function()
      local n, order = 300, app("chat", { query = long })
      order.take = 1
      dify:order { piece_ms = 1 }
      for _ = 1, n do caller:call(order) end
      process.eventually(function() return #stops() == n end, 5, n .. " stops")
      process.eventually(function() return dify:connections() < 5 end, 5, "few connections")
    end)

    it("waits two seconds at most for a stop, and not at all when the host ends", function()
      local other = fake_dify.caller { backends = { clouds = dify:service_backend() } }
      local order = app("chat", { query = long })
      order.take = 1
      dify:order { piece_ms = 20, never_stops = true }
      other:call(order)
      local record = dify:wait_seen(function(item)
        return item.path:find "/stop$" and item.closed
      end, 4)
      local ms = record.closed_ms - record.at_ms
      assert.is_true(ms > 1900 and ms < 2600, ms)

      other:call(order)
      process.eventually(function() return #stops() == 2 end, 2, "a second stop")
      local stopped_at = process.now()
      other:stop()
      assert.is_true(process.now() - stopped_at < 1)
    end)
  end)
end)
