-- Runs with both LuaJITs. The library that plugins see, inside the real binary: requests, replies,
-- JSON, pages, files.
local cjson = require "cjson"
local host = require "spec.support.host"

local manifest = [[
version: 0.0.1
type: plugin
author: spec
name: library
limits: { cpu_ms: 5000 }
plugins:
  endpoints:
]]

local handlers = {
  shape = [[
    local body = request:get_json(request.args.shape)
    return Response.json { same = body, query = body.query or "nil" }]],
  status = [[
    local values = { zero = 0/0, text = "200 OK", low = 99, high = 1000, half = 200.5, early = 103 }
    local response = Response("x", { status = values[request.args.which] })
    return response]],
  header = [[
    local response = Response("x", { headers = { X = "a\r\nSet-Cookie: h=1" } })
    return response]],
  encode = [[
    local loop = {}
    loop[1] = loop
    local deep, leaf = {}, nil
    leaf = deep
    for _ = 1, 1e5 do leaf[1] = {}; leaf = leaf[1] end
    local huge, part = {}, ("x"):rep(2 ^ 20)
    for i = 1, 100 do huge[i] = part end
    local messages = {}
    for i, value in ipairs { loop, 0/0, deep, { [1] = 1, [1e9] = 1 }, huge, print } do
      messages[i] = select(2, pcall(json.encode, value))
    end
    return table.concat(messages, "\n")]],
  typo = "return (request.metod)",
  ended = "keep.request = request return 'kept'",
  late = "return (select(2, pcall(function() return keep.request.host end))).code",
  page = [[
    local page = moonhook.template("page.html", { name = request.args.name })
    return Response(page, { content_type = "text/html" })]],
  bad_page = [[
    local page = moonhook.template("bad.html", { name = "x" })
    return page]],
  file = "return Response.file(request.args.path)",
  read = "return moonhook.read(request.args.path)",
  redirect = "return Response.redirect('/elsewhere?x=1', 307)",
  abort = "moonhook.abort(409, 'it is taken', 'name_taken')",
  bytes = "return table.concat { moonhook.base64 'abc', ' ', moonhook.hex(moonhook.sha256 '') }",
  empty = "return Response('', { status = 204 })",
  cookies = "return Response.json { cookies = request.cookies, form = request.form }",
}

local function package()
  local files, lines = {}, { manifest }
  for name, code in pairs(handlers) do
    lines[#lines + 1] = ("    - { path: /%s, method: [GET, POST], " ..
      "extra: { lua: { source: %s.lua } } }\n"):format(name, name)
    files["plugins/library/" .. name .. ".lua"] = [[
local moonhook = require "moonhook"
local Response, json = moonhook.Response, moonhook.json
local keep = require "keep"
return function(self, request, values, settings)
]] .. code .. "\nend\n"
  end
  files["plugins/library/manifest.yaml"] = table.concat(lines)
  files["plugins/library/keep.lua"] = "return {}"
  files["plugins/library/page.html"] = "<p>{{ name }}</p><script>x = {{ name }}</script>"
  files["plugins/library/bad.html"] = "\n<style>{{ name }}</style>"
  files["plugins/library/assets/a.css"] = ("body { color: red }\n"):rep(100)
  files["secret.txt"] = "secret"
  return files
end

describe("the library in the host", function()
  local server

  local function get(target, headers)
    return server:request { endpoint = "library", target = target, headers = headers }
  end

  local function post(target, body, kind)
    return server:request { endpoint = "library", target = target, method = "POST", body = body,
      headers = kind and { ["Content-Type"] = kind } or nil }
  end

  local function code_of(reply)
    return cjson.decode(reply.body).error.code
  end

  local function logged(reply)
    return server:wait_record({ msg = "plugin failed",
      request_id = reply.headers["x-request-id"] }, 2).error
  end

  setup(function()
    server = host.start {
      files = package(),
      -- Of JSON of 32 MiB a build with a sanitizer takes its time.
      config = { plugins = { "plugins" }, limits = { plugin_cpu_ms = 5000, stuck_ms = 30000 },
        endpoints = { { plugin = "library", hook_id = "library-spec" } } },
    }
  end)

  teardown(function() server:stop() end)

  it("reads a JSON body, nulls as nil, and passes it on unchanged", function()
    local reply = post("/shape?shape=object", '{"query":null,"a":[null,[]],"n":9007199254740991}',
      "application/json")
    assert.equal("application/json", reply.headers["content-type"])
    assert.matches('"same":{', reply.body, 1, true)
    for _, part in ipairs { '"query":null', '"a":[null,[]]', '"n":9007199254740991',
        '"query":"nil"' } do
      assert.is_truthy(reply.body:find(part, 1, true), part)
    end
  end)

  it("answers 415 and 400 for bodies that are not the JSON asked for", function()
    assert.equal(415, post("/shape", "{}", "text/plain").status)
    assert.equal(415, post("/shape", "{}").status)
    local reply = post("/shape", '{"a":\n,}', "application/json")
    assert.equal(400, reply.status)
    assert.same({ code = "bad_request", request_id = reply.headers["x-request-id"],
      message = "the body is not JSON: line 2, column 1: expected a value, got ','" },
      cjson.decode(reply.body).error)
    assert.equal(400, post("/shape?shape=object", "[]", "application/json").status)
    assert.equal(400, post("/shape?shape=array", "{}", "application/json").status)
  end)

  it("answers 500 for a status that is none, and logs the author's line (L14)", function()
    for _, which in ipairs { "zero", "text", "low", "high", "half", "early" } do
      local reply = get("/status?which=" .. which)
      assert.equal(500, reply.status)
      assert.matches("^status%.lua:6: status must be an integer 200%.%.599", logged(reply))
    end
  end)

  it("sends nothing of a header with a line break (L15)", function()
    local reply = get "/header"
    assert.equal(500, reply.status)
    assert.is_nil(reply.headers["set-cookie"])
    assert.matches("^header%.lua:5: headers: X: ", logged(reply))
  end)

  it("refuses values that JSON cannot say, and lives on (L22)", function()
    local body = get("/encode").body
    for _, message in ipairs { "a table that contains itself", "NaN", "more than 128 levels",
        "an array whose item 2 is missing", "more than 33554432 bytes", "a function" } do
      assert.is_truthy(body:find(message, 1, true), message)
    end
  end)

  it("names the nearest field for a typing error", function()
    assert.matches("^typo%.lua:5: a request has no field 'metod': did you mean request%.method%?",
      logged(get "/typo"))
  end)

  it("says that a request is over to who kept it", function()
    assert.equal("kept", get("/ended").body)
    assert.equal("closed", get("/late").body)
  end)

  it("renders a page", function()
    local reply = get "/page?name=%3Cb%3E%27%3C%2Fscript%3E"
    assert.equal("text/html; charset=utf-8", reply.headers["content-type"])
    assert.equal("<p>&lt;b&gt;&#39;&lt;/script&gt;</p>"
      .. [[<script>x = "\u003cb\u003e'\u003c/script\u003e"</script>]], reply.body)
  end)

  it("refuses a page with a value where none is safe, naming both files and lines", function()
    local reply = get "/bad_page"
    assert.equal(500, reply.status)
    assert.matches("^bad_page%.lua:5: bad%.html:2: {{ name }} may not stand in a style sheet",
      logged(reply))
  end)

  it("serves files of the package, and nothing outside of it", function()
    local reply = get "/file?path=assets/a.css"
    assert.equal(200, reply.status)
    assert.equal("text/css; charset=utf-8", reply.headers["content-type"])
    local again = get("/file?path=assets/a.css", { ["If-None-Match"] = reply.headers["etag"] })
    assert.same({ 304, "" }, { again.status, again.body })
    local part = get("/file?path=assets/a.css", { Range = "bytes=0-3" })
    assert.same({ 206, "body", "bytes 0-3/2000" },
      { part.status, part.body, part.headers["content-range"] })
    local packed = get("/file?path=assets/a.css", { ["Accept-Encoding"] = "gzip" })
    assert.equal("gzip", packed.headers["content-encoding"])
    assert.is_true(#packed.body < 200)
    for _, path in ipairs { "../../secret.txt", "/etc/passwd", "missing", "assets", "", ".",
        "a%00b", "assets/a.css%00.html" } do
      local refused = get("/file?path=" .. path)
      assert.same({ 404, "not_found" }, { refused.status, code_of(refused) })
      assert.equal(500, get("/read?path=" .. path).status)
    end
  end)

  it("answers HEAD for a file with its length and no body", function()
    local reply = server:request { endpoint = "library", target = "/file?path=assets/a.css",
      method = "HEAD" }
    assert.same({ 200, "2000", "" }, { reply.status, reply.headers["content-length"], reply.body })
  end)

  it("redirects, aborts, and sends nothing", function()
    local reply = get "/redirect"
    assert.same({ 307, "/elsewhere?x=1" }, { reply.status, reply.headers["location"] })
    local aborted = get "/abort"
    assert.same({ 409, "name_taken" }, { aborted.status, code_of(aborted) })
    local empty = get "/empty"
    assert.same({ 204, "" }, { empty.status, empty.body })
    assert.is_nil(empty.headers["content-type"])
  end)

  it("reads cookies and forms", function()
    local reply = server:request { endpoint = "library", target = "/cookies", method = "POST",
      body = "a=1&b=x+y", headers = { { "Cookie", "c=1; d=\"2\"" },
        { "Content-Type", "application/x-www-form-urlencoded" } } }
    assert.same({ cookies = { c = "1", d = "2" }, form = { a = "1", b = "x y" } },
      cjson.decode(reply.body))
  end)

  it("has hashes and encodings", function()
    assert.equal("YWJj e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      get("/bytes").body)
  end)
end)
