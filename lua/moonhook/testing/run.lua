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
local TAKES_VALUE, LONG = {}, { "--watch", "--version" }
for name in ([[-p --pattern --exclude-pattern -e -o --output -C --directory -f --config-file
    --coverage-config-file -t --tags --exclude-tags --filter --filter-out -m --lpath --cpath -r
    --run --repeat --seed --lang --loaders --helper --lua -Xoutput -Xhelper]]):gmatch "%S+" do
  TAKES_VALUE[name] = true
  if name:find "^%-%-" then LONG[#LONG + 1] = name end
end
for name in ([[coverage verbose enable-sound list ignore-lua lazy auto-insulate keep-going recursive
    shuffle shuffle-files shuffle-tests sort sort-files sort-tests suppress-pending
    defer-print]]):gmatch "%S+" do
  LONG[#LONG + 1] = "--" .. name
end

-- Another busted may have more of them: only what looks misspelt is refused.
local function check_option(argument)
  local name = argument:match "^(%-%-[^=]+)"
  if not name then return end
  local plain = name:gsub("^%-%-no%-", "--")
  for _, known in ipairs(LONG) do
    if known == plain then return end
  end
  local near = require("moonhook.session.check").nearest(name, LONG)
  if near then usage(("unknown option %s, did you mean %s?"):format(name, near)) end
end

-- Folders become the spec folders in them; everything else is busted's.
local function roots_and_options()
  local roots, options, i = {}, {}, 1
  while i <= #arguments do
    local argument = arguments[i]
    if argument:sub(1, 1) == "-" then
      check_option(argument)
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

-- How many specs ran: none is a mistake in a filter, not a success.
local ran, is_listing = 0, false
for _, argument in ipairs(options) do
  is_listing = is_listing or argument == "--list" or argument == "-l" or argument == "--version"
end
local execute = require "busted.execute"
package.loaded["busted.execute"] = function(busted)
  busted.subscribe({ "test", "end" }, function()
    ran = ran + 1
    return nil, true -- the others shall hear of it, too
  end)
  return execute(busted)
end

require "busted.runner" { standalone = false }
if ran == 0 and not is_listing then
  io.stdout:flush()
  io.stderr:write "moonhook test: no spec ran: none matches the filters, or the files hold none\n"
  os.exit(2)
end
