-- Which backend carries a call: a model's provider is a backend's name, another provider goes to
-- the `dify` backend; an app id is looked up in the local apps, then in the `dify-service` maps,
-- and else goes to `dify`. Kept decoded until the host's version of the catalogue changes.
local Error = require "moonhook.error"
local reverse = require "host.reverse"

local catalogue = {}

local LOCAL_MODELS = require "moonhook.backend.local_names"

local known, known_version
local discovery -- its module, once it was needed

local function current()
  local text, version = reverse.catalogue()
  if version ~= known_version or not known then
    known, known_version = require("host.json").decode_plain(text), version
    known.backends = known.backends or {}
    known.backends["local"] = known.backends["local"] or { type = "local" }
    known.backends["local"].models = LOCAL_MODELS
    known.apps = known.apps or {}
    known.names = {}
    for name in pairs(known.backends) do known.names[#known.names + 1] = name end
    table.sort(known.names)
    if discovery then discovery.forget() end
  end
  return known
end

-- The backend of type `dify`; the one of that name where there are several.
local function dify_backend(all)
  local named = all.backends.dify
  if named and named.type == "dify" then return "dify" end
  for _, name in ipairs(all.names) do
    if all.backends[name].type == "dify" then return name end
  end
end

local function not_found(text, looked_for)
  error(Error.new("not_found", text, { looked_for = looked_for }), 0)
end

--- The backend that a model's provider stands for.
---@return string name, string type
function catalogue.of_model(provider, model, model_type)
  local all = current()
  local name = all.backends[provider] and provider or dify_backend(all)
  if not name then
    not_found(("the model provider '%s' was not found: it is not one of the backends (%s), and "
      .. "there is no backend of type dify that could know it")
      :format(provider, table.concat(all.names, ", ")), provider)
  end
  local backend = all.backends[name]
  local models = backend.type == "local" and LOCAL_MODELS[model_type]
  if models and model ~= models[1] then
    not_found(("the %s model '%s' was not found: the backend 'local' has '%s'")
      :format(model_type, model, models[1]), model)
  end
  return name, backend.type
end

--- The backend that serves an app.
---@return string name, string type
function catalogue.of_app(app_id)
  local all = current()
  if all.apps[app_id] then return "local", "local" end
  for _, name in ipairs(all.names) do
    local backend = all.backends[name]
    if backend.type == "dify-service" and backend.apps and backend.apps[app_id] then
      return name, backend.type
    end
  end
  local name = dify_backend(all)
  if not name then
    not_found(("the app '%s' was not found: not among `apps`, not in the app map of a dify-service "
      .. "backend, and there is no backend of type dify that could know it"):format(app_id), app_id)
  end
  return name, "dify"
end

local function unsupported(kind)
  local text = "'%s' calls need a backend of type dify, and there is none among the backends (%s)"
  error(Error.new("unsupported", text:format(kind, table.concat(current().names, ", ")),
    { kind = kind }), 0)
end

--- The backend of type `dify`; raises "unsupported" when there is none.
---@return string name, string type
function catalogue.of_dify(kind)
  return dify_backend(current()) or unsupported(kind), "dify"
end

--- The backend that a provider stands for, whatever it carries.
---@return string name, string type
function catalogue.of_provider(provider, kind)
  local backend = current().backends[provider]
  if backend then return provider, backend.type end
  return catalogue.of_dify(kind)
end

--- The backend for what names no model: Dify, which has a model for the system; else the first
--- model that an `openai` backend declares; else the built-in one.
---@return string name, string type, string? model
function catalogue.of_system(model_type)
  local all = current()
  local dify = dify_backend(all)
  if dify then return dify, "dify" end
  for _, name in ipairs(all.names) do
    local backend = all.backends[name]
    local models = backend.type == "openai" and backend.models and backend.models[model_type]
    if models and models[1] then return name, "openai", models[1] end
  end
  return "local", "local", LOCAL_MODELS[model_type][1]
end

--- The backend that takes a file, for an app or in general.
---@return string name, string type, string? app_id
function catalogue.of_file(app_id)
  if app_id then
    local name, backend_type = catalogue.of_app(app_id)
    return name, backend_type, app_id
  end
  local all = current()
  local dify = dify_backend(all)
  if dify then return dify, "dify" end
  local found
  for _, name in ipairs(all.names) do
    local backend = all.backends[name]
    for id in pairs(backend.type == "dify-service" and backend.apps or {}) do
      if found then
        error(Error.new("unsupported", "there are several apps that could take the file: give the "
          .. "app_id of the one that it is for"), 0)
      end
      found = { name, id }
    end
  end
  if not found then unsupported "upload_file" end
  return found[1], "dify-service", found[2]
end

local function models_of(name, backend)
  if backend.models or backend.type ~= "openai" then return backend.models or {} end
  discovery = discovery or require "moonhook.session.discovery"
  return discovery.models(name)
end

--- Every model of the backends, in the order of their names: those that they declare, and for an
--- `openai` backend that declares none those that its server lists (asked once a minute).
---@param model_type? string  "llm", "text-embedding" ...; nil: all
---@return { provider: string, model: string, model_type: string }[]
function catalogue.models(model_type)
  local all, found = current(), {}
  for _, name in ipairs(all.names) do
    local types, models = {}, models_of(name, all.backends[name])
    for kind in pairs(models) do types[#types + 1] = kind end
    table.sort(types)
    for _, kind in ipairs(types) do
      local is_wanted = not model_type or kind == model_type
      for _, model in ipairs(is_wanted and models[kind] or {}) do
        found[#found + 1] = { provider = name, model = model, model_type = kind }
      end
    end
  end
  return found
end

return catalogue
