local reverse = require "spec.support.reverse"
local json = require "host.json"
local session = require "moonhook.session"
local catalogue = require "moonhook.session.catalogue"

local function failure(body)
  local ok, raised = pcall(body)
  assert.is_false(ok)
  return raised
end

describe("which backend carries a call", function()
  it("takes a provider that is a backend's name", function()
    reverse.reset { backends = { gpt = { type = "openai" }, dify = { type = "dify" } } }
    assert.same({ "gpt", "openai" }, { catalogue.of_model("gpt", "m", "llm") })
  end)

  it("sends another provider to the dify backend", function()
    reverse.reset { backends = { gpt = { type = "openai" }, mine = { type = "dify" } } }
    assert.same({ "mine", "dify" }, { catalogue.of_model("langgenius/x/x", "m", "llm") })
  end)

  it("says where it looked for a provider", function()
    reverse.reset { backends = { gpt = { type = "openai" } } }
    local raised = failure(function() catalogue.of_model("claude", "m", "llm") end)
    assert.equal("not_found", raised.code)
    assert.truthy(raised.message:find("'claude'", 1, true))
    assert.truthy(raised.message:find("(gpt, local)", 1, true))
  end)

  it("always has `local` with its two models, and no other", function()
    reverse.reset {}
    assert.equal("local", (catalogue.of_model("local", "demo", "llm")))
    assert.equal("local", (catalogue.of_model("local", "demo-embedding", "text-embedding")))
    local raised = failure(function() catalogue.of_model("local", "gpt-4o", "llm") end)
    assert.equal("the llm model 'gpt-4o' was not found: the backend 'local' has 'demo'",
      raised.message)
  end)

  it("refuses models on a dify-service backend", function()
    reverse.reset { backends = { clouds = { type = "dify-service" } } }
    local raised = failure(function()
      session.model.llm:invoke {
        model_config = { provider = "clouds", model = "m" },
        prompt_messages = { { role = "user", content = "hi" } },
      }
    end)
    assert.equal("unsupported", raised.code)
    assert.matches("llm", raised.message)
    assert.matches("clouds", raised.message)
  end)

  it("looks for an app in apps, then in the dify-service maps, then goes to dify", function()
    reverse.reset {
      apps = { a = {} },
      backends = { clouds = { type = "dify-service", apps = { a = true, b = true } },
        dify = { type = "dify" } },
    }
    assert.equal("local", (catalogue.of_app "a"))
    assert.equal("clouds", (catalogue.of_app "b"))
    assert.equal("dify", (catalogue.of_app "c"))
  end)

  it("says where it looked for an app", function()
    reverse.reset {}
    local raised = failure(function() catalogue.of_app "candy" end)
    assert.equal("not_found", raised.code)
    assert.truthy(raised.message:find("the app 'candy' was not found: not among `apps`", 1, true))
  end)

  it("notices a changed configuration", function()
    reverse.reset {}
    assert.equal("not_found", failure(function() catalogue.of_app "x" end).code)
    reverse.reset { apps = { x = {} } }
    assert.equal("local", (catalogue.of_app "x"))
  end)
end)

describe("session.model:list", function()
  before_each(function()
    reverse.reset { backends = {
      gpt = { type = "openai", models = { llm = { "b", "a" }, ["text-embedding"] = { "e" } } },
      bare = { type = "openai" },
    } }
  end)

  it("lists every model of the backends in order", function()
    local found = {}
    for _, model in ipairs(session.model:list()) do
      found[#found + 1] = ("%s/%s %s"):format(model.provider, model.model, model.model_type)
    end
    assert.same({ "gpt/b llm", "gpt/a llm", "gpt/e text-embedding", "local/demo llm",
      "local/demo-moderation moderation", "local/demo-rerank rerank",
      "local/demo-embedding text-embedding" }, found)
  end)

  it("lists those of one type", function()
    assert.equal(3, #session.model:list "llm")
    assert.equal(0, #session.model:list "tts")
  end)

  it("names its author's mistakes", function()
    local raised = failure(function() session.model.list "llm" end)
    assert.truthy(raised:find("called with '.'", 1, true))
    raised = failure(function() session.model:list(7) end)
    assert.truthy(raised:find("model_type: expected a string, got 7", 1, true))
  end)
end)

describe("session.model.text_embedding:invoke", function()
  local function embed(call)
    call.model_config = call.model_config or { provider = "gpt", model = "e" }
    call.texts = call.texts or { "a", "b" }
    return session.model.text_embedding:invoke(call)
  end

  before_each(function()
    reverse.reset { backends = { gpt = { type = "openai" }, dify = { type = "dify" } } }
  end)

  it("asks an OpenAI-compatible server and sorts by index", function()
    reverse.script { pieces = { json.encode {
      model = "e-1", usage = { prompt_tokens = 4, total_tokens = 4 },
      data = { { index = 1, embedding = { 2 } }, { index = 0, embedding = { 1 } } },
    } } }
    local result = reverse.run(function()
      return embed { model_config = { provider = "gpt", model = "e",
        completion_params = { dimensions = 1 } } }
    end)
    assert.same({ model = "e", input = { "a", "b" }, encoding_format = "float", dimensions = 1 },
      reverse.calls[1].body)
    assert.equal("text_embedding", reverse.calls[1].kind)
    assert.same({ { 1 }, { 2 } }, result.embeddings)
    assert.same({ "e-1", 4, 4, "USD" }, { result.model, result.usage.tokens,
      result.usage.total_tokens, result.usage.currency })
  end)

  it("raises for anything but one vector for each text", function()
    for _, body in ipairs { "{", "{}", "[]", '{"data":[]}', '{"data":[{"embedding":[1]}]}',
      '{"data":[{"embedding":[1]},{"embedding":"AAAA"}]}', '{"data":[1,2]}',
      '{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}',
      '{"data":[{"index":0,"embedding":[1]},{"index":5,"embedding":[1]}]}',
      '{"data":[{"index":-1,"embedding":[1]},{"index":1,"embedding":[1]}]}' } do
      reverse.script { pieces = { body } }
      local raised = reverse.failure(function() embed {} end)
      assert.equal("upstream_error", raised.code, body)
    end
  end)

  it("asks Dify in Dify's shape", function()
    reverse.script { pieces = { '{"model":"e","embeddings":[[1],[2]],"usage":{}}' } }
    local config = { provider = "langgenius/x/x", model = "e" }
    local result = reverse.run(function()
      return embed { model_config = config, input_type = "document" }
    end)
    assert.same({ type = "text_embedding", provider = "langgenius/x/x", model = "e",
      texts = { "a", "b" }, input_type = "document" }, reverse.calls[1].body)
    assert.same({ { 1 }, { 2 } }, result.embeddings)
  end)

  it("refuses other dimensions where they cannot be had", function()
    local raised = reverse.failure(function()
      embed { model_config = { provider = "local", model = "demo-embedding",
        completion_params = { dimensions = 8 } } }
    end)
    assert.same({ "unsupported", "dimensions" }, { raised.code, raised.param })
  end)

  it("names its author's mistakes", function()
    local raised = reverse.failure(function() embed { texts = {} } end)
    assert.truthy(raised:find("texts: expected at least one text, got none", 1, true))
    raised = reverse.failure(function() embed { texts = { 1 } } end)
    assert.truthy(raised:find("texts[1]: expected a string, got 1", 1, true))
    raised = reverse.failure(function() embed { input_type = "doc" } end)
    assert.truthy(raised:find("input_type", 1, true))
  end)
end)
