---@meta
-- luacheck: ignore 121 122 212 241 (annotations only)
-- What busted puts beside Lua's own globals in a spec, as far as an editor must know it: `assert`
-- is a table here, which may be called as ever.

---@class luassert
---@overload fun(value: any, message?: any, ...: any): any
---@field is luassert
---@field is_not luassert
---@field are luassert
---@field are_not luassert
---@field has luassert
---@field has_no luassert
local luassert = {}

---@param expected any
---@param got any
---@param message? any
function luassert.equal(expected, got, message) end
---@param expected any
---@param got any
---@param message? any
function luassert.not_equal(expected, got, message) end
---@param expected any
---@param got any
---@param message? any
function luassert.same(expected, got, message) end
---@param expected any
---@param got any
---@param message? any
function luassert.not_same(expected, got, message) end
---@param pattern string
---@param got string?
---@param ... any
function luassert.matches(pattern, got, ...) end
---@param value any
---@param message? any
function luassert.is_true(value, message) end
---@param value any
---@param message? any
function luassert.is_false(value, message) end
---@param value any
---@param message? any
function luassert.is_nil(value, message) end
---@param value any
---@param message? any
function luassert.is_truthy(value, message) end
---@param value any
---@param message? any
function luassert.is_falsy(value, message) end
---@param value any
---@param message? any
function luassert.truthy(value, message) end
---@param value any
---@param message? any
function luassert.falsy(value, message) end
---@param run fun()
---@param expected? any
function luassert.has_error(run, expected) end
---@param run fun()
---@param pattern string
function luassert.error_matches(run, pattern) end

assert = luassert
