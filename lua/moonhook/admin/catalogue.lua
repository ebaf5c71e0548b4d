--- What an operator chooses from: plugins, models, apps; and the state of the host.

local host = require "host.admin"
local json = require "moonhook.json"
local words = require "moonhook.admin.words"

local catalogue = {}

-- In one language instead of all.
local function translate(plugin, lang)
  local function pick(map, name)
    map[name] = words.pick(map[name], lang) or json.null
  end
  pick(plugin, "label")
  for _, setting in ipairs(plugin.settings) do
    for _, name in ipairs { "label", "help", "placeholder" } do pick(setting, name) end
    if setting.options ~= json.null then
      for _, option in ipairs(setting.options) do
        option.label = words.pick(option.label, lang) or option.value
      end
    end
  end
end

function catalogue.plugins(input)
  local lang, text = input.query.lang, host.plugins()
  if not lang then return 200, '{"plugins":' .. text .. "}" end
  local list = json.decode(text)
  for _, plugin in ipairs(list) do translate(plugin, lang) end
  return 200, json.encode { plugins = list }
end

function catalogue.plugin(input)
  local lang = input.query.lang
  local text = host.plugin(input.path.author .. "/" .. input.path.name)
  if not text then return nil, "not_found", "there is no such plugin" end
  if not lang then return 200, text end
  local plugin = json.decode(text)
  translate(plugin, lang)
  return 200, json.encode(plugin)
end

function catalogue.release(input)
  local id = input.path.author .. "/" .. input.path.name
  if not host.plugin(id) then return nil, "not_found", "there is no such plugin" end
  host.release(id)
  return 200, host.plugin(id)
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The built-in backend's own.
local LOCAL_MODELS = require "moonhook.backend.local_names"

--- Models that the configuration names; what a `dify` backend has besides, only Dify knows.
function catalogue.models()
  local backends = json.decode(host.catalogue()).backends
  backends["local"] = backends["local"] or { type = "local" }
  backends["local"].models = LOCAL_MODELS
  local list = json.array()
  for _, provider in ipairs(sorted_keys(backends)) do
    local models = backends[provider].models or {}
    for _, model_type in ipairs(sorted_keys(models)) do
      for _, model in ipairs(models[model_type]) do
        list[#list + 1] = { provider = provider, model = model, model_type = model_type }
      end
    end
  end
  return 200, json.encode { models = list }
end

--- Apps of the configuration, and those that a `dify-service` backend has a key for.
function catalogue.apps()
  local known = json.decode(host.catalogue())
  local list = json.array()
  for _, app_id in ipairs(sorted_keys(known.apps)) do
    local app = known.apps[app_id]
    list[#list + 1] = { app_id = app_id, name = app.name or json.null,
      mode = app.mode or json.null, backend = "local" }
  end
  for _, name in ipairs(sorted_keys(known.backends)) do
    for _, app_id in ipairs(known.backends[name].apps or {}) do
      list[#list + 1] = { app_id = app_id, name = json.null, mode = json.null, backend = name }
    end
  end
  return 200, json.encode { apps = list }
end

function catalogue.status()
  return 200, host.status()
end

function catalogue.configuration()
  return 200, host.configuration()
end

return catalogue
