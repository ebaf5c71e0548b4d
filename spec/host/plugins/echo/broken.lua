-- Breaks after so many pieces.
local moonhook = require "moonhook"

return function(_, _, values)
  return moonhook.Response(function()
    for _ = 1, values.pieces do coroutine.yield "piece\n" end
    error "broken on purpose"
  end)
end
