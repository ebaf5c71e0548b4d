-- The handler's `settings` and `values`: reading a name that cannot be there is the author's slip.
-- What is declared and not set is nil, as ever.
local Error = require "moonhook.error"
local check = require "moonhook.session.check"

local strict = {}

local function hint(name, names)
  local near = check.nearest(name, names)
  if near then return (", did you mean '%s'?"):format(near) end
  if #names == 0 then return "; it has none" end
  return "; it has " .. table.concat(names, ", ")
end

--- A metatable for settings.
---@param declared string[]
function strict.settings(declared)
  local known = {}
  for _, name in ipairs(declared) do known[name] = true end
  return {
    __index = function(_, name)
      if known[name] or type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
      Error.blame(("settings.%s: the group declares no setting of this name%s")
        :format(name, hint(name, declared)))
    end,
  }
end

--- The metatable of values.
strict.values = {
  __index = function(self, name)
    if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
    local names = {}
    for known in next, self do names[#names + 1] = known end
    table.sort(names)
    Error.blame(("values.%s: the path has no such part%s"):format(name, hint(name, names)))
  end,
}

return strict
