-- session.storage when the database cannot be written: what plugins see, and that it passes.
local database = require "spec.support.database"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"
local storage = require "spec.support.storage"

local call, set = storage.call, storage.set
local PLUGINS = { shelf = 16 * 1024 * 1024 }

local function probe_seconds(server)
  local started = process.now()
  local reply = http.request { port = server.port, target = "/e/shelf-spec/probe" }
  assert.equal("alive", reply.body)
  return process.now() - started
end

-- Sends a request and goes on; what is given reads the reply and says how long it took.
local function send(request)
  local connection, started = http.connect(request.port), process.now()
  assert(connection:send(http.format(request)))
  return function()
    local reply = http.read_head(connection, { method = "POST", seconds = 10 })
    reply:read_body()
    local took = process.now() - started
    connection:close()
    return reply, took
  end
end

describe("session.storage while another process locks the database", function()
  local server, db

  before_each(function()
    server = storage.start(PLUGINS)
    set(server, "shelf", "there", "x")
    db = database.open(server.dir .. "/data/moonhook.db")
    db:run "BEGIN EXCLUSIVE"
  end)

  after_each(function()
    db:close()
    server:stop()
  end)

  it("says so after two seconds, serves everything else meanwhile, and recovers", function()
    local finish = {}
    for i = 1, 5 do finish[i] = send(storage.request(server, "shelf", "set", "k" .. i, "x")) end
    for _ = 1, 20 do
      assert.is_true(probe_seconds(server) < 1)
      assert.equal("x", call(server, "shelf", "get", "there"))
    end
    for i = 1, 5 do
      local reply, took = finish[i]()
      local _, err = storage.result(reply)
      assert.equal("storage_unavailable", err.code)
      assert.is_true(took > 1.9 and took < 10, took)
    end
    db:run "ROLLBACK"
    assert.is_true(set(server, "shelf", "k1", "x"))
  end)

  -- A client that asks for a write which has to wait, and leaves.
  local function ask_and_leave()
    local connection = http.connect(server.port)
    assert(connection:send(http.format { port = server.port, target = "/e/shelf-spec/pending" }))
    probe_seconds(server)
    connection:close()
    for _ = 1, 10 do probe_seconds(server) end -- the host has seen it
  end

  it("ends a write that waits although the client leaves", function()
    ask_and_leave()
    db:run "ROLLBACK"
    process.eventually(function() return call(server, "shelf", "exist", "pending") end, 3)
    assert.equal("done", call(server, "shelf", "get", "pending"))
    assert.equal("value", call(server, "shelf", "get", "key"))
  end)

  it("gives up the task of a client that left after one second", function()
    ask_and_leave()
    local _, err = set(server, "shelf", "other", "x") -- two seconds
    assert.equal("storage_unavailable", err.code)
    db:run "ROLLBACK"
    assert.is_true(set(server, "shelf", "other", "x"))
    assert.is_false(call(server, "shelf", "exist", "pending"))
  end)

  it("waits for a short lock", function()
    local finish = send(storage.request(server, "shelf", "set", "waited", "x"))
    for _ = 1, 10 do assert.equal("x", call(server, "shelf", "get", "there")) end
    db:run "ROLLBACK"
    assert.is_nil((select(2, storage.result((finish())))))
    assert.is_true(call(server, "shelf", "exist", "waited"))
  end)
end)

describe("session.storage on a bad disk", function()
  local dir, child, server

  -- `under`: a command to run the host under, in its folder.
  local function start(under)
    dir = host.folder { files = storage.files(PLUGINS), config = storage.config(PLUGINS) }
    os.execute(("mkdir '%s/data'"):format(dir))
    local command = { "serve", "--config", "moonhook.yaml", "--data", "data", "--listen",
      "127.0.0.1:0", "--admin", "127.0.0.1:0", "--print-urls" }
    table.insert(command, 1, host.binary())
    for i = #under, 1, -1 do table.insert(command, 1, under[i]) end
    command.cwd = dir
    child = process.start(command)
    server = { port = child:wait_for("stderr", '"url":"http://[%d.]+:(%d+)/e/shelf%-spec"', 10) }
  end

  local function stop()
    child:kill "TERM"
    assert.equal(0, (child:wait(10)))
    os.execute(("rm -rf '%s'"):format(dir))
  end

  local function uncaught_status()
    local request = storage.request(server, "shelf", "set", "more", ("x"):rep(50000))
    request.json = request.json:gsub("^{", '{"is_uncaught":true,')
    return http.request(request).status
  end

  it("says storage_full, still reads, and recovers", function()
    if os.execute "unshare -rm true 2>/dev/null" ~= 0 then
      return pending "unshare is not allowed here"
    end
    -- A file system of 4 MiB, seen by the host alone.
    start { "unshare", "-rm", "sh", "-c",
      'mount -t tmpfs -o size=4m tmpfs data && exec "$@"', "sh" }
    assert.is_true(set(server, "shelf", "there", "x"))
    local filler = ("/proc/%d/root%s/data/filler"):format(child.pid, dir)
    os.execute(("dd if=/dev/zero of='%s' bs=4k 2>/dev/null"):format(filler))
    local err
    process.eventually(function() -- the log file may have some room left in itself
      err = select(2, set(server, "shelf", "k" .. math.random(1e6), ("x"):rep(50000)))
      return err
    end, 10)
    assert.equal("storage_full", err.code)
    assert.equal(507, uncaught_status())
    assert.equal("x", call(server, "shelf", "get", "there"))
    assert.is_true(probe_seconds(server) < 0.25)

    os.remove(filler)
    process.eventually(function() return set(server, "shelf", "more", "x") end, 5)
    assert.equal(0, os.execute(("cp /proc/%d/root%s/data/moonhook.db* '%s'")
      :format(child.pid, dir, dir)))
    local db = database.open(dir .. "/moonhook.db")
    assert.equal("ok", db:run "PRAGMA integrity_check")
    db:close()
    stop()
  end)

  -- Of the processes that the master has started.
  local function limit_files(size)
    local file = assert(io.open(("/proc/%d/task/%d/children"):format(child.pid, child.pid)))
    for pid in file:read("*a"):gmatch "%d+" do
      assert.equal(0, os.execute(("prlimit --pid %s --fsize=%s"):format(pid, size)))
    end
    file:close()
  end

  it("says storage_unavailable while writing fails, and recovers", function()
    start {}
    assert.is_true(set(server, "shelf", "there", "x"))
    limit_files "0:unlimited"
    local _, err = set(server, "shelf", "there", "y")
    assert.equal("storage_unavailable", err.code)
    assert.equal(503, uncaught_status())
    assert.equal("x", call(server, "shelf", "get", "there"))

    limit_files "unlimited"
    assert.is_true(set(server, "shelf", "there", "y"))
    assert.equal("y", call(server, "shelf", "get", "there"))
    stop()
  end)
end)
