-- What outlives the process, and what happens when the disk or the file is bad.
local cjson = require "cjson"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/chat/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: chat
resource: { permission: { app: { enabled: true } } }
plugins:
  endpoints:
    - endpoints:
        - { path: /ask, method: POST, extra: { lua: { source: ask.lua } } }
        - { path: /probe, method: GET, extra: { lua: { source: probe.lua } } }
]],
  ["plugins/chat/ask.lua"] = [[
local moonhook = require "moonhook"
return function(self, request)
  local body = request:get_json "object"
  local answer = self.session.app.chat:invoke {
    app_id = "candy", query = body.query, inputs = {}, conversation_id = body.conversation_id,
    response_mode = "blocking",
  }
  return moonhook.Response.json { id = answer.conversation_id, answer = answer.answer }
end]],
  ["plugins/chat/probe.lua"] = "return function() return 'alive' end",
}

local CONFIG = {
  plugins = { "plugins" },
  apps = { candy = { mode = "chat", model = { provider = "local", model = "demo" } } },
  demo = { pause_ms = 0 },
  endpoints = { { plugin = "chat", name = "talk" } },
}

local function ask(target, query, conversation_id)
  target.json = cjson.encode { query = query, conversation_id = conversation_id }
  target.target = "/ask"
  local reply = http.request(target)
  return reply, reply.status == 200 and cjson.decode(reply.body) or nil
end

local function mode_of(path)
  return (io.popen(("stat -c %%a '%s'"):format(path)):read "*l")
end

local function patch(path, at, bytes)
  local file = assert(io.open(path, "r+b"))
  file:seek("set", at)
  file:write(bytes)
  file:close()
end

local function read_file(path)
  return assert(io.open(path, "rb")):read "*a"
end

describe("the store", function()
  -- A folder with a database in it, for the specs that spoil it.
  local function used_folder()
    local server = host.start { config = CONFIG, files = FILES }
    local reply, answer = ask({ url = server:url "talk" }, "hello")
    assert.equal(200, reply.status, reply.body)
    server:stop(true)
    return server.dir, answer.id
  end

  local function serve(dir)
    return host.run { "serve", "--config", "moonhook.yaml", "--data", "data", "--listen",
      "127.0.0.1:0", "--admin", "127.0.0.1:0", dir = dir }
  end

  it("keeps hook ids and conversations over a restart", function()
    local server = host.start { config = CONFIG, files = FILES }
    local url = server:url "talk"
    local path = url:match "^http://[^/]+(/.*)$"
    assert.truthy(path:find "^/e/[a-z2-7]+$")
    assert.equal(3 + 26, #path)
    local _, answer = ask({ url = url }, "My name is Grace.")
    server:stop(true)

    local again = host.start { dir = server.dir }
    assert.equal(path, again:url("talk"):match "^http://[^/]+(/.*)$")
    local _, other = ask({ url = again:url "talk" }, "What is my name?", answer.id)
    assert.equal(answer.id, other.id)
    assert.truthy(other.answer:find "Grace")
    again:stop()
  end)

  it("is for its owner only", function()
    local server = host.start { config = CONFIG, files = FILES }
    ask({ url = server:url "talk" }, "hello")
    assert.equal("700", mode_of(server.dir .. "/data"))
    for name in io.popen(("ls '%s/data'"):format(server.dir)):lines() do
      if name:find "^moonhook%.db" then
        assert.equal("600", mode_of(server.dir .. "/data/" .. name), name)
      end
    end
    server:stop()
  end)

  it("refuses a damaged file and leaves it as it is", function()
    local dir = used_folder()
    local path = dir .. "/data/moonhook.db"
    patch(path, 4096, "\255")
    local before = read_file(path)
    local result = serve(dir)
    assert.are_not.equal(0, result.code)
    assert.truthy(result.stderr:find("moonhook.db: database corrupt: ", 1, true), result.stderr)
    assert.equal(before, read_file(path))
  end)

  it("refuses a newer version's file", function()
    local dir = used_folder()
    patch(dir .. "/data/moonhook.db", 60, "\0\0\0\7") -- SQLite's user_version
    local result = serve(dir)
    assert.are_not.equal(0, result.code)
    assert.truthy(result.stderr:find("database is v7, this binary supports up to v4", 1, true),
      result.stderr)
  end)

  it("refuses a file that is no database", function()
    local dir = host.folder { config = CONFIG, files = FILES }
    os.execute(("mkdir '%s/data' && echo 'to be or not to be, and so on' > '%s/data/moonhook.db'")
      :format(dir, dir))
    local result = serve(dir)
    assert.are_not.equal(0, result.code)
    assert.truthy(result.stderr:find("moonhook.db: the file is not a database", 1, true),
      result.stderr)
  end)

  it("starts when the write-ahead log was lost", function()
    local dir = used_folder()
    os.execute(("rm -f '%s/data/moonhook.db-wal'"):format(dir))
    local server = host.start { dir = dir }
    assert.equal(200, (ask({ url = server:url "talk" }, "hello")).status)
    server:stop()
  end)

  -- A data folder on a file system of 2 MiB, seen by the host alone.
  local can_mount = os.execute "unshare -rm true 2>/dev/null" == 0
  it("says 507 while the disk is full, and recovers", function()
    if not can_mount then return pending "unshare is not allowed here" end
    local dir = host.folder { config = CONFIG, files = FILES }
    os.execute(("mkdir '%s/data'"):format(dir))
    local server = process.start { "unshare", "-rm", "sh", "-c",
      'mount -t tmpfs -o size=2m tmpfs data && exec "$@"', "sh", host.binary(), "serve",
      "--config", "moonhook.yaml", "--data", "data", "--listen", "127.0.0.1:0",
      "--admin", "127.0.0.1:0", "--print-urls", cwd = dir }
    local port, path = server:wait_for("stderr", '"url":"http://[%d.]+:(%d+)(/e/[a-z2-7]+)"', 10)
    local function talk(target, query)
      return (http.request { port = port, target = path .. target, seconds = 10,
        json = query and cjson.encode { query = query } })
    end
    assert.equal(200, talk("/ask", "hello").status)
    local filler = ("/proc/%d/root%s/data/filler"):format(server.pid, dir)
    os.execute(("dd if=/dev/zero of='%s' bs=4k 2>/dev/null"):format(filler))

    local reply
    for _ = 1, 50 do -- the log file may have some room left in itself
      reply = talk("/ask", ("long "):rep(2000))
      if reply.status ~= 200 then break end
    end
    assert.equal(507, reply.status, reply.body)
    assert.truthy(reply.body:find('"code":"storage_full"', 1, true))
    assert.equal("alive", talk("/probe").body)

    os.remove(filler)
    assert.equal(200, talk("/ask", "hello").status)
    server:kill "TERM"
    assert.equal(0, (server:wait(10)))
  end)
end)
