-- The mistakes that authors make, each with the message that it gets: file, line and what mends it.
-- Read them aloud: whoever has never seen the host must know what to do.
local cjson = require "cjson"
local host = require "spec.support.host"

local MANIFEST = [[
version: 0.1.0
type: plugin
author: me
name: wrong
plugins:
  endpoints:
    - settings:
        - { name: greeting, type: text-input, default: Hello }
        - { name: app, type: app-selector, scope: chat }
      endpoints:
        - { path: /a, method: GET, extra: { lua: { source: a.lua } } }
]]

local A = 'return function() return "a" end\n'

local function replace(from, to)
  local start, stop = MANIFEST:find(from, 1, true)
  return MANIFEST:sub(1, start - 1) .. to .. MANIFEST:sub(stop + 1)
end

local function with_resource(resource)
  return replace("plugins:\n", "resource: " .. resource .. "\nplugins:\n")
end

-- ---- found by moonhook check --------------------------------------------------------------------

local CHECKED = { -- what is wrong, manifest.yaml, a.lua, the message
  { "a tab in YAML", replace("  endpoints:\n", "\tendpoints:\n"), A,
    "manifest.yaml:6:1: not YAML: expected spaces, got a tab" },
  { "a wrong indent in YAML", replace("author: me\n", "author: me\n  label: x\n"), A,
    "manifest.yaml:4:8: not YAML: mapping values are not allowed in this context (is it indented "
      .. "too far, or is there a second ': ' in the line? quote the value then)" },
  { "a list that begins too far left", replace("    - settings", "  - settings"), A,
    "(do this line and the ones above begin in the right column?)" },
  { "a misspelt key in the manifest", replace("author: me", "authr: me"), A,
    "manifest.yaml:3:1: authr: unknown key, did you mean author?" },
  { "a misspelt key of an endpoint", replace("method: GET", "methods: GET"), A,
    "manifest.yaml:11:23: methods: unknown key, did you mean method?" },
  { "a source that is not there", replace("a.lua", "b.lua"), A,
    'manifest.yaml:11:60: extra.lua.source: expected a file of the package, got "b.lua", which '
      .. "does not exist" },
  { "an endpoint without a source", replace(", extra: { lua: { source: a.lua } }", ""), A,
    "manifest.yaml:11:11: extra.lua.source: expected the path of a Lua file, got nothing" },
  { "a setting of an unknown type", replace("text-input", "text"), A,
    'manifest.yaml:8:35: settings.greeting.type: expected one of text-input, secret-input, select, '
      .. 'boolean, model-selector, app-selector, array[tools], got "text"' },
  { "a value of the wrong type", replace("method: GET", "method: 5"), A,
    "manifest.yaml:11:31: method: expected one of HEAD, GET, POST, PUT, DELETE, OPTIONS, PATCH in "
      .. "capitals, got 5" },
  { "a method in small letters", replace("method: GET", "method: get"), A,
    "manifest.yaml:11:31: method: expected one of HEAD, GET, POST, PUT, DELETE, OPTIONS, PATCH in "
      .. 'capitals (GET?), got "get"' },
  { "half of a setting's type", replace("text-input", "secret"), A,
    'array[tools], got "secret", did you mean secret-input?' },
  { "a source that stands too far out",
    replace("extra: { lua: { source: a.lua } }", "source: a.lua"), A,
    "manifest.yaml:11:44: source: expected it in extra.lua: extra: { lua: { source: a.lua } }" },
  { "a route twice",
    MANIFEST .. "        - { path: /a, method: GET, extra: { lua: { source: a.lua } } }\n", A,
    "manifest.yaml:12:19: path: expected a path and method of its own, got GET /a, which "
      .. "manifest.yaml:11:11 has too" },
  { "a converter that there is not", replace("path: /a", 'path: "/a/<integer:x>"'), A,
    "manifest.yaml:11:19: path: expected a converter (string, int, float, path, any, uuid), got "
      .. "integer" },
  { "a path without its slash", replace("path: /a", "path: a"), A,
    "manifest.yaml:11:19: path: expected a path starting with '/', got \"a\"" },
  { "a misspelt `plugins`", replace("plugins:", "plugin:"), A,
    "manifest.yaml:5:1: plugin: unknown key, did you mean plugins?" },
  { "a misspelt `endpoints`", replace("  endpoints:\n    -", "  endpoint:\n    -"), A,
    "manifest.yaml:6:3: plugins.endpoint: unknown key, did you mean endpoints?" },
  { "a misspelt `permission`", with_resource "{ permision: { app: { enabled: true } } }", A,
    "manifest.yaml:5:13: resource.permision: unknown key, did you mean permission?" },
  { "a misspelt `enabled`", with_resource "{ permission: { app: { enable: true } } }", A,
    "manifest.yaml:5:34: resource.permission.app.enable: unknown key, did you mean enabled?" },
  { "a permission without a map", with_resource "{ permission: { app: true } }", A,
    "manifest.yaml:5:32: resource.permission.app: expected a map such as { enabled: true }, got "
      .. "true" },
  { "a handler that is not returned", MANIFEST,
    "local Talk = {}\nfunction Talk:invoke() return 'a' end\n",
    "a.lua:2:1: expected it to return a table with a function `invoke`, or a function, got nothing"
      .. ": is `return Talk` missing at its end?" },
  { "an `end` that is missing", MANIFEST, "return function()\n  if true then\n    return 1\nend\n",
    "a.lua:5:1: syntax: expected 'end' (to close 'function' at line 1), got '<eof>'" },
  { "a comma that is missing", MANIFEST, "local t = {\n  a = 1\n  b = 2\n}\n" .. A,
    "a.lua:3:3: syntax: expected '}' (to close '{' at line 1), got 'b'" },
}

describe("moonhook check finds", function()
  for _, case in ipairs(CHECKED) do
    it(case[1], function()
      local dir = host.folder { files = { ["manifest.yaml"] = case[2], ["a.lua"] = case[3] } }
      local result = host.run { dir = dir, "check", "." }
      assert.equal(1, result.code)
      assert.is_truthy(result.stdout:find(case[4], 1, true), result.stdout)
    end)
  end
end)

local WARNED = {
  { "an app-selector without the permission", MANIFEST,
    "manifest.yaml:9:19: warning: settings.app: the plugin may not call what is chosen here: the "
      .. "manifest lacks resource: { permission: { app: { enabled: true } } }" },
  { "a model-selector without the permission for its scope",
    replace("app, type: app-selector, scope: chat", "m, type: model-selector, scope: llm"),
    "manifest.yaml:9:19: warning: settings.m: the plugin may not call what is chosen here: the "
      .. "manifest lacks resource: { permission: { model: { enabled: true, llm: true } } }" },
  { "tools without the permission", replace("app, type: app-selector, scope: chat",
    'tools, type: "array[tools]"'), "permission: { tool: { enabled: true } } }" },
  { "models that are not enabled", with_resource "{ permission: { model: { llm: true } } }",
    "manifest.yaml:5:34: warning: resource.permission.model: no model may be called without "
      .. "enabled: true beside the kinds" },
  { "a permission that nobody knows", with_resource "{ permission: { trigger: { enabled: on } } }",
    "manifest.yaml:5:27: warning: resource.permission.trigger: unknown key, it is ignored; known "
      .. "are network, tool, model, node, app, endpoint, storage" },
}

describe("moonhook check warns of", function()
  for _, case in ipairs(WARNED) do
    it(case[1], function()
      local dir = host.folder { files = { ["manifest.yaml"] = case[2], ["a.lua"] = A } }
      local result = host.run { dir = dir, "check", "." }
      assert.equal(0, result.code)
      assert.is_truthy(result.stdout:find(case[3], 1, true), result.stdout)
    end)
  end

  it("nothing where the permissions fit", function()
    local dir = host.folder { files = { ["a.lua"] = A,
      ["manifest.yaml"] = with_resource "{ permission: { app: { enabled: true } } }" } }
    assert.equal("", host.run({ dir = dir, "check", "." }).stdout)
  end)
end)

-- ---- found when a request is served -------------------------------------------------------------

local PERMISSIONS = [[
resource:
  permission:
    app: { enabled: true }
    model: { enabled: true, llm: true, text_embedding: true, rerank: true, tts: true,
             speech2text: true, moderation: true }
    tool: { enabled: true }
    network: { enabled: true }
    storage: { enabled: true, size: 1048576 }
]]

-- A handler with these lines in it; the first is line 3.
local function handler(lines)
  return 'local moonhook = require "moonhook"\n'
    .. "return function(self, request, values, settings)\n" .. lines .. "\n"
    .. 'return moonhook.Response "fine"\nend\n'
end

local MODEL = '{ provider = "gpt", model = "m" }'

local SERVED = { -- what is wrong, the handler, the message, more
  { "a typo in a global", handler "local text = tostirng(5)",
    "a.lua:3: attempt to call global 'tostirng' (a nil value), did you mean 'tostring'?" },
  { "a module that plugins do not have", handler "local now = os.time()",
    "a.lua:3: attempt to index global 'os' (a nil value): plugins have no `os`: moonhook.time() "
      .. "tells the time" },
  { "a call with . for :", handler 'local events = self.session.app.chat.invoke { app_id = "x" }',
    "a.lua:3: session.app.chat:invoke: called with '.', expected ':' before the last name" },
  { "a request's method with . for :", handler "local body = request.get_data()",
    "a.lua:3: request.get_data: called with '.', expected ':'" },
  { "a setting that is not set", handler "local id = settings.app.app_id",
    "a.lua:3: attempt to index field 'app' (a nil value): the setting `app` is not set for this "
      .. "endpoint" },
  { "a setting that the group does not declare", handler "local text = settings.greting",
    "a.lua:3: settings.greting: the group declares no setting of this name, did you mean "
      .. "'greeting'?" },
  { "a part that the path does not have", handler "local name = values.name",
    "a.lua:3: values.name: no path of the plugin has such a part; there is none at all" },
  { "a field that a request does not have", handler "local body = request.json",
    "a.lua:3: a request has no field 'json': did you mean request:get_json()?" },
  { "a member that the session does not have", handler "local apps = self.session.apps",
    "a.lua:3: session.apps: there is no such member, did you mean 'app'?" },
  { "a member that moonhook does not have", handler "local reply = moonhook.Respnse 'x'",
    "a.lua:3: moonhook has no member 'Respnse', did you mean 'Response'?" },
  { "a way to respond that there is not", handler "local reply = moonhook.Response.jsn {}",
    "a.lua:3: moonhook.Response has no member 'jsn', did you mean 'json'?" },
  { "a function that json does not have", handler "local text = moonhook.json.encod {}",
    "a.lua:3: moonhook.json has no member 'encod', did you mean 'encode'?" },
  { "a level that the log does not have", handler "moonhook.log.warning 'x'",
    "a.lua:3: moonhook.log has no member 'warning'; there are debug, error, info, warn" },
  { "a signature that there is not", handler "local ok = moonhook.verify.githb(request, 's')",
    "a.lua:3: moonhook.verify has no member 'githb', did you mean 'github'?" },
  { "returning nothing", "return function()\n  local text = 'x'\nend\n",
    "a.lua:1: the handler returned nothing (is a `return` missing?): expected a Response or a "
      .. "string" },
  { "returning a table", "return function()\n  return { a = 1 }\nend\n",
    "a.lua:1: the handler returned a table: expected a Response or a string" },
  { "a table as a body", handler "local reply = moonhook.Response({ a = 1 })",
    "a.lua:3: body: expected a string or a function, got a table (Response.json encodes tables)" },
  { "a stream as a body",
    handler('local answer = self.session.app.chat:invoke { app_id = "x", query = "q" }\n'
      .. "local reply = moonhook.Response(answer)"),
    "a.lua:4: body: expected a string or a function, got a table (a stream: `Response(function() "
      .. "for piece in stream do coroutine.yield(piece) end end)`)" },
  { "yielding a table",
    handler "if true then return moonhook.Response(function()\ncoroutine.yield { a = 1 }\nend) end",
    "a.lua:4: coroutine.yield: expected a string (a piece of the reply), got a table; "
      .. "Response.sse takes events" },
  { "an iterator as a generator",
    "local Response = require('moonhook').Response\nreturn function()\n"
      .. "  return Response(coroutine.wrap(function() coroutine.yield 'x' end))\nend\n",
    "a.lua:2: the generator returned a string, which nobody sends: send it with coroutine.yield; "
      .. "give Response the function itself, not coroutine.wrap of it" },
  { "an event that is returned",
    handler "if true then return moonhook.Response.sse(function() return { data = 'x' } end) end",
    "a.lua:2: the generator returned a table, which nobody sends: send it with coroutine.yield" },
  { "a sleep without an end", handler "self.session:sleep(1e300)",
    "a.lua:3: moonhook.sleep: delay_ms: expected milliseconds from 0 to 86400000 (a day), got "
      .. "1e+300" },
  { "forgetting response_mode",
    handler('local answer = self.session.app.chat:invoke { app_id = "x", query = "q" }\n'
      .. "local text = answer.answer"),
    'a.lua:4: answer: the call gives a stream, not an answer: read it with `for event in stream '
      .. 'do`, take it whole with stream:collect(), or ask for one answer (response_mode = '
      .. '"blocking" for apps, stream = false for models)' },
  { "an argument that app calls do not have",
    handler 'local events = self.session.app.chat:invoke { app_id = "x", qeury = "q" }',
    "a.lua:3: session.app.chat:invoke: unknown argument 'qeury', did you mean 'query'?" },
  { "a wrong argument to a workflow",
    handler 'local run = self.session.app.workflow:invoke { app_id = "x", inputs = "y" }',
    'a.lua:3: session.app.workflow:invoke: inputs: expected a table, got "y"' },
  { "a wrong argument to a chat model",
    handler('local chunks = self.session.model.llm:invoke { model_config = ' .. MODEL
      .. ', prompt_messages = "Hi" }'),
    'a.lua:3: session.model.llm:invoke: prompt_messages: expected an array of messages, got "Hi"' },
  { "a wrong argument to an embedding",
    handler('local vectors = self.session.model.text_embedding:invoke { model_config = ' .. MODEL
      .. ', texts = "x" }'),
    'a.lua:3: session.model.text_embedding:invoke: texts: expected an array of strings, got "x"' },
  { "a wrong argument to a reranker",
    handler('local order = self.session.model.rerank:invoke { model_config = ' .. MODEL
      .. ', query = "q", docs = "x" }'),
    'a.lua:3: session.model.rerank:invoke: docs: expected an array of strings, got "x"' },
  { "a wrong argument to a voice",
    handler('local sound = self.session.model.tts:invoke { model_config = ' .. MODEL
      .. ', text = "x" }'),
    "a.lua:3: session.model.tts:invoke: unknown argument 'text'; known are model_config, "
      .. "content_text, user" },
  { "a wrong argument to a moderation",
    handler 'local bad = self.session.model.moderation:invoke { model_config = "gpt", text = "x" }',
    'a.lua:3: session.model.moderation:invoke: model_config: expected a table { provider, model }, '
      .. 'got "gpt"' },
  { "a wrong argument to a tool",
    handler 'local said = self.session.tool:invoke { provider_type = "built-in" }',
    'a.lua:3: session.tool:invoke: provider_type: expected one of "builtin", "workflow", "api", '
      .. '"mcp", got "built-in"' },
  { "a wrong argument to an HTTP call",
    handler 'local page = self.session.http:request { uri = "https://example.com" }',
    "a.lua:3: session.http:request: unknown argument 'uri', did you mean 'url'?" },
  { "a wrong argument to the storage", handler 'self.session.storage:set("k", { a = 1 })',
    "a.lua:3: session.storage:set: value: expected a string, got a table" },
  { "an app that is not set",
    handler("local app = settings.app or {}\n"
      .. 'local events = self.session.app.chat:invoke { app_id = app.app_id, query = "q" }'),
    "a.lua:4: session.app.chat:invoke: app_id: expected a string, got nil (is the app-selector "
      .. "setting set?)" },
  { "a wrong option where nothing is left of the line",
    'local moonhook = require "moonhook"\nreturn function()\n'
      .. 'return moonhook.Response("x", { contenttype = "text/css" })\nend\n',
    'a.lua:2: options: unknown "contenttype": did you mean content_type? (in a `return` of the '
      .. "handler that begins at this line)" },
  { "a status as text", handler 'moonhook.abort("400", "no")',
    'a.lua:3: abort: status: expected an integer 400..599, got "400"' },
  { "a loop without an end", handler "while true do end",
    "a.lua:3: it used more than 100 ms of processor time without waiting" },
  { "memory without an end",
    handler "local list = {}\nfor i = 1, 1e9 do list[i] = ('x'):rep(1000000) .. i end",
    "a.lua: the plugin needed more than 65536 KiB of memory" },
  { "a permission that the manifest does not give",
    handler 'local seen = self.session.storage:get "x"',
    "a.lua:3: permission denied, you need to enable storage access in plugin manifest (resource: "
      .. "{ permission: { storage: { enabled: true, size: 1048576 } } })",
    { permissions = "" } },
}

-- Serves each handler in a plugin of its own; gives what the log says of it.
local function messages()
  local files = { ["spec/all_spec.lua"] = [[
    local testing = require "moonhook.testing"
    local json = require "moonhook.json"
    describe("mistakes", function()
      it("are logged", function()
        local found = {}
        for number = 1, ]] .. #SERVED .. [[ do
          local plugin = testing.load { dir = "p" .. number, app = "words" }
          plugin:get("/a"):is_broken()
          for _, record in ipairs(plugin:log()) do
            if record.msg == "plugin failed" then found[number] = record.error end
          end
          found[number] = found[number] or "nothing"
        end
        print("\n" .. json.encode(found))
      end)
    end)]] }
  for number, case in ipairs(SERVED) do
    local permissions = (case[4] or {}).permissions or PERMISSIONS
    files["p" .. number .. "/manifest.yaml"] = replace("plugins:\n", permissions .. "plugins:\n")
    files["p" .. number .. "/a.lua"] = case[2]
  end
  local result = host.run { files = files, seconds = 60, "test", "spec", "-o", "TAP" }
  assert.equal(0, result.code, result.stdout .. result.stderr)
  return cjson.decode(result.stdout:match "\n(%[.-%])\n")
end

describe("the log names", function()
  local found

  setup(function() found = messages() end)

  for number, case in ipairs(SERVED) do
    it(case[1], function()
      assert.is_truthy(found[number]:find(case[3], 1, true), found[number])
    end)
  end
end)

-- ---- found when a plugin is loaded --------------------------------------------------------------

local LOADED = {
  { "a module that is not there", 'local helpers = require "lib.helpers"\n' .. A,
    "a.lua:1: module 'lib.helpers' not found: the package has no lib/helpers.lua and no "
      .. "lib/helpers/init.lua" },
  { "a source that returns nothing", "local function talk() end\n",
    "a.lua: expected it to return a table with a function `invoke`, or a function, got nothing: is "
      .. "`return talk` missing at its end?" },
  { "a table that is not returned", "local Talk = {}\nfunction Talk:invoke() return 'a' end\n",
    "got nothing: is `return Talk` missing at its end?" },
  { "a table without invoke", "local Talk = {}\nreturn Talk\n",
    "or a function, got a table without `invoke`" },
  { "a loop without an end", "local x = 1\nwhile true do\n  x = x + 1\nend\n",
    "a.lua:3: it used more than 1000 ms of processor time without waiting while it was loaded" },
}

describe("a plugin does not load with", function()
  for _, case in ipairs(LOADED) do
    it(case[1], function()
      local result = host.run {
        files = { ["p/manifest.yaml"] = MANIFEST, ["p/a.lua"] = case[2],
          ["p/spec/a_spec.lua"] = 'require("moonhook.testing").load()' },
        "test", "p",
      }
      assert.equal(1, result.code)
      assert.is_truthy((result.stdout .. result.stderr):find(case[3], 1, true),
        result.stdout .. result.stderr)
    end)
  end
end)

-- ---- found in the world -------------------------------------------------------------------------

describe("a running host names", function()
  local server

  local function serve(code, config)
    config.plugins = "p"
    config.endpoints = { { plugin = "wrong", hook_id = "wrong", settings = config.settings } }
    config.settings = nil
    server = host.start { config = config, files = {
      ["p/manifest.yaml"] = replace("plugins:\n", PERMISSIONS .. "plugins:\n"), ["p/a.lua"] = code,
    } }
    local reply = server:request { target = "/e/wrong/a" }
    return reply, server:wait_record { msg = "plugin failed" }
  end

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  it("a model's provider that is none of the backends", function()
    local reply, record = serve(handler([[local chunks = self.session.model.llm:invoke {
      model_config = { provider = "gtp", model = "gpt-4o" },
      prompt_messages = { { role = "user", content = "Hi" } } }]]), {})
    assert.equal(404, reply.status)
    assert.matches("the model provider 'gtp' was not found: it is not one of the backends "
      .. "%(local%)", record.error)
  end)

  it("an app that is nowhere", function()
    local _, record = serve(handler
      'local events = self.session.app.chat:invoke { app_id = "cnady", query = "q" }', {})
    assert.matches("the app 'cnady' was not found: not among `apps`", record.error)
  end)

  it("a backend that is down", function()
    local reply, record = serve(handler([[local chunks = self.session.model.llm:invoke {
      model_config = { provider = "gpt", model = "m" },
      prompt_messages = { { role = "user", content = "Hi" } } }]]),
      { backends = { gpt = { type = "openai", url = "http://127.0.0.1:9/v1" } } })
    assert.equal(502, reply.status)
    assert.matches("the upstream could not be reached", record.error)
    assert.matches("connect_refused: 127%.0%.0%.1 port 9", record.details)
  end)
end)
