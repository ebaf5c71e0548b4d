-- A plugin whose calls lead back to it: each call says its way (CDN-Loop), and it comes to an end.
local cjson = require "cjson"
local fake_model = require "spec.support.fake_model"
local host_support = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.0.1
type: plugin
author: spec
name: circle
resource: { permission: { network: true, app: { enabled: true },
  model: { enabled: true, llm: true } } }
plugins:
  endpoints:
    - { path: /round, method: GET, extra: { lua: { source: round.lua } } }
    - { path: /after, method: GET, extra: { lua: { source: after.lua } } }
    - { path: /way, method: GET, extra: { lua: { source: way.lua } } }
    - { path: /pass, method: GET, extra: { lua: { source: pass.lua } } }
    - { path: /own, method: GET, extra: { lua: { source: own.lua } } }
    - { path: /flow, method: GET, extra: { lua: { source: flow.lua } } }
    - { path: /ask, method: GET, extra: { lua: { source: ask.lua } } }
]]

local FILES = {
  ["plugins/circle/manifest.yaml"] = MANIFEST,
  -- How many calls deep it came.
  ["plugins/circle/round.lua"] = [[
return function(self, request)
  local reply = self.session.http:get(request.url)
  return reply.status == 508 and "1" or tostring(tonumber(reply.body) + 1)
end]],
  ["plugins/circle/flow.lua"] = [[
return function(self, request)
  return self.session.app.workflow:invoke {
    app_id = "round", inputs = { url = request.url }, response_mode = "blocking",
  }.data.outputs.depth
end]],
  ["apps/round.lua"] = [[
return {
  run = function(session, inputs)
    local reply = session.http:get(inputs.url)
    return { depth = reply.status == 200 and tostring(tonumber(reply.body) + 1) or "1" }
  end,
}]],
  ["plugins/circle/after.lua"] = [[
return function(self, request)
  local url = request.url
  self.session:after_response(function() self.session.http:get(url) end)
  return "over"
end]],
  ["plugins/circle/way.lua"] = [[
return function(_, request) return request.headers["CDN-Loop"] or "none" end]],
  ["plugins/circle/pass.lua"] = [[
return function(self, request)
  return self.session.http:get(request.hook_url .. "/way").body
end]],
  ["plugins/circle/own.lua"] = [[
return function(self, request)
  self.session.http:request { url = request.url, headers = { ["CDN-Loop"] = "none" } }
end]],
  ["plugins/circle/ask.lua"] = [[
return function(self)
  return self.session.model.llm:invoke {
    model_config = { provider = "fake", model = "fake" }, stream = false,
    prompt_messages = { { role = "user", content = "hello" } },
  }.message.content
end]],
}

describe("a plugin whose calls lead back to it", function()
  local server, model

  setup(function()
    model = fake_model.start()
    server = host_support.start {
      files = FILES,
      config = {
        plugins = { "plugins" }, http = { allow = { "127.0.0.1" } }, limits = { plugin_passes = 3 },
        apps = { round = { mode = "workflow", source = "apps/round.lua" } },
        backends = { fake = { type = "openai", url = model.url } },
        endpoints = { { plugin = "circle", hook_id = "circle" } },
      },
      workers = 1,
    }
  end)

  teardown(function()
    server:stop()
    model:stop()
  end)

  local function get(path, headers)
    return server:request { target = "/e/circle" .. path, headers = headers, seconds = 20 }
  end

  it("makes no more calls when the request came by three times, and says 508", function()
    assert.equal("3", get("/round").body)
    local reply = get("/round", { ["CDN-Loop"] = "moonhook, moonhook;v=1, other, Moonhook" })
    assert.same({ 508, "loop_detected" }, { reply.status, cjson.decode(reply.body).error.code })
    local record = server:wait_record({ msg = "plugin failed", code = "loop_detected" }, 5)
    assert.matches("limits.plugin_passes", record.error, 1, true)
  end)

  it("comes to an end when an app makes the calls for it", function()
    assert.equal("3", get("/flow").body)
  end)

  it("comes to an end when it calls after its reply, too", function()
    assert.equal("over", get("/after").body)
    local record = server:wait_record({ msg = "after_response failed" }, 10)
    assert.matches("loop_detected", cjson.encode(record), 1, true)
    process.eventually(function()
      local count = 0
      for _, found in ipairs(server:records()) do
        if found.msg == "request" and found.route == "/after" then count = count + 1 end
      end
      return count == 4
    end, 10, "the client's request, and three calls")
  end)

  it("says what the request said of its way, and its own name", function()
    assert.equal("moonhook", get("/pass").body)
    assert.equal('one; a="b", two, moonhook, moonhook',
      get("/pass", { { "CDN-Loop", 'one; a="b"' }, { "CDN-Loop", "two, moonhook" } }).body)
    assert.equal("none", get("/way").body)
  end)

  it("says so to models", function()
    get("/ask", { ["CDN-Loop"] = "one" })
    local seen = model:seen()
    assert.equal("one, moonhook", seen[#seen].headers["cdn-loop"])
  end)

  it("cannot say another way", function()
    assert.equal(500, get("/own").status)
    local record = server:wait_record({ msg = "plugin failed", route = "/own" }, 5)
    assert.matches("the host sets this field", record.error, 1, true)
  end)
end)
