-- The admin API when the store cannot be written, and when many change one endpoint at once.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local database = require "spec.support.database"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local FILES = {
  ["plugins/pair/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: pair
plugins:
  endpoints:
    - settings:
        - { name: secret, type: secret-input, required: true }
        - { name: text, type: text-input }
      endpoints: [ { path: /, method: GET, extra: { lua: { source: show.lua } } } ]
]],
  ["plugins/pair/show.lua"] = [[
return function(_, _, _, settings)
  return settings.secret .. " " .. tostring(settings.text)
end]],
}
local CONFIG = { plugins = { "plugins" } }

local function serve(dir)
  return host.run { "serve", "--config", "moonhook.yaml", "--data", "data", "--listen",
    "127.0.0.1:0", "--admin", "127.0.0.1:0", dir = dir }
end

describe("the admin API's store", function()
  local can_mount = os.execute "unshare -rm true 2>/dev/null" == 0

  it("says 507 while the disk is full, keeps what was, and recovers by itself", function()
    if not can_mount then return pending "unshare is not allowed here" end
    local dir = host.folder { config = CONFIG, files = FILES }
    os.execute(("mkdir '%s/data'"):format(dir))
    local server = process.start { "unshare", "-rm", "sh", "-c",
      'mount -t tmpfs -o size=4m tmpfs data && exec "$@"', "sh", host.binary(), "serve",
      "--config", "moonhook.yaml", "--data", "data", "--listen", "127.0.0.1:0",
      "--admin", "127.0.0.1:0", "--workers", "1", cwd = dir }
    local admin_port = server:wait_for("stderr", '"listener":"admin","address":"[%d.]+:(%d+)"', 10)
    local port = server:wait_for("stderr", '"listener":"public","address":"[%d.]+:(%d+)"', 10)
    local seen_dir = ("/proc/%d/root%s"):format(server.pid, dir)
    local api = admin.of { dir = seen_dir, admin_port = tonumber(admin_port) }
    local made = api:ask("POST", "/endpoints", { plugin = "pair", slug = "full",
      settings = { secret = "s1", text = "t1" } }, 201)
    local function served()
      return http.request({ port = tonumber(port), target = "/e/full/" }).body
    end
    assert.equal("s1 t1", served())
    local filler = seen_dir .. "/data/filler"
    os.execute(("dd if=/dev/zero of='%s' bs=4k 2>/dev/null"):format(filler))
    local refused
    for i = 1, 200 do -- the log may have some room left
      local reply = api:request("PATCH", "/endpoints/" .. made.id,
        { settings = { text = ("x"):rep(60000) .. i } })
      if reply.status ~= 200 then refused = reply break end
    end
    assert.equal(507, refused.status, refused.body)
    assert.equal("storage_full", cjson.decode(refused.body).error.code)
    local before = api:ask("GET", "/endpoints/" .. made.id)
    assert.equal("s1 " .. before.settings.text, served())
    os.remove(filler)
    process.eventually(function()
      return api:request("PATCH", "/endpoints/" .. made.id,
        { settings = { text = "t2" } }).status == 200
    end, 10, "the store to take changes again")
    assert.equal("s1 t2", served())
    server:kill "TERM"
    assert.equal(0, (server:wait(10)))
  end)

  -- The children's alone: what the master writes goes on.
  local function limit_files(server, size)
    for _, pid in ipairs(process.children(server.pid)) do
      assert.equal(0, os.execute(("prlimit --pid %d --fsize=%s"):format(pid, size)))
    end
  end

  it("says 503 while the data folder takes no writes, and recovers by itself", function()
    local dir = host.folder { config = CONFIG, files = FILES }
    local server = process.start { host.binary(), "serve", "--config", "moonhook.yaml",
      "--data", "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1",
      cwd = dir }
    local admin_port = server:wait_for("stderr", '"listener":"admin","address":"[%d.]+:(%d+)"', 10)
    local port = server:wait_for("stderr", '"listener":"public","address":"[%d.]+:(%d+)"', 10)
    local api = admin.of { dir = dir, admin_port = tonumber(admin_port) }
    local made = api:ask("POST", "/endpoints", { plugin = "pair", slug = "stuck",
      settings = { secret = "s1", text = "t1" } }, 201)
    local path = "/endpoints/" .. made.id
    local function served(slug)
      return http.request({ port = tonumber(port), target = "/e/" .. slug .. "/" }).body
    end
    local children = process.children(server.pid)
    limit_files(server, "0:unlimited")
    for _, change in ipairs {
      { "POST", "/endpoints", { plugin = "pair", slug = "new", settings = { secret = "s2" } } },
      { "PATCH", path, { settings = { text = "t2" } } }, { "PATCH", path, { slug = "moved" } },
      { "POST", path .. "/disable" }, { "POST", path .. "/rotate" }, { "DELETE", path },
    } do
      local reply = api:request(unpack(change))
      local what = change[1] .. " " .. change[2] .. ": " .. reply.body
      assert.equal(503, reply.status, what)
      assert.equal("storage_unavailable", cjson.decode(reply.body).error.code, what)
      assert.truthy(tonumber(reply.headers["retry-after"]) >= 1, what)
      assert.same(made, api:ask("GET", path))
      assert.equal("s1 t1", served "stuck")
    end
    assert.equal(1, #api:ask("GET", "/endpoints").endpoints)

    limit_files(server, "unlimited")
    api:ask("PATCH", path, { settings = { text = "t2" } })
    assert.equal("s1 t2", served "stuck")
    api:ask("POST", "/endpoints", { plugin = "pair", slug = "new", settings = { secret = "s2" } },
      201)
    assert.equal("s2 nil", served "new")
    assert.same(children, process.children(server.pid))
    server:kill "TERM"
    assert.equal(0, (server:wait(10)))
    os.execute(("rm -rf '%s'"):format(dir))
  end)

  it("keeps the old version while a file is where packages belong, and recovers", function()
    local server = host.start { config = CONFIG, files = FILES }
    local api = admin.of(server)
    local made = api:ask("POST", "/endpoints", { plugin = "pair", settings = { secret = "s1" } },
      201)
    local packages = server.dir .. "/data/plugins"
    assert(os.rename(packages, packages .. ".away"))
    assert(io.open(packages, "w")):close()
    local from = #server:log()
    server:write("plugins/pair/show.lua", "return function() return 'the new version' end")
    server.process:kill "HUP"
    server:wait_record({ level = "error" }, 10, from)
    assert.equal("s1 nil", http.request { url = made.url .. "/" }.body)
    api:ask("PATCH", "/endpoints/" .. made.id, { settings = { text = "t1" } })
    assert.equal("s1 t1", http.request { url = made.url .. "/" }.body)

    os.remove(packages)
    assert(os.rename(packages .. ".away", packages))
    server.process:kill "HUP"
    process.eventually(function()
      return http.request { url = made.url .. "/" }.body == "the new version"
    end, 10, "the new version")
    server:stop()
  end)

  it("says 503 while another process holds it, and changes nothing", function()
    local server = host.start { config = CONFIG, files = FILES }
    local api = admin.of(server)
    local made = api:ask("POST", "/endpoints", { plugin = "pair",
      settings = { secret = "s1", text = "t1" } }, 201)
    local db = database.open(server.dir .. "/data/moonhook.db")
    db:run "BEGIN EXCLUSIVE"
    local reply = api:request("PATCH", "/endpoints/" .. made.id, { settings = { text = "t3" } })
    assert.equal(503, reply.status, reply.body)
    assert.equal("storage_unavailable", cjson.decode(reply.body).error.code)
    assert.truthy(tonumber(reply.headers["retry-after"]) >= 1)
    assert.equal("s1 t1", http.request({ url = made.url .. "/" }).body)
    assert.equal("t1", api:ask("GET", "/endpoints/" .. made.id).settings.text)
    db:run "ROLLBACK"
    db:close()
    api:ask("PATCH", "/endpoints/" .. made.id, { settings = { text = "t2" } })
    assert.equal("s1 t2", http.request({ url = made.url .. "/" }).body)
    server:stop()
  end)

  it("refuses a damaged file and keeps it", function()
    local server = host.start { config = CONFIG, files = FILES }
    local api = admin.of(server)
    for i = 1, 50 do
      api:ask("POST", "/endpoints", { plugin = "pair", settings = { secret = "s" .. i,
        text = ("t"):rep(1000) } }, 201)
    end
    server:stop(true)
    local path = server.dir .. "/data/moonhook.db"
    local file = assert(io.open(path, "r+b"))
    file:seek("set", 4096 + 3)
    file:write "\255\255\255\255"
    file:close()
    local before = assert(io.open(path, "rb")):read "*a"
    local result = serve(server.dir)
    assert.are_not.equal(0, result.code)
    assert.truthy(result.stderr:find("database corrupt", 1, true), result.stderr)
    assert.equal(before, assert(io.open(path, "rb")):read "*a")
  end)
end)
