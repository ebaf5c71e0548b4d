// The admin API: requests of the admin listener that go to Lua. Its handlers run in a state of
// their own, with the same request and Response as plugins' and one more module, host.admin
// (bind_admin.c), which calls the functions of an AdminHost. Whoever listens has checked the key
// before.
#ifndef MOONHOOK_DISPATCH_ADMIN_DISPATCH_H
#define MOONHOOK_DISPATCH_ADMIN_DISPATCH_H

#include "../http/server.h"
#include "../script/state.h"
#include "admin_host.h"

typedef struct AdminDispatch AdminDispatch;

// `runtime` needs a loop only; `host` is borrowed. Errors are the library's own.
AdminDispatch *admin_dispatch_new(Runtime *runtime, const AdminHost *host, Err *err);
// After the listener is gone and every task has ended; the state closes from the run queue.
void admin_dispatch_free(AdminDispatch *admin);

// The four of an HttpHandler; admin_dispatch_head answers or begins. A request that was answered
// before must not come here.
void admin_dispatch_head(AdminDispatch *admin, Request *request);
void admin_dispatch_request(AdminDispatch *admin, Request *request);
void admin_dispatch_drain(AdminDispatch *admin, Request *request);
void admin_dispatch_over(AdminDispatch *admin, Request *request, bool is_complete,
                         const char *ended_by);

#endif
