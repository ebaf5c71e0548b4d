local testing = require "moonhook.testing"

describe("GET /countdown/<int:from>", function()
  local plugin ---@type TestPlugin

  before_each(function()
    plugin = testing.load()
  end)

  it("counts down, each number a fifth of a second after the other", function()
    local reply = plugin:get "/countdown/3"
    assert.same({ "3\n", "2\n", "1\n", "Liftoff!\n" }, reply:pieces())
    assert.same({ 0, 200, 400, 600 }, reply.times)
  end)

  it("stops when the client leaves", function()
    local reply = plugin:get "/countdown/100"
    assert.equal("100\n", reply:next_piece())
    reply:close()
  end)

  it("refuses to count for long", function()
    assert.equal(400, plugin:get("/countdown/101").status)
    assert.equal(404, plugin:get("/countdown/x").status)
  end)
end)
