--- moonhook endpoint: the life of endpoints.

local json = require "moonhook.json"
local clients = require "moonhook.cli.client"
local failure = require "moonhook.cli.failure"
local limits = require "moonhook.cli.limits"
local output = require "moonhook.cli.output"
local settings = require "moonhook.cli.settings"

local endpoint = {}

local function last(input, flag)
  local values = input.flags[flag]
  return values and values[#values]
end

local function state_of(found)
  if found.problem ~= json.null and found.problem ~= nil then return "problem" end
  return found.enabled and "enabled" or "disabled"
end

-- METHOD and URL of every route, as one would ask for them.
local function print_routes(found)
  local is_empty = true
  for _, route in ipairs(found.routes) do
    if not route.hidden then
      io.stdout:write(("%-7s %s\n"):format(table.concat(route.methods, ","), route.url))
      is_empty = false
    end
  end
  if is_empty then io.stdout:write(found.url, "\n") end
end

local function tell_problem(found)
  if found.problem == json.null or found.problem == nil then return end
  output.say("problem: %s", found.problem.message)
  for _, field in ipairs(found.problem.fields) do
    output.say("  %s: %s", field.field, field.message)
  end
end

local function tell_warnings(found)
  for _, warning in ipairs(found.warnings) do
    output.say("warning: %s: %s", warning.field, warning.message)
  end
end

-- What a verb that changes an endpoint ends with.
local function tell(input, found, did)
  output.say("%s %s of %s, id %s", did, found.name, found.plugin, found.id)
  if input.flags["--json"] then
    output.json(found)
  else
    print_routes(found)
  end
  tell_problem(found)
  tell_warnings(found)
end

function endpoint.list(input)
  local client = clients.new(input.admin)
  local wanted = last(input, "--plugin")
  local plugin = wanted and client:plugin(wanted).id
  local rows, all = {}, json.array()
  for found in client:endpoints(plugin) do
    all[#all + 1] = found
    rows[#rows + 1] = { found.id, found.name, found.plugin, state_of(found), found.origin,
      found.url }
  end
  if input.flags["--names"] then
    for _, found in ipairs(all) do io.stdout:write(found.id, "\n", found.name, "\n") end
  elseif input.flags["--json"] then
    output.json { endpoints = all }
  elseif #rows > 0 then
    output.columns({ "ID", "NAME", "PLUGIN", "STATE", "ORIGIN", "URL" }, rows)
  else
    output.say "there is no endpoint; see: moonhook help endpoint add"
  end
end

function endpoint.show(input)
  local found = clients.new(input.admin):endpoint(input.places[1])
  if input.flags["--json"] then
    output.json(found)
    return
  end
  local rows = { { "id", found.id }, { "name", found.name }, { "plugin", found.plugin },
    { "state", state_of(found) }, { "origin", found.origin }, { "created", found.created_at },
    { "updated", found.updated_at } }
  local names = {}
  for name in pairs(found.settings) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = found.settings[name]
    rows[#rows + 1] = { "settings." .. name, type(value) == "string" and value
      or json.encode(value) }
  end
  for _, name in ipairs(limits.names) do
    if found.limits[name] then rows[#rows + 1] = { "limits." .. name, found.limits[name] } end
  end
  output.columns({ "FIELD", "VALUE" }, rows)
  print_routes(found)
  tell_problem(found)
  tell_warnings(found)
end

function endpoint.url(input)
  local found = clients.new(input.admin):endpoint(input.places[1])
  if input.flags["--base"] then
    io.stdout:write(found.url, "\n")
  elseif input.flags["--json"] then
    output.json { url = found.url, routes = json.array(found.routes) }
  else
    print_routes(found)
  end
end

function endpoint.add(input)
  local client = clients.new(input.admin)
  local plugin = client:plugin(input.places[1])
  if plugin.state == "error" then
    output.say("the plugin cannot be loaded: %s", plugin.error)
  end
  local values = settings.ask_missing((settings.read(input, plugin)), plugin)
  tell(input, client:ask("POST", "/endpoints", { plugin = plugin.id, name = last(input, "--name"),
    slug = last(input, "--slug"), settings = values, limits = limits.read(input, {}),
    enabled = not input.flags["--disabled"] and nil }), "added")
end

function endpoint.set(input)
  local client = clients.new(input.admin)
  local found = client:endpoint(input.places[1])
  local values, unset = settings.read(input, client:plugin(found.plugin))
  local change = { name = last(input, "--name"), slug = last(input, "--slug"), settings = values,
    unset = unset, limits = limits.read(input, found.limits) }
  if not next(change) then
    failure.usage("nothing to change: give --set, --secret, --none, --unset, --limit, --name or "
      .. "--slug")
  end
  tell(input, client:ask("PATCH", "/endpoints/" .. clients.escape(found.id), change), "changed")
end

local function simple(verb, did)
  return function(input)
    local client = clients.new(input.admin)
    local found = client:endpoint(input.places[1])
    tell(input, client:ask("POST", ("/endpoints/%s/%s"):format(clients.escape(found.id), verb)),
      did)
  end
end

endpoint.enable = simple("enable", "enabled")
endpoint.disable = simple("disable", "disabled")

function endpoint.rotate(input)
  local client = clients.new(input.admin)
  local found = client:endpoint(input.places[1])
  output.confirm(input, "The URL of %s (%s) stops to work, whoever uses it. Give it a new one?",
    found.name, found.plugin)
  tell(input, client:ask("POST", ("/endpoints/%s/rotate"):format(clients.escape(found.id))),
    "rotated")
end

function endpoint.remove(input)
  local client = clients.new(input.admin)
  local found = client:endpoint(input.places[1])
  output.confirm(input, "Remove %s (%s), with its settings and its URL?", found.name, found.plugin)
  client:ask("DELETE", "/endpoints/" .. clients.escape(found.id))
  output.say("removed %s of %s, id %s", found.name, found.plugin, found.id)
  if input.flags["--json"] then output.json { id = found.id, removed = true } end
end

return endpoint
