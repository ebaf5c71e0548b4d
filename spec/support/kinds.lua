--- A plugin with every kind of session call, and the settings that it needs: apps and models.
---
---   host.start { files = kinds.files(), config = { plugins = { "plugins" }, endpoints = {
---     { plugin = "kinds", hook_id = "kinds", settings = kinds.settings("gpt") } } } }
---   host:request(kinds.request { kind = "llm", way = "streaming", collect = true })
---
--- The reply is JSON: `value` of a blocking call, `items` of an iterator or what it `collected`,
--- and the `error`. GET /e/kinds/raised: the codes of all errors so far.
local cjson = require "cjson"

local kinds = {}

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: kinds
resource:
  permission:
    app: { enabled: true }
    tool: { enabled: true }
    node: { enabled: true }
    model: { enabled: true, llm: true, text_embedding: true, rerank: true, tts: true,
             speech2text: true, moderation: true }
plugins:
  endpoints:
    - settings:
        - { name: chat, type: app-selector }
        - { name: completion, type: app-selector }
        - { name: workflow, type: app-selector }
        - { name: llm, type: model-selector }
        - { name: embedding, type: model-selector }
        - { name: rerank, type: model-selector }
        - { name: tts, type: model-selector }
        - { name: speech, type: model-selector }
        - { name: moderation, type: model-selector }
      endpoints:
        - { path: /call, method: POST, extra: { lua: { source: call.lua } } }
        - { path: /raised, method: GET, extra: { lua: { source: raised.lua } } }
]]

local KINDS = [[
local MESSAGES = { { role = "user", content = "hello big world" } }
local DOCUMENTS = {
  { content = "red apples", content_type = "text" },
  { content = "blue sky", content_type = "text" },
}
local SCHEMA = { type = "object", properties = { name = { type = "string" } } }
local SENTENCE = "The moon pulls the water of the sea twice a day. "

local kinds = {}

function kinds.app_chat(session, settings, way)
  return session.app.chat:invoke {
    app_id = settings.chat.app_id, query = "hello big world", response_mode = way, user = "ann",
  }
end

function kinds.app_completion(session, settings, way)
  return session.app.completion:invoke { app_id = settings.completion.app_id,
    inputs = { query = "hello big world" }, response_mode = way, user = "ann" }
end

function kinds.app_workflow(session, settings, way)
  return session.app.workflow:invoke { app_id = settings.workflow.app_id, inputs = { n = 2 },
    response_mode = way, user = "ann" }
end

function kinds.fetch_app(session, settings)
  return session.app:fetch { app_id = settings.chat.app_id }
end

function kinds.llm(session, settings, way)
  return session.model.llm:invoke {
    model_config = settings.llm, prompt_messages = MESSAGES, stream = way == "streaming",
  }
end

function kinds.llm_structured_output(session, settings, way)
  return session.model.llm_structured_output:invoke { model_config = settings.llm,
    prompt_messages = MESSAGES, structured_output_schema = SCHEMA, stream = way == "streaming" }
end

function kinds.text_embedding(session, settings)
  return session.model.text_embedding:invoke {
    model_config = settings.embedding, texts = { "red apples", "blue sky" },
  }
end

function kinds.multimodal_embedding(session, settings)
  return session.model.text_embedding:invoke_multimodal {
    model_config = settings.embedding, documents = DOCUMENTS,
  }
end

function kinds.rerank(session, settings)
  return session.model.rerank:invoke {
    model_config = settings.rerank, query = "red apples", docs = { "red apples", "blue sky" },
  }
end

function kinds.multimodal_rerank(session, settings)
  return session.model.rerank:invoke_multimodal {
    model_config = settings.rerank, query = DOCUMENTS[1], docs = DOCUMENTS,
  }
end

function kinds.tts(session, settings)
  return session.model.tts:invoke { model_config = settings.tts, content_text = "hello big world" }
end

function kinds.speech2text(session, settings)
  return session.model.speech2text:invoke {
    model_config = settings.speech, file = "RIFF\1\2\3\4WAVEfmt " .. ("x"):rep(20),
  }
end

function kinds.moderation(session, settings)
  return session.model.moderation:invoke {
    model_config = settings.moderation, text = "I will kill you, bad man",
  }
end

function kinds.summary(session)
  return session.model.summary:invoke { text = SENTENCE:rep(40), instruction = "be short" }
end

function kinds.tool(session)
  return session.tool:invoke {
    provider_type = "builtin", provider = "time", tool_name = "now", parameters = { zone = "UTC" },
  }
end

function kinds.parameter_extractor(session, settings)
  return session.workflow_node.parameter_extractor:invoke {
    parameters = { { name = "city", type = "string", description = "a city", required = true } },
    model = { provider = settings.llm.provider, name = settings.llm.model }, query = "Bern",
  }
end

function kinds.question_classifier(session, settings)
  return session.workflow_node.question_classifier:invoke {
    classes = { { id = "1", name = "weather" }, { id = "2", name = "food" } },
    model = { provider = settings.llm.provider, name = settings.llm.model }, query = "Rain?",
  }
end

function kinds.upload_file(session, settings)
  local file = session.file:upload {
    filename = "a.png", content = "\137PNG", mimetype = "image/png", app_id = settings.chat.app_id,
  }
  return { id = file.id, parameter = file:to_app_parameter() }
end

return kinds
]]

-- Tells what a call gave: { value } of a blocking call, { items } of an iterator, { error }.
local CALL = [[
local moonhook = require "moonhook"
local kinds, raised = require "kinds", require "notes"
local json = moonhook.json

local function shown(value)
  if type(value) ~= "string" then return value end
  return { hex = (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) }
end

local function take(self, settings, order, told)
  local value = kinds[order.kind](self.session, settings, order.way)
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" or not meta.__call then
    told.value = value
  elseif order.collect then
    told.collected = shown(value:collect())
  else
    told.items = json.array {}
    for item in value do told.items[#told.items + 1] = shown(item) end
  end
end

return function(self, request, _, settings)
  local order, told = request:get_json "object", {}
  local ok, problem = pcall(take, self, settings, order, told)
  if not ok then
    told.error = type(problem) == "table" and { code = problem.code, message = problem.message }
      or { text = tostring(problem) }
    raised[#raised + 1] = problem.code or tostring(problem)
  end
  return moonhook.Response.json(told)
end]]

local FILES = { -- the keys are those of spec/contract/fake_dify.mjs
  ["plugins/kinds/manifest.yaml"] = MANIFEST,
  ["plugins/kinds/kinds.lua"] = KINDS,
  ["plugins/kinds/call.lua"] = CALL,
  ["plugins/kinds/notes.lua"] = "return {}",
  ["plugins/kinds/raised.lua"] = [[
local notes = require "notes"
return function() return table.concat(notes, ",") end]],
  ["apps/count.lua"] = [[
return { run = function(session, inputs) return { text = "ran " .. inputs.n } end }]],
  ["inner.key"] = "inner-secret\n", ["chat.key"] = "app-key-chat\n",
  ["completion.key"] = "app-key-completion\n", ["workflow.key"] = "app-key-workflow\n",
}

--- The plugin's files, and `more`.
function kinds.files(more)
  local files = {}
  for path, text in pairs(FILES) do files[path] = text end
  for path, text in pairs(more or {}) do files[path] = text end
  return files
end

local function app(name) return { app_id = name } end
local MODEL_TYPES = { llm = "llm", embedding = "text-embedding", rerank = "rerank", tts = "tts",
  speech = "speech2text", moderation = "moderation" }

--- Settings with models of one provider; `names` where a model has another name than "m".
function kinds.settings(provider, names)
  names = names or {}
  local settings = {
    chat = app "app-chat", completion = app "app-completion", workflow = app "app-workflow",
  }
  for name, model_type in pairs(MODEL_TYPES) do
    settings[name] = { provider = provider, model = names[name] or "m", model_type = model_type }
  end
  settings.llm.mode, settings.tts.voice = "chat", "alloy"
  return settings
end

--- A request for a call, as spec.support.http takes it.
function kinds.request(order)
  return { target = "/e/kinds/call", json = cjson.encode(order), seconds = 10 }
end

return kinds
