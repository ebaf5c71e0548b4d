--- Endpoints through the admin API.

local host = require "host.admin"
local task = require "host.task"
local coroutines = require "moonhook.coroutines"
local json = require "moonhook.json"

local endpoints = {}

-- Waits for a change. The endpoint's JSON, or nil, code, message, fields.
local function change(verb, fields)
  local value, code, message, problems = host.change(verb, fields)
  if value == task.WAIT then value, code, message, problems = coroutines.wait() end
  return value, code, message, problems
end

-- { status, JSON text }, or nil and what failed.
local function answer(status, value, code, message, problems)
  if not value then return nil, code, message, problems end
  return status, value
end

local function encoded(value)
  if value == nil then return nil end
  return json.encode(value)
end

local function fields_of(input)
  local body = input.body or {}
  return { id = input.path.id, plugin = body.plugin, name = body.name, slug = body.slug,
    enabled = body.enabled, settings = encoded(body.settings), unset = encoded(body.unset),
    limits = encoded(body.limits) }
end

function endpoints.list(input)
  local query = input.query
  local found, next_cursor = host.endpoints(query.cursor, query.limit or 50, query.plugin)
  return 200, ('{"endpoints":%s,"next_cursor":%s}'):format(found,
    next_cursor and json.encode(next_cursor) or "null")
end

function endpoints.show(input)
  local found = host.endpoint(input.path.id)
  if not found then return nil, "not_found", "there is no such endpoint" end
  return 200, found
end

function endpoints.create(input)
  return answer(201, change("create", fields_of(input)))
end

function endpoints.change(input)
  return answer(200, change("change", fields_of(input)))
end

function endpoints.remove(input)
  return answer(204, change("remove", fields_of(input)))
end

function endpoints.enable(input)
  return answer(200, change("change", { id = input.path.id, enabled = true }))
end

function endpoints.disable(input)
  return answer(200, change("change", { id = input.path.id, enabled = false }))
end

function endpoints.rotate(input)
  return answer(200, change("rotate", { id = input.path.id }))
end

--- A fresh key for all secrets.
function endpoints.reseal()
  return answer(200, change("reseal", {}))
end

return endpoints
