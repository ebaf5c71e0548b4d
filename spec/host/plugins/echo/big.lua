-- So many KiB, streamed in pieces of one. How many were asked for is logged when it ends.
local moonhook = require "moonhook"

return function(_, _, values)
  local piece = ("x"):rep(1024)
  return moonhook.Response(function()
    local sent = 0
    local ok, problem = pcall(function()
      for _ = 1, values.kilobytes do
        coroutine.yield(piece)
        sent = sent + 1
      end
    end)
    local code = not ok and problem.code or ""
    moonhook.log.info("big is over", { pieces = sent, ok = ok, code = code })
  end, { content_type = "application/octet-stream" })
end
