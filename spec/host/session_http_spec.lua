-- session.http on the real binary, against a web server that does what the path says.
local cjson = require "cjson"
local process = require "spec.support.process"
local web = require "spec.support.web"

local function resident_kib(host)
  local status = assert(io.open(("/proc/%d/status"):format(host:pid()))):read "*a"
  return tonumber(status:match "VmHWM:%s*(%d+)")
end

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil

describe("session.http", function()
  local server, other, caller

  setup(function()
    server = web.serve { "127.0.0.2:0" }
    other = web.serve { "127.0.0.3:0" }
    caller = web.start { allow = { "127.0.0.0/8" }, workers = 1 } -- each has its own pool
  end)

  teardown(function()
    caller:stop()
    server:stop()
    other:stop()
  end)

  before_each(function()
    caller:call { url = server.url .. "/echo" } -- closes the breaker
    server:forget()
    other:forget()
  end)

  local function echo(call)
    call.url = call.url or server.url .. "/echo"
    local result = caller:call(call)
    assert.equal(200, result.status, result.message)
    return cjson.decode(result.body)
  end

  -- The function of the session whose text this is, run in the plugin.
  local function run(text)
    return caller:run("return function(session) local base = '" .. server.url .. "'\n"
      .. text .. "\nend")
  end

  local function wait_seen(test)
    return process.eventually(function()
      for _, record in ipairs(server:seen()) do
        if test(record) then return record end
      end
    end, 3, "a request at the web server")
  end

  -- --- what is sent ------------------------------------------------------------------------------

  it("sends method, query, headers and body", function()
    local got = echo {
      url = server.url .. "/echo?a=1#not-sent", method = "put", body = "text",
      query = { b = "x y&z", c = { 1, 2 } }, headers = { ["X-One"] = "1", Many = { "a", "b" } },
    }
    assert.equal("PUT", got.method)
    assert.equal("/echo?a=1&b=x%20y%26z&c=1&c=2", got.url)
    assert.equal("text", got.body)
    assert.equal("1", got.headers["x-one"])
    assert.equal("a, b", got.headers.many)
    assert.equal("4", got.headers["content-length"])
    assert.equal(("127.0.0.2:%d"):format(server.port), got.headers.host)
  end)

  it("sends a table as JSON, a form, and files", function()
    local got = echo { body = { a = { 1, 2 } } }
    assert.equal("POST", got.method)
    assert.equal('{"a":[1,2]}', got.body)
    assert.equal("application/json", got.headers["content-type"])

    got = echo { form = { a = "x y", b = { "1", "&" } } }
    assert.equal("a=x+y&b=1&b=%26", got.body)
    assert.equal("application/x-www-form-urlencoded", got.headers["content-type"])

    local file = { name = "f", filename = 'a"b.txt', body = "file" }
    got = echo { form = { a = "1" }, files = { file } }
    local boundary = got.headers["content-type"]:match "^multipart/form%-data; boundary=(.+)$"
    assert.equal(table.concat {
      "--", boundary, '\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
      "--", boundary, '\r\nContent-Disposition: form-data; name="f"; filename="a%22b.txt"\r\n',
      "Content-Type: application/octet-stream\r\n\r\nfile\r\n--", boundary, "--\r\n",
    }, got.body)
  end)

  it("escapes what may not stand in a request line", function()
    local got = echo { url = server.url .. "/echo/ \r\nX: y?q=\195\164|" }
    assert.equal("/echo/%20%0D%0AX:%20y?q=%C3%A4%7C", got.url)
  end)

  it("keeps the connection for the next call", function()
    for _ = 1, 5 do echo {} end
    assert.is_true(server:_control("GET", "/_seen").connections <= 2)
  end)

  -- --- what comes back ---------------------------------------------------------------------------

  it("gives status, headers and body, whatever the status", function()
    local result, ok = run [[
      local response = session.http:get(base .. "/status/418")
      return { response.status, response.headers["X-WORD"], response.headers:get_all "set-cookie",
        response.body, response.url, response.headers.nothing == nil } ]]
    assert.is_true(ok)
    assert.same({ 418, "one", { "a=1", "b=2" }, "status 418", server.url .. "/status/418", true },
      result)
  end)

  it("gives no body to HEAD and 204", function()
    assert.equal("", caller:call({ url = server.url .. "/text?5", method = "HEAD" }).body)
    assert.equal("", caller:call({ url = server.url .. "/status/204" }).body)
  end)

  it("reads JSON, and says when it is none", function()
    local result = run [[ return session.http:get(base .. "/echo"):json().method ]]
    assert.equal("GET", result)
    result = run [[ return session.http:get(base .. "/text?5"):json() ]]
    assert.equal("upstream_error", result.code)
  end)

  it("refuses a body that is larger than it may be", function()
    local result = caller:call { url = server.url .. "/text?1001", max_bytes = 1000 }
    assert.equal("upstream_error", result.code)
    assert.matches("^response_too_large: ", result.detail)
    assert.equal(1000, #caller:call({ url = server.url .. "/text?1000", max_bytes = 1000 }).body)
  end)

  it("streams, piece by piece", function()
    local reply = caller.host:open { target = "/e/caller/stream",
      json = cjson.encode { url = server.url .. "/drip?3" } }
    local pieces = {}
    for piece in reply:pieces() do pieces[#pieces + 1] = piece end
    assert.equal("piece 1\npiece 2\npiece 3\n", table.concat(pieces))
    assert.is_true(#pieces > 1)
  end)

  it("gives server-sent events", function()
    local result = run [[
      local all = {}
      for event in session.http:get(base .. "/sse", { stream = true }):events() do
        all[#all + 1] = { event.event or "", event.data, event.id }
      end
      return all ]]
    assert.same({ { "", "one" }, { "named", "two\nlines", "5" } }, result)
  end)

  it("raises in the iterator when a reply is cut", function()
    local result, ok = run [[
      local response = session.http:get(base .. "/cut", { stream = true })
      local first, pieces = pcall(response.body), 0
      local fine, failure = pcall(function()
        for piece in response.body do pieces = pieces + 1 end
      end)
      local again = select(2, pcall(response.body))
      return { response.status, first, fine, failure.code, again.code } ]]
    assert.is_true(ok, result)
    assert.same({ 200, true, false, "upstream_truncated", "upstream_truncated" }, result)
    assert.equal("upstream_truncated", caller:call({ url = server.url .. "/cut" }).code)
  end)

  it("leaves the upstream when the iterator is closed", function()
    local result = run [[
      local response = session.http:get(base .. "/drip?100", { stream = true })
      local piece = response.body()
      response.body:close()
      return { piece, response.body() == nil } ]]
    assert.same({ "piece 1\n", true }, result)
    local record = wait_seen(function(item) return item.is_closed end)
    assert.is_false(record.is_whole)
  end)

  -- --- a streamed body ---------------------------------------------------------------------------

  local function upload(call)
    return cjson.decode(caller:post("/upload", call).body)
  end

  it("streams a body that a function gives", function()
    local result = upload { url = server.url .. "/echo", pieces = 3, bytes = 4 }
    assert.equal(200, result.status)
    local got = cjson.decode(result.body)
    assert.equal("pppppppppppp", got.body)
    assert.equal("POST", got.method)
    assert.equal("chunked", got.headers["transfer-encoding"])
    assert.is_nil(got.headers["content-length"])
  end)

  it("asks for the next piece only when the last has found room", function()
    local before = resident_kib(caller.host)
    local result = upload { url = server.url .. "/slow", pieces = 160, bytes = 100000 }
    assert.equal(200, result.status, result.code)
    assert.equal(16000000, cjson.decode(result.body).body_bytes)
    assert.equal(160, result.given)
    local grown = resident_kib(caller.host) - before
    assert.is_true(is_slow_build or grown < 4096, grown)
  end)

  it("stops asking when the answer is there before the body's end", function()
    local result = upload { url = server.url .. "/early", pieces = 100000, bytes = 10000 }
    assert.equal(413, result.status, result.code)
    assert.is_true(result.given < 5000, result.given)
  end)

  it("does not send it twice", function()
    local result = upload { url = server.url .. "/to/307?/echo", pieces = 2, bytes = 4 }
    assert.equal("upstream_error", result.code)
  end)

  it("gives up the call when the function raises, or gives what is no string", function()
    local result = run [[ return session.http:post(base .. "/echo", function() error "mine" end) ]]
    assert.equal("chunk:2: mine", result)
    result = run [[
      local x = session.http:post(base .. "/echo", function() return 5 end)
      return x ]]
    assert.matches("^chunk:2: session.http: body: expected .* a number$", result)
    assert.matches("alive", caller.host:request({ target = "/e/caller/probe" }).body)
  end)

  it("passes one stream on into another", function()
    local result = run [[
      local source = session.http:get(base .. "/drip?3", { stream = true })
      return session.http:post(base .. "/echo", source.body):json().body ]]
    assert.equal("piece 1\npiece 2\npiece 3\n", result)
  end)

  -- --- redirects ---------------------------------------------------------------------------------

  it("follows relative redirects", function()
    for to, path in pairs {
      ["/echo/a?b=1#c"] = "/echo/a?b=1", ["?x"] = "/to/302?x", ["../echo/./b"] = "/echo/b",
      ["//127.0.0.2:" .. server.port .. "/echo/c"] = "/echo/c",
    } do
      server:forget()
      caller:call { url = server.url .. "/to/302?" .. to }
      assert.equal(path, server:seen()[2].url)
    end
  end)

  it("makes a GET of a POST where RFC 9110 says so, and keeps it elsewhere", function()
    for status, method in pairs { [301] = "GET", [302] = "GET", [303] = "GET", [307] = "POST",
        [308] = "POST" } do
      local got = echo { url = ("%s/to/%d?/echo"):format(server.url, status), body = { a = 1 } }
      assert.equal(method, got.method, status)
      assert.equal(method == "POST" and '{"a":1}' or "", got.body)
      assert.equal(method == "POST", got.headers["content-type"] ~= nil)
    end
    for status, method in pairs { [302] = "PUT", [303] = "GET" } do
      local got = echo { url = ("%s/to/%d?/echo"):format(server.url, status), method = "PUT" }
      assert.equal(method, got.method)
    end
  end)

  it("takes credentials to no other origin", function()
    local headers = { Authorization = "Bearer x", Cookie = "a=1", ["X-Other"] = "1" }
    local got = echo { url = server.url .. "/to/302?/echo", headers = headers }
    assert.equal("Bearer x", got.headers.authorization)
    got = echo { url = server.url .. "/to/302?" .. other.url .. "/echo", headers = headers }
    assert.is_nil(got.headers.authorization)
    assert.is_nil(got.headers.cookie)
    assert.equal("1", got.headers["x-other"])
  end)

  it("gives the redirect itself when it is not to follow", function()
    local result = caller:call { url = server.url .. "/to/302?/echo", follow = false }
    assert.equal(302, result.status)
    assert.equal("/echo", result.headers.location)
    assert.equal("moved", result.body)
  end)

  it("gives a redirect without a place as it is", function()
    assert.equal(302, caller:call({ url = server.url .. "/status/302" }).status)
  end)

  -- --- time --------------------------------------------------------------------------------------

  it("keeps to the limits of the call", function()
    local limits = { timeout_ms = "total_timeout", first_byte_ms = "first_byte_timeout" }
    for name, word in pairs(limits) do
      local started = process.now()
      local result = caller:call { url = server.url .. "/never", [name] = 150 }
      local seconds = process.now() - started
      assert.equal("upstream_timeout", result.code)
      assert.matches("^" .. word, result.detail)
      assert.is_true(seconds > 0.14 and seconds < (is_slow_build and 1 or 0.4), seconds)
    end
    local result = run [[ return session.http:get(base .. "/drip?9", { timeout_ms = 120 }) ]]
    assert.equal("upstream_timeout", result.code)
  end)

  it("does not hurry a function that gives the body slowly", function()
    local result = run [[
      local count = 0
      return session.http:post(base .. "/echo", function()
        count = count + 1
        if count > 3 then return nil end
        session:sleep(100)
        return "piece"
      end, { first_byte_ms = 150 }):json().body ]]
    assert.equal("piecepiecepiece", result)
  end)

  it("leaves the upstream at once, also while the handler waits for something else", function()
    local text = [[
      local response = session.http:get(base .. "/drip?100", { stream = true })
      pcall(session.sleep, session, 5000)
      pcall(function() session.storage:get "x" end)
      local fine, failure = pcall(response.body)
      session.log.info("left", { code = failure.code }) ]]
    local connection = caller.host:connect()
    local body = ("return function(session) local base = '%s'\n%s\nend"):format(server.url, text)
    connection:send(("POST /e/caller/run HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s")
      :format(#body, body))
    wait_seen(function() return true end)
    connection:close()
    local started = process.now()
    wait_seen(function(item) return item.is_closed end)
    assert.is_true(process.now() - started < 0.1 + (is_slow_build and 0.4 or 0.05))
    assert.equal("cancelled", caller.host:wait_record({ msg = "left" }, 2).code)
  end)

  it("is cancelled with its request, within 100 ms", function()
    for _, path in ipairs { "/never", "/drip?100" } do
      server:forget()
      local connection = caller.host:connect()
      local body = cjson.encode { url = server.url .. path }
      connection:send(("POST /e/caller/stream HTTP/1.1\r\nHost: t\r\nContent-Type: "
        .. "application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
      wait_seen(function() return true end)
      connection:close()
      local started = process.now()
      wait_seen(function(item) return item.is_closed end)
      assert.is_true(process.now() - started < 0.1 + (is_slow_build and 0.4 or 0.05))
    end
  end)

  -- --- arguments ---------------------------------------------------------------------------------

  it("raises at the caller's line", function()
    local cases = {
      { "session.http:request {}",
        "url: expected a string, got nil" },
      { "session.http:request 'x'",
        "argument: expected one table of named values, got \"x\"" },
      { "session.http.request { url = base }",
        "called with '.', expected ':'" },
      { "session.http:request { url = base, metod = 'x' }",
        "unknown argument 'metod', did you mean" },
      { "session.http:request { url = base, method = 'A B' }",
        "method: expected an HTTP method" },
      { "session.http:request { url = base, body = true }",
        "body: expected a string, a table" },
      { "session.http:request { url = base, body = '', form = {} }",
        "body: expected either" },
      { "session.http:request { url = base, headers = { ['a b'] = '1' } }",
        "headers: expected header" },
      { "session.http:request { url = base, headers = { a = '1\\r\\nb: 2' } }",
        "no control characters" },
      { "session.http:request { url = base, headers = { Host = 'x' } }",
        "the host sets this field" },
      { "session.http:request { url = base, query = { a = {{}} } }",
        'query%["a"%]: expected a string' },
      { "session.http:request { url = base, files = { {} } }",
        "files%[1%].body: expected a string" },
      { "session.http:request { url = base, timeout_ms = 0 }",
        "timeout_ms: expected milliseconds" },
      { "session.http:request { url = base, body = { print } }",
        "body: " },
      { "session.http:get(5)",
        "session.http:get: url: expected a string, got 5" },
      { "session.http:post(base, '', 5)",
        "session.http:post: options: expected a table, got 5" },
      { "session.http:get(base):events()",
        "events: expected a reply that was asked for with stream" },
    }
    for _, case in ipairs(cases) do
      local text, message = case[1], case[2]
      local result, ok = run("local x = " .. text .. "; return x")
      assert.is_false(ok)
      assert.matches("^chunk:2: ", result, text)
      assert.matches(message, result, text)
    end
  end)
end)
