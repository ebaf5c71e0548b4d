// A worker: one loop that serves HTTP, one lua_State per plugin generation, the local apps' state,
// the outgoing client. What it serves it reads in the registry, which the keeper writes.
#ifndef MOONHOOK_PROCESS_WORKER_H
#define MOONHOOK_PROCESS_WORKER_H

#include "../dispatch/dispatch.h"
#include "config.h"

typedef struct Worker Worker;

typedef enum {
  WORKER_RETIRE,  // another takes over: no new connections; each closes after its next reply
  WORKER_STOP,    // no new connections, idle ones are closed, active requests end
  WORKER_STOP_NOW // they are ended: with an event where the stream has such, broken off where not
} WorkerStop;

Worker *worker_new(Loop *loop, Store *store, bool is_dev); // `store` may be NULL
// Makes what it serves with. The configuration is read, not kept. After an error worker_stop and
// worker_free are still due, as always.
int worker_start(Worker *worker, const Config *config, Err *err);
// Serves what the registry in `data_dir` has, now and whenever the generation moves; the
// configuration is taken from the scoreboard then, the rest of its sources (borrowed) from here.
// `config_version` is that of the configuration which worker_start gets. Before worker_start.
int worker_follow(Worker *worker, const char *data_dir, const ConfigSources *sources,
                  uint64_t config_version, Err *err);
void worker_look(Worker *worker); // follows now, without waiting for a request to notice
// Takes connections of the listening socket `fd`, which it takes, as its share among the workers.
int worker_listen(Worker *worker, int fd, const HttpLimits *limits, Err *err);
// Passes connections on to the others, and takes theirs, when one worker alone shall serve a
// plugin. After worker_listen; the descriptors (out, in) are borrowed until worker_free.
void worker_join(Worker *worker, const int passing_fds[2]);

// Takes over what may change while it runs: backends, apps, public address, times.
int worker_configure(Worker *worker, const Config *config, Err *err);
// Whether worker_configure would take it.
int worker_check_config(const Config *config, Err *err);
EndpointTable *worker_endpoints(Worker *worker);

// Stops; may be called again with more haste. on_stopped comes when nothing is left; then
// worker_free.
void worker_stop(Worker *worker, WorkerStop how, void (*on_stopped)(void *context), void *context);
void worker_free(Worker *worker);
uint32_t worker_drain_ms(const Worker *worker); // that requests have to end
uint32_t worker_live_tasks(const Worker *worker);
uint32_t worker_live_states(const Worker *worker);

#endif
