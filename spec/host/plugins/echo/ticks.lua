-- An endless stream: a tick every so many milliseconds.
local moonhook = require "moonhook"

return function(_, _, values)
  return moonhook.Response(function()
    local ok, problem = pcall(function()
      while true do
        coroutine.yield "tick\n"
        moonhook.sleep(values.ms)
      end
    end)
    moonhook.log.info("ticks are over", { ok = ok, code = problem.code })
  end)
end
