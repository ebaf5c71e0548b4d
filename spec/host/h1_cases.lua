--- HTTP/1.1 byte by byte: what is sent, and the statuses that must come back, in order.
---
--- `closes`: the last reply says `Connection: close` and the connection is closed; nothing behind
--- the case is parsed. Otherwise the connection stays usable. /smuggled must never run, in no case.
--- Where the statuses of RFC 9110 leave a choice, the case has the one that this host takes.
local PREFIX = "/e/echo-hook"

local smuggled = ("GET %s/smuggled HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX)

-- A request with the given lines behind the request line, up to and with the empty one.
local function post(...)
  return ("POST %s/echo HTTP/1.1\r\nHost: t\r\n"):format(PREFIX)
    .. table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

local function get(...)
  local lines = { ("GET %s/echo HTTP/1.1"):format(PREFIX), ... }
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local CHUNKED = "Transfer-Encoding: chunked"

local cases = {}

local function refused(id, what, bytes, status)
  cases[#cases + 1] = { id = id, what = what, bytes = bytes, statuses = { status or 400 },
    closes = true }
end

local function answered(id, what, bytes, statuses, options)
  local case = { id = id, what = what, bytes = bytes, statuses = statuses }
  for name, value in pairs(options or {}) do case[name] = value end
  cases[#cases + 1] = case
end

-- Where one message ends and the next begins.
refused("H01", "both Content-Length and Transfer-Encoding",
  post("Content-Length: 4", CHUNKED) .. "0\r\n\r\n" .. smuggled)
refused("H02", "two Content-Lengths that differ",
  post("Content-Length: 5", "Content-Length: 6") .. "hello" .. smuggled)
refused("H02b", "two Content-Lengths that agree",
  post("Content-Length: 5", "Content-Length: 5") .. "hello" .. smuggled)
refused("H02c", "a list of Content-Lengths", post("Content-Length: 5, 5") .. "hello" .. smuggled)
refused("H03", "a Content-Length with a sign", post("Content-Length: +5") .. "hello")
refused("H03b", "a negative Content-Length", post("Content-Length: -5") .. "hello")
refused("H03c", "a Content-Length in hex", post("Content-Length: 0x5") .. "hello")
refused("H04", "a Content-Length of 2^64", post("Content-Length: 18446744073709551616"))
refused("H05", "a space before the colon", post("Content-Length : 5") .. "hello")
refused("H06", "chunked is not the last coding",
  post("Transfer-Encoding: chunked, identity") .. "0\r\n\r\n")
refused("H06b", "a coding that nobody knows",
  post("Transfer-Encoding: gzip, chunked") .. "0\r\n\r\n" .. smuggled)
refused("H06c", "chunked twice", post(CHUNKED, CHUNKED) .. "0\r\n\r\n" .. smuggled)
refused("H06d", "chunked with a control character in front",
  post("Transfer-Encoding: \vchunked") .. "0\r\n\r\n" .. smuggled)
refused("H07", "0x in front of a chunk's length", post(CHUNKED) .. "0x5\r\nhello\r\n0\r\n\r\n")
refused("H08", "a chunk's length that overflows", post(CHUNKED) .. "FFFFFFFFFFFFFFFFF\r\nhello")
refused("H08b", "a negative chunk's length", post(CHUNKED) .. "-5\r\nhello\r\n0\r\n\r\n")
refused("H09", "a bare LF behind a chunk extension",
  post(CHUNKED) .. "5;a\nhello\r\n0\r\n\r\n")
refused("H09b", "two CRs in a chunk's line",
  post(CHUNKED) .. "2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n" .. smuggled)
refused("H10", "no CRLF behind a chunk's data", post(CHUNKED) .. "5\r\nhelloX0\r\n\r\n")
refused("H37", "a Content-Length in the trailer",
  post(CHUNKED, "Trailer: Content-Length") .. "5\r\nhello\r\n0\r\nContent-Length: 999\r\n\r\n")
refused("H37b", "Transfer-Encoding in HTTP/1.0",
  ("POST %s/echo HTTP/1.0\r\n%s\r\n\r\n0\r\n\r\n%s"):format(PREFIX, CHUNKED, smuggled))

-- What a head may look like.
refused("H11", "lines that end with LF alone",
  ("GET %s/echo HTTP/1.1\nHost: t\n\n"):format(PREFIX))
refused("H12", "a bare CR in a value", get("Host: t", "X: a\rY: b"))
refused("H12b", "a bare CR that hides a field (CVE-2023-30589)",
  post("X-Abc: \rxTransfer-Encoding: chunked") .. "1\r\nA\r\n0\r\n\r\n")
refused("H13", "a zero byte in a value", get("Host: t", "X: a\0b"))
refused("H13b", "a DEL in a name", get("Host: t", "X\127: a"))
refused("H14", "a folded line", get("Host: t", "X: a", " b: c"))
refused("H15", "a space before the first field", get(" Host: t"))
refused("H16", "an empty name", get("Host: t", ": v"))
refused("H16b", "a line without a colon", get("Host: t", "X"))
refused("H17", "no Host", get())
refused("H17b", "two Hosts", get("Host: t", "Host: t"))
refused("H17c", "a Host with a path", get("Host: t/x"))
refused("H17d", "a Host with a user", get("Host: u@t"))
refused("H17e", "a Host with a space", get("Host: t t"))
refused("H17f", "a Host with a wrong port", get("Host: t:66000"))
refused("H17g", "an empty Host", get("Host:"))
refused("H17h", "a Host of an IPv6 address without its end", get("Host: [::1"))
refused("H18", "HTTP/1.2", ("GET %s/echo HTTP/1.2\r\nHost: t\r\n\r\n"):format(PREFIX), 505)
refused("H18b", "HTTP/2.0", ("GET %s/echo HTTP/2.0\r\nHost: t\r\n\r\n"):format(PREFIX), 505)
refused("H18c", "HTTP/0.9", ("GET %s/echo\r\n\r\n"):format(PREFIX), 505)
refused("H18d", "another protocol", ("GET %s/echo ICY/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H19", "a method that nobody knows",
  ("FOO %s/echo HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H19b", "a TLS handshake", "\22\3\1\2\0\1\0\1\252\3\3" .. ("\7"):rep(100))
refused("H20", "CONNECT", "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\nSECRET", 405)
refused("H35", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
refused("H27b", "an expectation that nobody knows",
  post("Content-Length: 5", "Expect: 200-ok") .. "hello", 417)

-- Targets.
refused("H21", "a space in the target",
  ("GET %s/a b HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H21b", "a fragment in the target",
  ("GET %s/echo#x HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H21c", "a relative target", "GET echo HTTP/1.1\r\nHost: t\r\n\r\n")
refused("H21d", "the asterisk of another method", "GET * HTTP/1.1\r\nHost: t\r\n\r\n")
refused("H21e", "an absolute target without a host",
  ("GET http://%s/echo HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H21f", "an absolute target of another scheme",
  ("GET ftp://t%s/echo HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
refused("H21g", "an absolute target with a user",
  ("GET http://u@t%s/echo HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX))
answered("H22", "an absolute target",
  ("GET http://other%s/echo HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX), { 200 },
  { json = { host = "other", path = "/echo" } })
answered("H23", "dot segments", ("GET %s/../../admin HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX),
  { 404 })
answered("H23b", "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", { 404 })
answered("H23c", "a zero byte in the path",
  ("GET %s/path/a%%00b HTTP/1.1\r\nHost: t\r\n\r\n"):format(PREFIX), { 400 })
refused("H24", "a target above 8 KiB",
  "GET /" .. ("a"):rep(8192) .. " HTTP/1.1\r\nHost: t\r\n\r\n", 414)

-- Sizes.
refused("H25", "a field of 40 KB", get("Host: t", "X: " .. ("a"):rep(40000)), 431)
refused("H25b", "fields above 32 KiB together",
  get("Host: t", (("X: " .. ("a"):rep(1000) .. "\r\n"):rep(40):sub(1, -3))), 431)
refused("H25c", "more than 100 fields", get("Host: t", ("X: a\r\n"):rep(101):sub(1, -3)), 431)
refused("H25d", "endless white space before a value", get("Host: t", "X: " .. (" "):rep(60000)),
  431)
refused("H25e", "endless empty lines", ("\r\n"):rep(30000), 431)
refused("H26", "an announced body above 10 MiB",
  post("Content-Length: 11000000", "Expect: 100-continue"), 413)
refused("H39b", "endless trailers",
  post(CHUNKED) .. "0\r\n" .. ("X: " .. ("a"):rep(1000) .. "\r\n"):rep(40) .. "\r\n", 431)
refused("H40", "20 KB of chunk extension",
  post(CHUNKED) .. "1;" .. ("x"):rep(20000) .. "\r\na\r\n0\r\n\r\n")
refused("H40b", "small chunk extensions that sum up",
  post(CHUNKED) .. ("1;xxxxxxxxx\r\na\r\n"):rep(500) .. "0\r\n\r\n")

-- What is fine.
answered("H28", "three pipelined requests", get("Host: t"):rep(3), { 200, 200, 200 })
answered("H28b", "pipelined requests with bodies",
  (post("Content-Length: 5") .. "hello"):rep(2)
    .. post(CHUNKED) .. "5\r\nhello\r\n0\r\n\r\n" .. get("Host: t"), { 200, 200, 200, 200 })
answered("H28c", "a few empty lines between requests",
  "\r\n" .. get("Host: t") .. "\r\n\r\n" .. get("Host: t"), { 200, 200 })
refused("H28d", "a bad request behind a good one",
  get("Host: t") .. "GET / HTTP/1.1\r\n\r\n" .. smuggled)
cases[#cases].statuses = { 200, 400 }
answered("H32", "a GET with a chunked body",
  get("Host: t", CHUNKED) .. "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n", { 200 },
  { json = { body = "hello world", method = "GET" } })
answered("H33", "bytes behind Connection: close", get("Host: t", "Connection: close") .. smuggled,
  { 200 }, { closes = true })
answered("H34", "HTTP/1.0 without a Host", ("GET %s/echo HTTP/1.0\r\n\r\n"):format(PREFIX), { 200 },
  { closes = true })
answered("H34b", "HTTP/1.0 that keeps alive",
  ("GET %s/echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):format(PREFIX):rep(2), { 200, 200 })
answered("H39", "65,536 chunks of one byte",
  post(CHUNKED) .. ("1\r\na\r\n"):rep(65536) .. "0\r\n\r\n", { 200 },
  { json = { body = ("a"):rep(65536) } })
answered("H44", "an upgrade that is not ours",
  get("Host: t", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), { 200 })
answered("H44b", "an upgrade to HTTP/2 with a body",
  post("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk",
    "Content-Length: 5") .. "hello", { 200 }, { json = { body = "hello" } })
answered("H45", "a Host of an IPv6 address", get("Host: [::1]:8080"), { 200 },
  { json = { host = "[::1]:8080" } })
answered("H46", "white space around a value, and an empty one",
  get("Host:\tt \t", "X-Empty:", "X-Blank:  "), { 200 }, { json = { host = "t" } })

return cases
