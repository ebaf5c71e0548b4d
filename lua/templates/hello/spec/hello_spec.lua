local testing = require "moonhook.testing"

describe("GET /hello/<name>", function()
  it("greets whoever is named", function()
    local reply = testing.load():get "/hello/World"
    assert.equal(200, reply.status)
    assert.equal("Hello, World!\n", reply.body)
  end)

  it("greets as the setting says", function()
    local plugin = testing.load { settings = { greeting = "Good morning" } }
    assert.equal("Good morning, World!\n", plugin:get("/hello/World").body)
  end)
end)
