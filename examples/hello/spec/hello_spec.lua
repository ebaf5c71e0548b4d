local testing = require "moonhook.testing"

describe("GET /hello/<name>", function()
  it("greets whoever is named", function()
    local reply = testing.load():get "/hello/W%C3%B6rld"
    assert.equal(200, reply.status)
    assert.equal("Hello, W\195\182rld!\n", reply.body)
  end)
end)
