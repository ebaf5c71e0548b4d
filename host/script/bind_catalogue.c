// The part of host.reverse that tells what may be known of backends and apps: names, types, models,
// no address and no key. Only the local state is told how its apps are made.
#include <string.h>

#include "bind.h"

static int l_catalogue(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushstring(L, runtime->catalogue_json ? runtime->catalogue_json : "{}");
  lua_pushinteger(L, (lua_Integer)runtime->catalogue_version);
  return 2;
}

static int l_apps(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushstring(L, runtime->apps_json ? runtime->apps_json : "{}");
  lua_pushinteger(L, (lua_Integer)runtime->catalogue_version);
  return 2;
}

// app_source(app_id) -> text, version, name | nil, message
static int l_app_source(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  const char *app_id = luaL_checkstring(L, 1);
  uint32_t i;
  for (i = 0; i < runtime->app_source_count; i++) {
    const AppSource *source = &runtime->app_sources[i];
    if (strcmp(source->app_id, app_id) != 0)
      continue;
    if (!source->text) {
      lua_pushnil(L);
      lua_pushstring(L, source->problem);
      return 2;
    }
    lua_pushlstring(L, source->text, source->len);
    lua_pushinteger(L, (lua_Integer)runtime->catalogue_version);
    lua_pushstring(L, source->name);
    return 3;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "app '%s' has no source", app_id);
  return 2;
}

static int l_demo(lua_State *L)
{
  Runtime *runtime = state_runtime(state_of(L));
  lua_pushinteger(L, (lua_Integer)runtime->demo_pause_ms);
  lua_pushinteger(L, (lua_Integer)runtime->demo_seed);
  return 2;
}

void bind_catalogue(lua_State *L)
{
  static const luaL_Reg functions[] = { { "catalogue", l_catalogue }, { NULL, NULL } };
  static const luaL_Reg local_functions[] = {
    { "apps", l_apps },
    { "demo", l_demo },
    { "app_source", l_app_source },
    { NULL, NULL },
  };
  luaL_register(L, NULL, functions);
  if (state_role(state_of(L)) == ROLE_LOCAL)
    luaL_register(L, NULL, local_functions);
}
