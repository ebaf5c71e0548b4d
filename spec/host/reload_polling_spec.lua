-- `moonhook dev` where the kernel gives no notice of changed files: it looks every second.
local cjson = require "cjson"
local hanger = require "spec.support.hanger"
local host = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: %s
plugins: { endpoints: { endpoints: [ { path: /, method: GET,
  extra: { lua: { source: main.lua } } } ] } }
]]

local function config(...)
  local list = {}
  for i, name in ipairs { ... } do list[i] = { plugin = name, hook_id = name .. "-spec" } end
  return { plugins = { "plugins" }, endpoints = list }
end

-- How many folders the process has a notice of.
local function watches(server)
  local count = 0
  local listing = io.popen(("cat /proc/%d/fdinfo/* 2>/dev/null"):format(server.process.pid))
  for line in listing:lines() do count = count + (line:find "^inotify wd:" and 1 or 0) end
  listing:close()
  return count
end

describe("moonhook dev without inotify", function()
  local library, switch

  setup(function() library = hanger.build "no_inotify" end)
  teardown(hanger.remove)

  before_each(function()
    switch = library .. ".switch"
  end)

  local function start(missing)
    local file = assert(io.open(switch, "w"))
    file:write(missing)
    file:close()
    return host.start { verb = "dev", config = config "live", files = {
      ["plugins/live/manifest.yaml"] = MANIFEST:format "live",
      ["plugins/live/main.lua"] = "return function() return 'one' end",
    }, env = hanger.env(nil, { LD_PRELOAD = library, NO_INOTIFY_FILE = switch }) }
  end

  local function wait_served(server, name, word)
    process.eventually(function()
      return server:request { target = "/e/" .. name .. "-spec/" }.body == word
    end, 5, word .. " to be served")
  end

  local function save_and_wait(server, word)
    server:write("plugins/live/main.lua", ("return function() return %q end"):format(word))
    wait_served(server, "live", word)
  end

  for missing, why in pairs { init = "too many open files", watches = "no space left on device" } do
    it("serves what is saved, and says that it looks (" .. why .. ")", function()
      local server = start(missing)
      assert.equal("one", server:request { target = "/e/live-spec/" }.body)
      local told = server:wait_record {
        msg = "no notice of changes is to be had, looking every second" }
      assert.matches(why, told.why, 1, true)
      assert.equal(0, watches(server))
      save_and_wait(server, "two")
      server:write("plugins/other/main.lua", "return function() return 'other' end")
      server:write("plugins/other/manifest.yaml", MANIFEST:format "other")
      server:write("moonhook.yaml", cjson.encode(config("live", "other")))
      wait_served(server, "other", "other")
      server:stop()
    end)
  end

  it("takes notice again when that is to be had", function()
    local server = start "watches"
    save_and_wait(server, "two")
    os.remove(switch)
    process.eventually(function() return watches(server) > 0 end, 5, "a watch")
    save_and_wait(server, "three")
    server:stop()
  end)
end)
