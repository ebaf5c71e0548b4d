-- Apps and models that settings choose and that no backend has: told before the first request.
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local process = require "spec.support.process"

local FILES = {
  ["plugins/p/manifest.yaml"] = [[
version: 0.1.0
type: plugin
author: me
name: p
resource: { permission: { app: { enabled: true }, model: { enabled: true, llm: true } } }
plugins:
  endpoints:
    - settings:
        - { name: app, type: app-selector, scope: chat }
        - { name: llm, type: model-selector, scope: llm }
      endpoints:
        - { path: /a, method: GET, extra: { lua: { source: a.lua } } }
]],
  ["plugins/p/a.lua"] = 'return function() return "a" end\n',
  ["flow.lua"] = "return function() return {} end\n",
  ["key"] = "secret\n",
}

local CONFIG = [[
backends:
  gpt: { type: openai, url: "http://127.0.0.1:1/v1", models: { llm: [gpt-4o] } }
  cloud: { type: dify-service, url: "http://127.0.0.1:1/v1", apps: { "app-1": { key_file: key } } }
apps:
  candy: { mode: chat, prompt: Hi }
  review: { mode: workflow, source: flow.lua }
endpoints:
  - plugin: p
    settings:
]]

local DIFY = [[
  dify: { type: dify, url: "http://127.0.0.1:1", inner_api_key_file: key, tenant_id: "1" }
apps:
]]

local WRONG = { -- settings, what is said
  { "app: { app_id: cnady }", 'moonhook.yaml:10:22: settings.app.app_id: expected an app of `apps` '
    .. 'or of a dify-service backend, got "cnady", did you mean candy?' },
  { "app: { app_id: app-2 }", 'got "app-2", did you mean app-1?' },
  { "app: { app_id: review }", "moonhook.yaml:10:22: settings.app.app_id: expected an app of the "
    .. 'scope chat, not a workflow app, got "review"' },
  { "llm: { provider: gtp, model: gpt-4o }", "moonhook.yaml:10:24: settings.llm.provider: expected "
    .. 'local, or the name of a backend, got "gtp", did you mean gpt?' },
  { "llm: { provider: local, model: dmo }", "moonhook.yaml:10:38: settings.llm.model: expected "
    .. 'demo, which is local\'s only model of the type llm, got "dmo"' },
}

local RIGHT = {
  "app: { app_id: candy }", "app: { app_id: app-1 }", "llm: { provider: gpt, model: gpt-4o }",
  "llm: { provider: local, model: demo }",
}

local function config(setting, backends)
  return ((CONFIG .. "      " .. setting .. "\n"):gsub("apps:\n", backends or "apps:\n", 1))
end

local function check(text)
  local result = host.run { "config", "check", config = text, files = FILES }
  return result.stdout, result.code
end

describe("config check", function()
  for _, case in ipairs(WRONG) do
    it("refuses " .. case[1], function()
      local said, code = check(config(case[1]))
      assert.is_truthy(said:find(case[2], 1, true), said)
      assert.equal(1, code)
    end)
  end

  for _, setting in ipairs(RIGHT) do
    it("accepts " .. setting, function()
      local said, code = check(config(setting))
      assert.same({ "", 0 }, { said, code })
    end)
  end

  it("cannot know what Dify knows", function()
    for _, setting in ipairs { "app: { app_id: cnady }", "llm: { provider: gtp, model: x }" } do
      assert.equal("", (check(config(setting, DIFY))))
    end
  end)

  it("only warns of a model that its backend does not declare", function()
    local said, code = check(config "llm: { provider: gpt, model: gpt-4 }")
    assert.equal('moonhook.yaml:10:36: warning: settings.llm.model: the backend gpt declares no '
      .. 'llm model "gpt-4", did you mean gpt-4o?\n', said)
    assert.equal(0, code)
  end)

  it("names the plugin that was meant", function()
    local said = check "endpoints: [ { plugin: webap_skins } ]\n"
    assert.is_truthy(said:find("expected a plugin that is there", 1, true))
    said = check "endpoints: [ { plugin: me/q } ]\n"
    assert.is_truthy(said:find('got "me/q", did you mean me/p?', 1, true), said)
  end)
end)

describe("a host that starts", function()
  local server

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function warning_of(setting, options)
    options.config, options.files = config(setting), FILES
    server = host.start(options)
    return server:wait_record { msg = "endpoint setting" }
  end

  for _, verb in ipairs { "dev", "serve" } do
    it("warns of an app that is nowhere: " .. verb, function()
      local record = warning_of("app: { app_id: cnady }", { verb = verb })
      assert.equal("warn", record.level)
      assert.matches('^moonhook.yaml:10:22: .* got "cnady", did you mean candy%?$', record.warning)
    end)
  end

  it("warns again only when something else is wrong", function()
    warning_of("app: { app_id: cnady }", { verb = "dev" })
    server:write("plugins/p/a.lua", 'return function() return "b" end\n')
    server:wait_record { msg = "plugin loaded", hash = "~." }
    server:write("moonhook.yaml", config "app: { app_id: candi }")
    server:wait_record { warning = '~got "candi"' }
    local count = 0
    for _, record in ipairs(server:records()) do
      count = count + (record.msg == "endpoint setting" and 1 or 0)
    end
    assert.equal(2, count)
  end)

  it("warns when an operator chooses it", function()
    server = host.start { config = config "app: { app_id: candy }", files = FILES }
    local made = admin.of(server):ask("POST", "/endpoints",
      { plugin = "p", name = "two", settings = { app = { app_id = "cnady" } } }, 201)
    local warnings = { { field = "settings.app.app_id", message = "expected an app of `apps` or "
      .. 'of a dify-service backend, got "cnady", did you mean candy?' } }
    assert.same(warnings, made.warnings)
    assert.same(warnings, admin.of(server):ask("GET", "/endpoints/" .. made.id).warnings)
    server:wait_record { msg = "endpoint setting", endpoint = "two",
      warning = '~^settings.app.app_id: expected .*, got "cnady", did you mean candy%?$' }
  end)

  it("warns in the admin API of what the configuration chooses, and until it is there", function()
    warning_of("llm: { provider: gpt, model: gpt-4 }", { verb = "dev" })
    local function warnings()
      return admin.of(server):ask("GET", "/endpoints").endpoints[1].warnings
    end
    assert.same({ { field = "settings.llm.model",
      message = 'the backend gpt declares no llm model "gpt-4", did you mean gpt-4o?' } },
      warnings())
    server:write("moonhook.yaml", (config("llm: { provider: gpt, model: gpt-4 }")
      :gsub("%[gpt%-4o%]", "[gpt-4o, gpt-4]")))
    process.eventually(function() return #warnings() == 0 end, 10, "no warning any more")
  end)

  it("names the plugin that an operator meant", function()
    server = host.start { config = config "app: { app_id: candy }", files = FILES }
    local fields = admin.of(server):problems("POST", "/endpoints", { plugin = "me/q", name = "x" })
    assert.equal("there is no plugin of this name, did you mean me/p?", fields.plugin)
  end)
end)

describe("dev without a configuration", function()
  it("names a required setting where it is declared", function()
    local files = {}
    for path, text in pairs(FILES) do files[path] = text end
    files["plugins/p/manifest.yaml"] = files["plugins/p/manifest.yaml"]:gsub("      endpoints:\n",
      "        - { name: api_key, type: secret-input, required: true }\n%0")
    local server = host.start { verb = "dev", files = files, args = { "--plugins", "plugins/p" } }
    local record = server:wait_record { msg = "plugin problem" }
    assert.equal("manifest.yaml:11:19: settings.api_key: it is required, and nobody sets it: in "
      .. "moonhook.yaml, endpoints: [ { plugin: p, settings: { api_key: ... } } ], or with "
      .. "moonhook endpoint add p --secret api_key=@FILE", record.error)
    server:stop()
  end)
end)
