-- `moonhook dev`: what is saved is served by the next request.
local cjson = require "cjson"
local host = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: live
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: live.lua } } }
        - { path: /page, method: GET, extra: { lua: { source: page.lua } } }
]]

local function files(word)
  return {
    ["plugins/live/manifest.yaml"] = MANIFEST,
    ["plugins/live/live.lua"] = ("return function() return %q end"):format(word),
    ["plugins/live/page.lua"] =
      "return function() return require('moonhook').read('page.html') end",
    ["plugins/live/page.html"] = "<p>one</p>",
  }
end

local CONFIG = {
  plugins = { "plugins" },
  endpoints = { { plugin = "live", hook_id = "live-spec" } },
}

describe("moonhook dev", function()
  local server

  before_each(function()
    server = host.start { verb = "dev", files = files "one", config = CONFIG }
  end)

  after_each(function() server:stop() end)

  local function get(target, headers)
    return server:request { target = "/e/live-spec" .. target, headers = headers }
  end

  -- Seconds until the target answers so.
  local function served_after(target, body)
    local start = process.now()
    process.eventually(function() return get(target).body == body end, 3, body .. " to be served")
    return process.now() - start
  end

  it("prints the URLs on stdout", function()
    local base = server.base:gsub("%.", "%%.")
    assert.matches(("GET +%s/e/live%%-spec/page"):format(base), server:output())
  end)

  it("serves saved Lua, and soon", function()
    assert.equal("one", get("/").body)
    server:write("plugins/live/live.lua", "return function() return 'two' end")
    served_after("/", "two")
  end)

  it("serves saved assets and YAML", function()
    server:write("plugins/live/page.html", "<p>two</p>")
    served_after("/page", "<p>two</p>")
    server:write("plugins/live/manifest.yaml", (MANIFEST:gsub("/page,", "/other,")))
    served_after("/other", "<p>two</p>")
    assert.equal(404, get("/page").status)
  end)

  it("keeps the last good version of broken Lua and names file and line", function()
    server:write("plugins/live/live.lua", "return function()\n  funtion x()\nend")
    local record = server:wait_record({ level = "error", plugin = "live" }, 3)
    assert.matches("live.lua:2:", record.error)
    assert.equal("one", get("/").body)
    server:write("plugins/live/live.lua", "return function() return 'mended' end")
    served_after("/", "mended")
  end)

  it("tells when a mistake was taken back, and of the same one once more", function()
    local broken = "return function()\n  funtion x()\nend"
    for _ = 1, 2 do
      local from = #server:log()
      server:write("plugins/live/live.lua", broken)
      server:wait_record({ level = "error", plugin = "live" }, 3, from)
      server:write("plugins/live/live.lua", files("one")["plugins/live/live.lua"])
      server:wait_record({ msg = "plugin as before", plugin = "live" }, 3, from)
      assert.equal("one", get("/").body)
    end
  end)

  it("names what saved Lua will not find, before a request does", function()
    server:write("plugins/live/live.lua", "return function(_, request) return reqest.path end")
    local record = server:wait_record { msg = "plugin warning" }
    assert.equal("warn", record.level)
    assert.equal("live.lua:1:36: the global 'reqest' is not declared, did you mean 'request'?",
      record.warning)
    assert.equal(500, get("/").status)
  end)

  it("keeps the last good version of broken YAML and names the place", function()
    server:write("plugins/live/manifest.yaml", (MANIFEST:gsub("path: /page", "path: page")))
    local record = server:wait_record({ level = "error", msg = "plugin problem" }, 3)
    assert.matches("manifest.yaml:9:%d+: .*expected", record.error)
    assert.equal("one", get("/").body)
  end)

  it("serves a plugin that appears, and an endpoint that the configuration gains", function()
    for path, text in pairs(files "new") do
      text = text:gsub("name: live", "name: second")
      server:write((path:gsub("plugins/live", "plugins/second")), text)
    end
    local config = { plugins = { "plugins" }, endpoints = {
      { plugin = "live", hook_id = "live-spec" },
      { plugin = "second", hook_id = "second-spec" },
    } }
    server:write("moonhook.yaml", (cjson.encode(config):gsub("\\/", "/")))
    process.eventually(function()
      return server:request { target = "/e/second-spec/" }.body == "new"
    end, 3, "the second endpoint")
    assert.equal("one", get("/").body)
  end)

  it("keeps the last good configuration when the new one is wrong", function()
    server:write("moonhook.yaml", "endpints: []\n")
    local record = server:wait_record({ msg = "configuration not loaded" }, 3)
    assert.matches("moonhook.yaml:1:1: endpints: .*endpoints", record.error)
    assert.equal("one", get("/").body)
  end)

  it("does not take a configuration that is away for a moment for none", function()
    server:stop()
    server = host.start { verb = "dev", files = files "one", config = CONFIG, finds_config = true }
    local path = server.dir .. "/moonhook.yaml"
    assert(os.rename(path, path .. ".away"))
    server:wait_record({ msg = "configuration not loaded" }, 3)
    assert.equal("one", get("/").body)
    assert(os.rename(path .. ".away", path))
    server:write("plugins/live/live.lua", "return function() return 'two' end")
    served_after("/", "two")
    server:write("moonhook.yaml", "endpoints: [ { plugin: live, hook_id: other-spec } ]\n"
      .. "plugins: [plugins]\n")
    process.eventually(function()
      return server:request { target = "/e/other-spec/" }.body == "two"
    end, 3, "the configuration that came back to be watched")
  end)

  it("keeps plugins of one name by two authors apart", function()
    for path, text in pairs(files "theirs") do
      text = text:gsub("author: spec", "author: other")
      server:write((path:gsub("plugins/live", "plugins/second")), text)
    end
    server:write("moonhook.yaml", (cjson.encode({ plugins = { "plugins" }, endpoints = {
      { plugin = "spec/live", hook_id = "live-spec" },
      { plugin = "other/live", hook_id = "their-spec" },
      { plugin = "third/live", hook_id = "third-spec" },
    } }):gsub("\\/", "/")))
    process.eventually(function()
      return server:request { target = "/e/their-spec/" }.body == "theirs"
    end, 3, "the other author's plugin")
    assert.equal("one", get("/").body)
    assert.equal(503, server:request { target = "/e/third-spec/" }.status)
  end)

  it("serves on when a plugin's folder gets another name", function()
    os.rename(server.dir .. "/plugins/live", server.dir .. "/plugins/renamed")
    server:wait_record { msg = "plugin removed", folder = "plugins/live" }
    server:wait_record { msg = "plugin loaded", plugin = "live", hash = "~." }
    assert.equal("one", get("/").body)
    server:write("plugins/renamed/live.lua", "return function() return 'two' end")
    assert(served_after("/", "two"))
  end)

  it("says who works in its data folder to a second one", function()
    local result = host.run { "dev", "--config", "moonhook.yaml", "--data", "data", "--listen",
      "127.0.0.1:0", "--admin", "127.0.0.1:0", dir = server.dir }
    assert.equal(1, result.code)
    assert.equal(("moonhook: data: data: another moonhook works in it, pid %d (--data names "
      .. "another folder)\n"):format(server.process.pid), result.stderr)
  end)

  it("lists the routes in a 404 below a known hook", function()
    local reply = get("/nowhere")
    assert.equal(404, reply.status)
    assert.matches("GET /page", cjson.decode(reply.body).error.message, 1, true)
  end)

  it("shows an author's mistake as a page, for a browser", function()
    server:write("plugins/live/live.lua",
      "return function()\n  local x\n  return x.y -- <here>\nend")
    process.eventually(function() return get("/").status == 500 end, 3, "the broken handler")
    local page = get("/", { Accept = "text/html,*/*" })
    assert.equal(500, page.status)
    assert.matches("^text/html", page.headers["content-type"])
    assert.matches("live.lua, line 3", page.body, 1, true)
    assert.matches("return x.y -- &lt;here&gt;", page.body, 1, true)
    assert.matches("^application/json", get("/").headers["content-type"])
  end)

  it("lets requests in flight end with the version they began with", function()
    server:write("plugins/live/live.lua", [[
      local moonhook = require "moonhook"
      return function()
        return moonhook.Response(function()
          coroutine.yield "old "
          moonhook.sleep(400)
          coroutine.yield "end"
        end)
      end]])
    local reply
    process.eventually(function()
      reply = server:open { target = "/e/live-spec/" }
      return reply:next_piece(2) == "old "
    end, 3, "the streaming version")
    server:write("plugins/live/live.lua", "return function() return 'new' end")
    served_after("/", "new")
    assert.equal("end", reply:read_body())
    reply:close()
  end)
end)

describe("what dev itself writes", function()
  -- It would be a new version of the plugin, told of in the log, which is a new version ...
  it("into the plugin's folder is no part of the plugin", function()
    local own = { ["manifest.yaml"] = MANIFEST, ["page.lua"] = "return tostring",
      ["live.lua"] = "return function() return 'one' end" }
    local server = host.start { verb = "dev", files = own, args = { "--plugins", "." } }
    server:write("live.lua", "return function() return 'two' end")
    local first = server:wait_record { msg = "plugin loaded" }
    process.eventually(function()
      local second = server:records()[#server:records()]
      return second.msg == "plugin loaded" and second.hash ~= first.hash
    end, 5, "the second version")
    -- The next look at the folder comes after the first one's.
    server:write("live.lua", "return function() return 'three' end")
    process.eventually(function()
      local count = 0
      for _, record in ipairs(server:records()) do
        count = count + (record.msg == "plugin loaded" and 1 or 0)
      end
      assert.is_true(count <= 3)
      return count == 3
    end, 5, "the third version")
    server:stop()
  end)
end)

describe("a file that an editor saves", function()
  local server

  before_each(function()
    server = host.start { verb = "dev", files = files "one", config = CONFIG }
  end)

  after_each(function() server:stop() end)

  local function body()
    return server:request { target = "/e/live-spec/" }.body
  end

  local function wait_served(word)
    process.eventually(function() return body() == word end, 3, word .. " to be served")
  end

  local function path()
    return server.dir .. "/plugins/live/live.lua"
  end

  local function write(name, mode, text)
    local file = assert(io.open(name, mode))
    file:write(text)
    file:close()
  end

  it("by writing over it is served", function()
    write(path(), "w", "return function() return 'two' end")
    wait_served "two"
  end)

  it("by moving the old one away and a new one there is served", function()
    assert(os.rename(path(), path() .. "~"))
    write(path(), "w", "return function() return 'two' end")
    wait_served "two"
    os.remove(path() .. "~")
    assert.equal("two", body())
  end)

  it("by a file beside it that takes its name is served", function()
    write(server.dir .. "/plugins/live/4913", "w", "")
    os.remove(server.dir .. "/plugins/live/4913")
    write(server.dir .. "/plugins/live/.live.lua.swp", "w", "x")
    write(path() .. ".new", "w", "return function() return 'two' end")
    assert(os.rename(path() .. ".new", path()))
    wait_served "two"
  end)

  it("slowly is never served by halves (R05)", function()
    -- Half of it would be a handler too, and another one.
    local first, second = "return function() return 'half'", " .. ' and half' end -- "
    local file = assert(io.open(path(), "w"))
    local seen = {}
    for i = 1, 30 do
      local text = (first .. second):sub(2 * i - 1, i == 30 and -1 or 2 * i)
      file:write(text)
      file:flush()
      for _ = 1, 5 do seen[body()] = true end
    end
    file:close()
    wait_served "half and half"
    seen["one"], seen["half and half"] = nil, nil
    assert.same({}, seen)
  end)

  it("with others at once is served with them", function()
    for i = 1, 20 do
      server:write(("plugins/live/part%d.lua"):format(i), ("return %d"):format(i))
    end
    server:write("plugins/live/live.lua", [[
      local sum = 0
      for i = 1, 20 do sum = sum + require("part" .. i) end
      return function() return tostring(sum) end]])
    wait_served "210"
    assert.is_nil(server:find_record { level = "error" })
  end)

  it("in a folder that is new is served", function()
    server:write("plugins/live/deep/er/word.lua", "return 'deep'")
    server:write("plugins/live/live.lua",
      "local word = require 'deep.er.word' return function() return word end")
    wait_served "deep"
    server:write("plugins/live/deep/er/word.lua", "return 'deeper'")
    wait_served "deeper"
  end)
end)
