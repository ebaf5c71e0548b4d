-- `moonhook init`: from nothing to a plugin that is checked, tested and served.
local host = require "spec.support.host"

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local TRIED = { -- a request to each template's plugin, as dev serves it without configuration
  hello = { request = { target = "/hello/World" }, status = 200, body = "^Hello, World!\n$" },
  stream = { request = { target = "/countdown/2" }, status = 200, body = "^2\n1\nLiftoff!\n$" },
  chat = { request = { target = "/talk?q=Who%20are%20you%3F" }, status = 200,
    body = "local/demo" },
  openai = {
    request = { target = "/v1/chat/completions",
      json = '{"messages": [{"role": "user", "content": "Who are you?"}]}' },
    status = 200, body = '"object":"chat%.completion"',
  },
  webhook = { request = { target = "/webhook", json = "{}" }, status = 503,
    body = "signing secret" },
}

describe("moonhook init", function()
  for name, try in pairs(TRIED) do
    it("makes a " .. name .. " plugin that passes check and test and is served by dev", function()
      local dir = host.folder {}
      os.remove(dir .. "/moonhook.yaml")
      local result = host.run { dir = dir, "init", "my_first", "--template", name }
      assert.equal(0, result.code, result.stderr)
      assert.matches("my_first/manifest.yaml\n", result.stdout)
      assert.matches("moonhook test", result.stderr)
      local plugin = dir .. "/my_first"
      assert.matches("\nname: my_first\n", read(plugin .. "/manifest.yaml"))
      assert.is_nil(read(plugin .. "/manifest.yaml"):find("author: moonhook", 1, true))

      result = host.run { dir = plugin, "check", "." }
      assert.equal(0, result.code, result.stdout)
      result = host.run { dir = plugin, "test", "-o", "TAP" }
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.matches("^ok 1", result.stdout)

      local server = host.start { dir = dir, verb = "dev", finds_config = true,
        args = { "--plugins", "my_first" } }
      local url = server:output():match "%u+ +(%S+/e/[%w_-]+)/"
      try.request.url = url
      local reply = server:request(try.request)
      assert.equal(try.status, reply.status)
      assert.matches(try.body, reply.body)
      server:stop()
    end)
  end

  it("writes what editors and linters read", function()
    local dir = host.folder {}
    host.run { dir = dir, "init", "here" }
    assert.matches("moonhook lua", read(dir .. "/here/.busted"))
    assert.matches("%.moonhook/meta", read(dir .. "/here/.luarc.json"))
    assert.matches("stds%.moonhook", read(dir .. "/here/.luacheckrc"))
    assert.equal(read "lua/moonhook/meta/session.lua",
      read(dir .. "/here/.moonhook/meta/session.lua"))
  end)

  it("never overwrites, and then writes nothing", function()
    local dir = host.folder { files = { ["here/hello.lua"] = "mine" } }
    local result = host.run { dir = dir, "init", "here" }
    assert.equal(1, result.code)
    assert.equal("moonhook init: here/hello.lua is there already; nothing was written\n",
      result.stderr)
    assert.equal("mine", read(dir .. "/here/hello.lua"))
    assert.is_nil(read(dir .. "/here/manifest.yaml"))
  end)

  it("says what a name and a template may be", function()
    local dir = host.folder {}
    local result = host.run { dir = dir, "init", "Hello World" }
    assert.equal(2, result.code)
    assert.matches("a%-z, 0%-9, _ and %-", result.stderr)
    result = host.run { dir = dir, "init", "x", "--template", "none" }
    assert.equal(2, result.code)
    assert.matches("hello, stream, chat, openai or webhook", result.stderr)
  end)
end)
