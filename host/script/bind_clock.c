// host.clock: now() -> seconds since 1970, with a fraction.
#include "../base/clock.h"
#include "bind.h"

static int l_clock_now(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)host_clock.wall_ms() / 1000.0);
  return 1;
}

int luaopen_host_clock(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_clock_now);
  lua_setfield(L, -2, "now");
  return 1;
}
