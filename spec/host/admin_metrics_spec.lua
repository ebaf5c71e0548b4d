-- /healthz, /readyz and /metrics of the admin listener.
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/hello/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: hello
plugins:
  endpoints:
    - endpoints:
        - { path: "/say/<word>", method: GET, extra: { lua: { source: say.lua } } }
        - { path: /fail, method: GET, extra: { lua: { source: fail.lua } } }
]],
  ["plugins/hello/say.lua"] = "return function(_, _, values) return values.word end",
  ["plugins/hello/fail.lua"] = "return function() error 'no' end",
}

-- { ["name{labels}"] = value }; every line must be one of the format's.
local function read(text)
  local values, types = {}, {}
  for line in text:gmatch "([^\n]+)\n" do
    local name, kind = line:match "^# TYPE ([%a_]+) (%a+)$"
    if name then
      assert.is_nil(types[name], name)
      types[name] = kind
    elseif not line:find "^# HELP [%a_]+ %S" then
      local key, value = line:match "^([%a_:]+{?.*) (%-?[%d.e+]+)$"
      assert(key, line)
      local base = key:match "^[%a_]+"
      assert.truthy(types[base] or types[base:gsub("_bucket$", ""):gsub("_sum$", "")
        :gsub("_count$", "")], line)
      assert.is_nil(values[key], key)
      values[key] = tonumber(value)
    end
  end
  return values
end

describe("the admin listener", function()
  it("tells together what has no room of its own", function()
    local server = host.start { workers = 1, files = {
      ["plugins/any/manifest.yaml"] = FILES["plugins/hello/manifest.yaml"]:gsub("hello", "any")
        :gsub("/fail, method: GET", "/fail, method: [GET, POST, PUT, PATCH, DELETE, OPTIONS]"),
      ["plugins/any/say.lua"] = "return function() return '' end",
      ["plugins/any/fail.lua"] = [[local moonhook = require "moonhook"
        return function(_, request)
          return moonhook.Response("", { status = tonumber(request.args.status) })
        end]],
    }, config = { plugins = { "plugins" },
      endpoints = { { plugin = "any", hook_id = "metrics-hook" } } } }
    local connection = server:connect()
    local sent = 0
    for status = 200, 599 do
      for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
        local reply = server:request { connection = connection, method = method,
          target = "/e/metrics-hook/fail?status=" .. status }
        assert.equal(status, reply.status)
        sent = sent + 1
      end
    end
    connection:close()
    process.eventually(function()
      local counted = 0
      local reply = http.request { port = server.admin_port, target = "/metrics" }
      for key, value in pairs(read(reply.body)) do
        if key:find "^moonhook_http_requests_total{" then counted = counted + value end
      end
      return counted == sent
    end, 10, "all requests to be counted")
    server:stop()
  end)

  it("tells what was served, by plugin and route, over all workers", function()
    local server = host.start { files = FILES, workers = 2, config = { plugins = { "plugins" },
      endpoints = { { plugin = "hello", hook_id = "metrics-hook" } } } }
    local function metrics()
      local reply = http.request { port = server.admin_port, target = "/metrics" }
      assert.equal(200, reply.status)
      assert.equal("text/plain; version=0.0.4; charset=utf-8", reply.headers["content-type"])
      assert.is_nil(reply.body:find("metrics-hook", 1, true)) -- it is a secret
      return read(reply.body)
    end
    process.eventually(function() return metrics()["moonhook_workers"] == 2 end, 5, "two workers")
    for i = 1, 40 do
      assert.equal(200, server:request({ target = "/e/metrics-hook/say/w" .. i }).status)
    end
    for _ = 1, 3 do server:request { target = "/e/metrics-hook/fail" } end
    server:request { target = "/e/nobody/x" }
    local say = '{plugin="hello",route="/say/<word>"'
    local values
    process.eventually(function()
      values = metrics()
      return values["moonhook_http_requests_total" .. say .. ',method="GET",code="200"}'] == 40
    end, 5, "all requests to be counted")
    assert.equal(3, values['moonhook_http_requests_total{plugin="hello",route="/fail",'
      .. 'method="GET",code="500"}'])
    assert.equal(1, values['moonhook_http_requests_total{plugin="",route="",method="GET",'
      .. 'code="404"}'])
    local duration = "moonhook_http_request_duration_seconds"
    assert.equal(40, values[duration .. "_count" .. say .. "}"])
    assert.equal(40, values[duration .. "_bucket" .. say .. ',le="+Inf"}'])
    assert.is_true(values[duration .. "_sum" .. say .. "}"] > 0)
    assert.equal(40, values["moonhook_http_time_to_first_byte_seconds_count" .. say .. "}"])
    assert.equal(0, values["moonhook_http_requests_in_flight"])
    assert.equal(1, values['moonhook_endpoints{origin="config"}'])
    assert.equal(1, values['moonhook_plugins{state="loaded"}'])
    assert.is_true(values['process_resident_memory_bytes{process="worker 1"}'] > 1000000)
    assert.is_true(values['process_open_fds{process="keeper"}'] > 3)

    -- A worker that dies takes no count back.
    local victim = server:pid(1)
    process.kill(victim, "KILL")
    server:wait_record({ msg = "process died", pid = victim }, 5)
    assert.equal(40, metrics()[duration .. "_count" .. say .. "}"])
    process.eventually(function() return metrics()["moonhook_workers"] == 2 end, 5, "two workers")
    server:stop()
  end)

  it("tells the memory of each plugin in each worker, and the tokens it used", function()
    local server = host.start { workers = 1, config = { plugins = { "plugins" }, endpoints = {
      { plugin = "keeps", hook_id = "keeps" }, { plugin = "asks", hook_id = "asks" } } }, files = {
      ["plugins/keeps/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: keeps
plugins: { endpoints: [ { path: /, method: GET, extra: { lua: { source: a.lua } } } ] }
]],
      ["plugins/keeps/a.lua"] = [[
local kept
return function(_, request)
  kept = request.args.bytes and ("x"):rep(tonumber(request.args.bytes))
  return kept and "kept" or "gone"
end]],
      ["plugins/asks/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: asks
resource:
  permission: { model: { enabled: true, llm: true, text_embedding: true } }
plugins: { endpoints: [ { path: /, method: GET, extra: { lua: { source: a.lua } } } ] }
]],
      ["plugins/asks/a.lua"] = [[
local json = require("moonhook").json
return function(self)
  local usage = {}
  for i, stream in ipairs { true, false } do
    local answer = self.session.model.llm:invoke {
      model_config = { provider = "local", model = "demo" }, stream = stream,
      prompt_messages = { { role = "user", content = "How are you, my friend?" } } }
    usage[i] = (stream and answer:collect() or answer).usage
  end
  usage[3] = self.session.model.text_embedding:invoke {
    model_config = { provider = "local", model = "demo-embedding" }, texts = { "a few words" },
  }.usage
  return json.encode(usage)
end]],
    } }
    local function metrics()
      return read(http.request({ port = server.admin_port, target = "/metrics" }).body)
    end
    local memory = 'moonhook_plugin_memory_bytes{plugin="keeps",process="worker 1"}'
    process.eventually(function() return metrics()["moonhook_workers"] == 1 end, 5, "the worker")
    local before = metrics()[memory]
    assert.is_true(before > 10000 and before < 2000000, before)
    assert.equal("kept", server:request({ target = "/e/keeps/?bytes=20000000" }).body)
    assert.is_true(metrics()[memory] - before > 20000000, metrics()[memory])
    assert.is_true(metrics()['moonhook_plugin_memory_bytes{plugin="asks",process="worker 1"}']
      < 2000000)

    local used = require("cjson").decode(server:request({ target = "/e/asks/" }).body)
    local series = 'moonhook_model_tokens_total{plugin="asks",backend="local",type="%s"}'
    assert.is_true(used[1].completion_tokens > 0 and used[3].tokens > 0)
    assert.equal(used[1].prompt_tokens + used[2].prompt_tokens + used[3].tokens,
      metrics()[series:format "prompt"])
    assert.equal(used[1].completion_tokens + used[2].completion_tokens,
      metrics()[series:format "completion"])

    -- What the version before had is gone with it.
    server:write("plugins/keeps/a.lua", "return function() return 'new' end")
    server.process:kill "HUP"
    process.eventually(function()
      return server:request({ target = "/e/keeps/" }).body == "new" and metrics()[memory] < 2000000
    end, 10, "the memory of the version before to be gone")
    server:stop()
  end)

  it("is healthy and ready, and wants a key for nothing of that", function()
    local server = host.start { files = FILES, config = { plugins = { "plugins" } } }
    for target, body in pairs { ["/healthz"] = "ok\n", ["/readyz"] = "ready\n" } do
      local reply = http.request { port = server.admin_port, target = target }
      assert.equal(200, reply.status)
      assert.equal(body, reply.body)
    end
    local reply = http.request { port = server.admin_port, target = "/metrics", method = "POST",
      body = "x" }
    assert.equal(405, reply.status)
    assert.equal("GET, HEAD", reply.headers.allow)
    assert.equal(0, admin.of(server):ask("GET", "/status").endpoints_with_problem)
    server:stop()
  end)
end)
