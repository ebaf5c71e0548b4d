-- What happens on the test bed, handed to whom it concerns. Everything in moonhook.testing that
-- waits does it here: it takes events, one at a time, until what it waits for is there.
local Error = require "moonhook.error"
local testbed = require "host.testbed"

local loop = {
  on_data = {}, -- [socket] = function()
  on_over = {}, -- [call] = function(has_left): the caller left before the end
  on_timer = {}, -- [timer] = function()
  on_call = nil, -- function(call), for all calls; set by testing/upstream.lua
}

local problem -- what went wrong in the spec's own fakes, raised where the spec waits

--- Keeps a problem for whoever waits; the first one counts.
function loop.fail(text)
  problem = problem or text
end

local function raise_problem()
  local text = problem
  problem = nil
  if type(text) == "string" then Error.blame(text) end
  if text ~= nil then error(text, 0) end
end

local function handle(event, id)
  if event == "data" then
    local on_data = loop.on_data[id]
    if on_data then on_data() end
  elseif event == "call" then
    loop.on_call(id)
  elseif event == "over" or event == "left" then
    local on_over = loop.on_over[id]
    loop.on_over[id] = nil
    if on_over then on_over(event == "left") end
  else
    local on_timer = loop.on_timer[id]
    loop.on_timer[id] = nil
    if on_timer then on_timer() end
  end
end

--- Waits until is_there() says so. The clock moves as far as it must.
---@param is_there fun(): boolean
---@param what string  for the message when it never comes
function loop.wait_for(is_there, what)
  raise_problem()
  while not is_there() do
    local event, id = testbed.next()
    if not event then
      raise_problem()
      Error.blame(("nothing more will happen, while the spec waits for %s"):format(what))
    end
    handle(event, id)
    raise_problem()
  end
end

--- Lets things happen for so long on the clock.
function loop.advance(delay_ms)
  local until_ms = testbed.now() + delay_ms
  raise_problem()
  while true do
    local event, id = testbed.next(until_ms)
    if not event then break end
    handle(event, id)
    raise_problem()
  end
end

--- The same without raising, until is_over() says so or the time is up.
function loop.drain(delay_ms, is_over)
  local until_ms = testbed.now() + delay_ms
  while not is_over() do
    local event, id = testbed.next(until_ms)
    if not event then break end
    handle(event, id)
  end
end

--- Gives what a fake had to say and nobody waited to hear.
function loop.take_problem()
  local text = problem
  problem = nil
  return text
end

--- Pauses the running coroutine, a fake's.
function loop.sleep(delay_ms)
  local co = coroutine.running()
  loop.on_timer[testbed.timer(delay_ms)] = function() loop.resume(co) end
  coroutine.yield()
end

--- Runs a fake's coroutine on. What it raises is the spec's problem.
function loop.resume(co, ...)
  local ok, message = coroutine.resume(co, ...)
  if not ok then loop.fail(message) end
end

return loop
