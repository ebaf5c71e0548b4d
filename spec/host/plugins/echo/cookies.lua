local moonhook = require "moonhook"

return function()
  return moonhook.Response("", { headers = { ["Set-Cookie"] = { "a=1", "b=2" } } })
end
