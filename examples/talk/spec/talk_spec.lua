local testing = require "moonhook.testing"

describe("GET /talk", function()
  local plugin ---@type TestPlugin

  before_each(function()
    plugin = testing.load {
      settings = { app = { app_id = "candy" } }, app = { "Hel", testing.wait(500), "lo" },
    }
  end)

  it("passes the app's words on as they arrive", function()
    local reply = plugin:get("/talk", { query = { q = "Who are you?" } })
    assert.same({ "Hel", "lo", "\n" }, reply:pieces())
    assert.same({ 0, 500, 500 }, reply.times)
    assert.equal("Who are you?", plugin.calls[1].query)
  end)

  it("leaves the app when the client leaves", function()
    local reply = plugin:get "/talk?q=Hi"
    assert.equal("Hel", reply:next_piece())
    reply:close()
    assert.is_true(plugin.calls[1].is_cancelled)
  end)

  it("asks for a question", function()
    assert.equal(400, plugin:get("/talk").status)
    assert.equal(0, #plugin.calls)
  end)
end)
