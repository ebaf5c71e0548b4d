--- The globals that a plugin's code runs with, and its `require`. What is not listed here is not
--- there: no io, os, debug, ffi, package, no bytecode.

local lazy = require "moonhook.lazy" -- before anything takes pairs and next
local package = require "host.package"
local log = require "host.log"
local names = require "moonhook.names"
local load_text, select, tostring, type = load, select, tostring, type

-- For the library as well: what it looks through comes from clients and upstreams.
for name, bounded in pairs(require "moonhook.pattern") do
  rawset(string, name, bounded)
end
rawset(string, "format", require("host.task").format)

local PUBLIC = names.public

local globals = {}

local function copy(library)
  local to = {}
  for name in names.libraries[library]:gmatch "%S+" do to[name] = _G[library][name] end
  return to
end

for name in names.base:gmatch "%S+" do
  globals[name] = lazy[name] or _G[name]
end
for _, library in ipairs { "string", "table", "math", "bit" } do
  globals[library] = copy(library)
end
for name, fn in pairs(lazy.table) do globals.table[name] = fn end
globals.coroutine = require("moonhook.coroutines").public
globals._G = globals

-- The string metatable is shared by everything in the state, the library included.
local string_meta = getmetatable ""
string_meta.__index = copy "string"
string_meta.__metatable = false

local function handled(handler, ok, ...)
  if ok then return true, ... end
  return false, handler(...)
end

--- xpcall(f, handler, ...): the handler runs when f's stack is gone, as any other code does, so
--- that it can be stopped and may wait.
function globals.xpcall(f, handler, ...)
  return handled(handler, pcall(f, ...))
end

--- print goes to the log, under the plugin's name.
function globals.print(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
  log.write("info", table.concat(words, "\t"))
end

--- load(text or function, name?, mode?, env?): text only; the plugin's globals are the default.
function globals.load(chunk, name, _, env)
  if type(chunk) ~= "string" and type(chunk) ~= "function" then
    error("bad argument #1 to 'load' (string or function expected)", 2)
  end
  return load_text(chunk, name, "t", env or globals)
end

function globals.loadstring(text, name)
  if type(text) ~= "string" then
    error("bad argument #1 to 'loadstring' (string expected)", 2)
  end
  return load_text(text, name, "t", globals)
end

local loaded = {}  -- [file] = { value }
local loading = {} -- [file] = true

-- Runs a file of the package once. Level 3 is who called require.
local function run_file(file, text)
  if loaded[file] then return loaded[file][1] end
  if loading[file] then
    error(("%s: it requires itself, directly or in a circle"):format(file), 3)
  end
  local chunk, message = load_text(text, "@" .. file, "t", globals)
  if not chunk then error(message, 0) end
  loading[file] = true
  local value = chunk(file)
  loading[file] = nil
  if value == nil then value = true end
  loaded[file] = { value }
  return value
end

--- require "endpoints.talk", "lib/x", "lib/x.lua": a file of the package; or a public module.
function globals.require(name)
  if type(name) ~= "string" then
    error(("require: expected a module's name, got a %s"):format(type(name)), 2)
  end
  if PUBLIC[name] then return require(name) end
  if name:find "^moonhook%." or name:find "^host%." then
    error(("module '%s' is not for plugins"):format(name), 2)
  end
  local stem = name:gsub("%.lua$", "")
  if not stem:find "/" then stem = stem:gsub("%.", "/") end
  local tried = {}
  for _, file in ipairs { stem .. ".lua", stem .. "/init.lua" } do
    if loaded[file] then return loaded[file][1] end
    local text = package.read(file)
    if text then return run_file(file, text) end
    tried[#tried + 1] = file
  end
  error(("module '%s' not found: the package has no %s")
    :format(name, table.concat(tried, " and no ")), 2)
end

-- A name that is written without `local` by mistake would be every later request's, too.
setmetatable(globals, {
  __newindex = function(_, name)
    name = tostring(name)
    error(("write to the undeclared global '%s': write 'local %s', or rawset(_G, '%s', ...)")
      :format(name, name, name), 2)
  end,
  __metatable = false,
})

local check_stack = require("host.task").check_stack

local LONG_LIST = 50000 -- sorted in some 20 ms

local function is_less(a, b) return a < b end

--- table.sort: comparators may sort in turn, but not for ever. Nothing stops the comparisons that C
--- makes, so those of a long list are made in Lua.
local sort = table.sort
function globals.table.sort(list, is_before)
  check_stack()
  if is_before == nil and type(list) == "table" and #list > LONG_LIST then is_before = is_less end
  return sort(list, is_before)
end

local sandbox = { globals = globals, public = PUBLIC }

--- The function that every task starts with. Library module `name` gives it, with the first task: a
--- plugin that nobody asks needs less than half the memory.
---@param name string
---@return function
function sandbox.entry(name)
  local entry
  return function(...)
    entry = entry or require(name)
    return entry(...)
  end
end

--- Loads an endpoint's source file; gives a table with `invoke`.
---@param file string  relative to the package
---@return { invoke: function }  invoke(self, request, values, settings): Response|string
function sandbox.load_handler(file)
  local text, message = package.read(file)
  if not text then error(message, 0) end
  local value = run_file(file, text)
  if type(value) == "function" then
    value = { invoke = value } -- with the same parameters: self comes first
  end
  if type(value) ~= "table" or type(value.invoke) ~= "function" then
    local got = type(value) == "table" and "a table without `invoke`" or "a " .. type(value)
    if value == true then -- what `require` makes of nothing
      local name = text:match "function%s+([%a_][%w_]*)[.:]invoke"
        or text:match "local%s+function%s+([%a_][%w_]*)" or "..."
      got = ("nothing: is `return %s` missing at its end?"):format(name)
    end
    error(("%s: expected it to return a table with a function `invoke`, or a function, got %s")
      :format(file, got), 0)
  end
  return value
end

return sandbox
