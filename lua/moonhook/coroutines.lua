--- Waiting, and the coroutine functions that plugins see.
---
--- A wait is a yield that carries a private mark. Plugins' own coroutines pass it outward to the
--- task's coroutine, where the host takes it, so that a call that waits may stand at any depth. A
--- coroutine that waits belongs to its task: nobody else may resume it meanwhile.

local task = require "host.task"
local create, running, status = coroutine.create, coroutine.running, coroutine.status
local resume, yield = coroutine.resume, coroutine.yield
local isyieldable = coroutine.isyieldable
local WAIT, BAD, check_stack = task.WAIT, task.BAD, task.check_stack

local count, collect = task.count, collectgarbage

local coroutines = {}

-- [coroutine] = true while its mark is out; a task's own coroutine is always the host's to resume.
local waiting = setmetatable({}, { __mode = "k" })

--- Suspends the task until the operation that a C leaf has just started is done.
---@return any ... what the leaf would have returned
function coroutines.wait()
  return yield(WAIT)
end

--- Keeps the running coroutine, a task's, from being resumed by anyone but the host.
function coroutines.guard()
  local co = running()
  if co then waiting[co] = true end
end

local function raise(code, message)
  if code then error(require("moonhook.error").new(code, message), 0) end
  error(message, 3)
end

local function check(mark, code, message, ...)
  if mark == BAD then raise(code, message) end
  return mark, code, message, ...
end

-- Plugins' own that live, for when the count, which knows nothing of those that were dropped
-- half-way, says that there are too many. A task's own may be among another's; that errs on the
-- side of the plugin.
local alive = setmetatable({}, { __mode = "k" })

local function count_again()
  collect()
  local dropped = 1000
  for co in next, alive do
    if status(co) == "dead" then alive[co] = nil else dropped = dropped - 1 end
  end
  for _ = 1, dropped do count(-1) end
end

local function make(body)
  local co = create(body)
  if not count(1) then
    count_again()
    if not count(1) then error("too many coroutines: a request may have 1000", 3) end
  end
  alive[co] = true
  return co
end

local function ended(co)
  if alive[co] and status(co) == "dead" then
    alive[co] = nil
    count(-1)
  end
end

local pass

local function after_wait(co, ...)
  waiting[co] = nil
  return pass(co, resume(co, ...))
end

function pass(co, ok, first, ...)
  if not ok then
    ended(co)
    return false, first, ...
  end
  if first ~= WAIT then
    ended(co)
    return true, first, ...
  end
  waiting[co] = true
  return after_wait(co, yield(WAIT))
end

local function deliver(co, ok, first, ...)
  if ok then return first, ... end
  task.note(co)
  error(first, 0)
end

local public = { running = running, isyieldable = isyieldable }

function public.create(body)
  return make(body)
end

function public.yield(...)
  return check(yield(...))
end

function public.resume(co, ...)
  if waiting[co] then return false, "coroutine is waiting" end
  check_stack()
  return pass(co, resume(co, ...))
end

function public.status(co)
  local now = status(co)
  return now == "suspended" and waiting[co] and "normal" or now
end

function public.wrap(body)
  local co = make(body)
  return function(...)
    if waiting[co] then error("coroutine is waiting", 2) end
    check_stack()
    return deliver(co, pass(co, resume(co, ...)))
  end
end

coroutines.public = public

return coroutines
