-- Slips on the command line that authors make, and what is said to them.
local host = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.1.0
type: plugin
author: me
name: slip
plugins:
  endpoints:
    - { path: /a, method: GET, extra: { lua: { source: a.lua } } }
]]

local FILES = {
  ["p/manifest.yaml"] = MANIFEST, ["p/a.lua"] = 'return function() return "a" end\n',
  ["p/spec/a_spec.lua"] = 'it("is fine", function() assert.is_true(true) end)\n',
}

local function run(...)
  return host.run { files = FILES, ... }
end

describe("moonhook check without a folder", function()
  it("checks the plugin that it stands in", function()
    local dir = host.folder { files = FILES }
    local file = assert(io.open(dir .. "/p/a.lua", "w"))
    file:write "return function()"
    file:close()
    local result = host.run { "check", dir = dir .. "/p" }
    assert.equal(1, result.code)
    assert.matches("^a.lua:1:%d+: syntax: [^\n]+\n$", result.stdout)
  end)

  it("asks for one elsewhere", function()
    local result = run "check"
    assert.equal(2, result.code)
    assert.equal("moonhook check: expected DIR, as this folder has no manifest.yaml; see: moonhook "
      .. "help check\n", result.stderr)
  end)
end)

describe("moonhook test", function()
  it("fails when a filter leaves no spec", function()
    local result = run("test", "p", "--filter", "nothing like it")
    assert.equal(2, result.code)
    assert.equal("moonhook test: no spec ran: none matches the filters, or the files hold none\n",
      result.stderr)
    assert.equal(0, run("test", "p", "--filter", "is fine").code)
    assert.equal(0, run("test", "p", "--list", "--filter", "nothing").code)
  end)

  it("names the option that was meant", function()
    for given, meant in pairs {
      ["--filtr"] = "--filter", ["--filtr=x"] = "--filter", ["--tag"] = "--tags",
      ["--wacth"] = "--watch", ["--suffle"] = "--shuffle",
    } do
      local result = run("test", "p", given)
      assert.equal(2, result.code)
      assert.equal(("moonhook test: unknown option %s, did you mean %s?; see: moonhook help test\n")
        :format(given:match "^[^=]+", meant), result.stderr)
    end
    local watching = run("test", "p", "--watch", "--filtr")
    assert.equal(2, watching.code)
    assert.matches("did you mean %-%-filter%?", watching.stderr)
    assert.equal(0, run("test", "p", "--no-keep-going", "--shuffle", "--repeat=2").code)
  end)
end)

describe("moonhook dev DIR", function()
  -- Starts it and gives what it printed when it had a URL to print, or had ended.
  local function dev(dir, ...)
    local command = { host.binary(), "dev", ... }
    command.cwd, command.stdout, command.stderr = dir, dir .. "/stdout", dir .. "/stderr"
    local child = process.start(command)
    local function read(name)
      local file = assert(io.open(dir .. "/" .. name))
      local text = file:read "*a"
      file:close()
      return text
    end
    process.eventually(function()
      return read("stderr"):find("listening", 1, true) or not child:is_running()
    end, 10, "dev to listen")
    child:kill "TERM"
    child:wait(10)
    return read "stdout", read "stderr"
  end

  local function exists(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
  end

  it("serves a plugin's folder, whose data stay there", function()
    local dir = host.folder { files = FILES }
    os.remove(dir .. "/moonhook.yaml")
    local out = dev(dir, "p", "--listen", "0", "--admin", "0")
    assert.matches("^GET +http://127%.0%.0%.1:%d+/e/%w+/a  %(slip: slip%)\n$", out)
    assert.is_true(exists(dir .. "/p/.moonhook/registry.db"))
    assert.is_false(exists(dir .. "/data"))
  end)

  it("serves a folder with a moonhook.yaml", function()
    local files = {}
    for path, text in pairs(FILES) do files["x/" .. path] = text end
    files["x/moonhook.yaml"] = "plugins: p\nendpoints: [ { plugin: slip, hook_id: slip-x } ]\n"
    local dir = host.folder { files = files }
    local out = dev(dir, "x", "--listen", "0", "--admin", "0")
    assert.matches("/e/slip%-x/a  %(slip: slip%)\n$", out)
    assert.is_true(exists(dir .. "/x/data/registry.db"))
  end)

  it("says when it is not there", function()
    local result = run("dev", "nope")
    assert.equal(2, result.code)
    assert.equal("moonhook dev: expected a plugin's folder, there is no 'nope'; see: moonhook help "
      .. "dev\n", result.stderr)
  end)

  it("says when there is no plugin", function()
    local dir = host.folder {}
    local _, log = dev(dir, "--listen", "0", "--admin", "0", "--data", "d")
    assert.matches("there is no plugin here", log)
    assert.matches("moonhook init NAME makes one", log)
  end)
end)

describe("an address to listen on", function()
  it("may be a port alone, for both listeners", function()
    local result = run("config", "print", "--listen", "8123", "--admin", "8124")
    assert.matches('public.listen +"127.0.0.1:8123"', result.stdout)
    assert.matches('admin.listen +"127.0.0.1:8124"', result.stdout)
  end)

  it("says what it may be", function()
    for _, flag in ipairs { "--listen", "--admin" } do
      for _, given in ipairs { "80800", ":8080", "here", "127.0.0.1" } do
        local result = run("config", "print", flag, given)
        assert.equal(1, result.code)
        assert.equal(('moonhook: %s: expected ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, '
          .. 'or a PORT alone, got "%s"\n'):format(flag, given), result.stderr)
      end
    end
  end)
end)
