-- session:after_response(fn): work for the time after the reply, owned by the request's task: when
-- the handler raises or its client leaves before the reply is complete, it goes with the task.
local Error = require "moonhook.error"
local task = require "host.task"

local after = {}

--- Keeps `fn` until the reply is complete.
function after.add(session, fn)
  if type(fn) ~= "function" then
    Error.blame("session:after_response: expected a function, got a " .. type(fn))
  end
  if not task.keep_after(fn) then
    Error.blame("session:after_response: expected a request that has left less than 16 functions")
  end
  rawset(session, "_has_after", true) -- from now on serve.lua looks, in this state
end

--- Takes the running task's functions, or nil.
function after.take()
  return task.take_after()
end

return after
