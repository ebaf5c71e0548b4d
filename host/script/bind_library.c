// host.library: files compiled into the binary. read(path) -> text | nil; list(prefix) -> paths.
#include <string.h>

#include "bind.h"

static int l_library_read(lua_State *L)
{
  const LibraryFile *file = library_find(luaL_checkstring(L, 1));
  if (!file)
    return 0;
  lua_pushlstring(L, file->text, file->len);
  return 1;
}

static int l_library_list(lua_State *L)
{
  size_t len, i;
  const char *prefix = luaL_checklstring(L, 1, &len);
  int count = 0;
  lua_newtable(L);
  for (i = 0; i < library_file_count; i++) {
    if (strncmp(library_files[i].path, prefix, len) != 0)
      continue;
    lua_pushstring(L, library_files[i].path);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int luaopen_host_library(lua_State *L)
{
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_library_read);
  lua_setfield(L, -2, "read");
  lua_pushcfunction(L, l_library_list);
  lua_setfield(L, -2, "list");
  return 1;
}
