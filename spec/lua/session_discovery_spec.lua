local reverse = require "spec.support.reverse"
local session = require "moonhook.session"

local function list(model_type)
  return reverse.run(function() return session.model:list(model_type) end)
end

local LISTING = '{"object":"list","data":[{"id":"gpt-x"},{"id":"text-embedding-x"},{"id":7}]}'

describe("the list of models", function()
  before_each(function()
    reverse.reset { backends = { gpt = { type = "openai" } } }
  end)

  it("has what the server of a backend without models lists, by type", function()
    reverse.script { pieces = { LISTING } }
    assert.same({
      { provider = "gpt", model = "gpt-x", model_type = "llm" },
      { provider = "local", model = "demo", model_type = "llm" },
    }, list "llm")
    assert.equal("models", reverse.calls[1].kind)
    assert.is_true(reverse.calls[1].is_closed)
  end)

  it("asks the server once for several lists", function()
    reverse.script { pieces = { LISTING } }
    list "llm"
    assert.equal("text-embedding-x", list("text-embedding")[1].model)
    assert.equal(1, #reverse.calls)
  end)

  it("asks again when the configuration has changed", function()
    reverse.script { pieces = { LISTING } }
    list "llm"
    reverse.reset { backends = { gpt = { type = "openai" } } }
    reverse.script { pieces = { '{"data":[{"id":"other"}]}' } }
    assert.equal("other", list("llm")[1].model)
  end)

  it("does without a server that does not answer", function()
    reverse.script { failure = { "upstream_error", "connect_refused" } }
    assert.same({ { provider = "local", model = "demo", model_type = "llm" } }, list "llm")
    assert.equal("demo", list("llm")[1].model) -- not asked again at once
    assert.equal(1, #reverse.calls)
  end)

  it("does without a server that refuses or answers nonsense", function()
    for _, script in ipairs { { status = 401, pieces = { "{}" } }, { pieces = { "<html>" } },
        { pieces = { '{"data":5}' } } } do
      reverse.reset { backends = { gpt = { type = "openai" } } }
      reverse.script(script)
      assert.equal("local", list("llm")[1].provider)
    end
  end)

  it("asks nobody for a backend that declares its models", function()
    reverse.reset { backends = { gpt = { type = "openai", models = { llm = { "m" } } } } }
    assert.equal("m", list("llm")[1].model)
    assert.equal(0, #reverse.calls)
  end)
end)
