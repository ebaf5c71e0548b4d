// See tool.h.
#include "tool.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "../base/memory.h"
#include "bind.h"
#include "bind_json.h"
#include "bind_tool.h"

static const HostModule modules[] = {
  { "host.json", luaopen_host_json },
  { "host.tool", luaopen_host_tool },
  { NULL, NULL },
};

// A searcher for package.loaders: the library's modules. Stack: [name] -> [loader or text]
static int l_find_module(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  const HostModule *module;
  Span text;
  char *copy = NULL;
  int rc;
  for (module = modules; module->name; module++) {
    if (strcmp(module->name, name) == 0) {
      lua_pushcfunction(L, module->open);
      return 1;
    }
  }
  if (!library_module(getenv("MOONHOOK_LUA_PATH"), name, &text, &copy)) {
    lua_pushfstring(L, "\n\tno library module '%s'", name);
    return 1;
  }
  lua_pushfstring(L, "=%s", name);
  rc = luaL_loadbuffer(L, text.at, text.len, lua_tostring(L, -1));
  mem_free(copy);
  return rc == 0 ? 1 : lua_error(L);
}

// Stack: [entry, input] -> [result]
static int run(lua_State *L)
{
  size_t len;
  const char *input = lua_tolstring(L, 2, &len);
  Err err;
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_createtable(L, 1, 0); // nothing is searched for on the disk
  lua_pushcfunction(L, l_find_module);
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "loaders");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "host.json"); // makes ready for json_decode_plain
  lua_call(L, 1, 0);
  lua_getglobal(L, "require");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (json_decode_plain(L, input, len, &err) < 0)
    return luaL_error(L, "input: %s", err.text);
  lua_call(L, 1, 1);
  return 1;
}

// Calls the entry; its result is on top of the stack of the new state. NULL after an error, told.
static lua_State *call(const char *entry, Span input)
{
  lua_State *L = luaL_newstate();
  const char *text;
  if (!L) {
    fputs("moonhook: no memory\n", stderr);
    return NULL;
  }
  lua_pushcfunction(L, run);
  lua_pushstring(L, entry);
  lua_pushlstring(L, input.at, input.len);
  if (lua_pcall(L, 2, 1, 0) == 0)
    return L;
  text = lua_tostring(L, -1);
  fprintf(stderr, "moonhook: %s\n", text ? text : "an error without text");
  lua_close(L);
  return NULL;
}

int tool_run(const char *entry, Span input)
{
  lua_State *L = call(entry, input);
  int code = 1;
  if (L) {
    code = (int)lua_tointeger(L, -1);
    lua_close(L);
  }
  fflush(stdout);
  return code;
}

int tool_ask(const char *entry, Span input, Buffer *answer)
{
  lua_State *L = call(entry, input);
  Span text = { NULL, 0 };
  if (!L)
    return UV_EINVAL;
  text.at = lua_tolstring(L, -1, &text.len);
  buffer_append(answer, text.at ? text.at : "", text.len);
  lua_close(L);
  return 0;
}
