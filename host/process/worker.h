// A worker: one loop that serves HTTP, one lua_State per plugin generation, the local apps' state,
// the outgoing client. What it serves is told to it by the keeper.
#ifndef MOONHOOK_PROCESS_WORKER_H
#define MOONHOOK_PROCESS_WORKER_H

#include "../dispatch/dispatch.h"
#include "config.h"

typedef struct Worker Worker;

Worker *worker_new(Loop *loop, Store *store, bool is_dev); // `store` may be NULL
// Makes what it serves with. The configuration is read, not kept. After an error worker_stop and
// worker_free are still due, as always.
int worker_start(Worker *worker, const Config *config, Err *err);
// Listens; with may_move the next free port is taken when the wanted one is in use.
int worker_listen(Worker *worker, const ConfigListen *listen, const HttpLimits *limits,
                  bool may_move, Err *err);
int worker_port(const Worker *worker); // 0 before worker_listen

// Takes over what may change while it runs: backends, apps, public address, times.
int worker_configure(Worker *worker, const Config *config, Err *err);
// Loads a checked package from its snapshot and makes it the live one; the old one goes on serving
// when this fails. Takes the package on success.
int worker_load_plugin(Worker *worker, Package *package, const char *dir, const char *hash,
                       Err *err);
void worker_unload_plugin(Worker *worker, const char *id); // "author/name", as package_id
EndpointTable *worker_endpoints(Worker *worker);

// Stops: no new connections, active requests end (or are broken at once with is_now). on_stopped
// comes when nothing is left; then worker_free.
void worker_stop(Worker *worker, bool is_now, void (*on_stopped)(void *context), void *context);
void worker_free(Worker *worker);
uint32_t worker_live_tasks(const Worker *worker);
uint32_t worker_live_states(const Worker *worker);
size_t worker_leaked_bytes(const Worker *worker); // of Lua states that were closed

#endif
