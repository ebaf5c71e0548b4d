-- session:after_response(fn): work for the time after the reply, owned by the request's task.
local Error = require "moonhook.error"
local task = require "host.task"

local MAX_FUNCTIONS = 16

local after = {}
local waiting = {} -- [task's key] = { fn, ... }
local count = 0    -- of tasks in it

-- serve.lua looks there before it loads this module.
local function tell(session)
  rawset(session, "_after_count", count > 0 and count or nil)
end

--- Keeps `fn` until the reply is complete.
function after.add(session, fn)
  local key = task.key()
  if type(fn) ~= "function" then
    Error.blame("session:after_response: expected a function, got a " .. type(fn))
  elseif not key then
    Error.blame("session:after_response: there is no request while a plugin loads")
  end
  local functions = waiting[key]
  if not functions then
    functions = {}
    waiting[key], count = functions, count + 1
    tell(session)
  end
  if #functions == MAX_FUNCTIONS then
    Error.blame("session:after_response: a request may leave 16 functions")
  end
  functions[#functions + 1] = fn
end

--- Takes the running task's functions, or nil.
function after.take()
  local key = task.key()
  local functions = waiting[key]
  if not functions then return nil end
  waiting[key], count = nil, count - 1
  tell(require "moonhook.session")
  return functions
end

return after
