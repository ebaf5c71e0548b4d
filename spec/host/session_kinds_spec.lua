-- The session's calls beside chat, on the real binary: a model server, the built-in models, and
-- apps of the built-in backend, workflows above all.
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local ALL = "{ app: { enabled: true }, tool: { enabled: true }, node: { enabled: true }, "
  .. "model: { enabled: true, llm: true, text_embedding: true, rerank: true, tts: true, "
  .. "speech2text: true, moderation: true } }"

local function manifest(name, permission)
  return ([[
version: 0.0.1
type: plugin
author: spec
name: %s
resource: { permission: %s }
plugins:
  endpoints:
    - endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /events, method: POST, extra: { lua: { source: events.lua } } }
        - { path: /sound, method: POST, extra: { lua: { source: sound.lua } } }
]]):format(name, permission)
end

-- One plugin that makes any call: { path = "model.rerank", method = "invoke", call = { ... } }.
local CALL = [[
local moonhook = require "moonhook"
local function owner(session, path)
  for name in path:gmatch "[%w_]+" do session = session[name] end
  return session
end
return function(self, request)
  local body = request:get_json "object"
  if body.file_base64 then body.call.file = moonhook.base64_decode(body.file_base64) end
  local ok, result = pcall(function()
    local target = owner(self.session, body.path)
    local value = target[body.method or "invoke"](target, body.call)
    return body.collect and value:collect() or value
  end)
  if ok then return moonhook.Response.json { result = result } end
  if not moonhook.Error.is(result) then error(result, 0) end
  return moonhook.Response.json { code = result.code, message = result.message,
    upstream_status = result.upstream_status, upstream_message = result.upstream_message }
end]]

local EVENTS = [[
local moonhook = require "moonhook"
return function(self, request)
  local body = request:get_json "object"
  return moonhook.Response.sse(function()
    body.call.response_mode = "streaming"
    for event in self.session.app[body.app_type]:invoke(body.call) do
      coroutine.yield { data = event }
    end
  end)
end]]

local SOUND = [[
local moonhook = require "moonhook"
return function(self, request)
  local call = request:get_json "object"
  return moonhook.Response(function()
    for bytes in self.session.model.tts:invoke(call) do coroutine.yield(bytes) end
  end, { content_type = "audio/mpeg" })
end]]

local FLOW = [[
local moonhook = require "moonhook"
return { run = function(session, inputs)
  local text = session:step("write", function()
    moonhook.sleep(inputs.pause_ms or 1)
    return { text = "about " .. inputs.topic }
  end)
  if inputs.topic == "fire" then error "it burns" end
  local short = session:step("ask", function()
    return session.app.chat:invoke { app_id = "candy", query = "count to 2",
      response_mode = "blocking" }.answer
  end)
  return { text = text.text, short = short, version = 1 }
end }
]]

local BOTH = [[
return function(session)
  local function count(to)
    return session:step("count to " .. to, function()
      return session.app.completion:invoke { app_id = "count", inputs = { n = to } }.answer
    end)
  end
  local one, two = session:spawn(count, 1), session:spawn(count, 2)
  return { one = one:wait(), two = two:wait() }
end
]]

describe("the session's calls", function()
  local server, model

  setup(function()
    model = process.start { "node", "spec/support/media_server.mjs" }
    model.port = cjson.decode(model:wait_for("stdout", "^(%b{})\n", 10)).port
    server = host.start {
      files = {
        ["plugins/kinds/manifest.yaml"] = manifest("kinds", ALL),
        ["plugins/kinds/call.lua"] = CALL,
        ["plugins/kinds/events.lua"] = EVENTS,
        ["plugins/kinds/sound.lua"] = SOUND,
        ["plugins/poor/manifest.yaml"] = manifest("poor", "{}"),
        ["plugins/poor/call.lua"] = CALL,
        ["plugins/poor/events.lua"] = EVENTS,
        ["plugins/poor/sound.lua"] = SOUND,
        ["apps/flow.lua"] = FLOW,
        ["apps/both.lua"] = BOTH,
        ["gpt.key"] = "sk-secret",
      },
      verb = "dev",
      config = {
        plugins = { "plugins" },
        endpoints = {
          { plugin = "kinds", hook_id = "kinds" }, { plugin = "poor", hook_id = "poor" },
        },
        backends = { gpt = { type = "openai", api_key_file = "gpt.key",
          url = ("http://127.0.0.1:%d/v1"):format(model.port), models = { llm = { "chat" } } } },
        apps = {
          candy = { mode = "chat" },
          count = { mode = "completion", prompt = "count to {{n}}" },
          flow = { mode = "workflow", source = "apps/flow.lua" },
          both = { mode = "workflow", source = "apps/both.lua" },
        },
      },
    }
  end)

  teardown(function()
    server:stop()
    model:kill "TERM"
    model:wait(5)
  end)

  local function ask(path, call, fields, hook_id)
    local body = { path = path, call = call }
    for name, value in pairs(fields or {}) do body[name] = value end
    local target = "/e/" .. (hook_id or "kinds") .. "/call"
    local reply =
      server:request { target = target, json = cjson.encode(body), seconds = 10 }
    assert.equal(200, reply.status, reply.body)
    return cjson.decode(reply.body)
  end

  local function seen()
    return cjson.decode(http.request { port = model.port, target = "/_seen" }.body)
  end

  local function config(name, fields)
    local made = { provider = "gpt", model = name or "m" }
    for field, value in pairs(fields or {}) do made[field] = value end
    return made
  end

  describe("to a model server", function()
    before_each(seen)

    it("give a value that keeps to a schema", function()
      local call = { model_config = config(), structured_output_schema = { type = "object" },
        prompt_messages = { { role = "user", content = "who?" } }, stream = false }
      local result = ask("model.llm_structured_output", call).result
      assert.same({ name = "Ada", asked = true }, result.structured_output)
    end)

    it("rank documents", function()
      local result = ask("model.rerank", { query = "q", docs = { "a", "abc", "ab" },
        model_config = config("r", { top_n = 2 }) }).result
      assert.same({ { index = 1, text = "abc", score = 0.03 }, { index = 2, text = "ab",
        score = 0.02 } }, result.docs)
    end)

    it("moderate", function()
      local call = { model_config = config(), text = "a bad word" }
      assert.is_true(ask("model.moderation", call).result)
      call.text = "a word"
      assert.is_false(ask("model.moderation", call).result)
    end)

    it("hear what is said in a recording, and carry the key", function()
      local answer = ask("model.speech2text", {
        model_config = config("ear", { completion_params = { language = "en" } }),
      }, { file_base64 = "UklGRgABAgNXQVZFDQotLQ==" })
      assert.equal("heard recording.wav in en", answer.result)
      local record = seen()[1]
      assert.equal("Bearer sk-secret", record.authorization)
      assert.same({ name = "recording.wav", type = "audio/wav", text = "UklGRgABAgNXQVZFDQotLQ==" },
        record.form.file)
      assert.same({ "ear", "json" }, { record.form.model, record.form.response_format })
    end)

    it("shorten a text by the first chat model that is declared", function()
      local call = { text = ("word "):rep(300) }
      assert.equal("a picture", ask("model.summary", call).result)
      assert.equal("chat", seen()[1].body.model)
      assert.equal("short", ask("model.summary", { text = "short" }).result)
      assert.same({}, seen())
    end)

    it("bring images", function()
      local result = ask("model.llm", { model_config = config "painter", stream = false,
        prompt_messages = { { role = "user", content = "paint" } } }).result
      assert.same({ { type = "text", data = "a picture" }, { type = "image", format = "png",
        mime_type = "image/png", base64_data = "iVBORw0KGgo=" } }, result.message.content)
    end)

    it("embed documents that are texts", function()
      local documents = { { content = "abc", content_type = "text" } }
      local call = { model_config = config(), documents = documents }
      local path, fields = "model.text_embedding", { method = "invoke_multimodal" }
      assert.same({ { 3 } }, ask(path, call, fields).result.embeddings)
      documents[1].content_type = "image"
      assert.equal("unsupported", ask(path, call, fields).code)
    end)

    local function sound(name, params)
      return { target = "/e/kinds/sound", seconds = 10, json = cjson.encode {
        content_text = "hello",
        model_config = config(name, { voice = "v", completion_params = params }),
      } }
    end

    it("speak, byte for byte, each piece when it comes", function()
      local reply = server:open(sound("voice", { pause_ms = 300 }))
      assert.equal("audio/mpeg", reply.headers["content-type"])
      assert.equal("\0\255\r\nhe", reply:next_piece())
      assert.equal("llo", reply:next_piece())
      assert.is_nil(reply:next_piece())
    end)

    it("break off when the sound does", function()
      local reply = server:open(sound "cut")
      assert.is_false(pcall(reply.read_body, reply))
      assert.equal("upstream_truncated", ask("model.tts",
        { content_text = "hello", model_config = config "cut" }, { collect = true }).code)
      local refused = ask("model.tts", { content_text = "x", model_config = config "refuse" })
      assert.same({ "upstream_error", 400, "no such voice" },
        { refused.code, refused.upstream_status, refused.upstream_message })
    end)

    it("stop the sound when the client leaves", function()
      local reply = server:open(sound("voice", { pause_ms = 60000 }))
      reply:next_piece()
      reply:close()
      process.eventually(function()
        local body = http.request { port = model.port, target = "/_open" }.body
        return cjson.decode(body).open == 0
      end, 2, "the upstream to be closed")
    end)
  end)

  describe("to the built-in models", function()
    it("rank, moderate, shorten and fill in", function()
      local ranked = ask("model.rerank", {
        query = "purring cats",
        docs = { "the moon", "cats purr" },
        model_config = { provider = "local", model = "demo-rerank" },
      }).result
      assert.equal("cats purr", ranked.docs[1].text)
      assert.is_true(ask("model.moderation", { text = "I will kill you",
        model_config = { provider = "local", model = "demo-moderation" } }).result)
      local value = ask("model.llm_structured_output", { stream = false,
        model_config = { provider = "local", model = "demo" },
        structured_output_schema = { type = "object", required = { "n" },
          properties = { n = { type = "integer" } } },
        prompt_messages = { { role = "user", content = "a number" } } }).result
      assert.equal("number", type(value.structured_output.n))
    end)

    it("do not speak or listen, and have no tools or nodes", function()
      local own = { provider = "local", model = "x" }
      local unsupported = {
        ["model.tts"] = { model_config = own, content_text = "x" },
        ["model.speech2text"] = { model_config = own, file = "x" },
        ["tool"] = { provider_type = "api", provider = "p", tool_name = "t" },
        ["workflow_node.question_classifier"] = { query = "q", classes = { { id = "1",
          name = "a" } }, model = { provider = "local", name = "demo" } },
      }
      for path, call in pairs(unsupported) do
        local answer = ask(path, call)
        assert.equal("unsupported", answer.code, path)
        assert.truthy(answer.message:find("local", 1, true), answer.message)
      end
    end)
  end)

  it("need their permissions", function()
    local own = { provider = "local", model = "demo" }
    for path, case in pairs {
      ["model.rerank"] = { "rerank", { docs = { "a" }, query = "q",
        model_config = { provider = "local", model = "demo-rerank" } } },
      ["model.moderation"] = { "moderation", { text = "x",
        model_config = { provider = "local", model = "demo-moderation" } } },
      ["model.llm_structured_output"] = { "llm", { model_config = own,
        structured_output_schema = { type = "object" },
        prompt_messages = { { role = "user", content = "x" } } } },
      ["model.summary"] = { "llm", { text = "x", min_summarize_length = 0 } },
      ["app.completion"] = { "app", { app_id = "count" } },
      ["app.workflow"] = { "app", { app_id = "flow" } },
      ["model.tts"] = { "tts", { model_config = config(), content_text = "x" } },
    } do
      local answer = ask(path, case[2], nil, "poor")
      assert.same({ "permission_denied", "permission denied, you need to enable " .. case[1]
        .. " access in plugin manifest" }, { answer.code, answer.message }, path)
    end
    local answer = ask("app", { app_id = "count" }, { method = "fetch" }, "poor")
    assert.equal("permission_denied", answer.code)
  end)

  describe("to apps", function()
    local function events(app_type, call)
      local reply = server:request { target = "/e/kinds/events", seconds = 10,
        json = cjson.encode { app_type = app_type, call = call } }
      local list = {}
      for data in reply.body:gmatch "data: ([^\n]*)\n\n" do list[#list + 1] = cjson.decode(data) end
      return list, reply
    end

    it("complete a text", function()
      local answer = ask("app.completion", { app_id = "count", inputs = { n = 3 } }).result
      assert.same({ "completion", "1, 2, 3." }, { answer.mode, answer.answer })
      local list = events("completion", { app_id = "count", inputs = { n = 1 } })
      assert.equal("message_end", list[#list].event)
      assert.is_nil(list[1].conversation_id)
    end)

    it("tell how an app is set up", function()
      local parameters = ask("app", { app_id = "count" }, { method = "fetch" }).result
      assert.equal("n", parameters.user_input_form[1]["text-input"].variable)
    end)

    it("run a workflow and tell of its steps", function()
      local run = ask("app.workflow", { app_id = "flow", inputs = { topic = "cats" } }).result
      assert.same({ "succeeded", { text = "about cats", short = "1, 2.", version = 1 } },
        { run.data.status, run.data.outputs })
      local list = events("workflow", { app_id = "flow", inputs = { topic = "cats" } })
      local names = {}
      for i, event in ipairs(list) do names[i] = event.event end
      assert.same({ "workflow_started", "node_started", "node_finished", "node_started",
        "node_finished", "workflow_finished" }, names)
      assert.same({ text = "about cats" }, list[3].data.outputs)
    end)

    it("may make calls side by side", function()
      local run = ask("app.workflow", { app_id = "both", inputs = {} }).result
      assert.equal("succeeded", run.data.status)
      assert.same({ one = "1.", two = "1, 2." }, run.data.outputs)
      local names = {}
      for i, event in ipairs(events("workflow", { app_id = "both", inputs = {} })) do
        names[i] = event.event
      end
      table.sort(names)
      assert.same({ "node_finished", "node_finished", "node_started", "node_started",
        "workflow_finished", "workflow_started" }, names)
    end)

    it("send each event when it happens", function()
      local reply = server:open { target = "/e/kinds/events", seconds = 10, json = cjson.encode {
        app_type = "workflow",
        call = { app_id = "flow", inputs = { topic = "x", pause_ms = 600 } },
      } }
      local text = reply:next_piece()
      while not text:find "node_started" do text = text .. reply:next_piece() end
      assert.is_nil(text:find "node_finished")
      reply:close()
    end)

    it("give a run that failed, and log it with its line", function()
      local from = #server:log()
      local run = ask("app.workflow", { app_id = "flow", inputs = { topic = "fire" } }).result
      assert.same({ "failed", "it burns" }, { run.data.status, run.data.error })
      process.eventually(function()
        return server:log(from):find("flow.lua:7: it burns", 1, true)
      end, 3, "the line in the log")
      local list = events("workflow", { app_id = "flow", inputs = { topic = "fire" } })
      assert.equal("workflow_finished", list[#list].event)
      assert.equal("failed", list[#list].data.status)
    end)

    it("take a changed file, and keep the last good one", function()
      local function version()
        return ask("app.workflow", { app_id = "flow", inputs = { topic = "x" } })
          .result.data.outputs.version
      end
      server:write("apps/flow.lua", (FLOW:gsub("version = 1", "version = 2")))
      process.eventually(function() return version() == 2 end, 5, "the new version")
      local from = #server:log()
      server:write("apps/flow.lua", "return {\n  run = function(\n}")
      process.eventually(function()
        version()
        return server:log(from):find("flow.lua:3:", 1, true)
      end, 5, "the mistake in the log")
      assert.equal(2, version())
      server:write("apps/flow.lua", (FLOW:gsub("version = 1", "version = 3")))
      process.eventually(function() return version() == 3 end, 5, "the mended version")
    end)
  end)
end)
