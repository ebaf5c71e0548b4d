local moonhook = require "moonhook"

return function(_, request)
  return moonhook.Response.json { got = type(request:get_json()) }
end
