local plugin = require("spec.support.plugin").load "plugins/openai_models"
local json = require "moonhook.json"

local KEY = { { "Authorization", "Bearer key" } }
local KNOWN = {
  { provider = "a", model = "chat", model_type = "llm" },
  { provider = "a", model = "both", model_type = "llm" },
  { provider = "b", model = "both", model_type = "llm" },
  { provider = "b", model = "vectors", model_type = "text-embedding" },
  { provider = "b", model = "voice", model_type = "tts" },
}

local function session_of(asked)
  local session = { model = { text_embedding = {} } }
  function session.model:list() return KNOWN end
  function session.model.text_embedding:invoke(call)
    asked[#asked + 1] = call
    return { embeddings = { { 1, -0.5 } }, usage = { tokens = 2, total_tokens = 2 } }
  end
  return session
end

local function get(settings, values)
  settings.api_key = "key"
  local reply = plugin.call("endpoints/models.lua", {
    headers = KEY, settings = settings, values = values, session = session_of {},
  })
  return reply, json.decode(reply.body)
end

local function ids(settings)
  local list = {}
  local _, reply = get(settings)
  for i, model in ipairs(reply.data) do list[i] = model.id end
  return list
end

local function embed(body, settings)
  local asked = {}
  settings.api_key = "key"
  local reply = plugin.call("endpoints/text_embedding.lua", {
    json = body, headers = KEY, settings = settings, session = session_of(asked),
  })
  return reply, json.decode(reply.body), asked
end

describe("GET /v1/models", function()
  it("lists the two models of the settings", function()
    assert.same({ "x", "y" }, ids {
      llm = { provider = "p", model = "x" }, text_embedding = { provider = "p", model = "y" },
    })
  end)

  it("lists nothing as an empty array", function()
    assert.equal('"data":[]', get({}).body:match '"data":%[%]')
  end)

  it("lists all models for *, with the provider where a name is not enough", function()
    assert.same({ "chat", "a/both", "b/both", "vectors" }, ids { models = { "*" } })
  end)

  it("lists what the settings name, each once", function()
    assert.same({ "chat", "vectors", "org/new" }, ids {
      llm = { provider = "a", model = "chat" },
      models = { "a/chat", "b/vectors", "c/org/new" },
    })
  end)

  it("gives one model, or 404", function()
    assert.equal("a", select(2, get({ models = { "*" } }, { model = "chat" })).owned_by)
    local reply, body = get({ models = { "*" } }, { model = "none" })
    assert.equal(404, reply.status)
    assert.equal("model_not_found", body.error.code)
  end)
end)

describe("POST /v1/embeddings", function()
  it("picks the model by its name and type", function()
    local _, body, asked = embed({ model = "vectors", input = "x" }, { models = { "*" } })
    assert.equal("vectors", body.model)
    assert.same({ "x" }, asked[1].texts)
    assert.equal("b", asked[1].model_config.provider)
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
      local reply, body, asked = embed({ input = input }, one)
      assert.equal(400, reply.status)
      assert.matches("^input", body.error.param)
      assert.equal(0, #asked)
    end)
  end
end)
