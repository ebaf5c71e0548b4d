local plugin = require("spec.support.plugin").load "plugins/webapp_skins"
local json = require "moonhook.json"
local Error = require "moonhook.error"

local JSON = { { "Content-Type", "application/json" } }

-- A session whose app gives these events; what it was asked is kept in the second value.
local function session_of(events, failure)
  local session, asked = { app = { chat = {} } }, {}
  function session.app.chat:invoke(call)
    asked[#asked + 1] = call
    if failure then error(failure, 0) end
    local i = 0
    return function()
      i = i + 1
      return events[i]
    end
  end
  return session, asked
end

local function talk(body, session, settings)
  return plugin.call("endpoints/talk.lua", {
    json = body, headers = JSON, session = session,
    settings = settings or { app = { app_id = "candy" } },
  })
end

local function code_lines(path)
  local count = 0
  for line in io.lines(path) do
    if line:find "%S" then count = count + 1 end
  end
  return count
end

describe("GET /pink", function()
  local function page(settings)
    return plugin.call("endpoints/pink.lua", { settings = settings })
  end

  it("is HTML with the bot's name in text and in the script", function()
    local reply = page { bot_name = "Luna" }
    assert.equal("text/html; charset=utf-8", reply.headers["content-type"])
    assert.truthy(reply.body:find("<h1>Luna</h1>", 1, true))
    assert.truthy(reply.body:find('const BOT_NAME = "Luna";', 1, true))
  end)

  it("is Candy's where no name is set", function()
    assert.truthy(page({}).body:find("<h1>Candy</h1>", 1, true))
    assert.truthy(page({ bot_name = "" }).body:find("<h1>Candy</h1>", 1, true))
  end)

  it("lets no name end the script or open a tag", function()
    local scripts = select(2, page({ bot_name = "</script><script>x" }).body:gsub("<script", ""))
    assert.equal(1, scripts)
  end)
end)

describe("POST /pink/talk", function()
  it("asks for an app", function()
    local reply = talk({ query = "Hi" }, nil, {})
    assert.equal(400, reply.status)
    assert.equal("App is required", reply.body)
  end)

  for name, query in pairs { missing = false, null = json.null, empty = "", ["a number"] = 5 } do
    it("asks for a query where it is " .. name, function()
      local reply = talk { query = query or nil }
      assert.equal(400, reply.status)
      assert.equal("Query is required", reply.body)
    end)
  end

  it("sends each event as JSON and a blank line, nothing else", function()
    local events = { { event = "message", answer = "Hel\n\nlo" }, { event = "message_end" } }
    local session, asked = session_of(events)
    local reply = talk({ query = "Hi", conversation_id = "c1" }, session)
    assert.matches("^text/event%-stream", reply.headers["content-type"])
    assert.equal(2, #reply.pieces)
    for i, piece in ipairs(reply.pieces) do
      local text = piece:match "^([^\n]*)\n\n$"
      assert.same(events[i], json.decode(text))
    end
    assert.same({
      app_id = "candy", query = "Hi", inputs = {}, conversation_id = "c1",
      response_mode = "streaming",
    }, asked[1])
  end)

  it("fails before its first piece when the app fails, so that the client sees a status", function()
    local failure = Error.new("not_found", "no such conversation")
    local session = session_of({}, failure)
    local reply = talk({ query = "Hi", conversation_id = "gone" }, session)
    assert.same({}, reply.pieces)
    assert.equal(failure, reply.raised)
  end)

  it("and the page are no longer than the sources they come from", function()
    assert.is_true(code_lines "plugins/webapp_skins/endpoints/pink.lua" <= 13)
    assert.is_true(code_lines "plugins/webapp_skins/endpoints/talk.lua" <= 29)
  end)
end)
