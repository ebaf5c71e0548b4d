---@meta moonhook
-- luacheck: ignore 122 212 241 (annotations only)
-- What `require "moonhook"` gives a plugin. Explained in docs/plugin-api.md.

---@class moonhook
---@field Response ResponseClass
---@field Error ErrorClass
---@field json json
---@field log Log
---@field crypto crypto
---@field verify verify
local moonhook = {}

--- Ends the request with a status: raises an Error that, uncaught, is the reply.
---@param status integer  400..599
---@param message? string  what the client reads; the status's own by default
---@param code? string  stable, for programs; the status's own by default: "bad_request" ...
function moonhook.abort(status, message, code) end

--- Renders a file of the package: `{{ name }}` and `{{ name.member }}`, escaped by their place.
---@param path string
---@param values? table
---@return string html
function moonhook.template(path, values) end

--- Reads a file of the package and nothing outside of it.
--- Raises Error coded "no_such_file".
---@param path string
---@return string bytes
function moonhook.read(path) end

--- Waits; other requests run meanwhile.
--- Raises Error coded "cancelled" when the client leaves.
---@param delay_ms number  from 0 to 86400000, a day
function moonhook.sleep(delay_ms) end

--- Seconds since 1970, whole.
---@return integer
function moonhook.time() end

--- Whether two strings are the same, in a time that tells only their lengths: for keys.
---@param a string
---@param b string
---@return boolean
function moonhook.equal(a, b) end

---@param bytes string
---@return string text
function moonhook.base64(bytes) end

--- Both alphabets, padding optional; nil for anything else.
---@param text string
---@param is_loose? boolean  bits left over at the end may be set
---@return string? bytes
function moonhook.base64_decode(text, is_loose) end

---@param bytes string
---@return string text  lower-case hexadecimal
function moonhook.hex(bytes) end

---@param list number[]
---@return string bytes  little-endian float32 of each
function moonhook.pack_floats(list) end

--- Integers and strings as bytes, in the manner of Lua 5.3: `<` `>` the order of bytes,
--- little-endian at the beginning; `b` `h` `i4` integers of 1, 2 and 4 (1 to 8) bytes, capitals
--- unsigned; `s4` a string behind its length; `c8` one of 8 bytes; `z` one that ends with a zero
--- byte; `x` a zero byte. A value that does not fit raises at the caller's line.
---@param format string
---@param ... integer|string
---@return string bytes
function moonhook.pack(format, ...) end

--- Reads what `pack` writes. Raises Error coded "bad_bytes" when the bytes end too early, or an
--- integer is beyond 2^53 - 1.
---@param format string
---@param bytes string
---@param position? integer  where to begin, by default 1
---@return integer|string ...  the values, then where the next byte stands
function moonhook.unpack(format, bytes, position) end

---@param count integer  at most 1 MiB
---@return string bytes
function moonhook.random(count) end

---@return string uuid  version 4
function moonhook.uuid() end

---@param bytes string
---@return string hash  32 bytes
function moonhook.sha256(bytes) end

---@param key string
---@param bytes string
---@return string hash  32 bytes
function moonhook.hmac_sha256(key, bytes) end

---@class Error  what calls raise when the world fails; tostring() tells code and message
---@field code string  stable, for programs: "not_found", "upstream_timeout" ...
---@field message string  for people
---@field status? integer  HTTP status of the reply when nobody catches it
---@field [string] any

---@class ErrorClass
local Error = {}

---@param code string
---@param message? string
---@param fields? { status?: integer, [string]: any }
---@return Error
function Error.new(code, message, fields) end

---@return boolean
function Error.is(value) end

---@class Log
local Log = {}
---@param message string
---@param fields? table<string, string|number|boolean>
function Log.debug(message, fields) end
---@param message string
---@param fields? table<string, string|number|boolean>
function Log.info(message, fields) end
---@param message string
---@param fields? table<string, string|number|boolean>
function Log.warn(message, fields) end
---@param message string
---@param fields? table<string, string|number|boolean>
function Log.error(message, fields) end

return moonhook
