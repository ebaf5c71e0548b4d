-- When a model server is asked again, and over which connection.
local fake_model = require "spec.support.fake_model"
local process = require "spec.support.process"
local relay = require "spec.support.relay"

describe("a model call", function()
  local model, host

  -- A host for each: the budget for retries is the host's.
  before_each(function()
    model = fake_model.start()
    host = relay.start {
      workers = 1, -- each has its own pool of connections
      client = { first_byte_ms = 1500 },
      backends = { gpt = { type = "openai", url = model.url } },
    }
  end)

  after_each(function()
    host:stop()
    model:stop()
  end)

  it("is repeated after a 429, not before Retry-After", function()
    local started = process.now()
    local reply = host:once("gpt", "fake;status=429;retry_after=1;times=1")
    assert.equal("You said: hello big world", reply.body)
    local seen = model:seen()
    assert.equal(2, #seen)
    assert.is_true(seen[2].at_ms - seen[1].at_ms >= 1000)
    assert.is_true(process.now() - started < 1.5)
  end)

  it("is not repeated when Retry-After asks for longer than a reply may take", function()
    local failure = host:failure("gpt", "fake;status=429;retry_after=2")
    assert.equal(429, failure.upstream_status)
    assert.equal(1, #model:seen())
  end)

  it("is not repeated when the request itself was refused", function()
    assert.equal(400, host:failure("gpt", "fake;status=400").upstream_status)
    assert.equal(1, #model:seen())
  end)

  it("is made three times at most", function()
    assert.equal(500, host:failure("gpt", "fake;status=500;retry_after=0").upstream_status)
    assert.equal(3, #model:seen())
  end)

  it("is not repeated once its reply has begun", function()
    host:text("gpt", "fake;cut=rst")
    assert.equal(1, #model:seen())
  end)

  it("is repeated for at most a fifth of the calls, but for the first two", function()
    for i = 1, 20 do -- one in four is well, or the breaker would open
      host:once("gpt", i % 4 == 0 and "fake" or "fake;status=503;retry_after=0")
    end
    local count = #model:seen()
    assert.is_true(count > 20 and count <= 20 + 2 + 4, count)
  end)

  it("is not even made for a while when all before it failed", function()
    local count, refused = 100, 0
    for _ = 1, count do
      local reply = host:once("gpt", "fake;status=503;retry_after=0")
      if reply.status == 503 then
        refused = refused + 1
        assert.truthy(reply.body:find('"code":"upstream_unavailable"', 1, true))
        assert.truthy(tonumber(reply.headers["retry-after"]) >= 1)
      else
        assert.equal(502, reply.status)
      end
    end
    assert.is_true(refused > count / 2, refused)
    assert.is_true(#model:seen() <= (count - refused) + 2 + count / 5, #model:seen())
    local started = process.now()
    process.eventually(function() return host:once("gpt", "fake").status == 200 end, 6)
    assert.is_true(process.now() - started <= 6)
    assert.equal(200, host:once("gpt", "fake").status)
  end)

  it("keeps its connection for the next one", function()
    for _ = 1, 5 do host:once("gpt", "fake") end
    local seen = model:seen()
    for i = 2, 5 do assert.equal(seen[1].connection, seen[i].connection) end
  end)

  it("notices when a kept connection is closed", function()
    model:order { drop_ms = 10 }
    for _ = 1, 3 do
      assert.equal(200, host:once("gpt", "fake").status)
      process.eventually(function() return model:connections() == 0 end)
    end
    assert.equal(3, #model:seen())
  end)

  it("goes over a fresh connection when a kept one is closed under it", function()
    model:order { stale = true }
    host:once("gpt", "fake")
    assert.equal("You said: hello big world", host:once("gpt", "fake").body)
    local seen = model:seen()
    assert.equal(3, #seen)
    assert.equal(seen[1].connection, seen[2].connection)
    assert.are_not.equal(seen[2].connection, seen[3].connection)
  end)
end)
