-- What a request and its reply may carry, on the real binary.
local cjson = require "cjson"
local echo = require "spec.host.echo"
local http = require "spec.support.http"
local process = require "spec.support.process"
local replies = require "spec.host.replies"

describe("an exchange", function()
  local server

  -- 20 MB are some 25 ms of processor time, on a machine that has much else to do more than 100.
  setup(function() server = echo.start { limits = { plugin_cpu_ms = 250 } } end)
  teardown(function() server:stop() end)

  local function request(options)
    options.target = echo.prefix .. options.target
    return server:request(options)
  end

  -- Sends bytes and `Connection: close` GET /calls behind them; gives all replies but the last.
  local function raw(bytes)
    local connection = server:connect()
    connection:send(bytes .. ("GET %s/calls HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
      :format(echo.prefix))
    local text, how = connection:receive_all(5)
    connection:close()
    assert.equal("closed", how)
    return text
  end

  describe("with Expect: 100-continue (H27)", function()
    local function head(len)
      return ("POST %s/echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
        .. "Expect: 100-continue\r\n\r\n"):format(echo.prefix, len)
    end

    it("says 100 within 50 ms, then answers the body", function()
      local connection = server:connect()
      connection:send(head(5))
      local started = process.now()
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", connection:receive_until("\r\n\r\n", 2))
      assert.is_true(process.now() - started < 0.05)
      connection:send "hello"
      local reply = http.read_head(connection)
      assert.equal(200, reply.status)
      assert.equal("hello", cjson.decode(reply:read_body()).body)
      connection:close()
    end)

    it("answers at once where no body is wanted", function()
      local connection = server:connect()
      connection:send((head(5):gsub("/echo", "/nowhere")))
      local reply = http.read_head(connection)
      assert.equal(404, reply.status)
      assert.same({}, reply.informational)
      assert.equal("close", reply.headers.connection)
      connection:close()
    end)

    it("leaves out the 100 where the body is there already", function()
      local list = replies.parse(raw(head(5) .. "hello"))
      assert.equal(2, #list)
      assert.equal("hello", cjson.decode(list[1].body).body)
    end)
  end)

  it("answers 200 pipelined requests in order (H29)", function()
    local parts = {}
    for i = 1, 200 do
      parts[i] = ("GET %s/path/%d HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix, i)
    end
    local list = replies.parse(raw(table.concat(parts)))
    assert.equal(201, #list)
    for i = 1, 200 do assert.equal("/path/" .. i, cjson.decode(list[i].body).path) end
  end)

  it("answers pipelined requests beyond what is kept", function()
    local one = ("GET %s/slow/%%d HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix)
    local connection = server:connect()
    connection:send(one:format(100) .. one:format(0):rep(1500))
    local count = 0
    while count < 1501 do
      assert.equal("slow", http.read_head(connection, { seconds = 10 }):read_body())
      count = count + 1
    end
    connection:close()
  end)

  describe("by HEAD (H30)", function()
    local function head_of(method, target)
      local list = {}
      local text = raw(("%s %s%s HTTP/1.1\r\nHost: t\r\n\r\n"):format(method, echo.prefix, target))
      for line in text:match("^(.-\r\n)\r\n"):gmatch "(.-)\r\n" do
        if not line:find "^Date" and not line:find "^X%-Request%-Id" then list[#list + 1] = line end
      end
      return list, text:match "\r\n\r\n(.*)$"
    end

    it("has the fields of GET and no body", function()
      local of_get = head_of("GET", "/whole/3")
      local of_head, rest = head_of("HEAD", "/whole/3")
      assert.same(of_get, of_head)
      assert.matches("^HTTP/1.1 200", rest)
    end)

    it("has no chunks where GET would have them", function()
      local of_head, rest = head_of("HEAD", "/big/3")
      assert.is_truthy(table.concat(of_head, "\n"):find("Transfer-Encoding: chunked", 1, true))
      assert.matches("^HTTP/1.1 200", rest)
    end)
  end)

  for _, status in ipairs { 204, 304 } do
    it(("of status %d has neither body nor framing (H31)"):format(status), function()
      local list = replies.parse(raw(("GET %s/empty/%d HTTP/1.1\r\nHost: t\r\n\r\n")
        :format(echo.prefix, status)))
      assert.equal(2, #list)
      assert.equal(status, list[1].status)
      assert.equal('"1"', list[1].headers.etag)
      assert.is_nil(list[1].headers["content-length"])
      assert.is_nil(list[1].headers["transfer-encoding"])
    end)
  end

  it("does not unpack bodies (H36)", function()
    local reply = request { target = "/json", body = "\31\139\8\0\0\0\0\0",
      headers = { ["Content-Encoding"] = "gzip", ["Content-Type"] = "application/json" } }
    assert.is_true(reply.status == 400 or reply.status == 415, reply.status)
  end)

  it("survives 100,000 open brackets (H38)", function()
    assert.equal(400, request { target = "/json", json = ("["):rep(100000) }.status)
  end)

  it("believes no proxy's fields (H41)", function()
    local told = cjson.decode(request { target = "/echo", headers = {
      { "Host", "real:80" }, { "X-Forwarded-For", "1.2.3.4" }, { "X-Original-Host", "evil" },
      { "X-Forwarded-Host", "evil" }, { "X-Forwarded-Proto", "https" },
      { "Forwarded", "for=1.2.3.4;host=evil" }, { "Dify-Hook-Url", "http://evil" },
      { "Dify-Hook-Id", "evil" }, { "X_Forwarded_For", "1" },
    } }.body)
    assert.equal("127.0.0.1", told.remote_addr)
    assert.equal("real:80", told.host)
    assert.equal("http", told.scheme)
    for _, field in ipairs(told.headers) do
      if field[1]:find "^Dify" then assert.is_nil(field[2]:find("evil", 1, true), field[2]) end
    end
  end)

  it("has 405 and Allow for another method, 404 for another path (H42)", function()
    local reply = request { method = "DELETE", target = "/calls" }
    assert.equal(405, reply.status)
    assert.equal("GET, HEAD", reply.headers.allow)
    assert.equal(404, request { target = "/nowhere" }.status)
  end)

  it("hands the query over byte for byte (H43)", function()
    local query = "b=2&a=1&a=3&bad=%zz&e="
    assert.equal(query, cjson.decode(request { target = "/echo?" .. query }.body).query)
    assert.equal("b=2\na=1\na=3\nbad=%zz\ne=", request { target = "/args?" .. query }.body)
    assert.equal("a b=c d\n小=", request { target = "/args?a+b=c%20d&%E5%B0%8F" }.body)
  end)

  it("keeps header fields' order, case, repeats and bytes", function()
    local reply = request { target = "/echo", headers = {
      { "X-B", "1" }, { "x-a", "2" }, { "X-b", "3" }, { "X-Latin", "caf\233" } } }
    local seen = {}
    for name, value in reply.body:gmatch '%["([xX]%-%w+)","([^"]*)"%]' do
      seen[#seen + 1] = name .. "=" .. value
    end
    assert.same({ "X-B=1", "x-a=2", "X-b=3" }, { seen[1], seen[2], seen[3] })
    assert.equal("1\n3", request { target = "/headers?name=X-B",
      headers = { { "X-B", "1" }, { "X-b", "3" } } }.body)
  end)

  it("decodes the path once", function()
    assert.equal("/path/a b/%41/小", cjson.decode(
      request { target = "/path/a%20b/%2541/%E5%B0%8F" }.body).path)
  end)

  it("refuses a path that is not UTF-8", function()
    assert.equal(400, request { target = "/path/%ff" }.status)
  end)

  it("reads urlencoded forms", function()
    assert.equal("a=1\nb=x y&\na=", request { target = "/form", body = "a=1&b=x+y%26&a",
      headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } }.body)
  end)

  it("reads multipart forms with files", function()
    local body = table.concat({ "--b", 'Content-Disposition: form-data; name="a"', "", "1\r\n2",
      "--b", 'Content-Disposition: form-data; name="f"; filename="小.txt"', "Content-Type: text/x",
      "", "file\r\n--bb", "--b--", "" }, "\r\n")
    local reply = request { target = "/form", body = body,
      headers = { ["Content-Type"] = 'multipart/form-data; boundary="b"' } }
    assert.equal("a=1\r\n2\nf: 小.txt (text/x) file\r\n--bb", reply.body)
  end)

  it("says what is wrong with a multipart form", function()
    local reply = request { target = "/form", body = "--b\r\n\r\n",
      headers = { ["Content-Type"] = "multipart/form-data; boundary=b" } }
    assert.equal(400, reply.status)
    assert.matches("part 1: no boundary after it", cjson.decode(reply.body).error.message)
  end)

  it("sends both of two cookies", function()
    assert.same({ "a=1", "b=2" }, request { target = "/cookies" }:values "Set-Cookie")
  end)

  it("has the host's framing, whatever the plugin says (L16)", function()
    local reply = request { target = "/framing" }
    assert.equal("0123456789", reply.body)
    assert.equal("10", reply.headers["content-length"])
    assert.equal("yes", reply.headers["x-kept"])
    for _, name in ipairs { "transfer-encoding", "connection", "keep-alive", "upgrade" } do
      assert.is_nil(reply.headers[name], name)
    end
    assert.same({ 1, 1 }, { #reply:values "Date", #reply:values "X-Request-Id" })
    assert.not_equal("yesterday", reply.headers.date)
    assert.not_equal("mine", reply.headers["x-request-id"])
  end)

  it("has a Date of now and a request id of its own", function()
    local first, second = request { target = "/calls" }, request { target = "/calls" }
    assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", first.headers.date)
    assert.matches("^" .. ("%x"):rep(32) .. "$", first.headers["x-request-id"])
    assert.not_equal(first.headers["x-request-id"], second.headers["x-request-id"])
  end)

  it("keeps the connection for the next request", function()
    local connection = server:connect()
    for _ = 1, 3 do
      assert.equal("0", server:request { target = echo.prefix .. "/calls",
        connection = connection }.body)
    end
    connection:close()
  end)

  it("streams in chunks, and in HTTP/1.0 until the connection closes", function()
    local chunked = request { target = "/big/100" }
    assert.equal("chunked", chunked.headers["transfer-encoding"])
    assert.equal(102400, #chunked.body)
    local plain = request { target = "/big/100", version = "1.0" }
    assert.is_nil(plain.headers["transfer-encoding"])
    assert.equal("close", plain.headers.connection)
    assert.equal(102400, #plain.body)
  end)

  it("sends 20 MB at once", function()
    local reply = request { target = "/whole/20000", seconds = 20 }
    assert.equal("20480000", reply.headers["content-length"])
    assert.equal(20480000, #reply.body)
  end)

  it("that breaks never looks finished", function()
    local connection = server:connect()
    connection:send(("GET %s/broken/2 HTTP/1.1\r\nHost: t\r\n\r\n"):format(echo.prefix))
    local text, how = connection:receive_all(5)
    assert.equal("closed", how)
    assert.matches("piece\n", text)
    assert.is_nil(text:find("\r\n0\r\n", 1, true))
    connection:close()
  end)

  it("that breaks before its first piece is an error, not a 200", function()
    assert.equal(500, request { target = "/broken/0" }.status)
  end)

  it("that is answered before its body came closes the connection", function()
    local connection = server:connect()
    connection:send(("POST %s/nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n")
      :format(echo.prefix) .. ("x"):rep(1000))
    local text, how = connection:receive_all(5)
    assert.equal("closed", how)
    assert.equal("close", replies.parse(text)[1].headers.connection)
    connection:close()
  end)
end)
