-- The Lua files of workflow apps: compiled in a sandbox of the app's own, again when a file has
-- changed. A version that does not load is logged with its line, and the last good one stays.
local Error = require "moonhook.error"
local coroutines = require("moonhook.coroutines").public
local log = require "host.log"
local sandbox = require "moonhook.sandbox"
local host_reverse = require "host.reverse"

local PUBLIC = sandbox.public

local source = {}

local load_text = load

-- What plugins have, but for the files of a package: there is none. Each app has its own tables, so
-- that none can change another's.
local function new_globals()
  local globals = {}
  for name, value in pairs(sandbox.globals) do
    if type(value) == "table" and value ~= sandbox.globals then
      local copy = {}
      for key, member in pairs(value) do copy[key] = member end
      value = copy
    end
    globals[name] = value
  end
  globals._G = globals

  function globals.load(chunk, name, _, env)
    if type(chunk) ~= "string" and type(chunk) ~= "function" then
      error("bad argument #1 to 'load' (string or function expected)", 2)
    end
    return load_text(chunk, name, "t", env or globals)
  end

  function globals.loadstring(text, name)
    if type(text) ~= "string" then error("bad argument #1 to 'loadstring' (string expected)", 2) end
    return load_text(text, name, "t", globals)
  end

  function globals.require(name)
    if type(name) ~= "string" then
      error(("require: expected a module's name, got a %s"):format(type(name)), 2)
    end
    if PUBLIC[name] then return require(name) end
    error(("module '%s' not found: a workflow app is one file"):format(name), 2)
  end

  return globals
end

-- The function `run` of a text; or nil and what is wrong with it.
local function compile(text, path)
  local chunk, message = load_text(text, "@" .. path, "t", new_globals())
  if not chunk then return nil, message end
  local co = coroutines.create(chunk) -- what it yields must not reach the caller
  local ok, value = coroutines.resume(co)
  if coroutine.status(co) == "suspended" then return nil, path .. ": it yields while it loads" end
  if not ok then
    if Error.is(value) and value.code == "cancelled" then error(value, 0) end
    return nil, tostring(value)
  end
  if type(value) == "table" then value = rawget(value, "run") end
  if type(value) == "function" then return value end
  return nil, path .. ": expected the file to return a table with a function `run`, or a function"
end

local loaded = {} -- [app_id] = { version, text, path, run }

--- The function that runs an app, of the newest version that loads.
---@return fun(session: Session, inputs: table, call: table): table?
function source.of(app_id)
  local text, version, path = host_reverse.app_source(app_id)
  local kept = loaded[app_id] or {}
  loaded[app_id] = kept
  local is_new = text and kept.version ~= version and (kept.text ~= text or kept.path ~= path)
  if text then kept.version = version end -- of the whole configuration: texts tell more
  if is_new then
    local run, problem = compile(text, path)
    kept.text, kept.path = text, path
    if run then
      kept.run = run
    else
      log.write("error", "a workflow app does not load", { app_id = app_id, error = problem })
    end
  elseif not text and not kept.run then
    log.write("error", "a workflow app cannot be read", { app_id = app_id, error = version })
  end
  if kept.run then return kept.run end
  error(Error.new("upstream_error", "the app does not load; the log says why"), 0)
end

return source
