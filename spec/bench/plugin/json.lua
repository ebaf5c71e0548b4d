-- POST /json: an order of about 1 KB comes in, the same with its total goes out.
local moonhook = require "moonhook"

return function(_, request)
  local order = request:get_json "object"
  local total = 0
  for _, item in ipairs(order.items) do total = total + item.price * item.count end
  order.total = total
  return moonhook.Response.json(order)
end
