-- Runs with both LuaJITs. Lua code that is stopped at random moments, thousands of times, by what
-- stops plugins: spec/support/interrupts, which `make` builds beside the binary. Some of it has
-- calls in flight, and each state another amount of memory.
local process = require "spec.support.process"

-- With the fast paths off other moments are at stake, not more of them.
local STOPS = os.getenv "MOONHOOK_FAST_PATHS" == "off" and 2500 or 10000

local binary = os.getenv "MOONHOOK_BIN" or "build/moonhook"
local driver = (binary:match "(.*)/" or ".") .. "/spec/interrupts"

it(STOPS .. " stops of code at random moments leave states that work and close clean", function()
  local seed = tostring(os.time())
  local ran = process.run { driver, tostring(STOPS), seed, "spec/support/interrupts",
    seconds = 300 }
  assert.equal(0, ran.code, ("seed %s: %s"):format(seed, ran.stderr))
  local for_memory = ran.stdout:match("^" .. STOPS .. " stopped, (%d+) of them for memory")
  assert.is_true(for_memory ~= nil and tonumber(for_memory) > STOPS / 500, ran.stdout)
end)
