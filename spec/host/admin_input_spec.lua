-- What the admin API says to bad input: 422 with every field that is wrong, and nothing stored.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
label: { en_US: Everything, pt_BR: Tudo }
plugins:
  endpoints:
    - settings:
        - { name: api_key, type: secret-input, required: true,
            label: { en_US: Key, zh_Hans: 密钥 } }
        - { name: text, type: text-input, label: Text }
        - { name: choice, type: select,
            options: [ { value: a, label: { en_US: A } }, { value: b } ] }
        - { name: flag, type: boolean, default: false }
        - { name: model, type: model-selector, scope: llm&vision }
        - { name: ranks, type: model-selector, scope: rerank }
        - { name: app, type: app-selector, scope: chat&workflow }
        - { name: tools, type: "array[tools]" }%s
      endpoints:
        - { path: /, method: GET, extra: { lua: { source: show.lua } } }
]]
local SHOW = [[
local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end]]

local FILES = {
  ["plugins/all/manifest.yaml"] = MANIFEST:format("all", ""),
  ["plugins/all/show.lua"] = SHOW,
  ["plugins/broken/manifest.yaml"] =
    MANIFEST:format("broken", "\n        - { name: x, type: any }"),
}

describe("the admin API", function()
  local server, api

  setup(function()
    server = host.start { files = FILES, config = { plugins = { "plugins" } } }
    api = admin.of(server)
  end)

  teardown(function()
    server:stop()
  end)

  local function count()
    return #api:ask("GET", "/endpoints?limit=200").endpoints
  end

  it("names every field that is wrong, all at once", function()
    local before = count()
    local problems = api:problems("POST", "/endpoints", { plugin = "all", settings = {
      text = 12, choice = "c", flag = "true", model = { provider = "local" },
      ranks = { provider = "x", model = "y", model_type = "rerank", top_n = "3" },
      app = cjson.decode "{}", tools = { "hammer" }, colour = "red" } })
    local fields = {}
    for field in pairs(problems) do fields[#fields + 1] = field end
    table.sort(fields)
    assert.same({ "settings.api_key", "settings.app", "settings.choice", "settings.colour",
      "settings.flag", "settings.model", "settings.ranks", "settings.text", "settings.tools" },
      fields)
    assert.equal("expected a value (it is required), got nothing", problems["settings.api_key"])
    assert.equal("expected a string, got 12", problems["settings.text"])
    assert.equal('expected one of a, b, got "c"', problems["settings.choice"])
    assert.equal('expected true or false, got "true"', problems["settings.flag"])
    assert.truthy(problems["settings.model"]:find("model", 1, true))
    assert.truthy(problems["settings.colour"]:find("no such setting", 1, true))
    assert.equal(before, count())
  end)

  it("checks the body's own fields", function()
    local before = count()
    local good = { api_key = "sk-1234567890" }
    for field, body in pairs {
      plugin = { plugin = "nowhere", settings = good },
      name = { plugin = "all", name = "", settings = good },
      slug = { plugin = "all", slug = "Front Page", settings = good },
      enabled = { plugin = "all", enabled = "yes", settings = good },
      settings = { plugin = "all", settings = "api_key" },
      hook = { plugin = "all", hook = "x", settings = good },
    } do
      assert.truthy(api:problems("POST", "/endpoints", body)[field], field)
    end
    assert.truthy(api:problems("POST", "/endpoints", "{}").plugin)
    assert.truthy(api:problems("POST", "/endpoints",
      { plugin = "all", name = "a\r\nSet-Cookie: b", settings = good }).name)
    assert.truthy(api:problems("POST", "/endpoints",
      { plugin = "all", name = ("x"):rep(128), settings = good }).name)
    for _, slug in ipairs { "ab", ("x"):rep(64), "a/b", "../..", "a.b", "é" .. "xx" } do
      assert.truthy(api:problems("POST", "/endpoints",
        { plugin = "all", slug = slug, settings = good }).slug, slug)
    end
    for _, text in ipairs { "", "{", "[]", "null", '"x"', ("["):rep(5000), "\255\254" } do
      assert.equal(400, api:request("POST", "/endpoints", text).status, text)
    end
    assert.equal(415, http.request({ port = server.admin_port, target = "/api/v1/endpoints",
      headers = { Authorization = "Bearer " .. api.key, ["Content-Type"] = "text/plain" },
      body = "{}", method = "POST" }).status)
    assert.equal(413, api:request("POST", "/endpoints", ("x"):rep(1100000)).status)
    assert.truthy(api:problems("GET", "/endpoints?limit=0").limit)
    assert.truthy(api:problems("GET", "/endpoints?limit=201").limit)
    assert.truthy(api:problems("GET", "/endpoints?limit=ten").limit)
    assert.truthy(api:problems("GET", "/endpoints?page=2").page)
    assert.equal(405, api:request("PUT", "/endpoints", "{}").status)
    assert.equal("GET, HEAD, POST", api:request("PUT", "/endpoints", "{}").headers.allow)
    assert.equal(404, api:request("GET", "/nothing").status)
    assert.equal(before, count())
  end)

  it("keeps hostile values as they are, and refuses those that are too large", function()
    for _, text in ipairs { "{{settings.other}}", "$(id)", "'; DROP TABLE endpoints;--", "\r\nX: y",
        '{"__proto__":1}', ("x"):rep(60000), "a\0b", "" } do
      local made = api:ask("POST", "/endpoints", { plugin = "all",
        settings = { api_key = text == "" and "" or text, text = text } }, 201)
      assert.equal(text, made.settings.text)
      local seen = cjson.decode(http.request({ url = made.url .. "/" }).body)
      assert.equal(text, seen.text)
      assert.equal(text, seen.api_key)
      api:ask("DELETE", "/endpoints/" .. made.id, nil, 204)
    end
    local problems = api:problems("POST", "/endpoints", { plugin = "all",
      settings = { api_key = "sk-1234567890", text = ("x"):rep(1000000) } })
    assert.truthy(problems["settings.text"]:find("at most 65536 bytes", 1, true))
    local many = { api_key = "k" }
    for i = 1, 70 do many["s" .. i] = 1 end
    assert.truthy(api:problems("POST", "/endpoints", { plugin = "all", settings = many }).settings)
  end)

  it("gives an address to one endpoint only", function()
    local good = { api_key = "sk-1234567890" }
    local made = api:ask("POST", "/endpoints", { plugin = "all", slug = "mine", settings = good },
      201)
    assert.equal("the address is taken by another endpoint",
      api:problems("POST", "/endpoints", { plugin = "all", slug = "mine", settings = good }).slug)
    local other = api:ask("POST", "/endpoints", { plugin = "all", settings = good }, 201)
    assert.truthy(api:problems("PATCH", "/endpoints/" .. other.id, { slug = "mine" }).slug)
    local same = api:ask("PATCH", "/endpoints/" .. made.id, { slug = "mine" })
    assert.equal(made.hook_id, same.hook_id)
    api:ask("DELETE", "/endpoints/" .. made.id, nil, 204)
    api:ask("PATCH", "/endpoints/" .. other.id, { slug = "mine" })
    api:ask("DELETE", "/endpoints/" .. other.id, nil, 204)
  end)

  it("answers alike for hook ids that are unknown, disabled, removed or of another case", function()
    local good = { api_key = "sk-1234567890" }
    local off = api:ask("POST", "/endpoints", { plugin = "all", enabled = false, settings = good },
      201)
    local gone = api:ask("POST", "/endpoints", { plugin = "all", settings = good }, 201)
    api:ask("DELETE", "/endpoints/" .. gone.id, nil, 204)
    local on = api:ask("POST", "/endpoints", { plugin = "all", settings = good }, 201)
    local first
    for _, hook_id in ipairs { off.hook_id, gone.hook_id, on.hook_id:upper(), "nothing",
        on.hook_id:sub(1, 25), on.hook_id .. "a" } do
      local reply = http.request { port = server.port, target = "/e/" .. hook_id .. "/" }
      local body = reply.body:gsub('"request_id":"%x+"', "")
      first = first or body
      assert.equal(404, reply.status)
      assert.equal(first, body)
    end
  end)

  it("shows plugins with their declarations, their state and the last load error", function()
    local plugins = {}
    for _, plugin in ipairs(api:ask("GET", "/plugins").plugins) do plugins[plugin.name] = plugin end
    assert.equal("loaded", plugins.all.state)
    assert.equal("spec/all", plugins.all.id)
    assert.equal("error", plugins.broken.state)
    assert.truthy(plugins.broken.error:find("settings.x.type: expected one of", 1, true))
    assert.same({ path = "/", methods = { "GET" }, hidden = false }, plugins.all.endpoints[1])
    assert.equal("secret-input", plugins.all.settings[1].type)
    assert.same({ en_US = "Key", zh_Hans = "密钥" }, plugins.all.settings[1].label)
    assert.equal("llm&vision", plugins.all.settings[5].scope)
    local function label_in(lang)
      local plugin = api:ask("GET", "/plugins/spec/all?lang=" .. lang)
      return plugin.label .. " " .. plugin.settings[1].label
    end
    assert.equal("Tudo Key", label_in "pt_BR")
    assert.equal("Tudo Key", label_in "pt-PT")
    assert.equal("Everything 密钥", label_in "zh_Hans")
    assert.equal("Everything Key", label_in "ja_JP")
    api:ask("GET", "/plugins/spec/broken", nil, 404)
  end)
end)

describe("an endpoint whose plugin is changed", function()
  it("keeps serving old settings that do not fit any more, and shows the problem", function()
    local server = host.start { files = FILES, config = { plugins = { "plugins/all" } } }
    local api = admin.of(server)
    local made = api:ask("POST", "/endpoints", { plugin = "all",
      settings = { api_key = "sk-1234567890", text = "old", choice = "b" } }, 201)
    local function reload(manifest)
      local from = #server:log()
      server:write("plugins/all/manifest.yaml", manifest)
      server.process:kill "HUP"
      server:wait_record({ msg = "configuration loaded" }, 10, from)
    end
    local function served()
      return cjson.decode(http.request({ url = made.url .. "/" }).body)
    end
    local narrow = FILES["plugins/all/manifest.yaml"]:gsub("{ value: b }", "{ value: c }")
    reload(narrow)
    local found = api:ask("GET", "/endpoints/" .. made.id)
    assert.equal("settings.choice", found.problem.fields[1].field)
    assert.equal('expected one of a, c, got "b"', found.problem.fields[1].message)
    assert.same({ api_key = "sk-1234567890", text = "old", choice = "b", flag = false }, served())

    -- After a restart, too; and what does not touch the settings can still be changed.
    server:stop(true)
    server = host.start { dir = server.dir }
    api = admin.of(server)
    made = api:ask("GET", "/endpoints/" .. made.id)
    assert.equal("settings.choice", made.problem.fields[1].field)
    made = api:ask("POST", "/endpoints/" .. made.id .. "/rotate")
    assert.equal("b", served().choice)
    assert.truthy(api:problems("PATCH", "/endpoints/" .. made.id, { settings = { text = "new" } })
      ["settings.choice"])

    api:ask("PATCH", "/endpoints/" .. made.id, { settings = { choice = "c" } })
    assert.equal(cjson.null, api:ask("GET", "/endpoints/" .. made.id).problem)
    assert.equal("c", served().choice)

    -- A new setting with a default comes by itself.
    reload((narrow:gsub("\n      endpoints:",
      "\n        - { name: fresh, type: text-input, default: here }\n      endpoints:")))
    process.eventually(function() return served().fresh == "here" end, 5, "the new default")
    assert.equal(cjson.null, api:ask("GET", "/endpoints/" .. made.id).problem)
    server:stop()
  end)
end)
