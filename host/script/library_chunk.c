// The library's modules as chunks: the bytecode in the binary, which takes a third of the time that
// its text does. It is of the LuaJIT that the binary was built with; another one that is linked
// when it starts may not take it, and gets the text.
#include "../base/fast_paths.h"
#include "../base/memory.h"
#include "bind.h"
#include "state_parts.h"

// Stack: [] -> [chunk], or as it was.
static bool load_code(lua_State *L, const Runtime *runtime, const char *name, const char *source)
{
  Span code;
  if (runtime->library_path || !fast_paths_are_on() || !library_code(name, &code))
    return false;
  if (luaL_loadbufferx(L, code.at, code.len, source, "b") == 0)
    return true;
  lua_pop(L, 1);
  return false;
}

void library_load(lua_State *L, Runtime *runtime, const char *name)
{
  const char *source = lua_pushfstring(L, "=%s", name);
  Span text;
  char *copy = NULL;
  int rc = 0;
  if (load_code(L, runtime, name, source)) {
    lua_remove(L, -2);
    return;
  }
  if (library_module(runtime->library_path, name, &text, &copy)) {
    rc = luaL_loadbuffer(L, text.at, text.len, source);
    mem_free(copy);
  } else {
    rc = luaL_error(L, "library module '%s' not found", name);
  }
  if (rc != 0)
    lua_error(L);
  lua_remove(L, -2);
}
