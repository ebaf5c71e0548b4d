--- The admin API of a host that spec.support.host has started.
---
---   local api = admin.of(server)
---   local endpoint = api:ask("POST", "/endpoints", { plugin = "echo" }, 201)
local cjson = require "cjson"
local http = require "spec.support.http"

local admin = {}

---@class Admin
local Admin = {}
Admin.__index = Admin

--- With the key of the host's data folder, or the one that is given; false: none.
function admin.of(server, key)
  if key == nil then
    local file = assert(io.open(server.dir .. "/data/admin.key"))
    key = file:read "*l"
    file:close()
  end
  return setmetatable({ server = server, key = key }, Admin)
end

--- One exchange; `path` is behind /api/v1, or whole when it begins with /api or is no path of it.
---@param body? table|string  a table is encoded
---@return HttpReply
function Admin:request(method, path, body, options)
  options = options or {}
  local headers = options.headers or {}
  if self.key and not headers.Authorization then headers.Authorization = "Bearer " .. self.key end
  return http.request { port = self.server.admin_port, method = method,
    target = options.is_whole and path or "/api/v1" .. path, headers = headers,
    json = type(body) == "table" and cjson.encode(body) or body }
end

--- The decoded answer, which must have this status.
function Admin:ask(method, path, body, status)
  local reply = self:request(method, path, body)
  if reply.status ~= (status or 200) then
    error(("%s %s: %s %s"):format(method, path, tostring(reply.status), reply.body), 2)
  end
  return reply.body ~= "" and cjson.decode(reply.body) or nil
end

--- The fields that a 422 names, as { [field] = message }.
function Admin:problems(method, path, body)
  local fields = {}
  for _, problem in ipairs(self:ask(method, path, body, 422).error.fields) do
    fields[problem.field] = problem.message
  end
  return fields
end

return admin
