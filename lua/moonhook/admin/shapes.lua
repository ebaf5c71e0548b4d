--- The shapes of what the admin API takes and gives, as JSON Schema: the OpenAPI document shows
--- them, and schema.lua holds bodies and parameters against them.

local shapes = {}

local NO_CONTROLS = "^[^\\u0000-\\u001f\\u007f]+$"

local function ref(name)
  return { ["$ref"] = "#/components/schemas/" .. name }
end
shapes.ref = ref

local function nullable(kind, more)
  local shape = { type = { kind, "null" } }
  for name, value in pairs(more or {}) do shape[name] = value end
  return shape
end

local function list(items)
  return { type = "array", items = items }
end
shapes.list = list

-- An object all of whose properties are always there.
local function record(properties)
  local names = {}
  for name in pairs(properties) do names[#names + 1] = name end
  table.sort(names)
  return { type = "object", properties = properties, required = names,
    additionalProperties = false }
end
shapes.record = record

-- ---- what is taken ------------------------------------------------------------------------------

local name = { type = "string", minLength = 1, maxLength = 127, pattern = NO_CONTROLS,
  description = "What operators call it. The plugin's name by default.",
  ["x-expected"] = "expected a text without control characters" }
local slug = { type = "string", minLength = 3, maxLength = 63, pattern = "^[a-z0-9-]+$",
  description = "The hook id in its URL. Random by default, and then a secret of 130 bits.",
  ["x-expected"] = "expected only a to z, 0 to 9 and -" }
local settings = { type = "object", additionalProperties = true,
  description = "Values by the names of the plugin's settings. null: no value, not even the "
    .. "default. ******** keeps a secret as it is." }
local unset = { type = "array", maxItems = 256, items = { type = "string", maxLength = 1023 },
  description = "Names of settings to forget, so that their defaults hold again." }

local function limits(kind)
  local function ms(most) return { type = "integer", minimum = 10, maximum = most } end
  return { type = kind, additionalProperties = false,
    description = "What it has instead of its plugin's limits, in milliseconds, within what the "
      .. "operator allows. All of its plugin's endpoints share one memory.",
    properties = { cpu_ms = ms(60000), head_ms = ms(3600000), idle_ms = ms(3600000) } }
end
-- The whole of it is replaced.
local new_limits = limits { "object", "null" }

shapes.parameters = {
  id = { name = "id", ["in"] = "path", required = true, description = "Of an endpoint.",
    schema = { type = "string", minLength = 1, maxLength = 64 } },
  author = { name = "author", ["in"] = "path", required = true,
    schema = { type = "string", minLength = 1, maxLength = 64 } },
  name = { name = "name", ["in"] = "path", required = true,
    schema = { type = "string", minLength = 1, maxLength = 128 } },
  cursor = { name = "cursor", ["in"] = "query",
    description = "next_cursor of the page before.",
    schema = { type = "string", minLength = 1, maxLength = 64, pattern = "^[a-z0-9_]+$",
      ["x-expected"] = "expected the next_cursor of a page" } },
  limit = { name = "limit", ["in"] = "query", description = "Endpoints on a page.",
    schema = { type = "integer", minimum = 1, maximum = 200, default = 50 } },
  plugin = { name = "plugin", ["in"] = "query", description = "Only those of this plugin.",
    schema = { type = "string", minLength = 1, maxLength = 200, pattern = "^[A-Za-z0-9_/-]+$",
      ["x-expected"] = "expected author/name" } },
  lang = { name = "lang", ["in"] = "query",
    description = "Give texts in this language, or the nearest there is, instead of all.",
    schema = { type = "string", minLength = 2, maxLength = 16, pattern = "^[A-Za-z_-]+$",
      ["x-expected"] = "expected a language like en_US" } },
}

-- ---- what is given ------------------------------------------------------------------------------

local words = { type = { "object", "string", "null" }, description = "Texts by language, "
  .. "{\"en_US\":\"...\"}; with the parameter lang, one text.",
  additionalProperties = { type = "string" } }
local methods = list { type = "string" }

shapes.schemas = {
  EndpointCreate = { type = "object", additionalProperties = false, required = { "plugin" },
    properties = {
      plugin = { type = "string", minLength = 1, maxLength = 200, pattern = NO_CONTROLS,
        description = "author/name, or the name alone when it is the only one.",
        ["x-expected"] = "expected author/name" },
      name = name, slug = slug, settings = settings, enabled = { type = "boolean", default = true },
      limits = new_limits,
    } },
  EndpointChange = { type = "object", additionalProperties = false,
    properties = { name = name, slug = slug, settings = settings, unset = unset,
      enabled = { type = "boolean" }, limits = new_limits } },
  Field = record { field = { type = "string" }, message = { type = "string" } },
  Problem = record { message = { type = "string" }, fields = list(ref "Field") },
  Endpoint = record {
    id = { type = "string" }, plugin = { type = "string" }, name = { type = "string" },
    hook_id = { type = "string" }, url = { type = "string" },
    origin = { type = "string", enum = { "api", "config" },
      description = "config: declared in moonhook.yaml, and changed there." },
    enabled = { type = "boolean" },
    settings = { type = "object", additionalProperties = true,
      description = "As they were given, without defaults; secrets as ********." },
    limits = limits "object",
    problem = { anyOf = { ref "Problem", { type = "null" } },
      description = "Why it serves older settings, or nothing." },
    warnings = { type = "array", items = ref "Field",
      description = "What its settings choose and no backend has: apps, models." },
    created_at = nullable("string", { format = "date-time" }),
    updated_at = nullable("string", { format = "date-time" }),
    routes = list(record { methods = methods, path = { type = "string" },
      url = { type = "string" }, hidden = { type = "boolean" } }),
  },
  EndpointPage = record { endpoints = list(ref "Endpoint"), next_cursor = nullable "string" },
  Setting = record {
    name = { type = "string" },
    type = { type = "string", enum = { "secret-input", "text-input", "select", "boolean",
      "model-selector", "app-selector", "array[tools]" } },
    required = { type = "boolean" }, multiple = { type = "boolean" }, scope = nullable "string",
    default = {}, -- of any type
    options = nullable("array", { items = { type = "object", required = { "value" },
      properties = { value = { type = "string" }, label = words } } }),
    label = words, help = words, placeholder = words, url = nullable "string",
  },
  Plugin = record {
    id = nullable "string", author = nullable "string", name = { type = "string" },
    version = nullable "string", label = words,
    state = { type = "string", enum = { "loaded", "error" },
      description = "error: the folder's present version cannot be loaded; an older one, if "
        .. "there is one, goes on." },
    error = nullable "string", hash = nullable "string",
    trouble = { anyOf = { ref "Trouble", { type = "null" } },
      description = "What its code did to workers, if that has consequences now." },
    endpoints = list(record { path = { type = "string" }, methods = methods,
      hidden = { type = "boolean" } }),
    settings = list(ref "Setting"),
  },
  Trouble = record {
    state = { type = "string", enum = { "suspect", "quarantined" },
      description = "suspect: one worker alone serves it. quarantined: its endpoints answer "
        .. "503; the first request after until tries it." },
    until_at = { type = "string", format = "date-time" },
    reason = { type = "string", description = "How it last ended a worker." },
    killed_at = { type = "string", format = "date-time", description = "When it last did." },
  },
  PluginList = record { plugins = list(ref "Plugin") },
  ModelList = record { models = list(record { provider = { type = "string" },
    model = { type = "string" }, model_type = { type = "string" } }) },
  AppList = record { apps = list(record { app_id = { type = "string" }, name = nullable "string",
    mode = nullable "string", backend = { type = "string" } }) },
  Resealed = record { sealed = { type = "integer" }, key_id = { type = "string" } },
  Status = { type = "object", additionalProperties = true },
  Configuration = { type = "object", additionalProperties = true },
  Error = record { error = { type = "object", required = { "code", "message", "request_id" },
    additionalProperties = false,
    properties = { code = { type = "string" }, message = { type = "string" },
      request_id = { type = "string" }, fields = list(ref "Field") } } },
}

return shapes
