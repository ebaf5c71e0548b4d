local testing = require "moonhook.testing"

describe("GET /count/<int:to>", function()
  local plugin

  before_each(function()
    plugin = testing.load()
  end)

  it("sends a number every half second", function()
    local reply = plugin:get "/count/3"
    assert.same({ "1\n", "2\n", "3\n" }, reply:pieces())
    assert.same({ 0, 500, 1000 }, reply.times) -- on the spec's own clock: nobody waits
  end)

  it("stops when the client leaves", function()
    local reply = plugin:get "/count/100"
    assert.equal("1\n", reply:next_piece())
    reply:close()
  end)

  it("refuses to count for ever", function()
    assert.equal(400, plugin:get("/count/101").status)
  end)
end)
