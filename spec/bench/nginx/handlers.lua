-- The bench's five handlers as one writes them for nginx-lua. An event is flushed as it is made,
-- because its author cannot know how long the next one will take.
-- luacheck: globals ngx
local cjson = require "cjson"

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

function handlers.relay()
  local body = cjson.encode {
    model = ngx.var.arg_how,
    messages = { { role = "user", content = "Say something." } },
    stream = true,
  }
  local socket = ngx.socket.tcp()
  assert(socket:connect("127.0.0.1", tonumber(ngx.var.upstream_port)))
  assert(socket:send {
    "POST /v1/chat/completions HTTP/1.1\r\nHost: fake\r\nContent-Type: application/json\r\n",
    "Content-Length: ", #body, "\r\n\r\n", body,
  })
  repeat local line = assert(socket:receive "*l") until line == ""

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

function handlers.idle()
  ngx.header.content_type = "text/event-stream"
  ngx.print "data: hello\n\n"
  ngx.flush(true)
  ngx.sleep(600)
end

return handlers
