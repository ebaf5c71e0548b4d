-- The iterator that streaming session calls give: `for chunk in chunks do`. A stream ends quietly
-- only after its proper end; whatever else stops it raises, and again when it is asked again.
local Error = require "moonhook.error"

---@class Stream
local Stream = {}

local MEMBERS = { -- what a stream is not, but an answer would be
  answer = true, data = true, message = true, usage = true, metadata = true, outputs = true,
  conversation_id = true, message_id = true,
}

-- Whoever asks a stream for an answer's fields has forgotten that the call streams.
function Stream.__index(_, name)
  if MEMBERS[name] then
    Error.blame(name .. ": the call gives a stream, not an answer: read it with "
      .. "`for event in stream do`, take it whole with stream:collect(), or ask for one answer "
      .. "(response_mode = \"blocking\" for apps, stream = false for models)")
  end
  return Stream[name]
end

---@class StreamSource
---@field read fun(self: StreamSource): table?, table?  next value; nil at its end; nil, an Error
---@field close fun(self: StreamSource)  may come more than once
---@field collect fun(values: Stream): table  what the blocking call gives

-- Nothing more will come: it ended, or failed.
local function finish(self, failure)
  self._read, self._failure, self._is_over = false, failure or false, true
  self._source:close()
  if failure then error(failure, 0) end
end

--- Wraps a source and waits for its first value, so that a call that fails does so in `invoke`,
--- before a reply has begun.
---@param source StreamSource
function Stream.new(source)
  local stream = setmetatable({
    _source = source, _first = false, _failure = false, _is_begun = false, _is_over = false,
    _read = false, -- the source's, from the first value to the end
  }, Stream)
  local first, failure = source:read()
  if first == nil then finish(stream, failure) end
  stream._first = first or false
  return stream
end

-- The first value; nothing, or the failure again, when all is over.
local function begin(self)
  local first = self._first
  self._is_begun = true
  if self._failure then error(self._failure, 0) end
  if self._is_over then return nil end
  self._first, self._read = false, self._source.read
  return first
end

function Stream:__call()
  local read = self._read
  if not read then return begin(self) end
  local value, failure = read(self._source)
  if value ~= nil then return value end
  return finish(self, failure)
end

--- Stops the call. The upstream learns at once; later iterations give nothing.
function Stream:close()
  self._is_begun, self._is_over, self._first, self._read = true, true, false, false
  self._source:close()
end

--- Reads the stream to its end and gives what the blocking call would have given.
function Stream:collect()
  if getmetatable(self) ~= Stream then
    Error.blame("collect: called with '.', expected chunks:collect()")
  end
  if self._is_begun then
    Error.blame("collect: expected a stream that nobody has read from or closed")
  end
  local result = self._source.collect(self)
  return result
end

--- The failure of a stream whose sender stopped before the end that its format demands.
function Stream.truncated(backend, position)
  return Error.new("upstream_truncated", "the upstream's answer broke off before its end",
    { backend = backend, detail = "the stream ended after event " .. position })
end

--- The failure of a stream that carried something unreadable; the data itself is not repeated.
function Stream.malformed(backend, position, what)
  return Error.new("upstream_error",
    ("event %d of the upstream's answer is unreadable: %s"):format(position, what),
    { backend = backend, position = position })
end

return Stream
