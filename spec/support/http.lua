--- A small HTTP/1.1 client for specs: strict about framing, and honest about time. Failures raise,
--- since a spec that does not expect one should end. Times are seconds.
---
---   local reply = http.request { port = 8080, target = "/e/x/hello" }
---   assert.equal(200, reply.status)
---
---   local reply = http.open { port = port, target = "/e/x/stream" } -- the head only
---   for piece, at in reply:pieces() do ... end                      -- as they arrive
local process = require "spec.support.process"
local tcp = require "spec.support.socket"

local now = process.now

local http = {}

---@class HttpReply
---@field status integer
---@field reason string
---@field version string  "1.1"
---@field headers table<string, string>  names in lower case; repeats are joined with ", "
---@field header_list string[][]  { name, value } as they came
---@field informational integer[]  statuses of 1xx replies that came before
---@field body string  after :read_body(), so always with http.request
---@field trailers string[][]
---@field started number  when the request was sent
local Reply = {}
Reply.__index = Reply

---@class HttpRequest
---@field port? integer
---@field url? string  instead of port: http://127.0.0.1:PORT/path, which target is appended to
---@field method? string  GET, or POST where there is a body
---@field target? string
---@field headers? table  { name = value } or { { name, value }, ... }
---@field body? string  Content-Length is added
---@field json? string  a body with Content-Type: application/json
---@field version? string  "1.1"
---@field seconds? number  for the whole exchange: 5
---@field connection? table  an open connection (keep-alive), of http.connect

local function resolve(request)
  if not request.url then return request.port, request.target or "/" end
  local port, target = request.url:match "^http://[%w.%-]+:(%d+)(.*)$"
  if not port then error("not a URL with a port: " .. request.url, 3) end
  if request.target then target = target .. request.target end
  return tonumber(port), target ~= "" and target or "/"
end

--- The bytes of a request.
function http.format(request)
  local port, target = resolve(request)
  local body = request.json or request.body
  local names, lines = {}, {}
  local function add(name, value)
    names[name:lower()] = true
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, value)
  end
  for name, value in pairs(request.headers or {}) do
    if type(name) == "number" then add(value[1], value[2]) else add(name, value) end
  end
  if not names.host then add("Host", "127.0.0.1:" .. (port or 80)) end
  if request.json and not names["content-type"] then add("Content-Type", "application/json") end
  if body and not names["content-length"] and not names["transfer-encoding"] then
    add("Content-Length", #body)
  end
  return ("%s %s HTTP/%s\r\n%s\r\n%s"):format(request.method or (body and "POST" or "GET"), target,
    request.version or "1.1", table.concat(lines), body or "")
end

local function must(value, what, reason, rest)
  if value then return value end
  error(("%s: %s; so far: %q"):format(what, reason, rest or ""), 3)
end

local function parse_fields(text)
  local list, map = {}, {}
  for line in text:gmatch "(.-)\r\n" do
    local name, value = line:match "^([^%s:]+):[ \t]*(.-)[ \t]*$"
    if not name then error("not a header line: " .. line, 0) end
    list[#list + 1] = { name, value }
    local key = name:lower()
    map[key] = map[key] and map[key] .. ", " .. value or value
  end
  return list, map
end

--- Reads a reply's head from a connection; 1xx replies are noted and passed over.
---@return HttpReply
function http.read_head(connection, options)
  options = options or {}
  local deadline = options.deadline or now() + (options.seconds or 5)
  local informational = {}
  while true do
    local text, reason, rest = connection:receive_until("\r\n\r\n", math.max(0, deadline - now()))
    must(text, "no reply", reason, rest)
    local version, status, phrase, fields =
      text:match "^HTTP/(%d%.%d) (%d%d%d) ([^\r\n]*)\r\n(.*)\r\n$"
    must(version, "not a reply's head", "malformed", text)
    status = tonumber(status)
    if status >= 200 then
      local list, map = parse_fields(fields)
      return setmetatable({
        version = version, status = status, reason = phrase, headers = map, header_list = list,
        informational = informational, connection = connection, started = options.started or now(),
        _deadline = deadline, _method = options.method,
      }, Reply)
    end
    informational[#informational + 1] = status
  end
end

--- All values of a header, in order.
function Reply:values(name)
  local values = {}
  for _, field in ipairs(self.header_list) do
    if field[1]:lower() == name:lower() then values[#values + 1] = field[2] end
  end
  return values
end

local function left(self)
  return math.max(0, self._deadline - now())
end

local function read_chunk(self)
  local connection = self.connection
  local line, reason, rest = connection:receive_until("\r\n", left(self))
  must(line, "no chunk", reason, rest)
  local digits = must(line:match "^(%x+)\r\n$", "not a chunk's length", "malformed", line)
  local len = tonumber(digits, 16)
  if len > 0 then
    local data, why, part = connection:receive_exactly(len + 2, left(self))
    must(data, "chunk cut off", why, part)
    assert(data:sub(-2) == "\r\n", "no CRLF after the chunk's data")
    return data:sub(1, -3)
  end
  local trailers = ""
  repeat
    local field, why, part = connection:receive_until("\r\n", left(self))
    trailers = trailers .. must(field, "trailers cut off", why, part)
  until field == "\r\n"
  self.trailers = parse_fields(trailers:sub(1, -3))
end

--- The next piece of the body and when it came (since the request was sent), nil at the end. A
--- piece is a chunk where the reply is chunked, else what one read gave.
function Reply:next_piece(seconds)
  if seconds then self._deadline = now() + seconds end
  if self._is_over then return nil end
  local piece, reason
  local length = tonumber(self.headers["content-length"])
  if self._method == "HEAD" or self.status == 204 or self.status == 304 then
    piece = nil
  elseif self.headers["transfer-encoding"] then
    assert(self.headers["transfer-encoding"] == "chunked", "an unknown transfer coding")
    assert(not length, "both Content-Length and Transfer-Encoding")
    piece = read_chunk(self)
  elseif length then
    self._missing = self._missing or length
    if self._missing > 0 then
      piece, reason = self.connection:receive(left(self))
      must(piece, ("body cut off, %d bytes missing"):format(self._missing), reason)
      if #piece > self._missing then
        self.connection:unread(piece:sub(self._missing + 1))
        piece = piece:sub(1, self._missing)
      end
      self._missing = self._missing - #piece
    end
  else
    piece, reason = self.connection:receive(left(self))
    if not piece and reason ~= "closed" then must(nil, "no end of the body", reason) end
  end
  self._is_over = piece == nil
  return piece, now() - self.started
end

--- Iterates over pieces and their arrival times.
function Reply:pieces()
  return function() return self:next_piece() end
end

--- Reads the body to its end into `body`; returns it.
function Reply:read_body()
  local pieces = {}
  for piece in self:pieces() do pieces[#pieces + 1] = piece end
  self.body = table.concat(pieces)
  return self.body
end

--- Closes the connection, without reading what is left.
function Reply:close()
  self.connection:close()
end

http.connect = tcp.connect

--- Sends a request and reads the reply's head; the body is left to be read in pieces.
---@param request HttpRequest
---@return HttpReply
function http.open(request)
  local seconds = request.seconds or 5
  local connection = request.connection or tcp.connect((resolve(request)), { seconds = seconds })
  local started = now()
  local ok, reason = connection:send(http.format(request), seconds)
  if not ok and reason ~= "closed" then error("cannot send the request: " .. reason, 2) end
  local method = request.method or (request.body or request.json) and "POST" or "GET"
  return http.read_head(connection,
    { method = method, deadline = started + seconds, started = started })
end

--- One whole exchange. The connection is closed, unless it was given.
---@param request HttpRequest
---@return HttpReply
function http.request(request)
  local reply = http.open(request)
  reply:read_body()
  if not request.connection then reply:close() end
  return reply
end

return http
