--- The OpenAPI 3.1 document, made of the table that routes requests.

local json = require "moonhook.json"
local routes = require "moonhook.admin.routes"
local shapes = require "moonhook.admin.shapes"

local openapi = {}

local REASONS = {
  [200] = "Done.", [201] = "Made.", [204] = "Removed.",
  [400] = "The request cannot be read.", [401] = "The admin key is missing or wrong.",
  [404] = "There is no such thing.",
  [409] = "It is declared in moonhook.yaml, or others keep changing it.",
  [413] = "The body is larger than 1 MiB.", [415] = "The body is not application/json.",
  [422] = "Fields are not valid; all of them are listed.",
  [429] = "Too many wrong keys from this address; see Retry-After.",
  [503] = "The store does not answer.", [507] = "The disk is full.",
}

local function content_of(name)
  return { ["application/json"] = { schema = shapes.ref(name) } }
end

-- What any address may answer; a body can be refused in more ways.
local function failures_of(route)
  local statuses = { 400, 401, 422, 429 }
  if route.body then
    statuses[#statuses + 1] = 413
    statuses[#statuses + 1] = 415
  end
  for _, status in ipairs(route.fails or {}) do statuses[#statuses + 1] = status end
  return statuses
end

local function operation_of(route)
  local responses = {}
  for status, name in pairs(route.gives) do
    responses[tostring(status)] =
      { description = REASONS[status], content = name and content_of(name) or nil }
  end
  for _, status in ipairs(failures_of(route)) do
    responses[tostring(status)] = { description = REASONS[status], content = content_of "Error" }
  end
  local body = route.body and { required = true, content = content_of(route.body) } or nil
  return { operationId = route.id, summary = route.summary, responses = responses,
    parameters = #route.parameters > 0 and route.parameters or nil, requestBody = body }
end

--- The document, as a table.
function openapi.document()
  local paths = {}
  for _, route in ipairs(routes) do
    paths[route.path] = paths[route.path] or {}
    paths[route.path][route.method:lower()] = operation_of(route)
  end
  return {
    openapi = "3.1.0",
    info = { title = "Moonhook admin API", version = "1",
      description = "Endpoints, plugins and secrets of one host. Every call carries "
        .. "Authorization: Bearer and the admin key." },
    paths = paths,
    components = {
      schemas = shapes.schemas,
      securitySchemes = { key = { type = "http", scheme = "bearer" } },
    },
    security = json.array { { key = json.array() } },
  }
end

local text

--- The document, as JSON; made once.
function openapi.text()
  text = text or json.encode(openapi.document())
  return text
end

return openapi
