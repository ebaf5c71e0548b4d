-- A client that leaves while its handler waits for something else than the open stream, and does
-- not end at once: the upstream's connection does not wait for it.
local host = require "spec.support.host"
local tcp = require "spec.support.socket"

local LIMIT_S = 0.8 -- under the second that a cancelled task has

local FILES = {
  ["plugins/linger/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: linger
resource: { permission: { model: { enabled: true, llm: true } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /, method: GET, extra: { lua: { source: linger.lua } } }
]],
  ["plugins/linger/linger.lua"] = [[
local moonhook = require "moonhook"
return { invoke = function(self)
  return moonhook.Response(function()
    local chunks = self.session.model.llm:invoke {
      model_config = { provider = "gpt", model = "m" },
      prompt_messages = { { role = "user", content = "hello" } },
    }
    chunks()
    coroutine.yield("one")
    pcall(self.session.sleep, self.session, 60000)
    while true do pcall(coroutine.yield, "x") end -- never ends by itself
  end)
end }]],
}

describe("a handler that lingers", function()
  it("does not keep the upstream of a client that left", function()
    local upstream = tcp.listen(4)
    local server = host.start {
      files = FILES,
      config = {
        plugins = { "plugins" },
        backends = { gpt = { type = "openai", url = "http://127.0.0.1:" .. upstream.port } },
        endpoints = { { plugin = "linger", hook_id = "linger-spec" } },
      },
    }
    local client = server:connect()
    client:send "GET /e/linger-spec/ HTTP/1.1\r\nHost: t\r\n\r\n"
    local connection = assert(upstream:accept(5))
    assert(connection:receive_until("\r\n\r\n", 5))
    local event = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    connection:send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n" .. ("%x\r\n%s\r\n"):format(#event, event))
    assert(client:receive_until("one", 5))
    connection:receive(0.05) -- the request's body
    client:close()
    assert.is_true(connection:is_closed(LIMIT_S))
    connection:close()
    server:stop()
    upstream:close()
  end)
end)
