local testing = require "moonhook.testing"

describe("POST /v1/chat/completions", function()
  local HELLO = { { role = "user", content = "Hello" } }
  local plugin ---@type TestPlugin

  before_each(function()
    plugin = testing.load {
      settings = { llm = { provider = "openai", model = "gpt" } }, llm = { "Hel", "lo" },
    }
  end)

  local function post(body)
    return plugin:post("/v1/chat/completions", { json = body })
  end

  it("answers whole", function()
    local answer = post({ messages = HELLO }):json()
    assert.equal("Hello", answer.choices[1].message.content)
    assert.equal("Hello", plugin.calls[1].prompt_messages[1].content)
    assert.equal("gpt", plugin.calls[1].model)
  end)

  it("streams", function()
    local events = post({ messages = HELLO, stream = true }):events()
    assert.equal(4, #events)
    assert.matches('"content":"Hel"', events[1].data)
    assert.matches('"finish_reason":"stop"', events[3].data)
    assert.equal("[DONE]", events[4].data)
  end)

  it("refuses a body without messages", function()
    assert.equal(400, post({ model = "x" }).status)
  end)
end)
