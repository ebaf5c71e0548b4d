-- A reply of a status that has no body.
local moonhook = require "moonhook"

return function(_, _, values)
  return moonhook.Response("", { status = values.status, headers = { ETag = '"1"' } })
end
