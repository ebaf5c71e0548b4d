local testing = require "moonhook.testing"

describe("/form", function()
  it("shows a form", function()
    assert.matches("<h1>Who are you%?</h1>", testing.load():get("/form").body)
  end)

  it("greets who sends it, escaped, as the setting says", function()
    local plugin = testing.load { settings = { greeting = "Welcome" } }
    local reply = plugin:post("/form", { form = { name = "<b>Ada" } })
    assert.truthy(reply.body:find("<h1>Welcome, &lt;b&gt;Ada.</h1>", 1, true))
  end)

  it("asks for a name", function()
    assert.equal(400, testing.load():post("/form", { form = { name = "" } }).status)
  end)
end)

describe("POST /json", function()
  it("adds numbers, and says which is none", function()
    local plugin = testing.load()
    local reply = plugin:post("/json", { json = { numbers = { 1, 2, 3 } } })
    assert.same({ count = 3, sum = 6 }, reply:json())
    reply = plugin:post("/json", { json = { numbers = { 1, "x" } } })
    assert.equal(400, reply.status)
    assert.equal("`numbers[1]` must be a number", reply:json().error.message)
    assert.equal(415, plugin:post("/json", { body = "{}" }).status)
  end)
end)
