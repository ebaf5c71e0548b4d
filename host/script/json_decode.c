// The decoder of bind_json.h: a strict check in C, then lua-cjson, then, only when the text has
// empty arrays or nulls to be taken out, one walk over the result.
//
// All that is allocated here belongs to the Lua state, so an error may jump through.
#include <lauxlib.h>

#include "../base/json.h"
#include "../base/random.h"
#include "json_context.h"

typedef struct {
  int array_meta;   // stack index
  const char *mark; // NULL: the text had no empty array
  bool is_plain;
} Mender;

// Whether the table on top is `["MARK"]`. Stack: unchanged
static bool is_marked_array(lua_State *L, const Mender *mender)
{
  bool is_marked;
  size_t len;
  const char *text;
  if (!mender->mark)
    return false;
  lua_rawgeti(L, -1, 1);
  text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  is_marked = text && len == JSON_MARK_LEN && memcmp(text, mender->mark, len) == 0;
  lua_pop(L, 1);
  return is_marked;
}

// Takes the marks out of the table on top and all below it, and the nulls if that is asked for.
// Stack: unchanged
static void mend(lua_State *L, const Mender *mender)
{
  int table = lua_gettop(L), count = 0;
  if (is_marked_array(L, mender)) {
    lua_pushnil(L);
    lua_rawseti(L, table, 1);
    lua_pushvalue(L, mender->array_meta);
    lua_setmetatable(L, table);
    return;
  }
  luaL_checkstack(L, 10, "cannot decode so many levels");
  lua_pushnil(L); // a metatable, when there are nulls
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -1) == LUA_TTABLE) {
      mend(L, mender);
    } else if (mender->is_plain && lua_islightuserdata(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
      if (count == 0) {
        json_push_new_meta(L, KIND_NULLS);
        lua_replace(L, table + 1);
      }
      lua_pushvalue(L, -2);
      lua_rawseti(L, table + 1, ++count);
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, table);
    }
    lua_pop(L, 1);
  }
  if (count > 0) {
    lua_pushvalue(L, table + 1);
    lua_setmetatable(L, table);
  }
  lua_settop(L, table);
}

// A mark that the text does not hold. Stack: [] -> [mark]
static const char *push_mark(lua_State *L, int context, const char *text, size_t len)
{
  char fresh[JSON_MARK_LEN + 1];
  for (;;) {
    const char *mark;
    lua_rawgeti(L, context, MARK);
    mark = lua_tostring(L, -1);
    if (!memmem(text, len, mark, JSON_MARK_LEN))
      return mark;
    lua_pop(L, 1);
    random_base32(fresh, JSON_MARK_LEN);
    lua_pushstring(L, fresh);
    lua_rawseti(L, context, MARK);
  }
}

// Stack: [] -> [value]
static void decode_valid(lua_State *L, const char *text, size_t len, const JsonFacts *facts,
                         bool is_plain)
{
  int top = lua_gettop(L);
  Mender mender = { .array_meta = top + 2, .is_plain = is_plain };
  json_push_context(L);
  lua_rawgeti(L, top + 1, ARRAY_META);
  if (facts->empty_arrays > 0)
    mender.mark = push_mark(L, top + 1, text, len);
  lua_rawgeti(L, top + 1, CJSON_DECODE);
  if (facts->empty_arrays > 0) {
    char *marked = lua_newuserdata(L, len + facts->empty_arrays * (JSON_MARK_LEN + 2));
    lua_pushlstring(L, marked, json_mark_empty_arrays(marked, text, len, mender.mark));
    lua_remove(L, -2);
  } else {
    lua_pushlstring(L, text, len);
  }
  lua_call(L, 1, 1); // what it could refuse has been refused
  if (lua_istable(L, -1) && (facts->empty_arrays > 0 || (is_plain && facts->member_nulls > 0)))
    mend(L, &mender);
  if (is_plain && lua_islightuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

bool json_push_decoded(lua_State *L, const char *text, size_t len, bool is_plain)
{
  JsonFacts facts;
  Err err;
  if (json_scan(text, len, &facts, &err) < 0) {
    lua_pushstring(L, err.text);
    return false;
  }
  decode_valid(L, text, len, &facts, is_plain);
  return true;
}
