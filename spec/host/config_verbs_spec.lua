-- moonhook config print and moonhook config check.
local cjson = require "cjson"
local host = require "spec.support.host"

local SECRET = "sk-7f3a-never-to-be-seen"

local FILES = {
  ["plugins/echo/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: echo
plugins:
  endpoints:
    settings:
      - { name: word, type: text-input }
      - { name: key, type: secret-input, required: true }
    endpoints:
      - { path: /, method: GET, extra: { lua: { source: echo.lua } } }
]],
  ["plugins/echo/echo.lua"] = "return function() return 'hello' end\n",
  ["gpt.key"] = SECRET,
}

local CONFIG = [[
public:
  listen: 127.0.0.1:9000
backends:
  gpt: { type: openai, url: "http://127.0.0.1:1/v1", api_key_file: gpt.key }
endpoints:
  - plugin: echo
    hook_id: not-for-everyone
    settings: { word: hello, key: ]] .. SECRET .. " }\n"

local function with_files(more)
  local files = {}
  for path, text in pairs(FILES) do files[path] = text end
  for path, text in pairs(more or {}) do files[path] = text end
  return files
end

local function printed(options)
  options = options or {}
  local command = { "config", "print", "--json", files = options.files or FILES,
    config = options.config or CONFIG, env = options.env }
  for _, word in ipairs(options.args or {}) do command[#command + 1] = word end
  local result = host.run(command)
  assert.equal(0, result.code, result.stderr)
  local shown, values = cjson.decode(result.stdout), {}
  for _, value in ipairs(shown.values) do values[value.key] = value end
  return values, result.stdout, shown
end

local function origin(value)
  return value.value, value.origin, value.place ~= cjson.null and value.place or nil
end

describe("moonhook config print", function()
  it("shows each value with its origin: default, file, variable or flag", function()
    local values, _, shown = printed {
      env = { MOONHOOK_LIMITS_BODY_BYTES = "2 MiB", MOONHOOK_LOG_LEVEL = "warn" },
      args = { "--log-level", "error", "--workers", "3" },
    }
    assert.equal("moonhook.yaml", shown.file)
    assert.same({ "127.0.0.1:9000", "file", "moonhook.yaml:2:11" },
      { origin(values["public.listen"]) })
    assert.same({ "127.0.0.1:8081", "default" }, { origin(values["admin.listen"]) })
    assert.same({ 2097152, "variable", "MOONHOOK_LIMITS_BODY_BYTES" },
      { origin(values["limits.body_bytes"]) })
    assert.same({ "error", "flag", "--log-level" }, { origin(values["log.level"]) })
    assert.same({ 3, "flag", "--workers" }, { origin(values.workers) })
    assert.same({ cjson.null, "default" }, { origin(values["public.url"]) })
    assert.same({ { "plugins" }, "default" }, { origin(values.plugins) })
    assert.same({ "gpt.key", "file", "moonhook.yaml:4:68" },
      { origin(values["backends.gpt.api_key_file"]) })
    assert.same({ "hello", "file", "moonhook.yaml:8:23" },
      { origin(values["endpoints[1].settings.word"]) })
  end)

  it("masks secret settings and hook ids, and all settings of a plugin it cannot read", function()
    local values, text = printed()
    assert.equal("********", values["endpoints[1].settings.key"].value)
    assert.equal("********", values["endpoints[1].hook_id"].value)
    assert.is_nil(text:find(SECRET, 1, true))
    assert.is_nil(text:find("not-for-everyone", 1, true))
    values, text = printed { files = with_files { ["plugins/echo/manifest.yaml"] = "a: [" } }
    assert.equal("********", values["endpoints[1].settings.word"].value)
    assert.is_nil(text:find(SECRET, 1, true))
  end)

  it("shows every key that the documentation lists", function()
    local values = printed()
    local file, count = assert(io.open "docs/operations.md"), 0
    for key in file:read("*a"):gmatch "\n| `(%l+%.[%l_]+)` |" do
      assert.truthy(values[key], key)
      count = count + 1
    end
    file:close()
    assert.is_true(count > 20)
  end)

  it("prints the same for people, a line each", function()
    local values = printed()
    local result = host.run { "config", "print", files = FILES, config = CONFIG }
    assert.equal("", result.stderr)
    local lines = 0
    for line in result.stdout:gmatch "[^\n]+" do
      local key, place = line:match "^(%S+) .* (%S+)$"
      local value = values[key]
      assert.equal(value.place ~= cjson.null and value.place or value.origin, place)
      lines = lines + 1
    end
    local count = 0
    for _ in pairs(values) do count = count + 1 end
    assert.equal(count, lines)
  end)

  it("ends with 1 and the reason when the configuration cannot be read", function()
    local result = host.run { "config", "print", config = "limits: { body_byte: 1 }" }
    assert.same({ 1, "" }, { result.code, result.stdout })
    assert.equal("moonhook: moonhook.yaml:1:11: limits.body_byte: unknown key, did you mean "
      .. "body_bytes?\n", result.stderr)
  end)
end)

describe("moonhook config check", function()
  local function checked(config, files, ...)
    local result = host.run { "config", "check", config = config, files = files or FILES, ... }
    return result.code, result.stdout, result.stderr
  end

  it("says that nothing is wrong, and leaves nothing behind", function()
    local dir = host.folder { config = CONFIG, files = FILES }
    local result = host.run { "config", "check", dir = dir }
    assert.same({ 0, "", "checked moonhook.yaml: no problem\n" },
      { result.code, result.stdout, result.stderr })
    assert.is_nil(io.open(dir .. "/data"))
  end)

  it("says what serve refuses, with the place", function()
    local code, out, err = checked "max_conection: 5\n"
    assert.same({ 1, "moonhook.yaml:1:1: max_conection: unknown key\n",
      "checked the configuration: 1 problem\n" }, { code, out, err })
    code, out = checked "limits: { max_conections: 5 }\n"
    assert.same({ 1, "moonhook.yaml:1:11: limits.max_conections: unknown key, "
      .. "did you mean max_connections?\n" }, { code, out })
    for text, expected in pairs {
      ["workers: 0"] = "moonhook.yaml:1:10: workers: expected a whole number from 1 to 256, got 0",
      ["limits: { head_ms: -1 }"] = "moonhook.yaml:1:20: limits.head_ms: expected a number from 10 "
        .. "to 3600000 ms such as 1500, 1500 ms or 2 s, got -1",
      ["limits: { body_bytes: 1e30 }"] = "moonhook.yaml:1:23: limits.body_bytes: expected a number "
        .. "from 0 to 2147483648 bytes such as 65536 or 10 MiB, got 1e30",
      ['limits: { body_bytes: "10 potatoes" }'] = "moonhook.yaml:1:23: limits.body_bytes: expected "
        .. 'a number from 0 to 2147483648 bytes such as 65536 or 10 MiB, got "10 potatoes"',
    } do
      code, out = checked(text)
      assert.same({ 1, expected .. "\n" }, { code, out })
    end
  end)

  it("says all that is wrong in all sections, each with its place", function()
    local text = [[
workerz: 2
limits: { body_byte: 5, head_ms: soon }
backends:
  gpt: { type: opena }
  cloud: { type: openai, url: nowhere }
apps:
  a: { mode: chatty }
  b: { mode: chat, memory: -1 }
endpoints:
  - { name: first }
  - { plugin: echo, hook_id: NO }
]]
    local code, out, err = checked(text, FILES, "--listen", "nowhere")
    assert.equal(1, code)
    local expected = {
      "^%-%-listen: expected ADDRESS:PORT", "^moonhook.yaml:1:1: workerz: unknown key, did you",
      "^moonhook.yaml:2:11: limits.body_byte: ", "^moonhook.yaml:2:34: limits.head_ms: ",
      "^moonhook.yaml:4:16: backends.gpt.type: ", "^moonhook.yaml:5:31: backends.cloud.url: ",
      "^moonhook.yaml:7:14: apps.a.mode: ", "^moonhook.yaml:8:28: apps.b.memory: ",
      "^moonhook.yaml:10:5: endpoints.plugin: ", "^moonhook.yaml:11:30: endpoints.hook_id: ",
    }
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    for i, pattern in ipairs(expected) do assert.matches(pattern, lines[i]) end
    assert.equal(#expected, #lines)
    assert.equal("checked the configuration: 10 problems\n", err)
    -- A start that is refused says the same.
    local result = host.run { "serve", config = text, files = FILES }
    assert.equal(9, select(2, result.stderr:gsub("moonhook: moonhook.yaml:%d+:%d+: ", "")))
  end)

  it("says at most so many", function()
    local keys = {}
    for i = 1, 500 do keys[i] = "  key_" .. i .. ": 1\n" end
    local _, out = checked("limits:\n" .. table.concat(keys))
    assert.equal(101, select(2, out:gsub("\n", "")))
    assert.matches("there are more problems, which are not shown", out)
  end)

  it("says what is wrong with a key file", function()
    for content, message in pairs {
      [""] = "expected a key, got an empty file",
      [" \n\t"] = "expected a key, got an empty file",
      ["sk-1\nsk-2\n"] = "expected one line with the key",
      ["\255\254s\0k\0"] = "expected plain text, got UTF-16: save it as UTF-8",
      ["\254\255\0s\0k"] = "expected plain text, got UTF-16: save it as UTF-8",
      ["sk-\27[0m"] = "letters, digits and signs of ASCII, got the byte 0x1b as character 4",
      ["s\0k"] = "expected letters, digits and signs of ASCII, got the byte 0x00 as character 2",
      ["\226\128\156sk\226\128\157"] = "got the byte 0xe2 as character 1",
    } do
      local code, out = checked("backends: { g: { type: openai, url: http://127.0.0.1:1, "
        .. "api_key_file: gpt.key } }", with_files { ["gpt.key"] = content })
      assert.equal(1, code)
      assert.is_truthy(out:find("backends.g.api_key_file: gpt.key: ", 1, true), out)
      assert.is_truthy(out:find(message, 1, true), out)
    end
  end)

  it("takes a key with the mark of UTF-8 and blanks around it", function()
    local code, out = checked("backends: { g: { type: openai, url: http://127.0.0.1:1, "
      .. "api_key_file: gpt.key } }", with_files { ["gpt.key"] = "\239\187\191 sk-1 \r\n" })
    assert.same({ 0, "" }, { code, out })
  end)

  it("checks plugins, the settings of endpoints, and the files of workflow apps", function()
    local code, out = checked([[
apps: { flow: { mode: workflow, source: flow.lua } }
endpoints:
  - { plugin: echo, settings: { worrd: x, key: k } }
  - { plugin: nowhere }
]], with_files { ["flow.lua"] = "return {\n" })
    assert.equal(1, code)
    assert.truthy(out:find("moonhook.yaml:3:33: settings.worrd: echo has no such setting, did you "
      .. "mean word?\n", 1, true), out)
    assert.truthy(out:find("moonhook.yaml:4:5: endpoints.plugin: expected a plugin that is there, "
      .. 'got "nowhere"\n', 1, true), out)
    assert.truthy(out:find("flow.lua:2:1: syntax: ", 1, true), out)
    code, out = checked(CONFIG, with_files { ["plugins/echo/echo.lua"] = "return function(" })
    assert.equal(1, code)
    assert.truthy(out:find("plugins/echo/echo.lua:1:", 1, true), out)
  end)

  it("prints JSON when asked", function()
    local code, out = checked("log: { level: loud }", FILES, "--json")
    assert.equal(1, code)
    assert.same({ { file = "moonhook.yaml", line = 1, column = 15,
      severity = "error",
      message = 'log.level: expected one of debug, info, warn, error, got "loud"' } },
      cjson.decode(out))
    code, out = checked(CONFIG, FILES, "--json")
    assert.same({ 0, "[]\n" }, { code, out })
  end)
end)
