--- The globals that look into tables without asking metatables, made to fill an event first that
--- nobody has looked at (host/script/json_lazy.h), and to look behind a view (json_view.h). Gives
--- what plugins see; the library's own `pairs` and `next` are replaced at once, before any module
--- has taken them.

local host = require "host.json"
local metatable_of = getmetatable
local LAZIES, fill, behind = host.lazies, host.fill, host.behind

local lazy = { table = {} }

local function filling(fn)
  return function(value, ...)
    local meta = metatable_of(value)
    if meta ~= nil and LAZIES[meta] then fill(value) end
    return fn(value, ...)
  end
end

-- A view shows no metatable but `false`.
local function looking(fn)
  return function(value, ...)
    local meta = metatable_of(value)
    if meta ~= nil then
      if LAZIES[meta] then
        fill(value)
      elseif meta == false then
        value = behind(value) or value
      end
    end
    return fn(value, ...)
  end
end

local function writing(fn, is_name_given)
  return function(value, name, ...)
    local meta = metatable_of(value)
    if meta ~= nil then
      if LAZIES[meta] then
        fill(value)
      elseif meta == false and behind(value) then
        value[is_name_given and name or 1] = true -- raises
      end
    end
    return fn(value, name, ...)
  end
end

lazy.getmetatable, lazy.setmetatable = filling(getmetatable), filling(setmetatable)
lazy.next, lazy.rawget, lazy.rawset = looking(next), looking(rawget), writing(rawset, true)

local next, pairs = lazy.next, pairs

-- The object itself stays behind its view.
function lazy.pairs(value)
  local meta = metatable_of(value)
  if meta ~= nil then
    if LAZIES[meta] then
      fill(value)
    elseif meta == false and behind(value) then
      return next, value, nil
    end
  end
  return pairs(value)
end

-- An event has no items: the functions for lists see none, filled or not, but `insert` adds one.
lazy.table.foreach, lazy.table.insert = looking(table.foreach), writing(table.insert)

_G.pairs, _G.next = lazy.pairs, lazy.next

return lazy
