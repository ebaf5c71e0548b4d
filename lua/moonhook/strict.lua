-- Names that can never be there: reading one is the author's slip. The handler's `settings` and
-- `values`, where what is declared and not set is nil, as ever; and the library's modules.
local Error = require "moonhook.error"

local strict = {}

local function hint(name, names)
  local near = require("moonhook.session.check").nearest(name, names)
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

--- Raises for a member that a module does not have.
---@param names table<string, any>  that it has
function strict.refuse(title, name, names)
  local list = {}
  for known in pairs(names) do
    if known:sub(1, 1) ~= "_" then list[#list + 1] = known end
  end
  table.sort(list)
  Error.blame(("%s has no member '%s'"):format(title, tostring(name)) .. hint(tostring(name), list))
end

--- Makes a module refuse what it does not have. Returns it.
---@param title string  "moonhook.json"
function strict.close(module, title)
  local meta = getmetatable(module) or {}
  function meta.__index(_, name)
    if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
    strict.refuse(title, name, module)
  end
  return setmetatable(module, meta)
end

return strict
