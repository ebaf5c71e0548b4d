-- GET /stream: 200 events from a generator.
local moonhook = require "moonhook"

return function()
  return moonhook.Response(function()
    for i = 1, 200 do
      coroutine.yield('data: {"index":' .. i .. ',"text":"a few words"}\n\n')
    end
  end, { content_type = "text/event-stream" })
end
