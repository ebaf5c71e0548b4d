--- Integers and strings as bytes and back: the part of Lua 5.3's string.pack that protocols use.
---
---   <  >         little-endian (at the beginning), big-endian from here on
---   b B  h H     an integer of 1, of 2 bytes; the capitals are unsigned
---   iN IN        of N bytes, 1 to 8, by default 4
---   sN           a string behind its length, an unsigned integer of N bytes
---   cN  z  x     a string of N bytes; one that ends with a zero byte; one zero byte, no value
---
--- Lua's numbers are doubles: an integer beyond 2^53 - 1 is refused, never rounded.

local Error = require "moonhook.error"

local char, concat, error, floor = string.char, table.concat, error, math.floor
local select, tonumber, tostring, type, unpack = select, tonumber, tostring, type, unpack
local blame = Error.blame

local MAX_EXACT = 2 ^ 53 - 1
local SIZES = { b = 1, B = 1, h = 2, H = 2 }

-- Reads a format: a function that gives kind, size, the option as written, is_big_endian.
-- Kinds: "i" signed, "I" unsigned, "s", "c", "z", "x".
local function options(place, format)
  if type(format) ~= "string" then
    blame(("%s: format: expected a string, got %s"):format(place, type(format)))
  end
  local is_big = false
  local at = 1
  local function next_option()
    local name, digits, rest = format:match("^%s*([<>bBhHiIscxz])(%d*)()", at)
    if not name then
      if format:find("^%s*$", at) then return nil end
      blame(("%s: format: unknown option at %q"):format(place, format:sub(at)))
    end
    at = rest
    local size = SIZES[name] or tonumber(digits)
    if digits ~= "" and not name:find "[iIsc]" then
      blame(("%s: format: '%s' takes no size, got '%s'"):format(place, name, name .. digits))
    elseif name == "<" or name == ">" then
      is_big = name == ">"
      return next_option()
    elseif name == "i" or name == "I" or name == "s" then
      size = size or name ~= "s" and 4
      if not size or size < 1 or size > 8 then
        blame(("%s: format: '%s' needs a size of 1 to 8, got '%s'")
          :format(place, name, name .. digits))
      end
    elseif name == "c" and not (size and size <= MAX_EXACT) then
      blame(("%s: format: 'c' needs a size"):format(place))
    end
    local kind = SIZES[name] and (name:find "%l" and "i" or "I") or name
    return kind, size, name .. digits, is_big
  end
  return next_option
end

-- --- pack ----------------------------------------------------------------------------------------

local function integer_bytes(value, size, is_big)
  local bytes = {}
  for i = 1, size do
    local byte = value % 256 -- of a negative number the two's complement
    bytes[is_big and size + 1 - i or i] = char(byte)
    value = floor(value / 256)
  end
  return concat(bytes)
end

local function check_integer(value, kind, size, option, number)
  local limit = size < 7 and 256 ^ size or MAX_EXACT + 1
  local low, high = 0, limit - 1
  if kind == "i" then
    if size < 7 then limit = limit / 2 end
    low, high = size < 7 and -limit or 1 - limit, limit - 1
  end
  if type(value) ~= "number" or value % 1 ~= 0 or value < low or value > high then
    blame(("pack: value %d: expected an integer %.0f..%.0f for '%s', got %s")
      :format(number, low, high, option,
        type(value) == "number" and tostring(value) or "a " .. type(value)))
  end
end

local function check_string(value, kind, size, option, number)
  if type(value) ~= "string" then
    blame(("pack: value %d: expected a string for '%s', got a %s")
      :format(number, option, type(value)))
  end
  local is_bad = kind == "c" and #value > size or kind == "z" and value:find("%z")
    or kind == "s" and #value >= 256 ^ size
  if is_bad then
    blame(("pack: value %d: a string of %d bytes does not fit '%s'%s")
      :format(number, #value, option, kind == "z" and ": it contains a zero byte" or ""))
  end
end

--- Makes bytes of values: pack(">I4 s2", 1, "ab") is "\0\0\0\1\0\2ab".
---@param format string
---@param ... integer|string
---@return string bytes
local function pack(format, ...)
  local out, number = {}, 0
  for kind, size, option, is_big in options("pack", format) do
    if kind == "x" then
      out[#out + 1] = "\0"
    else
      number = number + 1
      local value = select(number, ...)
      if kind == "i" or kind == "I" then
        check_integer(value, kind, size, option, number)
        out[#out + 1] = integer_bytes(value, size, is_big)
      else
        check_string(value, kind, size, option, number)
        if kind == "s" then out[#out + 1] = integer_bytes(#value, size, is_big) end
        out[#out + 1] = value
        if kind == "c" then out[#out + 1] = ("\0"):rep(size - #value) end
        if kind == "z" then out[#out + 1] = "\0" end
      end
    end
  end
  if select("#", ...) > number then
    blame(("pack: %d values for a format of %d"):format(select("#", ...), number))
  end
  return concat(out)
end

-- --- unpack --------------------------------------------------------------------------------------

local function refuse(at, option, reason)
  error(Error.new("bad_bytes", ("'%s' at byte %d: %s"):format(option, at, reason)), 0)
end

local function read_integer(bytes, at, size, is_signed, is_big, option)
  if at + size - 1 > #bytes then refuse(at, option, "the data ends") end
  local first = bytes:byte(is_big and at or at + size - 1)
  local is_negative = is_signed and first >= 128
  local value = 0
  for i = 0, size - 1 do
    local byte = bytes:byte(is_big and at + i or at + size - 1 - i)
    value = value * 256 + (is_negative and 255 - byte or byte)
  end
  if is_negative then value = value + 1 end
  if value > MAX_EXACT then refuse(at, option, "the integer is beyond 2^53 - 1") end
  return is_negative and -value or value, at + size
end

local function read_string(bytes, at, kind, size, is_big, option)
  local first, last, next_at = at
  if kind == "s" then
    local length
    length, first = read_integer(bytes, at, size, false, is_big, option)
    last = first + length - 1
  elseif kind == "c" then
    last = first + size - 1
  else
    next_at = bytes:find("%z", first)
    last = next_at and next_at - 1 or #bytes + 1
  end
  if last > #bytes then refuse(at, option, "the data ends") end
  return bytes:sub(first, last), (next_at or last) + 1
end

--- Reads values from bytes; the last one returned is where the next byte stands.
--- Raises Error coded "bad_bytes" when the bytes end too early.
---@param format string
---@param bytes string
---@param position? integer  by default 1
---@return integer|string ...
local function unpack_bytes(format, bytes, position)
  if type(bytes) ~= "string" then
    blame("unpack: bytes: expected a string, got " .. type(bytes))
  end
  local at = position or 1
  if type(at) ~= "number" or at % 1 ~= 0 or at < 1 then
    blame("unpack: position: expected an integer from 1 on, got " .. tostring(position))
  end
  local values, count = {}, 0
  for kind, size, option, is_big in options("unpack", format) do
    if at > #bytes + 1 then refuse(at, option, "the data ends") end
    if kind == "x" then
      if at > #bytes then refuse(at, option, "the data ends") end
      at = at + 1
    else
      count = count + 1
      if kind == "i" or kind == "I" then
        values[count], at = read_integer(bytes, at, size, kind == "i", is_big, option)
      else
        values[count], at = read_string(bytes, at, kind, size, is_big, option)
      end
    end
  end
  values[count + 1] = at
  return unpack(values, 1, count + 1)
end

return { pack = pack, unpack = unpack_bytes }
