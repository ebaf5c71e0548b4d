--- Reads what LuaJIT compiled, so that code can be judged without running it. The numbers of the
--- instructions differ between versions: they are learnt from small texts whose code is known.

local bit = require "bit"

local band, rshift = bit.band, bit.rshift
local util = package.loaded["jit.util"] or package.preload["jit.util"] "jit.util"

local bytecode = {}

local function decode(proto, pc)
  local word, mode = util.funcbc(proto, pc)
  if not word then return nil end
  return {
    number = band(word, 255), a = band(rshift(word, 8), 255), b = rshift(word, 24),
    c = band(rshift(word, 16), 255), d = rshift(word, 16), mode = mode,
  }
end

-- An instruction's number, from the place where it stands in a text's code.
local function learn(text, pc)
  return decode(load(text), pc).number
end

local NAMES = { -- [number] = the instruction, or what it does
  [learn("return x", 1)] = "GGET",
  [learn("x = nil", 2)] = "GSET",
  [learn("return 'x'", 1)] = "KSTR",
  [learn("local a local b = a", 2)] = "MOV",
  [learn("return {}", 1)] = "NEW",
  [learn("return { 1 }", 1)] = "NEW",
  [learn("local a return a", 2)] = "return_one",
  [learn("return function() end", 1)] = "FNEW",
  [learn("local t return t.a", 2)] = "get_field",
  [learn("local t, k return t[k]", 2)] = "get_item",
  [learn("local t return t[1]", 2)] = "get_item",
  [learn("local t t.a = t", 2)] = "set_field",
  [learn("local t, k t[k] = t", 2)] = "set_item",
  [learn("local t t[1] = t", 2)] = "set_item",
  [learn("x()", 2)] = "call",
  [learn("return x()", 2)] = "call",
  [learn("x(...)", 3)] = "call",
  [learn("return x(...)", 3)] = "call",
}
local RETURNS = { -- instructions that give something back
  [learn("return x", 2)] = true,
  [learn("return x, x", 3)] = true,
  [learn("return ...", 2)] = true,
  [learn("return x()", 2)] = true,
  [learn("return x(...)", 3)] = true,
}
for _, text in ipairs {
  "if x then y() end", "if not x then y() end", "return x or 1", "return x and 1", "return not x",
  "return x == nil", "return x ~= nil", "if x == nil then y() end", "while x do y() end",
  "local a a = x or 1 return a", "local a a = x and 1 return a", "return x == false",
} do
  local number = learn(text, 2)
  NAMES[number] = NAMES[number] or "test"
end

local UPVALUE = "UGET"
do
  local outer = load "local u return function() return u end"
  for pc = 1, 9 do
    if NAMES[decode(outer, pc).number] == "FNEW" then
      local inner = util.funck(outer, -decode(outer, pc).d - 1)
      NAMES[decode(inner, 1).number] = UPVALUE
      break
    end
  end
end

-- How far behind a called function's register its first argument is.
local FIRST_ARGUMENT = decode(load "x(1)", 2).a
bytecode.FIRST_ARGUMENT = FIRST_ARGUMENT

local WRITES, FROM_BASE = 1, 2 -- modes of operand A
local JUMPS, JUMP_BIAS = 13, 0x7fff -- mode of operand D

local function read(proto)
  local code, pc = {}, 1
  local instruction = decode(proto, pc)
  while instruction do
    local name = NAMES[instruction.number]
    instruction.name = name
    instruction.line = util.funcinfo(proto, pc).currentline
    if name == "GGET" or name == "GSET" or name == "KSTR" then
      instruction.text = util.funck(proto, -instruction.d - 1)
    elseif name == "get_field" or name == "set_field" then
      instruction.text = util.funck(proto, -instruction.c - 1)
    elseif name == "FNEW" then
      instruction.child = util.funck(proto, -instruction.d - 1)
    elseif name == UPVALUE then
      instruction.text = util.funcuvname(proto, instruction.d)
    elseif band(rshift(instruction.mode, 7), 15) == JUMPS then
      instruction.target = pc + instruction.d - JUMP_BIAS
    end
    code[pc] = instruction
    code.returns = code.returns or RETURNS[instruction.number] ~= nil
    pc = pc + 1
    instruction = decode(proto, pc)
  end
  return code
end

--- The register that an instruction writes, and whether those behind it lose their values, too.
---@return integer? register, boolean? is_more
function bytecode.written(instruction)
  local mode = band(instruction.mode, 7)
  if mode == WRITES then return instruction.a, false end
  if mode == FROM_BASE then return instruction.a, true end
end

-- ---- upvalues -----------------------------------------------------------------------------------

-- Only a dump says where a closure's upvalues come from, in the order "children first".
local DUMP_VERSION, DUMP_HEAD_BYTES = "\27LJ\2", 5
local IS_LOCAL, IS_IMMUTABLE = 0x8000, 0x4000

local function number_at(dump, at) -- ULEB128
  local value, scale = 0, 1
  while true do
    local byte = dump:byte(at)
    if not byte then return 0, at end
    value, at = value + band(byte, 127) * scale, at + 1
    if byte < 128 then return value, at end
    scale = scale * 128
  end
end

-- The upvalues of the function that a dump has at `at`, and where the next one begins.
local function upvalues_at(dump, at, instructions)
  local len, start = number_at(dump, at)
  local count, from = dump:byte(start + 3), start + 4
  local list, size = {}, nil
  if len == 0 or not count then return nil end
  for _ = 1, 3 do size, from = number_at(dump, from) end
  if size ~= instructions then return nil end
  from = from + 4 * size
  for i = 1, count do
    local low, high = dump:byte(from + 2 * i - 2, from + 2 * i - 1)
    local word = (low or 0) + 256 * (high or 0)
    list[i] = {
      index = band(word, 255), is_local = band(word, IS_LOCAL) ~= 0,
      is_immutable = band(word, IS_IMMUTABLE) ~= 0 or band(word, IS_LOCAL) == 0,
    }
  end
  return list, start + len
end

local function add_upvalues(fn, dump, at)
  for _, child in ipairs(fn.ordered) do
    at = at and add_upvalues(child, dump, at)
  end
  if not at then return nil end
  local upvalues, next_at = upvalues_at(dump, at, #fn.code)
  fn.upvalues = upvalues or {}
  return next_at
end

local function constant_children(proto)
  local list, i = {}, -1
  local constant = util.funck(proto, i)
  while constant ~= nil do
    if type(constant) == "proto" then list[#list + 1] = constant end
    i = i - 1
    constant = util.funck(proto, i)
  end
  return list
end

--- A compiled chunk and the functions in it. `code` is a list of instructions: `name`, `line`,
--- registers `a` to `d`, `text` (a constant or a name), `child`, `target` (of a jump); `returns` of
--- it: it returns something. `children` are the functions by the instruction that makes them.
--- `upvalues` are { index, is_local, is_immutable }, where index is a register of the maker, or an
--- upvalue of its own; nothing is known of them in a dump that LuaJIT 2.1 does not write.
function bytecode.tree(chunk)
  local function build(proto)
    local fn = { code = read(proto), children = {}, ordered = {}, upvalues = {} }
    local by_proto = {}
    for at, instruction in ipairs(fn.code) do
      if instruction.child then
        fn.children[at] = build(instruction.child)
        by_proto[instruction.child] = fn.children[at]
      end
    end
    for _, child in ipairs(constant_children(proto)) do
      table.insert(fn.ordered, by_proto[child])
    end
    return fn
  end
  local tree, dump = build(chunk), string.dump(chunk, true)
  if dump:sub(1, #DUMP_VERSION) == DUMP_VERSION then
    add_upvalues(tree, dump, DUMP_HEAD_BYTES + 1)
  end
  return tree
end

--- Calls visit(code, owner) for each function of a tree. `owner` is what visit gave for the
--- function that it stands in: { own, at, code }; nil for the chunk.
function bytecode.walk(tree, visit)
  local function walk(fn, owner)
    local own = visit(fn.code, owner)
    for at, instruction in ipairs(fn.code) do
      if instruction.child then walk(fn.children[at], { own = own, at = at, code = fn.code }) end
    end
  end
  walk(tree, nil)
end

--- What becomes of the value that the instruction at `at` has put into its register: "call",
--- "index", "set" (with the field's name, where it is a constant), "test"; nil for anything else.
---@return string? use, string? field, integer? at
function bytecode.use_of(code, at)
  local register = code[at].a
  for next_at = at + 1, #code do
    local instruction = code[next_at]
    local name, mode = instruction.name, band(instruction.mode, 7)
    if name == "get_field" or name == "get_item" then
      if instruction.b == register then return "index", instruction.text, next_at end
    elseif name == "set_field" or name == "set_item" then
      if instruction.b == register then return "set", instruction.text, next_at end
    elseif name == "call" then
      if instruction.a == register then return "call", nil, next_at end
      if instruction.a < register then return nil end
    elseif name == "test" and next_at == at + 1
      and (instruction.a == register or instruction.d == register) then
      return "test"
    end
    if mode == WRITES and instruction.a == register
      or mode == FROM_BASE and instruction.a <= register and name ~= "call" then
      return nil
    end
  end
end

--- The name of the function whose first argument is put there at `at`, or nil.
function bytecode.called_with(code, at)
  local before = code[at - 1]
  if before and (before.name == "GGET" or before.name == UPVALUE)
    and before.a == code[at].a - FIRST_ARGUMENT then
    return before.text
  end
end

--- The constant string that is all the function loaded at `at` is called with, or nil.
function bytecode.only_string(code, at)
  local argument, call = code[at + 1], code[at + 2]
  if argument and argument.name == "KSTR" and call and call.name == "call"
    and call.a == code[at].a then
    return argument.text
  end
end

return bytecode
