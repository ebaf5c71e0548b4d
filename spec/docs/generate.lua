--- Makes docs/plugin-api.md of the annotations in lua/moonhook/meta and of the page's own words in
--- spec/docs/plugin-api.in.md.
---
---   luajit spec/docs/generate.lua           writes the page
---   luajit spec/docs/generate.lua --check   exits with 1 when the page is stale
---
--- In the page's words a line of its own is replaced:
---
---   {{function ChatApp:invoke}}     what is written above the function
---   {{arguments ChatCall}}          a table of a class's fields, as arguments
---   {{fields Request request.}}     the same as fields, with what stands before their names
---   {{functions Storage storage:}}  a table of a class's functions, with what they do
local META = "lua/moonhook/meta"
local SOURCE, PAGE = "spec/docs/plugin-api.in.md", "docs/plugin-api.md"

local generate = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function meta_files()
  local files, listing = {}, io.popen(("ls %s/*.lua"):format(META))
  for path in listing:lines() do files[#files + 1] = path end
  listing:close()
  return files
end

-- ---- reading annotations ------------------------------------------------------------------------

-- The end of a type, which may hold spaces between braces and after a comma or colon: two spaces
-- stand between it and what is said about it.
local function split_type(rest)
  local kind, text = rest:match "^(.-)  (.*)$"
  return kind or rest, text
end

---@class DocClass
---@field name string
---@field parent? string
---@field fields { name: string, is_optional: boolean, text: string }[]
---@field functions { name: string, call: string, text: string[] }[]

local function new_class(docs, name, parent)
  local class = docs.classes[name]
  if not class then
    class = { name = name, fields = {}, functions = {} }
    docs.classes[name] = class
  end
  class.parent = class.parent or parent
  return class
end

-- What the lines above something say; blank lines at the ends do not count.
local function text_of(lines)
  local first, last = 1, #lines
  while first <= last and lines[first] == "" do first = first + 1 end
  while last >= first and lines[last] == "" do last = last - 1 end
  local text = {}
  for i = first, last do text[#text + 1] = lines[i] end
  return text
end

local function read_field(class, line, said)
  local name, optional, rest = line:match "^@field ([%w_]+)(%??) (.*)$"
  if not name then return end
  local _, text = split_type(rest)
  if not text and #said > 0 then text = table.concat(said, " ") end
  class.fields[#class.fields + 1] =
    { name = name, is_optional = optional == "?", text = text or "" }
end

local function read_function(docs, line, said, optional)
  local owner, mark, name, parameters = line:match "^function ([%w_]+)([.:])([%w_]+)%((.-)%) end"
  if not owner then return end
  local names = {}
  for parameter in parameters:gmatch "[%w_.]+" do
    names[#names + 1] = parameter .. (optional[parameter] and "?" or "")
  end
  local class = new_class(docs, docs.locals[owner] or owner)
  local entry = { name = name, mark = mark, text = text_of(said) }
  entry.call = ("%s(%s)"):format(name, table.concat(names, ", "))
  class.functions[#class.functions + 1] = entry
  docs.functions[class.name .. mark .. name] = entry
end

local function read_annotations(docs, text)
  local class, said, optional, returned = nil, {}, {}, nil
  for line in text:gmatch "([^\n]*)\n" do
    local comment = line:match "^%-%-%-(.*)$"
    local name = comment and comment:match "^@class ([%w_.]+)"
    if name then
      class = new_class(docs, name, comment:match "^@class [%w_.]+: *([%w_]+)")
      said = {}
    elseif comment and comment:find "^@field" then
      if class then read_field(class, comment, said) end
      said = {}
    elseif comment and comment:find "^@" then
      local parameter = comment:match "^@param ([%w_]+)%?"
      if parameter then optional[parameter] = true end
      returned = comment:match "^@return .-  (.*)$" or comment:match "^@return %S+ (.*)$"
        or returned
    elseif comment then
      said[#said + 1] = comment:gsub("^ ", "")
    else
      local variable = line:match "^local ([%w_]+) = {}"
      if variable and class then docs.locals[variable] = class.name end
      if #said == 0 and returned then said = { "gives " .. returned } end
      read_function(docs, line, said, optional)
      said, optional, returned = {}, {}, nil
    end
  end
end

--- Everything that the annotations say.
function generate.read_meta()
  local docs = { classes = {}, functions = {}, locals = {} }
  for _, path in ipairs(meta_files()) do
    docs.locals = {}
    read_annotations(docs, read(path))
  end
  return docs
end

-- ---- writing ------------------------------------------------------------------------------------

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function fields_of(docs, name)
  local class = assert(docs.classes[name], "no class " .. name)
  local list = {}
  for _, field in ipairs(class.parent and fields_of(docs, class.parent) or {}) do
    list[#list + 1] = field
  end
  for _, field in ipairs(class.fields) do list[#list + 1] = field end
  return list
end

local DIRECTIVES = {}

DIRECTIVES["function"] = function(docs, name)
  local entry = assert(docs.functions[name], "no function " .. name)
  assert(#entry.text > 0, "nothing is said about " .. name)
  return entry.text
end

function DIRECTIVES.arguments(docs, name)
  local lines = { "| argument | |", "| --- | --- |" }
  for _, is_required in ipairs { true, false } do
    for _, field in ipairs(fields_of(docs, name)) do
      if field.is_optional ~= is_required then
        assert(field.text ~= "", ("nothing is said about %s.%s"):format(name, field.name))
        local text = (is_required and "required; " or "") .. cell(field.text)
        lines[#lines + 1] = ("| `%s` | %s |"):format(field.name, text)
      end
    end
  end
  return lines
end

function DIRECTIVES.fields(docs, name, prefix)
  local lines = { "| field | what it is |", "| --- | --- |" }
  for _, field in ipairs(fields_of(docs, name)) do
    if field.text ~= "" then
      lines[#lines + 1] = ("| `%s%s` | %s |"):format(prefix or "", field.name, cell(field.text))
    end
  end
  return lines
end

function DIRECTIVES.functions(docs, name, prefix)
  local lines = { "| function | |", "| --- | --- |" }
  for _, entry in ipairs(assert(docs.classes[name], "no class " .. name).functions) do
    assert(#entry.text > 0, ("nothing is said about %s.%s"):format(name, entry.name))
    local text = table.concat(entry.text, " ")
    lines[#lines + 1] = ("| `%s%s` | %s |"):format(prefix or "", entry.call, cell(text))
  end
  return lines
end

--- The page as it should be.
---@return string
function generate.page()
  local docs, lines = generate.read_meta(), {}
  for line in (read(SOURCE)):gmatch "([^\n]*)\n" do
    local directive, name, prefix = line:match "^{{(%l+) ([^%s}]+) ?([^%s}]*)}}$"
    local write = DIRECTIVES[directive]
    if not write then
      lines[#lines + 1] = line
    else
      for _, made in ipairs(write(docs, name, prefix)) do lines[#lines + 1] = made end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

if not (arg and arg[0] and arg[0]:find "generate%.lua$") then return generate end

if arg[1] == "--check" then
  if read(PAGE) == generate.page() then os.exit(0) end
  io.stderr:write(PAGE, " is stale: run `luajit spec/docs/generate.lua`\n")
  os.exit(1)
end
local page = generate.page()
local file = assert(io.open(PAGE, "wb"))
file:write(page)
file:close()
