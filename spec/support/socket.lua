--- Raw TCP to loopback, for specs that care about single bytes. Times are seconds; nothing waits
--- longer than its deadline. Failures of the network are returned, not raised, but for connect.
local socket = require "socket"
local process = require "spec.support.process"

local now = process.now

local Connection = {}
Connection.__index = Connection

local tcp = {}

local function wrap(sock)
  sock:setoption("tcp-nodelay", true)
  return setmetatable({ _socket = sock, _buffer = "" }, Connection)
end

--- Connects. `options.receive_buffer`: SO_RCVBUF in bytes, for a client that reads slowly.
function tcp.connect(port, options)
  options = options or {}
  local sock = assert(socket.tcp4())
  if options.receive_buffer then
    assert(sock:setoption("recv-buffer-size", options.receive_buffer))
  end
  sock:settimeout(options.seconds or 5)
  local ok, message = sock:connect(options.host or "127.0.0.1", port)
  if not ok then
    error(("cannot connect to port %s: %s"):format(port, message), 2)
  end
  return wrap(sock)
end

--- Sends all the bytes. Returns true, or nil, "closed" | "timeout" and how many were sent.
function Connection:send(bytes, seconds)
  self._socket:settimeout(seconds or 5)
  local sent, message, last = self._socket:send(bytes)
  if sent then return true end
  return nil, message, last
end

--- Sends one byte at a time, each in a packet of its own as far as TCP lets us.
function Connection:send_bytewise(bytes, seconds)
  local deadline = now() + (seconds or 10)
  for i = 1, #bytes do
    local ok, message = self:send(bytes:sub(i, i), math.max(0, deadline - now()))
    if not ok then return nil, message, i - 1 end
  end
  return true
end

--- Sends in pieces cut at the given positions (the last byte of each piece).
function Connection:send_split(bytes, positions, seconds)
  local from = 1
  for _, position in ipairs(positions) do
    local ok, message = self:send(bytes:sub(from, position), seconds)
    if not ok then return nil, message, from - 1 end
    from = position + 1
    socket.sleep(0.001)
  end
  return self:send(bytes:sub(from), seconds)
end

--- Receives what is there, at least one byte. Returns bytes, or nil and "timeout" | "closed".
function Connection:receive(seconds)
  if self._buffer ~= "" then
    local bytes = self._buffer
    self._buffer = ""
    return bytes
  end
  self._socket:settimeout(seconds or 5)
  local first, message = self._socket:receive(1)
  if not first then return nil, message end
  self._socket:settimeout(0)
  local whole, _, part = self._socket:receive(65536)
  return first .. (whole or part)
end

--- Receives until `pattern` is found; returns the text up to its end. Else nil, reason, the text.
function Connection:receive_until(pattern, seconds)
  local deadline, text = now() + (seconds or 5), ""
  while true do
    local bytes, message = self:receive(math.max(0, deadline - now()))
    if not bytes then
      self._buffer = text
      return nil, message, text
    end
    text = text .. bytes
    local found_to = select(2, text:find(pattern))
    if found_to then
      self._buffer = text:sub(found_to + 1)
      return text:sub(1, found_to)
    end
  end
end

--- Receives exactly `count` bytes. Else nil, reason, what came.
function Connection:receive_exactly(count, seconds)
  local deadline, pieces, len = now() + (seconds or 5), {}, 0
  while len < count do
    local bytes, message = self:receive(math.max(0, deadline - now()))
    if not bytes then return nil, message, table.concat(pieces) end
    pieces[#pieces + 1] = bytes
    len = len + #bytes
  end
  local text = table.concat(pieces)
  self._buffer = text:sub(count + 1)
  return text:sub(1, count)
end

--- Receives until the other side closes. Returns the text and how it ended: "closed" (also a
--- reset), or "timeout" when it did not close within `seconds` (5).
function Connection:receive_all(seconds)
  local deadline, pieces = now() + (seconds or 5), {}
  while true do
    local bytes, message = self:receive(math.max(0, deadline - now()))
    if not bytes then return table.concat(pieces), message end
    pieces[#pieces + 1] = bytes
  end
end

--- Is the connection closed by the other side, within `seconds`? Received bytes are kept.
function Connection:is_closed(seconds)
  local text, how = self:receive_all(seconds or 1)
  self._buffer = text
  return how == "closed"
end

--- Puts bytes back, to be received first.
function Connection:unread(bytes)
  self._buffer = bytes .. self._buffer
end

--- Says that nothing more will be sent; reading goes on.
function Connection:half_close()
  return self._socket:shutdown("send")
end

function Connection:close()
  self._socket:close()
end

--- Closes with a RST instead of a FIN.
function Connection:reset()
  self._socket:setoption("linger", { on = true, timeout = 0 })
  self._socket:close()
end

local Listener = {}
Listener.__index = Listener

--- Listens on a free port of loopback: { port }, :accept(seconds), :close().
function tcp.listen(backlog)
  local sock = assert(socket.bind("127.0.0.1", 0, backlog))
  local _, port = sock:getsockname()
  return setmetatable({ port = tonumber(port), _socket = sock }, Listener)
end

function Listener:accept(seconds)
  self._socket:settimeout(seconds or 5)
  local sock, message = self._socket:accept()
  if not sock then return nil, message end
  return wrap(sock)
end

function Listener:close()
  self._socket:close()
end

--- A port that nothing listens on (for a moment).
function tcp.free_port()
  local listener = tcp.listen()
  listener:close()
  return listener.port
end

return tcp
