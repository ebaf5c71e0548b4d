-- What must not be read in the log, whoever writes it there; and what each record is found by.
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.socket"

local SECRET = 'sk-"log"-SECRET\\1234567890'
local BACKEND = "sk-backend-SECRET-0987654321"
local HOOK = "a-slug-of-mine"

local FILES = {
  ["gpt.key"] = BACKEND,
  ["plugins/loud/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: loud
plugins:
  endpoints:
    settings:
      - { name: key, type: secret-input }
      - { name: word, type: text-input }
    endpoints:
      - { path: /say, method: POST, extra: { lua: { source: say.lua } } }
      - { path: /fail, method: GET, extra: { lua: { source: fail.lua } } }
      - { path: /late, method: GET, extra: { lua: { source: late.lua } } }
]],
  ["plugins/loud/say.lua"] = [[
local moonhook = require "moonhook"
return function(self, request, _, settings)
  local json = moonhook.json
  print("settings " .. json.encode(settings))
  moonhook.log.warn("the key is " .. settings.key .. ", twice " .. settings.key .. settings.key,
    { text = "key=" .. settings.key, Authorization = "anything", cookie = "a=b", my_token = "t",
      word = settings.word, tokens_used = 7 })
  print(("x"):rep(2040) .. settings.key)
  print("asked " .. request.url .. " with Bearer abcdefgh12345678")
  self.session.log.info("said under the request")
  moonhook.log.info("not forged", { plugin = "other/plugin", level = "error",
    msg = "process died" })
  return "fine"
end]],
  ["plugins/loud/fail.lua"] = [[
return function(_, _, _, settings) error("no luck with " .. settings.key) end]],
  ["plugins/loud/late.lua"] = [[
return function(self) self.session:sleep(20000) end]],
}

local function start(options)
  options = options or {}
  options.files = FILES
  options.config = options.config or { endpoints = {
    { plugin = "loud", hook_id = HOOK, settings = { key = SECRET, word = "hello" } },
    { plugin = "loud", name = "random", settings = { key = SECRET .. "-random" } },
  } }
  return host.start(options)
end

local function occurs(text, secret)
  return text:find(secret, 1, true) ~= nil or text:find(cjson.encode(secret):sub(2, -2), 1, true)
    ~= nil
end

describe("the log", function()
  it("masks secret settings in whatever a plugin writes, fails with, or hands on", function()
    local server = start()
    local reply = server:request { method = "POST", target = "/e/" .. HOOK .. "/say" }
    assert.equal("fine", reply.body)
    assert.equal(500, server:request({ target = "/e/" .. HOOK .. "/fail" }).status)
    local record = server:wait_record { level = "warn", plugin = "loud" }
    assert.equal("the key is ********, twice ****************", record.msg)
    assert.same({ "key=********", "********", "********", "********", "hello", 7 },
      { record.text, record.Authorization, record.cookie, record.my_token, record.word,
        record.tokens_used })
    record = server:wait_record { msg = "plugin failed" }
    assert.matches("no luck with %*%*%*%*%*%*%*%*$", record.error)
    server:request { method = "POST", url = server:url "random" .. "/say" }
    server:wait_record { msg = "said under the request" }
    server:stop(true)
    local log = server:log()
    assert.is_false(occurs(log, SECRET), log)
    assert.is_nil(log:find("1234567890", 1, true))
    os.execute("rm -rf '" .. server.dir .. "'")
  end)

  it("keeps what a plugin writes apart from the host's own fields", function()
    local server = start()
    server:request { method = "POST", target = "/e/" .. HOOK .. "/say" }
    local record = server:wait_record { msg = "not forged" }
    assert.same({ "loud", "info", "other/plugin", "error", "process died" }, { record.plugin,
      record.level, record["field.plugin"], record["field.level"], record["field.msg"] })
    server:stop()
  end)

  it("masks hook ids and credentials in what a plugin writes", function()
    local server = start()
    local hook = server:url("random"):match "/e/(%w+)$"
    server:request { method = "POST", url = server:url "random" .. "/say" }
    local record = server:wait_record { msg = "~^asked" }
    assert.matches("^asked http://127.0.0.1:%d+/e/%*+/say with Bearer %*+$", record.msg)
    server:request { method = "POST", target = "/e/" .. HOOK .. "/say" }
    server:request { target = "/e/" .. hook:upper():lower() .. "x/say" } -- nearly that hook
    server:request { target = "/somewhere/else?secret=1" }
    assert.truthy(server:wait_record { msg = "request", status = 404, path = "~^/e/%*+/say$" })
    assert.truthy(server:wait_record { msg = "request", status = 404, path = "/somewhere/else" })
    server:stop(true)
    for line in server:log():gmatch "[^\n]+" do
      if not line:find '"msg":"endpoint"' then -- these were asked for, with --print-urls
        assert.is_nil(line:find(hook, 1, true), line)
        assert.is_nil(line:find("/e/" .. HOOK, 1, true), line)
      end
    end
    os.execute("rm -rf '" .. server.dir .. "'")
  end)

  it("masks the same in lines for people", function()
    local server = start { args = { "--log-format", "pretty" } }
    local hook = server:url("random"):match "/e/(%w+)$"
    for _, url in ipairs { server:url "random",
        ("http://127.0.0.1:%d/e/%s"):format(server.port, HOOK) } do
      assert.equal("fine", server:request({ method = "POST", url = url .. "/say" }).body)
      assert.equal(500, server:request({ url = url .. "/fail" }).status)
    end
    server:stop(true)
    local log = server:log()
    assert.truthy(log:find("the key is ********, twice", 1, true), log)
    assert.truthy(log:find("no luck with ********", 1, true), log)
    assert.is_false(occurs(log, SECRET), log)
    assert.is_nil(log:find("1234567890", 1, true))
    for line in log:gmatch "[^\n]+" do
      if not line:find("endpoint", 1, true) or not line:find "url" then
        assert.is_nil(line:find("/e/" .. hook, 1, true), line)
        assert.is_nil(line:find("/e/" .. HOOK, 1, true), line)
      end
    end
    os.execute("rm -rf '" .. server.dir .. "'")
  end)

  it("goes on to mask after a reload, and knows the settings of a new endpoint", function()
    local server = start()
    server:write("plugins/loud/fail.lua", [[
return function(_, _, _, settings) error("again no luck with " .. settings.key) end]])
    local from = #server:log()
    server.process:kill "HUP"
    server:wait_record({ msg = "plugin loaded" }, 10, from)
    assert.equal(500, server:request({ target = "/e/" .. HOOK .. "/fail" }).status)
    assert.matches("again no luck with %*%*%*%*%*%*%*%*$",
      server:wait_record({ msg = "plugin failed" }).error)
    local made = require("spec.support.admin").of(server):ask("POST", "/endpoints",
      { plugin = "loud", settings = { key = "a-key-of-the-api-1234" } }, 201)
    server:request { url = made.url .. "/fail" }
    server:wait_record { msg = "plugin failed", error = "~again no luck with %*+$",
      endpoint = made.name }
    server:stop(true)
    assert.is_nil(server:log():find("a-key-of-the-api-1234", 1, true))
    os.execute("rm -rf '" .. server.dir .. "'")
  end)

  it("has each request's id on what was written under it, and on the reply", function()
    local server = start()
    local reply = server:request { method = "POST", target = "/e/" .. HOOK .. "/say" }
    local id = reply.headers["x-request-id"]
    assert.matches("^%x+$", id)
    assert.truthy(server:wait_record { msg = "said under the request", request_id = id })
    assert.truthy(server:wait_record { msg = "~^settings", request_id = id })
    assert.truthy(server:wait_record { msg = "request", request_id = id })
    reply = server:request { target = "/e/" .. HOOK .. "/fail" }
    id = reply.headers["x-request-id"]
    assert.equal(id, cjson.decode(reply.body).error.request_id)
    assert.truthy(server:wait_record { msg = "plugin failed", request_id = id })
    for _, target in ipairs { "/e/nowhere/", "/", "/e/" .. HOOK .. "/none" } do
      reply = server:request { target = target }
      id = reply.headers["x-request-id"]
      assert.same({ 404, id }, { reply.status, cjson.decode(reply.body).error.request_id })
      assert.truthy(server:wait_record { msg = "request", request_id = id })
    end
    local connection = server:connect()
    connection:send "GET / HTTP/9.9\r\n\r\n"
    connection:receive_all()
    connection:close()
    assert.truthy(server:wait_record { msg = "request refused" }.request_id)
    for _, path in ipairs { "/healthz", "/api/v1/plugins", "/nowhere" } do
      local answer = http.request { port = server.admin_port,
        target = path }
      assert.matches("^%x+$", answer.headers["x-request-id"], path)
    end
    server:stop()
  end)

  it("counts the bytes of both directions", function()
    local server = start()
    server:request { method = "POST", target = "/e/" .. HOOK .. "/say", body = ("x"):rep(1234) }
    local record = server:wait_record { msg = "request" }
    assert.same({ 1234, 4 }, { record.bytes_in, record.bytes_out })
    server:stop()
  end)

  it("leaves out what is below its level", function()
    local public, admin = tcp.free_port(), tcp.free_port()
    local dir = host.folder { files = FILES, config = {
      endpoints = { { plugin = "loud", hook_id = HOOK, settings = { key = SECRET } } } } }
    local child = process.start { host.binary(), "serve", "--log-level", "warn", "--listen",
      "127.0.0.1:" .. public, "--admin", "127.0.0.1:" .. admin, cwd = dir,
      stderr = dir .. "/stderr" }
    process.eventually(function()
      local ok, reply = pcall(http.request, { port = admin, target = "/readyz" })
      return ok and reply.status == 200
    end, 20, "the host to be ready")
    assert.equal("fine", http.request({ port = public, method = "POST",
      target = "/e/" .. HOOK .. "/say" }).body)
    child:kill "TERM"
    assert.equal(0, (child:wait(20)))
    local levels = {}
    for line in io.lines(dir .. "/stderr") do levels[cjson.decode(line).level] = true end
    assert.same({ warn = true }, levels)
    os.execute("rm -rf '" .. dir .. "'")
  end)
end)
