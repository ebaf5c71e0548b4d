local testing = require "moonhook.testing"
local json = require "moonhook.json"

local KEY = { Authorization = "Bearer key" }
local MODELS = {
  a = { llm = { "chat", "both" } },
  b = { llm = { "both" }, ["text-embedding"] = { "vectors" }, tts = { "voice" } },
}

local plugin ---@type TestPlugin

local function load(settings)
  settings.api_key = "key"
  plugin = testing.load {
    settings = settings, models = MODELS,
    text_embedding = function(call)
      local vectors = {}
      for i in ipairs(call.texts) do vectors[i] = { 1, -0.5 } end
      return vectors
    end,
  }
  return plugin
end

local function ids(settings)
  local list = {}
  for i, model in ipairs(load(settings):get("/v1/models", { headers = KEY }):json().data) do
    list[i] = model.id
  end
  return list
end

local function embed(body, settings)
  local reply = load(settings):post("/v1/embeddings", { json = body, headers = KEY })
  return reply, reply:json()
end

describe("GET /v1/models", function()
  it("lists the two models of the settings", function()
    assert.same({ "x", "y" }, ids {
      llm = { provider = "p", model = "x" }, text_embedding = { provider = "p", model = "y" },
    })
  end)

  it("lists nothing as an empty array", function()
    assert.matches('"data":%[%]', load({}):get("/v1/models", { headers = KEY }).body)
  end)

  it("lists all models for *, with the provider where a name is not enough", function()
    assert.same({ "chat", "a/both", "b/both", "vectors", "demo", "demo-embedding" },
      ids { models = { "*" } })
  end)

  it("lists what the settings name, each once", function()
    assert.same({ "chat", "vectors", "org/new" }, ids {
      llm = { provider = "a", model = "chat" },
      models = { "a/chat", "b/vectors", "c/org/new" },
    })
  end)

  it("gives one model, or 404", function()
    load { models = { "*" } }
    assert.equal("a", plugin:get("/v1/models/chat", { headers = KEY }):json().owned_by)
    local reply = plugin:get("/v1/models/none", { headers = KEY })
    assert.equal(404, reply.status)
    assert.equal("model_not_found", reply:json().error.code)
  end)
end)

describe("POST /v1/embeddings", function()
  it("picks the model by its name and type", function()
    local _, body = embed({ model = "vectors", input = "x" }, { models = { "*" } })
    assert.equal("vectors", body.model)
    assert.same({ "x" }, plugin.calls[1].texts)
    assert.equal("b", plugin.calls[1].provider)
    assert.equal(404, embed({ model = "chat", input = "x" }, { models = { "*" } }).status)
  end)

  it("packs floats in little-endian base64", function()
    local one = { text_embedding = { provider = "b", model = "vectors" } }
    local _, body = embed({ model = "any", input = "x", encoding_format = "base64" }, one)
    assert.equal("AACAPwAAAL8=", body.data[1].embedding)
    _, body = embed({ model = "any", input = "x" }, one)
    assert.same({ 1, -0.5 }, body.data[1].embedding)
  end)

  it("names the setting that is not set", function()
    local reply, body = embed({ model = "any", input = "x" }, {})
    assert.equal(400, reply.status)
    assert.matches("`text_embedding`", body.error.message)
  end)

  for _, input in ipairs { json.array {}, "", { 1, 2 }, { { 1 } }, { "a", "" }, { a = 1 }, 5 } do
    it("refuses the input " .. json.encode(input), function()
      local one = { text_embedding = { provider = "b", model = "vectors" } }
      local reply, body = embed({ input = input }, one)
      assert.equal(400, reply.status)
      assert.matches("^input", body.error.param)
      assert.equal(0, #plugin.calls)
    end)
  end
end)
