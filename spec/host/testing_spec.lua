-- `moonhook test` and moonhook.testing, on the real binary: specs of a plugin that does a bit of
-- everything, some of them with a mistake in them.
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.1.0
type: plugin
author: me
name: everything
resource:
  permission:
    app: { enabled: true }
    model: { enabled: true, llm: true, text_embedding: true, tts: true, rerank: true,
             speech2text: true, moderation: true }
    tool: { enabled: true }
    node: { enabled: true }
    storage: { enabled: true, size: 1048576 }
    network: { enabled: true }
plugins:
  endpoints:
    - settings:
        - { name: app, type: app-selector, scope: chat }
        - { name: greeting, type: text-input, default: Hello }
      endpoints:
        - { path: /echo, method: [GET, POST], extra: { lua: { source: echo.lua } } }
        - { path: /relay, method: GET, extra: { lua: { source: relay.lua } } }
        - { path: /call/<what>, method: POST, extra: { lua: { source: call.lua } } }
]]

local ECHO = [[
local moonhook = require "moonhook"
return function(self, request, values, settings)
  if request.args.fail then error "on purpose" end
  if request.args.events then
    return moonhook.Response.sse(function()
      coroutine.yield { event = "one", data = { a = 1 } }
      coroutine.yield "two"
    end)
  end
  if request.args.later then
    self.session:after_response(function()
      self.session:sleep(30000)
      self.session.storage:set("later", "done")
    end)
    return "soon"
  end
  local file = request.files.picture
  return moonhook.Response.json({
    method = request.method, q = request.args.q, form = request.form.name,
    type = request.headers["content-type"], body = request:get_data(), cookie = request.cookies.c,
    file = file and file.filename .. "=" .. file.body, greeting = settings.greeting,
    url = request.url, time = moonhook.time(),
  }, { headers = { ["X-Kind"] = "echo" } })
end
]]

local RELAY = [[
local moonhook = require "moonhook"
return function(self, request, values, settings)
  return moonhook.Response(function()
    local events = self.session.app.chat:invoke {
      app_id = settings.app.app_id, query = request.args.q or "Hi", response_mode = "streaming",
    }
    for event in events do
      if event.answer then coroutine.yield(event.answer) end
    end
  end)
end
]]

-- Makes the call that the body describes and answers with what it gave.
local CALL = [[
local moonhook = require "moonhook"
local MODEL = { provider = "gpt", model = "m" }
local calls = {}
function calls.llm(session)
  local chunks, texts = session.model.llm:invoke {
    model_config = MODEL, prompt_messages = { { role = "user", content = "Hi" } } }, {}
  for chunk in chunks do texts[#texts + 1] = chunk.delta.message.content end
  return texts
end
function calls.whole(session)
  return session.model.llm:invoke { model_config = MODEL, stream = false,
    prompt_messages = { { role = "user", content = "Hi" } } }.message
end
function calls.embed(session)
  return session.model.text_embedding:invoke { model_config = MODEL,
    texts = { "a", "b" } }.embeddings
end
function calls.rerank(session)
  return session.model.rerank:invoke { model_config = MODEL, query = "q", docs = { "a", "b" } }.docs
end
function calls.tts(session)
  return session.model.tts:invoke { model_config = MODEL, content_text = "Hi" }:collect()
end
function calls.speech(session)
  return session.model.speech2text:invoke { model_config = MODEL, file = "RIFF" }
end
function calls.moderation(session)
  return session.model.moderation:invoke { model_config = MODEL, text = "x" }
end
function calls.tool(session)
  return session.tool:invoke { provider_type = "builtin", provider = "p", tool_name = "weather",
    parameters = { city = "Rome" } }:collect()
end
function calls.blocking(session)
  return session.app.chat:invoke { app_id = "candy", query = "Hi",
    response_mode = "blocking" }.answer
end
function calls.workflow(session)
  return session.app.workflow:invoke { app_id = "flow", inputs = { a = 1 } }.data.outputs
end
function calls.upload(session)
  return session.file:upload { filename = "a.txt", content = "abc", mimetype = "text/plain" }.id
end
function calls.http(session)
  local reply = session.http:post("https://example.com/hook?x=1", { a = 1 })
  return { status = reply.status, body = reply:json() }
end
function calls.list(session)
  return session.model:list "llm"
end
function calls.classify(session)
  return session.workflow_node.question_classifier:invoke {
    model = { provider = "gpt", name = "m" }, query = "q",
    classes = { { id = "1", name = "one" } } }.outputs
end
function calls.count(session)
  return session.storage:incr "visits"
end
function calls.set(session)
  session.storage:set("word", "kept")
  return session.storage:get "preset"
end
return function(self, request, values)
  local ok, result = pcall(calls[values.what], self.session)
  if not ok then return moonhook.Response.json({ code = result.code, said = result.upstream_message,
    text = tostring(result) }, { status = 500 }) end
  return moonhook.Response.json { result = result }
end
]]

local GOOD = [[
local testing = require "moonhook.testing"

describe("everything", function()
  local plugin

  local function load(fakes)
    fakes = fakes or {}
    fakes.settings = fakes.settings or { app = { app_id = "candy" } }
    plugin = testing.load(fakes)
    return plugin
  end

  local function call(what, fakes)
    local reply = load(fakes):post("/call/" .. what)
    local body = reply:json()
    return body.result, body
  end

  describe("requests", function()
    it("have a query, headers and cookies", function()
      local reply = load():get("/echo", {
        query = { q = "a b&c" }, headers = { ["X-A"] = "1" }, cookies = { c = "d" },
      })
      assert.equal(200, reply.status)
      assert.equal("echo", reply.headers["x-kind"])
      local echo = reply:json()
      assert.equal("a b&c", echo.q)
      assert.equal("d", echo.cookie)
      assert.equal("Hello", echo.greeting)
      assert.equal(plugin.url .. "/echo?q=a%20b%26c", echo.url)
      assert.equal(math.floor(testing.time()), echo.time)
    end)

    it("have a body: text, JSON, a form, files", function()
      load { settings = { greeting = "Salve" } }
      assert.equal("text", plugin:post("/echo", { body = "text" }):json().body)
      local echo = plugin:post("/echo", { json = { a = { 1, 2 } } }):json()
      assert.equal('{"a":[1,2]}', echo.body)
      assert.equal("application/json", echo.type)
      assert.equal("Ada L", plugin:post("/echo", { form = { name = "Ada L" } }):json().form)
      echo = plugin:post("/echo", { form = { name = "x" }, files = {
        picture = { filename = "p.png", content = "\0\1", content_type = "image/png" } } }):json()
      assert.equal("p.png=\0\1", echo.file)
      assert.equal("x", echo.form)
      assert.equal("Salve", echo.greeting)
    end)

    it("get the host's own answers, too", function()
      assert.equal(404, load():get("/nowhere").status)
      assert.equal("GET, HEAD, POST", plugin:put("/echo").headers.allow)
      local reply = plugin:get("/echo?fail=1")
      assert.equal(500, reply.status)
      assert.equal("plugin_error", reply:json().error.code)
      assert.matches("echo.lua:3: on purpose", plugin:log()[#plugin:log() - 1].error)
    end)

    it("get server-sent events", function()
      assert.same({ { event = "one", data = '{"a":1}' }, { data = "two" } },
        load():get("/echo?events=1"):events())
    end)
  end)

  describe("an app's answer", function()
    it("comes in pieces, on the spec's clock", function()
      load { app = { "Hel", testing.wait(500), "lo", testing.wait(58000), "!" } }
      local reply = plugin:get("/relay?q=Who")
      assert.same({ "Hel", "lo", "!" }, reply:pieces())
      assert.same({ 0, 500, 58500 }, reply.times)
      assert.equal("Who", plugin.calls[1].query)
      assert.equal("candy", plugin.calls[1].app_id)
      assert.equal("streaming", plugin.calls[1].response_mode)
      assert.is_false(plugin.calls[1].is_cancelled)
    end)

    it("is left when the client leaves", function()
      load { app = { "Hel", testing.wait(60000), "lo" } }
      local reply = plugin:get "/relay"
      assert.equal("Hel", reply:next_piece())
      assert.is_false(plugin.calls[1].is_cancelled)
      reply:close()
      assert.is_true(plugin.calls[1].is_cancelled)
    end)

    it("may break off, fail, never come", function()
      load { app = testing.each({ "Hel", testing.cut() }, testing.fail "no quota", testing.hang(),
        testing.refuse(404, { message = "app not found" }), "fine") }
      local reply = plugin:get "/relay"
      assert.is_true(reply:is_broken())
      assert.same({ "Hel" }, reply:received())
      assert.equal(502, plugin:get("/relay").status)
      assert.equal(504, plugin:get("/relay").status)
      assert.equal(404, plugin:get("/relay").status)
      assert.same({ "fine" }, plugin:get("/relay"):pieces())
      assert.equal(5, #plugin:calls_of "app")
    end)

    it("is chosen by the app's id, or made by a function", function()
      load { apps = { candy = function(call) return { call.query:upper() } end } }
      assert.equal("HI", plugin:get("/relay?q=hi").body)
    end)

    it("is one for a blocking call, a run for a workflow", function()
      assert.equal("Hello", (call("blocking", { app = { "Hel", "lo" } })))
      assert.same({ text = "done" }, (call("workflow", {
        apps = { flow = testing.workflow { text = "done" } } })))
      assert.same({ a = 1 }, plugin.calls[1].inputs)
    end)
  end)

  describe("models, tools and the rest", function()
    it("answer", function()
      assert.same({ "Hel", "lo", "" }, (call("llm", { llm = { "Hel", "lo" } })))
      assert.equal("Hi", plugin.calls[1].prompt_messages[1].content)
      assert.equal("Hello", call("whole", { llm = { "Hel", "lo" } }).content)
      assert.equal("f", call("whole", { llm = { { tool_calls = {
        { ["function"] = { name = "f", arguments = "{}" } } } } } }).tool_calls[1]["function"].name)
      local vectors = { { 1, 0 }, { 0, 1 } }
      assert.same(vectors, (call("embed", { text_embedding = vectors })))
      assert.same({ "a", "b" }, plugin.calls[1].texts)
      assert.same({ { index = 1, score = 0.5, text = "b" } },
        (call("rerank", { rerank = { { index = 1, score = 0.5 } } })))
      assert.equal("RIFFdata", (call("tts", { tts = { "RIFF", "data" } })))
      assert.equal("a word", (call("speech", { speech2text = "a word" })))
      assert.equal("RIFF", plugin.calls[1].file)
      assert.is_true((call("moderation", { moderation = true })))
      local messages = call("tool", { tools = { weather = { "sunny", { degrees = 30 } } } })
      assert.equal("sunny", messages[1].message.text)
      assert.same({ degrees = 30 }, messages[2].message.json_object)
      assert.equal("Rome", plugin.calls[1].parameters.city)
      assert.equal("file-1", (call "upload"))
      assert.equal("abc", plugin.calls[1].content)
      assert.same({ class_name = "one" },
        (call("classify", { question_classifier = { class_name = "one" } })))
      assert.same({ { provider = "gpt", model = "gpt-4o", model_type = "llm" } }, {
        (call("list", { models = { gpt = { llm = { "gpt-4o" } } } }))[1] })
    end)

    it("fail as they do in the world", function()
      local _, body = call("llm", { llm = testing.fail "no quota" })
      assert.equal("upstream_error", body.code)
      assert.equal("no quota", body.said)
      _, body = call("embed", { text_embedding = testing.fail "x" })
      assert.equal("upstream_error", body.code)
      assert.equal(504, load({ tool = testing.hang() }):post("/call/tool").status)
    end)
  end)

  describe("the web", function()
    it("answers what the spec says, and keeps what was sent", function()
      local result = call("http", { http = {
        ["POST https://example.com/*"] = { status = 201, json = { ok = true } } } })
      assert.same({ status = 201, body = { ok = true } }, result)
      assert.equal("https://example.com/hook?x=1", plugin.calls[1].url)
      assert.equal("POST", plugin.calls[1].method)
      assert.same({ a = 1 }, plugin.calls[1].json())
      assert.equal("application/json", plugin.calls[1].headers["Content-Type"])
      local _, body = call("http", { http = testing.cut() })
      assert.equal("upstream_truncated", body.code)
    end)
  end)

  describe("storage that fails", function()
    local function ask(what)
      local reply = plugin:post("/call/" .. (what or "count"))
      local body = reply:json()
      return body.result or body.code, reply.times[1]
    end

    it("does so from now on, until it works again", function()
      load()
      assert.equal(1, (ask()))
      plugin:play { storage = testing.fail() }
      assert.equal("storage_unavailable", (ask()))
      assert.equal("storage_unavailable", (ask()))
      plugin:play { storage = testing.full() }
      assert.equal("storage_full", (ask()))
      assert.equal("1", plugin.storage.visits)
      plugin:play { storage = true }
      assert.equal(2, (ask()))
    end)

    it("does so one call after the other", function()
      load()
      plugin:play { storage = testing.each(true, testing.fail(), testing.full()) }
      local seen = {}
      for i = 1, 5 do seen[i] = ask() end
      assert.same({ 1, "storage_unavailable", "storage_full", 2, 3 }, seen)
    end)

    it("is slow, on the spec's clock", function()
      load()
      plugin:play { storage = testing.wait(3000) }
      local visits, after_ms = ask()
      assert.equal(1, visits)
      assert.is_true(math.abs(after_ms - 3000) <= 2)
      plugin:play { storage = { testing.wait(700), testing.full() } }
      visits, after_ms = ask()
      assert.equal("storage_full", visits)
      assert.is_true(math.abs(after_ms - 700) <= 2)
    end)

    it("is not waited for longer than for a reply", function()
      load()
      plugin:play { storage = testing.wait(3600000) }
      assert.equal(504, plugin:post("/call/count").status)
    end)

    it("refuses what it does not know", function()
      load()
      assert.error_matches(function() plugin:play { storage = "bad" } end, "expected true, false")
      assert.error_matches(function() plugin:play { storge = true } end,
        "play: unknown field `storge`, did you mean `storage`")
    end)
  end)

  describe("a version that is saved", function()
    local HELLO = "return function() return 'two' end"

    it("serves from then on, while older requests end with theirs", function()
      load { app = { "one", testing.wait(1000), "two" } }
      local old = plugin:get "/relay"
      assert.equal("one", old:next_piece())
      assert.is_true(plugin:reload { ["relay.lua"] = "return function() return 'new' end",
        ["echo.lua"] = HELLO, ["lib/deep/er.lua"] = "return 1" })
      assert.equal("new", plugin:get("/relay").body)
      assert.equal("two", plugin:get("/echo").body)
      assert.equal("two", old:next_piece())
      assert.is_nil(old:next_piece())
    end)

    it("keeps what the plugin stored, and its settings", function()
      load { settings = { greeting = "Good day" }, storage = { visits = 1 } }
      assert.is_true(plugin:reload { ["echo.lua"] = "return function(self, _, _, settings)"
        .. "  return settings.greeting .. self.session.storage:get 'visits' end" })
      assert.equal("Good day1", plugin:get("/echo").body)
    end)

    it("changes nothing when it does not load", function()
      load()
      assert.is_true(plugin:reload { ["echo.lua"] = HELLO })
      local ok, problems = plugin:reload { ["echo.lua"] = "return function(" }
      assert.is_nil(ok)
      assert.matches("^echo.lua:1: ", problems)
      ok, problems = plugin:reload { ["manifest.yaml"] = "version: 1" }
      assert.is_nil(ok)
      assert.matches("manifest.yaml:1:", problems)
      ok, problems = plugin:reload { ["../out.lua"] = "" }
      assert.is_nil(ok)
      assert.matches("expected the path of a file of the package", problems)
      assert.equal("two", plugin:get("/echo").body)
    end)

    it("is the folder as it is now, without files", function()
      load()
      plugin:reload { ["echo.lua"] = HELLO }
      assert.is_true(plugin:reload())
      assert.equal("GET", plugin:get("/echo"):json().method)
    end)
  end)

  describe("storage", function()
    it("begins as the spec says, and each plugin's is its own", function()
      assert.equal(42, (call("count", { storage = { visits = 41 } })))
      assert.equal("42", plugin.storage.visits)
      assert.equal(1, (call("count")))
      assert.equal("there", (call("set", { storage = { preset = "there" } })))
      assert.equal("kept", plugin.storage.word)
      plugin.storage.word = nil
      assert.is_nil(plugin.storage.word)
      assert.same({ "preset" }, plugin.storage())
    end)

    it("may be out of reach", function()
      assert.equal("storage_unavailable", select(2, call("count", { storage = false })).code)
    end)

    it("is written after the reply, when time has passed", function()
      load()
      assert.equal("soon", plugin:get("/echo?later=1").body)
      assert.is_nil(plugin.storage.later)
      plugin:advance(30000)
      assert.equal("done", plugin.storage.later)
    end)
  end)
end)
]]

local function plugin_with(specs)
  local files = {
    ["p/manifest.yaml"] = MANIFEST, ["p/echo.lua"] = ECHO, ["p/relay.lua"] = RELAY,
    ["p/call.lua"] = CALL,
  }
  for name, text in pairs(specs) do files["p/spec/" .. name] = text end
  return host.folder { files = files }
end

local function run_test(specs, ...)
  local dir = plugin_with(specs)
  return host.run { dir = dir, seconds = 60, "test", ... }
end

-- A spec file with one spec in it.
local function spec(body)
  return 'local testing = require "moonhook.testing"\n'
    .. 'describe("a", function()\n  it("b", function()\n' .. body .. "\n  end)\nend)\n"
end

describe("moonhook test", function()
  it("runs specs with fakes for everything that a plugin calls", function()
    local result = run_test({ ["good_spec.lua"] = GOOD }, "p", "-o", "TAP")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("1%.%.24", result.stdout)
    assert.is_nil(result.stdout:find("not ok", 1, true))
    assert.equal("", result.stderr)
  end)

  local LEFT = { -- what is wrong, and what is said about it
    ["a reply left open"] = { [[
    local plugin = testing.load { settings = { app = { app_id = "x" } }, app = testing.hang() }
    plugin:play { app = { "one", testing.hang() } }
    plugin:get "/relay"]],
      "p/spec/a_spec.lua:6: the reply of GET /relay was left open: read it to its end, or "
        .. "reply:close()" },
    ["a call that nobody plays"] = { [[
    testing.load { settings = { app = { app_id = "candy" } } }:get "/relay"]],
      'p/spec/a_spec.lua:4: the plugin called session.app, and the spec plays none: testing.load '
        .. '{ apps = { ["candy"] = { "Hel", "lo" } } }' },
    ["a URL that nobody plays"] = { [[
    testing.load { http = { ["https://other.example/"] = "" } }:post "/call/http"]],
      'p/spec/a_spec.lua:4: the plugin called POST https://example.com/hook?x=1, and the spec '
        .. 'plays none: testing.load { http = { ["https://example.com/hook?x=1"]' },
    ["more calls than answers"] = { [[
    local plugin = testing.load { settings = { app = { app_id = "x" } }, app = testing.each "one" }
    assert.equal("one", plugin:get("/relay").body)
    plugin:get "/relay"]],
      "the plugin made call number 2 of session.app, and testing.each has only 1 answer" },
    ["a fake that raises"] = { [[
    testing.load { settings = { app = { app_id = "x" } },
      app = function(call) assert.equal("other", call.query) end }:get "/relay"]],
      "p/spec/a_spec.lua:5: Expected objects to be equal" },
    ["an unknown field"] = { "    testing.load { storagge = {} }",
      "p/spec/a_spec.lua:4: testing.load: unknown field `storagge`, did you mean `storage`?" },
    ["a setting that does not fit"] = { "    testing.load { settings = { greeting = {} } }",
      "greeting" },
    ["a wrong request"] = { '    testing.load():get("echo")',
      "p/spec/a_spec.lua:4: get: expected a path that begins with '/', got \"echo\"" },
    ["an unknown option of a request"] = { '    testing.load():get("/echo", { queries = {} })',
      "p/spec/a_spec.lua:4: unknown option `queries` of a request" },
    ["a function that there is not"] = { '    testing.laod()',
      "p/spec/a_spec.lua:4: testing has no member 'laod', did you mean 'load'?" },
    ["a fake that there is not"] = { '    testing.load { lmm = "x" }',
      "p/spec/a_spec.lua:4: testing.load: unknown field `lmm`, did you mean `llm`?" },
    ["a method that a plugin does not have"] = { '    testing.load():pots("/echo")',
      "p/spec/a_spec.lua:4: a plugin has no member 'pots', did you mean 'post'?" },
    ["a member that a reply does not have"] = { '    print(testing.load():get("/echo").header)',
      "p/spec/a_spec.lua:4: a reply has no member 'header', did you mean 'headers'?" },
    ["a method with a dot"] = { '    testing.load().get("/echo")',
      "p/spec/a_spec.lua:4: get: called with '.', expected plugin:get(...)" },
    ["a reply that is no JSON"] = { '    testing.load():get("/echo?events=1"):json()',
      "p/spec/a_spec.lua:4: json: the body of GET /echo?events=1 is not JSON" },
    ["a reply that broke off"] = { [[
    local plugin = testing.load { settings = { app = { app_id = "x" } },
      app = { "one", testing.cut() } }
    return plugin:get("/relay").body]],
      "p/spec/a_spec.lua:6: body: the reply of GET /relay broke off after 1 piece" },
  }
  for name, case in pairs(LEFT) do
    it("fails a spec with " .. name .. ", and names the place", function()
      local result = run_test({ ["a_spec.lua"] = spec(case[1]) }, "p", "-o", "TAP")
      assert.equal(1, result.code)
      assert.matches("not ok 1", result.stdout)
      assert.is_truthy(result.stdout:find(case[2], 1, true), result.stdout)
    end)
  end

  it("shows the plugin's log of a spec that fails", function()
    local result = run_test({ ["a_spec.lua"] = spec [[
    assert.equal(200, testing.load():get("/echo?fail=1").status)]] }, "p", "-o", "TAP")
    assert.equal(1, result.code)
    assert.is_truthy(result.stderr:find("[plugin_error] echo.lua:3: on purpose", 1, true),
      result.stderr)
  end)

  it("says what is wrong with a plugin that does not load", function()
    local dir = plugin_with { ["a_spec.lua"] = spec "    testing.load()" }
    local file = assert(io.open(dir .. "/p/echo.lua", "w"))
    file:write "return function(\n"
    file:close()
    local result = host.run { dir = dir, "test", "p" }
    assert.equal(1, result.code)
    assert.matches("p/spec/a_spec.lua:4: the plugin in p does not load:", result.stdout)
    assert.matches("echo.lua:2: ", result.stdout)
  end)

  it("passes busted's options and reporters through", function()
    local dir = plugin_with { ["a_spec.lua"] = spec("") .. spec("error 'no'"):gsub('"b"', '"c"') }
    local result = host.run { dir = dir, "test", "p", "--filter", "a b", "--output", "json" }
    assert.equal(0, result.code, result.stdout)
    assert.equal(1, #cjson.decode(result.stdout).successes)
    result = host.run { dir = dir, "test", "--list", "p" }
    assert.matches("a c", result.stdout)
    assert.equal(0, result.code)
  end)

  it("runs in the plugin's folder, where the specs are in spec/", function()
    local dir = plugin_with { ["a_spec.lua"] = spec [[testing.load()]] }
    assert.equal(0, host.run({ dir = dir .. "/p", "test" }).code)
    assert.equal(0, host.run({ dir = dir .. "/p", "test", "spec/a_spec.lua" }).code)
  end)

  it("exits with 2 when nothing can run", function()
    local dir = host.folder {}
    local result = host.run { dir = dir, "test" }
    assert.equal(2, result.code)
    assert.matches("this folder has no specs", result.stderr)
    result = host.run { dir = dir, "test", "nowhere" }
    assert.equal(2, result.code)
    assert.matches("there is no nowhere", result.stderr)
  end)

  it("says how to install busted where it is not", function()
    local dir = plugin_with { ["a_spec.lua"] = spec "" }
    local result = host.run { dir = dir, env = { LUA_PATH = "./?.lua", LUA_CPATH = "./?.so" },
      "test", "p" }
    assert.equal(2, result.code)
    assert.matches("apt install lua%-busted", result.stderr)
  end)

  it("runs again after each save, of the plugin or of the spec, when it watches", function()
    local dir = plugin_with { ["a_spec.lua"] = spec [[
    assert.equal("Hello", testing.load():get("/echo"):json().greeting)]] }
    local runner = process.start {
      host.binary(), "test", "--watch", "p", "-o", "TAP",
      cwd = dir, stdout = dir .. "/out", stderr = dir .. "/err",
    }
    local function wait_for(text, times)
      process.eventually(function()
        local file = io.open(dir .. "/out", "rb")
        local output = file and file:read "*a" or ""
        if file then file:close() end
        return select(2, output:gsub(text, "")) == times
      end, 20, text)
    end
    wait_for("ok 1 ", 1)
    local file = assert(io.open(dir .. "/p/manifest.yaml", "w"))
    file:write((MANIFEST:gsub("default: Hello", "default: Salve")))
    file:close()
    wait_for("not ok 1 ", 1)
    file = assert(io.open(dir .. "/p/spec/a_spec.lua", "w"))
    file:write(spec '    assert.equal("Salve", testing.load():get("/echo"):json().greeting)')
    file:close()
    wait_for("ok 1 ", 3)
    runner:destroy()
  end)

  it("is the interpreter of plain busted", function()
    local dir = plugin_with { ["a_spec.lua"] = spec [[
    assert.equal("Hello", testing.load():get("/echo"):json().greeting)]] }
    local file = assert(io.open(dir .. "/p/.busted", "w"))
    file:write(('return { default = { lua = "%s lua" } }'):format(host.binary()))
    file:close()
    local pipe = io.popen(("cd '%s/p' && busted -o TAP 2>&1"):format(dir))
    local output = pipe:read "*a"
    pipe:close()
    assert.matches("^ok 1 %- a b\n", output)
  end)
end)
