--- Which registers of compiled code hold what is known beforehand: `require`, a module of the
--- library, the session, a request. One way through each function, in the order of its code: where
--- two ways meet only what both bring is known, and in a loop nothing that the loop writes.

local bytecode = require "moonhook.cli.bytecode"

local flow = {}

local MAX_INSTRUCTIONS = 20000 -- of a function, loops counted once more; longer ones are left alone

local REQUIRE = {} -- the function

-- What the code before each instruction leaves to be forgotten there: [at] = { registers, from }.
-- nil: the function is too long.
local function loops_of(code)
  local forgotten, steps = {}, #code
  for at, instruction in ipairs(code) do
    local target = instruction.target
    if target and target <= at then
      local registers = forgotten[target] or { from = math.huge }
      steps = steps + at - target
      if steps > MAX_INSTRUCTIONS then return nil end
      for inner = target, at do
        local register, is_more = bytecode.written(code[inner])
        if is_more then
          registers.from = math.min(registers.from, register)
        elseif register then
          registers[register] = true
        end
      end
      forgotten[target] = registers
    end
  end
  return steps <= MAX_INSTRUCTIONS and forgotten or nil
end

local function forget_from(values, first)
  for register in pairs(values) do
    if register >= first then values[register] = nil end
  end
end

local function copy_of(values)
  local copy = {}
  for register, value in pairs(values) do copy[register] = value end
  return copy
end

local function keep_common(values, others)
  for register, value in pairs(values) do
    if others[register] ~= value then values[register] = nil end
  end
end

-- What a call gives: the module that is required.
local function result_of(instruction, values, modules)
  local name = values[instruction.a + bytecode.FIRST_ARGUMENT]
  if values[instruction.a] ~= REQUIRE or instruction.c ~= 2 then return nil end
  return name and name.text and modules[name.text], name and name.text
end

---@class Flow
---@field modules table<string, LibraryNode>
---@field on_read fun(node: LibraryNode, name: string, code: table, at: integer)
---@field on_write fun(node: LibraryNode, name: string)
---@field on_require fun(name: string, code: table, at: integer)  by another name than `require`
---@field arguments table<table, table>  [function of the tree] = what its parameters hold

local walk

-- What a function's upvalues hold, from what its maker holds when it makes it.
local function captured(child, values, own)
  local held = {}
  for i, upvalue in ipairs(child.upvalues) do
    if upvalue.is_immutable then
      held[i - 1] = upvalue.is_local and values[upvalue.index] or
        not upvalue.is_local and own[upvalue.index] or nil
    end
  end
  return held
end

-- What a function may change once it is made: locals of its maker that somebody assigns to.
local function forget_written(child, values)
  for _, upvalue in ipairs(child.upvalues) do
    if upvalue.is_local and not upvalue.is_immutable then values[upvalue.index] = nil end
  end
end

local function step(self, fn, at, values, upvalues)
  local code = fn.code
  local instruction = code[at]
  local name, a = instruction.name, instruction.a
  local value
  if name == "GGET" and instruction.text == "require" then
    value = REQUIRE
  elseif name == "MOV" then
    value = values[instruction.d]
  elseif name == "UGET" then
    value = upvalues[instruction.d]
  elseif name == "KSTR" then
    value = { text = instruction.text }
  elseif name == "NEW" then
    value = { fields = {} }
  elseif name == "FNEW" then
    local child = fn.children[at]
    value = { made = child }
    walk(self, child, captured(child, values, upvalues))
    forget_written(child, values)
  elseif name == "get_field" then
    local from = values[instruction.b]
    if from and from.members then
      self.on_read(from, instruction.text, code, at)
      value = from.members[instruction.text]
      if value == true then value = nil end
    end
  elseif name == "set_field" then
    local into, what = values[instruction.b], values[a]
    if into and into.members then self.on_write(into, instruction.text) end
    if into and into.fields then into.fields[instruction.text] = what and what.made end
  elseif name == "call" then
    local module
    value, module = result_of(instruction, values, self.modules)
    if module and not (code[at - 2] and code[at - 2].text == "require") then
      self.on_require(module, code, at)
    end
  elseif name == "return_one" then
    fn.returned = fn.returned or values[a]
  end
  local register, is_more = bytecode.written(instruction)
  if is_more then
    forget_from(values, register)
    if name == "call" then values[register] = value end
  elseif register then
    values[register] = value
  end
end

function walk(self, fn, upvalues)
  local forgotten, waiting = loops_of(fn.code), {}
  local values = copy_of(self.arguments[fn] or {})
  if not forgotten then return end
  for at, instruction in ipairs(fn.code) do
    local loop = forgotten[at]
    for _, others in ipairs(waiting[at] or {}) do keep_common(values, others) end
    if loop then
      for register in pairs(values) do
        if loop[register] or register >= loop.from then values[register] = nil end
      end
    end
    step(self, fn, at, values, upvalues)
    local target = instruction.target
    if target and target > at then
      waiting[target] = waiting[target] or {}
      table.insert(waiting[target], copy_of(values))
    end
  end
end

local function nothing() end

--- The function of the tree that a source's chunk returns, or that has this name in the table that
--- it returns.
---@param name string  "invoke"
---@return table? fn
function flow.handler(tree, name)
  local silent = { on_read = nothing, on_write = nothing, on_require = nothing }
  silent.modules, silent.arguments = {}, {}
  walk(silent, tree, {})
  local returned = tree.returned
  tree.returned = nil
  return returned and (returned.made or returned.fields and returned.fields[name]) or nil
end

--- Tells of every read of a known table's field, with the field's constant name.
---@param self Flow
---@param tree table  of bytecode.tree
function flow.run(self, tree)
  walk(self, tree, {})
end

return flow
