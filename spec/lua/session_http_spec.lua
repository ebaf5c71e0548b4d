-- session.http as a library: what is sent, what becomes of the answers.
local library = require "spec.support.library"
local fake_web = require "spec.support.fake_web"
local Error = require "moonhook.error"
local session = require "moonhook.session"
local url = require "moonhook.session.http.url"

local http = session.http

local function failure(body)
  local ok, raised = pcall(body)
  assert.is_false(ok)
  return raised
end

describe("a URL of session.http", function()
  -- RFC 3986, 5.4, but for the other schemes.
  local CASES = {
    ["g"] = "/b/c/g", ["./g"] = "/b/c/g", ["g/"] = "/b/c/g/", ["/g"] = "/g", ["?y"] = "/b/c/d;p?y",
    ["g?y"] = "/b/c/g?y", ["#s"] = "/b/c/d;p?q", ["g#s"] = "/b/c/g", ["g?y#s"] = "/b/c/g?y",
    [";x"] = "/b/c/;x", ["g;x"] = "/b/c/g;x", [""] = "/b/c/d;p?q", ["."] = "/b/c/",
    ["./"] = "/b/c/",
    [".."] = "/b/", ["../"] = "/b/", ["../g"] = "/b/g", ["../.."] = "/", ["../../g"] = "/g",
    ["../../../g"] = "/g", ["/./g"] = "/g", ["/../g"] = "/g", ["g."] = "/b/c/g.",
    ["..g"] = "/b/c/..g",
    ["./../g"] = "/b/g", ["./g/."] = "/b/c/g/", ["g/./h"] = "/b/c/g/h", ["g/../h"] = "/b/c/h",
    ["g;x=1/../y"] = "/b/c/y", ["g?y/../x"] = "/b/c/g?y/../x",
  }

  it("is resolved as RFC 3986 says", function()
    for location, path in pairs(CASES) do
      assert.equal("http://a" .. path, url.resolve("http://a", "/b/c/d;p?q", location), location)
    end
    assert.equal("http://g", url.resolve("https://a", "/b", "http://g"))
    assert.equal("https://g/x", url.resolve("https://a", "/b", "//g/x"))
    assert.equal("http://a/x", url.resolve("http://a", "", "x"))
    assert.equal("file:///x", url.resolve("http://a", "/", "file:///x"))
  end)

  it("keeps what stands before its path as it was written", function()
    assert.equal("http://a\\@b/%5C", url.prepare "http://a\\@b/\\")
    assert.equal("http://a b/", url.prepare "http://a b/")
  end)

  it("has its query added", function()
    assert.equal("http://a?x=1", url.prepare("http://a", "x=1"))
    assert.equal("http://a/?y&x=1", url.prepare("http://a/?y#z", "x=1"))
    assert.equal("a=1&a=true&b=%3D%26%20", url.query { b = "=& ", a = { 1, true } })
  end)
end)

describe("session.http", function()
  before_each(fake_web.reset)

  local function answer(script)
    fake_web.script(script or { status = 200 })
  end

  it("is a GET without a body and a POST with one", function()
    for _ = 1, 3 do answer() end
    http:request { url = "http://a/" }
    http:request { url = "http://a/", body = "" }
    http:request { url = "http://a/", form = {} }
    local methods = {}
    for i, call in ipairs(fake_web.calls) do methods[i] = call.method end
    assert.same({ "GET", "POST", "POST" }, methods)
  end)

  it("lets a plugin name the Content-Type of what it encodes", function()
    answer()
    http:post("http://a/", { a = 1 }, { headers = { ["content-type"] = "application/ld+json" } })
    assert.same({ "content-type", "application/ld+json" }, fake_web.calls[1].headers)
  end)

  it("pulls a body until the upstream wants no more", function()
    answer { status = 413, wants = 3 }
    local given = 0
    local response = http:post("http://a/", function()
      given = given + 1
      return "piece"
    end)
    assert.equal(413, response.status)
    assert.equal(3, given)
    assert.is_nil(fake_web.calls[1].is_complete)
  end)

  it("takes anything callable as a body", function()
    answer()
    local left = 2
    http:post("http://a/", setmetatable({}, { __call = function()
      left = left - 1
      return left >= 0 and "x" or nil
    end }))
    assert.same({ "x", "x" }, fake_web.calls[1].sent)
    assert.is_true(fake_web.calls[1].is_complete)
  end)

  it("closes the call when the body's function raises", function()
    answer()
    assert.matches("mine", failure(function()
      http:post("http://a/", function() error "mine" end)
    end))
    assert.is_true(fake_web.calls[1].is_closed)
  end)

  it("raises what C refused, with its code", function()
    for _, code in ipairs { "blocked_address", "blocked_host", "permission_denied" } do
      answer { refusal = { code, code .. ": the reason" } }
      local raised = failure(function() http:get "http://a/" end)
      assert.is_true(Error.is(raised))
      assert.equal(code, raised.code)
      assert.equal("the reason", raised.message)
    end
  end)

  it("keeps an upstream's story out of the message", function()
    answer { failure = { "upstream_error", "connect_refused: a (10.0.0.1) port 80" } }
    local raised = failure(function() http:get "http://a/" end)
    assert.equal("the upstream could not be reached or broke its protocol", raised.message)
    assert.equal("connect_refused: a (10.0.0.1) port 80", raised.detail)
    answer { status = 200, failure = { "upstream_error", "upstream_truncated: y" } }
    assert.equal("upstream_truncated", failure(function() http:get "http://a/" end).code)
  end)

  it("says when to come back to an upstream that is left alone", function()
    answer { failure = { "upstream_unavailable", "left alone", 3 } }
    local raised = failure(function() http:get "http://a/" end)
    assert.equal("upstream_unavailable", raised.code)
    assert.equal(3, raised.retry_after_s)
  end)

  it("closes each hop, and checks the next one by itself", function()
    answer { status = 302, headers = { "location", "ftp://b/" } }
    local raised = failure(function() http:get "http://a/" end)
    assert.equal("blocked_scheme", raised.code)
    assert.is_true(fake_web.calls[1].is_closed)
    assert.equal(1, #fake_web.calls)
  end)

  it("counts timeout_ms over all hops", function()
    fake_web.otherwise = { status = 307, headers = { "Location", "/" } }
    local now = library.now
    library.fake("host.clock", { now = function()
      now = now + 0.1
      return now
    end })
    failure(function() http:get("http://a/", { timeout_ms = 250 }) end)
    fake_web.otherwise = nil
    library.fake("host.clock", { now = function() return library.now end })
    local left = {}
    for i, call in ipairs(fake_web.calls) do left[i] = math.floor(call.times.total_ms + 0.5) end
    assert.same({ 150, 50, 1, 1, 1, 1 }, left)
  end)

  it("gives events with their names", function()
    answer { status = 200, pieces = { { event = "a", data = "1", id = "7" }, { data = "2" } } }
    local response = http:get("http://a/", { stream = true })
    assert.same({ { event = "a", data = "1", id = "7" }, { data = "2", id = "7" } },
      response:events():collect())
  end)

  it("gives neither bytes nor events twice", function()
    answer { status = 200, pieces = { "x" } }
    local response = http:get("http://a/", { stream = true })
    assert.equal("x", response.body())
    assert.matches("events: the body was read already", failure(function() response:events() end))
    assert.is_nil(response.body())
    assert.is_nil(response.body())
  end)

  it("raises again when a broken body is read again", function()
    answer { status = 200, failure = { "upstream_timeout", "idle_timeout: x" } }
    local response = http:get("http://a/", { stream = true })
    for _ = 1, 2 do assert.equal("upstream_timeout", failure(response.body).code) end
  end)

  it("stops reading a body that is too large", function()
    answer { status = 200, pieces = { ("x"):rep(6), ("x"):rep(6), "never" } }
    local raised = failure(function() http:get("http://a/", { max_bytes = 10 }) end)
    assert.matches("^response_too_large", raised.detail)
    assert.is_true(fake_web.calls[1].is_closed)
    assert.equal(2, fake_web.calls[1].at)
  end)

  it("hands files on as request.files has them, by name or as a list", function()
    answer()
    answer()
    local file = { name = "f", filename = "a\r\n.txt", content_type = "text/plain", body = "x" }
    assert.matches("one line of text", failure(function()
      http:post("http://a/", nil, { files = { file } })
    end))
    file.filename = "a.txt"
    http:post("http://a/", nil, { files = { file } })
    http:post("http://a/", nil, { files = { g = { body = "y" } } })
    assert.matches('name="f"; filename="a.txt"\r\nContent%-Type: text/plain\r\n\r\nx\r\n',
      fake_web.calls[1].body)
    assert.matches('name="g"; filename="g"', fake_web.calls[2].body)
  end)
end)
