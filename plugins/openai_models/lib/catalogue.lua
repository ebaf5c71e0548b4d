-- The models that this endpoint offers, and which of them a request means.
local failure = require "lib.failure"

local catalogue = {}

-- The kinds of models: the setting that holds the one model, and Dify's word for the type.
catalogue.LLM = { setting = "llm", model_type = "llm" }
catalogue.EMBEDDING = { setting = "text_embedding", model_type = "text-embedding" }

local function full_name(entry) return entry.provider .. "/" .. entry.model end

-- The models that the setting `models` names: "provider/model", or "*" for all of the backends'. A
-- model that no backend declares is taken for a chat model.
local function listed(session, names)
  local known, by_name, entries = session.model:list(), {}, {}
  for _, model in ipairs(known) do by_name[full_name(model)] = model end
  for _, name in ipairs(names) do
    if name == "*" then
      for _, model in ipairs(known) do entries[#entries + 1] = model end
    else
      local provider, model = name:match "^([^/]+)/(.+)$"
      if not provider then
        error(("settings.models: expected provider/model or *, got %q"):format(name), 0)
      end
      entries[#entries + 1] = by_name[name]
        or { provider = provider, model = model, model_type = "llm" }
    end
  end
  return entries
end

local function has_models(settings)
  return settings.models ~= nil and #settings.models > 0
end

--- Every model on offer, each once. Its `id` is the model's name; where two providers have a model
--- of that name, "provider/model".
---@return { id: string, provider: string, model: string, model_type: string }[]
function catalogue.offered(session, settings)
  local found, seen, names = {}, {}, {}
  local function add(entry, model_type)
    local key = model_type .. " " .. full_name(entry)
    if seen[key] or (model_type ~= "llm" and model_type ~= "text-embedding") then return end
    local copy = {}
    for name, value in pairs(entry) do copy[name] = value end
    copy.model_type = model_type
    seen[key], found[#found + 1] = true, copy
    local name = model_type .. " " .. entry.model
    names[name] = (names[name] or 0) + 1
  end
  for _, kind in ipairs { catalogue.LLM, catalogue.EMBEDDING } do
    if settings[kind.setting] then add(settings[kind.setting], kind.model_type) end
  end
  for _, entry in ipairs(has_models(settings) and listed(session, settings.models) or {}) do
    add(entry, entry.model_type)
  end
  for _, entry in ipairs(found) do
    local is_unique = names[entry.model_type .. " " .. entry.model] == 1
    entry.id = is_unique and entry.model or full_name(entry)
  end
  return found
end

function catalogue.not_found(name)
  local message = ("The model `%s` does not exist or is not offered here."):format(tostring(name))
  failure.raise(404, message, { code = "model_not_found", param = "model" })
end

--- The model that a request means: the one of its setting where `models` is empty, whatever the
--- name, else the one of that name.
---@param name? string  the request's `model`
function catalogue.pick(session, settings, name, kind)
  local single = settings[kind.setting]
  if not has_models(settings) then
    if single then return single, single.model end
    failure.raise(400, ("This endpoint has no such model: its setting `%s` is not set.")
      :format(kind.setting), { param = "model", code = "setting_missing" })
  end
  if name == nil then
    if single then return single, single.model end
    failure.param("model", "missing_required_parameter", "Missing required parameter: 'model'.")
  end
  for _, entry in ipairs(catalogue.offered(session, settings)) do
    local is_named = entry.id == name or full_name(entry) == name
    if is_named and entry.model_type == kind.model_type then return entry, entry.id end
  end
  catalogue.not_found(name)
end

return catalogue
