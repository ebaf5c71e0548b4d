local library = require "spec.support.library"
local json = require "moonhook.json"

local function raised(f, ...)
  local ok, value = pcall(f, ...)
  assert.is_false(ok)
  return value
end

local function posted(body, content_type)
  return (library.request {
    method = "POST", body = body,
    headers = content_type and { { "Content-Type", content_type } } or {},
  })
end

describe("a request", function()
  it("gives the host's fields", function()
    local request = library.request { method = "PUT", path = "/a b", raw_target = "/e/h/a%20b?x",
      query = "x", host = "example.com", remote_addr = "192.0.2.1", id = "r1", hook_id = "h",
      hook_url = "http://example.com/e/h", url = "http://example.com/e/h/a%20b?x", scheme = "http" }
    assert.same({ "PUT", "/a b", "/e/h/a%20b?x", "x", "example.com", "192.0.2.1", "r1", "h" },
      { request.method, request.path, request.raw_target, request.query, request.host,
        request.remote_addr, request.id, request.hook_id })
    assert.same({ "http://example.com/e/h", "http://example.com/e/h/a%20b?x", "http" },
      { request.hook_url, request.url, request.scheme })
  end)

  it("has no query when the target has none", function()
    assert.is_nil(library.request({}).query)
  end)

  it("keeps what was read after it is over, and raises for the rest", function()
    local request, handle = library.request { path = "/x" }
    assert.equal("/x", request.path)
    handle.is_closed = true
    assert.equal("/x", request.path)
    assert.equal("closed", raised(function() return request.host end).code)
    assert.equal("closed", raised(function() return request.headers.host end).code)
    for _, field in ipairs { "args", "form", "files", "cookies" } do
      assert.equal("closed", raised(function() return request[field] end).code)
    end
    assert.equal("closed", raised(request.get_data, request).code)
    assert.equal("closed", raised(request.get_json, request).code)
  end)

  it("names the nearest field for one that it lacks, at the author's line", function()
    local request = library.request {}
    local hints = { metod = "request.method", header = "request.headers", Path = "request.path",
      json = "request:get_json()", body = "request:get_data()", getjson = "request:get_json()",
      query_string = "request.query", ip = "request.remote_addr", session = "self.session" }
    for name, hint in pairs(hints) do
      local message = raised(function() return (request[name]) end)
      assert.matches("request_spec%.lua:%d+: a request has no field '" .. name, message)
      assert.equal(hint, message:match "did you mean (.*)%?$")
    end
    assert.matches("a request has no field 'xyzzyxyzzy'$",
      raised(function() return (request.xyzzyxyzzy) end))
  end)

  it("takes fields of the author's", function()
    local request = library.request {}
    request.user = "me"
    assert.equal("me", request.user)
  end)
end)

describe("request.headers", function()
  local request = library.request { headers = { { "X-A", "1" }, { "Host", "t" }, { "x-a", "2" } } }

  it("looks names up ignoring case", function()
    assert.equal("1", request.headers["X-A"])
    assert.equal("1", request.headers["x-a"])
    assert.is_nil(request.headers.missing)
  end)

  it("gives all values of a name", function()
    assert.same({ "1", "2" }, request.headers:get_all "X-a")
    assert.same({}, request.headers:get_all "missing")
  end)

  it("is walked in order with repeats", function()
    local seen = {}
    for name, value in request.headers:pairs() do seen[#seen + 1] = name .. "=" .. value end
    assert.same({ "X-A=1", "Host=t", "x-a=2" }, seen)
  end)
end)

describe("request.args", function()
  local request = library.request {
    args = { { "q", "1" }, { "tag", "a" }, { "q", "2" }, { "pairs", "x" }, { "empty", "" } },
  }

  it("gives the first value of a name, nil without one", function()
    assert.equal("1", request.args.q)
    assert.equal("", request.args.empty)
    assert.is_nil(request.args.missing)
  end)

  it("gives all values of a name, and everything in order", function()
    assert.same({ "1", "2" }, request.args:get_all "q")
    local seen = {}
    for name, value in request.args:pairs() do seen[#seen + 1] = name .. "=" .. value end
    assert.same({ "q=1", "tag=a", "q=2", "pairs=x", "empty=" }, seen)
  end)

  it("cannot be robbed of its methods by a client", function()
    assert.is_function(request.args.pairs)
    assert.same({ "x" }, request.args:get_all "pairs")
  end)

  it("is a plain table otherwise", function()
    assert.same({ q = "1", tag = "a", empty = "" }, json.decode(json.encode(request.args)))
  end)
end)

describe("request.cookies", function()
  local function cookies(...)
    local headers = {}
    for i, value in ipairs { ... } do headers[i] = { "Cookie", value } end
    return (library.request { headers = headers }).cookies
  end

  it("are read leniently", function()
    assert.same({ a = "1", b = "x y", c = "", d = "e=f" },
      cookies 'a=1; b="x y";c=; ; nonsense; =v; d=e=f ; a=2')
    assert.same({}, cookies())
    assert.same({ ["long name"] = "v" }, cookies " long name = v ")
  end)

  it("are read from every header field", function()
    assert.same({ a = "1", b = "2" }, cookies("a=1", "b=2; a=3"))
  end)

  it("are not decoded", function()
    assert.same({ a = "%41+" }, cookies "a=%41+")
  end)
end)

describe("request.form and request.files", function()
  it("come from one parse", function()
    local file = { name = "up", filename = "a.txt", content_type = "text/plain", body = "x" }
    local request = library.request { form = { { "a", "1" }, { "a", "2" } },
      files = { file, { name = "up", filename = "b" } } }
    assert.equal(file, request.files.up)
    assert.equal("b", request.files:get_all("up")[2].filename)
    assert.equal("1", request.form.a)
    assert.same({ "1", "2" }, request.form:get_all "a")
  end)

  it("are 400 when they cannot be read", function()
    local request = library.request { form_error = "no boundary" }
    local err = raised(function() return request.form end)
    assert.same({ 400, "bad_request", "the form cannot be read: no boundary" },
      { err.status, err.code, err.message })
  end)
end)

describe("request:get_json", function()
  it("reads a JSON body", function()
    for _, kind in ipairs { "application/json", "Application/JSON; charset=utf-8",
        "application/problem+json" } do
      assert.same({ a = 1 }, posted('{"a":1}', kind):get_json())
    end
  end)

  it("gives the same table again", function()
    local request = posted("{}", "application/json")
    assert.equal(request:get_json(), request:get_json())
  end)

  it("is 415 for another content type", function()
    for _, kind in ipairs { "text/plain", "application/jsonx", "text/json", "a/b+json" } do
      local err = raised(function() return posted("{}", kind):get_json() end)
      assert.same({ 415, "unsupported_media_type" }, { err.status, err.code })
    end
    assert.equal(415, raised(function() return posted("{}"):get_json() end).status)
  end)

  it("is 400 for what is not JSON, saying where", function()
    local err = raised(function() return posted('{"a":\n x}', "application/json"):get_json() end)
    assert.same({ 400, "bad_request",
      "the body is not JSON: line 2, column 2: expected a value, got 'x'" },
      { err.status, err.code, err.message })
    local empty = posted("", "application/json")
    assert.equal(400, raised(empty.get_json, empty).status)
  end)

  it("is 400 for another shape than the one asked for", function()
    local wrong = { object = { "[]", "[1]", "1", '"x"', "null", "true" },
      array = { "{}", '{"a":1}', '{"a":null}', "1", "null" } }
    for shape, bodies in pairs(wrong) do
      for _, body in ipairs(bodies) do
        local err = raised(function() return posted(body, "application/json"):get_json(shape) end)
        assert.same({ 400, "the body must be a JSON " .. shape }, { err.status, err.message })
      end
    end
    for _, body in ipairs { "{}", '{"a":null}', '{"a":1}' } do
      assert.is_table(posted(body, "application/json"):get_json "object")
    end
    for _, body in ipairs { "[]", "[1]", "[null]" } do
      assert.is_table(posted(body, "application/json"):get_json "array")
    end
  end)

  it("ignores the content type when forced", function()
    assert.same({ a = 1 }, posted('{"a":1}', "text/plain"):get_json { force = true })
    assert.same({ a = 1 }, posted('{"a":1}'):get_json { "object", force = true })
    assert.same({ a = 1 }, posted('{"a":1}'):get_json("object", { force = true }))
    assert.same({ a = 1 }, posted('{"a":1}'):get_json(nil, { force = true }))
    assert.equal(400, raised(function() return posted("x"):get_json { force = true } end).status)
  end)

  it("gives nil instead of raising when silent", function()
    assert.is_nil(posted("{}", "text/plain"):get_json { silent = true })
    assert.is_nil(posted("{", "application/json"):get_json { silent = true })
    assert.is_nil(posted("[]", "application/json"):get_json { "object", silent = true })
  end)

  it("has nil for a null member, also with a byte order mark before it all", function()
    local body = posted('\239\187\191{"a":null}', "application/json"):get_json "object"
    assert.is_nil(body.a)
    assert.equal('{"a":null}', json.encode(body))
  end)

  it("refuses unknown options at the author's line", function()
    for _, case in ipairs {
      { { forse = true }, "unknown option forse: expected force or silent" },
      { { force = 1 }, "force: expected a boolean, got number" },
      { "objekt", 'expected "object" or "array", got "objekt"' },
      { 5, 'expected "object", "array" or a table of options, got number' },
    } do
      local message = raised(function()
        local value = posted("{}"):get_json(case[1])
        return value
      end)
      assert.matches("request_spec%.lua:%d+: get_json: ", message)
      assert.equal(case[2], message:match "get_json: (.*)$")
    end
  end)
end)

describe("request:get_data", function()
  it("says that it is a method", function()
    local request = posted "x"
    for name, call in pairs {
      get_data = function() return (request.get_data()) end,
      get_json = function() return (request.get_json "object") end,
    } do
      local message = raised(call)
      assert.matches("request_spec%.lua:%d+: request%." .. name .. ": called with", message)
    end
  end)

  it("gives the body as it came", function()
    assert.equal("a\0b", posted("a\0b"):get_data())
    assert.equal("", posted(nil):get_data())
  end)
end)
