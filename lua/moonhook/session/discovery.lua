-- The models of an OpenAI-compatible server whose backend declares none: what its GET /models
-- lists. Asked at most once a minute per state; a server that does not answer counts as one without
-- models for some seconds, so that a list never fails for one backend's sake.
local Error = require "moonhook.error"
local clock = require "host.clock"
local exchange = require "moonhook.session.exchange"
local json = require "host.json"

local KEPT_S, FAILURE_KEPT_S, WAIT_MS = 60, 5, 5000

local discovery = {}

local kept = {} -- [backend] = { until_s, models }

-- Servers do not say what a model is for; its name usually does.
local TYPES = {
  { "moderation", "moderation" }, { "rerank", "rerank" }, { "embed", "text-embedding" },
  { "whisper", "speech2text" }, { "transcribe", "speech2text" }, { "tts", "tts" },
}

local function type_of(id)
  local name = id:lower()
  for _, rule in ipairs(TYPES) do
    if name:find(rule[1], 1, true) then return rule[2] end
  end
  return "llm"
end

local function ask(backend)
  local times = { first_byte_ms = WAIT_MS, idle_ms = WAIT_MS }
  local call = exchange.open(backend, "models", "", times)
  local status = exchange.head(call)
  local answer = status == 200 and json.decode_plain((exchange.read(call)) or "")
  exchange.close(call)
  if type(answer) ~= "table" or type(answer.data) ~= "table" then return nil end
  local models = {}
  for _, entry in ipairs(answer.data) do
    local id = type(entry) == "table" and entry.id
    if type(id) == "string" then
      local kind = type_of(id)
      models[kind] = models[kind] or {}
      table.insert(models[kind], id)
    end
  end
  return models
end

--- The server's models by type.
---@return table<string, string[]>
function discovery.models(backend)
  local known, now_s = kept[backend], clock.now()
  if known and now_s < known.until_s then return known.models end
  local ok, models = pcall(ask, backend)
  if not ok and Error.is(models) and models.code == "cancelled" then error(models, 0) end
  models = ok and models or nil
  kept[backend] = { until_s = now_s + (models and KEPT_S or FAILURE_KEPT_S), models = models or {} }
  return kept[backend].models
end

--- Forgets what it knows: the configuration changed.
function discovery.forget()
  kept = {}
end

return discovery
