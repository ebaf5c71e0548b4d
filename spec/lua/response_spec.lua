require "spec.support.library"
local Response = require "moonhook.response"

local function headers_of(response)
  local flat, list = response._headers, {}
  for i = 1, #flat, 2 do list[#list + 1] = flat[i] .. ": " .. flat[i + 1] end
  return list
end

local function raised(f)
  local ok, value = pcall(f)
  assert.is_false(ok)
  return value
end

-- The message of a mistake, which must name this file.
local function blamed(...)
  local arguments = { ... }
  local message = raised(function()
    local response = Response(unpack(arguments, 1, 2))
    return response
  end)
  return (assert(message:match "response_spec%.lua:%d+: (.*)$", message))
end

describe("Response", function()
  it("is 200 and plain text by default", function()
    local response = Response "hi"
    assert.same({ 200, "hi", "raw" }, { response._status, response._body, response._mode })
    assert.same({ "Content-Type: text/plain; charset=utf-8" }, headers_of(response))
    assert.is_nil(response._prepare)
  end)

  it("adds the charset to text without one, and to nothing else", function()
    local types = { ["text/html"] = "text/html; charset=utf-8",
      ["text/html; charset=latin1"] = "text/html; charset=latin1",
      ["TEXT/css"] = "TEXT/css; charset=utf-8", ["image/png"] = "image/png",
      ["event-stream"] = "event-stream", ["application/json"] = "application/json" }
    for asked, sent in pairs(types) do
      assert.same({ "Content-Type: " .. sent }, headers_of(Response("", { content_type = asked })))
    end
  end)

  it("sends headers in the order of their names, lists as repeats", function()
    assert.same({ "Content-Type: a/b", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-B: 5" },
      headers_of(Response("", { headers = { ["X-B"] = 5, ["Set-Cookie"] = { "a=1", "b=2" },
        ["content-type"] = "a/b" } })))
  end)

  it("prefers content_type to a header", function()
    assert.same({ "Content-Type: a/b" },
      headers_of(Response("", { content_type = "a/b", headers = { ["Content-Type"] = "c/d" } })))
  end)

  it("leaves framing to the host", function()
    assert.same({ "Content-Type: text/plain; charset=utf-8" },
      headers_of(Response("12345", { headers = { Connection = "upgrade", Upgrade = "x", TE = "y",
        ["Transfer-Encoding"] = "chunked", ["Content-Length"] = "5", ["Keep-Alive"] = "z" } })))
    assert.equal('headers: Content-Length: expected 10 (the host sets it), got "5"',
      blamed("1234567890", { headers = { ["Content-Length"] = "5" } }))
  end)

  it("has neither body nor type where the status allows none", function()
    for _, status in ipairs { 204, 205, 304 } do
      local response = Response("", { status = status, headers = { ETag = '"x"' } })
      assert.equal("", response._body)
      assert.same({ 'ETag: "x"' }, headers_of(response))
      assert.equal("", Response("dropped", { status = status })._body)
    end
  end)

  it("refuses a status that is none", function()
    for _, case in ipairs { { "200 OK", '"200 OK"' }, { 99, "99" }, { 100, "100" }, { 199, "199" },
        { 600, "600" }, { 1000, "1000" }, { 200.5, "200.5" }, { false, "false" } } do
      assert.equal("status must be an integer 200..599, got " .. case[2],
        blamed("", { status = case[1] }))
    end
    assert.matches("status must be an integer 200%.%.599, got %-?nan",
      blamed("", { status = 0 / 0 }))
  end)

  it("refuses headers that could be read as more than one", function()
    assert.equal('headers: X: a value may not hold control characters, got "a\\13\\10Y: h=1"',
      blamed("", { headers = { X = "a\r\nY: h=1" } }))
    assert.matches("control characters", blamed("", { headers = { X = "\0" } }))
    assert.matches("control characters", blamed("", { headers = { X = { "a", "b\n" } } }))
    assert.matches("control characters", blamed("", { content_type = "text/html\r\n" }))
    for _, name in ipairs { "A B", "", "a:b", "é", "a\r" } do
      assert.matches("headers: expected a header's name, got ",
        blamed("", { headers = { [name] = "x" } }))
    end
  end)

  it("refuses headers that are no strings", function()
    assert.equal("headers: X: expected a string or a list of strings, got boolean",
      blamed("", { headers = { X = true } }))
    assert.equal("headers: expected a header's name, got 1", blamed("", { headers = { "X: y" } }))
    assert.equal("headers: expected a table of names and values, got string",
      blamed("", { headers = "X: y" }))
  end)

  it("refuses a body that is neither a string nor a function", function()
    assert.equal("body: expected a string or a function, got nil", blamed(nil))
    assert.equal("body: expected a string or a function, got a number", blamed(5))
    assert.equal("body: expected a string or a function, got a table "
      .. "(Response.json encodes tables)", blamed({}))
  end)

  it("refuses options that it does not know", function()
    assert.equal('options: unknown "mimetype": expected status, content_type or headers',
      blamed("", { mimetype = "x" }))
    assert.equal("options: expected a table, got number", blamed("", 200))
  end)

  it("is told from other values", function()
    assert.is_true(Response.is(Response ""))
    assert.is_false(Response.is {})
    assert.is_false(Response.is "x")
  end)
end)

describe("a stream of events", function()
  local kept = { "Content-Type: text/event-stream; charset=utf-8", "Cache-Control: no-cache",
    "X-Accel-Buffering: no" }

  it("is made by Response.sse, neither kept nor held back", function()
    local response = Response.sse(print)
    assert.same({ "sse", print }, { response._mode, response._body })
    assert.same(kept, headers_of(response))
  end)

  it("may be written by hand", function()
    local response = Response(print, { content_type = "text/event-stream" })
    assert.equal("raw", response._mode)
    assert.same(kept, headers_of(response))
  end)

  it("keeps the author's own Cache-Control and content type", function()
    assert.same({ "Content-Type: a/b", "cache-control: private", "X-Accel-Buffering: no" },
      headers_of(Response.sse(print,
        { content_type = "a/b", headers = { ["cache-control"] = "private" } })))
  end)

  it("needs a generator", function()
    assert.matches("response_spec%.lua:%d+: Response%.sse: expected a function, got string",
      raised(function()
        local response = Response.sse "data"
        return response
      end))
  end)
end)

describe("Response.json", function()
  it("encodes a value", function()
    local response = Response.json({ a = { 1 } }, { status = 201 })
    assert.same({ 201, '{"a":[1]}' }, { response._status, response._body })
    assert.same({ "Content-Type: application/json" }, headers_of(response))
  end)

  it("refuses what JSON cannot say, at the author's line", function()
    assert.matches("response_spec%.lua:%d+: Response%.json: cannot encode a function at %.f as",
      raised(function()
        local response = Response.json { f = print }
        return response
      end))
  end)
end)

describe("Response.redirect", function()
  it("is 302 with a location", function()
    local response = Response.redirect "/x?a=b#c"
    assert.same({ 302, "" }, { response._status, response._body })
    assert.equal("Location: /x?a=b#c", headers_of(response)[2])
  end)

  it("encodes what a URL cannot hold", function()
    assert.equal("Location: /a%20%C3%A9%22", headers_of(Response.redirect '/a é"')[2])
  end)

  it("takes the other statuses of redirects only", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      assert.equal(status, Response.redirect("/", status)._status)
    end
    assert.matches("expected 301, 302, 303, 307 or 308, got 200",
      raised(function() return (Response.redirect("/", 200)) end))
  end)

  it("refuses what is no URL", function()
    for _, url in ipairs { "", "/a\r\nX: y", 5 } do
      assert.matches("Response%.redirect: expected a URL",
        raised(function() return (Response.redirect(url)) end))
    end
  end)
end)
