--- busted's output: TAP as it happens, with the time of slow specs. busted's own TAP reporter falls
--- over a spec file that does not load.
local pretty = require "pl.pretty"
local busted = require "busted"

local SLOW_SECONDS = 1

local function text_of(message)
  if type(message) == "string" then return message end
  return message == nil and "no message" or pretty.write(message)
end

local function place_of(result)
  local trace = result.element.trace or result.trace or {}
  return trace.currentline and ("%s:%d"):format(trace.short_src, trace.currentline)
end

return function(options)
  local handler = require "busted.outputHandlers.base"()
  local count = 0

  local function say(text, ...)
    io.write(select("#", ...) > 0 and text:format(...) or text, "\n")
    io.flush()
  end

  local function fail(result)
    say("not ok %d - %s", count, result.name)
    local place, message = place_of(result), text_of(result.message)
    if place then say("# " .. place) end
    say("# " .. message:gsub("\n", "\n# "))
    if options.verbose and result.trace and result.trace.traceback then
      say("# " .. result.trace.traceback:gsub("^\n", ""):gsub("\n", "\n# "))
    end
  end

  local function on_test_end(element, _, status)
    count = count + 1
    if status == "success" then
      local seconds = element.duration or 0
      say("ok %d - %s%s", count, handler.successes[#handler.successes].name,
        seconds >= SLOW_SECONDS and (" (%.1f s)"):format(seconds) or "")
    elseif status == "pending" then
      local result = handler.pendings[#handler.pendings]
      say("ok %d - # SKIP %s", count, text_of(result.message or result.name))
    else
      fail(status == "failure" and handler.failures[#handler.failures]
        or handler.errors[#handler.errors])
    end
    return nil, true
  end

  -- What fails outside of a spec: a file, a setup, a teardown.
  local function on_error(element)
    if element.descriptor ~= "it" then
      count = count + 1
      fail(handler.errors[#handler.errors])
    end
    return nil, true
  end

  local function on_suite_end()
    say("1..%d", count)
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, on_suite_end)
  busted.subscribe({ "test", "end" }, on_test_end, { predicate = handler.cancelOnPending })
  busted.subscribe({ "error" }, on_error)
  return handler
end
