-- session.storage and session:once before the host sees them: arguments, waits, errors.
local library = require "spec.support.library"
local WAIT = require("host.task").WAIT

local calls, answers, waited

-- Every leaf notes its arguments, and gives what a spec put into `answers`: at once, or, where that
-- is a function, after a wait.
local leaves = setmetatable({}, {
  __index = function(_, name)
    return function(...)
      calls[#calls + 1] = { name, ... }
      if type(answers[1]) ~= "function" then return unpack(answers, 1, table.maxn(answers)) end
      return WAIT
    end
  end,
})

describe("session.storage", function()
  local storage, once, Error, kept

  setup(function()
    kept = library.reload()
    library.fake("host.storage", leaves)
    storage = require "moonhook.session.storage"
    once = require "moonhook.session.once"
    Error = require "moonhook.error"
  end)

  teardown(function()
    library.fake("host.storage", nil)
    library.restore(kept)
  end)

  before_each(function() calls, answers, waited = {}, { true }, 0 end)

  -- Runs as a task does: a wait is answered by the function that stands in `answers`.
  local function run(body)
    local co = coroutine.create(body)
    local result = { coroutine.resume(co) }
    while result[2] == WAIT and coroutine.status(co) == "suspended" do
      waited = waited + 1
      result = { coroutine.resume(co, answers[1]()) }
    end
    if not result[1] then error(result[2], 0) end
    return unpack(result, 2, table.maxn(result))
  end

  local function failure(body)
    local ok, err = pcall(run, body)
    assert.is_false(ok)
    return err
  end

  it("gives the host what it was given", function()
    storage:set("k", "v")
    storage:set("k", "v", { ttl = 1.5 })
    storage:get "k"
    storage:delete "k"
    storage:exist "k"
    storage:incr "k"
    storage:incr("k", -2, { ttl = 3 })
    storage:cas("k", nil, "new")
    storage:cas("k", "old", "new", { ttl = 4 })
    once("k", 5)
    once "k"
    assert.same({
      { "set", "k", "v", 0 }, { "set", "k", "v", 1.5 }, { "get", "k" }, { "delete", "k" },
      { "exist", "k" }, { "increment", "k", 1, 0 }, { "increment", "k", -2, 3 },
      { "swap", "k", nil, "new", 0 }, { "swap", "k", "old", "new", 4 }, { "once", "k", 5 },
      { "once", "k", 604800 },
    }, calls)
  end)

  it("waits for the store", function()
    answers = { function() return "bytes" end }
    assert.equal("bytes", run(function() return storage:get "k" end))
    answers = { function() return nil end }
    assert.is_nil((run(function() return storage:get "k" end)))
    answers = { function() return false end }
    assert.is_false((run(function() return storage:cas("k", "a", "b") end)))
    assert.equal(3, waited)
  end)

  it("gives the last key as the cursor while there are more", function()
    answers = { function() return { "a", "b" }, true end }
    assert.same({ { "a", "b" }, "b" }, { run(function() return storage:list "" end) })
    answers = { function() return { "c" }, false end }
    local keys, cursor = run(function()
      return storage:list("", { cursor = "b", limit = 2 })
    end)
    assert.same({ "c" }, keys)
    assert.is_nil(cursor)
    assert.same({ { "list", "", nil, 100 }, { "list", "", "b", 2 } }, calls)
  end)

  it("raises what the host reports", function()
    for _, code in ipairs { "quota_exceeded", "storage_full", "storage_unavailable", "cancelled",
        "permission_denied" } do
      answers = { function() return nil, code, "why" end }
      local err = failure(function() return storage:get "k" end)
      assert.is_true(Error.is(err))
      assert.same({ code, "why" }, { err.code, err.message })
      assert.is_nil(err.status)
      answers = { nil, code, "why" } -- without a wait
      assert.equal(code, failure(function() return once "k" end).code)
    end
    answers = { function() return nil, "invalid_value", "the value is no integer" end }
    assert.equal(422, failure(function() return storage:incr "k" end).status)
  end)

  it("refuses bad keys and values before the host sees them", function()
    local bad = { "", ("k"):rep(257), "a\0", "..", "../x", "a/..", "a/../b", "..\\x", "a/..\\b" }
    for _, key in ipairs(bad) do
      local bodies = {
        function() storage:get(key) end, function() storage:set(key, "v") end,
        function() storage:cas(key, nil, "v") end, function() once(key) end,
      }
      for _, body in ipairs(bodies) do
        local err = failure(body)
        assert.same({ "invalid_param", 422 }, { err.code, err.status })
      end
    end
    local err = failure(function() storage:set("k", ("x"):rep(10485761)) end)
    assert.same({ "invalid_param", 422 }, { err.code, err.status })
    assert.same({}, calls)
    for _, key in ipairs { "a..b", "..a", "/etc/passwd", "...", "https://x.org//y" } do
      storage:get(key)
    end
    assert.equal(5, #calls)
  end)

  it("blames the caller's line for wrong arguments", function()
    local function blamed(body)
      local err = failure(body)
      local line, text = err:match "storage_spec%.lua:(%d+): (.*)$"
      assert.equal(tostring(debug.getinfo(body, "S").linedefined), line)
      return text
    end
    local wrong = {
      { function() storage.get("k") end,
        "session.storage:get: called with '.', expected ':'" },
      { function() storage:get(nil) end,
        "session.storage:get: key: expected a string, got nil" },
      { function() storage:get({}) end,
        "session.storage:get: key: expected a string, got a table" },
      { function() storage:set("k", 5) end,
        "session.storage:set: value: expected a string, got 5" },
      { function() storage:set("k", "v", 60) end,
        "session.storage:set: options: expected a table, got 60" },
      { function() storage:set("k", "v", { ttl = 0 }) end,
        "session.storage:set: ttl: expected a number of seconds above 0, got 0" },
      { function() storage:set("k", "v", { ttl = 0 / 0 }) end,
        "session.storage:set: ttl: expected a number of seconds above 0, got nan" },
      { function() storage:set("k", "v", { ttl = 1 / 0 }) end,
        "session.storage:set: ttl: expected a number of seconds above 0, got inf" },
      { function() storage:set("k", "v", { limit = 1 }) end,
        "session.storage:set: unknown option 'limit': it has ttl" },
      { function() storage:list(1) end,
        "session.storage:list: prefix: expected a string, got 1" },
      { function() storage:list("", { limit = 0 }) end,
        "session.storage:list: limit: expected an integer 1..1000, got 0" },
      { function() storage:list("", { limit = 1001 }) end,
        "session.storage:list: limit: expected an integer 1..1000, got 1001" },
      { function() storage:list("", { cursor = 1 }) end,
        "session.storage:list: cursor: expected a string, got 1" },
      { function() storage:incr("k", 1.5) end,
        "session.storage:incr: by: expected an integer, got 1.5" },
      { function() storage:incr("k", "1") end,
        'session.storage:incr: by: expected an integer, got "1"' },
      { function() storage:incr("k", 1e16) end,
        "session.storage:incr: by: expected an integer, got 1e+16" },
      { function() storage:cas("k", 1, "v") end,
        "session.storage:cas: old: expected a string or nil, got 1" },
      { function() storage:cas("k", nil, nil) end,
        "session.storage:cas: new: expected a string, got nil" },
      { function() once() end, "session:once: key: expected a string, got nil" },
      { function() once("k", "1") end,
        'session:once: ttl: expected a number of seconds above 0, got "1"' },
    }
    for _, case in ipairs(wrong) do
      local text = blamed(case[1]):gsub("%-nan", "nan")
      assert.equal(case[2], text)
    end
    assert.same({}, calls)
  end)
end)
