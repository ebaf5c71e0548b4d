--- What handlers get as `settings`: views (host/script/json_view.h), so that a write is told at its
--- line and all requests may share one. Lists cannot have views. Settings with a list in them are
--- made anew for every request, and a change to a list ends with it.

local host = require "host.json"
local blame = require("moonhook.error").blame
local copy, is_array, view = host.copy, host.is_array, host.view
local pairs, setmetatable, tostring, type = pairs, setmetatable, tostring, type

local settings = {}

local function refusing(path)
  return function(_, name)
    blame(("%s.%s: settings are read-only: copy what you want to change")
      :format(path, tostring(name)))
  end
end

local function has_list(value)
  for _, member in pairs(value) do
    if type(member) == "table" and (is_array(member) or has_list(member)) then return true end
  end
  return false
end

-- Puts a view in the place of each object below; `path` names the value.
local function cover(value, path)
  for name, member in pairs(value) do
    if type(member) == "table" then
      local place = type(name) == "number" and ("%s[%d]"):format(path, name) or path .. "." .. name
      cover(member, place)
      if not is_array(member) then value[name] = view(member, refusing(place)) end
    end
  end
end

local function make(values, meta)
  cover(values, "settings")
  return view(setmetatable(values, meta), refusing "settings")
end

local none -- of an endpoint without settings

--- `kept` is what the host keeps of an endpoint: { serial, its decoded settings }, or nil when it
--- has none; [3] and [4] are ours. `meta` is for the names that are not there.
function settings.read_only(kept, meta)
  if not kept then
    none = none or make({}, meta)
    return none
  end
  if kept[3] then return kept[3] end
  if kept[4] == nil then kept[4] = has_list(kept[2]) end
  if kept[4] then return make(copy(kept[2]), meta) end
  kept[3] = make(kept[2], meta)
  return kept[3]
end

return settings
