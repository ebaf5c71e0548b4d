-- `moonhook check`: every problem of a package, with its place.
local cjson = require "cjson"
local host = require "spec.support.host"

local HEAD = "version: 0.0.1\ntype: plugin\nauthor: spec\nname: sample\n"
local LUA = "return function() return 'ok' end\n"
local ENDPOINTS = "plugins:\n  endpoints:\n"
local GOOD = HEAD .. "plugins: { endpoints: [ group/sample.yaml ] }\n"

-- The shape of a package as Dify's own tools make it, with extra.lua.source added.
local function dify_package()
  return {
    ["p/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: langgenius
name: openai_like
label:
  en_US: OpenAI like
  zh_Hans: 像 OpenAI
  ja_Jp: wrong case, and there
description:
  en_US: a description
icon: icon.svg
created_at: 2024-09-10T10:00:00.000000000Z
privacy: ./PRIVACY.md
repo: https://example.com/x
tags: [ utilities ]
verified: false
resource:
  memory: 1048576
  permission:
    tool: { enabled: true }
    model: { enabled: true, llm: true, text_embedding: true, rerank: false, tts: false }
    app: { enabled: yes }
    storage: { enabled: true, size: 1048576 }
plugins:
  endpoints:
    - group/openai.yaml
meta:
  version: 0.0.1
  arch: [ amd64, arm64 ]
  runner: { language: python, version: "3.12", entrypoint: main }
]],
    ["p/group/openai.yaml"] = [[
settings:
  - name: api_key
    type: secret-input
    required: true
    label: { en_US: API key, zh_Hans: API key, pt_BR: API key }
    placeholder: { en_US: your key }
  - name: llm
    type: model-selector
    scope: llm
    required: false
    label: { en_US: LLM }
  - name: ability
    type: model-selector
    scope: llm&vision
    label: { en_US: both }
  - name: app
    type: app-selector
    scope: chat
    label: { en_US: app }
    helper: { en_US: the documentation calls it so }
  - name: memory
    type: select
    default: all
    options:
      - value: all
        label: { en_US: all }
      - value: 5
        label: { en_US: five }
    label: { zh_Hant: 記憶 }
  - name: pause
    type: text-input
    default: 0.5
    url: https://example.com/help
  - name: is_open
    type: boolean
    default: "false"
  - name: tools
    type: array[tools]
endpoints:
  - endpoints/llm.yaml
  - path: /ping/<app_id>
    method: GET
    hidden: true
    extra: { python: { source: endpoints/ping.py }, lua: { source: endpoints/ping.lua } }
]],
    ["p/endpoints/llm.yaml"] = [[
path: "/v1/chat/completions"
method: "POST"
extra:
  python:
    source: "endpoints/llm.py"
  lua:
    source: "endpoints/llm.lua"
]],
    ["p/endpoints/llm.lua"] = LUA,
    ["p/endpoints/ping.lua"] = LUA,
    ["p/main.py"] = "no Lua\n",
  }
end

-- What check says of a package whose manifest holds these endpoints inline (YAML, on line 7).
local function check_endpoints(endpoints, files)
  local all = { ["p/a.lua"] = LUA, ["p/manifest.yaml"] = HEAD .. ENDPOINTS .. endpoints }
  for path, text in pairs(files or {}) do all[path] = text end
  return host.run { "check", "p", files = all }
end

local function check_manifest(text)
  return host.run { "check", "p", files = { ["p/manifest.yaml"] = text, ["p/a.lua"] = LUA } }
end

local function assert_problem(pattern, result)
  assert.equal(1, result.code, result.stdout .. result.stderr)
  assert.matches(pattern, result.stdout)
end

local function assert_fine(result)
  assert.equal("", result.stdout)
  assert.equal(0, result.code, result.stderr)
end

local function declaration(fields)
  return "    - { " .. fields .. " }\n"
end

local SOURCE = "extra: { lua: { source: a.lua } }"

-- One endpoint with this path rule, which starts in column 11 of line 7.
local function check_rule(rule)
  return check_endpoints(("  - path: %s\n    method: GET\n    %s\n"):format(rule, SOURCE))
end

describe("moonhook check", function()
  it("accepts a package of Dify's shape", function()
    local result = host.run { "check", "p", files = dify_package() }
    assert_fine(result)
    assert.equal("checked 1 plugin: no problem\n", result.stderr)
  end)

  it("accepts the smallest plugin: one file and one Lua source", function()
    assert_fine(check_endpoints(declaration("path: /a, method: GET, " .. SOURCE)))
  end)

  it("accepts the group as a map in the manifest, and settings as a map", function()
    assert_fine(check_manifest(HEAD .. [[
plugins:
  endpoints:
    settings:
      word: { type: text-input, label: { en_US: Word } }
    endpoints:
      - { path: /a, method: [ GET, POST, PATCH ], extra: { lua: { source: ./a.lua } } }
]]))
  end)

  it("accepts every converter of path rules", function()
    for _, rule in ipairs {
      "/", "/a/<name>", "/<string(minlength=2, maxlength=5):x>", "/<string(length=2):x>/b",
      "/<int:x>",
      "/<int(fixed_digits=4, min=1, max=9999):x>", "/<int(signed=True, min=-5):x>", "/<float:x>",
      "/<any(a, 'b c', d):x>", "/<uuid:id>", "/files/<path:rest>", "/<a>.<b>", "/a//b", "/小猫",
    } do
      assert_fine(check_rule(rule))
    end
  end)

  it("says where a path rule goes wrong", function()
    for rule, pattern in pairs {
      ["say"] = "11: path: expected a path starting with '/', got \"say\"",
      ["/<in:x>"] = "13: path: expected a converter .*, got in, did you mean int",
      ["/<x>/<x>"] = "17: path: expected each name once, got x twice",
      ["/a/<x"] = "14: path: expected '>' behind '<x'",
      ["/a>"] = "13: path: expected '<' before '>'",
      ["/<int(mix=1):x>"] = "17: path: int: unknown argument mix, did you mean m[ai][xn]",
      ["/<int(min=5, max=1):x>"] = "21: path: max is below min",
      ["/<any():x>"] = "path: any: expected the words",
      ["/a/../b"] = "14: path: expected no '.' or '..' between slashes",
      ["/a?b=1"] = "13: path: expected a path alone, got '?'",
    } do
      assert_problem("^p/manifest.yaml:7:.*" .. pattern:gsub("[?.]", "%%%0"):gsub("%%%.%*", ".*"),
        check_rule(rule))
    end
  end)

  it("refuses methods that are unknown, in lower case or named twice", function()
    for method, shown in pairs {
      FETCH = '"FETCH"', get = '"get"', ["[GET, GET]"] = '"GET"', ["[]"] = "an empty list",
    } do
      assert_problem("^p/manifest.yaml:7:%d+: method: expected .*, got " .. shown,
        check_endpoints(declaration(("path: /a, method: %s, %s"):format(method, SOURCE))))
    end
  end)

  it("refuses a path that is no string, and a missing method", function()
    local result = check_endpoints(declaration("path: 5, " .. SOURCE))
    assert_problem(":7:%d+: path: expected a string starting with '/', got 5\n", result)
    assert_problem("manifest.yaml:7:%d+: method: expected one of HEAD, .* got nothing\n", result)
  end)

  it("refuses sources outside the package", function()
    for source, reason in pairs {
      ["../../../../etc/passwd"] = "leads out of the package",
      ["a/../../b.lua"] = "does not exist",
      ["/etc/passwd"] = "is an absolute path",
      ["b.lua"] = "does not exist",
      ["."] = "is not a plain path",
      [".hidden/a.lua"] = "is not served: hidden files and spec/ are left out",
      ["spec/a.lua"] = "is not served: hidden files and spec/ are left out",
    } do
      local fields = ("path: /a, method: GET, extra: { lua: { source: %q } }"):format(source)
      assert_problem("extra.lua.source: expected a file .*, got [^,]+, which " .. reason,
        check_endpoints(declaration(fields)))
    end
  end)

  it("refuses symbolic links", function()
    local dir = host.folder { files = {
      ["p/manifest.yaml"] = HEAD .. "plugins:\n  endpoints:\n"
        .. declaration "path: /a, method: GET, extra: { lua: { source: link.lua } }",
    } }
    assert(os.execute(("ln -s /etc/passwd '%s/p/link.lua'"):format(dir)) == 0)
    assert_problem("extra.lua.source: .* which is a symbolic link\n",
      host.run { "check", "p", dir = dir })
  end)

  it("says that a Lua source is expected where there is only Python", function()
    assert_problem("extra.lua.source: expected the path of a Lua file .* extra.python, got nothing",
      check_endpoints(declaration "path: /a, method: GET, extra: { python: { source: a.py } }"))
  end)

  it("refuses unknown keys in extra.lua", function()
    assert_problem("extra.lua.sourse: unknown key, did you mean source%?",
      check_endpoints(declaration "path: /a, method: GET, extra: { lua: { sourse: a.lua } }"))
  end)

  it("points out a slip of the pen, and leaves other unknown keys alone", function()
    assert_problem("manifest.yaml:7:%d+: mehtood: unknown key, did you mean method%?",
      check_endpoints(declaration("path: /a, mehtood: GET, " .. SOURCE)))
    assert_fine(check_endpoints(declaration("path: /a, method: GET, whatever: 1, " .. SOURCE)))
  end)

  it("reads the hosts of the network permission", function()
    local function check_network(text)
      return host.run { "check", "p", files = {
        ["p/a.lua"] = "return function() end",
        ["p/manifest.yaml"] = "version: 0.0.1\ntype: plugin\nauthor: spec\nname: net\n"
          .. "resource: { permission: { network: " .. text .. " } }\n"
          .. "plugins: { endpoints: { path: /, method: GET, " .. SOURCE .. " } }\n",
      } }
    end
    for _, text in ipairs { "true", "{ enabled: yes }", "{ hosts: [] }", "{ hosts: ['*'] }",
        "{ enabled: true, hosts: [ a.example, '*.B.example', 127.0.0.1, '::1' ] }" } do
      assert_fine(check_network(text))
    end
    for text, problem in pairs {
      ["maybe"] = "network: expected true, false or a map, got \"maybe\"",
      ["{ enabled: maybe }"] = "network: expected enabled: true or false",
      ["{ hosts: a.example }"] = "network.hosts: expected a list of at most 256 host names",
      ["{ hosts: [ 'https://a.example' ] }"] = "network.hosts: expected a host such as",
      ["{ hosts: [ 'a.example:443' ] }"] = "network.hosts: expected a host such as",
      ["{ hosts: [ '*a' ] }"] = "network.hosts: expected a host such as",
      ["{ host: [ a ] }"] = "network.host: unknown key, did you mean hosts",
    } do
      assert_problem("manifest.yaml:5:%d+: resource.permission." .. problem, check_network(text))
    end
  end)

  it("refuses two endpoints that serve the same method on the same path", function()
    assert_problem("manifest.yaml:8:%d+: path: .* got POST /a/<y>, which manifest.yaml:7:7 has too",
      check_endpoints(declaration("path: /a/<string:x>, method: [ GET, POST ], " .. SOURCE)
        .. declaration('path: "/a/<y>", method: POST, ' .. SOURCE)))
    assert_fine(check_endpoints(declaration("path: /a, method: GET, " .. SOURCE)
      .. declaration("path: /a, method: POST, " .. SOURCE)))
  end)

  it("names every problem of every file, in order", function()
    local result = host.run { "check", "p", files = {
      ["p/manifest.yaml"] = GOOD:gsub("author: spec", "author: no spaces, please"),
      ["p/group/sample.yaml"] =
        "settings:\n  - { name: a, type: text }\n  - { name: b, type: select }\n"
        .. "endpoints:\n  - endpoints/a.yaml\n  - endpoints/none.yaml\n",
      ["p/endpoints/a.yaml"] =
        "path: a\nmethod: GET\nextra: { lua: { source: endpoints/a.lua } }\n",
      ["p/endpoints/a.lua"] = "return function()\n  local x = = 1\nend\n",
    } }
    assert.equal(1, result.code)
    local places = {}
    for place in result.stdout:gmatch "([^\n]-:%d+:%d+): " do places[#places + 1] = place end
    assert.same({
      "p/endpoints/a.lua:2:3", "p/endpoints/a.yaml:1:7", "p/group/sample.yaml:2:22",
      "p/group/sample.yaml:3:5", "p/group/sample.yaml:6:5", "p/manifest.yaml:3:9",
    }, places)
    assert.equal("checked 1 plugin: 6 problems\n", result.stderr)
  end)

  it("needs version, type, author, name and plugins.endpoints", function()
    local result = check_manifest "label: { en_US: x }\n"
    for _, key in ipairs { "version", "type", "author", "name", "plugins.endpoints" } do
      assert_problem("p/manifest.yaml:1:1: " .. key .. ": expected .*, got nothing\n", result)
    end
    assert_problem("type: expected the word plugin, got \"bundle\"",
      check_manifest((HEAD:gsub("plugin", "bundle", 1))))
  end)

  it("refuses settings that could not work", function()
    for fields, pattern in pairs {
      ["name: a"] = "settings.a.type: expected one of text%-input, .*, got nothing",
      ["type: text-input"] = "settings.name: expected a name",
      ["name: a, type: text-imput"] = "did you mean text%-input%?",
      ["name: a, type: any"] = "settings.a.type: .*, got \"any\"",
      ["name: a, type: select"] = "settings.a.options: expected a list of options, got nothing",
      ["name: a, type: select, options: [x], default: y"] =
        "settings.a.default: expected one of x, got \"y\"",
      ["name: a, type: boolean, default: 5"] = "settings.a.default: expected true or false, got 5",
      ["name: a, type: app-selector, scope: robots"] = "settings.a.scope: expected all, chat",
      ["name: a, type: text-input, requiredd: true"] =
        "settings.a.requiredd: unknown key, did you mean required%?",
      ["name: a, type: text-input, required: maybe"] =
        "settings.a.required: expected true or false, got \"maybe\"",
      ["name: a, type: text-input, label: [x]"] =
        "settings.a: expected a map of languages, got a list of 1",
    } do
      assert_problem("^p/manifest.yaml:%d+:%d+: .*" .. pattern, check_manifest(HEAD .. [[
plugins:
  endpoints:
    settings: [ { ]] .. fields .. [[ } ]
    endpoints: [ { path: /, method: GET, extra: { lua: { source: a.lua } } } ]
]]))
    end
  end)

  it("refuses YAML that means mischief, quickly", function()
    local laughs = { "a: &a [x,x,x,x,x,x,x,x,x]" }
    for i = 1, 9 do
      local last, this = ("abcdefghij"):sub(i, i), ("abcdefghij"):sub(i + 1, i + 1)
      laughs[#laughs + 1] = ("%s: &%s [%s]"):format(this, this, ("*" .. last .. ","):rep(9))
    end
    for text, pattern in pairs {
      [table.concat(laughs, "\n")] =
        "manifest.yaml:%d+:%d+: this alias makes the document too large",
      [("["):rep(20000)] = "manifest.yaml:1:65: nested too deeply: at most 64 levels are read",
      ["a: &a [*a]"] = "1:8: this alias stands inside what it names",
      ["a: 1\nb: 2\na: 3\n"] = "3:1: a: this key stands here twice",
      ["a: !!python/object/apply:os.system [ id ]"] = "1:4: .* got the tag .*os.system",
      ["a: !!binary aGk="] = "1:4: .* got the tag .*binary",
      ["# " .. ("x"):rep(300000)] = "manifest.yaml: is larger than",
      ["\255\254a\0:\0"] = "1:1: not UTF%-8 text",
      ["a: b\0"] = "1:5: not UTF%-8 text: a NUL byte",
      ["a: 1\n---\nb: 2\n"] = "2:1: expected one document, got a second",
      ["a:\n\t- b\n"] = "2:1: not YAML: expected spaces, got a tab",
      ["a: [1, 2"] = "not YAML: ",
    } do
      assert_problem("^p/[^\n]*" .. pattern .. "[^\n]*\n$", check_manifest(text))
    end
  end)

  it("compiles every Lua file of the package without running it", function()
    local files = dify_package()
    files["p/lib/broken.lua"] = "local a = 1\nif a then\n"
    files["p/lib/bytes.lua"] = "\27LJ\2"
    files["p/lib/runs.lua"] = "error 'this must not run'"
    local result = host.run { "check", "p", files = files }
    assert.equal(1, result.code)
    assert.equal("p/lib/broken.lua:3:1: syntax: expected 'end' (to close 'if' at line 2), "
      .. "got '<eof>'\n"
      .. "p/lib/bytes.lua:1:1: expected Lua source text, got bytecode\n", result.stdout)
  end)

  it("checks every plugin of a folder", function()
    local manifest = HEAD .. ENDPOINTS .. declaration("path: /a, method: GET, " .. SOURCE)
    local result = host.run { "check", "all/", files = {
      ["all/good/manifest.yaml"] = manifest, ["all/good/a.lua"] = LUA,
      ["all/bad/manifest.yaml"] = manifest, ["all/README.md"] = "not a plugin",
    } }
    assert.equal(1, result.code)
    assert.matches("^all/bad/manifest.yaml:7:%d+: extra.lua.source: [^\n]+\n$", result.stdout)
    assert.equal("checked 2 plugins: 1 problem\n", result.stderr)
  end)

  it("prints JSON when asked", function()
    local result = host.run { "check", "--json", "p", files = {
      ["p/manifest.yaml"] =
        HEAD .. ENDPOINTS .. declaration("path: a, method: GET, " .. SOURCE),
      ["p/a.lua"] = LUA,
    } }
    assert.equal(1, result.code)
    assert.same({ {
      file = "p/manifest.yaml", line = 7, column = 15,
      severity = "error", message = "path: expected a path starting with '/', got \"a\"",
    } }, cjson.decode(result.stdout))
    assert.equal("[]\n", host.run({ "check", "--json", "p", files = dify_package() }).stdout)
  end)

  it("names a permission that is a slip of the pen, or none", function()
    for permission, problem in pairs {
      ["{ ap: { enabled: true } }"] =
        "7:27: resource.permission.ap: unknown key, did you mean app?",
      ["{ model: { lm: true } }"] =
        "7:36: resource.permission.model.lm: unknown key, did you mean llm?",
      ["5"] = "7:25: resource.permission: expected a map, got 5",
    } do
      local files = { ["p/a.lua"] = LUA, ["p/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: p
plugins:
  endpoints: [ { path: /, method: GET, extra: { lua: { source: a.lua } } } ]
resource: { permission: ]] .. permission .. " }\n" }
      assert.equal("p/manifest.yaml:" .. problem .. "\n",
        host.run({ "check", "p", files = files }).stdout)
    end
  end)

  it("says so when a folder is no plugin", function()
    for place, said in pairs {
      nowhere = "nowhere: expected a plugin's folder, there is none",
      ["a/b.lua"] = "a/b.lua: expected a plugin's folder, got a file",
      a = "a/manifest.yaml: does not exist",
    } do
      local result = host.run { "check", place, files = { ["a/b.lua"] = LUA } }
      assert.equal(said .. "\n", result.stdout)
      assert.equal(1, result.code)
    end
  end)

  it("exits with 2 without a folder, and with an unknown flag", function()
    for _, args in ipairs { { "check" }, { "check", "--jason", "p" } } do
      local result = host.run(args)
      assert.equal(2, result.code)
      assert.equal("", result.stdout)
      assert.matches("^moonhook check: ", result.stderr)
    end
  end)
end)
