// The admin listener: what an operator's tools ask. Nothing of it is reachable on the public one.
// GET /healthz (the process answers), GET /readyz (it serves: not before the first load, not while
// stopping), GET /metrics, and /api/v1 for those who have the admin key.
#ifndef MOONHOOK_PROCESS_ADMIN_H
#define MOONHOOK_PROCESS_ADMIN_H

#include "keeper.h"

typedef struct Admin Admin;

// Serves the listening socket `fd`, which it takes; /api answers 503 until admin_serve.
Admin *admin_new(Loop *loop, int fd, Err *err);
// Opens the API on what the keeper holds, which must outlive the listener. Reads the key file, or
// makes it; its path goes to the log. Errors: the key (admin_key.h), the library.
int admin_serve(Admin *admin, Keeper *keeper, Err *err);
void admin_set_ready(Admin *admin, bool is_ready);
void admin_close(Admin *admin, void (*on_closed)(void *context), void *context); // frees it

#endif
