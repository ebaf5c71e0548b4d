// find, match, gmatch and gsub against LuaJIT's own: the same values or the same error, for any
// pattern and subject. Ours goes first, so that its budget keeps LuaJIT's from what would not end.
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/script/bind.h"
#include "host/script/bind_pattern.h"
#include "host/script/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What makes patterns interesting; a byte of the input picks one.
static const char *const words[] = {
  "a",   "b",    "0",   ".",    "%a",    "%d", "%s", "%w",   "%x",    "%p",   "%l",   "%u", "%c",
  "%z",  "%g",   "%A",  "%S",   "%Z",    "%W", "%%", "%.",   "%",     "[",    "]",    "[^", "[]",
  "[^]", "-",    "*",   "+",    "?",     "(",  ")",  "()",   "%b",    "%b()", "%bab", "%f", "%f[a",
  "%f[", "%1",   "%2",  "%0",   "%9",    "^",  "$",  "[%a-", "[a-z]", "\0x",  "a-",   ".-", "(.-)",
  ".*",  "(.*)", "(a)", "\xe9", "%\xe9", "[%", "b*", "%s*",  "[0-",   "x",    "A",    " ",
};

// Compares one call. `ours` and `theirs` are tables of the four functions.
static const char driver[] =
    "local ours, theirs = ...\n"
    "local unpack, select, type, pcall, error = unpack, select, type, pcall, error\n"
    "local function list(...) return { n = select('#', ...), ... } end\n"
    "local function all(from, s, p)\n"
    "  local out = { n = 0 }\n"
    "  for a, b, c in from.gmatch(s, p) do\n"
    "    for _, v in ipairs { tostring(a), tostring(b), tostring(c) } do\n"
    "      out.n = out.n + 1\n"
    "      out[out.n] = v\n"
    "    end\n"
    "  end\n"
    "  return out\n"
    "end\n"
    "local values = { a = 'A', b = false, [1] = 'one', [2] = 2, ['0'] = {}, ab = '%1' }\n"
    "local meta = setmetatable({}, { __index = function(_, k)\n"
    "  if k ~= 'b' then return k end end })\n"
    "local function call(from, op, s, p, n, r)\n"
    "  if op == 0 then return list(from.find(s, p, n)) end\n"
    "  if op == 1 then return list(from.match(s, p, n)) end\n"
    "  if op == 2 then return all(from, s, p) end\n"
    "  if op == 3 then return list(from.gsub(s, p, r, n)) end\n"
    "  if op == 4 then return list(from.gsub(s, p, values)) end\n"
    "  if op == 5 then return list(from.gsub(s, p, meta, n)) end\n"
    "  if op == 6 then return list(from.find(s, p, n, true)) end\n"
    "  local seen = { n = 0 }\n"
    "  local text, count = from.gsub(s, p, function(...)\n"
    "    local got = list(...)\n"
    "    for i = 1, got.n do seen[seen.n + i] = got[i] end\n"
    "    seen.n = seen.n + got.n\n"
    "    if got[1] == 'b' then return nil elseif got[1] == 'a' then return 7 end\n"
    "    return r\n"
    "  end, n)\n"
    "  seen[seen.n + 1], seen[seen.n + 2] = text, count\n"
    "  seen.n = seen.n + 2\n"
    "  return seen\n"
    "end\n"
    "local function same(a, b)\n"
    "  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end\n"
    "  for i = 1, a.n > b.n and a.n or b.n do\n"
    "    if a[i] ~= b[i] then return false end\n"
    "  end\n"
    "  return a.n == b.n\n"
    "end\n"
    "local function show(v)\n"
    "  if type(v) ~= 'table' then return tostring(v) end\n"
    "  local out = {}\n"
    "  for i = 1, v.n do out[i] = ('%q'):format(tostring(v[i])) end\n"
    "  return '{ ' .. table.concat(out, ', ') .. ' }'\n"
    "end\n"
    "return function(...)\n"
    "  local ok, mine = pcall(call, ours, ...)\n"
    "  if not ok and type(mine) == 'string' and theirs.find(mine, 'too complex') then\n"
    "    return true\n"
    "  end\n"
    "  local fine, yours = pcall(call, theirs, ...)\n"
    "  if ok == fine and same(mine, yours) then return true end\n"
    "  return false, ('ours: %s %s, LuaJIT: %s %s'):format(tostring(ok), show(mine),\n"
    "    tostring(fine), show(yours))\n"
    "end\n";

// A budget of the fuzzer's own, for all steps of one input.
static int pauses_left;

static void on_pause(lua_State *L)
{
  if (pauses_left-- == 0)
    luaL_error(L, "pattern too complex");
}

static int l_require(lua_State *L)
{
  return luaopen_host_pattern(L);
}

static void must(int status, lua_State *L)
{
  if (status == 0)
    return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  abort();
}

// Leaves the comparing function on the stack of a state that is used again and again.
static lua_State *open_state(void)
{
  static lua_State *L;
  const LibraryFile *file;
  if (L)
    return L;
  L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "require", l_require);
  file = library_find("lua/moonhook/pattern.lua");
  must(file ? 0 : 1, L);
  must(luaL_loadbuffer(L, driver, sizeof driver - 1, "=driver"), L);
  must(luaL_loadbuffer(L, file->text, file->len, "=pattern"), L);
  must(lua_pcall(L, 0, 1, 0), L);
  lua_getglobal(L, "string");
  must(lua_pcall(L, 2, 1, 0), L);
  return L;
}

typedef struct {
  const uint8_t *at, *end;
} Input;

static uint8_t take(Input *input)
{
  return input->at < input->end ? *input->at++ : 0;
}

static void push_pattern(lua_State *L, Input *input, size_t most)
{
  luaL_Buffer text;
  size_t count = take(input) % (most + 1);
  luaL_buffinit(L, &text);
  while (count-- > 0) {
    uint8_t pick = take(input);
    const char *word = words[pick % (sizeof words / sizeof *words)];
    if (pick == 255)
      luaL_addchar(&text, (char)take(input));
    else
      luaL_addlstring(&text, word, *word ? strlen(word) : 1);
  }
  luaL_pushresult(&text);
}

static void push_subject(lua_State *L, Input *input, size_t most)
{
  static const char letters[] = "abab00 ()A.x-%\n\xe9";
  luaL_Buffer text;
  size_t count = 0;
  luaL_buffinit(L, &text);
  for (; input->at < input->end && count < most; count++) {
    uint8_t pick = take(input);
    luaL_addchar(&text, pick < 128 ? letters[pick % sizeof letters] : (char)pick);
  }
  luaL_pushresult(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const int arguments[] = { 1, 2, 6, 3, 5, 4 };
  Input input = { data, data + size };
  lua_State *L = open_state();
  pattern_on_pause = on_pause;
  pauses_left = 50;
  lua_pushinteger(L, take(&input) % 8);
  push_pattern(L, &input, 12);
  push_pattern(L, &input, 4); // a replacement
  lua_pushinteger(L, (int8_t)take(&input) % 12);
  if (lua_tointeger(L, -1) == 11) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  push_subject(L, &input, 20);
  for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
    lua_pushvalue(L, arguments[i]);
  must(lua_pcall(L, 5, 2, 0), L);
  if (!lua_toboolean(L, -2)) {
    fprintf(stderr, "broken promise: the same as LuaJIT: %s\n", lua_tostring(L, -1));
    abort();
  }
  lua_settop(L, 1);
  return 0;
}
