-- The bench's handlers as one writes them for nginx-lua. An event is flushed as it is made,
-- because its author cannot know how long the next one will take.
-- luacheck: globals ngx
local cjson = require "cjson"
local ffi = require "ffi"

local handlers = {}

-- With its length, the reply needs no chunks.
local function reply(content_type, text)
  ngx.header.content_type = content_type
  ngx.header.content_length = #text
  ngx.print(text)
end

function handlers.hello()
  reply("text/plain; charset=utf-8", "Hello, world!\n")
end

function handlers.json()
  ngx.req.read_body()
  local order = cjson.decode(ngx.req.get_body_data())
  local total = 0
  for _, item in ipairs(order.items) do total = total + item.price * item.count end
  order.total = total
  reply("application/json", cjson.encode(order))
end

function handlers.stream()
  ngx.header.content_type = "text/event-stream"
  for i = 1, 200 do
    ngx.print('data: {"index":', i, ',"text":"a few words"}\n\n')
    ngx.flush(true)
  end
end

-- Reads a chunked reply; gives its pieces.
local function pieces(socket)
  return function()
    local size = assert(socket:receive "*l")
    local length = tonumber(size, 16)
    local piece = length > 0 and assert(socket:receive(length)) or nil
    assert(socket:receive "*l")
    return piece
  end
end

-- Cuts pieces into the data of events.
local function events(read_piece)
  local buffer, at = "", 1
  return function()
    while true do
      local first, last = buffer:find("\n\n", at, true)
      if first then
        local data = buffer:sub(at + 6, first - 1) -- after "data: "
        at = last + 1
        return data
      end
      local piece = read_piece()
      if not piece then return nil end
      buffer, at = buffer:sub(at) .. piece, 1
    end
  end
end

-- Asks the upstream; gives the socket, behind the reply's head.
local function ask(path, body)
  local socket = ngx.socket.tcp()
  local text = cjson.encode(body)
  assert(socket:connect("127.0.0.1", tonumber(ngx.var.upstream_port)))
  assert(socket:send {
    "POST ", path, " HTTP/1.1\r\nHost: fake\r\nContent-Type: application/json\r\n",
    "Content-Length: ", #text, "\r\n\r\n", text,
  })
  local length
  repeat
    local line = assert(socket:receive "*l")
    length = line:lower():match "^content%-length: *(%d+)" or length
  until line == ""
  return socket, tonumber(length)
end

function handlers.relay()
  local socket = ask("/v1/chat/completions", {
    model = ngx.var.uri == "/paced" and "paced" or "burst",
    messages = { { role = "user", content = "Say something." } },
    stream = true,
  })
  ngx.header.content_type = "text/event-stream"
  for data in events(pieces(socket)) do
    if data ~= "[DONE]" then
      local choice = cjson.decode(data).choices[1]
      if choice then
        local reason = choice.finish_reason ~= cjson.null and choice.finish_reason or nil
        local event = { text = choice.delta.content or "", finish_reason = reason }
        ngx.print("data: ", cjson.encode(event), "\n\n")
        ngx.flush(true)
      end
    end
  end
  socket:setkeepalive(60000, 1000)
end

function handlers.chat()
  ngx.req.read_body()
  local query = cjson.decode(ngx.req.get_body_data()).query
  local socket = ask("/v1/chat-messages", {
    query = query, inputs = {}, user = "bench", response_mode = "streaming",
  })
  ngx.header.content_type = "text/event-stream"
  for data in events(pieces(socket)) do
    ngx.print(cjson.encode(cjson.decode(data)), "\n\n")
    ngx.flush(true)
  end
  socket:setkeepalive(60000, 1000)
end

function handlers.embeddings()
  ngx.req.read_body()
  local socket, length = ask("/v1/embeddings", {
    input = cjson.decode(ngx.req.get_body_data()).input,
  })
  local answer = cjson.decode(assert(socket:receive(length)))
  socket:setkeepalive(60000, 1000)
  for _, item in ipairs(answer.data) do
    local floats = ffi.new("float[?]", #item.embedding, item.embedding)
    item.embedding = ngx.encode_base64(ffi.string(floats, ffi.sizeof(floats)))
  end
  reply("application/json", cjson.encode(answer))
end

function handlers.greedy()
  local number = 1
  ngx.header.content_type = "text/event-stream"
  while true do
    for _ = 1, 20000 do number = (number * 16807) % 2147483647 end
    ngx.print("data: ", number, "\n\n")
    ngx.flush(true)
  end
end

function handlers.idle()
  ngx.header.content_type = "text/event-stream"
  ngx.print "data: hello\n\n"
  ngx.flush(true)
  ngx.sleep(600)
end

return handlers
