// host.http.declared(handle) -> { name, ... }, { name, ... }: the settings that the plugin's group
// declares, and the variables of all its paths.
#include "hook_request.h"

static void push_settings(lua_State *L, const Package *package)
{
  uint32_t i;
  lua_createtable(L, (int)package->setting_count, 0);
  for (i = 0; i < package->setting_count; i++) {
    lua_pushstring(L, package->settings[i].name);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_variables(lua_State *L, const Package *package)
{
  uint32_t i, j;
  int count = 0;
  lua_newtable(L);
  for (i = 0; i < package->declaration_count; i++) {
    const Rule *rule = package->declarations[i].rule;
    for (j = 0; j < rule->count; j++) {
      if (rule->parts[j].type == PART_STATIC)
        continue;
      lua_pushstring(L, rule->parts[j].text);
      lua_rawseti(L, -2, ++count);
    }
  }
}

int l_declared(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  const Package *package;
  if (!hook)
    return request_push_closed(L);
  package = generation_package(hook->generation);
  push_settings(L, package);
  push_variables(L, package);
  return 2;
}
