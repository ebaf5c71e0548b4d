-- POST /json {"numbers": [1, 2, 3]} -> {"count": 3, "sum": 6}
local moonhook = require "moonhook"

---@class Sum: Handler
local Sum = {}

function Sum:invoke(request)
  local body = request:get_json "object" -- 415, or 400 unless it is a JSON object
  if type(body.numbers) ~= "table" then moonhook.abort(400, "`numbers` must be an array") end
  local sum = 0
  for i, number in ipairs(body.numbers) do
    if type(number) ~= "number" then
      moonhook.abort(400, ("`numbers[%d]` must be a number"):format(i - 1))
    end
    sum = sum + number
  end
  return moonhook.Response.json { count = #body.numbers, sum = sum }
end

return Sum
