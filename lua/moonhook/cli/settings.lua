--- Settings as a command line gives them, typed as the plugin declares them. Secrets come from a
--- file or from standard input, never from an argument: arguments are seen by everybody.

local json = require "moonhook.json"
local tool = require "host.tool"
local failure = require "moonhook.cli.failure"

local settings = {}

local BOOLEANS = { ["true"] = true, yes = true, on = true, ["false"] = false, no = false,
  off = false }

local function find(plugin, name)
  local names = {}
  for _, setting in ipairs(plugin.settings) do
    if setting.name == name then return setting end
    names[#names + 1] = setting.name
  end
  local near = tool.nearest(name, names)
  failure.usage("%s has no setting '%s'%s", plugin.id, name,
    near and (", did you mean '%s'?"):format(near)
      or #names > 0 and "; it has " .. table.concat(names, ", ") or "; it has none")
end

local function from_json(name, text)
  local ok, value = pcall(json.decode, text)
  if not ok then failure.usage("--set %s: %s", name, value.message) end
  return value
end

local function is_json(text)
  return text:find "^%s*[%[{]" ~= nil
end

-- "provider/model", or JSON. A provider of Dify's has slashes itself: there JSON is needed.
local function model(name, text)
  if is_json(text) then return from_json(name, text) end
  local provider, rest = text:match "^([^/]+)/(.+)$"
  if not provider then
    failure.usage("--set %s: expected PROVIDER/MODEL or JSON, got '%s'", name, text)
  end
  return { provider = provider, model = rest }
end

local READ = {
  ["text-input"] = function(_, text) return text end,
  select = function(_, text) return text end,
  ["model-selector"] = model,
  ["app-selector"] = function(name, text)
    if is_json(text) then return from_json(name, text) end
    return { app_id = text }
  end,
  ["array[tools]"] = from_json,
  boolean = function(name, text)
    local value = BOOLEANS[text:lower()]
    if value == nil then
      failure.usage("--set %s: expected true or false, got '%s'", name, text)
    end
    return value
  end,
  ["secret-input"] = function(name)
    failure.usage("%s is a secret: give it with --secret %s=@FILE, or --secret %s=- to read it "
      .. "from standard input", name, name, name)
  end,
}

local function split(flag, text)
  local name, value = text:match "^([^=]+)=(.*)$"
  if not name then failure.usage("%s: expected NAME=VALUE, got '%s'", flag, text) end
  return name, value
end

-- Several of one name are a list where the setting takes several.
local function add(values, setting, value)
  local before = values[setting.name]
  if not setting.multiple then
    if before ~= nil then failure.usage("%s was given twice", setting.name) end
    values[setting.name] = value
  elseif json.is_array(value) then
    values[setting.name] = value
  else
    before = before or json.array()
    before[#before + 1] = value
    values[setting.name] = before
  end
end

-- A secret's text without the newline that ends a file.
local function checked(name, text, from)
  text = text:gsub("\r?\n$", "")
  if text == "" then failure.raise("--secret %s: %s is empty", name, from) end
  return text
end

local function read_file(name, path)
  local file, why = io.open(path, "rb")
  if not file then failure.raise("--secret %s: %s", name, why) end
  local text = file:read "*a"
  file:close()
  if not text then failure.raise("--secret %s: %s cannot be read", name, path) end
  return checked(name, text, path)
end

local function ask(name)
  io.stderr:write(name, ": ")
  io.stderr:flush()
  local text = tool.read_hidden()
  if not text then failure.raise("nothing was changed") end
  return text
end

-- NAME=@FILE, NAME=-, or NAME alone on a terminal.
local function secret(text)
  local name, from = text:match "^([^=]+)=(.*)$"
  if not name then
    if not tool.is_terminal(0) then
      failure.usage("--secret %s: nobody can be asked here: say %s=@FILE or %s=-", text, text, text)
    end
    return text, ask(text)
  elseif from == "-" then
    return name, checked(name, io.stdin:read "*a" or "", "standard input")
  elseif from:sub(1, 1) == "@" and #from > 1 then
    return name, read_file(name, from:sub(2))
  end
  failure.usage("--secret %s: expected %s=@FILE, or %s=- for standard input; a secret in the "
    .. "arguments would be seen by everybody on this machine", name, name, name)
end

--- The settings of --set, --secret, --none and --unset; nil when none was given.
---@param input CliInput
---@param plugin table  as the admin API gives it
---@return table? values
---@return string[]? unset
function settings.read(input, plugin)
  local values, unset, inputs = {}, {}, 0
  for _, text in ipairs(input.flags["--set"] or {}) do
    local name, value = split("--set", text)
    local setting = find(plugin, name)
    add(values, setting, READ[setting.type](name, value))
  end
  for _, text in ipairs(input.flags["--secret"] or {}) do
    inputs = inputs + (text:find "=%-$" and 1 or 0)
  end
  if inputs > 1 then failure.usage("standard input holds one secret only") end
  for _, text in ipairs(input.flags["--secret"] or {}) do
    local setting = find(plugin, text:match "^[^=]*")
    if setting.type ~= "secret-input" then
      failure.usage("%s is no secret: give it with --set", setting.name)
    end
    local name, value = secret(text)
    add(values, find(plugin, name), value)
  end
  for _, name in ipairs(input.flags["--none"] or {}) do
    values[find(plugin, name).name] = json.null
  end
  for i, name in ipairs(input.flags["--unset"] or {}) do unset[i] = find(plugin, name).name end
  return next(values) and values or nil, unset[1] and unset or nil
end

--- On a terminal, asks for the required secrets that were not given.
function settings.ask_missing(values, plugin)
  if not (tool.is_terminal(0) and tool.is_terminal(2)) then return values end
  for _, setting in ipairs(plugin.settings) do
    local is_given = values and values[setting.name] ~= nil
    if setting.type == "secret-input" and setting.required and not is_given then
      values = values or {}
      values[setting.name] = ask(setting.name)
    end
  end
  return values
end

return settings
