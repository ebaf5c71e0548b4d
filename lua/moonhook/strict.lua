-- The handler's `settings` and `values`: reading a name that can never be there is the author's
-- slip. What is declared and not set is nil, as ever.
local Error = require "moonhook.error"
local check = require "moonhook.session.check"

local strict = {}

local function hint(name, names)
  local near = check.nearest(name, names)
  if near then return (", did you mean '%s'?"):format(near) end
  if #names == 0 then return "; there is none at all" end
  return "; there are " .. table.concat(names, ", ")
end

--- A metatable for a table that has no other names than these.
---@param names string[]
---@param message string  "values.%s: ..."; the name is filled in
function strict.new(names, message)
  local known, list = {}, {}
  for _, name in ipairs(names) do
    if not known[name] then list[#list + 1] = name end
    known[name] = true
  end
  return {
    __index = function(_, name)
      if known[name] or type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
      Error.blame(message:format(name) .. hint(name, list))
    end,
  }
end

return strict
