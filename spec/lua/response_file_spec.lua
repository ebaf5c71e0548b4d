local library = require "spec.support.library"
local Response = require "moonhook.response"

local CSS = ("body { color: red }\n"):rep(100)
library.files["a.css"] = CSS
library.files["digits.bin"] = "0123456789"
library.files["short.txt"] = "hi"
library.files["empty.txt"] = ""

-- The reply to a request: status, body, and headers by name.
local function get(path, headers, method, options)
  local list = {}
  for name, value in pairs(headers or {}) do list[#list + 1] = { name, value } end
  local response = Response.file(path, options)
  response:_prepare((library.request { method = method, headers = list }))
  local by_name = {}
  for i = 1, #response._headers, 2 do by_name[response._headers[i]] = response._headers[i + 1] end
  return { status = response._status, body = response._body, headers = by_name }
end

describe("Response.file", function()
  it("sends a file with its type and a strong tag", function()
    local reply = get "short.txt"
    assert.same({ 200, "hi" }, { reply.status, reply.body })
    assert.equal("text/plain; charset=utf-8", reply.headers["Content-Type"])
    assert.equal("no-cache", reply.headers["Cache-Control"])
    assert.equal("bytes", reply.headers["Accept-Ranges"])
    assert.matches('^"%x+"$', reply.headers["ETag"])
  end)

  it("knows types by extension", function()
    for extension, kind in pairs { js = "text/javascript; charset=utf-8", svg = "image/svg+xml",
        PNG = "image/png", woff2 = "font/woff2", unknown = "application/octet-stream" } do
      library.files["x." .. extension] = "x"
      assert.equal(kind, get("x." .. extension).headers["Content-Type"])
    end
  end)

  it("takes a content type, a Cache-Control and headers of the author's", function()
    local reply = get("short.txt", nil, "GET", { content_type = "a/b",
      cache_control = "public, max-age=60", headers = { ["X-A"] = "1" } })
    assert.same({ "a/b", "public, max-age=60", "1" }, { reply.headers["Content-Type"],
      reply.headers["Cache-Control"], reply.headers["X-A"] })
  end)

  it("is 304 for who has it", function()
    local tag = get("short.txt").headers["ETag"]
    for _, known in ipairs { tag, "W/" .. tag, '"x", ' .. tag, "*" } do
      local reply = get("short.txt", { ["If-None-Match"] = known })
      assert.same({ 304, "" }, { reply.status, reply.body })
      assert.equal(tag, reply.headers["ETag"])
      assert.is_nil(reply.headers["Content-Type"])
    end
    assert.equal(200, get("short.txt", { ["If-None-Match"] = '"x"' }).status)
    assert.equal(304, get("short.txt", { ["If-None-Match"] = tag }, "HEAD").status)
    assert.equal(200, get("short.txt", { ["If-None-Match"] = tag }, "POST").status)
  end)

  it("packs text for who takes it, under a tag of its own", function()
    local plain = get "a.css"
    for _, accepted in ipairs { "gzip", "br, gzip;q=0.5", "*", "GZIP" } do
      local reply = get("a.css", { ["Accept-Encoding"] = accepted })
      assert.equal("gzip", reply.headers["Content-Encoding"])
      assert.equal("\31\139", reply.body:sub(1, 2))
      assert.not_equal(plain.headers["ETag"], reply.headers["ETag"])
    end
    for _, accepted in ipairs { "br", "gzip;q=0", "gzip; q=0.0, *", "identity" } do
      local reply = get("a.css", { ["Accept-Encoding"] = accepted })
      assert.is_nil(reply.headers["Content-Encoding"])
      assert.equal(CSS, reply.body)
      assert.equal("Accept-Encoding", reply.headers["Vary"])
    end
  end)

  it("is 304 without an encoding for who has the packed file", function()
    local tag = get("a.css", { ["Accept-Encoding"] = "gzip" }).headers["ETag"]
    local reply = get("a.css", { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = tag })
    assert.equal(304, reply.status)
    assert.is_nil(reply.headers["Content-Encoding"])
    assert.equal(200, get("a.css", { ["If-None-Match"] = tag }).status)
  end)

  it("does not pack what is short or packed already", function()
    library.files["a.png"] = CSS
    assert.is_nil(get("a.png", { ["Accept-Encoding"] = "gzip" }).headers["Content-Encoding"])
    assert.is_nil(get("short.txt", { ["Accept-Encoding"] = "gzip" }).headers["Content-Encoding"])
  end)

  it("sends one range", function()
    for range, expected in pairs { ["bytes=2-4"] = { "234", "bytes 2-4/10" },
        ["bytes=7-"] = { "789", "bytes 7-9/10" }, ["bytes=-3"] = { "789", "bytes 7-9/10" },
        ["bytes=0-0"] = { "0", "bytes 0-0/10" }, ["bytes=5-99"] = { "56789", "bytes 5-9/10" },
        ["bytes=-99"] = { "0123456789", "bytes 0-9/10" },
        ["BYTES = 1-1"] = { "1", "bytes 1-1/10" } } do
      local reply = get("digits.bin", { Range = range })
      assert.same({ 206, expected[1], expected[2] },
        { reply.status, reply.body, reply.headers["Content-Range"] })
    end
  end)

  it("is 416 for a range outside of the file", function()
    for _, range in ipairs { "bytes=10-", "bytes=99-100", "bytes=-0" } do
      local reply = get("digits.bin", { Range = range })
      assert.same({ 416, "", "bytes */10" },
        { reply.status, reply.body, reply.headers["Content-Range"] })
    end
    assert.equal(416, get("empty.txt", { Range = "bytes=0-" }).status)
  end)

  it("ignores ranges that it does not serve", function()
    for _, range in ipairs { "bytes=0-1,3-4", "bytes=4-2", "lines=1-2", "bytes=a-b", "bytes=-" } do
      assert.same({ 200, "0123456789" },
        { get("digits.bin", { Range = range }).status, get("digits.bin", { Range = range }).body })
    end
    assert.equal(200, get("digits.bin", { Range = "bytes=0-1" }, "HEAD").status)
  end)

  it("sends the whole file when it is another one than If-Range names", function()
    local tag = get("digits.bin").headers["ETag"]
    assert.equal(206, get("digits.bin", { Range = "bytes=0-1", ["If-Range"] = tag }).status)
    assert.equal(200, get("digits.bin", { Range = "bytes=0-1", ["If-Range"] = '"x"' }).status)
  end)

  it("does not pack a range", function()
    local reply = get("a.css", { Range = "bytes=0-9", ["Accept-Encoding"] = "gzip" })
    assert.same({ 206, CSS:sub(1, 10) }, { reply.status, reply.body })
    assert.is_nil(reply.headers["Content-Encoding"])
  end)

  it("answers each request by itself, whatever was asked before", function()
    local options, gzip = { cache_control = "no-store" }, { ["Accept-Encoding"] = "gzip" }
    local function ask(headers, method, with)
      local reply = get("a.css", headers, method, with)
      return { reply.status, reply.headers["Content-Encoding"] or "plain", #reply.body == #CSS,
        reply.headers["Cache-Control"] }
    end
    local tag, packed_tag = get("a.css").headers["ETag"], get("a.css", gzip).headers["ETag"]
    for _ = 1, 2 do
      assert.same({ 200, "plain", true, "no-cache" }, ask())
      assert.same({ 200, "gzip", false, "no-cache" }, ask(gzip))
      assert.same({ 206, "plain", false, "no-cache" }, ask { Range = "bytes=1-2" })
      assert.same({ 304, "plain", false, "no-cache" }, ask { ["If-None-Match"] = tag })
      assert.same({ 200, "gzip", false, "no-cache" },
        ask { ["If-None-Match"] = tag, ["Accept-Encoding"] = "gzip" })
      assert.same({ 304, "plain", false, "no-cache" },
        ask { ["If-None-Match"] = packed_tag, ["Accept-Encoding"] = "gzip" })
      assert.same({ 200, "plain", true, "no-store" }, ask(nil, "GET", options))
      assert.same({ 200, "gzip", false, "no-cache" }, ask(gzip, "HEAD"))
    end
  end)

  it("is 404 for a file that is not there", function()
    local _, err = pcall(Response.file, "../secret")
    assert.same({ "not_found", 404 }, { err.code, err.status })
    assert.is_nil(err.message:find("secret", 1, true))
  end)

  it("refuses mistakes at the author's line", function()
    local _, message = pcall(function()
      local response = Response.file("short.txt", { cache = "x" })
      return response
    end)
    assert.matches("response_file_spec%.lua:%d+: Response%.file: options: unknown cache", message)
  end)
end)
