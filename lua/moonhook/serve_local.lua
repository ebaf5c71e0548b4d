--- Runs calls of the built-in backend: the function that every task of the local state starts with.

local guard = require("moonhook.coroutines").guard
local DONE = require("host.task").DONE
local serve = require("moonhook.backend.local").serve
local yield = coroutine.yield

-- A spawned function comes alone, a call with its body.
local function loop(first, body)
  if type(first) == "function" then
    first()
  else
    serve(first, body)
  end
  return loop(yield(DONE)) -- a tail call: nothing of the last call stays
end

return function(...)
  guard()
  return loop(...)
end
