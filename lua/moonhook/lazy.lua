--- The globals that look into tables without asking metatables, made to fill an event first that
--- nobody has looked at (host/script/json_lazy.h). Gives what plugins see; the library's own
--- `pairs` and `next` are replaced at once, before any module has taken them.

local host = require "host.json"
local metatable_of = getmetatable
local LAZY, fill = host.lazy, host.fill

local lazy = { table = {} }

if not LAZY then return lazy end -- nothing is

local function filling(fn)
  return function(value, ...)
    if metatable_of(value) == LAZY then fill(value) end
    return fn(value, ...)
  end
end

for name in ("getmetatable next pairs rawget rawset setmetatable"):gmatch "%a+" do
  lazy[name] = filling(_G[name])
end
-- An event has no items: the functions for lists see none, filled or not, but `insert` adds one.
for name in ("foreach insert"):gmatch "%a+" do lazy.table[name] = filling(table[name]) end

_G.pairs, _G.next = lazy.pairs, lazy.next

return lazy
