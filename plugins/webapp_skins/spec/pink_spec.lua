local testing = require "moonhook.testing"
local json = require "moonhook.json"

local SETTINGS = { app = { app_id = "candy" } }

local function code_lines(path)
  local count = 0
  for line in io.lines(path) do
    if line:find "%S" then count = count + 1 end
  end
  return count
end

describe("GET /pink", function()
  local function page(settings)
    return testing.load({ settings = settings }):get "/pink"
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
  local plugin ---@type TestPlugin

  local function talk(body, answer, settings)
    plugin = testing.load { settings = settings or SETTINGS, app = answer }
    return plugin:post("/pink/talk", { json = body })
  end

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

  it("sends each event as JSON and a blank line, nothing else, when it comes", function()
    local reply = talk({ query = "Hi", conversation_id = "c1" },
      { "Hel\n\nlo", testing.wait(400), "!" })
    assert.matches("^text/event%-stream", reply.headers["content-type"])
    local names = {}
    for i, piece in ipairs(reply:pieces()) do
      local event = json.decode(piece:match "^([^\n]*)\n\n$")
      names[i] = event.event
      assert.equal("c1", event.conversation_id)
    end
    assert.same({ "message", "message", "message_end" }, names)
    assert.same({ 0, 400, 400 }, reply.times)
    local call = plugin.calls[1]
    assert.same({ "candy", "Hi", "c1", "streaming" },
      { call.app_id, call.query, call.conversation_id, call.response_mode })
  end)

  it("fails before its first piece when the app fails, so that the client sees a status", function()
    local gone = testing.refuse(404, { message = "Conversation Not Exists." })
    local reply = talk({ query = "Hi", conversation_id = "gone" }, gone)
    assert.equal(404, reply.status)
    assert.equal("not_found", reply:json().error.code)
  end)

  it("leaves the app when the client leaves", function()
    local reply = talk({ query = "Hi" }, { "Hel", testing.wait(400), "lo" })
    reply:next_piece()
    reply:close()
    assert.is_true(plugin.calls[1].is_cancelled)
  end)

  it("and the page are no longer than the sources they come from", function()
    local dir = debug.getinfo(1, "S").source:match "^@(.*)/spec/[^/]*$" or "."
    assert.is_true(code_lines(dir .. "/endpoints/pink.lua") <= 13)
    assert.is_true(code_lines(dir .. "/endpoints/talk.lua") <= 29)
  end)
end)
