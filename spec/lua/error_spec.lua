require "spec.support.library"
local Error = require "moonhook.error"

local function raised(f)
  local ok, value = pcall(f)
  assert.is_false(ok)
  return value
end

describe("Error", function()
  it("reads as its code and its message", function()
    assert.equal("upstream_error: it broke", tostring(Error.new("upstream_error", "it broke")))
  end)

  it("carries further fields", function()
    local err = Error.new("busy", "later", { status = 503, retry_after_s = 2 })
    assert.same({ 503, 2, "busy", "later" },
      { err.status, err.retry_after_s, err.code, err.message })
  end)

  it("is told from other tables", function()
    assert.is_true(Error.is(Error.new "x"))
    assert.is_false(Error.is { code = "x", message = "x" })
    assert.is_false(Error.is "x")
    assert.is_false(Error.is(nil))
  end)

  it("is recognised by its raw metatable", function()
    assert.is_true(getmetatable(Error.new "x").__moonhook_error)
  end)

  it("comes back whole from pcall", function()
    local err = Error.new("x", "y")
    assert.equal(err, raised(function() error(err, 0) end))
  end)

  it("refuses a code that is no string, at the author's line", function()
    assert.matches("error_spec%.lua:%d+: Error%.new: code: expected a string, got nil",
      raised(function() Error.new(nil) end))
  end)
end)

describe("abort", function()
  it("raises an Error with the status and its code", function()
    for status, code in pairs { [400] = "bad_request", [401] = "unauthorized", [403] = "forbidden",
        [404] = "not_found", [409] = "conflict", [413] = "payload_too_large",
        [415] = "unsupported_media_type", [422] = "unprocessable", [429] = "rate_limited",
        [500] = "internal_error", [418] = "bad_request", [599] = "internal_error" } do
      local err = raised(function() Error.abort(status, "why") end)
      assert.same({ status, code, "why" }, { err.status, err.code, err.message })
    end
  end)

  it("takes a code of the author's", function()
    assert.equal("no_such_skin", raised(function() Error.abort(404, "x", "no_such_skin") end).code)
  end)

  it("has a message for every status", function()
    assert.equal("there is nothing here", raised(function() Error.abort(404) end).message)
  end)

  it("refuses what is no error status, at the author's line", function()
    for _, status in ipairs { 200, 302, 600, 404.5, "404", 0 / 0 } do
      assert.matches("error_spec%.lua:%d+: abort: status: expected an integer 400%.%.599",
        raised(function() Error.abort(status) end))
    end
  end)
end)

describe("blame", function()
  it("names no line rather than a wrong one when the author's frame is gone", function()
    local Response = require "moonhook.response"
    local message = select(2, coroutine.resume(coroutine.create(function()
      return Response("x", { status = 1 })
    end)))
    assert.equal("status must be an integer 200..599, got 1", message)
  end)
end)
