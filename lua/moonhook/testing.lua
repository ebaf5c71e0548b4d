--- Specs of plugins: loads a plugin as a host does, into a sandbox of its own, sends it requests,
--- and plays the models, apps, tools and servers that it calls. For `moonhook test`; see
--- docs/testing.md.

local Error = require "moonhook.error"
local check = require "moonhook.session.check"
local TestPlugin = require "moonhook.testing.plugin"
local json = require "host.json"
local place = require "moonhook.testing.place"
local script = require "moonhook.testing.script"
local spec_end = require "moonhook.testing.spec_end"
local storage = require "moonhook.testing.storage"
local testbed = require "host.testbed"
local upstream = require "moonhook.testing.upstream"

local testing = {
  wait = script.wait,
  cut = script.cut,
  hang = script.hang,
  fail = script.fail,
  full = script.full,
  refuse = script.refuse,
  workflow = script.workflow,
  each = script.each,
  time = testbed.time,
}

spec_end.subscribe()

local FAKES = { -- fields of load's table that play something
  app = true, apps = true, fetch_app = true, llm = true, llm_structured_output = true,
  text_embedding = true, rerank = true, tts = true, speech2text = true, moderation = true,
  summary = true, tool = true, tools = true, parameter_extractor = true,
  question_classifier = true, upload_file = true, http = true,
}
local OTHERS = { dir = true, settings = true, storage = true, models = true }

-- ", did you mean `llm`?"
local function nearest(name)
  local known = {}
  for _, names in ipairs { FAKES, OTHERS } do
    for field in pairs(names) do known[#known + 1] = field end
  end
  table.sort(known)
  local near = check.nearest(name, known)
  return near and (", did you mean `%s`?"):format(near) or ""
end

-- What plugin:play takes beside `storage`.
local KNOWN = setmetatable({ nearest = nearest }, { __index = FAKES })

-- Backends that declare models, for session.model:list and providers of that name.
local function backends_of(models)
  local names, texts = {}, {}
  for name, types in pairs(models or {}) do
    if type(name) ~= "string" or type(types) ~= "table" then
      Error.blame "testing.load: models: expected { provider = { llm = { \"name\" } } }"
    end
    names[#names + 1] = name
    texts[#texts + 1] = json.must_encode(types)
  end
  return names, texts
end

--- Loads a plugin. Fields of `options`: `dir` (by default the plugin that the spec file belongs
--- to), `settings`, `storage` (a table of values; false: no store can be reached), `models` (what
--- session.model:list gives), and the fakes: `app`, `apps`, `llm`, `tools`, `http` ...
---@param options? table
---@return TestPlugin
function testing.load(options)
  options = options or {}
  if type(options) ~= "table" then
    Error.blame("testing.load: expected a table, got a " .. type(options))
  end
  local fakes = {}
  for name, value in pairs(options) do
    if FAKES[name] then
      fakes[name] = value
    elseif not OTHERS[name] then
      Error.blame(("testing.load: unknown field `%s`%s"):format(tostring(name),
        nearest(tostring(name))))
    end
  end
  local dir, spec = place.of_plugin()
  dir = options.dir or dir
  if not dir then
    Error.blame(("testing.load: no folder above %s has a manifest.yaml: name the plugin's folder, "
      .. "dir = \"...\""):format(spec))
  end
  local names, texts = backends_of(options.models)
  local log_from = select(2, testbed.log(0))
  local settings = next(options.settings or {}) and json.must_encode(options.settings) or "{}"
  local id, port, hook_id, plugin_id, upstream_port =
    testbed.load(dir, settings, options.storage ~= false, names, texts)
  if not id then
    Error.blame(("the plugin in %s does not load:\n%s"):format(dir, (port:gsub("\n$", ""))))
  end
  if options.storage then storage.fill(id, options.storage) end
  local where = place.of_caller()
  local plugin = setmetatable({
    calls = {}, storage = storage.view(id), url = "http://moonhook.test/e/" .. hook_id,
    _id = id, _port = port, _hook_id = hook_id, _name = plugin_id:match "/(.*)$",
    _fakes = fakes, _known = KNOWN, _upstream_port = upstream_port, _log_from = log_from,
    _held = spec_end.watch(id, ("%s: plugin %s"):format(where, plugin_id:match "/(.*)$")),
  }, TestPlugin)
  upstream.plugins[id] = plugin
  return plugin
end

return require("moonhook.strict").close(testing, "testing")
