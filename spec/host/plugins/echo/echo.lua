-- What arrived, as JSON.
local moonhook = require "moonhook"

return function(_, request)
  local headers = {}
  for name, value in request.headers:pairs() do headers[#headers + 1] = { name, value } end
  return moonhook.Response.json {
    method = request.method,
    path = request.path,
    raw_target = request.raw_target,
    query = request.query,
    host = request.host,
    remote_addr = request.remote_addr,
    scheme = request.scheme,
    headers = moonhook.json.array(headers),
    body = request:get_data(),
  }
end
