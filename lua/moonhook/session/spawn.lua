-- session:spawn(fn, ...): calls side by side, cancelled together with the request.
local Error = require "moonhook.error"
local coroutines = require "moonhook.coroutines"
local task = require "host.task"

local WAIT = task.WAIT

local Spawned = {}
Spawned.__index = Spawned
Spawned.__metatable = false

local function finish(ok, ...)
  if ok then return ... end
  error((...), 0)
end

local function pack(...)
  return { n = select("#", ...), ... }
end

--- Waits until the function is over; gives what it returned, raises what it raised. Code that was
--- stopped for its time or memory raises that.
function Spawned:wait()
  local ok, code, message = task.join(self._handle)
  if ok == WAIT then ok, code, message = coroutines.wait() end
  if not ok then error(Error.new(code, message), 0) end
  local results = self._results
  if not results then error(Error.new("cancelled", "the spawned function was ended"), 0) end
  return finish(unpack(results, 1, results.n))
end

--- Whether it is over.
function Spawned:is_done()
  return self._results ~= nil
end

local function spawn(fn, ...)
  if type(fn) ~= "function" then
    Error.blame("session:spawn: expected a function, got a " .. type(fn))
  end
  local arguments, spawned = pack(...), setmetatable({}, Spawned)
  local handle, code, message = task.spawn(function()
    spawned._results = pack(pcall(fn, unpack(arguments, 1, arguments.n)))
  end)
  if not handle then error(Error.new(code, message), 0) end
  spawned._handle = handle
  return spawned
end

return spawn
