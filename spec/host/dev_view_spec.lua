-- What `dev` shows its author on a terminal: requests as lines, failures with their source.
local host = require "spec.support.host"
local process = require "spec.support.process"

local MANIFEST = [[
version: 0.1.0
type: plugin
author: me
name: shown
plugins:
  endpoints:
    - { path: /hello/<name>, method: GET, extra: { lua: { source: hello.lua } } }
    - { path: /slow, method: GET, extra: { lua: { source: slow.lua } } }
    - { path: /add, method: POST, extra: { lua: { source: add.lua } } }
]]

local HELLO = [[
local function greet(name)
  print("greeting " .. name)
  if name == "nobody" then
    local person
    return person.name
  end
  return "Hello, " .. name
end

return function(self, request, values)
  local text = greet(values.name)
  return text
end
]]

local SLOW = [[
local moonhook = require "moonhook"
return function()
  return moonhook.Response(function()
    coroutine.yield "one"
    moonhook.sleep(60000)
  end)
end
]]

local ADD = [[
local moonhook = require "moonhook"
return function(self, request)
  local body = request:get_json "object"
  if not body.a then moonhook.abort(body.status or 400, "`a` is missing") end
  return "fine"
end
]]

describe("dev on a terminal", function()
  local server, url

  before_each(function()
    server = host.start {
      verb = "dev", args = { "--plugins", "p", "--log-format", "pretty" },
      files = { ["p/manifest.yaml"] = MANIFEST, ["p/hello.lua"] = HELLO, ["p/slow.lua"] = SLOW,
        ["p/add.lua"] = ADD },
    }
    url = server:output():match "GET +(%S+/e/[%w-]+)/hello"
  end)
  after_each(function() server:stop() end)

  local function shown(text)
    return process.eventually(function()
      return server:log():find(text, 1, true) and server:log()
    end, 5, text)
  end

  it("shows a request as one line: what, status, times, who ended it", function()
    server:request { url = url .. "/hello/World" }
    local log = shown "GET /hello/World 200"
    assert.matches("GET /hello/World 200  first %d[%d.]* ms, total %d[%d.]* ms, complete\n", log)
    assert.matches("info  greeting World", log)
  end)

  it("says when it was the client who ended it", function()
    local reply = server:open { url = url .. "/slow" }
    assert.equal("one", reply:next_piece())
    reply:close()
    assert.matches("GET /slow 200  first .- ms, total .- ms, the client left\n", shown "GET /slow")
  end)

  it("shows a failure with the source around it and the plugin's frames alone", function()
    server:request { url = url .. "/hello/nobody" }
    local log = shown "GET /hello/nobody 500"
    assert.is_truthy(log:find([[
error hello.lua:5: attempt to index local 'person' (a nil value)  [plugin_error] /hello/<name>
         3 |   if name == "nobody" then
         4 |     local person
    >    5 |     return person.name
         6 |   end
    at hello.lua: in function 'greet'
    at hello.lua:11: in function 'invoke'
]], 1, true), log)
  end)

  it("shows the handler's line where it ends with the call that fails", function()
    server:write("p/hello.lua", 'local moonhook = require "moonhook"\nreturn function()\n'
      .. '  return moonhook.template("nowhere.html", {})\nend\n')
    process.eventually(function()
      server:request { url = url .. "/hello/x" }
      return server:log():find("nowhere.html", 1, true)
    end, 5, "the new version")
    assert.is_truthy(shown("    >    2 | return function()"))
  end)

  it("shows a client's mistake as one line", function()
    local json = { ["Content-Type"] = "application/json" }
    server:request { url = url .. "/add", method = "POST", body = "{", headers = json }
    server:request { url = url .. "/add", method = "POST", body = "{}", headers = json }
    server:request { url = url .. "/add", method = "POST", body = "a=1" }
    server:request { url = url .. "/add", method = "POST", body = '{"status":503}', headers = json }
    local log = shown "POST /add 503"
    assert.matches("\n[%d:.]+ abort 400 bad_request: [^\n]+  at add.lua:3\n", log)
    assert.matches("\n[%d:.]+ abort 400 bad_request: `a` is missing  at add.lua:4\n", log)
    assert.matches("\n[%d:.]+ abort 415 unsupported_media_type: [^\n]+  at add.lua:3\n", log)
    assert.matches("\n[%d:.]+ abort 503 unavailable: `a` is missing  at add.lua:4\n", log)
    assert.is_nil(log:find "traceback")
    assert.is_nil(log:find "plugin failed")
  end)

  it("takes keys where it has a terminal, and gives it back", function()
    local dir = host.folder { files = { ["p/manifest.yaml"] = MANIFEST, ["p/hello.lua"] = HELLO,
      ["p/slow.lua"] = SLOW, ["p/add.lua"] = ADD } }
    -- script(1) makes a terminal; the keys wait until the host is there, or script has ended.
    local command = ([[cd '%s' && {
      while ! grep -q keys: typescript 2>/dev/null && ! [ -e over ]; do sleep 0.05; done
      printf uq; } | { timeout 20 script -qfec \
      "'%s' dev --plugins p --data data --listen 127.0.0.1:0 --admin 127.0.0.1:0; stty -a" \
      typescript 2>&1; echo >over; }]]):format(dir, host.binary())
    local result = process.run { "sh", "-c", command, seconds = 30 }
    local output = result.stdout:gsub("\27%[[%d;]*m", "")
    assert.is_nil(output:match "failed to create pseudo%-terminal.*") -- a machine without /dev/pts
    assert.matches("keys: u prints the URLs, r reads everything again, c clears, q ends", output)
    assert.equal(2, select(2, output:gsub("/hello/<name>  %(shown: shown%)", "")))
    assert.matches("stopping signal=SIGINT", output)
    assert.matches("[^-]icanon", output)
    assert.matches("[^-]echo[^%a]", output)
  end)

  it("sends no control characters of a client's", function()
    server:request { url = url .. "/hello/a%1B%5B31mb" }
    assert.is_truthy(shown("\\x1b[31mb 200"))
  end)
end)
