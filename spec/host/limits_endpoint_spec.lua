-- Runs with both LuaJITs. An endpoint may have limits other than its plugin's, within what the
-- operator allows: in moonhook.yaml and through the admin API.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local host_support = require "spec.support.host"

local FILES = {
  ["plugins/busy/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: busy
limits: { cpu_ms: 60 }
plugins:
  endpoints:
    - endpoints:
        - { path: /run, method: POST, extra: { lua: { source: run.lua } } }
]],
  ["plugins/busy/run.lua"] = [[
local moonhook = require "moonhook"
return function(self, request)
  local code = assert(load("local session, moonhook = ...\n" .. request:get_data(), "=x"))
  local result = code(self.session, moonhook)
  if moonhook.Response.is(result) then return result end
  return tostring(result)
end]],
}

local function config(endpoints, more)
  local whole = { plugins = { "plugins" }, endpoints = endpoints, limits = { stuck_ms = 30000 } }
  for key, value in pairs(more or {}) do whole[key] = value end
  return whole
end

describe("an endpoint's limits", function()
  local server

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function start(endpoints, more, env)
    server = host_support.start { files = FILES, config = config(endpoints, more), env = env }
  end

  local function run(hook, code)
    local reply = server:request { target = ("/e/%s/run"):format(hook), body = code, seconds = 20 }
    local ok, body = pcall(cjson.decode, reply.body)
    return ok and type(body) == "table" and body.error.code or reply.body, reply
  end

  -- How long the endless loop was let run, as the log says.
  local function cut_after(hook, code)
    local from = #server:log()
    assert.equal("plugin_cpu_limit", (run(hook, code or "while true do end")))
    local record = server:wait_record({ msg = "plugin failed", code = "plugin_cpu_limit" }, 5, from)
    return tonumber(record.error:match "more than (%d+) ms")
  end

  it("hold for it alone", function()
    start {
      { plugin = "busy", name = "short", hook_id = "short",
        limits = { cpu_ms = 20, head_ms = 150, idle_ms = 120 } },
      { plugin = "busy", name = "long", hook_id = "long", limits = { cpu_ms = 100 } },
      { plugin = "busy", name = "usual", hook_id = "usual" },
    }
    assert.same({ 20, 100, 60 },
      { cut_after "short", cut_after "long", cut_after "usual" })
    assert.equal(20, cut_after("short",
      "local task = session:spawn(function() while true do end end) return task:wait()"))
    assert.equal("plugin_timeout", (run("short", "session:sleep(20000) return 'slept'")))
    assert.equal("slept", (run("usual", "session:sleep(400) return 'slept'")))
    local silent = [[return moonhook.Response(function()
      coroutine.yield("begun;")
      session:sleep(600)
      coroutine.yield("end")
    end)]]
    local reply = server:open { target = "/e/short/run", body = silent, seconds = 20 }
    assert.equal("begun;", reply:next_piece(5))
    assert.is_false((pcall(reply.read_body, reply)))
    reply:close()
    assert.equal("begun;end", (run("long", silent)))
  end)

  it("are what the operator allows, wherever that is said", function()
    start({ { plugin = "busy", hook_id = "busy", limits = { cpu_ms = 400 } } }, nil,
      { MOONHOOK_LIMITS_PLUGIN_CPU_MS = "500" })
    assert.equal(400, cut_after "busy")
  end)

  it("in moonhook.yaml that are none are told with their place", function()
    for limits, told in pairs {
      ["{ cpu_ms: 101 }"] = "3:63: endpoints.limits.cpu_ms: expected milliseconds from 10 to 100, "
        .. "the operator's limits.plugin_cpu_ms, got 101",
      ["{ head_ms: 5 }"] = "3:64: endpoints.limits.head_ms: expected milliseconds from 10 to "
        .. "60000, the operator's limits.plugin_head_ms, got 5",
      ["{ idle_ms: soon }"] = "3:64: endpoints.limits.idle_ms: expected milliseconds from 10 to "
        .. "120000, the operator's limits.plugin_idle_ms, got \"soon\"",
      ["{ memory: 1 MiB }"] = "3:55: endpoints.limits.memory: expected no memory here: all "
        .. "endpoints of a plugin share what its manifest has",
      ["{ cpu: 1 }"] = "3:55: endpoints.limits.cpu: expected one of cpu_ms, head_ms, idle_ms",
      ["[ 5 ]"] = "3:53: endpoints.limits: expected a map of cpu_ms, head_ms, idle_ms",
    } do
      local result = host_support.run { "config", "check", files = FILES, config =
        "plugins: [ plugins ]\nendpoints:\n  - { plugin: busy, hook_id: busy-hook,     limits: "
        .. limits .. " }\n" }
      assert.equal(1, result.code)
      assert.matches("moonhook.yaml:" .. told, result.stdout .. result.stderr, 1, true)
    end
  end)

  it("are given, shown, changed and kept by the admin API", function()
    start()
    local api = admin.of(server)
    local made = api:ask("POST", "/endpoints",
      { plugin = "busy", slug = "made-here", limits = { cpu_ms = 30 } }, 201)
    assert.same({ cpu_ms = 30 }, made.limits)
    assert.equal(30, cut_after "made-here")
    local path = "/endpoints/" .. made.id
    assert.same({ cpu_ms = 30 }, api:ask("PATCH", path, { name = "other" }).limits)
    assert.same({ cpu_ms = 90, head_ms = 5000 },
      api:ask("PATCH", path, { limits = { cpu_ms = 90, head_ms = 5000 } }).limits)
    assert.equal(90, cut_after "made-here")
    assert.same({ ["limits.cpu_ms"] = "expected milliseconds from 10 to 100, the operator's "
      .. "limits.plugin_cpu_ms, got 101" },
      api:problems("PATCH", path, { limits = { cpu_ms = 101 } }))
    assert.same({ ["limits.memory"] = "there is no such field" },
      api:problems("POST", "/endpoints", { plugin = "busy", limits = { memory = 5 } }))
    assert.same({ ["limits.idle_ms"] = "expected a whole number, got a string" },
      api:problems("PATCH", path, { limits = { idle_ms = "5" } }))
    -- They outlive the host; an operator who allows less now is obeyed.
    server:stop(true)
    server = host_support.start { dir = server.dir, env = { MOONHOOK_LIMITS_PLUGIN_CPU_MS = "40" } }
    assert.same({ cpu_ms = 90, head_ms = 5000 }, admin.of(server):ask("GET", path).limits)
    assert.equal(40, cut_after "made-here")
    api = admin.of(server)
    assert.same({}, api:ask("PATCH", path, '{"limits":null}').limits)
    assert.same({}, api:ask("GET", path).limits)
  end)

  it("of an endpoint in moonhook.yaml are shown, too", function()
    start { { plugin = "busy", hook_id = "busy", limits = { idle_ms = 3000 } } }
    local page = admin.of(server):ask("GET", "/endpoints")
    assert.same({ idle_ms = 3000 }, page.endpoints[1].limits)
  end)
end)
