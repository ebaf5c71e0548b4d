local testing = require "moonhook.testing"

local TEXT = "# A title\n\nA text."

describe("a text", function()
  local plugin ---@type TestPlugin
  local token

  before_each(function()
    plugin = testing.load {
      settings = { writer = { app_id = "write" }, publisher = { app_id = "publish" } },
      apps = {
        write = testing.workflow { text = TEXT },
        publish = testing.workflow { title = "A title", summary = "short",
          paragraphs = { "A text." } },
      },
    }
    local reply = plugin:post("/texts", { form = { topic = "hook ids" } })
    assert.equal(303, reply.status)
    token = reply.headers.location:match "^review%?token=([%w_-]+)$"
  end)

  it("is written by the first workflow, and waits for a decision", function()
    assert.equal("write", plugin.calls[1].app_id)
    assert.same({ topic = "hook ids" }, plugin.calls[1].inputs)
    assert.matches("A text%.", plugin:get("/review?token=" .. token).body)
    assert.equal(1, #plugin.calls)
  end)

  it("is published by the second when it is accepted, once", function()
    assert.equal(303, plugin:post("/accept?token=" .. token).status)
    plugin:advance(1000)
    assert.equal(409, plugin:post("/accept?token=" .. token).status)
    plugin:advance(1000)
    assert.equal(2, #plugin.calls)
    assert.equal("publish", plugin.calls[2].app_id)
    assert.matches("hook ids</a><p>short", plugin:get("/texts").body)
  end)

  it("is not published when it is rejected", function()
    assert.equal(303, plugin:post("/reject?token=" .. token).status)
    assert.equal(409, plugin:post("/accept?token=" .. token).status)
    assert.equal(1, #plugin.calls)
  end)

  it("is not written for another site's form", function()
    local reply = plugin:post("/texts", {
      form = { topic = "x" }, headers = { ["Sec-Fetch-Site"] = "cross-site" },
    })
    assert.equal(403, reply.status)
  end)
end)
