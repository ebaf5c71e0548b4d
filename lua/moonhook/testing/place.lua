-- Where in a spec something was said.
local place = {}

-- The innermost level outside of the library. Specs have full Lua, so debug is there.
local function info_of_caller()
  for level = 3, 30 do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    if info.source:sub(1, 1) == "@" then return info end
  end
end

--- "spec/hello_spec.lua:12" of whoever called the library.
---@return string
function place.of_caller()
  local info = info_of_caller()
  return info and ("%s:%d"):format(info.source:sub(2), info.currentline) or "?"
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- The folder of the plugin that the calling spec belongs to: the nearest above it with a manifest.
---@return string? dir, string spec
function place.of_plugin()
  local info = info_of_caller()
  local spec = info and info.source:sub(2) or "?"
  local dir = spec:match "^(.*)/[^/]*$" or "."
  for _ = 1, 20 do
    if exists(dir .. "/manifest.yaml") then return dir, spec end
    if dir == "/" then break end
    local parent = dir:match "^(.*)/[^/]+$"
    if dir == "." or dir:match "%.%.$" then
      parent = dir == "." and ".." or dir .. "/.."
    end
    dir = parent or (dir:sub(1, 1) == "/" and "/" or ".")
    if dir == "" then dir = "/" end
  end
  return nil, spec
end

return place
