-- Who may use the admin API: its key, its file, and what happens to those who guess.
local cjson = require "cjson"
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
plugins: { endpoints: [ { endpoints: [ { path: /, method: GET,
  extra: { lua: { source: hello.lua } } } ] } ] }
]],
  ["plugins/hello/hello.lua"] = "return function() return 'hello' end",
}
local CONFIG = { plugins = { "plugins" }, endpoints = { { plugin = "hello" } } }

local function mode_of(path)
  return (io.popen(("stat -c %%a '%s'"):format(path)):read "*l")
end

-- Starts it to be refused.
local function serve(dir, ...)
  return host.run { "serve", "--config", "moonhook.yaml", "--data", "data", "--listen",
    "127.0.0.1:0", "--admin", "127.0.0.1:0", dir = dir, ... }
end

local function folder_with_key(text, mode)
  local dir = host.folder { config = CONFIG, files = FILES }
  os.execute(("mkdir -p '%s/data'"):format(dir))
  local file = assert(io.open(dir .. "/data/admin.key", "wb"))
  file:write(text)
  file:close()
  os.execute(("chmod %s '%s/data/admin.key'"):format(mode or "600", dir))
  return dir
end

-- The reply without what differs from one to the next.
local function plain(reply)
  local body = cjson.decode(reply.body)
  body.error.request_id = nil
  return { status = reply.status, body = body, challenge = reply.headers["www-authenticate"] }
end

describe("the admin key", function()
  it("is made at the first start, for its owner alone, and the log says where", function()
    local server = host.start { config = CONFIG, files = FILES }
    local record = server:find_record { msg = "admin key made" }
    assert.matches("data/admin%.key$", record.path)
    assert.equal("600", mode_of(server.dir .. "/data/admin.key"))
    local key = admin.of(server).key
    assert.equal(40, #key)
    assert.is_nil(server:log():find(key, 1, true))
    server:stop(true)
    local again = host.start { dir = server.dir }
    assert.equal(key, admin.of(again).key)
    assert.is_nil(again:find_record { msg = "admin key made" })
    again:stop()
  end)

  it("may stand in a file of the operator's", function()
    local config = { plugins = { "plugins" }, admin = { key_file = "my.key" } }
    local dir = host.folder { config = config, files = FILES }
    local file = assert(io.open(dir .. "/my.key", "wb"))
    file:write "an-unusual-key-of-mine-4711\n"
    file:close()
    os.execute(("chmod 600 '%s/my.key'"):format(dir))
    local server = host.start { dir = dir }
    admin.of(server, "an-unusual-key-of-mine-4711"):ask("GET", "/status")
    server:stop()
  end)

  it("is needed, and each way of not having it is answered alike", function()
    local server = host.start { config = CONFIG, files = FILES }
    local key = admin.of(server).key
    local function ask(authorization, target)
      return http.request { port = server.admin_port, target = target or "/api/v1/status",
        headers = authorization and { Authorization = authorization } or {} }
    end
    local without = plain(ask())
    assert.equal(401, without.status)
    assert.equal("unauthorized", without.body.error.code)
    assert.matches("^Bearer", without.challenge)
    for _, wrong in ipairs { "Bearer " .. key .. "x", "Bearer " .. key:sub(1, -2),
        "Bearer " .. key:upper(), "Basic " .. key, key, "Bearer" } do
      assert.same(without, plain(ask(wrong)))
    end
    assert.same(without, plain(ask(nil, "/api/v1/status?key=" .. key)))
    -- The scheme's name is the same in any case (RFC 9110, 11.1), the key is not.
    assert.equal(200, ask("bearer " .. key).status)
    assert.equal(200, ask("BEARER   " .. key).status)
    server:stop()
  end)

  it("cannot be guessed: after ten wrong ones an address must wait, others need not", function()
    local server = host.start { config = CONFIG, files = FILES }
    local api, guess = admin.of(server), admin.of(server, "sk-guess-0123456789")
    for _ = 1, 10 do assert.equal(401, guess:request("GET", "/status").status) end
    for _ = 1, 200 do
      local reply = guess:request("GET", "/status")
      assert.equal(429, reply.status)
      assert.truthy(tonumber(reply.headers["retry-after"]) >= 1)
    end
    assert.equal(429, api:request("GET", "/status").status)
    local other = process.run { "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
      "--interface", "127.0.0.2", "-H", "Authorization: Bearer " .. api.key,
      ("http://127.0.0.1:%d/api/v1/status"):format(server.admin_port), seconds = 10 }
    assert.equal("200", other.stdout)
    assert.truthy(server:wait_record({ msg = "admin address locked", client_ip = "127.0.0.1" }, 5))
    local refused = 0
    for _, record in ipairs(server:records()) do
      if record.msg == "admin key refused" then refused = refused + 1 end
    end
    assert.equal(10, refused)
    assert.is_nil(server:log():find("sk-guess", 1, true))
    assert.equal(200, http.request({ port = server.admin_port, target = "/healthz" }).status)
    server:stop()
  end)

  it("guessed from many addresses does not fill the log", function()
    local server = host.start { config = CONFIG, files = FILES }
    local url = ("http://127.0.0.1:%d/api/v1/status"):format(server.admin_port)
    local sent = 0

    local function guess_from(number)
      local command = { "curl", seconds = 30 }
      for i = 1, number do
        for _, word in ipairs { i > 1 and "--next" or "-s", "-s", "-o", "/dev/null",
          "--interface", ("127.1.%d.%d"):format(sent / 250, sent % 250 + 1), url } do
          command[#command + 1] = word
        end
        sent = sent + 1
      end
      assert.equal(0, process.run(command).code)
    end

    local function told()
      local refused, dropped = 0, 0
      for _, record in ipairs(server:records()) do
        if record.msg == "admin key refused" then refused = refused + 1 end
        if record.msg == "admin keys refused and not told" then dropped = dropped + record.count end
      end
      return refused, dropped
    end

    process.eventually(function()
      guess_from(200)
      return select(2, told()) > 0
    end, 30, "a record of those that were not told")
    -- A later one tells what was left out before it.
    process.eventually(function()
      guess_from(1)
      local refused, dropped = told()
      return refused < sent and refused + dropped == sent
    end, 30, "all to be told or counted")
    server:stop()
  end)

  it("is refused at the start when it is empty, short, weak, or others may read it", function()
    for text, reason in pairs {
      [""] = "the admin key is empty",
      ["\n"] = "the admin key is empty",
      ["abcd1234\n"] = "expected an admin key of 16 to 512 characters, got 8",
      ["changemechangemechangeme"] = "the admin key can be guessed",
      ["ChangeMe-changeme"] = "the admin key can be guessed",
      ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] = "the admin key can be guessed",
      ["two words are no admin key"] = "printable ASCII characters without blanks",
    } do
      local result = serve(folder_with_key(text))
      assert.equal(1, result.code, text)
      assert.truthy(result.stderr:find("data/admin.key: ", 1, true), result.stderr)
      assert.truthy(result.stderr:find(reason, 1, true), result.stderr)
      if #text > 8 then assert.is_nil(result.stderr:find(text:sub(1, -2), 1, true)) end
    end
    local result = serve(folder_with_key("an-unusual-key-of-mine-4711\n", "644"))
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("mode 0644", 1, true), result.stderr)
    assert.truthy(result.stderr:find("chmod 600", 1, true), result.stderr)
  end)

  it("opens nothing on the public listener", function()
    local server = host.start { config = CONFIG, files = FILES }
    local key = admin.of(server).key
    for _, path in ipairs { "/admin", "/admin/status", "/api/v1/status", "/metrics", "/debug",
        "/healthz", "/readyz" } do
      local reply = http.request { port = server.port, target = path,
        headers = { Authorization = "Bearer " .. key } }
      assert.equal(404, reply.status, path)
    end
    server:stop()
  end)
end)

describe("the key file of secrets", function()
  local SECRETIVE = {
    ["plugins/hello/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: hello
plugins: { endpoints: [ { settings: [ { name: key, type: secret-input, label: Key } ],
  endpoints: [ { path: /, method: GET, extra: { lua: { source: hello.lua } } } ] } ] }
]],
    ["plugins/hello/hello.lua"] = "return function(_, _, _, settings) return settings.key end",
  }

  -- A folder with two endpoints whose secrets are sealed.
  local function used_folder()
    local server = host.start { config = { plugins = { "plugins" } }, files = SECRETIVE }
    local api = admin.of(server)
    for i = 1, 2 do
      api:ask("POST", "/endpoints", { plugin = "hello", slug = "sealed-" .. i,
        settings = { key = "sk-sealed-" .. i } }, 201)
    end
    assert.equal("600", mode_of(server.dir .. "/data/secrets.key"))
    server:stop(true)
    return server.dir
  end

  it("is missed at the start, before anything is served half", function()
    local dir = used_folder()
    local kept = assert(io.open(dir .. "/data/secrets.key")):read "*a"
    assert(os.remove(dir .. "/data/secrets.key"))
    local result = serve(dir)
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("cannot decrypt settings of 2 endpoints (key id ", 1, true),
      result.stderr)
    assert.truthy(result.stderr:find("data/secrets.key", 1, true), result.stderr)
    assert.is_nil(io.open(dir .. "/data/secrets.key"))

    -- Another key, of the same shape.
    local id, key = kept:match "\n(%w+) ([%w_-]+)\n"
    local file = assert(io.open(dir .. "/data/secrets.key", "wb"))
    file:write(id, " ", key:reverse(), "\n")
    file:close()
    os.execute(("chmod 600 '%s/data/secrets.key'"):format(dir))
    result = serve(dir)
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("cannot decrypt settings of 2 endpoints (key id " .. id, 1,
      true), result.stderr)

    file = assert(io.open(dir .. "/data/secrets.key", "wb"))
    file:write(kept)
    file:close()
    local server = host.start { dir = dir }
    assert.equal("sk-sealed-2", http.request({ url = server.base .. "/e/sealed-2/" }).body)
    server:stop()
  end)

  it("is refused when others may read it or it is damaged", function()
    local dir = used_folder()
    os.execute(("chmod 644 '%s/data/secrets.key'"):format(dir))
    local result = serve(dir)
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("mode 0644", 1, true), result.stderr)
    os.execute(("echo nonsense > '%s/data/secrets.key'; chmod 600 '%s/data/secrets.key'")
      :format(dir, dir))
    result = serve(dir)
    assert.truthy(result.stderr:find("secrets.key:1: expected a key", 1, true), result.stderr)
  end)

  it("is rotated: everything is sealed anew, and the old key is forgotten", function()
    local dir = used_folder()
    local server = host.start { dir = dir }
    local api = admin.of(server)
    local before = assert(io.open(dir .. "/data/secrets.key")):read "*a"
    local answer = api:ask("POST", "/secrets/rotate")
    assert.equal(2, answer.sealed)
    local after = assert(io.open(dir .. "/data/secrets.key")):read "*a"
    assert.matches("\n" .. answer.key_id .. " ", after)
    assert.is_nil(after:find(before:match "\n(%w+) ", 1, true))
    assert.equal("600", mode_of(dir .. "/data/secrets.key"))
    assert.equal("sk-sealed-1", http.request({ url = server.base .. "/e/sealed-1/" }).body)
    server:stop(true)
    server = host.start { dir = dir }
    assert.equal("sk-sealed-2", http.request({ url = server.base .. "/e/sealed-2/" }).body)
    server:stop()
  end)
end)
