// host.fast_paths: { are_on }, for what the library keeps for the next request.
#include "../base/fast_paths.h"
#include "bind.h"

int luaopen_host_fast_paths(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, fast_paths_are_on());
  lua_setfield(L, -2, "are_on");
  return 1;
}
