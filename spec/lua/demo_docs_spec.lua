-- The demo model on the documentation as it is shipped: what a first chat will ask.
require "spec.support.reverse"

local function fresh_search()
  package.loaded["moonhook.backend.passages"] = nil
  return require("moonhook.backend.passages").search
end

local search = fresh_search()

local QUESTIONS = { -- question, page, a word of the passage
  { "how do I write a plugin?", "docs/tutorial.md", "manifest.yaml" },
  { "How can I stream an answer?", "docs/tutorial.md", "coroutine.yield" },
  { "how do I read a request?", "docs/tutorial.md", "request" },
  { "How do I use a real model?", "docs/tutorial.md", "backend" },
  { "what is Moonhook?", "README.md", "plugin" },
  { "what is a task?", "docs/architecture.md", "coroutine" },
}
local STRANGERS = {
  "What is the capital of France?", "tell me a story about dragons", "what time is it?",
  "how old are you", "who won the world cup", "how do I make pancakes", "你好吗", "2+2", "?",
}

describe("the shipped documentation", function()
  for _, case in ipairs(QUESTIONS) do
    it(("answers %q from %s"):format(case[1], case[2]), function()
      local best = search(case[1], 1)[1]
      assert.is_true(best.is_near)
      assert.equal(case[2], best.passage.page)
      assert.truthy(best.passage.text:find(case[3], 1, true), best.passage.text)
    end)
  end

  for _, question in ipairs(STRANGERS) do
    it(("has nothing about %q"):format(question), function()
      local best = search(question, 1)[1]
      assert.is_false(best.is_near, best.passage.title)
    end)
  end
end)
