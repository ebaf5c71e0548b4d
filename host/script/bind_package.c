// host.package: read(path) -> bytes | nil, message. Files of the plugin's package only.
#include <string.h>

#include "bind.h"
#include "slice.h"

static int l_package_read(lua_State *L)
{
  size_t len;
  const char *file = luaL_checklstring(L, 1, &len);
  Buffer bytes = { 0 };
  Err err;
  if (strlen(file) != len) {
    lua_pushnil(L);
    lua_pushliteral(L, "expected a path without zero bytes");
    return 2;
  }
  if (state_read_file(state_of(L), file, &bytes, &err) < 0) {
    buffer_free(&bytes);
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
  }
  slice_push_buffer(L, &bytes);
  return 1;
}

int luaopen_host_package(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_package_read);
  lua_setfield(L, -2, "read");
  return 1;
}
