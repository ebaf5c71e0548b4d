-- An answer after so many milliseconds; what happened meanwhile is logged.
local moonhook = require "moonhook"

return function(_, _, values)
  local ok, problem = pcall(moonhook.sleep, values.ms)
  moonhook.log.info("slow is over", { ok = ok, code = not ok and problem.code or "" })
  if not ok then error(problem, 0) end
  return "slow"
end
