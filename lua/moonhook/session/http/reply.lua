-- The reply of an outgoing call: status and headers, and a body that is a string or an iterator of
-- bytes. A reply that breaks off raises; it never ends quietly.
local Error = require "moonhook.error"
local coroutines = require "moonhook.coroutines"
local json = require "host.json"
local web = require "host.web"
local WAIT = require("host.task").WAIT

local Pieces, Reply = {}, {}
local reply = { methods = Reply, stream_methods = Pieces } -- for the spec of the annotations

local SAFE_MESSAGES = {
  upstream_error = "the upstream could not be reached or broke its protocol",
  upstream_timeout = "the upstream took too long to answer",
  upstream_truncated = "the upstream's answer broke off before its end",
}

--- The Error for what C reported. Its message may reach a client, the exact story is in `detail`.
function reply.failure(host, code, message, retry_after_s)
  message = message or code
  if code == "upstream_error" and message:find "^upstream_truncated" then
    code = "upstream_truncated"
  end
  return Error.new(code, SAFE_MESSAGES[code] or message:gsub("^" .. code .. ": ", ""),
    { host = host, detail = message, retry_after_s = retry_after_s })
end

-- --- an iterator over what arrives --------------------------------------------------------------

---@class HttpStream
Pieces.__index = Pieces

function Pieces:__call()
  if self._failure then error(self._failure, 0) end
  if self._is_over then return nil end
  self._is_begun = true
  local piece, code, message, retry_after_s = web.read(self._call)
  if piece == WAIT then
    piece, code, message, retry_after_s = coroutines.wait()
  end
  if piece ~= nil then return self._map and self._map(piece) or piece end
  self._is_over = true
  if code then
    self._failure = reply.failure(self._host, code, message, retry_after_s)
    error(self._failure, 0)
  end
end

--- Stops the call; the upstream learns at once. Later iterations give nothing.
function Pieces:close()
  self._is_begun, self._is_over = true, true
  web.close(self._call)
end

--- Reads all that is left: of bytes one string, of events an array.
function Pieces:collect()
  if getmetatable(self) ~= Pieces then
    Error.blame("collect: called with '.', expected ':collect()'")
  end
  local all, bytes = {}, 0
  for piece in self do
    all[#all + 1] = piece
    bytes = bytes + (self._map and 0 or #piece)
    if bytes > self._max_bytes then
      self:close()
      error(reply.failure(self._host, "upstream_error",
        ("response_too_large: more than %d bytes"):format(self._max_bytes)), 0)
    end
  end
  if self._map then return all end
  return table.concat(all)
end

-- --- the reply ----------------------------------------------------------------------------------

---@class HttpResponse
Reply.__index = Reply

--- The body as JSON. Raises an Error coded "upstream_error" when it is not.
function Reply:json()
  local text = self.body
  if type(text) ~= "string" then text = text:collect() end
  local value, message = json.decode_plain(text)
  if message then
    error(Error.new("upstream_error", "the upstream's answer is not JSON", { detail = message }), 0)
  end
  return value
end

--- Server-sent events: an iterator of { event?, data, id? }. Asks for `stream = true`.
function Reply:events()
  local body = self.body
  if type(body) == "string" then
    Error.blame "events: expected a reply that was asked for with stream = true"
  end
  if body._is_begun then Error.blame "events: the body was read already" end
  body._is_begun, body._is_over = true, true
  web.events(body._call)
  return setmetatable({
    _call = body._call,
    _host = body._host,
    _max_bytes = body._max_bytes,
    _map = function(data)
      local name, id = web.event(body._call)
      return { event = name ~= "" and name or nil, data = data, id = id ~= "" and id or nil }
    end,
  }, Pieces)
end

--- Gives up what was not read; for replies with `stream = true`.
function Reply:close()
  if type(self.body) ~= "string" then self.body:close() end
end

--- Takes over an open call whose head is there.
function reply.new(call, host, fields, max_bytes, is_streamed)
  local self = setmetatable(fields, Reply)
  local pieces = setmetatable({ _call = call, _host = host, _max_bytes = max_bytes }, Pieces)
  self.body = is_streamed and pieces or pieces:collect()
  return self
end

return reply
