-- session.storage and session:once on the real binary: what they keep, for whom, and how much.
local database = require "spec.support.database"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local storage = require "spec.support.storage"

local call, set = storage.call, storage.set

-- The account of a stopped host's plugin: what it says, and what its items cost.
local function account(dir, plugin)
  local db = database.open(dir .. "/data/moonhook.db")
  local row = db:rows(([[SELECT used_bytes, (SELECT sum(cost_bytes) FROM storage_items
    WHERE space = s.number), (SELECT sum(length(key) + length(value) + 64) FROM storage_items
    WHERE space = s.number) FROM storage_spaces s WHERE plugin = 'spec/%s']]):format(plugin))[1]
  db:close()
  return tonumber(row[1]), tonumber(row[2]), tonumber(row[3])
end

local function assert_exact(dir, plugin)
  local used, said, counted = account(dir, plugin)
  assert.equal(counted, used)
  assert.equal(counted, said)
  return used
end

describe("session.storage", function()
  local server

  setup(function()
    server = storage.start { shelf = true, other = true, small = 1024, large = 32 * 1024 * 1024,
      closed = false }
  end)

  teardown(function() server:stop() end)

  it("keeps values byte by byte", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local value = table.concat(bytes)
    local function exchange(method, body)
      return server:request { target = "/e/shelf-spec/raw/all", method = method, body = body }
    end
    assert.equal(404, exchange("GET").status)
    assert.equal("ok", exchange("PUT", value).body)
    assert.equal(value, exchange("GET").body)
    assert.equal("ok", exchange("PUT", "").body)
    assert.equal("", exchange("GET").body)
  end)

  it("gives nil for what is not there, and says what was", function()
    assert.is_nil((call(server, "shelf", "get", "nothing")))
    assert.is_false(call(server, "shelf", "exist", "nothing"))
    assert.is_false(call(server, "shelf", "delete", "nothing"))
    set(server, "shelf", "greeting", "hello")
    assert.equal("hello", call(server, "shelf", "get", "greeting"))
    assert.is_true(call(server, "shelf", "exist", "greeting"))
    assert.is_true(call(server, "shelf", "delete", "greeting"))
    assert.is_false(call(server, "shelf", "exist", "greeting"))
  end)

  it("shows no plugin another's keys", function()
    set(server, "shelf", "mine", "of shelf")
    assert.is_nil((call(server, "other", "get", "mine")))
    assert.same({}, (call(server, "other", "list", "mine")))
    assert.is_false(call(server, "other", "delete", "mine"))
    set(server, "other", "mine", "of other")
    assert.equal("of shelf", call(server, "shelf", "get", "mine"))
  end)

  it("needs the manifest's permission", function()
    local text = "permission denied, you need to enable storage access in plugin manifest"
    for _, verb in ipairs { "get", "delete", "exist", "once", "incr" } do
      local _, err = call(server, "closed", verb, "key")
      assert.same({ code = "permission_denied", message = text }, err)
    end
  end)

  it("lists keys by prefix in pages", function()
    for i = 1, 25 do set(server, "shelf", ("page/%02d"):format(i), "x") end
    set(server, "shelf", "pagf", "x")
    local seen, cursor, pages = {}, nil, 0
    repeat
      local keys, next_cursor =
        call(server, "shelf", "list", "page/", { limit = 10, cursor = cursor })
      for _, key in ipairs(keys) do seen[#seen + 1] = key end
      cursor, pages = next_cursor, pages + 1
    until not cursor
    assert.equal(3, pages)
    assert.equal(25, #seen)
    for i, key in ipairs(seen) do assert.equal(("page/%02d"):format(i), key) end
    assert.same({ "pagf" }, (call(server, "shelf", "list", "pag", { cursor = "page/99" })))
    local all, more = call(server, "shelf", "list", "page/", { limit = 25 })
    assert.equal(25, #all)
    assert.is_nil(more)
  end)

  it("counts, and keeps a counter's first expiry", function()
    assert.equal(1, call(server, "shelf", "incr", "count"))
    assert.equal(6, call(server, "shelf", "incr", "count", 5))
    assert.equal(-4, call(server, "shelf", "incr", "count", -10))
    assert.equal("-4", call(server, "shelf", "get", "count"))
    set(server, "shelf", "count", "seven")
    local _, err = call(server, "shelf", "incr", "count")
    assert.equal("invalid_value", err.code)
    set(server, "shelf", "count", "9007199254740992")
    _, err = call(server, "shelf", "incr", "count")
    assert.equal("invalid_value", err.code)
    assert.equal("9007199254740992", call(server, "shelf", "get", "count"))

    assert.equal(1, call(server, "shelf", "incr", "window", 1, { ttl = 0.5 }))
    assert.equal(2, call(server, "shelf", "incr", "window", 1, { ttl = 60 }))
    process.eventually(function() return not call(server, "shelf", "exist", "window") end, 3)
  end)

  it("loses no increment of fifty at once", function()
    local requests = {}
    for i = 1, 50 do requests[i] = storage.request(server, "shelf", "incr", "busy") end
    local seen = {}
    for _, reply in ipairs(storage.all_at_once(requests)) do seen[storage.result(reply)] = true end
    for i = 1, 50 do assert.is_true(seen[i], i) end
  end)

  it("swaps for one of many who ask at once", function()
    assert.is_false(call(server, "shelf", "cas", "token", "old", "new"))
    assert.is_true(call(server, "shelf", "cas", "token", nil, "first"))
    assert.is_false(call(server, "shelf", "cas", "token", nil, "second"))
    local requests, won = {}, 0
    for i = 1, 20 do
      requests[i] = storage.request(server, "shelf", "cas", "token", "first", "by " .. i)
    end
    for _, reply in ipairs(storage.all_at_once(requests)) do
      won = won + (storage.result(reply) and 1 or 0)
    end
    assert.equal(1, won)
    assert.matches("^by %d+$", call(server, "shelf", "get", "token"))
  end)

  it("gives true to one of many who delete at once", function()
    set(server, "shelf", "ticket", "x")
    local requests, won = {}, 0
    for i = 1, 20 do requests[i] = storage.request(server, "shelf", "delete", "ticket") end
    for _, reply in ipairs(storage.all_at_once(requests)) do
      won = won + (storage.result(reply) and 1 or 0)
    end
    assert.equal(1, won)
  end)

  it("forgets a key when its time is up", function()
    local started = process.now()
    set(server, "shelf", "short", "x", { ttl = 0.4 })
    set(server, "shelf", "stays", "x", { ttl = 0.4 })
    set(server, "shelf", "stays", "x") -- a new value, without an end
    set(server, "shelf", "long", "x", { ttl = 60 })
    assert.is_true(call(server, "shelf", "exist", "short"))
    process.eventually(function() return not call(server, "shelf", "exist", "short") end, 3)
    assert.is_true(process.now() - started > 0.38)
    assert.is_nil((call(server, "shelf", "get", "short")))
    assert.same({}, (call(server, "shelf", "list", "short")))
    assert.is_false(call(server, "shelf", "delete", "short"))
    assert.is_true(call(server, "shelf", "exist", "stays"))
    assert.is_true(call(server, "shelf", "exist", "long"))
  end)

  it("removes what expired from the file", function()
    local db = database.open(server.dir .. "/data/moonhook.db")
    set(server, "shelf", "swept", "x", { ttl = 0.05 })
    process.eventually(function()
      return db:run "SELECT count(*) FROM storage_items WHERE key = CAST('swept' AS BLOB)" == "0"
    end, 5)
    db:close()
  end)

  it("takes any key but these", function()
    local refused = {
      [""] = "invalid key: it is empty",
      [("k"):rep(257)] = "invalid key: it is longer than 256 bytes",
      ["a\0b"] = "invalid key: it has a NUL byte",
      ["../x"] = "invalid key: path traversal attempt detected",
      ["a/../../b"] = "invalid key: path traversal attempt detected",
      ["a\\..\\b"] = "invalid key: path traversal attempt detected",
    }
    for key, message in pairs(refused) do
      local _, err = set(server, "shelf", key, "x")
      assert.same({ code = "invalid_param", message = message, status = 422 }, err)
    end
    local taken = { "/etc/passwd", "%2e%2e", "a..b", "...", ("k"):rep(256), "ключ", "a b\n\127" }
    for _, key in ipairs(taken) do
      set(server, "shelf", key, "of " .. key)
      assert.equal("of " .. key, call(server, "shelf", "get", key))
    end
    assert.equal(0, os.execute(("test -z \"$(find '%s' -newer '%s/moonhook.yaml' -type f"
      .. " ! -path '*/data/*' ! -name std*)\""):format(server.dir, server.dir)))
  end)

  it("blames the author's line for wrong arguments", function()
    local function blamed(verb, ...)
      local _, err = call(server, "shelf", verb, ...)
      assert.is_nil(err.code)
      assert.matches("^call.lua:14: session.storage:", err.message)
      return err.message:match "session.*"
    end
    assert.equal("session.storage:set: key: expected a string, got 7", blamed("set", 7, "x"))
    assert.equal("session.storage:set: value: expected a string, got nil", blamed("set", "k"))
    assert.equal("session.storage:get: key: expected a string, got nil", blamed "get")
    assert.equal("session.storage:set: ttl: expected a number of seconds above 0, got -1",
      blamed("set", "k", "v", { ttl = -1 }))
    assert.equal("session.storage:set: unknown option 'tll', did you mean 'ttl'?",
      blamed("set", "k", "v", { tll = 1 }))
  end)

  it("answers an uncaught refusal with its own status", function()
    local request = storage.request(server, "shelf", "set", "../x", "x")
    request.json = request.json:gsub("^{", '{"is_uncaught":true,')
    local reply = http.request(request)
    assert.equal(422, reply.status)
    assert.truthy(reply.body:find('"code":"invalid_param"', 1, true), reply.body)

    request = storage.request(server, "small", "set", "x", ("x"):rep(2000))
    request.json = request.json:gsub("^{", '{"is_uncaught":true,')
    reply = http.request(request)
    assert.equal(507, reply.status)
    assert.truthy(reply.body:find('"code":"quota_exceeded"', 1, true), reply.body)
  end)

  it("refuses before it writes when the quota would be exceeded", function()
    local function fill(key, bytes)
      return server:request { target = "/e/other-spec/long", json =
        ('{"key":%q,"bytes":%d}'):format(key, bytes) }.body
    end
    call(server, "other", "delete", "mine")
    assert.equal("ok", fill("a", 1000000))
    assert.matches("^quota_exceeded: allocated size is greater than max storage size: "
      .. "1100130 of 1048576 bytes", fill("b", 100000))
    assert.is_false(call(server, "other", "exist", "b"))
    assert.equal("ok", fill("a", 900000))
    assert.equal("ok", fill("b", 100000))
    assert.matches("^quota_exceeded", fill("b", 200000))
    assert.equal(100000, #server:request { target = "/e/other-spec/raw/b" }.body)
    assert.is_true(call(server, "other", "delete", "a"))
    assert.equal("ok", fill("b", 1000000))
  end)

  it("counts keys by 64 bytes each beside their own", function()
    local count = 0
    while set(server, "small", ("%02d"):format(count), "x") do count = count + 1 end
    assert.equal(math.floor(1024 / 67), count)
  end)

  it("finds room in what has expired", function()
    local _, err = set(server, "small", "xx", "x")
    assert.equal("quota_exceeded", err.code)
    set(server, "small", "01", "x", { ttl = 0.1 })
    process.eventually(function() return set(server, "small", "xx", "x") end, 3)
  end)

  it("takes values up to 10 MiB", function()
    local function fill(bytes)
      return server:request { target = "/e/large-spec/long", seconds = 10, json =
        ('{"key":"big","bytes":%d}'):format(bytes) }.body
    end
    assert.equal("ok", fill(10 * 1024 * 1024))
    assert.matches("^invalid_param: invalid value: 10485761 bytes", fill(10 * 1024 * 1024 + 1))
  end)

  it("works while a request whose client left cleans up", function()
    local reply = server:open { target = "/e/shelf-spec/leave" }
    assert.equal("started", (reply:next_piece()))
    reply:close()
    process.eventually(function() return call(server, "shelf", "exist", "then") end, 3)
    assert.equal("false cancelled", call(server, "shelf", "get", "left"))
    assert.equal("1", call(server, "shelf", "get", "times"))
    assert.equal("false cancelled false cancelled", call(server, "shelf", "get", "then"))
  end)

  it("says true once for a key", function()
    assert.is_true(call(server, "shelf", "once", "event-1"))
    assert.is_false(call(server, "shelf", "once", "event-1"))
    assert.is_true(call(server, "other", "once", "event-1"))
    assert.is_false(call(server, "shelf", "exist", "event-1")) -- keys of their own
    local requests, firsts = {}, 0
    for i = 1, 50 do requests[i] = storage.request(server, "shelf", "once", "event-2") end
    for _, reply in ipairs(storage.all_at_once(requests)) do
      firsts = firsts + (storage.result(reply) and 1 or 0)
    end
    assert.equal(1, firsts)
    assert.is_true(call(server, "shelf", "once", "event-3", 0.2))
    assert.is_false(call(server, "shelf", "once", "event-3", 0.2))
    process.eventually(function() return call(server, "shelf", "once", "event-3", 0.2) end, 3)
  end)
end)

describe("session.storage over restarts", function()
  it("keeps what it had, and the account exact", function()
    local server = storage.start { shelf = 65536 }
    local requests, kept = {}, 0
    for i = 1, 50 do
      requests[i] = storage.request(server, "shelf", "set", ("key %02d"):format(i), ("v"):rep(3000))
    end
    for _, reply in ipairs(storage.all_at_once(requests)) do
      local _, err = storage.result(reply)
      if not err then kept = kept + 1 else assert.equal("quota_exceeded", err.code) end
    end
    assert.equal(math.floor(65536 / (6 + 3000 + 64)), kept)
    call(server, "shelf", "delete", call(server, "shelf", "list")[1])
    set(server, "shelf", call(server, "shelf", "list")[1], "shorter")
    assert.equal(7, call(server, "shelf", "incr", "counter", 7))
    assert.is_true(call(server, "shelf", "cas", "swapped", nil, "once"))
    assert.is_true(call(server, "shelf", "once", "event"))
    assert.is_true(set(server, "shelf", "soon", "gone", { ttl = 0.1 }))
    server:stop(true)
    assert.is_true(assert_exact(server.dir, "shelf") <= 65536)

    local again = host.start { dir = server.dir }
    assert.equal(8, call(again, "shelf", "incr", "counter"))
    assert.equal("once", call(again, "shelf", "get", "swapped"))
    assert.is_false(call(again, "shelf", "once", "event"))
    assert.equal(kept - 1, #call(again, "shelf", "list", "key "))
    process.eventually(function() return not call(again, "shelf", "exist", "soon") end, 3)
    again:stop(true)
    assert_exact(server.dir, "shelf")
    os.execute(("rm -rf '%s'"):format(server.dir))
  end)

  it("loses nothing that was acknowledged when it is killed", function()
    local dir, acknowledged = nil, {}
    local plugins = { shelf = 4 * 1024 * 1024 }
    for round = 1, 8 do
      local server = dir and host.start { dir = dir } or storage.start(plugins)
      dir = server.dir
      for key, value in pairs(acknowledged) do
        assert.equal(value, call(server, "shelf", "get", key), key)
      end
      acknowledged = {}
      local connections, sent = {}, 0
      for i = 1, 4 do connections[i] = http.connect(server.port) end
      local stop_at = process.now() + 0.02 + 0.03 * round
      while process.now() < stop_at do
        for i, connection in ipairs(connections) do
          local key = ("%d-%d"):format(round, sent + i)
          assert(connection:send(http.format(
            storage.request(server, "shelf", "set", key, "value of " .. key))))
        end
        for i, connection in ipairs(connections) do
          local reply = http.read_head(connection, { method = "POST" })
          reply:read_body()
          local key = ("%d-%d"):format(round, sent + i)
          assert.is_nil((select(2, storage.result(reply))))
          acknowledged[key] = "value of " .. key
        end
        sent = sent + #connections
      end
      for i, connection in ipairs(connections) do -- some more, under way when it dies
        connection:send(http.format(storage.request(server, "shelf", "set", "late" .. i, "x")))
      end
      server.process:kill "KILL"
      server.process:wait(5)
      for _, connection in ipairs(connections) do connection:close() end
      assert.truthy(next(acknowledged))
    end
    local db = database.open(dir .. "/data/moonhook.db")
    assert.equal("ok", db:run "PRAGMA integrity_check")
    db:close()
    assert_exact(dir, "shelf")
    os.execute(("rm -rf '%s'"):format(dir))
  end)

  it("brings a version 1 file up to date", function()
    local server = storage.start { shelf = true }
    server:stop(true)
    local db = database.open(server.dir .. "/data/moonhook.db")
    local newest = db:run "PRAGMA user_version"
    db:run "PRAGMA foreign_keys = OFF"
    for _, row in ipairs(db:rows [[SELECT name FROM sqlite_schema WHERE type = 'table'
        AND name NOT IN ('hook_ids', 'conversations', 'messages') AND name NOT LIKE 'sqlite_%']]) do
      db:run("DROP TABLE " .. row[1])
    end
    db:run "PRAGMA user_version = 1"
    db:run "INSERT INTO hook_ids VALUES ('kept', 'kept', 'kept', 1)"
    db:close()
    local again = host.start { dir = server.dir }
    assert.is_true(set(again, "shelf", "k", "v"))
    again:stop(true)
    db = database.open(server.dir .. "/data/moonhook.db")
    assert.equal(newest, db:run "PRAGMA user_version")
    assert.equal("kept", db:run "SELECT hook_id FROM hook_ids WHERE plugin = 'kept'")
    db:close()
    os.execute(("rm -rf '%s'"):format(server.dir))
  end)

  it("keeps all plugins together below 1 GiB", function()
    local server = storage.start { shelf = true }
    set(server, "shelf", "first", "x")
    local db = database.open(server.dir .. "/data/moonhook.db")
    db:run "INSERT INTO storage_spaces (plugin, used_bytes) VALUES ('another', 1073741824 - 1000)"
    local _, err = set(server, "shelf", "second", ("x"):rep(1000))
    assert.equal("quota_exceeded", err.code)
    assert.matches("of all plugins: %d+ of 1073741824 bytes", err.message)
    assert.is_true(set(server, "shelf", "second", "x"))
    db:close()
    server:stop()
  end)
end)
