--- The admin API's handler: finds the route, checks parameters and body, and makes the reply. The
--- key was checked by the host before any of this runs.

local json = require "moonhook.json"
local Error = require "moonhook.error"
local Response = require "moonhook.response"
local routes = require "moonhook.admin.routes"
local schema = require "moonhook.admin.schema"
local shapes = require "moonhook.admin.shapes"

local STATUS = {
  bad_request = 400, not_found = 404, not_editable = 409, conflict = 409,
  unsupported_media_type = 415, invalid_fields = 422, storage_unavailable = 503,
  storage_full = 507,
}
local HEADERS = { ["Cache-Control"] = "no-store" }

local function reply(status, text)
  return Response(text, { status = status, content_type = "application/json", headers = HEADERS })
end

local function failure(request, code, message, fields, headers)
  local status = STATUS[code] or 500
  local text = json.encode { error = { code = code, message = message, request_id = request.id,
    fields = fields } }
  local all = { ["Cache-Control"] = "no-store" }
  if status == 503 then all["Retry-After"] = "1" end
  for name, value in pairs(headers or {}) do all[name] = value end
  return Response(text, { status = status, content_type = "application/json", headers = all })
end

-- ---- routing ------------------------------------------------------------------------------------

-- The route and its path's values; or nil and the methods that the path takes, if any.
local function find(method, path)
  local allowed = {}
  if method == "HEAD" then method = "GET" end
  for _, route in ipairs(routes) do
    local values = { path:match(route.pattern) }
    if values[1] and route.method == method then
      local named = {}
      for i, name in ipairs(route.names) do named[name] = values[i] end
      return route, named
    elseif values[1] then
      allowed[#allowed + 1] = route.method == "GET" and "GET, HEAD" or route.method
    end
  end
  return nil, allowed
end

-- ---- what a request brings ----------------------------------------------------------------------

local function add_all(problems, more)
  for _, problem in ipairs(more) do problems[#problems + 1] = problem end
end

local function check_parameter(parameter, value, problems)
  if parameter.schema.type == "integer" then
    value = value:find "^%d+$" and #value < 10 and tonumber(value) or value
  end
  add_all(problems, schema.check(value, parameter.schema, parameter.name))
  return value
end

local function read_query(route, request, problems)
  local known, query = {}, {}
  for _, parameter in ipairs(route.parameters) do
    if parameter["in"] == "query" then known[parameter.name] = parameter end
  end
  for name, value in request.args:pairs() do
    local parameter = known[name]
    if not parameter or query[name] ~= nil then
      problems[#problems + 1] = { field = name, message = parameter
        and "expected it once" or "there is no such parameter" }
    else
      query[name] = check_parameter(parameter, value, problems)
    end
  end
  return query
end

local function check_path(route, named, problems)
  for _, parameter in ipairs(route.parameters) do
    if parameter["in"] == "path" then
      check_parameter(parameter, named[parameter.name], problems)
    end
  end
end

-- The body with its nulls kept; or nil, code, message.
local function read_body(route, request, problems)
  if not route.body then return nil end
  local ok, problem = pcall(request.get_json, request, "object")
  if not ok then
    if Error.is(problem) then return nil, problem.code, problem.message end
    error(problem, 0)
  end
  local text = request:get_data()
  local body = json.decode((text:gsub("^\239\187\191", "")))
  add_all(problems, schema.check(body, shapes.schemas[route.body]))
  return body
end

-- ---- the handler --------------------------------------------------------------------------------

local Api = {}

function Api:invoke(request)
  local route, named = find(request.method, request.path)
  if not route then
    if #named == 0 then
      return failure(request, "not_found", "there is nothing at this address")
    end
    return Response(json.encode { error = { code = "method_not_allowed", request_id = request.id,
      message = "this address does not take this method" } }, { status = 405,
      content_type = "application/json", headers = { Allow = table.concat(named, ", ") } })
  end
  local problems = json.array()
  local input = { path = named, query = read_query(route, request, problems) }
  check_path(route, named, problems)
  local code, message, fields
  input.body, code, message = read_body(route, request, problems)
  if code then return failure(request, code, message) end
  if #problems > 0 then
    return failure(request, "invalid_fields", "some fields are not valid", problems)
  end
  local status, text
  status, code, message, fields = route.run(input)
  if status then
    text = code
    return reply(status, text)
  end
  return failure(request, code, message, code == "invalid_fields" and json.raw(fields) or nil)
end

return Api
