--- `moonhook check`: members of the library's modules, of the session and of a request that are not
--- there, and calls that the manifest does not permit. What only running tells is left alone.

local bytecode = require "moonhook.cli.bytecode"
local flow = require "moonhook.cli.flow"
local library = require "moonhook.cli.library"
local tool = require "host.tool"

local library_use = {}

local FAILS = { index = true, set = true, call = true } -- what becomes of nil

---@class FoundMember
---@field node LibraryNode
---@field name string
---@field line integer
---@field use string?
---@field is_protected boolean

local SELF = { title = "self", members = { session = library.session }, is_open = true }

-- What a handler's parameters hold, or a workflow's.
local function arguments_of(role, input)
  if role == "app" then return { [0] = library.workflow_session } end
  return { [0] = SELF, library.request, input.variables and library.values(input.variables),
    input.settings and library.settings(input.settings) }
end

--- What a file reads of the library.
---@param tree table  of bytecode.tree
---@param protected table<table, boolean>  [code of a function] = within pcall
---@param role? "source"|"app"  whose function is known to get what
---@param input NamesInput  what the manifest declares
---@return { reads: FoundMember[], written: table<string, true>, requires: table[] }
function library_use.survey(tree, protected, role, input)
  local found = { reads = {}, written = {}, requires = {} }
  local handler = role and flow.handler(tree, role == "app" and "run" or "invoke")
  flow.run({
    modules = library.modules,
    arguments = { [handler or 0] = arguments_of(role, input) },
    on_read = function(node, name, code, at)
      table.insert(found.reads, {
        node = node, name = name, line = code[at].line, use = bytecode.use_of(code, at),
        is_protected = protected[code],
      })
    end,
    on_write = function(node, name) found.written[node.title .. "." .. name] = true end,
    on_require = function(name, code, at)
      table.insert(found.requires,
        { name = name, place = name, line = code[at].line, is_protected = protected[code] })
    end,
  }, tree)
  return found
end

local function missing(node, name)
  local list = {}
  if node.explain then return node.explain(name) end
  for known in pairs(node.members) do list[#list + 1] = known end
  table.sort(list)
  local near = tool.nearest(name, list)
  return (node.missing or node.title .. " has no member '%s'"):format(name)
    .. (near and (", did you mean '%s'?"):format(near) or "")
end

--- Calls add(member, is_error, message) for each problem.
---@param found table  of `survey`
---@param written table<string, true>  members that the package adds itself
---@param permitted? table<string, true>  by the manifest; nil: everything
function library_use.judge(found, written, permitted, add)
  local tested, told = {}, {}
  for _, read in ipairs(found.reads) do
    if read.use == "test" then tested[read.node.title .. "." .. read.name] = true end
  end
  for _, read in ipairs(found.reads) do
    local node, name = read.node, read.name
    local full = node.title .. "." .. name
    local known = node.members[name] or node.is_open or written[full] or name:sub(1, 1) == "_"
    local needs = node.permission
    if not known and (node.is_strict or FAILS[read.use] and not tested[full]) then
      add(read, not read.is_protected, missing(node, name))
    elseif known == true and permitted and needs and read.use == "call" and not permitted[needs]
      and not told[needs .. read.line] then
      told[needs .. read.line] = true
      add(read, not read.is_protected,
        ("%s:%s is refused: the manifest lacks resource: { permission: { %s } }"):format(
          node.title, name, library.permits[needs]))
    end
  end
end

return library_use
