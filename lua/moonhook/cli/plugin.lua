--- moonhook plugin: what the host has loaded, what it could not load, and what it keeps out.

local json = require "moonhook.json"
local clients = require "moonhook.cli.client"
local failure = require "moonhook.cli.failure"
local output = require "moonhook.cli.output"

local plugin = {}

local function routes_of(found)
  local routes = {}
  for _, route in ipairs(found.endpoints) do
    if not route.hidden then
      routes[#routes + 1] = table.concat(route.methods, ",") .. " " .. route.path
    end
  end
  return #routes > 0 and table.concat(routes, "; ") or "-"
end

-- "api_key! greeting": its settings, the required ones marked.
local function settings_of(found)
  local names = {}
  for i, setting in ipairs(found.settings) do
    names[i] = setting.name .. (setting.required and "!" or "")
  end
  return #names > 0 and table.concat(names, " ") or "-"
end

local function trouble_of(found)
  return found.trouble ~= json.null and found.trouble or nil
end

local function tell_trouble(found)
  local trouble = trouble_of(found)
  if not trouble then return end
  output.say("%s: %s until %s, it ended a worker at %s: %s", found.id, trouble.state,
    trouble.until_at, trouble.killed_at, trouble.reason)
end

function plugin.list(input)
  local all = clients.new(input.admin):ask("GET", "/plugins").plugins
  if input.flags["--json"] then
    output.json { plugins = json.array(all) }
    return
  end
  local rows = {}
  for i, found in ipairs(all) do
    local id = found.id ~= json.null and found.id or found.name
    if input.flags["--names"] then io.stdout:write(id, "\n") end
    local trouble = trouble_of(found)
    rows[i] = { id, found.version, trouble and trouble.state or found.state, settings_of(found),
      routes_of(found) }
  end
  if input.flags["--names"] then return end
  if #rows == 0 then
    output.say "there is no plugin: see `plugins` in moonhook.yaml"
    return
  end
  output.columns({ "PLUGIN", "VERSION", "STATE", "SETTINGS (! = required)", "ROUTES" }, rows)
  for _, found in ipairs(all) do
    if found.error ~= json.null and found.error ~= nil then
      output.say("%s: %s", found.name, found.error)
    end
    tell_trouble(found)
  end
end

function plugin.release(input)
  local client = clients.new(input.admin)
  local found = client:plugin(input.places[1])
  if found.id == json.null then
    failure.raise("%s was never loaded: %s", found.name, found.error)
  end
  local trouble = trouble_of(found)
  local now = client:ask("POST", ("/plugins/%s/release"):format(found.id))
  output.say(trouble and "%s serves again, it was %s" or "%s serves, it was not kept out", found.id,
    trouble and trouble.state)
  if input.flags["--json"] then output.json(now) end
end

return plugin
