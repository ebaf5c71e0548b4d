// JSON through Lua and back: what decodes encodes again, and decodes to the same; with nulls taken
// out and put back as well; and events that are filled when they are looked at.
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/script/bind_json.h"
#include "host/script/json_lazy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lua_State *L;

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

// The same value, empty arrays and objects told apart. Stack: unchanged
static bool is_same(int a, int b)
{
  size_t members = 0;
  if (!lua_istable(L, a) || !lua_istable(L, b))
    return lua_rawequal(L, a, b);
  luaL_checkstack(L, 10, "deep");
  if (lua_getmetatable(L, a) != lua_getmetatable(L, b))
    return false; // both are marked as arrays, or neither
  lua_settop(L, b);
  lua_pushnil(L);
  while (lua_next(L, b)) {
    members++;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, a)) {
    int value = lua_gettop(L);
    lua_pushvalue(L, value - 1);
    lua_rawget(L, b);
    if (!is_same(value, value + 1))
      return false;
    lua_settop(L, value - 1);
    members--;
  }
  return members == 0;
}

// Stack: [text] -> [text, value] by host.json's function; false when it refused.
static bool call(const char *function, int argument)
{
  lua_getfield(L, 1, function);
  lua_pushvalue(L, argument);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return true;
  }
  lua_settop(L, lua_gettop(L) - 2);
  return false;
}

// Whoever knows an event knows all that differ from it in their answer alone: where it stands, it
// can be changed, and nothing else changes. Stack: [module, text, value, plain, event, name, id,
// members, first, last] -> anything
static void see_alike(const char *text, size_t len)
{
  size_t first = (size_t)lua_tointeger(L, 9), last = (size_t)lua_tointeger(L, 10);
  lua_pushlstring(L, text, first - 1);
  lua_pushliteral(L, "other");
  lua_pushlstring(L, text + last, len - last);
  lua_concat(L, 3);
  must(call("decode_plain", 11), "an event with another answer is good");
  lua_getfield(L, 12, "answer");
  must(lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "other") == 0,
       "and has that answer");
  lua_getfield(L, 4, "answer");
  lua_setfield(L, 12, "answer");
  lua_settop(L, 12);
  must(is_same(4, 12), "and is the same but for it");
}

static void close_state(void)
{
  lua_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!L) {
    L = luaL_newstate();
    luaopen_host_json(L);
    atexit(close_state);
  }
  lua_settop(L, 1); // [module]
  lua_pushlstring(L, (const char *)data, size);
  if (call("decode", 2)) { // [module, text, value]
    must(call("encode", 3), "what was decoded is encoded");
    must(call("decode", 4), "what was encoded is decoded");
    must(is_same(3, 5), "and is the same");
    lua_settop(L, 3);
    must(call("decode_plain", 2), "both decoders take the same texts");
    must(call("encode", 4), "nulls are put back");
    must(call("decode", 5), "into a document");
    must(is_same(3, 6), "that is the same");
    lua_settop(L, 3);
    must(call("decode_plain", 2), "again");
    lua_getfield(L, 1, "decode_event");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 6); // [module, text, value, plain, event, name, id, members, first, last]
    if (lua_istable(L, 5))
      must(json_touch(L, 5), "an event is filled");
    must(is_same(4, 5), "with what was decoded");
    if (lua_isnumber(L, 9))
      see_alike((const char *)data, size);
  } else {
    must(!call("decode_plain", 2), "both decoders refuse the same texts");
  }
  return 0;
}
