-- Endpoints by the command line alone, on a running host.
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local SECRET = "sk-cli-SECRET-1234567890abcdef"

local FILES = {
  ["key.txt"] = SECRET .. "\n",
  ["plugins/greet/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: greet
plugins:
  endpoints:
    settings:
      - { name: api_key, type: secret-input, required: true }
      - { name: greeting, type: text-input, default: Hello }
      - { name: mood, type: select, default: calm, options: [ { value: calm }, { value: wild } ] }
      - { name: loud, type: boolean }
      - { name: app, type: app-selector, scope: chat }
      - { name: llm, type: model-selector, scope: llm }
      - { name: models, type: model-selector, scope: llm, multiple: true }
      - { name: tools, type: "array[tools]" }
    endpoints:
      - { path: /settings, method: GET, extra: { lua: { source: show.lua } } }
      - { path: /say, method: [ GET, POST ], extra: { lua: { source: say.lua } } }
]],
  ["plugins/greet/show.lua"] = [[
local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end]],
  ["plugins/greet/say.lua"] = [[
return function(_, _, _, settings) return settings.greeting end]],
}

local CONFIG = {
  plugins = { "plugins" },
  apps = { candy = { mode = "chat", name = "Candy" } },
  endpoints = { { plugin = "greet", name = "from the file", hook_id = "from-the-file",
    settings = { api_key = SECRET, greeting = "Good day" } } },
}

describe("the verbs for endpoints", function()
  local server

  setup(function()
    server = host.start { config = CONFIG, files = FILES }
  end)

  teardown(function()
    server:stop()
  end)

  -- Runs a verb against the host.
  local function run(...)
    local command = { ... }
    command.dir, command.stdin = server.dir, command.stdin
    command[#command + 1] = "--admin"
    command[#command + 1] = "127.0.0.1:" .. server.admin_port
    return host.run(command)
  end

  -- stdout and stderr of one that succeeds.
  local function output(...)
    local result = run(...)
    assert.equal(0, result.code, result.stderr)
    return result.stdout, result.stderr
  end

  local function failed(code, ...)
    local result = run(...)
    assert.equal(code, result.code, result.stdout .. result.stderr)
    assert.equal("", result.stdout)
    return (result.stderr:gsub("\n$", ""))
  end

  local function added(...)
    local command = { "endpoint", "add", "greet", "--secret", "api_key=@key.txt", "--json" }
    for _, word in ipairs { ... } do command[#command + 1] = word end
    return cjson.decode((output(unpack(command))))
  end

  local function settings_at(url)
    local reply = http.request { url = url .. "/settings" }
    return reply.status == 200 and cjson.decode(reply.body) or reply.status
  end

  it("go through a whole life", function()
    local out, err = output("plugin", "list")
    assert.matches("\nspec/greet +0.0.1 +loaded +api_key! greeting mood loud app llm models tools +"
      .. "GET /settings; GET,POST /say\n", out)
    assert.equal("", err)

    out, err = output("endpoint", "add", "greet", "--name", "front page", "--secret",
      "api_key=@key.txt", "--set", "llm=local/demo", "--set", "app=candy", "--set", "loud=yes")
    local url = out:match "^GET     (http://%S+)/settings\nGET,POST http://%S+/say\n$"
    local id = err:match "^added front page of spec/greet, id (%S+)\n$"
    assert.truthy(url, out)
    assert.truthy(id, err)
    assert.same({ api_key = SECRET, greeting = "Hello", mood = "calm", loud = true,
      app = { app_id = "candy" },
      llm = { provider = "local", model = "demo", model_type = "llm" } }, settings_at(url))

    output("endpoint", "set", "front page", "--set", "greeting=Welcome", "--unset", "loud")
    assert.equal("Welcome", http.request({ url = url .. "/say" }).body)
    assert.is_nil(settings_at(url).loud)
    output("endpoint", "set", id, "--none", "greeting", "--name", "front")
    assert.is_nil(settings_at(url).greeting)
    output("endpoint", "set", "greet/front", "--unset", "greeting")
    assert.equal("Hello", settings_at(url).greeting)

    output("endpoint", "disable", "front")
    assert.equal(404, settings_at(url))
    assert.matches("\n" .. id .. " +front +spec/greet +disabled +api +http", (output("endpoint",
      "list")))
    output("endpoint", "enable", "front")
    assert.equal(SECRET, settings_at(url).api_key)

    out = output("endpoint", "rotate", "front", "--yes")
    local rotated = out:match "^GET     (http://%S+)/settings\n"
    assert.are_not.equal(url, rotated)
    assert.equal(404, settings_at(url))
    assert.equal("Hello", settings_at(rotated).greeting)
    assert.equal(out, (output("endpoint", "url", "front")))
    output("endpoint", "set", "front", "--slug", "front-page")
    assert.equal("Hello", settings_at(server.base .. "/e/front-page").greeting)

    out, err = output("endpoint", "remove", "front", "--yes")
    assert.same({ "", "removed front of spec/greet, id " .. id .. "\n" }, { out, err })
    assert.equal(404, settings_at(server.base .. "/e/front-page"))
  end)

  it("give each endpoint of a plugin a name of its own", function()
    added("--name", "once")
    added("--name", "twice")
    local message = ": a field is not valid\n  name: another endpoint of this plugin has this name"
    for _, name in ipairs { "once", "from the file" } do
      assert.equal("moonhook endpoint add" .. message,
        failed(1, "endpoint", "add", "greet", "--secret", "api_key=@key.txt", "--name", name))
    end
    assert.equal("moonhook endpoint set" .. message,
      failed(1, "endpoint", "set", "twice", "--name", "once"))
    output("endpoint", "set", "once", "--name", "once", "--set", "greeting=Hi")
    output("endpoint", "remove", "once", "--yes")
    output("endpoint", "set", "twice", "--name", "once")
    output("endpoint", "remove", "once", "--yes")
  end)

  it("show settings with secrets masked, and print what a program can read", function()
    local made = added("--name", "shown", "--set", "greeting=Grüße")
    local out = output("endpoint", "show", "shown")
    assert.matches("\nsettings.api_key +%*%*%*%*%*%*%*%*\n", out)
    assert.matches("\nsettings.greeting +Grüße\n", out)
    local shown = cjson.decode((output("endpoint", "show", made.id, "--json")))
    assert.same(made, shown)
    local all = cjson.decode((output("endpoint", "list", "--json"))).endpoints
    assert.same({ 2, "config", "api" }, { #all, all[1].origin, all[2].origin })
    assert.equal(made.url, cjson.decode((output("endpoint", "url", "shown", "--json"))).url)
    assert.same({ all[1].id, "from the file", made.id, "shown" }, (function()
      local lines = {}
      for line in output("endpoint", "list", "--names"):gmatch "[^\n]+" do
        lines[#lines + 1] = line
      end
      return lines
    end)())
    assert.equal("spec/greet\n", (output("plugin", "list", "--names")))
    assert.equal("spec/greet",
      cjson.decode((output("plugin", "list", "--json"))).plugins[1].id)
    output("endpoint", "remove", "shown", "--yes", "--json")
  end)

  it("list the endpoints of one plugin", function()
    local made = added("--name", "of greet")
    local all = cjson.decode((output("endpoint", "list", "--plugin", "greet", "--json"))).endpoints
    assert.equal(2, #all)
    assert.equal("moonhook endpoint list: there is no plugin 'gret', did you mean 'greet'?; "
      .. "see: moonhook plugin list", failed(1, "endpoint", "list", "--plugin", "gret"))
    output("endpoint", "remove", made.id, "--yes")
  end)

  it("type settings by the plugin's declaration", function()
    local made = added("--set", "loud=off", "--set", "greeting=true", "--set", "mood=wild",
      "--set", 'llm={"provider":"local","model":"demo","completion_params":{"temperature":1}}',
      "--set", "models=local/demo", "--set", 'models={"provider":"local","model":"other"}',
      "--set", 'app={"app_id":"candy","inputs":{"a":"b"}}',
      "--set", 'tools=[{"tool_name":"clock"}]')
    assert.same({ api_key = SECRET, loud = false, greeting = "true", mood = "wild",
      llm = { provider = "local", model = "demo", model_type = "llm",
        completion_params = { temperature = 1 } },
      models = { { provider = "local", model = "demo", model_type = "llm" },
        { provider = "local", model = "other", model_type = "llm" } },
      app = { app_id = "candy", inputs = { a = "b" } }, tools = { { tool_name = "clock" } },
    }, settings_at(made.url))
    output("endpoint", "remove", made.id, "--yes")
  end)

  it("take a secret from standard input, and not from an argument", function()
    assert.equal("moonhook endpoint add: --secret api_key: standard input is empty",
      failed(1, "endpoint", "add", "greet", "--secret", "api_key=-"))
    local command = { "endpoint", "add", "greet", "--name", "piped", "--secret", "api_key=-",
      "--json", "--admin", "127.0.0.1:" .. server.admin_port }
    command.dir, command.stdin = server.dir, SECRET .. "\n"
    local result = host.run(command)
    assert.equal(0, result.code, result.stderr)
    local made = cjson.decode(result.stdout)
    assert.equal(SECRET, settings_at(made.url).api_key)
    output("endpoint", "remove", "piped", "--yes")
    for _, words in ipairs {
      { "--secret", "api_key=" .. SECRET }, { "--set", "api_key=" .. SECRET },
      { "--secret", "greeting=@key.txt" }, { "--secret", "api_key" },
      { "--secret", "api_key=-", "--secret", "api_key=-" },
    } do
      local text = failed(2, "endpoint", "add", "greet", unpack(words))
      assert.is_nil(text:find(SECRET, 1, true), text)
    end
    assert.matches("nowhere%.txt: No such file", failed(1, "endpoint", "add", "greet", "--secret",
      "api_key=@nowhere.txt"))
  end)

  it("answer a mistyped name with the nearest", function()
    assert.equal("moonhook endpoint add: there is no plugin 'gret', did you mean 'greet'?; "
      .. "see: moonhook plugin list", failed(1, "endpoint", "add", "gret"))
    assert.equal("moonhook endpoint show: there is no endpoint 'from a file', did you mean "
      .. "'from the file'?; see: moonhook endpoint list",
      failed(1, "endpoint", "show", "from a file"))
    assert.equal("moonhook endpoint add: spec/greet has no setting 'greting', did you mean "
      .. "'greeting'?", failed(2, "endpoint", "add", "greet", "--set", "greting=x"))
    assert.equal("moonhook endpoint add: --set loud: expected true or false, got 'very'",
      failed(2, "endpoint", "add", "greet", "--set", "loud=very"))
    assert.equal("moonhook endpoint add: --set llm: expected PROVIDER/MODEL or JSON, got 'demo'",
      failed(2, "endpoint", "add", "greet", "--set", "llm=demo"))
    assert.matches("^moonhook endpoint add: %-%-set tools: line 1", failed(2, "endpoint", "add",
      "greet", "--set", "tools=[{"))
    assert.equal("moonhook endpoint add: greeting was given twice", failed(2, "endpoint", "add",
      "greet", "--set", "greeting=a", "--set", "greeting=b"))
    assert.equal("moonhook endpoint: there is no verb 'lst', did you mean 'list'?; "
      .. "see: moonhook help endpoint", failed(2, "endpoint", "lst"))
    assert.equal("moonhook endpoint set: nothing to change: give --set, --secret, --none, --unset, "
      .. "--limit, --name or --slug", failed(2, "endpoint", "set", "from the file"))
  end)

  it("change one limit and keep the others", function()
    local made = added("--name", "slow", "--limit", "head_ms=30000", "--limit", "cpu_ms=50")
    assert.same({ head_ms = 30000, cpu_ms = 50 }, made.limits)
    output("endpoint", "set", "slow", "--limit", "cpu_ms=20", "--limit", "idle_ms=5000")
    assert.matches("\nlimits.cpu_ms +20\nlimits.head_ms +30000\nlimits.idle_ms +5000\n",
      (output("endpoint", "show", "slow")))
    output("endpoint", "set", "slow", "--limit", "cpu_ms=default", "--limit=idle_ms=default")
    local shown = cjson.decode((output("endpoint", "show", "slow", "--json")))
    assert.same({ head_ms = 30000 }, shown.limits)
    output("endpoint", "set", "slow", "--limit", "head_ms=default")
    assert.same({}, cjson.decode((output("endpoint", "show", "slow", "--json"))).limits)
    for words, told in pairs {
      ["cpu=5"] = "moonhook endpoint set: --limit cpu: expected one of cpu_ms, head_ms, idle_ms, "
        .. "did you mean 'cpu_ms'?",
      ["cpu_ms=5s"] = "moonhook endpoint set: --limit cpu_ms: expected milliseconds, or default, "
        .. "got '5s'",
      ["cpu_ms"] = "moonhook endpoint set: --limit: expected NAME=MS, got 'cpu_ms'",
    } do
      assert.equal(told, failed(2, "endpoint", "set", "slow", "--limit", words))
    end
    assert.equal("moonhook endpoint set: a field is not valid\n  limits.cpu_ms: expected "
      .. "milliseconds from 10 to 100, the operator's limits.plugin_cpu_ms, got 101",
      failed(1, "endpoint", "set", "slow", "--limit", "cpu_ms=101"))
    output("endpoint", "remove", "slow", "--yes")
  end)

  it("warn of an app and a model that nobody has", function()
    local _, err = output("endpoint", "add", "greet", "--name", "astray", "--secret",
      "api_key=@key.txt", "--set", "app=cnady", "--set", "llm=gtp/demo")
    assert.matches('\nwarning: settings.app.app_id: expected an app of `apps` or of a '
      .. 'dify%-service backend, got "cnady", did you mean candy%?\n', err)
    assert.matches('\nwarning: settings.llm.provider: expected [^\n]+, got "gtp"', err)
    _, err = output("endpoint", "show", "astray")
    assert.matches("^warning: settings.app.app_id: [^\n]+\nwarning: settings.llm.provider: ", err)
    _, err = output("endpoint", "set", "astray", "--set", "app=candy", "--unset", "llm")
    assert.is_nil(err:find("warning", 1, true), err)
    output("endpoint", "remove", "astray", "--yes")
  end)

  it("tell each field that the host refuses", function()
    local text = failed(1, "endpoint", "add", "greet", "--set", "mood=odd", "--slug", "a")
    assert.matches("^moonhook endpoint add: [^\n]+\n", text)
    assert.matches("\n  slug: ", text)
    text = failed(1, "endpoint", "add", "greet", "--set", "mood=odd")
    assert.matches("\n  settings%.api_key: ", text)
    assert.matches("\n  settings%.mood: ", text)
    text = failed(1, "endpoint", "disable", "from the file")
    assert.matches("configuration file, change it there$", text)
  end)

  it("say where the endpoint of a plugin comes from that dev serves unasked", function()
    local dev = host.start { verb = "dev", files = FILES, config = { plugins = { "plugins" } } }
    local function ask(...)
      local command = { ... }
      command.dir = dev.dir
      command[#command + 1] = "--admin"
      command[#command + 1] = "127.0.0.1:" .. dev.admin_port
      return host.run(command)
    end
    local refused = ask("endpoint", "set", "greet", "--set", "greeting=Hi")
    assert.equal(1, refused.code)
    assert.matches("because `moonhook dev` serves every plugin that no endpoint names: make one of "
      .. "your own with `moonhook endpoint add`, or declare it in moonhook.yaml\n", refused.stderr)
    local made = ask("endpoint", "add", "greet", "--name", "mine", "--secret", "api_key=@key.txt",
      "--set", "greeting=Hi", "--json")
    assert.equal(0, made.code, made.stderr)
    assert.equal("Hi", http.request({ url = cjson.decode(made.stdout).url .. "/say" }).body)
    dev:stop()
  end)

  it("say which of several is meant when a name is not enough", function()
    local one, two = added("--name", "twin"), added("--name", "twins")
    output("endpoint", "set", two.id, "--name", "twin 2")
    local taken = run("endpoint", "set", two.id, "--name", "twin")
    if taken.code == 0 then -- names need not be unique
      local text = failed(1, "endpoint", "disable", "twin")
      assert.truthy(text:find(one.id, 1, true) and text:find(two.id, 1, true), text)
    end
    output("endpoint", "remove", one.id, "--yes")
    output("endpoint", "remove", two.id, "--yes")
  end)

  it("ask before what cannot be undone, and only on a terminal", function()
    local made = added("--name", "precious")
    for _, verb in ipairs { "rotate", "remove" } do
      assert.equal(("moonhook endpoint %s: nobody can be asked here: say --yes"):format(verb),
        failed(2, "endpoint", verb, "precious"))
    end
    -- `script` gives the verb a terminal.
    local function on_terminal(answer, words)
      return process.run { "script", "-qec", ("%s %s --admin 127.0.0.1:%d"):format(host.binary(),
        words, server.admin_port), "/dev/null", cwd = server.dir, stdin = answer, seconds = 20 }
    end
    local result = on_terminal("n\n", "endpoint remove precious")
    assert.matches("Remove precious %(spec/greet%), with its settings and its URL%? %[y/N%] ",
      result.stdout)
    assert.matches("nothing was changed", result.stdout)
    assert.equal(SECRET, settings_at(made.url).api_key)
    result = on_terminal("y\n", "endpoint remove precious")
    assert.equal(0, result.code)
    assert.equal(404, settings_at(made.url))
    -- A required secret is asked for, and not shown.
    result = on_terminal(SECRET .. "\n", "endpoint add greet --name asked")
    assert.equal(0, result.code, result.stdout)
    assert.matches("api_key: ", result.stdout)
    local _, shows = result.stdout:gsub(SECRET:gsub("%-", "%%-"), "")
    assert.is_true(shows <= 1) -- what `script` itself echoes before the terminal is switched
    output("endpoint", "remove", "asked", "--yes")
  end)

  it("seal secrets with a fresh key", function()
    local made = added("--name", "sealed")
    local out, err = output("secrets", "rotate", "--json")
    local done = cjson.decode(out)
    assert.is_true(done.sealed >= 1)
    assert.matches("^sealed %d+ secrets anew, under key " .. done.key_id, err)
    assert.equal(SECRET, settings_at(made.url).api_key)
    output("endpoint", "remove", "sealed", "--yes")
  end)

  it("say why no host can be asked", function()
    local tcp = require "spec.support.socket"
    local function refused(...)
      local command = { "endpoint", "list", ... }
      command.dir = server.dir
      local result = host.run(command)
      assert.equal(1, result.code)
      return result.stderr
    end
    local nobody = "127.0.0.1:" .. tcp.free_port()
    assert.matches("^moonhook endpoint list: no host answers at http://" .. nobody .. " %(",
      refused("--admin", nobody))
    local there = "127.0.0.1:" .. server.admin_port
    assert.matches("^moonhook endpoint list: the admin key cannot be read: nowhere: No such file",
      refused("--admin", there, "--key-file", "nowhere"))
    assert.matches("^moonhook endpoint list: the host refuses the key in key.txt: ",
      refused("--admin", there, "--key-file", "key.txt"))
    assert.matches("^moonhook endpoint list: http://127.0.0.1:%d+ is no admin listener: say which",
      refused("--admin", "127.0.0.1:" .. server.port))
    assert.matches("^moonhook endpoint list: admin.listen has port 0",
      refused("--admin", "127.0.0.1:0"))
  end)

  it("complete endpoints and plugins in bash", function()
    local script = host.run({ "completion", "bash" }).stdout
    local function offered(words, count)
      local result = process.run { "bash", "--norc", "-c", ([[
%s
moonhook() { "$BIN" "$@"; }
COMP_WORDS=(moonhook %s); COMP_CWORD=%d; _moonhook; printf '%%s\n' "${COMPREPLY[@]}"]]):format(
        script, words, count), cwd = server.dir, seconds = 20,
        env = { BIN = host.binary(), MOONHOOK_ADMIN = "127.0.0.1:" .. server.admin_port } }
      assert.equal("", result.stderr)
      return result.stdout
    end
    assert.equal("from the file\n", offered("endpoint show 'from'", 3))
    assert.equal("spec/greet\n", offered("endpoint add ''", 3))
    assert.equal("spec/greet\n", offered("endpoint list --plugin sp", 4))
  end)
end)
