-- The bench's handlers as one writes them for haproxy.
-- luacheck: globals core
local cjson = require "cjson"
local upstream_port = tonumber(os.getenv "UPSTREAM_PORT")

local function reply(applet, content_type, text)
  applet:set_status(200)
  applet:add_header("content-type", content_type)
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end

local function begin_events(applet)
  applet:set_status(200)
  applet:add_header("content-type", "text/event-stream")
  applet:add_header("transfer-encoding", "chunked")
  applet:start_response()
end

core.register_service("hello", "http", function(applet)
  reply(applet, "text/plain; charset=utf-8", "Hello, world!\n")
end)

core.register_service("json", "http", function(applet)
  local order = cjson.decode(applet:receive())
  local total = 0
  for _, item in ipairs(order.items) do total = total + item.price * item.count end
  order.total = total
  reply(applet, "application/json", cjson.encode(order))
end)

core.register_service("stream", "http", function(applet)
  begin_events(applet)
  for i = 1, 200 do applet:send('data: {"index":' .. i .. ',"text":"a few words"}\n\n') end
end)

core.register_service("idle", "http", function(applet)
  begin_events(applet)
  applet:send "data: hello\n\n"
  core.sleep(600)
end)

local file = assert(io.open(os.getenv "ASSETS" .. "/page.css"))
local style = file:read "a"
file:close()

core.register_service("asset", "http", function(applet) reply(applet, "text/css", style) end)

core.register_service("paced", "http", function(applet)
  local body = cjson.encode {
    model = "paced", messages = { { role = "user", content = "Say something." } }, stream = true,
  }
  local socket = core.tcp()
  socket:settimeout(60)
  assert(socket:connect("127.0.0.1", upstream_port))
  socket:send("POST /v1/chat/completions HTTP/1.1\r\nHost: fake\r\n"
    .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
  repeat local line = assert(socket:receive "*l") until line == ""
  begin_events(applet)
  while true do -- chunks of whole events: lines are enough to read them by
    local line = assert(socket:receive "*l")
    local data = line:match "^data: (.*)"
    if data == "[DONE]" then break end
    local choice = data and cjson.decode(data).choices[1]
    if choice then
      local reason = choice.finish_reason ~= cjson.null and choice.finish_reason or nil
      local event = { text = choice.delta.content or "", finish_reason = reason }
      applet:send("data: " .. cjson.encode(event) .. "\n\n")
    end
  end
  socket:close()
end)
