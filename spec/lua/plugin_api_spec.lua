-- docs/plugin-api.md: made of the annotations, which name what is there and all of it; its examples
-- run.
local library = require "spec.support.library"
local reverse = require "spec.support.reverse"
local fake_web = require "spec.support.fake_web"
local generate = require "spec.docs.generate"
local json = require "host.json"
local session = require "moonhook.session"
local Stream = require "moonhook.session.stream"
local transport = require "moonhook.session.transport"

local PAGE = "docs/plugin-api.md"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

describe("the page of the plugin API", function()
  it("is what the annotations say", function()
    assert.is_true(read(PAGE) == generate.page(),
      PAGE .. " is stale: change spec/docs/plugin-api.in.md or lua/moonhook/meta, then run "
        .. "`luajit spec/docs/generate.lua`")
  end)

  it("has every directive replaced", function()
    assert.is_nil(read(PAGE):find "\n{{%l+ [%w_:]+")
  end)
end)

describe("the annotations of the session", function()
  local docs = generate.read_meta()
  local reply = require "moonhook.session.http.reply"
  local Reply, HttpStream = reply.methods, reply.stream_methods

  -- Where the classes' tables are.
  local PLACES = {
    Apps = session.app, ChatApp = session.app.chat, CompletionApp = session.app.completion,
    WorkflowApp = session.app.workflow, Models = session.model, Llm = session.model.llm,
    StructuredOutput = session.model.llm_structured_output, Rerank = session.model.rerank,
    TextEmbedding = session.model.text_embedding, Tts = session.model.tts,
    Speech2Text = session.model.speech2text, Moderation = session.model.moderation,
    Summary = session.model.summary, Tools = session.tool, Files = session.file,
    ParameterExtractor = session.workflow_node.parameter_extractor,
    QuestionClassifier = session.workflow_node.question_classifier,
    Http = session.http,
    HttpResponse = { json = Reply.json, events = Reply.events, close = Reply.close },
    HttpStream = { collect = HttpStream.collect, close = HttpStream.close },
    Stream = { collect = Stream.collect, close = Stream.close },
  }

  it("name every function, and no other", function()
    for name, place in pairs(PLACES) do
      local annotated = {}
      for _, entry in ipairs(docs.classes[name].functions) do
        annotated[entry.name] = true
        assert.equal("function", type(place[entry.name]), name .. ":" .. entry.name)
      end
      for member, value in pairs(place) do
        if type(value) == "function" then
          assert.is_true(annotated[member] or false, name .. ":" .. member .. " has no annotation")
        end
      end
    end
    for _, entry in ipairs(docs.classes.Session.functions) do
      assert.equal("function", type(session[entry.name]), entry.name)
    end
  end)

  it("name every argument that a call takes", function()
    local calls = {
      ["app.chat:invoke"] = "ChatCall", ["app.completion:invoke"] = "CompletionCall",
      ["app.workflow:invoke"] = "WorkflowCall", ["app:fetch"] = "FetchCall",
      ["model.llm:invoke"] = "LlmCall", ["model.llm_structured_output:invoke"] = "StructuredCall",
      ["model.text_embedding:invoke"] = "TextEmbeddingCall", ["model.rerank:invoke"] = "RerankCall",
      ["model.text_embedding:invoke_multimodal"] = "MultimodalEmbeddingCall",
      ["model.rerank:invoke_multimodal"] = "MultimodalRerankCall", ["model.tts:invoke"] = "TtsCall",
      ["model.speech2text:invoke"] = "SpeechCall", ["model.moderation:invoke"] = "ModerationCall",
      ["model.summary:invoke"] = "SummaryCall", ["tool:invoke"] = "ToolInvocation",
      ["tool:invoke_api_tool"] = "TypedToolInvocation", ["file:upload"] = "UploadCall",
      ["http:request"] = "HttpCall",
      ["workflow_node.parameter_extractor:invoke"] = "ExtractorCall",
      ["workflow_node.question_classifier:invoke"] = "ClassifierCall",
    }
    for path, class in pairs(calls) do
      local owner, method = session, path:match ":([%w_]+)$"
      for name in path:match("^(.*):"):gmatch "[%w_]+" do owner = owner[name] end
      local ok, raised = pcall(function()
        owner[method](owner, { zzzzzzzzzzzzzzzzzzzzz = 1 })
      end)
      assert.is_false(ok)
      local taken, annotated = {}, {}
      local known = assert(raised:match "; known are (.*)$", path .. ": " .. tostring(raised))
      for name in known:gmatch "[%w_]+" do taken[#taken + 1] = name end
      local at = docs.classes[class]
      while at do
        for _, field in ipairs(at.fields) do annotated[#annotated + 1] = field.name end
        at = docs.classes[at.parent]
      end
      table.sort(taken)
      table.sort(annotated)
      assert.same(taken, annotated, path)
    end
  end)
end)

describe("an example of the plugin API's page", function()
  local CANNED = {
    tts = function() return "sound" end,
    speech2text = function() return "what was said" end,
    tool = function() return { type = "text", message = { text = "noon" } } end,
    parameter_extractor = function() return { outputs = { city = "Rome" } } end,
    question_classifier = function() return { outputs = { class_name = "praise" } } end,
    upload_file = function() return { id = "f", mime_type = "image/png" } end,
  }
  local IS_STREAM = { tts = true, tool = true }

  local function stream_of(value)
    return Stream.new {
      read = function()
        local given = value
        value = nil
        return given
      end,
      close = function() end,
    }
  end

  local call_kept

  local function call(backend, backend_type, kind, ...)
    local answer = CANNED[kind]
    if not answer then return call_kept(backend, backend_type, kind, ...) end
    return IS_STREAM[kind] and stream_of(answer()) or answer()
  end

  local function fake_session()
    local storage = { get = function() return "hello" end, incr = function() return 1 end,
      delete = function() return true end, set = function() end }
    local fake = { storage = storage }
    function fake:spawn(fn, ...)
      local value = fn(...)
      return { wait = function() return value end }
    end
    function fake:after_response(fn) fn() end
    function fake:once() return true end
    return setmetatable(fake, { __index = session })
  end

  local function environment()
    local moonhook = require "moonhook"
    local upload = { filename = "cat.png", content_type = "image/png", body = "bytes" }
    local request = library.request {
      method = "POST", body = '{"query":"count to 2"}',
      headers = { { "Content-Type", "application/json" }, { "webhook-id", "1" } },
    }
    local env = {
      self = { session = fake_session() },
      session = session,
      request = setmetatable({}, {
        __index = function(_, name)
          if name == "files" then return { picture = upload, recording = upload } end
          if name == "get_json" then return function(_, ...) return request:get_json(...) end end
          if name == "get_data" then return function() return request:get_data() end end
          return request[name]
        end,
      }),
      settings = {
        app = { app_id = "candy" }, bot_name = "Candy", secret = "s",
        llm = { provider = "local", model = "demo" }, voice = { provider = "gpt", model = "v" },
        text_embedding = { provider = "local", model = "demo-embedding" },
        ear = { provider = "gpt", model = "e" },
      },
      values = { name = "style.css" },
      body = { query = "count to 2" },
      app = { app_id = "candy" },
      call = { app_id = "candy", query = "count to 2" },
      moonhook = moonhook, Response = moonhook.Response, json = moonhook.json,
      crypto = moonhook.crypto, text_from_elsewhere = "[1]", Hook = {},
      store = function() end, start_again = function() end,
      coroutine = require("moonhook.coroutines").public,
    }
    return setmetatable(env, { __index = function(_, name)
      if _G[name] ~= nil then return _G[name] end
      error("the example uses " .. name .. ", which no reader knows", 2)
    end })
  end

  local EXPECTED = { ["moonhook.abort(404"] = "there is no such skin", ["hmac"] = "unauthorized" }

  local examples = {}
  for text in read(PAGE):gmatch "```lua\n(.-)```" do examples[#examples + 1] = text end

  it("is there for every call", function()
    assert.is_true(#examples > 30)
  end)

  for i, text in ipairs(examples) do
    local title = text:match "session[%w_.]*:[%w_]+" or text:match "[%w_.]+%(" or "the first"
    it(("runs: %d, %s"):format(i, title), function()
      reverse.reset {
        backends = { gpt = { type = "openai" }, dify = { type = "dify" } },
        apps = {
          candy = { mode = text:find "completion" and "completion"
            or text:find "app%.workflow" and "workflow" or "chat" },
        },
        sources = { candy = { text = "return function() return { text = 'x' } end" } },
      }
      fake_web.otherwise = { status = 201, pieces = { '{"id":1}' } }
      library.files["pages/chat.html"] = "<h1>{{ bot_name }}</h1>"
      library.files["assets/style.css"] = "a{}"
      call_kept = transport.call
      transport.call = call
      local chunk = assert(loadstring(text, "@example"))
      setfenv(chunk, environment())
      local ok, raised = pcall(reverse.pieces, function()
        local result = chunk()
        local made = type(result) == "table" and rawget(result, "_body")
        if type(made) == "function" then made() end
        if type(result) == "table" and type(result.run) == "function" then
          local fake = setmetatable({ step = function(_, _, fn) return fn() end },
            { __index = session })
          assert(result.run(fake, { topic = "x" }).draft == "x")
        end
      end)
      transport.call = call_kept
      for part, message in pairs(EXPECTED) do
        if not ok and text:find(part, 1, true) then
          ok = tostring(raised):find(message, 1, true) ~= nil
        end
      end
      assert.is_true(ok, type(raised) == "table" and not raised.code and json.encode(raised)
        or ("%s\n%s"):format(tostring(raised), text))
    end)
  end
end)
