-- Whose turn it is, by the queue alone: jobs that take as long as the spec says, on a clock of its
-- own.
local ffi = require "ffi"

local header = io.open("host/base/run_queue.h"):read "*a"
ffi.cdef((header:gsub("\n#[^\n]*", "\n")))
local host = ffi.load "build/spec/host_modules.so"

jit.off(true, true) -- the queue calls back

describe("the run queue", function()
  local queue, now, ran, kept

  before_each(function()
    queue, now, ran, kept = ffi.new "RunQueue", 1000, {}, {}
    queue.update_ms = function() return now end
    queue.before_long = function() ran[#ran + 1] = "flush" end
  end)

  after_each(function()
    queue.update_ms:free()
    queue.before_long:free()
    for _, run in ipairs(kept) do run:free() end
  end)

  -- A plugin: function(took_ms[, times]) posts a job that takes so long, so many times in a row.
  local function plugin(name)
    local group = ffi.new "JobGroup"
    return function(took, times)
      local job = ffi.new "Job"
      local left = times or 1
      local run = ffi.cast("void (*)(Job *)", function()
        ran[#ran + 1] = name
        now = now + took
        left = left - 1
        if left > 0 then host.run_queue_post(queue, job) end
      end)
      kept[#kept + 1] = run
      job.group, job.run = group, run
      host.run_queue_post(queue, job)
    end
  end

  local function turn()
    ran = {}
    host.run_queue_turn(queue, now)
    return table.concat(ran, " ")
  end

  it("lets the jobs of a turn go round by plugin", function()
    local a, b = plugin "a", plugin "b"
    for _ = 1, 3 do a(0) end
    b(0)
    assert.equal("a b a a", turn())
    assert.is_true(host.run_queue_is_empty(queue))
  end)

  it("ends a turn after 16 jobs", function()
    plugin "a"(0, 17)
    assert.equal(("a "):rep(16), turn() .. " ")
    assert.equal("a", turn())
  end)

  it("ends a turn after a long job, so that others are read before the next", function()
    local long = plugin "long"
    long(100)
    long(100)
    assert.equal("long", turn())
    assert.equal("long", turn())
  end)

  it("lets who comes with a plugin that took long before go first", function()
    local long, short = plugin "long", plugin "short"
    long(100)
    assert.equal("long", turn())
    long(100)
    for _ = 1, 3 do short(0) end
    assert.equal("short short short flush long", turn())
  end)

  it("lets one long job go between those that came meanwhile, however many wait", function()
    local long, short = {}, plugin "short"
    for i = 1, 3 do
      long[i] = plugin("long" .. i)
      long[i](100)
      turn()
    end
    for i = 1, 3 do long[i](100, 2) end
    for _ = 1, 2 do
      for i = 1, 3 do
        short(0)
        assert.equal("short flush long" .. i, turn())
      end
    end
    assert.is_true(host.run_queue_is_empty(queue))
  end)

  it("lets who has just connected be read before a long job", function()
    local long = plugin "long"
    long(100)
    turn()
    long(100)
    queue.late_waits = true
    assert.equal("", turn())
    plugin "short"(0)
    assert.equal("short flush long", turn())
    long(100)
    now = now + 100 -- it waited for long enough
    queue.late_waits = true
    assert.equal("long", turn())
  end)

  it("gives half of the time to those that take long beside others without end", function()
    local long, short = plugin "long", plugin "short"
    long(100)
    turn()
    long(100, 4)
    short(0, 1e9)
    local of_long = 0
    local started = now
    while of_long < 4 do
      now = now + 1 -- a poll
      if turn():match "long" then of_long = of_long + 1 end
      assert.is_true(now - started <= 4 * 210, now - started)
    end
    assert.is_true(now - started >= 4 * 190, now - started)
  end)

  it("forgets a long job after some dozen short ones", function()
    local long, short = plugin "long", plugin "short"
    long(100)
    turn()
    for _ = 1, 24 do
      long(0)
      turn()
    end
    long(0)
    short(0)
    assert.equal("long short", turn())
  end)

  it("does not take a plugin for a long one whose jobs are short, but for one", function()
    local mixed, short = plugin "mixed", plugin "short"
    for _ = 1, 3 do mixed(0) end
    mixed(1)
    mixed(0)
    turn()
    short(0)
    assert.equal("mixed short", turn())
  end)
end)
