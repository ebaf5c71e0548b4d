---@meta moonhook.json
-- luacheck: ignore 122 212 241 (annotations only)

---@class json
---@field null lightuserdata  what JSON's null is where Lua's nil cannot be
local json = {}

--- Raises at the caller's line for what JSON cannot say: functions, NaN, a table that contains
--- itself, a list with holes, more than 128 levels or 32 MiB.
---@param value any
---@return string
function json.encode(value) end

--- Raises Error coded "bad_json" with line and column.
---@param text string
---@return any
function json.decode(text) end

--- Marks a table as an array: it is encoded as `[]` when it is empty.
---@generic T: table
---@param list? T
---@return T
function json.array(list) end

--- Whether a value is a list: marked as an array, or with a first item.
---@return boolean
function json.is_array(value) end

---@class JsonRaw: userdata  encoded as the text it was made of

--- Raises Error coded "bad_json".
---@param text string
---@return JsonRaw
function json.raw(text) end

return json
