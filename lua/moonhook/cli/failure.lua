--- How a verb gives up: with a line for stderr and an exit code.

local failure = {}

local Failure = {}

--- Raises; exit code 1.
function failure.raise(format, ...)
  error(setmetatable({ code = 1, message = format:format(...) }, Failure), 0)
end

--- Raises for a command line that makes no sense; exit code 2.
function failure.usage(format, ...)
  error(setmetatable({ code = 2, message = format:format(...) }, Failure), 0)
end

function failure.is(value)
  return getmetatable(value) == Failure
end

return failure
