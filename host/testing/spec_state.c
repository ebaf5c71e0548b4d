// See spec_state.h. The library's modules are found by a searcher of our own, which keeps them:
// busted forgets what a spec file required, and the test bed must be the same one all the time.
#include "spec_state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../script/bind.h"
#include "bed.h"
#include "bind_bed.h"

static char kept_modules; // its address is the registry key of { [name] = module }

static const struct {
  const char *name;
  lua_CFunction open;
} host_modules[] = {
  { "host.json", luaopen_host_json },
  { "host.bytes", luaopen_host_bytes },
  { "host.crypto", luaopen_host_crypto },
  { "host.testbed", luaopen_host_testbed },
  { NULL, NULL },
};

static lua_CFunction host_module(const char *name)
{
  size_t i;
  for (i = 0; host_modules[i].name; i++) {
    if (strcmp(host_modules[i].name, name) == 0)
      return host_modules[i].open;
  }
  return NULL;
}

// The loader: gives the module that is kept, or opens it. Upvalue: its chunk. Stack: [name] ->
// [module]
static int l_open(lua_State *L)
{
  lua_settop(L, 1);
  lua_pushlightuserdata(L, &kept_modules);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  lua_rawget(L, 2);
  if (!lua_isnil(L, -1))
    return 1;
  lua_pop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, 2);
  return 1;
}

// The searcher. Stack: [name] -> [loader, or a text]
static int l_search(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  lua_CFunction open = host_module(name);
  Span text;
  char *copy = NULL;
  int rc;
  if (open) {
    lua_pushcfunction(L, open);
  } else if (library_module(getenv("MOONHOOK_LUA_PATH"), name, &text, &copy)) {
    lua_pushfstring(L, "=%s", name);
    rc = luaL_loadbuffer(L, text.at, text.len, lua_tostring(L, -1));
    mem_free(copy);
    if (rc != 0)
      return lua_error(L);
  } else {
    lua_pushfstring(L, "\n\tno module '%s' in moonhook's library", name);
    return 1;
  }
  lua_pushcclosure(L, l_open, 1);
  return 1;
}

// os.exit(code): what the specs left open is closed first. Upvalue: Lua's own.
static int l_exit(lua_State *L)
{
  bed_close();
  fflush(NULL);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushboolean(L, 1); // closes the state
  lua_call(L, 2, 0);
  return 0;
}

static void prepare(lua_State *L)
{
  int i;
  luaL_openlibs(L);
  lua_pushlightuserdata(L, &kept_modules);
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaders");
  for (i = (int)lua_objlen(L, -1); i >= 2; i--) { // second, behind package.preload
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, l_search);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
  lua_getglobal(L, "os");
  lua_getfield(L, -1, "exit");
  lua_pushcclosure(L, l_exit, 1);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}

static int l_traceback(lua_State *L)
{
  const char *text = lua_tostring(L, 1);
  if (text)
    luaL_traceback(L, L, text, 1);
  return 1;
}

// Stack: [] -> [function], or [text] after an error
static int load_script(lua_State *L, const char *module, const char *file)
{
  if (!module)
    return luaL_loadfile(L, file);
  lua_getglobal(L, "require");
  return 0;
}

int spec_state_run(const char *module, int argc, const char **argv)
{
  lua_State *L = luaL_newstate();
  int i, rc, code = 0;
  prepare(L);
  lua_newtable(L);
  for (i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
  lua_pushcfunction(L, l_traceback);
  rc = load_script(L, module, argv[0]);
  if (rc == 0 && module) {
    lua_pushstring(L, module);
    rc = lua_pcall(L, 1, 0, -3);
  } else if (rc == 0) {
    for (i = 1; i < argc; i++)
      lua_pushstring(L, argv[i]);
    rc = lua_pcall(L, argc - 1, 0, -argc - 1);
  }
  if (rc != 0) {
    // error() without a value is how busted ends after it has said what failed.
    if (!lua_isnil(L, -1))
      fprintf(stderr, "moonhook: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "an error");
    code = 1;
  }
  bed_close();
  lua_close(L);
  return code;
}
