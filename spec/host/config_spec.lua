-- moonhook.yaml, MOONHOOK_* variables and flags; and settings, as endpoints are given them.
local cjson = require "cjson"
local host = require "spec.support.host"

local ECHO = {
  ["plugins/echo/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: echo
plugins:
  endpoints:
    settings:
      - { name: word, type: text-input, default: 5 }
      - { name: key, type: secret-input, required: true }
      - name: size
        type: select
        options: [ { value: small }, { value: large } ]
        default: small
      - { name: is_open, type: boolean }
      - { name: llm, type: model-selector, scope: llm }
      - { name: any_model, type: model-selector }
      - { name: rerank, type: model-selector, scope: rerank }
      - { name: models, type: model-selector, scope: llm, multiple: true }
      - { name: app, type: app-selector }
      - { name: tools, type: "array[tools]" }
    endpoints:
      - { path: /, method: [ GET, POST ], extra: { lua: { source: echo.lua } } }
]],
  ["plugins/echo/echo.lua"] = [[
local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end
]],
}

-- Runs `serve` to its end, which must come soon and with one line on stderr.
local function serve_in_vain(config, options)
  options = options or {}
  local command = { "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", config = config,
    files = options.files, env = options.env, seconds = 10 }
  for _, arg in ipairs(options.args or {}) do command[#command + 1] = arg end
  local result = host.run(command)
  assert.equal(1, result.code, result.stderr)
  assert.equal("", result.stdout)
  assert.matches("^moonhook: [^\n]+\n$", result.stderr)
  return result.stderr:match "^moonhook: ([^\n]+)"
end

local function with_settings(settings)
  return { plugins = { "plugins" },
    endpoints = { { plugin = "echo", name = "echo", hook_id = "echo-spec", settings = settings } } }
end

describe("moonhook.yaml", function()
  it("is refused with line, column and the nearest key when a key is unknown", function()
    for text, message in pairs {
      ["limits: { max_conection: 5 }"] =
        "moonhook.yaml:1:11: limits.max_conection: unknown key, did you mean max_connections?",
      ["workers: 1\nendpints: []\n"] =
        "moonhook.yaml:2:1: endpints: unknown key, did you mean endpoints?",
      ["nothing_like_it: 1"] = "moonhook.yaml:1:1: nothing_like_it: unknown key",
      ["backends: { gpt: { type: openai, url: http://127.0.0.1:1/v1, api_key: sk-1 } }"] =
        "moonhook.yaml:1:62: backends.gpt.api_key: unknown key, did you mean api_key_file?",
      ["apps: { c: { mode: chat, prompd: x } }"] =
        "moonhook.yaml:1:26: apps.c.prompd: unknown key, did you mean prompt?",
      ["endpoints: [ { plugin: a, settingz: {} } ]"] =
        "moonhook.yaml:1:27: endpoints.settingz: unknown key, did you mean settings?",
    } do
      assert.equal(message, serve_in_vain(text))
    end
  end)

  it("is refused when a value is out of its range", function()
    for text, pattern in pairs {
      ["workers: 0"] = "1:10: workers: expected a whole number from 1 to 256, got 0",
      ["workers: 2.5"] = "workers: .* got 2.5",
      ["limits: { idle_ms: -1 }"] =
        "1:20: limits.idle_ms: expected a number from 10 to 3600000 ms .* got %-1",
      ["limits: { body_bytes: 1e30 }"] = "limits.body_bytes: expected .* bytes .*, got 1e30",
      ["limits: { body_bytes: 10 potatoes }"] = 'limits.body_bytes: .* got "10 potatoes"',
      ["limits: { body_bytes: }"] = "limits.body_bytes: .* got nothing",
      ["apps: { a: { mode: chat, model: { provider: gpt, model: x } } }"] =
        'apps.a.model.provider: expected local, or the name of a backend, got "gpt"',
      ["limits: [ 1 ]"] = "limits: expected a map, got a list of 1",
      ["public: { listen: example.com:80 }"] =
        "public.listen: expected ADDRESS:PORT .* got \"example.com:80\"",
      ["public: { listen: 127.0.0.1:70000 }"] = "public.listen: expected ADDRESS:PORT",
      ["public: { url: hooks.example.com }"] = "public.url: expected a URL",
      ["public: { base_domain: -x.example }"] = "public.base_domain: expected a domain",
      ["log: { level: loud }"] =
        "log.level: expected one of debug, info, warn, error, got \"loud\"",
      ["plugins: [ ./nowhere ]"] =
        'plugins: expected a folder or .difypkg file that exists, got "./nowhere"',
      ["client: { ca_file: nowhere.pem }"] = "client.ca_file: nowhere.pem: cannot be read",
      ["[]"] = "1:1: expected a map of settings, got a list",
      ["a: ["] = "not YAML",
    } do
      assert.matches(pattern, serve_in_vain(text))
    end
  end)

  it("is refused when a backend, an app or an endpoint makes no sense", function()
    for text, pattern in pairs {
      ["backends: { local: {} }"] = "backends.local: expected another name",
      ["backends: { gpt: { type: opena } }"] =
        "backends.gpt.type: expected one of openai, dify, dify%-service",
      ["backends: { gpt: { type: openai, url: api.example.com } }"] =
        "backends.gpt.url: expected a URL",
      ["backends: { gpt: { type: openai, url: http://127.0.0.1:1, models: { lm: [ a ] } } }"] =
        "backends.gpt.models.lm: unknown key, did you mean llm",
      ["backends: { d: { type: dify, url: http://x.y, inner_api_key_file: moonhook.yaml } }"] =
        "backends.d.tenant_id: expected the id of a workspace of Dify",
      ["backends: { d: { type: dify, url: http://127.0.0.1:1, tenant_id: t } }"] =
        "backends.d.inner_api_key_file: expected the file with Dify's inner API key",
      ["http: { allow: [ 10.0.0.0/33 ] }"] =
        'http.allow: expected an address, a block such as 10.0.0.0/8, or a host\'s name',
      ["http: { allow: [ 'http://x' ] }"] = 'http.allow: expected an address, .* got "http://x"',
      ["http: { allow: { a: b } }"] = "http.allow: expected addresses, blocks and host names",
      ["http: { prox: true }"] = "http.prox: unknown key, did you mean proxy",
      ["http: { proxy: 5 }"] = "http.proxy: expected true or false, got 5",
      ["http: []"] = "http: expected a map",
      ["apps: { c: { mode: chatty } }"] =
        "apps.c.mode: expected chat, completion or workflow, got \"chatty\"",
      ["apps: { c: { mode: chat, memory: 1001 } }"] =
        "apps.c.memory: expected a number of turns from 0 to 1000",
      ["apps: { c: { mode: chat, model: { provider: local } } }"] =
        "apps.c.model.model: expected a model's name",
      ["apps: { c: { mode: workflow, source: nowhere.lua } }"] =
        "apps.c.source: expected a file that can be read, got \"nowhere.lua\"",
      ["apps: { c: { mode: workflow } }"] = "apps.c.source: expected the path of a Lua file",
      ["endpoints: [ { name: a } ]"] = "endpoints.plugin: expected a plugin's name",
      ["endpoints: [ { plugin: a, hook_id: No } ]"] =
        "endpoints.hook_id: expected 3 to 63 characters",
      ["endpoints: [ { plugin: a, hook_id: abc- } ]"] =
        "endpoints.hook_id: expected 3 to 63 characters",
      ["endpoints: [ { plugin: a }, { plugin: a } ]"] =
        "endpoints.name: expected another name than \"a\"",
      ["endpoints: [ { plugin: a, hook_id: abc }, { plugin: b, hook_id: abc } ]"] =
        "endpoints.hook_id: expected each hook id once, got abc again",
      ["endpoints: [ { plugin: a, enabled: 5 } ]"] =
        "endpoints.enabled: expected true or false, got 5",
    } do
      assert.matches(pattern, serve_in_vain(text))
    end
  end)

  it("names a key file that cannot be read, and never shows a key", function()
    local config = "backends: { gpt: { type: openai, url: http://127.0.0.1:1, api_key_file: %s } }"
    assert.equal("moonhook.yaml:1:73: backends.gpt.api_key_file: nowhere.key: does not exist",
      serve_in_vain(config:format "nowhere.key"))
    assert.matches("gpt.key: expected a key, got an empty file",
      serve_in_vain(config:format "gpt.key", { files = { ["gpt.key"] = " \n" } }))
    local files = { ["gpt.key"] = "sk-secret\nmore\n" }
    local message = serve_in_vain(config:format "gpt.key", { files = files })
    assert.matches("gpt.key: expected one line with the key", message)
    assert.is_nil(message:find "secret")
  end)

  it("takes paths relative to itself", function()
    local message = serve_in_vain("", {
      files = {
        ["sub/other.yaml"] =
          "backends: { g: { type: openai, url: http://127.0.0.1:1, api_key_file: g.key } }",
      },
      args = { "--config", "sub/other.yaml" },
    })
    assert.equal("sub/other.yaml:1:71: backends.g.api_key_file: sub/g.key: does not exist", message)
  end)

  it("may stand in a plugin's folder, which is then served without its data", function()
    local files = { ["manifest.yaml"] = ECHO["plugins/echo/manifest.yaml"],
      ["echo.lua"] = ECHO["plugins/echo/echo.lua"] }
    local config = with_settings { key = "k" }
    config.plugins = nil
    local dir = host.folder { config = config, files = files }
    local result = host.run { "check", ".", dir = dir }
    assert.equal(0, result.code)
    local server = host.start { dir = dir }
    assert.equal(200, server:request({ target = "/e/echo-spec/" }).status)
    server:stop()
  end)

  it("is named when it does not exist", function()
    assert.equal("nowhere.yaml: does not exist",
      serve_in_vain("", { args = { "--config", "nowhere.yaml" } }))
  end)
end)

describe("variables and flags", function()
  local function posted(options)
    options.config = with_settings { key = "k" }
    options.config.limits = { body_bytes = "1 KiB" }
    options.files = ECHO
    local server = host.start(options)
    local statuses = {}
    for i, bytes in ipairs { 500, 1000, 2000 } do
      statuses[i] = server:request {
        method = "POST", target = "/e/echo-spec/", body = ("x"):rep(bytes),
      }.status
    end
    server:stop()
    return statuses
  end

  it("lets the file win over the defaults", function()
    assert.same({ 200, 200, 413 }, posted {})
  end)

  it("lets a variable win over the file", function()
    assert.same({ 200, 413, 413 }, posted { env = { MOONHOOK_LIMITS_BODY_BYTES = "900" } })
  end)

  it("lets a flag win over a variable", function()
    -- host.start listens where the flag says; the variable alone would make the host give up.
    assert.same({ 200, 200, 413 }, posted { env = { MOONHOOK_LISTEN = "192.0.2.1:1" } })
  end)

  it("refuses a variable or flag that is out of range, by its name", function()
    assert.equal('MOONHOOK_WORKERS: expected a whole number from 1 to 256, got "0"',
      serve_in_vain("", { env = { MOONHOOK_WORKERS = "0" } }))
    assert.equal('--workers: expected a whole number from 1 to 256, got "none"',
      serve_in_vain("", { args = { "--workers", "none" } }))
    assert.equal('--plugins: expected a folder or .difypkg file that exists, got "nowhere"',
      serve_in_vain("", { args = { "--plugins", "nowhere" } }))
  end)

  it("refuses a misspelt variable, and leaves strangers' alone", function()
    assert.equal("MOONHOOK_WORKRS: unknown variable, did you mean MOONHOOK_WORKERS?",
      serve_in_vain("", { env = { MOONHOOK_WORKRS = "2" } }))
    assert.same({ 200, 200, 413 }, posted { env = { MOONHOOK_UNRELATED_THING = "2" } })
  end)

  it("says which address is in use", function()
    local server = host.start { config = with_settings { key = "k" }, files = ECHO }
    local address = "127.0.0.1:" .. server.port
    assert.matches("^bind " .. address:gsub("%.", "%%.") .. ": ",
      serve_in_vain("", { args = { "--listen", address } }))
    server:stop()
  end)
end)

describe("settings", function()
  local function given(settings)
    local server = host.start { config = with_settings(settings), files = ECHO }
    local reply = server:request { target = "/e/echo-spec/" }
    server:stop()
    return cjson.decode(reply.body)
  end

  it("reach the handler typed, with defaults, without nulls", function()
    assert.same({
      word = "7", key = "true", size = "small", is_open = false,
      llm = {
        provider = "local", model = "4", model_type = "llm",
        completion_params = { temperature = 0.5 },
      },
      models = { { provider = "local", model = "demo", model_type = "llm" } },
      app = { app_id = "candy", inputs = { a = 1 } },
      tools = { { tool_name = "clock" } },
    }, given {
      word = 7, key = true, is_open = false, any_model = cjson.null,
      llm = { provider = "local", model = 4, completion_params = { temperature = 0.5 } },
      models = { provider = "local", model = "demo" },
      app = { app_id = "candy", inputs = { a = 1 } },
      tools = { { tool_name = "clock" } },
    })
  end)

  it("keep an absent one absent unless it has a default", function()
    assert.same({ key = "k", word = "5", size = "small" }, given { key = "k" })
  end)

  it("that do not fit are reported with their place, each one", function()
    local bad = {
      worrd = "x", size = "medium", is_open = "true", llm = { model = "m" }, app = {}, word = { 1 },
      any_model = "gpt", rerank = { provider = "p", model = "m" },
      models = {
        { provider = "p", model = "m" }, { provider = "p", model = "m", model_type = "tts" },
      },
    }
    local server = host.start { config = with_settings(bad), files = ECHO }
    local log = server:log()
    assert.equal(404, server:request({ target = "/e/echo-spec/" }).status)
    server:stop()
    for _, text in ipairs {
      "settings.worrd: echo has no such setting, did you mean word?",
      "settings.key: expected a value (it is required), got nothing",
      "settings.size: expected one of small, large, got \\\"medium\\\"",
      "settings.is_open: expected true or false, got \\\"true\\\"",
      "settings.llm.provider: expected a backend's name, got nothing",
      "settings.app.app_id: expected an app's id, got nothing",
      "settings.word: expected a string, got a list of 1",
      "settings.any_model: expected a map with provider and model, got \\\"gpt\\\"",
      "settings.rerank.score_threshold: expected a number, got nothing",
      "settings.rerank.top_n: expected a number, got nothing",
      "settings.models[2].model_type: expected a model type of the scope llm, got \\\"tts\\\"",
    } do
      assert.truthy(log:find(text, 1, true), text .. "\n" .. log)
    end
  end)

  it("are at most 64", function()
    local many = {}
    for i = 1, 65 do many["s" .. i] = i end
    local server = host.start { config = with_settings(many), files = ECHO }
    assert.truthy(server:log():find("settings: expected at most 64 settings, got 65", 1, true))
    server:stop()
  end)
end)
