-- Header fields that the host alone may write, and one that it may not touch.
local moonhook = require "moonhook"

return function()
  return moonhook.Response("0123456789", {
    headers = { ["Transfer-Encoding"] = "chunked", Connection = "upgrade", ["Keep-Alive"] = "300",
      Upgrade = "x", Date = "yesterday", ["X-Request-Id"] = "mine", ["X-Kept"] = "yes" },
  })
end
