-- moonhook test: takes the plugins' folders from the arguments and gives the rest to busted.
local BUSTED_MISSING = [[
moonhook test: busted is not installed, and specs are run by it.
On Debian and Ubuntu: apt install lua-busted. With LuaRocks, for Lua 5.1: luarocks install busted.
]]

local arguments = {}
for i = 1, #arg do arguments[i] = arg[i] end

local function is_there(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function is_folder(path)
  return is_there(path .. "/.")
end

local function usage(text)
  io.stderr:write("moonhook test: ", text, "; see: moonhook help test\n")
  os.exit(2)
end

-- Options of busted that take the next argument as their value.
local TAKES_VALUE = {}
for name in ([[-p --pattern --exclude-pattern -e -o --output -C --directory -f --config-file
    --coverage-config-file -t --tags --exclude-tags --filter --filter-out -m --lpath --cpath -r
    --run --repeat --seed --lang --loaders --helper --lua -Xoutput -Xhelper]]):gmatch "%S+" do
  TAKES_VALUE[name] = true
end

-- Folders become the spec folders in them; everything else is busted's.
local function roots_and_options()
  local roots, options, i = {}, {}, 1
  while i <= #arguments do
    local argument = arguments[i]
    if argument:sub(1, 1) == "-" then
      options[#options + 1] = argument
      if TAKES_VALUE[argument] and arguments[i + 1] then
        i = i + 1
        options[#options + 1] = arguments[i]
      end
    else
      local path = #argument > 1 and argument:gsub("/+$", "") or argument
      if not is_there(path) then usage(("there is no %s"):format(path)) end
      if is_folder(path) and is_folder(path .. "/spec") then path = path .. "/spec" end
      roots[#roots + 1] = path
    end
    i = i + 1
  end
  if #roots == 0 then
    if not is_folder "spec" then
      usage "this folder has no specs: expected a folder spec/, or a plugin's folder as argument"
    end
    roots[1] = "spec"
  end
  return roots, options
end

if not pcall(require, "busted.core") then
  io.stderr:write(BUSTED_MISSING)
  os.exit(2)
end

local roots, options = roots_and_options()
local all = { [0] = "busted", "--ignore-lua" }
for _, list in ipairs { options, roots } do
  for _, argument in ipairs(list) do all[#all + 1] = argument end
end
_G.arg = all
require "busted.runner" { standalone = false }
