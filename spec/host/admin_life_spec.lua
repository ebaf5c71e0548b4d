-- The life of an endpoint through the admin API, on the real binary.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local http = require "spec.support.http"

local FILES = {
  ["plugins/greet/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: greet
label: { en_US: Greetings, pt_BR: Cumprimentos }
plugins:
  endpoints:
    - settings:
        - { name: api_key, type: secret-input, required: true, label: { en_US: Key } }
        - { name: greeting, type: text-input, default: Hello, label: { en_US: Greeting } }
        - name: mood
          type: select
          default: calm
          options:
            - { value: calm, label: { en_US: Calm } }
            - { value: wild, label: { en_US: Wild } }
        - { name: loud, type: boolean }
        - { name: app, type: app-selector, scope: chat }
        - { name: model, type: model-selector, scope: llm&vision }
      endpoints:
        - { path: /settings, method: GET, extra: { lua: { source: show.lua } } }
]],
  ["plugins/greet/show.lua"] = [[
local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end]],
}

local CONFIG = {
  plugins = { "plugins" },
  apps = { candy = { mode = "chat", name = "Candy" } },
  endpoints = { { plugin = "greet", name = "from the file",
    settings = { api_key = "sk-file-1234567890", loud = true } } },
}

describe("an endpoint's life", function()
  local server, api

  setup(function()
    server = host.start { config = CONFIG, files = FILES }
    api = admin.of(server)
  end)

  teardown(function()
    server:stop()
  end)

  local function settings_at(url)
    local reply = http.request { url = url .. "/settings" }
    return reply.status == 200 and cjson.decode(reply.body) or reply.status
  end

  it("goes from its making over changes and rotation to its end", function()
    local made = api:ask("POST", "/endpoints", { plugin = "greet", name = "front page",
      settings = { api_key = "sk-SECRET-1234567890abcdef", app = { app_id = "candy" } } }, 201)
    assert.equal("spec/greet", made.plugin)
    assert.equal("front page", made.name)
    assert.equal("api", made.origin)
    assert.is_true(made.enabled)
    assert.equal(cjson.null, made.problem)
    assert.matches("^[a-z2-7]+$", made.hook_id)
    assert.equal(26, #made.hook_id)
    assert.same({ api_key = "********", app = { app_id = "candy" } }, made.settings)
    assert.equal(made.url .. "/settings", made.routes[1].url)
    assert.same({ api_key = "sk-SECRET-1234567890abcdef", greeting = "Hello", mood = "calm",
      app = { app_id = "candy" } }, settings_at(made.url))

    local path = "/endpoints/" .. made.id
    assert.same(made, api:ask("GET", path))
    local changed = api:ask("PATCH", path, { settings = { greeting = "Hi", api_key = "********" } })
    assert.equal("Hi", changed.settings.greeting)
    assert.equal("Hi", settings_at(made.url).greeting)
    assert.equal("sk-SECRET-1234567890abcdef", settings_at(made.url).api_key)

    api:ask("PATCH", path, { settings = { greeting = cjson.null, api_key = "sk-other" } })
    assert.same({ api_key = "sk-other", mood = "calm", app = { app_id = "candy" } },
      settings_at(made.url))
    api:ask("PATCH", path, { unset = { "greeting" } })
    assert.equal("Hello", settings_at(made.url).greeting)

    assert.is_false(api:ask("POST", path .. "/disable").enabled)
    assert.equal(404, settings_at(made.url))
    assert.is_true(api:ask("POST", path .. "/enable").enabled)
    assert.equal("Hello", settings_at(made.url).greeting)

    local rotated = api:ask("POST", path .. "/rotate")
    assert.are_not.equal(made.hook_id, rotated.hook_id)
    assert.equal(404, settings_at(made.url))
    assert.equal("sk-other", settings_at(rotated.url).api_key)
    local named = api:ask("PATCH", path, { slug = "front-page", name = "front" })
    assert.matches("/e/front%-page$", named.url)
    assert.equal(404, settings_at(rotated.url))
    assert.equal("Hello", settings_at(named.url).greeting)

    api:ask("DELETE", path, nil, 204)
    assert.equal(404, settings_at(named.url))
    api:ask("GET", path, nil, 404)
    api:ask("DELETE", path, nil, 404)
  end)

  it("shows an endpoint of the configuration, and does not change it", function()
    local page = api:ask("GET", "/endpoints")
    local endpoint = page.endpoints[1]
    assert.equal("from the file", endpoint.name)
    assert.equal("config", endpoint.origin)
    assert.same({ api_key = "********", loud = true }, endpoint.settings)
    assert.same(endpoint, api:ask("GET", "/endpoints/" .. endpoint.id))
    local answer = api:ask("PATCH", "/endpoints/" .. endpoint.id, { name = "mine" }, 409)
    assert.equal("not_editable", answer.error.code)
    api:ask("DELETE", "/endpoints/" .. endpoint.id, nil, 409)
    api:ask("POST", "/endpoints/" .. endpoint.id .. "/rotate", nil, 409)
  end)

  it("goes on after a restart", function()
    local made = api:ask("POST", "/endpoints", { plugin = "spec/greet", slug = "kept",
      settings = { api_key = "sk-kept-1234567890" } }, 201)
    server:stop(true)
    server = host.start { dir = server.dir }
    api = admin.of(server)
    local again = api:ask("GET", "/endpoints/" .. made.id)
    made.url, again.url, made.routes, again.routes = nil, nil, nil, nil -- another port
    assert.same(made, again)
    assert.equal("sk-kept-1234567890", settings_at(server.base .. "/e/kept").api_key)
    api:ask("DELETE", "/endpoints/" .. made.id, nil, 204)
  end)

  it("keeps several endpoints of a plugin apart, page by page", function()
    local ids = {}
    for i = 1, 5 do
      ids[i] = api:ask("POST", "/endpoints", { plugin = "greet", name = "n" .. i,
        settings = { api_key = "key-" .. i } }, 201).id
    end
    local seen, cursor = {}, ""
    repeat
      local page = api:ask("GET", "/endpoints?limit=2" .. cursor)
      assert.is_true(#page.endpoints <= 2)
      for _, endpoint in ipairs(page.endpoints) do
        seen[#seen + 1] = endpoint.id
        if endpoint.origin == "api" then
          assert.equal("key-" .. endpoint.name:sub(2), settings_at(endpoint.url).api_key)
        end
      end
      cursor = page.next_cursor ~= cjson.null and "&cursor=" .. page.next_cursor
    until not cursor
    assert.equal(6, #seen)
    for _, id in ipairs(ids) do api:ask("DELETE", "/endpoints/" .. id, nil, 204) end
  end)

  it("leaves nothing in the plugin's memory when its address is gone", function()
    local function values(i) -- 180 KB, of which 64 MiB hold 370
      local text = i .. ("x"):rep(60000)
      return { api_key = "sk-1234567890", greeting = text .. "a",
        app = { app_id = "candy", inputs = { text = text .. "b" } },
        model = { provider = "local", model = "demo", model_type = "llm",
          completion_params = { text = text .. "c" } } }
    end
    local made = api:ask("POST", "/endpoints", { plugin = "greet", settings = values(0) }, 201)
    for i = 1, 450 do
      made = api:ask("PATCH", "/endpoints/" .. made.id, { slug = "moved-" .. i,
        settings = values(i) })
      local reply = http.request { url = made.url .. "/settings" }
      assert.equal(200, reply.status, i .. ": " .. reply.body:sub(1, 200))
    end
    assert.is_nil(server:find_record { msg = "plugin failed" })
    api:ask("DELETE", "/endpoints/" .. made.id, nil, 204)
  end)
end)
