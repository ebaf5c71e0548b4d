local cjson = require "cjson"
local host = require "spec.support.host"

local PLUGINS = io.popen("pwd"):read "*l" .. "/plugins"

local function config(settings)
  return {
    plugins = { PLUGINS },
    apps = { candy = { mode = "chat", name = "Candy", prompt = "You are Candy.", memory = 20,
      model = { provider = "local", model = "demo" } } },
    demo = { pause_ms = 10 },
    endpoints = { { plugin = "webapp_skins", hook_id = "candy-dev", settings = settings } },
  }
end

local function talk(server, body)
  return server:request {
    target = "/e/candy-dev/pink/talk", json = type(body) == "table" and cjson.encode(body) or body,
  }
end

describe("webapp_skins", function()
  local server
  setup(function() server = host.start { config = config { app = { app_id = "candy" } } } end)
  teardown(function() server:stop() end)

  it("serves the page at /pink", function()
    local reply = server:request { target = "/e/candy-dev/pink" }
    assert.equal(200, reply.status)
    assert.equal("text/html; charset=utf-8", reply.headers["content-type"])
    assert.truthy(reply.body:find("<h1>Candy</h1>", 1, true))
  end)

  it("streams events as JSON with a blank line after each, apart in time", function()
    local reply = server:open {
      target = "/e/candy-dev/pink/talk", json = '{"query":"Hello","conversation_id":""}',
    }
    assert.equal(200, reply.status)
    assert.matches("^text/event%-stream", reply.headers["content-type"])
    local text, first, last = "", nil, nil
    for piece, at in reply:pieces() do
      text, first, last = text .. piece, first or at, at
    end
    local answer, id, ends = "", nil, 0
    assert.equal("\n\n", text:sub(-2))
    for block in text:gmatch "([^\n]+)\n\n" do
      local event = cjson.decode(block)
      answer = answer .. (event.answer or "")
      id = id or event.conversation_id
      assert.equal(id, event.conversation_id)
      if event.event == "message_end" then ends = ends + 1 end
    end
    assert.is_true(#answer > 0)
    assert.equal(1, ends)
    assert.is_true(last - first > 0.02)
  end)

  for name, body in pairs { missing = "{}", null = '{"query":null}', empty = '{"query":""}' } do
    it("asks for a query that is " .. name, function()
      local reply = talk(server, body)
      assert.equal(400, reply.status)
      assert.equal("Query is required", reply.body)
    end)
  end

  it("refuses what is not a JSON object", function()
    for _, body in ipairs { "[]", "{", '"text"', "null" } do
      assert.equal(400, talk(server, body).status)
    end
  end)

  it("gives a reply that the page can tell apart when it does not know the conversation", function()
    for _, id in ipairs { "0b7d0000-0000-4000-8000-000000000000", "nonsense" } do
      local reply = talk(server, { query = "Hello", conversation_id = id })
      assert.is_true(reply.status >= 400)
      assert.equal("not_found", cjson.decode(reply.body).error.code)
    end
  end)

  it("asks for an app where none is set", function()
    local bare = host.start { config = config {} }
    local reply = talk(bare, { query = "Hello" })
    bare:stop()
    assert.equal(400, reply.status)
    assert.equal("App is required", reply.body)
  end)
end)
