-- A reply as the client of a plugin sees it: the head, then piece by piece. Reading waits, and the
-- clock moves as far as it must.
local Error = require "moonhook.error"
local json = require "host.json"
local loop = require "moonhook.testing.loop"
local testbed = require "host.testbed"

---@class TestReply
---@field status integer
---@field headers table<string, string>  names in any case; repeats are joined with ", "
---@field body string  the whole of it; waits for its end
---@field times integer[]  when each piece came, in milliseconds since the request
local Reply = {}

local getters = {}
-- What comes with the head, or at the end.
local LATER =
  { status = true, headers = true, header_list = true, is_complete = true, times = true }

local meta = {
  __index = function(self, name)
    local getter = getters[name]
    if getter then return getter(self) end
    if Reply[name] ~= nil or LATER[name] or type(name) ~= "string" or name:sub(1, 1) == "_" then
      return Reply[name]
    end
    local known = { body = true }
    for _, names in ipairs { getters, Reply, LATER } do
      for member in pairs(names) do known[member] = true end
    end
    require("moonhook.strict").refuse("a reply", name, known)
  end,
}

local headers_meta = {
  __index = function(self, name)
    return type(name) == "string" and rawget(self, name:lower()) or nil
  end,
}

-- ---- reading ------------------------------------------------------------------------------------

local function parse_head(self)
  local head, rest = self._input:match "^(.-\r\n)\r\n(.*)$"
  if not head then return end
  local status, fields = head:match "^HTTP/1%.%d (%d%d%d)[^\r\n]*\r\n(.*)$"
  self._input = rest
  self.status = tonumber(status)
  self.headers, self.header_list = setmetatable({}, headers_meta), {}
  for name, value in fields:gmatch "([^:\r\n]+):[ \t]*(.-)\r\n" do
    local key = name:lower()
    local before = rawget(self.headers, key)
    self.headers[key] = before and before .. ", " .. value or value
    self.header_list[#self.header_list + 1] = { name, value }
  end
  self._has_no_body = self._method == "HEAD" or self.status == 204 or self.status == 304
end

local function finish(self)
  self._is_over = true
  loop.on_data[self._socket] = nil
  testbed.close_socket(self._socket)
end

local function keep(self, piece)
  if piece == "" then return end
  self._pieces[#self._pieces + 1] = piece
  self.times[#self._pieces] = testbed.now() - self._started
end

-- Takes whole chunks from what came.
local function parse_chunks(self)
  while true do
    local digits, from = self._input:match "^(%x+)[^\r\n]*\r\n()"
    local length = digits and tonumber(digits, 16)
    if not length or #self._input < from + length + 1 then return end
    local piece = self._input:sub(from, from + length - 1)
    self._input = self._input:sub(from + length + 2)
    if length == 0 then
      self.is_complete = true
      return finish(self)
    end
    keep(self, piece)
  end
end

local function parse_body(self)
  local length = tonumber(self.headers["content-length"])
  if self._has_no_body then
    self.is_complete = true
    finish(self)
  elseif self.headers["transfer-encoding"] then
    parse_chunks(self)
  elseif length and #self._input >= length then
    keep(self, self._input:sub(1, length))
    self.is_complete = true
    finish(self)
  end
end

local function on_data(self)
  local bytes, is_eof = testbed.read(self._socket)
  self._input = self._input .. bytes
  if not self.status then parse_head(self) end
  if self.status and not self._is_over then parse_body(self) end
  if is_eof and not self._is_over then finish(self) end
end

local function is_over(self)
  return self._is_over
end

--- Sends a request. Waits for the reply's head.
---@return TestReply
function Reply.open(port, bytes, method, title, place)
  local self = setmetatable({
    _socket = testbed.connect(port), _input = "", _pieces = {}, _next = 1, _is_over = false,
    _started = testbed.now(), _method = method, _title = title, _place = place, times = {},
    is_complete = false,
  }, meta)
  rawset(self, "status", nil)
  loop.on_data[self._socket] = function() on_data(self) end
  testbed.send(self._socket, bytes)
  loop.wait_for(function() return rawget(self, "status") ~= nil or is_over(self) end,
    "the reply of " .. title)
  if not self.status then
    Error.blame(title .. ": the connection was closed without a reply")
  end
  return self
end

-- ---- what specs ask -----------------------------------------------------------------------------

local function wait_for_end(self, what)
  loop.wait_for(function() return is_over(self) end, "the end of the reply of " .. self._title)
  if self._is_closed then
    Error.blame(("%s: the spec closed the reply of %s before its end"):format(what, self._title))
  elseif not self.is_complete then
    Error.blame(("%s: the reply of %s broke off after %d piece%s"):format(what, self._title,
      #self._pieces, #self._pieces == 1 and "" or "s"))
  end
end

local function check_self(self, name)
  if getmetatable(self) ~= meta then
    Error.blame(("%s: called with '.', expected reply:%s()"):format(name, name))
  end
end

function getters.body(self)
  wait_for_end(self, "body")
  return table.concat(self._pieces)
end

--- All pieces, as they were yielded; waits for the end. Raises when the reply broke off.
---@return string[]
function Reply:pieces()
  check_self(self, "pieces")
  wait_for_end(self, "pieces")
  local copy = {}
  for i, piece in ipairs(self._pieces) do copy[i] = piece end
  return copy
end

--- Waits for the next piece; nil at the end. Raises when the reply broke off.
---@return string? piece
function Reply:next_piece()
  check_self(self, "next_piece")
  loop.wait_for(function() return self._pieces[self._next] ~= nil or is_over(self) end,
    "a piece of the reply of " .. self._title)
  local piece = self._pieces[self._next]
  if piece then
    self._next = self._next + 1
    return piece
  end
  wait_for_end(self, "next_piece")
  return nil
end

--- Whether the reply broke off: the host ends it so when a handler fails in the middle. Waits for
--- the end.
---@return boolean
function Reply:is_broken()
  check_self(self, "is_broken")
  loop.wait_for(function() return is_over(self) end, "the end of the reply of " .. self._title)
  return not self.is_complete and not self._is_closed
end

--- The pieces that have come so far; waits for nothing, raises nothing.
function Reply:received()
  check_self(self, "received")
  local copy = {}
  for i, piece in ipairs(self._pieces) do copy[i] = piece end
  return copy
end

--- The body decoded from JSON; null members are nil.
---@return any
function Reply:json()
  check_self(self, "json")
  local body = self.body
  local value, problem = json.decode_plain(body)
  if problem then
    Error.blame(("json: the body of %s is not JSON: %s; it begins with %q")
      :format(self._title, problem, body:sub(1, 80)))
  end
  return value
end

-- One event from its lines.
local function parse_event(text)
  local event, data = {}, {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local name, value = line:match "^([^:]+):? ?(.*)$"
    if name == "data" then
      data[#data + 1] = value
    elseif name then
      event[name] = value
    end
  end
  if #data > 0 then event.data = table.concat(data, "\n") end
  return next(event) and event or nil
end

--- The server-sent events of the reply: { data, event?, id?, retry? }; waits for the end.
---@return { data: string?, event: string?, id: string?, retry: string? }[]
function Reply:events()
  check_self(self, "events")
  local events = {}
  for text in (self.body:gsub("\r\n", "\n") .. "\n\n"):gmatch "(.-)\n\n" do
    events[#events + 1] = parse_event(text)
  end
  return events
end

--- The client leaves: closes the connection, whatever is still to come. The plugin learns it the
--- next time that anything happens, so that a spec may look at what it did right afterwards.
function Reply:close()
  check_self(self, "close")
  if self._is_over then return end
  self._is_closed = true
  finish(self)
  loop.advance(1)
end

--- Whether it was read to its end, or closed.
function Reply.is_over(self)
  return self._is_over
end

function Reply.place(self)
  return self._title, self._place
end

--- Breaks it off, at the end of a spec.
function Reply.abandon(self)
  if self._is_over then return end
  self._is_closed = true
  finish(self)
end

return Reply
