-- GET /countdown/<from>: a generator. Each coroutine.yield(piece) reaches the client at once; the
-- next one is asked for when the client has room for it.
local moonhook = require "moonhook"

local PAUSE_MS = 200

---@class Countdown: Handler
local Countdown = {}

function Countdown:invoke(request, values)
  if values.from > 100 then moonhook.abort(400, "count down from 100 at most") end
  return moonhook.Response(function()
    for number = values.from, 1, -1 do
      coroutine.yield(number .. "\n")
      moonhook.sleep(PAUSE_MS)
    end
    coroutine.yield "Liftoff!\n"
  end)
end

return Countdown
