-- The fake Dify itself, held to the contract's own examples: otherwise it and the host could be
-- wrong together.
local cjson = require "cjson"
local fake_dify = require "spec.contract.fake_dify"
local http = require "spec.support.http"

describe("the fake Dify", function()
  local dify

  setup(function() dify = fake_dify.start() end)
  teardown(function() dify:stop() end)
  before_each(function() dify:order {} end)

  local function post(path, body, key)
    return http.request {
      port = dify.port, target = path, json = type(body) == "table" and cjson.encode(body) or body,
      headers = { ["X-Inner-Api-Key"] = key or "inner-secret" },
    }
  end

  local function bytes(text)
    return (text:gsub("%x%x ?", function(digits) return string.char(tonumber(digits, 16)) end))
  end

  it("frames as the contract's examples", function()
    dify:order { frames = { '{"data":{"result":"ff00"},"error":""}',
      '{"data":null,"error":"boom"}' } }
    local body = post("/inner/api/invoke/tts", { tenant_id = "t-1", user_id = "", type = "tts",
      provider = "p", model = "m", content_text = "x", voice = "" }).body
    assert.equal(bytes "0f000a002500000000000000000000" :sub(1, 14)
      .. bytes("7b2264617461223a7b22726573756c74223a2266663030227d2c226572726f72223a22227d")
      .. bytes "0f000a001c00000000000000000000" :sub(1, 14)
      .. bytes("7b2264617461223a6e756c6c2c226572726f72223a22626f6f6d227d"), body)
  end)

  it("understands the contract's requests", function()
    local llm = '{"tenant_id":"t-1","user_id":"","type":"llm","model":"gpt-4o","mode":"chat",'
      .. '"provider":"langgenius/openai/openai","completion_params":{"temperature":0.2},'
      .. '"prompt_messages":[{"role":"user","content":"hi","name":"","tool_calls":null,'
      .. '"tool_call_id":""}],"tools":null,"stop":null,"stream":true}'
    assert.equal(200, post("/inner/api/invoke/llm", llm).status)
    local app = '{"tenant_id":"t-1","user_id":"","type":"app","app_id":"app-chat","inputs":{},'
      .. '"query":"hi","response_mode":"streaming","conversation_id":"","user":""}'
    assert.equal(200, post("/inner/api/invoke/app", app).status)
    local encrypt = '{"tenant_id":"t-1","user_id":"","type":"encrypt","opt":"encrypt",'
      .. '"namespace":"endpoint","identity":"test123","data":{"key":"value"},'
      .. '"config":[{"name":"key","type":"secret-input"}]}'
    assert.equal('{"data":{"data":{"key":"value"}},"error":""}',
      post("/inner/api/invoke/encrypt", encrypt).body)
  end)

  it("refuses what Dify would not understand", function()
    local app = { tenant_id = "t-1", user_id = "", type = "app", app_id = "app-chat", query = "q",
      inputs = cjson.decode "{}", response_mode = "streaming", conversation_id = "", user = "" }
    assert.equal(200, post("/inner/api/invoke/app", app).status)
    assert.equal(404, post("/inner/api/invoke/app", app, "wrong").status)
    for name, value in pairs { tenant_id = "other", type = "chat", inputs = "x", stranger = 1,
      response_mode = "slow" } do
      local before = app[name]
      app[name] = value
      assert.equal(400, post("/inner/api/invoke/app", app).status, name)
      app[name] = before
    end
    app.user = nil
    assert.equal(400, post("/inner/api/invoke/app", app).status)
  end)

  it("wants a key on its public API", function()
    for header, message in pairs { [""] = "Authorization header", ["Basic x"] = "scheme",
      ["Bearer x"] = "Access token" } do
      local reply = http.request { port = dify.port, target = "/v1/info",
        headers = { Authorization = header ~= "" and header or nil } }
      assert.equal(401, reply.status)
      assert.truthy(reply.body:find(message, 1, true))
      assert.equal('Bearer realm="api"', reply.headers["www-authenticate"])
    end
  end)
end)
