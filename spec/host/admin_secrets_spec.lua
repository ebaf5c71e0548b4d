-- Where a secret setting may be read: by the handler, and nowhere else.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local is_slow_build = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil
local SECRET = "sk-SECRET-1234567890abcdef"
local OTHER = "sk-OTHER-fedcba0987654321"

local FILES = {
  ["plugins/uses/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: uses
plugins:
  endpoints:
    - settings:
        - { name: api_key, type: secret-input, required: true }
        - { name: url, type: text-input }
      endpoints:
        - { path: /length, method: GET, extra: { lua: { source: length.lua } } }
        - { path: /raise, method: GET, extra: { lua: { source: raise.lua } } }
        - { path: /tell, method: GET, extra: { lua: { source: tell.lua } } }
        - { path: /spin, method: GET, extra: { lua: { source: spin.lua } } }
]],
  ["plugins/uses/length.lua"] =
    "return function(_, _, _, settings) return tostring(#settings.api_key) end",
  ["plugins/uses/raise.lua"] = "return function(_, _, _, settings) return settings.nothing.x end",
  -- A mistake that plugins do make.
  ["plugins/uses/tell.lua"] = [[
return function(_, _, _, settings)
  error("401 for key " .. settings.api_key)
end]],
  ["plugins/uses/spin.lua"] = [[
return function(_, _, _, settings)
  local key = settings.api_key
  while #key > 0 do end
end]],
}

local function count_in(paths, text)
  local result = process.run { "grep", "-rlaF", "--", text, unpack(paths) }
  return result.stdout
end

describe("a secret setting", function()
  local server, api, made

  setup(function()
    server = host.start { files = FILES, workers = 2, config = { plugins = { "plugins" } } }
    api = admin.of(server)
  end)

  teardown(function()
    server:stop()
  end)

  -- Every byte that it has written, and what /proc tells of its processes.
  local function places()
    local list = { server.dir .. "/data", server.dir .. "/stderr", server.dir .. "/stdout" }
    local pids = process.children(server.process.pid)
    pids[#pids + 1] = server.process.pid
    for _, pid in ipairs(pids) do
      for _, name in ipairs { "cmdline", "environ", "comm" } do
        list[#list + 1] = ("/proc/%d/%s"):format(pid, name)
      end
    end
    return list
  end

  it("is in no answer, whatever is asked", function()
    made = api:ask("POST", "/endpoints", { plugin = "uses", name = "A",
      settings = { api_key = SECRET, url = "http://x" } }, 201)
    local path = "/endpoints/" .. made.id
    local texts = {
      cjson.encode(made), api:request("GET", path).body, api:request("GET", "/endpoints").body,
      api:request("PATCH", path, { name = "B" }).body,
      api:request("PATCH", path, { settings = { api_key = SECRET, url = 5 } }).body,
      api:request("PATCH", path, { settings = { api_key = { SECRET } } }).body,
      api:request("PATCH", path, '{"settings":{"api_key":"' .. SECRET .. '"').body,
      api:request("POST", path .. "/rotate").body, api:request("GET", "/config").body,
      api:request("GET", "/plugins").body, api:request("GET", "/status").body,
    }
    made = api:ask("GET", path)
    for i, text in ipairs(texts) do assert.is_nil(text:find(SECRET, 1, true), i .. ": " .. text) end
    assert.equal("********", made.settings.api_key)
  end)

  it("is kept by its mask, replaced by a new value, and must be there for the mask", function()
    local path = "/endpoints/" .. made.id
    api:ask("PATCH", path, { settings = { api_key = "********", url = "http://y" } })
    assert.equal(tostring(#SECRET), http.request({ url = made.url .. "/length" }).body)
    assert.truthy(api:problems("POST", "/endpoints", { plugin = "uses",
      settings = { api_key = "********" } })["settings.api_key"]:find("there is none", 1, true))
    assert.truthy(api:problems("PATCH", path, { settings = { api_key = cjson.null } })
      ["settings.api_key"]:find("required", 1, true))
  end)

  it("is nowhere after use, errors, rotation and a crash", function()
    for _ = 1, 100 do assert.equal(200, http.request({ url = made.url .. "/length" }).status) end
    assert.equal(500, http.request({ url = made.url .. "/raise" }).status)
    assert.equal(500, http.request({ url = made.url .. "/tell" }).status)
    pcall(http.request, { url = made.url .. "/spin", seconds = 10 }) -- ended, one way or another
    server:wait_record({ msg = "plugin failed", route = "/tell" }, 5)
    api:ask("POST", "/secrets/rotate")
    local victim = server:pid(1)
    process.kill(victim, is_slow_build and "KILL" or "SEGV") -- the sanitizer would explain it
    server:wait_record({ msg = "process died", pid = victim }, 5)
    api:ask("PATCH", "/endpoints/" .. made.id, { settings = { api_key = OTHER } })
    process.eventually(function()
      return http.request({ url = made.url .. "/length" }).body == tostring(#OTHER)
    end, 5, "the new secret")
    assert.equal("", count_in(places(), SECRET))
    assert.equal("", count_in(places(), OTHER))
    -- The same search finds what is there: the setting beside it.
    assert.are_not.equal("", count_in({ server.dir .. "/data" }, "http://y"))
  end)
end)
