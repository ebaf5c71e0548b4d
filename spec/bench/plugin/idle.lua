-- GET /idle: one event, then silence.
local moonhook = require "moonhook"

return function()
  return moonhook.Response(function()
    coroutine.yield "data: hello\n\n"
    moonhook.sleep(600000)
  end, { content_type = "text/event-stream" })
end
