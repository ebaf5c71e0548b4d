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

local WRITES, FROM_BASE = 1, 2 -- modes of operand A

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
    end
    code[pc] = instruction
    code.returns = code.returns or RETURNS[instruction.number] ~= nil
    pc = pc + 1
    instruction = decode(proto, pc)
  end
  return code
end

--- Calls visit(code, owner) for a compiled chunk and each function in it. `owner` is what visit
--- gave for the function that it stands in, and `code` a list of instructions: `name`, `line`,
--- registers `a` to `d`, `text` (a constant or a name), `child`; `returns`: it returns something.
function bytecode.walk(chunk, visit)
  local function walk(proto, owner)
    local code = read(proto)
    local own = visit(code, owner)
    for at, instruction in ipairs(code) do
      if instruction.child then walk(instruction.child, { own = own, at = at, code = code }) end
    end
  end
  walk(chunk, nil)
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
