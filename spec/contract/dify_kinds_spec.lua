-- The backend `dify`: the kinds of call beside apps and chat models, permissions, keys and retries.
local cjson = require "cjson"
local fake_dify = require "spec.contract.fake_dify"

local MODEL = { provider = "langgenius/x/x", model = "m-1" }
local NODE_MODEL = { provider = "langgenius/x/x", name = "m-1", mode = "chat" }

local function with_model(more)
  local config = {}
  for name, value in pairs(MODEL) do config[name] = value end
  for name, value in pairs(more) do config[name] = value end
  return config
end

local CHAT = { app_id = "app-chat", query = "q" }
local ASK = { model_config = MODEL, prompt_messages = { { role = "user", content = "hi" } } }
local SCHEMA = { model_config = MODEL, prompt_messages = ASK.prompt_messages,
  structured_output_schema = { type = "object" } }
local TOOL = { provider_type = "builtin", provider = "p/q", tool_name = "add",
  parameters = { a = 1 }, credential_id = "cred" }
local EXTRACT = { parameters = { { name = "city", type = "string", required = true } },
  model = NODE_MODEL, query = "Oslo" }
local CLASSIFY = { classes = { { id = "1", name = "good" }, { id = "2", name = "bad" } },
  model = NODE_MODEL, query = "?", instruction = "be quick" }

-- Every kind that a permission guards: its path, its argument, the word in the refusal.
local GUARDED = {
  { "app.chat", CHAT, "app" },
  { "app.completion", { app_id = "app-completion" }, "app" },
  { "app.workflow", { app_id = "app-workflow" }, "app" },
  { "app", { app_id = "a" }, "app", "fetch" },
  { "model.llm", ASK, "llm" },
  { "model.llm_structured_output", SCHEMA, "llm" },
  { "model.summary", { text = ("x"):rep(1024), instruction = "short" }, "llm" },
  { "model.text_embedding", { model_config = MODEL, texts = { "a" } }, "text-embedding" },
  { "model.rerank", { model_config = MODEL, docs = { "a" }, query = "q" }, "rerank" },
  { "model.tts", { model_config = MODEL, content_text = "a" }, "tts" },
  { "model.speech2text", { model_config = MODEL, file = "bytes" }, "speech2text" },
  { "model.moderation", { model_config = MODEL, text = "a" }, "moderation" },
  { "tool", TOOL, "tool" },
  { "workflow_node.parameter_extractor", EXTRACT, "node" },
  { "workflow_node.question_classifier", CLASSIFY, "node" },
}

describe("the backend dify", function()
  local dify, caller

  setup(function()
    dify = fake_dify.start()
    caller = fake_dify.caller { backends = { dify = dify:backend() } }
  end)

  teardown(function()
    caller:stop()
    dify:stop()
  end)

  before_each(function()
    dify:order {}
    dify:forget()
  end)

  local function call(path, argument, more)
    local order = { path = path, argument = argument }
    for name, value in pairs(more or {}) do order[name] = value end
    local told, text = caller:call(order)
    assert.is_nil(told.error and (told.error.detail or told.error.text or told.error.message))
    return told, text
  end

  local function sent(path)
    local seen = dify:seen()
    assert.equal("/inner/api/" .. path, seen[1].path)
    assert.is_nil(seen[1].problem)
    return seen[1].body
  end

  it("turns texts and images into vectors", function()
    local config = { model_config = MODEL, texts = { "a", "b" }, input_type = "document" }
    local result = call("model.text_embedding", config).value
    assert.same({ { 0, 0.5, -1.25 }, { 1, 0.5, -1.25 } }, result.embeddings)
    assert.equal("0.0000004", result.usage.total_price)
    assert.equal("document", sent("invoke/text-embedding").input_type)
    dify:forget()
    local documents = { { content = "aGk=", content_type = "image" } }
    result = call("model.text_embedding", { model_config = MODEL, documents = documents },
      { method = "invoke_multimodal" }).value
    assert.equal(1, #result.embeddings)
    assert.same(documents, sent("invoke/multimodal-embedding").documents)
  end)

  it("ranks texts, and texts with images", function()
    local result = call("model.rerank", { query = "q", docs = { "a", "b", "c" },
      model_config = with_model { top_n = 2, score_threshold = 0.5 } }).value
    assert.same({ { index = 0, text = "a", score = 1 }, { index = 1, text = "b", score = 0.9 } },
      result.docs)
    local body = sent "invoke/rerank"
    assert.same({ 2, 0.5, "q" }, { body.top_n, body.score_threshold, body.query })
    dify:forget()
    local function part(text) return { content = text, content_type = "text" } end
    result = call("model.rerank", { model_config = MODEL, query = part "q", docs = { part "a" } },
      { method = "invoke_multimodal" }).value
    assert.equal("a", result.docs[1].text)
    assert.same(part "q", sent("invoke/multimodal-rerank").query)
  end)

  it("speaks: bytes from hexadecimal digits, as they come, split anywhere", function()
    local argument = { model_config = with_model { voice = "v" }, content_text = "hé" }
    for _, order in ipairs { {}, { split = 1 } } do
      dify:order(order)
      assert.same({ { hex = "ff00" }, { hex = "68c3a9" } }, call("model.tts", argument).items)
    end
    assert.equal("v", sent("invoke/tts").voice)
    dify:order { frames = { '{"data":{"result":"f"},"error":""}' } }
    local raised = caller:call({ path = "model.tts", argument = argument }).error
    assert.same({ "upstream_error", 1 }, { raised.code, raised.position })
  end)

  it("writes down a recording, sent in hexadecimal digits", function()
    local text = call("model.speech2text", { model_config = MODEL }, { bytes_of = "file" }).value
    assert.equal("heard 4 bytes", text)
    assert.equal("ff00017a", sent("invoke/speech2text").file)
  end)

  it("moderates", function()
    assert.is_true(call("model.moderation", { model_config = MODEL, text = "bad" }).value)
    assert.is_false(call("model.moderation", { model_config = MODEL, text = "good" }).value)
  end)

  it("summarizes long texts only, with one call", function()
    local short = ("x"):rep(100)
    local argument = { text = short, instruction = "i" }
    assert.equal(short, call("model.summary", argument).value)
    assert.equal(0, #dify:seen())
    argument.text = ("x"):rep(1024)
    assert.equal("1024 characters", call("model.summary", argument).value)
    assert.equal("i", sent("invoke/summary").instruction)
    assert.equal(1, #dify:seen())
  end)

  it("runs tools of all kinds", function()
    local told = call("tool", TOOL)
    assert.same({ "text", "add of p/q", "json", { a = 1 } }, { told.items[1].type,
      told.items[1].message.text, told.items[2].type, told.items[2].message.json_object })
    local body = sent "invoke/tool"
    assert.same({ "builtin", "p/q", "add", { a = 1 }, "cred" },
      { body.tool_type, body.provider, body.tool, body.tool_parameters, body.credential_id })
    for _, name in ipairs { "builtin", "workflow", "api" } do
      dify:forget()
      call("tool", { provider = "p", tool_name = "t" }, { method = "invoke_" .. name .. "_tool" })
      assert.equal(name, sent("invoke/tool").tool_type)
    end
  end)

  it("lets a tool say nothing, but not by hanging up", function()
    dify:order { end_after_bytes = 0 }
    assert.same({ {} }, { call("tool", TOOL).items })
    dify:order { end_after_bytes = 0, framing = "close" }
    assert.equal("upstream_error", caller:call({ path = "tool", argument = TOOL }).error.code)
  end)

  it("runs the two nodes", function()
    local result = call("workflow_node.parameter_extractor", EXTRACT).value
    assert.same({ city = "Oslo" }, result.outputs)
    local body = sent "invoke/parameter-extractor"
    assert.same({ name = "city", type = "string", required = true, description = "",
      options = cjson.null }, body.parameters[1])
    assert.same({ provider = "langgenius/x/x", name = "m-1", mode = "chat",
      completion_params = {} }, body.model)
    dify:forget()
    result = call("workflow_node.question_classifier", CLASSIFY).value
    assert.same({ class_id = "1", class_name = "good" }, result.outputs)
    assert.same({ CLASSIFY.classes, "be quick" }, { sent("invoke/question-classifier").classes,
      dify:seen()[1].body.instruction })
  end)

  it("uploads files to the address that Dify signed", function()
    for mimetype, kind in pairs { ["image/png"] = "image", ["application/pdf"] = "document" } do
      dify:forget()
      local told = call("file", { filename = 'ä"\\b.png', mimetype = mimetype },
        { method = "upload", bytes_of = "content", parameter = true })
      assert.same({ "file-id", 'ä"\\b.png', 4, mimetype },
        { told.value.id, told.value.name, told.value.size, told.value.mime_type })
      assert.same({ tool_file_id = "file-id", transfer_method = "tool_file", type = kind },
        told.parameter)
    end
  end)

  it("uploads plainly named files with a good signature, and without the key", function()
    call("file", { filename = "b.png", mimetype = "image/png" },
      { method = "upload", bytes_of = "content" })
    local seen = dify:seen()
    assert.same({ "/inner/api/upload/file/request", 2 }, { seen[1].path, #seen })
    assert.truthy(seen[2].path:find "^/files/upload/for%-plugin%?")
    assert.is_nil(seen[2].problem)
    assert.is_nil(seen[2].headers["x-inner-api-key"])
    assert.is_nil(seen[2].headers.authorization)
  end)

  it("goes nowhere else with a file, whatever Dify signs", function()
    dify:order { status = 200, body = '{"data":{"url":"http://127.0.0.1:1/x?y"},"error":""}' }
    local raised = caller:call({ path = "file", method = "upload", bytes_of = "content",
      argument = { filename = "b.png", mimetype = "image/png" } }).error
    assert.equal("invalid_param", raised.code)
  end)

  describe("without permissions", function()
    local stranger

    setup(function()
      stranger = fake_dify.caller {
        backends = { dify = dify:backend() },
        permission = { model = { enabled = true, llm = false, tts = false } },
      }
    end)

    teardown(function() stranger:stop() end)

    for _, case in ipairs(GUARDED) do
      it("refuses " .. case[1] .. ":" .. (case[4] or "invoke"), function()
        local raised =
          stranger:call({ path = case[1], method = case[4], argument = case[2] }).error
        assert.same({ "permission_denied", "permission denied, you need to enable " .. case[3]
          .. " access in plugin manifest" }, { raised.code, raised.message })
        assert.equal(0, #dify:seen())
        assert.is_nil(caller:call({ path = case[1], method = case[4], argument = case[2] }).error)
      end)
    end

    it("takes files all the same", function()
      local told = stranger:call { path = "file", method = "upload", bytes_of = "content",
        argument = { filename = "b.png", mimetype = "image/png" } }
      assert.equal("file-id", told.value.id)
    end)
  end)

  describe("that fails for a moment", function()
    local function requests(order, path, argument)
      dify:forget()
      dify:order(order)
      local told = caller:call { path = path, argument = argument }
      return #dify:seen(), told
    end

    it("is asked again by models", function()
      for _, status in ipairs { 500, 503, 429 } do
        assert.equal(2, (requests({ status = status, times = 1 }, "model.llm", ASK)), status)
      end
    end)

    it("is asked again for apps and tools only when it says that nothing happened", function()
      for _, case in ipairs { { "app.chat", CHAT }, { "tool", TOOL } } do
        local function asked(order) return (requests(order, case[1], case[2])) end
        local after = { ["Retry-After"] = "0" }
        assert.equal(1, asked { status = 500, times = 1 })
        assert.equal(1, asked { status = 503, times = 1 })
        assert.equal(2, asked { status = 503, times = 1, headers = after })
        assert.equal(2, asked { status = 429, times = 1, headers = after })
        assert.equal(1, asked { cut = "fin", after = 0 })
      end
    end)
  end)

  it("says only that Dify refused when the key is wrong", function()
    local wrong = fake_dify.caller { backends = { dify = { type = "dify", url = dify.url,
      inner_api_key_file = "chat.key", tenant_id = "t-1" } } }
    local told, text = wrong:call { path = "model.llm", argument = ASK }
    wrong:stop()
    assert.same({ "upstream_error", 404 }, { told.error.code, told.error.upstream_status })
    assert.falsy(text:find("app-key", 1, true))
  end)
end)
