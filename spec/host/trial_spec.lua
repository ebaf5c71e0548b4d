-- Which plugins the keeper loads for a try when it starts, and which were tried before.
local hanger = require "spec.support.hanger"
local host = require "spec.support.host"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
plugins:
  endpoints:
    - { path: /, method: GET, extra: { lua: { source: main.lua } } }
]]

local function files()
  local made = {}
  for _, name in ipairs { "one", "two" } do
    made["plugins/" .. name .. "/manifest.yaml"] = MANIFEST:format(name)
    made["plugins/" .. name .. "/main.lua"] = ("return function() return %q end"):format(name)
  end
  return made
end

local function config(limits)
  return { plugins = { "plugins" }, limits = limits, log = { level = "debug" },
    endpoints = { { plugin = "one", hook_id = "one-spec" },
      { plugin = "two", hook_id = "two-spec" } } }
end

-- With the fast paths off every start tries both.
local is_off = os.getenv "MOONHOOK_FAST_PATHS" == "off"
local NONE, ONE, BOTH = is_off and 2 or 0, is_off and 2 or 1, 2

describe("a start of the host", function()
  local dir

  before_each(function() dir = host.folder { files = files(), config = config() } end)
  after_each(function() os.execute("rm -rf '" .. dir .. "'") end)

  -- Starts it and ends it; how many plugins were tried.
  local function tries(options)
    options = options or {}
    local server = host.start { dir = dir, binary = options.binary, env = options.env }
    local count = 0
    for _, record in ipairs(server:records()) do
      if record.msg == "plugin tried" then count = count + 1 end
    end
    assert.equal("one", server:request({ target = "/e/one-spec/" }).body)
    assert.equal("two", server:request({ target = "/e/two-spec/" }).body)
    server:stop(true)
    return count
  end

  local function write(path, text)
    local file = assert(io.open(dir .. "/" .. path, "w"))
    file:write(text)
    file:close()
  end

  it("tries a plugin once, and again when it has changed", function()
    assert.equal(BOTH, tries())
    assert.equal(NONE, tries())
    write("plugins/two/main.lua", "return function() return 'tw' .. 'o' end")
    assert.equal(ONE, tries())
    assert.equal(NONE, tries())
  end)

  it("tries all of them again in another program", function()
    local other = dir .. "/moonhook"
    assert.equal(BOTH, tries())
    assert(os.execute(("cp '%s' '%s'"):format(host.binary(), other)) == 0)
    assert.equal(BOTH, tries { binary = other })
    assert.equal(NONE, tries { binary = other })
    assert.equal(BOTH, tries())
  end)

  it("tries all of them again under other limits", function()
    assert.equal(BOTH, tries())
    local again = host.folder { config = config { plugin_memory_bytes = 32 * 1024 * 1024 } }
    os.execute(("cp '%s/moonhook.yaml' '%s/'; rm -r '%s'"):format(again, dir, again))
    assert.equal(BOTH, tries())
    assert.equal(NONE, tries())
  end)

  it("tries them each time with a library that is being worked on", function()
    local env = { MOONHOOK_LUA_PATH = "lua" }
    os.execute(("cp -r lua '%s/lua'"):format(dir))
    assert.equal(BOTH, tries { env = env })
    assert.equal(BOTH, tries { env = env })
  end)
end)

describe("a plugin that ends the process in which it is tried", function()
  setup(hanger.build)
  teardown(hanger.remove)

  local function errors_of(sources)
    local made, endpoints = {}, {}
    for name, source in pairs(sources) do
      made["plugins/" .. name .. "/manifest.yaml"] = MANIFEST:format(name)
      made["plugins/" .. name .. "/main.lua"] = source .. "\nreturn function() return 'ok' end"
      endpoints[#endpoints + 1] = { plugin = name, hook_id = name .. "-spec" }
    end
    local server = host.start { files = made, env = hanger.env(),
      config = { plugins = { "plugins" }, endpoints = endpoints } }
    local errors = {}
    for _, record in ipairs(server:records()) do
      if record.msg == "plugin not loaded" then errors[record.plugin] = record.error end
    end
    for name in pairs(sources) do
      local status = server:request({ target = "/e/" .. name .. "-spec/" }).status
      assert.equal(errors[name] and 503 or 200, status, name)
    end
    server:stop()
    return errors
  end

  it("takes no other one along", function()
    local sources = { a = "", b = hanger.SPIN, c = "", d = "error 'no'", e = "" }
    if hanger.has_crashes then sources.f, sources.g = hanger.CRASH, "" end
    local errors = errors_of(sources)
    -- On a busy machine its 5 s are over before it had 2 s of the processor.
    assert.matches("^loading it took more than %d s", errors.b)
    assert.matches("^main%.lua:1: no", errors.d)
    errors.b, errors.d = nil, nil
    if hanger.has_crashes then
      assert.equal("loading it ended the process with signal 11", errors.f)
      errors.f = nil
    end
    assert.same({}, errors)
  end)
end)
