// host.http.declared(handle) -> { name, ... }: the settings that the plugin's group declares.
#include "hook_request.h"

int l_declared(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  const Package *package;
  uint32_t i;
  if (!hook)
    return request_push_closed(L);
  package = generation_package(hook->generation);
  lua_createtable(L, (int)package->setting_count, 0);
  for (i = 0; i < package->setting_count; i++) {
    lua_pushstring(L, package->settings[i].name);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}
