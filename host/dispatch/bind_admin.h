// host.admin, for the admin API's state alone.
#ifndef MOONHOOK_DISPATCH_BIND_ADMIN_H
#define MOONHOOK_DISPATCH_BIND_ADMIN_H

#include "../script/state.h"
#include "admin_host.h"

int luaopen_host_admin(lua_State *L);
// Whose functions the module calls; borrowed. Before any task of the state runs.
void bind_admin_host(State *state, const AdminHost *host);

#endif
