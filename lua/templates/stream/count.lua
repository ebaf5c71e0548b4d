-- GET /count/<int:to>: the body is a function, and each piece that it yields is sent at once.
local moonhook = require "moonhook"

return function(self, request, values)
  if values.to > 100 then moonhook.abort(400, "count to 100 at most") end
  return moonhook.Response(function()
    for number = 1, values.to do
      coroutine.yield(number .. "\n")
      moonhook.sleep(500)
    end
  end)
end
