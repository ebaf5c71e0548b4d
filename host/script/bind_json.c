// See bind_json.h; the work is in json_encode.c and json_decode.c.
#include "bind_json.h"

#include <lauxlib.h>
#include <uv.h>

#include "../base/json.h"
#include "json_context.h"
#include "json_lazy.h"
#include "json_like.h"
#include "json_view.h"

static char context_key, kind_key; // their addresses are keys

void json_push_context(lua_State *L)
{
  lua_pushlightuserdata(L, &context_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

int json_kind_of(lua_State *L, int index)
{
  int kind;
  if (!lua_getmetatable(L, index))
    return KIND_NONE;
  lua_pushlightuserdata(L, &kind_key);
  lua_rawget(L, -2);
  kind = (int)lua_tointeger(L, -1);
  lua_pop(L, kind == KIND_NULLS ? 1 : 2);
  return kind;
}

void json_push_new_meta(lua_State *L, int kind)
{
  lua_newtable(L);
  lua_pushlightuserdata(L, &kind_key);
  lua_pushinteger(L, kind);
  lua_rawset(L, -3);
}

// --- for C ---------------------------------------------------------------------------------------

typedef struct {
  const char *text;
  size_t len;
  bool is_ok;
} Call;

// A state opens host.json when its code first asks for it; C may come first.
static void open_once(lua_State *L)
{
  json_push_context(L);
  if (lua_isnil(L, -1)) {
    lua_getglobal(L, "require"); // the library's, so that both use one context
    lua_pushliteral(L, "host.json");
    lua_call(L, 1, 0);
  }
  lua_pop(L, 1);
}

// Stack: [call, value] -> [text or message]
static int protected_encode(lua_State *L)
{
  Call *call = lua_touserdata(L, 1);
  open_once(L);
  call->is_ok = json_push_encoded(L, 2);
  return 1;
}

// Stack: [call] -> [value or message]
static int protected_decode(lua_State *L)
{
  Call *call = lua_touserdata(L, 1);
  open_once(L);
  call->is_ok = json_push_decoded(L, call->text, call->len, true);
  return 1;
}

static int fail(lua_State *L, Err *err)
{
  const char *message = lua_tostring(L, -1);
  err_set(err, UV_EINVAL, "%s", message ? message : "not enough memory");
  lua_pop(L, 1);
  return UV_EINVAL;
}

int json_encode_value(lua_State *L, int index, Buffer *out, Err *err)
{
  Call call = { NULL, 0, false };
  const char *text;
  size_t len;
  int rc;
  lua_pushvalue(L, index);
  lua_pushcfunction(L, protected_encode);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, &call);
  lua_insert(L, -2);
  rc = lua_pcall(L, 2, 1, 0);
  if (rc != 0 || !call.is_ok)
    return fail(L, err);
  text = lua_tolstring(L, -1, &len);
  buffer_append(out, text, len);
  lua_pop(L, 1);
  return 0;
}

int json_decode_plain(lua_State *L, const char *text, size_t len, Err *err)
{
  Call call = { text, len, false };
  int rc;
  lua_pushcfunction(L, protected_decode);
  lua_pushlightuserdata(L, &call);
  rc = lua_pcall(L, 1, 1, 0);
  return rc != 0 || !call.is_ok ? fail(L, err) : 0;
}

// --- for Lua -------------------------------------------------------------------------------------

// Stack: [value or message] -> one or two results
static int results(lua_State *L, bool is_ok)
{
  if (is_ok)
    return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int l_json_encode(lua_State *L)
{
  luaL_checkany(L, 1);
  return results(L, json_push_encoded(L, 1));
}

static int l_json_must_encode(lua_State *L)
{
  luaL_checkany(L, 1);
  if (json_push_encoded(L, 1))
    return 1;
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

static int decode(lua_State *L, bool is_plain)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  return results(L, json_push_decoded(L, text, len, is_plain));
}

static int l_json_decode(lua_State *L)
{
  return decode(L, false);
}

static int l_json_decode_plain(lua_State *L)
{
  return decode(L, true);
}

static int l_json_array(lua_State *L)
{
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_argcheck(L, !json_is_view(L, 1), 1, "settings are read-only");
  json_fill(L, 1);
  json_push_context(L);
  lua_rawgeti(L, 2, ARRAY_META);
  lua_setmetatable(L, 1);
  lua_settop(L, 1);
  return 1;
}

static int l_json_is_array(lua_State *L)
{
  bool is_array = false;
  luaL_checkany(L, 1);
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    is_array = !lua_isnil(L, -1) || json_kind_of(L, 1) == KIND_ARRAY;
  }
  lua_pushboolean(L, is_array);
  return 1;
}

static int l_json_raw(lua_State *L)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  JsonFacts facts;
  Err err;
  void *copy;
  if (json_scan(text, len, &facts, &err) < 0) {
    lua_pushstring(L, err.text);
    return results(L, false);
  }
  copy = lua_newuserdata(L, len);
  memcpy(copy, text, len);
  json_push_context(L);
  lua_rawgeti(L, -1, RAW_META);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
  return 1;
}

static int l_raw_tostring(lua_State *L)
{
  if (json_kind_of(L, 1) != KIND_RAW)
    return luaL_typerror(L, 1, "json.raw");
  lua_pushlstring(L, lua_touserdata(L, 1), lua_objlen(L, 1));
  return 1;
}

// Stack: [..., table] -> [..., table, copy]
static void copy_table(lua_State *L, int depth)
{
  luaL_checkstack(L, 6, "the value is nested too deeply");
  lua_createtable(L, (int)lua_objlen(L, -1), 0);
  lua_pushnil(L);
  while (lua_next(L, -3)) { // [table, copy, key, value]
    if (lua_istable(L, -1) && depth < JSON_MAX_DEPTH) {
      copy_table(L, depth + 1);
      lua_remove(L, -2);
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  if (lua_getmetatable(L, -2)) // an empty list is one, and nulls are told
    lua_setmetatable(L, -2);
}

// copy(value): of decoded JSON, so that the copy may be changed and is encoded as the original is.
static int l_json_copy(lua_State *L)
{
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (lua_istable(L, 1))
    copy_table(L, 1);
  return 1;
}

int luaopen_host_json(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "encode", l_json_encode }, { "must_encode", l_json_must_encode },
    { "decode", l_json_decode }, { "decode_plain", l_json_decode_plain },
    { "array", l_json_array },   { "is_array", l_json_is_array },
    { "raw", l_json_raw },       { "text_like", json_l_text_like },
    { "copy", l_json_copy },     { "view", json_l_view },
    { "behind", json_l_behind }, { NULL, NULL },
  };
  lua_pushlightuserdata(L, &context_key);
  lua_createtable(L, FIRST_NULL_META + NULL_METAS, 0);
  json_push_new_meta(L, KIND_ARRAY);
  lua_rawseti(L, -2, ARRAY_META);
  json_push_new_meta(L, KIND_RAW);
  lua_pushcfunction(L, l_raw_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_rawseti(L, -2, RAW_META);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  json_push_context(L);
  lua_insert(L, -2);
  json_lazy_open(L);
  lua_remove(L, -2);
  return 1;
}
