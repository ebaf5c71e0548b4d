// What a new lua_State begins with. Two worlds live in it: the library, with its own globals and a
// `require` that knows the C modules, and the plugin, with the trimmed globals that
// lua/moonhook/sandbox.lua builds.
#include <luajit.h>
#include <lualib.h>
#include <string.h>

#include "bind.h"
#include "deadline.h"
#include "state_parts.h"
#include "task.h"

static const HostModule host_modules[] = {
  { "host.task", luaopen_host_task },
  { "host.timer", luaopen_host_timer },
  { "host.log", luaopen_host_log },
  { "host.package", luaopen_host_package },
  { "host.library", luaopen_host_library },
  { "host.fast_paths", luaopen_host_fast_paths },
  { "host.clock", luaopen_host_clock },
  { "host.reverse", luaopen_host_reverse },
  { "host.json", luaopen_host_json },
  { "host.bytes", luaopen_host_bytes },
  { "host.crypto", luaopen_host_crypto },
  { "host.pattern", luaopen_host_pattern }, // what string.find and its like really are
  { "host.storage", luaopen_host_storage },
  { "host.web", luaopen_host_web },
  { NULL, NULL },
};

static const HostModule local_modules[] = {
  { "host.store", luaopen_host_store },
  { NULL, NULL },
};

static lua_CFunction find_module(const HostModule *modules, const char *name)
{
  for (; modules && modules->name; modules++) {
    if (strcmp(modules->name, name) == 0)
      return modules->open;
  }
  return NULL;
}

static lua_CFunction host_module(const State *state, const char *name)
{
  lua_CFunction open = find_module(host_modules, name);
  if (!open)
    open = find_module(state->modules, name);
  if (!open && state->role == ROLE_LOCAL)
    open = find_module(local_modules, name);
  return open;
}

// The library's require(name). Stack: [name] -> [module]
int state_require(lua_State *L)
{
  State *state = state_of(L);
  const char *name = luaL_checkstring(L, 1);
  lua_CFunction open;
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, state->loaded_ref);
  lua_getfield(L, 2, name);
  if (!lua_isnil(L, -1))
    return 1;
  lua_pop(L, 1);
  if (strncmp(name, "host.", 5) == 0) {
    open = host_module(state, name);
    if (!open)
      return luaL_error(L, "host module '%s' not found", name);
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
  } else {
    library_load(L, state->runtime, name);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushboolean(L, 1);
    }
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
  return 1;
}

static void open_lib(lua_State *L, const char *name, lua_CFunction open)
{
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 0);
}

// Sets the compiler up, where it may be used; nobody gets to see its module. Stack: [] -> []
static void open_compiler(lua_State *L)
{
  if (!deadline_reaches_compiled_code()) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    return;
  }
  open_lib(L, LUA_JITLIBNAME, luaopen_jit);
  lua_getglobal(L, LUA_JITLIBNAME);
  lua_getfield(L, -1, "opt");
  lua_getfield(L, -1, "start");
  lua_pushliteral(L, "maxmcode=1024"); // KiB of machine code for a state, not counted by its cap
  lua_pushliteral(L, "maxtrace=1000");
  lua_call(L, 2, 0);
  lua_pop(L, 2);
  lua_pushnil(L);
  lua_setglobal(L, LUA_JITLIBNAME);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
}

int state_boot(lua_State *L)
{
  State *state = lua_touserdata(L, 1);
  const StateConfig *config = lua_touserdata(L, 2);
  lua_settop(L, 0);
  open_lib(L, "", luaopen_base);
  open_lib(L, LUA_STRLIBNAME, luaopen_string);
  open_lib(L, LUA_TABLIBNAME, luaopen_table);
  open_lib(L, LUA_MATHLIBNAME, luaopen_math);
  open_lib(L, LUA_BITLIBNAME, luaopen_bit);
  open_compiler(L);
  lua_newtable(L);
  state->loaded_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, state_require);
  lua_setglobal(L, "require");

  lua_pushcfunction(L, state_require);
  lua_pushliteral(L, "moonhook.sandbox");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "load_handler");
  state->load_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getfield(L, -1, "entry");
  lua_pushstring(L, config->entry);
  lua_call(L, 1, 1);
  state->entry_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}
