// See json_view.h.
#include "json_view.h"

#include <lauxlib.h>

#include "json_context.h"

bool json_is_view(lua_State *L, int index)
{
  int top = lua_gettop(L);
  bool is_view = lua_istable(L, index) && json_kind_of(L, index) == KIND_VIEW;
  lua_settop(L, top);
  return is_view;
}

void json_look_behind(lua_State *L, int index)
{
  if (!json_is_view(L, index))
    return;
  lua_getmetatable(L, index);
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  lua_replace(L, index);
  lua_pop(L, 1);
}

int json_l_view(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_newtable(L);
  json_push_new_meta(L, KIND_VIEW);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  return 1;
}

int json_l_behind(lua_State *L)
{
  lua_settop(L, 1);
  if (!json_is_view(L, 1))
    return 0;
  json_look_behind(L, 1);
  return 1;
}
