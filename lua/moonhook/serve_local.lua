--- Runs calls of the built-in backend: the function that every task of the local state starts with.

local DONE = require("host.task").DONE
local serve = require("moonhook.backend.local").serve
local yield = coroutine.yield

local function loop(kind, body)
  serve(kind, body)
  return loop(yield(DONE)) -- a tail call: nothing of the last call stays
end

return loop
