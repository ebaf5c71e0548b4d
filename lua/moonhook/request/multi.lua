--- Names with values, in order and with repeats: the query, a form, its files.
---
--- Each name's first value is a plain field of the table, so `args.page`, `pairs(args)` and
--- `json.encode(args)` do what they look like. Only a name that is also a method's is left out of
--- the fields: a client must not be able to take a method away.

local getmetatable, setmetatable = getmetatable, setmetatable

---@class Multi
local Multi = {}

local function flat_of(self)
  return getmetatable(self).flat
end

--- All values of a name, in order; an empty table when there is none.
function Multi:get_all(name)
  local flat, values = flat_of(self), {}
  for i = 1, #flat, 2 do
    if flat[i] == name then values[#values + 1] = flat[i + 1] end
  end
  return values
end

--- `for name, value in args:pairs() do`: everything, repeats included, in the order it came.
function Multi:pairs()
  local flat, i = flat_of(self), -1
  return function()
    i = i + 2
    return flat[i], flat[i + 1]
  end
end

--- Takes over a flat list { name, value, name, value, ... }.
local function new(flat)
  local self = {}
  for i = 1, #flat, 2 do
    local name = flat[i]
    if self[name] == nil and not Multi[name] then self[name] = flat[i + 1] end
  end
  return setmetatable(self, { __index = Multi, flat = flat })
end

return { new = new }
