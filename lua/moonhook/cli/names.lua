--- `moonhook check`: names in plugins' code that are not there. Reads of globals that nobody
--- declares, writes to them (they raise), `require` of modules that are not there, and what
--- library_use.lua knows of the library. Code that asks first (`if jit then`, `x or y`, type(x),
--- pcall) is left alone: it runs in production as well.

local bytecode = require "moonhook.cli.bytecode"
local json = require "host.json"
local library_use = require "moonhook.cli.library_use"
local names = require "moonhook.names"
local tool = require "host.tool"

local called_with, only_string, use_of =
  bytecode.called_with, bytecode.only_string, bytecode.use_of

local function set_of(text)
  local set = {}
  for name in text:gmatch "%S+" do set[name] = true end
  return set
end

local function keys_of(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

local GLOBALS = set_of(names.own)
for name in names.base:gmatch "%S+" do GLOBALS[name] = _G[name] ~= nil or nil end
local LIBRARIES = {}
for library, members in pairs(names.libraries) do
  GLOBALS[library] = true
  LIBRARIES[library] = set_of(members)
end
-- Of other Lua versions and hosts: code that runs in many places reads them, and copes.
local FOREIGN = set_of [[os io debug package jit ffi setfenv getfenv module collectgarbage dofile
  loadfile newproxy gcinfo arg utf8 bit32 ngx _ENV warn]]
local KEYWORDS = "and break do else elseif end false for function goto if in local nil not or "
  .. "repeat return then true until while"
local MAX_LINE_BYTES = 400
local PROTECTS = { pcall = true, xpcall = true }
local LOOKS_ONLY = set_of "rawget rawequal pairs next type tostring" -- at _G

-- ---- one file -----------------------------------------------------------------------------------

-- What a file's code does with names: lists of { name, line, use, is_protected }.
local function survey(chunk, role, input)
  local tree, protected = bytecode.tree(chunk), {}
  local found = {
    reads = {}, writes = {}, requires = {}, members = {},
    guarded = {}, declared = {},
    returns = true,     -- something
    is_open = false,    -- _G goes where anything may be declared in it
    is_dynamic = false, -- `require` of what only running tells
  }

  local function note(list, name, instruction, use, is_protected)
    list[#list + 1] =
      { name = name, line = instruction.line, use = use, is_protected = is_protected }
  end

  local function see_environment(code, at)
    local use, field, used_at = use_of(code, at)
    local caller = called_with(code, at)
    if use == "set" and field then
      note(found.writes, field, code[used_at])
    elseif caller == "rawset" then
      local name = code[at + 1]
      if name and name.name == "KSTR" then
        found.declared[name.text] = true
      else
        found.is_open = true
      end
    elseif use ~= "index" and use ~= "test" and not LOOKS_ONLY[caller or ""] then
      found.is_open = true
    end
  end

  local function see_require(code, at, is_protected)
    local name = only_string(code, at)
    if name then
      note(found.requires, name, code[at], nil, is_protected)
    else
      found.is_dynamic = true
    end
  end

  local function see_read(code, at, is_protected)
    local name = code[at].text
    local use, field, used_at = use_of(code, at)
    if use == "test" or called_with(code, at) == "type" then
      found.guarded[name] = true
    elseif LIBRARIES[name] then
      local member_use = use == "index" and field and use_of(code, used_at)
      local full = member_use and name .. "." .. field
      if member_use == "test" then
        found.guarded[full] = true
      elseif member_use == "call" and not LIBRARIES[name][field] then
        note(found.members, full, code[used_at], nil, is_protected)
      end
    else
      note(found.reads, name, code[at], use, is_protected)
    end
  end

  bytecode.walk(tree, function(code, owner)
    if not owner then found.returns = code.returns end
    local is_protected = owner ~= nil
      and (owner.own or PROTECTS[called_with(owner.code, owner.at) or ""]) or false
    protected[code] = is_protected
    for at, instruction in ipairs(code) do
      if instruction.name == "GSET" then
        note(found.writes, instruction.text, instruction, nil, is_protected)
      elseif instruction.name == "GGET" then
        if instruction.text == "_G" then
          see_environment(code, at)
        elseif instruction.text == "require" then
          see_require(code, at, is_protected)
        else
          see_read(code, at, is_protected)
        end
      end
    end
    return is_protected
  end)
  found.library = library_use.survey(tree, protected, role, input)
  for _, module in ipairs(found.library.requires) do table.insert(found.requires, module) end
  return found
end

-- ---- places and names nearby --------------------------------------------------------------------

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do lines[#lines + 1] = line end
  return lines
end

-- Where a name stands in a line as a word, and is a field or not; nil when it does not.
local function column_in(line, name, is_field)
  local from = 1
  while line do
    local start, stop = line:find(name, from, true)
    if not start then return nil end
    local before, behind = line:sub(1, start - 1), line:sub(stop + 1, stop + 1)
    local is_word = not behind:find "[%w_]" and not before:find "[%w_]$"
    local is_dotted = before:find "[.:]%s*$" and not before:find "%.%.%s*$"
    if is_word and not is_dotted == not is_field then return start end
    from = start + 1
  end
end

-- The instruction's line is sometimes one behind the name's.
local function place_of(file, line, name, is_field)
  for back = 0, 2 do
    local column = column_in(file.lines[line - back], name, is_field)
    if column then return line - back, column end
  end
  local text = file.lines[line] or ""
  return line, #text:match "^%s*" + 1
end

-- Everything that the file calls by a name of its own. Line by line, so that no text costs much.
local function own_names(lines)
  local own = {}
  local function add(list)
    for name in list:gmatch "[%a_][%w_]*" do own[name] = true end
  end
  for _, line in ipairs(lines) do
    if #line <= MAX_LINE_BYTES then
      add(line:match "local%s+([%w_,%s]*)" or "")
      add(line:match "local%s+function%s+([%a_][%w_]*)" or "")
      add(line:match "for%s+([%w_,%s]*)" or "")
      for list in line:gmatch "function[%s%w_.:]*%(([^)]*)%)" do add(list) end
    end
  end
  for word in KEYWORDS:gmatch "%a+" do own[word] = nil end
  return own
end

local function near_name(file, name, hint)
  if not file.near then
    local all = own_names(file.lines)
    file.own = own_names(file.lines)
    for global in pairs(GLOBALS) do all[global] = true end
    for keyword in KEYWORDS:gmatch "%a+" do all[keyword] = true end
    file.near = keys_of(all)
  end
  if file.own[name] then return "; a local of this name is in another block or further down" end
  if hint then return hint end
  local near = tool.nearest(name, file.near)
  return near and (", did you mean '%s'?"):format(near) or ""
end

-- ---- modules ------------------------------------------------------------------------------------

local function stem_of(name)
  local stem = name:gsub("%.lua$", "")
  if not stem:find "/" then stem = stem:gsub("%.", "/") end
  return stem
end

local function find_module(package, name)
  local stem = stem_of(name)
  for _, path in ipairs { stem .. ".lua", stem .. "/init.lua" } do
    if package.paths[path] then return path end
  end
end

local function near_module(package, name)
  local list = keys_of(names.public)
  for path in pairs(package.paths) do
    local stem = path:gsub("/init%.lua$", ""):gsub("%.lua$", "")
    list[#list + 1] = name:find("/", 1, true) and stem or (stem:gsub("/", "."))
  end
  table.sort(list)
  local near = tool.nearest(name, list)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local function missing_module(package, name)
  if names.public[name] or package.paths[name] or find_module(package, name) then return nil end
  if name:find "^moonhook%." or name:find "^host%." then
    return ("module '%s' is not for plugins"):format(name) .. near_module(package, name)
  elseif package.is_app then
    return ("module '%s' not found: a workflow app is one file"):format(name)
  end
  local stem = stem_of(name)
  return ("module '%s' not found: the package has no %s.lua and no %s/init.lua")
    :format(name, stem, stem) .. near_module(package, name)
end

-- ---- a package ----------------------------------------------------------------------------------

-- The files that the declared sources lead to; all of them where only running tells.
local function reached(package)
  local seen, queue = {}, {}
  local function reach(path)
    if path and package.files[path] and not seen[path] then
      seen[path] = true
      queue[#queue + 1] = package.files[path]
    end
  end
  for _, source in ipairs(package.sources) do reach(source) end
  if #queue == 0 then return package.list end
  for _, file in ipairs(queue) do -- it grows
    if file.found.is_dynamic then return package.list end
    for _, module in ipairs(file.found.requires) do reach(find_module(package, module.name)) end
  end
  return queue
end

local function judge(package, file, add)
  local found = file.found

  local function is_known(name)
    return GLOBALS[name] or package.declared[name] or package.is_open
  end

  local written = {} -- told of once, where it is written
  for _, write in ipairs(found.writes) do written[write.name] = true end
  for _, read in ipairs(found.reads) do
    local name, hint = read.name, tool.hint(read.name)
    local fails = read.use == "index" or read.use == "set" or read.use == "call"
    local is_excused = FOREIGN[name] and (read.is_protected or not fails)
    if not is_known(name) and not found.guarded[name] and not written[name] and not is_excused then
      hint = near_name(file, name, hint and ": " .. hint)
      add(file, read, name, fails and not read.is_protected,
        ("the global '%s' is not declared%s"):format(name, hint))
    end
  end
  for _, write in ipairs(found.writes) do
    if not is_known(write.name) then
      add(file, write, write.name, not write.is_protected,
        ("write to the undeclared global '%s': write 'local %s', or rawset(_G, '%s', ...)")
          :format(write.name, write.name, write.name))
    end
  end
  for _, member in ipairs(found.members) do
    local library, name = member.name:match "^(.-)%.(.*)$"
    if not found.guarded[member.name] then
      local near = tool.nearest(name, keys_of(LIBRARIES[library]))
      add(file, member, library, not member.is_protected, ("plugins have no function '%s'%s")
        :format(member.name, near and (", did you mean '%s.%s'?"):format(library, near) or ""))
    end
  end
  for _, module in ipairs(found.requires) do
    local message = missing_module(package, module.name)
    if message and not module.is_protected then
      add(file, module, module.place or "require", true, message)
    end
  end
  local function add_read(read, is_error, message)
    add(file, read, read.name, is_error, message, true)
  end
  library_use.judge(found.library, package.written, package.permitted, add_read)
end

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

-- Files that do not compile are told of by who compiles them.
local function read_package(input)
  local package = {
    files = {}, list = {}, paths = {}, declared = {}, is_open = false, written = {},
    sources = input.sources, is_app = input.is_app,
    permitted = input.permissions and set_of(input.permissions),
  }
  local roles = {}
  for _, path in ipairs(input.is_app and input.files or input.sources) do
    roles[path] = input.is_app and "app" or "source"
  end
  for _, path in ipairs(input.files) do
    local text = read_file(input.dir .. "/" .. path)
    local chunk = text and load(text, "@" .. path, "t")
    package.paths[path] = not input.is_app or nil
    if chunk then
      local file = { path = path, text = text, lines = lines_of(text),
        found = survey(chunk, roles[path], input) }
      package.files[path] = file
      package.list[#package.list + 1] = file
      for name in pairs(file.found.declared) do package.declared[name] = true end
      for name in pairs(file.found.library.written) do package.written[name] = true end
      package.is_open = package.is_open or file.found.is_open
    end
  end
  return package
end

-- An endpoint's source must return its handler.
local function judge_source(file, problems)
  if file.found.returns then return end
  local name = file.text:match "function%s+([%a_][%w_]*)[.:]invoke"
    or file.text:match "local%s+function%s+([%a_][%w_]*)" or "..."
  problems[#problems + 1] = {
    file = file.path, line = math.max(#file.lines - 1, 1), column = 1, is_warning = false,
    message = ("expected it to return a table with a function `invoke`, or a function, got nothing:"
      .. " is `return %s` missing at its end?"):format(name),
  }
end

---@class NamesInput
---@field dir string  the package's folder
---@field files string[]  its Lua files, relative
---@field sources string[]  those that endpoints name; empty: not known
---@field is_app boolean  one file, which requires no other of its own
---@field permissions? string  of the manifest, "app.enabled model.llm"; nil: it cannot be read
---@field settings? string[]  that it declares
---@field variables? string[]  in its paths

---@param input NamesInput
---@return string  JSON, a list of { file, line, column, message, is_warning }
return function(input)
  local package, problems = read_package(input), {}
  local function add(file, at, name, is_error, message, is_field)
    local line, column = place_of(file, at.line, name, is_field)
    problems[#problems + 1] = {
      file = file.path, line = line, column = column, message = message,
      is_warning = not is_error,
    }
  end
  for _, file in ipairs(reached(package)) do judge(package, file, add) end
  local is_told = {}
  for _, source in ipairs(package.sources) do
    local file = package.files[source]
    if file and not is_told[source] then judge_source(file, problems) end
    is_told[source] = true
  end
  return json.must_encode(problems)
end
