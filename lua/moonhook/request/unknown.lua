--- What reading a field says that a request does not have: the nearest one that it has.

local Error = require "moonhook.error"

local ELSEWHERE = { -- names from other frameworks
  json = "request:get_json()", get_body = "request:get_data()", body = "request:get_data()",
  data = "request:get_data()", query_string = "request.query", params = "request.args",
  uri = "request.url", ip = "request.remote_addr", remote_address = "request.remote_addr",
  user_agent = 'request.headers["User-Agent"]', content_type = 'request.headers["Content-Type"]',
  view_args = "the handler's argument `values`", settings = "the handler's argument `settings`",
  session = "self.session",
}

-- How many single-character changes lie between two words.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local above_left = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, above_left + cost)
      above_left, row[j] = row[j], best
    end
  end
  return row[#b]
end

local function nearest(name, fields, methods)
  local best, best_distance = nil, math.max(2, math.floor(#name / 2))
  local function try(candidate, text)
    local d = distance(name:lower(), candidate)
    if d < best_distance or (d == best_distance and best and text < best) then
      best, best_distance = text, d
    end
  end
  for field in pairs(fields) do try(field, "request." .. field) end
  for method in pairs(methods) do try(method, "request:" .. method .. "()") end
  return best
end

--- Raises at the author's line. Names that begin with `_` are the library's and the host's own.
return function(name, fields, methods)
  if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
  local hint = ELSEWHERE[name:lower()] or nearest(name, fields, methods)
  Error.blame(("a request has no field '%s'%s")
    :format(name:sub(1, 60), hint and ": did you mean " .. hint .. "?" or ""))
end
