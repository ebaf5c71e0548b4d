-- Apps other than chat apps, tools, nodes and files: which backend they go to, what they take, and
-- what the built-in backend answers. What is sent to Dify is specified beside its transports.
local reverse = require "spec.support.reverse"
local json = require "host.json"
local session = require "moonhook.session"
local transport = require "moonhook.session.transport"

local function mistake(body)
  local raised = reverse.failure(body)
  assert.equal("string", type(raised))
  local place, text = raised:match "^(%S+session_calls_spec%.lua:%d+): (.*)$"
  assert.truthy(place, raised)
  return text
end

-- Runs a call and gives what the transport was asked for.
local function asked(body)
  local kept, seen = transport.call, nil
  transport.call = function(...)
    seen = { ... }
    return { id = "file-id", mime_type = "image/png" }
  end
  local ok, raised = pcall(reverse.run, body)
  transport.call = kept
  if not ok then error(raised, 0) end
  return unpack(seen, 1, 4)
end

local function event(fields) return json.encode(fields) end

local MODEL = { provider = "x/y/z", name = "m" }

describe("session.app.completion:invoke", function()
  before_each(function()
    reverse.reset { apps = {
      ask = { mode = "completion" },
      count = { mode = "completion", prompt = "count to {{ n }}" },
      candy = { mode = "chat" },
    } }
  end)

  local function complete(app_id, inputs, mode)
    return reverse.run(function()
      return session.app.completion:invoke {
        app_id = app_id, inputs = inputs, response_mode = mode,
      }
    end)
  end

  it("gives one answer unless told to stream", function()
    local answer = complete("count", { n = 3 })
    assert.same({ "message", "completion", "1, 2, 3." },
      { answer.event, answer.mode, answer.answer })
    assert.is_nil(answer.conversation_id)
    assert.is_true(answer.metadata.usage.total_tokens > 0)
  end)

  it("streams events, and collects them", function()
    local collected = reverse.run(function()
      return session.app.completion:invoke({
        app_id = "count", inputs = { n = 2 }, response_mode = "streaming",
      }):collect()
    end)
    assert.same({ "completion", "1, 2." }, { collected.mode, collected.answer })
  end)

  it("asks what the input `query` says", function()
    assert.equal("1, 2.", complete("ask", { query = "count to 2" }).answer)
    local raised = reverse.failure(function()
      session.app.completion:invoke { app_id = "ask", inputs = {} }
    end)
    assert.same({ "invalid_param", "missing inputs.query" }, { raised.code, raised.message })
  end)

  it("raises for an app of another mode", function()
    local raised = reverse.failure(function() complete("candy", { query = "x" }) end)
    assert.equal("unsupported", raised.code)
    assert.truthy(raised.message:find("session.app.chat", 1, true))
  end)

  it("knows no query of its own", function()
    assert.truthy(mistake(function()
      session.app.completion:invoke { app_id = "ask", query = "x" }
    end):find("unknown argument 'query'", 1, true))
  end)
end)

describe("a chat app's files", function()
  before_each(function()
    reverse.reset {
      backends = { gpt = { type = "openai" } },
      apps = { eyes = { mode = "chat", model = { provider = "gpt", model = "m" } } },
    }
  end)

  it("reach the model as parts", function()
    reverse.script { pieces = { event { choices = { { delta = { content = "a cat" },
      finish_reason = "stop" } } }, "[DONE]" } }
    local answer = reverse.run(function()
      return session.app.chat:invoke { app_id = "eyes", query = "what?", response_mode = "blocking",
        files = { { type = "image", transfer_method = "remote_url", url = "http://x/cat.png" } } }
    end)
    assert.equal("a cat", answer.answer)
    local messages = reverse.calls[2].body.messages
    assert.same({ { type = "text", text = "what?" },
      { type = "image_url", image_url = { url = "http://x/cat.png" } } }, messages[1].content)
  end)

  it("must be at an address", function()
    local raised = reverse.failure(function()
      session.app.chat:invoke { app_id = "eyes", query = "what?",
        files = { { type = "image", transfer_method = "local_file", upload_file_id = "f" } } }
    end)
    assert.equal("unsupported", raised.code)
    assert.truthy(raised.message:find("files[1]", 1, true))
    assert.truthy(mistake(function()
      session.app.chat:invoke { app_id = "eyes", query = "q", files = { "http://x" } }
    end):find('files[1]: expected a table { type, ... }, got "http://x"', 1, true))
  end)
end)

describe("session.app:fetch", function()
  it("tells what a form would ask for", function()
    reverse.reset { apps = {
      greet = { mode = "completion", prompt = "Greet {{name}} and {{ friend }}, {{name}}!" },
      flow = { mode = "workflow" },
    } }
    local parameters = reverse.run(function() return session.app:fetch { app_id = "greet" } end)
    local names = {}
    for i, field in ipairs(parameters.user_input_form) do
      names[i] = field["text-input"].variable
    end
    assert.same({ "name", "friend" }, names)
    for _, name in ipairs { "opening_statement", "suggested_questions", "speech_to_text",
      "suggested_questions_after_answer", "text_to_speech", "retriever_resource",
      "annotation_reply", "more_like_this", "sensitive_word_avoidance", "file_upload",
      "system_parameters" } do
      assert.is_not_nil(parameters[name], name)
    end
    parameters = reverse.run(function() return session.app:fetch { app_id = "flow" } end)
    assert.same({}, parameters.user_input_form)
  end)

  it("raises for an app that nobody knows, and for wrong arguments", function()
    reverse.reset {}
    assert.equal("not_found",
      reverse.failure(function() session.app:fetch { app_id = "x" } end).code)
    assert.equal("session.app:fetch: app_id: expected a string, got nil "
      .. "(is the app-selector setting set?)",
      mistake(function() session.app:fetch {} end))
    assert.equal("session.app:fetch: called with '.', expected ':' before the last name",
      mistake(function() session.app.fetch { app_id = "x" } end))
  end)
end)

describe("session.app.workflow:invoke on Dify's shapes", function()
  before_each(function() reverse.reset { backends = { dify = { type = "dify" } } } end)

  it("sends no stream unless asked, and goes to the app's backend", function()
    local backend, backend_type, kind, call = asked(function()
      session.app.workflow:invoke { app_id = "w", inputs = { a = 1 }, user = "u" }
    end)
    assert.same({ "dify", "dify", "app_workflow" }, { backend, backend_type, kind })
    assert.same({ app_id = "w", inputs = { a = 1 }, user = "u" }, call)
  end)
end)

describe("the events of an app", function()
  local app_events = require "moonhook.session.app_events"
  local exchange = require "moonhook.session.exchange"

  local function stream_of(app_type, pieces, body)
    reverse.reset { backends = { x = { type = "openai" } } }
    reverse.script { pieces = pieces }
    return reverse.run(function()
      local events = app_events.stream(exchange.open("x", "app", "{}"), app_type)
      return body(events)
    end)
  end

  local function collect(events) return events:collect() end

  it("end with workflow_finished, or with workflow_paused", function()
    for _, name in ipairs { "workflow_finished", "workflow_paused" } do
      local run = stream_of("workflow", {
        event { event = "workflow_started", workflow_run_id = "r", task_id = "t", data = {} },
        event { event = "node_started", data = { id = "n" } },
        event { event = name, workflow_run_id = "r", data = { status = "succeeded" } },
      }, collect)
      assert.same({ workflow_run_id = "r", task_id = "t", data = { status = "succeeded" } }, run)
    end
    local raised = reverse.failure(function()
      stream_of("workflow", { event { event = "workflow_started", data = {} } }, collect)
    end)
    assert.equal("upstream_truncated", raised.code)
    raised = reverse.failure(function()
      stream_of("workflow", { event { event = "message_end" } }, collect)
    end)
    assert.equal("upstream_truncated", raised.code)
  end)

  it("tell what kind of chat app answers", function()
    for name, mode in pairs {
      message = "chat", agent_message = "agent-chat", workflow_started = "advanced-chat",
    } do
      local answer = stream_of("chat", {
        event { event = name, answer = "a" }, event { event = "message_end", files = { 1 } },
      }, collect)
      assert.same({ mode, { 1 } }, { answer.mode, answer.files })
    end
  end)

  local function answer_of(app_type, piece)
    reverse.reset { backends = { x = { type = "openai" } } }
    reverse.script { pieces = { piece } }
    return reverse.run(function()
      return app_events.answer(exchange.open("x", "app", "{}"), app_type)
    end)
  end

  it("are one object of a run when blocking", function()
    local text = '{"workflow_run_id":"r","task_id":"t","data":{"status":"failed","error":"e"}}'
    local run = answer_of("workflow", text)
    assert.same({ "r", "failed", "e" }, { run.workflow_run_id, run.data.status, run.data.error })
    for _, piece in ipairs { "{", "{}", "7", '{"data":1}', '{"event":"error","code":"x"}' } do
      local raised = reverse.failure(function() answer_of("workflow", piece) end)
      assert.equal("upstream_error", raised.code)
    end
  end)
end)

describe("session.tool", function()
  before_each(function() reverse.reset { backends = { dify = { type = "dify" } } } end)

  it("gives four ways to call a tool", function()
    local call = { provider = "time", tool_name = "now", parameters = { zone = "UTC" } }
    for method, provider_type in pairs {
      invoke_builtin_tool = "builtin", invoke_workflow_tool = "workflow", invoke_api_tool = "api",
    } do
      local backend, _, kind, request =
        asked(function() session.tool[method](session.tool, call) end)
      assert.same({ "dify", "tool" }, { backend, kind })
      assert.same({ provider_type = provider_type, provider = "time", tool_name = "now",
        parameters = { zone = "UTC" } }, request)
    end
    local _, _, _, request = asked(function()
      session.tool:invoke { provider_type = "mcp", provider = "p", tool_name = "t",
        credential_id = "c" }
    end)
    assert.same({ provider_type = "mcp", provider = "p", tool_name = "t", parameters = {},
      credential_id = "c" }, request)
  end)

  it("needs Dify", function()
    reverse.reset { backends = { gpt = { type = "openai" } } }
    local raised = reverse.failure(function()
      session.tool:invoke_api_tool { provider = "p", tool_name = "t" }
    end)
    assert.equal("unsupported", raised.code)
    assert.equal("'tool' calls need a backend of type dify, and there is none among the backends "
      .. "(gpt, local)", raised.message)
  end)

  it("names its author's mistakes", function()
    assert.equal('session.tool:invoke: provider_type: expected one of "builtin", "workflow", '
      .. '"api", "mcp", got "x"', mistake(function()
      session.tool:invoke { provider_type = "x", provider = "p", tool_name = "t" }
    end))
    assert.equal("session.tool:invoke_builtin_tool: tool_name: expected a string, got nil",
      mistake(function() session.tool:invoke_builtin_tool { provider = "p" } end))
    assert.equal("session.tool:invoke_api_tool: called with '.', expected ':' before the last name",
      mistake(function() session.tool.invoke_api_tool { provider = "p", tool_name = "t" } end))
  end)
end)

describe("session.workflow_node", function()
  local PARAMETERS = { { name = "city", type = "string", description = "where", required = true } }
  local CLASSES = { { id = "1", name = "praise" }, { id = "2", name = "blame" } }
  local extractor = session.workflow_node.parameter_extractor
  local classifier = session.workflow_node.question_classifier

  before_each(function()
    reverse.reset { backends = { dify = { type = "dify" }, gpt = { type = "openai" } } }
  end)

  it("completes the request with Dify's defaults", function()
    local backend, _, kind, call = asked(function()
      extractor:invoke { parameters = PARAMETERS, model = MODEL, query = "to Rome" }
    end)
    assert.same({ "dify", "parameter_extractor" }, { backend, kind })
    assert.same({ parameters = PARAMETERS, query = "to Rome", instruction = "",
      model = { provider = "x/y/z", name = "m", mode = "chat", completion_params = {} } }, call)
    _, _, kind, call = asked(function()
      classifier:invoke { classes = CLASSES, model = MODEL, query = "nice", instruction = "i" }
    end)
    assert.same({ "question_classifier", "i", CLASSES }, { kind, call.instruction, call.classes })
    assert.is_nil(MODEL.mode)
  end)

  it("is not carried by other backends", function()
    for provider, message in pairs {
      gpt = "the backend 'gpt' of type openai does not carry 'question_classifier' calls",
      ["local"] = "the backend 'local' does not carry 'question_classifier' calls",
    } do
      local raised = reverse.failure(function()
        classifier:invoke { classes = CLASSES, query = "x",
          model = { provider = provider, name = "m" } }
      end)
      assert.same({ "unsupported", message }, { raised.code, raised.message })
    end
  end)

  it("names its author's mistakes", function()
    local title = "session.workflow_node.parameter_extractor:invoke: "
    for expected, call in pairs {
      ["model.name: expected a string, got nil (a node's model has its name as `name`)"] =
        { parameters = PARAMETERS, model = { provider = "p", model = "m" }, query = "q" },
      ["parameters: expected at least one parameter, got none"] =
        { parameters = {}, model = MODEL, query = "q" },
      ["parameters[1].type: expected one of \"string\", \"number\", \"bool\", \"select\", "
        .. "\"array[string]\", \"array[number]\", \"array[object]\", got \"int\""] =
        { parameters = { { name = "a", type = "int" } }, model = MODEL, query = "q" },
    } do
      assert.equal(title .. expected, mistake(function()
        session.workflow_node.parameter_extractor:invoke(call)
        return nil -- not a tail call: the line stays
      end))
    end
    assert.equal("session.workflow_node.question_classifier:invoke: classes[2].name: expected a "
      .. "string, got nil", mistake(function()
      classifier:invoke { classes = { CLASSES[1], { id = "2" } }, model = MODEL, query = "q" }
    end))
  end)
end)

describe("session.file:upload", function()
  local FILE = { filename = "a.png", content = "\137PNG\0", mimetype = "image/png" }

  it("gives a file that apps take", function()
    reverse.reset { backends = { dify = { type = "dify" } } }
    local parameter
    local backend, _, kind, call = asked(function()
      parameter = session.file:upload(FILE):to_app_parameter()
    end)
    assert.same({ "dify", "upload_file" }, { backend, kind })
    assert.same(FILE, call)
    assert.same({ tool_file_id = "file-id", transfer_method = "tool_file", type = "image" },
      parameter)
  end)

  it("calls a file by its media type", function()
    reverse.reset { backends = { dify = { type = "dify" } } }
    local kept = transport.call
    for mime_type, kind in pairs {
      ["image/png"] = "image", ["video/mp4"] = "video", ["audio/ogg"] = "audio",
      ["application/pdf"] = "document", ["text/plain"] = "document",
    } do
      transport.call = function() return { id = "i", mime_type = mime_type } end
      reverse.run(function()
        local file = session.file:upload { filename = "f", content = "", mimetype = mime_type }
        assert.same({ kind, kind }, { file.type, file:to_app_parameter().type })
        assert.equal("i", json.decode(json.encode(file)).id)
      end)
    end
    transport.call = function() return { id = "i" }, "local_file" end
    reverse.run(function()
      assert.same({ upload_file_id = "i", transfer_method = "local_file", type = "image" },
        session.file:upload(FILE):to_app_parameter())
    end)
    transport.call = kept
  end)

  it("goes to the app's backend, or to the only one that takes files", function()
    local one = { type = "dify-service", apps = { a = true } }
    reverse.reset { backends = { clouds = one } }
    local backend, _, _, call = asked(function() session.file:upload(FILE) end)
    assert.same({ "clouds", "a" }, { backend, call.app_id })

    one.apps.b = true
    reverse.reset { backends = { clouds = one } }
    local raised = reverse.failure(function() session.file:upload(FILE) end)
    assert.equal("unsupported", raised.code)
    backend, _, _, call = asked(function()
      session.file:upload { filename = "f", content = "x", mimetype = "a/b", app_id = "b" }
    end)
    assert.same({ "clouds", "b" }, { backend, call.app_id })

    reverse.reset {}
    assert.equal("unsupported", reverse.failure(function() session.file:upload(FILE) end).code)
  end)

  it("names its author's mistakes", function()
    reverse.reset { backends = { dify = { type = "dify" } } }
    assert.equal("session.file:upload: content: expected a string, got nil", mistake(function()
      session.file:upload { filename = "f", mimetype = "a/b" }
    end))
    assert.equal("session.file:upload: unknown argument 'mime_type', did you mean 'mimetype'?",
      mistake(function()
        session.file:upload { filename = "f", content = "", mime_type = "a/b" }
      end))
  end)
end)
