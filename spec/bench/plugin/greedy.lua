-- GET /greedy: computes for ever, and yields about once in a millisecond.
local moonhook = require "moonhook"

return function()
  return moonhook.Response(function()
    local number = 1
    while true do
      for _ = 1, 20000 do number = (number * 16807) % 2147483647 end
      coroutine.yield("data: " .. number .. "\n\n")
    end
  end, { content_type = "text/event-stream" })
end
