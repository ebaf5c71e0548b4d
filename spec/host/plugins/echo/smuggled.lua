local counter = require "counter"

return function()
  counter.smuggled = counter.smuggled + 1
  return "smuggled"
end
