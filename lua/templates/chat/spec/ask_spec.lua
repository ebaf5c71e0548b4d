local testing = require "moonhook.testing"

describe("POST /ask", function()
  local function load(answer)
    return testing.load { settings = { app = { app_id = "candy" } }, app = answer }
  end

  it("passes the app's words on as they arrive", function()
    local plugin = load { "Hel", testing.wait(500), "lo" }
    local reply = plugin:post("/ask", { body = "Who are you?" })
    assert.same({ "Hel", "lo" }, reply:pieces())
    assert.same({ 0, 500 }, reply.times)
    assert.equal("Who are you?", plugin.calls[1].query)
    assert.equal("candy", plugin.calls[1].app_id)
  end)

  it("leaves the app when the client leaves", function()
    local plugin = load { "Hel", testing.wait(500), "lo" }
    local reply = plugin:post("/ask", { body = "Who are you?" })
    assert.equal("Hel", reply:next_piece())
    reply:close()
    assert.is_true(plugin.calls[1].is_cancelled)
  end)

  it("says 502 when the app fails", function()
    local plugin = load(testing.fail "no quota left")
    assert.equal(502, plugin:post("/ask", { body = "Who are you?" }).status)
  end)

  it("asks for a question", function()
    assert.equal(400, load("unused"):post("/ask").status)
  end)
end)
