local testing = require "moonhook.testing"
local moonhook = require "moonhook"

describe("POST /webhook", function()
  local KEY = "a secret of the sender's"
  local plugin ---@type TestPlugin

  before_each(function()
    plugin = testing.load {
      settings = { signing_secret = "whsec_" .. moonhook.base64(KEY) },
    }
  end)

  -- Sends an event as its sender would.
  local function send(id, body)
    local time = tostring(math.floor(testing.time()))
    local text = ("%s.%s.%s"):format(id, time, body)
    return plugin:post("/webhook", {
      body = body,
      headers = {
        ["Content-Type"] = "application/json",
        ["webhook-id"] = id,
        ["webhook-timestamp"] = time,
        ["webhook-signature"] = "v1," .. moonhook.base64(moonhook.hmac_sha256(KEY, text)),
      },
    })
  end

  local function received()
    local count = 0
    for _, record in ipairs(plugin:log()) do
      if record.msg == "event received" then count = count + 1 end
    end
    return count
  end

  it("takes a signed event", function()
    assert.equal("paid", send("msg_1", '{"type": "paid"}'):json().received)
    assert.equal(1, received())
  end)

  it("takes the same event once", function()
    send("msg_1", '{"type": "paid"}')
    assert.equal(200, send("msg_1", '{"type": "paid"}').status)
    assert.equal(1, received())
  end)

  it("refuses what nobody signed", function()
    assert.equal(401, plugin:post("/webhook", { json = { type = "paid" } }).status)
  end)

  it("refuses an event without a type", function()
    assert.equal(400, send("msg_1", "{}").status)
  end)
end)
