// The admin listener: what an operator's tools ask. Nothing of it is reachable on the public one.
// So far GET /healthz (the process answers) and GET /readyz (it serves: not before the first load,
// not while stopping).
#ifndef MOONHOOK_PROCESS_ADMIN_H
#define MOONHOOK_PROCESS_ADMIN_H

#include "config.h"

typedef struct Admin Admin;

// With may_move the next free port is taken when the wanted one is in use.
Admin *admin_new(Loop *loop, const ConfigListen *listen, bool may_move, Err *err);
int admin_port(const Admin *admin);
void admin_set_ready(Admin *admin, bool is_ready);
void admin_close(Admin *admin, void (*on_closed)(void *context), void *context); // frees it

#endif
