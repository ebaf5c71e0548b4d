local counter = require "counter"

return function()
  return tostring(counter.smuggled)
end
