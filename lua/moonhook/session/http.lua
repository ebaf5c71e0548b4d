-- session.http: calls to the world. Here a call is put together, sent, and followed through its
-- redirects; whether it may be made at all is decided in C, for each hop anew, by the permission,
-- the manifest's hosts and the address that the name resolves to.
local Error = require "moonhook.error"
local body = require "moonhook.session.http.body"
local check = require "moonhook.session.check"
local coroutines = require "moonhook.coroutines"
local fields = require "moonhook.session.http.headers"
local reply = require "moonhook.session.http.reply"
local url = require "moonhook.session.http.url"
local web = require "host.web"
local WAIT = require("host.task").WAIT

local http = {}

local MAX_REDIRECTS = 5
local MAX_BODY_BYTES = 10 * 1024 * 1024
local DAY_MS = 86400000

local function test_method(value, path)
  if not value:find "^[%w!#$%%&'*+.^_`|~-]+$" or value:upper() == "CONNECT" then
    return check.expected(path, "an HTTP method", value)
  end
end

local function test_ms(value, path)
  if value < 1 or value > DAY_MS then
    return check.expected(path, "milliseconds from 1 to 86400000", value)
  end
end

local function test_bytes(value, path)
  if value < 0 then return check.expected(path, "a number of bytes", value) end
end

local RULES = {
  { name = "url", kind = "string", required = true },
  { name = "method", kind = "string", test = test_method },
  { name = "headers", kind = "table", test = fields.test },
  { name = "query", kind = "table", test = body.test_fields },
  { name = "body", kind = "any", test = body.test },
  { name = "form", kind = "table", test = body.test_fields },
  { name = "files", kind = "table", test = body.test_files },
  { name = "stream", kind = "boolean" },
  { name = "follow", kind = "boolean" },
  { name = "max_bytes", kind = "number", test = test_bytes },
  { name = "timeout_ms", kind = "number", test = test_ms },
  { name = "connect_ms", kind = "number", test = test_ms },
  { name = "first_byte_ms", kind = "number", test = test_ms },
  { name = "idle_ms", kind = "number", test = test_ms },
}

-- --- one hop ------------------------------------------------------------------------------------

-- Pulls the function's pieces, one when the last has found room.
local function send_pieces(call, give)
  while true do
    local piece = give()
    if piece == nil then break end
    if type(piece) ~= "string" then
      Error.blame(("session.http: body: expected the function to return a string, or nil at the "
        .. "end, got a %s"):format(type(piece)))
    end
    local has_room, code, message = web.send(call, piece)
    if has_room == WAIT then
      has_room, code, message = coroutines.wait()
    end
    if has_room == nil then return nil, code, message end
    if not has_room then return true end -- it was answered already, or the head will say why not
  end
  web.send_end(call)
  return true
end

-- Sends a request and waits for the reply's head. Raises; gives the call and the status.
local function exchange(hop, times)
  local is_streamed = hop.body ~= nil and type(hop.body) ~= "string"
  local call, code, message = web.open(hop.method, hop.url, hop.headers,
    is_streamed or hop.body or "", times)
  if call == WAIT then
    call, code, message = coroutines.wait()
  end
  if not call then error(reply.failure(hop.host, code, message), 0) end
  if is_streamed then
    local is_fine, sent, why, text = pcall(send_pieces, call, hop.body)
    if not is_fine or sent == nil then
      web.close(call)
      error(is_fine and reply.failure(hop.host, why, text) or sent, 0)
    end
  end
  local status, retry_after_s
  status, code, message, retry_after_s = web.head(call)
  if status == WAIT then
    status, code, message, retry_after_s = coroutines.wait()
  end
  if not status then error(reply.failure(hop.host, code, message, retry_after_s), 0) end
  return call, status
end

-- --- redirects: RFC 9110, 15.4 -------------------------------------------------------------------

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local OF_A_BODY = {
  ["content-type"] = true, ["content-encoding"] = true, ["content-language"] = true,
  ["content-location"] = true,
}
local OF_AN_ORIGIN = { authorization = true, cookie = true }

local function becomes_get(status, method)
  if status == 303 then return method ~= "GET" and method ~= "HEAD" end
  return (status == 301 or status == 302) and method == "POST"
end

-- Names where a hop leads; raises when it may not be asked there.
local function locate(hop)
  local scheme, host, port, target = web.parse(hop.url)
  if not scheme then error(reply.failure(nil, host, port), 0) end
  local is_default = port == (scheme == "https" and 443 or 80)
  hop.host, hop.target = host, target
  hop.origin = ("%s://%s%s"):format(scheme, host, is_default and "" or ":" .. port)
  return hop
end

local function next_hop(hop, status, location)
  local new = locate {
    url = url.resolve(hop.origin, hop.target, location),
    method = hop.method, headers = hop.headers, body = hop.body,
  }
  if becomes_get(status, hop.method) then
    new.method, new.body = "GET", nil
    new.headers = fields.without(new.headers, OF_A_BODY)
  elseif new.body ~= nil and type(new.body) ~= "string" then
    error(Error.new("upstream_error", "the upstream redirects a body that can be sent only once",
      { host = hop.host }), 0)
  end
  if new.origin ~= hop.origin then new.headers = fields.without(new.headers, OF_AN_ORIGIN) end
  return new
end

-- --- the calls -----------------------------------------------------------------------------------

local function first_hop(title, call)
  local content, content_type, problem = body.encode(call)
  if problem then Error.blame(title .. ": " .. problem) end
  local flat = fields.flatten(call.headers)
  if content_type and not fields.has(flat, "content-type") then
    flat[#flat + 1] = "Content-Type"
    flat[#flat + 1] = content_type
  end
  return locate {
    url = url.prepare(call.url, call.query and url.query(call.query)),
    method = call.method and call.method:upper() or (content and "POST" or "GET"),
    headers = flat,
    body = content,
  }
end

-- The limits of the next hop: timeout_ms is for all of them together.
local function times_of(call, started)
  local times = {
    connect_ms = call.connect_ms, first_byte_ms = call.first_byte_ms, idle_ms = call.idle_ms,
  }
  if call.timeout_ms then
    local spent_ms = (require("host.clock").now() - started) * 1000
    times.total_ms = math.max(1, call.timeout_ms - math.max(0, spent_ms))
  end
  return times
end

local function perform(title, call)
  local hop = first_hop(title, call)
  local started, redirects = require("host.clock").now(), 0
  while true do
    local open, status = exchange(hop, times_of(call, started))
    local headers = fields.of_reply(web.headers(open))
    local location = call.follow ~= false and REDIRECTS[status] and headers.Location
    if not location then
      return reply.new(open, hop.host,
        { status = status, headers = headers, url = hop.origin .. hop.target },
        call.max_bytes or MAX_BODY_BYTES, call.stream)
    end
    web.close(open)
    redirects = redirects + 1
    if redirects > MAX_REDIRECTS then
      error(Error.new("too_many_redirects",
        ("the upstream redirected more than %d times"):format(MAX_REDIRECTS),
        { host = hop.host }), 0)
    end
    hop = next_hop(hop, status, location)
  end
end

--- Calls the world; waits for the reply, or with `stream` for its head.
---@param call HttpCall
---@return HttpResponse  whatever the status
--- Raises Error coded "permission_denied", "blocked_scheme", "blocked_host", "blocked_address",
--- "too_many_redirects", "upstream_error", "upstream_timeout", "upstream_truncated",
--- "upstream_unavailable", "cancelled".
function http:request(call)
  check.call("session.http:request", http, self, call, RULES)
  local response = perform("session.http:request", call)
  return response
end

-- The table of a shorthand's call, checked.
local function shorthand(title, self, address, options, more)
  if self == http and type(address) ~= "string" then
    Error.blame(title .. ": " .. check.expected("url", "a string", address))
  elseif options ~= nil and type(options) ~= "table" then
    Error.blame(title .. ": " .. check.expected("options", "a table", options))
  end
  local call = { url = address }
  for name, value in pairs(options or {}) do call[name] = value end
  for name, value in pairs(more) do call[name] = value end
  check.call(title, http, self, call, RULES)
  return call
end

--- GET; `options` as for request.
---@param address string
---@param options? table
---@return HttpResponse
function http:get(address, options)
  local call = shorthand("session.http:get", self, address, options, { method = "GET" })
  local response = perform("session.http:get", call)
  return response
end

--- POST; the body is a string, a table (as JSON) or a function; `options` as for request.
---@param address string
---@param content? string|table|function
---@param options? table
---@return HttpResponse
function http:post(address, content, options)
  local call = shorthand("session.http:post", self, address, options,
    { method = "POST", body = content })
  local response = perform("session.http:post", call)
  return response
end

return http
