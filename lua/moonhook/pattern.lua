--- string.find, match, gmatch and gsub that end: a pattern that needs too many steps raises
--- "pattern too complex". In all else they are Lua's own. A function given to gsub may wait, as it
--- is called from here and not from C.

local pattern = require "host.pattern"
local gsub_by_value, steps = pattern.gsub, pattern.steps
local getmetatable, tonumber, type = getmetatable, tonumber, type

local OVER = {} -- identity is what counts

local function call(by, first, ...)
  if first == nil then return OVER, ... end
  return by(first, ...)
end

local function gsub_by_call(by, step)
  local value, text, count
  repeat value, text, count = call(by, step(value)) until value == OVER
  return text, count
end

local function is_text(value)
  return type(value) == "string" or type(value) == "number"
end

-- Tail calls throughout: an error names the line that called string.gsub.
local function gsub(...)
  local subject, what, by, limit = ...
  local kind = type(by)
  if kind == "function" or kind == "table" and getmetatable(by) ~= nil then
    if is_text(subject) and is_text(what) and (limit == nil or tonumber(limit)) then
      local step = steps(subject, what, limit, kind == "table")
      if kind == "function" then return gsub_by_call(by, step) end
      return gsub_by_call(function(key) return by[key] end, step)
    end
  end
  return gsub_by_value(...)
end

return { find = pattern.find, match = pattern.match, gmatch = pattern.gmatch, gsub = gsub }
