-- The head of a plugin's reply has a bound: proxies and clients refuse larger ones, unexplained.
local cjson = require "cjson"
local host_support = require "spec.support.host"

describe("a reply's head", function()
  local server

  setup(function()
    server = host_support.start {
      files = {
        ["plugins/heads/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: heads
plugins:
  endpoints:
    - { path: /whole, method: GET, extra: { lua: { source: whole.lua } } }
    - { path: /stream, method: GET, extra: { lua: { source: stream.lua } } }
]],
        ["plugins/heads/headers.lua"] = [[
return function(request)
  local many = {}
  for i = 1, tonumber(request.args.count or 0) do many[i] = "a=" .. i end
  return { ["X-Large"] = ("x"):rep(tonumber(request.args.bytes or 0)), ["X-Many"] = many }
end]],
        ["plugins/heads/whole.lua"] = [[
local Response, headers = require("moonhook").Response, require "headers"
return function(_, request) return Response("whole", { headers = headers(request) }) end]],
        ["plugins/heads/stream.lua"] = [[
local Response, headers = require("moonhook").Response, require "headers"
return function(_, request)
  return Response(function() coroutine.yield "piece" end, { headers = headers(request) })
end]],
      },
      config = { plugins = { "plugins" }, endpoints = { { plugin = "heads", hook_id = "heads" } } },
    }
  end)

  teardown(function() server:stop() end)

  for _, kind in ipairs { "whole", "stream" } do
    it("of " .. kind .. " is sent up to 64 KiB and 200 fields", function()
      local target = "/e/heads/" .. kind
      local reply = server:request { target = target .. "?bytes=60000&count=150" }
      assert.same({ 200, 60000 }, { reply.status, #reply.headers["x-large"] })
      assert.equal(150, #reply:values "X-Many")
    end)

    it("of " .. kind .. " that is larger is a 500, and the log says which field it was", function()
      for query, name in pairs { ["bytes=2000000"] = "X-Large", ["count=300"] = "X-Many" } do
        local reply = server:request { target = "/e/heads/" .. kind .. "?" .. query }
        assert.same({ 500, "plugin_bad_response" },
          { reply.status, cjson.decode(reply.body).error.code })
        assert.is_nil(reply.headers[name:lower()])
        local record = server:wait_record({ msg = "plugin failed",
          request_id = reply.headers["x-request-id"] }, 5)
        assert.equal("heads", record.plugin)
        assert.matches("expected at most 200 headers of 64 KiB altogether, and " .. name,
          record.error, 1, true)
      end
    end)
  end
end)
