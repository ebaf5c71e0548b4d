--- Time as plugins see it.

local Error = require "moonhook.error"

local clock = {}

local MAX_DELAY_MS = 86400000

--- Seconds since 1970, whole.
---@return integer
function clock.time()
  return math.floor(require("host.clock").now())
end

--- Waits; other requests run meanwhile.
--- Raises an Error coded "cancelled" when the client leaves.
---@param delay_ms number  from 0 to 86400000, a day
function clock.sleep(delay_ms)
  if type(delay_ms) ~= "number" or not (delay_ms >= 0 and delay_ms <= MAX_DELAY_MS) then
    Error.blame("moonhook.sleep: delay_ms: expected milliseconds from 0 to 86400000 (a day), got "
      .. tostring(delay_ms))
  end
  local ok, code, message = require("host.timer").start(delay_ms)
  if ok == require("host.task").WAIT then
    ok, code, message = require("moonhook.coroutines").wait()
  end
  if not ok then error(Error.new(code or "cancelled", message), 0) end
end

return clock
